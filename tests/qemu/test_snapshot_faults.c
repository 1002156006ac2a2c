/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Each call of a create and of a revert fails in turn, or QEMU dies at it:
 * the guest runs, and memory and disks are of one instant.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scene.h"

/*
 * Fails the n-th call of create, for every n: the domain runs, the older
 * snapshot is whole, nothing of the new one is left.
 */
static void fail_create(bool hvm, bool twin, enum fault fault)
{
    int n, rc;

    make_bed(twin ? 1 : 2, hvm, twin);
    assert_int_equal(create("s0", &args, fd), 0);
    for (n = 1;; n = fault_next(n)) {
        fake.calls = 0;
        fake.fail_at = n;
        fake.fault = fault;
        fake.failed = false;
        rc = create("s1", &args, fd);
        fake.fail_at = 0;
        if (!fake.failed)
            break;
        if (rc && bed_num_snapshots(0) != 1)
            fail_msg("call %d (%s): snapshot left behind", n,
                     fake.failed_call);
        expect_running();
        assert_true(bed_has_snapshot(0, "s0"));
        if (!rc) {
            /* A failure that didn't matter: then it is all there. */
            assert_true(bed_has_snapshot(0, "s1"));
            assert_int_equal(libxl_domain_snapshot_delete(
                ctx, fake.domid, &args, &how, NULL), 0);
        }
    }
    assert_int_equal(rc, 0);
    assert_true(n > 10);
    print_message("%d calls failed one by one\n", n - 1);
    bed_stop_qemu();
    expect_disks(1);
    remove_bed();
}

static void test_fail_create_pv(void **state)
{
    (void)state;
    fail_create(false, false, FAULT_BEFORE);
    fail_create(false, false, FAULT_AFTER);
}

static void test_fail_create_hvm(void **state)
{
    (void)state;
    fail_create(true, false, FAULT_BEFORE);
    fail_create(true, true, FAULT_BEFORE);
}

static void test_fail_create_live(void **state)
{
    (void)state;
    live = true;
    fail_create(true, false, FAULT_BEFORE);
    fail_create(true, false, FAULT_AFTER);
    fail_create(true, true, FAULT_BEFORE);
    fail_create(false, false, FAULT_AFTER);
    live = false;
}

/* QEMU dies at the n-th call: the disks hold all of s0 and none of s1. */
static void qemu_dies_in_create(bool hvm)
{
    int n, rc, died = 1;

    for (n = 1; died; n = fault_next(n)) {
        make_bed(2, hvm, false);
        assert_int_equal(create("s0", &args, fd), 0);
        fake.calls = 0;
        fake.fail_at = n;
        fake.fault = FAULT_QEMU_DIES;
        rc = create("s1", &args, fd);
        died = fake.failed;
        fake.fail_at = 0;
        /* Without its QEMU an HVM domain can't be resumed. */
        assert_true(!fake.suspended || (hvm && died));
        assert_int_equal(fake.pauses, 0);
        if (died && rc)
            assert_int_equal(bed_num_snapshots(1), 1);
        /* What only the dead QEMU knew is in no snapshot taken after. */
        if (died && !rc)
            assert_int_equal(fake.snapshots_then, 2);
        bed_stop_qemu();
        assert_true(bed_has_snapshot(0, "s0"));
        /* kill -9 may leak clusters, never more. */
        bed_repair_leaks();
        expect_disks(1);
        remove_bed();
    }
    assert_int_equal(rc, 0);
}

static void test_qemu_dies_in_create(void **state)
{
    (void)state;
    qemu_dies_in_create(false);
}

static void test_qemu_dies_in_live_create(void **state)
{
    (void)state;
    live = true;
    qemu_dies_in_create(true);
    live = false;
}

/* A safety point with memory is not taken of disks whose QEMU has died. */
static void test_qemu_dies_in_revert(void **state)
{
    libxl_domain_snapshot_safety safety;
    uint32_t domid;
    int n, rc, late = 0;

    (void)state;
    for (n = 1;; n = fault_next(n)) {
        make_bed(2, false, false);
        assert_int_equal(create("s0", &args, fd), 0);
        libxl_domain_snapshot_safety_init(&safety);
        safety.name = strdup("xlss-safety");
        safety.memory_fd = memory_file("safety");
        fake.calls = 0;
        fake.fail_at = n;
        fake.fault = FAULT_QEMU_DIES;
        rc = revert(&args, fd, &safety, &domid);
        fake.fail_at = 0;
        if (fake.failed && fake.suspended_then && fake.snapshots_then == 1) {
            late++;
            assert_int_not_equal(rc, 0);
            assert_false(fake.suspended);
        }
        bed_stop_qemu();
        assert_true(bed_has_snapshot(0, "s0"));
        close(safety.memory_fd);
        libxl_domain_snapshot_safety_dispose(&safety);
        remove_bed();
        if (!fake.failed)
            break;
    }
    assert_int_equal(rc, 0);
    assert_true(late > 0 || fault_stride() > 1);
}

/*
 * Fails the n-th call of revert: either the old domain runs on, or the
 * safety point does, or the snapshot does; never anything between.
 */
static void fail_revert(enum fault fault, bool hvm)
{
    libxl_domain_snapshot_safety safety;
    uint32_t domid;
    int n, rc;

    for (n = 1;; n = fault_next(n)) {
        make_bed(2, hvm, false);
        assert_int_equal(create("s0", &args, fd), 0);
        write_disks(2);
        libxl_domain_snapshot_safety_init(&safety);
        safety.name = strdup("xlss-safety");
        safety.memory_fd = memory_file("safety");
        fake.calls = 0;
        fake.fail_at = n;
        fake.fault = fault;
        rc = revert(&args, fd, &safety, &domid);
        fake.fail_at = 0;
        print_message("%d %s: %s\n", n, fake.failed_call,
                      libxl_snapshot_strerror(rc));
        if (rc == XLSS(NEEDS_REPAIR))
            fail_msg("call %d (%s) can't be recovered from", n,
                     fake.failed_call);
        expect_running();
        assert_int_equal(fake.tick, rc ? 2 : 1);
        assert_true(bed_has_snapshot(0, "s0"));
        assert_true(bed_has_snapshot(1, "s0"));
        bed_stop_qemu();
        expect_disks(rc ? 2 : 1);
        close(safety.memory_fd);
        libxl_domain_snapshot_safety_dispose(&safety);
        remove_bed();
        if (!fake.failed)
            break;
    }
    assert_int_equal(rc, 0);
    assert_true(n > 20);
}

static void test_fail_revert_before(void **state)
{
    (void)state;
    fail_revert(FAULT_BEFORE, false);
}

static void test_fail_revert_after(void **state)
{
    (void)state;
    fail_revert(FAULT_AFTER, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail_create_pv),
        cmocka_unit_test(test_fail_create_hvm),
        cmocka_unit_test(test_fail_create_live),
        cmocka_unit_test(test_qemu_dies_in_create),
        cmocka_unit_test(test_qemu_dies_in_live_create),
        cmocka_unit_test(test_qemu_dies_in_revert),
        cmocka_unit_test(test_fail_revert_before),
        cmocka_unit_test(test_fail_revert_after),
    };

    alarm(900);
    if (!scene_begin())
        return 1;
    return GROUP_RUN(tests, scene_abandon);
}
