/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * One QMP client for libxl's socket of a domain: lock, connect, greet, send,
 * read the reply, map errors. A connection is held for a moment only: libxl
 * gives up waiting for the lock after 10 s, so 3 s at most, and never across
 * a libxl call that takes the lock itself (libxl_domain_suspend, _resume,
 * _unpause, libxl_retrieve_domain_configuration).
 */
#ifndef LIBXLSS_QMP_H
#define LIBXLSS_QMP_H

#include "../libxlss_internal.h"

/* A reply larger or deeper than this is an error, not QEMU's. */
#define XLSS_QMP_MAX_BYTES (64u << 20)
#define XLSS_QMP_MAX_DEPTH 512

/* lock.c: libxl's own locks of the domain; each returns an fd. */
int libxlss__libxl_lock(struct libxlss__op *op, const char *lock,
                        uint64_t deadline, int *fd_r);
void libxlss__libxl_unlock(struct libxlss__op *op, const char *lock, int fd);
int libxlss__qmp_lock(struct libxlss__op *op, uint64_t deadline, int *fd_r);
void libxlss__qmp_unlock(struct libxlss__op *op, int fd);

/* wire.c: lines of JSON over a socket, whatever way the bytes come. */
struct libxlss__wire {
    int fd;
    char *buf;
    size_t used, size;
    size_t seen;                /* bytes known to hold no line's end */
    size_t taken;               /* bytes of the line given out last */
    size_t max;                 /* largest line taken */
    const int *pass;            /* a descriptor that goes with the next bytes */
};
int libxlss__wire_connect(struct libxlss__op *op, struct libxlss__wire *w,
                          const char *path, uint64_t deadline);
/* Next line, without its end; valid until the next call. ERROR_TIMEDOUT,
 * QEMU_DIED at its end, ERROR_PROTOCOL_ERROR_QMP where it is too long. */
int libxlss__wire_line(struct libxlss__op *op, struct libxlss__wire *w,
                       uint64_t deadline, const char **line_r, size_t *len_r);
int libxlss__wire_send(struct libxlss__op *op, struct libxlss__wire *w,
                       const char *text, size_t len, uint64_t deadline);
void libxlss__wire_close(struct libxlss__wire *w);

/* client.c */
struct libxlss__graph;
struct libxlss__qmp {
    struct libxlss__op *op;
    struct libxlss__wire wire;
    int lock_fd;
    uint64_t next_id;
    int version;                /* QEMU's: major * 100 + minor */
    char *error;                /* QEMU's sentence of the last failure */
    bool owed;                  /* the answer to qmp_capabilities */
    struct libxlss__graph *graph;   /* as libxlss__disks_find has seen it */
};
int libxlss__qmp_open(struct libxlss__op *op, struct libxlss__qmp *qmp);
/* At another process's socket, without libxl's lock. */
int libxlss__qmp_open_at(struct libxlss__op *op, struct libxlss__qmp *qmp,
                         const char *path);
void libxlss__qmp_close(struct libxlss__qmp *qmp);

/*
 * Runs one command. arguments: the text of a JSON object, or NULL. The
 * reply's "return" goes to *reply_r (free with yajl_tree_free) unless that
 * is NULL. A failure is logged with QEMU's sentence, unless quiet.
 */
int libxlss__qmp_run(struct libxlss__qmp *qmp, const char *command,
                     const char *arguments, unsigned int timeout_ms,
                     yajl_val *reply_r);
int libxlss__qmp_try(struct libxlss__qmp *qmp, const char *command,
                     const char *arguments, unsigned int timeout_ms,
                     yajl_val *reply_r);

/* Gives QEMU a copy of the descriptor, under that name, in this monitor. */
int libxlss__qmp_getfd(struct libxlss__qmp *qmp, const char *name, int fd);

/* commands.c: typed calls. */
int libxlss__qmp_stop(struct libxlss__qmp *qmp);
int libxlss__qmp_cont(struct libxlss__qmp *qmp);
int libxlss__qmp_running(struct libxlss__qmp *qmp, bool *running_r);
int libxlss__qmp_snapshot_delete(struct libxlss__qmp *qmp, const char *node,
                                 const char *name);
/* Makes every node of a stopped QEMU write its metadata out and forget it;
 * `cont` reads it again. */
int libxlss__qmp_inactivate(struct libxlss__qmp *qmp);
int libxlss__qmp_log_dirty_off(struct libxlss__qmp *qmp);
/* A disk's own property of a device, as text; NULL if it has none. */
char *libxlss__qmp_device_property(struct libxlss__qmp *qmp, const char *qdev,
                                   const char *property);

/* A transaction is written action by action, then run. */
struct libxlss__transaction {
    yajl_gen g;
    int actions;
};
void libxlss__transaction_begin(struct libxlss__transaction *t);
void libxlss__transaction_internal(struct libxlss__transaction *t,
                                   const char *node, const char *name);
void libxlss__transaction_external(struct libxlss__transaction *t,
                                   const char *node, const char *overlay);
int libxlss__transaction_run(struct libxlss__qmp *qmp,
                             struct libxlss__transaction *t);

/* block.c: nodes and jobs, with names that a later process knows again. */
#define XLSS_NODE "xlss-"
#define XLSS_JOB  "xlss-merge-"

/* The options that xen-block gives a disk's nodes. */
struct libxlss__node_options {
    bool direct;                /* cache.direct, for direct-io-safe */
    bool discard;               /* discard=unmap */
    bool read_only;             /* of a reopen */
};
/* A qcow2 node on a file of its own, without its backing chain. */
int libxlss__qmp_add_overlay(struct libxlss__qmp *qmp, const char *node,
                             const char *path,
                             const struct libxlss__node_options *o);
int libxlss__qmp_add_file(struct libxlss__qmp *qmp, const char *node,
                          const char *path,
                          const struct libxlss__node_options *o);
/* The qcow2 node goes on with another node for its file; its backing node
 * (NULL: it has none) has to be said again. QEMU 10 only: 7.2
 * aborts where the disk is xen-block's. */
int libxlss__qmp_reopen_on(struct libxlss__qmp *qmp, const char *node,
                           const char *file_node, const char *backing_node,
                           const struct libxlss__node_options *o);
int libxlss__qmp_del_node(struct libxlss__qmp *qmp, const char *node);
/* QEMU says no where the node is in use: nothing is logged. */
int libxlss__qmp_try_del_node(struct libxlss__qmp *qmp, const char *node);

/* As a job, which takes a node that others are based on. */
int libxlss__qmp_snapshot_delete_job(struct libxlss__qmp *qmp,
                                     const char *job, const char *node,
                                     const char *name);
/* Writes out what QEMU's cache of an image's metadata holds. That it went
 * wrong, QEMU tells its own standard error alone. */
int libxlss__qmp_flush(struct libxlss__qmp *qmp, const char *node);

/* A job that stays pending when all is copied, until it is finalized.
 * Pulls what lies between `base` (NULL: nothing) and `top` into `top`, whose
 * header then names `backing` (NULL: none). */
int libxlss__qmp_stream(struct libxlss__qmp *qmp, const char *job,
                        const char *top, const char *base,
                        const char *backing);
struct libxlss__job {
    bool exists, pending, concluded;
    bool failed;                /* concluded; see error */
    uint64_t done, total;
    char *error;                /* NULL: none */
};
int libxlss__qmp_job(struct libxlss__qmp *qmp, const char *job,
                     struct libxlss__job *state);
/* The names of all jobs. */
int libxlss__qmp_jobs(struct libxlss__qmp *qmp, char ***list_r, int *num_r);
int libxlss__qmp_job_finalize(struct libxlss__qmp *qmp, const char *job);
int libxlss__qmp_job_dismiss(struct libxlss__qmp *qmp, const char *job);
int libxlss__qmp_job_cancel(struct libxlss__qmp *qmp, const char *job);
int libxlss__qmp_job_try_cancel(struct libxlss__qmp *qmp, const char *job);

#endif
