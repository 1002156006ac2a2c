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

#include "disk.h"
#include "files.h"
#include "../checkpoint/checkpoint.h"

#define QEMU_REOPENS 1000               /* 10.0: major * 100 + minor */
#define SPACE_MIN (16u << 20)           /* bytes, for an overlay's beginning */

#define external(disk) ((disk)->snap.u.external)

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

static const char *format_word(const struct libxlss__disk *disk)
{
    return libxl_disk_format_to_string(disk->dev.format);
}

static void set(char **where, const char *text)
{
    char *old = *where;

    *where = strdup(text);      /* text may be the old one */
    free(old);
}

/* For ever at another path; not PATH.liveN, which is for a while. */
static bool moves(struct libxlss__op *op, const struct libxlss__disk *disk)
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

/* What the caller asked for, or the best: see the top. */
static int choose_path(struct libxlss__op *op, struct libxlss__disk *disk,
                       const char *name)
{
    char *path = external(disk).external_path;

    if (path && (path[0] != '/' || !json_is_text(path))) {
        LOG_ERROR(op, "disk %s: the overlay's path \"%s\" is not absolute, "
                  "or not UTF-8", disk->vdev, path);
        return ERROR_INVAL;
    }
    if (!path && disk->dev.format != LIBXL_DISK_FORMAT_QCOW2) {
        path = libxlss__printf(op, "%s.%s.qcow2", disk->settled, name);
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
    char *base = libxlss__printf(op, "%s.%s", disk->settled, name);
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
    disk->reopens = qmp->version >= QEMU_REOPENS && !asked &&
                    disk->dev.format == LIBXL_DISK_FORMAT_QCOW2;
    rc = choose_path(op, disk, name);
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

static struct libxlss__node_options options_of(const struct libxlss__disk *d)
{
    libxl_defbool discard = d->dev.discard_enable;

    return (struct libxlss__node_options){
        .direct = d->dev.direct_io_safe,
        .discard = !libxl_defbool_is_default(discard) &&
                   libxl_defbool_val(discard),
    };
}

/* QEMU's node names have 31 characters at most. */
static char *node_name(struct libxlss__op *op,
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
            op, path, libxlss__path_from(op, path, base), format_word(disk));
    if (!rc && disk->reopens)
        rc = libxlss__file_unlink(op, path);
    if (!rc)
        rc = libxlss__overlay_make(op, path, base, format_word(disk),
                                   disk->size, disk->path);
    return rc;
}

/* The node goes on with the same file under another name. */
static int reopen_on(struct libxlss__op *op, struct libxlss__qmp *qmp,
                     struct libxlss__disk *disk, const char *node,
                     const char *file_node)
{
    struct libxlss__graph *graph = libxlss__zalloc(op, sizeof(*graph));
    struct libxlss__node_options o = options_of(disk);
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
    char *file = node_name(op, disk, 'f');
    int rc;

    rc = libxlss__qmp_add_file(qmp, file, external(disk).base_path, o);
    if (!rc)
        rc = reopen_on(op, qmp, disk, disk->writer.node->name, file);
    if (!rc)
        rc = libxlss__file_rename(op, overlay_at(op, disk), disk->settled);
    return rc;
}

static int prepare(struct libxlss__op *op, struct libxlss__qmp *qmp,
                   struct libxlss__disk *disk, const char *name)
{
    struct libxlss__node_options o = options_of(disk);
    int rc = 0;

    (void)name;
    if (!qmp) {
        LOG_ERROR(op, "disk %s: its QEMU has died", disk->vdev);
        return XLSS(QEMU_DIED);
    }
    disk->overlay_node = node_name(op, disk, 'o');
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

/* --- taking it away --- */

static bool online(struct libxlss__op *op, const struct libxlss__disk *disk)
{
    return libxlss__disk_in_qemu(disk) && op->domid != XLSS_OFF &&
           libxlss__qemu_alive(op);
}

/* The base has its old name back, and QEMU knows it by that. */
static int back_in_place(struct libxlss__op *op, struct libxlss__qmp *qmp,
                         struct libxlss__disk *disk,
                         const struct libxlss__node *root)
{
    struct libxlss__node_options o = options_of(disk);
    char *file = node_name(op, disk, 'g');
    char *temporary = libxlss__printf(op, "%s.xlss-new", disk->settled);
    int rc;

    rc = libxlss__file_unlink(op, temporary);
    if (!rc)
        rc = libxlss__file_link(op, external(disk).base_path, temporary);
    if (!rc)
        rc = libxlss__file_rename(op, temporary, disk->settled);
    if (!rc)
        rc = libxlss__qmp_add_file(qmp, file, disk->settled, &o);
    if (!rc)
        rc = reopen_on(op, qmp, disk, root->name, file);
    return rc;
}

/* The guest still writes to the base itself: the instant never came. */
static int take_back(struct libxlss__op *op, struct libxlss__qmp *qmp,
                     struct libxlss__disk *disk,
                     const struct libxlss__node *root, const char **path_r)
{
    int rc = 0;

    *path_r = root->file;
    libxlss__tidy_nodes(qmp, disk->vdev);
    if (!strcmp(root->file, external(disk).base_path)) {
        rc = back_in_place(op, qmp, disk, root);
        *path_r = disk->settled;
        libxlss__tidy_nodes(qmp, disk->vdev);
    }
    return rc;
}

static int drop_files(struct libxlss__op *op, struct libxlss__disk *disk,
                      const char *live)
{
    const char *path = external(disk).external_path;
    int rc = 0;

    /* The overlay was never used, and nothing is based on it. */
    if (path && !external(disk).external_reuse && strcmp(path, live) &&
        strcmp(path, disk->settled) && !libxlss__same_file(path, live))
        rc = libxlss__file_unlink(op, path);
    if (!rc)
        rc = libxlss__file_unlink(op, external(disk).base_path);
    return rc;
}

static int drop_uncommitted(struct libxlss__op *op,
                            struct libxlss__disk *disk, const char *live)
{
    const char *path = external(disk).external_path;
    int rc = 0;

    libxlss__file_set_immutable(op, external(disk).base_path, false);
    if (path && strcmp(path, disk->settled))
        rc = libxlss__config_move(op, disk->vdev, path, live,
                                  disk->dev.format);
    if (!rc)
        rc = drop_files(op, disk, live);
    return rc;
}

/* Kept for snapshots inside an overlay that are gone by now? */
static bool is_unused_base(struct libxlss__op *op, struct libxlss__disk *disk,
                           const char *path)
{
    size_t len = strlen(disk->settled);
    char **overlays;
    int num;

    return !strncmp(path, disk->settled, len) && path[len] == '.' &&
           libxlss__file_is_marked(path) &&
           !libxlss__same_file(path, disk->settled) &&
           !libxlss__is_kept(op, path) &&
           !libxlss__overlays_of(op, path, &overlays, &num) && !num;
}

int libxlss__forget_file(struct libxlss__op *op, struct libxlss__disk *disk,
                         const char *path)
{
    struct libxlss__qcow2 q;
    int rc = libxlss__qcow2_read(op, path, &q);

    if (rc)
        return rc == ERROR_NOTFOUND ? 0 : rc;
    libxlss__file_set_immutable(op, path, false);
    rc = libxlss__file_unlink(op, path);
    if (rc || !q.backing_path || !is_unused_base(op, disk, q.backing_path))
        return rc;
    return libxlss__forget_file(op, disk, q.backing_path);
}

static int forget_base(struct libxlss__op *op, struct libxlss__disk *disk)
{
    const char *base = external(disk).base_path;
    char **overlays;
    bool stays;
    int num, rc;

    rc = libxlss__overlays_of(op, base, &overlays, &num);
    if (rc)
        return rc;
    if (num || libxlss__is_kept(op, base)) {
        LOG_INFO(op, "disk %s: %s stays, since %s needs it", disk->vdev, base,
                 num ? overlays[0] : "another snapshot");
        return 0;
    }
    stays = moves(op, disk) && libxlss__same_file(base, disk->settled);
    /* No name of an immutable file can be removed. */
    libxlss__file_set_immutable(op, base, false);
    rc = libxlss__name_drop_lives(op, disk->settled, base);
    if (!rc)
        rc = libxlss__forget_file(op, disk, base);
    if (stays) {
        LOG_WARN(op, "disk %s: %s, where it was before the snapshot, is not "
                 "used any more, and stays", disk->vdev, disk->settled);
        libxlss__file_set_immutable(op, disk->settled, true);
    }
    return rc;
}

/*
 * PATH still is the base, which is about to go: it becomes another name of
 * the guest's file. QEMU knows that by its first name, which stays.
 */
int libxlss__release_name(struct libxlss__op *op, struct libxlss__disk *disk)
{
    const char *live = disk->guest_file;
    char *temporary = libxlss__printf(op, "%s.xlss-new", disk->settled);
    int rc;

    if (disk->kind != LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL || !live ||
        !libxlss__same_file(disk->settled, external(disk).base_path))
        return 0;
    if (!libxlss__name_is_live_of(op, live, disk->settled))
        return 0;
    rc = libxlss__file_unlink(op, temporary);
    if (!rc)
        rc = libxlss__file_link(op, live, temporary);
    if (!rc)
        rc = libxlss__file_replace(op, temporary, disk->settled);
    if (!rc)
        rc = libxlss__config_move(op, disk->vdev, live, disk->settled,
                                  LIBXL_DISK_FORMAT_QCOW2);
    return rc;
}

static int drop_online(struct libxlss__op *op, struct libxlss__disk *disk)
{
    struct libxlss__graph *graph = libxlss__zalloc(op, sizeof(*graph));
    const char *base = external(disk).base_path, *live = NULL;
    struct libxlss__node *root = NULL;
    struct libxlss__qmp qmp;
    bool kept = false;
    int rc;

    rc = libxlss__merge_end_old(op, disk);
    if (!rc)
        rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    rc = libxlss__graph_read(&qmp, graph);
    if (!rc)
        root = libxlss__graph_root(graph, disk->vdev);
    if (!rc && !root) {
        LOG_ERROR(op, "disk %s: QEMU has no such disk", disk->vdev);
        rc = XLSS(NO_QEMU);
    }
    if (!rc && libxlss__same_file(root->file, base))
        rc = take_back(op, &qmp, disk, root, &live);
    libxlss__qmp_close(&qmp);
    if (rc)
        return rc;
    if (live)
        return drop_uncommitted(op, disk, live);

    disk->guest_file = root->file;
    rc = libxlss__merge_up(op, disk, base, &kept);
    if (!rc && !kept)
        rc = forget_base(op, disk);
    return rc;
}

/* The overlay exists, without the base: somebody else has merged. */
static bool is_used(const struct libxlss__disk *disk, const char *base)
{
    const char *path = disk->snap.u.external.external_path;
    struct stat st;

    return path && !lstat(path, &st) && S_ISREG(st.st_mode) &&
           !libxlss__same_file(path, base);
}

static int drop_offline(struct libxlss__op *op, struct libxlss__disk *disk)
{
    const char *base = external(disk).base_path;
    char **overlays;
    bool kept = false;
    int num, rc;

    rc = libxlss__name_put_right(op, disk->settled);
    if (!rc)
        rc = libxlss__overlays_of(op, base, &overlays, &num);
    /* Never used: PATH still is the base. */
    if (!rc && !num && libxlss__same_file(disk->settled, base)) {
        if (is_used(disk, base)) {
            LOG_ERROR(op, "disk %s: %s was based on %s, and isn't any more; "
                      "one of them is the guest's, and nothing is removed",
                      disk->vdev, external(disk).external_path, base);
            return XLSS(NOT_POSSIBLE);
        }
        libxlss__file_set_immutable(op, base, false);
        return libxlss__file_unlink(op, base);
    }
    if (!rc && num == 1 && libxlss__can_merge_down(op, disk, overlays[0]))
        return libxlss__merge_down(op, disk, overlays[0], base);
    if (!rc)
        rc = libxlss__merge_up(op, disk, base, &kept);
    if (!rc && !kept)
        rc = forget_base(op, disk);
    return rc;
}

static int drop(struct libxlss__op *op, struct libxlss__disk *disk,
                const char *name)
{
    const char *base = external(disk).base_path;
    int rc;

    (void)name;
    if (!base)
        return 0;
    if (!libxlss__file_exists(base)) {
        if (!op->undoing)
            LOG_WARN(op, "disk %s: %s is gone, and the snapshot with it",
                     disk->vdev, base);
        return 0;
    }
    /* Never the guest's file: what was on its way to a name. */
    rc = libxlss__file_unlink(op, libxlss__printf(op, "%s.xlss-new",
                                                  disk->settled));
    if (rc)
        return rc;
    return online(op, disk) ? drop_online(op, disk) : drop_offline(op, disk);
}

/* --- revert --- */

static int verify(struct libxlss__op *op, struct libxlss__disk *disk,
                  const char *name)
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
static int revert(struct libxlss__op *op, struct libxlss__disk *disk,
                  const char *name)
{
    const char *target = moves(op, disk) ? external(disk).external_path
                                         : disk->settled;
    char *temporary = libxlss__printf(op, "%s.xlss-new", target);
    const char *base = external(disk).base_path;
    int rc;

    (void)name;
    rc = libxlss__file_unlink(op, temporary);
    if (!rc)
        rc = libxlss__overlay_make(op, temporary, base, format_word(disk),
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
    return disk->kind == LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL && moves(op, disk)
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
    .drop = drop,
    .verify_offline = verify,
    .revert = revert,
    .own_safety = own_safety,
    .safety_take = libxlss__replaced_keep,
    .safety_back = libxlss__replaced_back,
    .safety_drop = libxlss__replaced_drop,
};
