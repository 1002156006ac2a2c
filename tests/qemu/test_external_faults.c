/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * External snapshots: each call of a create, a delete and a revert fails in
 * turn, or QEMU dies at it. Whatever path somebody remembers reads right.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "external_scene.h"

/*
 * Fails the n-th call of create, for every n: the domain runs, what is
 * written afterwards is found from the path that libxl remembers and, the
 * names put right, from the first; nothing of the snapshot is left.
 */
static void fail_create(enum fault fault)
{
    int n, rc;

    for (n = 1;; n = fault_next(n)) {
        make_external(2);
        fake.calls = 0;
        fake.fail_at = n;
        fake.fault = fault;
        rc = external("s1", &args);
        fake.fail_at = 0;
        print_message("%d %s: %s\n", n, fake.failed_call,
                      libxl_snapshot_strerror(rc));
        expect_running();
        if (rc == XLSS(NEEDS_REPAIR)) {
            libxl_defbool_set(&args.paused, false);
            assert_int_equal(libxl_domain_snapshot_recover(
                ctx, fake.domid, LIBXL_SNAPSHOT_INTENT_CREATE, &args, &how,
                NULL), 0);
        }
        write_disks(2);
        turn_off();
        expect_disks(2);
        if (rc)
            assert_false(exists("%s.s1", first[0]));
        assert_int_equal(libxl_domain_disk_names_put_right(ctx, first[0],
                                                           &how), 0);
        assert_int_equal(libxl_domain_disk_names_put_right(ctx, first[1],
                                                           &how), 0);
        start_from_first();
        turn_off();
        expect_disks(2);
        end();
        if (!fake.failed)
            break;
    }
    assert_int_equal(rc, 0);
    assert_true(n > 20);
}

static void test_fail_create_before(void **state)
{
    (void)state;
    fail_create(FAULT_BEFORE);
}

static void test_fail_create_after(void **state)
{
    (void)state;
    fail_create(FAULT_AFTER);
}

/* The same for delete: the guest's data are right, and it can be repeated. */
static void fail_delete(bool off, enum fault fault)
{
    int n, rc;

    for (n = 1;; n = fault_next(n)) {
        make_external(1);
        assert_int_equal(external("s1", &args), 0);
        write_disks(2);
        if (off)
            turn_off();
        fake.calls = 0;
        fake.fail_at = n;
        fake.fault = fault;
        rc = delete(&args);
        fake.fail_at = 0;
        print_message("%d %s: %s\n", n, fake.failed_call,
                      libxl_snapshot_strerror(rc));
        if (!off) {
            expect_running();
            write_disks(3);
            turn_off();
        }
        assert_int_equal(libxl_domain_disk_names_put_right(ctx, first[0],
                                                           &how), 0);
        look_at(0, first[0], "");
        expect_disks(off ? 2 : 3);
        if (rc)
            assert_int_equal(delete(&args), 0);
        expect_disks(off ? 2 : 3);
        assert_false(exists("%s.s1", first[0]));
        end();
        if (!fake.failed)
            break;
    }
    assert_int_equal(rc, 0);
}

static void test_fail_delete_online(void **state)
{
    (void)state;
    fail_delete(false, FAULT_BEFORE);
    fail_delete(false, FAULT_AFTER);
}

static void test_fail_delete_off(void **state)
{
    (void)state;
    fail_delete(true, FAULT_BEFORE);
    fail_delete(true, FAULT_AFTER);
}

/* And for revert: at the snapshot or at the safety point, nothing between. */
static void test_fail_revert(void **state)
{
    libxl_domain_snapshot_safety safety;
    uint32_t domid;
    int n, rc;

    (void)state;
    for (n = 1;; n = fault_next(n)) {
        make_external(2);
        assert_int_equal(external("s1", &args), 0);
        write_disks(2);
        libxl_domain_snapshot_safety_init(&safety);
        safety.name = strdup("xlss-safety-1");
        safety.memory_fd = memory_file("safety");
        fake.calls = 0;
        fake.fail_at = n;
        rc = revert(&args, fd, &safety, &domid);
        fake.fail_at = 0;
        print_message("%d %s: %s\n", n, fake.failed_call,
                      libxl_snapshot_strerror(rc));
        assert_int_not_equal(rc, XLSS(NEEDS_REPAIR));
        expect_running();
        assert_int_equal(fake.tick, rc ? 2 : 1);
        assert_true(exists("%s.s1", first[0]));
        turn_off();
        expect_disks(rc ? 2 : 1);
        close(safety.memory_fd);
        libxl_domain_snapshot_safety_dispose(&safety);
        end();
        if (!fake.failed)
            break;
    }
    assert_int_equal(rc, 0);
    assert_true(n > 20);
}

/* QEMU dies at the n-th call: whatever libxl remembers reads right. */
static void test_qemu_dies_in_create(void **state)
{
    int n;

    (void)state;
    for (n = 1;; n = fault_next(n)) {
        make_external(1);
        /* Flushes: what a dead QEMU had not written is no fault of ours. */
        assert_int_equal(bed_qmp("stop", NULL), 0);
        assert_int_equal(bed_qmp("cont", NULL), 0);
        fake.calls = 0;
        fake.fail_at = n;
        fake.fault = FAULT_QEMU_DIES;
        external("s1", &args);
        fake.fail_at = 0;
        turn_off();
        bed_repair_leaks();
        expect_disks(1);
        assert_int_equal(libxl_domain_disk_names_put_right(ctx, first[0],
                                                           &how), 0);
        look_at(0, first[0], "");
        expect_disks(1);
        end();
        if (!fake.failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail_create_before),
        cmocka_unit_test(test_fail_create_after),
        cmocka_unit_test(test_fail_delete_online),
        cmocka_unit_test(test_fail_delete_off),
        cmocka_unit_test(test_fail_revert),
        cmocka_unit_test(test_qemu_dies_in_create),
    };

    alarm(1200);
    if (!scene_begin())
        return 1;
    return GROUP_RUN(tests, scene_abandon);
}
