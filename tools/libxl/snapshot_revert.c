/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxl_domain_snapshot_revert. Up to DESTROY every failure leaves the old
 * domain as it was. From there on the way back is the safety point.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk/disk.h"
#include "export.h"

struct revert {
    libxl_ctx *ctx;
    uint32_t domid;
    libxl_domain_config *config;
    const libxl_domain_snapshot_args *args;
    int restore_fd;
    bool force;
    libxl_domain_snapshot_safety *safety;
    uint32_t *domid_out;
    const libxl_snapshot_how *how;

    off_t safety_start;         /* of libxl's stream in safety->memory_fd */
};

static bool leave_paused(const struct revert *v)
{
    libxl_defbool b = v->args->leave_paused;

    return !libxl_defbool_is_default(b) && libxl_defbool_val(b);
}

static bool has_safety(const struct revert *v)
{
    return v->safety && v->safety->name;
}

/* Off: name and UUID are those that it will have; nobody else may have
 * them now. */
static int look_off(struct libxlss__op *op, const struct revert *v)
{
    libxl_domain_create_info *c = &v->config->c_info;
    uint32_t other;

    snprintf(op->uuid, sizeof(op->uuid), LIBXL_UUID_FMT,
             LIBXL_UUID_BYTES(c->uuid));
    if (!c->name)
        return 0;
    op->name = libxlss__strdup(op, c->name);
    if (libxl_name_to_domid(op->ctx, c->name, &other))
        return 0;
    LOG_ERROR(op, "a domain of this name runs (domid %u)", other);
    return XLSS(NOT_POSSIBLE);
}

static int look(struct libxlss__op *op, struct revert *v)
{
    int rc = 0;

    if (op->domid == 0 || op->info.dying) {
        LOG_ERROR(op, "not possible for this domain: it is %s",
                  op->domid ? "being destroyed" : "the host's own");
        return XLSS(NOT_POSSIBLE);
    }
    if (op->domid == XLSS_OFF)
        rc = look_off(op, v);
    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_LOOK);
    if (!rc)
        rc = libxlss__oplock(op, v->how ? v->how->wait_seconds : 0);
    if (!rc && op->domid != XLSS_OFF)
        rc = libxlss__domain_config(op);
    if (!rc && op->domid != XLSS_OFF)
        rc = libxlss__guard_start(op, v->safety ? v->safety->memory_fd : -1);
    return rc;
}

/* What comes through a pipe can be read once, and that is for the restore. */
static bool is_seekable(int fd)
{
    return fd >= 0 && lseek(fd, 0, SEEK_CUR) >= 0;
}

static int verify(struct libxlss__op *op, struct revert *v)
{
    int rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_VERIFY);

    if (!rc && is_seekable(v->restore_fd))
        rc = libxlss__stream_verify(op, v->restore_fd);
    if (!rc)
        rc = libxlss__disks_recorded(op, v->args);
    if (!rc)
        rc = libxlss__disks_not_exported(op, true);
    if (!rc)
        rc = libxlss__disks_verify(op);
    if (!rc)
        rc = libxlss__disks_check_bitmaps(op, v->force);
    return rc;
}

/* A guest that hangs is the main reason to revert: then the disks alone. */
static int safety_freeze(struct libxlss__op *op, struct revert *v)
{
    int rc;

    v->safety->memory = false;
    if (op->info.shutdown)
        return 0;               /* it stands still already */
    if (v->safety->memory_fd >= 0) {
        rc = libxlss__suspend(op, v->safety->memory_fd, false);
        if (!rc) {
            v->safety->memory = true;
            return 0;
        }
        if (rc != XLSS(NOT_SUSPENDED) && rc != XLSS(NOT_POSSIBLE))
            return rc;
        LOG_WARN(op, "the safety point will hold the disks only");
        rc = libxlss__release(op);
        if (rc)
            return rc;
    }
    return libxlss__pause(op);
}

/* The old domain goes on, and nothing of the safety point stays. */
static int undo(struct libxlss__op *op, struct revert *v, int rc)
{
    int i, rc2 = libxlss__release(op);
    bool taken = false;

    for (i = 0; i < op->num_disks; i++)
        taken = taken || op->disks[i].taken;
    op->committed = true;
    if (!rc2 && taken)
        rc2 = libxlss__disks_remove(op, v->safety->name);
    if (!rc2)
        return rc;
    LOG_ERROR(op, "the revert failed before anything was destroyed, but the "
              "domain could not be set going or the safety point not "
              "removed; it needs repair");
    return XLSS(NEEDS_REPAIR);
}

static int take_safety(struct libxlss__op *op, struct revert *v)
{
    int rc;

    if (!has_safety(v) || v->safety->taken || op->domid == XLSS_OFF)
        return 0;
    v->safety_start = v->safety->memory_fd >= 0
        ? lseek(v->safety->memory_fd, 0, SEEK_CUR) : 0;
    v->safety->paused = op->was_paused;
    libxlss__disks_expect_qemu(op);
    rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_SUSPEND);
    if (!rc)
        rc = safety_freeze(op, v);
    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_INSTANT);
    if (!rc)
        rc = libxlss__disks_take(op, v->safety->name);
    if (!rc && v->safety->memory && fdatasync(v->safety->memory_fd)) {
        LOG_ERRNO(op, "cannot write the safety point to disk");
        rc = errno == ENOSPC ? XLSS(NO_SPACE) : ERROR_FAIL;
    }
    return rc;
}

/* libxl fills the configuration in, so it gets a copy. */
static int build(struct libxlss__op *op, libxl_domain_config *config, int fd,
                 uint32_t *domid_out)
{
    libxl_domain_config copy;
    int i, rc;

    libxl_domain_config_init(&copy);
    libxl_domain_config_copy(op->ctx, &copy, config);
    for (i = 0; i < op->num_disks; i++)
        if (op->disks[i].live)
            libxlss__config_set(&copy, op->disks[i].vdev, op->disks[i].live,
                                op->disks[i].live_format);
    rc = libxlss__build(op, &copy, fd, domid_out);
    libxl_domain_config_dispose(&copy);
    return rc;
}

/* From here on the operation is about another domain. */
static int adopt(struct libxlss__op *op, struct revert *v, uint32_t domid)
{
    memset(&op->held, 0, sizeof(op->held));
    libxlss__guard_tell(op);
    op->domid = domid;
    *v->domid_out = domid;
    return libxlss__domain_look(op);
}

static int go(struct libxlss__op *op, bool paused)
{
    int rc = 0, tries;

    /* Whatever the call says, what counts is whether it runs. */
    for (tries = 0; !paused && tries < 3; tries++) {
        rc = libxl_domain_unpause(op->ctx, op->domid, NULL);
        if (!rc || (!libxlss__domain_refresh(op) && !op->info.paused))
            return 0;
    }
    if (rc)
        LOG_ERROR(op, "the domain was restored, but can't be unpaused: %s",
                  libxl_snapshot_strerror(rc));
    return rc;
}

/* Left behind, it costs space alone: no reason to fail. */
static void drop_safety(struct libxlss__op *op, struct revert *v)
{
    if (!has_safety(v))
        return;
    libxlss__step(op, LIBXL_SNAPSHOT_STEP_CLEAN);
    if (libxlss__disks_remove(op, v->safety->name))
        LOG_WARN(op, "the safety point \"%s\" stays in the images",
                 v->safety->name);
}

static int go_back(struct libxlss__op *op, struct revert *v)
{
    libxl_domain_snapshot_safety *s = v->safety;
    uint32_t domid;
    int i, rc;

    if (!has_safety(v) || !op->have_config) {
        LOG_ERROR(op, "the domain is off; revert again, or start it");
        return XLSS(NEEDS_REPAIR);
    }
    LOG_WARN(op, "going back to the safety point");
    libxlss__step(op, LIBXL_SNAPSHOT_STEP_BACK);
    for (i = 0; i < op->num_disks; i++)
        op->disks[i].live = NULL;
    rc = libxlss__disks_revert(op, s->name);
    if (!rc && s->memory &&
        lseek(s->memory_fd, v->safety_start, SEEK_SET) < 0)
        rc = ERROR_FAIL;
    if (!rc)
        rc = build(op, &op->config, s->memory ? s->memory_fd : -1, &domid);
    if (!rc)
        rc = adopt(op, v, domid);
    if (!rc)
        rc = go(op, s->paused);
    if (rc) {
        LOG_ERROR(op, "going back to the safety point failed too: the domain "
                  "is off, its disks hold the safety point \"%s\"", s->name);
        return XLSS(NEEDS_REPAIR);
    }
    drop_safety(op, v);
    LOG_ERROR(op, "the revert failed; the domain %s as before it",
              s->memory ? "runs on" : "was started again, with its disks");
    return XLSS(WENT_BACK);
}

static int destroy(struct libxlss__op *op)
{
    int rc;

    rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_DESTROY);
    if (rc)
        return rc;
    op->committed = true;
    rc = libxlss__destroy(op);
    if (rc)
        return rc;
    op->domid = XLSS_OFF;
    memset(&op->held, 0, sizeof(op->held));
    libxlss__guard_tell(op);
    return 0;
}

/* True if the old domain is still there to go on. */
static bool survives(struct libxlss__op *op)
{
    return op->domid != XLSS_OFF && !libxlss__domain_refresh(op) &&
           !op->info.dying;
}

static int move(struct libxlss__op *op, struct revert *v)
{
    uint32_t domid;
    int rc;

    libxlss__step(op, LIBXL_SNAPSHOT_STEP_DISKS);
    rc = libxlss__disks_revert(op, NULL);
    if (rc)
        return rc;
    libxlss__step(op, LIBXL_SNAPSHOT_STEP_RESTORE);
    rc = build(op, v->config, v->restore_fd, &domid);
    if (rc)
        return rc;
    return adopt(op, v, domid);
}

static int revert(struct libxlss__op *op, struct revert *v)
{
    int rc;

    rc = look(op, v);
    if (!rc)
        rc = verify(op, v);
    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_PREPARE);
    if (!rc)
        rc = libxlss__guard_wait(op);
    if (rc)
        return rc;

    rc = take_safety(op, v);
    if (rc)
        return undo(op, v, rc);

    if (op->domid != XLSS_OFF) {
        rc = destroy(op);
        if (rc && survives(op))
            return undo(op, v, rc);
        *v->domid_out = XLSS_OFF;
    }
    op->committed = true;
    if (!rc)
        rc = libxlss__disks_names_right(op);
    if (!rc && has_safety(v))
        rc = libxlss__disks_safety_off(op, v->safety->name);
    if (!rc)
        rc = move(op, v);
    if (rc)
        return go_back(op, v);

    libxlss__step(op, LIBXL_SNAPSHOT_STEP_UNPAUSE);
    rc = go(op, leave_paused(v));
    drop_safety(op, v);
    return rc;
}

static int revert_main(void *p)
{
    struct revert *v = p;
    struct libxlss__op op;
    int rc;

    *v->domid_out = v->domid;
    rc = libxlss__op_begin(&op, v->ctx, v->domid, "snapshot-revert", v->how);
    if (!rc)
        rc = revert(&op, v);
    libxlss__op_end(&op);
    free(v);
    return rc;
}

int libxl_domain_snapshot_revert(libxl_ctx *ctx, uint32_t domid,
                                 libxl_domain_config *config,
                                 const libxl_domain_snapshot_args *args,
                                 int restore_fd, bool force,
                                 libxl_domain_snapshot_safety *safety,
                                 uint32_t *domid_out,
                                 const libxl_snapshot_how *how,
                                 const libxl_asyncop_how *ao_how)
{
    struct revert *v = calloc(1, sizeof(*v));

    if (!v)
        return ERROR_NOMEM;
    v->ctx = ctx;
    v->domid = domid;
    v->config = config;
    v->args = args;
    v->restore_fd = restore_fd;
    v->force = force;
    v->safety = safety;
    v->domid_out = domid_out;
    v->how = how;
    return libxlss__ao_run(ctx, ao_how, revert_main, v);
}
