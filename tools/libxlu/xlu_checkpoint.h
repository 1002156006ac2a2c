/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The catalogue of checkpoints (libxl_domain_checkpoint_create), beside that
 * of snapshots, with the same domain and lock:
 *
 *   UUID/checkpoints/NAME.json  xlu_checkpoint
 *   UUID/checkpoints/NAME.xml   libvirt's <domaincheckpoint>
 *
 * The catalogue remembers names, texts and times, and which checkpoints there
 * were, so that one whose bitmap has vanished is known to be broken. What is
 * dirty is in the images alone.
 *
 * An entry is written before its checkpoint is made or deleted, and says so;
 * the next command that writes finds out how that ended.
 *
 * Errors, threads and the logger: as in xlu_snapshot.h. A catalogue must be
 * open for WRITE, except for _list, _get, _xml and _dirty.
 */
#ifndef XLU_CHECKPOINT_H
#define XLU_CHECKPOINT_H

#include <xlu_snapshot.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* [a-zA-Z0-9_-][a-zA-Z0-9_.-]*, at most 200 bytes; NULL if good. */
const char *xlu_checkpoint_name_problem(const char *name);

/* Oldest first. out: initialised; the caller disposes of it. Where the domain
 * is off or busy, each state is UNKNOWN. */
int xlu_checkpoint_list_all(xlu_snapshot_catalogue *cat,
                            xlu_checkpoint_list *out);
/* ERROR_NOTFOUND, with a sentence. out: initialised. */
int xlu_checkpoint_get(xlu_snapshot_catalogue *cat, const char *name,
                       xlu_checkpoint *out);
/* The document as libvirt has it; malloc'ed. */
int xlu_checkpoint_xml(xlu_snapshot_catalogue *cat, const char *name,
                       char **xml_out);

typedef struct {
    const char *name;           /* NULL: the time, 20261120T153045Z */
    const char *description;    /* may be NULL */
    const char *const *vdevs;   /* ends with NULL; NULL: every writable disk */
    bool quiesce, allow_unquiesced;     /* libxl_domain_checkpoint_args */
} xlu_checkpoint_create_args;

/* out: initialised; may be NULL. */
int xlu_checkpoint_create(xlu_snapshot_catalogue *cat,
                          const xlu_checkpoint_create_args *args,
                          const libxl_snapshot_how *how,
                          xlu_checkpoint *out);
int xlu_checkpoint_delete(xlu_snapshot_catalogue *cat, const char *name,
                          const libxl_snapshot_how *how);

/*
 * As libxl_domain_checkpoint_dirty, and BITMAP_BROKEN as well where the
 * catalogue knows a checkpoint of the range that is not on its disks.
 */
int xlu_checkpoint_dirty(xlu_snapshot_catalogue *cat, const char *since,
                         const char *until, const char *const *vdevs,
                         const libxl_snapshot_how *how,
                         libxl_domain_dirty *out);

/*
 * libvirt's <domaincheckpoint> into the catalogue, new or instead of one of
 * that name; `from` names it in sentences. ERROR_INVAL: it isn't valid by
 * libvirt's schema, as far as this looks. The bitmaps are found by the name.
 */
int xlu_checkpoint_redefine(xlu_snapshot_catalogue *cat, const char *from,
                            const char *xml, size_t len,
                            xlu_checkpoint *out);

/* Entries for what the disks have and the catalogue doesn't know. The domain
 * must run. *num_out: how many were made. */
int xlu_checkpoint_rebuild(xlu_snapshot_catalogue *cat, int *num_out);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* XLU_CHECKPOINT_H */
