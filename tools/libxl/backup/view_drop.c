/* SPDX-License-Identifier: LGPL-2.1-only */
/* A view goes: its filters in a quiet window, then its scratch files. It is
 * the same for one that was never finished. */
#include <string.h>

#include "view.h"

static int first(int rc, int rc2)
{
    return rc ? rc : rc2;
}

/* The disk's own node, which the filter stands on. */
static const char *base_of(struct libxlss__graph *graph,
                           const struct libxlss__view_disk *d)
{
    const struct libxlss__node *node = libxlss__graph_node(graph, d->base);

    return node ? node->name : NULL;
}

static int back_to_base(struct libxlss__qmp *qmp,
                        const struct libxlss__view_disk *d,
                        struct libxlss__graph *graph)
{
    const char *base = base_of(graph, d);
    int i, rc = 0;

    for (i = 0; !rc && i < graph->num_roots; i++) {
        if (graph->roots[i].node != d->filter || !graph->roots[i].qdev)
            continue;
        if (!base) {
            LOG_ERROR(qmp->op, "disk %s: its own node below %s can't be "
                      "found", d->vdev, d->filter->name);
            return XLSS(NEEDS_REPAIR);
        }
        rc = libxlss__qmp_set_drive(qmp, graph->roots[i].qdev, base);
    }
    return rc;
}

static int take_out_one(struct libxlss__qmp *qmp,
                        const struct libxlss__view_disk *d,
                        struct libxlss__graph *graph)
{
    int rc = 0;

    if (d->access)
        rc = libxlss__qmp_del_node(qmp, d->access->name);
    if (!rc && d->filter)
        rc = back_to_base(qmp, d, graph);
    if (!rc && d->filter)
        rc = libxlss__qmp_del_node(qmp, d->filter->name);
    return rc;
}

/* As many disks as possible: each is better off without. */
int libxlss__view_take_out(struct libxlss__qmp *qmp,
                           const struct libxlss__view *v,
                           struct libxlss__graph *graph)
{
    int i, rc = 0;

    for (i = 0; i < v->num_disks; i++)
        rc = first(rc, take_out_one(qmp, &v->disks[i], graph));
    return rc;
}

static int del_scratch(struct libxlss__qmp *qmp,
                       const struct libxlss__view *v)
{
    int i, rc = 0;

    /* Its file's node goes with it. */
    for (i = 0; i < v->num_disks; i++)
        if (v->disks[i].scratch)
            rc = first(rc, libxlss__qmp_del_node(qmp,
                               v->disks[i].scratch->name));
    return rc;
}

static bool is_in(const struct libxlss__view *v)
{
    int i;

    for (i = 0; i < v->num_disks; i++)
        if (v->disks[i].filter || v->disks[i].access)
            return true;
    return false;
}

static int not_exported(struct libxlss__qmp *qmp,
                        const struct libxlss__view *v)
{
    char id[XLSS_VIEW_ID + 1], vdev[32], role;
    yajl_val exports;
    size_t i;
    int rc = libxlss__qmp_run(qmp, "query-block-exports", NULL,
                              XLSS_QMP_TIMEOUT_MS, &exports);

    for (i = 0; !rc && i < json_length(exports); i++) {
        const char *node = json_string(json_item(exports, i), "node-name");

        if (!node || !libxlss__view_parse(node, id, vdev, &role) ||
            strcmp(id, v->id))
            continue;
        LOG_ERROR(qmp->op, "disk %s of the block snapshot %s is exported; "
                  "stop that first", vdev, v->id);
        rc = XLSS(BUSY);
    }
    yajl_tree_free(exports);
    return rc;
}

/* Opens the session; ERROR_NOTFOUND: closed again, and no such view. */
static int find(struct libxlss__qmp *qmp, struct libxlss__graph *graph,
                const char *id, struct libxlss__view **v_r)
{
    struct libxlss__view *list;
    int num, rc;

    rc = libxlss__views_read(qmp, graph, &list, &num);
    if (rc)
        return rc;
    *v_r = libxlss__view_find(list, num, id);
    return *v_r ? 0 : ERROR_NOTFOUND;
}

static int look(struct libxlss__op *op, const char *id,
                struct libxlss__view **v_r)
{
    struct libxlss__graph *graph = libxlss__zalloc(op, sizeof(*graph));
    struct libxlss__qmp qmp;
    int rc = libxlss__qmp_open(op, &qmp);

    if (rc)
        return rc;
    rc = find(&qmp, graph, id, v_r);
    if (!rc)
        rc = not_exported(&qmp, *v_r);
    if (!rc && libxlss__view_has_target(*v_r)) {
        LOG_ERROR(op, "%s is a backup that is not finished; stop it", id);
        rc = XLSS(BUSY);
    }
    libxlss__qmp_close(&qmp);
    return rc;
}

static int take_out(struct libxlss__op *op, const char *id)
{
    struct libxlss__window w;
    struct libxlss__graph graph;
    struct libxlss__view *v;
    int rc;

    rc = libxlss__quiet_begin(op, &w, NULL);
    if (!rc)
        rc = find(&w.qmp, &graph, id, &v);
    if (!rc)
        rc = libxlss__view_take_out(&w.qmp, v, &graph);
    return libxlss__quiet_end(op, &w, NULL, rc);
}

int libxlss__view_clean(struct libxlss__op *op, const char *id)
{
    struct libxlss__graph *graph = libxlss__zalloc(op, sizeof(*graph));
    struct libxlss__view *v;
    struct libxlss__qmp qmp;
    int rc = libxlss__qmp_open(op, &qmp);

    if (rc)
        return rc;
    rc = find(&qmp, graph, id, &v);
    /* Files first: who comes after us knows them by their nodes alone. */
    if (!rc)
        libxlss__scratch_remove(op, v);
    if (!rc)
        rc = del_scratch(&qmp, v);
    libxlss__qmp_close(&qmp);
    return rc;
}

/* First, as long as the view says which checkpoint it is. */
static int undo_checkpoint(struct libxlss__op *op,
                           const struct libxlss__view *v)
{
    struct libxlss__qmp qmp;
    int rc;

    if (!v->checkpoint)
        return 0;
    rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    rc = libxlss__view_bitmaps_undo(&qmp, v);
    libxlss__qmp_close(&qmp);
    return rc;
}

int libxlss__view_drop(struct libxlss__op *op, const char *id, bool undo)
{
    struct libxlss__view *v;
    int rc = look(op, id, &v);

    if (!rc && undo)
        rc = undo_checkpoint(op, v);
    if (!rc && is_in(v))
        rc = libxlss__guard_wait(op);
    if (!rc && is_in(v))
        rc = take_out(op, id);
    return rc ? rc : libxlss__view_clean(op, id);
}
