/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * release.c on a domain of a few variables. Each call that changes it is
 * written down as a word; time passes in sleeps only.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <xenctrl.h>

#include "lss_test.h"

#define NEVER UINT64_MAX

static struct libxlss__op op;
static char calls[1024];        /* words, each with a blank behind it */

static struct {
    uint64_t now, slept;
    int pauses;                 /* Xen's counter */
    char control[32];           /* control/shutdown */
    bool has_control;
    uint64_t suspends_at;       /* the guest's own doing */
    bool request_answered;      /* "suspend" was seen by the guest */
    int busy_transactions;      /* so many end in EAGAIN */
    bool transaction_fails;
    bool in_transaction;
    char written[32];
    bool has_written;
    int pause_rc, unpause_rc, resume_rc;
    int resume_fails;           /* so many times */
    uint64_t dies_at, silent_at;
    bool silent_after_resume, resumes_and_fails;
} dom;

static void did(const char *word)
{
    assert_true(strlen(calls) + strlen(word) + 2 < sizeof(calls));
    strcat(calls, word);
    strcat(calls, " ");
}

/* The domain as libxl_domain_info shows it now. */
static void show(void)
{
    lss_info.paused = dom.pauses > 0;
    if (dom.now >= dom.dies_at)
        lss_info_rc = ERROR_DOMAIN_NOTFOUND;
    if (dom.now >= dom.silent_at) {
        lss_info_fails = 3;     /* all that is tried */
        dom.silent_at = NEVER;
    }
    if (dom.now >= dom.suspends_at && !lss_info.shutdown) {
        lss_info.shutdown = true;
        lss_info.shutdown_reason = LIBXL_SHUTDOWN_REASON_SUSPEND;
    }
}

/* --- time --- */

uint64_t libxlss__now_ms(void)
{
    return dom.now;
}

void libxlss__sleep_ms(unsigned int ms)
{
    dom.now += ms;
    dom.slept += ms;
    show();
}

/* --- libxl --- */

int libxl_domain_pause(libxl_ctx *ctx, uint32_t domid,
                       const libxl_asyncop_how *ao_how)
{
    (void)ctx;
    (void)ao_how;
    assert_int_equal(domid, LSS_DOMID);
    did("pause");
    if (!dom.pause_rc)
        dom.pauses++;
    show();
    return dom.pause_rc;
}

int libxl_domain_unpause(libxl_ctx *ctx, uint32_t domid,
                         const libxl_asyncop_how *ao_how)
{
    (void)ctx;
    (void)ao_how;
    assert_int_equal(domid, LSS_DOMID);
    did("unpause");
    if (!dom.unpause_rc)
        dom.pauses--;
    show();
    return dom.unpause_rc;
}

int libxl_domain_resume(libxl_ctx *ctx, uint32_t domid, int suspend_cancel,
                        const libxl_asyncop_how *ao_how)
{
    (void)ctx;
    (void)ao_how;
    assert_int_equal(domid, LSS_DOMID);
    assert_int_equal(suspend_cancel, 1);
    did("resume");
    if (!lss_info.shutdown)
        return ERROR_FAIL;
    if (dom.resume_fails > 0 && dom.resume_fails--)
        return ERROR_FAIL;
    if (dom.resumes_and_fails) {
        lss_info.shutdown = false;
        dom.suspends_at = NEVER;
        return ERROR_FAIL;
    }
    if (dom.silent_after_resume)
        lss_info_fails = 3;
    if (!dom.resume_rc) {
        lss_info.shutdown = false;
        dom.suspends_at = NEVER;
    }
    return dom.resume_rc;
}

/* --- xenstore --- */

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
    (void)h;
    assert_false(dom.in_transaction);
    dom.in_transaction = true;
    dom.has_written = false;
    return 7;
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abort)
{
    (void)h;
    assert_true(dom.in_transaction);
    assert_int_equal(t, 7);
    dom.in_transaction = false;
    if (dom.busy_transactions > 0) {
        /* Somebody else was faster: the guest, by its answer. */
        if (--dom.busy_transactions == 0 && dom.request_answered)
            dom.control[0] = '\0';
        errno = EAGAIN;
        return false;
    }
    if (dom.transaction_fails) {
        errno = EIO;
        return false;
    }
    if (!abort && dom.has_written) {
        strcpy(dom.control, dom.written);
        did("take-back");
    }
    return true;
}

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path,
              unsigned int *len)
{
    (void)h;
    assert_int_equal(t, 7);
    assert_string_equal(path, "/local/domain/5/control/shutdown");
    if (!dom.has_control)
        return NULL;
    *len = strlen(dom.control);
    return strdup(dom.control);
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path,
              const void *data, unsigned int len)
{
    (void)h;
    assert_int_equal(t, 7);
    assert_string_equal(path, "/local/domain/5/control/shutdown");
    assert_in_range(len, 0, sizeof(dom.written) - 1);
    memcpy(dom.written, data, len);
    dom.written[len] = '\0';
    dom.has_written = true;
    return true;
}

/* --- libxc --- */

xc_interface *xc_interface_open(xentoollog_logger *logger,
                                xentoollog_logger *dombuild_logger,
                                unsigned open_flags)
{
    static char any;

    (void)logger;
    (void)dombuild_logger;
    (void)open_flags;
    return (xc_interface *)&any;
}

int xc_interface_close(xc_interface *xch)
{
    assert_non_null(xch);
    did("close");
    return 0;
}

int xc_shadow_control(xc_interface *xch, uint32_t domid, unsigned int sop,
                      unsigned int *mb, unsigned int mode)
{
    (void)xch;
    (void)mb;
    (void)mode;
    assert_int_equal(domid, LSS_DOMID);
    assert_int_equal(sop, XEN_DOMCTL_SHADOW_OP_OFF);
    did("dirty-off");
    return 0;
}

/* --- tests --- */

static int set_up(void **state)
{
    static char any;

    (void)state;
    lss_op_start(&op);
    op.xs = (struct xs_handle *)&any;
    memset(&dom, 0, sizeof(dom));
    dom.now = 5000;
    dom.suspends_at = dom.dies_at = dom.silent_at = NEVER;
    dom.has_control = true;
    calls[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_false(dom.in_transaction);
    lss_op_stop(&op);
    return 0;
}

static void suspended(void)
{
    dom.suspends_at = dom.now;
    show();
}

static void expect_nothing_held(void)
{
    assert_false(op.held.suspending);
    assert_false(op.held.stopped);
    assert_int_equal(op.held.pauses, 0);
    assert_int_equal(op.held.repauses, 0);
    assert_false(op.held.inactive);
    assert_false(op.held.log_dirty);
}

/* Releases, twice: the second time there is nothing to do. */
static void release(int rc, const char *want)
{
    assert_int_equal(libxlss__release(&op), rc);
    assert_string_equal(calls, want);
    expect_nothing_held();
    lss_info_calls = 0;
    assert_int_equal(libxlss__release(&op), 0);
    assert_string_equal(calls, want);
    assert_int_equal(lss_info_calls, 0);
}

static void test_nothing_held(void **state)
{
    (void)state;
    suspended();                /* by somebody else */
    dom.pauses = 2;
    show();
    assert_int_equal(libxlss__release(&op), 0);
    assert_string_equal(calls, "");
    assert_int_equal(lss_info_calls, 0);
}

static void test_domain_is_off(void **state)
{
    (void)state;
    op.domid = XLSS_OFF;
    op.held.suspending = true;
    op.held.pauses = 1;
    assert_int_equal(libxlss__release(&op), 0);
    assert_string_equal(calls, "");
    assert_int_equal(lss_info_calls, 0);
}

static void test_suspended(void **state)
{
    (void)state;
    op.held.suspending = true;
    suspended();
    release(0, "resume ");
    assert_int_equal(dom.slept, 0);
    assert_string_equal(lss_log(), "");
}

/* Killed between the guest's suspend and the save's end. */
static void test_suspended_by_a_save_that_died(void **state)
{
    (void)state;
    op.held.suspending = op.held.log_dirty = op.held.inactive = true;
    suspended();
    release(0, "resume dirty-off close ");
    assert_int_equal(dom.slept, 0);
}

/* Before anything else: the failed suspend's request is still there. */
static void test_request_not_seen(void **state)
{
    (void)state;
    op.held.suspending = true;
    strcpy(dom.control, "suspend");
    release(0, "take-back dirty-off close ");
    assert_string_equal(dom.control, "");
    assert_int_equal(dom.slept, 0);
}

/* The guest has taken the request: it will suspend, some time. */
static void test_answered_late(void **state)
{
    (void)state;
    op.held.suspending = true;
    dom.suspends_at = dom.now + 4000;
    release(0, "resume dirty-off close ");
    assert_in_range(dom.slept, 4000, 4200);
}

static void test_answered_at_the_last_moment(void **state)
{
    (void)state;
    op.held.suspending = true;
    dom.suspends_at = dom.now + libxlss__late_suspend_ms - 100;
    release(0, "resume dirty-off close ");
}

static void test_answered_and_never_done(void **state)
{
    (void)state;
    op.held.suspending = true;
    release(0, "dirty-off close ");
    assert_in_range(dom.slept, libxlss__late_suspend_ms,
                    libxlss__late_suspend_ms + 200);
}

/* Another request is not ours to take back. */
static void test_other_request(void **state)
{
    (void)state;
    op.held.suspending = true;
    strcpy(dom.control, "poweroff");
    release(0, "dirty-off close ");
    assert_string_equal(dom.control, "poweroff");
    assert_in_range(dom.slept, libxlss__late_suspend_ms, NEVER);
}

static void test_no_control_node(void **state)
{
    (void)state;
    op.held.suspending = true;
    dom.has_control = false;
    dom.suspends_at = dom.now + 300;
    release(0, "resume dirty-off close ");
}

/* Removed, but the transaction is lost to the guest's answer. */
static void test_race_with_answer(void **state)
{
    (void)state;
    op.held.suspending = true;
    strcpy(dom.control, "suspend");
    dom.busy_transactions = 3;
    dom.request_answered = true;
    dom.suspends_at = dom.now + 2000;
    release(0, "resume dirty-off close ");
    assert_in_range(dom.slept, 2000, 2200);
}

static void test_busy_transactions(void **state)
{
    (void)state;
    op.held.suspending = true;
    strcpy(dom.control, "suspend");
    dom.busy_transactions = 3;
    release(0, "take-back dirty-off close ");
    assert_int_equal(dom.slept, 0);
}

/* The request may still be there, so the guest may still suspend. */
static void test_transaction_fails(void **state)
{
    (void)state;
    op.held.suspending = true;
    strcpy(dom.control, "suspend");
    dom.transaction_fails = true;
    dom.suspends_at = dom.now + 1000;
    release(0, "resume dirty-off close ");
}

static void test_domain_is_gone(void **state)
{
    (void)state;
    op.held.suspending = true;
    lss_info_rc = ERROR_DOMAIN_NOTFOUND;
    assert_int_equal(libxlss__release(&op), ERROR_DOMAIN_NOTFOUND);
    assert_string_equal(calls, "");
    assert_logged("there is no domain with domid 5");
}

static void test_domain_dies_while_waiting(void **state)
{
    (void)state;
    op.held.suspending = true;
    dom.dies_at = dom.now + 1000;
    libxlss__release(&op);
    assert_null(strstr(calls, "resume"));
    assert_in_range(dom.slept, 1000, 1200);
    assert_logged("there is no domain with domid 5");
}

/* No answer of libxl's isn't the guest's: it may suspend still. */
static void test_libxl_is_silent_while_waiting(void **state)
{
    (void)state;
    op.held.suspending = true;
    dom.silent_at = dom.now + 1000;
    dom.suspends_at = dom.now + 3000;
    release(0, "resume dirty-off close ");
}

static void test_libxl_is_silent_before_unpause(void **state)
{
    (void)state;
    op.held.suspending = true;
    suspended();
    op.held.pauses = dom.pauses = 1;
    dom.silent_after_resume = true;
    release(0, "resume unpause ");
    assert_int_equal(dom.pauses, 0);
}

static void test_resume_at_second_try(void **state)
{
    (void)state;
    op.held.suspending = true;
    suspended();
    dom.resume_fails = 1;
    release(0, "resume resume ");
}

/* An error on the way out: the guest runs, and must not be resumed again. */
static void test_resumed_with_an_error(void **state)
{
    (void)state;
    op.held.suspending = true;
    suspended();
    dom.resumes_and_fails = true;
    release(0, "resume ");
}

static void test_pauses(void **state)
{
    static const char *const want[] = { "unpause ", "unpause unpause ",
                                        "unpause unpause unpause " };
    int n;

    for (n = 1; n <= 3; n++) {
        tear_down(state);
        set_up(state);
        op.held.pauses = dom.pauses = n;
        show();
        release(0, want[n - 1]);
        assert_int_equal(dom.pauses, 0);
    }
}

static void test_pause_of_somebody_else(void **state)
{
    (void)state;
    op.held.pauses = 2;
    dom.pauses = 5;
    show();
    release(0, "unpause unpause ");
    assert_int_equal(dom.pauses, 3);
}

/* Told to the guard before it was done: the pause may not be there. */
static void test_pause_was_not_made(void **state)
{
    (void)state;
    op.held.pauses = 2;
    dom.pauses = 1;
    show();
    release(0, "unpause ");
    assert_int_equal(dom.pauses, 0);
}

static void test_unpause_fails(void **state)
{
    (void)state;
    op.held.pauses = dom.pauses = 2;
    show();
    dom.unpause_rc = ERROR_FAIL;
    assert_int_equal(libxlss__release(&op), ERROR_FAIL);
    assert_string_equal(calls, "unpause unpause unpause ");
    assert_logged("cannot unpause");
    assert_int_equal(op.held.pauses, 2);
    /* It can be tried again. */
    dom.unpause_rc = 0;
    calls[0] = '\0';
    release(0, "unpause unpause ");
}

/* The guest must not run between the resume and the admin's pause. */
static void test_repauses(void **state)
{
    (void)state;
    op.held.suspending = true;
    op.held.repauses = 2;
    suspended();
    release(0, "pause pause resume ");
    assert_int_equal(dom.pauses, 2);
}

static void test_repauses_after_failure(void **state)
{
    (void)state;
    op.held.suspending = true;
    op.held.repauses = 1;
    strcpy(dom.control, "suspend");
    release(0, "take-back pause dirty-off close ");
    assert_int_equal(dom.pauses, 1);
}

static void test_repause_fails(void **state)
{
    (void)state;
    op.held.suspending = true;
    op.held.repauses = 1;
    suspended();
    dom.pause_rc = ERROR_FAIL;
    /* The rest is done all the same. */
    assert_int_equal(libxlss__release(&op), ERROR_FAIL);
    assert_string_equal(calls, "pause pause pause resume ");
    assert_logged("cannot pause the domain again");
    assert_int_equal(op.held.repauses, 1);
}

static void test_resume_fails(void **state)
{
    (void)state;
    op.held.suspending = true;
    op.held.pauses = dom.pauses = 1;
    suspended();
    dom.resume_rc = ERROR_TIMEDOUT;
    assert_int_equal(libxlss__release(&op), ERROR_TIMEDOUT);
    assert_string_equal(calls, "resume resume resume unpause ");
    assert_int_equal(op.held.pauses, 0);
    assert_logged("cannot resume the domain");
    assert_logged("its QEMU is dead");
}

/* An operation of disks only: paused and stopped, never suspended. */
static void test_stopped_without_qemu(void **state)
{
    (void)state;
    op.held.stopped = true;
    op.held.pauses = dom.pauses = 1;
    show();
    release(0, "unpause ");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_held),
        TEST(test_domain_is_off),
        TEST(test_suspended),
        TEST(test_suspended_by_a_save_that_died),
        TEST(test_request_not_seen),
        TEST(test_answered_late),
        TEST(test_answered_at_the_last_moment),
        TEST(test_answered_and_never_done),
        TEST(test_other_request),
        TEST(test_no_control_node),
        TEST(test_race_with_answer),
        TEST(test_busy_transactions),
        TEST(test_transaction_fails),
        TEST(test_domain_is_gone),
        TEST(test_domain_dies_while_waiting),
        TEST(test_libxl_is_silent_while_waiting),
        TEST(test_libxl_is_silent_before_unpause),
        TEST(test_resume_at_second_try),
        TEST(test_resumed_with_an_error),
        TEST(test_pauses),
        TEST(test_pause_of_somebody_else),
        TEST(test_pause_was_not_made),
        TEST(test_unpause_fails),
        TEST(test_repauses),
        TEST(test_repauses_after_failure),
        TEST(test_repause_fails),
        TEST(test_resume_fails),
        TEST(test_stopped_without_qemu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
