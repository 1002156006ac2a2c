/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Figures of data paths on a real QEMU without Xen (tests/qemu/bed.h). Each
 * is a ratio of two things that are done in turn, round by round, in one
 * run; the median of the rounds counts.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "bed.h"
#include "fake_libxl.h"

#define MAX_ROUNDS 64

extern libxl_ctx *ctx;
extern libxl_snapshot_how how;
extern int rounds;
extern bool failed;             /* some figure, or something on the way */

void bench_begin(void);
double now_ms(void);
double median(double *v, int num);

/* A line for each figure. What is 0 or less was not measured: FAILED. */
__attribute__((format(printf, 3, 4)))
void at_most(double value, double limit, const char *fmt, ...);
__attribute__((format(printf, 3, 4)))
void at_least(double value, double limit, const char *fmt, ...);
__attribute__((format(printf, 1, 2)))
void note(const char *fmt, ...);

/* Ends the program where something that must work doesn't. */
void must(bool ok, const char *what);
__attribute__((format(printf, 1, 2)))
void sh(const char *fmt, ...);

/* A bed in memory, where there is room for it: no disk is measured. */
void bench_bed(int disks, const char *size);
/* Several beds in turn: `bed` is the one that is kept there from then on. */
void bed_swap(struct bed *kept);

/* bench_backup.c */
void bench_window(void);
void bench_push(void);
void bench_pull(void);
void bench_incremental(void);
/* bench_checkpoint.c */
void bench_writes(void);
void bench_dirty(void);

#endif
