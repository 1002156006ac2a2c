/* SPDX-License-Identifier: LGPL-2.1-only */
/* Files that backups and exports have left. */
#ifndef LIBXLSS_REMAINS_H
#define LIBXLSS_REMAINS_H

#include "block_export.h"

struct libxlss__remains {
    const char **list;          /* paths */
    int num;
};

/* Scratch files in a folder that no process has open; BUSY, without a word:
 * there are some, and an operation on some domain may be about to use them. */
int libxlss__scratch_unused(struct libxlss__op *op, const char *folder,
                            struct libxlss__remains *out);
/* In the run folder, of domains that are gone, or of no record. */
int libxlss__run_remains(struct libxlss__op *op, bool remove,
                         struct libxlss__remains *out);

#endif
