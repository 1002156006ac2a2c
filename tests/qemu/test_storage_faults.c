/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Snapshots outside of QEMU: every call fails once, and what a dead process
 * has left is taken away.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage_scene.h"

static void begin_fault(int n, enum fault fault)
{
    fake.calls = 0;
    fake.fail_at = n;
    fake.fault = fault;
    fake.failed = false;
}

static void fail_create(const char *kinds, enum fault fault)
{
    int n, rc, clones;

    make_disks(kinds, false);
    assert_int_equal(take("s0"), 0);
    clones = num_clones();
    for (n = 1;; n = fault_next(n)) {
        fresh_args();
        begin_fault(n, fault);
        rc = take("s1");
        fake.fail_at = 0;
        if (!fake.failed)
            break;
        if (rc && num_clones() != clones)
            fail_msg("call %d (%s): a clone was left behind", n,
                     fake.failed_call);
        expect_running();
        if (!rc)
            assert_int_equal(delete(), 0);
    }
    assert_int_equal(rc, 0);
    assert_true(n > 8);
    print_message("%d calls failed one by one\n", n - 1);
    bed_stop_qemu();
    expect_disks(1);
    end();
}

static void test_fail_create(void **state)
{
    (void)state;
    fail_create("qrp", FAULT_BEFORE);
    fail_create("qrp", FAULT_AFTER);
    fail_create("p", FAULT_BEFORE);
    fail_create("p", FAULT_AFTER);
}

/* The old domain, the safety point or the snapshot: never a mixture. */
static void fail_revert(const char *kinds, enum fault fault)
{
    int n, rc, clones;
    bool failed;

    for (n = 1, failed = true; failed; n = fault_next(n)) {
        make_disks(kinds, false);
        assert_int_equal(take("s0"), 0);
        clones = num_clones();
        write_disks(2);
        begin_fault(n, fault);
        rc = take_back(true);
        failed = fake.failed;
        fake.fail_at = 0;
        print_message("%d %s: %s\n", n, fake.failed_call,
                      libxl_snapshot_strerror(rc));
        if (rc == XLSS(NEEDS_REPAIR))
            fail_msg("call %d (%s) can't be recovered from", n,
                     fake.failed_call);
        expect_running();
        assert_int_equal(fake.tick, rc ? 2 : 1);
        bed_stop_qemu();
        expect_disks(rc ? 2 : 1);
        /* A safety point whose removal failed may be left. */
        if (rc || !failed)
            assert_int_equal(num_clones(), clones);
        end();
    }
    assert_int_equal(rc, 0);
    assert_true(n > 10);
}

static void test_fail_revert(void **state)
{
    (void)state;
    fail_revert("qrp", FAULT_BEFORE);
    fail_revert("rp", FAULT_AFTER);
    fail_revert("p", FAULT_BEFORE);
}

/* As a process leaves it that dies in the instant. */
static void test_recover_create(void **state)
{
    (void)state;
    make_disks("qrp", false);
    assert_int_equal(take("s1"), 0);
    fake.suspended = true;
    bed_qmp("stop", NULL);
    assert_int_equal(unlink(clone_of(2, "s1")), 0);
    assert_int_equal(libxl_domain_snapshot_recover(
        ctx, fake.domid, LIBXL_SNAPSHOT_INTENT_CREATE, &args, &how, NULL),
        0);
    expect_running();
    assert_int_equal(num_clones(), 0);
    assert_int_equal(bed_num_snapshots(0), 0);
    end();
}

/* What an interrupted revert left is no obstacle to the next. */
static void test_revert_again(void **state)
{
    (void)state;
    make_disks("p", false);
    assert_int_equal(take("s1"), 0);
    write_disks(2);
    assert_int_equal(run("echo half > '%s'", clone_of(0, "xlss-new")), 0);
    fake.exists = false;
    assert_int_equal(take_back(false), 0);
    assert_int_equal(num_clones(), 1);
    expect_disks(1);
    end();
}

static int on_btrfs(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail_create),
        cmocka_unit_test(test_fail_revert),
        cmocka_unit_test(test_recover_create),
        cmocka_unit_test(test_revert_again),
    };

    return cmocka_run_group_tests_name("btrfs", tests, NULL, NULL);
}

int main(void)
{
    return run_on_both(on_btrfs, NULL);
}
