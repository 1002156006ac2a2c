/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A push backup: a view, and one job for each disk that copies it into a
 * target. The jobs are xlbs-ID-VDEV, after the view's id, and go on without
 * us. How they ended stays with QEMU until all else is done, so that a second
 * process can finish what a first one began to finish.
 */
#ifndef LIBXLSS_BACKUP_H
#define LIBXLSS_BACKUP_H

#include "view.h"

/* target.c: where a backup goes. */
int libxlss__target_check(struct libxlss__op *op, const libxl_backup_disk *b,
                          bool incremental);
/* The file, if there is to be a new one: made_r. */
int libxlss__target_make(struct libxlss__op *op, const libxl_backup_disk *b,
                         uint64_t size, bool *made_r);
int libxlss__target_open(struct libxlss__qmp *qmp,
                         const struct libxlss__view *v,
                         const libxl_backup_disk *b, bool made);
/* On the disk, with its name. */
int libxlss__target_sync(struct libxlss__op *op, const char *path);
bool libxlss__target_is_file(const char *target);

/* nbd_uri.c: nbd://HOST[:PORT]/NAME or nbd+unix:///NAME?socket=PATH. */
struct libxlss__nbd_uri {
    char *path;                 /* of a unix socket; else host and port */
    char *host, *port;
    char *name;                 /* of the export; may be empty */
};
bool libxlss__nbd_uri_parse(struct libxlss__op *op, const char *uri,
                            struct libxlss__nbd_uri *out);

/* jobs.c */
struct libxlss__backup_job {
    const char *id, *vdev;      /* its own; the disk's */
    bool concluded;
    uint64_t done, total;
    const char *error;          /* NULL: none */
};
/* Those of the backup `id`; id empty: of the first one there is, whose it
 * becomes. No node is looked at: safe at any time. */
int libxlss__backup_jobs(struct libxlss__qmp *qmp, char id[XLSS_VIEW_ID + 1],
                         struct libxlss__backup_job **list_r, int *num_r);
/* All of them in one transaction: one that fails ends all. */
int libxlss__backup_jobs_start(struct libxlss__qmp *qmp,
                               const struct libxlss__view *v,
                               uint64_t speed);

/* backup_finish.c: everything is copied or has failed. Takes away what is in
 * QEMU; args comes back with how it ended. */
int libxlss__backup_finish(struct libxlss__op *op,
                           libxl_domain_backup_args *args);
void libxlss__backup_report(libxl_domain_backup_args *args,
                            const struct libxlss__backup_job *jobs, int num);

#endif
