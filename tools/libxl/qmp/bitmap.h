/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Dirty bitmaps as actions of a transaction. QEMU undoes all of them where
 * one that comes later fails. None of them drains: put them after the
 * actions of backups and snapshots on the same node.
 */
#ifndef LIBXLSS_QMP_BITMAP_H
#define LIBXLSS_QMP_BITMAP_H

#include "qmp.h"

/* granularity in bytes, 0: QEMU's default (the cluster size, at least 64
 * KiB). disabled: it records nothing until it is enabled. */
void libxlss__transaction_bitmap_add(struct libxlss__transaction *t,
                                     const char *node, const char *bitmap,
                                     bool persistent, bool disabled,
                                     uint64_t granularity);
void libxlss__transaction_bitmap_enable(struct libxlss__transaction *t,
                                        const char *node, const char *bitmap);
void libxlss__transaction_bitmap_disable(struct libxlss__transaction *t,
                                         const char *node,
                                         const char *bitmap);
void libxlss__transaction_bitmap_remove(struct libxlss__transaction *t,
                                        const char *node, const char *bitmap);
/* What `from` of from_node has dirty is dirty in `bitmap` as well. */
void libxlss__transaction_bitmap_merge(struct libxlss__transaction *t,
                                       const char *node, const char *bitmap,
                                       const char *from_node,
                                       const char *from);

#endif
