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

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* XLU_BACKUP_H */
