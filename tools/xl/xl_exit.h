/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Exit codes. They are part of the interface: scripts and Xen's test system
 * read them, so a number never changes its meaning (xl-snapshot(1)).
 */
#ifndef XL_EXIT_H
#define XL_EXIT_H

enum {
    XL_EXIT_DONE = 0,
    XL_EXIT_FAILED = 1,         /* nothing has changed */
    XL_EXIT_USAGE = 2,
    XL_EXIT_NOT_FOUND = 3,      /* no such domain, snapshot or disk */
    XL_EXIT_EXISTS = 4,         /* the name is taken */
    XL_EXIT_BUSY = 5,
    XL_EXIT_NOT_POSSIBLE = 6,   /* for this domain or disk */
    XL_EXIT_DAMAGED = 7,
    XL_EXIT_LESS = 8,           /* done, but less than was asked */
    XL_EXIT_REPAIR = 9,         /* failed, and not undone */
};

struct xl_exit_code {
    int rc;                     /* of libxl or libxlsnapshot */
    const char *name;           /* of the rc, as in the headers */
    int status;
};

/* Ends with name NULL. Codes that aren't in it are XL_EXIT_FAILED. */
extern const struct xl_exit_code xl_exit_codes[];

int xl_exit_status(int rc);

#endif /* XL_EXIT_H */
