/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-check --repair: what backups have left. All of it is looked at
 * once more by who removes it: what has begun since is left alone.
 */
#include <stdlib.h>
#include <string.h>

#include "xluss_backup.h"
#include "xluss_check.h"

static bool has_views(xlu_snapshot_catalogue *cat)
{
    libxl_snapshot_how how = xluss__plain_how(cat);
    libxl_block_snapshot_list list;
    bool has;

    if (cat->dom.domid == XLUSS__NO_DOMID)
        return false;
    libxl_block_snapshot_list_init(&list);
    has = libxl_domain_block_snapshot_list(cat->ctx, cat->dom.domid, &list,
                                           &how) || list.num_snapshots;
    libxl_block_snapshot_list_dispose(&list);
    return has;
}

/* One that says nothing goes if there is nothing that it could speak of. */
static int drop_damaged(xlu_snapshot_catalogue *cat, const char *file)
{
    if (has_views(cat))
        return LIBXL_SNAPSHOT_ERROR_BUSY;
    return xluss__file_drop(cat->lg, &cat->dir, file);
}

static int repair_push(xlu_snapshot_catalogue *cat,
                       const xluss__backup_records *r)
{
    return r->push.id ? xluss__push_clean_earlier(cat)
                      : drop_damaged(cat, XLUSS__PUSH_JSON);
}

static int repair_pull(xlu_snapshot_catalogue *cat,
                       const xluss__backup_records *r)
{
    return r->pull.snapshot.id ? xluss__pull_clean_earlier(cat)
                               : drop_damaged(cat, "pull.json");
}

static int repair_save(xlu_snapshot_catalogue *cat,
                       const xluss__backup_records *r)
{
    return r->save.snapshot.id ? xluss__save_clean_earlier(cat, NULL)
                               : drop_damaged(cat, XLUSS__SAVE_JSON);
}

static int repair_view(xlu_snapshot_catalogue *cat, const char *id)
{
    libxl_snapshot_how how = xluss__plain_how(cat);
    libxl_domain_backup_args args;
    libxl_block_snapshot which;
    int rc;

    libxl_domain_backup_args_init(&args);
    libxl_block_snapshot_init(&which);
    args.id = xluss__strdup(id);
    which.id = xluss__strdup(id);
    /* Its targets, if it has any. */
    rc = libxl_domain_backup_cancel(cat->ctx, cat->dom.domid, &args, &how,
                                    NULL);
    if (!rc || rc == ERROR_NOTFOUND)
        rc = libxl_domain_block_snapshot_delete(cat->ctx, cat->dom.domid,
                                                &which, true, &how, NULL);
    libxl_block_snapshot_dispose(&which);
    libxl_domain_backup_args_dispose(&args);
    return rc;
}

static int repair_left(xlu_snapshot_catalogue *cat, const char *what,
                       const xluss__backup_records *r)
{
    if (!strcmp(what, XLUSS__PUSH_JSON))
        return repair_push(cat, r);
    if (!strcmp(what, "pull.json"))
        return repair_pull(cat, r);
    if (!strcmp(what, XLUSS__SAVE_JSON))
        return repair_save(cat, r);
    if (what[0] == '/')
        return xluss__save_partial_remove(cat, &r->save);
    return repair_view(cat, what);
}

static int repair_server(xlu_snapshot_catalogue *cat, const char *id,
                         const xluss__backup_records *r)
{
    libxl_snapshot_how how = xluss__plain_how(cat);
    xlu_backup_pull pull;
    int rc;

    if (!r->pull.exported.id || strcmp(r->pull.exported.id, id))
        return libxl_domain_block_export_stop(cat->ctx, cat->dom.domid, id,
                                              &how);
    xlu_backup_pull_init(&pull);
    rc = xlu_backup_pull_restart(cat, NULL, &pull);
    xlu_backup_pull_dispose(&pull);
    return rc;
}

/* If it is unused still. */
static int repair_scratch(xlu_snapshot_catalogue *cat, const char *path)
{
    libxl_snapshot_how how = xluss__plain_how(cat);
    libxl_block_snapshot_list list;
    char *folder = xluss__asprintf("%.*s", (int)(strrchr(path, '/') - path),
                                   path);
    bool shared;
    int i, rc;

    libxl_block_snapshot_list_init(&list);
    rc = libxl_block_scratch_list(cat->ctx, folder, &list, &shared, &how);
    for (i = 0; !rc && !shared && i < list.num_snapshots; i++)
        if (!strcmp(list.snapshots[i].disks[0].scratch, path))
            rc = libxl_domain_block_snapshot_delete(
                cat->ctx, INVALID_DOMID, &list.snapshots[i], false, &how,
                NULL);
    libxl_block_snapshot_list_dispose(&list);
    free(folder);
    return rc;
}

int xluss__repair_backup(xlu_snapshot_catalogue *cat,
                         const xlu_snapshot_finding *f)
{
    xluss__backup_records r;
    int rc;

    xluss__backup_records_read(cat, &r);
    switch (f->kind) {
    case XLU_SNAPSHOT_FINDING_KIND_BACKUP:
        rc = repair_left(cat, f->subject, &r);
        break;
    case XLU_SNAPSHOT_FINDING_KIND_SERVER:
        rc = repair_server(cat, f->subject, &r);
        break;
    default:
        rc = repair_scratch(cat, f->subject);
    }
    xluss__backup_records_dispose(&r);
    return rc;
}
