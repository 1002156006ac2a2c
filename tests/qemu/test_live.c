/* SPDX-License-Identifier: LGPL-2.1-only */
/* Snapshots of running guests, on a real QEMU: when they can't be had, and
 * what becomes of one whose save dies. Their life: test_snapshot.c. */
#include <stdio.h>
#include <string.h>

#include "scene.h"

/* Nothing is begun that can't be done; rc is said before the save starts. */
static void refused_live(int rc)
{
    int saves = fake.saves;

    live = true;
    assert_int_equal(create("s1", &args, fd), rc);
    live = false;
    assert_int_equal(fake.saves, saves);
    assert_int_equal(lseek(fd, 0, SEEK_END), 0);
    assert_int_equal(bed_num_snapshots(0), 0);
    expect_running();
}

static void test_live_without_shadow(void **state)
{
    (void)state;
    make_bed(1, false, false);
    fake.no_shadow = true;
    refused_live(XLSS(LIVE_NOT_POSSIBLE));
    /* Hardware does it for others. */
    fake.hvm = live = true;
    assert_int_equal(create("s1", &args, fd), 0);
    live = false;
    expect_running();
    remove_bed();
}

/* Xen says that it could, and can't. */
static void test_live_without_log_dirty(void **state)
{
    (void)state;
    make_bed(1, false, false);
    fake.no_log_dirty = live = true;
    assert_int_equal(create("s1", &args, fd), XLSS(LIVE_NOT_POSSIBLE));
    live = false;
    expect_running();
    assert_int_equal(bed_num_snapshots(0), 0);
    remove_bed();
}

static void test_live_of_disks_only(void **state)
{
    (void)state;
    make_bed(1, true, false);
    live = true;
    assert_int_equal(create("s1", &args, -1), ERROR_INVAL);
    live = false;
    expect_running();
    remove_bed();
}

static void test_live_with_export(void **state)
{
    char text[256];

    (void)state;
    make_bed(1, true, false);
    snprintf(text, sizeof(text), "{\"addr\":{\"type\":\"unix\",\"data\":"
             "{\"path\":\"%s/nbd\"}}}", bed.dir);
    assert_int_equal(bed_qmp("nbd-server-start", text), 0);
    assert_int_equal(bed_qmp("block-export-add",
        "{\"type\":\"nbd\",\"id\":\"e0\",\"node-name\":\"xvda-qcow2\"}"), 0);
    refused_live(XLSS(BUSY));
    assert_int_equal(bed_qmp("nbd-server-stop", NULL), 0);
    live = true;
    assert_int_equal(create("s1", &args, fd), 0);
    live = false;
    expect_running();
    remove_bed();
}

static void test_live_with_view(void **state)
{
    (void)state;
    make_bed(1, true, false);
    assert_int_equal(bed_qmp("blockdev-add",
        "{\"driver\":\"null-co\",\"node-name\":\"scratch\","
        "\"size\":67108864,\"read-zeroes\":true}"), 0);
    assert_int_equal(bed_qmp("blockdev-add",
        "{\"driver\":\"copy-before-write\",\"node-name\":\"cbw\","
        "\"file\":\"xvda-qcow2\",\"target\":\"scratch\"}"), 0);
    refused_live(XLSS(BUSY));
    remove_bed();
}

/* Its images may be inactive; a second time would end it. */
static void test_live_with_stopped_qemu(void **state)
{
    (void)state;
    make_bed(1, true, false);
    assert_int_equal(bed_qmp("stop", NULL), 0);
    live = true;
    assert_int_equal(create("s1", &args, fd), XLSS(LIVE_NOT_POSSIBLE));
    live = false;
    assert_int_equal(fake.saves, 0);
    assert_int_equal(bed_qmp("cont", NULL), 0);
    expect_running();
    remove_bed();
}

/* Let run for the handshake alone, not for rounds. */
static void test_live_of_paused_domain(void **state)
{
    (void)state;
    make_bed(1, true, false);
    fake.pauses = 1;
    live = true;
    assert_int_equal(create("s1", &args, fd), 0);
    live = false;
    assert_int_equal(fake.live_saves, 0);
    assert_int_equal(fake.pauses, 1);
    remove_bed();
}

/* The helper is killed, in a round or in the last part: the guest runs on,
 * and nobody notes its writes any more. */
static void save_dies(enum save_dies when, bool as_live, bool hvm)
{
    make_bed(2, hvm, false);
    fake.save_dies = when;
    live = as_live;
    assert_true(create("s1", &args, fd) != 0);
    expect_running();
    assert_int_equal(bed_num_snapshots(0), 0);
    fake.save_dies = SAVE_LIVES;
    assert_int_equal(create("s1", &args, fd), 0);
    live = false;
    expect_running();
    bed_stop_qemu();
    expect_disks(1);
    remove_bed();
}

static void test_save_dies(void **state)
{
    (void)state;
    save_dies(SAVE_DIES_RUNNING, true, true);
    save_dies(SAVE_DIES_RUNNING, true, false);
    save_dies(SAVE_DIES_SUSPENDED, true, true);
    save_dies(SAVE_DIES_SUSPENDED, true, false);
    save_dies(SAVE_DIES_SUSPENDED, false, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_live_without_shadow),
        cmocka_unit_test(test_live_without_log_dirty),
        cmocka_unit_test(test_live_of_disks_only),
        cmocka_unit_test(test_live_with_export),
        cmocka_unit_test(test_live_with_view),
        cmocka_unit_test(test_live_with_stopped_qemu),
        cmocka_unit_test(test_live_of_paused_domain),
        cmocka_unit_test(test_save_dies),
    };

    alarm(600);
    if (!scene_begin())
        return 1;
    return GROUP_RUN(tests, scene_abandon);
}
