/* SPDX-License-Identifier: LGPL-2.1-only */
/* `xl create` of a domain that has snapshots: it gets its UUID again. */
#ifndef XL_CREATE_UUID_H
#define XL_CREATE_UUID_H

/*
 * The name of the domain that `xl create` would make with these arguments
 * (argv begins behind "create"), malloc'ed. NULL if they name a UUID, or no
 * name, or can't be read.
 */
char *xl_create_name(char *const *argv);

#endif /* XL_CREATE_UUID_H */
