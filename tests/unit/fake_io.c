/* SPDX-License-Identifier: LGPL-2.1-only */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fake_io.h"

static atomic_int count, fail_at, crash_at, error;

static void arm(int fail, int crash, int errnoval)
{
    count = 0;
    error = errnoval;
    fail_at = fail;
    crash_at = crash;
}

void fake_io_fail(int n, int errnoval)
{
    arm(n, 0, errnoval);
}

void fake_io_crash(int n)
{
    arm(0, n, 0);
}

int fake_io_stop(void)
{
    int n = count;

    arm(0, 0, 0);
    return n;
}

/* True: this call is to fail. */
static bool point(void)
{
    int n = atomic_fetch_add(&count, 1) + 1;

    if (n == crash_at)
        _exit(FAKE_IO_CRASH_CODE);
    if (n != fail_at)
        return false;
    errno = error;
    return true;
}

int openat(int fd, const char *path, int flags, ...)
{
    int mode = 0;
    va_list ap;

    if (flags & O_CREAT) {
        va_start(ap, flags);
        mode = va_arg(ap, int);
        va_end(ap);
        if (point())
            return -1;
    }
    return syscall(SYS_openat, fd, path, flags, mode);
}

ssize_t write(int fd, const void *data, size_t len)
{
    /* Short writes are no failure: every other one is cut. */
    static bool odd;

    if (fd > 2 && point())
        return -1;
    if (fd > 2 && len > 16 && (odd = !odd))
        len /= 2;
    return syscall(SYS_write, fd, data, len);
}

int fsync(int fd)
{
    /* Nothing here looks at what a power cut leaves. */
    (void)fd;
    return point() ? -1 : 0;
}

int renameat(int a, const char *from, int b, const char *to)
{
    return point() ? -1 : syscall(SYS_renameat, a, from, b, to);
}

int renameat2(int a, const char *from, int b, const char *to,
              unsigned int flags)
{
    return point() ? -1 : syscall(SYS_renameat2, a, from, b, to, flags);
}

int unlinkat(int fd, const char *path, int flags)
{
    return point() ? -1 : syscall(SYS_unlinkat, fd, path, flags);
}

int mkdirat(int fd, const char *path, mode_t mode)
{
    return point() ? -1 : syscall(SYS_mkdirat, fd, path, mode);
}
