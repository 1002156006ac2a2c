/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * One writer at a time for each catalogue: flock on UUID/lock. The holder
 * writes its pid in, for the sentence that the next one prints; the file
 * stays, since removing it would let two hold "the" lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "xluss.h"

#define LOCK_NAME "lock"

static void note_pid(int fd)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

    /* Only for a sentence: failing is no reason to stop. */
    if (ftruncate(fd, 0) || pwrite(fd, text, n, 0) != n)
        return;
}

static void say_busy(xlu_snapshot_catalogue *cat, int fd)
{
    char text[32];
    ssize_t r = pread(fd, text, sizeof(text) - 1, 0);

    text[r < 0 ? 0 : r] = '\0';
    text[strspn(text, "0123456789")] = '\0';
    LOG(cat->lg, ERROR, "domain %s is busy: %s%s works on its snapshots",
        cat->dom.name, text[0] ? "process " : "somebody else", text);
}

int xluss__lock(xlu_snapshot_catalogue *cat, bool wait)
{
    int e, fd, r;

    fd = openat(cat->dir.fd, LOCK_NAME,
                O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        e = errno;
        LOGEV(cat->lg, ERROR, e, "opening %s/" LOCK_NAME, cat->dir.path);
        return xluss__rc(e);
    }
    r = flock(fd, LOCK_EX | LOCK_NB);
    if (r && errno == EWOULDBLOCK && wait)
        r = flock(fd, LOCK_EX);
    if (!r) {
        note_pid(fd);
        cat->lock_fd = fd;
        return 0;
    }
    e = errno;
    if (e == EWOULDBLOCK)
        say_busy(cat, fd);
    else
        LOGEV(cat->lg, ERROR, e, "locking %s/" LOCK_NAME, cat->dir.path);
    close(fd);
    return e == EWOULDBLOCK ? LIBXL_SNAPSHOT_ERROR_BUSY : xluss__rc(e);
}

void xluss__unlock(xlu_snapshot_catalogue *cat)
{
    if (cat->lock_fd >= 0)
        close(cat->lock_fd);
    cat->lock_fd = -1;
}
