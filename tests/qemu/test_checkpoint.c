/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Checkpoints on a real QEMU, against a model: a flag for each granule of
 * each disk and each interval between two checkpoints. What the library says
 * to be dirty is what the model says, or it says that it doesn't know.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model.h"
#include "scene.h"

static libxl_domain_checkpoint_args last;

static int checkpoint(const char *name)
{
    int rc;

    libxl_domain_checkpoint_args_dispose(&last);
    libxl_domain_checkpoint_args_init(&last);
    last.name = strdup(name);
    rc = libxl_domain_checkpoint_create(ctx, fake.domid, &last, &how, NULL);
    if (!rc)
        model_begin(name);
    return rc;
}

static int end_checkpoint(const char *name)
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

static int dirty(const char *since, const char *until, const char *vdev,
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

static void expect_range(int since, int until)
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
static void expect_model(void)
{
    int i, j;

    for (i = 0; i < model_num(); i++) {
        for (j = i + 1; j < model_num(); j++)
            expect_range(i, j);
        expect_range(i, -1);
    }
}

static int since(const char *name, const char *vdev)
{
    libxl_domain_dirty out;
    int rc = dirty(name, NULL, vdev, &out);

    libxl_domain_dirty_dispose(&out);
    return rc;
}

static void expect_broken(const char *name)
{
    assert_int_equal(since(name, "xvda"), XLSS(BITMAP_BROKEN));
}

static int num_bitmaps(const char *vdev)
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

static void make(int disks)
{
    make_bed(disks, false, false);
    model_reset();
}

static void end(void)
{
    char command[256];

    snprintf(command, sizeof(command), "chattr -i '%s'/* 2>/dev/null",
             bed.dir);
    (void)!system(command);
    libxl_domain_checkpoint_args_dispose(&last);
    libxl_domain_checkpoint_args_init(&last);
    remove_bed();
}

static void restart(void)
{
    bed_stop_qemu();
    bed_start_qemu();
}

static int snapshot_with(int memory_fd, const char *name)
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

static int snapshot(const char *name)
{
    return snapshot_with(-1, name);
}

static int merge(void)
{
    return libxl_domain_snapshot_delete(ctx, fake.domid, &args, &how, NULL);
}

static void three_checkpoints(void)
{
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(6);
    assert_int_equal(checkpoint("b.1"), 0);
    model_write_some(6);
    assert_int_equal(checkpoint("c_-"), 0);
    model_write_some(6);
}

/* --- what is dirty --- */

static void test_exact(void **state)
{
    (void)state;
    make(2);
    three_checkpoints();
    assert_int_equal(last.sequence, 3);
    assert_int_equal(last.num_disks, 2);
    expect_model();
    expect_running();
    end();
}

static void test_raw_and_its_end(void **state)
{
    (void)state;
    bed_next_raw(1);
    make(2);
    three_checkpoints();
    expect_model();
    restart();
    assert_int_equal(since("a", "xvda"), 0);
    assert_int_equal(since("a", "xvdb"), XLSS(BITMAP_BROKEN));
    end();
}

/* The first and the last granule, and a disk that is dirty all over. */
static void test_edges(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(checkpoint("a"), 0);
    expect_model();
    model_write(0, 0, 512);
    model_write(0, MODEL_SIZE - 512, 512);
    expect_model();
    model_write(0, 65536 * 8 - 512, 1024);
    expect_model();
    assert_int_equal(checkpoint("b"), 0);
    model_write(0, 0, MODEL_SIZE);
    expect_model();
    end();
}

static void delete_each(const char *first, const char *second,
                        const char *third)
{
    make(2);
    three_checkpoints();
    assert_int_equal(end_checkpoint(first), 0);
    expect_model();
    model_write_some(3);
    expect_model();
    assert_int_equal(end_checkpoint(second), 0);
    model_write_some(3);
    expect_model();
    assert_int_equal(end_checkpoint(third), 0);
    assert_int_equal(num_bitmaps("xvda"), 0);
    expect_broken("a");
    assert_int_equal(end_checkpoint(third), 0);
    assert_int_equal(checkpoint("again"), 0);
    model_write_some(3);
    expect_model();
    end();
}

static void test_delete(void **state)
{
    (void)state;
    delete_each("a", "b.1", "c_-");
    delete_each("c_-", "b.1", "a");
    delete_each("b.1", "a", "c_-");
}

/* --- QEMU ends --- */

static void test_restart(void **state)
{
    (void)state;
    make(2);
    three_checkpoints();
    restart();
    expect_model();
    model_write_some(4);
    restart();
    assert_int_equal(checkpoint("d"), 0);
    model_write_some(4);
    expect_model();
    end();
}

static void test_killed(void **state)
{
    (void)state;
    make(1);
    three_checkpoints();
    restart();
    bed_kill_qemu();
    bed_start_qemu();
    expect_broken("a");
    expect_broken("b.1");
    expect_broken("c_-");
    assert_int_equal(num_bitmaps("xvda"), 3);
    model_reset();
    assert_int_equal(checkpoint("d"), 0);
    model_write_some(4);
    expect_model();
    expect_broken("a");
    expect_broken("c_-");
    assert_int_equal(end_checkpoint("b.1"), 0);
    expect_broken("a");
    expect_model();
    end();
}

/* What was never stored is gone. */
static void test_killed_young(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(checkpoint("a"), 0);
    restart();
    model_write_some(2);
    assert_int_equal(snapshot("s1"), 0);
    model_write_some(2);
    expect_model();
    bed_kill_qemu();
    bed_start_qemu();
    /* The base's bitmap is whole, and of the overlay's nothing is left. */
    expect_broken("a");
    model_reset();
    assert_int_equal(checkpoint("b"), 0);
    model_write_some(2);
    expect_model();
    expect_broken("a");
    assert_int_equal(checkpoint("c"), 0);
    assert_int_equal(end_checkpoint("b"), 0);
    expect_broken("a");
    expect_model();
    end();
}

/* --- what others do --- */

static void bitmap_command(const char *command, const char *bitmap)
{
    char text[256];

    snprintf(text, sizeof(text), "{\"node\":\"xvda-qcow2\",\"name\":\"%s\"}",
             bitmap);
    assert_int_equal(bed_qmp(command, text), 0);
}

static void test_foreign(void **state)
{
    (void)state;
    make(1);
    bitmap_command("block-dirty-bitmap-add", "theirs");
    three_checkpoints();
    expect_model();
    assert_int_equal(end_checkpoint("b.1"), 0);
    assert_int_equal(end_checkpoint("a"), 0);
    assert_int_equal(end_checkpoint("c_-"), 0);
    /* It is still there, and it is theirs. */
    bitmap_command("block-dirty-bitmap-disable", "theirs");
    bitmap_command("block-dirty-bitmap-remove", "theirs");
    end();
}

/* A bitmap that was stopped for a while looks whole afterwards. */
static void test_gap(void **state)
{
    (void)state;
    make(1);
    three_checkpoints();
    bitmap_command("block-dirty-bitmap-disable", "xlss-c-3-c_-");
    expect_broken("a");
    expect_broken("c_-");
    assert_int_equal(checkpoint("d"), 0);
    expect_broken("a");
    expect_broken("c_-");
    assert_int_equal(since("d", "xvda"), 0);
    end();
}

static void test_middle_is_gone(void **state)
{
    libxl_domain_checkpoint_args which;

    (void)state;
    make(1);
    three_checkpoints();
    bitmap_command("block-dirty-bitmap-remove", "xlss-c-2-b.1");
    expect_broken("b.1");
    /* Who knows that it was there says so, and the older one goes as well. */
    libxl_domain_checkpoint_args_init(&which);
    which.name = strdup("b.1");
    which.sequence = 2;
    which.disks = calloc(1, sizeof(*which.disks));
    which.disks[0] = strdup("xvda");
    which.num_disks = 1;
    assert_int_equal(libxl_domain_checkpoint_delete(ctx, fake.domid, &which,
                                                    &how, NULL), 0);
    libxl_domain_checkpoint_args_dispose(&which);
    expect_broken("a");
    assert_int_equal(since("c_-", "xvda"), 0);
    end();
}

/* An overlay that somebody else has made. */
static void test_foreign_overlay(void **state)
{
    char text[512];

    (void)state;
    make(1);
    three_checkpoints();
    snprintf(text, sizeof(text), "{\"node-name\":\"xvda-qcow2\","
             "\"snapshot-node-name\":\"xvda-theirs\",\"snapshot-file\":"
             "\"%s/theirs.qcow2\",\"format\":\"qcow2\"}", bed.dir);
    assert_int_equal(bed_qmp("blockdev-snapshot-sync", text), 0);
    assert_int_equal(libxl_domain_disk_chain_changed(ctx, fake.domid, "xvda",
                                                     &how), 0);
    snprintf(bed.path[0], sizeof(bed.path[0]), "%s/theirs.qcow2", bed.dir);
    expect_broken("a");
    expect_broken("c_-");
    assert_int_equal(end_checkpoint("b.1"), 0);
    expect_broken("a");
    model_reset();
    assert_int_equal(checkpoint("d"), 0);
    model_write_some(2);
    expect_model();
    expect_broken("a");
    expect_broken("c_-");
    end();
}

/* --- external snapshots --- */

static void test_snapshots(void **state)
{
    (void)state;
    make(2);
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(4);
    assert_int_equal(checkpoint("b"), 0);
    model_write_some(4);
    assert_int_equal(snapshot("s1"), 0);
    expect_model();
    model_write_some(4);
    expect_model();
    assert_int_equal(checkpoint("c"), 0);
    model_write_some(4);
    assert_int_equal(snapshot("s2"), 0);
    model_write_some(4);
    expect_model();
    restart();
    model_write_some(4);
    expect_model();
    end();
}

static void delete_in_layers(const char *first, const char *second,
                             const char *third)
{
    make(1);
    three_checkpoints();
    assert_int_equal(snapshot("s1"), 0);
    model_write_some(3);
    assert_int_equal(checkpoint("d"), 0);
    model_write_some(3);
    assert_int_equal(end_checkpoint(first), 0);
    expect_model();
    model_write_some(3);
    assert_int_equal(end_checkpoint(second), 0);
    expect_model();
    restart();
    model_write_some(3);
    expect_model();
    assert_int_equal(end_checkpoint(third), 0);
    expect_model();
    end();
}

static void test_delete_in_layers(void **state)
{
    (void)state;
    delete_in_layers("a", "b.1", "c_-");
    delete_in_layers("b.1", "d", "a");
    delete_in_layers("c_-", "b.1", "d");
    delete_in_layers("d", "c_-", "b.1");
    delete_in_layers("b.1", "c_-", "a");
}

static void test_merge(void **state)
{
    (void)state;
    make(2);
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(4);
    assert_int_equal(checkpoint("b"), 0);
    model_write_some(4);
    assert_int_equal(snapshot("s1"), 0);
    model_write_some(4);
    assert_int_equal(checkpoint("c"), 0);
    model_write_some(4);
    assert_int_equal(end_checkpoint("b"), 0);
    assert_int_equal(merge(), 0);
    expect_model();
    model_write_some(4);
    restart();
    expect_model();
    assert_int_equal(end_checkpoint("a"), 0);
    assert_int_equal(checkpoint("d"), 0);
    expect_model();
    end();
}

/* Somebody else makes the overlay stand alone: its part isn't the whole. */
static void test_foreign_merge(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(4);
    assert_int_equal(snapshot("s1"), 0);
    model_write_some(4);
    bed_stop_qemu();
    model_qemu_img(0, "rebase -f qcow2 -b ''");
    bed_start_qemu();
    expect_broken("a");
    model_reset();
    assert_int_equal(checkpoint("b"), 0);
    expect_broken("a");
    model_write_some(4);
    expect_model();
    end();
}

/* --- merges with the domain off --- */

static char first[BED_MAX_DISKS][192];

static void turn_off(void)
{
    int i;

    fake.exists = false;
    bed_stop_qemu();
    memcpy(bed.path, first, sizeof(first));
    for (i = 0; i < bed.num_disks; i++)
        assert_int_equal(libxl_domain_disk_names_put_right(ctx, first[i],
                                                           &how), 0);
}

static void turn_on(void)
{
    fake.exists = true;
    bed_start_qemu();
}

/* Of one snapshot, the overlay goes down into it; of two, the older goes up
 * into the other. gone: a checkpoint that was deleted. */
static void merge_off(bool middle, const char *gone)
{
    libxl_domain_snapshot_args old;
    uint32_t off = XLSS_OFF;

    make(2);
    memcpy(first, bed.path, sizeof(first));
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(3);
    assert_int_equal(checkpoint("b"), 0);
    model_write_some(3);
    assert_int_equal(snapshot("s1"), 0);
    libxl_domain_snapshot_args_init(&old);
    libxl_domain_snapshot_args_copy(ctx, &old, &args);
    model_write_some(3);
    assert_int_equal(checkpoint("c"), 0);
    model_write_some(3);
    if (middle) {
        assert_int_equal(snapshot("s2"), 0);
        model_write_some(3);
    }
    assert_int_equal(checkpoint("d"), 0);
    model_write_some(3);
    if (gone)
        assert_int_equal(end_checkpoint(gone), 0);
    turn_off();
    assert_int_equal(libxl_domain_snapshot_delete(ctx, off, &old, &how,
                                                  NULL), 0);
    turn_on();
    model_be_lax();
    expect_model();
    model_write_some(3);
    expect_model();
    assert_int_equal(checkpoint("e"), 0);
    model_write_some(3);
    expect_model();
    assert_int_equal(end_checkpoint("d"), 0);
    expect_model();
    restart();
    expect_model();
    libxl_domain_snapshot_args_dispose(&old);
    end();
}

static void test_merge_off(void **state)
{
    (void)state;
    merge_off(false, NULL);
    merge_off(false, "b");
    merge_off(false, "a");
    merge_off(false, "c");
    merge_off(true, NULL);
    merge_off(true, "b");
    merge_off(true, "c");
}

/* --- going back --- */

static void go_back(void)
{
    libxl_domain_snapshot_safety safety;
    uint32_t domid;

    libxl_domain_snapshot_safety_init(&safety);
    safety.name = strdup("xlss-safety-1");
    safety.memory_fd = memory_file("safety");
    assert_int_equal(revert(&args, fd, &safety, &domid), 0);
    close(safety.memory_fd);
    libxl_domain_snapshot_safety_dispose(&safety);
}

/* The disks are as they were, and no bitmap knows the way there. */
static void test_revert_internal(void **state)
{
    (void)state;
    make(2);
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(2);
    assert_int_equal(create("s1", &args, fd), 0);
    expect_model();
    model_write_some(2);
    assert_int_equal(checkpoint("b"), 0);
    model_write_some(2);
    expect_model();
    go_back();
    expect_broken("a");
    expect_broken("b");
    model_reset();
    assert_int_equal(checkpoint("c"), 0);
    model_write_some(2);
    expect_model();
    expect_broken("a");
    end();
}

static void test_revert_external(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(2);
    ftruncate(fd, 0);
    assert_int_equal(snapshot_with(fd, "s1"), 0);
    model_write_some(2);
    assert_int_equal(checkpoint("b"), 0);
    model_write_some(2);
    expect_model();
    go_back();
    expect_broken("a");
    expect_broken("b");
    model_reset();
    assert_int_equal(checkpoint("c"), 0);
    model_write_some(2);
    expect_model();
    expect_broken("a");
    expect_broken("b");
    end();
}

/* --- HVM --- */

/* With PV drivers: nothing of it outlives QEMU, and nothing is believed. */
static void test_hvm(void **state)
{
    (void)state;
    make_bed(1, true, false);
    model_reset();
    three_checkpoints();
    expect_model();
    assert_int_equal(end_checkpoint("b.1"), 0);
    expect_model();
    restart();
    expect_broken("a");
    expect_broken("c_-");
    end();
}

/* As it would be if a bitmap had got into the image of an HVM domain. */
static void test_hvm_persistent(void **state)
{
    (void)state;
    make(1);
    three_checkpoints();
    fake.hvm = true;
    expect_broken("a");
    expect_broken("c_-");
    end();
}

/* libxl_domain_info calls PVH HVM; it has no emulated disks. */
static void test_pvh(void **state)
{
    (void)state;
    make(1);
    fake.pvh = true;
    three_checkpoints();
    restart();
    fake.pvh = true;
    expect_model();
    fake.pvh = false;
    end();
}

static void test_hvm_twin(void **state)
{
    (void)state;
    make_bed(1, true, true);
    model_reset();
    assert_int_equal(checkpoint("a"), XLSS(IMAGE_OPEN_TWICE));
    expect_running();
    end();
}

/* --- refused, failing --- */

static void test_refused(void **state)
{
    (void)state;
    bed_next_phy(1);
    make(2);
    assert_int_equal(checkpoint("a"), XLSS(NOT_POSSIBLE));
    assert_int_equal(checkpoint(""), ERROR_INVAL);
    assert_int_equal(checkpoint(".a"), ERROR_INVAL);
    assert_int_equal(checkpoint("a b"), ERROR_INVAL);
    expect_running();
    end();
    make(1);
    assert_int_equal(checkpoint("a"), 0);
    assert_int_equal(checkpoint("a"), XLSS(EXISTS));
    assert_int_equal(since("b", NULL), XLSS(BITMAP_BROKEN));
    assert_int_equal(since("a", "xvdq"), ERROR_NOTFOUND);
    expect_running();
    end();
}

/* Whatever fails, and however: all disks or none, and never a wrong word. */
static void fail_each(enum fault fault)
{
    int n, rc;

    for (n = 1;; n++) {
        make(2);
        assert_int_equal(checkpoint("a"), 0);
        model_write_some(2);
        fake.calls = 0;
        fake.failed = false;
        fake.fault = fault;
        fake.fail_at = n;
        rc = checkpoint("b");
        fake.fail_at = 0;
        if (!fake.failed) {
            assert_int_equal(rc, 0);
            end();
            break;
        }
        expect_running();
        if (rc && num_bitmaps("xvda") == 2) /* done, but who knew */
            model_begin("b");
        assert_int_equal(num_bitmaps("xvda"), num_bitmaps("xvdb"));
        model_note(0, 7 << 20, 1 << 20);    /* by expect_running */
        expect_model();
        end();
    }
}

static void test_fail_create(void **state)
{
    (void)state;
    fail_each(FAULT_BEFORE);
    fail_each(FAULT_AFTER);
}

/* What is known is right, or it is said that it isn't known. */
static void expect_never_clean(void)
{
    libxl_domain_dirty out;
    int i, j, rc;

    model_be_lax();
    for (i = 0; i < model_num(); i++) {
        rc = dirty(model_name(i), NULL, NULL, &out);
        if (rc)
            assert_int_equal(rc, XLSS(BITMAP_BROKEN));
        for (j = 0; j < out.num_disks; j++)
            model_expect(j, i, -1, &out.disks[j]);
        libxl_domain_dirty_dispose(&out);
    }
}

static int do_delete(void)
{
    return end_checkpoint("b.1");
}

static int do_dirty(void)
{
    return since("a", NULL);
}

static int do_snapshot(void)
{
    return snapshot("s2");
}

/* On two layers. Every `stride`-th call, or with $ALL each. */
static void fail_at_each(int (*act)(void), enum fault fault, int stride)
{
    int n, rc;

    for (n = 1 + fault % stride;; n += getenv("ALL") ? 1 : stride) {
        make(1);
        three_checkpoints();
        assert_int_equal(snapshot("s1"), 0);
        model_write_some(2);
        assert_int_equal(checkpoint("d"), 0);
        model_write_some(2);
        fake.calls = 0;
        fake.failed = false;
        fake.fault = fault;
        fake.fail_at = n;
        rc = act();
        fake.fail_at = 0;
        if (!fake.failed) {
            assert_int_equal(rc, 0);
            end();
            break;
        }
        if (fault == FAULT_QEMU_DIES) {
            bed_kill_qemu();
            bed_start_qemu();
        }
        model_write_some(1);
        expect_never_clean();
        if (fault != FAULT_QEMU_DIES) {
            expect_running();
            model_note(0, 7 << 20, 1 << 20);
        }
        /* A new start is right whatever was before. */
        assert_int_equal(checkpoint("e"), 0);
        model_write_some(1);
        expect_range(model_num() - 1, -1);
        expect_never_clean();
        end();
    }
}

static void test_fail_delete(void **state)
{
    (void)state;
    fail_at_each(do_delete, FAULT_BEFORE, 1);
    fail_at_each(do_delete, FAULT_AFTER, 1);
    fail_at_each(do_delete, FAULT_QEMU_DIES, 1);
}

static void test_fail_dirty(void **state)
{
    (void)state;
    fail_at_each(do_dirty, FAULT_BEFORE, 3);
    fail_at_each(do_dirty, FAULT_AFTER, 3);
    fail_at_each(do_dirty, FAULT_QEMU_DIES, 3);
}

static void test_fail_snapshot(void **state)
{
    (void)state;
    fail_at_each(do_snapshot, FAULT_BEFORE, 4);
    fail_at_each(do_snapshot, FAULT_AFTER, 4);
}

static void test_fail_merge(void **state)
{
    (void)state;
    fail_at_each(merge, FAULT_BEFORE, 4);
    fail_at_each(merge, FAULT_AFTER, 4);
}

/* --- a walk --- */

static void step(int i)
{
    char name[16];
    int n = model_num();

    switch (rand() % 10) {
    case 0: case 1: case 2:
        snprintf(name, sizeof(name), "w%d", i);
        assert_int_equal(checkpoint(name), 0);
        break;
    case 3: case 4:
        if (n > 1)
            assert_int_equal(end_checkpoint(model_name(rand() % n)), 0);
        break;
    case 5:
        snprintf(name, sizeof(name), "s%d", i);
        assert_int_equal(snapshot(name), 0);
        break;
    case 6:
        if (args.num_disks) {
            assert_int_equal(merge(), 0);
            libxl_domain_snapshot_args_dispose(&args);
            libxl_domain_snapshot_args_init(&args);
        }
        break;
    case 7:
        restart();
        break;
    default:
        model_write_some(4);
    }
}

static void test_walk(void **state)
{
    unsigned int seed = getenv("SEED") ? atoi(getenv("SEED")) : 1;
    int walks = getenv("WALKS") ? atoi(getenv("WALKS")) : 2, i;

    (void)state;
    for (; walks > 0; walks--, seed++) {
        srand(seed);
        print_message("seed %u\n", seed);
        make(1);
        assert_int_equal(checkpoint("w"), 0);
        for (i = 0; i < 30; i++) {
            step(i);
            model_write_some(2);
            if (i % 3 == 0)
                expect_range(rand() % model_num(), -1);
        }
        expect_model();
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_raw_and_its_end),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_killed_young),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_middle_is_gone),
        cmocka_unit_test(test_foreign_overlay),
        cmocka_unit_test(test_snapshots),
        cmocka_unit_test(test_delete_in_layers),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_foreign_merge),
        cmocka_unit_test(test_merge_off),
        cmocka_unit_test(test_revert_internal),
        cmocka_unit_test(test_revert_external),
        cmocka_unit_test(test_hvm),
        cmocka_unit_test(test_pvh),
        cmocka_unit_test(test_hvm_persistent),
        cmocka_unit_test(test_hvm_twin),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_fail_create),
        cmocka_unit_test(test_fail_delete),
        cmocka_unit_test(test_fail_dirty),
        cmocka_unit_test(test_fail_snapshot),
        cmocka_unit_test(test_fail_merge),
        cmocka_unit_test(test_walk),
    };

    if (!scene_begin())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
