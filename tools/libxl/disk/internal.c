/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Snapshots inside a qcow2 image. Running: blockdev-snapshot-internal-sync
 * and its counterpart, on the node the guest writes to. Off: qemu-img.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "files.h"
#include "../checkpoint/checkpoint.h"

static bool fits(struct libxlss__op *op, struct libxlss__disk *disk, bool say)
{
    const char *why = NULL;

    if (!libxlss__backend_is_here(disk))
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

/* Where the snapshot is: an external one may have frozen the image since. */
static const char *image_of(const struct libxlss__disk *disk)
{
    const char *path = disk->snap.u.internal.internal_path;

    return path ? path : disk->path;
}

static bool is_frozen(const struct libxlss__disk *disk)
{
    return disk->snap.u.internal.internal_path != NULL;
}

static int read_image(struct libxlss__op *op, struct libxlss__disk *disk,
                      struct libxlss__image *image)
{
    int rc = libxlss__image_idle(op, image_of(disk));

    if (!rc)
        rc = libxlss__image_info(op, image_of(disk), image);
    return rc;
}

static int take_offline(struct libxlss__op *op, struct libxlss__disk *disk,
                        const char *name)
{
    struct libxlss__image image;
    int rc = read_image(op, disk, &image);

    if (!rc)
        rc = libxlss__image_create(op, image_of(disk), name);
    return rc;
}

/* It held the snapshot alone; what is based on it, or is in it as well,
 * keeps it. */
static int forget_frozen(struct libxlss__op *op, struct libxlss__disk *disk)
{
    const char *path = image_of(disk);
    char **overlays;
    int num, rc;

    if (libxlss__same_file(path, disk->settled) ||
        libxlss__is_kept(op, path))
        return 0;
    rc = libxlss__overlays_of(op, path, &overlays, &num);
    return rc || num ? rc : libxlss__forget_file(op, disk, path);
}

static int remove_offline(struct libxlss__op *op, struct libxlss__disk *disk,
                          const char *name)
{
    struct libxlss__image image;
    int rc;

    if (access(image_of(disk), F_OK) && errno == ENOENT) {
        LOG_WARN(op, "disk %s: the image %s is gone, and the snapshot with "
                 "it", disk->vdev, image_of(disk));
        return 0;
    }
    if (is_frozen(disk)) {
        bool there;

        rc = libxlss__frozen_remove(op, disk, image_of(disk), name, &there);
        if (rc || there)
            return rc;
    }
    rc = read_image(op, disk, &image);
    if (!rc && libxlss__image_has(&image, name)) {
        libxlss__file_set_immutable(op, image_of(disk), false);
        rc = libxlss__image_delete(op, image_of(disk), name);
        image.num_snapshots--;
    }
    if (!rc && is_frozen(disk) && !image.num_snapshots)
        rc = forget_frozen(op, disk);
    return rc;
}

static int verify_offline(struct libxlss__op *op, struct libxlss__disk *disk,
                          const char *name)
{
    struct libxlss__image image;
    int rc;

    /* A running domain reads a frozen image, and doesn't write to it. */
    rc = is_frozen(disk) ? libxlss__image_info(op, image_of(disk), &image)
                         : read_image(op, disk, &image);
    if (!rc && !libxlss__image_has(&image, name)) {
        LOG_ERROR(op, "disk %s: %s has no snapshot \"%s\" inside any more",
                  disk->vdev, image_of(disk), name);
        rc = XLSS(DAMAGED);
    }
    return rc;
}

/* Others read from the image: what the snapshot holds is copied out. */
static int revert_to_copy(struct libxlss__op *op, struct libxlss__disk *disk,
                          const char *name)
{
    char *temporary = libxlss__printf(op, "%s.xlss-new", disk->settled);
    int rc;

    rc = libxlss__file_unlink(op, temporary);
    if (!rc)
        rc = libxlss__image_copy_snapshot(op, image_of(disk), name,
                                          temporary);
    if (!rc)
        rc = libxlss__file_like(op, temporary, image_of(disk));
    if (!rc)
        rc = libxlss__file_replace(op, temporary, disk->settled);
    if (rc)
        return rc;
    disk->live = disk->settled;
    disk->live_format = LIBXL_DISK_FORMAT_QCOW2;
    return 0;
}

static int check_alone(struct libxlss__op *op, struct libxlss__disk *disk)
{
    char **overlays;
    int num, rc = libxlss__overlays_of(op, disk->path, &overlays, &num);

    if (rc || !num)
        return rc;
    LOG_ERROR(op, "disk %s: %s can't be taken back, since %s is based on it",
              disk->vdev, disk->path, overlays[0]);
    return XLSS(NOT_POSSIBLE);
}

static int revert(struct libxlss__op *op, struct libxlss__disk *disk,
                  const char *name)
{
    struct libxlss__image image;
    int i, rc;

    if (is_frozen(disk))
        return revert_to_copy(op, disk, name);
    rc = read_image(op, disk, &image);
    if (!rc)
        rc = check_alone(op, disk);

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
    return strncmp(bitmap, XLSS_BITMAP_PREFIX,
                   strlen(XLSS_BITMAP_PREFIX)) != 0;
}

static int foreign_bitmaps(struct libxlss__op *op, struct libxlss__disk *disk,
                           const struct libxlss__node *node, char **one_r)
{
    struct libxlss__image image = { 0 };
    char **list;
    int i, num, rc;

    *one_r = NULL;
    if (is_frozen(disk))
        return 0;               /* its bitmaps stay in it */
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
    .own_safety = is_frozen,
    .safety_take = libxlss__replaced_keep,
    .safety_back = libxlss__replaced_back,
    .safety_drop = libxlss__replaced_drop,
};
