/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What the library builds on about images that QEMU made inactive, on
 * whichever QEMU this is: docs/why.md says what differs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "bed.h"

#define SAVE "{\"filename\":\"/dev/null\",\"live\":%s}"
#define SNAPSHOT "blockdev-snapshot-internal-sync"
#define S1 "{\"device\":\"xvda-qcow2\",\"name\":\"s1\"}"
#define XVDA_INACTIVE "{\"node-name\":\"xvda-qcow2\",\"active\":false}"
#define XVDA_ACTIVE "{\"node-name\":\"xvda-qcow2\",\"active\":true}"

static void make_bed(bool twin)
{
    bed_make(1, twin);
    assert_int_equal(bed_qmp("cont", NULL), 0);
}

static void save(const char *live)
{
    char arguments[64];

    snprintf(arguments, sizeof(arguments), SAVE, live);
    assert_int_equal(bed_qmp("xen-save-devices-state", arguments), 0);
}

/* How many nodes say that they are (in)active; before QEMU 10 none does. */
static int nodes_that_are(bool active)
{
    yajl_val v, nodes;
    size_t i;
    int n = 0;

    assert_int_equal(bed_qmp_reply("query-named-block-nodes", NULL, &v), 0);
    nodes = json_member(v, "return");
    for (i = 0; i < YAJL_GET_ARRAY(nodes)->len; i++) {
        yajl_val a = json_member(YAJL_GET_ARRAY(nodes)->values[i], "active");

        n += a && (active ? YAJL_IS_TRUE(a) : YAJL_IS_FALSE(a));
    }
    yajl_tree_free(v);
    return n;
}

static bool nodes_tell(void)
{
    return nodes_that_are(true) + nodes_that_are(false) > 0;
}

/* No snapshot of an inactive image; `cont`, and it is as before. */
static void test_cont_activates(void **state)
{
    (void)state;
    make_bed(true);
    assert_int_equal(bed_qmp("stop", NULL), 0);
    save("true");
    assert_int_equal(nodes_that_are(true), 0);
    assert_int_not_equal(bed_qmp(SNAPSHOT, S1), 0);
    assert_int_equal(bed_qmp("cont", NULL), 0);
    assert_true(bed_running());
    assert_int_equal(nodes_that_are(false), 0);
    assert_int_equal(bed_qmp(SNAPSHOT, S1), 0);
    bed_stop_qemu();
    assert_true(bed_has_snapshot(0, "s1"));
    assert_true(bed_check_clean(0));
    bed_remove();
}

/* Only the end of a live save of a QEMU that was stopped inactivates. */
static void test_others_do_not_inactivate(void **state)
{
    (void)state;
    make_bed(false);
    save("true");
    assert_true(bed_running());
    assert_int_equal(nodes_that_are(false), 0);
    assert_int_equal(bed_qmp("stop", NULL), 0);
    save("false");
    assert_int_equal(nodes_that_are(false), 0);
    assert_int_equal(bed_qmp(SNAPSHOT, S1), 0);
    bed_remove();
}

/* One node of an image that is open twice, without the other. */
static void test_one_node(void **state)
{
    (void)state;
    make_bed(true);
    if (!nodes_tell()) {
        bed_remove();
        skip();
    }
    assert_int_equal(bed_qmp("stop", NULL), 0);
    assert_int_equal(bed_qmp("blockdev-set-active", XVDA_INACTIVE), 0);
    assert_true(nodes_that_are(false) > 0);
    assert_true(nodes_that_are(true) > 0);
    assert_int_equal(bed_qmp(SNAPSHOT, "{\"device\":\"ide0-hd0\","
                             "\"name\":\"s1\"}"), 0);
    assert_int_equal(bed_qmp("blockdev-set-active", XVDA_ACTIVE), 0);
    assert_int_equal(nodes_that_are(false), 0);
    bed_remove();
}

/* QEMU 7.2 dies of the second: so the library never sends it. */
static void test_twice(void **state)
{
    (void)state;
    make_bed(false);
    if (!nodes_tell()) {
        bed_remove();
        skip();
    }
    assert_int_equal(bed_qmp("stop", NULL), 0);
    save("true");
    save("true");
    assert_int_equal(bed_qmp("cont", NULL), 0);
    assert_int_equal(nodes_that_are(false), 0);
    bed_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cont_activates),
        cmocka_unit_test(test_others_do_not_inactivate),
        cmocka_unit_test(test_one_node),
        cmocka_unit_test(test_twice),
    };

    alarm(120);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
