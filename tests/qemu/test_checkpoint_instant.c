/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Checkpoints that begin in the instant of a snapshot (see model.h): what was
 * written before it is their predecessor's, what is written after it theirs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoint_scene.h"
#include "model.h"

#define INTERNAL LIBXL_DISK_SNAPSHOT_KIND_INTERNAL
#define EXTERNAL LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL

static int num_disks_left;      /* the last ones are left out */

/* With or without memory; on_live: in rounds. */
static int both_at(libxl_disk_snapshot_kind kind, bool memory, bool on_live,
                   const char *name, const char *cp)
{
    int i, rc;

    libxl_domain_snapshot_args_dispose(&args);
    libxl_domain_snapshot_args_init(&args);
    args.name = strdup(name);
    args.kind = kind;
    args.checkpoint = strdup(cp);
    if (on_live)
        libxl_defbool_set(&args.live, true);
    args.disks = calloc(num_disks_left + 1, sizeof(*args.disks));
    for (i = bed.num_disks - num_disks_left; i < bed.num_disks; i++) {
        libxl_disk_snapshot *d = &args.disks[args.num_disks++];

        libxl_disk_snapshot_init(d);
        libxl_disk_snapshot_init_kind(d, LIBXL_DISK_SNAPSHOT_KIND_NONE);
        d->device.vdev = strdup(bed.vdev[i]);
    }
    if (ftruncate(fd, 0))
        abort();
    lseek(fd, 0, SEEK_SET);
    rc = libxl_domain_snapshot_create(ctx, fake.domid, &args,
                                      memory ? fd : -1, &how, NULL);
    if (!rc)
        model_begin(cp);
    return rc;
}

static int both(libxl_disk_snapshot_kind kind, const char *name,
                const char *cp)
{
    return both_at(kind, false, false, name, cp);
}

/* --- what is dirty --- */

static void exact(libxl_disk_snapshot_kind kind, bool memory, bool on_live)
{
    make(2);
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(4);
    assert_int_equal(both_at(kind, memory, on_live, "s1", "b"), 0);
    assert_int_equal(args.checkpoint_sequence, 2);
    expect_model();
    model_write_some(4);
    expect_model();
    assert_int_equal(checkpoint("c"), 0);
    model_write_some(4);
    assert_int_equal(both_at(kind, memory, on_live, "s2", "d"), 0);
    assert_int_equal(args.checkpoint_sequence, 4);
    model_write_some(4);
    expect_model();
    expect_running();
    model_note(0, 7 << 20, 1 << 20);
    restart();
    expect_model();
    model_write_some(4);
    assert_int_equal(end_checkpoint("b"), 0);
    expect_model();
    assert_int_equal(end_checkpoint("d"), 0);
    model_write_some(4);
    expect_model();
    assert_int_equal(end_checkpoint("c"), 0);
    expect_model();
    end();
}

static void test_internal(void **state)
{
    (void)state;
    exact(INTERNAL, true, false);
    exact(INTERNAL, true, true);
    exact(INTERNAL, false, false);
}

static void test_external(void **state)
{
    (void)state;
    exact(EXTERNAL, true, false);
    exact(EXTERNAL, true, true);
    exact(EXTERNAL, false, false);
}

static void first_of_all(libxl_disk_snapshot_kind kind)
{
    make(2);
    model_write_some(4);
    assert_int_equal(both(kind, "s1", "b"), 0);
    assert_int_equal(args.checkpoint_sequence, 1);
    expect_model();
    model_write_some(4);
    restart();
    expect_model();
    assert_int_equal(checkpoint("c"), 0);
    model_write_some(4);
    expect_model();
    end();
}

static void test_first_of_all(void **state)
{
    (void)state;
    first_of_all(INTERNAL);
    first_of_all(EXTERNAL);
}

/* The numbers go on from the highest that the caller knows of. */
static void test_number(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(both(INTERNAL, "s1", "a"), 0);
    args.checkpoint_sequence = 41;
    free(args.name);
    args.name = strdup("s2");
    free(args.disks[0].name);
    args.disks[0].name = NULL;
    free(args.checkpoint);
    args.checkpoint = strdup("b");
    assert_int_equal(libxl_domain_snapshot_create(ctx, fake.domid, &args, -1,
                                                  &how, NULL), 0);
    assert_int_equal(args.checkpoint_sequence, 42);
    model_begin("b");
    model_write_some(2);
    expect_model();
    end();
}

/* A raw disk's bitmaps end with QEMU, but those of its overlay don't. */
static void test_raw(void **state)
{
    (void)state;
    bed_next_raw(1);
    make(2);
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(4);
    assert_int_equal(both(EXTERNAL, "s1", "b"), 0);
    model_write_some(4);
    expect_model();
    restart();
    assert_int_equal(since("a", "xvda"), 0);
    assert_int_equal(since("a", "xvdb"), XLSS(BITMAP_BROKEN));
    model_write_some(4);
    expect_range(1, -1);
    end();
}

static void test_left_out(void **state)
{
    (void)state;
    make(2);
    num_disks_left = 1;
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(4);
    assert_int_equal(both(INTERNAL, "s1", "b"), 0);
    model_write_some(4);
    assert_int_equal(since("b", "xvda"), 0);
    assert_int_equal(since("b", "xvdb"), XLSS(BITMAP_BROKEN));
    assert_int_equal(num_bitmaps("xvda"), 2);
    assert_int_equal(num_bitmaps("xvdb"), 1);
    /* What the left-out one had goes on. */
    assert_int_equal(since("a", "xvdb"), 0);
    num_disks_left = 0;
    end();
}

static void hvm(bool memory, bool on_live)
{
    make_bed(2, true, false);
    model_reset();
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(4);
    assert_int_equal(both_at(INTERNAL, memory, on_live, "s1", "b"), 0);
    model_write_some(4);
    expect_model();
    expect_running();
    restart();
    expect_broken("a");
    expect_broken("b");
    end();
}

static void test_hvm(void **state)
{
    (void)state;
    hvm(false, false);
    hvm(true, false);
    hvm(true, true);
}

/* The overlay of an HVM domain's disk stores none either. */
static void test_hvm_external(void **state)
{
    (void)state;
    make_bed(1, true, false);
    model_reset();
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(2);
    assert_int_equal(both(EXTERNAL, "s1", "b"), 0);
    model_write_some(2);
    expect_model();
    restart();
    assert_int_equal(num_bitmaps("xvda"), 0);
    end();
}

/* --- afterwards --- */

static void after_merge(bool first)
{
    make(2);
    if (first) {
        assert_int_equal(checkpoint("a"), 0);
        model_write_some(4);
    }
    assert_int_equal(both(EXTERNAL, "s1", "b"), 0);
    model_write_some(4);
    assert_int_equal(merge(), 0);
    expect_model();
    model_write_some(4);
    restart();
    expect_model();
    assert_int_equal(checkpoint("c"), 0);
    if (first)
        assert_int_equal(end_checkpoint("a"), 0);
    expect_model();
    end();
}

static void test_merge(void **state)
{
    (void)state;
    after_merge(true);
    after_merge(false);
}

/* The checkpoint is not a part of the snapshot. */
static void test_delete(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(4);
    assert_int_equal(both(INTERNAL, "s1", "b"), 0);
    model_write_some(4);
    assert_int_equal(merge(), 0);
    assert_int_equal(bed_num_snapshots(0), 0);
    expect_model();
    end();
}

static void revert_to(libxl_disk_snapshot_kind kind)
{
    libxl_domain_snapshot_safety safety;
    uint32_t domid;

    make(1);
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(2);
    assert_int_equal(both_at(kind, true, false, "s1", "b"), 0);
    model_write_some(2);
    libxl_domain_snapshot_safety_init(&safety);
    safety.name = strdup("xlss-safety-1");
    safety.memory_fd = memory_file("safety");
    assert_int_equal(revert(&args, fd, &safety, &domid), 0);
    close(safety.memory_fd);
    libxl_domain_snapshot_safety_dispose(&safety);
    /* What was written since, the disk doesn't have any more. */
    expect_broken("a");
    expect_broken("b");
    model_reset();
    assert_int_equal(both(kind, "s2", "c"), 0);
    model_write_some(2);
    expect_model();
    expect_broken("b");
    end();
}

static void test_revert(void **state)
{
    (void)state;
    revert_to(INTERNAL);
    revert_to(EXTERNAL);
}

/* --- refused --- */

static void expect_nothing(int rc)
{
    assert_int_equal(both(LIBXL_DISK_SNAPSHOT_KIND_ANY, "s1", "b"), rc);
    assert_int_equal(fake.saves, 0);
    assert_int_equal(fake.paused_ns, 0);
    assert_int_equal(bed_num_snapshots(0), 0);
    expect_running();
}

static void test_refused(void **state)
{
    static const char *const bad[] = { "", ".b", "b c", "b/c" };
    size_t i;

    (void)state;
    make(2);
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(both(INTERNAL, "s1", bad[i]), ERROR_INVAL);
    num_disks_left = 2;
    expect_nothing(XLSS(NOT_POSSIBLE));
    num_disks_left = 0;
    assert_int_equal(checkpoint("b"), 0);
    fake.paused_ns = 0;
    expect_nothing(XLSS(EXISTS));
    assert_int_equal(num_bitmaps("xvda"), 1);
    end();
    make_bed(1, true, true);
    expect_nothing(XLSS(IMAGE_OPEN_TWICE));
    end();
}

/* As checkpoint-create says it, though the snapshot itself could be. */
static void test_refused_phy(void **state)
{
    (void)state;
    bed_next_phy(1);
    make(2);
    expect_nothing(XLSS(NOT_POSSIBLE));
    num_disks_left = 1;
    assert_int_equal(both(INTERNAL, "s1", "b"), 0);
    assert_int_equal(since("b", "xvda"), 0);
    num_disks_left = 0;
    end();
}

/* --- failing --- */

/* The journal of one who will have died: what libxl_snapshot.h says is to be
 * given to _recover. */
static int note_args(libxl_ctx *unused, libxl_snapshot_step step,
                     uint64_t done, uint64_t total, void *user)
{
    char path[128], *json;
    FILE *f;

    (void)unused, (void)done, (void)total, (void)user;
    if (step != LIBXL_SNAPSHOT_STEP_PREPARE)
        return 0;
    json = libxl_domain_snapshot_args_to_json(ctx, &args);
    snprintf(path, sizeof(path), "%s/journal", bed.dir);
    f = fopen(path, "w");
    if (!f || fputs(json, f) < 0 || fclose(f))
        abort();
    free(json);
    return 0;
}

/* False: it had not come as far as that. */
static bool read_args(void)
{
    static char json[65536];
    char path[128];
    size_t len;
    FILE *f;

    libxl_domain_snapshot_args_dispose(&args);
    libxl_domain_snapshot_args_init(&args);
    snprintf(path, sizeof(path), "%s/journal", bed.dir);
    f = fopen(path, "r");
    if (!f)
        return false;
    len = fread(json, 1, sizeof(json) - 1, f);
    json[len] = '\0';
    fclose(f);
    assert_int_equal(libxl_domain_snapshot_args_from_json(ctx, &args, json),
                     0);
    libxl_defbool_set(&args.paused, false);
    return true;
}

static void recover(void)
{
    assert_int_equal(libxl_domain_snapshot_recover(
        ctx, fake.domid, LIBXL_SNAPSHOT_INTENT_CREATE, &args, &how, NULL),
        0);
}

static void before_fault(int n, enum fault fault)
{
    make(2);
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(2);
    fake.calls = 0;
    fake.failed = false;
    fake.fault = fault;
    fake.fail_at = n;
}

/* Whatever failed: no bitmap is left, and the predecessor has not missed a
 * thing. Every `stride`-th call, or with $ALL each. */
static void fail_each(libxl_disk_snapshot_kind kind, bool memory,
                      bool on_live, enum fault fault, int stride)
{
    int n, rc;

    for (n = 1;; n += getenv("ALL") ? 1 : stride * fault_stride()) {
        before_fault(n, fault);
        rc = both_at(kind, memory, on_live, "s1", "b");
        fake.fail_at = 0;
        print_message("%d %s: %s\n", n, fake.failed_call,
                      libxl_snapshot_strerror(rc));
        expect_running();
        model_note(0, 7 << 20, 1 << 20);
        if (rc == XLSS(NEEDS_REPAIR)) {
            libxl_defbool_set(&args.paused, false);
            recover();
        }
        if (rc && bed_num_snapshots(0))
            fail_msg("call %d (%s): the snapshot is left", n,
                     fake.failed_call);
        assert_int_equal(num_bitmaps("xvda"), rc ? 1 : 2);
        assert_int_equal(num_bitmaps("xvdb"), rc ? 1 : 2);
        model_write_some(2);
        expect_model();
        assert_int_equal(checkpoint("c"), 0);
        model_write_some(1);
        expect_model();
        end();
        if (!fake.failed)
            break;
    }
    assert_int_equal(rc, 0);
    assert_true(n > 20);
}

static void test_fail_internal(void **state)
{
    (void)state;
    fail_each(INTERNAL, false, false, FAULT_BEFORE, 1);
    fail_each(INTERNAL, true, true, FAULT_AFTER, 1);
}

static void test_fail_external(void **state)
{
    (void)state;
    fail_each(EXTERNAL, true, false, FAULT_BEFORE, 3);
    fail_each(EXTERNAL, false, false, FAULT_AFTER, 1);
}

static libxl_snapshot_step abort_at;

static int abort_step(libxl_ctx *unused, libxl_snapshot_step step,
                      uint64_t done, uint64_t total, void *user)
{
    (void)unused, (void)done, (void)total, (void)user;
    return step == abort_at ? ERROR_ABORTED : 0;
}

/* The last one comes after the transaction. */
static void test_aborted(void **state)
{
    (void)state;
    for (abort_at = LIBXL_SNAPSHOT_STEP_PREPARE;
         abort_at <= LIBXL_SNAPSHOT_STEP_RESUME; abort_at++) {
        make(2);
        assert_int_equal(checkpoint("a"), 0);
        model_write_some(2);
        how.step = abort_step;
        assert_int_equal(both(abort_at % 2 ? INTERNAL : EXTERNAL, "s1", "b"),
                         ERROR_ABORTED);
        how.step = quiet_step;
        model_write_some(2);
        assert_int_equal(num_bitmaps("xvda"), 1);
        expect_model();
        end();
    }
}

/* It is killed at each of its calls; another process recovers. */
static void test_the_maker_dies(void **state)
{
    int n, status, undone = 0;
    bool noted;
    pid_t pid;

    (void)state;
    for (n = 1;; n = fault_next(n)) {
        before_fault(n, FAULT_WE_DIE);
        pid = fork();
        if (pid == 0) {
            how.step = note_args;
            _exit(both(INTERNAL, "s1", "b"));
        }
        waitpid(pid, &status, 0);
        fake.fail_at = 0;
        if (WIFEXITED(status))
            break;
        /* As the guard does it. */
        assert_int_equal(bed_qmp("cont", NULL), 0);
        model_write_some(2);
        noted = read_args();
        if (noted) {
            undone += num_bitmaps("xvda") == 2;
            recover();
        }
        assert_int_equal(bed_num_snapshots(0), 0);
        assert_int_equal(num_bitmaps("xvda"), 1);
        assert_int_equal(num_bitmaps("xvdb"), 1);
        model_write_some(1);
        expect_model();
        /* Twice is as once. */
        if (noted)
            recover();
        expect_model();
        end();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(undone > 0 || fault_stride() > 1);
    end();
}

/* One that began with another snapshot, or before, is not taken away. */
static void test_recover_others(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(both(INTERNAL, "s1", "a"), 0);
    model_write_some(2);
    args.checkpoint_sequence = 2;
    libxl_defbool_set(&args.paused, false);
    recover();
    assert_int_equal(num_bitmaps("xvda"), 1);
    args.checkpoint_sequence = 0;
    recover();
    assert_int_equal(num_bitmaps("xvda"), 1);
    expect_model();
    end();
}

/* What is known is right, or it is said that it isn't known. */
static void qemu_dies(libxl_disk_snapshot_kind kind)
{
    libxl_domain_dirty out;
    int n, i, j, rc;

    for (n = 1;; n = fault_next(n)) {
        before_fault(n, FAULT_QEMU_DIES);
        rc = both_at(kind, false, false, "s1", "b");
        fake.fail_at = 0;
        if (!fake.failed) {
            assert_int_equal(rc, 0);
            end();
            break;
        }
        bed_kill_qemu();
        bed_start_qemu();
        model_write_some(1);
        for (i = 0; i < model_num(); i++) {
            rc = dirty(model_name(i), NULL, NULL, &out);
            if (rc)
                assert_int_equal(rc, XLSS(BITMAP_BROKEN));
            for (j = 0; j < out.num_disks; j++)
                model_expect(j, i, -1, &out.disks[j]);
            libxl_domain_dirty_dispose(&out);
        }
        end();
    }
}

static void test_qemu_dies(void **state)
{
    (void)state;
    qemu_dies(INTERNAL);
    qemu_dies(EXTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_internal),
        cmocka_unit_test(test_external),
        cmocka_unit_test(test_first_of_all),
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_hvm),
        cmocka_unit_test(test_hvm_external),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_revert),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_refused_phy),
        cmocka_unit_test(test_fail_internal),
        cmocka_unit_test(test_fail_external),
        cmocka_unit_test(test_aborted),
        cmocka_unit_test(test_the_maker_dies),
        cmocka_unit_test(test_recover_others),
        cmocka_unit_test(test_qemu_dies),
    };

    if (!scene_begin())
        return 1;
    return GROUP_RUN(tests, scene_abandon);
}
