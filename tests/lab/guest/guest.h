/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The lab's guest: one static program that is the guest's init and keeps a
 * counter whose values in memory and on the disks must agree at all times.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stdint.h>

/* counter.c */
__attribute__((format(printf, 1, 2))) void say(const char *fmt, ...);
void mismatch(void);                /* counts one, for ever */
uint64_t now_ns(void);

/* system.c: what an init has to do */
void system_start(void);
void system_load_modules(void);
long system_param(const char *name, long fallback);
void system_hang(long seconds);     /* 0: for ever */
void system_sysrq(char key);
_Noreturn void system_end(bool again);

/* disk.c: the disks and the table of what they must hold */
void disks_open(long wanted, long blocks);
void disks_write(uint64_t tick);            /* this tick's block and header */
void disks_read(long count, uint64_t tick); /* some old blocks, in turn */
long disks_check(void);                     /* all of them; how many */

/* look.c: prints what cksum(1) says of a disk */
void disk_cksum(const char *name);

/* memory.c: memory that must not change, and memory that does */
void memory_fill(long mib, uint64_t seed);
void memory_dirty(long mib_per_s, long size_mib);
long memory_check(void);                    /* how many MiB were looked at */

/* agent.c: a mounted filesystem, and an agent that can freeze it */
void agent_mount(const char *disk);
void agent_command(const char *word);       /* NULL: starts it */

/* A cheap mixing function: equal inputs, equal output; else hardly ever. */
static inline uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = a * 0x9e3779b97f4a7c15u + b;

    x ^= x >> 31;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 29;
    return x;
}

#endif
