/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Checkpoints on a real QEMU, against a model: a flag for each granule of
 * each disk and each interval between two checkpoints. What the library says
 * to be dirty is what the model says, or it says that it doesn't know.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint_scene.h"
#include "model.h"

/* --- what is dirty --- */

static void test_exact(void **state)
{
    (void)state;
    make(2);
    three_checkpoints();
    assert_int_equal(last_checkpoint.sequence, 3);
    assert_int_equal(last_checkpoint.num_disks, 2);
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
        cmocka_unit_test(test_hvm),
        cmocka_unit_test(test_hvm_persistent),
        cmocka_unit_test(test_pvh),
        cmocka_unit_test(test_hvm_twin),
    };

    if (!scene_begin())
        return 1;
    return GROUP_RUN(tests, scene_abandon);
}
