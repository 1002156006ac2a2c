/* SPDX-License-Identifier: LGPL-2.1-only */
/* Destroys, restarts, renames, dumps: as xl does it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libxl_utils.h>

#include "xl_monitor.h"
#include "xl_text.h"

/* xl sleeps as long: without it, devices of the old domain may linger. */
#define RESTART_SECONDS 2

void xl_monitor_note(const char *fmt, ...)
{
    char *time_text = xl_time(time(NULL)), *text = NULL, *safe;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    safe = xl_safe(text, true, NULL);
    fprintf(stderr, "%s %s\n", time_text, safe);
    free(safe);
    free(text);
    free(time_text);
}

static void dump_core(libxl_ctx *ctx, uint32_t domid, const char *name)
{
    char *path = xl_printf("%s/%s", XL_DUMP_FOLDER, name);
    int rc;

    xl_monitor_note("dumping the memory of domain %u to %s", domid, path);
    rc = libxl_domain_core_dump(ctx, domid, path, NULL);
    if (rc)
        xl_monitor_note("the dump failed (rc=%d)", rc);
    free(path);
}

/*
 * The configuration as it is now, with disks attached and media changed
 * since the start. On failure the one known before stays.
 */
static void reload(libxl_ctx *ctx, uint32_t domid,
                   libxl_domain_config *config)
{
    libxl_domain_config fresh;
    uint8_t *data = NULL;
    int len = 0, rc;

    if (!libxl_userdata_retrieve(ctx, domid, "xl", &data, &len) && len > 0)
        xl_monitor_note("domain %u has a configuration stored by `xl "
                        "config-update`; it is not used, the domain "
                        "restarts as it ran", domid);
    free(data);
    libxl_domain_config_init(&fresh);
    rc = libxl_retrieve_domain_configuration(ctx, domid, &fresh, NULL);
    if (rc) {
        xl_monitor_note("can't read the configuration of domain %u (rc=%d); "
                        "using that of before", domid, rc);
        libxl_domain_config_dispose(&fresh);
        return;
    }
    libxl_domain_config_dispose(config);
    *config = fresh;
}

static bool destroy(libxl_ctx *ctx, uint32_t domid)
{
    int rc;

    xl_monitor_note("destroying domain %u", domid);
    rc = libxl_domain_destroy(ctx, domid, NULL);
    if (rc)
        xl_monitor_note("destroying domain %u failed (rc=%d)", domid, rc);
    return rc == 0;
}

/* Out of the way of its successor, under another name and UUID. */
static bool preserve(libxl_ctx *ctx, uint32_t domid,
                     libxl_domain_config *config)
{
    time_t now = time(NULL);
    libxl_uuid uuid;
    char suffix[32];
    struct tm tm;
    int rc;

    if (!gmtime_r(&now, &tm) ||
        !strftime(suffix, sizeof(suffix), "-%Y%m%dT%H%MZ", &tm))
        return false;
    libxl_uuid_generate(&uuid);
    xl_monitor_note("keeping domain %u as %s%s", domid, config->c_info.name,
                    suffix);
    rc = libxl_domain_preserve(ctx, domid, &config->c_info, suffix, uuid);
    if (rc)
        xl_monitor_note("keeping domain %u failed (rc=%d)", domid, rc);
    return rc == 0;
}

static bool run(libxl_ctx *ctx, uint32_t domid)
{
    int rc = libxl_domain_unpause(ctx, domid, NULL);

    if (rc)
        xl_monitor_note("domain %u can't be let run (rc=%d)", domid, rc);
    return rc == 0;
}

static bool create(libxl_ctx *ctx, libxl_domain_config *config,
                   uint32_t *domid)
{
    int rc;

    sleep(RESTART_SECONDS);
    *domid = INVALID_DOMID;
    /* A domid belongs to one life of a domain: let Xen give a new one. */
    config->c_info.domid = 0;
    rc = libxl_domain_create_new(ctx, config, domid, NULL, NULL);
    if (rc) {
        xl_monitor_note("domain %s can't be created again (rc=%d): it is "
                        "off", config->c_info.name, rc);
        return false;
    }
    if (!run(ctx, *domid)) {
        libxl_domain_destroy(ctx, *domid, NULL);
        return false;
    }
    xl_monitor_note("domain %s runs again, as domain %u",
                    config->c_info.name, *domid);
    return true;
}

static bool soft_reset(libxl_ctx *ctx, libxl_domain_config *config,
                       uint32_t domid)
{
    int rc;

    rc = libxl_domain_soft_reset(ctx, config, domid, NULL, NULL);
    if (rc) {
        xl_monitor_note("soft reset of domain %u failed (rc=%d); it is "
                        "destroyed", domid, rc);
        destroy(ctx, domid);
        return false;
    }
    return run(ctx, domid);
}

bool xl_monitor_act(libxl_ctx *ctx, libxl_domain_config *config,
                    libxl_shutdown_reason reason, uint32_t *domid)
{
    bool dump;
    enum xl_monitor_act act = xl_monitor_decide(config, reason, &dump);

    if (dump)
        dump_core(ctx, *domid, config->c_info.name);
    switch (act) {
    case XL_MONITOR_IGNORE:
        return true;
    case XL_MONITOR_PRESERVE:
        xl_monitor_note("domain %u is kept as it is", *domid);
        return false;
    case XL_MONITOR_DESTROY:
        destroy(ctx, *domid);
        return false;
    case XL_MONITOR_RESTART:
        reload(ctx, *domid, config);
        return destroy(ctx, *domid) && create(ctx, config, domid);
    case XL_MONITOR_RENAME:
        reload(ctx, *domid, config);
        return preserve(ctx, *domid, config) && create(ctx, config, domid);
    case XL_MONITOR_SOFT_RESET:
        reload(ctx, *domid, config);
        return soft_reset(ctx, config, *domid);
    }
    return false;
}
