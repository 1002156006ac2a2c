/* SPDX-License-Identifier: LGPL-2.1-only */
/* libxl_domain_backup_start, _status, _finish and _cancel. */
#include <stdlib.h>
#include <string.h>

#include "../disk/files.h"
#include "backup.h"
#include "view_api.h"

/* A job that is cancelled finishes the requests under way first. */
#define CANCEL_MS 120000
#define POLL_MS   100

struct backup {
    libxl_ctx *ctx;
    uint32_t domid;
    libxl_domain_backup_args *args;
    const libxl_snapshot_how *how;
    const char *what;
    int (*run)(struct libxlss__op *op, libxl_domain_backup_args *args);
};

/* --- start --- */

static libxl_backup_disk *disk_of(libxl_domain_backup_args *args,
                                  const char *vdev)
{
    int i;

    for (i = 0; i < args->num_disks; i++)
        if (!strcmp(args->disks[i].vdev, vdev))
            return &args->disks[i];
    return NULL;
}

static int check_targets(struct libxlss__op *op,
                         const libxl_domain_backup_args *args)
{
    int i, j, rc = 0;

    if (!args->num_disks) {
        LOG_ERROR(op, "no disk is named, and each needs a target");
        return ERROR_INVAL;
    }
    for (i = 0; !rc && i < args->num_disks; i++) {
        if (args->disks[i].vdev)
            rc = libxlss__target_check(op, &args->disks[i],
                                       args->since != NULL);
        for (j = 0; !rc && j < i; j++)
            if (!strcmp(args->disks[i].target, args->disks[j].target)) {
                LOG_ERROR(op, "%s is the target of two disks",
                          args->disks[i].target);
                rc = ERROR_INVAL;
            }
    }
    return rc;
}

static int make_targets(struct libxlss__op *op,
                        const libxl_domain_backup_args *args,
                        const struct libxlss__view *v, bool *made)
{
    int i, rc = 0;

    for (i = 0; !rc && i < args->num_disks; i++) {
        const libxl_backup_disk *b = &args->disks[i];
        int j;

        for (j = 0; j < v->num_disks; j++)
            if (!strcmp(v->disks[j].vdev, b->vdev))
                rc = libxlss__target_make(op, b, v->disks[j].size, &made[i]);
    }
    return rc;
}

static int start_jobs(struct libxlss__op *op,
                      const libxl_domain_backup_args *args,
                      const struct libxlss__view *v, const bool *made)
{
    struct libxlss__qmp qmp;
    int i, rc = libxlss__qmp_open(op, &qmp);

    if (rc)
        return rc;
    for (i = 0; !rc && i < args->num_disks; i++)
        rc = libxlss__target_open(&qmp, v, &args->disks[i], made[i]);
    if (!rc)
        rc = libxlss__backup_jobs_start(&qmp, v, args->speed);
    libxlss__qmp_close(&qmp);
    return rc;
}

static int cancel_jobs(struct libxlss__op *op, char id[XLSS_VIEW_ID + 1]);

/* The view is there, and some of the targets; perhaps even jobs, whose
 * start's reply was lost. */
static int undo(struct libxlss__op *op, libxl_domain_backup_args *args,
                const struct libxlss__view *v, const bool *made, int rc)
{
    char id[XLSS_VIEW_ID + 1];
    int i, rc2 = 0;

    op->committed = op->undoing = true;
    if (v->id[0] && libxlss__qemu_alive(op)) {
        memcpy(id, v->id, sizeof(id));
        rc2 = cancel_jobs(op, id);
        libxlss__replace(&args->id, id);
        if (!rc2)
            rc2 = libxlss__backup_finish(op, args);
        /* It says that it failed, as it should. */
        if (rc2 == ERROR_FAIL || rc2 == ERROR_NOTFOUND)
            rc2 = 0;
        libxlss__replace(&args->id, NULL);
    } else if (v->id[0]) {
        libxlss__scratch_remove(op, v);
    }
    for (i = 0; !rc2 && i < args->num_disks; i++)
        if (made[i])
            libxlss__file_unlink(op, args->disks[i].target);
    if (!rc2)
        return rc;
    LOG_ERROR(op, "what was made of the backup %s could not be taken away "
              "again; stop it", v->id);
    libxlss__replace(&args->id, v->id);
    return XLSS(NEEDS_REPAIR);
}

static void report(libxl_domain_backup_args *args,
                   const struct libxlss__view *v)
{
    int i;

    libxlss__replace(&args->id, v->id);
    libxl_defbool_set(&args->quiesced, v->quiesced);
    args->state = LIBXL_BACKUP_STATE_RUNNING;
    for (i = 0; i < v->num_disks; i++) {
        libxl_backup_disk *b = disk_of(args, v->disks[i].vdev);

        b->size = v->disks[i].size;
        libxlss__replace(&b->scratch, v->disks[i].scratch_path);
    }
}

static int start(struct libxlss__op *op, libxl_domain_backup_args *args)
{
    const char **vdevs = libxlss__zalloc(op, (args->num_disks + 1) *
                                         sizeof(*vdevs));
    bool *made = libxlss__zalloc(op, args->num_disks + 1);
    struct libxlss__view v = {
        .scratch_dir = args->scratch_dir, .scratch_max = args->scratch_max,
        .quiesce = libxlss__wanted(args->quiesce),
        .allow_unquiesced = libxlss__wanted(args->allow_unquiesced),
        .checkpoint = args->checkpoint, .since = args->since,
    };
    int i, rc = check_targets(op, args);

    for (i = 0; i < args->num_disks; i++)
        vdevs[i] = args->disks[i].vdev;
    if (!rc)
        rc = libxlss__view_begin(op);
    if (!rc && args->id)
        rc = libxlss__view_take_id(op, args->id, &v);
    if (!rc)
        rc = libxlss__view_disks(op, &v, vdevs, args->num_disks);
    if (!rc && v.num_disks != args->num_disks) {
        LOG_ERROR(op, "a disk is named twice");
        rc = ERROR_INVAL;
    }
    if (!rc)
        rc = libxlss__view_look_once(op, &v);
    /* Before the instant: it may fail for many reasons. */
    if (!rc)
        rc = make_targets(op, args, &v, made);
    if (!rc)
        rc = libxlss__view_make(op, &v);
    else
        v.id[0] = '\0';
    if (rc == XLSS(NEEDS_REPAIR))
        return rc;
    if (rc) {
        v.id[0] = '\0';
        return undo(op, args, &v, made, rc);
    }
    rc = start_jobs(op, args, &v, made);
    if (rc)
        return undo(op, args, &v, made, rc);
    report(args, &v);
    return 0;
}

/* --- status --- */

static int id_of(struct libxlss__op *op, const libxl_domain_backup_args *args,
                 char id[XLSS_VIEW_ID + 1])
{
    id[0] = '\0';
    if (!args->id)
        return 0;
    if (!libxlss__view_id_ok(args->id)) {
        LOG_ERROR(op, "%s is no backup's id", args->id);
        return ERROR_INVAL;
    }
    memcpy(id, args->id, XLSS_VIEW_ID + 1);
    return 0;
}

static int read_jobs(struct libxlss__op *op, char id[XLSS_VIEW_ID + 1],
                     struct libxlss__backup_job **jobs, int *num)
{
    struct libxlss__qmp qmp;
    int rc = libxlss__qmp_open(op, &qmp);

    if (rc)
        return rc;
    rc = libxlss__backup_jobs(&qmp, id, jobs, num);
    libxlss__qmp_close(&qmp);
    return rc;
}

static int alive(struct libxlss__op *op)
{
    if (op->domid != XLSS_OFF && libxlss__qemu_alive(op))
        return 0;
    LOG_ERROR(op, "there is no QEMU of this domain any more, and no backup");
    return XLSS(NO_QEMU);
}

static int status(struct libxlss__op *op, libxl_domain_backup_args *args)
{
    struct libxlss__backup_job *jobs;
    char id[XLSS_VIEW_ID + 1];
    int num, rc = id_of(op, args, id);

    if (!rc)
        rc = alive(op);
    if (!rc)
        rc = read_jobs(op, id, &jobs, &num);
    if (rc)
        return rc;
    if (!num)
        return ERROR_NOTFOUND;
    libxlss__replace(&args->id, id);
    libxlss__backup_report(args, jobs, num);
    return 0;
}

/* --- finish and cancel --- */

static int finish(struct libxlss__op *op, libxl_domain_backup_args *args)
{
    char id[XLSS_VIEW_ID + 1];
    int rc = id_of(op, args, id);

    if (!rc)
        rc = alive(op);
    if (!rc)
        rc = libxlss__view_begin(op);
    return rc ? rc : libxlss__backup_finish(op, args);
}

static int ask_to_cancel(struct libxlss__op *op,
                         const struct libxlss__backup_job *jobs, int num)
{
    struct libxlss__qmp qmp;
    int i, rc = libxlss__qmp_open(op, &qmp);

    if (rc)
        return rc;
    /* One takes the others of its group along, so that they may be gone by
     * the time they are asked. */
    for (i = 0; i < num; i++)
        if (!jobs[i].concluded)
            libxlss__qmp_job_try_cancel(&qmp, jobs[i].id);
    libxlss__qmp_close(&qmp);
    return 0;
}

static bool all_concluded(const struct libxlss__backup_job *jobs, int num)
{
    int i;

    for (i = 0; i < num; i++)
        if (!jobs[i].concluded)
            return false;
    return true;
}

static int cancel_jobs(struct libxlss__op *op, char id[XLSS_VIEW_ID + 1])
{
    uint64_t end = libxlss__now_ms() + CANCEL_MS;
    struct libxlss__backup_job *jobs;
    bool asked = false;
    int num, rc;

    for (;;) {
        rc = read_jobs(op, id, &jobs, &num);
        if (rc || all_concluded(jobs, num))
            return rc;
        if (!asked)
            rc = ask_to_cancel(op, jobs, num);
        asked = true;
        if (rc)
            return rc;
        if (libxlss__now_ms() >= end) {
            LOG_ERROR(op, "the backup's jobs did not end in %d s after they "
                      "were cancelled", CANCEL_MS / 1000);
            return ERROR_TIMEDOUT;
        }
        libxlss__sleep_ms(POLL_MS);
    }
}

static int cancel(struct libxlss__op *op, libxl_domain_backup_args *args)
{
    char id[XLSS_VIEW_ID + 1];
    int rc = id_of(op, args, id);

    if (!rc)
        rc = alive(op);
    if (!rc)
        rc = libxlss__view_begin(op);
    if (!rc)
        rc = cancel_jobs(op, id);
    if (rc)
        return rc;
    if (id[0])
        libxlss__replace(&args->id, id);
    rc = libxlss__backup_finish(op, args);
    /* What is not there any more is what was wanted. */
    return rc == ERROR_FAIL && args->state == LIBXL_BACKUP_STATE_FAILED
           ? 0 : rc;
}

/* --- all --- */

static int backup_main(void *p)
{
    struct backup *b = p;
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, b->ctx, b->domid, b->what, b->how);
    if (!rc)
        rc = b->run(&op, b->args);
    libxlss__op_end(&op);
    free(b);
    return rc;
}

static int run(libxl_ctx *ctx, uint32_t domid, libxl_domain_backup_args *args,
               const libxl_snapshot_how *how, const libxl_asyncop_how *ao_how,
               const char *what,
               int (*fn)(struct libxlss__op *op,
                         libxl_domain_backup_args *args))
{
    struct backup *b = malloc(sizeof(*b));

    if (!b)
        return ERROR_NOMEM;
    *b = (struct backup){ ctx, domid, args, how, what, fn };
    return libxlss__ao_run(ctx, ao_how, backup_main, b);
}

int libxl_domain_backup_start(libxl_ctx *ctx, uint32_t domid,
                              libxl_domain_backup_args *args,
                              const libxl_snapshot_how *how,
                              const libxl_asyncop_how *ao_how)
{
    return run(ctx, domid, args, how, ao_how, "backup-start", start);
}

int libxl_domain_backup_status(libxl_ctx *ctx, uint32_t domid,
                               libxl_domain_backup_args *args,
                               const libxl_snapshot_how *how)
{
    return run(ctx, domid, args, how, NULL, "backup-status", status);
}

int libxl_domain_backup_finish(libxl_ctx *ctx, uint32_t domid,
                               libxl_domain_backup_args *args,
                               const libxl_snapshot_how *how,
                               const libxl_asyncop_how *ao_how)
{
    return run(ctx, domid, args, how, ao_how, "backup-finish", finish);
}

int libxl_domain_backup_cancel(libxl_ctx *ctx, uint32_t domid,
                               libxl_domain_backup_args *args,
                               const libxl_snapshot_how *how,
                               const libxl_asyncop_how *ao_how)
{
    return run(ctx, domid, args, how, ao_how, "backup-stop", cancel);
}
