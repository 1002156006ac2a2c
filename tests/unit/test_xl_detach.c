/* SPDX-License-Identifier: LGPL-2.1-only */
/* A program is run, and it is seen how it ended. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../tools/xl/xl_detach.h"

static int run(const char *script)
{
    char *argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };

    return xl_run("/bin/sh", argv);
}

static void test_exit(void **state)
{
    int status = run("exit 37");

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 37);
    assert_int_equal(run("exit 0"), 0);
}

static void test_signal(void **state)
{
    int status = run("kill -TERM $$");

    (void)state;
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

/* Ctrl-C is for the program: what comes after it is done all the same. */
static void test_interrupted(void **state)
{
    int status = run("kill -INT $PPID; kill -INT $$; exit 1");
    struct sigaction now;

    (void)state;
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
    assert_int_equal(sigaction(SIGINT, NULL, &now), 0);
    assert_true(now.sa_handler == SIG_DFL);
}

static void test_no_program(void **state)
{
    char *argv[] = { (char *)"xl", NULL };
    int saved = dup(STDERR_FILENO), status;

    (void)state;
    close(STDERR_FILENO);       /* its sentence */
    status = xl_run("/nonexistent/xl", argv);
    dup2(saved, STDERR_FILENO);
    close(saved);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit),
        cmocka_unit_test(test_signal),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_no_program),
    };

    signal(SIGINT, SIG_DFL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
