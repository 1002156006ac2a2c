/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxl_domain_backup_*: whatever call fails, and whoever dies, nothing is
 * left, and the guest runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backup_scene.h"

/* Before or after it did what it should. */
static void every_fault(enum fault fault)
{
    int n, rc, left = 0;

    make(2);
    truth_wanted(false);
    for (n = 1; n < 200; n = fault_next(n)) {
        fake.calls = 0;
        fake.failed = false;
        fake.fail_at = n;
        fake.fault = fault;
        targets("full", LIBXL_DISK_FORMAT_QCOW2);
        rc = start();
        fake.fail_at = 0;
        if (!fake.failed) {
            assert_int_equal(rc, 0);
            break;
        }
        if (rc == 0 || rc == XLSS(NEEDS_REPAIR)) {
            left += rc != 0;
            if (getenv("V"))
                fprintf(stderr, "call %d (%s): %d\n", n, fake.failed_call,
                        rc);
            assert_int_equal(cancel(), 0);
            run("rm -f %s/full-*", bed.dir);
        }
        if (run("ls %s | grep -q full-", bed.dir) == 0)
            fail_msg("call %d (%s) left a target", n, fake.failed_call);
        expect_clean();
    }
    assert_in_range(n, 30, 199);
    assert_in_range(left, 0, 1);
    assert_int_equal(cancel(), 0);
    expect_disks_whole();
    unmake();
}

static void test_every_call_fails(void **state)
{
    (void)state;
    every_fault(FAULT_BEFORE);
}

static void test_every_reply_is_lost(void **state)
{
    (void)state;
    every_fault(FAULT_AFTER);
}

/* The end is as patient: who tries it again finds all that is left. */
static void every_fault_at_end(enum fault fault)
{
    int n, rc;

    make(2);
    truth_wanted(false);
    for (n = 1; n < 200; n = fault_next(n)) {
        targets("full", LIBXL_DISK_FORMAT_QCOW2);
        assert_int_equal(start(), 0);
        assert_int_equal(wait_for_end(), LIBXL_BACKUP_STATE_COPIED);
        fake.calls = 0;
        fake.failed = false;
        fake.fail_at = n;
        fake.fault = fault;
        rc = finish();
        fake.fail_at = 0;
        if (rc) {
            if (getenv("V"))
                fprintf(stderr, "call %d (%s): %d\n", n, fake.failed_call,
                        rc);
            assert_true(fake.failed);
            rc = finish();
            /* All but the last word of it was done. */
            if (rc != ERROR_NOTFOUND)
                assert_int_equal(rc, 0);
        }
        expect_clean();
        run("rm %s/full-*", bed.dir);
        if (!fake.failed)
            break;
    }
    assert_in_range(n, 30, 199);
    expect_disks_whole();
    unmake();
}

static void test_end_fails(void **state)
{
    (void)state;
    every_fault_at_end(FAULT_BEFORE);
    every_fault_at_end(FAULT_AFTER);
}

static void test_qemu_dies(void **state)
{
    (void)state;
    make(1);
    targets("full", LIBXL_DISK_FORMAT_QCOW2);
    args.speed = 1 << 20;
    assert_int_equal(start(), 0);
    bed_kill_qemu();
    assert_int_equal(libxl_domain_backup_status(ctx, fake.domid, &args, &how),
                     XLSS(NO_QEMU));
    assert_int_equal(finish(), XLSS(NO_QEMU));
    /* The domain starts again; there is no backup any more. */
    bed_start_qemu();
    assert_int_equal(libxl_domain_backup_status(ctx, fake.domid, &args, &how),
                     ERROR_NOTFOUND);
    assert_int_equal(cancel(), ERROR_NOTFOUND);
    assert_int_equal(access(args.disks[0].scratch, F_OK), 0);
    unmake();
}

/* Of a block snapshot, or of a backup that has not begun. */
static void stop_view(const libxl_block_snapshot *which)
{
    int rc = libxl_domain_block_snapshot_delete(ctx, fake.domid, which, true,
                                                &how, NULL);

    if (rc == XLSS(BUSY))
        rc = cancel();
    assert_int_equal(rc, 0);
}

/* The process that makes it is killed at each of its calls; another one
 * stops it, and nothing is left. */
static void test_the_maker_dies(void **state)
{
    libxl_block_snapshot_list list;
    int n, i, status;
    pid_t pid;

    (void)state;
    make(2);
    truth_wanted(false);
    for (n = 1; n < 200; n = fault_next(n)) {
        pid = fork();
        if (pid == 0) {
            fake.calls = 0;
            fake.fail_at = n;
            fake.fault = FAULT_WE_DIE;
            targets("full", LIBXL_DISK_FORMAT_QCOW2);
            args.checkpoint = strdup("c1");
            start();
            _exit(0);
        }
        waitpid(pid, &status, 0);
        /* As the guard does it. */
        assert_int_equal(bed_qmp("cont", NULL), 0);
        fake.pauses = 0;
        forget();
        if (libxl_domain_backup_status(ctx, fake.domid, &args, &how) == 0)
            assert_int_equal(cancel(), 0);
        libxl_block_snapshot_list_init(&list);
        assert_int_equal(libxl_domain_block_snapshot_list(ctx, fake.domid,
                                                          &list, &how), 0);
        for (i = 0; i < list.num_snapshots; i++)
            stop_view(&list.snapshots[i]);
        libxl_block_snapshot_list_dispose(&list);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            break;
        }
        run("rm -f %s/*scratch %s/full-*", bed.dir, bed.dir);
        assert_int_equal(num_checkpoints(), 0);
        expect_clean();
    }
    assert_in_range(n, 30, 199);
    unmake();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call_fails),
        cmocka_unit_test(test_every_reply_is_lost),
        cmocka_unit_test(test_end_fails),
        cmocka_unit_test(test_qemu_dies),
        cmocka_unit_test(test_the_maker_dies),
    };

    alarm(600);
    if (!scene_begin())
        return 1;
    cmocka_set_test_filter(getenv("TEST"));
    return GROUP_RUN(tests, scene_abandon);
}
