/* SPDX-License-Identifier: LGPL-2.1-only */
/* Checkpoints that are refused, or fail, at each call (see model.h). */
#include <stdlib.h>

#include "checkpoint_scene.h"
#include "model.h"

/* --- refused, failing --- */

static void test_refused(void **state)
{
    (void)state;
    bed_next_phy(1);
    make(2);
    assert_int_equal(checkpoint("a"), XLSS(NOT_POSSIBLE));
    assert_int_equal(checkpoint(""), ERROR_INVAL);
    assert_int_equal(checkpoint(".a"), ERROR_INVAL);
    assert_int_equal(checkpoint("a b"), ERROR_INVAL);
    expect_running();
    end();
    make(1);
    assert_int_equal(checkpoint("a"), 0);
    assert_int_equal(checkpoint("a"), XLSS(EXISTS));
    assert_int_equal(since("b", NULL), XLSS(BITMAP_BROKEN));
    assert_int_equal(since("a", "xvdq"), ERROR_NOTFOUND);
    expect_running();
    end();
}

/* Whatever fails, and however: all disks or none, and never a wrong word. */
static void fail_each(enum fault fault)
{
    int n, rc;

    for (n = 1;; n = fault_next(n)) {
        make(2);
        assert_int_equal(checkpoint("a"), 0);
        model_write_some(2);
        fake.calls = 0;
        fake.failed = false;
        fake.fault = fault;
        fake.fail_at = n;
        rc = checkpoint("b");
        fake.fail_at = 0;
        if (!fake.failed) {
            assert_int_equal(rc, 0);
            end();
            break;
        }
        expect_running();
        if (rc && num_bitmaps("xvda") == 2) /* done, but who knew */
            model_begin("b");
        assert_int_equal(num_bitmaps("xvda"), num_bitmaps("xvdb"));
        model_note(0, 7 << 20, 1 << 20);    /* by expect_running */
        expect_model();
        end();
    }
}

static void test_fail_create(void **state)
{
    (void)state;
    fail_each(FAULT_BEFORE);
    fail_each(FAULT_AFTER);
}

/* What is known is right, or it is said that it isn't known. */
static void expect_never_clean(void)
{
    libxl_domain_dirty out;
    int i, j, rc;

    model_be_lax();
    for (i = 0; i < model_num(); i++) {
        rc = dirty(model_name(i), NULL, NULL, &out);
        if (rc)
            assert_int_equal(rc, XLSS(BITMAP_BROKEN));
        for (j = 0; j < out.num_disks; j++)
            model_expect(j, i, -1, &out.disks[j]);
        libxl_domain_dirty_dispose(&out);
    }
}

static int do_delete(void)
{
    return end_checkpoint("b.1");
}

static int do_dirty(void)
{
    return since("a", NULL);
}

static int do_snapshot(void)
{
    return snapshot("s2");
}

/* On two layers. Every `stride`-th call, or with $ALL each. */
static void fail_at_each(int (*act)(void), enum fault fault, int stride)
{
    int n, rc;

    stride = getenv("ALL") ? 1 : stride * fault_stride();
    for (n = 1 + fault % stride;; n += stride) {
        make(1);
        three_checkpoints();
        assert_int_equal(snapshot("s1"), 0);
        model_write_some(2);
        assert_int_equal(checkpoint("d"), 0);
        model_write_some(2);
        fake.calls = 0;
        fake.failed = false;
        fake.fault = fault;
        fake.fail_at = n;
        rc = act();
        fake.fail_at = 0;
        if (!fake.failed) {
            assert_int_equal(rc, 0);
            end();
            break;
        }
        if (fault == FAULT_QEMU_DIES) {
            bed_kill_qemu();
            bed_start_qemu();
        }
        model_write_some(1);
        expect_never_clean();
        if (fault != FAULT_QEMU_DIES) {
            expect_running();
            model_note(0, 7 << 20, 1 << 20);
        }
        /* A new start is right whatever was before. */
        assert_int_equal(checkpoint("e"), 0);
        model_write_some(1);
        expect_range(model_num() - 1, -1);
        expect_never_clean();
        end();
    }
}

static void test_fail_delete(void **state)
{
    (void)state;
    fail_at_each(do_delete, FAULT_BEFORE, 1);
    fail_at_each(do_delete, FAULT_AFTER, 1);
    fail_at_each(do_delete, FAULT_QEMU_DIES, 1);
}

static void test_fail_dirty(void **state)
{
    (void)state;
    fail_at_each(do_dirty, FAULT_BEFORE, 3);
    fail_at_each(do_dirty, FAULT_AFTER, 3);
    fail_at_each(do_dirty, FAULT_QEMU_DIES, 3);
}

static void test_fail_snapshot(void **state)
{
    (void)state;
    fail_at_each(do_snapshot, FAULT_BEFORE, 4);
    fail_at_each(do_snapshot, FAULT_AFTER, 4);
}

static void test_fail_merge(void **state)
{
    (void)state;
    fail_at_each(merge, FAULT_BEFORE, 4);
    fail_at_each(merge, FAULT_AFTER, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_fail_create),
        cmocka_unit_test(test_fail_delete),
        cmocka_unit_test(test_fail_dirty),
        cmocka_unit_test(test_fail_snapshot),
        cmocka_unit_test(test_fail_merge),
    };

    if (!scene_begin())
        return 1;
    return GROUP_RUN(tests, scene_abandon);
}
