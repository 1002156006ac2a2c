/* SPDX-License-Identifier: LGPL-2.1-only */
/* What xl does at a domain's shutdown (handle_domain_death in xl). */
#include "xl_monitor.h"

static libxl_action_on_shutdown action_for(const libxl_domain_config *config,
                                           libxl_shutdown_reason reason)
{
    switch (reason) {
    case LIBXL_SHUTDOWN_REASON_POWEROFF:   return config->on_poweroff;
    case LIBXL_SHUTDOWN_REASON_REBOOT:     return config->on_reboot;
    case LIBXL_SHUTDOWN_REASON_CRASH:      return config->on_crash;
    case LIBXL_SHUTDOWN_REASON_WATCHDOG:   return config->on_watchdog;
    case LIBXL_SHUTDOWN_REASON_SOFT_RESET: return config->on_soft_reset;
    default:
        return LIBXL_ACTION_ON_SHUTDOWN_DESTROY;
    }
}

enum xl_monitor_act xl_monitor_decide(const libxl_domain_config *config,
                                      libxl_shutdown_reason reason,
                                      bool *dump)
{
    *dump = false;
    if (reason == LIBXL_SHUTDOWN_REASON_SUSPEND)
        return XL_MONITOR_IGNORE;
    switch (action_for(config, reason)) {
    case LIBXL_ACTION_ON_SHUTDOWN_COREDUMP_RESTART:
        *dump = true;
        return XL_MONITOR_RESTART;
    case LIBXL_ACTION_ON_SHUTDOWN_RESTART:
        return XL_MONITOR_RESTART;
    case LIBXL_ACTION_ON_SHUTDOWN_RESTART_RENAME:
        return XL_MONITOR_RENAME;
    case LIBXL_ACTION_ON_SHUTDOWN_PRESERVE:
        return XL_MONITOR_PRESERVE;
    case LIBXL_ACTION_ON_SHUTDOWN_SOFT_RESET:
        return XL_MONITOR_SOFT_RESET;
    case LIBXL_ACTION_ON_SHUTDOWN_COREDUMP_DESTROY:
        *dump = true;
        return XL_MONITOR_DESTROY;
    case LIBXL_ACTION_ON_SHUTDOWN_DESTROY:
        break;
    }
    return XL_MONITOR_DESTROY;
}
