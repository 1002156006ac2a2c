/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A disk that was taken from a domain after an external snapshot. QEMU's
 * xen-block only knows the node that it has made itself, and that can't go as
 * long as an overlay of ours is based on it: both stay, the image remains
 * open, and no other disk can have the same vdev.
 */
#include <string.h>

#include "backup/view.h"
#include "graph/graph.h"

#define GONE_MS 3000            /* for QEMU to see that the disk is gone */
#define LOOK_MS 100
#define VDEV_SHOWN 8            /* of its bytes are in a node's name */

/* The vdev in the name of a node of this library's, or NULL. */
static char *vdev_of(struct libxlss__op *op, const struct libxlss__node *node)
{
    size_t len = strlen(XLSS_NODE);
    const char *vdev = node->name + len, *end;

    if (strncmp(node->name, XLSS_NODE, len) || libxlss__node_is_view(node))
        return NULL;
    end = strchr(vdev, '-');
    return end ? libxlss__printf(op, "%.*s", (int)(end - vdev), vdev) : NULL;
}

static bool in_domain(const libxl_device_disk *disks, int num,
                      const char *vdev)
{
    int i;

    for (i = 0; i < num; i++)
        if (disks[i].vdev && !strncmp(disks[i].vdev, vdev, VDEV_SHOWN))
            return true;
    return false;
}

/* What is in use by a device, or as the base of what is, stays. */
static void drop_nodes(struct libxlss__qmp *qmp, struct libxlss__graph *graph,
                       const char *vdev)
{
    char *own = libxlss__printf(qmp->op, "%s-", vdev);
    int i;

    LOG_INFO(qmp->op, "disk %s is gone: QEMU closes what it has open of it",
             vdev);
    libxlss__tidy_nodes(qmp, vdev);
    for (i = 0; i < graph->num_nodes; i++)
        if (!strncmp(graph->nodes[i].name, own, strlen(own)))
            libxlss__qmp_try_del_node(qmp, graph->nodes[i].name);
    /* What xen-block's node had open. */
    libxlss__tidy_nodes(qmp, vdev);
}

static bool seen_before(struct libxlss__op *op, struct libxlss__graph *graph,
                        int i, const char *vdev)
{
    const char *other;

    while (i-- > 0) {
        other = vdev_of(op, &graph->nodes[i]);
        if (other && !strcmp(other, vdev))
            return true;
    }
    return false;
}

/* *left_r: QEMU still has the device of a disk that the domain has lost. */
static int drop_all(struct libxlss__op *op, const libxl_device_disk *disks,
                    int num, bool *left_r)
{
    struct libxlss__graph *graph = libxlss__zalloc(op, sizeof(*graph));
    struct libxlss__qmp qmp;
    int i, rc = libxlss__qmp_open(op, &qmp);

    *left_r = false;
    if (rc)
        return rc;
    rc = libxlss__graph_read(&qmp, graph);
    for (i = 0; !rc && i < graph->num_nodes; i++) {
        char *vdev = vdev_of(op, &graph->nodes[i]);

        if (!vdev || in_domain(disks, num, vdev) ||
            seen_before(op, graph, i, vdev))
            continue;
        if (libxlss__graph_root(graph, vdev))
            *left_r = true;
        else
            drop_nodes(&qmp, graph, vdev);
    }
    libxlss__qmp_close(&qmp);
    return rc;
}

static int detached(struct libxlss__op *op)
{
    uint64_t until = libxlss__now_ms() + GONE_MS;
    libxl_device_disk *disks;
    bool left = true;
    int num = 0, rc = 0;

    if (!libxlss__qemu_alive(op))
        return 0;
    disks = libxl_device_disk_list(op->ctx, op->domid, &num);
    while (!rc && left) {
        rc = drop_all(op, disks, num, &left);
        if (!rc && left && libxlss__now_ms() >= until) {
            LOG_ERROR(op, "QEMU still has a device of a disk that the domain "
                      "does not have any more");
            rc = XLSS(BUSY);
        }
        if (!rc && left)
            libxlss__sleep_ms(LOOK_MS);
    }
    libxl_device_disk_list_free(disks, num);
    return rc;
}

int libxl_domain_disk_detached(libxl_ctx *ctx, uint32_t domid,
                               const libxl_snapshot_how *how)
{
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, ctx, domid, "disk detached", how);
    if (!rc && domid == XLSS_OFF)
        rc = ERROR_INVAL;
    if (!rc)
        rc = libxlss__oplock(&op, how ? how->wait_seconds : 0);
    if (!rc)
        rc = detached(&op);
    libxlss__op_end(&op);
    return rc;
}
