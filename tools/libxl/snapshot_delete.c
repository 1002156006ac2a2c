/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxl_domain_snapshot_delete, _verify and _recover: short operations on
 * the disks of a snapshot that exists, or half exists.
 */
#include <stdlib.h>
#include <string.h>

#include "checkpoint/checkpoint.h"
#include "export.h"

struct request {
    libxl_ctx *ctx;
    uint32_t domid;
    const char *what;
    const libxl_domain_snapshot_args *args;
    int fd;
    libxl_snapshot_intent intent;
    const libxl_snapshot_how *how;
    int (*run)(struct libxlss__op *op, const struct request *r);
};

/* Lock, configuration, disks. */
static int look(struct libxlss__op *op, const struct request *r)
{
    int rc = 0;

    if (op->domid != XLSS_OFF) {
        rc = libxlss__oplock(op, r->how ? r->how->wait_seconds : 0);
        if (!rc)
            rc = libxlss__domain_config(op);
    }
    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_LOOK);
    if (!rc)
        rc = libxlss__disks_recorded(op, r->args);
    return rc;
}

/* Deleting below an idle twin pauses the domain for a moment. */
static int guard(struct libxlss__op *op)
{
    int rc;

    if (op->domid == XLSS_OFF || !libxlss__is_hvm(op))
        return 0;
    rc = libxlss__guard_start(op, -1);
    return rc ? rc : libxlss__guard_wait(op);
}

static int delete(struct libxlss__op *op, const struct request *r)
{
    int rc = look(op, r);

    if (!rc)
        rc = libxlss__disks_not_exported(op, false);
    if (!rc)
        rc = guard(op);
    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_DISKS);
    if (!rc)
        rc = libxlss__disks_remove(op, NULL);
    return rc;
}

static int verify(struct libxlss__op *op, const struct request *r)
{
    int rc = look(op, r);

    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_VERIFY);
    if (!rc && r->fd >= 0)
        rc = libxlss__stream_verify(op, r->fd);
    if (!rc)
        rc = libxlss__disks_verify(op);
    return rc;
}

/* What the dead process may have stopped, by what can be seen. */
static void guess_held(struct libxlss__op *op, const struct request *r)
{
    libxl_defbool paused = r->args->paused;
    char *request = libxlss__xs_read(op, "/local/domain/%u/control/shutdown",
                                     op->domid);

    op->held.suspending = libxlss__is_suspended(&op->info) ||
                          (request && !strcmp(request, "suspend"));
    op->held.stopped = true;
    /* Nothing shows whether it is on in QEMU. */
    op->held.log_dirty = r->intent != LIBXL_SNAPSHOT_INTENT_DELETE;
    if (libxl_defbool_is_default(paused))
        return;
    if (libxl_defbool_val(paused))
        op->held.repauses = op->info.paused ? 0 : 1;
    else if (op->info.paused)
        op->held.pauses = 16;   /* ends where the domain isn't paused */
}

/*
 * The guard has tried before us. That the guest was frozen at all isn't
 * known: so this must not stand in the way of the rest for ever.
 */
static void thaw(struct libxlss__op *op, const struct request *r)
{
    libxl_defbool quiesce = r->args->quiesce;

    if (r->intent != LIBXL_SNAPSHOT_INTENT_CREATE ||
        libxl_defbool_is_default(quiesce) || !libxl_defbool_val(quiesce))
        return;
    op->held.frozen = true;
    (void)libxlss__agent_thaw(op);
    op->held.frozen = false;
    libxlss__agent_end(op);
}

/* It stops nothing, so there is nothing to be set going. */
static int recover_merge(struct libxlss__op *op, const struct request *r)
{
    int rc;

    if (op->domid == XLSS_OFF)
        return 0;
    rc = libxlss__oplock(op, r->how ? r->how->wait_seconds : 0);
    if (!rc && libxlss__qemu_alive(op))
        rc = libxlss__merge_end_all(op);
    return rc;
}

/* The checkpoint that began with the snapshot. An earlier try may have got as
 * far as to a job. */
static int undo_checkpoint(struct libxlss__op *op, const struct request *r)
{
    int rc = 0;

    if (r->intent != LIBXL_SNAPSHOT_INTENT_CREATE || !r->args->checkpoint ||
        !r->args->checkpoint_sequence)
        return 0;
    if (op->domid != XLSS_OFF && libxlss__qemu_alive(op))
        rc = libxlss__merge_end_all(op);
    return rc ? rc : libxlss__checkpoint_undo(op, r->args->checkpoint,
                                              r->args->checkpoint_sequence);
}

static int recover(struct libxlss__op *op, const struct request *r)
{
    int rc = 0;

    if (r->intent == LIBXL_SNAPSHOT_INTENT_MERGE)
        return recover_merge(op, r);
    if (op->domid != XLSS_OFF) {
        rc = libxlss__oplock(op, r->how ? r->how->wait_seconds : 0);
        if (!rc)
            rc = libxlss__domain_refresh(op);
        if (!rc) {
            guess_held(op, r);
            rc = libxlss__release(op);
        }
        if (!rc)
            thaw(op, r);
        if (!rc)
            rc = libxlss__domain_config(op);
    }
    if (rc || r->intent == LIBXL_SNAPSHOT_INTENT_REVERT)
        return rc;
    rc = libxlss__disks_recorded(op, r->args);
    if (!rc)
        rc = guard(op);
    if (!rc)
        rc = undo_checkpoint(op, r);
    if (!rc)
        rc = libxlss__disks_remove(op, NULL);
    return rc ? XLSS(NEEDS_REPAIR) : 0;
}

static int request_main(void *p)
{
    struct request *r = p;
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, r->ctx, r->domid, r->what, r->how);
    if (!rc)
        rc = r->run(&op, r);
    libxlss__op_end(&op);
    free(r);
    return rc;
}

static int start(struct request request, const libxl_asyncop_how *ao_how)
{
    struct request *r = malloc(sizeof(*r));

    if (!r)
        return ERROR_NOMEM;
    *r = request;
    return libxlss__ao_run(r->ctx, ao_how, request_main, r);
}

int libxl_domain_snapshot_delete(libxl_ctx *ctx, uint32_t domid,
                                 const libxl_domain_snapshot_args *args,
                                 const libxl_snapshot_how *how,
                                 const libxl_asyncop_how *ao_how)
{
    return start((struct request){ .ctx = ctx, .domid = domid,
                                   .what = "snapshot-delete", .args = args,
                                   .fd = -1, .how = how, .run = delete },
                 ao_how);
}

int libxl_domain_snapshot_verify(libxl_ctx *ctx, uint32_t domid,
                                 const libxl_domain_snapshot_args *args,
                                 int restore_fd,
                                 const libxl_snapshot_how *how,
                                 const libxl_asyncop_how *ao_how)
{
    return start((struct request){ .ctx = ctx, .domid = domid,
                                   .what = "snapshot-verify", .args = args,
                                   .fd = restore_fd, .how = how,
                                   .run = verify }, ao_how);
}

int libxl_domain_snapshot_recover(libxl_ctx *ctx, uint32_t domid,
                                  libxl_snapshot_intent intent,
                                  const libxl_domain_snapshot_args *args,
                                  const libxl_snapshot_how *how,
                                  const libxl_asyncop_how *ao_how)
{
    return start((struct request){ .ctx = ctx, .domid = domid,
                                   .what = "snapshot-recover", .args = args,
                                   .fd = -1, .intent = intent, .how = how,
                                   .run = recover }, ao_how);
}
