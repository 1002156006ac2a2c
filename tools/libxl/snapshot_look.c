/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What can be seen without touching anything: the snapshots inside an image,
 * and whether somebody is at work on a domain, or has died at it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "disk/disk.h"
#include "export.h"

int libxl_disk_snapshot_list(libxl_ctx *ctx, const libxl_device_disk *disk,
                             libxl_disk_snapshot **list_out, int *num_out,
                             const libxl_snapshot_how *how)
{
    struct libxlss__image image;
    libxl_disk_snapshot *list;
    struct libxlss__op op;
    int i, rc;

    *list_out = NULL;
    *num_out = 0;
    rc = libxlss__op_begin(&op, ctx, XLSS_OFF, "snapshot-check", how);
    if (!rc && (!disk->pdev_path || disk->pdev_path[0] != '/'))
        rc = ERROR_INVAL;
    if (!rc && access(disk->pdev_path, F_OK))
        rc = ERROR_NOTFOUND;
    if (!rc)
        rc = libxlss__image_info(&op, disk->pdev_path, &image);
    if (rc || !image.num_snapshots)
        goto out;
    list = calloc(image.num_snapshots, sizeof(*list));
    if (!list)
        abort();
    for (i = 0; i < image.num_snapshots; i++) {
        libxl_disk_snapshot_init(&list[i]);
        libxl_disk_snapshot_init_kind(&list[i],
                                      LIBXL_DISK_SNAPSHOT_KIND_INTERNAL);
        libxl_device_disk_copy(ctx, &list[i].device, disk);
        list[i].name = strdup(image.snapshots[i]);
        list[i].size = image.size;
    }
    *list_out = list;
    *num_out = image.num_snapshots;
out:
    libxlss__op_end(&op);
    return rc;
}

/* Somebody holds the domain's lock; its process if it lives: a guard holds
 * on to that of one that has died. */
static bool is_busy(struct libxlss__op *op, int *holder_r)
{
    char *path = libxlss__printf(op, "%s/op-%s.lock", libxlss__run_dir,
                                 op->uuid);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char text[32] = "";
    bool busy;

    if (fd < 0)
        return false;
    busy = flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
    if (busy && pread(fd, text, sizeof(text) - 1, 0) > 0 &&
        libxlss__process_alive(atoi(text)))
        *holder_r = atoi(text);
    close(fd);
    return busy;
}

/* QEMU is stopped, and neither Xen nor an admin has stopped the guest. Asked
 * twice: a save that begins just now looks the same for a moment. */
static int is_stopped(struct libxlss__op *op, bool *stopped_r)
{
    struct libxlss__qmp qmp;
    bool running = true;
    int rc, tries;

    *stopped_r = false;
    for (tries = 0; tries < 2; tries++) {
        if (tries)
            libxlss__sleep_ms(1000);
        if (!libxlss__qemu_alive(op) || op->info.paused ||
            op->info.shutdown || op->info.dying)
            return 0;
        rc = libxlss__qmp_open(op, &qmp);
        if (rc)
            return rc;
        rc = libxlss__qmp_running(&qmp, &running);
        libxlss__qmp_close(&qmp);
        if (!rc)
            rc = libxlss__domain_refresh(op);
        if (rc || running)
            return rc;
    }
    *stopped_r = !op->info.paused && !op->info.shutdown && !op->info.dying;
    return 0;
}

int libxl_domain_snapshot_look(libxl_ctx *ctx, uint32_t domid,
                               libxl_domain_snapshot_status *out,
                               const libxl_snapshot_how *how)
{
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, ctx, domid, "snapshot-check", how);
    if (!rc && domid == XLSS_OFF)
        rc = ERROR_INVAL;
    if (!rc) {
        out->busy = is_busy(&op, &out->holder);
        out->paused = op.info.paused;
        out->suspended = libxlss__is_suspended(&op.info);
        if (!out->busy)
            rc = is_stopped(&op, &out->stopped);
    }
    libxlss__op_end(&op);
    return rc;
}

static bool is_export_socket(const char *name)
{
    size_t len = strlen(name);

    return !strncmp(name, "nbd-", 4) && len > 9 &&
           !strcmp(name + len - 5, ".sock");
}

static bool is_served(const struct libxlss__server *servers, int num,
                      const char *path)
{
    int i;

    for (i = 0; i < num; i++)
        if (!strcmp(servers[i].socket, path))
            return true;
    return false;
}

int libxl_domain_snapshot_export_tidy(libxl_ctx *ctx, bool remove,
                                      int *num_out,
                                      const libxl_snapshot_how *how)
{
    struct libxlss__server *servers;
    struct libxlss__op op;
    struct dirent *e;
    DIR *dir = NULL;
    int num, rc;

    *num_out = 0;
    rc = libxlss__op_begin(&op, ctx, XLSS_OFF, "snapshot-export", how);
    if (!rc)
        dir = opendir(libxlss__run_dir);
    /* The sockets first: one that is new has a server by the time when those
     * are looked for. */
    while (dir && (e = readdir(dir))) {
        char *path;

        if (!is_export_socket(e->d_name))
            continue;
        path = libxlss__printf(&op, "%s/%s", libxlss__run_dir, e->d_name);
        servers = libxlss__servers(&op, &num);
        if (is_served(servers, num, path))
            continue;
        ++*num_out;
        if (remove && unlink(path) && errno != ENOENT) {
            libxlss__log(&op, XTL_ERROR, errno, "cannot remove %s", path);
            rc = ERROR_FAIL;
        }
    }
    if (dir)
        closedir(dir);
    libxlss__op_end(&op);
    return rc;
}
