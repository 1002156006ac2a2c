/* SPDX-License-Identifier: LGPL-2.1-only */
/* `xl block-detach` and `xl block-attach` on a domain with snapshots. */
#ifndef XL_DETACH_H
#define XL_DETACH_H

/*
 * Has QEMU close the images of disks that a domain has no more
 * (libxl_domain_disk_detached). command: "block-detach" or "block-attach",
 * and what follows it. What goes wrong is told on standard error.
 */
void xl_detached(char *const *command);

/* Runs the program, which gets the signals of the terminal; to end as it did
 * is the caller's. Returns a wait status, -1: it couldn't be run. */
int xl_run(const char *path, char **argv);

#endif /* XL_DETACH_H */
