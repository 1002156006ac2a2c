/* SPDX-License-Identifier: LGPL-2.1-only */
/* ao.c: synchronous, or on a thread that calls back once. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "libxlss_internal.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int called, got_rc;
static void *got_user;
static pthread_t ran_on;
static bool signals_blocked;

static int work(void *arg)
{
    int rc = *(int *)arg;
    sigset_t set;

    ran_on = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    signals_blocked = sigismember(&set, SIGINT) && sigismember(&set, SIGCHLD);
    free(arg);
    return rc;
}

static int *argument(int rc)
{
    int *arg = malloc(sizeof(*arg));

    assert_non_null(arg);
    *arg = rc;
    return arg;
}

static void done(libxl_ctx *ctx, int rc, void *user)
{
    (void)ctx;
    pthread_mutex_lock(&mutex);
    called++;
    got_rc = rc;
    got_user = user;
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&mutex);
}

static void test_synchronous(void **state)
{
    (void)state;
    assert_int_equal(libxlss__ao_run(NULL, NULL, work, argument(-3)), -3);
    assert_true(pthread_equal(ran_on, pthread_self()));
}

static void test_callback(void **state)
{
    libxl_asyncop_how how = { .callback = done, .u.for_callback = &how };

    (void)state;
    called = 0;
    assert_int_equal(libxlss__ao_run(NULL, &how, work, argument(-1003)), 0);
    pthread_mutex_lock(&mutex);
    while (!called)
        pthread_cond_wait(&cond, &mutex);
    pthread_mutex_unlock(&mutex);
    assert_int_equal(called, 1);
    assert_int_equal(got_rc, -1003);
    assert_ptr_equal(got_user, &how);
    assert_false(pthread_equal(ran_on, pthread_self()));
    assert_true(signals_blocked);
}

/* An outside library can't post events. */
static void test_no_callback(void **state)
{
    libxl_asyncop_how how = { .callback = NULL };

    (void)state;
    assert_int_equal(libxlss__ao_run(NULL, &how, work, argument(0)),
                     ERROR_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_synchronous),
        cmocka_unit_test(test_callback),
        cmocka_unit_test(test_no_callback),
    };

    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
