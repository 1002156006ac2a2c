/* SPDX-License-Identifier: LGPL-2.1-only */
/* Reading a snapshot's disks, and the servers that let others read them. */
#ifndef LIBXLSS_EXPORT_H
#define LIBXLSS_EXPORT_H

#include <sys/stat.h>

#include "libxlss_internal.h"

/* disk/source.c: where the data of a disk's snapshot is. */
struct libxlss__source {
    const char *path;           /* of the file or block device */
    const char *options;        /* for --image-opts */
    const char *load;           /* for --load-snapshot; NULL: all of path */
    const char *inside;         /* the name behind `load` */
};
/* name: the snapshot's in the image, where snap says none. False, without a
 * word, where the record names nothing that could be read. */
bool libxlss__source(struct libxlss__op *op, const libxl_disk_snapshot *snap,
                     const char *name, struct libxlss__source *out);
/* Is it there, and of what size? DAMAGED. */
int libxlss__source_check(struct libxlss__op *op, const char *vdev,
                          const struct libxlss__source *source);

/* export_server.c: processes that export disks, as /proc shows them. There
 * is no other record of them: one that has died is gone. */
struct libxlss__server {
    pid_t pid;
    const char *label, *vdev, *socket;
    const char *load;           /* as in the source; NULL: none */
};
struct libxlss__server *libxlss__servers(struct libxlss__op *op, int *num_r);
/* True if pid is one of them. */
bool libxlss__is_server(struct libxlss__op *op, pid_t pid);
int libxlss__server_start(struct libxlss__op *op,
                          const struct libxlss__source *source,
                          const char *label, const char *vdev,
                          const char *socket);
/* 0 too if it is gone. */
int libxlss__server_stop(struct libxlss__op *op,
                         const struct libxlss__server *server);

/* snapshot_export.c */
char *libxlss__uri_part(struct libxlss__op *op, const char *s);

/* export_busy.c: BUSY, with a sentence, if a disk of op is exported: its
 * snapshot, or, with any, anything at all that lies in its files. */
int libxlss__disks_not_exported(struct libxlss__op *op, bool any);
int libxlss__file_not_exported(struct libxlss__op *op,
                               const struct libxlss__disk *disk,
                               const char *path);

#endif
