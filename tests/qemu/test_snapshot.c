/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxl_domain_snapshot_* on a real QEMU and real images. The guest's memory
 * is fake.tick; its disks are written by qemu-io inside QEMU.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scene.h"

/* create, run on, revert, revert again, delete. */
static void life(int disks, bool hvm, bool twin)
{
    libxl_domain_snapshot_safety safety;
    uint32_t domid;
    int i;

    make_bed(disks, hvm, twin);
    bed.cdrom = true;
    assert_int_equal(create("s1", &args, fd), 0);
    expect_running();
    assert_int_equal(args.num_disks, disks);
    for (i = 0; i < disks; i++) {
        assert_int_equal(args.disks[i].kind,
                         LIBXL_DISK_SNAPSHOT_KIND_INTERNAL);
        assert_string_equal(args.disks[i].name, "s1");
        assert_int_equal(args.disks[i].size, 64 << 20);
        assert_true(bed_has_snapshot(i, "s1"));
    }

    for (i = 0; i < 2; i++) {
        write_disks(2 + i);
        libxl_domain_snapshot_safety_init(&safety);
        safety.name = strdup("xlss-safety");
        safety.memory_fd = memory_file("safety");
        assert_int_equal(revert(&args, fd, &safety, &domid), 0);
        assert_int_equal(domid, fake.domid);
        assert_int_equal(fake.tick, 1);
        expect_running();
        assert_true(bed_has_snapshot(0, "s1"));
        assert_int_equal(bed_num_snapshots(0), 1);
        close(safety.memory_fd);
        libxl_domain_snapshot_safety_dispose(&safety);
    }
    assert_int_equal(libxl_domain_snapshot_delete(ctx, fake.domid, &args,
                                                  &how, NULL), 0);
    assert_int_equal(bed_num_snapshots(0), 0);
    expect_running();
    bed_stop_qemu();
    expect_disks(1);
    remove_bed();
}

static void test_life_pv(void **state)
{
    (void)state;
    life(2, false, false);
}

static void test_life_hvm(void **state)
{
    (void)state;
    life(2, true, false);
}

/* The images are inactive after the save, and must be active for the rest. */
static void test_life_live_hvm(void **state)
{
    (void)state;
    live = true;
    life(2, true, false);
    assert_int_equal(fake.live_saves, 1);
    live = false;
}

/* QEMU isn't told of the save. */
static void test_life_live_pvh(void **state)
{
    (void)state;
    live = true;
    life(2, false, false);
    assert_int_equal(fake.live_saves, 1);
    live = false;
}

static void test_life_live_twin(void **state)
{
    (void)state;
    live = true;
    life(1, true, true);
    assert_int_equal(fake.live_saves, 1);
    live = false;
}

static void test_life_eight_disks(void **state)
{
    (void)state;
    life(8, false, false);
}

/* Both nodes stay open: each must know what the other's side did. */
static void test_life_twin(void **state)
{
    (void)state;
    life(1, true, true);
}

/* A snapshot under an idle twin, then PV drivers come up and write. */
static void test_twin_wakes_up(void **state)
{
    int i;

    (void)state;
    make_bed(1, true, true);
    assert_int_equal(create("s1", &args, fd), 0);
    for (i = 10; i < 20; i++)
        assert_int_equal(bed_qmp("human-monitor-command",
            "{\"command-line\":\"qemu-io xvda-qcow2 "
            "\\\"write -q -P 7 10M 8M\\\"\"}"), 0);
    bed_stop_qemu();
    assert_true(bed_check_clean(0));
    assert_true(bed_has_snapshot(0, "s1"));
    assert_true(bed_reads(0, 12, 7));
    assert_true(bed_reads(0, 0, 1));
    remove_bed();
}

static void test_two_writers(void **state)
{
    (void)state;
    make_bed(1, true, true);
    fake.backend_state = 4;
    assert_int_equal(create("s1", &args, fd), XLSS(IMAGE_OPEN_TWICE));
    expect_running();
    assert_int_equal(bed_num_snapshots(0), 0);
    remove_bed();
}

static void test_name_taken_on_disk(void **state)
{
    (void)state;
    make_bed(2, false, false);
    assert_int_equal(create("s1", &args, fd), 0);
    assert_int_equal(create("s1", &args, fd), XLSS(EXISTS));
    expect_running();
    assert_int_equal(bed_num_snapshots(0), 1);
    assert_int_equal(bed_num_snapshots(1), 1);
    remove_bed();
}

static void test_paused_domain(void **state)
{
    (void)state;
    make_bed(1, true, false);
    fake.pauses = 2;
    assert_int_equal(create("s1", &args, fd), 0);
    assert_int_equal(fake.pauses, 2);
    assert_false(fake.suspended);
    assert_true(libxl_defbool_val(args.paused));

    fake.ran = false;
    assert_int_equal(create("s2", &args, fd), XLSS(NOT_POSSIBLE));
    assert_int_equal(fake.pauses, 2);
    remove_bed();
}

/* As the caller wants it; and not where the snapshot fails. */
static void test_left_paused(void **state)
{
    int n;

    (void)state;
    make_bed(1, true, false);
    for (n = 1;; n = fault_next(n)) {
        int rc;

        libxl_domain_snapshot_args_dispose(&args);
        libxl_domain_snapshot_args_init(&args);
        args.name = strdup("s1");
        libxl_defbool_set(&args.leave_paused, true);
        fake.calls = 0;
        fake.fail_at = n;
        fake.failed = false;
        rc = libxl_domain_snapshot_create(ctx, fake.domid, &args, fd, &how,
                                          NULL);
        fake.fail_at = 0;
        assert_false(fake.suspended);
        assert_int_equal(fake.pauses, rc ? 0 : 1);
        assert_int_equal(bed_num_snapshots(0), rc ? 0 : 1);
        if (!rc) {
            fake.pauses = 0;
            assert_int_equal(libxl_domain_snapshot_delete(
                ctx, fake.domid, &args, &how, NULL), 0);
        }
        if (!fake.failed)
            break;
    }
    assert_true(n > 10);
    remove_bed();
}

static void test_guest_hangs(void **state)
{
    libxl_domain_snapshot_args other;
    libxl_domain_snapshot_safety safety;
    uint32_t domid;

    (void)state;
    make_bed(2, false, false);
    assert_int_equal(create("s1", &args, fd), 0);
    write_disks(2);
    fake.hung = true;
    libxl_domain_snapshot_args_init(&other);
    assert_int_equal(create("s2", &other, memory_file("mem2")),
                     XLSS(NOT_SUSPENDED));
    libxl_domain_snapshot_args_dispose(&other);
    expect_running();
    assert_int_equal(bed_num_snapshots(0), 1);

    /* It can be reverted all the same. */
    libxl_domain_snapshot_safety_init(&safety);
    safety.name = strdup("xlss-safety");
    safety.memory_fd = memory_file("safety");
    assert_int_equal(revert(&args, fd, &safety, &domid), 0);
    assert_false(safety.memory);
    assert_int_equal(fake.tick, 1);
    expect_running();
    bed_stop_qemu();
    expect_disks(1);
    libxl_domain_snapshot_safety_dispose(&safety);
    remove_bed();
}

/* The restore fails: back at the safety point, memory and disks. */
static void test_goes_back(void **state)
{
    libxl_domain_snapshot_safety safety;
    uint32_t domid;

    (void)state;
    make_bed(2, false, false);
    assert_int_equal(create("s1", &args, fd), 0);
    write_disks(2);
    libxl_domain_snapshot_safety_init(&safety);
    safety.name = strdup("xlss-safety");
    safety.memory_fd = memory_file("safety");
    /* The fake's stream check sees nothing. */
    assert_int_equal(ftruncate(fd, 2), 0);
    assert_int_equal(revert(&args, fd, &safety, &domid), XLSS(WENT_BACK));
    assert_int_equal(fake.tick, 2);
    assert_int_equal(domid, fake.domid);
    expect_running();
    assert_true(bed_has_snapshot(0, "s1"));
    assert_int_equal(bed_num_snapshots(0), 1);
    bed_stop_qemu();
    expect_disks(2);
    libxl_domain_snapshot_safety_dispose(&safety);
    remove_bed();
}

static void test_foreign_bitmap(void **state)
{
    uint32_t domid;

    (void)state;
    make_bed(1, false, false);
    assert_int_equal(create("s1", &args, fd), 0);
    assert_int_equal(bed_qmp("block-dirty-bitmap-add",
                             "{\"node\":\"xvda-qcow2\",\"name\":\"theirs\","
                             "\"persistent\":true}"), 0);
    assert_int_equal(revert(&args, fd, NULL, &domid),
                     XLSS(FOREIGN_BITMAPS));
    expect_running();
    assert_int_equal(bed_qmp("block-dirty-bitmap-remove",
                             "{\"node\":\"xvda-qcow2\","
                             "\"name\":\"theirs\"}"), 0);
    assert_int_equal(bed_qmp("block-dirty-bitmap-add",
                             "{\"node\":\"xvda-qcow2\",\"name\":\"xlss-1\","
                             "\"persistent\":true}"), 0);
    assert_int_equal(revert(&args, fd, NULL, &domid), 0);
    expect_running();
    remove_bed();
}

/* Off: verify, revert (starts it), delete, by path alone. */
static void test_domain_is_off(void **state)
{
    uint32_t domid;

    (void)state;
    make_bed(2, false, false);
    assert_int_equal(create("s1", &args, fd), 0);
    write_disks(2);
    fake.exists = false;
    bed_stop_qemu();
    assert_int_equal(libxl_domain_snapshot_verify(ctx, XLSS_OFF, &args, fd,
                                                  &how, NULL), 0);
    assert_int_equal(revert(&args, fd, NULL, &domid), 0);
    assert_int_equal(fake.tick, 1);
    expect_running();
    fake.exists = false;
    bed_stop_qemu();
    assert_int_equal(libxl_domain_snapshot_delete(ctx, XLSS_OFF, &args,
                                                  &how, NULL), 0);
    assert_int_equal(bed_num_snapshots(0), 0);
    assert_int_equal(libxl_domain_snapshot_verify(ctx, XLSS_OFF, &args, -1,
                                                  &how, NULL),
                     XLSS(DAMAGED));
    expect_disks(1);
    remove_bed();
}

/* An image that some program has open is not touched. */
static void test_image_in_use(void **state)
{
    (void)state;
    make_bed(1, false, false);
    assert_int_equal(create("s1", &args, fd), 0);
    fake.exists = false;        /* QEMU lives on */
    assert_int_equal(libxl_domain_snapshot_delete(ctx, XLSS_OFF, &args,
                                                  &how, NULL),
                     XLSS(NOT_POSSIBLE));
    assert_true(bed_has_snapshot(0, "s1"));
    remove_bed();
}

static void test_recover_create(void **state)
{
    (void)state;
    make_bed(2, true, false);
    assert_int_equal(create("s1", &args, fd), 0);
    /* As a process leaves it that dies in the instant. */
    fake.suspended = true;
    bed_qmp("stop", NULL);
    libxl_defbool_set(&args.paused, false);
    assert_int_equal(libxl_domain_snapshot_recover(
        ctx, fake.domid, LIBXL_SNAPSHOT_INTENT_CREATE, &args, &how, NULL),
        0);
    expect_running();
    assert_int_equal(bed_num_snapshots(0), 0);
    assert_int_equal(bed_num_snapshots(1), 0);
    assert_int_equal(libxl_domain_snapshot_recover(
        ctx, fake.domid, LIBXL_SNAPSHOT_INTENT_CREATE, &args, &how, NULL),
        0);
    remove_bed();
}

/* The caller's word stops an operation before each step that can be. */
static int abort_at;

static int aborting_step(libxl_ctx *unused, libxl_snapshot_step step,
                         uint64_t done, uint64_t total, void *user)
{
    (void)unused;
    (void)done;
    (void)total;
    (void)user;
    return (int)step == abort_at ? ERROR_ABORTED : 0;
}

static void test_abort(void **state)
{
    (void)state;
    make_bed(2, true, false);
    how.step = aborting_step;
    for (abort_at = LIBXL_SNAPSHOT_STEP_LOOK;
         abort_at <= LIBXL_SNAPSHOT_STEP_RESUME; abort_at++) {
        if (abort_at == LIBXL_SNAPSHOT_STEP_VERIFY)
            continue;
        assert_int_equal(create("s1", &args, fd), ERROR_ABORTED);
        expect_running();
        assert_int_equal(bed_num_snapshots(0), 0);
    }
    how.step = quiet_step;
    remove_bed();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_pv),
        cmocka_unit_test(test_life_hvm),
        cmocka_unit_test(test_life_live_hvm),
        cmocka_unit_test(test_life_live_pvh),
        cmocka_unit_test(test_life_live_twin),
        cmocka_unit_test(test_life_eight_disks),
        cmocka_unit_test(test_life_twin),
        cmocka_unit_test(test_twin_wakes_up),
        cmocka_unit_test(test_two_writers),
        cmocka_unit_test(test_name_taken_on_disk),
        cmocka_unit_test(test_paused_domain),
        cmocka_unit_test(test_left_paused),
        cmocka_unit_test(test_guest_hangs),
        cmocka_unit_test(test_goes_back),
        cmocka_unit_test(test_foreign_bitmap),
        cmocka_unit_test(test_domain_is_off),
        cmocka_unit_test(test_image_in_use),
        cmocka_unit_test(test_recover_create),
        cmocka_unit_test(test_abort),
    };

    alarm(900);
    if (!scene_begin())
        return 1;
    return GROUP_RUN(tests, scene_abandon);
}
