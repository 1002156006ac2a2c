/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A set that a dead client has left in its folder, FOLDER/.partial-NAME. Who
 * changes a folder has the first byte of its .lock for himself, and shares
 * the second with all but those who remove sets (tools/backup/bk_folder.c).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xluss_backup.h"

#define PARTIAL ".partial-"

/* -1: it can't be reached, or the record's words can't be a folder's. */
static int open_folder(const xlu_backup_save *save)
{
    if (!save->folder || save->folder[0] != '/' || !save->name ||
        !save->name[0] || strchr(save->name, '/'))
        return -1;
    return open(save->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool is_free(int folder)
{
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
    int fd = openat(folder, ".lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    bool is = fd >= 0 && !fcntl(fd, F_OFD_GETLK, &l) && l.l_type == F_UNLCK;

    if (fd >= 0)
        close(fd);
    return is;
}

char *xluss__save_partial(const xlu_backup_save *save)
{
    int folder = open_folder(save);
    char *name, *path = NULL;
    struct stat st;

    if (folder < 0)
        return NULL;
    name = xluss__asprintf(PARTIAL "%s", save->name);
    if (!fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) &&
        S_ISDIR(st.st_mode) && is_free(folder))
        path = xluss__asprintf("%s/%s", save->folder, name);
    free(name);
    close(folder);
    return path;
}

static int lock(int folder)
{
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
    int fd = openat(folder, ".lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0 && !fcntl(fd, F_OFD_SETLK, &l)) {
        l.l_type = F_RDLCK;
        l.l_start = 1;
        if (!fcntl(fd, F_OFD_SETLK, &l))
            return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

/* A client makes no folders in it, and no others put anything there. */
static int remove_files(int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
                    O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *d;
    int e = dir ? 0 : errno;

    while (dir && !e && (d = readdir(dir)))
        if (strcmp(d->d_name, ".") && strcmp(d->d_name, "..") &&
            unlinkat(fd, d->d_name, 0))
            e = errno;
    if (!e && unlinkat(folder, name, AT_REMOVEDIR))
        e = errno;
    if (dir)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
    return e;
}

int xluss__save_partial_remove(xlu_snapshot_catalogue *cat,
                               const xlu_backup_save *save)
{
    int folder = open_folder(save), held = -1, e, rc = 0;
    char *name;

    if (folder < 0)
        return 0;
    held = lock(folder);
    if (held < 0) {
        LOG(cat->lg, ERROR, "%s is busy: another command works on the "
            "backups in it", save->folder);
        close(folder);
        return LIBXL_SNAPSHOT_ERROR_BUSY;
    }
    name = xluss__asprintf(PARTIAL "%s", save->name);
    e = remove_files(folder, name);
    if (e && e != ENOENT) {
        LOGEV(cat->lg, ERROR, e, "removing %s/%s", save->folder, name);
        rc = xluss__rc(e);
    }
    free(name);
    close(held);
    close(folder);
    return rc;
}
