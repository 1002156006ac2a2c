/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the files about checkpoints share. */
#ifndef XLUSS_CHECKPOINT_H
#define XLUSS_CHECKPOINT_H

#include "xlu_checkpoint.h"
#include "xluss.h"

/* --- xluss_checkpoint_store.c --- */

/* UUID/checkpoints. ERROR_NOTFOUND without a word. */
int xluss__checkpoint_dir(xlu_snapshot_catalogue *cat, bool make,
                          xluss__dir *out);
/* All entries, those under way too, oldest first; parent and current are
 * set anew. One that can't be read is logged and left out. */
int xluss__checkpoint_load(xlu_snapshot_catalogue *cat,
                           xlu_checkpoint_list *out);
int xluss__checkpoint_store(xlu_snapshot_catalogue *cat,
                            const xlu_checkpoint *c);
int xluss__checkpoint_drop(xlu_snapshot_catalogue *cat, const char *name);
/* NULL: none. */
xlu_checkpoint *xluss__checkpoint_find(xlu_checkpoint_list *list,
                                       const char *name);
void xluss__checkpoint_remove(xlu_checkpoint_list *list, xlu_checkpoint *c);

/* --- xluss_checkpoint_xml.c --- */

/* malloc'ed. */
char *xluss__checkpoint_xml_write(const xlu_checkpoint *c);
int xluss__checkpoint_xml_read(xentoollog_logger *lg, const char *from,
                               const char *text, size_t len,
                               xlu_checkpoint *out);

/* --- xluss_checkpoint_look.c --- */

/*
 * What the disks say: fills state, dirty and problem of all of the list.
 * found: what they have; initialised. A domain that doesn't run: all UNKNOWN.
 * how NULL: the catalogue's own.
 */
int xluss__checkpoint_look(xlu_snapshot_catalogue *cat,
                           const libxl_snapshot_how *how,
                           xlu_checkpoint_list *list,
                           libxl_disk_checkpoint_list *found);
/* Is there one of that name and number (0: any) on a disk (NULL: any)? */
const libxl_disk_checkpoint *
xluss__checkpoint_on(const libxl_disk_checkpoint_list *found,
                     const char *name, uint64_t sequence, const char *vdev);
/* Sequence and disks, from what was found. */
void xluss__checkpoint_fill(xlu_checkpoint *c,
                            const libxl_disk_checkpoint_list *found);

/* The catalogue's entries with what the disks have. */
struct xluss__checkpoints {
    xlu_checkpoint_list list;
    libxl_disk_checkpoint_list found;
};
void xluss__checkpoints_init(struct xluss__checkpoints *v);
void xluss__checkpoints_dispose(struct xluss__checkpoints *v);
int xluss__checkpoints_load(xlu_snapshot_catalogue *cat,
                            struct xluss__checkpoints *v);
/* Says so; ERROR_NOTFOUND. */
int xluss__checkpoint_not_found(xlu_snapshot_catalogue *cat,
                                const char *name);
/* After _look: is there a domain? */
static inline bool xluss__runs(const xlu_snapshot_catalogue *cat)
{
    return cat->dom.domid != XLUSS__NO_DOMID;
}

/* --- xlu_checkpoint.c, xlu_checkpoint_dirty.c --- */

/* For one that something else begins, and undoes by its name if need be: so it
 * must not be somebody else's. EXISTS: in the catalogue or on a disk.
 * highest_out (may be NULL): the highest number in the catalogue. */
int xluss__checkpoint_free(xlu_snapshot_catalogue *cat, const char *name,
                           uint64_t *highest_out);
/* Before a backup of what was written since: BITMAP_BROKEN, with a sentence,
 * where the catalogue knows a checkpoint in between that a disk doesn't have
 * any more. One that it doesn't know is left to the lower library. vdevs:
 * ends with NULL; NULL: all. */
int xluss__checkpoint_since(xlu_snapshot_catalogue *cat, const char *since,
                            const char *const *vdevs);

/* --- xluss_checkpoint_instant.c: one that begins with a snapshot. The journal
 * of that stands for it as long as it is under way. --- */

/* The snapshot is there: so has its checkpoint an entry. May be repeated. */
int xluss__checkpoint_of_snapshot(xlu_snapshot_catalogue *cat,
                                  const xlu_snapshot *s);
/* The snapshot isn't, and was to be made so: nor is its checkpoint, or it
 * goes as soon as the domain has a device model. May be repeated. */
int xluss__checkpoint_never_was(xlu_snapshot_catalogue *cat,
                                const libxl_domain_snapshot_args *args);

#endif
