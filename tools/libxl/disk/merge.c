/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Merging. A base is never written while anything but the guest's own
 * overlay is based on it; what is based on it takes its data in, and reads
 * the same at every instant. A merge that is cut short is begun again: what
 * was copied stays copied. In a QEMU it is a job with a known name, which
 * outlives us and is found again.
 */
#include <string.h>

#include "disk.h"
#include "files.h"
#include "../checkpoint/checkpoint.h"

#define POLL_MS 200

static char *job_name(struct libxlss__op *op, const struct libxlss__disk *d)
{
    return libxlss__printf(op, XLSS_JOB "%s", d->vdev);
}

static int poll_job(struct libxlss__op *op, const char *name,
                    struct libxlss__job *job)
{
    struct libxlss__qmp qmp;
    int rc = libxlss__qmp_open(op, &qmp);

    if (rc)
        return rc;
    rc = libxlss__qmp_job(&qmp, name, job);
    if (!rc && job->concluded)
        rc = libxlss__qmp_job_dismiss(&qmp, name);
    libxlss__qmp_close(&qmp);
    return rc;
}

int libxlss__wait_job(struct libxlss__op *op, struct libxlss__disk *disk,
                      const char *name, bool until_pending)
{
    struct libxlss__job job = { 0 };
    int rc;

    for (;;) {
        rc = poll_job(op, name, &job);
        if (rc || !job.exists || job.concluded ||
            (until_pending && job.pending))
            break;
        rc = libxlss__progress(op, LIBXL_SNAPSHOT_STEP_MERGE, job.done,
                               job.total);
        if (rc)
            break;
        libxlss__sleep_ms(POLL_MS);
    }
    if (!rc && job.failed) {
        LOG_ERROR(op, "disk %s: QEMU's job failed: %s", disk->vdev,
                  job.error);
        rc = strstr(job.error, "No space left") ? XLSS(NO_SPACE)
                                                : ERROR_FAIL;
    }
    return rc;
}

/* What was copied is no loss: a second job passes over it. */
static int cancel_job(struct libxlss__op *op, const char *vdev,
                      const char *name)
{
    struct libxlss__job job = { 0 };
    struct libxlss__qmp qmp;
    int rc;

    rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    rc = libxlss__qmp_job(&qmp, name, &job);
    if (!rc && job.exists && !job.concluded)
        rc = libxlss__qmp_job_cancel(&qmp, name);
    libxlss__qmp_close(&qmp);
    for (;;) {
        if (!rc)
            rc = poll_job(op, name, &job);
        if (rc || !job.exists || job.concluded)
            break;
        libxlss__sleep_ms(POLL_MS);
    }
    if (rc)
        LOG_WARN(op, "disk %s: the merge that was begun goes on in QEMU",
                 vdev);
    return rc;
}

/* It ends pending, and changes nothing by itself. */
int libxlss__merge_end_old(struct libxlss__op *op, struct libxlss__disk *disk)
{
    return cancel_job(op, disk->vdev, job_name(op, disk));
}

int libxlss__merge_end_all(struct libxlss__op *op)
{
    struct libxlss__qmp qmp;
    char **jobs = NULL;
    int i, rc, rc2, num = 0;

    rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    rc = libxlss__qmp_jobs(&qmp, &jobs, &num);
    libxlss__qmp_close(&qmp);
    for (i = 0; i < num; i++) {
        if (strncmp(jobs[i], XLSS_JOB, strlen(XLSS_JOB)))
            continue;
        rc2 = cancel_job(op, jobs[i] + strlen(XLSS_JOB), jobs[i]);
        if (!rc)
            rc = rc2;
    }
    return rc;
}

struct plan {
    char *top, *base;           /* node names; base NULL: none */
    const char *backing;
    struct libxlss__node *overlay, *merged;     /* the graph before it */
};

/* What QEMU calls the files. top NULL: it has not got the overlay. */
static int find_nodes(struct libxlss__op *op, struct libxlss__qmp *qmp,
                      const char *overlay, const char *path,
                      const struct libxlss__qcow2 *base, struct plan *p)
{
    struct libxlss__graph *graph = libxlss__zalloc(op, sizeof(*graph));
    struct libxlss__node *node;
    int rc = libxlss__graph_read(qmp, graph);

    memset(p, 0, sizeof(*p));
    if (rc)
        return rc;
    node = libxlss__graph_format_node(graph, overlay);
    p->top = node ? node->name : NULL;
    p->overlay = node;
    p->merged = libxlss__graph_format_node(graph, path);
    if (!node || !base->backing)
        return 0;
    node = base->backing_path
           ? libxlss__graph_format_node(graph, base->backing_path) : NULL;
    if (!node) {
        LOG_ERROR(op, "QEMU has no node for %s", base->backing);
        return ERROR_FAIL;
    }
    p->base = node->name;
    p->backing = libxlss__path_from(op, overlay, base->backing_path);
    return 0;
}

/* All is copied, and the job keeps the overlay writable. */
static int finalize(struct libxlss__op *op, const char *job,
                    const struct plan *p)
{
    struct libxlss__transaction t;
    struct libxlss__qmp qmp;
    int rc = libxlss__qmp_open(op, &qmp);

    if (rc)
        return rc;
    libxlss__transaction_begin(&t);
    if (p->merged)
        libxlss__checkpoint_carry_up(&t, p->merged, p->overlay);
    rc = libxlss__transaction_run(&qmp, &t);
    if (!rc)
        rc = libxlss__qmp_job_finalize(&qmp, job);
    libxlss__qmp_close(&qmp);
    return rc;
}

/*
 * What was copied must be on the disk before the header stops naming the
 * base: until the guest's next flush QEMU would have the tables of it in
 * memory alone, and a QEMU that is killed then takes the data with it.
 */
static int bring_to_disk(struct libxlss__op *op, const char *node,
                         const char *overlay)
{
    struct libxlss__qmp qmp;
    int rc = libxlss__qmp_open(op, &qmp);

    if (rc)
        return rc;
    rc = libxlss__qmp_flush(&qmp, node);
    libxlss__qmp_close(&qmp);
    return rc ? rc : libxlss__file_sync(op, overlay);
}

/* *there_r: QEMU has the overlay, and has taken the base's data into it. */
static int stream(struct libxlss__op *op, struct libxlss__disk *disk,
                  const char *overlay, const char *path,
                  const struct libxlss__qcow2 *base, bool *there_r)
{
    char *job = job_name(op, disk);
    struct libxlss__qmp qmp;
    struct plan p;
    int rc;

    *there_r = false;
    rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    rc = find_nodes(op, &qmp, overlay, path, base, &p);
    if (!rc && p.top) {
        libxlss__file_set_immutable(op, overlay, false);
        rc = libxlss__qmp_stream(&qmp, job, p.top, p.base, p.backing);
    }
    libxlss__qmp_close(&qmp);
    if (rc || !p.top)
        return rc;
    *there_r = true;
    rc = libxlss__wait_job(op, disk, job, true);
    /* All is copied, and the header still names the base: the time at which
     * a name can change hands. */
    if (!rc)
        rc = bring_to_disk(op, p.top, overlay);
    if (!rc)
        rc = libxlss__release_name(op, disk);
    if (!rc)
        rc = finalize(op, job, &p);
    if (!rc)
        rc = libxlss__wait_job(op, disk, job, false);
    if (rc && libxlss__qemu_alive(op))
        cancel_job(op, disk->vdev, job);
    /* The new header, before the base goes. */
    return rc ? rc : libxlss__file_sync(op, overlay);
}

static int merge_into(struct libxlss__op *op, struct libxlss__disk *disk,
                      const char *overlay, const char *path,
                      const struct libxlss__qcow2 *base)
{
    bool there = false;
    int rc = 0;

    LOG_DEBUG(op, "disk %s: %s takes in %s", disk->vdev, overlay, path);
    if (op->domid != XLSS_OFF && libxlss__qemu_alive(op))
        rc = stream(op, disk, overlay, path, base, &there);
    if (rc || there)
        return rc;
    rc = libxlss__image_idle(op, overlay);
    if (rc)
        return rc;
    libxlss__file_set_immutable(op, overlay, false);
    if (base->is_qcow2)
        rc = libxlss__checkpoint_carry_up_off(op, path, overlay);
    if (rc)
        return rc;
    return libxlss__image_rebase(op, overlay,
        base->backing_path
        ? libxlss__path_from(op, overlay, base->backing_path) : base->backing,
        base->backing_format ? base->backing_format : "qcow2");
}

/* Not while a job still runs (graph.c); then a later delete does it. */
static void tidy(struct libxlss__op *op, struct libxlss__disk *disk)
{
    struct libxlss__qmp qmp;

    if (op->domid == XLSS_OFF || !libxlss__qemu_alive(op) ||
        libxlss__qmp_open(op, &qmp))
        return;
    libxlss__tidy_nodes(&qmp, disk->vdev);
    libxlss__qmp_close(&qmp);
}

int libxlss__merge_up(struct libxlss__op *op, struct libxlss__disk *disk,
                      const char *base, bool *kept_r)
{
    struct libxlss__qcow2 base_q, q;
    char **overlays;
    int num, i, rc;

    *kept_r = false;
    rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_MERGE);
    if (!rc)
        rc = libxlss__qcow2_read(op, base, &base_q);
    if (!rc)
        rc = libxlss__overlays_of(op, base, &overlays, &num);
    for (i = 0; !rc && i < num; i++) {
        rc = libxlss__qcow2_read(op, overlays[i], &q);
        /* Snapshots inside reach through to the base, and no merge of the
         * present state would give them its data. */
        if (!rc && q.num_snapshots) {
            LOG_INFO(op, "disk %s: %s stays, since snapshots inside %s need "
                     "it", disk->vdev, base, overlays[i]);
            *kept_r = true;
        } else if (!rc) {
            rc = merge_into(op, disk, overlays[i], base, &base_q);
        }
    }
    if (!rc)
        tidy(op, disk);
    return rc;
}

bool libxlss__can_merge_down(struct libxlss__op *op,
                             const struct libxlss__disk *disk,
                             const char *overlay)
{
    const char *base = disk->snap.u.external.base_path;
    struct libxlss__qcow2 q, base_q;

    return libxlss__same_file(overlay, disk->settled) &&
           !libxlss__is_kept(op, base) && !libxlss__is_kept(op, overlay) &&
           !libxlss__qcow2_read(op, overlay, &q) && !q.num_snapshots &&
           !libxlss__qcow2_read(op, base, &base_q) && base_q.is_qcow2 &&
           base_q.size == q.size;
}

/*
 * Off. What the guest would read from PATH is the same before, during and
 * after: the overlay hides what is written below it until the base, which
 * by then has all of it, takes its name.
 */
int libxlss__merge_down(struct libxlss__op *op, struct libxlss__disk *disk,
                        const char *top, const char *base)
{
    int rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_MERGE);

    if (!rc)
        rc = libxlss__image_idle(op, top);
    if (!rc)
        rc = libxlss__image_idle(op, base);
    if (rc)
        return rc;
    LOG_DEBUG(op, "disk %s: %s goes down into %s", disk->vdev, top, base);
    libxlss__file_set_immutable(op, base, false);
    op->committed = true;
    rc = libxlss__image_commit(op, top);
    if (!rc)
        rc = libxlss__checkpoint_carry_down_off(op, top, base);
    if (!rc)
        libxlss__file_unmark(base);
    if (!rc)
        rc = libxlss__file_replace(op, base, disk->settled);
    return rc;
}
