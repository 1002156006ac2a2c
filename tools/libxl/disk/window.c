/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The window in which disks are snapshotted: the guest is suspended or
 * paused by us, QEMU is stopped, so every node is drained and flushed.
 *
 * Idle twins: where a guest without PV drivers writes through the emulated
 * disk, xen-block's node on the same image keeps what it read of the
 * metadata when it was opened. After a change it must read it again, or a
 * later connect of PV drivers would write stale metadata back. QEMU
 * re-reads metadata when an inactive image is activated, so the images are
 * inactivated; `cont`, ours or libxl_domain_resume's, activates them.
 *
 * A live save leaves the images of an HVM's QEMU inactive as well, and then
 * most block commands would abort it: `cont` and `stop` come first. A PVH's
 * QEMU isn't told of the save at all: it is found running. held.inactive
 * says that images may be inactive: inactivating them twice aborts QEMU.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "../libxlss_internal.h"

/* Without an opinion of its own: what can't be written is QEMU's to say. */
static void sync_data(const char *path)
{
    struct stat st;
    int fd;

    if (stat(path, &st) || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
        return;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return;
    fdatasync(fd);
    close(fd);
}

void libxlss__disks_sync(struct libxlss__op *op)
{
    int i;

    for (i = 0; i < op->num_disks; i++)
        if (op->disks[i].driver && op->disks[i].attached)
            sync_data(op->disks[i].path);
}

/* No vCPU runs, so the guest sees nothing of it. */
static int activate(struct libxlss__op *op, struct libxlss__window *w)
{
    int rc = libxlss__qmp_cont(&w->qmp);

    if (!rc)
        rc = libxlss__qmp_stop(&w->qmp);
    if (!rc)
        op->held.inactive = false;
    return rc;
}

static int stop_qemu(struct libxlss__op *op, struct libxlss__window *w)
{
    bool running = false;
    int rc;

    rc = libxlss__qmp_running(&w->qmp, &running);
    if (rc)
        return rc;
    /* An HVM's QEMU, stopped by libxl: left stopped, as it was found. */
    if (!running)
        return op->held.inactive ? activate(op, w) : 0;
    op->held.inactive = false;
    op->held.stopped = true;
    libxlss__guard_tell(op);
    rc = libxlss__qmp_stop(&w->qmp);
    if (!rc)
        w->stopped = true;
    return rc;
}

int libxlss__window_open(struct libxlss__op *op, struct libxlss__window *w,
                         bool below)
{
    int i, rc;

    memset(w, 0, sizeof(*w));
    rc = libxlss__qmp_open(op, &w->qmp);
    if (rc)
        return rc;
    w->open = true;
    rc = stop_qemu(op, w);
    if (!rc)
        rc = libxlss__disks_find(&w->qmp, below);
    for (i = 0; i < op->num_disks; i++)
        if (op->disks[i].driver && op->disks[i].writer.twin)
            w->twins = true;
    if (rc)
        libxlss__window_close(op, w, false);
    return rc;
}

int libxlss__window_close(struct libxlss__op *op, struct libxlss__window *w,
                          bool changed)
{
    int rc = 0, rc2;

    if (!w->open)
        return 0;
    if (changed && w->twins && !op->held.inactive) {
        op->held.inactive = true;
        rc = libxlss__qmp_inactivate(&w->qmp);
    }
    /* `cont` also where inactivation failed: the guest comes first. */
    if (w->stopped) {
        rc2 = libxlss__qmp_cont(&w->qmp);
        if (!rc2) {
            op->held.stopped = op->held.inactive = false;
            libxlss__guard_tell(op);
        }
        if (!rc)
            rc = rc2;
    }
    libxlss__qmp_close(&w->qmp);
    w->open = false;
    return rc;
}
