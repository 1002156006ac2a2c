/* SPDX-License-Identifier: LGPL-2.1-only */
/* Commands for what only tools know, and paths for them. */
#ifndef SHELL_H
#define SHELL_H

#include <stdarg.h>

/* By the shell; its exit status. */
__attribute__((format(printf, 1, 2)))
int run(const char *fmt, ...);
/* A path in the bed's folder; valid until some calls later. */
__attribute__((format(printf, 1, 2)))
const char *in_bed(const char *fmt, ...);

#endif
