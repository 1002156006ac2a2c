/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A checkpoint that begins with a snapshot, in the catalogue: both are there,
 * or none, whatever fails, and wherever the process ends (see test_xlu_ops.c).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_checkpoint.h"
#include "fake_io.h"
#include "fake_lxs.h"
#include "xluss_checkpoint.h"

#define STEPS_MAX 400           /* more than a create has */

static char root[64];

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_checkpoint_reset();
    fake_log_clear();
    snprintf(root, sizeof(root), "%s/test-xlu.XXXXXX",
             access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    fake_io_stop();
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command);
}

static int try_open(xlu_snapshot_catalogue **out)
{
    xlu_snapshot_domain dom = { .name = (char *)FAKE_NAME };

    *out = NULL;
    dom.domid = fake->running ? fake->domid : XLUSS__NO_DOMID;
    strcpy(dom.uuid, FAKE_UUID);
    return xlu_snapshot_open(fake_ctx(), fake_logger(), root, &dom,
                             XLU_SNAPSHOT_WRITE, out);
}

static xlu_snapshot_catalogue *open_cat(void)
{
    xlu_snapshot_catalogue *cat;

    assert_int_equal(try_open(&cat), 0);
    return cat;
}

/* --- each as a command would run it --- */

static int create_with(const char *name, const char *checkpoint,
                       bool left_out)
{
    xlu_snapshot_create_args in = { .name = name, .disk_only = true };
    static const char *const vdevs[] = { "xvda", "xvdb" };
    xlu_snapshot_catalogue *cat;
    int i, rc = try_open(&cat);

    libxl_domain_snapshot_args_init(&in.args);
    if (checkpoint)
        in.args.checkpoint = strdup(checkpoint);
    if (left_out) {
        in.args.disks = calloc(2, sizeof(*in.args.disks));
        in.args.num_disks = 2;
    }
    for (i = 0; left_out && i < 2; i++) {
        libxl_disk_snapshot_init(&in.args.disks[i]);
        libxl_disk_snapshot_init_kind(&in.args.disks[i], i
                                      ? LIBXL_DISK_SNAPSHOT_KIND_NONE
                                      : LIBXL_DISK_SNAPSHOT_KIND_INTERNAL);
        in.args.disks[i].device.vdev = strdup(vdevs[i]);
        in.args.disks[i].device.pdev_path = strdup("/img/a.qcow2");
    }
    if (!rc)
        rc = xlu_snapshot_create(cat, &in, NULL, NULL);
    libxl_domain_snapshot_args_dispose(&in.args);
    xlu_snapshot_close(cat);
    return rc;
}

static int create_b(void)
{
    return create_with("b", "cb", false);
}

static int checkpoint(const char *name)
{
    const xlu_checkpoint_create_args args = { .name = name };
    xlu_snapshot_catalogue *cat = open_cat();
    int rc = xlu_checkpoint_create(cat, &args, NULL, NULL);

    xlu_snapshot_close(cat);
    return rc;
}

static int recover(void)
{
    xlu_snapshot_catalogue *cat;
    int rc = try_open(&cat);

    if (!rc)
        rc = xlu_snapshot_recover(cat, NULL, NULL);
    xlu_snapshot_close(cat);
    return rc;
}

/* --- what must be true --- */

static bool interrupted(void)
{
    xlu_snapshot_catalogue *cat = open_cat();
    bool is = xlu_snapshot_interrupted(cat);

    xlu_snapshot_close(cat);
    return is;
}

static bool has_snapshot(const char *name)
{
    xlu_snapshot_catalogue *cat = open_cat();
    const xlu_snapshot *s;
    bool has = !xlu_snapshot_get(cat, name, &s);

    xlu_snapshot_close(cat);
    return has;
}

/* The settled ones, with '!' behind a broken one. */
static void expect_checkpoints(const char *want)
{
    xlu_snapshot_catalogue *cat = open_cat();
    xlu_checkpoint_list list;
    char have[256] = "";
    int i;

    xlu_checkpoint_list_init(&list);
    assert_int_equal(xlu_checkpoint_list_all(cat, &list), 0);
    for (i = 0; i < list.num_checkpoints; i++)
        snprintf(have + strlen(have), sizeof(have) - strlen(have), "%s%s%s",
                 i ? " " : "", list.checkpoints[i].name,
                 list.checkpoints[i].state == XLU_CHECKPOINT_STATE_BROKEN
                 ? "!" : "");
    assert_string_equal(have, want);
    xlu_checkpoint_list_dispose(&list);
    xlu_snapshot_close(cat);
}

static bool on_disks(const char *name)
{
    int i;

    for (i = 0; i < fake_checkpoints->num; i++)
        if (!strcmp(fake_checkpoints->list[i].name, name))
            return true;
    return false;
}

/* Both, or none, and nothing is left to do. */
static void check_both(void)
{
    bool done = has_snapshot("b");

    assert_false(interrupted());
    assert_int_equal(fake_num_snaps("b"), done ? FAKE_DISKS : 0);
    assert_true(on_disks("cb") == done);
    expect_checkpoints(done ? "ca cb" : "ca");
    assert_int_equal(checkpoint("next"), 0);
    expect_checkpoints(done ? "ca cb next" : "ca next");
    assert_int_equal(fake_checkpoints->num, done ? 3 : 2);
}

static void prepare(void)
{
    teardown(NULL);
    setup(NULL);
    assert_int_equal(checkpoint("ca"), 0);
    fake->calls = 0;
}

/* --- nothing goes wrong --- */

static void works(void **state)
{
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot *s;
    xlu_checkpoint c;

    (void)state;
    assert_int_equal(checkpoint("ca"), 0);
    assert_int_equal(create_b(), 0);
    expect_checkpoints("ca cb");
    assert_int_equal(create_with("c", "cc", false), 0);
    assert_int_equal(checkpoint("cd"), 0);
    expect_checkpoints("ca cb cc cd");
    cat = open_cat();
    xlu_checkpoint_init(&c);
    assert_int_equal(xlu_checkpoint_get(cat, "cb", &c), 0);
    assert_int_equal(xlu_snapshot_get(cat, "b", &s), 0);
    assert_int_equal(c.sequence, 2);
    assert_int_equal(c.num_disks, 2);
    assert_string_equal(c.disks[1].bitmap, "xlss-c-2-cb");
    assert_int_equal(c.creation_time, s->creation_time);
    assert_string_equal(s->args.checkpoint, "cb");
    assert_int_equal(s->args.checkpoint_sequence, 2);
    xlu_checkpoint_dispose(&c);
    /* They have nothing to do with each other any more. */
    assert_int_equal(xlu_snapshot_delete(cat, "b", NULL, NULL), 0);
    assert_int_equal(xlu_checkpoint_delete(cat, "cc", NULL), 0);
    xlu_snapshot_close(cat);
    expect_checkpoints("ca cb cd");
    assert_true(has_snapshot("c"));
}

static void without(void **state)
{
    (void)state;
    assert_int_equal(create_with("a", NULL, false), 0);
    expect_checkpoints("");
}

static void left_out(void **state)
{
    xlu_snapshot_catalogue *cat;
    xlu_checkpoint c;

    (void)state;
    assert_int_equal(create_with("a", "ca", true), 0);
    cat = open_cat();
    xlu_checkpoint_init(&c);
    assert_int_equal(xlu_checkpoint_get(cat, "ca", &c), 0);
    assert_int_equal(c.num_disks, 1);
    assert_string_equal(c.disks[0].vdev, "xvda");
    xlu_checkpoint_dispose(&c);
    xlu_snapshot_close(cat);
}

/* Before anything is begun. */
static void refused(void **state)
{
    char command[128];

    (void)state;
    assert_int_equal(checkpoint("ca"), 0);
    assert_int_equal(create_with("a", "ca", false),
                     LIBXL_SNAPSHOT_ERROR_EXISTS);
    assert_non_null(strstr(fake_log(), "has a checkpoint ca already"));
    assert_int_equal(create_with("a", ".c", false), ERROR_INVAL);
    assert_int_equal(create_with("a", "", false), ERROR_INVAL);
    /* One that the catalogue has lost. */
    snprintf(command, sizeof(command), "rm %s/*/checkpoints/*", root);
    assert_int_equal(system(command), 0);
    assert_int_equal(create_with("a", "ca", false),
                     LIBXL_SNAPSHOT_ERROR_EXISTS);
    assert_string_equal(fake->steps, "");
    assert_false(interrupted());
    assert_false(has_snapshot("a"));
    assert_int_equal(fake_checkpoints->num, 1);
}

/* Where all bitmaps have vanished the numbers go on. */
static void numbers(void **state)
{
    (void)state;
    assert_int_equal(checkpoint("ca"), 0);
    assert_int_equal(checkpoint("cb"), 0);
    fake_checkpoints->num = 0;
    assert_int_equal(create_with("a", "cc", false), 0);
    assert_int_equal(fake_checkpoints->list[0].seq, 3);
    expect_checkpoints("ca! cb! cc");
}

/* --- something goes wrong at the n-th step --- */

static void after_failure(int n, int rc)
{
    if (interrupted()) {
        if (rc != LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR)
            fail_msg("step %d: %d with a journal left", n, rc);
        assert_int_equal(recover(), 0);
    } else if (has_snapshot("b") != !rc) {
        fail_msg("step %d: %d, and yet the contrary", n, rc);
    }
    check_both();
}

static void fail_io(int errnoval)
{
    int n, count, rc;

    for (n = 1; n < STEPS_MAX; n++) {
        prepare();
        fake_io_fail(n, errnoval);
        rc = create_b();
        count = fake_io_stop();
        after_failure(n, rc);
        if (count < n)
            break;
    }
    assert_in_range(n, 20, STEPS_MAX - 1);
}

static void fail_each_change(void **state)
{
    (void)state;
    fail_io(EIO);
    fail_io(ENOSPC);
}

static void fail_each_call(void **state)
{
    int n;

    (void)state;
    for (n = 1; n < STEPS_MAX; n++) {
        prepare();
        fake->fail_at = n;
        after_failure(n, create_b());
        if (fake->calls < n)
            break;
    }
    assert_true(n > 6);
}

/* False: it ended at the n-th change, or call. */
static bool run_to(int (*run)(void), int change, int call)
{
    pid_t pid;
    int st;

    fake->calls = 0;
    fake->crash_at = call;
    pid = fork();
    if (!pid) {
        if (change)
            fake_io_crash(change);
        _exit(run() ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &st, 0), pid);
    fake->crash_at = 0;
    assert_true(WIFEXITED(st));
    return WEXITSTATUS(st) != FAKE_IO_CRASH_CODE;
}

static void crash(bool in_calls)
{
    bool end;
    int n;

    for (end = false, n = 1; !end; n++) {
        prepare();
        end = run_to(create_b, in_calls ? 0 : n, in_calls ? n : 0);
        assert_int_equal(recover(), 0);
        check_both();
    }
    assert_true(n > 6);
}

static void crash_at_each_change(void **state)
{
    (void)state;
    crash(false);
}

static void crash_at_each_call(void **state)
{
    (void)state;
    crash(true);
}

static void crash_in_recovery(void **state)
{
    bool end, recovered;
    int m, n;

    (void)state;
    for (end = false, n = 1; !end; n++)
        for (recovered = false, m = 1; !recovered; m++) {
            prepare();
            end = run_to(create_b, n, 0);
            recovered = run_to(recover, m, 0);
            assert_int_equal(recover(), 0);
            check_both();
        }
}

static void start_again(void)
{
    fake->running = true;
    fake->domid = fake->next_domid++;
}

/* The domain is off when the next command comes: with its bitmaps stored, or
 * lost. Then the domain is started. */
static void off(bool lost, bool in_calls)
{
    bool end, done;
    int n;

    for (end = false, n = 1; !end; n++) {
        prepare();
        end = run_to(create_b, in_calls ? 0 : n, in_calls ? n : 0);
        fake->running = fake->suspended = fake->paused = false;
        if (lost)
            fake_checkpoints->num = 0;
        assert_int_equal(recover(), 0);
        assert_false(interrupted());
        done = has_snapshot("b");
        expect_checkpoints(done ? "ca cb" : "ca");
        start_again();
        /* Nobody takes it for one that he knows. */
        expect_checkpoints(done ? lost ? "ca! cb!" : "ca cb"
                                : lost ? "ca!" : "ca");
        assert_int_equal(checkpoint("next"), 0);
        assert_int_equal(checkpoint("cb"), done ? LIBXL_SNAPSHOT_ERROR_EXISTS
                                                : 0);
        assert_int_equal(fake_checkpoints->num, lost ? done ? 1 : 2 : 3);
    }
}

static void host_crash(void **state)
{
    (void)state;
    off(true, false);
    off(true, true);
}

static void shut_down_after_crash(void **state)
{
    (void)state;
    off(false, false);
    off(false, true);
}

/* It is no fault that a domain which is off has to wait. */
static void waits_for_the_domain(void **state)
{
    xlu_snapshot_findings found;
    xlu_snapshot_catalogue *cat;
    int i;

    (void)state;
    prepare();
    assert_false(run_to(create_b, 0, 7));   /* RESUME */
    fake->running = fake->suspended = false;
    assert_int_equal(recover(), 0);
    xlu_snapshot_findings_init(&found);
    for (i = 0; i < 2; i++) {
        cat = open_cat();
        assert_int_equal(xlu_snapshot_check(cat, false, &found), 0);
        assert_int_equal(found.num_findings, 1);
        assert_string_equal(found.findings[0].subject, "cb");
        assert_int_equal(found.findings[0].degree,
                         i ? XLU_SNAPSHOT_DEGREE_REPAIR
                           : XLU_SNAPSHOT_DEGREE_NOTE);
        if (i)
            assert_int_equal(xlu_snapshot_repair(cat, false, NULL, &found),
                             0);
        xlu_snapshot_close(cat);
        if (!i)
            start_again();
    }
    assert_int_equal(found.num_findings, 0);
    xlu_snapshot_findings_dispose(&found);
    assert_false(on_disks("cb"));
    expect_checkpoints("ca");
}

/* A snapshot takes its name where the last one never was. */
static void name_of_the_undone(void **state)
{
    (void)state;
    prepare();
    assert_false(run_to(create_b, 0, 7));   /* RESUME */
    assert_true(on_disks("cb"));
    fake->running = fake->suspended = false;
    assert_int_equal(recover(), 0);
    start_again();
    assert_true(on_disks("cb"));
    assert_int_equal(create_b(), 0);
    expect_checkpoints("ca cb");
    assert_int_equal(fake_checkpoints->num, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(works),
        TEST(without),
        TEST(left_out),
        TEST(refused),
        TEST(numbers),
        TEST(fail_each_change),
        TEST(fail_each_call),
        TEST(crash_at_each_change),
        TEST(crash_at_each_call),
        TEST(crash_in_recovery),
        TEST(host_crash),
        TEST(shut_down_after_crash),
        TEST(waits_for_the_domain),
        TEST(name_of_the_undone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
