/* SPDX-License-Identifier: LGPL-2.1-only */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint_scene.h"
#include "model.h"

libxl_domain_checkpoint_args last_checkpoint;

int checkpoint(const char *name)
{
    int rc;

    libxl_domain_checkpoint_args_dispose(&last_checkpoint);
    libxl_domain_checkpoint_args_init(&last_checkpoint);
    last_checkpoint.name = strdup(name);
    rc = libxl_domain_checkpoint_create(ctx, fake.domid, &last_checkpoint,
                                        &how, NULL);
    if (!rc)
        model_begin(name);
    return rc;
}

int end_checkpoint(const char *name)
{
    libxl_domain_checkpoint_args args;
    int rc;

    libxl_domain_checkpoint_args_init(&args);
    args.name = strdup(name);
    rc = libxl_domain_checkpoint_delete(ctx, fake.domid, &args, &how, NULL);
    if (!rc)
        model_end(name);
    libxl_domain_checkpoint_args_dispose(&args);
    return rc;
}

int dirty(const char *since, const char *until, const char *vdev,
          libxl_domain_dirty *out)
{
    libxl_domain_dirty_args args;
    int rc;

    libxl_domain_dirty_init(out);
    libxl_domain_dirty_args_init(&args);
    args.since = strdup(since);
    args.until = until ? strdup(until) : NULL;
    if (vdev) {
        args.disks = calloc(1, sizeof(*args.disks));
        args.disks[0] = strdup(vdev);
        args.num_disks = 1;
    }
    rc = libxl_domain_checkpoint_dirty(ctx, fake.domid, &args, out, &how,
                                       NULL);
    libxl_domain_dirty_args_dispose(&args);
    return rc;
}

void expect_range(int since, int until)
{
    libxl_domain_dirty out;
    int i;

    assert_int_equal(dirty(model_name(since), until < 0 ? NULL
                           : model_name(until), NULL, &out), 0);
    assert_int_equal(out.num_disks, bed.num_disks);
    for (i = 0; i < out.num_disks; i++)
        model_expect(i, since, until, &out.disks[i]);
    libxl_domain_dirty_dispose(&out);
}

/* Between any two, and from each until now. */
void expect_model(void)
{
    int i, j;

    for (i = 0; i < model_num(); i++) {
        for (j = i + 1; j < model_num(); j++)
            expect_range(i, j);
        expect_range(i, -1);
    }
}

int since(const char *name, const char *vdev)
{
    libxl_domain_dirty out;
    int rc = dirty(name, NULL, vdev, &out);

    libxl_domain_dirty_dispose(&out);
    return rc;
}

void expect_broken(const char *name)
{
    assert_int_equal(since(name, "xvda"), XLSS(BITMAP_BROKEN));
}

int num_bitmaps(const char *vdev)
{
    libxl_disk_checkpoint_list list;
    int i, num = 0;

    libxl_disk_checkpoint_list_init(&list);
    assert_int_equal(libxl_domain_checkpoint_list(ctx, fake.domid, &list,
                                                  &how), 0);
    for (i = 0; i < list.num_checkpoints; i++)
        num += !strcmp(list.checkpoints[i].vdev, vdev);
    libxl_disk_checkpoint_list_dispose(&list);
    return num;
}

void make(int disks)
{
    make_bed(disks, false, false);
    model_reset();
}

void end(void)
{
    char command[256];

    snprintf(command, sizeof(command), "chattr -i '%s'/* 2>/dev/null",
             bed.dir);
    (void)!system(command);
    libxl_domain_checkpoint_args_dispose(&last_checkpoint);
    libxl_domain_checkpoint_args_init(&last_checkpoint);
    remove_bed();
}

void restart(void)
{
    bed_stop_qemu();
    bed_start_qemu();
}

int snapshot_with(int memory_fd, const char *name)
{
    int i;

    libxl_domain_snapshot_args_dispose(&args);
    libxl_domain_snapshot_args_init(&args);
    args.name = strdup(name);
    args.kind = LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL;
    args.disks = calloc(bed.num_disks, sizeof(*args.disks));
    args.num_disks = bed.num_disks;
    for (i = 0; i < bed.num_disks; i++) {
        libxl_disk_snapshot_init(&args.disks[i]);
        args.disks[i].device.vdev = strdup(bed.vdev[i]);
    }
    return libxl_domain_snapshot_create(ctx, fake.domid, &args, memory_fd,
                                        &how, NULL);
}

int snapshot(const char *name)
{
    return snapshot_with(-1, name);
}

int merge(void)
{
    return libxl_domain_snapshot_delete(ctx, fake.domid, &args, &how, NULL);
}

void three_checkpoints(void)
{
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(6);
    assert_int_equal(checkpoint("b.1"), 0);
    model_write_some(6);
    assert_int_equal(checkpoint("c_-"), 0);
    model_write_some(6);
}
