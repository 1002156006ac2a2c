/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxl_domain_snapshot_create: look, prepare, suspend, the instant, resume.
 * The guest stands still from SUSPEND to RESUME, so nothing happens there
 * that could happen outside.
 */
#include <stdlib.h>

#include "checkpoint/checkpoint.h"

struct create {
    libxl_ctx *ctx;
    uint32_t domid;
    libxl_domain_snapshot_args *args;
    int memory_fd;
    const libxl_snapshot_how *how;
};

static bool wanted(libxl_defbool b)
{
    return !libxl_defbool_is_default(b) && libxl_defbool_val(b);
}

static int check_args(struct libxlss__op *op, const struct create *c)
{
    if (!c->args->name || !*c->args->name) {
        LOG_ERROR(op, "no name for the snapshot");
        return ERROR_INVAL;
    }
    if (wanted(c->args->live) && c->memory_fd < 0) {
        LOG_ERROR(op, "a live snapshot is one of the memory, and only the "
                  "disks are wanted");
        return ERROR_INVAL;
    }
    if (wanted(c->args->quiesce) && wanted(c->args->leave_paused)) {
        LOG_ERROR(op, "a quiesced domain can't be left paused: only a guest "
                  "that runs can thaw");
        return ERROR_INVAL;
    }
    if (wanted(c->args->quiesce) && c->memory_fd >= 0) {
        LOG_ERROR(op, "a snapshot with memory can't be quiesced: the guest "
                  "would come back frozen");
        return ERROR_INVAL;
    }
    return c->args->checkpoint
           ? libxlss__checkpoint_check_name(op, c->args->checkpoint) : 0;
}

static int look(struct libxlss__op *op, const struct create *c)
{
    int rc = check_args(op, c);

    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_LOOK);
    if (!rc)
        rc = libxlss__oplock(op, c->how ? c->how->wait_seconds : 0);
    if (!rc)
        rc = libxlss__domain_config(op);
    if (!rc)
        rc = libxlss__refuse_domain(op, c->memory_fd >= 0);
    if (!rc && wanted(c->args->live))
        rc = libxlss__live_domain(op);
    /* It starts while we look at the disks. */
    if (!rc)
        rc = libxlss__guard_start(op, c->memory_fd);
    if (!rc)
        rc = libxlss__disks_choose(op, c->args);
    if (!rc)
        rc = libxlss__disks_need_qemu(op);
    if (!rc && wanted(c->args->live))
        rc = libxlss__live_disks(op);
    if (!rc)
        rc = libxlss__checkpoint_plan(op, c->args);
    if (!rc)
        rc = libxlss__disks_plan(op);
    return rc;
}

/* Without the agent: not at all, or by the caller's leave. */
static int unquiesced(struct libxlss__op *op, const struct create *c, int rc,
                      const char *why)
{
    if (!wanted(c->args->allow_unquiesced)) {
        LOG_ERROR(op, "the domain can't be quiesced: %s", why);
        return rc;
    }
    LOG_WARN(op, "the snapshot is not quiesced: %s", why);
    return 0;
}

static int quiesce(struct libxlss__op *op, const struct create *c)
{
    const char *why;
    int rc;

    if (!wanted(c->args->quiesce))
        return 0;
    rc = libxlss__agent_freeze(op, &why);
    if (rc == XLSS(NOT_QUIESCED) || rc == XLSS(NOT_POSSIBLE))
        return unquiesced(op, c, rc, why);
    return rc;
}

/* A paused guest runs for the suspend handshake alone: it would have to run
 * for all rounds of a live save, and gains nothing by it. */
static int freeze(struct libxlss__op *op, const struct create *c)
{
    bool live = wanted(c->args->live) && !op->info.paused;
    int rc;

    if (c->memory_fd >= 0)
        return libxlss__suspend(op, c->memory_fd, live);
    rc = quiesce(op, c);
    return rc ? rc : libxlss__pause(op);
}

/* The guest runs again: was it frozen all the time? */
static int tell_quiesced(struct libxlss__op *op, const struct create *c,
                         bool frozen)
{
    libxl_defbool_set(&c->args->quiesced, op->quiesced);
    if (!frozen || op->quiesced)
        return 0;
    return unquiesced(op, c, XLSS(NOT_QUIESCED), "its filesystems were "
                      "thawed, by itself or by somebody else, before the "
                      "snapshot was done");
}

static bool any_taken(struct libxlss__op *op)
{
    int i;

    for (i = 0; i < op->num_disks; i++)
        if (op->disks[i].taken)
            return true;
    return false;
}

/* The guest runs again by now. */
static int undo(struct libxlss__op *op, int rc)
{
    int rc2 = 0, rc3;

    op->committed = op->undoing = true;
    if (!any_taken(op))
        return rc;
    /* Its bitmaps are where the guest writes now. */
    if (op->checkpoint)
        rc2 = libxlss__checkpoint_undo(op, op->checkpoint,
                                       op->checkpoint_seq);
    rc3 = libxlss__disks_remove(op, NULL);
    if (!rc2 && !rc3)
        return rc;
    LOG_ERROR(op, "the snapshot could not be removed from every disk; it "
              "needs repair");
    return XLSS(NEEDS_REPAIR);
}

/* Before it goes on: not one instruction of it runs. */
static int stay_paused(struct libxlss__op *op, const struct create *c)
{
    int rc;

    if (!wanted(c->args->leave_paused) || op->was_paused)
        return 0;
    rc = libxl_domain_pause(op->ctx, op->domid, NULL);
    if (rc)
        LOG_ERROR(op, "cannot leave the domain paused: %s",
                  libxl_snapshot_strerror(rc));
    else
        op->left_paused = true;
    return rc;
}

static int create(struct libxlss__op *op, const struct create *c)
{
    bool frozen;
    int rc, rc2;

    rc = look(op, c);
    if (!rc) {
        libxlss__disks_report(op, c->args);
        libxl_defbool_set(&c->args->memory, c->memory_fd >= 0);
        libxl_defbool_set(&c->args->paused, op->was_paused);
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_PREPARE);
    }
    if (!rc)
        rc = libxlss__guard_wait(op);
    if (rc)
        return rc;

    rc = libxlss__disks_prepare(op);
    if (!rc)
        libxlss__disks_report(op, c->args);
    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_SUSPEND);
    if (!rc)
        rc = freeze(op, c);
    frozen = op->quiesced;
    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_INSTANT);
    if (!rc)
        rc = libxlss__disks_take(op, NULL);
    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_RESUME);

    if (!rc)
        rc = stay_paused(op, c);
    rc2 = libxlss__release(op);
    if ((rc || rc2) && op->left_paused)
        libxl_domain_unpause(op->ctx, op->domid, NULL);
    if (rc2 && !rc)
        LOG_ERROR(op, "the snapshot was taken, but the domain does not go "
                  "on; it is removed again");
    if (rc2 == XLSS(NEEDS_REPAIR))
        rc = rc2;
    if (!rc)
        rc = rc2;
    if (!rc)
        rc = tell_quiesced(op, c, frozen);
    if (!rc)
        rc = libxlss__disks_settle(op);
    return rc ? undo(op, rc) : 0;
}

static int create_main(void *p)
{
    struct create *c = p;
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, c->ctx, c->domid, "snapshot-create", c->how);
    if (!rc)
        rc = create(&op, c);
    libxlss__op_end(&op);
    free(c);
    return rc;
}

int libxl_domain_snapshot_create(libxl_ctx *ctx, uint32_t domid,
                                 libxl_domain_snapshot_args *args,
                                 int memory_fd,
                                 const libxl_snapshot_how *how,
                                 const libxl_asyncop_how *ao_how)
{
    struct create *c = calloc(1, sizeof(*c));

    if (!c)
        return ERROR_NOMEM;
    *c = (struct create){ ctx, domid, args, memory_fd, how };
    return libxlss__ao_run(ctx, ao_how, create_main, c);
}
