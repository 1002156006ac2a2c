/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * An external snapshot is taken away: one that never came to be is undone,
 * the data of another goes into what is based on it, and its file goes when
 * nothing needs it any more.
 */
#include <string.h>

#include "external.h"

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
    struct libxlss__node_options o = libxlss__external_options(disk);
    char *file = libxlss__external_node(op, disk, 'g');
    char *temporary = libxlss__printf(op, "%s.xlss-new", disk->settled);
    int rc;

    rc = libxlss__file_unlink(op, temporary);
    if (!rc)
        rc = libxlss__file_link(op, external(disk).base_path, temporary);
    if (!rc)
        rc = libxlss__file_rename(op, temporary, disk->settled);
    if (!rc)
        rc = libxlss__file_make_room(op, disk->settled);
    if (!rc)
        rc = libxlss__qmp_add_file(qmp, file, disk->settled, &o);
    if (!rc)
        rc = libxlss__external_reopen(op, qmp, disk, root->name, file);
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
    libxlss__file_unmark(external(disk).base_path);
    if (path && strcmp(path, disk->settled))
        rc = libxlss__config_move(op, disk->vdev, path, live,
                                  disk->dev.format);
    if (!rc)
        rc = drop_files(op, disk, live);
    return rc;
}

/* Kept for snapshots inside an overlay that are gone by now? */
bool libxlss__is_unused_base(struct libxlss__op *op,
                             struct libxlss__disk *disk, const char *path)
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
    if (rc || !q.backing_path ||
        !libxlss__is_unused_base(op, disk, q.backing_path))
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
    stays = libxlss__external_moves(op, disk) &&
            libxlss__same_file(base, disk->settled);
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

/* A job writes to the image behind the back of whoever else has it open. */
static int check_alone(struct libxlss__op *op, struct libxlss__graph *graph,
                       struct libxlss__disk *disk, const char *file)
{
    struct libxlss__writer writer;
    int rc = libxlss__graph_writer(op, graph, disk->vdev, file, &writer);

    if (rc || !writer.twin)
        return rc;
    LOG_ERROR(op, "disk %s (%s): QEMU has it open twice, as long as the guest "
              "has no PV driver for it; it can be merged when the domain is "
              "off", disk->vdev, file);
    return XLSS(IMAGE_OPEN_TWICE);
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
    else if (!rc)
        rc = check_alone(op, graph, disk, root->file);
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
    if (!rc && num == 1 && op->direction != LIBXL_MERGE_DIRECTION_UP &&
        libxlss__can_merge_down(op, disk, overlays[0]))
        return libxlss__merge_down(op, disk, overlays[0], base);
    if (!rc && num && op->direction == LIBXL_MERGE_DIRECTION_DOWN) {
        LOG_ERROR(op, "disk %s: nothing can be merged down into %s: it is "
                  "needed, or what is based on it is, or it is larger or "
                  "smaller", disk->vdev, base);
        rc = XLSS(NOT_POSSIBLE);
    }
    if (!rc)
        rc = libxlss__merge_up(op, disk, base, &kept);
    if (!rc && !kept)
        rc = forget_base(op, disk);
    return rc;
}

int libxlss__external_drop(struct libxlss__op *op,
                           struct libxlss__disk *disk, const char *name)
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
