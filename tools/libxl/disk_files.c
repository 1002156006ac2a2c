/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Which files of a disk are not where they should be, by what the files
 * themselves say: their marks, their headers, and their names.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "disk/disk.h"
#include "disk/files.h"

#define MAX_DEPTH 1000          /* a longer chain is a circle */

struct look {
    struct libxlss__op *op;
    struct libxlss__disk disk;  /* path, settled, vdev */
    const char *top;            /* the guest's file */
    libxl_disk_file_list *out;
};

static bool is_told(const struct look *l, const char *path)
{
    int i;

    for (i = 0; i < l->out->num_files; i++)
        if (libxlss__same_file(l->out->files[i].path, path))
            return true;
    return false;
}

static void tell(struct look *l, const char *path, libxl_disk_file_role role)
{
    libxl_disk_file_list *out = l->out;
    libxl_disk_file *f;

    if (is_told(l, path))
        return;
    out->files = realloc(out->files,
                         (out->num_files + 1) * sizeof(*out->files));
    if (!out->files)
        abort();
    f = &out->files[out->num_files++];
    libxl_disk_file_init(f);
    f->path = strdup(path);
    f->role = role;
}

static int look_at_chain(struct look *l)
{
    const char *path = l->top;
    struct libxlss__qcow2 q;
    int depth, rc;

    for (depth = 0; depth < MAX_DEPTH; depth++) {
        rc = libxlss__qcow2_read(l->op, path, &q);
        if (rc || !q.backing_path)
            return rc == ERROR_NOTFOUND ? 0 : rc;
        path = q.backing_path;
        if (libxlss__file_is_marked(path) &&
            !libxlss__is_kept(l->op, path))
            tell(l, path, LIBXL_DISK_FILE_ROLE_CHAIN);
    }
    return 0;
}

/* Is it, or what is based on it, the file that some domain writes to? */
static bool is_in_use(struct look *l, const char *path)
{
    char **overlays;
    bool in_chain = false;
    int num;

    return libxlss__same_file(path, l->top) ||
           libxlss__chain_has(l->op, l->top, path, &in_chain, NULL) ||
           in_chain ||
           libxlss__overlays_of(l->op, path, &overlays, &num) || num;
}

/* Which overlay is the guest's is known while it runs. */
static int look_at_overlays(struct look *l, const char *base)
{
    char **overlays;
    int i, num, rc;

    rc = libxlss__overlays_of(l->op, base, &overlays, &num);
    for (i = 0; !rc && i < num; i++)
        if (!is_in_use(l, overlays[i]) &&
            !libxlss__is_kept(l->op, overlays[i]) &&
            !libxlss__disk_of_other(l->op, overlays[i]))
            tell(l, overlays[i], LIBXL_DISK_FILE_ROLE_OVERLAY);
    return rc;
}

/* Frozen files beside the disk: PATH.NAME. */
static int look_beside(struct look *l)
{
    const char *name = strrchr(l->disk.settled, '/') + 1;
    char *folder = libxlss__path_beside(l->op, l->disk.settled, ".");
    DIR *dir = opendir(folder);
    struct dirent *e;
    int rc = 0;

    while (!rc && dir && (e = readdir(dir))) {
        char *path;

        if (strncmp(e->d_name, name, strlen(name)) ||
            e->d_name[strlen(name)] != '.')
            continue;
        path = libxlss__path_beside(l->op, l->disk.settled, e->d_name);
        if (!libxlss__file_is_marked(path))
            continue;
        if (!is_in_use(l, path) &&
            libxlss__is_unused_base(l->op, &l->disk, path))
            tell(l, path, LIBXL_DISK_FILE_ROLE_ALONE);
        else if (l->op->domid != XLSS_OFF)
            rc = look_at_overlays(l, path);
    }
    if (dir)
        closedir(dir);
    return rc;
}

/* Overlays of files that snapshots live in, wherever a moved disk went. */
static int look_at_kept(struct look *l)
{
    int i, rc = 0;

    for (i = 0; !rc && l->op->domid != XLSS_OFF && i < l->op->num_keep; i++)
        if (libxlss__file_is_marked(l->op->keep[i]))
            rc = look_at_overlays(l, l->op->keep[i]);
    return rc;
}

static void look_at_names(struct look *l)
{
    struct libxlss__graph *graph = libxlss__zalloc(l->op, sizeof(*graph));
    struct libxlss__node *root = NULL;
    struct libxlss__qmp qmp;
    char *live;

    if (l->op->domid == XLSS_OFF) {
        if (!libxlss__name_wrong(l->op, l->disk.settled, &live) && live) {
            tell(l, live, LIBXL_DISK_FILE_ROLE_LIVE_NAME);
            l->top = live;
        }
        return;
    }
    if (!libxlss__qemu_alive(l->op) || libxlss__qmp_open(l->op, &qmp))
        return;
    if (!libxlss__graph_read(&qmp, graph))
        root = libxlss__graph_root(graph, l->disk.vdev);
    libxlss__qmp_close(&qmp);
    if (!root || root->file[0] != '/' ||
        libxlss__same_file(root->file, l->disk.path))
        return;
    tell(l, root->file, LIBXL_DISK_FILE_ROLE_OTHER_NAME);
    l->top = root->file;
}

static int look(struct look *l, const libxl_device_disk *disk)
{
    int rc;

    l->disk.vdev = libxlss__strdup(l->op, disk->vdev);
    l->disk.path = l->top = libxlss__strdup(l->op, disk->pdev_path);
    l->disk.settled = libxlss__name_settled(l->op, l->disk.path);
    look_at_names(l);
    if (!libxlss__file_exists(l->top))
        return 0;
    rc = look_at_chain(l);
    if (!rc)
        rc = look_beside(l);
    return rc ? rc : look_at_kept(l);
}

int libxl_disk_file_look(libxl_ctx *ctx, uint32_t domid,
                         const libxl_device_disk *disk, char *const *keep,
                         int num_keep, libxl_disk_file_list *out,
                         const libxl_snapshot_how *how)
{
    struct libxlss__op op;
    struct look l = { .op = &op, .out = out };
    int rc;

    rc = libxlss__op_begin(&op, ctx, domid, "disk files", how);
    op.keep = (const char *const *)keep;
    op.num_keep = num_keep;
    if (!rc && disk->vdev && disk->pdev_path && disk->pdev_path[0] == '/' &&
        strncmp(disk->pdev_path, "/dev/", 5))
        rc = look(&l, disk);
    libxlss__op_end(&op);
    return rc;
}

bool libxl_disk_file_is_frozen(const char *path)
{
    return libxlss__file_is_marked(path);
}
