/* SPDX-License-Identifier: LGPL-2.1-only */
/* Block nodes added and taken away, and the jobs that move data in a chain.
 * Nodes and jobs have names that a later process can recognise. */
#include <stdlib.h>
#include <string.h>

#include "qmp.h"

/* Runs a command whose arguments g holds, and frees g. */
static int run(struct libxlss__qmp *qmp, const char *command, yajl_gen g,
               unsigned int timeout_ms)
{
    const unsigned char *text;
    size_t len;
    int rc;

    yajl_gen_get_buf(g, &text, &len);
    rc = libxlss__qmp_run(qmp, command, (const char *)text, timeout_ms, NULL);
    yajl_gen_free(g);
    return rc;
}

static yajl_gen begin(void)
{
    yajl_gen g = yajl_gen_alloc(NULL);

    yajl_gen_map_open(g);
    return g;
}

static int run_with(struct libxlss__qmp *qmp, const char *command,
                    const char *key, const char *value)
{
    yajl_gen g = begin();

    json_put_string(g, key, value);
    yajl_gen_map_close(g);
    return run(qmp, command, g, XLSS_QMP_LONG_TIMEOUT_MS);
}

/* The same, where a refusal is no news. */
static int try_with(struct libxlss__qmp *qmp, const char *command,
                    const char *key, const char *value)
{
    yajl_gen g = begin();
    const unsigned char *text;
    size_t len;
    int rc;

    json_put_string(g, key, value);
    yajl_gen_map_close(g);
    yajl_gen_get_buf(g, &text, &len);
    rc = libxlss__qmp_try(qmp, command, (const char *)text,
                          XLSS_QMP_LONG_TIMEOUT_MS, NULL);
    yajl_gen_free(g);
    return rc;
}

static void put_bool(yajl_gen g, const char *key, bool value)
{
    json_put_key(g, key);
    yajl_gen_bool(g, value);
}

/* As xen-block opens an image: without locks, its cache as the disk says. */
static void put_cache(yajl_gen g, const struct libxlss__node_options *o)
{
    json_put_key(g, "cache");
    yajl_gen_map_open(g);
    put_bool(g, "direct", o->direct);
    put_bool(g, "no-flush", false);
    yajl_gen_map_close(g);
    json_put_string(g, "discard", o->discard ? "unmap" : "ignore");
}

static void put_file(yajl_gen g, const char *path,
                     const struct libxlss__node_options *o)
{
    json_put_string(g, "driver", "file");
    json_put_string(g, "filename", path);
    json_put_string(g, "locking", "off");
    put_cache(g, o);
}

int libxlss__qmp_add_overlay(struct libxlss__qmp *qmp, const char *node,
                             const char *path,
                             const struct libxlss__node_options *o)
{
    yajl_gen g = begin();

    json_put_string(g, "driver", "qcow2");
    json_put_string(g, "node-name", node);
    put_cache(g, o);
    json_put_key(g, "file");
    yajl_gen_map_open(g);
    put_file(g, path, o);
    yajl_gen_map_close(g);
    /* Else QEMU opens the chain of the header a second time. */
    json_put_key(g, "backing");
    yajl_gen_null(g);
    yajl_gen_map_close(g);
    return run(qmp, "blockdev-add", g, XLSS_QMP_TIMEOUT_MS);
}

int libxlss__qmp_add_file(struct libxlss__qmp *qmp, const char *node,
                          const char *path,
                          const struct libxlss__node_options *o)
{
    yajl_gen g = begin();

    json_put_string(g, "node-name", node);
    put_file(g, path, o);
    yajl_gen_map_close(g);
    return run(qmp, "blockdev-add", g, XLSS_QMP_TIMEOUT_MS);
}

int libxlss__qmp_reopen_on(struct libxlss__qmp *qmp, const char *node,
                           const char *file_node, const char *backing_node,
                           const struct libxlss__node_options *o)
{
    yajl_gen g = begin();

    json_put_key(g, "options");
    yajl_gen_array_open(g);
    yajl_gen_map_open(g);
    json_put_string(g, "driver", "qcow2");
    json_put_string(g, "node-name", node);
    json_put_string(g, "file", file_node);
    if (backing_node)
        json_put_string(g, "backing", backing_node);
    put_bool(g, "read-only", o->read_only);
    put_cache(g, o);
    yajl_gen_map_close(g);
    yajl_gen_array_close(g);
    yajl_gen_map_close(g);
    return run(qmp, "blockdev-reopen", g, XLSS_QMP_LONG_TIMEOUT_MS);
}

int libxlss__qmp_del_node(struct libxlss__qmp *qmp, const char *node)
{
    return run_with(qmp, "blockdev-del", "node-name", node);
}

int libxlss__qmp_try_del_node(struct libxlss__qmp *qmp, const char *node)
{
    return try_with(qmp, "blockdev-del", "node-name", node);
}

int libxlss__qmp_snapshot_delete_job(struct libxlss__qmp *qmp,
                                     const char *job, const char *node,
                                     const char *name)
{
    yajl_gen g = begin();

    json_put_string(g, "job-id", job);
    json_put_string(g, "tag", name);
    json_put_key(g, "devices");
    yajl_gen_array_open(g);
    yajl_gen_string(g, (const unsigned char *)node, strlen(node));
    yajl_gen_array_close(g);
    yajl_gen_map_close(g);
    return run(qmp, "snapshot-delete", g, XLSS_QMP_LONG_TIMEOUT_MS);
}

/* No QMP command flushes one node. */
int libxlss__qmp_flush(struct libxlss__qmp *qmp, const char *node)
{
    char *line = libxlss__printf(qmp->op, "qemu-io %s flush", node);

    return run_with(qmp, "human-monitor-command", "command-line", line);
}

void libxlss__transaction_external(struct libxlss__transaction *t,
                                   const char *node, const char *overlay)
{
    yajl_gen_map_open(t->g);
    json_put_string(t->g, "type", "blockdev-snapshot");
    json_put_key(t->g, "data");
    yajl_gen_map_open(t->g);
    json_put_string(t->g, "node", node);
    json_put_string(t->g, "overlay", overlay);
    yajl_gen_map_close(t->g);
    yajl_gen_map_close(t->g);
    t->actions++;
}

int libxlss__qmp_stream(struct libxlss__qmp *qmp, const char *job,
                        const char *top, const char *base,
                        const char *backing)
{
    yajl_gen g = begin();

    json_put_string(g, "job-id", job);
    json_put_string(g, "device", top);
    if (base) {
        json_put_string(g, "base-node", base);
        if (backing)
            json_put_string(g, "backing-file", backing);
    }
    put_bool(g, "auto-finalize", false);
    /* Else its outcome can't be learnt after a reconnect. */
    put_bool(g, "auto-dismiss", false);
    yajl_gen_map_close(g);
    return run(qmp, "block-stream", g, XLSS_QMP_LONG_TIMEOUT_MS);
}

static void read_job(struct libxlss__op *op, yajl_val v,
                     struct libxlss__job *state)
{
    const char *status = json_string(v, "status");
    const char *error = json_string(v, "error");

    state->exists = true;
    state->pending = status && !strcmp(status, "pending");
    state->concluded = status && !strcmp(status, "concluded");
    state->error = error ? libxlss__strdup(op, error) : NULL;
    state->failed = state->concluded && error;
    if (!json_u64(v, "current-progress", &state->done))
        state->done = 0;
    if (!json_u64(v, "total-progress", &state->total))
        state->total = 0;
}

int libxlss__qmp_job(struct libxlss__qmp *qmp, const char *job,
                     struct libxlss__job *state)
{
    yajl_val jobs;
    size_t i;
    int rc;

    memset(state, 0, sizeof(*state));
    rc = libxlss__qmp_run(qmp, "query-jobs", NULL, XLSS_QMP_TIMEOUT_MS,
                          &jobs);
    for (i = 0; !rc && i < json_length(jobs); i++) {
        const char *id = json_string(json_item(jobs, i), "id");

        if (id && !strcmp(id, job))
            read_job(qmp->op, json_item(jobs, i), state);
    }
    yajl_tree_free(jobs);
    return rc;
}

int libxlss__qmp_jobs(struct libxlss__qmp *qmp, char ***list_r, int *num_r)
{
    yajl_val jobs;
    size_t i;
    int rc;

    *num_r = 0;
    rc = libxlss__qmp_run(qmp, "query-jobs", NULL, XLSS_QMP_TIMEOUT_MS,
                          &jobs);
    *list_r = libxlss__zalloc(qmp->op, (json_length(jobs) + 1) *
                                       sizeof(**list_r));
    for (i = 0; !rc && i < json_length(jobs); i++) {
        const char *id = json_string(json_item(jobs, i), "id");

        if (id)
            (*list_r)[(*num_r)++] = libxlss__strdup(qmp->op, id);
    }
    yajl_tree_free(jobs);
    return rc;
}

int libxlss__qmp_job_finalize(struct libxlss__qmp *qmp, const char *job)
{
    return run_with(qmp, "job-finalize", "id", job);
}

int libxlss__qmp_job_dismiss(struct libxlss__qmp *qmp, const char *job)
{
    return run_with(qmp, "job-dismiss", "id", job);
}

int libxlss__qmp_job_cancel(struct libxlss__qmp *qmp, const char *job)
{
    return run_with(qmp, "job-cancel", "id", job);
}

/* It may have ended by itself meanwhile. */
int libxlss__qmp_job_try_cancel(struct libxlss__qmp *qmp, const char *job)
{
    return try_with(qmp, "job-cancel", "id", job);
}
