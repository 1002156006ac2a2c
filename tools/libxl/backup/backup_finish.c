/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The end of a backup. First the targets are closed and brought to the disk:
 * a job's end doesn't mean that. Then the view goes. Only then is QEMU told
 * to forget how the jobs ended: should we die before, somebody else does the
 * same again from the beginning.
 */
#include <stdlib.h>
#include <string.h>

#include "../disk/files.h"
#include "backup.h"
#include "view_api.h"

static libxl_backup_disk *disk_of(libxl_domain_backup_args *args,
                                  const char *vdev)
{
    libxl_backup_disk *grown, *b;
    int i;

    for (i = 0; i < args->num_disks; i++)
        if (args->disks[i].vdev && !strcmp(args->disks[i].vdev, vdev))
            return &args->disks[i];
    grown = realloc(args->disks, (args->num_disks + 1) * sizeof(*grown));
    if (!grown)
        abort();
    args->disks = grown;
    b = &args->disks[args->num_disks++];
    libxl_backup_disk_init(b);
    b->vdev = libxlss__own(vdev);
    return b;
}

/* QEMU's word for a broken view is EACCES. */
static const char *reason(const char *error)
{
    return strcmp(error, "Permission denied") ? error
         : "the scratch file is full or could not be written in time, so the "
           "disk's old data are lost";
}

void libxlss__backup_report(libxl_domain_backup_args *args,
                            const struct libxlss__backup_job *jobs, int num)
{
    bool all = num > 0, failed = false;
    int i;

    for (i = 0; i < num; i++) {
        libxl_backup_disk *b = disk_of(args, jobs[i].vdev);

        b->done = jobs[i].done;
        b->total = jobs[i].total;
        libxlss__replace(&b->error, jobs[i].error ? reason(jobs[i].error)
                                                  : NULL);
        all = all && jobs[i].concluded;
        failed = failed || jobs[i].error;
    }
    args->state = !all ? LIBXL_BACKUP_STATE_RUNNING
                : failed ? LIBXL_BACKUP_STATE_FAILED
                : LIBXL_BACKUP_STATE_COPIED;
}

static void say_errors(struct libxlss__op *op,
                       const libxl_domain_backup_args *args)
{
    const char *fallback = NULL;
    int i, said = 0;

    for (i = 0; i < args->num_disks; i++) {
        const libxl_backup_disk *b = &args->disks[i];

        if (!b->error)
            continue;
        fallback = b->error;
        /* The others of the group were only taken along. */
        if (!strcmp(b->error, "Operation canceled"))
            continue;
        LOG_ERROR(op, "disk %s: the backup failed: %s", b->vdev, b->error);
        said++;
    }
    if (!said)
        LOG_ERROR(op, "the backup did not come to its end: %s",
                  fallback ? fallback : "who started it died before its jobs "
                  "began");
}

/* Its maker died before the jobs began. */
static struct libxlss__view *of_a_backup(struct libxlss__view *list, int num)
{
    int i;

    for (i = 0; i < num; i++)
        if (libxlss__view_has_target(&list[i]))
            return &list[i];
    return NULL;
}

static int look(struct libxlss__op *op, char id[XLSS_VIEW_ID + 1],
                struct libxlss__backup_job **jobs, int *num,
                struct libxlss__view **v_r)
{
    struct libxlss__graph *graph = libxlss__zalloc(op, sizeof(*graph));
    struct libxlss__view *list;
    struct libxlss__qmp qmp;
    int rc, num_views;

    *v_r = NULL;
    rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    rc = libxlss__backup_jobs(&qmp, id, jobs, num);
    if (!rc)
        rc = libxlss__views_read(&qmp, graph, &list, &num_views);
    if (!rc)
        *v_r = *id ? libxlss__view_find(list, num_views, id)
                   : of_a_backup(list, num_views);
    libxlss__qmp_close(&qmp);
    if (*v_r)
        memcpy(id, (*v_r)->id, XLSS_VIEW_ID + 1);
    return rc;
}

static int close_targets(struct libxlss__op *op,
                         const struct libxlss__view *v)
{
    struct libxlss__qmp qmp;
    int i, rc2, rc = libxlss__qmp_open(op, &qmp);

    if (rc)
        return rc;
    for (i = 0; i < v->num_disks; i++) {
        if (!v->disks[i].target)
            continue;
        rc2 = libxlss__qmp_del_node(&qmp, v->disks[i].target->name);
        rc = rc ? rc : rc2;
    }
    libxlss__qmp_close(&qmp);
    return rc;
}

/* By the caller's own list where QEMU has closed them already. */
static int sync_targets(struct libxlss__op *op,
                        const libxl_domain_backup_args *args,
                        const struct libxlss__view *v)
{
    int i, rc = 0;

    for (i = 0; !rc && i < args->num_disks; i++)
        if (args->disks[i].target &&
            libxlss__target_is_file(args->disks[i].target))
            rc = libxlss__target_sync(op, args->disks[i].target);
    for (i = 0; !rc && v && i < v->num_disks; i++)
        if (v->disks[i].target_file &&
            libxlss__target_is_file(v->disks[i].target_file->file))
            rc = libxlss__target_sync(op, v->disks[i].target_file->file);
    return rc;
}

/* What we made is of no use to anybody. */
static void remove_targets(struct libxlss__op *op,
                           const struct libxlss__view *v)
{
    int i;

    for (i = 0; v && i < v->num_disks; i++)
        if (v->disks[i].target_file && v->disks[i].target_made &&
            libxlss__target_is_file(v->disks[i].target_file->file))
            libxlss__file_unlink(op, v->disks[i].target_file->file);
}

static int forget_jobs(struct libxlss__op *op,
                       const struct libxlss__backup_job *jobs, int num)
{
    struct libxlss__qmp qmp;
    int i, rc2, rc = num ? libxlss__qmp_open(op, &qmp) : 0;

    if (rc || !num)
        return rc;
    for (i = 0; i < num; i++) {
        rc2 = libxlss__qmp_job_dismiss(&qmp, jobs[i].id);
        rc = rc ? rc : rc2;
    }
    libxlss__qmp_close(&qmp);
    return rc;
}

int libxlss__backup_finish(struct libxlss__op *op,
                           libxl_domain_backup_args *args)
{
    char id[XLSS_VIEW_ID + 1] = "";
    struct libxlss__backup_job *jobs;
    struct libxlss__view *v;
    int rc, num, failed = 0;

    if (args->id)
        snprintf(id, sizeof(id), "%s", args->id);
    rc = look(op, id, &jobs, &num, &v);
    if (rc)
        return rc;
    if (!num && !v)
        return ERROR_NOTFOUND;
    libxlss__replace(&args->id, id);
    libxlss__backup_report(args, jobs, num);
    /* A start that failed is no backup, though its jobs may have been quick:
     * only the reply to their start was lost. */
    if (args->state != LIBXL_BACKUP_STATE_COPIED || op->undoing) {
        args->state = LIBXL_BACKUP_STATE_FAILED;
        if (!op->undoing)
            say_errors(op, args);
        failed = ERROR_FAIL;
    }
    if (v)
        rc = close_targets(op, v);
    if (!rc && !failed) {
        failed = sync_targets(op, args, v);
        if (failed)
            args->state = LIBXL_BACKUP_STATE_FAILED;
    }
    if (!rc && failed)
        remove_targets(op, v);
    if (!rc && v)
        rc = libxlss__view_drop(op, id, failed != 0);
    if (!rc)
        rc = forget_jobs(op, jobs, num);
    if (!rc && !failed)
        args->state = LIBXL_BACKUP_STATE_DONE;
    return rc ? rc : failed;
}
