/* SPDX-License-Identifier: LGPL-2.1-only */
/* Files that share their blocks until one of them is written (FICLONE). */
#ifndef LIBXLSS_CLONE_H
#define LIBXLSS_CLONE_H

#include "../libxlss_internal.h"

/* Can the file be cloned to `to`'s folder? Leaves nothing behind. NULL, or
 * why not. */
const char *libxlss__clone_problem(const char *path, const char *to);
/* `to` must not exist: EXISTS, and then it is somebody else's. Not synced.
 * After any other failure there is no `to`. */
int libxlss__clone(struct libxlss__op *op, const char *from, const char *to,
                   mode_t mode);
/* To the disk: a file, and the name that it has in its folder. */
int libxlss__sync_file(struct libxlss__op *op, const char *path);

#endif
