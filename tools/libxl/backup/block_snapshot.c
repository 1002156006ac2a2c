/* SPDX-License-Identifier: LGPL-2.1-only */
/* libxl_domain_block_snapshot_create, _delete, _verify and _list. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "view.h"
#include "view_api.h"

bool libxlss__wanted(libxl_defbool b)
{
    return !libxl_defbool_is_default(b) && libxl_defbool_val(b);
}

char *libxlss__own(const char *s)
{
    char *p = s ? strdup(s) : NULL;

    if (s && !p)
        abort();
    return p;
}

void libxlss__replace(char **field, const char *s)
{
    char *p = libxlss__own(s);

    free(*field);
    *field = p;
}

int libxlss__view_begin(struct libxlss__op *op)
{
    int rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_LOOK);

    if (!rc && op->domid == XLSS_OFF) {
        LOG_ERROR(op, "the domain is off: its disks can be read as they are");
        rc = ERROR_INVAL;
    }
    if (!rc)
        rc = libxlss__oplock(op, op->how ? op->how->wait_seconds : 0);
    if (!rc)
        rc = libxlss__domain_config(op);
    if (!rc)
        rc = libxlss__refuse_domain(op, false);
    if (!rc && !libxlss__qemu_alive(op)) {
        LOG_ERROR(op, "the domain's QEMU is dead or can't be found");
        rc = XLSS(NO_QEMU);
    }
    return rc ? rc : libxlss__guard_start(op, -1);
}

/* --- create --- */

struct create {
    libxl_ctx *ctx;
    uint32_t domid;
    libxl_block_snapshot *args;
    const libxl_snapshot_how *how;
};

static void report_disks(libxl_block_snapshot *out,
                         const struct libxlss__view *v)
{
    int i;

    for (i = 0; i < out->num_disks; i++)
        libxl_block_snapshot_disk_dispose(&out->disks[i]);
    free(out->disks);
    out->disks = calloc(v->num_disks + 1, sizeof(*out->disks));
    if (!out->disks)
        abort();
    out->num_disks = v->num_disks;
    for (i = 0; i < v->num_disks; i++) {
        libxl_block_snapshot_disk_init(&out->disks[i]);
        out->disks[i].vdev = libxlss__own(v->disks[i].vdev);
        out->disks[i].size = v->disks[i].size;
        out->disks[i].scratch = libxlss__own(v->disks[i].scratch_path);
    }
}

int libxlss__view_take_id(struct libxlss__op *op, const char *id,
                          struct libxlss__view *v)
{
    struct libxlss__graph graph;
    struct libxlss__view *list;
    struct libxlss__qmp qmp;
    int num, rc;

    if (!libxlss__view_id_ok(id)) {
        LOG_ERROR(op, "%s is no block snapshot's id", id);
        return ERROR_INVAL;
    }
    rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    rc = libxlss__views_read(&qmp, &graph, &list, &num);
    libxlss__qmp_close(&qmp);
    if (!rc && libxlss__view_find(list, num, id)) {
        LOG_ERROR(op, "there is a block snapshot %s already", id);
        rc = XLSS(EXISTS);
    }
    memcpy(v->id, id, XLSS_VIEW_ID + 1);
    return rc;
}

static int create(struct libxlss__op *op, libxl_block_snapshot *args)
{
    const char **vdevs = libxlss__zalloc(op, (args->num_disks + 1) *
                                         sizeof(*vdevs));
    struct libxlss__view v = {
        .scratch_dir = args->scratch_dir, .scratch_max = args->scratch_max,
        .quiesce = libxlss__wanted(args->quiesce),
        .allow_unquiesced = libxlss__wanted(args->allow_unquiesced),
        .checkpoint = args->checkpoint, .since = args->since,
    };
    int i, rc = libxlss__view_begin(op);

    for (i = 0; i < args->num_disks; i++)
        vdevs[i] = args->disks[i].vdev;
    if (!rc && args->id)
        rc = libxlss__view_take_id(op, args->id, &v);
    if (!rc)
        rc = libxlss__view_disks(op, &v, vdevs, args->num_disks);
    if (!rc)
        rc = libxlss__view_make(op, &v);
    if (rc)
        return rc;
    libxlss__replace(&args->id, v.id);
    libxl_defbool_set(&args->quiesced, v.quiesced);
    args->complete = true;
    args->sequence = v.checkpoint ? v.seq : 0;
    report_disks(args, &v);
    return 0;
}

static int create_main(void *p)
{
    struct create *c = p;
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, c->ctx, c->domid, "block-snapshot", c->how);
    if (!rc)
        rc = create(&op, c->args);
    libxlss__op_end(&op);
    free(c);
    return rc;
}

int libxl_domain_block_snapshot_create(libxl_ctx *ctx, uint32_t domid,
                                       libxl_block_snapshot *args,
                                       const libxl_snapshot_how *how,
                                       const libxl_asyncop_how *ao_how)
{
    struct create *c = malloc(sizeof(*c));

    if (!c)
        return ERROR_NOMEM;
    *c = (struct create){ ctx, domid, args, how };
    return libxlss__ao_run(ctx, ao_how, create_main, c);
}

/* --- delete --- */

struct delete {
    libxl_ctx *ctx;
    uint32_t domid;
    const libxl_block_snapshot *which;
    bool undo_checkpoint;
    const libxl_snapshot_how *how;
};

/* Its QEMU has died, or the domain is off: the files are all that is left. */
static int only_files(struct libxlss__op *op,
                      const libxl_block_snapshot *which)
{
    int i, rc = 0, rc2;

    for (i = 0; i < which->num_disks; i++) {
        const char *path = which->disks[i].scratch;

        if (!path || !libxlss__is_scratch(path, which->id))
            continue;
        rc2 = libxlss__file_unlink(op, path);
        rc = rc ? rc : rc2;
    }
    return rc;
}

static int delete(struct libxlss__op *op, const struct delete *d)
{
    int rc;

    if (!libxlss__view_id_ok(d->which->id)) {
        LOG_ERROR(op, "%s is no block snapshot's id",
                  d->which->id ? d->which->id : "(nothing)");
        return ERROR_INVAL;
    }
    if (op->domid == XLSS_OFF || !libxlss__qemu_alive(op))
        return only_files(op, d->which);
    rc = libxlss__view_begin(op);
    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_CLEAN);
    if (!rc)
        rc = libxlss__view_drop(op, d->which->id, d->undo_checkpoint);
    /* Gone already, or of a QEMU that was before this one; or its maker died
     * before QEMU had all files. */
    return !rc || rc == ERROR_NOTFOUND ? only_files(op, d->which) : rc;
}

static int delete_main(void *p)
{
    struct delete *d = p;
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, d->ctx, d->domid, "block-snapshot", d->how);
    if (!rc)
        rc = delete(&op, d);
    libxlss__op_end(&op);
    free(d);
    return rc;
}

int libxl_domain_block_snapshot_delete(libxl_ctx *ctx, uint32_t domid,
                                       const libxl_block_snapshot *which,
                                       bool undo_checkpoint,
                                       const libxl_snapshot_how *how,
                                       const libxl_asyncop_how *ao_how)
{
    struct delete *d = malloc(sizeof(*d));

    if (!d)
        return ERROR_NOMEM;
    *d = (struct delete){ ctx, domid, which, undo_checkpoint, how };
    return libxlss__ao_run(ctx, ao_how, delete_main, d);
}

/* --- verify --- */

static int verify(struct libxlss__op *op, libxl_block_snapshot *which)
{
    struct libxlss__graph graph;
    struct libxlss__view *list, *v = NULL;
    struct libxlss__qmp qmp;
    int num, rc;

    if (!libxlss__view_id_ok(which->id)) {
        LOG_ERROR(op, "%s is no block snapshot's id",
                  which->id ? which->id : "(nothing)");
        return ERROR_INVAL;
    }
    if (op->domid == XLSS_OFF || !libxlss__qemu_alive(op)) {
        LOG_ERROR(op, "the domain's QEMU is dead or can't be found");
        return XLSS(NO_QEMU);
    }
    rc = libxlss__oplock(op, op->how ? op->how->wait_seconds : 0);
    if (!rc)
        rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    rc = libxlss__views_read(&qmp, &graph, &list, &num);
    libxlss__qmp_close(&qmp);
    if (!rc)
        v = libxlss__view_find(list, num, which->id);
    if (rc || !v || libxlss__view_has_target(v))
        return rc ? rc : ERROR_NOTFOUND;
    which->complete = v->complete;
    libxlss__replace(&which->checkpoint, v->checkpoint);
    libxlss__replace(&which->since, v->since);
    report_disks(which, v);
    return v->complete ? libxlss__view_probe(op, which) : 0;
}

int libxl_domain_block_snapshot_verify(libxl_ctx *ctx, uint32_t domid,
                                       libxl_block_snapshot *which,
                                       const libxl_snapshot_how *how)
{
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, ctx, domid, "block-snapshot", how);
    if (!rc)
        rc = verify(&op, which);
    libxlss__op_end(&op);
    return rc;
}

/* --- list --- */

static int list(struct libxlss__op *op, libxl_block_snapshot_list *out)
{
    struct libxlss__graph graph;
    struct libxlss__view *views;
    struct libxlss__qmp qmp;
    int i, num, rc;

    if (op->domid == XLSS_OFF || !libxlss__qemu_alive(op))
        return 0;
    rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    rc = libxlss__views_read(&qmp, &graph, &views, &num);
    libxlss__qmp_close(&qmp);
    if (rc)
        return rc;
    out->snapshots = calloc(num + 1, sizeof(*out->snapshots));
    if (!out->snapshots)
        abort();
    for (i = 0; i < num; i++) {
        libxl_block_snapshot *s = &out->snapshots[out->num_snapshots++];

        libxl_block_snapshot_init(s);
        s->id = libxlss__own(views[i].id);
        s->complete = views[i].complete;
        s->backup = libxlss__view_has_target(&views[i]);
        s->checkpoint = libxlss__own(views[i].checkpoint);
        s->since = libxlss__own(views[i].since);
        report_disks(s, &views[i]);
    }
    return 0;
}

int libxl_domain_block_snapshot_list(libxl_ctx *ctx, uint32_t domid,
                                     libxl_block_snapshot_list *out,
                                     const libxl_snapshot_how *how)
{
    struct libxlss__op op;
    int rc;

    libxl_block_snapshot_list_dispose(out);
    libxl_block_snapshot_list_init(out);
    rc = libxlss__op_begin(&op, ctx, domid, "block-snapshot", how);
    if (!rc)
        rc = list(&op, out);
    libxlss__op_end(&op);
    return rc;
}
