/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Snapshots that are kept outside of QEMU, on a btrfs and an XFS of the
 * test's own: raw files behind a real QEMU, and behind none, as blkback has
 * them, with and without a loop device.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk/clone.h"
#include "scene.h"

/* What can fail on a full or broken filesystem. */
int __real_libxlss__clone(struct libxlss__op *op, const char *from,
                          const char *to, mode_t mode);
int __wrap_libxlss__clone(struct libxlss__op *op, const char *from,
                          const char *to, mode_t mode);
int __wrap_libxlss__clone(struct libxlss__op *op, const char *from,
                          const char *to, mode_t mode)
{
    bool after;

    /* It leaves nothing behind when it fails. */
    if (fake_fails("clone", &after) || after)
        return XLSS(NO_SPACE);
    return __real_libxlss__clone(op, from, to, mode);
}

int __real_libxlss__sync_file(struct libxlss__op *op, const char *path);
int __wrap_libxlss__sync_file(struct libxlss__op *op, const char *path);
int __wrap_libxlss__sync_file(struct libxlss__op *op, const char *path)
{
    bool after;
    int rc;

    if (fake_fails("sync_file", &after))
        return ERROR_FAIL;
    rc = __real_libxlss__sync_file(op, path);
    return after ? ERROR_FAIL : rc;
}

int __real_libxlss__file_rename(struct libxlss__op *op, const char *from,
                                const char *to);
int __wrap_libxlss__file_rename(struct libxlss__op *op, const char *from,
                                const char *to);
int __wrap_libxlss__file_rename(struct libxlss__op *op, const char *from,
                                const char *to)
{
    bool after;
    int rc;

    if (fake_fails("rename", &after))
        return ERROR_FAIL;
    rc = __real_libxlss__file_rename(op, from, to);
    return after ? ERROR_FAIL : rc;
}

static libxl_domain_snapshot_safety safety;
static char top[64];            /* where the filesystem is mounted */

/* --- the filesystem --- */

__attribute__((format(printf, 1, 2)))
static int run(const char *fmt, ...)
{
    char command[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(command, sizeof(command), fmt, ap);
    va_end(ap);
    return system(command);
}

static const char *mount_fs(const char *fs)
{
    strcpy(top, "/tmp/xlss-fs-XXXXXX");
    if (!mkdtemp(top))
        return "mkdtemp";
    if (run("truncate -s 512M %s.img && mkfs.%s -q %s.img > /dev/null 2>&1",
            top, fs, top))
        return "its mkfs is not there or fails";
    if (run("mount -o loop %s.img %s 2> /dev/null", top, top))
        return "it can't be mounted (no loop devices, or not root)";
    return NULL;
}

static void unmount_fs(void)
{
    umount2(top, MNT_DETACH);
    rmdir(top);
    run("rm -f %s.img", top);
}

/* --- a domain on it --- */

/* kinds: a letter for each disk: q(cow2), r(aw), p(hy). */
static void make_disks(const char *kinds, bool hvm)
{
    int i;

    bed_next_base(top);
    for (i = 0; kinds[i]; i++)
        if (kinds[i] == 'r')
            bed_next_raw(i);
        else if (kinds[i] == 'p')
            bed_next_phy(i);
    make_bed(i, hvm, false);
    libxl_domain_snapshot_safety_init(&safety);
    safety.name = strdup("xlss-safety");
    safety.memory_fd = memory_file("safety");
}

static void end(void)
{
    close(safety.memory_fd);
    libxl_domain_snapshot_safety_dispose(&safety);
    remove_bed();
}

/* The disk's kind is for the next create. */
static void ask(const char *vdev, libxl_disk_snapshot_kind kind)
{
    libxl_disk_snapshot *d;

    args.disks = realloc(args.disks,
                         (args.num_disks + 1) * sizeof(*args.disks));
    d = &args.disks[args.num_disks++];
    libxl_disk_snapshot_init(d);
    d->device.vdev = strdup(vdev);
    libxl_disk_snapshot_init_kind(d, kind);
}

static void fresh_args(void)
{
    libxl_domain_snapshot_args_dispose(&args);
    libxl_domain_snapshot_args_init(&args);
}

/* With the kinds that were asked for. */
static int take(const char *name)
{
    args.name = strdup(name);
    return libxl_domain_snapshot_create(ctx, fake.domid, &args, fd, &how,
                                        NULL);
}

static int take_back(bool safe)
{
    uint32_t domid;

    lseek(safety.memory_fd, 0, SEEK_SET);
    return revert(&args, fd, safe ? &safety : NULL, &domid);
}

static int delete(void)
{
    return libxl_domain_snapshot_delete(ctx, fake.exists ? fake.domid
                                                         : XLSS_OFF,
                                        &args, &how, NULL);
}

/* Files beside the disks, sockets and locks excepted. */
static int num_clones(void)
{
    DIR *dir = opendir(bed.dir);
    struct dirent *e;
    int num = 0;

    while ((e = readdir(dir)))
        num += !strncmp(e->d_name, "disk", 4);
    closedir(dir);
    return num - bed.num_disks;
}

static const char *clone_of(int disk, const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s.%s", bed.path[disk], name);
    return path;
}

/* --- tests --- */

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

/* --- blkback's way: a loop device on the file --- */

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

/* --- every call fails once --- */

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
    for (n = 1;; n++) {
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

    for (n = 1, failed = true; failed; n++) {
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_qdisk),
        cmocka_unit_test(test_life_phy),
        cmocka_unit_test(test_life_mixed),
        cmocka_unit_test(test_disks_alone),
        cmocka_unit_test(test_qcow2_when_asked),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_name_taken),
        cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_link_owner_mode),
        cmocka_unit_test(test_nocow),
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_loop_direct),
        cmocka_unit_test(test_loop_goes_late),
        cmocka_unit_test(test_snapshot_in_use),
        cmocka_unit_test(test_other_filesystem),
        cmocka_unit_test(test_fail_create),
        cmocka_unit_test(test_fail_revert),
        cmocka_unit_test(test_recover_create),
        cmocka_unit_test(test_revert_again),
    };
    const struct CMUnitTest on_xfs[] = {
        cmocka_unit_test(test_life_mixed),
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_loop_direct),
    };
    int failed = 0, done = 0;
    static const char *const systems[] = { "btrfs", "xfs" };
    const char *why = NULL;
    size_t i;

    alarm(1100);
    if (!scene_begin())
        return 1;
    for (i = 0; i < 2; i++) {
        why = mount_fs(systems[i]);
        if (!why && i == 0)
            failed += cmocka_run_group_tests_name("btrfs", tests, NULL, NULL);
        else if (!why)
            failed += cmocka_run_group_tests_name("xfs", on_xfs, NULL, NULL);
        unmount_fs();
        done += !why;
        if (why)
            printf("# no %s here: %s\n", systems[i], why);
    }
    return failed ? 1 : done ? 0 : 77;
}
