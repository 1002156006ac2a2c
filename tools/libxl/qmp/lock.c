/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxl's locks of a domain: around its QMP socket ("qmp-socket-lock"), and
 * around changes of its devices. The protocol is libxl's
 * (libxl_internal.c, "lock file" functions): flock on the file; after
 * getting it, see that the file is still the one of that name, since its
 * owner unlinks it before it unlocks; and see that the domain still exists.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qmp.h"

static char *lock_path(struct libxlss__op *op, const char *lock)
{
    return libxlss__printf(op, "%s/userdata-l.%u.%s.%s", libxlss__xen_lib_dir,
                           op->domid, op->uuid, lock);
}

static int flock_until(int fd, uint64_t deadline)
{
    while (flock(fd, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return ERROR_LOCK_FAIL;
        if (libxlss__now_ms() >= deadline)
            return ERROR_TIMEDOUT;
        libxlss__sleep_ms(5);
    }
    return 0;
}

static bool same_file(int fd, const char *path)
{
    struct stat open_file, named;

    return !fstat(fd, &open_file) && !stat(path, &named) &&
           open_file.st_ino == named.st_ino &&
           open_file.st_dev == named.st_dev;
}

/* One try; *fd_r stays -1 where the file went away under our hands. */
static int lock_once(struct libxlss__op *op, const char *path,
                     uint64_t deadline, int *fd_r)
{
    int fd, rc;

    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        LOG_ERRNO(op, "cannot open libxl's lock file %s", path);
        return ERROR_LOCK_FAIL;
    }
    rc = flock_until(fd, deadline);
    if (rc) {
        LOG_ERROR(op, "cannot get libxl's lock %s: %s", path,
                  rc == ERROR_TIMEDOUT ? "somebody holds it for too long"
                                       : strerror(errno));
        close(fd);
        return rc;
    }
    if (!same_file(fd, path)) {
        close(fd);
        return 0;
    }
    *fd_r = fd;
    return 0;
}

int libxlss__libxl_lock(struct libxlss__op *op, const char *lock,
                        uint64_t deadline, int *fd_r)
{
    char *path = lock_path(op, lock);
    int rc;

    *fd_r = -1;
    while (*fd_r < 0) {
        rc = lock_once(op, path, deadline, fd_r);
        if (rc)
            return rc;
    }
    rc = libxlss__domain_refresh(op);
    if (rc) {
        libxlss__libxl_unlock(op, lock, *fd_r);
        *fd_r = -1;
        return rc == ERROR_DOMAIN_NOTFOUND ? ERROR_DOMAIN_DESTROYED : rc;
    }
    return 0;
}

void libxlss__libxl_unlock(struct libxlss__op *op, const char *lock, int fd)
{
    if (fd < 0)
        return;
    /* First the name, then the lock: see above. */
    unlink(lock_path(op, lock));
    close(fd);
}

int libxlss__qmp_lock(struct libxlss__op *op, uint64_t deadline, int *fd_r)
{
    return libxlss__libxl_lock(op, "qmp-socket-lock", deadline, fd_r);
}

void libxlss__qmp_unlock(struct libxlss__op *op, int fd)
{
    libxlss__libxl_unlock(op, "qmp-socket-lock", fd);
}
