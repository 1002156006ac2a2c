/* SPDX-License-Identifier: LGPL-2.1-only */
/* A view's part in checkpoints: one that begins at its instant, and what was
 * written until then since an earlier one. */
#include <string.h>

#include "../checkpoint/checkpoint.h"
#include "view.h"

static int check_disk(struct libxlss__op *op, struct libxlss__graph *graph,
                      struct libxlss__view *v,
                      const struct libxlss__view_disk *d)
{
    struct libxlss__checkpoints c;

    libxlss__checkpoints_read(op, graph, d->disk, &c);
    if (c.last_seq >= v->seq)
        v->seq = c.last_seq + 1;
    if (v->checkpoint && libxlss__checkpoint_find(&c, v->checkpoint)) {
        LOG_ERROR(op, "disk %s: there is a checkpoint %s already", d->vdev,
                  v->checkpoint);
        return XLSS(EXISTS);
    }
    return v->since ? libxlss__checkpoint_known(op, &c, v->since, NULL) : 0;
}

int libxlss__view_bitmaps_check(struct libxlss__op *op,
                                struct libxlss__graph *graph,
                                struct libxlss__view *v)
{
    int i, rc = 0;

    if (v->checkpoint && !libxlss__checkpoint_name_ok(v->checkpoint)) {
        LOG_ERROR(op, "%s can't be the name of a checkpoint: it has to be of "
                  "letters, digits, '_', '-' and '.', and not begin with "
                  "'.'", v->checkpoint);
        return ERROR_INVAL;
    }
    v->seq = 1;
    for (i = 0; !rc && i < v->num_disks; i++)
        rc = check_disk(op, graph, v, &v->disks[i]);
    return rc;
}

int libxlss__view_bitmaps_add(struct libxlss__op *op,
                              struct libxlss__transaction *t,
                              struct libxlss__graph *graph,
                              struct libxlss__view *v)
{
    int i, rc = 0;

    for (i = 0; !rc && i < v->num_disks; i++) {
        struct libxlss__view_disk *d = &v->disks[i];
        char *access = libxlss__view_node(op, v, d->vdev, XLSS_ACCESS);
        struct libxlss__checkpoints c;

        libxlss__checkpoints_read(op, graph, d->disk, &c);
        if (v->since)
            rc = libxlss__checkpoint_range(op, t, &c, v->since, NULL, access,
                                           XLSS_CHANGES, false);
        if (!rc && v->checkpoint)
            libxlss__checkpoint_start(op, t, &c, v->seq, v->checkpoint);
        libxlss__view_label(op, t, v, access);
    }
    return rc;
}

static int undo_disk(struct libxlss__op *op, struct libxlss__graph *graph,
                     struct libxlss__transaction *t,
                     const struct libxlss__view *v,
                     const struct libxlss__view_disk *d)
{
    struct libxlss__disk disk = { .vdev = d->vdev };
    struct libxlss__checkpoint *checkpoint;
    struct libxlss__checkpoints c;

    disk.writer.node = libxlss__graph_node(graph, d->base);
    if (!disk.writer.node)
        return 0;
    disk.path = disk.settled = disk.writer.node->file;
    libxlss__checkpoints_read(op, graph, &disk, &c);
    checkpoint = libxlss__checkpoint_find(&c, v->checkpoint);
    return checkpoint ? libxlss__checkpoint_end(op, t, &c, checkpoint) : 0;
}

int libxlss__view_bitmaps_undo(struct libxlss__qmp *qmp,
                               const struct libxlss__view *v)
{
    struct libxlss__transaction t;
    struct libxlss__graph graph;
    int i, rc, rc2;

    if (!v->checkpoint)
        return 0;
    rc = libxlss__graph_read(qmp, &graph);
    if (rc)
        return rc;
    libxlss__transaction_begin(&t);
    for (i = 0; !rc && i < v->num_disks; i++)
        rc = undo_disk(qmp->op, &graph, &t, v, &v->disks[i]);
    /* Each disk by itself is right with it, or without. */
    rc2 = libxlss__transaction_run(qmp, &t);
    return rc ? rc : rc2;
}
