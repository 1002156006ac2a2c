/* SPDX-License-Identifier: LGPL-2.1-only */
/* All disks of the operation at once: take, remove, verify, revert. */
#include <string.h>

#include "disk.h"
#include "files.h"
#include "../checkpoint/checkpoint.h"

static bool online(struct libxlss__op *op, const struct libxlss__disk *disk)
{
    return libxlss__disk_in_qemu(disk) && op->domid != XLSS_OFF &&
           libxlss__qemu_alive(op);
}

static bool any_online(struct libxlss__op *op)
{
    int i;

    for (i = 0; i < op->num_disks; i++)
        if (op->disks[i].driver && online(op, &op->disks[i]))
            return true;
    return false;
}

/*
 * An HVM guest without PV drivers writes even blkback's disks through QEMU,
 * which must be drained then as for its own.
 */
static bool needs_window(struct libxlss__op *op)
{
    return any_online(op) || (op->domid != XLSS_OFF && libxlss__is_hvm(op) &&
                              libxlss__qemu_alive(op));
}

/* name NULL stands for each disk's own. */
static const char *named(const struct libxlss__disk *disk, const char *name)
{
    return name ? name : disk->name;
}

/* The safety point, of a disk that has its own way for it. */
static bool is_own_safety(const struct libxlss__disk *disk, const char *name)
{
    return !strncmp(named(disk, name), LIBXL_SNAPSHOT_SAFETY_PREFIX,
                    strlen(LIBXL_SNAPSHOT_SAFETY_PREFIX)) &&
           disk->driver->own_safety && disk->driver->own_safety(disk);
}

/* A driver that keeps its snapshots outside of QEMU's image looks itself. */
static bool node_has(const struct libxlss__disk *disk, const char *name)
{
    return !disk->driver->made_outside &&
           disk->driver->has(disk->writer.node, named(disk, name));
}

static int check_free_one(struct libxlss__op *op,
                          const struct libxlss__disk *disk, const char *name)
{
    if (!node_has(disk, name))
        return 0;
    LOG_ERROR(op, "disk %s: %s already holds a snapshot \"%s\"", disk->vdev,
              disk->path, named(disk, name));
    return XLSS(EXISTS);
}

static int check_free(struct libxlss__op *op, const char *name)
{
    int i, rc = 0;

    for (i = 0; !rc && i < op->num_disks; i++)
        if (op->disks[i].driver && op->disks[i].writer.node)
            rc = check_free_one(op, &op->disks[i], name);
    return rc;
}

/*
 * A domain that runs has its disks in a QEMU; without one nothing is known
 * of their state. With one that dies from here on neither: what it had not
 * written yet is lost, and the guest's memory takes it for written.
 */
int libxlss__disks_need_qemu(struct libxlss__op *op)
{
    int i;

    for (i = 0; i < op->num_disks; i++)
        if (op->disks[i].driver &&
            op->disks[i].dev.backend != LIBXL_DISK_BACKEND_PHY &&
            !online(op, &op->disks[i])) {
            LOG_ERROR(op, "disk %s (%s): the domain's QEMU is dead or can't "
                      "be found", op->disks[i].vdev, op->disks[i].path);
            return XLSS(NO_QEMU);
        }
    op->had_qemu = true;
    return 0;
}

void libxlss__disks_expect_qemu(struct libxlss__op *op)
{
    op->had_qemu = any_online(op);
}

/* Runs a driver's function on each disk, in a QMP session if any is there. */
static int for_each(struct libxlss__op *op,
                    int (*fn)(struct libxlss__op *op, struct libxlss__qmp *qmp,
                              struct libxlss__disk *disk))
{
    bool in_qemu = any_online(op);
    struct libxlss__qmp qmp;
    int i, rc = 0;

    /* Those of an earlier session are no more. */
    for (i = 0; i < op->num_disks; i++)
        memset(&op->disks[i].writer, 0, sizeof(op->disks[i].writer));
    if (in_qemu) {
        rc = libxlss__qmp_open(op, &qmp);
        if (rc)
            return rc;
        rc = libxlss__disks_find(&qmp, true);
    }
    for (i = 0; !rc && i < op->num_disks; i++)
        if (op->disks[i].driver)
            rc = fn(op, op->disks[i].writer.node ? &qmp : NULL,
                    &op->disks[i]);
    if (in_qemu)
        libxlss__qmp_close(&qmp);
    return rc;
}

static int plan_one(struct libxlss__op *op, struct libxlss__qmp *qmp,
                    struct libxlss__disk *disk)
{
    if (disk->driver->plan)
        return disk->driver->plan(op, qmp, disk, disk->name);
    return disk->writer.node ? check_free_one(op, disk, NULL) : 0;
}

int libxlss__disks_plan(struct libxlss__op *op)
{
    return for_each(op, plan_one);
}

static int make_one(struct libxlss__op *op, struct libxlss__disk *disk)
{
    if (!disk->driver->make)
        return 0;
    disk->taken = true;
    return disk->driver->make(op, disk, disk->name);
}

static int prepare_one(struct libxlss__op *op, struct libxlss__qmp *qmp,
                       struct libxlss__disk *disk)
{
    if (!disk->driver->prepare)
        return 0;
    disk->taken = true;
    return disk->driver->prepare(op, qmp, disk, disk->name);
}

int libxlss__disks_prepare(struct libxlss__op *op)
{
    bool session = false;
    int i, rc = 0;

    /* qemu-img takes its time: not in a session. */
    for (i = 0; !rc && i < op->num_disks; i++)
        if (op->disks[i].driver) {
            rc = make_one(op, &op->disks[i]);
            session = session || op->disks[i].driver->prepare;
        }
    if (!rc && session)
        rc = for_each(op, prepare_one);
    for (i = 0; !rc && i < op->num_disks; i++)
        if (op->disks[i].driver && op->disks[i].driver->redirect)
            rc = op->disks[i].driver->redirect(op, &op->disks[i],
                                               op->disks[i].name);
    return rc;
}

int libxlss__disks_settle(struct libxlss__op *op)
{
    int i, rc, first = 0;

    for (i = 0; i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];

        if (!disk->driver || !disk->driver->settle)
            continue;
        rc = disk->driver->settle(op, disk, disk->name);
        if (rc && !first)
            first = rc;
    }
    return first;
}

static int take_instant(struct libxlss__op *op, const char *name)
{
    int i, rc = 0;

    for (i = 0; !rc && i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];

        if (!disk->driver || !disk->driver->instant ||
            is_own_safety(disk, name))
            continue;
        disk->taken = true;
        rc = disk->driver->instant(op, disk, named(disk, name));
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

        if (!disk->driver || !disk->writer.node || is_own_safety(disk, name))
            continue;
        if (disk->driver->action)
            disk->driver->action(disk, &t, named(disk, name));
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
    return online(op, disk) || (op->had_qemu && libxlss__disk_in_qemu(disk));
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
            held_by_qemu(op, disk) || is_own_safety(disk, name))
            continue;
        disk->taken = true;
        rc = disk->driver->take_offline(op, disk, named(disk, name));
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

static int remove_in_session(struct libxlss__op *op, struct libxlss__qmp *qmp,
                             const char *name, bool *changed)
{
    int i, rc, first = 0;

    for (i = 0; i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];

        if (!disk->driver || disk->driver->made_outside ||
            !disk->writer.node || !node_has(disk, name))
            continue;
        *changed = true;
        rc = disk->driver->remove(qmp, disk, named(disk, name));
        if (rc && !first)
            first = rc;
    }
    return first;
}

/* An idle twin must not sleep through a change: this needs a quiet window. */
static int remove_in_window(struct libxlss__op *op, const char *name)
{
    struct libxlss__window w;
    bool changed = false;
    int rc, rc2;

    rc = libxlss__domain_refresh(op);
    if (!rc && !libxlss__is_suspended(&op->info))
        rc = libxlss__pause(op);
    if (!rc)
        rc = libxlss__window_open(op, &w, true);
    if (!rc) {
        rc = remove_in_session(op, &w.qmp, name, &changed);
        rc2 = libxlss__window_close(op, &w, changed);
        if (!rc)
            rc = rc2;
    }
    rc2 = libxlss__release(op);
    return rc ? rc : rc2;
}

static int remove_online(struct libxlss__op *op, const char *name)
{
    bool changed = false, twins = op->held.inactive;
    struct libxlss__qmp qmp;
    int i, rc;

    rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    rc = libxlss__disks_find(&qmp, true);
    for (i = 0; i < op->num_disks; i++)
        if (op->disks[i].driver && op->disks[i].writer.twin)
            twins = true;
    if (!rc && !twins)
        rc = remove_in_session(op, &qmp, name, &changed);
    libxlss__qmp_close(&qmp);
    if (!rc && twins)
        rc = remove_in_window(op, name);
    return rc;
}

static int remove_offline(struct libxlss__op *op, const char *name)
{
    int i, rc, first = 0;

    for (i = 0; i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];

        if (!disk->driver || disk->driver->made_outside ||
            is_own_safety(disk, name) || online(op, disk))
            continue;
        rc = disk->driver->remove_offline(op, disk, named(disk, name));
        if (rc && !first)
            first = rc;
    }
    return first;
}

static int drop_outside(struct libxlss__op *op, const char *name)
{
    int i, rc, first = 0;

    for (i = 0; i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];

        if (!disk->driver || (op->undoing && !disk->taken) ||
            (!disk->driver->made_outside && !is_own_safety(disk, name)))
            continue;
        rc = is_own_safety(disk, name)
             ? disk->driver->safety_drop(op, disk, named(disk, name))
             : disk->driver->drop(op, disk, named(disk, name));
        if (rc && !first)
            first = rc;
    }
    return first;
}

int libxlss__disks_remove(struct libxlss__op *op, const char *name)
{
    int rc = 0, rc2;

    if (any_online(op))
        rc = remove_online(op, name);
    rc2 = remove_offline(op, name);
    if (!rc)
        rc = rc2;
    rc2 = drop_outside(op, name);
    return rc ? rc : rc2;
}

static int verify_online(struct libxlss__op *op)
{
    struct libxlss__qmp qmp;
    int i, rc;

    rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    rc = libxlss__disks_find(&qmp, true);
    for (i = 0; !rc && i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];

        if (disk->writer.node && !disk->driver->made_outside &&
            !is_own_safety(disk, NULL) && !node_has(disk, NULL)) {
            LOG_ERROR(op, "disk %s: %s has no snapshot \"%s\" inside any "
                      "more", disk->vdev, disk->path, disk->name);
            rc = XLSS(DAMAGED);
        }
    }
    libxlss__qmp_close(&qmp);
    return rc;
}

int libxlss__disks_verify(struct libxlss__op *op)
{
    int i, rc = 0;

    if (any_online(op))
        rc = verify_online(op);
    for (i = 0; !rc && i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];

        if (disk->driver && !is_own_safety(disk, NULL) &&
            (disk->driver->made_outside || !online(op, disk)))
            rc = disk->driver->verify_offline(op, disk, disk->name);
    }
    return rc;
}

int libxlss__disks_revert(struct libxlss__op *op, const char *name)
{
    int i, rc = 0;

    for (i = 0; !rc && i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];

        if (!disk->driver)
            continue;
        rc = is_own_safety(disk, name)
             ? disk->driver->safety_back(op, disk, named(disk, name))
             : disk->driver->revert(op, disk, named(disk, name));
    }
    return rc;
}

int libxlss__disks_names_right(struct libxlss__op *op)
{
    int i, rc = 0;

    for (i = 0; !rc && i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];

        rc = libxlss__name_put_right(op, disk->settled);
        if (strcmp(disk->path, disk->settled) &&
            libxlss__same_file(disk->path, disk->settled))
            disk->path = disk->settled;
    }
    return rc;
}

int libxlss__disks_safety_off(struct libxlss__op *op, const char *name)
{
    int i, rc = 0;

    for (i = 0; !rc && i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];

        if (disk->driver && is_own_safety(disk, name))
            rc = disk->driver->safety_take(op, disk, name);
    }
    return rc;
}

int libxlss__disks_check_bitmaps(struct libxlss__op *op, bool force)
{
    int i, rc = 0;

    for (i = 0; !rc && !force && i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];
        char *bitmap;

        if (!disk->driver || !disk->driver->foreign_bitmaps)
            continue;
        rc = disk->driver->foreign_bitmaps(op, disk, disk->writer.node,
                                           &bitmap);
        if (!rc && bitmap) {
            LOG_ERROR(op, "disk %s: %s has the dirty bitmap \"%s\" of "
                      "another program, which a revert would drop; use "
                      "force", disk->vdev, disk->path, bitmap);
            rc = XLSS(FOREIGN_BITMAPS);
        }
    }
    return rc;
}
