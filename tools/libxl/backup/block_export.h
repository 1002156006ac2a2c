/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * NBD exports of a view. QEMU's own NBD server is private: QEMU 7.2 dies when
 * a client of it leaves whose disk is in an IOThread, as all xen-block disks
 * are. So its only client is a proxy (qemu-storage-daemon), which serves all
 * others, brings TLS, and gives the view's bitmap from a file beside it; and
 * QEMU itself holds the proxy's end of each connection (getfd), so that not
 * even the proxy's sudden death closes it. The connection ends when QEMU
 * closes its own side: block-export-del comes first of all.
 *
 *     readers --- proxy === held connection === QEMU's private server - view
 *
 * The proxy has a connection for every disk of the view, also for those that it
 * doesn't export (yet): none can be given to it once it runs.
 *
 * An export's name in QEMU, and that of the held descriptor, is
 * xlbs-ID-VDEV, with the ID of the export, not of the view. What QEMU can't
 * say, the public address, is in a record below the run folder, named by the
 * domain's UUID and the ID.
 */
#ifndef LIBXLSS_BLOCK_EXPORT_H
#define LIBXLSS_BLOCK_EXPORT_H

#include "../export.h"
#include "view_api.h"

/* block_export.c */
/* The view; of its disks those that are named, or all, get names. */
int libxlss__export_look(struct libxlss__op *op, libxl_block_export *e,
                         const struct libxlss__view **v_r);
void libxlss__export_uris(struct libxlss__op *op, libxl_block_export *e);

/* export_record.c */
char *libxlss__export_path(struct libxlss__op *op, const char *id,
                           const char *suffix);
char *libxlss__export_sidecar(struct libxlss__op *op, const char *id,
                              const char *vdev);
int libxlss__export_write(struct libxlss__op *op, const char *uuid,
                          const libxl_block_export *e);
bool libxlss__export_exists(struct libxlss__op *op, const char *uuid,
                            const char *id);
/* All of the domain (uuid empty: of every domain); malloc'ed, with pid and
 * running as they are. */
int libxlss__export_read_all(struct libxlss__op *op, const char *uuid,
                             libxl_block_export_list *out);
/* Every file of it; the server is gone. dead: so is QEMU. */
void libxlss__export_forget(struct libxlss__op *op,
                            const libxl_block_export *e, bool dead);

/* export_proxy.c. all: first the disks of e, then those that are only held;
 * fds: one for each, connected to QEMU. */
int libxlss__proxy_start(struct libxlss__op *op, libxl_block_export *e,
                         const libxl_block_export *all, const int *fds);
/* Its process; 0: there is none. */
pid_t libxlss__proxy_pid(struct libxlss__op *op, const char *id);
int libxlss__proxy_stop(struct libxlss__op *op, const char *id);
/* The disks of e are exported from now on, or no more; of _remove some may
 * not have been. */
int libxlss__proxy_add(struct libxlss__op *op, const libxl_block_export *e);
int libxlss__proxy_remove(struct libxlss__op *op,
                          const libxl_block_export *e);

/* export_private.c: QEMU's side. */
/* The socket of a domain's private server. */
char *libxlss__private_path(struct libxlss__op *op, const char *uuid);
/* The disks of e; fds: as many, -1 at first, and the caller's to close. */
int libxlss__private_start(struct libxlss__op *op,
                           const libxl_block_export *e, int *fds);
int libxlss__private_stop(struct libxlss__op *op,
                          const libxl_block_export *e);
/* The view's bitmap of changes, for a reader outside of QEMU. */
int libxlss__private_sidecars(struct libxlss__op *op,
                              const libxl_block_export *e,
                              const uint64_t *sizes);

#endif
