/* SPDX-License-Identifier: LGPL-2.1-only */
/* The monitor's loop. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <libxl_event.h>
#include <libxl_utils.h>

#include "xl_monitor.h"
#include "xl_text.h"

#define POLL_MS 200             /* while the domain is suspended */
#define CONFIG_TRIES 10
#define CONFIG_RETRY_MS 3000

enum { WATCH_GONE, WATCH_AGAIN, WATCH_FAILED };

static void nap(int ms)
{
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

    nanosleep(&ts, NULL);
}

/* The domain with this UUID now, dying ones left out; false: none. */
static bool find_by_uuid(libxl_ctx *ctx, const char *uuid, uint32_t *domid)
{
    libxl_uuid wanted;
    libxl_dominfo *list;
    bool found = false;
    int n, i;

    if (libxl_uuid_from_string(&wanted, uuid))
        return false;
    list = libxl_list_domain(ctx, &n);
    if (!list)
        return false;
    for (i = 0; i < n && !found; i++) {
        if (list[i].dying || libxl_uuid_compare(&list[i].uuid, &wanted))
            continue;
        *domid = list[i].domid;
        found = true;
    }
    libxl_dominfo_list_free(list, n);
    return found;
}

static pid_t find_stock(const char *name)
{
    return xl_monitor_find_stock("/proc", XL_LOG_FOLDER, name);
}

/* Without pidfd_open (before Linux 5.3), asks every second. */
static void wait_for_exit(pid_t pid, const char *name)
{
    struct pollfd p = { .fd = -1, .events = POLLIN };

#ifdef SYS_pidfd_open
    p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
#endif
    if (p.fd < 0) {
        while (!kill(pid, 0))
            nap(1000);
        return;
    }
    /* The number may have been given to another process before the open. */
    if (find_stock(name) == pid) {
        while (poll(&p, 1, -1) < 0 && errno == EINTR)
            ;
    }
    close(p.fd);
}

/*
 * While xl's own monitor lives, this one does nothing. It may have missed
 * the suspend and live for as long as the domain.
 */
static void wait_for_stock(const char *name)
{
    pid_t pid;

    while ((pid = find_stock(name))) {
        xl_monitor_note("xl's monitor of %s is process %d; waiting for its "
                        "end", name, (int)pid);
        wait_for_exit(pid, name);
        nap(POLL_MS);
    }
}

/*
 * Waits until a suspended domain runs on. libxl reports a shutdown once for
 * each time it is asked to, so it must not be asked before that.
 * False: the domain is gone.
 */
static bool wait_while_suspended(libxl_ctx *ctx, uint32_t domid)
{
    libxl_dominfo info;
    bool exists, suspended;

    for (;;) {
        libxl_dominfo_init(&info);
        exists = !libxl_domain_info(ctx, &info, domid) && !info.dying;
        suspended = exists && info.shutdown &&
                    info.shutdown_reason == LIBXL_SHUTDOWN_REASON_SUSPEND;
        libxl_dominfo_dispose(&info);
        if (!suspended)
            return exists;
        nap(POLL_MS);
    }
}

struct watch {
    libxl_ctx *ctx;
    uint32_t domid;
    libxl_domain_config config;
    libxl_evgen_domain_death *death;
    libxl_evgen_disk_eject **ejects;    /* one a disk; NULL: not asked for */
    int num_ejects;
};

/* A guest that ejects its CD finds the drive empty, as under xl. */
static void watch_ejects(struct watch *w)
{
    int i;

    w->num_ejects = w->config.num_disks;
    w->ejects = xl_alloc(w->num_ejects, sizeof(*w->ejects));
    for (i = 0; i < w->num_ejects; i++) {
        if (!w->config.disks[i].removable)
            continue;
        if (libxl_evenable_disk_eject(w->ctx, w->domid,
                                      w->config.disks[i].vdev, 0,
                                      &w->ejects[i]))
            w->ejects[i] = NULL;
    }
}

static void stop_watching(struct watch *w)
{
    libxl_event *event;
    int i;

    if (w->death)
        libxl_evdisable_domain_death(w->ctx, w->death);
    w->death = NULL;
    for (i = 0; i < w->num_ejects; i++) {
        if (w->ejects[i])
            libxl_evdisable_disk_eject(w->ctx, w->ejects[i]);
    }
    free(w->ejects);
    w->ejects = NULL;
    w->num_ejects = 0;
    /* What was already on its way concerns the time before. */
    while (!libxl_event_check(w->ctx, &event, LIBXL_EVENTMASK_ALL, NULL,
                              NULL))
        libxl_event_free(w->ctx, event);
}

static int shut_down(struct watch *w, libxl_shutdown_reason reason)
{
    xl_monitor_note("domain %u has shut down: %s", w->domid,
                    libxl_shutdown_reason_to_string(reason));
    stop_watching(w);
    if (reason == LIBXL_SHUTDOWN_REASON_SUSPEND)
        return wait_while_suspended(w->ctx, w->domid) ? WATCH_AGAIN
                                                      : WATCH_GONE;
    return xl_monitor_act(w->ctx, &w->config, reason, &w->domid)
           ? WATCH_AGAIN : WATCH_GONE;
}

/* One event; -1: nothing has changed. */
static int handle(struct watch *w, libxl_event *event)
{
    if (event->domid != w->domid)
        return -1;
    switch (event->type) {
    case LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN:
        return shut_down(w, event->u.domain_shutdown.shutdown_reason);
    case LIBXL_EVENT_TYPE_DOMAIN_DEATH:
        xl_monitor_note("domain %u has been destroyed", w->domid);
        return WATCH_GONE;
    case LIBXL_EVENT_TYPE_DISK_EJECT:
        libxl_cdrom_insert(w->ctx, w->domid, &event->u.disk_eject.disk,
                           NULL);
        return -1;
    default:
        return -1;
    }
}

/* From here until the domain ends, suspends or gets another domid. */
static int watch_once(struct watch *w)
{
    libxl_event *event;
    int rc, what = -1;

    rc = libxl_evenable_domain_death(w->ctx, w->domid, 0, &w->death);
    if (rc) {
        w->death = NULL;
        xl_monitor_note("can't watch domain %u (rc=%d)", w->domid, rc);
        return WATCH_FAILED;
    }
    watch_ejects(w);
    while (what < 0) {
        rc = libxl_event_wait(w->ctx, &event, LIBXL_EVENTMASK_ALL, NULL,
                              NULL);
        if (rc) {
            xl_monitor_note("waiting for events failed (rc=%d)", rc);
            what = WATCH_FAILED;
            break;
        }
        what = handle(w, event);
        libxl_event_free(w->ctx, event);
    }
    stop_watching(w);
    return what;
}

/*
 * Its QEMU may be busy for longer than libxl waits for it: the end of the
 * snapshot is near.
 */
static int read_config(struct watch *w)
{
    int rc, tries = CONFIG_TRIES;

    do {
        rc = libxl_retrieve_domain_configuration(w->ctx, w->domid,
                                                 &w->config, NULL);
        if (!rc)
            return 0;
        libxl_domain_config_dispose(&w->config);
        libxl_domain_config_init(&w->config);
        nap(CONFIG_RETRY_MS);
    } while (--tries > 0);
    xl_monitor_note("can't read the configuration of domain %u (rc=%d): "
                    "nobody acts on its shutdown", w->domid, rc);
    return rc;
}

int xl_monitor_watch(libxl_ctx *ctx, const char *uuid, const char *name)
{
    struct watch w = { .ctx = ctx };
    int what;

    wait_for_stock(name);
    /*
     * Its last act may have been a restart, or somebody's a revert: what
     * counts is who has the UUID now.
     */
    if (!find_by_uuid(ctx, uuid, &w.domid) ||
        !wait_while_suspended(ctx, w.domid)) {
        xl_monitor_note("domain %s is gone", name);
        return 0;
    }
    libxl_domain_config_init(&w.config);
    if (read_config(&w)) {
        libxl_domain_config_dispose(&w.config);
        return 1;
    }
    xl_monitor_note("watching domain %s, domid %u", name, w.domid);
    do {
        what = watch_once(&w);
    } while (what == WATCH_AGAIN);
    libxl_domain_config_dispose(&w.config);
    return what == WATCH_GONE ? 0 : 1;
}
