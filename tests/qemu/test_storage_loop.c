/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Disks that somebody else has open: blkback's way, a loop device on the
 * file, and snapshots that are being read.
 */
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage_scene.h"

static char loop[32];

static void attach_loop(bool direct)
{
    FILE *p;
    char command[512];

    snprintf(command, sizeof(command), "losetup -f --show --direct-io=%s "
             "'%s'", direct ? "on" : "off", bed.path[0]);
    p = popen(command, "r");
    assert_non_null(fgets(loop, sizeof(loop), p));
    pclose(p);
    loop[strcspn(loop, "\n")] = '\0';
}

/* As blkback writes: not through the device's page cache. */
static void write_loop(int flags, int pattern)
{
    int dev = open(loop, O_RDWR | flags | O_CLOEXEC);
    void *block = NULL;

    assert_true(dev >= 0);
    assert_int_equal(posix_memalign(&block, 4096, 1 << 20), 0);
    memset(block, pattern, 1 << 20);
    assert_int_equal(pwrite(dev, block, 1 << 20, 0), 1 << 20);
    fake.tick = pattern;
    free(block);
    if (flags)
        close(dev);
    /* else left open: a close would write the page cache out */
}

static bool clone_reads(const char *name, int pattern)
{
    return !run("qemu-io -r -f raw -c 'read -q -P %d 0 1M' 'file:%s' "
                "> /dev/null 2>&1", pattern, clone_of(0, name));
}

/* What the loop device has acknowledged is in the snapshot. */
static void loop_is_seen(bool direct)
{
    char name[8] = "a0";
    int i;

    make_disks("p", false);
    attach_loop(direct);
    for (i = 0; i < 5; i++) {
        write_loop(O_DIRECT, 20 + i);
        fresh_args();
        name[1] = '0' + i;
        assert_int_equal(take(name), 0);
        assert_true(clone_reads(name, 20 + i));
    }
    /* Somebody in dom0 writes through the device's own page cache. */
    write_loop(0, 40);
    fresh_args();
    assert_int_equal(take("b"), 0);
    assert_true(clone_reads("b", 40));
    run("losetup -d %s", loop);
    end();
}

static void test_loop(void **state)
{
    (void)state;
    loop_is_seen(false);
}

static void test_loop_direct(void **state)
{
    (void)state;
    loop_is_seen(true);
}

/* The hotplug script detaches it some time after the domain's end. */
static void test_loop_goes_late(void **state)
{
    pid_t pid;

    (void)state;
    make_disks("p", false);
    assert_int_equal(take("s1"), 0);
    write_disks(2);
    attach_loop(false);
    pid = fork();
    if (pid == 0) {
        sleep(1);
        run("losetup -d %s", loop);
        _exit(0);
    }
    assert_int_equal(take_back(true), 0);
    waitpid(pid, NULL, 0);
    expect_disks(1);
    end();
}

/* Somebody looks for a file in it. */
static void test_snapshot_in_use(void **state)
{
    (void)state;
    make_disks("p", false);
    assert_int_equal(take("s1"), 0);
    assert_int_equal(run("losetup -r -f '%s'", clone_of(0, "s1")), 0);
    assert_int_equal(delete(), XLSS(NOT_POSSIBLE));
    assert_int_equal(num_clones(), 1);
    run("losetup -d $(losetup -n -O NAME -j '%s' | head -n 1)",
        clone_of(0, "s1"));
    assert_int_equal(delete(), 0);
    end();
}

static int on_btrfs(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_loop_direct),
        cmocka_unit_test(test_loop_goes_late),
        cmocka_unit_test(test_snapshot_in_use),
    };

    return cmocka_run_group_tests_name("btrfs", tests, NULL, NULL);
}

static int on_xfs(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_loop_direct),
    };

    return cmocka_run_group_tests_name("xfs", tests, NULL, NULL);
}

int main(void)
{
    return run_on_both(on_btrfs, on_xfs);
}
