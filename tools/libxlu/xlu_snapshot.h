/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxlusnapshot: the catalogue of snapshots. Names, the tree, libvirt's
 * XML, a journal, and the order in which files and libxlsnapshot's
 * operations are done so that nothing is lost at any instant.
 *
 * Below the root (/var/lib/xen/snapshots):
 *   UUID/domain.json            name of the domain when last seen
 *   UUID/lock                   flock: one writer at a time
 *   UUID/journal                the operation under way, if any
 *   UUID/current                name of the current snapshot
 *   UUID/safety.config, UUID/.safety.mem
 *                               during a revert: the way back
 *   UUID/snapshots/NAME.xml     libvirt's <domainsnapshot>
 *   UUID/snapshots/NAME.json    xlu_snapshot
 *   UUID/snapshots/NAME.config  libxl_domain_config as JSON
 *   UUID/snapshots/NAME.mem     memory image, as `xl save` writes it
 *   UUID/snapshots/NAME.mem.zst the same, compressed
 *
 * NAME.json is the truth: a snapshot exists while it is there, and the XML
 * is written again from it if somebody has damaged it.
 *
 * Errors: as in libxl_snapshot.h. A sentence goes to the logger.
 * Threads: a catalogue belongs to one thread at a time.
 */
#ifndef XLU_SNAPSHOT_H
#define XLU_SNAPSHOT_H

#include <libxl_snapshot.h>
#include <xentoollog.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "_xlu_snapshot_types.h"

#pragma GCC visibility push(default)

#define XLU_SNAPSHOT_ROOT "/var/lib/xen/snapshots"
#define XLU_SNAPSHOT_NAME_MAX 200   /* bytes */

typedef struct xlu_snapshot_catalogue xlu_snapshot_catalogue;

/* A domain, found by name, domid or UUID; running, or only catalogued. */
typedef struct {
    uint32_t domid;             /* INVALID_DOMID: not running */
    char *name;
    char uuid[37];
} xlu_snapshot_domain;

void xlu_snapshot_domain_dispose(xlu_snapshot_domain *d);

/*
 * root NULL: XLU_SNAPSHOT_ROOT. ERROR_DOMAIN_NOTFOUND, with a sentence, if
 * neither libxl nor the catalogue knows it. A running domain comes first.
 */
int xlu_snapshot_find_domain(libxl_ctx *ctx, xentoollog_logger *lg,
                             const char *root, const char *which,
                             xlu_snapshot_domain *out);

/* How a catalogue is opened. */
enum {
    XLU_SNAPSHOT_READ = 0,      /* takes no lock; may see an older state */
    XLU_SNAPSHOT_WRITE = 1,     /* BUSY if somebody else writes */
    XLU_SNAPSHOT_WAIT = 2,      /* with WRITE: wait for them */
};

/*
 * A catalogue that doesn't exist is empty; WRITE makes its folders (0700).
 * A document that can't be read is logged by its path and left out; its name
 * stays taken, and _get says DAMAGED. Damaged XML is logged, no more.
 */
int xlu_snapshot_open(libxl_ctx *ctx, xentoollog_logger *lg,
                      const char *root, const xlu_snapshot_domain *dom,
                      int flags, xlu_snapshot_catalogue **out);
void xlu_snapshot_close(xlu_snapshot_catalogue *cat);

/* Parents before children, siblings by time then name; without hidden ones.
 * The entries belong to the catalogue and live until it is changed. */
int xlu_snapshot_list(xlu_snapshot_catalogue *cat,
                      const xlu_snapshot ***list_out, int *num_out);
/* Depth in the tree; a root has 0. */
int xlu_snapshot_depth(xlu_snapshot_catalogue *cat, const xlu_snapshot *s);
/* SNAPSHOT_NOT_FOUND, with a sentence that names domain and snapshot. */
int xlu_snapshot_get(xlu_snapshot_catalogue *cat, const char *name,
                     const xlu_snapshot **out);
const xlu_snapshot *xlu_snapshot_current(xlu_snapshot_catalogue *cat);
/* The document as stored; malloc'ed. */
int xlu_snapshot_xml(xlu_snapshot_catalogue *cat, const char *name,
                     char **xml_out);
/* True where an operation was interrupted: call xlu_snapshot_recover. */
bool xlu_snapshot_interrupted(xlu_snapshot_catalogue *cat);

/*
 * A name is 1 to 200 bytes of UTF-8 without '/', control characters and a
 * leading '.' or '-'. NULL if good, else what is wrong with it.
 */
const char *xlu_snapshot_name_problem(const char *name);

/* Names, texts and numbers of a new snapshot. All may be NULL or empty. */
typedef struct {
    const char *name;           /* default: the time, 20261120T153045Z */
    const char *description;
    const char *memory_folder;  /* default: in the catalogue */
    bool disk_only;
    bool compress;              /* the memory image, with zstd */
    /* live, quiesce, leave_paused, disks, checkpoint */
    libxl_domain_snapshot_args args;
} xlu_snapshot_create_args;

/*
 * The catalogue must be open for WRITE, for all calls from here on; each
 * recovers an interrupted operation first, and says so in the log.
 * how->step is called through, how->on_death passed on; how->lg NULL is the
 * catalogue's logger.
 *
 * create: ERROR_INVAL for a bad name, EXISTS for one that is taken,
 * NO_SPACE, and libxl_domain_snapshot_create's. *out belongs to cat. A
 * checkpoint in args->args has an entry of its own (xlu_checkpoint.h): at any
 * instant both are there, or will be undone, or finished, by the next call.
 */
int xlu_snapshot_create(xlu_snapshot_catalogue *cat,
                        const xlu_snapshot_create_args *args,
                        const libxl_snapshot_how *how,
                        const xlu_snapshot **out);

typedef struct {
    bool force;                 /* drop dirty bitmaps of others */
    bool no_safety;             /* no way back if the restore fails */
    libxl_defbool paused;       /* default: as the snapshot was */
} xlu_snapshot_revert_args;

int xlu_snapshot_revert(xlu_snapshot_catalogue *cat, const char *name,
                        const xlu_snapshot_revert_args *args,
                        const libxl_snapshot_how *how, uint32_t *domid_out);

typedef struct {
    bool children;              /* and all below it */
    bool children_only;         /* only those below it */
} xlu_snapshot_delete_args;

/* Children of a deleted snapshot become children of its parent. */
int xlu_snapshot_delete(xlu_snapshot_catalogue *cat, const char *name,
                        const xlu_snapshot_delete_args *args,
                        const libxl_snapshot_how *how);

typedef struct {
    const char *name;           /* NULL: whatever no snapshot needs */
    const char *const *vdevs;   /* without name: NULL-terminated; NULL: all */
    libxl_merge_direction direction;
} xlu_snapshot_merge_args;

/*
 * Makes the chains of files that external snapshots have left shorter
 * (libxl_domain_disk_merge): with a name, that snapshot is deleted, and its
 * data goes the way that is asked for. *out (initialised; may be NULL; not
 * with a name): what was done to which disk; the caller's to dispose of.
 *
 * NOT_POSSIBLE: the snapshot has no external disks; the domain is off, and no
 * snapshot tells where its disks are. DAMAGED: a document is lost or damaged,
 * so it isn't known which files are needed.
 */
int xlu_snapshot_merge(xlu_snapshot_catalogue *cat,
                       const xlu_snapshot_merge_args *args,
                       const libxl_snapshot_how *how,
                       libxl_domain_disk_merge_args *out);

typedef struct {
    bool current;               /* it becomes the current one */
} xlu_snapshot_redefine_args;

/*
 * libvirt's <domainsnapshot> into the catalogue: a snapshot that is not in it
 * yet, with its data where the document says, or new texts and another
 * parent for one that is. `from` names the document in sentences. ERROR_INVAL:
 * it isn't valid by libvirt's schema, or its name can't be one;
 * NOT_POSSIBLE: it is of another domain, or changes what can't change;
 * SNAPSHOT_NOT_FOUND: its parent isn't there.
 * *incomplete: it is in the catalogue, but not all that it names is there,
 * or is of a kind that can't be reverted to; the log says what.
 */
int xlu_snapshot_redefine(xlu_snapshot_catalogue *cat, const char *from,
                          const char *xml, size_t len,
                          const xlu_snapshot_redefine_args *args,
                          const libxl_snapshot_how *how,
                          const xlu_snapshot **out, bool *incomplete);

/*
 * Read-only NBD of the snapshot's disks (libxl_domain_snapshot_export_start,
 * which says what vdevs and socket are, and fails as it does). The catalogue
 * must be open for WRITE. *out is the caller's to dispose of.
 */
int xlu_snapshot_export(xlu_snapshot_catalogue *cat, const char *name,
                        const char *const *vdevs, const char *socket,
                        const libxl_snapshot_how *how,
                        libxl_snapshot_export_list *out);
/* name NULL: of all snapshots of the domain. READ is enough for these. */
int xlu_snapshot_export_list(xlu_snapshot_catalogue *cat, const char *name,
                             libxl_snapshot_export_list *out);
/* vdevs NULL: all. *num_out: how many have ended. */
int xlu_snapshot_export_stop(xlu_snapshot_catalogue *cat, const char *name,
                             const char *const *vdevs, int *num_out);
/* The snapshot's name, in e's own label. */
const char *xlu_snapshot_export_name(const libxl_snapshot_export *e);

/*
 * Compares catalogue, images, QEMU and what may have been left behind.
 * Changes nothing; READ is enough, and meanwhile nobody can write. deep: also
 * the checksums of all memory images, which are read whole. *out:
 * initialised; the caller's to dispose of. While an operation is interrupted
 * nothing else can be told.
 *
 * BUSY: an operation is under way.
 */
int xlu_snapshot_check(xlu_snapshot_catalogue *cat, bool deep,
                       xlu_snapshot_findings *out);

/*
 * Finishes or undoes what was interrupted, checks, and repairs what can be
 * (xlu_snapshot_finding.repair says how). *left: what a check finds after
 * that. The code is that of the first repair that failed.
 */
int xlu_snapshot_repair(xlu_snapshot_catalogue *cat, bool deep,
                        const libxl_snapshot_how *how,
                        xlu_snapshot_findings *left);

/*
 * All domains that have a catalogue, running ones with their domid. *out:
 * malloc'ed; each is disposed of, then it is freed.
 */
int xlu_snapshot_domains(libxl_ctx *ctx, xentoollog_logger *lg,
                         const char *root, xlu_snapshot_domain **out,
                         int *num_out);

/*
 * Finishes or undoes what the journal holds; 0 and *what_out NULL if there
 * was nothing. *what_out: one sentence that says what was done, malloc'ed.
 */
int xlu_snapshot_recover(xlu_snapshot_catalogue *cat,
                         const libxl_snapshot_how *how, char **what_out);

/* Has any domain a catalogue? False too where it can't be read. */
bool xlu_snapshot_any(const char *root);

/*
 * The UUID under which the one domain of that name has snapshots that is off
 * now. False, and a sentence, if there are several; false if there is none.
 */
bool xlu_snapshot_uuid_of_name(libxl_ctx *ctx, xentoollog_logger *lg,
                               const char *root, const char *name,
                               char uuid_out[37]);

/*
 * Disks of domains that are off, whose external snapshots were taken on
 * QEMU 7.2: their files get the names that configurations have. To be called
 * before a domain is created by other means. _names_wrong: is there any?
 */
bool xlu_snapshot_names_wrong(const char *root);
int xlu_snapshot_names_put_right(libxl_ctx *ctx, xentoollog_logger *lg,
                                 const char *root);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* XLU_SNAPSHOT_H */
