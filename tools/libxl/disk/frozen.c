/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A snapshot inside a frozen image, while the guest runs on an overlay of it.
 * QEMU has that image open read-only. It opens it again for writing, deletes
 * the snapshot, and opens it read-only again; what the overlays read of it
 * doesn't change, and the node is the same all the time. Only where QEMU can
 * open a disk's node again: 7.2 ends itself on it, and 10 can't with nodes
 * that it has made from an overlay's header, when the domain was started.
 */
#include <string.h>

#include "external.h"

struct frozen {
    struct libxlss__op *op;
    struct libxlss__qmp qmp;
    struct libxlss__disk *disk;
    const char *path, *name;
    struct libxlss__node *node; /* that has it */
    char *backing;              /* its own backing node, or NULL */
    char *file;                 /* the file node that it is opened on */
};

static int find_backing(struct frozen *f, struct libxlss__graph *graph)
{
    struct libxlss__node *node;
    struct libxlss__qcow2 q;
    int rc = libxlss__qcow2_read(f->op, f->path, &q);

    if (rc || !q.backing)
        return rc;
    node = q.backing_path ? libxlss__graph_format_node(graph, q.backing_path)
                          : NULL;
    if (!node) {
        LOG_ERROR(f->op, "disk %s: QEMU has no node for %s, which %s is based "
                  "on", f->disk->vdev, q.backing, f->path);
        return ERROR_FAIL;
    }
    f->backing = node->name;
    return 0;
}

static int look(struct frozen *f, struct libxlss__graph *graph)
{
    int rc = libxlss__graph_read(&f->qmp, graph);

    if (rc)
        return rc;
    f->node = libxlss__graph_format_node(graph, f->path);
    if (!f->node || !libxlss__node_has_snapshot(f->node, f->name))
        return 0;
    /* Of a node that it has named itself, QEMU can't be told anything. */
    if (f->qmp.version < XLSS_QEMU_REOPENS || f->node->name[0] == '#') {
        LOG_ERROR(f->op, "disk %s: the snapshot is inside %s, which is frozen, "
                  "and which this QEMU can't open for writing (%s); delete it "
                  "when the domain is off", f->disk->vdev, f->path,
                  f->node->name[0] == '#' ? "the domain was started since"
                                          : "it is older than 10.0");
        return XLSS(NOT_POSSIBLE);
    }
    return find_backing(f, graph);
}

/*
 * On a file node that was opened while the file could not grow, and that stays
 * afterwards: QEMU doesn't ask again how long a file is. Of one that was opened
 * for the way back it would not see the bitmaps that it stores on that way.
 */
static int reopen(struct frozen *f, bool read_only)
{
    struct libxlss__node_options o = libxlss__external_options(f->disk);
    int rc = 0;

    if (!f->file) {
        f->file = libxlss__external_node(f->op, f->disk, 'r');
        rc = libxlss__qmp_add_file(&f->qmp, f->file, f->path, &o);
    }
    o.read_only = read_only;
    return rc ? rc : libxlss__qmp_reopen_on(&f->qmp, f->node->name, f->file,
                                            f->backing, &o);
}

static int delete(struct frozen *f)
{
    char *job = libxlss__printf(f->op, XLSS_JOB "%s", f->disk->vdev);
    int rc = reopen(f, false), rc2;

    if (!rc)
        rc = libxlss__qmp_snapshot_delete_job(&f->qmp, job, f->node->name,
                                              f->name);
    /* Freeing clusters takes its time: not in a session. */
    libxlss__qmp_close(&f->qmp);
    if (!rc)
        rc = libxlss__wait_job(f->op, f->disk, job, false);
    if (!libxlss__qemu_alive(f->op))
        return rc ? rc : XLSS(QEMU_DIED);
    rc2 = libxlss__qmp_open(f->op, &f->qmp);
    if (rc2)
        return rc ? rc : rc2;
    /* Nothing writes to it even so. */
    if (reopen(f, true))
        LOG_WARN(f->op, "disk %s: QEMU keeps %s open for writing",
                 f->disk->vdev, f->path);
    return rc;
}

int libxlss__frozen_remove(struct libxlss__op *op, struct libxlss__disk *disk,
                           const char *path, const char *name, bool *there_r)
{
    struct libxlss__graph *graph = libxlss__zalloc(op, sizeof(*graph));
    struct frozen f = { .op = op, .disk = disk, .path = path, .name = name };
    int rc;

    *there_r = false;
    if (op->domid == XLSS_OFF || !libxlss__qemu_alive(op))
        return 0;
    rc = libxlss__merge_end_old(op, disk);
    if (!rc)
        rc = libxlss__qmp_open(op, &f.qmp);
    if (rc)
        return rc;
    rc = look(&f, graph);
    *there_r = f.node != NULL;
    if (!rc && f.node && libxlss__node_has_snapshot(f.node, name))
        rc = delete(&f);
    if (!rc && f.node)
        libxlss__tidy_nodes(&f.qmp, disk->vdev);
    libxlss__qmp_close(&f.qmp);
    return rc;
}
