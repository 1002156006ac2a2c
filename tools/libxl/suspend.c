/* SPDX-License-Identifier: LGPL-2.1-only */
/* Stopping the guest. What is stopped is written to op->held, and told to
 * the guard, before it is done. */
#include "disk/disk.h"
#include "libxlss_internal.h"

/* Xen counts pauses; more than this many is somebody's mistake. */
#define MAX_PAUSES 16

/* libxl waits this long for the guest's answer (libxl_domain.c). */
#define LIBXL_SUSPEND_ACK_MS 60000

/* A paused guest can't answer: it runs for the handshake alone. */
static int let_run(struct libxlss__op *op)
{
    int rc;

    for (;;) {
        rc = libxlss__domain_refresh(op);
        if (rc || !op->info.paused)
            return rc;
        if (!op->held.repauses && !op->info.cpu_time) {
            LOG_ERROR(op, "the domain is paused and has never run; unpause "
                      "it first");
            return XLSS(NOT_POSSIBLE);
        }
        if (op->held.repauses >= MAX_PAUSES) {
            LOG_ERROR(op, "the domain stays paused after %d unpauses",
                      MAX_PAUSES);
            return XLSS(NOT_POSSIBLE);
        }
        op->held.repauses++;
        libxlss__guard_tell(op);
        rc = libxl_domain_unpause(op->ctx, op->domid, NULL);
        if (rc) {
            LOG_ERROR(op, "cannot unpause the domain for the suspend "
                      "request: %s", libxl_snapshot_strerror(rc));
            return rc;
        }
    }
}

/* A guest that ended by itself answers no request either. */
static bool says_ended(struct libxlss__op *op)
{
    if (libxlss__domain_refresh(op) == ERROR_DOMAIN_NOTFOUND) {
        LOG_ERROR(op, "the domain ended while its memory was saved");
        return true;
    }
    if (!op->info.shutdown || libxlss__is_suspended(&op->info))
        return false;
    LOG_ERROR(op, "the guest ended by itself (%s) while its memory was saved",
              libxl_shutdown_reason_to_string(op->info.shutdown_reason));
    return true;
}

static int not_suspended(struct libxlss__op *op, int rc, bool live,
                         uint64_t took_ms)
{
    if (says_ended(op))
        return XLSS(NOT_SUSPENDED);
    /* So libxl says that log-dirty mode could not be turned on. */
    if (live && rc == ERROR_GUEST_TIMEDOUT &&
        took_ms < LIBXL_SUSPEND_ACK_MS - 1000) {
        LOG_ERROR(op, "its memory could not be saved while it runs; it runs "
                  "on");
        return XLSS(LIVE_NOT_POSSIBLE);
    }
    if (rc == ERROR_GUEST_TIMEDOUT || took_ms >= LIBXL_SUSPEND_ACK_MS - 1000) {
        LOG_ERROR(op, "the guest did not answer the suspend request in %d s; "
                  "it runs on (are its PV drivers up?)",
                  LIBXL_SUSPEND_ACK_MS / 1000);
        return XLSS(NOT_SUSPENDED);
    }
    LOG_ERROR(op, "libxl could not save the memory: %s",
              libxl_snapshot_strerror(rc));
    return rc ? rc : XLSS(NOT_SUSPENDED);
}

int libxlss__suspend(struct libxlss__op *op, int fd, bool live)
{
    uint64_t start;
    int rc;

    libxlss__disks_sync(op);
    rc = let_run(op);
    if (rc)
        return rc;
    op->held.suspending = true;
    op->held.log_dirty = true;
    op->held.inactive = live;
    libxlss__guard_tell(op);
    start = libxlss__now_ms();
    rc = libxl_domain_suspend(op->ctx, op->domid, fd,
                              live ? LIBXL_SUSPEND_LIVE : 0, NULL);
    /* libxl may report success where the guest never suspended. */
    if (rc || libxlss__domain_refresh(op) ||
        !libxlss__is_suspended(&op->info))
        return not_suspended(op, rc, live, libxlss__now_ms() - start);
    /* Told to the guard with the next change: until then it is on the safe
     * side, and the guest stands still now. */
    op->held.log_dirty = false;
    return 0;
}

int libxlss__pause(struct libxlss__op *op)
{
    int rc;

    libxlss__disks_sync(op);
    op->held.pauses++;
    libxlss__guard_tell(op);
    rc = libxl_domain_pause(op->ctx, op->domid, NULL);
    if (rc) {
        LOG_ERROR(op, "cannot pause the domain: %s",
                  libxl_snapshot_strerror(rc));
        /* It may be paused all the same; whose pause is it then? */
        if (op->info.paused ||
            (!libxlss__domain_refresh(op) && !op->info.paused))
            op->held.pauses--;
        libxlss__guard_tell(op);
    }
    return rc;
}
