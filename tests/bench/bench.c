/* SPDX-License-Identifier: LGPL-2.1-only */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "bench.h"

#define ROOM (6ull << 30)       /* for the largest bed and its copies */

libxl_ctx *ctx;
libxl_snapshot_how how;
int rounds = 7;
bool failed;

static int silent(libxl_ctx *unused, libxl_snapshot_step step, uint64_t done,
                  uint64_t total, void *user)
{
    (void)unused;
    (void)step;
    (void)done;
    (void)total;
    (void)user;
    return 0;
}

void bench_begin(void)
{
    how.lg = (xentoollog_logger *)xtl_createlogger_stdiostream(stderr,
                 getenv("V") ? XTL_DEBUG : XTL_ERROR, 0);
    how.step = silent;
    libxlss__guard_path = NULL;
    must(!libxl_ctx_alloc(&ctx, LIBXL_VERSION, 0, how.lg), "a ctx");
    if (getenv("BENCH_ROUNDS"))
        rounds = atoi(getenv("BENCH_ROUNDS"));
    if (rounds < 1 || rounds > MAX_ROUNDS)
        rounds = 1;
    setlinebuf(stdout);
}

double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

double median(double *v, int num)
{
    qsort(v, num, sizeof(*v), by_value);
    return num ? v[(num - 1) / 2] : 0;
}

static void say(bool ok, double value, const char *word, double limit,
                const char *fmt, va_list ap)
{
    printf("%s ", ok ? "ok" : "FAILED");
    vprintf(fmt, ap);
    printf(": %.3f (%s %.2f)\n", value, word, limit);
    failed = failed || !ok;
}

void at_most(double value, double limit, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(value > 0 && value <= limit, value, "at most", limit, fmt, ap);
    va_end(ap);
}

void at_least(double value, double limit, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(value >= limit, value, "at least", limit, fmt, ap);
    va_end(ap);
}

void note(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    printf("# ");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
}

void must(bool ok, const char *what)
{
    if (ok)
        return;
    printf("FAILED %s\n", what);
    if (bed.dir[0])
        bed_remove();
    exit(1);
}

void sh(const char *fmt, ...)
{
    char command[4096];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(command, sizeof(command), fmt, ap);
    va_end(ap);
    must(!system(command), command);
}

void bench_bed(int disks, const char *size)
{
    const char *folder = getenv("BENCH_DIR");
    struct statvfs s;

    if (!folder && !statvfs("/dev/shm", &s) &&
        (uint64_t)s.f_bavail * s.f_bsize > ROOM)
        folder = "/dev/shm";
    fake_reset();
    bed_next_base(folder);
    bed_next_size(size);
    bed_make(disks, false);
}

void bed_swap(struct bed *kept)
{
    struct bed other = bed;

    bed = *kept;
    *kept = other;
}
