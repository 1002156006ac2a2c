/* SPDX-License-Identifier: LGPL-2.1-only */
/* Push, pull, incremental, and the window in which they begin. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define FULL "2G"               /* of a disk that is full of data */

/* --- a backup --- */

static libxl_domain_backup_args args;

static void fresh(const char *name, const char *since,
                  const char *checkpoint)
{
    int i;

    libxl_domain_backup_args_dispose(&args);
    libxl_domain_backup_args_init(&args);
    args.since = since ? strdup(since) : NULL;
    args.checkpoint = checkpoint ? strdup(checkpoint) : NULL;
    args.disks = calloc(bed.num_disks, sizeof(*args.disks));
    args.num_disks = bed.num_disks;
    for (i = 0; i < bed.num_disks; i++) {
        libxl_backup_disk *b = &args.disks[i];

        libxl_backup_disk_init(b);
        b->vdev = strdup(bed.vdev[i]);
        must(asprintf(&b->target, "%s/%s-%s", bed.dir, name, bed.vdev[i]) > 0,
             "memory");
        b->format = LIBXL_DISK_FORMAT_QCOW2;
    }
}

static void wait_copied(void)
{
    do {
        usleep(10000);
        must(!libxl_domain_backup_status(ctx, fake.domid, &args, &how),
             "backup-status");
    } while (args.state == LIBXL_BACKUP_STATE_RUNNING);
    must(args.state == LIBXL_BACKUP_STATE_COPIED, "the backup is copied");
}

/* From the command until the target is whole, and the view gone. */
static double backup(const char *name, const char *since,
                     const char *checkpoint)
{
    double start = now_ms(), started, copied, end;

    fresh(name, since, checkpoint);
    must(!libxl_domain_backup_start(ctx, fake.domid, &args, &how, NULL),
         "backup-start");
    started = now_ms();
    wait_copied();
    copied = now_ms();
    must(!libxl_domain_backup_finish(ctx, fake.domid, &args, &how, NULL),
         "backup-finish");
    end = now_ms();
    if (getenv("V"))
        note("start %.0f ms, copy %.0f ms, end %.0f ms", started - start,
             copied - started, end - copied);
    return end - start;
}

/* Disk 0 gets data that nothing can be saved of. */
static void fill(void)
{
    bed_stop_qemu();
    sh("head -c " FULL " /dev/urandom > '%s/random'", bed.dir);
    sh("qemu-img convert -f raw -O qcow2 '%s/random' 'file:%s'", bed.dir,
       bed.path[0]);
    sh("rm '%s/random'", bed.dir);
    bed_start_qemu();
}

/* --- window --- */

static double view_window(void)
{
    libxl_block_snapshot view;
    double ms;

    libxl_block_snapshot_init(&view);
    must(!libxl_domain_block_snapshot_create(ctx, fake.domid, &view, &how,
                                             NULL), "a block snapshot");
    ms = fake.paused_ns / 1e6;
    must(!libxl_domain_block_snapshot_delete(ctx, fake.domid, &view, false,
                                             &how, NULL),
         "the end of a block snapshot");
    libxl_block_snapshot_dispose(&view);
    return ms;
}

void bench_window(void)
{
    double one[MAX_ROUNDS], eight[MAX_ROUNDS], a, b;
    struct bed other;
    int i;

    bench_bed(1, FULL);
    other = bed;
    bench_bed(8, FULL);
    for (i = 0; i < rounds; i++) {
        eight[i] = view_window();
        bed_swap(&other);
        one[i] = view_window();
        bed_swap(&other);
    }
    bed_remove();
    bed = other;
    bed_remove();
    a = median(one, rounds);
    b = median(eight, rounds);
    note("window of a block snapshot: %.1f ms with 1 disk, %.1f ms with 8; "
         "ratio %.2f", a, b, b / a);
}

/* --- push --- */

static double timed(const char *command)
{
    double start = now_ms();

    sh("%s '%s' '%s/copy'", command, bed.path[0], bed.dir);
    start = now_ms() - start;
    sh("rm '%s/copy'", bed.dir);
    return start;
}

void bench_push(void)
{
    double cp_ratio[MAX_ROUNDS], convert_ratio[MAX_ROUNDS], push, cp, convert;
    char name[32];
    int i;

    bench_bed(1, FULL);
    fill();
    for (i = -1; i < rounds; i++) {
        snprintf(name, sizeof(name), "push%d", i + 1);
        push = backup(name, NULL, NULL);
        sh("rm '%s'", args.disks[0].target);
        cp = timed("cp --reflink=never");
        convert = timed("qemu-img convert -U -W -m 8 -f qcow2 -O qcow2");
        note("push %.0f ms, cp %.0f ms, qemu-img convert %.0f ms", push, cp,
             convert);
        /* The first round warms up. */
        if (i >= 0) {
            cp_ratio[i] = push / cp;
            convert_ratio[i] = push / convert;
        }
    }
    bed_remove();
    /* No limit: docs/why.md, "A push has many small requests". */
    note("full push of " FULL " against cp of the image: %.2f",
         median(cp_ratio, rounds));
    at_most(median(convert_ratio, rounds), 1.05, "full push of " FULL
            " against qemu-img convert");
}

/* --- pull --- */

static double convert(const char *uri)
{
    double start = now_ms();

    sh("qemu-img convert -m 2 -f raw -O qcow2 '%s' '%s/pulled'", uri,
       bed.dir);
    start = now_ms() - start;
    sh("rm '%s/pulled'", bed.dir);
    return start;
}

static void serve(const char *path)
{
    sh("qemu-nbd --fork --persistent --shared=8 --read-only -f qcow2 -x disk "
       "-k '%s/plain.sock' --pid-file='%s/plain.pid' '%s'", bed.dir, bed.dir,
       path);
}

/* The same data in a file that nobody writes to. */
void bench_pull(void)
{
    double ratio[MAX_ROUNDS], a, b;
    libxl_block_snapshot view;
    libxl_block_export export;
    char plain[256];
    int i;

    libxl_block_snapshot_init(&view);
    libxl_block_export_init(&export);
    bench_bed(1, FULL);
    fill();
    sh("cp '%s' '%s/plain'", bed.path[0], bed.dir);
    snprintf(plain, sizeof(plain), "%s/plain", bed.dir);
    serve(plain);
    snprintf(plain, sizeof(plain), "nbd+unix:///disk?socket=%s/plain.sock",
             bed.dir);
    must(!libxl_domain_block_snapshot_create(ctx, fake.domid, &view, &how,
                                             NULL), "a block snapshot");
    export.snapshot = strdup(view.id);
    must(!libxl_domain_block_export_start(ctx, fake.domid, &export, &how,
                                          NULL), "an export");
    for (i = -1; i < rounds; i++) {
        a = convert(export.disks[0].uri);
        b = convert(plain);
        note("pull %.0f ms, of a plain file %.0f ms", a, b);
        if (i >= 0)
            ratio[i] = a / b;
    }
    must(!libxl_domain_block_export_stop(ctx, fake.domid, export.id, &how),
         "the export's end");
    sh("kill $(cat '%s/plain.pid')", bed.dir);
    libxl_block_export_dispose(&export);
    libxl_block_snapshot_dispose(&view);
    bed_remove();
    note("full pull of " FULL " by qemu-img convert -m 2 against the same of "
         "a plain file: %.2f", median(ratio, rounds));
}

/* --- incremental --- */

static double increment(int round)
{
    char since[16], next[16], name[32];
    double ms;
    int i;

    /* Spread over a GiB. */
    for (i = 0; i < 64; i++)
        bed_write(0, (i * 16 + round) % 1024, 1 + round);
    snprintf(since, sizeof(since), "c%d", round);
    snprintf(next, sizeof(next), "c%d", round + 1);
    snprintf(name, sizeof(name), "inc%d", round);
    ms = backup(name, since, next);
    must(args.disks[0].done == 64 << 20, "64 MiB are copied");
    sh("rm '%s'", args.disks[0].target);
    return ms;
}

static void first_checkpoint(const char *size)
{
    bench_bed(1, size);
    backup("full", NULL, "c0");
    sh("rm '%s'", args.disks[0].target);
}

void bench_incremental(void)
{
    double ratio[MAX_ROUNDS], a, b;
    struct bed other;
    int i;

    first_checkpoint("1G");
    other = bed;
    first_checkpoint("100G");
    for (i = 0; i <= rounds; i++) {
        a = increment(i);
        bed_swap(&other);
        b = increment(i);
        bed_swap(&other);
        note("64 MiB dirty: %.0f ms of 100 GiB, %.0f ms of 1 GiB", a, b);
        if (i)
            ratio[i - 1] = a / b;
    }
    bed_remove();
    bed = other;
    bed_remove();
    at_most(median(ratio, rounds), 1.3, "incremental of 64 MiB dirty, on "
            "100 GiB against 1 GiB");
}
