/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The monitor acts on a domain's on_poweroff, on_reboot, on_crash,
 * on_watchdog and on_soft_reset, as the process does that `xl create` leaves
 * behind. Before Xen 4.20 xl's process ends as soon as its domain suspends,
 * which every snapshot with memory makes it do; and in every version it ends
 * when a revert destroys the domain. Then a monitor of ours takes its place.
 *
 * There is never more than one that acts. Ours holds a lock for the domain
 * (by UUID), and waits for the end of xl's own before it does anything.
 * A domain that had no monitor gets none (`xl create -e`), and so does one
 * that libvirt looks after.
 */
#ifndef XL_MONITOR_H
#define XL_MONITOR_H

#include <stdbool.h>
#include <sys/types.h>

#include <libxl.h>

#ifndef XL_LOG_FOLDER
#define XL_LOG_FOLDER "/var/log/xen"
#endif
#ifndef XL_DUMP_FOLDER
#define XL_DUMP_FOLDER "/var/lib/xen/dump"
#endif
#ifndef XL_RUN_FOLDER
#define XL_RUN_FOLDER "/run/xl-snapshot"
#endif

/* --- xl_monitor.c: for the commands --- */

struct xl_monitor_plan {
    libxl_ctx *ctx;
    const char *program;        /* ours */
    const char *name, *uuid;    /* of the domain */
    uint32_t domid;
    bool wanted;                /* somebody looks after the domain */
    bool survives;              /* xl's monitor survives a suspend */
    bool asked;                 /* whether one is needed at the suspend */
    bool started;
    bool pending;               /* the answer is still to be read */
    int fd;                     /* it says "ok" here, or what is wrong */
};

/* Before an operation: looks who looks after the domain, remembers it. */
void xl_monitor_before(struct xl_monitor_plan *plan);
/* The domain is about to be suspended. Takes no time. */
void xl_monitor_suspending(struct xl_monitor_plan *plan);
/* After it; domid: that of the domain now, INVALID_DOMID if it is off.
 * Warns, with the consequence, if no monitor can be had. */
void xl_monitor_after(struct xl_monitor_plan *plan, uint32_t domid);
/* After the recovery of an operation whose process is dead. */
void xl_monitor_recovered(struct xl_monitor_plan *plan, uint32_t domid);

/* --- xl_monitor_find.c: who is there --- */

/*
 * xl's monitor of the domain with this name: a process whose program is
 * called xl, and whose output goes to xl's log for that name, or whose
 * arguments create or restore that domain. 0: none.
 * proc: "/proc"; log_folder: where xl's logs are.
 */
pid_t xl_monitor_find_stock(const char *proc, const char *log_folder,
                            const char *name);
/* Does a monitor of ours hold the domain's lock? */
bool xl_monitor_ours_lives(const char *folder, const char *uuid);
/*
 * Takes the lock, waiting up to seconds for another to let it go.
 * The descriptor, or -1.
 */
int xl_monitor_lock(const char *folder, const char *uuid, int seconds);
void xl_monitor_unlock(const char *folder, const char *uuid, int fd);

/* --- xl_monitor_policy.c: what a shutdown means; no side effects --- */

enum xl_monitor_act {
    XL_MONITOR_IGNORE,          /* suspended: a snapshot, a save */
    XL_MONITOR_DESTROY,
    XL_MONITOR_RESTART,         /* destroy, and create again */
    XL_MONITOR_RENAME,          /* keep under a new name, and create */
    XL_MONITOR_PRESERVE,
    XL_MONITOR_SOFT_RESET,
};

/* *dump: the domain's memory is to be written to a file first. */
enum xl_monitor_act xl_monitor_decide(const libxl_domain_config *config,
                                      libxl_shutdown_reason reason,
                                      bool *dump);

/* --- xl_monitor_action.c: and does it --- */

/*
 * Acts on the shutdown of *domid. True: *domid is to be watched (again);
 * false: there is nothing left to watch.
 */
bool xl_monitor_act(libxl_ctx *ctx, libxl_domain_config *config,
                    libxl_shutdown_reason reason, uint32_t *domid);
/* One line in the monitor's log. */
void xl_monitor_note(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

/* --- xl_monitor_watch.c: the loop, and the daemon --- */

/* Watches the domain with this UUID until it is gone. An exit code. */
int xl_monitor_watch(libxl_ctx *ctx, const char *uuid, const char *name);

struct xl_globals;
/* The hidden command: snapshot-monitor [--foreground] DOMID. */
int xl_monitor_main(const struct xl_globals *globals, int argc, char **argv);

#endif /* XL_MONITOR_H */
