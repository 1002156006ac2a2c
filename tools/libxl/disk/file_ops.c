/* SPDX-License-Identifier: LGPL-2.1-only */
/* Names of files, each step of which leaves either the old or the new. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <linux/fs.h>

#include "files.h"

bool libxlss__file_exists(const char *path)
{
    struct stat st;

    return !lstat(path, &st);
}

int libxlss__folder_sync(struct libxlss__op *op, const char *path)
{
    char *folder = libxlss__path_beside(op, path, ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

    if (fd < 0 || fsync(fd)) {
        LOG_ERRNO(op, "cannot bring the folder %s to the disk", folder);
        rc = errno == ENOSPC ? XLSS(NO_SPACE) : ERROR_FAIL;
    }
    if (fd >= 0)
        close(fd);
    return rc;
}

int libxlss__file_sync(struct libxlss__op *op, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;

    if (fd < 0 || fsync(fd)) {
        LOG_ERRNO(op, "cannot bring %s to the disk", path);
        rc = errno == ENOSPC ? XLSS(NO_SPACE) : ERROR_FAIL;
    }
    if (fd >= 0)
        close(fd);
    return rc;
}

int libxlss__file_link(struct libxlss__op *op, const char *from,
                       const char *to)
{
    if (!linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW) ||
        (errno == EEXIST && libxlss__same_file(from, to)))
        return libxlss__folder_sync(op, to);
    LOG_ERRNO(op, "cannot give %s the name %s as well", from, to);
    return errno == EEXIST ? XLSS(EXISTS)
         : errno == ENOSPC ? XLSS(NO_SPACE)
         : errno == EPERM || errno == EXDEV || errno == EMLINK ||
           errno == EOPNOTSUPP ? XLSS(NOT_POSSIBLE) : ERROR_FAIL;
}

/* More than a guest can write while two commands are sent. */
#define ROOM (1LL << 30)

int libxlss__file_make_room(struct libxlss__op *op, const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    int rc = 0;

    if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) ||
        ftruncate(fd, st.st_size + ROOM)) {
        LOG_ERRNO(op, "cannot make the file %s longer", path);
        rc = ERROR_FAIL;
    }
    if (fd >= 0)
        close(fd);
    return rc;
}

int libxlss__file_rename(struct libxlss__op *op, const char *from,
                         const char *to)
{
    /* rename() does nothing where both are the same file already. */
    if (libxlss__same_file(from, to))
        return libxlss__file_unlink(op, from);
    if (!rename(from, to))
        return libxlss__folder_sync(op, to);
    LOG_ERRNO(op, "cannot rename %s to %s", from, to);
    return ERROR_FAIL;
}

int libxlss__file_replace(struct libxlss__op *op, const char *from,
                          const char *to)
{
    libxlss__file_set_immutable(op, to, false);
    return libxlss__file_rename(op, from, to);
}

int libxlss__file_unlink(struct libxlss__op *op, const char *path)
{
    if (!unlink(path))
        return libxlss__folder_sync(op, path);
    if (errno == ENOENT)
        return 0;
    LOG_ERRNO(op, "cannot remove %s", path);
    return ERROR_FAIL;
}

bool libxlss__file_set_immutable(struct libxlss__op *op, const char *path,
                                 bool immutable)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), flags = 0;
    bool done;

    if (fd < 0)
        return false;
    done = !ioctl(fd, FS_IOC_GETFLAGS, &flags);
    if (done && !!(flags & FS_IMMUTABLE_FL) != immutable) {
        flags ^= FS_IMMUTABLE_FL;
        done = !ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
    close(fd);
    LOG_DEBUG(op, "%s: immutable %s%s", path, immutable ? "on" : "off",
              done ? "" : ": not possible");
    return done;
}

#define MARK "user.xlss.base"

/* Where there are no such attributes, a base that nothing needs any more may
 * stay behind; nothing else depends on the mark. */
void libxlss__file_mark_base(struct libxlss__op *op, const char *path)
{
    if (setxattr(path, MARK, "1", 1, 0))
        LOG_DEBUG(op, "%s can't be marked: %s", path, strerror(errno));
}

bool libxlss__file_is_marked(const char *path)
{
    char value[2];

    return getxattr(path, MARK, value, sizeof(value)) == 1;
}

void libxlss__file_unmark(const char *path)
{
    (void)!removexattr(path, MARK);
}

/* The name is taken first, so that nobody's file is overwritten. */
int libxlss__file_reserve(struct libxlss__op *op, const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0) {
        LOG_ERRNO(op, "cannot make %s", path);
        return errno == EEXIST ? XLSS(EXISTS)
             : errno == ENOSPC ? XLSS(NO_SPACE) : ERROR_FAIL;
    }
    close(fd);
    return 0;
}

int libxlss__file_like(struct libxlss__op *op, const char *path,
                       const char *like)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    struct stat st;

    if (fd < 0 || fsync(fd)) {
        LOG_ERRNO(op, "cannot bring %s to the disk", path);
        rc = errno == ENOSPC ? XLSS(NO_SPACE) : ERROR_FAIL;
    /* What can't be is not worth a failure: QEMU runs as root. */
    } else if (!stat(like, &st) && (fchown(fd, st.st_uid, st.st_gid) ||
                                    fchmod(fd, st.st_mode & 0777))) {
        LOG_DEBUG(op, "%s doesn't get the owner and mode of %s", path, like);
    }
    if (fd >= 0)
        close(fd);
    return rc;
}

int libxlss__overlay_make(struct libxlss__op *op, const char *path,
                          const char *base, const char *base_format,
                          uint64_t size, const char *like)
{
    int rc = libxlss__file_reserve(op, path);

    if (rc)
        return rc;
    rc = libxlss__image_make_overlay(op, path,
                                     libxlss__path_from(op, path, base),
                                     base_format, size);
    if (!rc)
        rc = libxlss__file_like(op, path, like);
    if (!rc)
        rc = libxlss__folder_sync(op, path);
    if (rc)
        libxlss__file_unlink(op, path);
    return rc;
}

int libxlss__overlay_check_empty(struct libxlss__op *op, const char *path,
                                 const char *base, uint64_t size)
{
    const char *why = NULL;
    struct libxlss__qcow2 q;
    bool empty = false;
    int rc;

    rc = libxlss__qcow2_read(op, path, &q);
    if (rc == ERROR_NOTFOUND) {
        LOG_ERROR(op, "the overlay %s, which was to be used, isn't there",
                  path);
        return ERROR_NOTFOUND;
    }
    if (rc)
        return rc;
    if (!q.is_qcow2)
        why = "it is no qcow2 file";
    else if (q.external_data)
        why = "its data are in another file";
    else if (q.size != size)
        why = "its size is not the disk's";
    else if (q.num_snapshots)
        why = "it holds snapshots";
    else if (!q.backing_path || !libxlss__same_file(q.backing_path, base))
        why = "it is not based on the disk's image";
    else if (!q.backing_format)
        why = "it does not say the format of what it is based on";
    if (!why) {
        rc = libxlss__image_is_empty(op, path, &empty);
        if (rc)
            return rc;
        if (!empty)
            why = "it holds data already";
    }
    if (!why)
        return 0;
    LOG_ERROR(op, "the overlay %s can't be used: %s", path, why);
    return XLSS(NOT_POSSIBLE);
}
