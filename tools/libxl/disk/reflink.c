/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Snapshots by reflink: a clone of the image file beside it, PATH.NAME, made
 * while nothing writes. FICLONE takes over what is in the page cache, so a
 * raw file needs no flush, behind blkback's loop device as behind QEMU; a
 * qcow2 image needs QEMU's `stop`, which writes its metadata.
 *
 * A revert clones the snapshot again and renames that over the image, so the
 * image is the old or the new one at any instant.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "clone.h"
#include "files.h"

/* Where links lead: the clone must be on the image's own filesystem. */
static const char *image_of(struct libxlss__op *op,
                            const struct libxlss__disk *disk)
{
    char *real = realpath(disk->path, NULL);
    const char *path = real ? libxlss__strdup(op, real) : disk->path;

    free(real);
    return path;
}

static const char *path_of(struct libxlss__op *op,
                           const struct libxlss__disk *disk, const char *name)
{
    const char *path = disk->snap.kind == LIBXL_DISK_SNAPSHOT_KIND_REFLINK
                       ? disk->snap.u.reflink.reflink_path : NULL;

    if (path && !strcmp(name, disk->name))
        return path;
    return libxlss__printf(op, "%s.%s", image_of(op, disk), name);
}

static const char *format_problem(const struct libxlss__disk *disk)
{
    switch (disk->dev.format) {
    case LIBXL_DISK_FORMAT_RAW:
        return NULL;
    case LIBXL_DISK_FORMAT_QCOW2:
        if (disk->kind != LIBXL_DISK_SNAPSHOT_KIND_REFLINK)
            return "qcow2 has better ones";
        if (disk->dev.backend != LIBXL_DISK_BACKEND_QDISK)
            return "its backend is not QEMU (qdisk)";
        return NULL;
    default:
        return "its format is neither raw nor qcow2";
    }
}

static const char *problem(const struct libxlss__disk *disk)
{
    const char *why;
    struct stat st;

    if (!libxlss__backend_is_here(disk))
        return "its backend is another domain";
    if (disk->dev.backend != LIBXL_DISK_BACKEND_QDISK &&
        disk->dev.backend != LIBXL_DISK_BACKEND_PHY)
        return "its backend is neither QEMU (qdisk) nor blkback (phy)";
    if (disk->path[0] != '/')
        return "its path is not absolute";
    if (!json_is_text(disk->path))
        return "its path is not UTF-8, so QMP can't name it";
    why = format_problem(disk);
    if (why)
        return why;
    if (stat(disk->path, &st))
        return "there is no such file";
    if (!S_ISREG(st.st_mode))
        return "it is no regular file";
    return NULL;
}

static bool fits(struct libxlss__op *op, struct libxlss__disk *disk, bool say)
{
    const char *why = problem(disk), *image;

    if (!why) {
        image = image_of(op, disk);
        why = libxlss__clone_problem(image, image);
    }
    if (why && say)
        LOG_ERROR(op, "disk %s (%s): no reflink snapshot is possible: %s; "
                  "leave it out with kind none", disk->vdev, disk->path, why);
    return !why;
}

static int check_name(struct libxlss__op *op, const struct libxlss__disk *disk,
                      const char *path)
{
    const char *file = strrchr(path, '/'), *why;
    struct stat st;

    if (*path != '/' || !json_is_text(path)) {
        LOG_ERROR(op, "disk %s: the path of its snapshot, %s, is not absolute "
                  "UTF-8", disk->vdev, path);
        return ERROR_INVAL;
    }
    if (strlen(file + 1) > NAME_MAX) {
        LOG_ERROR(op, "disk %s: the file of its snapshot would have a name "
                  "of %zu bytes, and %d are possible; choose a shorter one",
                  disk->vdev, strlen(file + 1), NAME_MAX);
        return ERROR_INVAL;
    }
    if (!lstat(path, &st)) {
        LOG_ERROR(op, "disk %s: %s exists already", disk->vdev, path);
        return XLSS(EXISTS);
    }
    why = libxlss__clone_problem(disk->path, path);
    if (why) {
        LOG_ERROR(op, "disk %s: %s can't be a clone of %s: %s", disk->vdev,
                  path, disk->path, why);
        return XLSS(NOT_POSSIBLE);
    }
    return 0;
}

static int plan(struct libxlss__op *op, struct libxlss__qmp *qmp,
                struct libxlss__disk *disk, const char *name)
{
    const char *path = path_of(op, disk, name);
    struct stat st;
    int rc = check_name(op, disk, path);

    (void)qmp;
    if (rc)
        return rc;
    if (!disk->size && !stat(disk->path, &st))
        disk->size = st.st_size;
    if (!disk->snap.u.reflink.reflink_path)
        disk->snap.u.reflink.reflink_path = strdup(path);
    return disk->snap.u.reflink.reflink_path ? 0 : ERROR_NOMEM;
}

/* What is written to the disk now need not be when the guest stands still. */
static int prepare(struct libxlss__op *op, struct libxlss__qmp *qmp,
                   struct libxlss__disk *disk, const char *name)
{
    (void)qmp;
    (void)name;
    disk->taken = false;
    return libxlss__sync_file(op, disk->path);
}

static int settle(struct libxlss__op *op, struct libxlss__disk *disk,
                  const char *name)
{
    return libxlss__sync_file(op, path_of(op, disk, name));
}

static int instant(struct libxlss__op *op, struct libxlss__disk *disk,
                   const char *name)
{
    const char *path = path_of(op, disk, name);
    struct stat st;
    int rc;

    if (!stat(disk->path, &st) && libxlss__loops(&st, true, NULL) < 0) {
        LOG_ERROR(op, "disk %s: a loop device on %s could not be written out",
                  disk->vdev, disk->path);
        disk->taken = false;
        return ERROR_FAIL;
    }
    rc = libxlss__clone(op, disk->path, path, 0400);
    if (rc)
        disk->taken = false;
    /* A safety point; the guest does not wait for anything any more. */
    if (!rc && strcmp(name, disk->name))
        rc = settle(op, disk, name);
    return rc;
}

/* Is it the file that was made here, and not the image? */
static int check_ours(struct libxlss__op *op, const struct libxlss__disk *disk,
                      const char *path, const struct stat *st)
{
    if (S_ISREG(st->st_mode) && !libxlss__same_file(path, disk->path))
        return 0;
    LOG_ERROR(op, "disk %s: %s is not a snapshot's file", disk->vdev, path);
    return XLSS(DAMAGED);
}

static int drop(struct libxlss__op *op, struct libxlss__disk *disk,
                const char *name)
{
    const char *path = path_of(op, disk, name);
    struct stat st;
    int rc;

    if (lstat(path, &st)) {
        if (errno == ENOENT)
            return 0;
        LOG_ERRNO(op, "disk %s: cannot find its snapshot %s", disk->vdev,
                  path);
        return ERROR_FAIL;
    }
    rc = check_ours(op, disk, path, &st);
    if (!rc)
        rc = libxlss__image_idle(op, path);
    return rc ? rc : libxlss__file_unlink(op, path);
}

static int verify(struct libxlss__op *op, struct libxlss__disk *disk,
                  const char *name)
{
    const char *path = path_of(op, disk, name);
    struct stat st;
    int rc;

    if (lstat(path, &st)) {
        LOG_ERRNO(op, "disk %s: its snapshot %s is missing", disk->vdev,
                  path);
        return XLSS(DAMAGED);
    }
    rc = check_ours(op, disk, path, &st);
    if (!rc && disk->dev.format == LIBXL_DISK_FORMAT_RAW && disk->snap.size &&
        (uint64_t)st.st_size != disk->snap.size) {
        LOG_ERROR(op, "disk %s: its snapshot %s has %lld bytes, it had %llu",
                  disk->vdev, path, (long long)st.st_size,
                  (unsigned long long)disk->snap.size);
        rc = XLSS(DAMAGED);
    }
    if (!rc && libxlss__is_kept(op, disk->path)) {
        LOG_ERROR(op, "disk %s: other snapshots are based on %s, so it can't "
                  "be replaced; delete those first", disk->vdev, disk->path);
        rc = XLSS(NOT_POSSIBLE);
    }
    if (!rc && op->domid == XLSS_OFF)
        rc = libxlss__image_idle(op, disk->path);
    return rc;
}

static int revert(struct libxlss__op *op, struct libxlss__disk *disk,
                  const char *name)
{
    const char *image = image_of(op, disk);
    const char *new = libxlss__printf(op, "%s.xlss-new", image);
    int rc = libxlss__image_idle(op, image);

    if (rc)
        return rc;
    /* Of an earlier call that was interrupted. */
    rc = libxlss__file_unlink(op, new);
    if (!rc)
        rc = libxlss__clone(op, path_of(op, disk, name), new, 0600);
    if (rc)
        return rc;
    rc = libxlss__file_like(op, new, image);
    if (!rc)
        rc = libxlss__file_rename(op, new, image);
    if (rc)
        unlink(new);
    return rc;
}

const struct libxlss__disk_driver libxlss__disk_reflink = {
    .kind = LIBXL_DISK_SNAPSHOT_KIND_REFLINK,
    .made_outside = true,
    .fits = fits,
    .plan = plan,
    .prepare = prepare,
    .instant = instant,
    .settle = settle,
    .drop = drop,
    .verify_offline = verify,
    .revert = revert,
};
