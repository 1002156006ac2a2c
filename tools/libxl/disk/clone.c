/* SPDX-License-Identifier: LGPL-2.1-only */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clone.h"
#include "files.h"

/* btrfs clones between files of one mind about copy-on-write only, and a
 * file can change its mind while it is empty. */
static void take_over_nocow(int from, int to)
{
    int flags;

    if (!ioctl(from, FS_IOC_GETFLAGS, &flags) && (flags & FS_NOCOW_FL) &&
        !ioctl(to, FS_IOC_GETFLAGS, &flags)) {
        flags |= FS_NOCOW_FL;
        ioctl(to, FS_IOC_SETFLAGS, &flags);
    }
}

/* Without a name, so it is gone by itself whatever happens. */
static int open_nameless(const char *path)
{
    char *copy = strdup(path);
    int fd;

    if (!copy)
        abort();
    fd = open(dirname(copy), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    free(copy);
    return fd;
}

/* A block is enough to know, and costs nothing to have cloned. */
static int try_block(int from, const struct stat *st, int to)
{
    struct file_clone_range range = { .src_fd = from };

    if (st->st_size > st->st_blksize)
        range.src_length = st->st_blksize;
    take_over_nocow(from, to);
    return ioctl(to, FICLONERANGE, &range);
}

static const char *problem_of(int e)
{
    switch (e) {
    case EOPNOTSUPP:
    case ENOTTY:
    case EISDIR:        /* an old filesystem that knows no O_TMPFILE */
    case EINVAL:
    case EXDEV:
        return "its filesystem has no reflinks there (btrfs and XFS have them)";
    case ENOENT:
        return "there is no such file";
    default:
        return strerror(e);
    }
}

const char *libxlss__clone_problem(const char *path, const char *beside)
{
    const char *why = NULL;
    struct stat st;
    int from, to;

    from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (from < 0)
        return problem_of(errno);
    to = open_nameless(beside);
    if (fstat(from, &st) || to < 0 || try_block(from, &st, to))
        why = problem_of(errno);
    if (to >= 0)
        close(to);
    close(from);
    return why;
}

static int why_not(struct libxlss__op *op, const char *from, const char *to)
{
    int e = errno;

    LOG_ERRNO(op, "cannot make %s a reflink clone of %s", to, from);
    return e == ENOSPC || e == EDQUOT ? XLSS(NO_SPACE) : ERROR_FAIL;
}

int libxlss__clone(struct libxlss__op *op, const char *from, const char *to,
                   mode_t mode)
{
    int in, out, rc = 0;

    in = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (in < 0) {
        LOG_ERRNO(op, "cannot open %s", from);
        return ERROR_FAIL;
    }
    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
               mode);
    if (out < 0) {
        rc = errno == EEXIST ? XLSS(EXISTS) : why_not(op, from, to);
        if (rc == XLSS(EXISTS))
            LOG_ERROR(op, "%s exists already", to);
        close(in);
        return rc;
    }
    take_over_nocow(in, out);
    if (ioctl(out, FICLONE, in)) {
        rc = why_not(op, from, to);
        unlink(to);
    }
    close(out);
    close(in);
    return rc;
}

int libxlss__sync_file(struct libxlss__op *op, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int rc = 0;

    if (fd < 0 || fsync(fd)) {
        rc = errno == ENOSPC || errno == EDQUOT ? XLSS(NO_SPACE) : ERROR_FAIL;
        LOG_ERRNO(op, "cannot bring %s to the disk", path);
    }
    if (fd >= 0)
        close(fd);
    return rc ? rc : libxlss__folder_sync(op, path);
}
