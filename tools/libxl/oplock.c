/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * One operation per domain on the whole host, xl's and libvirt's alike: an
 * flock on a file named by the domain's UUID. The guard inherits the open
 * file, so that after the caller's death nobody starts before the guest is
 * running again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libxlss_internal.h"

/* The guard may need this long to set a guest running. */
#define GUARD_WAIT_MS 90000

static pid_t holder(int fd)
{
    char text[32] = "";

    if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
        return 0;
    return atoi(text);
}

static int say_busy(struct libxlss__op *op, pid_t pid)
{
    LOG_ERROR(op, "another snapshot operation runs on this domain "
              "(process %d)", (int)pid);
    return XLSS(BUSY);
}

/* The deadline is the caller's, or the guard's where the holder is dead. */
static int wait_for(struct libxlss__op *op, int fd, unsigned int wait_seconds)
{
    uint64_t start = libxlss__now_ms();

    for (;;) {
        uint64_t waited = libxlss__now_ms() - start;
        pid_t pid;

        if (!flock(fd, LOCK_EX | LOCK_NB))
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR) {
            LOG_ERRNO(op, "cannot lock %s", libxlss__run_dir);
            return ERROR_LOCK_FAIL;
        }
        pid = holder(fd);
        if (waited >= wait_seconds * 1000ULL &&
            (libxlss__process_alive(pid) || waited >= GUARD_WAIT_MS))
            return say_busy(op, pid);
        libxlss__sleep_ms(50);
    }
}

int libxlss__oplock(struct libxlss__op *op, unsigned int wait_seconds)
{
    char *path, text[32];
    int fd, rc, n;

    if (!op->uuid[0])
        return 0;       /* off, and the caller has a lock of its own */
    if (mkdir(libxlss__run_dir, 0700) && errno != EEXIST) {
        LOG_ERRNO(op, "cannot make %s", libxlss__run_dir);
        return ERROR_LOCK_FAIL;
    }
    path = libxlss__printf(op, "%s/op-%s.lock", libxlss__run_dir, op->uuid);
    /* The file is never removed, so there is no race of inodes. */
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        LOG_ERRNO(op, "cannot open %s", path);
        return ERROR_LOCK_FAIL;
    }
    rc = wait_for(op, fd, wait_seconds);
    if (rc) {
        close(fd);
        return rc;
    }
    n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    /* Only a hint for the sentence above: a failure does no harm. */
    if (ftruncate(fd, 0) || pwrite(fd, text, n, 0) != n)
        LOG_DEBUG(op, "cannot write %s", path);
    op->lock_fd = fd;
    return 0;
}

void libxlss__opunlock(struct libxlss__op *op)
{
    if (op->lock_fd < 0)
        return;
    close(op->lock_fd);
    op->lock_fd = -1;
}
