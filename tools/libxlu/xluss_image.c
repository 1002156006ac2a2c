/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Memory images: xl's header, then libxl's stream. An image is written as
 * .NAME.mem.tmp (0600) and gets its name when all of it is on the disk.
 *
 * Nothing here lengthens the guest's pause: the hash is taken where a processor
 * has nothing else to do, and the rest of it while fsync is under way.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xluss.h"

#define ROOM_FIXED  (16u << 20)         /* bytes: device state, documents */
#define ROOM_SHARE  256                 /* and one in so many for records */
#define ROOM_ZSTD   8                   /* compressed to one in so many */
#define PROBE_BYTES (64u << 10)

void xluss__image_init(xluss__image *im)
{
    memset(im, 0, sizeof(*im));
    im->fd = im->out = im->dir.fd = -1;
}

/* The last bytes go through the compressor. */
static int image_finish(xluss__image *im, bool quiet)
{
    int rc = 0;

    if (im->z) {
        close(im->out);
        rc = xluss__zstd_end(im->z, quiet);
        im->z = NULL;
    }
    im->out = -1;
    return rc;
}

static void image_close(xluss__image *im)
{
    image_finish(im, true);
    xluss__hash_give_up(im->follower);
    im->follower = NULL;
    if (im->fd >= 0)
        close(im->fd);
    im->fd = -1;
}

void xluss__image_dispose(xluss__image *im)
{
    image_close(im);
    xluss__dir_close(&im->dir);
    free(im->name);
    free(im->temporary);
    free(im->path);
    xluss__image_init(im);
}

static char *file_name(const char *snapshot,
                       xlu_snapshot_memory_format format)
{
    return xluss__asprintf("%s.mem%s", snapshot,
                           format == XLU_SNAPSHOT_MEMORY_FORMAT_ZSTD
                           ? ".zst" : "");
}

static void name_files(xluss__image *im, const char *snapshot)
{
    im->name = file_name(snapshot, im->format);
    im->temporary = xluss__asprintf(".%s.tmp", im->name);
    im->path = xluss__asprintf("%s/%s", im->dir.path, im->name);
}

int xluss__image_place(xlu_snapshot_catalogue *cat, const char *folder,
                       const char *snapshot, xluss__image *im)
{
    char *real = NULL;
    int rc;

    im->lg = cat->lg;
    if (folder) {
        real = realpath(folder, NULL);
        if (!real) {
            LOGEV(cat->lg, ERROR, errno, "domain %s, snapshot %s: folder %s",
                  cat->dom.name, snapshot, folder);
            return ERROR_INVAL;
        }
    }
    rc = xluss__dir_open(cat->lg, real ? real : cat->snaps.path, false,
                         &im->dir);
    free(real);
    if (rc)
        return rc == ERROR_NOTFOUND ? ERROR_FAIL : rc;
    name_files(im, snapshot);
    if (xluss__file_exists(&im->dir, im->name) ||
        xluss__file_exists(&im->dir, im->temporary)) {
        LOG(cat->lg, ERROR, "domain %s, snapshot %s: %s exists already",
            cat->dom.name, snapshot, im->path);
        return LIBXL_SNAPSHOT_ERROR_EXISTS;
    }
    return 0;
}

int xluss__image_room(const xluss__image *im, uint64_t bytes)
{
    uint64_t need = bytes + bytes / ROOM_SHARE + ROOM_FIXED, have;
    int rc = xluss__dir_space(im->lg, &im->dir, &have);

    if (im->format == XLU_SNAPSHOT_MEMORY_FORMAT_ZSTD)
        need = bytes / ROOM_ZSTD + ROOM_FIXED;
    if (rc)
        return rc;
    if (have >= need)
        return 0;
    LOG(im->lg, ERROR, "no space for memory image %s: it needs %" PRIu64
        " MiB, %" PRIu64 " MiB are free", im->path, need >> 20, have >> 20);
    return LIBXL_SNAPSHOT_ERROR_NO_SPACE;
}

int xluss__image_begin(xluss__image *im, const char *config_json)
{
    int rc = xluss__file_new(im->lg, &im->dir, im->temporary, &im->fd);

    if (rc)
        return rc;
    if (im->format == XLU_SNAPSHOT_MEMORY_FORMAT_ZSTD)
        rc = xluss__zstd_writer(im->lg, im->path, im->fd, &im->z, &im->out);
    else
        im->out = im->fd;
    if (!rc)
        rc = xluss__header_write(im->lg, im->out, im->path, config_json);
    if (!rc)
        im->follower = xluss__hash_follow(im->fd);
    return rc;
}

int xluss__image_error(const xluss__image *im)
{
    return im->z ? xluss__zstd_error(im->z) : 0;
}

/* The image is given up anyway: more is written to it, to see why. */
bool xluss__image_full(xluss__image *im)
{
    static const char zeroes[PROBE_BYTES];
    off_t end;
    int e;

    if (im->z)
        return image_finish(im, true) == LIBXL_SNAPSHOT_ERROR_NO_SPACE;
    end = im->fd < 0 ? -1 : lseek(im->fd, 0, SEEK_END);
    if (end < 0)
        return false;
    e = xluss__write_all(im->fd, zeroes, sizeof(zeroes));
    return e == ENOSPC || e == EDQUOT || e == EFBIG;
}

static void *sync_thread(void *fd)
{
    return (void *)(intptr_t)(fsync(*(int *)fd) ? errno : 0);
}

/* Both at once. Returns an errno. */
static int sync_and_hash(xluss__image *im, uint64_t size, char text[17])
{
    int e_hash, e_sync;
    pthread_t thread;
    bool threaded;
    void *ret;

    threaded = !pthread_create(&thread, NULL, sync_thread, &im->fd);
    if (im->follower)
        e_hash = xluss__hash_end(im->follower, text);
    else
        e_hash = xluss__hash_file(im->fd, size, text);
    im->follower = NULL;
    ret = threaded ? NULL : sync_thread(&im->fd);
    if (threaded)
        pthread_join(thread, &ret);
    e_sync = (intptr_t)ret;
    return e_sync ? e_sync : e_hash;
}

int xluss__image_seal(xluss__image *im, xlu_snapshot_memory *m)
{
    struct stat st;
    char text[17];
    int e, rc;

    rc = image_finish(im, false);
    if (rc)
        return rc;
    e = fstat(im->fd, &st) ? errno : sync_and_hash(im, st.st_size, text);
    if (e) {
        LOGEV(im->lg, ERROR, e, "bringing memory image %s to the disk",
              im->path);
        return xluss__rc(e);
    }
    m->size = st.st_size;
    m->format = im->format;
    xluss__replace(&m->xxh64, text);
    xluss__replace(&m->path, im->path);
    return 0;
}

int xluss__image_publish(xluss__image *im)
{
    return xluss__file_rename(im->lg, &im->dir, im->temporary, im->name);
}

int xluss__image_drop(xluss__image *im)
{
    int rc, rc2;

    image_close(im);
    if (!im->name)
        return 0;
    rc = xluss__file_drop(im->lg, &im->dir, im->temporary);
    rc2 = xluss__file_drop(im->lg, &im->dir, im->name);
    return rc ? rc : rc2;
}

/* Splits path, which must be one that `snapshot` can have; false if it isn't.
 * Nothing but its name tells the format here. */
static bool split_path(const char *path, const char *snapshot,
                       xlu_snapshot_memory_format *format_out,
                       char **folder_out)
{
    static const xlu_snapshot_memory_format formats[] = {
        XLU_SNAPSHOT_MEMORY_FORMAT_RAW, XLU_SNAPSHOT_MEMORY_FORMAT_ZSTD,
    };
    const char *slash = strrchr(path, '/');
    bool good = false;
    size_t i;

    for (i = 0; !good && path[0] == '/' && i < 2; i++) {
        char *name = file_name(snapshot, formats[i]);

        good = !strcmp(slash + 1, name);
        *format_out = formats[i];
        free(name);
    }
    *folder_out = good ? xluss__asprintf("%.*s", (int)(slash - path), path)
                       : NULL;
    return good;
}

/* From the file at its beginning, which is closed in the end. */
static int read_header(xentoollog_logger *lg, const char *path,
                       xlu_snapshot_memory_format format, int file,
                       int *fd_out, xluss__zstd **z_out,
                       char **config_json_out)
{
    int rc = 0;

    *fd_out = file;
    *z_out = NULL;
    *config_json_out = NULL;
    if (format == XLU_SNAPSHOT_MEMORY_FORMAT_ZSTD)
        rc = xluss__zstd_reader(lg, path, file, z_out, fd_out);
    if (rc)
        return rc;
    rc = xluss__header_read(lg, *fd_out, path, config_json_out);
    if (!rc)
        return 0;
    close(*fd_out);
    *fd_out = -1;
    if (*z_out)
        xluss__zstd_end(*z_out, false);
    *z_out = NULL;
    return rc;
}

/* Says why not. */
static bool begins_as_image(xluss__image *im)
{
    xluss__zstd *z;
    char *json;
    int rc, fd;

    fd = openat(im->dir.fd, im->name,
                O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT;
    rc = read_header(im->lg, im->path, im->format, fd, &fd, &z, &json);
    if (rc)
        return false;
    free(json);
    close(fd);
    if (z)
        xluss__zstd_end(z, true);
    return true;
}

int xluss__image_drop_path(xlu_snapshot_catalogue *cat, const char *snapshot,
                           const char *path)
{
    xluss__image im;
    char *folder;
    int rc;

    xluss__image_init(&im);
    im.lg = cat->lg;
    if (!split_path(path, snapshot, &im.format, &folder)) {
        LOG(cat->lg, WARN, "domain %s, snapshot %s: %s is left where it is, "
            "since it is not where the catalogue would put it",
            cat->dom.name, snapshot, path);
        return 0;
    }
    rc = xluss__dir_open(cat->lg, folder, false, &im.dir);
    if (rc == ERROR_NOTFOUND) {
        LOG(cat->lg, WARN, "domain %s, snapshot %s: folder %s is not there; "
            "its memory image is not removed", cat->dom.name, snapshot,
            folder);
        rc = 0;
        goto out;
    }
    if (rc) goto out;
    name_files(&im, snapshot);
    rc = xluss__file_drop(cat->lg, &im.dir, im.temporary);
    if (rc) goto out;
    /* In a folder of others, only what is surely an image. */
    if (strcmp(folder, cat->snaps.path) && !begins_as_image(&im)) {
        LOG(cat->lg, WARN, "domain %s, snapshot %s: %s is left where it is",
            cat->dom.name, snapshot, path);
        goto out;
    }
    rc = xluss__file_drop(cat->lg, &im.dir, im.name);
    if (rc) goto out;
    rc = xluss__dir_sync(cat->lg, &im.dir);
out:
    xluss__image_dispose(&im);
    free(folder);
    return rc;
}

/* Size and hash as they were noted; an image of others has none. */
static int check_content(xentoollog_logger *lg, const xlu_snapshot *s,
                         int fd)
{
    const xlu_snapshot_memory *m = &s->memory;
    struct stat st;
    char text[17];
    int e;

    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        LOG(lg, ERROR, "snapshot %s: %s is not a regular file", s->name,
            m->path);
        return LIBXL_SNAPSHOT_ERROR_DAMAGED;
    }
    if (m->size && (uint64_t)st.st_size != m->size) {
        LOG(lg, ERROR, "snapshot %s: memory image %s has %" PRIu64
            " bytes, it had %" PRIu64, s->name, m->path,
            (uint64_t)st.st_size, m->size);
        return LIBXL_SNAPSHOT_ERROR_DAMAGED;
    }
    if (!m->xxh64)
        return 0;
    e = xluss__hash_file(fd, st.st_size, text);
    if (e) {
        LOGEV(lg, ERROR, e, "snapshot %s: reading memory image %s", s->name,
              m->path);
        return LIBXL_SNAPSHOT_ERROR_DAMAGED;
    }
    if (strcmp(text, m->xxh64)) {
        LOG(lg, ERROR, "snapshot %s: memory image %s is damaged: its "
            "checksum is %s, it was %s", s->name, m->path, text, m->xxh64);
        return LIBXL_SNAPSHOT_ERROR_DAMAGED;
    }
    return 0;
}

int xluss__image_measure(xentoollog_logger *lg, int fd,
                         xlu_snapshot_memory *m)
{
    struct stat st;
    char text[17];
    int e = fstat(fd, &st) ? errno : xluss__hash_file(fd, st.st_size, text);

    if (e) {
        LOGEV(lg, ERROR, e, "reading memory image %s", m->path);
        return LIBXL_SNAPSHOT_ERROR_DAMAGED;
    }
    m->size = st.st_size;
    xluss__replace(&m->xxh64, text);
    return 0;
}

static int open_file(xentoollog_logger *lg, const xlu_snapshot *s,
                     int *file_out)
{
    *file_out = open(s->memory.path,
                     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (*file_out >= 0)
        return 0;
    LOGEV(lg, ERROR, errno, "snapshot %s: opening memory image %s", s->name,
          s->memory.path);
    return LIBXL_SNAPSHOT_ERROR_DAMAGED;
}

int xluss__image_open(xentoollog_logger *lg, const xlu_snapshot *s,
                      int *fd_out, xluss__zstd **z_out,
                      char **config_json_out)
{
    int file, rc;

    *config_json_out = NULL;
    *z_out = NULL;
    *fd_out = -1;
    rc = open_file(lg, s, &file);
    if (rc)
        return rc;
    rc = check_content(lg, s, file);
    if (rc) {
        close(file);
        return rc;
    }
    return read_header(lg, s->memory.path, s->memory.format, file, fd_out,
                       z_out, config_json_out);
}

int xluss__image_reopen(xentoollog_logger *lg, const xlu_snapshot *s,
                        int *fd_out, xluss__zstd **z_out)
{
    char *json = NULL;
    int file, rc;

    rc = open_file(lg, s, &file);
    if (!rc)
        rc = read_header(lg, s->memory.path, s->memory.format, file, fd_out,
                         z_out, &json);
    free(json);
    return rc;
}

int xluss__image_probe(xentoollog_logger *lg, const xlu_snapshot *s,
                       char **config_json_out)
{
    xluss__zstd *z = NULL;
    int fd, rc = xluss__image_open(lg, s, &fd, &z, config_json_out);

    if (rc)
        return rc;
    close(fd);
    if (z)
        xluss__zstd_end(z, true);
    return 0;
}

xlu_snapshot_memory_format xluss__image_format(const char *path)
{
    return xluss__ends_with(path, ".zst") ? XLU_SNAPSHOT_MEMORY_FORMAT_ZSTD
                                          : XLU_SNAPSHOT_MEMORY_FORMAT_RAW;
}

void xluss__image_own(xlu_snapshot_catalogue *cat, const char *snapshot,
                      xlu_snapshot_memory *m)
{
    char *file = xluss__file_name(snapshot, ".mem.zst");

    if (!xluss__file_exists(&cat->snaps, file)) {
        free(file);
        file = xluss__file_name(snapshot, ".mem");
    }
    free(m->path);
    m->path = xluss__asprintf("%s/%s", cat->snaps.path, file);
    m->format = xluss__image_format(file);
    free(file);
}
