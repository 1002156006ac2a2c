/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Who uses an image. QEMU opens a guest's disk without locks
 * (file.locking=off for xen-block), so nothing but this look keeps qemu-img
 * away from a running domain's image.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export.h"

static bool same(const struct stat *a, const struct stat *b)
{
    if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
        return a->st_rdev == b->st_rdev;
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

static bool same_file(const struct stat *st, const char *path)
{
    struct stat other;

    return !stat(path, &other) && same(st, &other);
}

/* params is PATH for phy, FORMAT:PATH for qdisk. */
static bool disk_is(struct libxlss__op *op, const char *domid,
                    const char *devid, const struct stat *st)
{
    char *params = libxlss__xs_read(op, "/libxl/%s/device/vbd/%s/params",
                                    domid, devid);
    char *path = params ? strchr(params, '/') : NULL;

    return path && same_file(st, path);
}

static bool domain_has(struct libxlss__op *op, const char *domid,
                       const struct stat *st)
{
    unsigned int num, i;
    char **devids = libxlss__xs_list(op, &num, "/libxl/%s/device/vbd",
                                     domid);

    for (i = 0; i < num; i++)
        if (disk_is(op, domid, devids[i], st))
            return true;
    return false;
}

bool libxlss__process_has(pid_t pid, const struct stat *st)
{
    char path[64];
    struct dirent *e;
    bool found = false;
    DIR *dir;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    if (!dir)
        return false;
    fd = dirfd(dir);
    while (!found && (e = readdir(dir))) {
        struct stat other;

        found = !fstatat(fd, e->d_name, &other, 0) && same(st, &other);
    }
    closedir(dir);
    return found;
}

pid_t libxlss__open_in(const struct stat *st)
{
    DIR *dir = opendir("/proc");
    struct dirent *e;
    pid_t pid = 0;

    while (dir && !pid && (e = readdir(dir)))
        if (isdigit((unsigned char)e->d_name[0]) &&
            atoi(e->d_name) != getpid() &&
            libxlss__process_has(atoi(e->d_name), st))
            pid = atoi(e->d_name);
    if (dir)
        closedir(dir);
    return pid;
}

/* A program that ends (qemu-img, a QEMU of a failed restore) may take a
 * moment to close its files, as blkback does with its loop device. */
static int wait_closed(struct libxlss__op *op, const char *path,
                       const struct stat *st)
{
    uint64_t end = libxlss__now_ms() + libxlss__close_ms;
    bool loop = false;
    pid_t pid = 0;
    char name[32];

    do {
        if (S_ISREG(st->st_mode))
            loop = libxlss__loops(st, false, name) > 0;
        if (!loop)
            pid = libxlss__open_in(st);
        if (!loop && !pid)
            return 0;
        if (!loop && libxlss__is_server(op, pid)) {
            LOG_ERROR(op, "%s is exported by process %d; stop that first "
                      "(snapshot-export --stop)", path, (int)pid);
            return XLSS(BUSY);
        }
        libxlss__sleep_ms(100);
    } while (libxlss__now_ms() < end);
    if (loop)
        LOG_ERROR(op, "%s is open by the loop device /dev/%s", path, name);
    else
        LOG_ERROR(op, "%s is open in process %d", path, (int)pid);
    return XLSS(NOT_POSSIBLE);
}

const char *libxlss__disk_of_other(struct libxlss__op *op, const char *path)
{
    unsigned int num, i;
    struct stat st;
    char **domids;

    if (stat(path, &st))
        return NULL;
    domids = libxlss__xs_list(op, &num, "/libxl");
    for (i = 0; i < num; i++) {
        if (strtoul(domids[i], NULL, 10) == op->domid &&
            op->domid != XLSS_OFF)
            continue;
        if (domain_has(op, domids[i], &st))
            return domids[i];
    }
    return NULL;
}

int libxlss__image_idle(struct libxlss__op *op, const char *path)
{
    const char *other;
    struct stat st;

    if (stat(path, &st)) {
        LOG_ERRNO(op, "cannot find the image %s", path);
        return ERROR_NOTFOUND;
    }
    other = libxlss__disk_of_other(op, path);
    if (other) {
        LOG_ERROR(op, "%s is a disk of domain %s", path, other);
        return XLSS(NOT_POSSIBLE);
    }
    return wait_closed(op, path, &st);
}
