/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The guest's init: ticks, and takes commands from the console.
 *
 * At each tick n it writes block n of each disk, and reads back some that it
 * wrote before.  What they must hold it keeps in memory alone.  So if memory
 * and disks ever stem from different instants, it says so:
 *
 *     tick N ok                       all agreed so far
 *     tick N BAD mismatches=K         K times something did not
 *     MISMATCH disk=xvda block=17 expected=123 got=99
 *
 * Block -1 is a disk's header, which holds the last tick.
 *
 * Commands: check, mem MIB, dirty MIB_PER_S [SIZE_MIB], stop, go,
 * hang [SECONDS], crash, reboot, poweroff, echo TEXT, cksum DISK,
 * mount DISK, agent [stop|cont|kill].
 *
 * Kernel parameters: lab.disks (how many writable ones there must be),
 * lab.blocks (per disk), lab.rate (ticks per second), lab.reads (blocks read
 * back per tick and disk), lab.mem (MiB to fill at the start).
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define MAX_MISMATCHES_SAID 40

static uint64_t tick;
static long mismatches;
static bool stopped;

/* One line, in one write, so that nothing comes between its parts. */
void say(const char *fmt, ...)
{
    char line[400];
    va_list ap;
    int n;

    if (mismatches > MAX_MISMATCHES_SAID && !strncmp(fmt, "MISMATCH", 8))
        return;
    va_start(ap, fmt);
    n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    if (n > (int)sizeof(line) - 2)
        n = (int)sizeof(line) - 2;
    line[n++] = '\n';
    for (int done = 0; done < n;) {
        ssize_t w = write(1, line + done, (size_t)(n - done));

        if (w <= 0)
            return;
        done += (int)w;
    }
}

void mismatch(void)
{
    mismatches++;
}

uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void check(void)
{
    long blocks = disks_check(), mib = memory_check();

    if (mismatches)
        say("check BAD tick %llu mismatches=%ld blocks=%ld mib=%ld",
            (unsigned long long)tick, mismatches, blocks, mib);
    else
        say("check ok tick %llu blocks=%ld mib=%ld", (unsigned long long)tick,
            blocks, mib);
}

static void command(char *line)
{
    const char *word = strtok(line, " \t\r\n");
    const char *a = strtok(NULL, " \t\r\n"), *b = strtok(NULL, " \t\r\n");
    long first = a ? strtol(a, NULL, 0) : 0;

    if (!word)
        return;
    if (!strcmp(word, "check")) {
        check();
    } else if (!strcmp(word, "mem")) {
        memory_fill(first, tick);
    } else if (!strcmp(word, "dirty")) {
        memory_dirty(first, b ? strtol(b, NULL, 0) : 32);
    } else if (!strcmp(word, "stop") || !strcmp(word, "go")) {
        stopped = word[0] == 's';
        say("%s at tick %llu", stopped ? "stopped" : "going",
            (unsigned long long)tick);
    } else if (!strcmp(word, "echo")) {
        say("echo %s", a ? a : "");
    } else if (!strcmp(word, "cksum")) {
        disk_cksum(a ? a : "");
    } else if (!strcmp(word, "hang")) {
        say("hanging at tick %llu", (unsigned long long)tick);
        system_hang(first);
        say("hung until tick %llu", (unsigned long long)tick);
    } else if (!strcmp(word, "mount")) {
        agent_mount(a ? a : "xvdb");
    } else if (!strcmp(word, "agent")) {
        agent_command(a);
    } else if (!strcmp(word, "crash")) {
        system_sysrq('c');
    } else if (!strcmp(word, "reboot") || !strcmp(word, "poweroff")) {
        system_end(word[0] == 'r');
    } else {
        say("unknown command '%s'", word);
    }
}

/* What the console has, without waiting; whole lines are obeyed. */
static void commands(void)
{
    static char line[200];
    static size_t used;
    char text[200];
    ssize_t n = read(0, text, sizeof(text));

    for (ssize_t i = 0; i < n; i++) {
        if (text[i] == '\n' || text[i] == '\r') {
            line[used] = '\0';
            used = 0;
            command(line);
        } else if (used < sizeof(line) - 1) {
            line[used++] = text[i];
        }
    }
}

static void do_tick(long reads)
{
    tick++;
    disks_write(tick);
    disks_read(reads, tick);
    if (mismatches)
        say("tick %llu BAD mismatches=%ld", (unsigned long long)tick,
            mismatches);
    else
        say("tick %llu ok", (unsigned long long)tick);
}

static void run(long rate, long reads)
{
    uint64_t period = 1000000000u / (uint64_t)rate, next = now_ns();

    for (;;) {
        struct pollfd in = { .fd = 0, .events = POLLIN };
        uint64_t now = now_ns();
        int wait_ms = now >= next ? 0 : (int)((next - now) / 1000000u);

        /* A console that was hung up must not make this a busy loop. */
        if (poll(&in, 1, wait_ms) > 0) {
            if (in.revents & POLLIN)
                commands();
            else
                usleep(10 * 1000);
        }
        now = now_ns();
        if (now < next)
            continue;
        next = now - next > 2 * period ? now + period : next + period;
        if (!stopped)
            do_tick(reads);
    }
}

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/');
    long rate, mem;

    /* The kernel calls these when the toolstack asks it to end. */
    name = name ? name + 1 : argv[0];
    if (argc > 0 && (!strcmp(name, "poweroff") || !strcmp(name, "reboot")))
        system_end(name[0] == 'r');

    system_start();
    system_load_modules();
    rate = system_param("lab.rate", 5);
    mem = system_param("lab.mem", 0);
    if (rate < 1 || rate > 100)
        rate = 5;
    say("boot: counter started");
    disks_open(system_param("lab.disks", 0), system_param("lab.blocks", 256));
    if (mem)
        memory_fill(mem, 0);
    run(rate, system_param("lab.reads", 16));
}
