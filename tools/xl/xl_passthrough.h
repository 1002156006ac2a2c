/* SPDX-License-Identifier: LGPL-2.1-only */
/* The system's own xl: where it is, and how it takes over. */
#ifndef XL_PASSTHROUGH_H
#define XL_PASSTHROUGH_H

/* Our own binary, links resolved; malloc'ed, NULL if /proc isn't there. */
char *xl_own_path(void);

/* malloc'ed; NULL if there is none. path: as the environment's PATH. */
char *xl_system_path(const char *path);

/*
 * Becomes the system's xl, with the same arguments and environment. Returns
 * only on failure, with the exit code.
 */
int xl_passthrough(char **argv);

#endif /* XL_PASSTHROUGH_H */
