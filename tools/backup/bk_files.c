/* SPDX-License-Identifier: LGPL-2.1-only */
/* Each thing that changes what is on the disk, in one place. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bk.h"

static int failed(const char *doing, const char *where, const char *name)
{
    xl_say("%s %s/%s: %s", doing, where, name, strerror(errno));
    return XL_EXIT_FAILED;
}

int bk_rename(int dir, const char *from, const char *to, const char *where)
{
    return renameat(dir, from, dir, to) ? failed("renaming to", where, to)
                                        : 0;
}

int bk_exchange(int dir, const char *a, const char *b, const char *where)
{
    if (!syscall(SYS_renameat2, dir, a, dir, b, RENAME_EXCHANGE))
        return 0;
    if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)
        return 1;
    failed("exchanging", where, b);
    return -1;
}

int bk_unlink(int dir, const char *name, int flags, const char *where)
{
    if (!unlinkat(dir, name, flags) || errno == ENOENT)
        return 0;
    return failed("removing", where, name);
}

int bk_sync(int fd, const char *what)
{
    if (!fsync(fd))
        return 0;
    xl_say("writing %s to the disk: %s", what, strerror(errno));
    return XL_EXIT_FAILED;
}

int bk_put(int dir, const char *name, const char *text, const char *where)
{
    size_t len = strlen(text), done = 0;
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
                    O_CLOEXEC, 0600);
    ssize_t n = 0;

    if (fd < 0)
        return failed("making", where, name);
    while (done < len && (n = write(fd, text + done, len - done)) > 0)
        done += n;
    if (done < len || fsync(fd)) {
        failed("writing", where, name);
        close(fd);
        return XL_EXIT_FAILED;
    }
    close(fd);
    return 0;
}

char *bk_get(int dir, const char *name, size_t max, size_t *len)
{
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
                    O_CLOEXEC);
    char *text = NULL;
    struct stat st;
    ssize_t n;

    *len = 0;
    if (fd < 0)
        return NULL;
    if (!fstat(fd, &st) && S_ISREG(st.st_mode) &&
        (uint64_t)st.st_size <= max) {
        text = xl_alloc(st.st_size + 1, 1);
        while (*len < (size_t)st.st_size &&
               (n = read(fd, text + *len, st.st_size - *len)) > 0)
            *len += n;
    }
    close(fd);
    if (text && strlen(text) == *len)
        return text;
    free(text);
    return NULL;
}

static int copy_bytes(int from, int to)
{
    ssize_t n;

    if (!ioctl(to, FICLONE, from))
        return 0;
    do
        n = copy_file_range(from, NULL, to, NULL, 16 << 20, 0);
    while (n > 0 && !bk_interrupted());
    return n ? -1 : 0;
}

int bk_copy_file(int from_dir, int to_dir, const char *name,
                 const char *where)
{
    int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
                    O_CLOEXEC, 0600);
    int status = 0;

    if (from < 0 || to < 0 || copy_bytes(from, to) || fsync(to))
        status = failed("copying", where, name);
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    return status;
}
