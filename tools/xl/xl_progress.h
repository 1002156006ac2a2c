/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The line that is redrawn while an operation runs, and the logger that
 * knows to clear it before it writes.
 */
#ifndef XL_PROGRESS_H
#define XL_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libxl_snapshot.h>
#include <xentoollog.h>

#include "xl_options.h"

/*
 * The line for a step, at most width - 1 cells, so that no terminal wraps.
 * total 0: unknown. Returns buf.
 */
char *xl_progress_line(char *buf, size_t size, int width,
                       libxl_snapshot_step step,
                       uint64_t done, uint64_t total);

/* The same while the memory is saved, from what libxc says it is doing: a live
 * save has several rounds, of fewer bytes each. */
char *xl_progress_round_line(char *buf, size_t size, int width,
                             const char *what, uint64_t done, uint64_t total);

/* wanted false: nothing is ever drawn. expected: bytes that SUSPEND writes,
 * for want of a better total; 0: unknown. */
void xl_progress_begin(bool wanted, uint64_t expected);
void xl_progress_step(libxl_snapshot_step step, uint64_t done,
                      uint64_t total);
/* What a logger's `progress` hears of libxc: frames of the memory. */
void xl_progress_frames(const char *what, unsigned long done,
                        unsigned long total);
/* Takes the line away; the next step draws it again. */
void xl_progress_clear(void);
void xl_progress_end(void);

/*
 * To stderr, one line a message: warnings and errors, and more with -v.
 * Our own libraries' messages are sentences and are printed as such.
 */
/* The least level that is told of after as many -v, as with xl: -vvv is all. */
int xl_log_least(int verbose);
xentoollog_logger *xl_log_create(const struct xl_globals *globals);
/* Errors printed so far: the caller adds its own sentence if none was. */
int xl_log_errors(void);
/* While quiet, only what -v asks for is printed. */
void xl_log_quiet(bool quiet);

/* "xl-snapshot: ..." on stderr, safe for a terminal. */
void xl_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* XL_PROGRESS_H */
