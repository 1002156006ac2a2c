/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Sets a domain going again, whatever the operation had stopped and however
 * far it came: the end of each operation, and all that the guard does. Each
 * part looks at the domain first, so it may be repeated.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xenctrl.h>

#include "libxlss_internal.h"
#include "qmp/qmp.h"

static int remember(int first, int rc)
{
    return first ? first : rc;
}

/*
 * Takes back a request that the guest has not seen. Done by a transaction,
 * as libxl does it: either we see "suspend" and remove it, or the guest has
 * answered. True if the guest may still suspend.
 */
static bool take_request_back(struct libxlss__op *op)
{
    char *path = libxlss__printf(op, "/local/domain/%u/control/shutdown",
                                 op->domid);
    bool answered, done;
    unsigned int len;
    xs_transaction_t t;
    char *text;

    do {
        t = xs_transaction_start(op->xs);
        if (t == XBT_NULL)
            return true;
        text = xs_read(op->xs, t, path, &len);
        if (text && !strcmp(text, "suspend")) {
            xs_write(op->xs, t, path, "", 0);
            answered = false;
        } else {
            answered = true;
        }
        free(text);
        done = xs_transaction_end(op->xs, t, false);
    } while (!done && errno == EAGAIN);
    return answered || !done;
}

static void wait_for_late_suspend(struct libxlss__op *op)
{
    uint64_t end = libxlss__now_ms() + libxlss__late_suspend_ms;

    while (libxlss__now_ms() < end) {
        int rc = libxlss__domain_refresh(op);

        if (rc == ERROR_DOMAIN_NOTFOUND || libxlss__is_suspended(&op->info))
            return;
        libxlss__sleep_ms(100);
    }
}

/* Saving turns it on; a save that was killed leaves it on. Harmless where
 * it is off: then Xen answers with an error. */
static void log_dirty_off(struct libxlss__op *op)
{
    xc_interface *xch = xc_interface_open(op->lg, NULL, 0);
    struct libxlss__qmp qmp;

    if (xch) {
        xc_shadow_control(xch, op->domid, XEN_DOMCTL_SHADOW_OP_OFF, NULL, 0);
        xc_interface_close(xch);
    }
    if (libxlss__is_hvm(op) && libxlss__qemu_alive(op) &&
        !libxlss__qmp_open(op, &qmp)) {
        libxlss__qmp_log_dirty_off(&qmp);
        libxlss__qmp_close(&qmp);
    }
}

/* What sets the guest going is tried more than once. */
#define TRIES 3

static int insist(struct libxlss__op *op, int (*part)(struct libxlss__op *))
{
    int rc, tries = 0;

    for (;;) {
        rc = part(op);
        if (!rc || ++tries == TRIES)
            return rc;
        libxlss__sleep_ms(200);
        if (libxlss__domain_refresh(op))
            return rc;
    }
}

static int start_qemu(struct libxlss__op *op)
{
    struct libxlss__qmp qmp;
    bool running = true;
    int rc;

    if (!libxlss__qemu_alive(op))
        return 0;
    rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    rc = libxlss__qmp_running(&qmp, &running);
    if (!rc && !running)
        rc = libxlss__qmp_cont(&qmp);
    libxlss__qmp_close(&qmp);
    return rc;
}

static int redo_pauses(struct libxlss__op *op)
{
    int rc = 0;

    while (!rc && op->held.repauses) {
        rc = libxl_domain_pause(op->ctx, op->domid, NULL);
        if (rc)
            LOG_ERROR(op, "cannot pause the domain again, as it was: %s",
                      libxl_snapshot_strerror(rc));
        else
            op->held.repauses--;
    }
    return rc;
}

static int undo_pauses(struct libxlss__op *op)
{
    int rc = 0;

    while (!rc && op->held.pauses) {
        rc = libxlss__domain_refresh(op);
        if (rc)
            break;
        if (!op->info.paused) {
            op->held.pauses = 0;
            break;
        }
        rc = libxl_domain_unpause(op->ctx, op->domid, NULL);
        if (rc)
            LOG_ERROR(op, "cannot unpause the domain: %s",
                      libxl_snapshot_strerror(rc));
        else
            op->held.pauses--;
    }
    return rc;
}

static int resume(struct libxlss__op *op)
{
    int rc;

    if (!libxlss__is_suspended(&op->info))
        return 0;
    rc = libxl_domain_resume(op->ctx, op->domid, 1, NULL);
    if (rc) {
        LOG_ERROR(op, "cannot resume the domain: %s%s",
                  libxl_snapshot_strerror(rc),
                  libxlss__qemu_alive(op) ? "" :
                  "; its QEMU is dead, so it has lost its disks");
        return rc;
    }
    return libxlss__domain_refresh(op);
}

int libxlss__release(struct libxlss__op *op)
{
    struct libxlss__held *held = &op->held;
    bool tried_suspend = held->suspending, failed_suspend = false;
    int rc = 0;

    if (op->domid == XLSS_OFF ||
        (!tried_suspend && !held->stopped && !held->pauses &&
         !held->repauses && !held->frozen && !held->log_dirty))
        return 0;
    rc = libxlss__domain_refresh(op);
    if (rc)
        return rc;
    if (tried_suspend && !libxlss__is_suspended(&op->info)) {
        failed_suspend = true;
        if (take_request_back(op))
            wait_for_late_suspend(op);
    }
    rc = remember(rc, insist(op, redo_pauses));
    if (held->stopped) {
        rc = remember(rc, insist(op, start_qemu));
        held->stopped = false;
    }
    if (libxlss__is_suspended(&op->info))
        rc = remember(rc, insist(op, resume));
    else if (tried_suspend && libxlss__is_hvm(op))
        rc = remember(rc, insist(op, start_qemu));
    held->suspending = libxlss__is_suspended(&op->info);
    rc = remember(rc, insist(op, undo_pauses));
    /* Last: only a guest that runs can do it. */
    rc = remember(rc, libxlss__agent_thaw(op));
    /* `cont` has come, or somebody else's came before it. */
    held->inactive = held->inactive && held->suspending;
    if (failed_suspend || held->log_dirty)
        log_dirty_off(op);
    held->log_dirty = false;
    libxlss__guard_tell(op);
    /* Then the guard has to go on trying. */
    op->stuck = rc != 0;
    return rc;
}
