/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Snapshots inside an image that an external one has frozen, deleted while
 * the guest runs on an overlay of it: on QEMU 10. QEMU 7.2 can't, and says so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "external_scene.h"

static libxl_domain_snapshot_args in, other;
static char base[256];

/* i (1) and j (2) are inside the base of e (3); the disk holds 4. */
static void make_frozen(bool deep)
{
    make_external(1);
    libxl_domain_snapshot_args_init(&in);
    libxl_domain_snapshot_args_init(&other);
    if (deep)
        assert_int_equal(external("below", &other), 0);
    assert_int_equal(create_kind("i", &in, LIBXL_DISK_SNAPSHOT_KIND_INTERNAL,
                                 NULL), 0);
    write_disks(2);
    assert_int_equal(create_kind("j", &other,
                                 LIBXL_DISK_SNAPSHOT_KIND_INTERNAL, NULL), 0);
    write_disks(3);
    assert_int_equal(external("e", &args), 0);
    write_disks(4);
    snprintf(base, sizeof(base), "%s.e", first[0]);
    in.disks[0].u.internal.internal_path = strdup(base);
    other.disks[0].u.internal.internal_path = strdup(base);
}

static void end_frozen(void)
{
    libxl_domain_snapshot_args_dispose(&in);
    libxl_domain_snapshot_args_dispose(&other);
    end();
}

static bool holds(const char *name)
{
    return run_in_bed("qemu-img snapshot -U -l './disk,0 a:b.qcow2.e' | "
                      "grep -qw %s", name) == 0;
}

static void deleted(bool deep)
{
    uint32_t domid;
    int rc;

    make_frozen(deep);
    rc = delete(&in);
    expect_running();
    if (!in_place()) {
        assert_int_equal(rc, XLSS(NOT_POSSIBLE));
        assert_true(holds("i"));
    } else {
        assert_int_equal(rc, 0);
        assert_false(holds("i"));
        assert_true(holds("j"));
        write_disks(5);
        assert_int_equal(delete(&in), 0);
        expect_running();
        assert_int_equal(revert(&other, fd, NULL, &domid), 0);
        expect_running();
        turn_off();
        expect_disks(2);
        assert_int_equal(revert(&args, fd, NULL, &domid), 0);
        turn_off();
        expect_disks(3);
    }
    end_frozen();
}

static void test_deleted(void **state)
{
    (void)state;
    deleted(false);
    deleted(true);
}

static int checkpoint(const char *name)
{
    libxl_domain_checkpoint_args c;
    int rc;

    libxl_domain_checkpoint_args_init(&c);
    c.name = strdup(name);
    rc = libxl_domain_checkpoint_create(ctx, fake.domid, &c, &how, NULL);
    libxl_domain_checkpoint_args_dispose(&c);
    return rc;
}

static void expect_no_broken(int num)
{
    libxl_disk_checkpoint_list list;
    int i;

    libxl_disk_checkpoint_list_init(&list);
    assert_int_equal(libxl_domain_checkpoint_list(ctx, fake.domid, &list,
                                                  &how), 0);
    assert_int_equal(list.num_checkpoints, num);
    for (i = 0; i < num; i++)
        assert_null(list.checkpoints[i].broken);
    libxl_disk_checkpoint_list_dispose(&list);
}

/* QEMU stores the bitmaps when it goes read-only, and the file grows. */
static void test_with_bitmaps(void **state)
{
    char name[16];
    int i;

    (void)state;
    make_external(1);
    if (!in_place()) {
        end();
        skip();
    }
    libxl_domain_snapshot_args_init(&in);
    assert_int_equal(create_kind("i", &in, LIBXL_DISK_SNAPSHOT_KIND_INTERNAL,
                                 NULL), 0);
    for (i = 0; i < 8; i++) {
        snprintf(name, sizeof(name), "c%d", i);
        assert_int_equal(checkpoint(name), 0);
        /* Not over what is there: the deletion is to free little. */
        bed_write(0, 10 + i, 2);
    }
    assert_int_equal(external("e", &args), 0);
    in.disks[0].u.internal.internal_path = strdup(args.disks[0]
                                                  .u.external.base_path);
    assert_int_equal(delete(&in), 0);
    expect_no_broken(8);
    expect_running();
    assert_int_equal(external("f", &args), 0);
    expect_no_broken(8);
    write_disks(7);
    turn_off();
    expect_disks(7);
    libxl_domain_snapshot_args_dispose(&in);
    end();
}

/* After a start of the domain the base's node is QEMU's own. */
static void test_after_restart(void **state)
{
    (void)state;
    make_frozen(true);
    turn_off();
    assert_int_equal(libxl_domain_disk_names_put_right(ctx, first[0], &how),
                     0);
    start_from_first();
    assert_int_equal(delete(&in), XLSS(NOT_POSSIBLE));
    assert_true(holds("i"));
    expect_running();
    write_disks(5);
    turn_off();
    expect_disks(5);
    assert_true(holds("j"));
    /* Off it is possible everywhere. */
    look_at(0, first[0], "");
    assert_int_equal(delete(&in), 0);
    assert_false(holds("i"));
    expect_disks(5);
    look_at(0, base, "");
    expect_disks(3);
    end_frozen();
}

/* Fails the n-th call: the guest runs, and it can be done again. */
static void fails(enum fault fault)
{
    int n, rc;

    for (n = 1;; n = fault_next(n)) {
        make_frozen(true);
        if (!in_place()) {
            end_frozen();
            return;
        }
        fake.calls = 0;
        fake.fail_at = n;
        fake.fault = fault;
        rc = delete(&in);
        fake.fail_at = 0;
        print_message("%d %s: %s\n", n, fake.failed_call,
                      libxl_snapshot_strerror(rc));
        expect_running();
        write_disks(5);
        assert_int_equal(delete(&in), 0);
        assert_false(holds("i"));
        expect_running();
        turn_off();
        expect_disks(5);
        look_at(0, base, "");
        expect_disks(3);
        end_frozen();
        if (!fake.failed)
            break;
    }
    assert_int_equal(rc, 0);
    assert_true(n > 10);
}

static void test_fails(void **state)
{
    (void)state;
    fails(FAULT_BEFORE);
    fails(FAULT_AFTER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deleted),
        cmocka_unit_test(test_with_bitmaps),
        cmocka_unit_test(test_after_restart),
        cmocka_unit_test(test_fails),
    };

    alarm(1200);
    if (!scene_begin())
        return 1;
    return GROUP_RUN(tests, scene_abandon);
}
