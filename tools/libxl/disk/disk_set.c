/* SPDX-License-Identifier: LGPL-2.1-only */
/* All disks of the operation: plan, prepare, remove, verify, revert. */
#include <string.h>

#include "disk_set.h"
#include "files.h"

bool libxlss__online(struct libxlss__op *op, const struct libxlss__disk *disk)
{
    return libxlss__disk_in_qemu(disk) && op->domid != XLSS_OFF &&
           libxlss__qemu_alive(op);
}

bool libxlss__any_online(struct libxlss__op *op)
{
    int i;

    for (i = 0; i < op->num_disks; i++)
        if (op->disks[i].driver && libxlss__online(op, &op->disks[i]))
            return true;
    return false;
}

const char *libxlss__named(const struct libxlss__disk *disk, const char *name)
{
    return name ? name : disk->name;
}

bool libxlss__own_safety(const struct libxlss__disk *disk, const char *name)
{
    return !strncmp(libxlss__named(disk, name),
                    LIBXL_SNAPSHOT_SAFETY_PREFIX,
                    strlen(LIBXL_SNAPSHOT_SAFETY_PREFIX)) &&
           disk->driver->own_safety && disk->driver->own_safety(disk);
}

bool libxlss__node_has(const struct libxlss__disk *disk, const char *name)
{
    return !disk->driver->made_outside &&
           disk->driver->has(disk->writer.node, libxlss__named(disk, name));
}

int libxlss__disk_check_free(struct libxlss__op *op,
                             const struct libxlss__disk *disk,
                             const char *name)
{
    if (!libxlss__node_has(disk, name))
        return 0;
    LOG_ERROR(op, "disk %s: %s already holds a snapshot \"%s\"", disk->vdev,
              disk->path, libxlss__named(disk, name));
    return XLSS(EXISTS);
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
            !libxlss__online(op, &op->disks[i])) {
            LOG_ERROR(op, "disk %s (%s): the domain's QEMU is dead or can't "
                      "be found", op->disks[i].vdev, op->disks[i].path);
            return XLSS(NO_QEMU);
        }
    op->had_qemu = true;
    return 0;
}

void libxlss__disks_expect_qemu(struct libxlss__op *op)
{
    op->had_qemu = libxlss__any_online(op);
}

/* Runs a driver's function on each disk, in a QMP session if any is there. */
static int for_each(struct libxlss__op *op,
                    int (*fn)(struct libxlss__op *op, struct libxlss__qmp *qmp,
                              struct libxlss__disk *disk))
{
    bool in_qemu = libxlss__any_online(op);
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
    return disk->writer.node ? libxlss__disk_check_free(op, disk, NULL) : 0;
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

static int remove_in_session(struct libxlss__op *op, struct libxlss__qmp *qmp,
                             const char *name, bool *changed)
{
    int i, rc, first = 0;

    for (i = 0; i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];

        if (!disk->driver || disk->driver->made_outside ||
            !disk->writer.node || !libxlss__node_has(disk, name))
            continue;
        *changed = true;
        rc = disk->driver->remove(qmp, disk, libxlss__named(disk, name));
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
            libxlss__own_safety(disk, name) || libxlss__online(op, disk))
            continue;
        rc = disk->driver->remove_offline(op, disk,
                                          libxlss__named(disk, name));
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
            (!disk->driver->made_outside && !libxlss__own_safety(disk, name)))
            continue;
        rc = libxlss__own_safety(disk, name)
             ? disk->driver->safety_drop(op, disk, libxlss__named(disk, name))
             : disk->driver->drop(op, disk, libxlss__named(disk, name));
        if (rc && !first)
            first = rc;
    }
    return first;
}

int libxlss__disks_remove(struct libxlss__op *op, const char *name)
{
    int rc = 0, rc2;

    if (libxlss__any_online(op))
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
            !libxlss__own_safety(disk, NULL) &&
            !libxlss__node_has(disk, NULL)) {
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

    if (libxlss__any_online(op))
        rc = verify_online(op);
    for (i = 0; !rc && i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];

        if (disk->driver && !libxlss__own_safety(disk, NULL) &&
            (disk->driver->made_outside || !libxlss__online(op, disk)))
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
        rc = libxlss__own_safety(disk, name)
             ? disk->driver->safety_back(op, disk, libxlss__named(disk, name))
             : disk->driver->revert(op, disk, libxlss__named(disk, name));
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

        if (disk->driver && libxlss__own_safety(disk, name))
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
