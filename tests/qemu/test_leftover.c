/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What backups leave behind when their command, QEMU or the host dies at any
 * moment: snapshot-check tells of it, its repair takes it away, and neither
 * touches what is at work.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xlu_backup.h>
#include <xlu_checkpoint.h>

#include "catalogue_scene.h"

static xlu_snapshot_findings found;

/* How many there are that count; deep or not is of no matter here. */
static int check(void)
{
    int i, num = 0;

    assert_int_equal(xlu_snapshot_check(cat, false, &found), 0);
    for (i = 0; i < found.num_findings; i++)
        num += found.findings[i].degree != XLU_SNAPSHOT_DEGREE_NOTE;
    return num;
}

static void expect_well(const char *when, int n)
{
    int i;

    check();
    for (i = 0; i < found.num_findings; i++)
        if (found.findings[i].degree != XLU_SNAPSHOT_DEGREE_NOTE)
            fail_msg("%s %d: %s", when, n, found.findings[i].text);
}

static void repair(void)
{
    assert_int_equal(xlu_snapshot_repair(cat, false, &how, &found), 0);
}

static int files(const char *pattern)
{
    return !run("ls -R '%s' | grep -qE '%s'", bed.dir, pattern);
}

/* --- push --- */

static int push(const char *since, const char *checkpoint, uint64_t speed)
{
    libxl_domain_backup_args b;
    int i, rc;

    libxl_domain_backup_args_init(&b);
    b.since = since ? strdup(since) : NULL;
    b.checkpoint = checkpoint ? strdup(checkpoint) : NULL;
    b.speed = speed;
    b.disks = calloc(bed.num_disks, sizeof(*b.disks));
    b.num_disks = bed.num_disks;
    for (i = 0; i < bed.num_disks; i++) {
        libxl_backup_disk_init(&b.disks[i]);
        b.disks[i].vdev = strdup(bed.vdev[i]);
        b.disks[i].target = strdup(in_bed("target%d.qcow2", i));
        b.disks[i].format = LIBXL_DISK_FORMAT_QCOW2;
    }
    rc = xlu_backup_start(cat, &b, &how);
    libxl_domain_backup_args_dispose(&b);
    return rc;
}

static int push_c2(void)
{
    return push("c1", "c2", 0);
}

static bool is_copied(void)
{
    libxl_domain_backup_args b;
    libxl_backup_state state;

    libxl_domain_backup_args_init(&b);
    assert_int_equal(xlu_backup_status(cat, &b), 0);
    state = b.state;
    libxl_domain_backup_args_dispose(&b);
    assert_true(state != LIBXL_BACKUP_STATE_FAILED);
    return state == LIBXL_BACKUP_STATE_COPIED;
}

static int end_push(bool cancel)
{
    libxl_domain_backup_args b;
    int rc;

    libxl_domain_backup_args_init(&b);
    rc = cancel ? xlu_backup_cancel(cat, &how, &b)
                : xlu_backup_finish(cat, &how, &b);
    libxl_domain_backup_args_dispose(&b);
    return rc;
}

/* It may have come to its good end by now. */
static void end_and_forget(void)
{
    assert_int_equal(end_push(true), 0);
    if (strstr(checkpoints(), "c2"))
        assert_int_equal(xlu_checkpoint_delete(cat, "c2", &how), 0);
}

static int c1(void)
{
    xlu_checkpoint_create_args c = { .name = "c1" };

    return xlu_checkpoint_create(cat, &c, &how, NULL);
}

static void drop_targets(void)
{
    run("rm -f '%s'/target*", bed.dir);
}

/* Nobody but the record knows of it, whichever call was its last. */
static void test_push_starter_dies(void **state)
{
    int n, repaired = 0, kept;

    (void)state;
    begin(2);
    truth_wanted(false);
    assert_int_equal(c1(), 0);
    bed_write(0, 3, 33);
    for (n = 1; n < 200 && !die_at(n, push_c2); n = fault_next(n)) {
        if (check()) {
            repaired++;
            repair();
        } else if (files("backup.json")) {
            /* Its jobs run, and go on. */
            end_and_forget();
        }
        expect_well("after", n);
        drop_targets();
        expect_clean();
        assert_string_equal(checkpoints(), "c1");
        assert_int_equal(num_checkpoints(), 2);
    }
    kept = n;
    assert_in_range(kept, 40, 199);
    assert_true(repaired > 20 / fault_stride());
    assert_int_equal(end_push(true), 0);
    end();
}

/* What it says has been undone is. */
static void every_fault(enum fault fault)
{
    int n, rc;

    begin(2);
    truth_wanted(false);
    assert_int_equal(c1(), 0);
    for (n = 1; n < 200; n = fault_next(n)) {
        fake.calls = 0;
        fake.failed = false;
        fake.fail_at = n;
        fake.fault = fault;
        rc = push_c2();
        fake.fail_at = 0;
        if (!fake.failed)
            break;
        if (fault == FAULT_QEMU_DIES) {
            bed_start_qemu();
            fake.pauses = 0;
            assert_int_equal(reopen(), 0);
        }
        if (rc && rc != XLSS(NEEDS_REPAIR) &&
            files("backup.json|scratch|target"))
            fail_msg("something is left after %d (%s)", n, fake.failed_call);
        if (!rc && fault != FAULT_QEMU_DIES)
            end_and_forget();
        else if (check())
            repair();
        expect_well("after", n);
        drop_targets();
        expect_clean();
        if (fault == FAULT_QEMU_DIES) {
            assert_int_equal(xlu_checkpoint_delete(cat, "c1", &how), 0);
            assert_int_equal(c1(), 0);
        }
        assert_string_equal(checkpoints(), "c1");
        assert_int_equal(num_checkpoints(), 2);
    }
    assert_in_range(n, 40, 199);
    assert_int_equal(rc, 0);
    assert_int_equal(end_push(true), 0);
    end();
}

static void test_push_every_call_fails(void **state)
{
    (void)state;
    every_fault(FAULT_BEFORE);
}

static void test_push_every_reply_is_lost(void **state)
{
    (void)state;
    every_fault(FAULT_AFTER);
}

static void test_qemu_dies_at_each_call_of_push(void **state)
{
    (void)state;
    every_fault(FAULT_QEMU_DIES);
}

/* Both, and then the next start finds nothing of it in QEMU. */
static void test_push_and_qemu_die(void **state)
{
    int n;

    (void)state;
    begin(1);
    truth_wanted(false);
    for (n = 5; n < 60; n += 9) {
        assert_int_equal(c1(), 0);
        if (die_at(n, push_c2)) {
            assert_int_equal(end_push(true), 0);
            break;
        }
        bed_kill_qemu();
        bed_start_qemu();
        fake.pauses = 0;
        assert_int_equal(reopen(), 0);
        if (check())
            repair();
        expect_well("after", n);
        drop_targets();
        expect_clean();
        assert_int_equal(xlu_checkpoint_delete(cat, "c1", &how), 0);
    }
    assert_true(n > 20);
    end();
}

static void test_push_runs(void **state)
{
    int i;

    (void)state;
    begin(2);
    assert_int_equal(push(NULL, "c1", 4 << 20), 0);
    bed_write(0, 60, 77);
    for (i = 0; i < 3; i++) {
        assert_int_equal(check(), 0);
        repair();
    }
    assert_true(files("scratch"));
    while (!is_copied())
        usleep(50000);
    /* Now it waits for who finishes it. */
    assert_int_equal(check(), 0);
    assert_int_equal(found.num_findings, 1);
    repair();
    assert_int_equal(end_push(false), 0);
    assert_true(is_truth(0, "qcow2", in_bed("target0.qcow2")));
    assert_true(is_truth(1, "qcow2", in_bed("target1.qcow2")));
    assert_string_equal(checkpoints(), "c1");
    drop_targets();
    expect_clean();
    end();
}

static void test_push_ends_with_qemu(void **state)
{
    (void)state;
    begin(2);
    assert_int_equal(push(NULL, NULL, 65536), 0);
    assert_true(files("scratch"));
    bed_kill_qemu();
    bed_start_qemu();
    assert_int_equal(reopen(), 0);
    assert_int_equal(check(), 1);
    /* And a note for each target, which nobody removes. */
    assert_int_equal(found.num_findings, 3);
    repair();
    expect_well("dead", 0);
    assert_int_equal(access(in_bed("target0.qcow2"), F_OK), 0);
    drop_targets();
    expect_clean();
    end();
}

/* --- pull --- */

static xlu_backup_pull p;

static int pull_at(const char *socket)
{
    xlu_backup_pull_dispose(&p);
    xlu_backup_pull_init(&p);
    p.snapshot.checkpoint = strdup("c1");
    p.exported.socket = socket ? strdup(socket) : NULL;
    return xlu_backup_pull_start(cat, &p, &how);
}

static int end_pull(bool failed)
{
    xlu_backup_pull out;
    int rc;

    xlu_backup_pull_init(&out);
    rc = xlu_backup_pull_stop(cat, failed, &how, &out);
    xlu_backup_pull_dispose(&out);
    return rc;
}

static int copy(void)
{
    unlink(in_bed("copy"));
    return run("nbdcopy '%s' '%s' 2>/dev/null", p.disks[0].uri,
               in_bed("copy"));
}

static void test_pull_runs(void **state)
{
    (void)state;
    begin(1);
    assert_int_equal(pull_at(NULL), 0);
    bed_write(0, 3, 33);
    assert_int_equal(check(), 0);
    assert_int_equal(found.num_findings, 0);
    repair();
    assert_int_equal(copy(), 0);
    assert_true(is_truth(0, "raw", in_bed("copy")));
    /* Its server dies. */
    kill(p.exported.pid, SIGKILL);
    usleep(300000);
    assert_int_equal(check(), 1);
    repair();
    expect_well("no server", 0);
    assert_int_equal(copy(), 0);
    assert_true(is_truth(0, "raw", in_bed("copy")));
    assert_int_equal(end_pull(false), 0);
    expect_clean();
    assert_string_equal(checkpoints(), "c1");
    end();
}

/* What is in /run goes, which is the bed's folder here. */
static void power_off(void)
{
    kill(p.exported.pid, SIGKILL);
    bed_kill_qemu();
    run("cd '%s' && rm -f export-* private-* op-* xlbs-*.pid xlbs-*.qmp "
        "xlbs-*.sock", libxlss__run_dir);
}

static void test_pull_and_power_off(void **state)
{
    char *socket;

    (void)state;
    begin(1);
    socket = strdup(in_bed("mine.sock"));
    assert_int_equal(pull_at(socket), 0);
    power_off();
    fake.exists = false;
    assert_int_equal(reopen(), 0);
    assert_true(files("mine.sock") && files("scratch"));
    assert_int_equal(check(), 1);
    repair();
    expect_well("off", 0);
    assert_false(files("mine.sock") || files("scratch"));
    fake.exists = true;
    bed_start_qemu();
    assert_int_equal(reopen(), 0);
    if (check())
        repair();
    expect_well("on", 0);
    expect_clean();
    /* The address is free again. */
    assert_int_equal(pull_at(socket), 0);
    assert_int_equal(end_pull(true), 0);
    expect_clean();
    free(socket);
    end();
}

/* One that was there before is somebody else's. */
static void test_socket_of_others(void **state)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int s = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    begin(1);
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s",
             in_bed("mine.sock"));
    assert_int_equal(bind(s, (struct sockaddr *)&addr, sizeof(addr)), 0);
    close(s);
    assert_int_equal(pull_at(in_bed("mine.sock")), XLSS(EXISTS));
    assert_int_equal(access(in_bed("mine.sock"), F_OK), 0);
    expect_clean();
    end();
}

/* --- what the lower library alone has made --- */

static libxl_block_snapshot view;

static int make_view(void)
{
    libxl_block_snapshot_dispose(&view);
    libxl_block_snapshot_init(&view);
    return libxl_domain_block_snapshot_create(ctx, fake.domid, &view, &how,
                                              NULL);
}

static void test_view_of_others(void **state)
{
    int n, noted = 0, repaired = 0;

    (void)state;
    begin(1);
    truth_wanted(false);
    for (n = 1; n < 200 && !die_at(n, make_view); n = fault_next(n)) {
        if (check()) {
            repaired++;
            repair();
            expect_well("after", n);
        } else if (found.num_findings) {
            /* It is whole, and somebody may have been told of it. */
            noted++;
            repair();
            assert_int_equal(found.num_findings, 1);
            view.id = strdup(found.findings[0].subject);
            assert_int_equal(libxl_domain_block_snapshot_delete(
                                 ctx, fake.domid, &view, false, &how, NULL),
                             0);
        }
        libxl_block_snapshot_dispose(&view);
        libxl_block_snapshot_init(&view);
    }
    assert_in_range(n, 20, 199);
    assert_true(repaired > 5 / fault_stride());
    assert_true(noted > 0 || fault_stride() > 1);
    end();
}

/* Of a device model that has died, and in no record. */
static void test_scratch_of_nobody(void **state)
{
    (void)state;
    begin(2);
    assert_int_equal(make_view(), 0);
    assert_int_equal(check(), 0);
    bed_kill_qemu();
    bed_start_qemu();
    assert_int_equal(reopen(), 0);
    assert_int_equal(check(), 2);
    assert_int_equal(found.findings[0].kind,
                     XLU_SNAPSHOT_FINDING_KIND_SCRATCH);
    assert_true(files("scratch"));
    repair();
    assert_false(files("scratch"));
    expect_well("scratch", 0);
    expect_clean();
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push_starter_dies),
        cmocka_unit_test(test_push_every_call_fails),
        cmocka_unit_test(test_push_every_reply_is_lost),
        cmocka_unit_test(test_qemu_dies_at_each_call_of_push),
        cmocka_unit_test(test_push_and_qemu_die),
        cmocka_unit_test(test_push_runs),
        cmocka_unit_test(test_push_ends_with_qemu),
        cmocka_unit_test(test_pull_runs),
        cmocka_unit_test(test_pull_and_power_off),
        cmocka_unit_test(test_socket_of_others),
        cmocka_unit_test(test_view_of_others),
        cmocka_unit_test(test_scratch_of_nobody),
    };

    alarm(900);
    if (!scene_begin())
        return 1;
    cmocka_set_test_filter(getenv("TEST"));
    return GROUP_RUN(tests, scene_abandon);
}
