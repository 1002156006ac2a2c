/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Which node the guest writes a disk through. A PV or PVH guest has one:
 * xen-block's. An HVM guest has two on the same image, the emulated disk's
 * and xen-block's, until its PV drivers unplug the emulated one; without PV
 * drivers both stay for ever, and xen-block's is idle.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../backup/view.h"
#include "graph.h"

/* XenbusStateConnected, of xen/io/xenbus.h: the guest's driver is at work. */
#define XENBUS_CONNECTED 4

static bool same_file(const char *a, const char *b)
{
    struct stat sa, sb;

    if (!strcmp(a, b))
        return true;
    return !stat(a, &sa) && !stat(b, &sb) && sa.st_ino == sb.st_ino &&
           sa.st_dev == sb.st_dev;
}

/* xen-block's own node of a vdev is named VDEV-DRIVER, ours are XLSS_NODE
 * and then the same, a view's filter has its id before. */
static bool named_for(const char *node, const char *vdev)
{
    char id[XLSS_VIEW_ID + 1], of[32], role;
    size_t len = strlen(vdev);

    if (libxlss__view_parse(node, id, of, &role))
        return role == XLSS_FILTER && !strcmp(of, vdev);
    if (!strncmp(node, XLSS_NODE, strlen(XLSS_NODE)))
        node += strlen(XLSS_NODE);
    return !strncmp(node, vdev, len) && node[len] == '-';
}

/* The property says the partition too: xvda0 for the whole of xvda. */
static bool property_is(const char *property, const char *vdev)
{
    size_t len = strlen(vdev);

    return !strncmp(property, vdev, len) &&
           (!property[len] || !strcmp(property + len, "0"));
}

/* A vdev may also be a bare number, which the property never is. */
static bool is_pv_root(const struct libxlss__root *root, const char *vdev)
{
    if (*root->drive)
        return false;
    if (root->vdev && isalpha((unsigned char)vdev[0]))
        return property_is(root->vdev, vdev);
    return named_for(root->node->name, vdev);
}

struct libxlss__node *libxlss__graph_root(struct libxlss__graph *graph,
                                          const char *vdev)
{
    int i;

    for (i = 0; i < graph->num_roots; i++)
        if (is_pv_root(&graph->roots[i], vdev))
            return graph->roots[i].node;
    return NULL;
}

static int backend_state(struct libxlss__op *op, const char *vdev)
{
    libxl_device_disk disk;
    libxl_diskinfo info;
    char *state = NULL;

    libxl_device_disk_init(&disk);
    libxl_diskinfo_init(&info);
    if (!libxl_vdev_to_device_disk(op->ctx, op->domid, vdev, &disk) &&
        !libxl_device_disk_getinfo(op->ctx, op->domid, &disk, &info) &&
        info.backend)
        state = libxlss__xs_read(op, "%s/state", info.backend);
    libxl_diskinfo_dispose(&info);
    libxl_device_disk_dispose(&disk);
    return state ? atoi(state) : 0;
}

static int open_twice(struct libxlss__op *op, const char *vdev,
                      const char *path, const char *why)
{
    LOG_ERROR(op, "disk %s: two writable nodes of QEMU have %s open: %s",
              vdev, path, why);
    return XLSS(IMAGE_OPEN_TWICE);
}

/* Both openings are there: which one is at work? */
static int choose(struct libxlss__op *op, const char *vdev, const char *path,
                  struct libxlss__node *pv, struct libxlss__node *emulated,
                  struct libxlss__writer *w)
{
    if (backend_state(op, vdev) == XENBUS_CONNECTED)
        return open_twice(op, vdev, path, "the guest uses its PV driver and "
                          "has not unplugged the emulated disk");
    if (pv->num_bitmaps || emulated->num_bitmaps)
        return open_twice(op, vdev, path, "the image has dirty bitmaps, "
                          "which the idle one would write back");
    w->node = emulated;
    w->twin = pv;
    return 0;
}

int libxlss__graph_writer(struct libxlss__op *op,
                          struct libxlss__graph *graph, const char *vdev,
                          const char *path, struct libxlss__writer *w)
{
    struct libxlss__node *pv = NULL, *emulated = NULL;
    int i;

    memset(w, 0, sizeof(*w));
    for (i = 0; i < graph->num_roots; i++) {
        struct libxlss__root *root = &graph->roots[i];

        if (is_pv_root(root, vdev)) {
            pv = root->node;
        } else if (same_file(root->node->file, path) &&
                   !root->node->read_only) {
            if (!*root->drive)
                return open_twice(op, vdev, path, root->node->name);
            if (emulated)
                return open_twice(op, vdev, path, root->drive);
            emulated = root->node;
        }
    }
    if (!pv && !emulated) {
        LOG_ERROR(op, "disk %s: QEMU has no node for %s", vdev, path);
        return XLSS(NO_QEMU);
    }
    if (pv && libxlss__node_is_view(pv)) {
        LOG_ERROR(op, "disk %s: a backup or block snapshot (%s) of it is not "
                  "finished; wait for its end, or stop it first", vdev,
                  pv->name);
        return XLSS(BUSY);
    }
    if (pv && !same_file(pv->file, path)) {
        LOG_ERROR(op, "disk %s: the configuration names %s, but QEMU has %s "
                  "open", vdev, path, pv->file);
        return XLSS(NOT_POSSIBLE);
    }
    if (pv && emulated)
        return choose(op, vdev, path, pv, emulated, w);
    w->node = pv ? pv : emulated;
    return 0;
}
