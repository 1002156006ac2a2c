/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Memory that is filled once and must stay as it is, and memory that a
 * thread keeps changing; of both it is known what they must hold.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "guest.h"

#define PAGE 4096                       /* bytes */
#define MIB_PAGES 256L
#define SLICE_NS 20000000L              /* the dirtying thread's pace */

struct area {
    uint64_t *words;
    uint64_t *seeds;                    /* per page */
    long pages;
    const char *name;
};

static struct area still = { .name = "mem" }, moving = { .name = "dirty" };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long rate_pages;                 /* per slice; under lock */

static void fill_page(struct area *a, long page, uint64_t seed)
{
    uint64_t *w = a->words + page * (PAGE / 8);

    a->seeds[page] = seed;
    for (int i = 0; i < PAGE / 8; i++)
        w[i] = seed + (uint64_t)i * 0x9e3779b97f4a7c15u;
}

static bool area_resize(struct area *a, long mib, uint64_t seed)
{
    long pages = mib * MIB_PAGES;

    if (a->pages) {
        munmap(a->words, (size_t)a->pages * PAGE);
        free(a->seeds);
        a->pages = 0;
    }
    if (!pages)
        return true;
    a->words = mmap(NULL, (size_t)pages * PAGE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    a->seeds = calloc((size_t)pages, sizeof(*a->seeds));
    if (a->words == MAP_FAILED || !a->seeds) {
        say("%s: no memory for %ld MiB", a->name, mib);
        free(a->seeds);
        return false;
    }
    a->pages = pages;
    for (long p = 0; p < pages; p++)
        fill_page(a, p, mix(seed, (uint64_t)p));
    return true;
}

static void area_check(const struct area *a)
{
    for (long p = 0; p < a->pages; p++) {
        const uint64_t *w = a->words + p * (PAGE / 8);

        for (int i = 0; i < PAGE / 8; i++) {
            if (w[i] == a->seeds[p] + (uint64_t)i * 0x9e3779b97f4a7c15u)
                continue;
            say("MISMATCH %s page=%ld word=%d", a->name, p, i);
            mismatch();
            break;
        }
    }
}

void memory_fill(long mib, uint64_t seed)
{
    if (area_resize(&still, mib, seed))
        say("mem %ld MiB filled", mib);
}

static void *dirtier(void *unused)
{
    uint64_t round = 0;
    long page = 0;

    (void)unused;
    for (;;) {
        struct timespec slice = { .tv_nsec = SLICE_NS };

        pthread_mutex_lock(&lock);
        for (long i = 0; i < rate_pages && moving.pages; i++) {
            page = (page + 1) % moving.pages;
            fill_page(&moving, page, mix(++round, (uint64_t)page));
        }
        pthread_mutex_unlock(&lock);
        nanosleep(&slice, NULL);
    }
    return NULL;
}

void memory_dirty(long mib_per_s, long size_mib)
{
    static bool started;
    pthread_t thread;

    pthread_mutex_lock(&lock);
    rate_pages = 0;
    if (area_resize(&moving, mib_per_s ? size_mib : 0, 1))
        rate_pages = mib_per_s * MIB_PAGES / (1000000000L / SLICE_NS);
    pthread_mutex_unlock(&lock);
    if (!started && mib_per_s)
        started = !pthread_create(&thread, NULL, dirtier, NULL);
    say("dirty %ld MiB/s in %ld MiB", mib_per_s, size_mib);
}

long memory_check(void)
{
    pthread_mutex_lock(&lock);
    area_check(&still);
    area_check(&moving);
    pthread_mutex_unlock(&lock);
    return (still.pages + moving.pages) / MIB_PAGES;
}
