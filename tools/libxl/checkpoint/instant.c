/* SPDX-License-Identifier: LGPL-2.1-only */
/* A checkpoint that begins in the instant of a snapshot, on its disks. */
#include <string.h>

#include "checkpoint.h"

static int check_disks(struct libxlss__op *op)
{
    int i, rc = 0;

    for (i = 0; !rc && i < op->num_disks; i++)
        if (op->disks[i].driver)
            rc = libxlss__checkpoint_possible(op, &op->disks[i]);
    if (!rc && !libxlss__checkpoint_any(op))
        rc = libxlss__checkpoint_no_disk(op);
    return rc;
}

int libxlss__checkpoint_plan(struct libxlss__op *op,
                             libxl_domain_snapshot_args *args)
{
    struct libxlss__checkpoints *c;
    struct libxlss__qmp qmp;
    int rc;

    if (!args->checkpoint)
        return 0;
    rc = check_disks(op);
    if (!rc)
        rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    rc = libxlss__checkpoints_of_disks(&qmp, &c);
    if (!rc)
        rc = libxlss__checkpoint_no_twins(op);
    if (!rc)
        rc = libxlss__checkpoint_number(op, c, args->checkpoint,
                                        &args->checkpoint_sequence);
    libxlss__qmp_close(&qmp);
    if (rc)
        return rc;
    op->checkpoint = libxlss__strdup(op, args->checkpoint);
    op->checkpoint_seq = args->checkpoint_sequence;
    return 0;
}

int libxlss__checkpoint_look(struct libxlss__qmp *qmp,
                             struct libxlss__checkpoints **list_r)
{
    struct libxlss__op *op = qmp->op;
    int i, rc = libxlss__checkpoint_no_twins(op);

    *list_r = libxlss__checkpoints_found(qmp);
    /* Who has to undo it was told its number. */
    for (i = 0; !rc && i < op->num_disks; i++)
        if ((*list_r)[i].last_seq >= op->checkpoint_seq) {
            LOG_ERROR(op, "disk %s: somebody else has made a checkpoint "
                      "meanwhile", op->disks[i].vdev);
            rc = XLSS(BUSY);
        }
    return rc;
}

void libxlss__checkpoint_join(struct libxlss__op *op,
                              struct libxlss__transaction *t,
                              const struct libxlss__checkpoints *c,
                              const struct libxlss__disk *disk)
{
    if (disk->overlay_node)
        libxlss__checkpoint_start_above(op, t, c->top, disk->overlay_node,
                                        op->checkpoint_seq, op->checkpoint);
    else
        libxlss__checkpoint_start(op, t, c, op->checkpoint_seq,
                                  op->checkpoint);
}

/* --- undo --- */

static struct libxlss__checkpoint *
find(struct libxlss__checkpoints *c, const char *name, uint64_t seq)
{
    int i;

    for (i = 0; i < c->num; i++)
        if (c->list[i].seq == seq && !strcmp(c->list[i].name, name))
            return &c->list[i];
    return NULL;
}

/* Wherever the guest writes by now: libxl's names may be half-way. */
static int end_on(struct libxlss__op *op, struct libxlss__transaction *t,
                  struct libxlss__graph *graph,
                  const struct libxlss__disk *disk, const char *name,
                  uint64_t seq)
{
    struct libxlss__disk now = *disk;
    struct libxlss__checkpoint *cp;
    struct libxlss__checkpoints c;

    now.writer.node = libxlss__graph_root(graph, disk->vdev);
    if (!now.writer.node)
        return 0;
    libxlss__checkpoints_read(op, graph, &now, &c);
    cp = find(&c, name, seq);
    return cp ? libxlss__checkpoint_end(op, t, &c, cp) : 0;
}

int libxlss__checkpoint_undo(struct libxlss__op *op, const char *name,
                             uint64_t seq)
{
    struct libxlss__graph *graph = libxlss__zalloc(op, sizeof(*graph));
    struct libxlss__transaction t;
    struct libxlss__qmp qmp;
    int i, rc, rc2;

    if (op->domid == XLSS_OFF || !libxlss__qemu_alive(op))
        return 0;
    rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    rc = libxlss__graph_read(&qmp, graph);
    libxlss__transaction_begin(&t);
    for (i = 0; !rc && i < op->num_disks; i++)
        if (op->disks[i].driver)
            rc = end_on(op, &t, graph, &op->disks[i], name, seq);
    if (rc)
        t.actions = 0;
    rc2 = libxlss__transaction_run(&qmp, &t);
    libxlss__qmp_close(&qmp);
    return rc ? rc : rc2;
}
