/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Snapshots inside a qcow2 image. Running: blockdev-snapshot-internal-sync
 * and its counterpart, on the node the guest writes to. Off: qemu-img.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"

/* Dirty bitmaps of this library's own. */
#define BITMAP_PREFIX "xlss-"

static bool fits(struct libxlss__op *op, struct libxlss__disk *disk, bool say)
{
    const char *why = NULL;

    if (disk->dev.backend_domid != 0 ||
        (disk->dev.backend_domname && *disk->dev.backend_domname &&
         strcmp(disk->dev.backend_domname, "0") &&
         strcmp(disk->dev.backend_domname, "Domain-0")))
        why = "its backend is another domain, which QEMU here can't reach";
    else if (disk->dev.backend != LIBXL_DISK_BACKEND_QDISK)
        why = "its backend is not QEMU (qdisk)";
    else if (disk->dev.format != LIBXL_DISK_FORMAT_QCOW2)
        why = "its format is not qcow2, and only that holds snapshots inside";
    else if (disk->path[0] != '/')
        why = "its path is not absolute";
    else if (!json_is_text(disk->path))
        why = "its path is not UTF-8, so QMP can't name it";
    if (why && say)
        LOG_ERROR(op, "disk %s (%s): no snapshot is possible: %s; leave it "
                  "out with kind none", disk->vdev, disk->path, why);
    return !why;
}

static bool has(const struct libxlss__node *node, const char *name)
{
    return libxlss__node_has_snapshot(node, name);
}

static void action(struct libxlss__disk *disk,
                   struct libxlss__transaction *t, const char *name)
{
    libxlss__transaction_internal(t, disk->writer.node->name, name);
}

static int remove_online(struct libxlss__qmp *qmp, struct libxlss__disk *disk,
                         const char *name)
{
    return libxlss__qmp_snapshot_delete(qmp, disk->writer.node->name, name);
}

static int read_image(struct libxlss__op *op, struct libxlss__disk *disk,
                      struct libxlss__image *image)
{
    int rc = libxlss__image_idle(op, disk->path);

    if (!rc)
        rc = libxlss__image_info(op, disk->path, image);
    return rc;
}

static int take_offline(struct libxlss__op *op, struct libxlss__disk *disk,
                        const char *name)
{
    struct libxlss__image image;
    int rc = read_image(op, disk, &image);

    if (!rc)
        rc = libxlss__image_create(op, disk->path, name);
    return rc;
}

static int remove_offline(struct libxlss__op *op, struct libxlss__disk *disk,
                          const char *name)
{
    struct libxlss__image image;
    int rc;

    if (access(disk->path, F_OK) && errno == ENOENT) {
        LOG_WARN(op, "disk %s: the image %s is gone, and the snapshot with "
                 "it", disk->vdev, disk->path);
        return 0;
    }
    rc = read_image(op, disk, &image);
    if (rc || !libxlss__image_has(&image, name))
        return rc;
    return libxlss__image_delete(op, disk->path, name);
}

static int verify_offline(struct libxlss__op *op, struct libxlss__disk *disk,
                          const char *name)
{
    struct libxlss__image image;
    int rc = read_image(op, disk, &image);

    if (!rc && !libxlss__image_has(&image, name)) {
        LOG_ERROR(op, "disk %s: %s has no snapshot \"%s\" inside any more",
                  disk->vdev, disk->path, name);
        rc = XLSS(DAMAGED);
    }
    return rc;
}

static int revert(struct libxlss__op *op, struct libxlss__disk *disk,
                  const char *name)
{
    struct libxlss__image image;
    int i, rc = read_image(op, disk, &image);

    /* QEMU takes no image back that has bitmaps, not even broken ones. */
    for (i = 0; !rc && i < image.num_bitmaps; i++) {
        LOG_INFO(op, "disk %s: dropping dirty bitmap %s", disk->vdev,
                 image.bitmaps[i]);
        rc = libxlss__image_drop_bitmap(op, disk->path, image.bitmaps[i]);
    }
    if (!rc)
        rc = libxlss__image_apply(op, disk->path, name);
    return rc;
}

static bool is_foreign(const char *bitmap)
{
    return strncmp(bitmap, BITMAP_PREFIX, strlen(BITMAP_PREFIX)) != 0;
}

static int foreign_bitmaps(struct libxlss__op *op, struct libxlss__disk *disk,
                           const struct libxlss__node *node, char **one_r)
{
    struct libxlss__image image = { 0 };
    char **list;
    int i, num, rc;

    *one_r = NULL;
    if (node) {
        list = node->bitmaps;
        num = node->num_bitmaps;
    } else {
        rc = read_image(op, disk, &image);
        if (rc)
            return rc;
        list = image.bitmaps;
        num = image.num_bitmaps;
    }
    for (i = 0; i < num && !*one_r; i++)
        if (is_foreign(list[i]))
            *one_r = list[i];
    return 0;
}

const struct libxlss__disk_driver libxlss__disk_internal = {
    .kind = LIBXL_DISK_SNAPSHOT_KIND_INTERNAL,
    .fits = fits,
    .has = has,
    .action = action,
    .remove = remove_online,
    .take_offline = take_offline,
    .remove_offline = remove_offline,
    .verify_offline = verify_offline,
    .revert = revert,
    .foreign_bitmaps = foreign_bitmaps,
};
