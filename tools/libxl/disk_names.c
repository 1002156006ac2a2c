/* SPDX-License-Identifier: LGPL-2.1-only */
/* Calls about the paths of disks, which belong to no one snapshot. */
#include <stdlib.h>
#include <string.h>

#include "disk/disk.h"
#include "disk/files.h"

int libxl_domain_disk_names_put_right(libxl_ctx *ctx, const char *path,
                                      const libxl_snapshot_how *how)
{
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, ctx, XLSS_OFF, "disk names", how);
    if (!rc)
        rc = libxlss__name_put_right(&op, path);
    libxlss__op_end(&op);
    return rc;
}

char *libxl_domain_disk_settled_path(libxl_ctx *ctx, const char *path,
                                     const libxl_snapshot_how *how)
{
    struct libxlss__op op;
    char *settled = NULL;

    if (!libxlss__op_begin(&op, ctx, XLSS_OFF, "disk names", how))
        settled = strdup(libxlss__name_settled(&op, path));
    libxlss__op_end(&op);
    return settled;
}

/* --- a chain that somebody else has changed --- */

static int format_of(const struct libxlss__node *node,
                     libxl_disk_format *format_r)
{
    if (!strcmp(node->driver, "qcow2"))
        *format_r = LIBXL_DISK_FORMAT_QCOW2;
    else if (!strcmp(node->driver, "raw") || !strcmp(node->driver, "file"))
        *format_r = LIBXL_DISK_FORMAT_RAW;
    else
        return XLSS(NOT_POSSIBLE);
    return 0;
}

static int look(struct libxlss__op *op, const char *vdev,
                struct libxlss__node **root_r)
{
    struct libxlss__graph *graph = libxlss__zalloc(op, sizeof(*graph));
    struct libxlss__qmp qmp;
    int rc;

    if (!libxlss__qemu_alive(op)) {
        LOG_ERROR(op, "disk %s: no QEMU has it", vdev);
        return XLSS(NO_QEMU);
    }
    rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    rc = libxlss__graph_read(&qmp, graph);
    if (!rc)
        *root_r = libxlss__graph_root(graph, vdev);
    if (!rc && (!*root_r || (*root_r)->file[0] != '/')) {
        LOG_ERROR(op, "disk %s: QEMU has no file for it", vdev);
        rc = XLSS(NO_QEMU);
    }
    libxlss__qmp_close(&qmp);
    return rc;
}

static int chain_changed(struct libxlss__op *op, const char *vdev)
{
    struct libxlss__node *root = NULL;
    const char *known = NULL;
    libxl_disk_format format;
    int i, rc;

    rc = libxlss__domain_config(op);
    for (i = 0; !rc && i < op->config.num_disks; i++)
        if (op->config.disks[i].vdev && op->config.disks[i].pdev_path &&
            !strcmp(op->config.disks[i].vdev, vdev))
            known = libxlss__strdup(op, op->config.disks[i].pdev_path);
    if (!rc && !known) {
        LOG_ERROR(op, "no disk %s in this domain", vdev);
        rc = ERROR_NOTFOUND;
    }
    if (!rc)
        rc = look(op, vdev, &root);
    if (!rc)
        rc = format_of(root, &format);
    if (rc || libxlss__same_file(known, root->file))
        return rc;
    return libxlss__config_move(op, vdev, known, root->file, format);
}

int libxl_domain_disk_chain_changed(libxl_ctx *ctx, uint32_t domid,
                                    const char *vdev,
                                    const libxl_snapshot_how *how)
{
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, ctx, domid, "disk chain", how);
    if (!rc && domid == XLSS_OFF)
        rc = ERROR_INVAL;
    if (!rc)
        rc = libxlss__oplock(&op, how ? how->wait_seconds : 0);
    if (!rc)
        rc = chain_changed(&op, vdev);
    libxlss__op_end(&op);
    return rc;
}
