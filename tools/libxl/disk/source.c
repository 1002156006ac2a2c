/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Where the data of a snapshot is, and how qemu-nbd is told to read it: one
 * entry for each kind.
 *
 * A snapshot inside an image can be read while the guest writes to that
 * image (docs/why.md). QEMU's locks would forbid it, so they are off there;
 * a file that nobody may write to is opened with them.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "../export.h"

struct kind {
    libxl_disk_snapshot_kind kind;
    bool inside;                /* by its name, in a file that is written to */
    /* NULL: the record doesn't say. */
    const char *(*path)(struct libxlss__op *op,
                        const libxl_disk_snapshot *snap);
};

static const char *internal_path(struct libxlss__op *op,
                                 const libxl_disk_snapshot *snap)
{
    (void)op;
    return snap->u.internal.internal_path ? snap->u.internal.internal_path
                                          : snap->device.pdev_path;
}

static const char *external_path(struct libxlss__op *op,
                                 const libxl_disk_snapshot *snap)
{
    (void)op;
    return snap->u.external.base_path;
}

static const char *reflink_path(struct libxlss__op *op,
                                const libxl_disk_snapshot *snap)
{
    (void)op;
    return snap->u.reflink.reflink_path;
}

/* "VG/LV"; udev makes the link while the volume is active. */
static const char *lvm_path(struct libxlss__op *op,
                            const libxl_disk_snapshot *snap)
{
    const char *volume = snap->u.lvm.lvm_volume;

    if (!volume || volume[0] == '/')
        return volume;
    return libxlss__printf(op, "/dev/%s", volume);
}

static const struct kind kinds[] = {
    { LIBXL_DISK_SNAPSHOT_KIND_INTERNAL, true, internal_path },
    { LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL, false, external_path },
    { LIBXL_DISK_SNAPSHOT_KIND_REFLINK, false, reflink_path },
    { LIBXL_DISK_SNAPSHOT_KIND_LVM, false, lvm_path },
};

/* The disk was of this format when it was frozen. */
static const char *driver(libxl_disk_format format)
{
    switch (format) {
    case LIBXL_DISK_FORMAT_RAW:
        return "raw";
    case LIBXL_DISK_FORMAT_QCOW2:
        return "qcow2";
    case LIBXL_DISK_FORMAT_QCOW:
        return "qcow";
    case LIBXL_DISK_FORMAT_VHD:
        return "vpc";
    case LIBXL_DISK_FORMAT_QED:
        return "qed";
    default:
        return NULL;
    }
}

static bool is_block(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISBLK(st.st_mode);
}

static const struct kind *kind_of(libxl_disk_snapshot_kind kind)
{
    size_t i;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (kinds[i].kind == kind)
            return &kinds[i];
    return NULL;
}

bool libxlss__source(struct libxlss__op *op, const libxl_disk_snapshot *snap,
                     const char *name, struct libxlss__source *out)
{
    const struct kind *kind = kind_of(snap->kind);
    const char *format = driver(snap->device.format);

    memset(out, 0, sizeof(*out));
    if (snap->name)
        name = snap->name;
    if (kind)
        out->path = kind->path(op, snap);
    if (!out->path || out->path[0] != '/' || !format || !name)
        return false;
    out->options = libxlss__printf(op, "driver=%s,file.driver=%s,"
                                   "file.filename=%s%s", format,
                                   is_block(out->path) ? "host_device"
                                                       : "file",
                                   libxlss__opt_value(op, out->path),
                                   kind->inside ? ",file.locking=off" : "");
    if (kind->inside) {
        out->inside = libxlss__strdup(op, name);
        out->load = libxlss__printf(op, "snapshot.name=%s",
                                    libxlss__opt_value(op, name));
    }
    return true;
}

int libxlss__source_check(struct libxlss__op *op, const char *vdev,
                          const struct libxlss__source *source)
{
    struct libxlss__image image;
    struct stat st;
    int rc;

    if (stat(source->path, &st)) {
        libxlss__log(op, XTL_ERROR, errno, "disk %s: %s, which holds the "
                     "snapshot, can't be read%s", vdev, source->path,
                     errno == ENOENT && !strncmp(source->path, "/dev/", 5)
                     ? " (an LVM volume may have to be activated: lvchange "
                       "-ay -K)" : "");
        return XLSS(DAMAGED);
    }
    if (!source->inside)
        return 0;
    rc = libxlss__image_info(op, source->path, &image);
    if (!rc && !libxlss__image_has(&image, source->inside)) {
        LOG_ERROR(op, "disk %s: %s has no snapshot \"%s\" inside any more",
                  vdev, source->path, source->inside);
        rc = XLSS(DAMAGED);
    }
    return rc;
}
