/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxl_domain_block_export_add and _remove: others' readers don't notice,
 * and what fails leaves the export as it was.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nbd_scene.h"

static void name_disk(const char *vdev)
{
    args.disks = calloc(1, sizeof(*args.disks));
    args.num_disks = 1;
    libxl_block_export_disk_init(&args.disks[0]);
    args.disks[0].vdev = strdup(vdev);
}

/* Of one disk alone. */
static void export_one(const char *vdev)
{
    fresh();
    name_disk(vdev);
    assert_int_equal(export(), 0);
    assert_int_equal(args.num_disks, 1);
}

/* args become those of the whole. */
static int add(const char *vdev)
{
    char *id = strdup(args.id);

    fresh();
    args.id = id;
    name_disk(vdev);
    return libxl_domain_block_export_add(ctx, fake.domid, &args, &how, NULL);
}

static int take_out(const char *vdev)
{
    return libxl_domain_block_export_remove(ctx, fake.domid, args.id, vdev,
                                            &how);
}

/* What the list says, which is what the record says. */
static void look_again(void)
{
    libxl_block_export_list list;

    libxl_block_export_list_init(&list);
    assert_int_equal(libxl_domain_block_export_list(ctx, fake.domid, &list,
                                                    &how), 0);
    assert_int_equal(list.num_exports, 1);
    libxl_block_export_dispose(&args);
    libxl_block_export_init(&args);
    libxl_block_export_copy(ctx, &args, &list.exports[0]);
    libxl_block_export_list_dispose(&list);
}

/* A reader that goes on for some time: its process. */
static pid_t slow_reader(int disk)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(run("qemu-img bench -U -f raw -t none -c 4000 -d 1 -s 4096 "
                  "'%s' >/dev/null 2>&1", args.disks[disk].uri));
    return pid;
}

static int status_of(pid_t pid)
{
    int status;

    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static void test_add_and_remove(void **state)
{
    char *uri, *gone;
    pid_t reader;

    (void)state;
    make(3);
    writer_start(5);
    assert_int_equal(snapshot(NULL, NULL), 0);
    export_one("xvda");
    uri = strdup(args.disks[0].uri);
    reader = slow_reader(0);
    assert_int_equal(add("xvdb"), 0);
    assert_int_equal(args.num_disks, 2);
    assert_string_equal(args.disks[0].uri, uri);
    assert_int_equal(add("xvdc"), 0);
    assert_int_equal(args.num_disks, 3);
    expect_truth(1);
    expect_truth(2);
    gone = strdup(args.disks[1].uri);
    assert_int_equal(take_out("xvdb"), 0);
    assert_int_equal(status_of(reader), 0);
    look_again();
    assert_int_equal(args.num_disks, 2);
    assert_true(args.running);
    expect_truth(0);
    expect_truth(1);
    assert_int_not_equal(run("nbdinfo '%s' >/dev/null 2>&1", gone), 0);
    /* And in again. */
    assert_int_equal(add("xvdb"), 0);
    expect_truth(2);
    assert_true(writer_writes > 10);
    assert_int_equal(drop(), XLSS(BUSY));
    free(uri);
    free(gone);
    finish();
}

/* Who reads the disk that goes is cut off, and nothing waits for it. */
static void test_a_reader_is_cut_off(void **state)
{
    pid_t reader;

    (void)state;
    make(2);
    assert_int_equal(snapshot(NULL, NULL), 0);
    fresh();
    assert_int_equal(export(), 0);
    reader = slow_reader(1);
    usleep(100000);
    assert_int_equal(take_out("xvdb"), 0);
    assert_int_not_equal(status_of(reader), 0);
    look_again();
    expect_truth(0);
    finish();
}

static void test_changes(void **state)
{
    (void)state;
    make(2);
    assert_int_equal(snapshot(NULL, "c1"), 0);
    assert_int_equal(drop(), 0);
    bed_write(0, 3, 33);
    bed_write(1, 62, 36);
    assert_int_equal(snapshot("c1", NULL), 0);
    export_one("xvda");
    assert_int_equal(add("xvdb"), 0);
    expect_dirty(0, "3145728 1048576,");
    expect_dirty(1, "65011712 1048576,");
    expect_truth(1);
    assert_int_equal(take_out("xvda"), 0);
    look_again();
    expect_dirty(0, "65011712 1048576,");
    finish();
}

static void test_refusals(void **state)
{
    (void)state;
    make(2);
    assert_int_equal(snapshot(NULL, NULL), 0);
    export_one("xvda");
    assert_int_equal(add("xvdq"), ERROR_NOTFOUND);
    look_again();
    assert_int_equal(add("xvda"), XLSS(EXISTS));
    look_again();
    assert_int_equal(take_out("xvdb"), ERROR_NOTFOUND);
    assert_int_equal(take_out("xvda"), ERROR_INVAL);
    assert_int_equal(take_out(NULL), ERROR_NOTFOUND);
    assert_int_equal(libxl_domain_block_export_remove(ctx, fake.domid,
                         "00000000", "xvda", &how), ERROR_NOTFOUND);
    expect_truth(0);
    assert_int_equal(run("pkill -KILL -f '%s/[x]lbs'", bed.dir), 0);
    usleep(200000);
    assert_int_equal(add("xvdb"), ERROR_FAIL);
    look_again();
    finish();
}

/* Each call on the way fails: before, or after it was done. */
static void every_fault(int fault)
{
    int n, rc = -1;

    make(2);
    assert_int_equal(snapshot(NULL, "c1"), 0);
    assert_int_equal(drop(), 0);
    bed_write(1, 62, 36);
    assert_int_equal(snapshot("c1", NULL), 0);
    truth_wanted(false);
    export_one("xvda");
    for (n = 1; n < 100 && rc; n = fault_next(n)) {
        fake.calls = 0;
        fake.fail_at = n;
        fake.fault = fault;
        fake.failed = false;
        rc = add("xvdb");
        fake.fail_at = 0;
        look_again();
        if (!rc && fake.failed) {
            assert_int_equal(take_out("xvdb"), 0);
            rc = -1;
            look_again();
        }
        if (rc)
            assert_int_equal(args.num_disks, 1);
        expect_truth(0);
    }
    assert_in_range(n, 8, 99);
    expect_truth(1);
    expect_dirty(1, "65011712 1048576,");
    finish();
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

/* Whoever changes it is killed at each call: it can be stopped. */
static void test_the_changer_dies(void **state)
{
    int n, status = 1;
    pid_t pid;

    (void)state;
    make(2);
    truth_wanted(false);
    assert_int_equal(snapshot(NULL, NULL), 0);
    for (n = 1; n < 100; n = fault_next(n)) {
        export_one("xvda");
        pid = fork();
        if (pid == 0) {
            fake.calls = 0;
            fake.fail_at = n;
            fake.fault = FAULT_WE_DIE;
            _exit(add("xvdb") || take_out("xvda"));
        }
        waitpid(pid, &status, 0);
        look_again();
        assert_int_equal(stop(), 0);
        expect_clean();
        if (WIFEXITED(status))
            break;
    }
    assert_in_range(n, 8, 99);
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(drop(), 0);
    unmake();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_and_remove),
        cmocka_unit_test(test_a_reader_is_cut_off),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_every_call_fails),
        cmocka_unit_test(test_every_reply_is_lost),
        cmocka_unit_test(test_the_changer_dies),
    };

    cmocka_set_test_filter(getenv("TEST"));
    if (!scene_begin())
        return 1;
    return GROUP_RUN(tests, scene_abandon);
}
