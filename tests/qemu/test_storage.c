/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Snapshots that are kept outside of QEMU, on a btrfs and an XFS of the
 * test's own: raw files behind a real QEMU, and behind none, as blkback has
 * them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage_scene.h"

static void life(const char *kinds, bool hvm)
{
    int i, round, clones = 0;
    struct stat st;

    make_disks(kinds, hvm);
    assert_int_equal(take("s1"), 0);
    expect_running();
    assert_int_equal(args.num_disks, bed.num_disks);
    for (i = 0; i < bed.num_disks; i++) {
        assert_int_equal(args.disks[i].size, 64 << 20);
        if (!strcmp(bed.format[i], "qcow2")) {
            assert_int_equal(args.disks[i].kind,
                             LIBXL_DISK_SNAPSHOT_KIND_INTERNAL);
            assert_true(bed_has_snapshot(i, "s1"));
            continue;
        }
        clones++;
        assert_int_equal(args.disks[i].kind, LIBXL_DISK_SNAPSHOT_KIND_REFLINK);
        assert_string_equal(args.disks[i].u.reflink.reflink_path,
                            clone_of(i, "s1"));
        assert_int_equal(lstat(clone_of(i, "s1"), &st), 0);
        assert_int_equal(st.st_mode, S_IFREG | 0400);
    }
    assert_int_equal(num_clones(), clones);
    for (round = 0; round < 2; round++) {
        write_disks(2 + round);
        assert_int_equal(take_back(true), 0);
        assert_int_equal(fake.tick, 1);
        expect_running();
        assert_int_equal(num_clones(), clones);
        for (i = 0; i < bed.num_disks; i++)
            if (bed.phy[i])
                assert_true(bed_reads(i, 0, 1));
    }
    assert_int_equal(delete(), 0);
    assert_int_equal(delete(), 0);
    assert_int_equal(num_clones(), 0);
    expect_running();
    bed_stop_qemu();
    expect_disks(1);
    end();
}

static void test_life_qdisk(void **state)
{
    (void)state;
    life("rr", false);
    life("r", true);
}

/* No QEMU at all. */
static void test_life_phy(void **state)
{
    (void)state;
    life("pp", false);
}

static void test_life_mixed(void **state)
{
    (void)state;
    life("qrp", false);
    life("qrp", true);
}

/* Without memory: the domain is paused, not suspended. */
static void test_disks_alone(void **state)
{
    int memory = -1;

    (void)state;
    make_disks("rp", true);
    memory = fd;
    fd = -1;
    assert_int_equal(take("s1"), 0);
    expect_running();
    assert_int_equal(num_clones(), 2);
    fd = memory;
    end();
}

/* QEMU's `stop` writes qcow2's metadata, so a clone of it is whole. */
static void test_qcow2_when_asked(void **state)
{
    (void)state;
    make_disks("q", false);
    ask("xvda", LIBXL_DISK_SNAPSHOT_KIND_REFLINK);
    bed_write(0, 7, 3);
    assert_int_equal(take("s1"), 0);
    assert_int_equal(args.disks[0].kind, LIBXL_DISK_SNAPSHOT_KIND_REFLINK);
    assert_int_equal(bed_num_snapshots(0), 0);
    bed_write(0, 7, 4);
    write_disks(2);
    assert_int_equal(take_back(true), 0);
    bed_stop_qemu();
    expect_disks(1);
    assert_true(bed_reads(0, 7, 3));
    end();
}

/* That this MiB alone was written since, on every disk. */
static void expect_dirty(const char *since, int mib)
{
    libxl_domain_dirty_args which;
    libxl_domain_dirty out;
    int i;

    libxl_domain_dirty_init(&out);
    libxl_domain_dirty_args_init(&which);
    which.since = strdup(since);
    assert_int_equal(libxl_domain_checkpoint_dirty(ctx, fake.domid, &which,
                                                   &out, &how, NULL), 0);
    assert_int_equal(out.num_disks, bed.num_disks);
    for (i = 0; i < out.num_disks; i++) {
        assert_int_equal(out.disks[i].num_extents, 1);
        assert_int_equal(out.disks[i].extents[0].offset,
                         (uint64_t)mib << 20);
        assert_int_equal(out.disks[i].extents[0].length, 1 << 20);
    }
    libxl_domain_dirty_args_dispose(&which);
    libxl_domain_dirty_dispose(&out);
}

/* A disk's clone is made before the transaction in which its checkpoint
 * begins, and the guest stands still for both. */
static void with_checkpoint(const char *kinds, libxl_disk_snapshot_kind kind,
                            bool hvm)
{
    int i;

    make_disks(kinds, hvm);
    args.kind = kind;
    args.checkpoint = strdup("c1");
    for (i = 0; i < bed.num_disks; i++)
        bed_write(i, 6, 3);
    assert_int_equal(take("s1"), 0);
    for (i = 0; i < bed.num_disks; i++)
        bed_write(i, 8, 4);
    expect_dirty("c1", 8);
    fresh_args();
    args.kind = kind;
    args.checkpoint = strdup("c2");
    assert_int_equal(take("s2"), 0);
    for (i = 0; i < bed.num_disks; i++)
        bed_write(i, 9, 5);
    expect_dirty("c2", 9);
    assert_int_equal(delete(), 0);
    expect_dirty("c2", 9);
    end();
}

static void test_checkpoint(void **state)
{
    (void)state;
    with_checkpoint("qr", LIBXL_DISK_SNAPSHOT_KIND_ANY, false);
    with_checkpoint("rr", LIBXL_DISK_SNAPSHOT_KIND_ANY, true);
    with_checkpoint("q", LIBXL_DISK_SNAPSHOT_KIND_REFLINK, false);
}

/* blkback's disks can't have one, though they can have a snapshot. */
static void test_no_checkpoint(void **state)
{
    (void)state;
    make_disks("rp", false);
    args.checkpoint = strdup("c1");
    assert_int_equal(take("s1"), XLSS(NOT_POSSIBLE));
    assert_int_equal(num_clones(), 0);
    assert_int_equal(fake.saves, 0);
    expect_running();
    end();
}

/* Left out, and known to be; it stays as it is. */
static void test_left_out(void **state)
{
    (void)state;
    make_disks("rq", false);
    ask("xvda", LIBXL_DISK_SNAPSHOT_KIND_NONE);
    assert_int_equal(take("s1"), 0);
    assert_int_equal(args.num_disks, 2);
    assert_string_equal(args.disks[0].device.vdev, "xvda");
    assert_int_equal(args.disks[0].kind, LIBXL_DISK_SNAPSHOT_KIND_NONE);
    assert_null(args.disks[0].name);
    assert_int_equal(num_clones(), 0);
    write_disks(2);
    assert_int_equal(take_back(true), 0);
    assert_int_equal(delete(), 0);
    bed_stop_qemu();
    assert_true(bed_reads(0, 0, 2));
    assert_true(bed_reads(1, 0, 1));
    end();
}

/* Somebody else's file of that name is not touched. */
static void test_name_taken(void **state)
{
    struct stat st;

    (void)state;
    make_disks("rp", false);
    assert_int_equal(run("echo theirs > '%s'", clone_of(1, "s1")), 0);
    assert_int_equal(take("s1"), XLSS(EXISTS));
    expect_running();
    assert_int_equal(stat(clone_of(1, "s1"), &st), 0);
    assert_int_equal(st.st_size, 7);
    assert_int_equal(num_clones(), 1);
    end();
}

static void test_long_name(void **state)
{
    char name[201];

    (void)state;
    make_disks("r", false);
    memset(name, 'n', 200);
    name[200] = '\0';
    assert_int_equal(take(name), 0);
    fresh_args();
    assert_int_equal(delete(), 0);
    end();
}

static void test_damaged(void **state)
{
    (void)state;
    make_disks("rq", false);
    assert_int_equal(take("s1"), 0);
    assert_int_equal(truncate(clone_of(0, "s1"), 4096), 0);
    write_disks(2);
    assert_int_equal(take_back(true), XLSS(DAMAGED));
    expect_running();
    assert_int_equal(unlink(clone_of(0, "s1")), 0);
    assert_int_equal(take_back(true), XLSS(DAMAGED));
    expect_running();
    assert_int_equal(fake.tick, 2);
    /* A folder in its place is not deleted. */
    assert_int_equal(mkdir(clone_of(0, "s1"), 0700), 0);
    assert_int_equal(delete(), XLSS(DAMAGED));
    rmdir(clone_of(0, "s1"));
    assert_int_equal(delete(), 0);
    end();
}

/* The file that the domain's link leads to is the one that changes. */
static void test_link_owner_mode(void **state)
{
    char target[160];
    struct stat st;

    (void)state;
    make_disks("p", false);
    snprintf(target, sizeof(target), "%s/real", bed.dir);
    assert_int_equal(rename(bed.path[0], target), 0);
    assert_int_equal(symlink("real", bed.path[0]), 0);
    assert_int_equal(chown(target, 12, 34), 0);
    assert_int_equal(chmod(target, 0640), 0);
    assert_int_equal(take("s1"), 0);
    write_disks(2);
    assert_int_equal(take_back(true), 0);
    assert_int_equal(lstat(bed.path[0], &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(lstat(target, &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0640);
    assert_int_equal(st.st_uid, 12);
    assert_int_equal(st.st_gid, 34);
    expect_disks(1);
    end();
}

/* btrfs: a file without copy-on-write is cloned to one of its kind only. */
static void test_nocow(void **state)
{
    int flags = FS_NOCOW_FL, file;

    (void)state;
    make_disks("p", false);
    assert_int_equal(unlink(bed.path[0]), 0);
    file = open(bed.path[0], O_RDWR | O_CREAT, 0600);
    if (ioctl(file, FS_IOC_SETFLAGS, &flags)) {
        close(file);
        end();
        skip();
    }
    assert_int_equal(ftruncate(file, 64 << 20), 0);
    close(file);
    bed_write(0, 5, 9);
    write_disks(1);
    assert_int_equal(take("s1"), 0);
    write_disks(2);
    assert_int_equal(take_back(true), 0);
    expect_disks(1);
    file = open(bed.path[0], O_RDONLY);
    assert_int_equal(ioctl(file, FS_IOC_GETFLAGS, &flags), 0);
    assert_true(flags & FS_NOCOW_FL);
    close(file);
    end();
}

/* --- no reflinks there --- */

static void test_other_filesystem(void **state)
{
    char saved[64];

    (void)state;
    strcpy(saved, top);
    strcpy(top, "/dev/shm");
    make_disks("r", false);
    ask("xvda", LIBXL_DISK_SNAPSHOT_KIND_REFLINK);
    assert_int_equal(take("s1"), XLSS(NOT_POSSIBLE));
    fresh_args();
    ask("xvda", LIBXL_DISK_SNAPSHOT_KIND_LVM);
    assert_int_equal(take("s1"), XLSS(NOT_POSSIBLE));
    expect_running();
    assert_int_equal(num_clones(), 0);
    end();
    /* And no other kind is possible behind blkback. */
    make_disks("p", false);
    assert_int_equal(take("s1"), XLSS(NOT_POSSIBLE));
    expect_running();
    assert_int_equal(num_clones(), 0);
    end();
    strcpy(top, saved);
}

static int on_btrfs(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_qdisk),
        cmocka_unit_test(test_life_phy),
        cmocka_unit_test(test_life_mixed),
        cmocka_unit_test(test_disks_alone),
        cmocka_unit_test(test_qcow2_when_asked),
        cmocka_unit_test(test_checkpoint),
        cmocka_unit_test(test_no_checkpoint),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_name_taken),
        cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_link_owner_mode),
        cmocka_unit_test(test_nocow),
        cmocka_unit_test(test_other_filesystem),
    };

    return cmocka_run_group_tests_name("btrfs", tests, NULL, NULL);
}

static int on_xfs(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_mixed),
    };

    return cmocka_run_group_tests_name("xfs", tests, NULL, NULL);
}

int main(void)
{
    return run_on_both(on_btrfs, on_xfs);
}
