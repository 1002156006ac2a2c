/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxl_domain_disk_merge: the disks that are meant, and each of them in
 * turn. Nothing is stopped. A process that dies leaves a job in QEMU, which
 * ends pending and changes nothing by itself; the next merge or delete ends
 * it (merge.c).
 */
#include <stdlib.h>
#include <string.h>

#include "disk/disk.h"
#include "disk/files.h"

struct request {
    libxl_ctx *ctx;
    uint32_t domid;
    libxl_domain_disk_merge_args *args;
    const libxl_snapshot_how *how;
};

/* Why a disk can't have a chain of ours; NULL: it can. */
static const char *problem(const libxl_device_disk *dev)
{
    if (!dev->readwrite || dev->is_cdrom)
        return "it is read-only";
    if (!dev->pdev_path || dev->pdev_path[0] != '/' ||
        !strncmp(dev->pdev_path, "/dev/", 5))
        return "it is not a file";
    if (dev->format != LIBXL_DISK_FORMAT_QCOW2)
        return "its format is not qcow2";
    if (dev->backend == LIBXL_DISK_BACKEND_PHY ||
        dev->backend == LIBXL_DISK_BACKEND_TAP)
        return "its backend is not QEMU (qdisk)";
    if (dev->backend_domid || (dev->backend_domname &&
                               *dev->backend_domname &&
                               strcmp(dev->backend_domname, "0")))
        return "its backend is another domain";
    return NULL;
}

static const libxl_device_disk *find(struct libxlss__op *op,
                                     const char *vdev)
{
    int i;

    for (i = 0; vdev && i < op->config.num_disks; i++)
        if (op->config.disks[i].vdev &&
            !strcmp(op->config.disks[i].vdev, vdev))
            return &op->config.disks[i];
    return NULL;
}

static void add(struct libxlss__op *op, libxl_domain_disk_merge_args *args,
                const libxl_device_disk *dev)
{
    libxl_disk_merge *m;

    args->disks = realloc(args->disks,
                          (args->num_disks + 1) * sizeof(*args->disks));
    if (!args->disks)
        abort();
    m = &args->disks[args->num_disks++];
    libxl_disk_merge_init(m);
    libxl_device_disk_copy(op->ctx, &m->device, dev);
}

/* All of the domain's that can have a chain; or those that were named. */
static int fill_running(struct libxlss__op *op,
                        libxl_domain_disk_merge_args *args)
{
    bool all = !args->num_disks;
    int i;

    for (i = 0; all && i < op->config.num_disks; i++)
        if (op->config.disks[i].vdev && !problem(&op->config.disks[i]))
            add(op, args, &op->config.disks[i]);
    for (i = 0; !all && i < args->num_disks; i++) {
        libxl_device_disk *dev = &args->disks[i].device;
        const libxl_device_disk *now = find(op, dev->vdev);

        if (!now) {
            LOG_ERROR(op, "no disk %s in this domain",
                      dev->vdev ? dev->vdev : "(without a name)");
            return ERROR_NOTFOUND;
        }
        libxl_device_disk_dispose(dev);
        libxl_device_disk_init(dev);
        libxl_device_disk_copy(op->ctx, dev, now);
    }
    return 0;
}

static int check(struct libxlss__op *op,
                 const libxl_domain_disk_merge_args *args)
{
    int i;

    for (i = 0; i < args->num_disks; i++) {
        const libxl_device_disk *dev = &args->disks[i].device;
        const char *why = problem(dev);

        if (!why)
            continue;
        LOG_ERROR(op, "disk %s: nothing can be merged: %s",
                  dev->vdev ? dev->vdev : "(without a name)", why);
        return XLSS(NOT_POSSIBLE);
    }
    return 0;
}

/* As if they were a snapshot's, whose base comes later. */
static int take_disks(struct libxlss__op *op,
                      const libxl_domain_disk_merge_args *args)
{
    libxl_domain_snapshot_args as;
    int i, rc;

    libxl_domain_snapshot_args_init(&as);
    as.name = strdup("merge");
    as.merge = args->direction;
    as.disks = calloc(args->num_disks + 1, sizeof(*as.disks));
    if (!as.disks)
        abort();
    as.num_disks = args->num_disks;
    for (i = 0; i < args->num_disks; i++) {
        libxl_disk_snapshot_init(&as.disks[i]);
        libxl_disk_snapshot_init_kind(&as.disks[i],
                                      LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL);
        libxl_device_disk_copy(op->ctx, &as.disks[i].device,
                               &args->disks[i].device);
    }
    rc = libxlss__disks_recorded(op, &as);
    op->keep = (const char *const *)args->keep;
    op->num_keep = args->num_keep;
    libxl_domain_snapshot_args_dispose(&as);
    return rc;
}

static int merge(struct libxlss__op *op, const struct request *r)
{
    libxl_domain_disk_merge_args *args = r->args;
    int i, rc = 0;

    if (op->domid != XLSS_OFF &&
        args->direction == LIBXL_MERGE_DIRECTION_DOWN) {
        LOG_ERROR(op, "nothing is merged down while the domain runs, only up");
        return XLSS(NOT_POSSIBLE);
    }
    if (op->domid != XLSS_OFF) {
        rc = libxlss__oplock(op, r->how ? r->how->wait_seconds : 0);
        if (!rc)
            rc = libxlss__domain_config(op);
        if (!rc)
            rc = fill_running(op, args);
    }
    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_LOOK);
    if (!rc)
        rc = check(op, args);
    if (!rc)
        rc = take_disks(op, args);
    for (i = 0; !rc && i < op->num_disks; i++)
        rc = libxlss__leftovers_merge(op, &op->disks[i],
                                      &args->disks[i].merged,
                                      &args->disks[i].stayed);
    return rc;
}

static int request_main(void *p)
{
    struct request *r = p;
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, r->ctx, r->domid, "merge", r->how);
    if (!rc)
        rc = merge(&op, r);
    libxlss__op_end(&op);
    free(r);
    return rc;
}

int libxl_domain_disk_merge(libxl_ctx *ctx, uint32_t domid,
                            libxl_domain_disk_merge_args *args,
                            const libxl_snapshot_how *how,
                            const libxl_asyncop_how *ao_how)
{
    struct request *r = malloc(sizeof(*r));

    if (!r)
        return ERROR_NOMEM;
    *r = (struct request){ .ctx = ctx, .domid = domid, .args = args,
                           .how = how };
    return libxlss__ao_run(ctx, ao_how, request_main, r);
}
