/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Files that are old or new, never torn: written under a temporary name in
 * the same folder, fsynced, renamed, and the folder fsynced. All is relative
 * to folders that are held open, and the last part of a path is never
 * followed if it is a link.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "xluss.h"

#define TEMPORARY_INFIX ".tmp-"
#define TEMPORARY_DIGITS 8      /* hexadecimal, after the infix */
#define TEMPORARY_TRIES 8

static int dir_fd(int at, const char *name, int flags, int *fd_out)
{
    *fd_out = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
    return *fd_out < 0 ? errno : 0;
}

/* Makes a folder in `at`, so that a power cut doesn't take it away again. */
static int dir_make(int at, const char *name)
{
    int e, fd;

    if (mkdirat(at, name, 0700))
        return errno == EEXIST ? 0 : errno;
    if (at == AT_FDCWD)
        return 0;
    /* `at` may have been opened with O_PATH or for search only: ask anew. */
    e = dir_fd(at, ".", 0, &fd);
    if (e)
        return e;
    e = fsync(fd) ? errno : 0;
    close(fd);
    return e;
}

static int dir_open(xentoollog_logger *lg, int at, const char *name,
                    const char *path, int flags, bool make, xluss__dir *out)
{
    int e;

    out->path = xluss__strdup(path);
    out->fd = -1;
    e = make ? dir_make(at, name) : 0;
    if (!e)
        e = dir_fd(at, name, flags, &out->fd);
    if (!e)
        return 0;
    if (e == ENOENT && !make)
        return ERROR_NOTFOUND;
    LOGEV(lg, ERROR, e, "%s folder %s", make ? "making" : "opening", path);
    return xluss__rc(e);
}

int xluss__dir_open(xentoollog_logger *lg, const char *path, bool make,
                    xluss__dir *out)
{
    return dir_open(lg, AT_FDCWD, path, path, 0, make, out);
}

int xluss__dir_open_at(xentoollog_logger *lg, const xluss__dir *above,
                       const char *name, bool make, xluss__dir *out)
{
    char *path = xluss__asprintf("%s/%s", above->path, name);
    int rc = dir_open(lg, above->fd, name, path, O_NOFOLLOW, make, out);

    free(path);
    return rc;
}

void xluss__dir_close(xluss__dir *d)
{
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
    free(d->path);
    d->path = NULL;
}

int xluss__dir_sync(xentoollog_logger *lg, const xluss__dir *d)
{
    int e;

    if (!fsync(d->fd))
        return 0;
    e = errno;
    LOGEV(lg, ERROR, e, "fsync of folder %s", d->path);
    return xluss__rc(e);
}

int xluss__dir_space(xentoollog_logger *lg, const xluss__dir *d,
                     uint64_t *out)
{
    struct statvfs v;

    if (fstatvfs(d->fd, &v)) {
        LOGEV(lg, ERROR, errno, "looking for free space in %s", d->path);
        return ERROR_FAIL;
    }
    *out = (uint64_t)v.f_bavail * v.f_frsize;
    return 0;
}

int xluss__write_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len) {
        ssize_t r = write(fd, p, len);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return errno;
        p += r;
        len -= r;
    }
    return 0;
}

static int file_new(const xluss__dir *d, const char *name, int *fd_out)
{
    *fd_out = openat(d->fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW |
                     O_CLOEXEC, 0600);
    return *fd_out < 0 ? errno : 0;
}

/* *name_out is malloc'ed, also on failure. */
static int temporary_new(const xluss__dir *d, const char *name,
                         char **name_out, int *fd_out)
{
    int e, i;

    for (i = 0; ; i++) {
        uint32_t n = 0;

        if (getrandom(&n, sizeof(n), 0) != sizeof(n))
            n = (uint32_t)getpid() + i;
        *name_out = xluss__asprintf(".%s" TEMPORARY_INFIX "%0*x", name,
                                    TEMPORARY_DIGITS, n);
        e = file_new(d, *name_out, fd_out);
        if (e != EEXIST || i == TEMPORARY_TRIES)
            return e;
        free(*name_out);
    }
}

/* Returns an errno, and in *what what was being done. */
static int put(const xluss__dir *d, const char *name, const void *data,
               size_t len, const char **what)
{
    char *temporary;
    int e, fd;

    *what = "making a temporary file for";
    e = temporary_new(d, name, &temporary, &fd);
    if (e) {
        free(temporary);
        return e;
    }
    *what = "writing";
    e = xluss__write_all(fd, data, len);
    if (!e) {
        *what = "fsync of";
        e = fsync(fd) ? errno : 0;
    }
    if (close(fd) && !e)
        e = errno;
    if (!e) {
        *what = "renaming";
        e = renameat(d->fd, temporary, d->fd, name) ? errno : 0;
    }
    if (e)
        unlinkat(d->fd, temporary, 0);
    free(temporary);
    return e;
}

int xluss__file_put(xentoollog_logger *lg, const xluss__dir *d,
                    const char *name, const void *data, size_t len,
                    bool lazy)
{
    const char *what;
    int e = put(d, name, data, len, &what);

    if (e) {
        LOGEV(lg, ERROR, e, "%s %s/%s", what, d->path, name);
        return xluss__rc(e);
    }
    return lazy ? 0 : xluss__dir_sync(lg, d);
}

/* Reads at most max bytes of a regular file; returns an errno. */
static int slurp(int fd, size_t max, char **data_out, size_t *len_out)
{
    struct stat st;
    size_t len = 0, size;
    char *data;

    if (fstat(fd, &st))
        return errno;
    if (!S_ISREG(st.st_mode))
        return EINVAL;
    if (st.st_size < 0 || (uint64_t)st.st_size > max)
        return EFBIG;
    size = st.st_size;
    data = xluss__calloc(size + 1, 1);
    while (len < size) {
        ssize_t r = read(fd, data + len, size - len);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0) {
            free(data);
            return errno;
        }
        if (!r)
            break;
        len += r;
    }
    data[len] = '\0';
    *data_out = data;
    *len_out = len;
    return 0;
}

int xluss__file_get(xentoollog_logger *lg, const xluss__dir *d,
                    const char *name, size_t max, char **data_out,
                    size_t *len_out)
{
    int e, fd;

    *data_out = NULL;
    /* O_NONBLOCK: a FIFO of that name must not hang the command. */
    fd = openat(d->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return ERROR_NOTFOUND;
    e = fd < 0 ? errno : slurp(fd, max, data_out, len_out);
    if (fd >= 0)
        close(fd);
    if (!e)
        return 0;
    if (e == EFBIG)
        LOG(lg, ERROR, "%s/%s is larger than %zu bytes", d->path, name, max);
    else if (e == EINVAL)
        LOG(lg, ERROR, "%s/%s is not a regular file", d->path, name);
    else
        LOGEV(lg, ERROR, e, "reading %s/%s", d->path, name);
    return ERROR_FAIL;
}

int xluss__file_new(xentoollog_logger *lg, const xluss__dir *d,
                    const char *name, int *fd_out)
{
    int e = file_new(d, name, fd_out);

    if (e)
        LOGEV(lg, ERROR, e, "making %s/%s", d->path, name);
    return xluss__rc(e);
}

int xluss__file_rename(xentoollog_logger *lg, const xluss__dir *d,
                       const char *from, const char *to)
{
    int e = 0;

    /* Some file systems know no RENAME_NOREPLACE; the lock must do there. */
    if (renameat2(d->fd, from, d->fd, to, RENAME_NOREPLACE))
        e = errno;
    if ((e == EINVAL || e == ENOSYS) && !xluss__file_exists(d, to))
        e = renameat(d->fd, from, d->fd, to) ? errno : 0;
    if (e)
        LOGEV(lg, ERROR, e, "renaming %s/%s to %s", d->path, from, to);
    return xluss__rc(e);
}

int xluss__file_drop(xentoollog_logger *lg, const xluss__dir *d,
                     const char *name)
{
    int e;

    if (d->fd < 0 || !unlinkat(d->fd, name, 0) || errno == ENOENT)
        return 0;
    e = errno;
    LOGEV(lg, ERROR, e, "removing %s/%s", d->path, name);
    return xluss__rc(e);
}

bool xluss__file_exists(const xluss__dir *d, const char *name)
{
    struct stat st;

    return d->fd >= 0 &&
           (!fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) ||
            errno != ENOENT);
}

/* .NAME.tmp-0123abcd and nothing else. */
bool xluss__is_temporary(const char *name)
{
    size_t len = strlen(name);
    size_t tail = strlen(TEMPORARY_INFIX) + TEMPORARY_DIGITS;
    const char *t;

    if (name[0] != '.' || len < tail + 2)
        return false;
    t = name + len - tail;
    return !strncmp(t, TEMPORARY_INFIX, strlen(TEMPORARY_INFIX)) &&
           strspn(t + strlen(TEMPORARY_INFIX), "0123456789abcdef") ==
           TEMPORARY_DIGITS;
}

void xluss__temporaries_drop(xentoollog_logger *lg, const xluss__dir *d)
{
    struct dirent *de;
    DIR *dir;
    int fd;

    if (d->fd < 0 || dir_fd(d->fd, ".", 0, &fd))
        return;
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return;
    }
    while ((de = readdir(dir)))
        if (xluss__is_temporary(de->d_name)) {
            LOG(lg, INFO, "removing %s/%s, which was never finished",
                d->path, de->d_name);
            xluss__file_drop(lg, d, de->d_name);
        }
    closedir(dir);
}
