/* SPDX-License-Identifier: LGPL-2.1-only */
/* Which disks take part, and by which driver. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "disk.h"
#include "files.h"

/* Best first. */
static const struct libxlss__disk_driver *const drivers[] = {
    &libxlss__disk_internal,
    &libxlss__disk_lvm,
    &libxlss__disk_reflink,
    &libxlss__disk_external,
};

#define NUM_DRIVERS (sizeof(drivers) / sizeof(drivers[0]))

static const struct libxlss__disk_driver *
driver_of(libxl_disk_snapshot_kind kind)
{
    size_t i;

    for (i = 0; i < NUM_DRIVERS; i++)
        if (drivers[i]->kind == kind)
            return drivers[i];
    return NULL;
}

/* Whose reason is worth hearing where none fits. */
static const struct libxlss__disk_driver *
nearest(const struct libxlss__disk *disk)
{
    struct stat st;

    if (disk->dev.format == LIBXL_DISK_FORMAT_RAW && !stat(disk->path, &st))
        return S_ISBLK(st.st_mode) ? &libxlss__disk_lvm
                                   : &libxlss__disk_reflink;
    return &libxlss__disk_internal;
}

static int choose_driver(struct libxlss__op *op, struct libxlss__disk *disk)
{
    size_t i;

    if (disk->kind == LIBXL_DISK_SNAPSHOT_KIND_NONE)
        return 0;
    if (disk->kind != LIBXL_DISK_SNAPSHOT_KIND_ANY) {
        if (disk->snap.kind != disk->kind)
            libxl_disk_snapshot_init_kind(&disk->snap, disk->kind);
        disk->driver = driver_of(disk->kind);
        if (!disk->driver) {
            LOG_ERROR(op, "disk %s: this version has no %s snapshots",
                      disk->vdev,
                      libxl_disk_snapshot_kind_to_string(disk->kind));
            return XLSS(NOT_POSSIBLE);
        }
        return disk->driver->fits(op, disk, true) ? 0 : XLSS(NOT_POSSIBLE);
    }
    for (i = 0; i < NUM_DRIVERS && !disk->driver; i++)
        if (drivers[i]->fits(op, disk, false))
            disk->driver = drivers[i];
    if (!disk->driver) {
        nearest(disk)->fits(op, disk, true);
        return XLSS(NOT_POSSIBLE);
    }
    disk->kind = disk->driver->kind;
    libxl_disk_snapshot_init_kind(&disk->snap, disk->kind);
    return 0;
}

static struct libxlss__disk *add_disk(struct libxlss__op *op,
                                      const libxl_device_disk *dev)
{
    struct libxlss__disk *disk = &op->disks[op->num_disks++];

    libxl_device_disk_init(&disk->dev);
    libxl_device_disk_copy(op->ctx, &disk->dev, dev);
    libxl_disk_snapshot_init(&disk->snap);
    disk->vdev = disk->dev.vdev ? disk->dev.vdev : "";
    disk->path = disk->dev.pdev_path ? disk->dev.pdev_path : "";
    disk->settled = libxlss__name_settled(op, disk->path);
    return disk;
}

static void make_room(struct libxlss__op *op, int num)
{
    op->disks = libxlss__zalloc(op, (num + 1) * sizeof(*op->disks));
    op->num_disks = 0;
}

static const libxl_device_disk *find_device(struct libxlss__op *op,
                                            const char *vdev)
{
    int i;

    for (i = 0; i < op->config.num_disks; i++)
        if (op->config.disks[i].vdev &&
            !strcmp(op->config.disks[i].vdev, vdev))
            return &op->config.disks[i];
    return NULL;
}

static bool takes_part(const libxl_device_disk *dev)
{
    return dev->readwrite && !dev->is_cdrom && dev->vdev && dev->pdev_path;
}

static const libxl_disk_snapshot *
asked_for(const libxl_domain_snapshot_args *args, const char *vdev)
{
    int i;

    for (i = 0; i < args->num_disks; i++)
        if (args->disks[i].device.vdev &&
            !strcmp(args->disks[i].device.vdev, vdev))
            return &args->disks[i];
    return NULL;
}

/* Every disk that was named must be one that can be snapshotted. */
static int check_asked(struct libxlss__op *op,
                       const libxl_domain_snapshot_args *args)
{
    int i;

    for (i = 0; i < args->num_disks; i++) {
        const char *vdev = args->disks[i].device.vdev;
        const libxl_device_disk *dev = vdev ? find_device(op, vdev) : NULL;

        if (!dev) {
            LOG_ERROR(op, "no disk %s in this domain",
                      vdev ? vdev : "(without a name)");
            return ERROR_NOTFOUND;
        }
        if (asked_for(args, vdev) != &args->disks[i]) {
            LOG_ERROR(op, "disk %s is named twice", vdev);
            return ERROR_INVAL;
        }
        if (!takes_part(dev) &&
            args->disks[i].kind != LIBXL_DISK_SNAPSHOT_KIND_NONE) {
            LOG_ERROR(op, "disk %s is %s and has nothing to snapshot", vdev,
                      dev->is_cdrom ? "a CD-ROM" : "read-only");
            return ERROR_INVAL;
        }
    }
    return 0;
}

/* The configuration may leave the backend to libxl; xenstore knows it. */
static void fill_backends(struct libxlss__op *op)
{
    int num = 0, i, j;
    libxl_device_disk *list = libxl_device_disk_list(op->ctx, op->domid,
                                                     &num);

    for (i = 0; i < num; i++)
        for (j = 0; j < op->num_disks; j++)
            if (list[i].vdev && !strcmp(list[i].vdev, op->disks[j].vdev)) {
                op->disks[j].dev.backend = list[i].backend;
                op->disks[j].dev.backend_domid = list[i].backend_domid;
            }
    libxl_device_disk_list_free(list, num);
}

int libxlss__disks_choose(struct libxlss__op *op,
                          const libxl_domain_snapshot_args *args)
{
    int i, rc, chosen = 0;

    rc = check_asked(op, args);
    if (rc)
        return rc;
    make_room(op, op->config.num_disks);
    for (i = 0; i < op->config.num_disks; i++) {
        const libxl_device_disk *dev = &op->config.disks[i];
        const libxl_disk_snapshot *asked;
        struct libxlss__disk *disk;

        if (!takes_part(dev))
            continue;
        asked = asked_for(args, dev->vdev);
        disk = add_disk(op, dev);
        disk->attached = true;
        disk->kind = asked ? asked->kind : LIBXL_DISK_SNAPSHOT_KIND_ANY;
        if (disk->kind == LIBXL_DISK_SNAPSHOT_KIND_ANY)
            disk->kind = args->kind;
        if (asked)
            libxl_disk_snapshot_copy(op->ctx, &disk->snap, asked);
        disk->name = libxlss__strdup(op, asked && asked->name ? asked->name
                                                              : args->name);
    }
    fill_backends(op);
    for (i = 0; i < op->num_disks; i++) {
        rc = choose_driver(op, &op->disks[i]);
        if (rc)
            return rc;
        chosen += op->disks[i].driver != NULL;
    }
    LOG_DEBUG(op, "%d disks, %d take part", op->num_disks, chosen);
    return 0;
}

/* The disk is still the one of the record: at its path, or based on it. */
static bool is_at(struct libxlss__op *op, const struct libxlss__disk *disk,
                  const char *path)
{
    bool based = false;

    /* Inside a frozen image, which is not what the domain writes to. */
    if (disk->kind == LIBXL_DISK_SNAPSHOT_KIND_INTERNAL &&
        disk->snap.u.internal.internal_path &&
        !libxlss__same_file(disk->snap.u.internal.internal_path, path))
        return false;
    if (!strcmp(libxlss__name_settled(op, path), disk->settled))
        return true;
    return disk->kind == LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL &&
           !libxlss__chain_has(op, path, disk->snap.u.external.base_path,
                               &based, NULL) && based;
}

int libxlss__disks_recorded(struct libxlss__op *op,
                            const libxl_domain_snapshot_args *args)
{
    int i;

    make_room(op, args->num_disks);
    op->recorded = true;
    op->keep = (const char *const *)args->keep;
    op->num_keep = args->num_keep;
    op->direction = args->merge;
    for (i = 0; i < args->num_disks; i++) {
        const libxl_disk_snapshot *snap = &args->disks[i];
        const char *name = snap->name ? snap->name : args->name;
        const libxl_device_disk *now;
        struct libxlss__disk *disk;

        if (snap->kind == LIBXL_DISK_SNAPSHOT_KIND_NONE)
            continue;
        disk = add_disk(op, &snap->device);
        disk->kind = snap->kind;
        libxl_disk_snapshot_copy(op->ctx, &disk->snap, snap);
        disk->driver = driver_of(snap->kind);
        if (!disk->driver || !*disk->vdev || *disk->path != '/' || !name) {
            LOG_ERROR(op, "disk %s: its record names no kind, path or name "
                      "that can be used", disk->vdev);
            return ERROR_INVAL;
        }
        disk->name = libxlss__strdup(op, name);
        now = op->have_config ? find_device(op, disk->vdev) : NULL;
        disk->attached = now && now->pdev_path &&
                         is_at(op, disk, now->pdev_path);
        /* Under the name that it has now. */
        if (disk->attached)
            disk->path = libxlss__strdup(op, now->pdev_path);
    }
    return 0;
}

void libxlss__disks_report(struct libxlss__op *op,
                           libxl_domain_snapshot_args *args)
{
    int i;

    for (i = 0; i < args->num_disks; i++)
        libxl_disk_snapshot_dispose(&args->disks[i]);
    free(args->disks);
    args->disks = calloc(op->num_disks ? op->num_disks : 1,
                         sizeof(*args->disks));
    if (!args->disks)
        abort();
    args->num_disks = op->num_disks;
    for (i = 0; i < op->num_disks; i++) {
        libxl_disk_snapshot *snap = &args->disks[i];

        libxl_disk_snapshot_init(snap);
        libxl_disk_snapshot_copy(op->ctx, snap, &op->disks[i].snap);
        if (op->disks[i].snap.kind != op->disks[i].kind)
            libxl_disk_snapshot_init_kind(snap, op->disks[i].kind);
        libxl_device_disk_dispose(&snap->device);
        libxl_device_disk_init(&snap->device);
        libxl_device_disk_copy(op->ctx, &snap->device, &op->disks[i].dev);
        free(snap->device.pdev_path);
        snap->device.pdev_path = strdup(op->disks[i].settled);
        free(snap->name);
        snap->name = op->disks[i].driver ? strdup(op->disks[i].name) : NULL;
        snap->size = op->disks[i].size;
    }
}

void libxlss__disks_dispose(struct libxlss__op *op)
{
    int i;

    for (i = 0; i < op->num_disks; i++) {
        libxl_device_disk_dispose(&op->disks[i].dev);
        libxl_disk_snapshot_dispose(&op->disks[i].snap);
    }
    op->num_disks = 0;
}

bool libxlss__backend_is_here(const struct libxlss__disk *disk)
{
    const char *name = disk->dev.backend_domname;

    return disk->dev.backend_domid == 0 &&
           (!name || !*name || !strcmp(name, "0") ||
            !strcmp(name, "Domain-0"));
}

bool libxlss__disk_in_qemu(const struct libxlss__disk *disk)
{
    return disk->attached && disk->dev.backend != LIBXL_DISK_BACKEND_PHY;
}

int libxlss__disks_find(struct libxlss__qmp *qmp, bool below)
{
    struct libxlss__op *op = qmp->op;
    struct libxlss__graph *graph = libxlss__zalloc(op, sizeof(*graph));
    int i, rc;

    qmp->graph = graph;
    rc = below ? libxlss__graph_read(qmp, graph)
               : libxlss__graph_read_roots(qmp, graph);
    for (i = 0; !rc && i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];

        if (!disk->driver || !libxlss__disk_in_qemu(disk))
            continue;
        /* Half made or about to go, it is not where it should be. */
        if (disk->driver->made_outside && (op->undoing || op->recorded))
            continue;
        rc = libxlss__graph_writer(op, graph, disk->vdev, disk->path,
                                   &disk->writer);
        if (!rc)
            disk->size = disk->writer.node->size;
    }
    return rc;
}
