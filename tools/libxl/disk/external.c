/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * External snapshots: the disk's file is frozen, and the guest writes to an
 * overlay on it. The frozen file always gets a name of its own, PATH.NAME,
 * and overlays name it by that, so that PATH can become another file.
 *
 * Where the guest's file is found afterwards:
 *   QEMU 10   at PATH. Its base is reopened under the new name, then the
 *             overlay takes the old one.
 *   QEMU 7.2  at PATH.liveN as long as the domain runs (files.h): there a
 *             reopen of a disk that xen-block has ends QEMU.
 *   moved     at external_path, for ever: a raw disk, whose format changes,
 *             and a path that the caller gave.
 * In the last two libxl is told the new path before QEMU goes over to it:
 * the empty overlay reads as its base does, so a start from either is right.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "external.h"
#include "../checkpoint/checkpoint.h"

#define SPACE_MIN (16u << 20)           /* bytes, for an overlay's beginning */

static bool is_file_path(const char *path)
{
    return path[0] == '/' && strncmp(path, "/dev/", 5);
}

static bool fits(struct libxlss__op *op, struct libxlss__disk *disk, bool say)
{
    const char *why = NULL;
    struct stat st;

    if (!libxlss__backend_is_here(disk))
        why = "its backend is another domain, which QEMU here can't reach";
    else if (disk->dev.backend != LIBXL_DISK_BACKEND_QDISK)
        why = "its backend is not QEMU (qdisk)";
    else if (disk->dev.format != LIBXL_DISK_FORMAT_QCOW2 &&
             disk->dev.format != LIBXL_DISK_FORMAT_RAW)
        why = "its format is neither qcow2 nor raw";
    else if (!is_file_path(disk->path))
        why = "it is not a file";
    else if (!json_is_text(disk->path))
        why = "its path is not UTF-8, so QMP can't name it";
    else if (lstat(disk->settled, &st))
        why = strerror(errno);
    else if (S_ISLNK(st.st_mode))
        why = "its path is a symbolic link; let the configuration name the "
              "file itself";
    else if (!S_ISREG(st.st_mode))
        why = "it is not a file";
    if (why && say)
        LOG_ERROR(op, "disk %s (%s): no external snapshot is possible: %s",
                  disk->vdev, disk->path, why);
    return !why;
}

const char *libxlss__external_format(const struct libxlss__disk *disk)
{
    return libxl_disk_format_to_string(disk->dev.format);
}

static void set(char **where, const char *text)
{
    char *old = *where;

    *where = strdup(text);      /* text may be the old one */
    free(old);
}

bool libxlss__external_moves(struct libxlss__op *op,
                            const struct libxlss__disk *disk)
{
    const char *path = disk->snap.u.external.external_path;

    return path && strcmp(path, disk->settled) &&
           !libxlss__name_is_live_of(op, path, disk->settled);
}

static int check_name(struct libxlss__op *op, struct libxlss__disk *disk,
                      const char *path)
{
    const char *name = strrchr(path, '/') + 1;

    if (strlen(name) > 255 - strlen(".xlss-new")) {
        LOG_ERROR(op, "disk %s: the file name %s would be too long",
                  disk->vdev, path);
        return XLSS(NOT_POSSIBLE);
    }
    if (!libxlss__file_exists(path))
        return 0;
    LOG_ERROR(op, "disk %s: %s exists already", disk->vdev, path);
    return XLSS(EXISTS);
}

static int check_space(struct libxlss__op *op, struct libxlss__disk *disk,
                       const char *path)
{
    char *folder = libxlss__path_beside(op, path, ".");
    struct statvfs v;

    if (statvfs(folder, &v)) {
        LOG_ERRNO(op, "disk %s: the folder of %s", disk->vdev, path);
        return ERROR_INVAL;
    }
    if ((uint64_t)v.f_bavail * v.f_frsize >= SPACE_MIN)
        return 0;
    LOG_ERROR(op, "disk %s: no space for the overlay %s: %llu KiB are free",
              disk->vdev, path,
              (unsigned long long)v.f_bavail * v.f_frsize >> 10);
    return XLSS(NO_SPACE);
}

/*
 * PATH.NAME. An earlier snapshot of that name may have left its file there,
 * for those that lie inside it: the next that is free then, PATH.NAME~2...
 * (Not .2: snapshots may well be named v1 and v1.2.)
 */
static char *choose_base(struct libxlss__op *op,
                         const struct libxlss__disk *disk, const char *name)
{
    char *base = libxlss__printf(op, "%s.%s", disk->settled, name);
    int i;

    for (i = 2; i < LIBXL_DISK_FROZEN_FILES_MAX &&
         libxlss__file_is_marked(base); i++)
        base = libxlss__printf(op, "%s.%s~%d", disk->settled, name, i);
    return base;
}

/* What the caller asked for, or the best: see the top. */
static int choose_path(struct libxlss__op *op, struct libxlss__disk *disk,
                       const char *base)
{
    char *path = external(disk).external_path;

    if (path && (path[0] != '/' || !json_is_text(path))) {
        LOG_ERROR(op, "disk %s: the overlay's path \"%s\" is not absolute, "
                  "or not UTF-8", disk->vdev, path);
        return ERROR_INVAL;
    }
    if (!path && disk->dev.format != LIBXL_DISK_FORMAT_QCOW2) {
        path = libxlss__printf(op, "%s.qcow2", base);
        LOG_WARN(op, "disk %s moves from %s to %s: its format becomes qcow2, "
                 "and the domain's configuration file has to say so",
                 disk->vdev, disk->settled, path);
    } else if (!path && disk->reopens) {
        path = libxlss__strdup(op, disk->settled);
    } else if (!path) {
        path = libxlss__name_live(op, disk->settled);
    }
    if (!path)
        return XLSS(NOT_POSSIBLE);
    set(&external(disk).external_path, path);
    return 0;
}

static int plan(struct libxlss__op *op, struct libxlss__qmp *qmp,
                struct libxlss__disk *disk, const char *name)
{
    char *base = choose_base(op, disk, name);
    bool asked = external(disk).external_path != NULL;
    int rc;

    if (!qmp) {
        LOG_ERROR(op, "disk %s: no QEMU has it", disk->vdev);
        return XLSS(NO_QEMU);
    }
    if (disk->writer.twin) {
        LOG_ERROR(op, "disk %s (%s): QEMU has it open twice, as long as the "
                  "guest has no PV driver for it; no external snapshot is "
                  "possible", disk->vdev, disk->path);
        return XLSS(IMAGE_OPEN_TWICE);
    }
    if (external(disk).external_format == LIBXL_DISK_FORMAT_UNKNOWN)
        external(disk).external_format = LIBXL_DISK_FORMAT_QCOW2;
    if (external(disk).external_format != LIBXL_DISK_FORMAT_QCOW2) {
        LOG_ERROR(op, "disk %s: an overlay can only be qcow2", disk->vdev);
        return XLSS(NOT_POSSIBLE);
    }
    disk->reopens = qmp->version >= XLSS_QEMU_REOPENS && !asked &&
                    disk->dev.format == LIBXL_DISK_FORMAT_QCOW2;
    rc = choose_path(op, disk, base);
    if (rc)
        return rc;
    set(&external(disk).base_path, base);
    rc = check_name(op, disk, base);
    if (!rc && !disk->reopens && !external(disk).external_reuse)
        rc = check_name(op, disk, external(disk).external_path);
    if (!rc && external(disk).external_reuse)
        rc = libxlss__overlay_check_empty(op, external(disk).external_path,
                                          disk->path, disk->size);
    if (!rc && !disk->reopens)
        rc = libxlss__config_can_move(op, disk->vdev, disk->path,
                                      disk->dev.format !=
                                      LIBXL_DISK_FORMAT_QCOW2);
    if (!rc)
        rc = check_space(op, disk, external(disk).external_path);
    return rc;
}

struct libxlss__node_options
libxlss__external_options(const struct libxlss__disk *d)
{
    libxl_defbool discard = d->dev.discard_enable;

    return (struct libxlss__node_options){
        .direct = d->dev.direct_io_safe,
        .discard = !libxl_defbool_is_default(discard) &&
                   libxl_defbool_val(discard),
    };
}

char *libxlss__external_node(struct libxlss__op *op,
                             const struct libxlss__disk *disk, char what)
{
    return libxlss__printf(op, XLSS_NODE "%.8s-%c%llx", disk->vdev, what,
                           (unsigned long long)libxlss__now_ms());
}

/* Where the overlay is made: it gets its own name once that is free. */
static char *overlay_at(struct libxlss__op *op,
                        const struct libxlss__disk *disk)
{
    if (disk->reopens)
        return libxlss__printf(op, "%s.xlss-new", disk->settled);
    return disk->snap.u.external.external_path;
}

static int make(struct libxlss__op *op, struct libxlss__disk *disk,
                const char *name)
{
    const char *base = external(disk).base_path, *path;
    int rc;

    (void)name;
    path = overlay_at(op, disk);
    rc = libxlss__file_link(op, disk->path, base);
    if (!rc)
        libxlss__file_mark_base(op, base);
    if (!rc && external(disk).external_reuse)
        return libxlss__image_rename_backing(
            op, path, libxlss__path_from(op, path, base),
            libxlss__external_format(disk));
    if (!rc && disk->reopens)
        rc = libxlss__file_unlink(op, path);
    if (!rc)
        rc = libxlss__overlay_make(op, path, base,
                                   libxlss__external_format(disk),
                                   disk->size, disk->path);
    return rc;
}

int libxlss__external_reopen(struct libxlss__op *op, struct libxlss__qmp *qmp,
                             struct libxlss__disk *disk, const char *node,
                             const char *file_node)
{
    struct libxlss__graph *graph = libxlss__zalloc(op, sizeof(*graph));
    struct libxlss__node_options o = libxlss__external_options(disk);
    struct libxlss__node *backing = NULL;
    struct libxlss__qcow2 q;
    int rc;

    rc = libxlss__qcow2_read(op, external(disk).base_path, &q);
    if (!rc && q.backing_path)
        rc = libxlss__graph_read(qmp, graph);
    if (!rc && q.backing_path)
        backing = libxlss__graph_format_node(graph, q.backing_path);
    if (!rc && q.backing && !backing) {
        LOG_ERROR(op, "disk %s: QEMU has no node for %s, which %s is based "
                  "on", disk->vdev, q.backing, external(disk).base_path);
        rc = ERROR_FAIL;
    }
    if (rc)
        return rc;
    return libxlss__qmp_reopen_on(qmp, node, file_node,
                                  backing ? backing->name : NULL, &o);
}

/* The base goes on under its new name, the overlay takes the old one. */
static int swap_names(struct libxlss__op *op, struct libxlss__qmp *qmp,
                      struct libxlss__disk *disk,
                      const struct libxlss__node_options *o)
{
    char *file = libxlss__external_node(op, disk, 'f');
    int rc;

    rc = libxlss__file_make_room(op, external(disk).base_path);
    if (!rc)
        rc = libxlss__qmp_add_file(qmp, file, external(disk).base_path, o);
    if (!rc)
        rc = libxlss__external_reopen(op, qmp, disk,
                                      disk->writer.node->name, file);
    if (!rc)
        rc = libxlss__file_rename(op, overlay_at(op, disk), disk->settled);
    return rc;
}

static int prepare(struct libxlss__op *op, struct libxlss__qmp *qmp,
                   struct libxlss__disk *disk, const char *name)
{
    struct libxlss__node_options o = libxlss__external_options(disk);
    int rc = 0;

    (void)name;
    if (!qmp) {
        LOG_ERROR(op, "disk %s: its QEMU has died", disk->vdev);
        return XLSS(QEMU_DIED);
    }
    disk->overlay_node = libxlss__external_node(op, disk, 'o');
    if (disk->reopens)
        rc = swap_names(op, qmp, disk, &o);
    if (!rc)
        rc = libxlss__qmp_add_overlay(qmp, disk->overlay_node,
                                      external(disk).external_path, &o);
    /* What QEMU has open until the instant. */
    disk->former = disk->path;
    disk->path = external(disk).base_path;
    return rc;
}

static int redirect(struct libxlss__op *op, struct libxlss__disk *disk,
                    const char *name)
{
    (void)name;
    if (disk->reopens)
        return 0;
    return libxlss__config_move(op, disk->vdev, disk->former,
                                external(disk).external_path,
                                LIBXL_DISK_FORMAT_QCOW2);
}

static void action(struct libxlss__disk *disk,
                   struct libxlss__transaction *t, const char *name)
{
    (void)name;
    libxlss__transaction_external(t, disk->writer.node->name,
                                  disk->overlay_node);
    libxlss__checkpoint_carry(t, disk->writer.node, disk->overlay_node);
}

/* Whoever starts the domain from the old path must fail, not write. */
static int settle(struct libxlss__op *op, struct libxlss__disk *disk,
                  const char *name)
{
    (void)name;
    disk->path = external(disk).external_path;
    if (libxlss__same_file(disk->settled, external(disk).base_path) &&
        !libxlss__file_set_immutable(op, disk->settled, true))
        LOG_WARN(op, "disk %s: the filesystem of %s can't make a file "
                 "immutable; until the domain is off and a command of this "
                 "program was run, don't start it from a configuration that "
                 "names it", disk->vdev, disk->settled);
    return 0;
}

/* A revert puts a new file there: the old one just stays. */
static bool own_safety(const struct libxlss__disk *disk)
{
    (void)disk;
    return true;
}

const struct libxlss__disk_driver libxlss__disk_external = {
    .kind = LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL,
    .made_outside = true,
    .fits = fits,
    .plan = plan,
    .make = make,
    .prepare = prepare,
    .redirect = redirect,
    .action = action,
    .settle = settle,
    .drop = libxlss__external_drop,
    .verify_offline = libxlss__external_verify,
    .revert = libxlss__external_revert,
    .own_safety = own_safety,
    .safety_take = libxlss__replaced_keep,
    .safety_back = libxlss__replaced_back,
    .safety_drop = libxlss__replaced_drop,
};
