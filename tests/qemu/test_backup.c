/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxl_domain_block_snapshot_* and libxl_domain_backup_*: what is copied
 * while the guest writes is what was there at the instant; what fails leaves
 * the guest as it was. qemu-img is the judge.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup_scene.h"

static void push(libxl_disk_format format, const char *f)
{
    struct stat st;
    int i;

    make(2);
    writer_start(1);
    targets("full", format);
    assert_int_equal(start(), 0);
    assert_int_equal(truths, 1);
    assert_non_null(args.id);
    assert_int_equal(wait_for_end(), LIBXL_BACKUP_STATE_COPIED);
    assert_int_equal(finish(), 0);
    assert_int_equal(args.state, LIBXL_BACKUP_STATE_DONE);
    assert_true(writer_writes > 10);
    writer_stop();
    for (i = 0; i < 2; i++) {
        assert_true(is_truth(i, f, args.disks[i].target));
        assert_int_equal(stat(args.disks[i].target, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(args.disks[i].size, 64 << 20);
    }
    expect_clean();
    /* The guest did write meanwhile: the test could fail. */
    expect_disks_whole();
    assert_false(is_truth(0, bed.format[0], bed.path[0]));
    unmake();
}

static void test_full_qcow2(void **state)
{
    (void)state;
    push(LIBXL_DISK_FORMAT_QCOW2, "qcow2");
}

static void test_full_raw(void **state)
{
    (void)state;
    push(LIBXL_DISK_FORMAT_RAW, "raw");
}

/* Many small writes beside a job at full speed. */
static void test_small_writes(void **state)
{
    int rounds = getenv("ROUNDS") ? atoi(getenv("ROUNDS")) : 3, i, r;
    unsigned int seed = getpid();

    (void)state;
    for (r = 0; r < rounds; r++) {
        make(1);
        targets("full", LIBXL_DISK_FORMAT_QCOW2);
        assert_int_equal(start(), 0);
        for (i = 0; i < 40; i++) {
            char text[160];

            snprintf(text, sizeof(text), "{\"command-line\":\"qemu-io -d "
                     "dev-xvda \\\"write -q -P 219 %u %u\\\"\"}",
                     (rand_r(&seed) % 130000) * 512,
                     (1 + rand_r(&seed) % 300) * 512);
            assert_int_equal(bed_qmp("human-monitor-command", text), 0);
        }
        assert_int_equal(wait_for_end(), LIBXL_BACKUP_STATE_COPIED);
        assert_int_equal(finish(), 0);
        if (!is_truth(0, "qcow2", args.disks[0].target)) {
            run("qemu-img compare -f qcow2 -F raw %s %s >&2",
                args.disks[0].target, in_bed("truth0.raw"));
            fail_msg("round %d differs", r);
        }
        unmake();
    }
}

/* What no image of the chain has doesn't fill the target with zeroes. */
static void images_below(libxl_disk_format format, const char *f)
{
    struct stat st;

    make(1);
    external_snapshot("e1");
    bed_write(0, 30, 99);
    targets("full", format);
    assert_int_equal(start(), 0);
    bed_write(0, 3, 98);
    assert_int_equal(wait_for_end(), LIBXL_BACKUP_STATE_COPIED);
    assert_int_equal(finish(), 0);
    assert_true(is_truth(0, f, args.disks[0].target));
    assert_int_equal(stat(args.disks[0].target, &st), 0);
    assert_in_range(st.st_blocks * 512, 9 << 20, 12 << 20);
    unmake();
}

static void test_images_below(void **state)
{
    (void)state;
    images_below(LIBXL_DISK_FORMAT_QCOW2, "qcow2");
    images_below(LIBXL_DISK_FORMAT_RAW, "raw");
}

static void test_raw_disk(void **state)
{
    (void)state;
    bed_next_raw(1);
    push(LIBXL_DISK_FORMAT_QCOW2, "qcow2");
}

/* To a server, and to none. */
static void test_to_nbd(void **state)
{
    char uri[256];

    (void)state;
    make(1);
    writer_start(7);
    assert_int_equal(run("truncate -s 64M '%s' && qemu-nbd --fork -f raw -x t "
                         "-k '%s' --pid-file='%s' '%s'", in_bed("store"),
                         in_bed("nbd sock"), in_bed("pid"),
                         in_bed("store")), 0);
    snprintf(uri, sizeof(uri), "nbd+unix:///t?socket=%s/nbd%%20sock",
             bed.dir);
    libxl_domain_backup_args_dispose(&args);
    libxl_domain_backup_args_init(&args);
    add_target("xvda", uri, LIBXL_DISK_FORMAT_RAW);
    assert_int_equal(start(), 0);
    assert_int_equal(wait_for_end(), LIBXL_BACKUP_STATE_COPIED);
    assert_int_equal(finish(), 0);
    /* It ends with its one client, some time after. */
    assert_int_equal(run("for i in $(seq 200); do pid=$(cat '%s' 2>/dev/null)"
                         " && kill -0 $pid 2>/dev/null || exit 0; sleep 0.1;"
                         " done; exit 1", in_bed("pid")), 0);
    assert_true(is_truth(0, "raw", in_bed("store")));
    expect_clean();
    assert_int_not_equal(start(), 0);
    expect_clean();
    unmake();
}

static void test_another_process(void **state)
{
    (void)state;
    make(2);
    writer_start(2);
    targets("full", LIBXL_DISK_FORMAT_QCOW2);
    args.speed = 16 << 20;
    assert_int_equal(start(), 0);
    forget();
    assert_int_equal(libxl_domain_backup_status(ctx, fake.domid, &args, &how),
                     0);
    assert_int_equal(args.state, LIBXL_BACKUP_STATE_RUNNING);
    assert_int_equal(args.num_disks, 2);
    assert_int_equal(finish(), XLSS(BUSY));
    assert_int_equal(wait_for_end(), LIBXL_BACKUP_STATE_COPIED);
    forget();
    assert_int_equal(finish(), 0);
    assert_true(is_truth(0, "qcow2", in_bed("full-xvda")));
    assert_true(is_truth(1, "qcow2", in_bed("full-xvdb")));
    expect_clean();
    assert_int_equal(finish(), ERROR_NOTFOUND);
    unmake();
}

static void test_cancel(void **state)
{
    (void)state;
    make(2);
    writer_start(3);
    targets("full", LIBXL_DISK_FORMAT_QCOW2);
    args.speed = 1 << 20;
    assert_int_equal(start(), 0);
    assert_int_equal(cancel(), 0);
    assert_int_equal(args.state, LIBXL_BACKUP_STATE_FAILED);
    assert_int_not_equal(access(in_bed("full-xvda"), F_OK), 0);
    writer_stop();
    expect_clean();
    assert_int_equal(cancel(), ERROR_NOTFOUND);
    expect_disks_whole();
    unmake();
}

static int snapshot(void)
{
    libxl_domain_snapshot_args a;
    int rc;

    libxl_domain_snapshot_args_init(&a);
    a.name = strdup("s1");
    rc = libxl_domain_snapshot_create(ctx, fake.domid, &a, -1, &how, NULL);
    libxl_domain_snapshot_args_dispose(&a);
    return rc;
}

static void test_others_wait(void **state)
{
    char *id;

    (void)state;
    make(1);
    targets("full", LIBXL_DISK_FORMAT_QCOW2);
    args.speed = 16 << 20;
    assert_int_equal(start(), 0);
    id = strdup(args.id);
    assert_int_equal(snapshot(), XLSS(BUSY));
    targets("second", LIBXL_DISK_FORMAT_QCOW2);
    assert_int_equal(start(), XLSS(BUSY));
    assert_int_not_equal(access(in_bed("second-xvda"), F_OK), 0);
    assert_true(bed_running());
    forget();
    assert_int_equal(wait_for_end(), LIBXL_BACKUP_STATE_COPIED);
    assert_string_equal(args.id, id);
    /* The job has ended, the view is still there. */
    assert_int_equal(snapshot(), XLSS(BUSY));
    assert_int_equal(finish(), 0);
    assert_int_equal(snapshot(), 0);
    assert_true(bed_has_snapshot(0, "s1"));
    free(id);
    unmake();
}

/* The guest's writes go on, and only the backup fails. */
static void test_scratch_full(void **state)
{
    char text[96];
    int mib;

    (void)state;
    make(1);
    targets("full", LIBXL_DISK_FORMAT_QCOW2);
    args.speed = 1 << 20;
    args.scratch_max = 2 << 20;
    assert_int_equal(start(), 0);
    for (mib = 0; mib < 8; mib++)
        bed_write(0, 7 - mib, 200);
    assert_int_equal(libxl_domain_backup_status(ctx, fake.domid, &args, &how),
                     0);
    /* Without the limit on speed it ends at once; on a busy machine it may
     * have found out by now. */
    snprintf(text, sizeof(text), "{\"device\":\"xlbs-%s-xvda\",\"speed\":0}",
             args.id);
    bed_qmp("block-job-set-speed", text);
    assert_int_equal(wait_for_end(), LIBXL_BACKUP_STATE_FAILED);
    assert_non_null(strstr(args.disks[0].error, "scratch file is full"));
    assert_int_equal(finish(), ERROR_FAIL);
    assert_int_equal(args.state, LIBXL_BACKUP_STATE_FAILED);
    expect_clean();
    assert_int_not_equal(access(in_bed("full-xvda"), F_OK), 0);
    bed_stop_qemu();
    for (mib = 0; mib < 8; mib++)
        assert_true(bed_reads(0, mib, 200));
    assert_true(bed_check_clean(0));
    unmake();
}

/* --- incremental --- */

static int last;                /* number of the last good backup */

/* Backup N of every disk: full where N is 0, else since the one before, and
 * based on it. Its checkpoint is cN. */
static void backup_args(int n)
{
    char name[16];
    int i;

    snprintf(name, sizeof(name), "b%d", n);
    targets(name, LIBXL_DISK_FORMAT_QCOW2);
    snprintf(name, sizeof(name), "c%d", n);
    args.checkpoint = strdup(name);
    for (i = 0; n && i < args.num_disks; i++) {
        args.disks[i].base = strdup(in_bed("b%d-%s", last, bed.vdev[i]));
        args.disks[i].base_format = LIBXL_DISK_FORMAT_QCOW2;
    }
    if (n) {
        snprintf(name, sizeof(name), "c%d", last);
        args.since = strdup(name);
    }
}

static void expect_backup(int n)
{
    int i;

    for (i = 0; i < bed.num_disks; i++)
        if (!is_truth(i, "qcow2", in_bed("b%d-%s", n, bed.vdev[i])))
            fail_msg("disk %d of backup %d differs", i, n);
}

static void backup(int n)
{
    backup_args(n);
    assert_int_equal(start(), 0);
    assert_int_equal(wait_for_end(), LIBXL_BACKUP_STATE_COPIED);
    assert_int_equal(finish(), 0);
    expect_backup(n);
    last = n;
}

static void broken_backup(int n)
{
    backup_args(n);
    args.speed = 1 << 20;
    assert_int_equal(start(), 0);
    usleep(50000);
    assert_int_equal(cancel(), 0);
}

/* Each one, with those that it is based on, is the disk of its instant. */
static void test_chain(void **state)
{
    uint64_t total = 0;
    int n, i;

    (void)state;
    make(2);
    writer_start(4);
    backup(0);
    for (n = 1; n < 6; n++) {
        usleep(30000);
        backup(n);
        for (i = 0; i < 2; i++)
            total += args.disks[i].total;
    }
    writer_stop();
    assert_int_equal(num_checkpoints(), 12);
    /* They are incremental. */
    assert_in_range(total, 1 << 20, 10ull * (64 << 20) * 3 / 4);
    expect_clean();
    expect_disks_whole();
    unmake();
}

/* What was written before it must be in the next one. */
static void test_a_broken_one_never_was(void **state)
{
    int n;

    (void)state;
    make(2);
    writer_start(5);
    backup(0);
    for (n = 1; n < 7; n++) {
        usleep(30000);
        if (n % 3)
            broken_backup(n);
        else
            backup(n);
    }
    writer_stop();
    /* c0, c3 and c6. */
    assert_int_equal(num_checkpoints(), 6);
    bed_write(0, 63, 77);
    backup(7);
    expect_clean();
    unmake();
}

/* The same written over a copy of the whole disk. */
static void test_incremental_over_raw(void **state)
{
    int i;

    (void)state;
    make(1);
    writer_start(6);
    targets("copy", LIBXL_DISK_FORMAT_RAW);
    args.checkpoint = strdup("c1");
    assert_int_equal(start(), 0);
    assert_int_equal(wait_for_end(), LIBXL_BACKUP_STATE_COPIED);
    assert_int_equal(finish(), 0);
    usleep(50000);
    targets("copy", LIBXL_DISK_FORMAT_RAW);
    args.since = strdup("c1");
    assert_int_equal(start(), ERROR_INVAL);
    for (i = 0; i < args.num_disks; i++)
        args.disks[i].reuse = true;
    assert_int_equal(start(), 0);
    assert_int_equal(wait_for_end(), LIBXL_BACKUP_STATE_COPIED);
    assert_int_equal(finish(), 0);
    assert_true(is_truth(0, "raw", in_bed("copy-xvda")));
    unmake();
}

/* A chunk that is smaller than the target's clusters would be refused. */
static void test_large_clusters(void **state)
{
    (void)state;
    make(1);
    writer_start(11);
    assert_int_equal(run("qemu-img create -q -f qcow2 -o cluster_size=2M "
                         "'%s' 64M", in_bed("large-xvda")), 0);
    targets("large", LIBXL_DISK_FORMAT_QCOW2);
    args.disks[0].reuse = true;
    assert_int_equal(start(), 0);
    assert_int_equal(wait_for_end(), LIBXL_BACKUP_STATE_COPIED);
    assert_int_equal(finish(), 0);
    assert_true(is_truth(0, "qcow2", in_bed("large-xvda")));
    expect_clean();
    unmake();
}

static void test_broken_checkpoint(void **state)
{
    (void)state;
    make(1);
    backup(0);
    backup_args(1);
    free(args.since);
    args.since = strdup("other");
    assert_int_equal(start(), XLSS(BITMAP_BROKEN));
    targets("x", LIBXL_DISK_FORMAT_QCOW2);
    args.checkpoint = strdup("c0");
    assert_int_equal(start(), XLSS(EXISTS));
    /* An orderly end keeps it. */
    bed_stop_qemu();
    bed_start_qemu();
    bed_write(0, 60, 61);
    backup(1);
    /* QEMU dies: what it recorded is lost, and that is noticed. */
    bed_kill_qemu();
    bed_start_qemu();
    backup_args(2);
    assert_int_equal(start(), XLSS(BITMAP_BROKEN));
    last = 0;
    backup_args(2);
    assert_int_equal(start(), XLSS(BITMAP_BROKEN));
    assert_int_not_equal(access(in_bed("b2-xvda"), F_OK), 0);
    expect_clean();
    unmake();
}

static void test_refusals(void **state)
{
    (void)state;
    make(1);
    targets("full", LIBXL_DISK_FORMAT_QCOW2);
    free(args.disks[0].vdev);
    args.disks[0].vdev = strdup("xvdq");
    assert_int_equal(start(), ERROR_NOTFOUND);
    targets("full", LIBXL_DISK_FORMAT_QCOW2);
    add_target("xvda", in_bed("other"), LIBXL_DISK_FORMAT_QCOW2);
    assert_int_equal(start(), ERROR_INVAL);
    targets("full", LIBXL_DISK_FORMAT_QCOW2);
    add_target("xvdb", in_bed("full-xvda"), LIBXL_DISK_FORMAT_QCOW2);
    assert_int_equal(start(), ERROR_INVAL);
    forget();
    assert_int_equal(start(), ERROR_INVAL);
    add_target("xvda", "relative", LIBXL_DISK_FORMAT_QCOW2);
    assert_int_equal(start(), ERROR_INVAL);
    /* Nobody's file is overwritten. */
    assert_int_equal(run("echo precious > %s/full-xvda", bed.dir), 0);
    targets("full", LIBXL_DISK_FORMAT_QCOW2);
    assert_int_equal(start(), XLSS(EXISTS));
    assert_int_equal(run("grep -q precious %s/full-xvda", bed.dir), 0);
    targets("other", LIBXL_DISK_FORMAT_QCOW2);
    args.disks[0].reuse = true;
    assert_int_equal(start(), ERROR_INVAL);
    args.disks[0].reuse = false;
    args.scratch_dir = strdup("/nonexistent");
    assert_int_not_equal(start(), 0);
    assert_int_not_equal(access(in_bed("other-xvda"), F_OK), 0);
    expect_clean();
    unmake();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_qcow2),
        cmocka_unit_test(test_full_raw),
        cmocka_unit_test(test_small_writes),
        cmocka_unit_test(test_images_below),
        cmocka_unit_test(test_raw_disk),
        cmocka_unit_test(test_to_nbd),
        cmocka_unit_test(test_another_process),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_others_wait),
        cmocka_unit_test(test_scratch_full),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_a_broken_one_never_was),
        cmocka_unit_test(test_incremental_over_raw),
        cmocka_unit_test(test_large_clusters),
        cmocka_unit_test(test_broken_checkpoint),
        cmocka_unit_test(test_refusals),
    };

    alarm(600);
    if (!scene_begin())
        return 1;
    cmocka_set_test_filter(getenv("TEST"));
    return GROUP_RUN(tests, scene_abandon);
}
