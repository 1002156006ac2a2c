/* SPDX-License-Identifier: LGPL-2.1-only */
/* child.c: what a program prints and how it ends, whoever reaps. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lss_test.h"

static struct libxlss__op op;
static char *out, *err;
static int status, fds_before;
static int longest_wait = -1;   /* milliseconds; -1: as asked for */

int poll(struct pollfd *fds, nfds_t nfds, int timeout)
{
    int ms = longest_wait >= 0 && timeout > longest_wait ? longest_wait
                                                         : timeout;
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

    return syscall(SYS_ppoll, fds, nfds, timeout < 0 ? NULL : &ts, NULL, 0);
}

static int set_up(void **state)
{
    (void)state;
    lss_op_start(&op);
    out = err = NULL;
    status = -1;
    fds_before = lss_num_fds();
    return 0;
}

/* Nothing may be left of a child, whatever became of it. */
static int tear_down(void **state)
{
    (void)state;
    longest_wait = -1;
    assert_int_equal(lss_num_fds(), fds_before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    lss_op_stop(&op);
    lss_dir_remove();
    return 0;
}

static int run(const char *script)
{
    char *argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };

    return libxlss__child(&op, argv, &out, &err, &status);
}

static void expect_exit(int code)
{
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
}

static void test_output(void **state)
{
    (void)state;
    assert_int_equal(run("echo one; echo two >&2; echo three"), 0);
    expect_exit(0);
    assert_string_equal(out, "one\nthree\n");
    assert_string_equal(err, "two\n");
    assert_int_equal(run("exit 0"), 0);
    expect_exit(0);
    assert_string_equal(out, "");
    assert_string_equal(err, "");
}

static void test_exit_status(void **state)
{
    (void)state;
    assert_int_equal(run("echo why >&2; exit 3"), 0);
    expect_exit(3);
    assert_string_equal(err, "why\n");
    assert_int_equal(run("exit 255"), 0);
    expect_exit(255);
}

static void test_signal(void **state)
{
    (void)state;
    assert_int_equal(run("echo before; kill -KILL $$"), 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    assert_string_equal(out, "before\n");
}

static void test_missing_program(void **state)
{
    char *argv[] = { (char *)"/nonexistent/qemu-img", NULL };

    (void)state;
    assert_int_equal(libxlss__child(&op, argv, &out, &err, &status), 0);
    expect_exit(127);
    assert_string_equal(out, "");
}

static void test_arguments(void **state)
{
    char *argv[] = { (char *)"printf", (char *)"%s|", (char *)"a b",
                     (char *)"$(id)", (char *)"", (char *)"-", NULL };

    (void)state;
    assert_int_equal(libxlss__child(&op, argv, &out, &err, &status), 0);
    assert_string_equal(out, "a b|$(id)||-|");
}

static void test_stdin_is_empty(void **state)
{
    (void)state;
    assert_int_equal(run("cat; echo $?; readlink /proc/self/fd/0"), 0);
    assert_string_equal(out, "0\n/dev/null\n");
}

#define MIB (1u << 20)

static void test_much_output(void **state)
{
    (void)state;
    assert_int_equal(run("head -c 1048576 /dev/zero | tr '\\0' x | tee "
                         "/dev/stderr; exit 7"), 0);
    expect_exit(7);
    assert_int_equal(strlen(out), MIB);
    assert_int_equal(strspn(out, "x"), MIB);
    assert_int_equal(strlen(err), MIB);
    assert_int_equal(strspn(err, "x"), MIB);
}

/* Dead, or a zombie that nobody reaps yet. */
static bool has_ended(int pid)
{
    char path[64], state = 'Z';
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    f = fopen(path, "re");
    if (f) {
        if (fscanf(f, "%*d %*s %c", &state) != 1)
            state = 'Z';
        fclose(f);
    }
    return state == 'Z' || state == 'X';
}

static void expect_program_ended(void)
{
    FILE *f = fopen(lss_path("pid"), "re");
    int pid, i;

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &pid), 1);
    fclose(f);
    for (i = 0; i < 2000 && !has_ended(pid); i++)
        usleep(1000);
    if (!has_ended(pid))
        kill(pid, SIGKILL);
    assert_in_range(i, 0, 1999);
}

static void test_too_much_output(void **state)
{
    char script[512];

    (void)state;
    snprintf(script, sizeof(script), "echo $$ >%s; trap '' PIPE; "
             "head -c 18000000 /dev/zero; exec sleep 60", lss_path("pid"));
    assert_int_equal(run(script), ERROR_FAIL);
    assert_logged("printed too much");
    assert_null(out);
    expect_program_ended();
}

static void test_time_out(void **state)
{
    char script[512];

    (void)state;
    longest_wait = 100;
    snprintf(script, sizeof(script), "echo $$ >%s; exec sleep 60",
             lss_path("pid"));
    assert_int_equal(run(script), ERROR_TIMEDOUT);
    assert_logged("sh did not end in time");
    longest_wait = -1;
    expect_program_ended();
}

static void test_closes_its_pipes(void **state)
{
    uint64_t began = libxlss__now_ms();

    (void)state;
    assert_int_equal(run("echo x; exec >&- 2>&-; sleep 0.05; exit 5"), 0);
    expect_exit(5);
    assert_string_equal(out, "x\n");
    assert_true(libxlss__now_ms() - began >= 50);
}

/* What it leaves behind holds none of our pipes, so is not waited for. */
static void test_leaves_a_process(void **state)
{
    uint64_t began = libxlss__now_ms();

    (void)state;
    assert_int_equal(run("sleep 2 >/dev/null 2>&1 & echo y"), 0);
    expect_exit(0);
    assert_string_equal(out, "y\n");
    assert_true(libxlss__now_ms() - began < 1500);
}

/* Any use of SIGCHLD that an application may make. */
static void with_sigchld(void (*handler)(int), int flags)
{
    struct sigaction old, sa = { .sa_handler = handler, .sa_flags = flags };
    int rc;

    sigaction(SIGCHLD, &sa, &old);
    rc = run("echo z; exit 6");
    sigaction(SIGCHLD, &old, NULL);
    assert_int_equal(rc, 0);
    expect_exit(6);
    assert_string_equal(out, "z\n");
}

static pid_t handler_pid;
static volatile sig_atomic_t num_handled;

/* libxl's handler writes to a pipe: it must not run in a child of ours. */
static void handle(int sig)
{
    (void)sig;
    if (getpid() != handler_pid)
        _exit(99);
    num_handled++;
}

static void test_sigchld(void **state)
{
    (void)state;
    handler_pid = getpid();
    with_sigchld(SIG_IGN, 0);
    with_sigchld(SIG_DFL, SA_NOCLDWAIT);
    num_handled = 0;
    with_sigchld(handle, SA_RESTART);
    with_sigchld(handle, 0);
    assert_int_equal(num_handled, 2);
}

static atomic_bool reaping;
static atomic_int reaped;

static void *reap(void *arg)
{
    (void)arg;
    while (reaping) {
        if (waitpid(-1, NULL, 0) > 0)
            reaped++;
        else
            sched_yield();
    }
    return NULL;
}

static void test_another_reaps(void **state)
{
    char script[64];
    pthread_t thread;
    int i;

    (void)state;
    reaping = true;
    reaped = 0;
    assert_int_equal(pthread_create(&thread, NULL, reap, NULL), 0);
    /* Until it was the faster one, once at least. */
    for (i = 0; i < 30 || (!reaped && i < 1000); i++) {
        snprintf(script, sizeof(script), "echo %d; exit %d", i, i % 100);
        assert_int_equal(run(script), 0);
        expect_exit(i % 100);
        assert_int_equal(atoi(out), i);
    }
    reaping = false;
    pthread_join(thread, NULL);
    assert_true(reaped > 0);
}

static void test_many_do_not_leak(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 20; i++) {
        assert_int_equal(run("exit 1"), 0);
        expect_exit(1);
        assert_int_equal(lss_num_fds(), fds_before);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_output),
        TEST(test_exit_status),
        TEST(test_signal),
        TEST(test_missing_program),
        TEST(test_arguments),
        TEST(test_stdin_is_empty),
        TEST(test_much_output),
        TEST(test_too_much_output),
        TEST(test_time_out),
        TEST(test_closes_its_pipes),
        TEST(test_leaves_a_process),
        TEST(test_sigchld),
        TEST(test_another_reaps),
        TEST(test_many_do_not_leak),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
