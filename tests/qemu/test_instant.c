/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A snapshot of the catalogue with a checkpoint that begins in its instant, on
 * a real QEMU: wherever its command dies, the next finds both, or makes it so
 * that there was none.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <xlu_checkpoint.h>

#include "catalogue_scene.h"
#include "pull_scene.h"

static int num_snapshots(void)
{
    const xlu_snapshot **list;
    int num;

    assert_int_equal(xlu_snapshot_list(cat, &list, &num), 0);
    return num;
}

static int snapshot(const char *name, const char *checkpoint)
{
    xlu_snapshot_create_args in = { .name = name, .disk_only = true };
    int rc;

    libxl_domain_snapshot_args_init(&in.args);
    in.args.checkpoint = strdup(checkpoint);
    rc = xlu_snapshot_create(cat, &in, &how, NULL);
    libxl_domain_snapshot_args_dispose(&in.args);
    return rc;
}

static int take_it(void)
{
    return snapshot("s2", "c2");
}

static void test_life(void **state)
{
    (void)state;
    make(2);
    assert_int_equal(reopen(), 0);
    assert_int_equal(snapshot("s1", "c1"), 0);
    bed_write(0, 3, 33);
    assert_int_equal(snapshot("s2", "c2"), 0);
    bed_write(1, 4, 34);
    bed_write(1, 5, 34);
    assert_string_equal(checkpoints(), "c1 c2");
    assert_int_equal(dirty_since("c1"), 3 << 20);
    assert_int_equal(dirty_since("c2"), 2 << 20);
    assert_int_equal(snapshot("s3", "c2"), XLSS(EXISTS));
    assert_int_equal(num_snapshots(), 2);
    assert_int_equal(xlu_snapshot_delete(cat, "s1", NULL, &how), 0);
    assert_int_equal(xlu_checkpoint_delete(cat, "c2", &how), 0);
    assert_int_equal(dirty_since("c1"), 3 << 20);
    assert_int_equal(bed_num_snapshots(1), 1);
    close_catalogue();
    unmake();
}

static void test_the_maker_dies(void **state)
{
    int n, undone = 0;
    char *what;

    (void)state;
    make(2);
    assert_int_equal(reopen(), 0);
    assert_int_equal(snapshot("s1", "c1"), 0);
    bed_write(0, 3, 33);
    for (n = 1; n < 200 && !die_at(n, take_it); n = fault_next(n)) {
        what = NULL;
        assert_int_equal(xlu_snapshot_recover(cat, &how, &what), 0);
        undone += what != NULL;
        free(what);
        assert_true(bed_running());
        assert_int_equal(num_snapshots(), 1);
        assert_int_equal(bed_num_snapshots(0), 1);
        assert_string_equal(checkpoints(), "c1");
        assert_int_equal(num_checkpoints(), 2);
        assert_int_equal(dirty_since("c1"), 1 << 20);
    }
    assert_in_range(n, 20, 199);
    assert_true(undone > 15 / fault_stride());
    assert_int_equal(num_snapshots(), 2);
    assert_string_equal(checkpoints(), "c1 c2");
    assert_int_equal(dirty_since("c1"), 1 << 20);
    assert_int_equal(dirty_since("c2"), 0);
    close_catalogue();
    unmake();
}

static void die_before_cont(const char *command)
{
    if (!strcmp(command, "cont"))
        raise(SIGKILL);
}

/* Both are there, and the guest stands still. */
static int take_it_and_die(void)
{
    fake.at_command = die_before_cont;
    return take_it();
}

/* QEMU ends before the next command comes: with its bitmaps stored, or not. */
static void qemu_ends(bool orderly)
{
    make(1);
    assert_int_equal(reopen(), 0);
    assert_int_equal(snapshot("s1", "c1"), 0);
    assert_false(die_at(0, take_it_and_die));
    assert_int_equal(num_checkpoints(), 2);
    fake.exists = false;
    if (orderly)
        bed_stop_qemu();
    else
        bed_kill_qemu();
    assert_int_equal(reopen(), 0);
    assert_int_equal(xlu_snapshot_recover(cat, &how, NULL), 0);
    assert_int_equal(num_snapshots(), 1);
    assert_string_equal(checkpoints(), "c1");
    fake.exists = true;
    bed_start_qemu();
    assert_int_equal(reopen(), 0);
    assert_int_equal(num_checkpoints(), orderly ? 2 : 0);
    bed_write(0, 3, 33);
    assert_int_equal(take_it(), 0);
    assert_string_equal(checkpoints(), "c1 c2");
    assert_int_equal(num_checkpoints(), orderly ? 2 : 1);
    if (orderly)
        assert_int_equal(dirty_since("c1"), 1 << 20);
    bed_write(0, 5, 33);
    assert_int_equal(dirty_since("c2"), 1 << 20);
    close_catalogue();
    unmake();
}

static void test_then_qemu_ends(void **state)
{
    (void)state;
    qemu_ends(true);
    qemu_ends(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_the_maker_dies),
        cmocka_unit_test(test_then_qemu_ends),
    };

    if (!scene_begin())
        return 1;
    cmocka_set_test_filter(getenv("TEST"));
    return GROUP_RUN(tests, scene_abandon);
}
