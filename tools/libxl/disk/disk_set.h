/* SPDX-License-Identifier: LGPL-2.1-only */
/* What is done to all disks of an operation (disk_set.c, disk_take.c). */
#ifndef LIBXLSS_DISK_SET_H
#define LIBXLSS_DISK_SET_H

#include "disk.h"

bool libxlss__online(struct libxlss__op *op,
                          const struct libxlss__disk *disk);
bool libxlss__any_online(struct libxlss__op *op);
/* name NULL stands for each disk's own. */
const char *libxlss__named(const struct libxlss__disk *disk,
                                const char *name);
/* The safety point, of a disk that has its own way for it. */
bool libxlss__own_safety(const struct libxlss__disk *disk,
                              const char *name);
/* A driver that keeps its snapshots outside of QEMU's image looks itself. */
bool libxlss__node_has(const struct libxlss__disk *disk, const char *name);
/* EXISTS, with a sentence, where the image holds that snapshot. */
int libxlss__disk_check_free(struct libxlss__op *op,
                             const struct libxlss__disk *disk,
                             const char *name);

#endif
