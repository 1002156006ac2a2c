/* SPDX-License-Identifier: LGPL-2.1-only */
/* A pull backup whose command died at its start or at its end. */
#include <stdlib.h>

#include "xluss_backup.h"

bool xluss__pull_interrupted(xlu_snapshot_catalogue *cat)
{
    xlu_backup_pull p;
    bool is;

    xlu_backup_pull_init(&p);
    is = !cat->pull_ends && xluss__pull_load(cat, &p) &&
         p.phase != XLU_BACKUP_PULL_PHASE_RUNNING;
    xlu_backup_pull_dispose(&p);
    return is;
}

static int recover(xlu_snapshot_catalogue *cat, xlu_backup_pull *p,
                   const libxl_snapshot_how *how, char **what_out)
{
    bool starting = p->phase == XLU_BACKUP_PULL_PHASE_STARTING;
    bool dead = p->state == XLU_BACKUP_PULL_STATE_DEAD, later;
    int rc;

    rc = xluss__domain_by_uuid(cat->ctx, cat->dom.uuid, &cat->dom.domid,
                               NULL);
    if (rc && rc != ERROR_DOMAIN_NOTFOUND) {
        LOG(cat->lg, ERROR, "domain %s: Xen doesn't say which domains run",
            cat->dom.name);
        return LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
    }
    /* All that is left is a checkpoint, on the disks of a domain that is
     * off. */
    if (dead && cat->dom.domid == XLUSS__NO_DOMID)
        return 0;
    if (starting)
        p->phase = XLU_BACKUP_PULL_PHASE_UNDOING;
    rc = xluss__pull_end(cat, p, how);
    if (rc) {
        LOG(cat->lg, ERROR, "domain %s: the backup %s, whose %s was "
            "interrupted, could not be ended (%s)", cat->dom.name,
            p->snapshot.id, starting ? "start" : "end",
            libxl_snapshot_strerror(rc));
        return rc;
    }
    later = xluss__pull_interrupted(cat);
    if (!what_out || (dead && later))
        return 0;
    *what_out = dead
        ? xluss__asprintf("domain %s: the checkpoint %s of the backup %s, "
                          "which ended with the device model, was undone",
                          cat->dom.name, p->snapshot.checkpoint,
                          p->snapshot.id)
        : xluss__asprintf("domain %s: the %s of the backup %s, which was "
                          "interrupted, was %s%s", cat->dom.name,
                          starting ? "start" : "end", p->snapshot.id,
                          starting ? "undone" : "finished",
                          later ? "; its checkpoint is undone when the "
                                  "domain runs again" : "");
    return 0;
}

int xluss__pull_recover(xlu_snapshot_catalogue *cat,
                        const libxl_snapshot_how *how, char **what_out)
{
    xlu_backup_pull p;
    int rc = 0;

    if (!xluss__pull_interrupted(cat) || cat->lock_fd < 0)
        return 0;
    xlu_backup_pull_init(&p);
    if (xluss__pull_load(cat, &p))
        rc = recover(cat, &p, how, what_out);
    xlu_backup_pull_dispose(&p);
    cat->interrupted = xluss__file_exists(&cat->dir, "journal") ||
                       xluss__pull_interrupted(cat);
    return rc;
}
