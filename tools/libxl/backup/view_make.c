/* SPDX-License-Identifier: LGPL-2.1-only */
/* A view is made: scratch files first, then all filters in one window. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "view.h"

int libxlss__view_look_once(struct libxlss__op *op, struct libxlss__view *v)
{
    struct libxlss__graph graph;
    struct libxlss__qmp qmp;
    int i, rc = libxlss__qmp_open(op, &qmp);

    if (rc)
        return rc;
    rc = libxlss__view_look(&qmp, v, &graph);
    if (!rc)
        rc = libxlss__view_bitmaps_check(op, &graph, v);
    for (i = 0; !rc && i < v->num_disks; i++)
        v->disks[i].base = v->disks[i].disk->writer.node->name;
    libxlss__qmp_close(&qmp);
    return rc;
}

/* Two of 32 random bits on one domain at one time don't meet; and if they
 * do, QEMU refuses the second's nodes. */
static int choose_id(struct libxlss__op *op, struct libxlss__view *v)
{
    uint32_t bits;

    if (v->id[0])
        return 0;
    if (getrandom(&bits, sizeof(bits), 0) != sizeof(bits)) {
        LOG_ERRNO(op, "the kernel gives no random number");
        return ERROR_FAIL;
    }
    snprintf(v->id, sizeof(v->id), "%08x", bits);
    return 0;
}

static int add_scratch(struct libxlss__op *op, struct libxlss__view *v)
{
    struct libxlss__transaction t;
    struct libxlss__qmp qmp;
    int i, rc2, rc = libxlss__qmp_open(op, &qmp);

    if (rc)
        return rc;
    libxlss__transaction_begin(&t);
    for (i = 0; !rc && i < v->num_disks; i++) {
        struct libxlss__view_disk *d = &v->disks[i];
        char *node = libxlss__view_node(op, v, d->vdev, XLSS_SCRATCH);

        rc = libxlss__qmp_add_scratch(&qmp, node,
                 libxlss__view_node(op, v, d->vdev, XLSS_SCRATCH_FILE),
                 d->scratch_path, v->scratch_max);
        libxlss__view_label_scratch(op, &t, d, node);
    }
    if (rc)
        t.actions = 0;
    rc2 = libxlss__transaction_run(&qmp, &t);
    libxlss__qmp_close(&qmp);
    return rc ? rc : rc2;
}

static const char *device_of(const struct libxlss__graph *graph,
                             const struct libxlss__node *node)
{
    int i;

    for (i = 0; i < graph->num_roots; i++)
        if (graph->roots[i].node == node && graph->roots[i].qdev)
            return graph->roots[i].qdev;
    return NULL;
}

static int insert_one(struct libxlss__qmp *qmp, struct libxlss__view *v,
                      struct libxlss__view_disk *d,
                      struct libxlss__graph *graph)
{
    struct libxlss__op *op = qmp->op;
    const char *base = d->disk->writer.node->name;
    const char *qdev = device_of(graph, d->disk->writer.node);
    char *filter = libxlss__view_node(op, v, d->vdev, XLSS_FILTER);
    int rc;

    /* An external snapshot came in between. */
    if (strcmp(base, d->base)) {
        LOG_ERROR(op, "disk %s: its node has changed from %s to %s "
                  "meanwhile", d->vdev, d->base, base);
        return XLSS(BUSY);
    }
    if (!qdev) {
        LOG_ERROR(op, "disk %s: QEMU names no device that has it", d->vdev);
        return XLSS(NOT_POSSIBLE);
    }
    rc = libxlss__qmp_add_filter(qmp, filter, base,
             libxlss__view_node(op, v, d->vdev, XLSS_SCRATCH));
    if (!rc)
        rc = libxlss__qmp_set_drive(qmp, qdev, filter);
    /* Not before: it would forbid the guest's writes below it. */
    if (!rc)
        rc = libxlss__qmp_add_access(qmp,
                 libxlss__view_node(op, v, d->vdev, XLSS_ACCESS), filter);
    return rc;
}

/* The window's work; the transaction is the commit point. */
static int insert(struct libxlss__qmp *qmp, struct libxlss__view *v)
{
    struct libxlss__op *op = qmp->op;
    struct libxlss__transaction t;
    struct libxlss__graph graph;
    int i, rc, rc2;

    rc = libxlss__view_look(qmp, v, &graph);
    if (!rc)
        rc = libxlss__view_bitmaps_check(op, &graph, v);
    for (i = 0; !rc && i < v->num_disks; i++)
        rc = insert_one(qmp, v, &v->disks[i], &graph);
    if (rc)
        return rc;
    libxlss__transaction_begin(&t);
    rc = libxlss__view_bitmaps_add(op, &t, &graph, v);
    if (rc)
        t.actions = 0;
    else
        v->tried = true;
    rc2 = libxlss__transaction_run(qmp, &t);
    return rc ? rc : rc2;
}

/* From what QEMU says that is there, not from what we believe. */
static void take_back(struct libxlss__qmp *qmp, struct libxlss__view *v)
{
    struct libxlss__view *list, *mine;
    struct libxlss__graph graph;
    int num;

    if (libxlss__views_read(qmp, &graph, &list, &num))
        return;
    mine = libxlss__view_find(list, num, v->id);
    if (mine)
        libxlss__view_take_out(qmp, mine, &graph);
    /* It may have been done, and only its reply be lost. */
    if (v->tried)
        libxlss__view_bitmaps_undo(qmp, v);
}

static int in_window(struct libxlss__op *op, struct libxlss__view *v)
{
    struct libxlss__window w;
    int rc = libxlss__quiet_begin(op, &w, v);

    if (!rc) {
        rc = insert(&w.qmp, v);
        if (rc)
            take_back(&w.qmp, v);
    }
    return libxlss__quiet_end(op, &w, v, rc);
}

/* The guest runs, or else the guard tries. */
static int undo(struct libxlss__op *op, struct libxlss__view *v, int rc)
{
    int rc2;

    op->undoing = op->committed = true;
    if (op->stuck || !libxlss__qemu_alive(op))
        return rc;
    rc2 = libxlss__view_drop(op, v->id, true);
    if (!rc2 || rc2 == ERROR_NOTFOUND)
        return rc;
    LOG_ERROR(op, "what was made of the block snapshot %s could not be taken "
              "away again; delete it", v->id);
    return XLSS(NEEDS_REPAIR);
}

int libxlss__view_make(struct libxlss__op *op, struct libxlss__view *v)
{
    int rc = libxlss__view_look_once(op, v);

    if (!rc)
        rc = choose_id(op, v);
    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_PREPARE);
    if (rc)
        return rc;
    rc = libxlss__scratch_make(op, v);
    if (!rc)
        rc = libxlss__guard_wait(op);
    if (!rc)
        rc = add_scratch(op, v);
    if (!rc)
        rc = in_window(op, v);
    if (!rc)
        return 0;
    rc = undo(op, v, rc);
    if (rc != XLSS(NEEDS_REPAIR))
        libxlss__scratch_remove(op, v);
    return rc;
}
