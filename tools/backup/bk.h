/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The client that keeps backups in a folder of plain files:
 *
 *   DIR/.lock
 *   DIR/NAME/               a set, named as its checkpoint
 *     VDEV.qcow2            an incremental one's is based on
 *                           ../BASE/VDEV.qcow2
 *     domain.json           libxl's configuration
 *     backup.json           struct bk_set
 *
 * A folder is a set if it has its name: it gets that when all in it is on the
 * disk. Names with a dot in front are of work that is under way, or that
 * somebody has died at, and tell what it was (bk_folder.c).
 *
 * Functions return exit codes (xl_exit.h), after a sentence on stderr.
 */
#ifndef BK_H
#define BK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "xl_exit.h"
#include "xl_options.h"
#include "xl_progress.h"
#include "xl_text.h"

#define BK_RECORD "backup.json"
#define BK_CONFIG "domain.json"
#define BK_PARTIAL ".partial-"  /* being saved */
#define BK_MERGED ".merged-"    /* being made for NAME, or was NAME before */
#define BK_READY ".ready-"      /* complete, to become NAME */
#define BK_TRASH ".trash-"      /* to be removed */

struct bk_disk {
    char *vdev;
    uint64_t size;              /* of the disk, bytes */
    uint64_t copied;            /* bytes of data that were read for it */
    uint64_t file_size;
    char xxh64[17];             /* of the file */
};

struct bk_set {
    char *name;                 /* and of the checkpoint */
    char *base;                 /* the set that it is based on; NULL: full */
    char *domain, *uuid, *version;
    uint64_t time;              /* seconds since 1970 */
    uint64_t sequence;          /* of the checkpoint; 0: not known */
    bool quiesced;
    struct bk_disk *disks;
    int num_disks;

    char *problem;              /* the record can't be used: why */
    int state;                  /* bk_verify: 0 not looked at, 1 good, -1 */
    bool keep;                  /* bk_prune */
};

/* --- bk_set.c --- */

bool bk_vdev_ok(const char *vdev);
/* What is wrong with it as a name; NULL: nothing. */
const char *bk_name_problem(const char *name);
void bk_set_dispose(struct bk_set *s);
struct bk_disk *bk_set_add(struct bk_set *s, const char *vdev);
struct bk_disk *bk_set_disk(const struct bk_set *s, const char *vdev);
/* malloc'ed. */
char *bk_set_write(const struct bk_set *s);
/* False: *problem says why; malloc'ed. s: zeroed. */
bool bk_set_read(struct bk_set *s, const char *text, size_t len,
                 char **problem);
/* VDEV.qcow2; malloc'ed. */
char *bk_file_name(const char *vdev);

/* --- bk_chain.c: all on sets in order of time --- */

struct bk_set *bk_find(struct bk_set *sets, int num, const char *name);
/* The newest that can be used; NULL: none. */
struct bk_set *bk_newest(struct bk_set *sets, int num);
void bk_sort(struct bk_set *sets, int num);
/* chain[0] is s, the last one is full; NULL-terminated, malloc'ed. NULL: it
 * is not complete, and *problem says why. */
struct bk_set **bk_chain(struct bk_set *sets, int num, struct bk_set *s,
                         char **problem);

struct bk_rules {
    int last, daily, weekly, monthly, yearly;
};
/* Sets `keep` of each. Sets that can't be read are kept. */
void bk_apply_rules(struct bk_set *sets, int num, const struct bk_rules *r);
/* The nearest set below s that is kept; NULL: none, it becomes full. */
struct bk_set *bk_kept_base(struct bk_set *sets, int num, struct bk_set *s);

/* --- bk_folder.c --- */

enum bk_use { BK_READ, BK_SAVE, BK_PRUNE };

struct bk_folder {
    char *path;                 /* absolute */
    int fd, lock_fd;
    struct bk_set *sets;
    int num;
};

/* Opens and locks it, finishes or removes what was interrupted (not for
 * READ), and reads the sets. SAVE makes it. bk_folder_close in either case. */
int bk_folder_open(struct bk_folder *f, const char *path, enum bk_use use);
void bk_folder_close(struct bk_folder *f);
/* Reads the sets again. */
int bk_folder_load(struct bk_folder *f);
/* A new, empty folder PREFIX NAME in it. */
int bk_folder_make(struct bk_folder *f, const char *prefix, const char *name,
                   int *fd_out);
int bk_folder_sync(struct bk_folder *f);
/* Its files, then itself; nothing if there is none. */
int bk_folder_remove(struct bk_folder *f, const char *name);
int bk_folder_open_set(struct bk_folder *f, const char *name, int *fd_out);
/* The one set that is asked for, or the newest: exit code. */
int bk_folder_pick(struct bk_folder *f, const char *name,
                   struct bk_set **out);

/* --- bk_files.c: what changes files; the tests make each call fail --- */

int bk_rename(int dir, const char *from, const char *to, const char *where);
/* 0, or 1: this filesystem can't. */
int bk_exchange(int dir, const char *a, const char *b, const char *where);
int bk_unlink(int dir, const char *name, int flags, const char *where);
int bk_sync(int fd, const char *what);
int bk_put(int dir, const char *name, const char *text, const char *where);
/* malloc'ed; NULL, without a word. */
char *bk_get(int dir, const char *name, size_t max, size_t *len);
/* A reflink where that is possible. */
int bk_copy_file(int from_dir, int to_dir, const char *name,
                 const char *where);

/* --- bk_run.c --- */

/*
 * A program in folder `dir` (-1: here), until its end; it dies with us. out
 * (NULL: not wanted) and err: what it has said, malloc'ed. Returns its exit
 * code, 127 if it can't be run, -1 if it was ended by a signal, or by us since
 * somebody has interrupted us.
 */
int bk_run(int dir, char *const argv[], char **out, char **err);

/* --- bk_image.c: qemu-img on NAME.qcow2 in a folder --- */

int bk_image_create(int dir, const char *vdev, uint64_t size,
                    const char *base, const char *where);
/* Does the header say what the record does? *problem: if not. */
bool bk_image_header_ok(int dir, const char *vdev, uint64_t size,
                        const char *base, char **problem);
bool bk_image_check(int dir, const char *vdev, char **problem);
/* xxh64 and size into d. *problem, malloc'ed, on failure. */
bool bk_image_hash(int dir, struct bk_disk *d, char **problem);
/* Brings a file to the disk; where: for sentences. An exit code. */
int bk_image_sync(int dir, const char *file, const char *where);
/* Flat, into a new image: of another folder by its absolute path. */
int bk_image_flatten(int dir, const char *vdev, uint64_t size, int to_dir,
                     const char *to_path, const char *to_name, bool raw);
int bk_image_rebase(int dir, const char *vdev, const char *base,
                    const char *where);

/* --- bk_target.c: a qemu-nbd that writes VDEV.qcow2 in a folder --- */

struct nbd_handle;
struct bk_target {
    pid_t pid;
    int err_fd;
    struct nbd_handle **nbd;
    int num;
};

int bk_target_open(struct bk_target *t, int dir, const char *vdev,
                   int connections, const char *where);
/* Flushed, and its process at an end. */
int bk_target_close(struct bk_target *t, const char *where);
/* Without any of this. */
void bk_target_drop(struct bk_target *t);
/* What the process has said; malloc'ed, or NULL. */
char *bk_target_said(struct bk_target *t);

/* --- bk_copy.c --- */

struct bk_source {
    const char *socket, *name;  /* of the export */
    const char *bitmap;         /* NULL: everything */
    const char *what;           /* "domain D, disk V", for sentences */
    uint64_t size;              /* as it should be */
    void (*progress)(void *user, uint64_t done, uint64_t total);
    void *user;
};

/* *copied: bytes of data. */
int bk_copy(const struct bk_source *src, struct bk_target *t,
            const char *where, uint64_t *copied);

/* --- commands: one file each --- */

int bk_save(const struct xl_globals *globals, const struct xl_save_options *o);
int bk_restore(const struct xl_save_options *o);
int bk_verify(const struct xl_save_options *o);
int bk_list(const struct xl_save_options *o);
int bk_prune(const struct xl_save_options *o);

/* --- bk_verify.c --- */

/* One chain, each set once: 0, or XL_EXIT_DAMAGED and what. */
int bk_verify_chain(struct bk_folder *f, struct bk_set *s);
/* The same without reading the data. */
int bk_look_at_chain(struct bk_folder *f, struct bk_set *s);

/* --- bk_config.c --- */

/* Of the restored disks, as xl.cfg(5); malloc'ed. NULL: can't be made of it. */
char *bk_config_write(const char *json, const char *folder,
                      const struct bk_set *s, const char *format);

/* --- bk_main.c --- */

/* The whole program. */
int bk_main(int argc, char **argv);
/* SIGINT, SIGTERM or SIGHUP has come. */
bool bk_interrupted(void);
int bk_say_interrupted(const char *doing);

#endif /* BK_H */
