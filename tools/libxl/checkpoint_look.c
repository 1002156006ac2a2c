/* SPDX-License-Identifier: LGPL-2.1-only */
/* libxl_domain_checkpoint_list and _dirty. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/checkpoint.h"

static char *dup_or_die(const char *text)
{
    char *copy = strdup(text);

    if (!copy)
        abort();
    return copy;
}

static void report(const struct libxlss__checkpoints *c,
                   const struct libxlss__checkpoint *cp,
                   libxl_disk_checkpoint *out)
{
    libxl_disk_checkpoint_init(out);
    out->vdev = dup_or_die(c->vdev);
    out->name = dup_or_die(cp->name);
    out->sequence = cp->seq;
    out->recording = cp->recording;
    out->persistent = cp->parts[0].bitmap->persistent;
    out->size = c->top->size;
    out->granularity = cp->parts[cp->num_parts - 1].bitmap->granularity;
    out->dirty = cp->dirty;
    out->broken = cp->broken ? dup_or_die(cp->broken) : NULL;
}

static void report_all(struct libxlss__op *op,
                       const struct libxlss__checkpoints *c,
                       libxl_disk_checkpoint_list *out)
{
    int i, j, num = 0;

    for (i = 0; i < op->num_disks; i++)
        num += c[i].num;
    out->checkpoints = calloc(num + 1, sizeof(*out->checkpoints));
    if (!out->checkpoints)
        abort();
    for (i = 0; i < op->num_disks; i++)
        for (j = 0; j < c[i].num; j++)
            report(&c[i], &c[i].list[j],
                   &out->checkpoints[out->num_checkpoints++]);
}

int libxl_domain_checkpoint_list(libxl_ctx *ctx, uint32_t domid,
                                 libxl_disk_checkpoint_list *out,
                                 const libxl_snapshot_how *how)
{
    struct libxlss__checkpoints *c;
    struct libxlss__qmp qmp;
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, ctx, domid, "checkpoint-list", how);
    if (!rc)
        rc = libxlss__checkpoint_begin(&op, how, NULL, 0, true, false);
    if (!rc && !libxlss__checkpoint_any(&op))
        goto out;
    if (!rc)
        rc = libxlss__qmp_open(&op, &qmp);
    if (!rc) {
        rc = libxlss__checkpoints_of_disks(&qmp, &c);
        libxlss__qmp_close(&qmp);
        if (!rc)
            report_all(&op, c, out);
    }
out:
    libxlss__op_end(&op);
    return rc;
}

/* --- dirty --- */

struct request {
    libxl_ctx *ctx;
    uint32_t domid;
    const libxl_domain_dirty_args *args;
    libxl_domain_dirty *out;
    const libxl_snapshot_how *how;
};

/*
 * QEMU writes a copy of the union of the bitmaps into an empty qcow2 file
 * beside everything else, which is then read: NBD, QEMU's other way to say
 * where a bitmap is dirty, kills a device model of version 7.2 when the
 * client goes.
 */
struct sidecar {
    char *path, *node;
    bool wanted, made, added;
};

#define SIDECAR_NODE "dirty"
#define SIDECAR_BITMAP XLSS_RANGE_PREFIX "dirty"

static void plan(struct libxlss__op *op, const struct libxlss__disk *disk,
                 struct sidecar *s)
{
    s->path = libxlss__printf(op, "%s/dirty-%s-%s.qcow2", libxlss__run_dir,
                              op->uuid, disk->vdev);
    s->node = libxlss__printf(op, XLSS_NODE "%.8s-" SIDECAR_NODE "%llx",
                              disk->vdev,
                              (unsigned long long)libxlss__now_ms());
}

/* Of one that died before it could take it away; it was used by nobody. */
static int remove_old(struct libxlss__qmp *qmp)
{
    struct libxlss__op *op = qmp->op;
    struct libxlss__graph *graph = libxlss__zalloc(op, sizeof(*graph));
    int i, j, rc = libxlss__graph_read(qmp, graph);

    for (i = 0; !rc && i < op->num_disks; i++) {
        char *prefix = libxlss__printf(op, XLSS_NODE "%.8s-" SIDECAR_NODE,
                                       op->disks[i].vdev);

        for (j = 0; !rc && j < graph->num_nodes; j++)
            if (!strncmp(graph->nodes[j].name, prefix, strlen(prefix)))
                rc = libxlss__qmp_del_node(qmp, graph->nodes[j].name);
    }
    return rc;
}

/* The sizes of the disks are not known before QEMU is asked. */
static int find_wanted(struct libxlss__op *op, const struct request *r,
                       struct sidecar *s)
{
    struct libxlss__checkpoints *c;
    struct libxlss__qmp qmp;
    bool any = false;
    int i, rc = libxlss__qmp_open(op, &qmp);

    if (rc)
        return rc;
    rc = remove_old(&qmp);
    if (!rc)
        rc = libxlss__checkpoints_of_disks(&qmp, &c);
    for (i = 0; !rc && i < op->num_disks; i++) {
        if (!op->disks[i].driver)
            continue;
        /* A disk that is named must have it: else that is broken. */
        s[i].wanted = r->args->num_disks ||
            libxlss__checkpoint_find(&c[i], r->args->since);
        any = any || s[i].wanted;
        op->disks[i].size = c[i].top->size;
        if (s[i].wanted)
            rc = libxlss__checkpoint_known(op, &c[i], r->args->since,
                                           r->args->until);
    }
    libxlss__qmp_close(&qmp);
    if (!rc && !any) {
        LOG_ERROR(op, "no disk has a bitmap of the checkpoint \"%s\", so "
                  "what was written since is not known", r->args->since);
        rc = XLSS(BITMAP_BROKEN);
    }
    return rc;
}

static int make_files(struct libxlss__op *op, struct sidecar *s)
{
    int i, rc = 0;

    for (i = 0; !rc && i < op->num_disks; i++) {
        if (!s[i].wanted)
            continue;
        plan(op, &op->disks[i], &s[i]);
        unlink(s[i].path);
        s[i].made = true;
        rc = libxlss__image_make(op, s[i].path, op->disks[i].size);
    }
    return rc;
}

static int ask(struct libxlss__op *op, struct libxlss__qmp *qmp,
               const struct request *r, struct sidecar *s)
{
    struct libxlss__node_options o = { 0 };
    struct libxlss__checkpoints *c;
    struct libxlss__transaction t;
    int i, rc, rc2;

    rc = libxlss__checkpoints_of_disks(qmp, &c);
    for (i = 0; !rc && i < op->num_disks; i++) {
        if (!s[i].wanted)
            continue;
        rc = libxlss__qmp_add_overlay(qmp, s[i].node, s[i].path, &o);
        s[i].added = !rc;
    }
    libxlss__transaction_begin(&t);
    for (i = 0; !rc && i < op->num_disks; i++)
        if (s[i].wanted)
            rc = libxlss__checkpoint_range(op, &t, &c[i], r->args->since,
                                           r->args->until, s[i].node,
                                           SIDECAR_BITMAP, true);
    if (rc)
        t.actions = 0;
    rc2 = libxlss__transaction_run(qmp, &t);
    if (!rc)
        rc = rc2;
    /* This writes the bitmap out. */
    for (i = 0; i < op->num_disks; i++)
        if (s[i].added) {
            rc2 = libxlss__qmp_del_node(qmp, s[i].node);
            if (!rc)
                rc = rc2;
        }
    return rc;
}

static int read_files(struct libxlss__op *op, libxl_domain_dirty *out,
                      const struct sidecar *s)
{
    int i, rc = 0;

    out->disks = calloc(op->num_disks + 1, sizeof(*out->disks));
    if (!out->disks)
        abort();
    for (i = 0; !rc && i < op->num_disks; i++) {
        libxl_disk_dirty *dirty;

        if (!s[i].wanted)
            continue;
        dirty = &out->disks[out->num_disks++];
        libxl_disk_dirty_init(dirty);
        dirty->vdev = dup_or_die(op->disks[i].vdev);
        rc = libxlss__bitmap_read(op, s[i].path, SIDECAR_BITMAP,
                                  op->disks[i].size, dirty);
    }
    return rc;
}

static int dirty(struct libxlss__op *op, const struct request *r)
{
    struct libxlss__qmp qmp;
    struct sidecar *s;
    int i, rc;

    if (!r->args->since) {
        LOG_ERROR(op, "no checkpoint is named");
        return ERROR_INVAL;
    }
    rc = libxlss__checkpoint_begin(op, r->how, r->args->disks,
                                   r->args->num_disks, true, false);
    if (rc)
        return rc;
    s = libxlss__zalloc(op, (op->num_disks + 1) * sizeof(*s));
    rc = find_wanted(op, r, s);
    if (!rc)
        rc = make_files(op, s);
    if (!rc)
        rc = libxlss__qmp_open(op, &qmp);
    if (!rc) {
        rc = ask(op, &qmp, r, s);
        libxlss__qmp_close(&qmp);
    }
    if (!rc)
        rc = read_files(op, r->out, s);
    for (i = 0; i < op->num_disks; i++)
        if (s[i].made)
            unlink(s[i].path);
    if (rc) {
        libxl_domain_dirty_dispose(r->out);
        libxl_domain_dirty_init(r->out);
    }
    return rc;
}

static int dirty_main(void *p)
{
    struct request *r = p;
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, r->ctx, r->domid, "checkpoint-dirty",
                           r->how);
    if (!rc)
        rc = dirty(&op, r);
    libxlss__op_end(&op);
    free(r);
    return rc;
}

int libxl_domain_checkpoint_dirty(libxl_ctx *ctx, uint32_t domid,
                                  const libxl_domain_dirty_args *args,
                                  libxl_domain_dirty *out,
                                  const libxl_snapshot_how *how,
                                  const libxl_asyncop_how *ao_how)
{
    struct request *r = malloc(sizeof(*r));

    if (!r)
        return ERROR_NOMEM;
    *r = (struct request){ ctx, domid, args, out, how };
    return libxlss__ao_run(ctx, ao_how, dirty_main, r);
}
