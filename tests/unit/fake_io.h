/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Stands in front of the system calls that change files, for this program
 * and the objects that are linked into it: makes the n-th one fail, or ends
 * the process there.
 */
#ifndef FAKE_IO_H
#define FAKE_IO_H

#include <stdbool.h>

#define FAKE_IO_CRASH_CODE 99   /* exit code of a process that ended so */

/* From now on, the n-th change (1 is the first) fails with errnoval. */
void fake_io_fail(int n, int errnoval);
/* From now on, the process ends before the n-th change. */
void fake_io_crash(int n);
/* No more of that; returns how many changes there were since. */
int fake_io_stop(void);

#endif
