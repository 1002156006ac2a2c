/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The backup that a domain's QEMU writes (libxl_domain_backup_start), as the
 * catalogue remembers it while it runs:
 *
 *   UUID/backup.json  libxl_domain_backup_args, as _start left them
 *   UUID/backup.xml   libvirt's <domainbackup>
 *
 * One at a time for each domain. The files go when it has come to its end;
 * its checkpoint then has an entry in the catalogue of checkpoints.
 *
 * Errors, threads and the logger: as in xlu_snapshot.h. The catalogue must be
 * open for WRITE, except for _status.
 */
#ifndef XLU_BACKUP_H
#define XLU_BACKUP_H

#include <stdbool.h>

#include <xlu_snapshot.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* What a dead QEMU left of an earlier one is taken away first. BUSY: one
 * runs, or waits to be finished. */
int xlu_backup_start(xlu_snapshot_catalogue *cat,
                     libxl_domain_backup_args *args,
                     const libxl_snapshot_how *how);
/* out: initialised. ERROR_NOTFOUND, with a sentence: none. */
int xlu_backup_status(xlu_snapshot_catalogue *cat,
                      libxl_domain_backup_args *out);
/* As libxl_domain_backup_finish and _cancel; out: initialised. */
int xlu_backup_finish(xlu_snapshot_catalogue *cat,
                      const libxl_snapshot_how *how,
                      libxl_domain_backup_args *out);
int xlu_backup_cancel(xlu_snapshot_catalogue *cat,
                      const libxl_snapshot_how *how,
                      libxl_domain_backup_args *out);

/*
 * A pull backup: a point in time of the disks that others read by NBD, while
 * the guest goes on (libxl_domain_block_snapshot_create and
 * libxl_domain_block_export_start).
 *
 *   UUID/pull.json    xlu_backup_pull; written before anything is made
 *   UUID/backup.xml   libvirt's <domainbackup>
 *
 * What was interrupted is undone or finished by the next command of whatever
 * kind (xlu_snapshot_recover), which says so. Of both kinds of backup there
 * is one at a time.
 */

/* There is one, or what is left of one. */
bool xlu_backup_is_pull(xlu_snapshot_catalogue *cat);

/* p: initialised; of p->snapshot and p->exported what their calls want, but
 * for ids and the export's `snapshot`. On failure nothing is left. */
int xlu_backup_pull_start(xlu_snapshot_catalogue *cat, xlu_backup_pull *p,
                          const libxl_snapshot_how *how);
/* out: initialised; out->state tells. Touches nothing. ERROR_NOTFOUND, with a
 * sentence: none. BUSY: an operation on the domain is under way. */
int xlu_backup_pull_status(xlu_snapshot_catalogue *cat,
                           xlu_backup_pull *out);
/* One that has NO_SERVER gets another, at the same address. */
int xlu_backup_pull_restart(xlu_snapshot_catalogue *cat,
                            const libxl_snapshot_how *how,
                            xlu_backup_pull *out);
/*
 * Ends it. Its checkpoint stays, unless failed is set: then that never was.
 * It never was either where the backup is broken (DAMAGED) or its device
 * model has gone (QEMU_DIED; with failed: 0), since nobody can tell whether
 * it was read to its end; out->state says which. out: initialised.
 */
int xlu_backup_pull_stop(xlu_snapshot_catalogue *cat, bool failed,
                         const libxl_snapshot_how *how,
                         xlu_backup_pull *out);

typedef enum {
    XLU_BACKUP_XML_BACKUP,          /* libvirt's <domainbackup> */
    XLU_BACKUP_XML_SNAPSHOT,        /* <domainblocksnapshot> */
    XLU_BACKUP_XML_EXPORT,          /* <domainblockexport> */
} xlu_backup_xml_kind;

/* Of the backup that runs; the last two are of a pull backup only
 * (else ERROR_NOTFOUND). Malloc'ed. */
int xlu_backup_xml(xlu_snapshot_catalogue *cat, xlu_backup_xml_kind kind,
                   char **xml_out);

/*
 * A backup that a client of ours reads by NBD and stores itself (xl
 * backup-save):
 *
 *   UUID/backup-save.json  xlu_backup_save
 *   UUID/backup-save.lock  held by the client as long as it lives
 *
 * _begin takes away what a dead client has left, and makes the view and its
 * export. save: folder, name, and of snapshot and export what the lower
 * library wants; it comes back filled. *lock_out has to be closed after _end.
 * BUSY: there is one already.
 *
 * _end takes export and view down. Its checkpoint stays if `good`; then it
 * gets an entry in the catalogue. Else it never was.
 */
int xlu_backup_save_begin(xlu_snapshot_catalogue *cat, xlu_backup_save *save,
                          int *lock_out, const libxl_snapshot_how *how);
int xlu_backup_save_end(xlu_snapshot_catalogue *cat,
                        const xlu_backup_save *save, bool good,
                        const libxl_snapshot_how *how);

/* The domain's libxl_domain_config as JSON, as a snapshot keeps it; malloc'ed.
 */
int xlu_backup_domain_config(xlu_snapshot_catalogue *cat, char **json_out);

/* One whose client is at work. out: initialised; the caller disposes of it.
 * ERROR_NOTFOUND, without a word: none. */
int xlu_backup_save_status(xlu_snapshot_catalogue *cat, xlu_backup_save *out);

/*
 * For others than the client. One that is dead is cleaned up after: 0. One
 * that lives is told to stop (SIGTERM) and will clean up itself, once the
 * catalogue is closed: BUSY, without a word, and *pidfd_out, the caller's,
 * tells its end. ERROR_NOTFOUND, without a word: none.
 */
int xlu_backup_save_stop(xlu_snapshot_catalogue *cat,
                         const libxl_snapshot_how *how, int *pidfd_out);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* XLU_BACKUP_H */
