/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Loop devices on a file: blkback serves a raw file through one, and no
 * process has the file open then.
 *
 * What the loop device has acknowledged is in the file's page cache (or on
 * the disk, with direct-io), where FICLONE sees it. The device's own page
 * cache is used by programs in dom0 that open it, not by blkback; it is
 * written out all the same, since that costs nothing where it is clean.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libxlss_internal.h"

/* The device, open, if it is on the file; else -1. */
static int open_if_on(const char *name, const struct stat *file)
{
    struct loop_info64 info;
    char path[300];
    int fd;

    /* An unbound one has no such folder, and is not to be woken. */
    snprintf(path, sizeof(path), "/sys/block/%s/loop", name);
    if (access(path, F_OK))
        return -1;
    snprintf(path, sizeof(path), "/dev/%s", name);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -1;
    if (!ioctl(fd, LOOP_GET_STATUS64, &info) &&
        info.lo_inode == file->st_ino && info.lo_device == file->st_dev)
        return fd;
    close(fd);
    return -1;
}

static int sync_one(int fd)
{
    return sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE |
                           SYNC_FILE_RANGE_WRITE |
                           SYNC_FILE_RANGE_WAIT_AFTER);
}

int libxlss__loops(const struct stat *file, bool sync, char name[32])
{
    DIR *dir = opendir("/sys/block");
    struct dirent *e;
    int fd, num = 0;

    while (dir && (e = readdir(dir))) {
        if (strncmp(e->d_name, "loop", 4) || strlen(e->d_name) > 31)
            continue;
        fd = open_if_on(e->d_name, file);
        if (fd < 0)
            continue;
        if (sync && sync_one(fd))
            num = -1;
        else if (num >= 0)
            num++;
        if (name)
            strcpy(name, e->d_name);
        close(fd);
    }
    if (dir)
        closedir(dir);
    return num;
}
