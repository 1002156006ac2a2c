/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Back to an external snapshot: a fresh overlay on its file takes the place
 * of what the guest had, which stays beside it for as long as the revert may
 * fail.
 */
#include <string.h>

#include "external.h"

int libxlss__external_verify(struct libxlss__op *op,
                             struct libxlss__disk *disk, const char *name)
{
    const char *base = external(disk).base_path;
    struct libxlss__qcow2 q;
    int rc = base ? libxlss__qcow2_read(op, base, &q) : ERROR_NOTFOUND;

    (void)name;
    if (!rc && q.is_qcow2 == (disk->dev.format == LIBXL_DISK_FORMAT_QCOW2)) {
        if (!q.backing)
            return 0;
        if (q.backing_path && libxlss__file_exists(q.backing_path))
            return 0;
        LOG_ERROR(op, "disk %s: %s is based on %s, which is missing",
                  disk->vdev, base, q.backing);
    } else {
        LOG_ERROR(op, "disk %s: %s, which holds the snapshot, is %s",
                  disk->vdev, base ? base : "a file without a name",
                  rc == ERROR_NOTFOUND ? "missing" : "no image of its format");
    }
    return XLSS(DAMAGED);
}

/* A fresh overlay takes the place of what the guest had. */
int libxlss__external_revert(struct libxlss__op *op,
                             struct libxlss__disk *disk, const char *name)
{
    const char *target = libxlss__external_moves(op, disk)
                         ? external(disk).external_path : disk->settled;
    char *temporary = libxlss__printf(op, "%s.xlss-new", target);
    const char *base = external(disk).base_path;
    int rc;

    (void)name;
    rc = libxlss__file_unlink(op, temporary);
    if (!rc)
        rc = libxlss__overlay_make(op, temporary, base,
                                   libxlss__external_format(disk),
                                   disk->snap.size, base);
    if (!rc)
        rc = libxlss__file_replace(op, temporary, target);
    if (rc)
        return rc;
    disk->live = target;
    disk->live_format = LIBXL_DISK_FORMAT_QCOW2;
    return 0;
}

/* What a revert replaces; also of an internal snapshot in a frozen image. */
static const char *replaced_by(struct libxlss__op *op,
                               const struct libxlss__disk *disk)
{
    return disk->kind == LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL &&
           libxlss__external_moves(op, disk)
           ? disk->snap.u.external.external_path : disk->settled;
}

int libxlss__replaced_keep(struct libxlss__op *op, struct libxlss__disk *disk,
                           const char *name)
{
    const char *target = replaced_by(op, disk);

    char *kept = libxlss__printf(op, "%s.%s", target, name);

    /* Taken already, before we were interrupted? */
    if (!libxlss__file_exists(target) || libxlss__file_exists(kept))
        return 0;
    libxlss__file_set_immutable(op, target, false);
    return libxlss__file_link(op, target, kept);
}

int libxlss__replaced_back(struct libxlss__op *op, struct libxlss__disk *disk,
                           const char *name)
{
    const char *target = replaced_by(op, disk);
    char *kept = libxlss__printf(op, "%s.%s", target, name);

    if (!libxlss__file_exists(kept))
        return 0;               /* it was not replaced */
    return libxlss__file_replace(op, kept, target);
}

int libxlss__replaced_drop(struct libxlss__op *op, struct libxlss__disk *disk,
                           const char *name)
{
    char *kept = libxlss__printf(op, "%s.%s", replaced_by(op, disk), name);
    char **overlays;
    int num, rc;

    if (!libxlss__file_exists(kept))
        return 0;
    rc = libxlss__overlays_of(op, kept, &overlays, &num);
    if (rc)
        return rc;
    /* Snapshots inside, which the caller looks for there from now on. */
    if (!libxlss__same_file(kept, replaced_by(op, disk)) &&
        (num || libxlss__is_kept(op, kept)))
        return 0;
    libxlss__file_set_immutable(op, kept, false);
    return libxlss__file_unlink(op, kept);
}
