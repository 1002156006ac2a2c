/* SPDX-License-Identifier: LGPL-2.1-only */
/* The jobs of a backup. */
#include <string.h>

#include "backup.h"

/*
 * Many and small: QEMU allocates a buffer for each request, and what is not
 * below malloc's threshold for a mapping of its own (128 KiB) is mapped,
 * zeroed page by page and unmapped each time, which costs more than the copy
 * (tests/bench, push). A chunk can't be smaller than the target's clusters.
 */
#define MAX_WORKERS 8
#define CHUNK       (64u << 10)

static void read_job(struct libxlss__op *op, yajl_val v, const char *vdev,
                     struct libxlss__backup_job *job)
{
    const char *status = json_string(v, "status");
    const char *error = json_string(v, "error");

    job->id = libxlss__strdup(op, json_string(v, "id"));
    job->vdev = libxlss__strdup(op, vdev);
    job->concluded = status && !strcmp(status, "concluded");
    job->error = error ? libxlss__strdup(op, error) : NULL;
    if (!json_u64(v, "current-progress", &job->done))
        job->done = 0;
    if (!json_u64(v, "total-progress", &job->total))
        job->total = 0;
}

int libxlss__backup_jobs(struct libxlss__qmp *qmp, char id[XLSS_VIEW_ID + 1],
                         struct libxlss__backup_job **list_r, int *num_r)
{
    char of[XLSS_VIEW_ID + 1], vdev[32], role;
    struct libxlss__op *op = qmp->op;
    yajl_val jobs;
    size_t i;
    int rc;

    *num_r = 0;
    rc = libxlss__qmp_run(qmp, "query-jobs", NULL, XLSS_QMP_TIMEOUT_MS,
                          &jobs);
    *list_r = libxlss__zalloc(op, (json_length(jobs) + 1) *
                              sizeof(**list_r));
    for (i = 0; !rc && i < json_length(jobs); i++) {
        const char *name = json_string(json_item(jobs, i), "id");

        if (!name || !libxlss__view_parse(name, of, vdev, &role) || role)
            continue;
        if (!*id)
            memcpy(id, of, sizeof(of));
        if (!strcmp(of, id))
            read_job(op, json_item(jobs, i), vdev, &(*list_r)[(*num_r)++]);
    }
    yajl_tree_free(jobs);
    return rc;
}

static uint64_t chunk_for(struct libxlss__graph *graph, const char *target)
{
    const struct libxlss__node *node = libxlss__graph_node(graph, target);

    return node && node->cluster > CHUNK ? node->cluster : CHUNK;
}

static void add_job(struct libxlss__op *op, yajl_gen g,
                    struct libxlss__graph *graph,
                    const struct libxlss__view *v, const char *vdev,
                    uint64_t speed)
{
    char *target = libxlss__view_node(op, v, vdev, XLSS_TARGET);

    yajl_gen_map_open(g);
    json_put_string(g, "type", "blockdev-backup");
    json_put_key(g, "data");
    yajl_gen_map_open(g);
    json_put_string(g, "job-id", libxlss__printf(op, XLSS_VIEW "%s-%s",
                                                 v->id, vdev));
    json_put_string(g, "device", libxlss__view_node(op, v, vdev,
                                                    XLSS_ACCESS));
    json_put_string(g, "target", target);
    json_put_string(g, "sync", v->since ? "bitmap" : "full");
    if (v->since) {
        json_put_string(g, "bitmap", XLSS_CHANGES);
        json_put_string(g, "bitmap-mode", "never");
    }
    if (speed)
        json_put_u64(g, "speed", speed);
    /* Else how it ended could not be learnt by a later process. */
    json_put_bool(g, "auto-dismiss", false);
    json_put_key(g, "x-perf");
    yajl_gen_map_open(g);
    json_put_u64(g, "max-workers", MAX_WORKERS);
    json_put_u64(g, "max-chunk", chunk_for(graph, target));
    yajl_gen_map_close(g);
    yajl_gen_map_close(g);
    yajl_gen_map_close(g);
}

int libxlss__backup_jobs_start(struct libxlss__qmp *qmp,
                               const struct libxlss__view *v, uint64_t speed)
{
    struct libxlss__graph graph;
    const unsigned char *text;
    size_t len;
    yajl_gen g;
    int i, rc = libxlss__graph_read(qmp, &graph);

    if (rc)
        return rc;
    g = yajl_gen_alloc(NULL);
    yajl_gen_map_open(g);
    json_put_key(g, "properties");
    yajl_gen_map_open(g);
    json_put_string(g, "completion-mode", "grouped");
    yajl_gen_map_close(g);
    json_put_key(g, "actions");
    yajl_gen_array_open(g);
    for (i = 0; i < v->num_disks; i++)
        add_job(qmp->op, g, &graph, v, v->disks[i].vdev, speed);
    yajl_gen_array_close(g);
    yajl_gen_map_close(g);
    yajl_gen_get_buf(g, &text, &len);
    rc = libxlss__qmp_run(qmp, "transaction", (const char *)text,
                          XLSS_QMP_LONG_TIMEOUT_MS, NULL);
    yajl_gen_free(g);
    return rc;
}
