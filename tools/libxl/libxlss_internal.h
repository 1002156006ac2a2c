/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the rooms of libxlsnapshot share: one operation on one domain. */
#ifndef LIBXLSS_INTERNAL_H
#define LIBXLSS_INTERNAL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <libxl.h>
#include <libxl_utils.h>
#include <xenstore.h>
#include <xentoollog.h>

#include "libxl_snapshot.h"
#include "json.h"

/* Error codes are long; inside, they have their short names. */
#define XLSS(code) LIBXL_SNAPSHOT_ERROR_##code

/* libxl's INVALID_DOMID is a signed number: the domain is off. */
#define XLSS_OFF ((uint32_t)INVALID_DOMID)

/* How long the parts of an operation may take, in milliseconds. */
#define XLSS_QMP_TIMEOUT_MS       10000     /* connect, greeting, queries */
#define XLSS_QMP_LONG_TIMEOUT_MS  60000     /* transaction, stop */
#define XLSS_QEMU_EXIT_MS         60000     /* after destroy */
#define XLSS_CHILD_MS            600000     /* qemu-img on a disk */
#define XLSS_CHILD_LONG_MS    172800000     /* ... that copies all of it */

/* The same, of what never happens in most tests: they wait for it less long. */
extern unsigned int libxlss__late_suspend_ms;   /* after a cancelled request */
extern unsigned int libxlss__close_ms;      /* for others to close an image */

/* Folders; tests set their own. */
extern const char *libxlss__run_dir;        /* our locks */
extern const char *libxlss__xen_run_dir;    /* libxl's QMP sockets */
extern const char *libxlss__xen_lib_dir;    /* libxl's lock files */
extern const char *libxlss__guard_path;     /* NULL: no guard */

struct libxlss__agent;
struct libxlss__guard;
struct libxlss__disk;

/* What an operation has stopped, and must set going again. */
struct libxlss__held {
    bool suspending;            /* a suspend request may be under way */
    bool stopped;               /* QMP stop, by us */
    unsigned int pauses;        /* by us: to be undone */
    unsigned int repauses;      /* by the admin, undone by us: to be redone */
    bool frozen;                /* the guest's filesystems may be, by us */
    bool inactive;              /* QEMU's images may be: `cont` comes first */
    bool log_dirty;             /* a save has perhaps left it on */
};

struct libxlss__op {
    libxl_ctx *ctx;
    const libxl_snapshot_how *how;
    xentoollog_logger *lg;
    bool own_lg;
    struct xs_handle *xs;
    const char *what;           /* the operation, for sentences */

    /* The domain. */
    uint32_t domid;             /* XLSS_OFF: off */
    char uuid[37];
    char *name;                 /* never NULL: "a domain that is off" */
    libxl_dominfo info;
    libxl_domain_config config;
    bool have_config;
    pid_t qemu_pid;             /* 0: none */

    struct libxlss__disk *disks;
    int num_disks;

    struct libxlss__held held;
    struct libxlss__guard *guard;
    struct libxlss__agent *agent;   /* agent.c's own */
    bool quiesced;              /* frozen for the whole of the instant */
    struct libxlss__vdevs *vdevs;   /* graph.c's own */
    bool had_qemu;              /* its death is a failure from now on */
    int lock_fd;
    bool was_paused;            /* at the beginning */
    bool left_paused;           /* as the caller wants it at the end */
    bool stuck;                 /* the domain could not be set going */
    bool committed;             /* aborts are not heard any more */
    bool recorded;              /* the disks are those of a snapshot */
    bool undoing;               /* only what this operation made goes */
    bool private_children;      /* what they make is for root alone */
    const int *child_fds;       /* theirs as well, with the same numbers */
    int num_child_fds;

    const char *const *keep;    /* files that other snapshots live in */
    int num_keep;
    libxl_merge_direction direction;
    uint64_t child_ms;          /* how long a child may take; 0: as ever */
    const char *checkpoint;     /* begins with the snapshot; NULL: none */
    uint64_t checkpoint_seq;    /* its number */

    void **allocs;              /* freed at the operation's end */
    size_t num_allocs;
};

/* op.c */
int libxlss__op_begin(struct libxlss__op *op, libxl_ctx *ctx, uint32_t domid,
                      const char *what, const libxl_snapshot_how *how);
void libxlss__op_end(struct libxlss__op *op);
int libxlss__step(struct libxlss__op *op, libxl_snapshot_step step);
int libxlss__progress(struct libxlss__op *op, libxl_snapshot_step step,
                      uint64_t done, uint64_t total);
/* Memory that lives as long as the operation. Never NULL. */
void *libxlss__zalloc(struct libxlss__op *op, size_t size);
char *libxlss__strdup(struct libxlss__op *op, const char *s);
char *libxlss__printf(struct libxlss__op *op, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Says one sentence; the domain's name comes before it. */
void libxlss__log(struct libxlss__op *op, xentoollog_level level, int err,
                  const char *fmt, ...) __attribute__((format(printf, 4, 5)));
#define LOG_ERROR(op, ...) libxlss__log(op, XTL_ERROR, -1, __VA_ARGS__)
#define LOG_ERRNO(op, ...) libxlss__log(op, XTL_ERROR, errno, __VA_ARGS__)
#define LOG_WARN(op, ...)  libxlss__log(op, XTL_WARN, -1, __VA_ARGS__)
#define LOG_INFO(op, ...)  libxlss__log(op, XTL_INFO, -1, __VA_ARGS__)
#define LOG_DEBUG(op, ...) libxlss__log(op, XTL_DEBUG, -1, __VA_ARGS__)

/* oplock.c: one operation per domain, by flock. */
int libxlss__oplock(struct libxlss__op *op, unsigned int wait_seconds);
void libxlss__opunlock(struct libxlss__op *op);

/* ao.c: runs fn(arg) here, or on a thread if ao_how says so. fn frees arg. */
int libxlss__ao_run(libxl_ctx *ctx, const libxl_asyncop_how *ao_how,
                    int (*fn)(void *arg), void *arg);

/* time.c */
uint64_t libxlss__now_ms(void);
void libxlss__sleep_ms(unsigned int ms);

/* xs.c: NULL if missing; the text lives as long as the operation. */
char *libxlss__xs_read(struct libxlss__op *op, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
char **libxlss__xs_list(struct libxlss__op *op, unsigned int *num,
                        const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* domain.c */
int libxlss__domain_look(struct libxlss__op *op);
int libxlss__domain_refresh(struct libxlss__op *op);
bool libxlss__is_suspended(const libxl_dominfo *info);
bool libxlss__is_hvm(const struct libxlss__op *op);
bool libxlss__has_emulated_disks(const struct libxlss__op *op);
/* libxl's record of it; takes the QMP lock. */
int libxlss__domain_config(struct libxlss__op *op);
bool libxlss__qemu_alive(struct libxlss__op *op);
/* A process that has died and was not reaped yet is not alive. */
bool libxlss__process_alive(pid_t pid);
/* Waits some seconds for its end. */
bool libxlss__qemu_dies(struct libxlss__op *op);
int libxlss__wait_qemu_exit(struct libxlss__op *op, int pidfd);
int libxlss__pidfd_open(pid_t pid);

/* suspend.c: stopping the guest and setting it going. */
/* live: memory rounds while the guest runs; then held.inactive is set. */
int libxlss__suspend(struct libxlss__op *op, int fd, bool live);
int libxlss__pause(struct libxlss__op *op);

/* release.c: idempotent; what the guard does as well. */
int libxlss__release(struct libxlss__op *op);

/*
 * agent.c: the guest's filesystems. _freeze fails with NOT_QUIESCED or
 * NOT_POSSIBLE and a reason that is not logged yet, the guest not frozen;
 * with another code, and logged, where that can't be said. _thaw is a part
 * of libxlss__release.
 */
int libxlss__agent_freeze(struct libxlss__op *op, const char **why_r);
int libxlss__agent_thaw(struct libxlss__op *op);
void libxlss__agent_end(struct libxlss__op *op);

/* refuse.c: section "What is refused" of the manual. */
int libxlss__refuse_domain(struct libxlss__op *op, bool memory);

/* live.c: can the memory be saved while the guest runs? First what Xen says,
 * then what QEMU does with the disks. */
int libxlss__live_domain(struct libxlss__op *op);
int libxlss__live_disks(struct libxlss__op *op);

/* guard.c */
int libxlss__guard_start(struct libxlss__op *op, int memory_fd);
int libxlss__guard_wait(struct libxlss__op *op);
void libxlss__guard_tell(struct libxlss__op *op);
void libxlss__guard_end(struct libxlss__op *op);

/* child.c: argv[0] is looked up in PATH. out_r: stdout, NUL-terminated. */
int libxlss__child(struct libxlss__op *op, char *const argv[],
                   char **out_r, char **err_r, int *status_r);

/* A dirty bitmap of a node, or in an image. */
struct libxlss__bitmap {
    char *name;
    uint64_t granularity;       /* bytes, a power of 2 */
    uint64_t dirty;             /* bytes, in whole granules */
    bool recording;             /* it is enabled */
    bool busy;                  /* a job or an export uses it */
    bool persistent;            /* the image keeps it */
    bool inconsistent;          /* QEMU once died with it in use */
};

/* qemu_img.c: on images that no QEMU has open for writing. */
char *libxlss__opt_value(struct libxlss__op *op, const char *value);
struct libxlss__image {
    uint64_t size;              /* virtual, bytes */
    char **snapshots;           /* names */
    int num_snapshots;
    char **bitmaps;
    struct libxlss__bitmap *bitmap;     /* the same, with their state */
    int num_bitmaps;
};
int libxlss__image_info(struct libxlss__op *op, const char *path,
                        struct libxlss__image *image);
bool libxlss__image_has(const struct libxlss__image *image, const char *name);
int libxlss__image_create(struct libxlss__op *op, const char *path,
                          const char *name);
int libxlss__image_apply(struct libxlss__op *op, const char *path,
                         const char *name);
int libxlss__image_delete(struct libxlss__op *op, const char *path,
                          const char *name);
/* An empty image; `path` is overwritten. */
int libxlss__image_make(struct libxlss__op *op, const char *path,
                        uint64_t size);
/* An empty image, on `backing` (qcow2 only) or on nothing (NULL); `path` is
 * overwritten, its mode stays. */
int libxlss__image_make_as(struct libxlss__op *op, const char *path,
                           const char *format, const char *backing,
                           const char *backing_format, uint64_t size);
/* An empty overlay; `path` is overwritten. */
int libxlss__image_make_overlay(struct libxlss__op *op, const char *path,
                                const char *backing, const char *format,
                                uint64_t size);
int libxlss__image_is_empty(struct libxlss__op *op, const char *path,
                            bool *empty_r);
/* From now on based on `backing` (NULL: nothing), reading the same. */
int libxlss__image_rebase(struct libxlss__op *op, const char *path,
                          const char *backing, const char *format);
/* The same file under another name. */
int libxlss__image_rename_backing(struct libxlss__op *op, const char *path,
                                  const char *backing, const char *format);
/* Writes the overlay's data into what it is based on. */
int libxlss__image_commit(struct libxlss__op *op, const char *path);
/* A new image with what a snapshot inside another holds. */
int libxlss__image_copy_snapshot(struct libxlss__op *op, const char *path,
                                 const char *name, const char *to);
/* A new one, of the name and granularity of `bitmap`, with what the bitmap
 * `from` has, of the image from_path (NULL: the same). disabled: it records
 * nothing. There is all of it, or none. */
int libxlss__image_add_bitmap(struct libxlss__op *op, const char *path,
                              const struct libxlss__bitmap *bitmap,
                              bool disabled, const char *from,
                              const char *from_path);
/* What the bitmap `from` of another image has is dirty in it as well. */
int libxlss__image_merge_bitmap(struct libxlss__op *op, const char *path,
                                const char *bitmap, const char *from,
                                const char *from_path);
int libxlss__image_disable_bitmap(struct libxlss__op *op, const char *path,
                                  const char *bitmap);
int libxlss__image_enable_bitmap(struct libxlss__op *op, const char *path,
                                 const char *bitmap);
int libxlss__image_drop_bitmap(struct libxlss__op *op, const char *path,
                               const char *name);

/* image_user.c: 0 if no other domain has the image (a file or a block device)
 * as a disk, and no process or loop device has it open; says who has. */
int libxlss__image_idle(struct libxlss__op *op, const char *path);
/* The domid of another domain that has it as a disk; NULL: none has. */
const char *libxlss__disk_of_other(struct libxlss__op *op, const char *path);
/* Has it the file open? */
bool libxlss__process_has(pid_t pid, const struct stat *st);
/* A process other than this one that has; 0: none. */
pid_t libxlss__open_in(const struct stat *st);

/* loop.c: how many loop devices are on a file, and one of their names;
 * sync: writes out what is in their page caches, -1 where that fails. */
struct stat;
int libxlss__loops(const struct stat *file, bool sync, char name[32]);

/* stream.c: reads libxl's stream to its end; fd's position stays, unless it
 * is a pipe. */
int libxlss__stream_verify(struct libxlss__op *op, int fd);

/* destroy.c: what revert needs beside the disks. */
int libxlss__destroy(struct libxlss__op *op);
int libxlss__build(struct libxlss__op *op, libxl_domain_config *config,
                   int restore_fd, uint32_t *domid_out);

#endif
