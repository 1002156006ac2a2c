/* SPDX-License-Identifier: LGPL-2.1-only */
/* What was written since a checkpoint, and whether the catalogue knows of one
 * in between that a disk has lost. */
#include <stdlib.h>
#include <string.h>

#include "xluss_checkpoint.h"

static bool wanted(const char *const *vdevs, const char *vdev)
{
    int i;

    for (i = 0; vdevs && vdevs[i]; i++)
        if (!strcmp(vdevs[i], vdev))
            return true;
    return !vdevs || !vdevs[0];
}

/* Which disks have it; those that were asked for, else all. */
static char **disks_of(const xlu_checkpoint *c, const char *const *vdevs,
                       int *num)
{
    char **disks = xluss__calloc(c->num_disks + 1, sizeof(*disks));
    int i;

    *num = 0;
    for (i = 0; i < c->num_disks; i++)
        if (wanted(vdevs, c->disks[i].vdev))
            disks[(*num)++] = xluss__strdup(c->disks[i].vdev);
    return disks;
}

/* On the disks in question, from `since` on. */
static int check_range(xlu_snapshot_catalogue *cat,
                       struct xluss__checkpoints *v,
                       const xlu_checkpoint *since,
                       const xlu_checkpoint *until,
                       const libxl_domain_dirty_args *args)
{
    const xlu_checkpoint *end = until ? until + 1
        : v->list.checkpoints + v->list.num_checkpoints, *c;
    int i, j;

    for (c = since; c < end; c++)
        for (i = 0; i < c->num_disks; i++) {
            const char *vdev = c->disks[i].vdev;

            for (j = 0; j < args->num_disks; j++)
                if (!strcmp(args->disks[j], vdev))
                    break;
            if (j == args->num_disks ||
                xluss__checkpoint_on(&v->found, c->name, c->sequence, vdev))
                continue;
            LOG(cat->lg, ERROR, "domain %s, disk %s: the bitmap of the "
                "checkpoint %s is not there any more, so what was written "
                "since %s is not known", cat->dom.name, vdev, c->name,
                since->name);
            return LIBXL_SNAPSHOT_ERROR_BITMAP_BROKEN;
        }
    return 0;
}

static int dirty(xlu_snapshot_catalogue *cat, struct xluss__checkpoints *v,
                 const xlu_checkpoint *since, const xlu_checkpoint *until,
                 const char *const *vdevs, const libxl_snapshot_how *how,
                 libxl_domain_dirty *out)
{
    libxl_snapshot_how plain = xluss__plain_how(cat);
    libxl_domain_dirty_args args;
    int i, rc = 0;

    libxl_domain_dirty_args_init(&args);
    args.since = xluss__strdup(since->name);
    args.until = until ? xluss__strdup(until->name) : NULL;
    args.disks = disks_of(since, vdevs, &args.num_disks);
    for (i = 0; vdevs && vdevs[i] && !rc; i++) {
        const char *one[] = { vdevs[i], NULL };
        char **found;
        int num;

        found = disks_of(since, one, &num);
        if (!num) {
            LOG(cat->lg, ERROR, "domain %s: the checkpoint %s has no disk "
                "%s", cat->dom.name, since->name, vdevs[i]);
            rc = ERROR_NOTFOUND;
        }
        while (num > 0)
            free(found[--num]);
        free(found);
    }
    if (!rc && !args.num_disks) {
        LOG(cat->lg, ERROR, "domain %s: no disk of the checkpoint %s is "
            "known", cat->dom.name, since->name);
        rc = LIBXL_SNAPSHOT_ERROR_BITMAP_BROKEN;
    }
    if (!rc)
        rc = check_range(cat, v, since, until, &args);
    if (!rc)
        rc = libxl_domain_checkpoint_dirty(cat->ctx, cat->dom.domid, &args,
                                           out, how ? how : &plain, NULL);
    libxl_domain_dirty_args_dispose(&args);
    return rc;
}

int xlu_checkpoint_dirty(xlu_snapshot_catalogue *cat, const char *since,
                         const char *until, const char *const *vdevs,
                         const libxl_snapshot_how *how,
                         libxl_domain_dirty *out)
{
    xlu_checkpoint *a, *b;
    struct xluss__checkpoints v;
    int rc;

    xluss__checkpoints_init(&v);
    rc = xluss__checkpoints_load(cat, &v);
    a = xluss__checkpoint_find(&v.list, since);
    b = xluss__checkpoint_find(&v.list, until);
    if (!rc && !a)
        rc = xluss__checkpoint_not_found(cat, since);
    if (!rc && until && !b)
        rc = xluss__checkpoint_not_found(cat, until);
    if (!rc && b && b <= a) {
        LOG(cat->lg, ERROR, "domain %s: the checkpoint %s is not later than "
            "%s", cat->dom.name, until, since);
        rc = ERROR_INVAL;
    }
    if (!rc && !xluss__runs(cat)) {
        LOG(cat->lg, ERROR, "domain %s is not running, so what was written "
            "can't be asked", cat->dom.name);
        rc = LIBXL_SNAPSHOT_ERROR_NO_QEMU;
    }
    if (!rc)
        rc = dirty(cat, &v, a, b, vdevs, how, out);
    xluss__checkpoints_dispose(&v);
    return rc;
}

int xluss__checkpoint_since(xlu_snapshot_catalogue *cat, const char *since,
                            const char *const *vdevs)
{
    libxl_domain_dirty_args args;
    xlu_checkpoint *c;
    struct xluss__checkpoints v;
    int i, rc;

    xluss__checkpoints_init(&v);
    libxl_domain_dirty_args_init(&args);
    rc = xluss__checkpoints_load(cat, &v);
    /* Deleted, if it isn't there, and not vanished. */
    for (i = v.list.num_checkpoints - 1; i >= 0; i--)
        if (v.list.checkpoints[i].phase != XLU_CHECKPOINT_PHASE_SETTLED)
            xluss__checkpoint_remove(&v.list, &v.list.checkpoints[i]);
    c = xluss__checkpoint_find(&v.list, since);
    if (!rc && c) {
        args.disks = disks_of(c, vdevs, &args.num_disks);
        rc = check_range(cat, &v, c, NULL, &args);
    }
    libxl_domain_dirty_args_dispose(&args);
    xluss__checkpoints_dispose(&v);
    return rc;
}
