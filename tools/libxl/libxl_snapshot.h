/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxlsnapshot: snapshots of running Xen domains, memory and disks at one
 * instant. It extends libxl (libxl.h) and needs nothing but its public calls.
 *
 * The library is stateless: everything comes in by arguments and nothing is
 * remembered after a call. It stores no names and manages no files; that is
 * done by libxlusnapshot (xlu_snapshot.h) or by the caller.
 *
 * Threads: every call may be made from any thread on any ctx that libxl
 * itself allows. One operation at a time runs on a domain, in the whole
 * host: the others get LIBXL_SNAPSHOT_ERROR_BUSY at once.
 *
 * Errors: 0, or one of libxl's ERROR_ codes, or a libxl_snapshot_error
 * (-1000 and below). Every failure also leaves one sentence in the log
 * (libxl_snapshot_how.lg) that names domain, disk, path and step.
 *
 * Asynchronous calls: ao_how NULL runs the call to its end. Otherwise the
 * call returns 0 once a thread of the library's own has it, and the thread
 * calls ao_how->callback(ctx, rc, ao_how->u.for_callback) at its end, which
 * may be before the call returns. ao_how without a callback is ERROR_INVAL,
 * since an outside library can't post events into a ctx. All pointers given
 * must stay valid until then.
 */
#ifndef LIBXL_SNAPSHOT_H
#define LIBXL_SNAPSHOT_H

#include <libxl.h>
#include <xentoollog.h>

/*
 * LIBXL_HAVE_DOMAIN_SNAPSHOT
 *
 * libxl_domain_snapshot_create, _delete, _revert, _verify and _recover exist.
 */
#ifndef LIBXL_HAVE_DOMAIN_SNAPSHOT
#define LIBXL_HAVE_DOMAIN_SNAPSHOT 1
#endif

/*
 * LIBXL_HAVE_DOMAIN_SNAPSHOT_LIVE
 *
 * libxl_domain_snapshot_args.live is heard, and restore_fd of _verify and
 * _revert may be a pipe.
 */
#ifndef LIBXL_HAVE_DOMAIN_SNAPSHOT_LIVE
#define LIBXL_HAVE_DOMAIN_SNAPSHOT_LIVE 1
#endif

/*
 * LIBXL_HAVE_DOMAIN_SNAPSHOT_EXPORT
 *
 * libxl_domain_snapshot_export_start, _stop and _list exist.
 */
#ifndef LIBXL_HAVE_DOMAIN_SNAPSHOT_EXPORT
#define LIBXL_HAVE_DOMAIN_SNAPSHOT_EXPORT 1
#endif

/*
 * LIBXL_HAVE_DOMAIN_DISK_MERGE
 *
 * libxl_domain_disk_merge exists, and libxl_domain_snapshot_args.merge.
 */
#ifndef LIBXL_HAVE_DOMAIN_DISK_MERGE
#define LIBXL_HAVE_DOMAIN_DISK_MERGE 1
#endif

/*
 * LIBXL_HAVE_DOMAIN_DISK_DETACHED
 *
 * libxl_domain_disk_detached exists.
 */
#ifndef LIBXL_HAVE_DOMAIN_DISK_DETACHED
#define LIBXL_HAVE_DOMAIN_DISK_DETACHED 1
#endif

/*
 * LIBXL_HAVE_DOMAIN_CHECKPOINT
 *
 * libxl_domain_checkpoint_create, _delete, _list and _dirty exist.
 */
#ifndef LIBXL_HAVE_DOMAIN_CHECKPOINT
#define LIBXL_HAVE_DOMAIN_CHECKPOINT 1
#endif

/*
 * LIBXL_HAVE_DOMAIN_SNAPSHOT_CHECKPOINT
 *
 * libxl_domain_snapshot_args.checkpoint is heard.
 */
#ifndef LIBXL_HAVE_DOMAIN_SNAPSHOT_CHECKPOINT
#define LIBXL_HAVE_DOMAIN_SNAPSHOT_CHECKPOINT 1
#endif

/*
 * LIBXL_HAVE_DOMAIN_BLOCK_SNAPSHOT
 *
 * libxl_domain_block_snapshot_create, _delete and _list exist.
 */
#ifndef LIBXL_HAVE_DOMAIN_BLOCK_SNAPSHOT
#define LIBXL_HAVE_DOMAIN_BLOCK_SNAPSHOT 1
#endif

/*
 * LIBXL_HAVE_DOMAIN_BLOCK_SNAPSHOT_VERIFY
 *
 * libxl_domain_block_snapshot_verify exists, and the id of a block snapshot
 * and of an export can be the caller's.
 */
#ifndef LIBXL_HAVE_DOMAIN_BLOCK_SNAPSHOT_VERIFY
#define LIBXL_HAVE_DOMAIN_BLOCK_SNAPSHOT_VERIFY 1
#endif

/*
 * LIBXL_HAVE_DOMAIN_BLOCK_EXPORT
 *
 * libxl_domain_block_export_start, _add, _remove, _stop and _list exist.
 */
#ifndef LIBXL_HAVE_DOMAIN_BLOCK_EXPORT
#define LIBXL_HAVE_DOMAIN_BLOCK_EXPORT 1
#endif

/*
 * LIBXL_HAVE_DOMAIN_BACKUP
 *
 * libxl_domain_backup_start, _status, _finish and _cancel exist.
 */
#ifndef LIBXL_HAVE_DOMAIN_BACKUP
#define LIBXL_HAVE_DOMAIN_BACKUP 1
#endif

/*
 * LIBXL_HAVE_BLOCK_SCRATCH_LIST
 *
 * libxl_block_scratch_list and libxl_block_export_tidy exist.
 */
#ifndef LIBXL_HAVE_BLOCK_SCRATCH_LIST
#define LIBXL_HAVE_BLOCK_SCRATCH_LIST 1
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What is exported, in a library built with hidden visibility. */
#pragma GCC visibility push(default)

#include "_libxl_snapshot_types.h"

/*
 * What the caller wants to hear and to have done during an operation.
 * NULL in place of the struct, and NULL in each field, are fine.
 */
typedef struct libxl_snapshot_how {
    /*
     * Where the sentences go. A ctx doesn't give its logger away, so it must
     * be said again here; NULL stands for standard error.
     */
    xentoollog_logger *lg;

    /*
     * Called on the operation's thread before each step, and again during
     * VERIFY with the bytes done (total is 0 where it is not known). How far
     * SUSPEND is, libxl says through the ctx's logger (its `progress`), in
     * frames of each round. A caller with a journal writes it here: the step
     * begins after the callback has returned.
     *
     * A return value other than 0 ends the operation with that code, and
     * what was done is undone. After DESTROY it is ignored. Must not call
     * into this library.
     */
    int (*step)(libxl_ctx *ctx, libxl_snapshot_step step,
                uint64_t done, uint64_t total, void *user);
    void *user;

    /*
     * NULL-terminated argument vector. Should the calling process die during
     * the operation, the guard runs this program (absolute path) after it
     * has set the domain running again. The catalogue uses it to finish or
     * undo what the journal says.
     */
    char *const *on_death;

    /* How long to wait for a lock that somebody else holds, in seconds. */
    unsigned int wait_seconds;
} libxl_snapshot_how;

/*
 * A snapshot whose name begins so is a safety point (see _revert): disks for
 * which a revert makes a new file keep the old one for it, beside it.
 */
#define LIBXL_SNAPSHOT_SAFETY_PREFIX "xlss-safety"

/*
 * Snapshots a running or paused domain: its memory into memory_fd, as
 * libxl_domain_suspend writes it (-1: disks only), and its disks, all at the
 * instant at which the guest is suspended. The guest then runs on.
 *
 * args->disks empty stands for every writable disk, each by its best kind.
 * With entries, a disk needs device.vdev only; writable disks that are not
 * named are added by their best kind, kind NONE leaves one out. CD-ROMs and
 * read-only disks are always left out. args->name is the name inside the
 * images. Before step PREPARE args is filled in with every default, and is
 * then what _revert, _delete, _verify and _recover want.
 *
 * args->live: most of the memory is written while the guest runs, in rounds,
 * and it is suspended for the last one only. A paused domain is saved as
 * without. LIVE_NOT_POSSIBLE, before anything starts: a PV domain on a Xen
 * without shadow paging; BUSY: an export or a backup has the disks, since the
 * device model must be able to give them up for a moment.
 *
 * All disks or none: QEMU takes all qcow2 snapshots in one `transaction`.
 * args->quiesce (memory_fd -1 only, else ERROR_INVAL): the guest agent, on a
 * channel of the name org.qemu.guest_agent.0, freezes the guest's filesystems
 * for that instant. If it can't, the call fails with NOT_QUIESCED, or
 * NOT_POSSIBLE (no such channel; a paused domain), unless
 * args->allow_unquiesced is true: then it succeeds, and args->quiesced is
 * false at its end. The guest is thawed before the call returns, or the call
 * fails with NEEDS_REPAIR, and the guard goes on trying.
 *
 * args->checkpoint begins in the same instant, by the same `transaction`, as
 * of libxl_domain_checkpoint_create: on the disks that take part, and not on
 * those with kind NONE. Where a disk can't have one (NOT_POSSIBLE,
 * IMAGE_OPEN_TWICE), or has it (EXISTS), nothing starts. Of an external
 * snapshot it is in the overlay. args->checkpoint_sequence, in: the highest
 * that the caller knows of; before step PREPARE it is the checkpoint's own.
 * Afterwards the two have nothing to do with each other any more: _delete and
 * _revert don't hear of it, and a revert breaks it as it does all others.
 *
 * Before the guest stops, its images are synced: QEMU's `stop` flushes them,
 * and what has to be written would lengthen the pause. It may take a while.
 *
 * On failure the guest runs as before and nothing of the snapshot is left,
 * except in memory_fd, which is the caller's to remove. A paused domain is
 * let run for the suspend handshake alone, and is paused again.
 *
 * ERROR_DOMAIN_NOTFOUND, ERROR_NOTFOUND (no such vdev), ERROR_INVAL,
 * NOT_POSSIBLE, LIVE_NOT_POSSIBLE, IMAGE_OPEN_TWICE, NO_QEMU, EXISTS, BUSY,
 * NO_SPACE, NOT_SUSPENDED (no answer in 60 s; the guest runs),
 * NOT_QUIESCED, QEMU_DIED, NEEDS_REPAIR (call _recover).
 *
 * memory_fd: write position as the caller left it; O_NONBLOCK is cleared by
 * libxl. It is not closed and not fsynced.
 */
int libxl_domain_snapshot_create(libxl_ctx *ctx, uint32_t domid,
                                 libxl_domain_snapshot_args *args,
                                 int memory_fd,
                                 const libxl_snapshot_how *how,
                                 const libxl_asyncop_how *ao_how)
                                 LIBXL_EXTERNAL_CALLERS_ONLY;

/*
 * Removes the snapshot's data from its disks. domid INVALID_DOMID: the
 * domain is off and args->disks name path and format. A disk on which the
 * snapshot is already gone is not an error. The memory image is the
 * caller's.
 *
 * BUSY, NO_QEMU, IMAGE_OPEN_TWICE, QEMU_DIED.
 */
int libxl_domain_snapshot_delete(libxl_ctx *ctx, uint32_t domid,
                                 const libxl_domain_snapshot_args *args,
                                 const libxl_snapshot_how *how,
                                 const libxl_asyncop_how *ao_how)
                                 LIBXL_EXTERNAL_CALLERS_ONLY;

/*
 * Takes a domain back to the snapshot: verifies, takes the safety point,
 * destroys the domain, waits for its QEMU's exit, moves the disks back,
 * restores it from restore_fd (positioned where libxl's stream begins) with
 * config, and unpauses it unless args->leave_paused is true.
 *
 * domid INVALID_DOMID: the domain is off. restore_fd -1: it is started from
 * its disks; a pipe: its stream is not verified here, since it can be read
 * once only: call _verify with another one before.
 *
 * force drops dirty bitmaps of others, which QEMU's revert refuses to carry
 * (`qemu-img snapshot -a`). Bitmaps of this library's own are always dropped.
 *
 * safety (NULL: none): snapshot name and file for the way back. The memory
 * is saved if the guest suspends, else the disks only. If moving or
 * restoring fails after the domain was destroyed, the safety point is
 * restored and the call returns WENT_BACK. After success its disk
 * snapshots are deleted; the file is the caller's.
 *
 * *domid_out: the new domain; INVALID_DOMID if none runs.
 *
 * DAMAGED (before anything was touched), FOREIGN_BITMAPS, WENT_BACK,
 * NEEDS_REPAIR (the domain is off), and the codes of _create.
 */
int libxl_domain_snapshot_revert(libxl_ctx *ctx, uint32_t domid,
                                 libxl_domain_config *config,
                                 const libxl_domain_snapshot_args *args,
                                 int restore_fd, bool force,
                                 libxl_domain_snapshot_safety *safety,
                                 uint32_t *domid_out,
                                 const libxl_snapshot_how *how,
                                 const libxl_asyncop_how *ao_how)
                                 LIBXL_EXTERNAL_CALLERS_ONLY;

/*
 * Looks whether a revert could work; touches nothing. Reads the stream at
 * restore_fd (-1: none) from its position to its end, record by record, and
 * looks for the snapshot in every disk. The position of restore_fd stays; a
 * pipe is read, to the end of the stream.
 *
 * DAMAGED, with the disk or the offset in the log.
 */
int libxl_domain_snapshot_verify(libxl_ctx *ctx, uint32_t domid,
                                 const libxl_domain_snapshot_args *args,
                                 int restore_fd,
                                 const libxl_snapshot_how *how,
                                 const libxl_asyncop_how *ao_how)
                                 LIBXL_EXTERNAL_CALLERS_ONLY;

/*
 * After the death of a process in the middle of an operation: sets a domain
 * running that the operation had stopped (domid INVALID_DOMID: none), and,
 * for CREATE and DELETE, removes the snapshot from all disks of args on
 * which it is; for CREATE, a checkpoint that began with it never was. For
 * REVERT it only does the former: call _revert again. A domain that is off
 * keeps the checkpoint's bitmaps, if they were stored.
 * May be called any number of times. A domain that somebody else paused
 * stays paused: only args->paused false lets it be unpaused.
 */
int libxl_domain_snapshot_recover(libxl_ctx *ctx, uint32_t domid,
                                  libxl_snapshot_intent intent,
                                  const libxl_domain_snapshot_args *args,
                                  const libxl_snapshot_how *how,
                                  const libxl_asyncop_how *ao_how)
                                  LIBXL_EXTERNAL_CALLERS_ONLY;

/*
 * An external snapshot of a disk at PATH that was taken on QEMU 7.2 leaves
 * the guest's file under the name PATH.liveN as long as the domain runs,
 * since QEMU can't be given another name for an open file there. PATH is
 * immutable meanwhile, so that a start from it fails.
 *
 * To be called with the domain off, before anything opens the disk: gives
 * the file its name PATH again, and leaves a link under the other, for a
 * saved domain that remembers it. Does nothing where the name is right. May
 * be cut short anywhere, and called again. NOT_POSSIBLE: some program or
 * domain has the file open.
 */
int libxl_domain_disk_names_put_right(libxl_ctx *ctx, const char *path,
                                      const libxl_snapshot_how *how);

/*
 * To be called by who has changed a disk's chain in QEMU by other means (an
 * overlay made or merged by QMP): looks at what file the guest writes to now,
 * and tells libxl, wherever it remembers a path (see `xl list -l`; a save, a
 * restart and a migration then use that file). Nothing to do is no error.
 * ERROR_NOTFOUND: no such disk. NO_QEMU, NOT_POSSIBLE, BUSY.
 */
int libxl_domain_disk_chain_changed(libxl_ctx *ctx, uint32_t domid,
                                    const char *vdev,
                                    const libxl_snapshot_how *how);

/*
 * To be called after a disk was taken from a running domain
 * (libxl_device_disk_remove, _destroy), and before one is given to it: after
 * an external snapshot QEMU can't close a detached disk's image by itself,
 * and takes no other disk of the same vdev. This closes what is open of disks
 * that the domain has no more; those that it has aren't touched. Waits up to
 * 3 s for QEMU to see that a disk is gone; BUSY: it doesn't, or a block job
 * is there.
 */
int libxl_domain_disk_detached(libxl_ctx *ctx, uint32_t domid,
                               const libxl_snapshot_how *how);

/*
 * Makes the chains of a domain's disks shorter: files that this library has
 * frozen for external snapshots, and that no snapshot needs any more, lose
 * their data to their neighbours and are removed. Such files are left behind
 * where snapshots inside an overlay needed its base when the external one was
 * deleted. Such files beside the disk that nothing is based on, as after a
 * merge whose process died at its end, are removed as well. Bases that others
 * have made (a template, an image of virsh's) are not touched.
 *
 * args->keep: the files that snapshots of the domain live in, external ones'
 * base_path and internal ones' internal_path; they stay. What isn't in it goes:
 * it must be complete. args->disks empty: all disks of a domain that runs that
 * can have a chain. domid
 * INVALID_DOMID: the domain is off, and each disk has vdev, path and format.
 * On return args->disks says of each how many files went, and how many
 * stayed since snapshots inside an overlay read through to them.
 *
 * args->direction: UP copies a base's data into whatever is based on it; no
 * base is written to. DOWN writes the guest's overlay into its base, which
 * becomes the guest's file: only where nothing else needs that base.
 * NOT_POSSIBLE where a direction that was asked for isn't.
 *
 * How far step MERGE is, the step callback says, in bytes. A callback that
 * returns other than 0 ends it; so does the caller's death, at the latest
 * when the next merge begins. What was copied until then stays copied, and
 * is passed over by the next call. At any instant the disk reads the same,
 * by the names that libxl remembers and by the disk's own.
 *
 * ERROR_NOTFOUND (no such disk), NOT_POSSIBLE, IMAGE_OPEN_TWICE (an HVM guest
 * without PV drivers), BUSY (an export, a job, another operation), NO_SPACE,
 * NO_QEMU, QEMU_DIED.
 */
int libxl_domain_disk_merge(libxl_ctx *ctx, uint32_t domid,
                            libxl_domain_disk_merge_args *args,
                            const libxl_snapshot_how *how,
                            const libxl_asyncop_how *ao_how)
                            LIBXL_EXTERNAL_CALLERS_ONLY;

/*
 * The files of a disk that aren't where they should be, or that nothing
 * needs: see libxl_disk_file_role. Touches nothing. disk: vdev and path, as
 * libxl has them, or, of a domain that is off, as its configuration will.
 * keep: as in libxl_domain_disk_merge_args. *out: initialised; the caller's
 * to dispose of. While a block job runs QEMU isn't asked.
 */
int libxl_disk_file_look(libxl_ctx *ctx, uint32_t domid,
                         const libxl_device_disk *disk, char *const *keep,
                         int num_keep, libxl_disk_file_list *out,
                         const libxl_snapshot_how *how);

/*
 * Has this library frozen the file for an external snapshot? False, too,
 * where the filesystem has no extended attributes.
 */
bool libxl_disk_file_is_frozen(const char *path);

/* Of one disk, PATH.NAME and PATH.NAME~2 up to one less than this. */
#define LIBXL_DISK_FROZEN_FILES_MAX 100

/*
 * The PATH of a disk that a domain has at `path` (PATH.liveN, or PATH
 * itself), which is where it is found once the domain is off. malloc'ed;
 * NULL only if libxl or xenstore can't be reached.
 */
char *libxl_domain_disk_settled_path(libxl_ctx *ctx, const char *path,
                                     const libxl_snapshot_how *how);

/*
 * Read-only NBD of a snapshot's disks, for access to single files or for a
 * copy: one server (qemu-nbd) and one unix socket for each disk, the export's
 * name being the vdev. The servers are processes of their own: they outlive
 * the caller, take any number of clients, never write to an image, and end
 * when they are stopped. A snapshot inside an image may be read while the
 * guest writes to that image.
 *
 * args: as _create left them. domid INVALID_DOMID: the domain is off.
 * label: the caller's name for this snapshot, by which it is found again;
 * any text. vdevs: which disks, NULL-terminated; NULL: all. socket: an
 * existing folder, which gets a socket VDEV.sock for each disk, or, for one
 * disk, the socket's own path; NULL: below /run/xl-snapshot. Sockets have
 * the mode 0600. All disks are exported or none; one that is already is
 * reported as it is. *out (initialised; may be NULL) is the caller's to
 * dispose of.
 *
 * As long as a snapshot is exported, _delete of it and _revert of its domain
 * say BUSY. What has died is no hindrance.
 *
 * ERROR_NOTFOUND (no such disk in the snapshot), ERROR_INVAL (socket), EXISTS
 * (a file of the socket's name; exported elsewhere), DAMAGED (the snapshot is
 * not in the image any more), BUSY, ERROR_FAIL (the server's reason is in the
 * log).
 */
int libxl_domain_snapshot_export_start(libxl_ctx *ctx, uint32_t domid,
                                       const libxl_domain_snapshot_args *args,
                                       const char *label,
                                       const char *const *vdevs,
                                       const char *socket,
                                       libxl_snapshot_export_list *out,
                                       const libxl_snapshot_how *how,
                                       const libxl_asyncop_how *ao_how)
                                       LIBXL_EXTERNAL_CALLERS_ONLY;

/*
 * Ends the server of which->label and which->vdev, and waits for its end;
 * its clients lose their connection. 0 as well if there is none.
 *
 * ERROR_TIMEDOUT: it did not end, not even when killed.
 */
int libxl_domain_snapshot_export_stop(libxl_ctx *ctx,
                                      const libxl_snapshot_export *which,
                                      const libxl_snapshot_how *how);

/*
 * All that is exported on this host under the label (NULL: under any).
 * *out: initialised; the caller's to dispose of.
 */
int libxl_domain_snapshot_export_list(libxl_ctx *ctx, const char *label,
                                      libxl_snapshot_export_list *out,
                                      const libxl_snapshot_how *how);

/*
 * The sockets below /run/xl-snapshot that no server listens on any more, as
 * after its death; remove: takes them away. *num_out: how many.
 */
int libxl_domain_snapshot_export_tidy(libxl_ctx *ctx, bool remove,
                                      int *num_out,
                                      const libxl_snapshot_how *how);

/*
 * The snapshots inside a qcow2 image, which may be in use: name, and size of
 * the disk. *list_out is malloc'ed; each entry is disposed of, then it is
 * freed. Touches nothing.
 *
 * ERROR_NOTFOUND: no such file, without a word. DAMAGED: not to be read.
 */
int libxl_disk_snapshot_list(libxl_ctx *ctx, const libxl_device_disk *disk,
                             libxl_disk_snapshot **list_out, int *num_out,
                             const libxl_snapshot_how *how);

/*
 * Is an operation at work on a running domain, or has one died and left it
 * stopped? Touches nothing, waits at most for a second. *out: initialised.
 */
int libxl_domain_snapshot_look(libxl_ctx *ctx, uint32_t domid,
                               libxl_domain_snapshot_status *out,
                               const libxl_snapshot_how *how);

/*
 * A view of a running (or paused) domain's disks as they were at one instant,
 * all of them the same, while the guest writes on. It is in the domain's QEMU
 * and ends with it. It costs the guest a copy of what it overwrites, into a
 * scratch file for each disk (mode 0600) in args->scratch_dir, or beside the
 * image: at most args->scratch_max bytes, or else as much as the disk has.
 * Where that fails, the view breaks, and its readers get errors; the guest
 * never notices.
 *
 * args->disks empty stands for every writable disk; else vdev is all that is
 * read of an entry. args->quiesce and allow_unquiesced: as in
 * libxl_domain_snapshot_create. args->checkpoint begins in the same instant,
 * on the same disks. With args->since, what was written since that checkpoint
 * is kept with the view, for an incremental backup. args comes back filled.
 * args->id may be the caller's own, who can then write down what he is about
 * to make: _delete of it is right whatever came of it.
 *
 * The guest stands still for some milliseconds. All disks or none. As long as
 * a disk has a view, snapshots, merges and another view of it say BUSY, and
 * so does a revert.
 *
 * ERROR_NOTFOUND (vdev), ERROR_INVAL, EXISTS (the checkpoint, the id),
 * NOT_POSSIBLE (blkback, driver domains), IMAGE_OPEN_TWICE, BITMAP_BROKEN
 * (`since` isn't there or can't be trusted: only a full backup is possible),
 * NO_QEMU, NO_SPACE, BUSY, NOT_QUIESCED, QEMU_DIED, NEEDS_REPAIR (call
 * _delete).
 */
int libxl_domain_block_snapshot_create(libxl_ctx *ctx, uint32_t domid,
                                       libxl_block_snapshot *args,
                                       const libxl_snapshot_how *how,
                                       const libxl_asyncop_how *ao_how)
                                       LIBXL_EXTERNAL_CALLERS_ONLY;

/*
 * Ends the view which->id, from whichever process, also one whose maker died
 * half-way; 0 as well if it is gone. Scratch files that are named in
 * which->disks are removed, even if no QEMU knows of them, and nothing else
 * of `which` is read but id.
 * undo_checkpoint: a checkpoint that began with it never was; its bitmap goes
 * to its predecessor's.
 *
 * BUSY (a backup or an export uses it), QEMU_DIED, NEEDS_REPAIR.
 */
int libxl_domain_block_snapshot_delete(libxl_ctx *ctx, uint32_t domid,
                                       const libxl_block_snapshot *which,
                                       bool undo_checkpoint,
                                       const libxl_snapshot_how *how,
                                       const libxl_asyncop_how *ao_how)
                                       LIBXL_EXTERNAL_CALLERS_ONLY;

/*
 * Is the view which->id whole, or has a scratch file that was full broken it?
 * One sector of each disk is read. *which comes back filled, but for what
 * only its maker knows, with disks[].broken. BUSY while another operation or
 * a block job runs; ERROR_NOTFOUND, without a word: none such. NO_QEMU.
 */
int libxl_domain_block_snapshot_verify(libxl_ctx *ctx, uint32_t domid,
                                       libxl_block_snapshot *which,
                                       const libxl_snapshot_how *how);

/*
 * The views that the domain's QEMU has; none if it is off. BUSY while a
 * backup or another block job runs: libxl_domain_backup_status has those.
 * *out: initialised; the caller's to dispose of.
 */
int libxl_domain_block_snapshot_list(libxl_ctx *ctx, uint32_t domid,
                                     libxl_block_snapshot_list *out,
                                     const libxl_snapshot_how *how);

/*
 * Serves the block snapshot args->snapshot by NBD, read-only, to any number
 * of clients, which may come, go and die as they like. args->disks empty: all
 * disks of it; the export's name is `name`, or else the vdev. The address is
 * args->socket (mode 0600; NULL: one below /run/xl-snapshot), or args->host
 * and port: then args->tls_dir has to name a folder with ca-cert.pem,
 * server-cert.pem and server-key.pem, and clients need a certificate of the
 * same authority (not with tls_any_client); without TLS, and readable for
 * everybody, only if args->insecure is set. A snapshot with `since` shows the
 * changes as the meta context qemu:dirty-bitmap:BITMAP (args->bitmap comes
 * back), and each shows base:allocation. Several exports of one snapshot are
 * fine. args comes back filled; a block snapshot that is exported can't be
 * deleted.
 *
 * The server is a process of its own and outlives the caller. Where it dies
 * the guest doesn't notice.
 *
 * ERROR_INVAL, ERROR_NOTFOUND (snapshot, vdev), EXISTS (the socket), BUSY (a
 * block job runs, or QEMU has an NBD server of somebody else's), NO_QEMU,
 * ERROR_FAIL (the server's reason is in the log).
 */
int libxl_domain_block_export_start(libxl_ctx *ctx, uint32_t domid,
                                    libxl_block_export *args,
                                    const libxl_snapshot_how *how,
                                    const libxl_asyncop_how *ao_how)
                                    LIBXL_EXTERNAL_CALLERS_ONLY;

/*
 * Adds disks of its block snapshot to a running export: args->id, and
 * args->disks as for _start, at least one. Clients that read other disks
 * don't notice. args comes back as the whole export. On failure the export is
 * what it was.
 *
 * ERROR_NOTFOUND (export, vdev), EXISTS (the disk, or a name, is there),
 * ERROR_INVAL, NO_QEMU, BUSY, ERROR_FAIL (the server has died, or its reason
 * is in the log).
 */
int libxl_domain_block_export_add(libxl_ctx *ctx, uint32_t domid,
                                  libxl_block_export *args,
                                  const libxl_snapshot_how *how,
                                  const libxl_asyncop_how *ao_how)
                                  LIBXL_EXTERNAL_CALLERS_ONLY;

/*
 * Takes a disk out of a running export; its clients lose their connection,
 * those of other disks don't. The last one goes by _stop only (ERROR_INVAL).
 * Errors as for _add. May be repeated where it was interrupted.
 */
int libxl_domain_block_export_remove(libxl_ctx *ctx, uint32_t domid,
                                     const char *id, const char *vdev,
                                     const libxl_snapshot_how *how);

/*
 * Ends an export, also one whose server or QEMU has died, or whose start was
 * interrupted; its clients lose their connection. 0 as well if there is none.
 * domid INVALID_DOMID: the domain has gone.
 */
int libxl_domain_block_export_stop(libxl_ctx *ctx, uint32_t domid,
                                   const char *id,
                                   const libxl_snapshot_how *how);

/*
 * The domain's exports, those without a server too (running is false). domid
 * INVALID_DOMID: those of all domains. *out: initialised; the caller's.
 */
int libxl_domain_block_export_list(libxl_ctx *ctx, uint32_t domid,
                                   libxl_block_export_list *out,
                                   const libxl_snapshot_how *how);

/*
 * Scratch files of block snapshots and backups in a folder (an absolute path)
 * that nobody uses: no process of this host has one open, and no operation is
 * under way that could be about to (BUSY, without a word). One entry for
 * each, with id and its one disk, as libxl_domain_block_snapshot_delete with
 * domid INVALID_DOMID removes it. *shared: the filesystem may be in use by
 * other hosts, too, which isn't to be seen from here. *out: initialised; the
 * caller's to dispose of.
 */
int libxl_block_scratch_list(libxl_ctx *ctx, const char *folder,
                             libxl_block_snapshot_list *out, bool *shared,
                             const libxl_snapshot_how *how);

/*
 * Files below /run/xl-snapshot of exports whose domain Xen doesn't have any
 * more, or of which there is no record, and of reading bitmaps, if no
 * operation is under way that uses them. remove: takes them away, and ends
 * servers of such exports. *out: their paths, which is the caller's.
 */
int libxl_block_export_tidy(libxl_ctx *ctx, bool remove,
                            libxl_string_list *out,
                            const libxl_snapshot_how *how);

/*
 * Copies disks of a running (or paused) domain, as they are at one instant,
 * each into a target: a file (made by this call with mode 0600, or with
 * `reuse` one that is there), a block device, or an NBD server. QEMU does it
 * by itself, in jobs that go on when the caller has gone; _status follows
 * them, and _finish has to be called when they have come to their end. All
 * disks or none.
 *
 * args->since NULL: everything (a full backup). Else only what was written
 * since that checkpoint; a new qcow2 target then holds nothing else, and
 * `base` is written into its header as the file it is based on. The rest of
 * args is as for libxl_domain_block_snapshot_create, on which this is built;
 * args->checkpoint stays if the backup comes to a good end, and is undone if
 * it doesn't. args->id comes back; with it any process can go on. It may be
 * the caller's own, as with libxl_domain_block_snapshot_create.
 *
 * What fails - a target that is full, a server that dies, a scratch file that
 * is full - ends the backup; the guest never notices.
 *
 * Errors as of libxl_domain_block_snapshot_create; EXISTS (a target).
 */
int libxl_domain_backup_start(libxl_ctx *ctx, uint32_t domid,
                              libxl_domain_backup_args *args,
                              const libxl_snapshot_how *how,
                              const libxl_asyncop_how *ao_how)
                              LIBXL_EXTERNAL_CALLERS_ONLY;

/*
 * args->id says which one (NULL: the one that runs, whose id comes back).
 * Fills in args->state, and done, total and error of each disk; disks that
 * args doesn't have are added to it. Waits for nobody, and touches nothing.
 *
 * ERROR_NOTFOUND (none such), NO_QEMU (QEMU has died, and the backup with it:
 * the targets are incomplete, and the files `scratch` are left).
 */
int libxl_domain_backup_status(libxl_ctx *ctx, uint32_t domid,
                               libxl_domain_backup_args *args,
                               const libxl_snapshot_how *how);

/*
 * The end of a backup that has copied everything (args->state becomes DONE:
 * the targets are closed and on the disk) or has failed (FAILED, ERROR_FAIL:
 * targets that _start made are removed, a checkpoint made with it is undone).
 * May be repeated where it was interrupted.
 *
 * BUSY: it still runs. ERROR_NOTFOUND, NO_QEMU: as _status.
 */
int libxl_domain_backup_finish(libxl_ctx *ctx, uint32_t domid,
                               libxl_domain_backup_args *args,
                               const libxl_snapshot_how *how,
                               const libxl_asyncop_how *ao_how)
                               LIBXL_EXTERNAL_CALLERS_ONLY;

/*
 * Ends it, however far it is: as _finish of one that has failed, but 0. One
 * that had copied everything by then is finished (args->state is DONE).
 */
int libxl_domain_backup_cancel(libxl_ctx *ctx, uint32_t domid,
                               libxl_domain_backup_args *args,
                               const libxl_snapshot_how *how,
                               const libxl_asyncop_how *ao_how)
                               LIBXL_EXTERNAL_CALLERS_ONLY;

/*
 * A word for an error code: libxl's own or this library's. Never NULL.
 */
const char *libxl_snapshot_strerror(int rc);

/*
 * Checkpoints: from each on it is recorded, in whole granules, which parts of
 * a disk the guest writes. They are dirty bitmaps of QEMU's: in the image of
 * a qcow2 disk of a PV or PVH domain, where they outlive QEMU's orderly end;
 * else (a raw disk, and any disk of an HVM domain, whose QEMU may open an
 * image twice) they end with the domain's device model.
 *
 * What can't be known any more is never said to be clean: a bitmap that is
 * missing, inconsistent (QEMU was killed), or did not record without a gap
 * gives BITMAP_BROKEN. Dirty bitmaps of others are left alone.
 *
 * All work on a domain that runs or is paused (INVALID_DOMID: NO_QEMU).
 *
 * _create starts one on several disks, all at one instant, for which the
 * guest is paused. The checkpoint before it ends, and records no more: a
 * guest's write costs one bitmap, however many checkpoints there are.
 * args->quiesce and allow_unquiesced: as in libxl_domain_snapshot_create.
 * NOT_POSSIBLE: a disk that is not QEMU's (blkback), a bad name. EXISTS.
 * NOT_QUIESCED: the guest's agent does not answer; there is no checkpoint.
 * IMAGE_OPEN_TWICE: an HVM guest has not unplugged its emulated disk.
 */
int libxl_domain_checkpoint_create(libxl_ctx *ctx, uint32_t domid,
                                   libxl_domain_checkpoint_args *args,
                                   const libxl_snapshot_how *how,
                                   const libxl_asyncop_how *ao_how)
                                   LIBXL_EXTERNAL_CALLERS_ONLY;

/*
 * Ends one. What it recorded goes to the one before it, so that the others
 * know what they knew. One that is not there is not an error. With a broken
 * one go the bitmaps of all that are older, which could never be used again.
 * BUSY: a backup or an export uses it.
 */
int libxl_domain_checkpoint_delete(libxl_ctx *ctx, uint32_t domid,
                                   const libxl_domain_checkpoint_args *args,
                                   const libxl_snapshot_how *how,
                                   const libxl_asyncop_how *ao_how)
                                   LIBXL_EXTERNAL_CALLERS_ONLY;

/* All of them, by disk and then by age. out: initialised; the caller disposes
 * of it. */
int libxl_domain_checkpoint_list(libxl_ctx *ctx, uint32_t domid,
                                 libxl_disk_checkpoint_list *out,
                                 const libxl_snapshot_how *how)
                                 LIBXL_EXTERNAL_CALLERS_ONLY;

/*
 * Which parts of the disks were written from args->since until args->until,
 * or now: the same instant for all disks. What was written with the data
 * that was there counts as written. out: initialised; the caller disposes of
 * it. BITMAP_BROKEN names disk and checkpoint.
 */
int libxl_domain_checkpoint_dirty(libxl_ctx *ctx, uint32_t domid,
                                  const libxl_domain_dirty_args *args,
                                  libxl_domain_dirty *out,
                                  const libxl_snapshot_how *how,
                                  const libxl_asyncop_how *ao_how)
                                  LIBXL_EXTERNAL_CALLERS_ONLY;

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* LIBXL_SNAPSHOT_H */
