/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxlss__qmp_ahead on a real QEMU: what it has but for the last byte it
 * does then, or not at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bed.h"
#include "fake_libxl.h"
#include "qmp/qmp.h"

#define ACTION(node) \
    "{\"type\":\"blockdev-snapshot-internal-sync\"," \
    "\"data\":{\"device\":\"" node "\",\"name\":\"s1\"}}"
#define BOTH "{\"actions\":[" ACTION("xvda-qcow2") "," \
    ACTION("xvdb-qcow2") "]}"
#define NOBODYS "{\"actions\":[" ACTION("xvda-qcow2") "," \
    ACTION("nobody") "]}"

static struct libxlss__op op;
static struct libxlss__qmp qmp;

static int run_one(const char *command, const char *arguments)
{
    return libxlss__qmp_run(&qmp, command, arguments, 10000, NULL);
}

static void open_qmp(void)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/qmp-libxl-%u", bed.dir, fake.domid);
    assert_int_equal(libxlss__qmp_open_at(&op, &qmp, path), 0);
}

static int set_up(void **state)
{
    (void)state;
    fake_reset();
    memset(&op, 0, sizeof(op));
    op.lg = (xentoollog_logger *)xtl_createlogger_stdiostream(
        stderr, getenv("V") ? XTL_DEBUG : XTL_CRITICAL, 0);
    op.what = "test of";
    bed_make(2, false);
    assert_int_equal(bed_qmp("cont", NULL), 0);
    open_qmp();
    return 0;
}

/* On both disks, or on none. */
static void expect_snapshots(int num)
{
    int i;

    libxlss__qmp_close(&qmp);
    bed_stop_qemu();
    for (i = 0; i < 2; i++) {
        assert_int_equal(bed_num_snapshots(i), num);
        assert_true(bed_check_clean(i));
    }
}

static int tear_down(void **state)
{
    (void)state;
    libxlss__qmp_close(&qmp);
    bed_abandon();
    xtl_logger_destroy(op.lg);
    return 0;
}

static void ahead(const char *arguments)
{
    libxlss__qmp_ahead(&qmp, strdup(arguments));
    assert_int_equal(run_one("query-block", NULL), 0);
    /* All of it but the end is there by now. */
    usleep(50000);
}

static void test_done(void **state)
{
    (void)state;
    ahead(BOTH);
    assert_int_equal(run_one("transaction", BOTH), 0);
    assert_int_equal(run_one("query-status", NULL), 0);
    expect_snapshots(1);
}

static void test_refused(void **state)
{
    (void)state;
    ahead(NOBODYS);
    assert_int_not_equal(run_one("transaction", NOBODYS), 0);
    assert_non_null(strstr(qmp.error, "nobody"));
    assert_int_equal(run_one("query-status", NULL), 0);
    expect_snapshots(0);
}

static void test_other_command(void **state)
{
    (void)state;
    ahead(BOTH);
    assert_int_equal(run_one("query-status", NULL), 0);
    assert_int_equal(run_one("query-block", NULL), 0);
    expect_snapshots(0);
}

/* The graph has changed: another transaction. */
static void test_other_transaction(void **state)
{
    (void)state;
    ahead(NOBODYS);
    assert_int_equal(run_one("transaction", BOTH), 0);
    expect_snapshots(1);
}

/* As where we are killed: the next client's first command is its own. */
static void test_nothing_follows(void **state)
{
    (void)state;
    ahead(BOTH);
    libxlss__qmp_close(&qmp);
    open_qmp();
    assert_int_equal(run_one("query-status", NULL), 0);
    expect_snapshots(0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_done), TEST(test_refused), TEST(test_other_command),
        TEST(test_other_transaction), TEST(test_nothing_follows),
    };

    alarm(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
