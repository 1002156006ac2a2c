/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Views: disks as they were at one instant, while the guest writes on.
 *
 * Over the node of each disk lies a copy-before-write filter, through which
 * the guest writes from then on: what it is about to overwrite is copied into
 * a scratch file first. A snapshot-access node over the filter reads the
 * original: from the scratch file, or else from the disk. Where the copy
 * fails, the view is broken and says so to its readers; the guest's write
 * never fails.
 *
 *     guest    readers
 *       |         |
 *       |     V (view) snapshot-access
 *       |       /
 *     C (filter) copy-before-write ----- S (scratch) qcow2 --- F file
 *       |
 *     the disk's own node
 *
 * Before QEMU 8 there are two nodes more, which keep readers' requests apart
 * (../qmp/view.c): V is raw, over G (blkdebug) over A, the snapshot-access.
 *
 * Nothing is remembered outside of QEMU: node names are xlbs-ID-VDEV-ROLE,
 * with 8 digits of ID for each view, and what else a later process has to
 * know is in the names of empty bitmaps of V, which begin with a word and
 * '='. They come into being with the view's own bitmaps in one transaction,
 * so a view without them was never finished.
 *
 * A filter is inserted and taken out in a quiet window only: the domain
 * paused, QEMU stopped, no request under way. QEMU 7.2 aborts otherwise.
 */
#ifndef LIBXLSS_VIEW_H
#define LIBXLSS_VIEW_H

#include "../disk/disk.h"
#include "../qmp/bitmap.h"

#define XLSS_VIEW      "xlbs-"
#define XLSS_VIEW_ID   8        /* characters */
/* What a filter copies at least, as QEMU has it for scratch files and their
 * clusters; and at most what a reader gets at once, where edges are wrong. */
#define XLSS_GRANULE   65536

/* Roles of nodes. */
#define XLSS_FILTER  'c'
#define XLSS_ACCESS  'v'
#define XLSS_ORIGINAL 'a'       /* these two: below V, on QEMU 7.2 */
#define XLSS_GRANULES 'g'
#define XLSS_SCRATCH 's'
#define XLSS_SCRATCH_FILE 'f'
#define XLSS_TARGET  't'
#define XLSS_TARGET_FILE  'p'   /* was there before us */
#define XLSS_TARGET_MADE  'm'   /* ... or was made by us */

/* The bitmap of V with what was written since the checkpoint `since`. */
#define XLSS_CHANGES "changes"

struct libxlss__view_disk {
    const char *vdev;
    struct libxlss__disk *disk;     /* being made: the domain's */
    /* Nodes that are there; NULL: not. */
    const struct libxlss__node *filter, *access, *scratch, *scratch_file;
    const struct libxlss__node *target, *target_file;
    bool target_made;
    uint64_t size;
    const char *scratch_path;
    const char *base;               /* the disk's own node, by name */
    bool scratch_reserved;          /* being made: the file is there */
};

struct libxlss__view {
    char id[XLSS_VIEW_ID + 1];
    struct libxlss__view_disk *disks;
    int num_disks;
    bool complete;
    const char *checkpoint;         /* made with it; NULL: none */
    const char *since;              /* its `changes`; NULL: it has none */
    /* Being made. */
    const char *scratch_dir;
    uint64_t scratch_max;
    bool quiesce, allow_unquiesced, quiesced;
    uint64_t seq;                   /* of the checkpoint */
    bool tried;                     /* ... the transaction */
};

/* view.c: names, and what is there. */
char *libxlss__view_node(struct libxlss__op *op, const struct libxlss__view *v,
                         const char *vdev, char role);
/* Of a node, job or export: false where it is none of ours. `role_r`: 0 for
 * a job. */
bool libxlss__view_parse(const char *name, char id[XLSS_VIEW_ID + 1],
                         char vdev[32], char *role_r);
bool libxlss__view_id_ok(const char *id);
/* All views of the domain. Like _graph_read, BUSY while a block job runs. */
int libxlss__views_read(struct libxlss__qmp *qmp,
                        struct libxlss__graph *graph,
                        struct libxlss__view **list_r, int *num_r);
struct libxlss__view *libxlss__view_find(struct libxlss__view *list, int num,
                                         const char *id);
/* It belongs to a backup that is not finished. */
bool libxlss__view_has_target(const struct libxlss__view *v);

/* Adds the bitmaps of V that say it is complete. */
void libxlss__view_label(struct libxlss__op *op,
                         struct libxlss__transaction *t,
                         const struct libxlss__view *v, const char *node);
/* ... and the one of S that says which node it belongs to. */
void libxlss__view_label_scratch(struct libxlss__op *op,
                                 struct libxlss__transaction *t,
                                 const struct libxlss__view_disk *d,
                                 const char *node);

/* view_disks.c: those of the domain that a view is wanted of; vdevs empty:
 * all that it can write to. Needs op->config. */
int libxlss__view_disks(struct libxlss__op *op, struct libxlss__view *v,
                        const char *const *vdevs, int num_vdevs);
/* In a session: finds each disk's node and size. BUSY where it has a view. */
int libxlss__view_look(struct libxlss__qmp *qmp, struct libxlss__view *v,
                       struct libxlss__graph *graph);

/* view_scratch.c */
int libxlss__scratch_make(struct libxlss__op *op, struct libxlss__view *v);
/* Removes the files; they are in no node any more. */
void libxlss__scratch_remove(struct libxlss__op *op,
                             const struct libxlss__view *v);

/*
 * view_bitmaps.c: the checkpoint that begins with the view, and the changes
 * since an earlier one. _check looks whether both are possible; _add is for
 * the window's transaction; _undo ends the checkpoint, if it is there.
 */
int libxlss__view_bitmaps_check(struct libxlss__op *op,
                                struct libxlss__graph *graph,
                                struct libxlss__view *v);
int libxlss__view_bitmaps_add(struct libxlss__op *op,
                              struct libxlss__transaction *t,
                              struct libxlss__graph *graph,
                              struct libxlss__view *v);
int libxlss__view_bitmaps_undo(struct libxlss__qmp *qmp,
                               const struct libxlss__view *v);

/* view_window.c: the domain paused and QEMU stopped for a moment. */
/* v: what is wanted of the guest's agent; NULL: nothing. Whatever it
 * returns, _end has to follow. */
int libxlss__quiet_begin(struct libxlss__op *op, struct libxlss__window *w,
                         struct libxlss__view *v);
/* The guest runs on; rc: of what was done in between. */
int libxlss__quiet_end(struct libxlss__op *op, struct libxlss__window *w,
                       struct libxlss__view *v, int rc);

/* view_make.c: _look in a session of its own, with all that can be refused
 * before anything is touched. */
int libxlss__view_look_once(struct libxlss__op *op, struct libxlss__view *v);
/* The whole of it, from disks that were looked at. On failure
 * nothing is left. */
int libxlss__view_make(struct libxlss__op *op, struct libxlss__view *v);

/* view_drop.c: takes the nodes away that are there, in a window of their
 * own, then the scratch files. No job and no export may use it (BUSY).
 * undo: a checkpoint that was made with it never was. ERROR_NOTFOUND,
 * without a word, where there is none. */
int libxlss__view_drop(struct libxlss__op *op, const char *id, bool undo);
/* The guest runs on the disks' own nodes: what is left in QEMU of it. */
int libxlss__view_clean(struct libxlss__op *op, const char *id);
/* In the window: the filters and what is above. */
int libxlss__view_take_out(struct libxlss__qmp *qmp,
                           const struct libxlss__view *v,
                           struct libxlss__graph *graph);
/* ../qmp/view.c: commands for it. */
int libxlss__qmp_add_scratch(struct libxlss__qmp *qmp, const char *node,
                             const char *file_node, const char *path,
                             uint64_t max);
int libxlss__qmp_add_filter(struct libxlss__qmp *qmp, const char *node,
                            const char *disk, const char *scratch);
int libxlss__qmp_add_access(struct libxlss__qmp *qmp, const char *node,
                            const char *filter);
/* What the guest's device has for its disk. */
int libxlss__qmp_set_drive(struct libxlss__qmp *qmp, const char *qdev,
                           const char *node);
/* Waits until no request is under way any more; the guest is paused. */
int libxlss__qmp_still(struct libxlss__qmp *qmp);

#endif
