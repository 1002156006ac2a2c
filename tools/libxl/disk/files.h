/* SPDX-License-Identifier: LGPL-2.1-only */
/* Image files as files: what a qcow2 header says, which files are based on
 * which, and under which name the live one is found. */
#ifndef LIBXLSS_FILES_H
#define LIBXLSS_FILES_H

#include <sys/stat.h>

#include "../libxlss_internal.h"

/* What a qcow2 header says. Memory lives as long as the operation. */
struct libxlss__qcow2 {
    bool is_qcow2;              /* false: nothing else is set */
    uint64_t size;              /* virtual, bytes */
    uint32_t num_snapshots;     /* inside */
    bool external_data;         /* guest data in a file of its own */
    char *backing;              /* as written; NULL: none */
    char *backing_format;       /* NULL: would be probed */
    char *backing_path;         /* absolute; NULL: none, or no plain file */
};

/* qcow2.c. An absent file is ERROR_NOTFOUND without a word. */
int libxlss__qcow2_read(struct libxlss__op *op, const char *path,
                        struct libxlss__qcow2 *q);

/* chain.c */
bool libxlss__same_file(const char *a, const char *b);
/* In the folder of `path`; a name or an absolute path. */
char *libxlss__path_beside(struct libxlss__op *op, const char *path,
                           const char *name);
/* How `to` is written into a header of a file in the folder of `from`. */
const char *libxlss__path_from(struct libxlss__op *op, const char *from,
                               const char *to);
/* Is `base` in the chain below (not at) `top`? An error where some header of
 * the chain can't be read. `as_r`: by which name; may be NULL. */
int libxlss__chain_has(struct libxlss__op *op, const char *top,
                       const char *base, bool *has_r, const char **as_r);
/*
 * All qcow2 files whose backing file is `base` itself: in its folder, in
 * those of the operation's disks and of op's keep list, and the disks of all
 * domains that run. Each once, whatever names it has.
 */
int libxlss__overlays_of(struct libxlss__op *op, const char *base,
                         char ***list_r, int *num_r);
/* Is the file one of those that other snapshots need? */
bool libxlss__is_kept(struct libxlss__op *op, const char *path);

/*
 * names.c: where the live file of a disk is found.
 *
 * QEMU 7.2 can't be given another name for a file that it has open, so the
 * overlay of an external snapshot gets a name of its own, PATH.liveN, while
 * PATH still is the (immutable) base, which is also PATH.NAME; and the
 * overlay's header says PATH.NAME. When the domain is off, PATH.liveN is
 * renamed to PATH, where the user's configuration looks for it, and becomes
 * a symbolic link to it, for a saved domain that remembers it.
 */
/* PATH of a disk whose live file is `live`; live itself where that is it. */
char *libxlss__name_settled(struct libxlss__op *op, const char *live);
/* Is `live` PATH.liveN, by its letters? */
bool libxlss__name_is_live_of(struct libxlss__op *op, const char *live,
                              const char *path);
/* A name of the form PATH.liveN that is free. */
char *libxlss__name_live(struct libxlss__op *op, const char *path);
/* The file PATH.liveN that should be PATH when the domain is off; NULL: the
 * name is right. */
int libxlss__name_wrong(struct libxlss__op *op, const char *path,
                        char **live_r);
/* Puts the name right, if it isn't; the domain is off. */
int libxlss__name_put_right(struct libxlss__op *op, const char *path);
/* Removes names PATH.liveN of the file `base`, which is about to go. */
int libxlss__name_drop_lives(struct libxlss__op *op, const char *path,
                             const char *base);
/* Removes links that no domain remembers. `live`: what the domain has. */
void libxlss__name_tidy(struct libxlss__op *op, const char *path,
                        const char *live);

/* file_ops.c: steps that leave either the old state or the new. */
/* Links; EEXIST is fine where it is the same file already. */
int libxlss__file_link(struct libxlss__op *op, const char *from,
                       const char *to);
/*
 * Adds a hole at the end, before QEMU opens, a second time, a qcow2 file that
 * the guest writes to: of a file node it takes the length once, and what the
 * guest appends by way of the first node would read as zeroes by the second.
 */
int libxlss__file_make_room(struct libxlss__op *op, const char *path);
int libxlss__file_rename(struct libxlss__op *op, const char *from,
                         const char *to);
/* The same, where `to` may be immutable. */
int libxlss__file_replace(struct libxlss__op *op, const char *from,
                          const char *to);
/* Removes a name; one that isn't there is no error. */
int libxlss__file_unlink(struct libxlss__op *op, const char *path);
int libxlss__file_sync(struct libxlss__op *op, const char *path);
int libxlss__folder_sync(struct libxlss__op *op, const char *path);
bool libxlss__file_exists(const char *path);
/* The tripwire. False where the filesystem has no such flag. */
bool libxlss__file_set_immutable(struct libxlss__op *op, const char *path,
                                 bool immutable);
/* A mark on the inode: this library has frozen it, and may remove it. */
void libxlss__file_mark_base(struct libxlss__op *op, const char *path);
bool libxlss__file_is_marked(const char *path);
/* The guest writes to it again. */
void libxlss__file_unmark(const char *path);
/* A file that qemu-img has made: owner and mode of `like`, on the disk. */
int libxlss__file_like(struct libxlss__op *op, const char *path,
                       const char *like);
/* An empty file for root alone; EXISTS where there is one. */
int libxlss__file_reserve(struct libxlss__op *op, const char *path);
/* An empty qcow2 over `base`, as much like `like` as can be (owner, mode). */
int libxlss__overlay_make(struct libxlss__op *op, const char *path,
                          const char *base, const char *base_format,
                          uint64_t size, const char *like);
/* Has it the right size, no data, and this base? Says what is wrong. */
int libxlss__overlay_check_empty(struct libxlss__op *op, const char *path,
                                 const char *base, uint64_t size);

#endif
