/* SPDX-License-Identifier: LGPL-2.1-only */
/* libxl_domain_checkpoint_create and _delete. */
#include <stdlib.h>
#include <string.h>

#include "checkpoint/checkpoint.h"

struct request {
    libxl_ctx *ctx;
    uint32_t domid;
    libxl_domain_checkpoint_args *args;         /* create */
    const libxl_domain_checkpoint_args *which;  /* delete */
    const libxl_snapshot_how *how;
};

/* In the window: QEMU is stopped, and op's disks have their nodes. */
static int start(struct libxlss__op *op, struct libxlss__qmp *qmp,
                 libxl_domain_checkpoint_args *args)
{
    struct libxlss__checkpoints *c;
    struct libxlss__transaction t;
    uint64_t seq = args->sequence;
    int i, rc;

    rc = libxlss__checkpoint_no_twins(op);
    if (rc)
        return rc;
    c = libxlss__checkpoints_found(qmp);
    rc = libxlss__checkpoint_number(op, c, args->name, &seq);
    if (rc)
        return rc;
    libxlss__transaction_begin(&t);
    for (i = 0; i < op->num_disks; i++)
        if (op->disks[i].driver)
            libxlss__checkpoint_start(op, &t, &c[i], seq, args->name);
    rc = libxlss__transaction_run(qmp, &t);
    if (!rc)
        args->sequence = seq;
    return rc;
}

static void report_disks(struct libxlss__op *op,
                         libxl_domain_checkpoint_args *args)
{
    char **disks = calloc(op->num_disks + 1, sizeof(*disks));
    int i, num = 0;

    if (!disks)
        abort();
    for (i = 0; i < op->num_disks; i++)
        if (op->disks[i].driver && !(disks[num++] =
                                     strdup(op->disks[i].vdev)))
            abort();
    for (i = 0; i < args->num_disks; i++)
        free(args->disks[i]);
    free(args->disks);
    args->disks = disks;
    args->num_disks = num;
}

static bool wanted(libxl_defbool b)
{
    return !libxl_defbool_is_default(b) && libxl_defbool_val(b);
}

/* Without the agent: not at all, or by the caller's leave. */
static int unquiesced(struct libxlss__op *op,
                      const libxl_domain_checkpoint_args *args, int rc,
                      const char *why)
{
    if (!wanted(args->allow_unquiesced)) {
        LOG_ERROR(op, "the domain can't be quiesced: %s", why);
        return rc;
    }
    LOG_WARN(op, "the checkpoint is not quiesced: %s", why);
    return 0;
}

static int freeze(struct libxlss__op *op,
                  const libxl_domain_checkpoint_args *args)
{
    const char *why;
    int rc;

    if (!wanted(args->quiesce))
        return 0;
    rc = libxlss__agent_freeze(op, &why);
    if (rc == XLSS(NOT_QUIESCED) || rc == XLSS(NOT_POSSIBLE))
        return unquiesced(op, args, rc, why);
    return rc;
}

/* It was begun a moment ago: its predecessor records again. */
static int undo(struct libxlss__op *op,
                const libxl_domain_checkpoint_args *args)
{
    struct libxlss__checkpoints *c;
    struct libxlss__transaction t;
    struct libxlss__qmp qmp;
    int i, rc, rc2;

    op->undoing = op->committed = true;
    rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    rc = libxlss__checkpoints_of_disks(&qmp, &c);
    libxlss__transaction_begin(&t);
    for (i = 0; !rc && i < op->num_disks; i++) {
        struct libxlss__checkpoint *cp = !op->disks[i].driver ? NULL
            : libxlss__checkpoint_find(&c[i], args->name);

        if (cp && cp->seq == args->sequence)
            rc = libxlss__checkpoint_end(op, &t, &c[i], cp);
    }
    if (rc)
        t.actions = 0;
    rc2 = libxlss__transaction_run(&qmp, &t);
    libxlss__qmp_close(&qmp);
    return rc ? rc : rc2;
}

/* The guest runs again: was it frozen all the time? */
static int still_quiesced(struct libxlss__op *op,
                          libxl_domain_checkpoint_args *args, bool frozen)
{
    int rc;

    libxl_defbool_set(&args->quiesced, op->quiesced);
    if (!frozen || op->quiesced)
        return 0;
    rc = unquiesced(op, args, XLSS(NOT_QUIESCED), "its filesystems were "
                    "thawed, by itself or by somebody else, before the "
                    "checkpoint was made");
    return rc && undo(op, args) ? XLSS(NEEDS_REPAIR) : rc;
}

static int create(struct libxlss__op *op, const struct request *r)
{
    libxl_domain_checkpoint_args *args = r->args;
    struct libxlss__window w;
    bool frozen;
    int rc, rc2;

    rc = libxlss__checkpoint_check_name(op, args->name);
    if (!rc)
        rc = libxlss__checkpoint_begin(op, r->how, args->disks,
                                       args->num_disks, false, true);
    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_SUSPEND);
    if (!rc)
        rc = freeze(op, args);
    frozen = op->quiesced;
    if (!rc)
        rc = libxlss__pause(op);
    if (!rc)
        rc = libxlss__window_open(op, &w, true);
    if (!rc) {
        rc = start(op, &w.qmp, args);
        rc2 = libxlss__window_close(op, &w, false);
        if (!rc)
            rc = rc2;
    }
    rc2 = libxlss__release(op);
    rc = rc ? rc : rc2;
    if (!rc)
        rc = still_quiesced(op, args, frozen);
    if (!rc)
        report_disks(op, args);
    return rc;
}

/* On one disk; `which` may be gone there, or never have been. */
static int end(struct libxlss__op *op, struct libxlss__transaction *t,
               struct libxlss__checkpoints *c,
               const libxl_domain_checkpoint_args *which)
{
    struct libxlss__checkpoint *cp = libxlss__checkpoint_find(c,
                                                              which->name);

    if (!cp || (which->sequence && cp->seq != which->sequence)) {
        if (which->num_disks && which->sequence)
            return libxlss__checkpoint_end_missing(op, t, c,
                                                   which->sequence);
        return 0;
    }
    if (cp->broken)
        LOG_INFO(op, "disk %s: the checkpoint \"%s\" is broken: %s", c->vdev,
                 cp->name, cp->broken);
    return libxlss__checkpoint_end(op, t, c, cp);
}

static int delete(struct libxlss__op *op, const struct request *r)
{
    const libxl_domain_checkpoint_args *which = r->which;
    struct libxlss__checkpoints *c;
    struct libxlss__transaction t;
    struct libxlss__qmp qmp;
    int i, rc, rc2;

    rc = libxlss__checkpoint_begin(op, r->how, which->disks,
                                   which->num_disks, true, false);
    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_DISKS);
    if (!rc)
        rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    rc = libxlss__checkpoints_of_disks(&qmp, &c);
    libxlss__transaction_begin(&t);
    for (i = 0; !rc && i < op->num_disks; i++)
        if (op->disks[i].driver)
            rc = end(op, &t, &c[i], which);
    if (rc)
        t.actions = 0;
    rc2 = libxlss__transaction_run(&qmp, &t);
    libxlss__qmp_close(&qmp);
    return rc ? rc : rc2;
}

static int create_main(void *p)
{
    struct request *r = p;
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, r->ctx, r->domid,
                           r->args ? "checkpoint-create"
                                   : "checkpoint-delete", r->how);
    if (!rc)
        rc = r->args ? create(&op, r) : delete(&op, r);
    libxlss__op_end(&op);
    free(r);
    return rc;
}

static int run(struct request request, const libxl_asyncop_how *ao_how)
{
    struct request *r = malloc(sizeof(*r));

    if (!r)
        return ERROR_NOMEM;
    *r = request;
    return libxlss__ao_run(r->ctx, ao_how, create_main, r);
}

int libxl_domain_checkpoint_create(libxl_ctx *ctx, uint32_t domid,
                                   libxl_domain_checkpoint_args *args,
                                   const libxl_snapshot_how *how,
                                   const libxl_asyncop_how *ao_how)
{
    return run((struct request){ .ctx = ctx, .domid = domid, .args = args,
                                 .how = how }, ao_how);
}

int libxl_domain_checkpoint_delete(libxl_ctx *ctx, uint32_t domid,
                                   const libxl_domain_checkpoint_args *args,
                                   const libxl_snapshot_how *how,
                                   const libxl_asyncop_how *ao_how)
{
    return run((struct request){ .ctx = ctx, .domid = domid, .which = args,
                                 .how = how }, ao_how);
}
