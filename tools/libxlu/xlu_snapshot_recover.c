/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * After a crash: what the journal holds is finished or undone.
 *
 *   create: undone, unless NAME.json is there: then it is finished.
 *   delete: finished.
 *   merge:  ended; what was copied is kept.
 *   revert: undone as long as the domain has not been destroyed; finished
 *           after that. On the way to the safety point: goes there.
 *
 * Recovery may itself be interrupted; it is begun again then. A domain that
 * somebody has started by hand in the meantime is never destroyed.
 */
#include <stdlib.h>
#include <string.h>

#include "xluss_checkpoint.h"

typedef struct {
    xlu_snapshot_catalogue *cat;
    xluss__op op;
    uint32_t domid;             /* that has the uuid now, or none */
    libxl_dominfo info;         /* of domid */
    char *what;                 /* the sentence */
} recovery;

static bool runs(const recovery *r)
{
    return r->domid != XLUSS__NO_DOMID;
}

/* Is the domain still the one on which the operation began? */
static bool same(const recovery *r)
{
    return runs(r) && r->domid == r->op.j.domid;
}

/* The first write with a step is before PREPARE: until then nothing was
 * stopped. */
static bool touched(const recovery *r)
{
    return r->op.j.operation != XLU_SNAPSHOT_OPERATION_CREATE ||
           xluss__journal_step(&r->op.j) >= LIBXL_SNAPSHOT_STEP_PREPARE;
}

/* The lower library's part. A domain that was started since is not ours to
 * unpause, and not frozen by us. */
static int recover_disks(recovery *r, libxl_snapshot_intent intent)
{
    libxl_domain_snapshot_args *args = &r->op.j.args;

    if (!same(r) || !touched(r)) {
        /* Neither: true would pause one that runs. */
        libxl_defbool_unset(&args->paused);
        libxl_defbool_set(&args->quiesce, false);
    }
    return libxl_domain_snapshot_recover(r->cat->ctx, r->domid, intent, args,
                                         &r->op.how, NULL);
}

static int recover_create(recovery *r)
{
    xlu_snapshot_catalogue *cat = r->cat;
    const char *name = r->op.j.name;
    const xluss__entry *e = xluss__find(cat, name);
    int rc;

    if (e && !e->damaged) {
        r->what = xluss__asprintf("domain %s: snapshot %s, whose creation "
                                  "was interrupted, is complete",
                                  cat->dom.name, name);
        return xluss__create_finish(cat, name);
    }
    rc = recover_disks(r, LIBXL_SNAPSHOT_INTENT_CREATE);
    if (!rc)
        rc = xluss__checkpoint_never_was(cat, &r->op.j.args);
    if (rc)
        return rc;
    rc = xluss__drop_files(cat, name, r->op.j.memory_path);
    if (rc)
        return rc;
    r->what = xluss__asprintf("domain %s: the creation of snapshot %s, which "
                              "was interrupted, was undone", cat->dom.name,
                              name);
    return xluss__journal_end(cat);
}

static int recover_delete(recovery *r)
{
    int rc = recover_disks(r, LIBXL_SNAPSHOT_INTENT_DELETE);

    if (rc)
        return rc;
    r->what = xluss__asprintf("domain %s: the deletion of snapshot %s, which "
                              "was interrupted, was finished",
                              r->cat->dom.name, r->op.j.name);
    return xluss__delete_finish(&r->op);
}

static int recover_merge(recovery *r)
{
    int rc = recover_disks(r, LIBXL_SNAPSHOT_INTENT_MERGE);

    if (rc)
        return rc;
    r->what = xluss__asprintf("domain %s: a merge, which was interrupted, was "
                              "ended; snapshot-merge goes on from there",
                              r->cat->dom.name);
    return xluss__journal_end(r->cat);
}

/* --- revert --- */

static int revert_undo(recovery *r)
{
    int rc = 0;

    if (same(r)) {
        libxl_defbool_set(&r->op.j.args.paused, r->op.j.safety_paused);
        rc = recover_disks(r, LIBXL_SNAPSHOT_INTENT_REVERT);
    }
    if (!rc)
        rc = xluss__safety_drop(&r->op, r->domid);
    if (rc)
        return rc;
    r->what = xluss__asprintf("domain %s: the revert to snapshot %s was "
                              "interrupted before it changed anything",
                              r->cat->dom.name, r->op.j.name);
    return xluss__revert_finish(&r->op, true);
}

/* The domain runs as wanted, or the host was started again. */
static int revert_conclude(recovery *r, bool went_back)
{
    int rc = xluss__safety_drop(&r->op, r->domid);

    if (rc)
        return rc;
    r->what = went_back
        ? xluss__asprintf("domain %s: the revert to snapshot %s failed and "
                          "was interrupted; the domain is as it was before",
                          r->cat->dom.name, r->op.j.name)
        : xluss__asprintf("domain %s: the revert to snapshot %s, which was "
                          "interrupted, was finished%s", r->cat->dom.name,
                          r->op.j.name, runs(r) ? "" : "; the domain is off");
    return xluss__revert_finish(&r->op, went_back);
}

/* Ours: what is left of the old domain, or the half-built new one, which is
 * paused. Anything else was started by somebody. */
static bool may_destroy(const recovery *r)
{
    return same(r) || r->info.paused || r->info.dying;
}

static bool is_off(const recovery *r)
{
    uint32_t domid;

    return xluss__domain_by_uuid(r->cat->ctx, r->cat->dom.uuid, &domid,
                                 NULL) == ERROR_DOMAIN_NOTFOUND;
}

static int revert_redo(recovery *r, bool back)
{
    xlu_snapshot_catalogue *cat = r->cat;
    int rc;

    if (runs(r) && !may_destroy(r)) {
        LOG(cat->lg, ERROR, "domain %s was started by hand in the middle of "
            "a revert to snapshot %s; shut it down first", cat->dom.name,
            r->op.j.name);
        return LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
    }
    if (runs(r)) {
        rc = libxl_domain_destroy(cat->ctx, r->domid, NULL);
        if (rc) {
            LOG(cat->lg, ERROR, "domain %s: what is left of it (domain "
                "number %u) can't be destroyed", cat->dom.name, r->domid);
            return rc;
        }
        r->domid = cat->dom.domid = XLUSS__NO_DOMID;
    }
    rc = xluss__revert_again(&r->op, back);
    if (rc == LIBXL_SNAPSHOT_ERROR_WENT_BACK) {
        rc = 0;
        back = true;
    } else if (rc && !back && r->op.j.safety && is_off(r)) {
        LOG(cat->lg, WARN, "domain %s: the revert to snapshot %s failed "
            "again; going back to the safety point", cat->dom.name,
            r->op.j.name);
        back = true;
        rc = xluss__revert_again(&r->op, true);
    }
    if (rc)
        return rc;
    r->domid = cat->dom.domid;
    return revert_conclude(r, back);
}

/* The journal says "about to destroy". Has it begun? A domain that is being
 * destroyed is paused first. */
static bool destroy_not_begun(const recovery *r)
{
    if (!runs(r) || r->info.dying)
        return false;
    if (!same(r))
        return !r->info.paused;
    return !r->info.paused && !r->info.shutdown;
}

static int revert_unpause(recovery *r)
{
    int rc = 0;

    if (runs(r) && r->info.paused && !r->op.j.leave_paused)
        rc = libxl_domain_unpause(r->cat->ctx, r->domid, NULL);
    if (rc) {
        LOG(r->cat->lg, ERROR, "domain %s can't be unpaused",
            r->cat->dom.name);
        return rc;
    }
    return revert_conclude(r, false);
}

static int recover_revert(recovery *r)
{
    int step = xluss__journal_step(&r->op.j);

    switch (step) {
    case LIBXL_SNAPSHOT_STEP_DESTROY:
        return destroy_not_begun(r) ? revert_undo(r) : revert_redo(r, false);
    case LIBXL_SNAPSHOT_STEP_DISKS:
    case LIBXL_SNAPSHOT_STEP_RESTORE:
        return revert_redo(r, false);
    case LIBXL_SNAPSHOT_STEP_UNPAUSE:
        return revert_unpause(r);
    case LIBXL_SNAPSHOT_STEP_CLEAN:
        return revert_conclude(r, false);
    case LIBXL_SNAPSHOT_STEP_BACK:
        /* Without a safety point there is only one way out. */
        return revert_redo(r, r->op.j.safety);
    default:
        return revert_undo(r);
    }
}

static int dispatch(recovery *r)
{
    switch (r->op.j.operation) {
    case XLU_SNAPSHOT_OPERATION_CREATE:
        return recover_create(r);
    case XLU_SNAPSHOT_OPERATION_DELETE:
        return recover_delete(r);
    case XLU_SNAPSHOT_OPERATION_REVERT:
        return recover_revert(r);
    case XLU_SNAPSHOT_OPERATION_MERGE:
        return recover_merge(r);
    default:
        return ERROR_INVAL;
    }
}

static int recover(recovery *r)
{
    xlu_snapshot_catalogue *cat = r->cat;
    int rc;

    rc = xluss__journal_read(cat, &r->op.j);
    if (rc)
        return rc;
    rc = xluss__domain_by_uuid(cat->ctx, cat->dom.uuid, &r->domid, &r->info);
    if (rc && rc != ERROR_DOMAIN_NOTFOUND) {
        LOG(cat->lg, ERROR, "domain %s: Xen doesn't say which domains run",
            cat->dom.name);
        return LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
    }
    cat->dom.domid = r->domid;
    rc = dispatch(r);
    if (!rc)
        return 0;
    LOG(cat->lg, ERROR, "domain %s: %s of %s%s was interrupted, and could not "
        "be put right (%s)", cat->dom.name,
        xlu_snapshot_operation_to_string(r->op.j.operation),
        r->op.j.name ? "snapshot " : "its disks",
        r->op.j.name ? r->op.j.name : "", libxl_snapshot_strerror(rc));
    return LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
}

int xlu_snapshot_recover(xlu_snapshot_catalogue *cat,
                         const libxl_snapshot_how *how, char **what_out)
{
    recovery r = { .cat = cat };
    int rc, rc2;

    if (what_out)
        *what_out = NULL;
    if (!xluss__file_exists(&cat->dir, "journal"))
        return xluss__pull_recover(cat, how, what_out);
    if (cat->lock_fd < 0) {
        LOG(cat->lg, ERROR, "domain %s: its snapshots are open for reading "
            "only", cat->dom.name);
        return ERROR_INVAL;
    }
    libxl_dominfo_init(&r.info);
    xluss__op_init(&r.op, cat, XLU_SNAPSHOT_OPERATION_CREATE, NULL, how);
    rc = recover(&r);
    rc2 = xluss__load(cat);
    if (!rc)
        rc = rc2;
    if (!rc && what_out) {
        *what_out = r.what;
        r.what = NULL;
    }
    free(r.what);
    libxl_dominfo_dispose(&r.info);
    xluss__op_dispose(&r.op);
    return rc;
}
