/* SPDX-License-Identifier: LGPL-2.1-only */
/* What checkpoints cost the guest, and what it costs to ask for changes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* Of this process, so far, in MiB; reset first. */
static double peak(bool reset)
{
    unsigned long kib = 0;
    char line[256];
    FILE *f;

    if (reset) {
        f = fopen("/proc/self/clear_refs", "w");
        must(f && fputs("5", f) >= 0 && !fclose(f), "clear_refs");
    }
    f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmHWM: %lu", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib / 1024.0;
}

static void checkpoint(int number)
{
    libxl_domain_checkpoint_args args;

    libxl_domain_checkpoint_args_init(&args);
    must(asprintf(&args.name, "c%d", number) > 0, "memory");
    must(!libxl_domain_checkpoint_create(ctx, fake.domid, &args, &how, NULL),
         "a checkpoint");
    libxl_domain_checkpoint_args_dispose(&args);
}

/* A door to the disk for qemu-img bench. */
static void open_door(void)
{
    char text[512];

    snprintf(text, sizeof(text), "{\"addr\":{\"type\":\"unix\",\"data\":{"
             "\"path\":\"%s/door\"}}}", bed.dir);
    must(!bed_qmp("nbd-server-start", text), "nbd-server-start");
    must(!bed_qmp("block-export-add", "{\"type\":\"nbd\",\"id\":\"door\","
                  "\"node-name\":\"xvda-qcow2\",\"name\":\"door\","
                  "\"writable\":true}"), "block-export-add");
}

static double write_some(int number, int bytes, uint64_t step,
                         const char *rest)
{
    double start = now_ms();

    sh("qemu-img bench -w -f raw -d 16 -c %d -s %d -S %llu %s "
       "'nbd+unix:///door?socket=%s/door' > /dev/null", number, bytes,
       (unsigned long long)step, rest, bed.dir);
    return now_ms() - start;
}

/* 4 KiB here and there. */
static double writes_of(struct bed *other)
{
    double ms;

    if (other)
        bed_swap(other);
    ms = write_some(60000, 4096, 1052672, "");
    if (other)
        bed_swap(other);
    return ms;
}

void bench_writes(void)
{
    double ratio[MAX_ROUNDS], many = 0, one;
    struct bed other;
    int i;

    bench_bed(1, "1G");
    open_door();
    checkpoint(0);
    other = bed;
    bench_bed(1, "1G");
    open_door();
    for (i = 0; i < 64; i++)
        checkpoint(i);
    for (i = -1; i < rounds; i++) {
        /* The first round makes the clusters. Who comes first changes, since
         * a machine gets slower or faster meanwhile. */
        if (i & 1)
            many = writes_of(NULL);
        one = writes_of(&other);
        if (!(i & 1))
            many = writes_of(NULL);
        note("60000 writes: %.0f ms with 64 checkpoints, %.0f ms with 1",
             many, one);
        if (i >= 0)
            ratio[i] = one / many;
    }
    bed_remove();
    bed = other;
    bed_remove();
    at_least(median(ratio, rounds), 0.97, "guest writes with 64 checkpoints "
             "against 1");
}

/* --- dirty --- */

static double ask(int extents, double *mib_r)
{
    libxl_domain_dirty_args args;
    libxl_domain_dirty out;
    double start, before;

    libxl_domain_dirty_init(&out);
    libxl_domain_dirty_args_init(&args);
    args.since = strdup("c0");
    before = peak(true);
    start = now_ms();
    must(!libxl_domain_checkpoint_dirty(ctx, fake.domid, &args, &out, &how,
                                        NULL), "checkpoint-dirty");
    start = now_ms() - start;
    *mib_r = peak(false) - before;
    must(out.num_disks == 1 && out.disks[0].num_extents == extents,
         "as many extents as were written");
    libxl_domain_dirty_dispose(&out);
    libxl_domain_dirty_args_dispose(&args);
    return start;
}

static void ask_often(int extents)
{
    double ms[MAX_ROUNDS], mib, most = 0.1;
    int i;

    for (i = 0; i < rounds; i++) {
        ms[i] = ask(extents, &mib);
        most = mib > most ? mib : most;
    }
    note("%d extents of 1 TiB: %.0f ms", extents, median(ms, rounds));
    /* A bitmap is of 2 MiB, an extent of 16 bytes: 1 KiB each is a lot. */
    at_most(most, 1 + extents / 1024.0, "memory for %d "
            "extents of 1 TiB, in MiB", extents);
}

void bench_dirty(void)
{
    bench_bed(1, "1T");
    open_door();
    checkpoint(0);
    write_some(1024, 512, 1ull << 30, "");
    ask_often(1024);
    write_some(8192, 512, 1ull << 27, "-o 1M");
    ask_often(8192 + 1024);
    bed_remove();
}
