/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What the files of libxlusnapshot share. Conventions as in libxl: rc holds
 * a code, r a system call's return, one label `out`. A function that fails
 * has logged why, with the path, unless its comment says otherwise.
 *
 * Out of memory ends the process, as it does in libxl.
 */
#ifndef XLUSS_H
#define XLUSS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xlu_snapshot.h"

#define XLUSS__DOCUMENT_MAX (1u << 20)      /* bytes of one XML */
#define XLUSS__JSON_MAX     (4u << 20)      /* bytes of one JSON */
#define XLUSS__CONFIG_MAX   (16u << 20)     /* bytes of a domain config */
#define XLUSS__PATH_MAX     4096

#define XLUSS__NO_DOMID ((uint32_t)INVALID_DOMID)

/* A folder that is held open, and its path for sentences. */
typedef struct {
    int fd;                     /* -1: doesn't exist */
    char *path;
} xluss__dir;

typedef struct {
    xlu_snapshot s;             /* first: xlu_snapshot_depth relies on it */
    bool damaged;               /* the JSON can't be used; s.name is set */
    bool xml_bad;               /* the XML doesn't go with the JSON */
    int parent;                 /* index, -1: a root */
    int first_child, sibling;   /* index, -1: none; listed entries only */
    int depth;
} xluss__entry;

struct xlu_snapshot_catalogue {
    libxl_ctx *ctx;
    xentoollog_logger *lg;
    int flags;
    xlu_snapshot_domain dom;
    xluss__dir dir;             /* ROOT/UUID */
    xluss__dir snaps;           /* ROOT/UUID/snapshots */
    int lock_fd;
    bool interrupted;
    bool pull_ends;             /* xluss__pull_recover is at work */

    xluss__entry *entries;      /* sorted by name */
    int num_entries;
    const xlu_snapshot **list;
    int num_list;
    const xlu_snapshot *current;
};

/* --- xluss_util.c --- */

void xluss__log(xentoollog_logger *lg, xentoollog_level level, int errnoval,
                const char *fmt, ...) __attribute__((format(printf, 4, 5)));
#define LOG(lg, lvl, ...) xluss__log(lg, XTL_##lvl, -1, __VA_ARGS__)
#define LOGEV(lg, lvl, e, ...) xluss__log(lg, XTL_##lvl, e, __VA_ARGS__)

char *xluss__asprintf(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
char *xluss__strdup(const char *s);         /* NULL stays NULL */
void *xluss__calloc(size_t n, size_t size);
void *xluss__realloc(void *p, size_t size);
void xluss__replace(char **where, const char *s);
bool xluss__ends_with(const char *s, const char *suffix);
/* The code for what a system call said. */
int xluss__rc(int errnoval);

/* --- xluss_files.c --- */

/* ERROR_NOTFOUND without a word where it doesn't exist and make is false.
 * path is copied. Only the last part is made. */
int xluss__dir_open(xentoollog_logger *lg, const char *path, bool make,
                    xluss__dir *out);
int xluss__dir_open_at(xentoollog_logger *lg, const xluss__dir *above,
                       const char *name, bool make, xluss__dir *out);
void xluss__dir_close(xluss__dir *d);
int xluss__dir_sync(xentoollog_logger *lg, const xluss__dir *d);
/* Bytes that may still be written. */
int xluss__dir_space(xentoollog_logger *lg, const xluss__dir *d,
                     uint64_t *out);

/* Old or new content is there at any instant. With lazy, the new one may be
 * forgotten in a power cut until xluss__dir_sync. */
int xluss__file_put(xentoollog_logger *lg, const xluss__dir *d,
                    const char *name, const void *data, size_t len,
                    bool lazy);
/* *data_out is malloc'ed and ends in NUL. ERROR_NOTFOUND without a word. */
int xluss__file_get(xentoollog_logger *lg, const xluss__dir *d,
                    const char *name, size_t max, char **data_out,
                    size_t *len_out);
/* A new file, 0600, open for reading and writing; it must not exist. */
int xluss__file_new(xentoollog_logger *lg, const xluss__dir *d,
                    const char *name, int *fd_out);
/* Fails with EXISTS if there is a `to`. */
int xluss__file_rename(xentoollog_logger *lg, const xluss__dir *d,
                       const char *from, const char *to);
/* 0 too if it isn't there. */
int xluss__file_drop(xentoollog_logger *lg, const xluss__dir *d,
                     const char *name);
bool xluss__file_exists(const xluss__dir *d, const char *name);
/* Returns 0 or an errno; says nothing. */
int xluss__write_all(int fd, const void *data, size_t len);
bool xluss__is_temporary(const char *name);
/* What writes that were cut short have left behind. */
void xluss__temporaries_drop(xentoollog_logger *lg, const xluss__dir *d);

/* --- xluss_lock.c --- */

int xluss__lock(xlu_snapshot_catalogue *cat, bool wait);
void xluss__unlock(xlu_snapshot_catalogue *cat);

/* --- xlu_snapshot_names.c --- */

/* One of the texts in XML: NULL if XML 1.0 can hold it, else the reason. */
const char *xluss__text_problem(const char *text);
/* The time as a name, with -2, -3 … where it is taken; malloc'ed. */
char *xluss__name_from_time(xlu_snapshot_catalogue *cat, uint64_t seconds);
/* NAME and suffix; malloc'ed. */
char *xluss__file_name(const char *name, const char *suffix);
bool xluss__name_taken(xlu_snapshot_catalogue *cat, const char *name);

/* --- xlu_snapshot_store.c, xlu_snapshot_load.c --- */

int xluss__load(xlu_snapshot_catalogue *cat);
void xluss__unload(xlu_snapshot_catalogue *cat);
/* NULL if there is none; says nothing. */
xluss__entry *xluss__find(xlu_snapshot_catalogue *cat, const char *name);
/* Writes NAME.json, and NAME.xml. */
int xluss__store_json(xlu_snapshot_catalogue *cat, xlu_snapshot *s);
int xluss__store_xml(xlu_snapshot_catalogue *cat, const xlu_snapshot *s,
                     bool lazy);
/* Writes NAME.config. */
int xluss__store_config(xlu_snapshot_catalogue *cat, const char *name,
                        const char *json);
/* Removes the file, if it is there. */
int xluss__drop_named(xlu_snapshot_catalogue *cat, const char *name,
                      const char *suffix);
/* name NULL: none is current from now on. */
int xluss__store_current(xlu_snapshot_catalogue *cat, const char *name);
/* Removes NAME.json first, then the rest. memory_path NULL: none. */
int xluss__drop_files(xlu_snapshot_catalogue *cat, const char *name,
                      const char *memory_path);
/* Every call that changes something: lock held? recovery, XML. */
int xluss__begin(xlu_snapshot_catalogue *cat, const libxl_snapshot_how *how);

/* --- xluss_pull_recover.c --- */

/* A pull backup was being started, or ended. */
bool xluss__pull_interrupted(xlu_snapshot_catalogue *cat);
/* Undoes or finishes that. what_out: as xlu_snapshot_recover. */
int xluss__pull_recover(xlu_snapshot_catalogue *cat,
                        const libxl_snapshot_how *how, char **what_out);

/* --- xlu_snapshot_tree.c --- */

/* Links, orders and lists cat->entries, which are sorted by name. */
void xluss__tree_build(xlu_snapshot_catalogue *cat);

/* --- xlu_snapshot_xml.c --- */

/* DAMAGED, with a sentence that has path in it. name_out: malloc'ed. */
int xluss__xml_read(xentoollog_logger *lg, const char *path,
                    const char *text, size_t len, char **name_out);
int xluss__xml_write(xentoollog_logger *lg, const xlu_snapshot *s,
                     char **text_out);

/* --- xluss_places.c --- */

/* Files in which snapshots other than `name` are, into args->keep. */
void xluss__keep_others(xlu_snapshot_catalogue *cat, const char *name,
                        libxl_domain_snapshot_args *args);
void xluss__keep_copy(libxl_domain_snapshot_args *to,
                      const libxl_domain_snapshot_args *from);
/* `of` has frozen images: internal snapshots are where it says from now on. */
int xluss__places_frozen(xlu_snapshot_catalogue *cat, const xlu_snapshot *of);
/* How many internal snapshots are in files that a revert to `target` puts
 * others in the place of; args (may be NULL) keeps them, under the safety
 * point's name. */
int xluss__places_displaced(xlu_snapshot_catalogue *cat,
                            const libxl_domain_snapshot_args *target,
                            const char *safety,
                            libxl_domain_snapshot_args *args);
/* After it: they are found there. */
int xluss__places_follow(xlu_snapshot_catalogue *cat, const char *safety);
/* The file that a snapshot of that name has frozen of a disk, to be freed;
 * NULL without one, or where others of that name have left theirs too. */
char *xluss__frozen_file(const char *path, const char *name);
/* Disks of `s` whose names are to be put right when the domain is off. */
int xluss__moved_note(xlu_snapshot_catalogue *cat, const xlu_snapshot *s);
/* The domain is off. */
int xluss__moved_put_right(xlu_snapshot_catalogue *cat);

/* --- xluss_header.c --- */

/* Writes xl's header at fd's position. */
int xluss__header_write(xentoollog_logger *lg, int fd, const char *path,
                        const char *config_json);
/* Leaves fd where libxl's stream begins. *config_json_out is malloc'ed. */
int xluss__header_read(xentoollog_logger *lg, int fd, const char *path,
                       char **config_json_out);

/* --- xluss_compress.c --- */

/* A thread between a pipe and a memory image's file. */
typedef struct xluss__zstd xluss__zstd;

/* What is written to *fd_out goes compressed into file, from its position.
 * It is always taken: an error shows in _error and _end only. */
int xluss__zstd_writer(xentoollog_logger *lg, const char *path, int file,
                       xluss__zstd **out, int *fd_out);
/* What file holds, from its position, comes out of *fd_out. file is closed at
 * the end, and if this fails. */
int xluss__zstd_reader(xentoollog_logger *lg, const char *path, int file,
                       xluss__zstd **out, int *fd_out);
/* An errno; 0: good so far. */
int xluss__zstd_error(xluss__zstd *z);
/* After the caller has closed its *fd_out: waits for the thread's end. */
int xluss__zstd_end(xluss__zstd *z, bool quiet);

/* --- xluss_hash.c --- */

/* XXH64 of the first size bytes, as 16 digits. Returns an errno. */
int xluss__hash_file(int fd, uint64_t size, char text[17]);

/* A thread that hashes what is being appended to a file, and makes it go to
 * the disk; both without taking time from anybody. */
struct xluss__follower;
/* NULL: there can't be one, and _hash_file does it. */
struct xluss__follower *xluss__hash_follow(int fd);
/* When all is written: of the whole file. Frees it. Returns an errno. */
int xluss__hash_end(struct xluss__follower *f, char text[17]);
/* Without a result. f may be NULL. */
void xluss__hash_give_up(struct xluss__follower *f);

/* --- xluss_image.c --- */

/* A memory image on its way into the catalogue. */
typedef struct {
    xentoollog_logger *lg;
    xluss__dir dir;             /* of its own */
    char *name, *temporary;     /* file names in dir */
    char *path;
    int fd;                     /* the file; -1: none */
    int out;                    /* where header and stream go; -1: none */
    xlu_snapshot_memory_format format;
    xluss__zstd *z;             /* between out and fd; NULL: they are one */
    struct xluss__follower *follower;   /* of what is written; NULL: none */
} xluss__image;

void xluss__image_init(xluss__image *im);
void xluss__image_dispose(xluss__image *im);
/* Looks where it will be: no file is made. EXISTS. folder NULL: the
 * catalogue's own. im->format says how it will be written. */
int xluss__image_place(xlu_snapshot_catalogue *cat, const char *folder,
                       const char *snapshot, xluss__image *im);
/* NO_SPACE unless there is room for bytes of guest memory. How small they
 * become compressed isn't known: then for the share of a usual guest. */
int xluss__image_room(const xluss__image *im, uint64_t bytes);
int xluss__image_begin(xluss__image *im, const char *config_json);
/* An errno of writing to it that may have gone unnoticed; says nothing. */
int xluss__image_error(const xluss__image *im);
/* True if writing to it fails for lack of space; says nothing. For an image
 * that is given up. */
bool xluss__image_full(xluss__image *im);
/* fsyncs it, hashes what isn't yet (both at once), and fills *m. */
int xluss__image_seal(xluss__image *im, xlu_snapshot_memory *m);
/* Gives it its name; the folder is not yet fsynced. */
int xluss__image_publish(xluss__image *im);
/* Removes it under both its names. */
int xluss__image_drop(xluss__image *im);
/* The same by path, when nothing else is known: only a file of the name that
 * the catalogue gives it, and only if it begins as an image does. */
int xluss__image_drop_path(xlu_snapshot_catalogue *cat, const char *snapshot,
                           const char *path);
/* Size and hash of one that somebody else wrote; fd stays where it is. */
int xluss__image_measure(xentoollog_logger *lg, int fd,
                         xlu_snapshot_memory *m);
/* Checks size, hash and header. *fd_out is where the stream begins; of a
 * compressed image it is a pipe, and *z_out is to be ended after it. */
int xluss__image_open(xentoollog_logger *lg, const xlu_snapshot *s,
                      int *fd_out, xluss__zstd **z_out,
                      char **config_json_out);
/* The same without size and hash, where they were checked a moment ago. */
int xluss__image_reopen(xentoollog_logger *lg, const xlu_snapshot *s,
                        int *fd_out, xluss__zstd **z_out);

/* Only looks: *config_json_out is malloc'ed. */
int xluss__image_probe(xentoollog_logger *lg, const xlu_snapshot *s,
                       char **config_json_out);
/* The one in the catalogue's folder, raw or compressed: path and format. */
void xluss__image_own(xlu_snapshot_catalogue *cat, const char *snapshot,
                      xlu_snapshot_memory *m);
/* By the path's ending. */
xlu_snapshot_memory_format xluss__image_format(const char *path);

/* --- xluss_journal.c --- */

/* One operation under way: its journal, and the caller's `how` in ours. */
typedef struct xluss__op xluss__op;
struct xluss__op {
    xlu_snapshot_catalogue *cat;
    xlu_snapshot_journal j;
    libxl_snapshot_how how;     /* for the lower library */
    const libxl_snapshot_how *caller;
    bool any;                   /* a step has been announced */
    libxl_snapshot_step last;
    uint32_t steps;             /* 1 << step: is written before it begins */
    /* What must be in the journal at this step; NULL: nothing more. */
    int (*prepare)(xluss__op *op, libxl_snapshot_step step);
    /* May this step begin? NULL: always. */
    int (*check)(xluss__op *op, libxl_snapshot_step step);
    void *owner;
};

void xluss__op_init(xluss__op *op, xlu_snapshot_catalogue *cat,
                    xlu_snapshot_operation operation, const char *name,
                    const libxl_snapshot_how *how);
void xluss__op_dispose(xluss__op *op);
/* For what the lower library does to clean up: log and patience, no steps. */
libxl_snapshot_how xluss__plain_how(const xlu_snapshot_catalogue *cat);
int xluss__journal_write(xluss__op *op);
/* The first write; leaves none if it fails. */
int xluss__journal_begin(xluss__op *op);
/* The operation is over. */
int xluss__journal_end(xlu_snapshot_catalogue *cat);
/* ERROR_NOTFOUND without a word if there is none. */
int xluss__journal_read(xlu_snapshot_catalogue *cat, xlu_snapshot_journal *j);
/* Does it say on what? */
bool xluss__journal_is_whole(const xlu_snapshot_journal *j);
/* The step that was last announced; -1: none. */
int xluss__journal_step(const xlu_snapshot_journal *j);

/* --- xluss_domain.c --- */

/* ERROR_DOMAIN_NOTFOUND without a word; ERROR_FAIL: libxl can't tell. info
 * may be NULL. */
int xluss__domain_by_uuid(libxl_ctx *ctx, const char *uuid,
                          uint32_t *domid_out, libxl_dominfo *info);
/* Is domid a domain with this uuid? */
bool xluss__domain_is(libxl_ctx *ctx, uint32_t domid, const char *uuid,
                      libxl_dominfo *info);
int xluss__domain_config_json(xlu_snapshot_catalogue *cat, uint32_t domid,
                              libxl_domain_config *config, char **json_out);
/* Parses, and puts the domain's own name and uuid in. DAMAGED. */
int xluss__domain_config_parse(xlu_snapshot_catalogue *cat, const char *json,
                               const char *from, libxl_domain_config *config);
/*
 * For undoing what may be done to a domain's disks: adds the writable disks of
 * config that args lacks, path and format where args has none, and a kind.
 */
void xluss__args_complete(libxl_ctx *ctx, libxl_domain_snapshot_args *args,
                          const libxl_domain_config *config);
/* Adds a disk that has snapshots in its own image, unless there is one of
 * its vdev; without a name. */
void xluss__args_add(libxl_ctx *ctx, libxl_domain_snapshot_args *args,
                     const libxl_disk_snapshot *disk);
bool xluss__uuid_valid(const char *s);

/* --- xlu_snapshot_create.c --- */

/* The rest of a create, once NAME.json is there. */
int xluss__create_finish(xlu_snapshot_catalogue *cat, const char *name);

/* --- xlu_snapshot_revert.c, xlu_snapshot_delete.c, for recovery --- */

/* The lower library's revert once more, as the journal says, of a domain
 * that is off; back: to the safety point. */
int xluss__revert_again(xluss__op *op, bool back);
/* The rest of a revert: went_back: the snapshot does not become current. */
int xluss__revert_finish(xluss__op *op, bool went_back);
/* Snapshots and files of the safety point; the journal stays. */
int xluss__safety_drop(xluss__op *op, uint32_t domid);
/* Deletes one snapshot; which way the data of external ones goes. */
int xluss__delete_one(xlu_snapshot_catalogue *cat, const char *name,
                      libxl_merge_direction direction,
                      const libxl_snapshot_how *how);
/* --- xlu_snapshot_merge.c --- */

/* Where the disks of a domain that is off are, or were; vdevs NULL: all. */
void xluss__disks_off(xlu_snapshot_catalogue *cat, const char *const *vdevs,
                      libxl_domain_disk_merge_args *args);
/* The files in which snapshots live. */
void xluss__keep_all(xlu_snapshot_catalogue *cat,
                     libxl_domain_disk_merge_args *args);

/* All that is left of a delete once the disks are done. */
int xluss__delete_finish(xluss__op *op);

#endif /* XLUSS_H */
