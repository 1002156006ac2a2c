/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The journal: what is about to be done, written before it is begun. It is
 * there as long as something may have to be finished or undone.
 */
#include <stdlib.h>
#include <string.h>

#include "xluss.h"

#define JOURNAL "journal"
#define JOURNAL_MAX (4u << 20)      /* bytes */

/* How long a clean-up waits for the lower library's lock, in seconds: it
 * holds our lock, so only somebody without a catalogue can be there. */
#define CLEAN_WAIT 10

static int step(libxl_ctx *ctx, libxl_snapshot_step step, uint64_t done,
                uint64_t total, void *user)
{
    xluss__op *op = user;
    bool first = !op->any || op->last != step;
    int rc = 0;

    op->any = true;
    op->last = step;
    if (first && op->check)
        rc = op->check(op, step);
    if (rc)
        return rc;
    if (first && (op->steps & (1u << step))) {
        xluss__replace(&op->j.step, libxl_snapshot_step_to_string(step));
        if (op->prepare)
            rc = op->prepare(op, step);
        if (!rc)
            rc = xluss__journal_write(op);
        if (rc)
            return rc;
    }
    if (!op->caller || !op->caller->step)
        return 0;
    return op->caller->step(ctx, step, done, total, op->caller->user);
}

void xluss__op_init(xluss__op *op, xlu_snapshot_catalogue *cat,
                    xlu_snapshot_operation operation, const char *name,
                    const libxl_snapshot_how *how)
{
    memset(op, 0, sizeof(*op));
    op->cat = cat;
    op->caller = how;
    op->how.lg = cat->lg;
    op->how.step = step;
    op->how.user = op;
    if (how) {
        if (how->lg)
            op->how.lg = how->lg;
        op->how.on_death = how->on_death;
        op->how.wait_seconds = how->wait_seconds;
    }
    xlu_snapshot_journal_init(&op->j);
    op->j.operation = operation;
    op->j.domid = XLUSS__NO_DOMID;
    op->j.name = xluss__strdup(name);
}

libxl_snapshot_how xluss__plain_how(const xlu_snapshot_catalogue *cat)
{
    return (libxl_snapshot_how){ .lg = cat->lg, .wait_seconds = CLEAN_WAIT };
}

void xluss__op_dispose(xluss__op *op)
{
    xlu_snapshot_journal_dispose(&op->j);
}

int xluss__journal_write(xluss__op *op)
{
    xlu_snapshot_catalogue *cat = op->cat;
    char *text = xlu_snapshot_journal_to_json(cat->ctx, &op->j);
    int rc;

    if (!text) {
        LOG(cat->lg, ERROR, "domain %s%s%s: no journal could be made",
            cat->dom.name, op->j.name ? ", snapshot " : "",
            op->j.name ? op->j.name : "");
        return ERROR_FAIL;
    }
    rc = xluss__file_put(cat->lg, &cat->dir, JOURNAL, text, strlen(text),
                         false);
    free(text);
    cat->interrupted = xluss__file_exists(&cat->dir, JOURNAL);
    return rc;
}

int xluss__journal_begin(xluss__op *op)
{
    int rc = xluss__journal_write(op);

    /* It may be there, and only its folder's fsync have failed. */
    if (rc)
        xluss__journal_end(op->cat);
    return rc;
}

int xluss__journal_end(xlu_snapshot_catalogue *cat)
{
    int rc = xluss__file_drop(cat->lg, &cat->dir, JOURNAL);

    /* Should a power cut bring it back, recovery finds all done: no error. */
    if (!rc)
        xluss__dir_sync(cat->lg, &cat->dir);
    cat->interrupted = xluss__file_exists(&cat->dir, JOURNAL);
    return rc;
}

bool xluss__journal_is_whole(const xlu_snapshot_journal *j)
{
    if (j->operation == XLU_SNAPSHOT_OPERATION_MERGE)
        return true;
    return j->name && !xlu_snapshot_name_problem(j->name);
}

int xluss__journal_read(xlu_snapshot_catalogue *cat, xlu_snapshot_journal *j)
{
    char *text = NULL;
    size_t len;
    int rc;

    rc = xluss__file_get(cat->lg, &cat->dir, JOURNAL, JOURNAL_MAX, &text,
                         &len);
    if (rc)
        return rc;
    rc = xlu_snapshot_journal_from_json(cat->ctx, j, text);
    free(text);
    if (rc || !xluss__journal_is_whole(j)) {
        LOG(cat->lg, ERROR, "domain %s: %s/" JOURNAL " is damaged: an "
            "operation was interrupted, but not which", cat->dom.name,
            cat->dir.path);
        return LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
    }
    return 0;
}

int xluss__journal_step(const xlu_snapshot_journal *j)
{
    libxl_snapshot_step s;

    if (!j->step || libxl_snapshot_step_from_string(j->step, &s))
        return -1;
    return s;
}
