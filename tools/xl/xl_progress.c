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
#define XC_FRAME 4096           /* bytes */

static struct {
    bool wanted;
    int drawn;                  /* cells on the screen */
    uint64_t expected;
    uint64_t last_ms;
    int last_step;              /* -1: none yet */
    libxl_snapshot_step step;   /* that is under way */
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

static char *titled_line(char *buf, size_t size, int width,
                         const char *title, uint64_t done, uint64_t total)
{
    char bar[BAR_CELLS + 1];
    size_t cells = width > 1 ? (size_t)width - 1 : 0;

    if (!done) {
        snprintf(buf, size, "%s", title);
    } else if (!total) {
        snprintf(buf, size, "%s: %" PRIu64 " MiB", title, done >> 20);
    } else {
        draw_bar(bar, done, total);
        snprintf(buf, size, "%-18s [%s] %" PRIu64 "/%" PRIu64 " MiB",
                 title, bar, done >> 20, total >> 20);
    }
    if (cells < size)
        buf[cells] = '\0';      /* all of it is ASCII */
    return buf;
}

char *xl_progress_line(char *buf, size_t size, int width,
                       libxl_snapshot_step step,
                       uint64_t done, uint64_t total)
{
    return titled_line(buf, size, width, word(step), done, total);
}

/* libxc counts the rounds of a live save from 0. */
char *xl_progress_round_line(char *buf, size_t size, int width,
                             const char *what, uint64_t done, uint64_t total)
{
    char title[40];
    unsigned int n;

    if (sscanf(what, "Frames iteration %u", &n) == 1)
        snprintf(title, sizeof(title), "memory, round %u", n + 1);
    else
        snprintf(title, sizeof(title), "%s",
                 word(LIBXL_SNAPSHOT_STEP_SUSPEND));
    return titled_line(buf, size, width, title, done, total);
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

/* Blanks, not an escape sequence: works on every terminal. */
static void redraw(const char *text, uint64_t now)
{
    int len = (int)strlen(text);

    fprintf(stderr, "\r%s%*s", text, line.drawn > len ? line.drawn - len : 0,
            "");
    fflush(stderr);
    line.drawn = len;
    line.last_ms = now;
    line.last_step = line.step;
}

void xl_progress_step(libxl_snapshot_step step, uint64_t done,
                      uint64_t total)
{
    uint64_t now;
    char buf[256];

    line.step = step;
    if (!line.wanted)
        return;
    now = now_ms();
    if ((int)step == line.last_step && now - line.last_ms < REDRAW_MS)
        return;
    if (!total && step == LIBXL_SNAPSHOT_STEP_SUSPEND)
        total = line.expected;
    xl_progress_line(buf, sizeof(buf), terminal_width(), step, done, total);
    redraw(buf, now);
}

/* The first round goes through the whole address space of a guest with
 * hardware-assisted paging, which has holes: behind its memory is nothing. */
static uint64_t within(uint64_t frames)
{
    uint64_t bytes = frames * XC_FRAME;

    return line.expected && bytes > line.expected ? line.expected : bytes;
}

void xl_progress_frames(const char *what, unsigned long done,
                        unsigned long total)
{
    uint64_t now = now_ms();
    char buf[256];

    if (!line.wanted || line.step != LIBXL_SNAPSHOT_STEP_SUSPEND ||
        !what || strncmp(what, "Frames", 6) != 0 ||
        (done && now - line.last_ms < REDRAW_MS))
        return;
    xl_progress_round_line(buf, sizeof(buf), terminal_width(), what,
                           within(done), within(total));
    redraw(buf, now);
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
