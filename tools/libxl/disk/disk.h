/* SPDX-License-Identifier: LGPL-2.1-only */
/* The disks of an operation, and the table of drivers that snapshot them. */
#ifndef LIBXLSS_DISK_H
#define LIBXLSS_DISK_H

#include "../graph/graph.h"

struct libxlss__disk_driver;

struct libxlss__disk {
    const char *vdev, *path;    /* of dev; never NULL */
    /* PATH, where `path` is PATH.liveN (files.h); else the same as path. */
    const char *settled;
    /* What the guest's file is after this operation; else NULL. */
    const char *live;
    libxl_disk_format live_format;
    libxl_device_disk dev;
    const struct libxlss__disk_driver *driver;  /* NULL: left out */
    libxl_disk_snapshot_kind kind;              /* as asked for or chosen */
    const char *name;           /* of the snapshot in the image */
    /* As asked for or recorded; comes back. What is in its union belongs to
     * disk->name: a safety point is where its own name leads. */
    libxl_disk_snapshot snap;
    uint64_t size;              /* virtual, bytes */
    struct libxlss__writer writer;  /* in the present QMP session only */
    bool attached;              /* the domain has it now */
    const char *guest_file;     /* external: what QEMU calls it now */
    const char *former;         /* external: path before it was prepared */
    char *overlay_node;
    bool reopens;               /* QEMU can give an open file a new name */
    bool taken;                 /* this operation made (part of) it */
};

/*
 * One kind of snapshot. Every function logs its own failures, and may be
 * repeated: recovery calls it again, where its first call may have come to
 * its end or not. `name` is the snapshot's, or the safety point's of a
 * revert.
 *
 * A driver has `take` in one of three ways: by `action` (QEMU's transaction,
 * which is the commit point of all disks), by `instant` (before it, in the
 * same window), and by `take_offline` on a disk that no QEMU has open.
 */
struct libxlss__disk_driver {
    libxl_disk_snapshot_kind kind;
    /* What `instant` or `prepare` makes, `drop` takes away; `has`, `action`
     * and `remove` are QEMU's own. */
    bool made_outside;

    /* Can this disk have it? Says why not if `say` is true. */
    bool (*fits)(struct libxlss__op *op, struct libxlss__disk *disk,
                 bool say);
    /* Is the snapshot `name` there? */
    bool (*has)(const struct libxlss__node *node, const char *name);

    /*
     * Before anything is touched: fills disk->snap with what will be made.
     * EXISTS where the name is taken, NO_SPACE. qmp as for prepare.
     */
    int (*plan)(struct libxlss__op *op, struct libxlss__qmp *qmp,
                struct libxlss__disk *disk, const char *name);
    /* The guest runs: files that can be made beforehand are made. */
    int (*make)(struct libxlss__op *op, struct libxlss__disk *disk,
                const char *name);
    /*
     * Still before the guest stands still, in a QMP session, with
     * disk->writer set; qmp NULL: no QEMU has the disk. NULL: nothing to do.
     */
    int (*prepare)(struct libxlss__op *op, struct libxlss__qmp *qmp,
                   struct libxlss__disk *disk, const char *name);
    /* After `prepare` of all disks, in no session: libxl learns what will be
     * the guest's file. */
    int (*redirect)(struct libxlss__op *op, struct libxlss__disk *disk,
                    const char *name);
    /*
     * In the window, before the transaction: the guest stands still, and
     * QEMU's nodes are drained and flushed. No QMP. Where it made nothing
     * it may say so, by disk->taken. A safety point is on the disk when it
     * returns: it has no settle.
     */
    int (*instant)(struct libxlss__op *op, struct libxlss__disk *disk,
                   const char *name);
    /* In the window: adds its part to the one transaction. */
    void (*action)(struct libxlss__disk *disk,
                   struct libxlss__transaction *t, const char *name);
    int (*remove)(struct libxlss__qmp *qmp, struct libxlss__disk *disk,
                  const char *name);
    /* After the window: the guest runs on. NULL: nothing to do. */
    int (*settle)(struct libxlss__op *op, struct libxlss__disk *disk,
                  const char *name);

    int (*take_offline)(struct libxlss__op *op, struct libxlss__disk *disk,
                        const char *name);
    /* A snapshot that isn't there is not an error. */
    int (*remove_offline)(struct libxlss__op *op, struct libxlss__disk *disk,
                          const char *name);
    /* made_outside: takes the snapshot away, whatever the domain's state. */
    int (*drop)(struct libxlss__op *op, struct libxlss__disk *disk,
                const char *name);
    /* made_outside: also of a running domain. */
    int (*verify_offline)(struct libxlss__op *op, struct libxlss__disk *disk,
                          const char *name);
    /* Makes the disk what it was; may be repeated. */
    int (*revert)(struct libxlss__op *op, struct libxlss__disk *disk,
                  const char *name);
    /* Bitmaps that revert would have to drop; foreign ones only. NULL: a
     * revert drops none. */
    int (*foreign_bitmaps)(struct libxlss__op *op,
                           struct libxlss__disk *disk,
                           const struct libxlss__node *node, char **one_r);

    /*
     * The safety point of a revert, where it is not a snapshot as any other
     * (`own_safety`; NULL: never): taken with the domain off, before
     * `revert`; gone back to; dropped.
     */
    bool (*own_safety)(const struct libxlss__disk *disk);
    int (*safety_take)(struct libxlss__op *op, struct libxlss__disk *disk,
                       const char *name);
    int (*safety_back)(struct libxlss__op *op, struct libxlss__disk *disk,
                       const char *name);
    int (*safety_drop)(struct libxlss__op *op, struct libxlss__disk *disk,
                       const char *name);
};

extern const struct libxlss__disk_driver libxlss__disk_internal;
extern const struct libxlss__disk_driver libxlss__disk_external;
extern const struct libxlss__disk_driver libxlss__disk_lvm;
extern const struct libxlss__disk_driver libxlss__disk_reflink;

/* disk.c */
/* Needs op->config. What the caller asked for, and every other disk that
 * the domain can write to, each with its driver. */
int libxlss__disks_choose(struct libxlss__op *op,
                          const libxl_domain_snapshot_args *args);
/* The disks of a snapshot that exists. */
int libxlss__disks_recorded(struct libxlss__op *op,
                            const libxl_domain_snapshot_args *args);
/* Fills args with what was done. */
void libxlss__disks_report(struct libxlss__op *op,
                           libxl_domain_snapshot_args *args);
void libxlss__disks_dispose(struct libxlss__op *op);
/* Its backend is this host's, not a driver domain. */
bool libxlss__backend_is_here(const struct libxlss__disk *disk);
/* The domain has it now, and not by blkback. */
bool libxlss__disk_in_qemu(const struct libxlss__disk *disk);
/* Reads the graph and finds each disk's writer. below: with the nodes below
 * those that the guest's devices have. */
int libxlss__disks_find(struct libxlss__qmp *qmp, bool below);

/* disk_set.c: all disks of the operation at once; name NULL stands for each
 * disk's own. */
int libxlss__disks_need_qemu(struct libxlss__op *op);
/* If one is there now, its death fails what is taken from here on. */
void libxlss__disks_expect_qemu(struct libxlss__op *op);
int libxlss__disks_plan(struct libxlss__op *op);
/* The snapshot's own: with the guest running, before and after. */
int libxlss__disks_prepare(struct libxlss__op *op);
int libxlss__disks_settle(struct libxlss__op *op);
int libxlss__disks_take(struct libxlss__op *op, const char *name);
int libxlss__disks_remove(struct libxlss__op *op, const char *name);
int libxlss__disks_verify(struct libxlss__op *op);
int libxlss__disks_revert(struct libxlss__op *op, const char *name);
/* The domain is off: files get the names that its configuration has. */
int libxlss__disks_names_right(struct libxlss__op *op);
/* The domain is off: what of the safety point is made only now. */
int libxlss__disks_safety_off(struct libxlss__op *op, const char *name);
int libxlss__disks_check_bitmaps(struct libxlss__op *op, bool force);

/* config_path.c */
/* In a configuration in memory. */
void libxlss__config_set(libxl_domain_config *config, const char *vdev,
                         const char *path, libxl_disk_format format);
/* Everywhere where libxl remembers the path of a domain that runs. */
int libxlss__config_move(struct libxlss__op *op, const char *vdev,
                         const char *from, const char *to,
                         libxl_disk_format format);
/* NOT_POSSIBLE where a stored configuration stands in the way. */
int libxlss__config_can_move(struct libxlss__op *op, const char *vdev,
                             const char *path, bool format_changes);

/* merge.c */
/* Until the job has ended or is pending; a session is held for a moment
 * only. */
int libxlss__wait_job(struct libxlss__op *op, struct libxlss__disk *disk,
                      const char *name, bool until_pending);
/* Ends what an earlier try has left to QEMU. */
int libxlss__merge_end_old(struct libxlss__op *op,
                           struct libxlss__disk *disk);
/* The same of all disks of a domain that runs. */
int libxlss__merge_end_all(struct libxlss__op *op);
/*
 * Makes nothing be based on the file `base` any more: each overlay takes its
 * data in. `kept_r`: an overlay holds snapshots inside, which need the base:
 * then it must stay. The domain may run or be off.
 */
int libxlss__merge_up(struct libxlss__op *op, struct libxlss__disk *disk,
                      const char *base, bool *kept_r);
/* The guest's overlay goes down into `base`, on which alone it is based, and
 * which becomes the guest's file. */
int libxlss__merge_down(struct libxlss__op *op, struct libxlss__disk *disk,
                        const char *top, const char *base);
bool libxlss__can_merge_down(struct libxlss__op *op,
                             const struct libxlss__disk *disk,
                             const char *overlay);

/* frozen.c */
/* Deletes a snapshot inside a frozen image that the running domain's QEMU has
 * in a chain. there_r: it has; else the image is for qemu-img. */
int libxlss__frozen_remove(struct libxlss__op *op, struct libxlss__disk *disk,
                           const char *path, const char *name, bool *there_r);

/* leftover.c */
/* Merges away what is left in the chain of a disk below the guest's file,
 * removes what is left beside it, and counts: files that went, files that had
 * to stay. */
int libxlss__leftovers_merge(struct libxlss__op *op,
                             struct libxlss__disk *disk, int *merged_r,
                             int *stayed_r);

/* external_drop.c, external_revert.c */
/*
 * Removes a file that nothing needs, and then what it was based on, as far
 * down as that is a base of this disk's that nothing else needs either.
 */
int libxlss__forget_file(struct libxlss__op *op, struct libxlss__disk *disk,
                         const char *path);
/* A base of this disk's that nothing needs any more? */
bool libxlss__is_unused_base(struct libxlss__op *op,
                             struct libxlss__disk *disk, const char *path);
/* Where PATH still is the base of its external snapshot: it becomes another
 * name of the guest's file, disk->guest_file. */
int libxlss__release_name(struct libxlss__op *op,
                          struct libxlss__disk *disk);
/* The file that a revert puts another in the place of; kept
 * beside it under PATH.NAME for as long as the revert may fail. */
int libxlss__replaced_keep(struct libxlss__op *op, struct libxlss__disk *disk,
                           const char *name);
int libxlss__replaced_back(struct libxlss__op *op, struct libxlss__disk *disk,
                           const char *name);
int libxlss__replaced_drop(struct libxlss__op *op, struct libxlss__disk *disk,
                           const char *name);

/* window.c: all nodes still, for as short a time as can be. */
/* What the guest wrote goes to the disk while it still runs: `stop` flushes
 * every node, and FICLONE its source, which takes as long as they have to
 * write. May last; logs nothing, and can't fail. */
void libxlss__disks_sync(struct libxlss__op *op);
struct libxlss__window {
    struct libxlss__qmp qmp;
    bool open, stopped;
    bool twins;                 /* some image has an idle twin */
};
/* With the guest suspended (or paused by us): stops QEMU and reads its
 * graph, as libxlss__disks_find does. */
int libxlss__window_open(struct libxlss__op *op, struct libxlss__window *w,
                         bool below);
/* changed: metadata of images was changed, so idle twins must re-read it.
 * QEMU of an HVM that is suspended is left stopped: its resume starts it. */
int libxlss__window_close(struct libxlss__op *op, struct libxlss__window *w,
                          bool changed);

#endif
