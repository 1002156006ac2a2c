/* SPDX-License-Identifier: LGPL-2.1-only */
/* What an operation and its guard say to each other. */
#ifndef LIBXLSS_GUARD_H
#define LIBXLSS_GUARD_H

#include "libxlss_internal.h"

/* The guard's open files beside 0 to 2. */
#define GUARD_FD_TELL  3
#define GUARD_FD_READY 4
#define GUARD_FD_LOCK  5

/* Lines of one length: written at once, so never seen in half. */
#define GUARD_LINE 20
#define GUARD_BYE "end                \n"

void libxlss__held_to_line(const struct libxlss__held *held,
                           char line[GUARD_LINE + 1]);
bool libxlss__held_from_line(struct libxlss__held *held,
                             const char line[GUARD_LINE + 1]);

#endif
