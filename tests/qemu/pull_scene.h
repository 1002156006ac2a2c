/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What tests of views and backups need: a guest that writes all the time
 * except when it is paused, and a raw copy of each disk as it was in the
 * quiet window, made by qemu-img while nothing could change.
 */
#ifndef PULL_SCENE_H
#define PULL_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bed.h"
#include "fake_libxl.h"
#include "group.h"
#include "shell.h"

extern libxl_ctx *ctx;
extern libxl_snapshot_how how;

bool scene_begin(void);

/* Disks with a pattern of their own in the first 8 MiB. */
void make(int disks);
void unmake(void);
/* After a test, see group.h. */
int scene_abandon(void **state);

/* After external snapshots: bed.path becomes what the guest writes to, which
 * with QEMU 7.2 has another name. */
void follow(void);
/* Of every disk, without memory. */
void external_snapshot(const char *name);

/* Starts and ends the guest's writing, at any MiB, from a seed. */
void writer_start(unsigned int seed);
void writer_stop(void);
extern int writer_writes;       /* so far */

/* From now on each window leaves BED/truthN.raw for disk N. */
void truth_wanted(bool wanted);
/* Is the image what disk N was then? */
bool is_truth(int disk, const char *format, const char *image);
extern int truths;              /* windows so far */

/* That the disks have. */
int num_checkpoints(void);

#endif
