/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * External snapshots on a real QEMU: where the guest's file is, what a
 * restart from any remembered path would read, and what a delete leaves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "external_scene.h"

/* create, run on, revert, run on, revert again, delete. */
static void test_life(void **state)
{
    libxl_domain_snapshot_safety safety;
    uint32_t domid;
    int i;

    (void)state;
    make_external(2);
    assert_int_equal(external("s1", &args), 0);
    expect_running();
    assert_true(in_place() == !strcmp(bed.path[0], first[0]));
    assert_string_equal(args.disks[0].device.pdev_path, first[0]);
    assert_true(exists("%s.s1", first[0]));
    if (!in_place()) {
        assert_true(immutable(first[0]));
        assert_non_null(strstr(fake.params, bed.path[1]));
    }
    for (i = 0; i < 2; i++) {
        write_disks(2 + i);
        libxl_domain_snapshot_safety_init(&safety);
        safety.name = strdup("xlss-safety-1");
        safety.memory_fd = memory_file("safety");
        assert_int_equal(revert(&args, fd, &safety, &domid), 0);
        assert_int_equal(fake.tick, 1);
        expect_running();
        /* The domain was off in between: the names are right. */
        assert_string_equal(bed.path[0], first[0]);
        assert_false(exists("%s.xlss-safety-1", first[0]));
        close(safety.memory_fd);
        libxl_domain_snapshot_safety_dispose(&safety);
    }
    write_disks(4);
    assert_int_equal(delete(&args), 0);
    expect_running();
    assert_false(exists("%s.s1", first[0]));
    turn_off();
    expect_disks(4);
    end();
}

/* Off after a snapshot: from the user's configuration, too, it is right. */
static void test_names_put_right(void **state)
{
    libxl_domain_snapshot_args other;
    char live[192];
    bool moved;

    (void)state;
    make_external(1);
    assert_int_equal(external("s1", &args), 0);
    write_disks(2);
    libxl_domain_snapshot_args_init(&other);
    assert_int_equal(external("s2", &other), 0);
    write_disks(3);
    snprintf(live, sizeof(live), "%s", bed.path[0]);
    moved = !in_place();
    turn_off();
    expect_disks(3);            /* a saved domain remembers this path */
    assert_true(immutable(first[0]) == moved);
    assert_int_equal(libxl_domain_disk_names_put_right(ctx, first[0], &how),
                     0);
    assert_false(immutable(first[0]));
    assert_int_equal(libxl_domain_disk_names_put_right(ctx, first[0], &how),
                     0);
    expect_disks(3);
    start_from_first();
    write_disks(4);
    turn_off();
    expect_disks(4);
    look_at(0, first[0], ".s2");
    expect_disks(2);
    look_at(0, first[0], ".s1");
    expect_disks(1);

    /* Deleted off, the middle and then the root. */
    look_at(0, first[0], "");
    assert_int_equal(delete(&args), 0);
    expect_disks(4);
    look_at(0, first[0], ".s2");
    expect_disks(2);
    look_at(0, first[0], "");
    assert_int_equal(delete(&other), 0);
    expect_disks(4);
    assert_true(exists("%s", live));    /* a link by now */
    libxl_domain_snapshot_args_dispose(&other);
    end();
}

/* Deleted while the domain runs on overlays of the same QEMU. */
static void delete_online(bool first_one)
{
    libxl_domain_snapshot_args other;
    uint32_t domid;

    make_external(2);
    assert_int_equal(external("s1", &args), 0);
    write_disks(2);
    libxl_domain_snapshot_args_init(&other);
    assert_int_equal(external("s2", &other), 0);
    write_disks(3);
    assert_int_equal(delete(first_one ? &args : &other), 0);
    expect_running();
    write_disks(4);
    assert_int_equal(delete(first_one ? &args : &other), 0);
    /* The other one is whole. */
    assert_int_equal(revert(first_one ? &other : &args, fd, NULL, &domid),
                     0);
    expect_running();
    turn_off();
    expect_disks(first_one ? 2 : 1);
    assert_int_equal(delete(first_one ? &other : &args), 0);
    expect_disks(first_one ? 2 : 1);
    assert_string_equal(bed.path[0], first[0]);
    libxl_domain_snapshot_args_dispose(&other);
    end();
}

static void test_delete_root_online(void **state)
{
    (void)state;
    delete_online(true);
}

static void test_delete_top_online(void **state)
{
    (void)state;
    delete_online(false);
}

/* After a delete in the QEMU that made it, the path is right and is kept. */
static void test_delete_then_off(void **state)
{
    bool moved;

    (void)state;
    make_external(1);
    moved = !in_place();
    assert_int_equal(external("s1", &args), 0);
    write_disks(2);
    assert_int_equal(delete(&args), 0);
    assert_string_equal(bed.path[0], first[0]);
    write_disks(3);
    turn_off();
    expect_disks(3);
    assert_int_equal(libxl_domain_disk_names_put_right(ctx, first[0], &how),
                     0);
    expect_disks(3);
    assert_int_equal(num_files(), 1 + moved);   /* a link to it */
    start_from_first();
    assert_int_equal(external("s2", &args), 0);
    write_disks(5);
    turn_off();
    assert_int_equal(libxl_domain_disk_names_put_right(ctx, first[0], &how),
                     0);
    look_at(0, first[0], "");
    expect_disks(5);
    end();
}

/* A raw disk moves; and so does one for which a path was given. */
static void test_moved(void **state)
{
    char path[256];
    uint32_t domid;

    (void)state;
    bed_next_raw(1);
    make_external(2);
    snprintf(path, sizeof(path), "%s/elsewhere.qcow2", bed.dir);
    assert_int_equal(create_kind("s1", &args,
                                 LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL, path),
                     0);
    assert_string_equal(bed.path[0], path);
    assert_string_equal(bed.format[1], "qcow2");
    assert_true(immutable(first[1]));
    write_disks(2);
    assert_int_equal(revert(&args, fd, NULL, &domid), 0);
    assert_string_equal(bed.path[0], path);
    assert_string_equal(bed.format[1], "qcow2");
    write_disks(3);
    turn_off();
    expect_disks(3);
    assert_int_equal(revert(&args, fd, NULL, &domid), 0);
    turn_off();
    expect_disks(1);
    assert_int_equal(delete(&args), 0);
    expect_disks(1);
    end();
}

/* A target that was made before: looked at, then used. */
static void test_reuse(void **state)
{
    char path[256];
    int i;
    static const char *const bad[] = {
        "qemu-img create -q -f qcow2 t.qcow2 64M",
        "qemu-img create -q -f qcow2 -b 'disk,0 a_b' -F qcow2 -u t.qcow2 64M",
        "qemu-img create -q -f qcow2 -b \"$D\" -F qcow2 -u t.qcow2 32M",
        "qemu-img create -q -f qcow2 -b \"$D\" -F qcow2 -u t.qcow2 64M && "
            "qemu-io -c 'write -q 1M 64k' t.qcow2",
        "qemu-img create -q -f raw t.qcow2 64M",
    };

    (void)state;
    make_external(1);
    snprintf(path, sizeof(path), "%s/t.qcow2", bed.dir);
    setenv("D", first[0], 1);
    for (i = 0; i < 6; i++) {
        libxl_domain_snapshot_args_dispose(&args);
        libxl_domain_snapshot_args_init(&args);
        assert_int_equal(run_in_bed("rm -f t.qcow2; %s", i < 5 ? bad[i] :
            "qemu-img create -q -f qcow2 -b \"$D\" -F qcow2 -u t.qcow2 64M"),
            0);
        args.name = strdup("s1");
        args.disks = calloc(1, sizeof(*args.disks));
        args.num_disks = 1;
        libxl_disk_snapshot_init(&args.disks[0]);
        libxl_disk_snapshot_init_kind(&args.disks[0],
                                      LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL);
        args.disks[0].device.vdev = strdup("xvda");
        args.disks[0].u.external.external_path = strdup(path);
        assert_int_equal(libxl_domain_snapshot_create(
            ctx, fake.domid, &args, fd, &how, NULL), XLSS(EXISTS));
        args.disks[0].u.external.external_reuse = true;
        assert_int_equal(libxl_domain_snapshot_create(
            ctx, fake.domid, &args, fd, &how, NULL),
            i < 5 ? XLSS(NOT_POSSIBLE) : 0);
        expect_running();
    }
    write_disks(2);
    turn_off();
    expect_disks(2);
    end();
}

static void test_refused(void **state)
{
    (void)state;
    /* Open twice. */
    make_bed(1, true, true);
    assert_int_equal(external("s1", &args), XLSS(IMAGE_OPEN_TWICE));
    expect_running();
    end();
    /* The name is somebody's file. */
    make_external(2);
    assert_int_equal(run_in_bed("echo precious > \"disk,1 a:b.qcow2.s1\""),
                     0);
    assert_int_equal(external("s1", &args), XLSS(EXISTS));
    assert_int_equal(run_in_bed("grep -q precious \"disk,1 a:b.qcow2.s1\""),
                     0);
    assert_false(exists("%s.s1", first[0]));
    expect_running();
    end();
    /* A symbolic link. */
    make_external(1);
    bed_stop_qemu();
    assert_int_equal(run_in_bed("mv \"disk,0 a:b.qcow2\" real && "
                                "ln -s real \"disk,0 a:b.qcow2\""), 0);
    bed_start_qemu();
    assert_int_equal(external("s1", &args), XLSS(NOT_POSSIBLE));
    expect_running();
    end();
    /* A stored configuration that can't follow. */
    bed_next_raw(0);
    make_external(1);
    snprintf(fake.stored, sizeof(fake.stored), "disk=['raw:%.190s,xvda,w']",
             first[0]);
    assert_int_equal(external("s1", &args), XLSS(NOT_POSSIBLE));
    expect_running();
    end();
}

static void test_stored_configuration(void **state)
{
    (void)state;
    make_external(1);
    snprintf(fake.stored, sizeof(fake.stored),
             "name='x'\ndisk=['format=qcow2,vdev=xvda,target=%.190s']\n",
             first[0]);
    assert_int_equal(external("s1", &args), 0);
    assert_non_null(strstr(fake.stored, bed.path[0]));
    turn_off();
    end();
}

/*
 * Internal, then external, then internal: each can be reverted to, whatever
 * image it is in by then; no image that others need is written.
 */
static void test_mixed_kinds(void **state)
{
    libxl_domain_snapshot_args in1, ex, in2;
    libxl_domain_snapshot_safety safety;
    char *keep[2], base[256];
    uint32_t domid;
    bool moved;
    int i;

    (void)state;
    make_external(1);
    moved = !in_place();
    libxl_domain_snapshot_args_init(&in1);
    libxl_domain_snapshot_args_init(&ex);
    libxl_domain_snapshot_args_init(&in2);
    assert_int_equal(create_kind("i1", &in1,
                                 LIBXL_DISK_SNAPSHOT_KIND_INTERNAL, NULL),
                     0);
    write_disks(2);
    assert_int_equal(external("e", &ex), 0);
    write_disks(3);
    assert_int_equal(create_kind("i2", &in2,
                                 LIBXL_DISK_SNAPSHOT_KIND_INTERNAL, NULL),
                     0);
    write_disks(4);
    /* What a catalogue does when an external one is taken. */
    snprintf(base, sizeof(base), "%s.e", first[0]);
    in1.disks[0].u.internal.internal_path = strdup(base);

    /* i1 is in the frozen base: copied out. The overlay, which has i2 in
     * it, is kept under the safety point's name. */
    libxl_domain_snapshot_safety_init(&safety);
    safety.name = strdup("xlss-safety-1");
    keep[0] = base;
    keep[1] = malloc(256);
    snprintf(keep[1], 256, "%s.xlss-safety-1", first[0]);
    in1.keep = keep;
    in1.num_keep = 2;
    assert_int_equal(revert(&in1, fd, &safety, &domid), 0);
    in1.keep = NULL;
    in1.num_keep = 0;
    expect_running();
    turn_off();
    expect_disks(1);
    assert_true(exists("%s", keep[1]));
    in2.disks[0].u.internal.internal_path = strdup(keep[1]);

    for (i = 0; i < 2; i++) {
        assert_int_equal(revert(&in2, fd, NULL, &domid), 0);
        turn_off();
        expect_disks(3);
        assert_int_equal(revert(&ex, fd, NULL, &domid), 0);
        turn_off();
        expect_disks(2);
        assert_int_equal(revert(&in1, fd, NULL, &domid), 0);
        turn_off();
        expect_disks(1);
    }

    /* Off with i2: its file goes, and the base stays. */
    in2.keep = keep;
    in2.num_keep = 1;
    assert_int_equal(delete(&in2), 0);
    in2.keep = NULL;
    in2.num_keep = 0;
    assert_false(exists("%s", keep[1]));
    assert_true(exists("%s", base));
    /* e goes, but i1 lives in its file. */
    ex.keep = keep;
    ex.num_keep = 1;
    assert_int_equal(delete(&ex), 0);
    ex.keep = NULL;
    ex.num_keep = 0;
    assert_true(exists("%s", base));
    assert_int_equal(delete(&in1), 0);
    assert_false(exists("%s", base));
    expect_disks(1);
    assert_int_equal(num_files(), 1 + moved);
    free(keep[1]);
    libxl_domain_snapshot_safety_dispose(&safety);
    libxl_domain_snapshot_args_dispose(&in1);
    libxl_domain_snapshot_args_dispose(&ex);
    libxl_domain_snapshot_args_dispose(&in2);
    end();
}

/* Snapshots inside an overlay need its base: it stays. */
static void test_base_that_must_stay(void **state)
{
    libxl_domain_snapshot_args in;
    uint32_t domid;

    (void)state;
    make_external(1);
    assert_int_equal(external("e", &args), 0);
    write_disks(2);
    libxl_domain_snapshot_args_init(&in);
    assert_int_equal(create_kind("i", &in, LIBXL_DISK_SNAPSHOT_KIND_INTERNAL,
                                 NULL), 0);
    write_disks(3);
    assert_int_equal(delete(&args), 0);
    assert_true(exists("%s.e", first[0]));
    expect_running();
    assert_int_equal(revert(&in, fd, NULL, &domid), 0);
    turn_off();
    expect_disks(2);
    libxl_domain_snapshot_args_dispose(&in);
    end();
}

/* A second one of the same name has a file of its own beside it. */
static void test_same_name_again(void **state)
{
    libxl_domain_snapshot_args in, again;
    char old[256], *keep = old;
    uint32_t domid;

    (void)state;
    make_external(1);
    libxl_domain_snapshot_args_init(&in);
    libxl_domain_snapshot_args_init(&again);
    assert_int_equal(create_kind("i", &in, LIBXL_DISK_SNAPSHOT_KIND_INTERNAL,
                                 NULL), 0);
    write_disks(2);
    assert_int_equal(external("e", &args), 0);
    snprintf(old, sizeof(old), "%s.e", first[0]);
    in.disks[0].u.internal.internal_path = strdup(old);
    write_disks(3);
    args.keep = &keep;
    args.num_keep = 1;
    assert_int_equal(delete(&args), 0);
    args.keep = NULL;
    args.num_keep = 0;
    assert_true(exists("%s", old));

    assert_int_equal(external("e", &again), 0);
    assert_true(exists("%s~2", old));
    assert_string_equal(again.disks[0].u.external.base_path + strlen(old),
                        "~2");
    write_disks(4);
    assert_int_equal(revert(&again, fd, NULL, &domid), 0);
    turn_off();
    expect_disks(3);
    again.keep = &keep;
    again.num_keep = 1;
    assert_int_equal(delete(&again), 0);
    again.keep = NULL;
    again.num_keep = 0;
    assert_false(exists("%s~2", old));
    expect_disks(3);
    assert_int_equal(revert(&in, fd, NULL, &domid), 0);
    turn_off();
    expect_disks(1);
    libxl_domain_snapshot_args_dispose(&in);
    libxl_domain_snapshot_args_dispose(&again);
    end();
}

/* ... until the last of these is gone, wherever its image is by then. */
static void test_base_goes_with_the_last(void **state)
{
    libxl_domain_snapshot_args in, ex2;
    char frozen[256], *keep = frozen;
    uint32_t domid;

    (void)state;
    make_external(1);
    libxl_domain_snapshot_args_init(&in);
    libxl_domain_snapshot_args_init(&ex2);
    assert_int_equal(external("e1", &args), 0);
    write_disks(2);
    assert_int_equal(create_kind("i1", &in, LIBXL_DISK_SNAPSHOT_KIND_INTERNAL,
                                 NULL), 0);
    write_disks(3);
    assert_int_equal(external("e2", &ex2), 0);
    snprintf(frozen, sizeof(frozen), "%s.e2", first[0]);
    in.disks[0].u.internal.internal_path = strdup(frozen);
    assert_int_equal(revert(&args, fd, NULL, &domid), 0);
    args.keep = ex2.keep = &keep;
    args.num_keep = ex2.num_keep = 1;
    assert_int_equal(delete(&ex2), 0);
    assert_int_equal(delete(&args), 0);
    args.keep = ex2.keep = NULL;
    args.num_keep = ex2.num_keep = 0;
    assert_true(exists("%s.e1", first[0]));
    turn_off();
    assert_int_equal(delete(&in), 0);
    assert_false(exists("%s.e2", first[0]));
    assert_false(exists("%s.e1", first[0]));
    expect_disks(1);
    libxl_domain_snapshot_args_dispose(&in);
    libxl_domain_snapshot_args_dispose(&ex2);
    end();
}

/* Somebody else made an overlay: libxl learns of it. */
static void test_chain_changed(void **state)
{
    char text[600], path[192];

    (void)state;
    make_external(1);
    snprintf(path, sizeof(path), "%s/theirs.qcow2", bed.dir);
    snprintf(text, sizeof(text), "{\"node-name\":\"xvda-qcow2\","
             "\"snapshot-file\":\"%s\",\"format\":\"qcow2\","
             "\"snapshot-node-name\":\"xvda-theirs\"}", path);
    assert_int_equal(libxl_domain_disk_chain_changed(ctx, fake.domid, "xvda",
                                                     &how), 0);
    assert_string_equal(bed.path[0], first[0]);
    assert_int_equal(bed_qmp("blockdev-snapshot-sync", text), 0);
    assert_int_equal(libxl_domain_disk_chain_changed(ctx, fake.domid, "xvda",
                                                     &how), 0);
    assert_string_equal(bed.path[0], path);
    assert_int_equal(libxl_domain_disk_chain_changed(ctx, fake.domid, "xvdq",
                                                     &how), ERROR_NOTFOUND);
    write_disks(2);
    turn_off();
    expect_disks(2);
    end();
}

/* The restore fails: back at the safety point. */
static void test_goes_back(void **state)
{
    libxl_domain_snapshot_safety safety;
    uint32_t domid;

    (void)state;
    make_external(2);
    assert_int_equal(external("s1", &args), 0);
    write_disks(2);
    libxl_domain_snapshot_safety_init(&safety);
    safety.name = strdup("xlss-safety-1");
    safety.memory_fd = memory_file("safety");
    assert_int_equal(ftruncate(fd, 2), 0);
    assert_int_equal(revert(&args, fd, &safety, &domid), XLSS(WENT_BACK));
    assert_int_equal(fake.tick, 2);
    expect_running();
    assert_false(exists("%s.xlss-safety-1", first[0]));
    turn_off();
    expect_disks(2);
    libxl_domain_snapshot_safety_dispose(&safety);
    end();
}

/* The guest appends to its file just before QEMU opens that once more. */
static void append(const char *command)
{
    if (strcmp(command, "blockdev-reopen"))
        return;
    fake.at_command = NULL;
    bed_write(0, 40, 3);
}

/* Of a file node QEMU takes the length once; what lies behind it would read
 * as zeroes. */
static void expect_lengths(void)
{
    yajl_val v, image;
    struct stat st;
    uint64_t size;
    size_t i;

    assert_int_equal(bed_qmp_reply("query-named-block-nodes", NULL, &v), 0);
    for (i = 0; i < json_length(json_array(v, "return")); i++) {
        yajl_val node = json_item(json_array(v, "return"), i);

        image = json_object(node, "image");
        if (strcmp(json_string(node, "drv"), "file") ||
            stat(json_string(image, "filename"), &st))
            continue;
        assert_true(json_u64(image, "virtual-size", &size));
        assert_true(size >= (uint64_t)st.st_size);
    }
    yajl_tree_free(v);
}

static void test_appends(void **state)
{
    (void)state;
    make_external(1);
    fake.at_command = append;
    assert_int_equal(external("s1", &args), 0);
    fake.at_command = NULL;
    expect_lengths();
    expect_running();
    write_disks(2);
    turn_off();
    expect_disks(2);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_names_put_right),
        cmocka_unit_test(test_delete_root_online),
        cmocka_unit_test(test_delete_top_online),
        cmocka_unit_test(test_delete_then_off),
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_stored_configuration),
        cmocka_unit_test(test_appends),
        cmocka_unit_test(test_mixed_kinds),
        cmocka_unit_test(test_base_that_must_stay),
        cmocka_unit_test(test_base_goes_with_the_last),
        cmocka_unit_test(test_same_name_again),
        cmocka_unit_test(test_chain_changed),
        cmocka_unit_test(test_goes_back),
    };

    alarm(1200);
    if (!scene_begin())
        return 1;
    return GROUP_RUN(tests, scene_abandon);
}
