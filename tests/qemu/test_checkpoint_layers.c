/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Checkpoints, and what moves data from file to file: external snapshots,
 * merges and reverts (see model.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint_scene.h"
#include "model.h"

/* --- external snapshots --- */

static void test_snapshots(void **state)
{
    (void)state;
    make(2);
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(4);
    assert_int_equal(checkpoint("b"), 0);
    model_write_some(4);
    assert_int_equal(snapshot("s1"), 0);
    expect_model();
    model_write_some(4);
    expect_model();
    assert_int_equal(checkpoint("c"), 0);
    model_write_some(4);
    assert_int_equal(snapshot("s2"), 0);
    model_write_some(4);
    expect_model();
    restart();
    model_write_some(4);
    expect_model();
    end();
}

static void delete_in_layers(const char *first, const char *second,
                             const char *third)
{
    make(1);
    three_checkpoints();
    assert_int_equal(snapshot("s1"), 0);
    model_write_some(3);
    assert_int_equal(checkpoint("d"), 0);
    model_write_some(3);
    assert_int_equal(end_checkpoint(first), 0);
    expect_model();
    model_write_some(3);
    assert_int_equal(end_checkpoint(second), 0);
    expect_model();
    restart();
    model_write_some(3);
    expect_model();
    assert_int_equal(end_checkpoint(third), 0);
    expect_model();
    end();
}

static void test_delete_in_layers(void **state)
{
    (void)state;
    delete_in_layers("a", "b.1", "c_-");
    delete_in_layers("b.1", "d", "a");
    delete_in_layers("c_-", "b.1", "d");
    delete_in_layers("d", "c_-", "b.1");
    delete_in_layers("b.1", "c_-", "a");
}

static void test_merge(void **state)
{
    (void)state;
    make(2);
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(4);
    assert_int_equal(checkpoint("b"), 0);
    model_write_some(4);
    assert_int_equal(snapshot("s1"), 0);
    model_write_some(4);
    assert_int_equal(checkpoint("c"), 0);
    model_write_some(4);
    assert_int_equal(end_checkpoint("b"), 0);
    assert_int_equal(merge(), 0);
    expect_model();
    model_write_some(4);
    restart();
    expect_model();
    assert_int_equal(end_checkpoint("a"), 0);
    assert_int_equal(checkpoint("d"), 0);
    expect_model();
    end();
}

/* Somebody else makes the overlay stand alone: its part isn't the whole. */
static void test_foreign_merge(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(4);
    assert_int_equal(snapshot("s1"), 0);
    model_write_some(4);
    bed_stop_qemu();
    model_qemu_img(0, "rebase -f qcow2 -b ''");
    bed_start_qemu();
    expect_broken("a");
    model_reset();
    assert_int_equal(checkpoint("b"), 0);
    expect_broken("a");
    model_write_some(4);
    expect_model();
    end();
}

/* --- merges with the domain off --- */

static char first[BED_MAX_DISKS][192];

static void turn_off(void)
{
    int i;

    fake.exists = false;
    bed_stop_qemu();
    memcpy(bed.path, first, sizeof(first));
    for (i = 0; i < bed.num_disks; i++)
        assert_int_equal(libxl_domain_disk_names_put_right(ctx, first[i],
                                                           &how), 0);
}

static void turn_on(void)
{
    fake.exists = true;
    bed_start_qemu();
}

/* Of one snapshot, the overlay goes down into it; of two, the older goes up
 * into the other. gone: a checkpoint that was deleted. */
static void merge_off(bool middle, const char *gone)
{
    libxl_domain_snapshot_args old;
    uint32_t off = XLSS_OFF;

    make(2);
    memcpy(first, bed.path, sizeof(first));
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(3);
    assert_int_equal(checkpoint("b"), 0);
    model_write_some(3);
    assert_int_equal(snapshot("s1"), 0);
    libxl_domain_snapshot_args_init(&old);
    libxl_domain_snapshot_args_copy(ctx, &old, &args);
    model_write_some(3);
    assert_int_equal(checkpoint("c"), 0);
    model_write_some(3);
    if (middle) {
        assert_int_equal(snapshot("s2"), 0);
        model_write_some(3);
    }
    assert_int_equal(checkpoint("d"), 0);
    model_write_some(3);
    if (gone)
        assert_int_equal(end_checkpoint(gone), 0);
    turn_off();
    assert_int_equal(libxl_domain_snapshot_delete(ctx, off, &old, &how,
                                                  NULL), 0);
    turn_on();
    model_be_lax();
    expect_model();
    model_write_some(3);
    expect_model();
    assert_int_equal(checkpoint("e"), 0);
    model_write_some(3);
    expect_model();
    assert_int_equal(end_checkpoint("d"), 0);
    expect_model();
    restart();
    expect_model();
    libxl_domain_snapshot_args_dispose(&old);
    end();
}

static void test_merge_off(void **state)
{
    (void)state;
    merge_off(false, NULL);
    merge_off(false, "b");
    merge_off(false, "a");
    merge_off(false, "c");
    merge_off(true, NULL);
    merge_off(true, "b");
    merge_off(true, "c");
}

/* --- going back --- */

static void go_back(void)
{
    libxl_domain_snapshot_safety safety;
    uint32_t domid;

    libxl_domain_snapshot_safety_init(&safety);
    safety.name = strdup("xlss-safety-1");
    safety.memory_fd = memory_file("safety");
    assert_int_equal(revert(&args, fd, &safety, &domid), 0);
    close(safety.memory_fd);
    libxl_domain_snapshot_safety_dispose(&safety);
}

/* The disks are as they were, and no bitmap knows the way there. */
static void test_revert_internal(void **state)
{
    (void)state;
    make(2);
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(2);
    assert_int_equal(create("s1", &args, fd), 0);
    expect_model();
    model_write_some(2);
    assert_int_equal(checkpoint("b"), 0);
    model_write_some(2);
    expect_model();
    go_back();
    expect_broken("a");
    expect_broken("b");
    model_reset();
    assert_int_equal(checkpoint("c"), 0);
    model_write_some(2);
    expect_model();
    expect_broken("a");
    end();
}

static void test_revert_external(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(checkpoint("a"), 0);
    model_write_some(2);
    ftruncate(fd, 0);
    assert_int_equal(snapshot_with(fd, "s1"), 0);
    model_write_some(2);
    assert_int_equal(checkpoint("b"), 0);
    model_write_some(2);
    expect_model();
    go_back();
    expect_broken("a");
    expect_broken("b");
    model_reset();
    assert_int_equal(checkpoint("c"), 0);
    model_write_some(2);
    expect_model();
    expect_broken("a");
    expect_broken("b");
    end();
}

/* The image that it went back to takes in, with the domain off, all that was
 * written since, and its bitmap records that: what no bitmap knew is known. */
static void test_revert_and_down(void **state)
{
    void *at_a, *at_s1;
    libxl_domain_dirty out;

    (void)state;
    make(1);
    memcpy(first, bed.path, sizeof(first));
    model_blank();
    assert_int_equal(checkpoint("a"), 0);
    at_a = model_copy_at(0);
    model_write_some(2);
    ftruncate(fd, 0);
    assert_int_equal(snapshot_with(fd, "s1"), 0);
    at_s1 = model_copy();
    model_write_some(2);
    go_back();
    model_go_back(at_s1);
    model_reset();
    model_write_some(3);
    expect_broken("a");
    assert_int_equal(checkpoint("c"), 0);
    model_write_some(2);
    turn_off();
    args.merge = LIBXL_MERGE_DIRECTION_DOWN;
    assert_int_equal(libxl_domain_snapshot_delete(ctx, XLSS_OFF, &args, &how,
                                                  NULL), 0);
    turn_on();
    model_write_some(2);
    assert_int_equal(dirty("a", NULL, NULL, &out), 0);
    model_expect_since(at_a, 0, &out.disks[0]);
    model_be_lax();
    expect_model();
    libxl_domain_dirty_dispose(&out);
    free(at_a);
    free(at_s1);
    end();
}

/* --- a walk --- */

static void step(int i)
{
    char name[16];
    int n = model_num();

    switch (rand() % 10) {
    case 0: case 1: case 2:
        snprintf(name, sizeof(name), "w%d", i);
        assert_int_equal(checkpoint(name), 0);
        break;
    case 3: case 4:
        if (n > 1)
            assert_int_equal(end_checkpoint(model_name(rand() % n)), 0);
        break;
    case 5:
        snprintf(name, sizeof(name), "s%d", i);
        assert_int_equal(snapshot(name), 0);
        break;
    case 6:
        if (args.num_disks) {
            assert_int_equal(merge(), 0);
            libxl_domain_snapshot_args_dispose(&args);
            libxl_domain_snapshot_args_init(&args);
        }
        break;
    case 7:
        restart();
        break;
    default:
        model_write_some(4);
    }
}

static void test_walk(void **state)
{
    unsigned int seed = getenv("SEED") ? atoi(getenv("SEED")) : 1;
    int walks = getenv("WALKS") ? atoi(getenv("WALKS")) : 2, i;

    (void)state;
    for (; walks > 0; walks--, seed++) {
        srand(seed);
        print_message("seed %u\n", seed);
        make(1);
        assert_int_equal(checkpoint("w"), 0);
        for (i = 0; i < 30; i++) {
            step(i);
            model_write_some(2);
            if (i % 3 == 0)
                expect_range(rand() % model_num(), -1);
        }
        expect_model();
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshots),
        cmocka_unit_test(test_delete_in_layers),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_foreign_merge),
        cmocka_unit_test(test_merge_off),
        cmocka_unit_test(test_revert_internal),
        cmocka_unit_test(test_revert_external),
        cmocka_unit_test(test_revert_and_down),
        cmocka_unit_test(test_walk),
    };

    if (!scene_begin())
        return 1;
    return GROUP_RUN(tests, scene_abandon);
}
