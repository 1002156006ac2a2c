/* SPDX-License-Identifier: LGPL-2.1-only */
/* Which disks have checkpoints, and what those are. */
#include <string.h>

#include "checkpoint.h"

/* It takes no snapshot: that disks have it means that they take part. */
static const struct libxlss__disk_driver tracked = {
    .kind = LIBXL_DISK_SNAPSHOT_KIND_NONE,
};

static bool is_named(const struct libxlss__disk *disk, char *const *vdevs,
                     int num)
{
    int i;

    for (i = 0; i < num; i++)
        if (!strcmp(vdevs[i], disk->vdev))
            return true;
    return false;
}

static int check_named(struct libxlss__op *op, char *const *vdevs, int num)
{
    int i, j;

    for (i = 0; i < num; i++) {
        for (j = 0; j < op->num_disks; j++)
            if (!strcmp(op->disks[j].vdev, vdevs[i]))
                break;
        if (j < op->num_disks)
            continue;
        LOG_ERROR(op, "no writable disk %s in this domain", vdevs[i]);
        return ERROR_NOTFOUND;
    }
    return 0;
}

static const char *why_not(const struct libxlss__disk *disk)
{
    if (!libxlss__backend_is_here(disk))
        return "its backend is another domain, which QEMU here can't reach";
    if (disk->dev.backend != LIBXL_DISK_BACKEND_QDISK)
        return "its backend is not QEMU (qdisk), so nothing records what the "
               "guest writes";
    return NULL;
}

int libxlss__checkpoint_possible(struct libxlss__op *op,
                                 const struct libxlss__disk *disk)
{
    const char *why = why_not(disk);

    if (!why)
        return 0;
    LOG_ERROR(op, "disk %s (%s): it can't have checkpoints: %s", disk->vdev,
              disk->path, why);
    return XLSS(NOT_POSSIBLE);
}

int libxlss__checkpoint_no_disk(struct libxlss__op *op)
{
    LOG_ERROR(op, "the domain has no disk that can have checkpoints");
    return XLSS(NOT_POSSIBLE);
}

int libxlss__checkpoint_disks(struct libxlss__op *op, char *const *vdevs,
                              int num, bool lenient)
{
    libxl_domain_snapshot_args none;
    int i, rc;

    libxl_domain_snapshot_args_init(&none);
    none.kind = LIBXL_DISK_SNAPSHOT_KIND_NONE;
    none.name = "";
    rc = libxlss__disks_choose(op, &none);
    if (!rc)
        rc = check_named(op, vdevs, num);
    for (i = 0; !rc && i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];

        if (num && !is_named(disk, vdevs, num))
            continue;
        if (!why_not(disk))
            disk->driver = &tracked;
        else if (num || !lenient)
            rc = libxlss__checkpoint_possible(op, disk);
    }
    return rc ? rc : libxlss__disks_need_qemu(op);
}

struct libxlss__checkpoints *
libxlss__checkpoints_found(struct libxlss__qmp *qmp)
{
    struct libxlss__op *op = qmp->op;
    struct libxlss__checkpoints *list;
    int i;

    list = libxlss__zalloc(op, (op->num_disks + 1) * sizeof(*list));
    for (i = 0; i < op->num_disks; i++)
        if (op->disks[i].driver && op->disks[i].writer.node)
            libxlss__checkpoints_read(op, qmp->graph, &op->disks[i],
                                      &list[i]);
    return list;
}

int libxlss__checkpoints_of_disks(struct libxlss__qmp *qmp,
                                  struct libxlss__checkpoints **list_r)
{
    int rc = libxlss__disks_find(qmp, true);

    *list_r = rc ? NULL : libxlss__checkpoints_found(qmp);
    return rc;
}

int libxlss__checkpoint_no_twins(struct libxlss__op *op)
{
    int i;

    for (i = 0; i < op->num_disks; i++)
        if (op->disks[i].driver && op->disks[i].writer.twin) {
            LOG_ERROR(op, "disk %s (%s): QEMU has it open twice, until the "
                      "guest's PV driver unplugs the emulated disk; what is "
                      "written can't be recorded", op->disks[i].vdev,
                      op->disks[i].path);
            return XLSS(IMAGE_OPEN_TWICE);
        }
    return 0;
}

static int check_free(struct libxlss__op *op, struct libxlss__checkpoints *c,
                      const char *name)
{
    struct libxlss__checkpoint *cp = libxlss__checkpoint_find(c, name);

    if (!cp || !cp->in_top)
        return 0;
    LOG_ERROR(op, "disk %s already has a checkpoint \"%s\"", c->vdev, name);
    return XLSS(EXISTS);
}

int libxlss__checkpoint_number(struct libxlss__op *op,
                               struct libxlss__checkpoints *list,
                               const char *name, uint64_t *seq)
{
    int i, rc = 0;

    for (i = 0; !rc && i < op->num_disks; i++) {
        if (!op->disks[i].driver)
            continue;
        rc = check_free(op, &list[i], name);
        if (list[i].last_seq > *seq)
            *seq = list[i].last_seq;
    }
    ++*seq;
    return rc;
}

bool libxlss__checkpoint_any(const struct libxlss__op *op)
{
    int i;

    for (i = 0; i < op->num_disks; i++)
        if (op->disks[i].driver)
            return true;
    return false;
}

int libxlss__checkpoint_begin(struct libxlss__op *op,
                              const libxl_snapshot_how *how,
                              char *const *vdevs, int num, bool lenient,
                              bool guard)
{
    int rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_LOOK);

    if (!rc && op->domid == XLSS_OFF) {
        LOG_ERROR(op, "only a domain that runs has checkpoints to work on");
        rc = XLSS(NO_QEMU);
    }
    if (!rc)
        rc = libxlss__oplock(op, how ? how->wait_seconds : 0);
    if (!rc)
        rc = libxlss__domain_config(op);
    if (!rc)
        rc = libxlss__refuse_domain(op, false);
    if (!rc && guard)
        rc = libxlss__guard_start(op, -1);
    if (!rc)
        rc = libxlss__checkpoint_disks(op, vdevs, num, lenient);
    if (!rc && !lenient && !libxlss__checkpoint_any(op))
        rc = libxlss__checkpoint_no_disk(op);
    if (!rc && guard)
        rc = libxlss__guard_wait(op);
    return rc;
}
