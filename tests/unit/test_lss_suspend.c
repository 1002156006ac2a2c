/* SPDX-License-Identifier: LGPL-2.1-only */
/* suspend.c: what is said where the guest did not suspend. */
#include <stdio.h>

#include "lss_test.h"

static struct libxlss__op op;
static uint64_t now;

static struct {
    int rc;
    uint64_t takes;             /* ms */
    bool ends;                  /* the guest, by itself */
    libxl_shutdown_reason reason;
    bool vanishes;
} save;

uint64_t libxlss__now_ms(void)
{
    return now;
}

void libxlss__sleep_ms(unsigned int ms)
{
    now += ms;
}

int libxl_domain_suspend(libxl_ctx *ctx, uint32_t domid, int fd, int flags,
                         const libxl_asyncop_how *ao_how)
{
    (void)ctx;
    (void)fd;
    (void)flags;
    (void)ao_how;
    assert_int_equal(domid, LSS_DOMID);
    now += save.takes;
    lss_info.shutdown = save.ends;
    lss_info.shutdown_reason = save.reason;
    if (save.vanishes)
        lss_info_rc = ERROR_DOMAIN_NOTFOUND;
    return save.rc;
}

static int set_up(void **state)
{
    (void)state;
    lss_op_start(&op);
    memset(&save, 0, sizeof(save));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lss_op_stop(&op);
    return 0;
}

static void expect_not_suspended(const char *text)
{
    assert_int_equal(libxlss__suspend(&op, 7, false), XLSS(NOT_SUSPENDED));
    if (!strstr(lss_log(), text))
        fail_msg("%s is not in: %s", text, lss_log());
}

static void test_suspends(void **state)
{
    (void)state;
    save.ends = true;
    save.reason = LIBXL_SHUTDOWN_REASON_SUSPEND;
    assert_int_equal(libxlss__suspend(&op, 7, false), 0);
    assert_true(op.held.suspending);
    assert_string_equal(lss_log(), "");
}

static void test_no_answer(void **state)
{
    (void)state;
    save.rc = ERROR_GUEST_TIMEDOUT;
    save.takes = 60000;
    expect_not_suspended("did not answer the suspend request");
}

/* Even if it took as long as one that doesn't answer. */
static void test_ends_by_itself(void **state)
{
    (void)state;
    save.ends = true;
    save.rc = ERROR_FAIL;
    save.takes = 60000;
    save.reason = LIBXL_SHUTDOWN_REASON_CRASH;
    expect_not_suspended("ended by itself (crash)");
    assert_null(strstr(lss_log(), "did not answer"));
    lss_log_clear();
    save.reason = LIBXL_SHUTDOWN_REASON_REBOOT;
    lss_info.shutdown = false;
    expect_not_suspended("ended by itself (reboot)");
}

static void test_vanishes(void **state)
{
    (void)state;
    save.rc = ERROR_FAIL;
    save.vanishes = true;
    expect_not_suspended("the domain ended while");
}

static void test_other_error(void **state)
{
    (void)state;
    save.rc = ERROR_NOMEM;
    assert_int_equal(libxlss__suspend(&op, 7, false), ERROR_NOMEM);
    assert_logged("could not save the memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_suspends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ends_by_itself, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_vanishes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_error, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
