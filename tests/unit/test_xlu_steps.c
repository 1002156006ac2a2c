/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * create, revert, delete and recovery of the catalogue: each step of each
 * fails once, and each is once the last thing that the process did;
 * afterwards domain, disks and files are as before or as wanted, nothing
 * between.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ops_scene.h"

#define STEPS_MAX 400           /* more than any operation has */

static void prepare_a(void)
{
    ops_restart();
    must(create_named("a", false));
    set_domain(2);
    fake->calls = 0;
}

static void prepare_a_b(void)
{
    prepare_a();
    must(create_named("b", false));
    fake->calls = 0;
}

static void check_create(bool done)
{
    check_names(done ? "a b" : "a", done ? "b" : "a");
    check_domain(2);
}

static void check_revert(bool done)
{
    check_names("a", "a");
    check_domain(done ? 1 : 2);
}

static void check_delete(bool done)
{
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot *b;

    check_names(done ? "b" : "a b", "b");
    must(open_as(XLU_SNAPSHOT_READ, &cat));
    must(xlu_snapshot_get(cat, "b", &b));
    if (done)
        assert_null(b->parent);
    xlu_snapshot_close(cat);
    check_domain(2);
}

/* Whether the operation was done can be seen from the state itself. */
static bool create_is_done(void)
{
    return fake_num_snaps("b");
}

static bool revert_is_done(void)
{
    return fake->memory == 1;
}

static bool delete_is_done(void)
{
    return !fake_num_snaps("a");
}

typedef struct {
    const char *name;
    void (*prepare)(void);
    int (*run)(void);
    bool (*is_done)(void);
    void (*check)(bool done);
} scenario;

static const scenario scenarios[] = {
    { "create", prepare_a, op_create, create_is_done, check_create },
    { "revert", prepare_a, op_revert, revert_is_done, check_revert },
    { "delete", prepare_a_b, op_delete, delete_is_done, check_delete },
};

/* The domain runs whatever failed, unless recovery has to build it. */
static void after_failure(const scenario *s, int n, int rc)
{
    if (interrupted()) {
        if (rc != LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR)
            fail_msg("%s, step %d: %d with a journal left", s->name, n, rc);
        must(recover());
        s->check(s->is_done());
        return;
    }
    if (rc && s->is_done())
        fail_msg("%s, step %d: failed (%d), and yet done", s->name, n, rc);
    s->check(!rc);
}

/* A delete whose disks failed half-way is still in the catalogue. */
static void after_seam(const scenario *s, int n, int rc)
{
    if (s->run == op_delete && rc && !interrupted()) {
        fake->fail_at = 0;
        rc = s->run();
    }
    after_failure(s, n, rc);
}

static void fail_io(int errnoval)
{
    size_t i;
    int count, n, rc;

    for (i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
        for (n = 1; n < STEPS_MAX; n++) {
            scenarios[i].prepare();
            fake_io_fail(n, errnoval);
            rc = scenarios[i].run();
            count = fake_io_stop();
            after_failure(&scenarios[i], n, rc);
            if (count < n)
                break;
            assert_int_not_equal(n, STEPS_MAX - 1);
        }
}

static void fail_each_change(void **state)
{
    (void)state;
    fail_io(EIO);
}

static void full_at_each_change(void **state)
{
    (void)state;
    fail_io(ENOSPC);
}

static void fail_each_call(void **state)
{
    size_t i;
    int n, rc;

    (void)state;
    for (i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
        for (n = 1; n < STEPS_MAX; n++) {
            scenarios[i].prepare();
            fake->fail_at = n;
            rc = scenarios[i].run();
            after_seam(&scenarios[i], n, rc);
            if (fake->calls < n)
                break;
        }
}

/* Runs it in a child that ends at the n-th change, or at the n-th call into
 * the lower library; true if it came to its end before. */
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
    if (WEXITSTATUS(st) == FAKE_IO_CRASH_CODE)
        return false;
    assert_int_equal(WEXITSTATUS(st), 0);
    return true;
}

static void crash(bool in_calls)
{
    size_t i;
    bool end;
    int n;

    for (i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
        for (end = false, n = 1; !end; n++) {
            assert_true(n < STEPS_MAX);
            scenarios[i].prepare();
            end = run_to(scenarios[i].run, in_calls ? 0 : n,
                         in_calls ? n : 0);
            must(recover());
            scenarios[i].check(scenarios[i].is_done());
        }
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

/* Recovery may be cut short as well. */
static void crash_in_recovery(void **state)
{
    size_t i;
    bool end, recovered;
    int m, n;

    (void)state;
    for (i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
        for (end = false, n = 1; !end; n++)
            for (recovered = false, m = 1; !recovered; m++) {
                scenarios[i].prepare();
                end = run_to(scenarios[i].run, 0, n);
                recovered = run_to(recover, m, 0);
                must(recover());
                scenarios[i].check(scenarios[i].is_done());
            }
}

/* The whole host: the domain is gone, its disks are what they are. */
static void host_crash(void **state)
{
    size_t i;
    bool end;
    int n;

    (void)state;
    for (i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
        for (end = false, n = 1; !end; n++) {
            scenarios[i].prepare();
            end = run_to(scenarios[i].run, 0, n);
            fake->running = fake->suspended = fake->paused = false;
            must(recover());
            assert_false(interrupted());
            check_folder("", "domain.json lock current snapshots");
            if (scenarios[i].run != op_revert)
                continue;
            assert_int_equal(fake->disk[0], fake->disk[1]);
            if (fake->running)
                check_domain(1);
            check_names("a", "a");
        }
}

/* Failing for good after the domain was destroyed: it goes back. */
static void goes_back(void **state)
{
    int n;
    bool went = false;

    (void)state;
    for (n = 1; n < 30; n++) {
        prepare_a();
        fake->fail_at = n;
        if (op_revert() == LIBXL_SNAPSHOT_ERROR_WENT_BACK) {
            check_revert(false);
            went = true;
        }
    }
    assert_true(went);
}

/* Without a safety point the next command tries it again. */
static void no_safety(void **state)
{
    xlu_snapshot_revert_args args = { .no_safety = true };
    int n, rc;

    (void)state;
    for (n = 1; n < 20; n++) {
        prepare_a();
        fake->fail_at = n;
        rc = revert_with(&args);
        fake->fail_at = 0;
        if (rc == LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR)
            must(recover());
        check_revert(revert_is_done());
    }
}

/* A domain that somebody started in the meantime is not destroyed. */
static void started_by_hand(void **state)
{
    bool end;
    int n, rc;

    (void)state;
    for (end = false, n = 1; !end; n++) {
        prepare_a();
        end = run_to(op_revert, 0, n);
        fake->running = true;
        fake->suspended = fake->paused = false;
        fake->domid = 77;
        rc = recover();
        assert_true(fake->running);
        assert_int_equal(fake->domid, 77);
        if (rc)
            assert_int_equal(rc, LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR);
        else
            check_names("a", "a");
    }
}

/* Who pauses a domain after the death of a command that had stopped nothing
 * yet finds it paused after the recovery, too. */
static void paused_after_crash(void **state)
{
    bool early = true;
    int n;

    (void)state;
    for (n = 1; early; n++) {
        fake->paused = false;
        fake->steps[0] = '\0';
        assert_false(run_to(op_quiesced, 0, n));
        early = !strstr(fake->steps, "prepare");
        fake->paused = early;
        must(recover());
        assert_true(fake->paused == early);
    }
    assert_true(n > 2);
}

/* Recovery thaws the domain that was frozen, and no other. */
static void quiesced_crash(void **state)
{
    int other, n, thawed;

    (void)state;
    for (other = 0; other < 2; other++) {
        thawed = 0;
        for (n = 1; !run_to(op_quiesced, 0, n); n++) {
            fake->thawed = false;
            if (other)
                fake->domid++;
            must(recover());
            thawed += fake->thawed;
        }
        /* SUSPEND, INSTANT, two disks, RESUME at the least. */
        assert_true(other ? thawed == 0 : thawed >= 5);
        must(delete_named("q", false));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OPS_TEST(quiesced_crash),
        OPS_TEST(paused_after_crash),
        OPS_TEST(fail_each_change),
        OPS_TEST(full_at_each_change),
        OPS_TEST(fail_each_call),
        OPS_TEST(crash_at_each_change),
        OPS_TEST(crash_at_each_call),
        OPS_TEST(crash_in_recovery),
        OPS_TEST(host_crash),
        OPS_TEST(goes_back),
        OPS_TEST(no_safety),
        OPS_TEST(started_by_hand),
        OPS_ZSTD_TEST(fail_each_change),
        OPS_ZSTD_TEST(full_at_each_change),
        OPS_ZSTD_TEST(fail_each_call),
        OPS_ZSTD_TEST(crash_at_each_change),
        OPS_ZSTD_TEST(crash_at_each_call),
        OPS_ZSTD_TEST(host_crash),
        OPS_ZSTD_TEST(goes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
