/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What is pulled in a sequence: a view is exported, and readers find in it
 * what the model held at its instant; and what isn't among the changes since
 * an earlier backup is as that one has it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "seq_backups.h"

static libxl_block_snapshot view;
static libxl_block_export export;

static char *map_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *p = mmap(NULL, MODEL_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
                   0);

    assert_true(p != MAP_FAILED);
    close(fd);
    return p;
}

/* What is dirty may differ. */
static void forget_changes(int disk, char *then, char *now)
{
    unsigned long long offset, length;
    char command[512];
    FILE *p;

    snprintf(command, sizeof(command), "nbdinfo --map=qemu:dirty-bitmap:%s "
             "'%s' | awk '$4 == \"dirty\" { print $1, $2 }'", export.bitmap,
             export.disks[disk].uri);
    p = popen(command, "r");
    assert_non_null(p);
    while (fscanf(p, "%llu %llu", &offset, &length) == 2) {
        assert_true(offset + length <= MODEL_SIZE);
        memset(then + offset, 0, length);
        memset(now + offset, 0, length);
    }
    assert_int_equal(pclose(p), 0);
}

static void expect_all_changes(const struct seq_backup *since, int disk)
{
    char *then = map_file(in_bed("truth-b%d-%d", since->n, disk));
    char *now = map_file(in_bed("truth-p-%d", disk));

    forget_changes(disk, then, now);
    if (memcmp(then, now, MODEL_SIZE))
        fail_msg("disk %d: a change since backup %d is missing", disk,
                 since->n);
    munmap(then, MODEL_SIZE);
    munmap(now, MODEL_SIZE);
}

static void begin(const struct seq_backup *since)
{
    int i;

    libxl_block_snapshot_dispose(&view);
    libxl_block_snapshot_init(&view);
    if (since) {
        assert_true(asprintf(&view.since, "c%d", since->n) > 0);
        say("pull: since %d", since->n);
    } else {
        say("pull: full");
    }
    for (i = 0; i < SEQ_DISKS; i++)
        model_image(i, in_bed("truth-p-%d", i));
    assert_int_equal(libxl_domain_block_snapshot_create(ctx, fake.domid,
                                                        &view, &how, NULL),
                     0);
    libxl_block_export_dispose(&export);
    libxl_block_export_init(&export);
    export.snapshot = strdup(view.id);
    assert_int_equal(libxl_domain_block_export_start(ctx, fake.domid, &export,
                                                     &how, NULL), 0);
}

static void end_it(void)
{
    int i;

    assert_int_equal(libxl_domain_block_export_stop(ctx, fake.domid,
                                                    export.id, &how), 0);
    assert_int_equal(libxl_domain_block_snapshot_delete(ctx, fake.domid,
                                                        &view, false, &how,
                                                        NULL), 0);
    backup_expect_clean();
    for (i = 0; i < SEQ_DISKS; i++)
        unlink(in_bed("truth-p-%d", i));
}

void pull_reads(void)
{
    const struct seq_backup *since = backup_choose();
    char name[16] = "";
    int i;

    if (since)
        snprintf(name, sizeof(name), "c%d", since->n);
    if (since && !backup_in_model(name))
        since = NULL;
    begin(since);
    model_write_some(3);
    for (i = 0; i < SEQ_DISKS; i++) {
        if (run("qemu-img compare -q -f raw -F raw '%s' '%s'",
                export.disks[i].uri, in_bed("truth-p-%d", i)))
            fail_msg("disk %d of the view is not what it was", i);
        if (since)
            expect_all_changes(since, i);
    }
    model_write_some(1);
    end_it();
}
