/* SPDX-License-Identifier: LGPL-2.1-only */
/* The disks that a view is wanted of. */
#include <string.h>

#include "../disk/files.h"
#include "view.h"

static bool is_named(const char *const *vdevs, int num, const char *vdev)
{
    int i;

    for (i = 0; i < num; i++)
        if (!strcmp(vdevs[i], vdev))
            return true;
    return false;
}

static const libxl_device_disk *find(const struct libxlss__op *op,
                                     const char *vdev)
{
    int i;

    for (i = 0; i < op->config.num_disks; i++)
        if (op->config.disks[i].vdev &&
            !strcmp(op->config.disks[i].vdev, vdev))
            return &op->config.disks[i];
    return NULL;
}

static const char *problem(const struct libxlss__disk *disk)
{
    if (disk->dev.is_cdrom || !disk->dev.pdev_path)
        return "it is a CD-ROM, or empty";
    if (!libxlss__backend_is_here(disk))
        return "its backend is in another domain";
    if (!libxlss__disk_in_qemu(disk))
        return "no QEMU has it (blkback serves it), so nothing is told of "
               "the guest's writes; only disks with the qdisk backend can "
               "be looked at while the guest writes";
    if (strlen(disk->vdev) > 12)
        return "its name is longer than 12 characters";
    return NULL;
}

/* disk->dev is the configuration's own: never disposed of here. */
static int add(struct libxlss__op *op, struct libxlss__view *v,
               const libxl_device_disk *dev)
{
    struct libxlss__disk *disk = libxlss__zalloc(op, sizeof(*disk));
    const char *why;

    disk->dev = *dev;
    disk->vdev = dev->vdev;
    disk->path = dev->pdev_path ? dev->pdev_path : "";
    disk->settled = disk->path;
    disk->attached = true;
    why = problem(disk);
    if (why) {
        LOG_ERROR(op, "disk %s (%s): not possible: %s", disk->vdev,
                  disk->path, why);
        return XLSS(NOT_POSSIBLE);
    }
    v->disks[v->num_disks++] = (struct libxlss__view_disk){
        .vdev = disk->vdev, .disk = disk };
    return 0;
}

int libxlss__view_disks(struct libxlss__op *op, struct libxlss__view *v,
                        const char *const *vdevs, int num_vdevs)
{
    int i, rc = 0;

    v->disks = libxlss__zalloc(op, (op->config.num_disks + 1) *
                               sizeof(*v->disks));
    for (i = 0; i < num_vdevs; i++)
        if (!vdevs[i] || !find(op, vdevs[i])) {
            LOG_ERROR(op, "the domain has no disk %s",
                      vdevs[i] ? vdevs[i] : "without a name");
            return ERROR_NOTFOUND;
        }
    for (i = 0; !rc && i < op->config.num_disks; i++) {
        const libxl_device_disk *dev = &op->config.disks[i];

        if (dev->vdev && (num_vdevs ? is_named(vdevs, num_vdevs, dev->vdev)
                                    : dev->readwrite && !dev->is_cdrom))
            rc = add(op, v, dev);
    }
    if (rc || v->num_disks)
        return rc;
    LOG_ERROR(op, "the domain has no disk that it can write to");
    return XLSS(NOT_POSSIBLE);
}

int libxlss__view_look(struct libxlss__qmp *qmp, struct libxlss__view *v,
                       struct libxlss__graph *graph)
{
    int i, rc = libxlss__graph_read(qmp, graph);

    for (i = 0; !rc && i < v->num_disks; i++) {
        struct libxlss__disk *disk = v->disks[i].disk;

        rc = libxlss__graph_writer(qmp->op, graph, disk->vdev, disk->path,
                                   &disk->writer);
        if (!rc && disk->writer.twin) {
            LOG_ERROR(qmp->op, "disk %s: the guest uses the emulated disk; "
                      "its PV drivers could take over at any time, and "
                      "would not be seen", disk->vdev);
            rc = XLSS(IMAGE_OPEN_TWICE);
        }
        if (!rc)
            v->disks[i].size = disk->size = disk->writer.node->size;
    }
    return rc;
}
