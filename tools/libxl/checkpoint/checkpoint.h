/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Checkpoints of a disk, as its dirty bitmaps show them.
 *
 * Each checkpoint has one bitmap, named xlss-c-SEQ-NAME, on each disk that
 * belongs to it. It holds what the guest wrote from that checkpoint until the
 * next one: creating a checkpoint disables the bitmap that was recording and
 * adds the next. So the changes from A until B are the union of the bitmaps
 * from A up to the one before B, and until now that of A and all later ones.
 *
 * Where the image has external snapshots, the bitmaps lie in several layers.
 * The overlay begins with one for the checkpoint that was recording (in the
 * transaction that takes the snapshot): a further part of it, called
 * xlss-p-SEQ-NAME, which means nothing without what is below. A checkpoint
 * is the union of its parts. An overlay whose oldest bitmap is not such a
 * part of one in the layer below was made without us: that is a gap, and all
 * below it is broken.
 *
 * No bitmap of a lower layer is ever changed: it is read-only, and QEMU 7.2
 * dies of blockdev-reopen on xen-block's disks. What a deletion has to add to
 * one, it puts into a further part in the top layer. A bitmap in a lower
 * layer that is newer than the oldest part in the layer above, and has no
 * part there, is a deleted one.
 */
#ifndef LIBXLSS_CHECKPOINT_H
#define LIBXLSS_CHECKPOINT_H

#include "../disk/disk.h"
#include "../qmp/bitmap.h"

/* Every bitmap of this library begins so; all others are left alone. */
#define XLSS_BITMAP_PREFIX     "xlss-"
#define XLSS_CHECKPOINT_PREFIX XLSS_BITMAP_PREFIX "c-"
#define XLSS_PART_PREFIX       XLSS_BITMAP_PREFIX "p-"
/* For a moment only, never persistent: a range, a copy for a reader. Any
 * later operation that finds one idle may remove it. */
#define XLSS_RANGE_PREFIX      XLSS_BITMAP_PREFIX "r-"

/* name.c */

/* [a-zA-Z0-9_-][a-zA-Z0-9_.-]*, at most 200 bytes: the bitmap's name then
 * has at most 228, and QEMU takes 1023. */
#define XLSS_CHECKPOINT_NAME_MAX 200
bool libxlss__checkpoint_name_ok(const char *name);
int libxlss__checkpoint_check_name(struct libxlss__op *op, const char *name);
char *libxlss__checkpoint_bitmap(struct libxlss__op *op, uint64_t seq,
                                 const char *name);
/* A further part of it. */
char *libxlss__checkpoint_part(struct libxlss__op *op, uint64_t seq,
                               const char *name);
/* False: it isn't one of a checkpoint. *name_r points into bitmap; *part_r:
 * it is a further part. */
bool libxlss__checkpoint_parse(const char *bitmap, uint64_t *seq_r,
                               const char **name_r, bool *part_r);

/* chain.c */

/* One layer's bitmap of a checkpoint. */
struct libxlss__checkpoint_part {
    const struct libxlss__node *node;
    const struct libxlss__bitmap *bitmap;
};

struct libxlss__checkpoint {
    uint64_t seq;               /* grows with time; 1 is the first */
    const char *name;
    const char *bitmap;         /* of the last part */
    struct libxlss__checkpoint_part *parts;     /* the top layer's last */
    int num_parts;
    bool in_top;                /* the last part is on the top node */
    bool recording;             /* it takes what the guest writes now */
    bool persistent, busy;      /* of the part on the top node */
    uint64_t dirty;             /* bytes; of all parts, each by itself */
    const char *broken;         /* NULL, or why it can't be trusted */
};

struct libxlss__checkpoints {
    const char *vdev;
    const struct libxlss__node *top;    /* the guest writes here */
    bool persistent;            /* a new one's bitmap survives QEMU's end */
    struct libxlss__checkpoint *list;   /* oldest first */
    int num;
    uint64_t last_seq;          /* highest in any layer, dead ones too */
};

/* Of disk->writer.node and what is below it; names live as long as op. */
void libxlss__checkpoints_read(struct libxlss__op *op,
                               struct libxlss__graph *graph,
                               const struct libxlss__disk *disk,
                               struct libxlss__checkpoints *out);
/* The newest of that name; NULL: none. */
struct libxlss__checkpoint *
libxlss__checkpoint_find(struct libxlss__checkpoints *c, const char *name);
/* The one that takes the guest's writes. NULL: nothing is tracked now. */
struct libxlss__checkpoint *
libxlss__checkpoint_recording(struct libxlss__checkpoints *c);

/* carry.c: external snapshots, and merges of their files. */

/*
 * After the action that puts the node `overlay` over disk's node, which was
 * read in this session, and in the same transaction: what records goes on
 * recording.
 */
void libxlss__checkpoint_carry(struct libxlss__transaction *t,
                               const struct libxlss__node *base,
                               const char *overlay);
/* After that: the checkpoint seq-name begins in the overlay, and what was
 * carried there only says what is below. */
void libxlss__checkpoint_start_above(struct libxlss__op *op,
                                     struct libxlss__transaction *t,
                                     const struct libxlss__node *base,
                                     const char *overlay, uint64_t seq,
                                     const char *name);
/*
 * The data of `base` is in `overlay`, which is based on it, and will be based
 * on what `base` is based on: it takes the bitmaps over, too. Both are
 * writable or were read in this session before a job made `overlay` so.
 */
void libxlss__checkpoint_carry_up(struct libxlss__transaction *t,
                                  const struct libxlss__node *base,
                                  const struct libxlss__node *overlay);

/* A node's bitmap of that checkpoint, whole or a further part. */
const struct libxlss__bitmap *
libxlss__checkpoint_in(const struct libxlss__node *node, uint64_t seq,
                       const char *name);
/* Its oldest or newest; what isn't wanted is NULL. NULL: it has none. */
const struct libxlss__bitmap *
libxlss__checkpoint_extreme(const struct libxlss__node *node, bool newest,
                            uint64_t *seq_r, const char **name_r,
                            bool *part_r);
/* One after the other, *i from 0: those of the base that the overlay takes,
 * and its own of the same checkpoint, or NULL. */
const struct libxlss__bitmap *
libxlss__checkpoint_goes_up(const struct libxlss__node *base,
                            const struct libxlss__node *overlay, int *i,
                            const struct libxlss__bitmap **own_r);

/* carry_off.c: with the domain off. Before `overlay` takes the base's data
 * in: */
int libxlss__checkpoint_carry_up_off(struct libxlss__op *op,
                                     const char *base, const char *overlay);
/* After all of the overlay's data was written into the base, which recorded
 * that: */
int libxlss__checkpoint_carry_down_off(struct libxlss__op *op,
                                       const char *overlay, const char *base);

/* actions.c: each adds to a transaction that may hold others' actions. */

/* The checkpoint seq-name begins: seq is above last_seq of every disk that
 * takes part. What was recording stops. */
void libxlss__checkpoint_start(struct libxlss__op *op,
                               struct libxlss__transaction *t,
                               const struct libxlss__checkpoints *c,
                               uint64_t seq, const char *name);
/*
 * It ends: what it has goes to its predecessor, which records again if it
 * did. From a chain that was read after the start, this undoes a start, in
 * a transaction of its own (BUSY: a job or an export still uses a bitmap).
 * A broken one takes all that are older with it: none of those can be joined
 * to the present any more.
 */
int libxlss__checkpoint_end(struct libxlss__op *op,
                            struct libxlss__transaction *t,
                            const struct libxlss__checkpoints *c,
                            const struct libxlss__checkpoint *checkpoint);
/* The one of that number belongs to this disk, and has no bitmap any more:
 * all older ones go. NOT_POSSIBLE where those are in a lower layer. */
int libxlss__checkpoint_end_missing(struct libxlss__op *op,
                                    struct libxlss__transaction *t,
                                    const struct libxlss__checkpoints *c,
                                    uint64_t seq);
/*
 * Makes the bitmap `target` on `node` (disabled, not persistent unless
 * `persistent`), with what was written from `since` to `until` (NULL: up to
 * this transaction). BITMAP_BROKEN, with a sentence, where that isn't
 * known; ERROR_NOTFOUND: no such checkpoint.
 */
int libxlss__checkpoint_range(struct libxlss__op *op,
                              struct libxlss__transaction *t,
                              struct libxlss__checkpoints *c,
                              const char *since, const char *until,
                              const char *node, const char *target,
                              bool persistent);
/* Is it known what was written from `since` to `until`? As _range, without
 * any action. */
int libxlss__checkpoint_known(struct libxlss__op *op,
                              struct libxlss__checkpoints *c,
                              const char *since, const char *until);

/* disks.c */

/*
 * Lock, configuration, disks (as _disks); guard: for an operation that will
 * pause the domain.
 */
int libxlss__checkpoint_begin(struct libxlss__op *op,
                              const libxl_snapshot_how *how,
                              char *const *vdevs, int num, bool lenient,
                              bool guard);
bool libxlss__checkpoint_any(const struct libxlss__op *op);
/* NOT_POSSIBLE, with a sentence: not on this disk; on none. */
int libxlss__checkpoint_possible(struct libxlss__op *op,
                                 const struct libxlss__disk *disk);
int libxlss__checkpoint_no_disk(struct libxlss__op *op);

/*
 * Fills op->disks, after libxlss__domain_config: those with these vdevs, each
 * with a driver that libxlss__disks_find takes; none: every writable disk.
 * One that QEMU doesn't have is NOT_POSSIBLE, unless `lenient`: then it is
 * passed over where it isn't named.
 */
int libxlss__checkpoint_disks(struct libxlss__op *op, char *const *vdevs,
                              int num, bool lenient);
/* After libxlss__disks_find or the opening of a window, in the same session,
 * and before anything is changed in it: the checkpoints of disk i in [i], num
 * 0 where the disk takes no part. */
struct libxlss__checkpoints *
libxlss__checkpoints_found(struct libxlss__qmp *qmp);
/* Both: looks, and says which there are. */
int libxlss__checkpoints_of_disks(struct libxlss__qmp *qmp,
                                  struct libxlss__checkpoints **list_r);
/* The number of one that is about to begin on all of op's disks: above *seq
 * and all that are in `list`. EXISTS: a disk has one of that name. */
int libxlss__checkpoint_number(struct libxlss__op *op,
                               struct libxlss__checkpoints *list,
                               const char *name, uint64_t *seq);
/* Two writable nodes, one of them idle: whose bitmap is right is not known
 * from then on. IMAGE_OPEN_TWICE, with a sentence. */
int libxlss__checkpoint_no_twins(struct libxlss__op *op);

/* instant.c: one that begins in the instant of a snapshot, op->checkpoint. */

/* Before anything is touched, after the choice of disks: can it be? Sets
 * op->checkpoint, and its number here and in args. */
int libxlss__checkpoint_plan(struct libxlss__op *op,
                             libxl_domain_snapshot_args *args);
/* In the window: what the disks have, for _join. BUSY: somebody else has made
 * one meanwhile. */
int libxlss__checkpoint_look(struct libxlss__qmp *qmp,
                             struct libxlss__checkpoints **list_r);
/* After the disk's part in the snapshot, in the same transaction. */
void libxlss__checkpoint_join(struct libxlss__op *op,
                              struct libxlss__transaction *t,
                              const struct libxlss__checkpoints *c,
                              const struct libxlss__disk *disk);
/*
 * It never was: its predecessor records again, and has what it had. It may
 * not be there, or on some disks only. Without a QEMU nothing is done: what
 * has a stored bitmap by then is a checkpoint as any other.
 */
int libxlss__checkpoint_undo(struct libxlss__op *op, const char *name,
                             uint64_t seq);

/* extents.c: a bitmap that is stored in a qcow2 file, as extents. */
int libxlss__bitmap_read(struct libxlss__op *op, const char *path,
                         const char *bitmap, uint64_t size,
                         libxl_disk_dirty *out);

#endif
