/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the files of the external driver share: see external.c. */
#ifndef LIBXLSS_EXTERNAL_H
#define LIBXLSS_EXTERNAL_H

#include "disk.h"
#include "files.h"

#define XLSS_QEMU_REOPENS 1000          /* 10.0: major * 100 + minor */

#define external(disk) ((disk)->snap.u.external)

/* external.c */
/* For ever at another path; not PATH.liveN, which is for a while. */
bool libxlss__external_moves(struct libxlss__op *op,
                             const struct libxlss__disk *disk);
const char *libxlss__external_format(const struct libxlss__disk *disk);
/* As the disk's own nodes were opened. */
struct libxlss__node_options
libxlss__external_options(const struct libxlss__disk *disk);
/* QEMU's node names have 31 characters at most. */
char *libxlss__external_node(struct libxlss__op *op,
                             const struct libxlss__disk *disk, char what);
/* The node goes on with the same file, which file_node has by another name.
 * QEMU 10 only. */
int libxlss__external_reopen(struct libxlss__op *op, struct libxlss__qmp *qmp,
                             struct libxlss__disk *disk, const char *node,
                             const char *file_node);

/* external_drop.c, external_revert.c: the driver's functions. */
int libxlss__external_drop(struct libxlss__op *op,
                           struct libxlss__disk *disk, const char *name);
int libxlss__external_verify(struct libxlss__op *op,
                             struct libxlss__disk *disk, const char *name);
int libxlss__external_revert(struct libxlss__op *op,
                             struct libxlss__disk *disk, const char *name);

#endif
