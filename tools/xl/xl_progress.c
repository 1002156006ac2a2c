/* SPDX-License-Identifier: LGPL-2.1-only */
/* The progress line. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "xl_progress.h"

#define REDRAW_MS 100
#define BAR_CELLS 24

static struct {
    bool wanted;
    int drawn;                  /* cells on the screen */
    uint64_t expected;
    uint64_t last_ms;
    int last_step;              /* -1: none yet */
} line;

static const char *word(libxl_snapshot_step step)
{
    switch (step) {
    case LIBXL_SNAPSHOT_STEP_LOOK:    return "looking";
    case LIBXL_SNAPSHOT_STEP_VERIFY:  return "verifying";
    case LIBXL_SNAPSHOT_STEP_PREPARE: return "preparing";
    case LIBXL_SNAPSHOT_STEP_SUSPEND: return "saving memory";
    case LIBXL_SNAPSHOT_STEP_INSTANT: return "snapshotting disks";
    case LIBXL_SNAPSHOT_STEP_RESUME:  return "resuming";
    case LIBXL_SNAPSHOT_STEP_DESTROY: return "destroying the old domain";
    case LIBXL_SNAPSHOT_STEP_DISKS:   return "moving disks back";
    case LIBXL_SNAPSHOT_STEP_RESTORE: return "restoring memory";
    case LIBXL_SNAPSHOT_STEP_UNPAUSE: return "letting the domain run";
    case LIBXL_SNAPSHOT_STEP_CLEAN:   return "cleaning up";
    case LIBXL_SNAPSHOT_STEP_BACK:    return "going back";
    case LIBXL_SNAPSHOT_STEP_MERGE:   return "merging";
    }
    return "working";
}

/* More than was expected is shown as all of it: headers count too. */
static void draw_bar(char *bar, uint64_t done, uint64_t total)
{
    int full = done >= total ? BAR_CELLS
                             : (int)((double)done / total * BAR_CELLS);

    memset(bar, '#', full);
    memset(bar + full, '.', BAR_CELLS - full);
    bar[BAR_CELLS] = '\0';
}

char *xl_progress_line(char *buf, size_t size, int width,
                       libxl_snapshot_step step,
                       uint64_t done, uint64_t total)
{
    char bar[BAR_CELLS + 1];
    size_t cells = width > 1 ? (size_t)width - 1 : 0;

    if (!done) {
        snprintf(buf, size, "%s", word(step));
    } else if (!total) {
        snprintf(buf, size, "%s: %" PRIu64 " MiB", word(step), done >> 20);
    } else {
        draw_bar(bar, done, total);
        snprintf(buf, size, "%-18s [%s] %" PRIu64 "/%" PRIu64 " MiB",
                 word(step), bar, done >> 20, total >> 20);
    }
    if (cells < size)
        buf[cells] = '\0';      /* all of it is ASCII */
    return buf;
}

static int terminal_width(void)
{
    struct winsize ws;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 1)
        return ws.ws_col;
    return 80;
}

static uint64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void xl_progress_begin(bool wanted, uint64_t expected)
{
    memset(&line, 0, sizeof(line));
    line.wanted = wanted;
    line.expected = expected;
    line.last_step = -1;
}

void xl_progress_step(libxl_snapshot_step step, uint64_t done,
                      uint64_t total)
{
    uint64_t now;
    char buf[256];
    int len;

    if (!line.wanted)
        return;
    now = now_ms();
    if ((int)step == line.last_step && now - line.last_ms < REDRAW_MS)
        return;
    if (!total && step == LIBXL_SNAPSHOT_STEP_SUSPEND)
        total = line.expected;
    xl_progress_line(buf, sizeof(buf), terminal_width(), step, done, total);
    len = (int)strlen(buf);
    /* Blanks, not an escape sequence: works on every terminal. */
    fprintf(stderr, "\r%s%*s", buf,
            line.drawn > len ? line.drawn - len : 0, "");
    fflush(stderr);
    line.drawn = len;
    line.last_ms = now;
    line.last_step = step;
}

void xl_progress_clear(void)
{
    if (!line.drawn)
        return;
    fprintf(stderr, "\r%*s\r", line.drawn, "");
    fflush(stderr);
    line.drawn = 0;
    line.last_step = -1;
}

void xl_progress_end(void)
{
    xl_progress_clear();
    line.wanted = false;
}
