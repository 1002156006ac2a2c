/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the public calls on views and backups share. */
#ifndef LIBXLSS_VIEW_API_H
#define LIBXLSS_VIEW_API_H

#include "../disk/files.h"
#include "view.h"

bool libxlss__wanted(libxl_defbool b);
/* Malloc'ed; NULL stays NULL. */
char *libxlss__own(const char *s);
void libxlss__replace(char **field, const char *s);
/* LOOK, the lock, the configuration, the guard; the domain runs. */
int libxlss__view_begin(struct libxlss__op *op);
/* An id of the caller's, who wants to find it whatever happens meanwhile. */
int libxlss__view_take_id(struct libxlss__op *op, const char *id,
                          struct libxlss__view *v);
/* Is the path that of a scratch file of `id`? Others are not removed. */
bool libxlss__is_scratch(const char *path, const char *id);
/* view_probe.c: fills in disks' `broken`. The lock is held. */
int libxlss__view_probe(struct libxlss__op *op, libxl_block_snapshot *s);

#endif
