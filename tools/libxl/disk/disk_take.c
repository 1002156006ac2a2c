/* SPDX-License-Identifier: LGPL-2.1-only */
/* The instant: all disks of the operation get their snapshot at once. */
#include "disk_set.h"
#include "../checkpoint/checkpoint.h"

/*
 * An HVM guest without PV drivers writes even blkback's disks through QEMU,
 * which must be drained then as for its own.
 */
static bool needs_window(struct libxlss__op *op)
{
    return libxlss__any_online(op) ||
           (op->domid != XLSS_OFF && libxlss__is_hvm(op) &&
            libxlss__qemu_alive(op));
}

static int check_free(struct libxlss__op *op, const char *name)
{
    int i, rc = 0;

    for (i = 0; !rc && i < op->num_disks; i++)
        if (op->disks[i].driver && op->disks[i].writer.node)
            rc = libxlss__disk_check_free(op, &op->disks[i], name);
    return rc;
}

static int take_instant(struct libxlss__op *op, const char *name)
{
    int i, rc = 0;

    for (i = 0; !rc && i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];

        if (!disk->driver || !disk->driver->instant ||
            libxlss__own_safety(disk, name))
            continue;
        disk->taken = true;
        rc = disk->driver->instant(op, disk, libxlss__named(disk, name));
    }
    return rc;
}

/* begins: what checkpoints the disks have, if one begins; else NULL. */
static int run_transaction(struct libxlss__op *op, struct libxlss__qmp *qmp,
                           const char *name,
                           const struct libxlss__checkpoints *begins)
{
    struct libxlss__transaction t;
    int i;

    libxlss__transaction_begin(&t);
    for (i = 0; i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];

        if (!disk->driver || !disk->writer.node ||
            libxlss__own_safety(disk, name))
            continue;
        if (disk->driver->action)
            disk->driver->action(disk, &t, libxlss__named(disk, name));
        if (begins)
            libxlss__checkpoint_join(op, &t, &begins[i], disk);
        /* Before it is sent: QEMU may do it and die before it says so. */
        disk->taken = disk->taken || disk->driver->action || begins;
    }
    return libxlss__transaction_run(qmp, &t);
}

/* ... or had, and must not be taken without it. */
static bool held_by_qemu(struct libxlss__op *op,
                         const struct libxlss__disk *disk)
{
    return libxlss__online(op, disk) ||
           (op->had_qemu && libxlss__disk_in_qemu(disk));
}

static bool any_held_by_qemu(struct libxlss__op *op)
{
    int i;

    for (i = 0; i < op->num_disks; i++)
        if (op->disks[i].driver && held_by_qemu(op, &op->disks[i]))
            return true;
    return false;
}

static int take_offline(struct libxlss__op *op, const char *name)
{
    int i, rc = 0;

    for (i = 0; !rc && i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];

        if (!disk->driver || !disk->driver->take_offline ||
            held_by_qemu(op, disk) || libxlss__own_safety(disk, name))
            continue;
        disk->taken = true;
        rc = disk->driver->take_offline(op, disk, libxlss__named(disk, name));
    }
    return rc;
}

/* What a snapshot inside of an image does concerns that image's node alone;
 * a checkpoint, and an overlay's bitmaps, those below it as well. */
static bool looks_below(const struct libxlss__op *op)
{
    int i;

    for (i = 0; i < op->num_disks; i++)
        if (op->disks[i].driver == &libxlss__disk_external)
            return true;
    return op->checkpoint != NULL;
}

int libxlss__disks_take(struct libxlss__op *op, const char *name)
{
    bool sent = false, window = needs_window(op) || any_held_by_qemu(op);
    struct libxlss__checkpoints *begins = NULL;
    struct libxlss__window w;
    int rc, rc2;

    /* Disks that no QEMU has open first: their undo is trivial. */
    rc = take_offline(op, name);
    if (!rc && !window)
        rc = take_instant(op, name);
    if (rc || !window)
        return rc;
    rc = libxlss__window_open(op, &w, looks_below(op));
    if (rc)
        return rc;
    rc = check_free(op, name);
    if (!rc && op->checkpoint)
        rc = libxlss__checkpoint_look(&w.qmp, &begins);
    if (!rc)
        rc = take_instant(op, name);
    if (!rc) {
        sent = true;
        rc = run_transaction(op, &w.qmp, name, begins);
    }
    rc2 = libxlss__window_close(op, &w, sent);
    return rc ? rc : rc2;
}
