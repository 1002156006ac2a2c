/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Which files are based on which. A file is its inode: it may have several
 * names, and often has two while an external snapshot is young. Before a
 * file is written to or removed, everything that could be based on it is
 * read here, from the disk, not from anybody's memory.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "files.h"

#define MAX_DEPTH 1000          /* a longer chain is a circle */

bool libxlss__same_file(const char *a, const char *b)
{
    struct stat sa, sb;

    return !stat(a, &sa) && !stat(b, &sb) && sa.st_ino == sb.st_ino &&
           sa.st_dev == sb.st_dev;
}

static char *folder_of(struct libxlss__op *op, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return libxlss__strdup(op, ".");
    return libxlss__printf(op, "%.*s", slash == path ? 1
                                                     : (int)(slash - path),
                           path);
}

char *libxlss__path_beside(struct libxlss__op *op, const char *path,
                           const char *name)
{
    char *folder;

    if (name[0] == '/')
        return libxlss__strdup(op, name);
    folder = folder_of(op, path);
    return libxlss__printf(op, "%s%s%s", folder,
                           strcmp(folder, "/") ? "/" : "", name);
}

const char *libxlss__path_from(struct libxlss__op *op, const char *from,
                               const char *to)
{
    const char *slash = strrchr(to, '/');
    const char *name = slash ? slash + 1 : to;

    /* A colon would make a protocol of a bare name. */
    if (strcmp(folder_of(op, from), folder_of(op, to)) || strchr(name, ':'))
        return to;
    return name;
}

int libxlss__chain_has(struct libxlss__op *op, const char *top,
                       const char *base, bool *has_r, const char **as_r)
{
    struct libxlss__qcow2 q;
    int depth, rc;

    *has_r = false;
    for (depth = 0; depth < MAX_DEPTH; depth++) {
        rc = libxlss__qcow2_read(op, top, &q);
        if (rc == ERROR_NOTFOUND)
            return 0;
        if (rc)
            return rc;
        if (!q.backing)
            return 0;
        if (!q.backing_path) {
            LOG_ERROR(op, "%s is based on \"%s\", which is no plain file",
                      top, q.backing);
            return XLSS(NOT_POSSIBLE);
        }
        if (libxlss__same_file(q.backing_path, base)) {
            *has_r = true;
            if (as_r)
                *as_r = q.backing_path;
            return 0;
        }
        top = q.backing_path;
    }
    LOG_ERROR(op, "%s: its backing files form a circle", top);
    return XLSS(DAMAGED);
}

/* --- overlays of a base --- */

struct found {
    struct libxlss__op *op;
    const char *base;
    char **paths;
    int num, size;
    char **folders;
    int num_folders, folders_size;
};

static void append(struct libxlss__op *op, char ***list, int *num, int *size,
                   const char *text)
{
    if (*num == *size) {
        int grown = *size ? *size * 2 : 16;
        char **copy = libxlss__zalloc(op, grown * sizeof(*copy));

        if (*num)
            memcpy(copy, *list, *num * sizeof(*copy));
        *list = copy;
        *size = grown;
    }
    (*list)[(*num)++] = libxlss__strdup(op, text);
}

static int look_at(struct found *f, const char *path)
{
    struct libxlss__qcow2 q;
    int i, rc = libxlss__qcow2_read(f->op, path, &q);

    if (rc == ERROR_NOTFOUND || (!rc && !q.backing_path))
        return 0;
    if (rc)
        return rc;
    if (!libxlss__same_file(q.backing_path, f->base))
        return 0;
    for (i = 0; i < f->num; i++)
        if (libxlss__same_file(f->paths[i], path))
            return 0;
    append(f->op, &f->paths, &f->num, &f->size, path);
    return 0;
}

static int look_in(struct found *f, const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *e;
    int rc = 0;

    if (!dir) {
        if (errno == ENOENT)
            return 0;
        LOG_ERRNO(f->op, "cannot read the folder %s", folder);
        return ERROR_FAIL;
    }
    while (!rc && (e = readdir(dir))) {
        if (e->d_type != DT_REG && e->d_type != DT_UNKNOWN)
            continue;
        rc = look_at(f, libxlss__printf(f->op, "%s/%s",
                                        strcmp(folder, "/") ? folder : "",
                                        e->d_name));
    }
    closedir(dir);
    return rc;
}

static void add_folder_of(struct found *f, const char *path)
{
    char *folder;
    int i;

    if (!path || path[0] != '/')
        return;
    folder = folder_of(f->op, path);
    if (!strcmp(folder, "/dev") || !strncmp(folder, "/dev/", 5))
        return;
    for (i = 0; i < f->num_folders; i++)
        if (!strcmp(f->folders[i], folder))
            return;
    append(f->op, &f->folders, &f->num_folders, &f->folders_size, folder);
}

/* Disks of domains that run, wherever they are. */
static int look_at_domains(struct found *f)
{
    struct libxlss__op *op = f->op;
    unsigned int num, i, num_disks, j;
    char **domids = libxlss__xs_list(op, &num, "/libxl");
    int rc = 0;

    for (i = 0; i < num; i++) {
        char **devids = libxlss__xs_list(op, &num_disks,
                                         "/libxl/%s/device/vbd", domids[i]);

        for (j = 0; !rc && j < num_disks; j++) {
            char *params = libxlss__xs_read(op, "/libxl/%s/device/vbd/%s/"
                                            "params", domids[i], devids[j]);
            char *path = params ? strchr(params, '/') : NULL;

            if (path)
                rc = look_at(f, path);
        }
    }
    return rc;
}

int libxlss__overlays_of(struct libxlss__op *op, const char *base,
                         char ***list_r, int *num_r)
{
    struct found f = { .op = op, .base = base };
    int i, rc = 0;

    add_folder_of(&f, base);
    for (i = 0; i < op->num_disks; i++) {
        add_folder_of(&f, op->disks[i].path);
        add_folder_of(&f, op->disks[i].live);
    }
    for (i = 0; i < op->num_keep; i++)
        add_folder_of(&f, op->keep[i]);
    for (i = 0; !rc && i < f.num_folders; i++)
        rc = look_in(&f, f.folders[i]);
    if (!rc)
        rc = look_at_domains(&f);
    *list_r = f.paths;
    *num_r = f.num;
    return rc;
}

bool libxlss__is_kept(struct libxlss__op *op, const char *path)
{
    int i;

    for (i = 0; i < op->num_keep; i++)
        if (!strcmp(op->keep[i], path) ||
            libxlss__same_file(op->keep[i], path))
            return true;
    return false;
}
