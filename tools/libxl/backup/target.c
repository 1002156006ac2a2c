/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Where a backup goes: a new file, one that is there already, or an NBD
 * server. A new one is for root alone, as a copy of a guest's disk should be.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../disk/files.h"
#include "backup.h"

bool libxlss__target_is_file(const char *target)
{
    return target[0] == '/';
}

static const char *format_of(const libxl_backup_disk *b)
{
    return b->format == LIBXL_DISK_FORMAT_RAW ? "raw" : "qcow2";
}

static const char *problem(struct libxlss__op *op, const libxl_backup_disk *b,
                           bool incremental)
{
    struct libxlss__nbd_uri uri;

    if (!b->target)
        return "no target is said";
    if (b->format != LIBXL_DISK_FORMAT_QCOW2 &&
        b->format != LIBXL_DISK_FORMAT_RAW)
        return "the target's format has to be qcow2 or raw";
    if (!libxlss__target_is_file(b->target)) {
        if (!libxlss__nbd_uri_parse(op, b->target, &uri))
            return "the target is neither an absolute path nor an NBD URI "
                   "(nbd://HOST:PORT/NAME, nbd+unix:///NAME?socket=PATH)";
        return b->base ? "a base goes with a new qcow2 file only" : NULL;
    }
    if (b->base && (b->reuse || b->format != LIBXL_DISK_FORMAT_QCOW2))
        return "a base goes with a new qcow2 file only";
    if (incremental && b->format == LIBXL_DISK_FORMAT_RAW && !b->reuse)
        return "a raw file can't say what is in it and what is not: an "
               "incremental backup needs qcow2, or a raw file with the "
               "backup before, to be written over (reuse)";
    if (b->reuse && access(b->target, R_OK | W_OK))
        return "the target isn't there";
    return NULL;
}

int libxlss__target_check(struct libxlss__op *op, const libxl_backup_disk *b,
                          bool incremental)
{
    const char *why = problem(op, b, incremental);

    if (!why)
        return 0;
    LOG_ERROR(op, "disk %s, target %s: %s", b->vdev,
              b->target ? b->target : "(none)", why);
    return ERROR_INVAL;
}

int libxlss__target_make(struct libxlss__op *op, const libxl_backup_disk *b,
                         uint64_t size, bool *made_r)
{
    int rc;

    *made_r = false;
    if (b->reuse || !libxlss__target_is_file(b->target))
        return 0;
    rc = libxlss__file_reserve(op, b->target);
    if (rc)
        return rc;
    *made_r = true;
    return libxlss__image_make_as(op, b->target, format_of(b), b->base,
                                  b->base_format == LIBXL_DISK_FORMAT_RAW
                                  ? "raw" : "qcow2", size);
}

static void put_server(yajl_gen g, const struct libxlss__nbd_uri *uri)
{
    json_put_string(g, "driver", "nbd");
    json_put_string(g, "export", uri->name);
    json_put_key(g, "server");
    yajl_gen_map_open(g);
    json_put_string(g, "type", uri->path ? "unix" : "inet");
    if (uri->path) {
        json_put_string(g, "path", uri->path);
    } else {
        json_put_string(g, "host", uri->host);
        json_put_string(g, "port", uri->port);
    }
    yajl_gen_map_close(g);
}

static bool is_device(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISBLK(st.st_mode);
}

int libxlss__target_open(struct libxlss__qmp *qmp,
                         const struct libxlss__view *v,
                         const libxl_backup_disk *b, bool made)
{
    struct libxlss__op *op = qmp->op;
    yajl_gen g = yajl_gen_alloc(NULL);
    struct libxlss__nbd_uri uri;
    const unsigned char *text;
    size_t len;
    int rc;

    yajl_gen_map_open(g);
    json_put_string(g, "driver", format_of(b));
    json_put_string(g, "node-name", libxlss__view_node(op, v, b->vdev,
                                                       XLSS_TARGET));
    json_put_string(g, "discard", "unmap");
    /* What no image of a chain has is read as data (export_proxy.c). */
    if (!v->since)
        json_put_string(g, "detect-zeroes", "unmap");
    /* Else QEMU would open what it is based on, which it only writes over. */
    if (b->format == LIBXL_DISK_FORMAT_QCOW2) {
        json_put_key(g, "backing");
        yajl_gen_null(g);
    }
    json_put_key(g, "file");
    yajl_gen_map_open(g);
    json_put_string(g, "node-name",
                    libxlss__view_node(op, v, b->vdev,
                                       made ? XLSS_TARGET_MADE
                                            : XLSS_TARGET_FILE));
    if (!libxlss__target_is_file(b->target)) {
        libxlss__nbd_uri_parse(op, b->target, &uri);
        put_server(g, &uri);
    } else {
        json_put_string(g, "driver",
                        is_device(b->target) ? "host_device" : "file");
        json_put_string(g, "filename", b->target);
        json_put_string(g, "discard", "unmap");
    }
    yajl_gen_map_close(g);
    yajl_gen_map_close(g);
    yajl_gen_get_buf(g, &text, &len);
    rc = libxlss__qmp_run(qmp, "blockdev-add", (const char *)text,
                          XLSS_QMP_TIMEOUT_MS, NULL);
    yajl_gen_free(g);
    return rc;
}

int libxlss__target_sync(struct libxlss__op *op, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fsync(fd)) {
        LOG_ERRNO(op, "cannot bring the backup %s to the disk", path);
        if (fd >= 0)
            close(fd);
        return errno == ENOSPC ? XLSS(NO_SPACE) : ERROR_FAIL;
    }
    close(fd);
    return libxlss__folder_sync(op, path);
}
