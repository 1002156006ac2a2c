/* SPDX-License-Identifier: LGPL-2.1-only */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pull_scene.h"

libxl_ctx *ctx;
libxl_snapshot_how how;
static xentoollog_logger *lg;

/* --- the guest --- */

static pthread_t writer;
static pthread_mutex_t can_write = PTHREAD_MUTEX_INITIALIZER;
static bool writing, wanted;
static bool writer_held;        /* can_write, by the pause */
int writer_writes, truths;

static void *write_on(void *p)
{
    unsigned int seed = *(unsigned int *)p;
    bool on = true;

    free(p);
    while (on) {
        pthread_mutex_lock(&can_write);
        on = writing;
        if (on && !fake.pauses) {
            bed_write(rand_r(&seed) % bed.num_disks, rand_r(&seed) % 64,
                      1 + rand_r(&seed) % 250);
            writer_writes++;
        }
        pthread_mutex_unlock(&can_write);
        usleep(500);
    }
    return NULL;
}

void writer_start(unsigned int seed)
{
    unsigned int *p = malloc(sizeof(*p));

    *p = seed;
    writing = true;
    writer_writes = 0;
    pthread_create(&writer, NULL, write_on, p);
}

void writer_stop(void)
{
    bool was;

    /* It is held already where a test failed in the pause. */
    if (!writer_held)
        pthread_mutex_lock(&can_write);
    was = writing;
    writing = writer_held = false;
    pthread_mutex_unlock(&can_write);
    if (was)
        pthread_join(writer, NULL);
}

void truth_wanted(bool w)
{
    wanted = w;
}

/* QEMU is stopped, so the files are whole. */
static void copy_truth(void)
{
    int i;

    if (!wanted || !fake.pauses)
        return;
    truths++;
    for (i = 0; i < bed.num_disks; i++)
        if (run("qemu-img convert -U -f %s -O raw 'file:%s' '%s'",
                bed.format[i], bed.path[i], in_bed("truth%d.raw", i)))
            abort();
}

void follow(void)
{
    static char first[BED_MAX_DISKS][sizeof(bed.path[0])];
    char path[sizeof(first[0])];
    int i, n;

    for (i = 0; i < bed.num_disks; i++) {
        if (!strstr(bed.path[i], ".live"))
            strcpy(first[i], bed.path[i]);
        for (n = 1; n < 4; n++) {
            snprintf(path, sizeof(path), "%.180s.live%d", first[i], n);
            if (!access(path, F_OK))
                strcpy(bed.path[i], path);
        }
    }
}

void external_snapshot(const char *name)
{
    libxl_domain_snapshot_args a;

    libxl_domain_snapshot_args_init(&a);
    a.name = strdup(name);
    a.kind = LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL;
    assert_int_equal(libxl_domain_snapshot_create(ctx, fake.domid, &a, -1,
                                                  &how, NULL), 0);
    libxl_domain_snapshot_args_dispose(&a);
    follow();
}

bool is_truth(int disk, const char *format, const char *image)
{
    return !run("qemu-img compare -q -f %s -F raw '%s' '%s' >/dev/null 2>&1",
                format, image, in_bed("truth%d.raw", disk));
}

/* From the pause on no write may be under way: that is what a pause is. */
static int step(libxl_ctx *unused, libxl_snapshot_step s, uint64_t done,
                uint64_t total, void *user)
{
    (void)unused;
    (void)done;
    (void)total;
    (void)user;
    if (s == LIBXL_SNAPSHOT_STEP_INSTANT && !writer_held) {
        pthread_mutex_lock(&can_write);
        writer_held = true;
    } else if (s == LIBXL_SNAPSHOT_STEP_RESUME && writer_held) {
        writer_held = false;
        pthread_mutex_unlock(&can_write);
    }
    return 0;
}

bool scene_begin(void)
{
    bool verbose = getenv("V") || getenv("VERBOSE");

    lg = (xentoollog_logger *)xtl_createlogger_stdiostream(stderr,
             verbose ? XTL_DEBUG : XTL_CRITICAL, 0);
    how.lg = lg;
    how.step = step;
    libxlss__guard_path = NULL;
    return !libxl_ctx_alloc(&ctx, LIBXL_VERSION, 0, lg);
}

void make(int disks)
{
    int i, mib;

    fake_reset();
    bed_make(disks, false);
    fake.at_transaction = copy_truth;
    truths = 0;
    wanted = true;
    for (i = 0; i < disks; i++)
        for (mib = 0; mib < 8; mib++)
            bed_write(i, mib, 10 * (i + 1) + mib);
}

void unmake(void)
{
    writer_stop();
    bed_remove();
}

int scene_abandon(void **state)
{
    (void)state;
    writer_stop();
    bed_abandon();
    return 0;
}

int num_checkpoints(void)
{
    libxl_disk_checkpoint_list list;
    int num;

    libxl_disk_checkpoint_list_init(&list);
    assert_int_equal(libxl_domain_checkpoint_list(ctx, fake.domid, &list,
                                                  &how), 0);
    num = list.num_checkpoints;
    libxl_disk_checkpoint_list_dispose(&list);
    return num;
}
