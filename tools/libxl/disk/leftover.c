/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Files of a chain that outlived their snapshots. When an external snapshot
 * is deleted, its file stays as long as snapshots inside an overlay read
 * through to it; when these are gone, too, nobody needs it any more. It
 * bears the mark of a file that this library has frozen; a base without it
 * is somebody's template, and none of our business.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../export.h"
#include "external.h"

#define MAX_DEPTH 1000          /* a longer chain is a circle */

struct leftovers {
    struct libxlss__op *op;
    struct libxlss__disk *disk;
    char *stay[MAX_DEPTH];      /* found to be needed by something inside */
    int num_stay;
};

static bool has_to_stay(const struct leftovers *l, const char *path)
{
    int i;

    for (i = 0; i < l->num_stay; i++)
        if (libxlss__same_file(l->stay[i], path))
            return true;
    return false;
}

/* Calls fn for each file below `top`, until it says true. */
static int walk(struct leftovers *l, const char *top,
                bool (*fn)(struct leftovers *l, const char *path),
                char **found_r)
{
    struct libxlss__qcow2 q;
    int depth, rc;

    *found_r = NULL;
    for (depth = 0; depth < MAX_DEPTH; depth++) {
        rc = libxlss__qcow2_read(l->op, top, &q);
        if (rc == ERROR_NOTFOUND)
            LOG_ERROR(l->op, "disk %s: %s is missing", l->disk->vdev, top);
        if (rc || !q.backing_path)
            return rc;
        if (fn(l, q.backing_path)) {
            *found_r = q.backing_path;
            return 0;
        }
        top = q.backing_path;
    }
    LOG_ERROR(l->op, "%s: its backing files form a circle", top);
    return XLSS(DAMAGED);
}

static bool is_leftover(struct leftovers *l, const char *path)
{
    return libxlss__file_is_marked(path) &&
           !libxlss__is_kept(l->op, path) && !has_to_stay(l, path);
}

static bool is_exported(struct leftovers *l, const char *path)
{
    return libxlss__file_not_exported(l->op, l->disk, path) != 0;
}

/* What is based on a file is rewritten, and that may be read by somebody. */
static int check_exports(struct leftovers *l, const char *top)
{
    char *exported;
    int rc = is_exported(l, top) ? XLSS(BUSY) : 0;

    if (!rc)
        rc = walk(l, top, is_exported, &exported);
    return rc ? rc : exported ? XLSS(BUSY) : 0;
}

/* Where the guest's file is by now: a merge may give it its own name. */
static const char *top_of(struct leftovers *l)
{
    struct libxlss__disk *disk = l->disk;

    if (!libxlss__file_exists(disk->path))
        disk->path = disk->settled;
    return disk->path;
}

/* By another name it may still be somebody's: that must not be written to. */
static void keep_other_name(struct leftovers *l, int fd, const char *path)
{
    char *self = libxlss__printf(l->op, "/proc/self/fd/%d", fd);
    struct stat st;

    if (fstat(fd, &st) || !st.st_nlink ||
        libxlss__same_file(self, top_of(l)))
        return;
    LOG_WARN(l->op, "disk %s: the file that was %s has another name, and "
             "stays under that; nothing of this disk is in it any more",
             l->disk->vdev, path);
    libxlss__file_set_immutable(l->op, self, true);
}

static int merge_one(struct leftovers *l, const char *path, bool *stays_r)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc;
    bool is_there = false;

    LOG_INFO(l->op, "disk %s: no snapshot needs %s any more", l->disk->vdev,
             path);
    free(external(l->disk).base_path);
    external(l->disk).base_path = strdup(path);
    rc = libxlss__external_drop(l->op, l->disk, NULL);
    if (!rc && libxlss__file_exists(path))
        rc = libxlss__chain_has(l->op, top_of(l), path, &is_there, NULL);
    if (!rc && !is_there && fd >= 0)
        keep_other_name(l, fd, path);
    if (fd >= 0)
        close(fd);
    *stays_r = is_there;
    return rc;
}

static bool in_own_qemu(struct leftovers *l, const char *path)
{
    struct stat st;

    return l->op->qemu_pid && !stat(path, &st) &&
           libxlss__process_has(l->op->qemu_pid, &st);
}

/* Out of every chain: a merge came to its end, and its process did not. */
static int remove_orphans(struct leftovers *l, int *removed_r)
{
    struct libxlss__disk *disk = l->disk;
    const char *name = strrchr(disk->settled, '/') + 1;
    char *folder = libxlss__path_beside(l->op, disk->settled, ".");
    DIR *dir = opendir(folder);
    struct dirent *e;
    int rc = 0;

    if (!dir) {
        LOG_ERRNO(l->op, "cannot read the folder %s", folder);
        return ERROR_FAIL;
    }
    while (!rc && (e = readdir(dir))) {
        char *path;

        if (strncmp(e->d_name, name, strlen(name)) ||
            e->d_name[strlen(name)] != '.')
            continue;
        path = libxlss__path_beside(l->op, disk->settled, e->d_name);
        if (libxlss__same_file(path, top_of(l)) ||
            !libxlss__is_unused_base(l->op, disk, path) ||
            in_own_qemu(l, path) || libxlss__image_idle(l->op, path))
            continue;
        LOG_INFO(l->op, "disk %s: nothing needs %s any more", disk->vdev,
                 path);
        rc = libxlss__forget_file(l->op, disk, path);
        ++*removed_r;
    }
    closedir(dir);
    return rc;
}

int libxlss__leftovers_merge(struct libxlss__op *op,
                             struct libxlss__disk *disk, int *merged_r,
                             int *stayed_r)
{
    struct leftovers *l = libxlss__zalloc(op, sizeof(*l));
    bool stays;
    char *path;
    int rc = 0;

    *l = (struct leftovers){ .op = op, .disk = disk };
    *merged_r = *stayed_r = 0;
    if (op->domid == XLSS_OFF)
        rc = libxlss__name_put_right(op, disk->settled);
    if (!rc)
        rc = check_exports(l, top_of(l));
    /* The uppermost first: so nothing is copied twice. */
    while (!rc) {
        rc = walk(l, top_of(l), is_leftover, &path);
        if (rc || !path)
            break;
        rc = merge_one(l, path, &stays);
        if (rc)
            break;
        if (stays && l->num_stay < MAX_DEPTH)
            l->stay[l->num_stay++] = path;
        *merged_r += !stays;
        *stayed_r += stays;
    }
    if (!rc)
        rc = remove_orphans(l, merged_r);
    return rc;
}
