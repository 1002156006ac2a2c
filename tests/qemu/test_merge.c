/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Chains made shorter on a real QEMU: what is left behind goes, what somebody
 * needs stays, and at no instant does any name lead to other data.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "external_scene.h"
#include "qmp/qmp.h"

static libxl_domain_disk_merge_args merge_args;

static int sum_merged(void)
{
    int i, n = 0;

    for (i = 0; i < merge_args.num_disks; i++)
        n += merge_args.disks[i].merged;
    return n;
}

static int sum_stayed(void)
{
    int i, n = 0;

    for (i = 0; i < merge_args.num_disks; i++)
        n += merge_args.disks[i].stayed;
    return n;
}

static void fresh_args(void)
{
    int i;

    libxl_domain_disk_merge_args_dispose(&merge_args);
    libxl_domain_disk_merge_args_init(&merge_args);
    if (fake.exists)
        return;
    merge_args.disks = calloc(bed.num_disks, sizeof(*merge_args.disks));
    merge_args.num_disks = bed.num_disks;
    for (i = 0; i < bed.num_disks; i++) {
        libxl_disk_merge_init(&merge_args.disks[i]);
        merge_args.disks[i].device.vdev = strdup(bed.vdev[i]);
        merge_args.disks[i].device.pdev_path = strdup(first[i]);
        merge_args.disks[i].device.format = LIBXL_DISK_FORMAT_QCOW2;
        merge_args.disks[i].device.readwrite = 1;
    }
}

static int merge_now(void)
{
    return libxl_domain_disk_merge(ctx, fake.exists ? fake.domid : XLSS_OFF,
                                   &merge_args, &how, NULL);
}

static int merge_toward(libxl_merge_direction direction)
{
    fresh_args();
    merge_args.direction = direction;
    return merge_now();
}

static int merge(void)
{
    return merge_toward(LIBXL_MERGE_DIRECTION_ANY);
}

/* Of the kept files; the paths stay the caller's. */
static int merge_keeping(const char *path)
{
    fresh_args();
    merge_args.keep = calloc(1, sizeof(*merge_args.keep));
    merge_args.num_keep = 1;
    merge_args.keep[0] = strdup(path);
    return merge_now();
}

/*
 * The base of `e`, deleted while `i` was inside its overlay; i: is it still?
 * The disks hold 3.
 */
static void make_leftover(int disks, bool i)
{
    libxl_domain_snapshot_args in;

    make_external(disks);
    assert_int_equal(external("e", &args), 0);
    write_disks(2);
    libxl_domain_snapshot_args_init(&in);
    assert_int_equal(create_kind("i", &in, LIBXL_DISK_SNAPSHOT_KIND_INTERNAL,
                                 NULL), 0);
    write_disks(3);
    assert_int_equal(delete(&args), 0);
    assert_true(exists("%s.e", first[0]));
    if (!i)
        assert_int_equal(delete(&in), 0);
    libxl_domain_snapshot_args_dispose(&in);
}

/* By the name that libxl remembers and by the disk's own. */
static void expect_at_rest(int pattern)
{
    int i;

    expect_disks(pattern);
    for (i = 0; i < bed.num_disks; i++) {
        assert_int_equal(libxl_domain_disk_names_put_right(ctx, first[i],
                                                           &how), 0);
        look_at(i, first[i], "");
    }
    expect_disks(pattern);
}

static void test_leftover_online(void **state)
{
    (void)state;
    make_leftover(2, false);
    assert_int_equal(merge_toward(LIBXL_MERGE_DIRECTION_DOWN),
                     XLSS(NOT_POSSIBLE));
    assert_true(exists("%s.e", first[0]));
    assert_int_equal(merge(), 0);
    assert_int_equal(merge_args.num_disks, 2);
    assert_int_equal(sum_merged(), 2);
    assert_int_equal(sum_stayed(), 0);
    assert_false(exists("%s.e", first[0]));
    assert_false(exists("%s.e", first[1]));
    expect_running();
    write_disks(4);
    assert_int_equal(merge(), 0);
    assert_int_equal(sum_merged(), 0);
    expect_running();
    turn_off();
    expect_at_rest(4);
    end();
}

static void test_leftover_off(void **state)
{
    (void)state;
    make_leftover(1, false);
    turn_off();
    assert_int_equal(merge(), 0);
    assert_int_equal(sum_merged(), 1);
    assert_false(exists("%s.e", first[0]));
    look_at(0, first[0], "");
    expect_at_rest(3);
    start_from_first();
    write_disks(4);
    turn_off();
    expect_at_rest(4);
    end();
}

/* Off, both ways; where down can't be, it is refused. */
static void test_direction_off(void **state)
{
    static const libxl_merge_direction ways[] = {
        LIBXL_MERGE_DIRECTION_UP, LIBXL_MERGE_DIRECTION_DOWN };
    ino_t base, after;
    struct stat st;
    char path[256];
    int i;

    (void)state;
    for (i = 0; i < 2; i++) {
        make_leftover(1, false);
        turn_off();
        snprintf(path, sizeof(path), "%s.e", first[0]);
        assert_int_equal(stat(path, &st), 0);
        base = st.st_ino;
        assert_int_equal(merge_toward(ways[i]), 0);
        assert_int_equal(sum_merged(), 1);
        assert_int_equal(stat(first[0], &st), 0);
        after = st.st_ino;
        assert_true((base == after) ==
                    (ways[i] == LIBXL_MERGE_DIRECTION_DOWN));
        /* It is the guest's again, and no leftover of anything. */
        assert_int_equal(getxattr(first[0], "user.xlss.base", path, 1), -1);
        look_at(0, first[0], "");
        expect_at_rest(3);
        end();
    }
    make_leftover(1, true);
    turn_off();
    assert_int_equal(merge_toward(LIBXL_MERGE_DIRECTION_DOWN),
                     XLSS(NOT_POSSIBLE));
    look_at(0, first[0], "");
    expect_at_rest(3);
    end();
}

/* A snapshot inside the overlay reads through to the base. */
static void test_stays(void **state)
{
    (void)state;
    make_leftover(1, true);
    assert_int_equal(merge(), 0);
    assert_int_equal(sum_merged(), 0);
    assert_int_equal(sum_stayed(), 1);
    assert_true(exists("%s.e", first[0]));
    expect_running();
    turn_off();
    assert_int_equal(merge(), 0);
    assert_int_equal(sum_stayed(), 1);
    look_at(0, first[0], "");
    expect_at_rest(3);
    end();
}

/* Of a chain of three, what is in the middle, and then the rest. */
static void test_chain(void **state)
{
    libxl_domain_snapshot_args e1, e2;
    uint32_t domid;
    char keep[256];

    (void)state;
    make_external(1);
    libxl_domain_snapshot_args_init(&e1);
    libxl_domain_snapshot_args_init(&e2);
    assert_int_equal(external("e1", &e1), 0);
    write_disks(2);
    assert_int_equal(external("e2", &e2), 0);
    write_disks(3);
    assert_int_equal(external("e3", &args), 0);
    write_disks(4);
    snprintf(keep, sizeof(keep), "%s.e2", first[0]);
    assert_int_equal(merge_keeping(keep), 0);
    assert_int_equal(sum_merged(), 2);
    assert_false(exists("%s.e3", first[0]));
    assert_false(exists("%s.e1", first[0]));
    expect_running();
    assert_int_equal(revert(&e2, fd, NULL, &domid), 0);
    turn_off();
    expect_disks(2);
    assert_int_equal(merge(), 0);
    look_at(0, first[0], "");
    expect_at_rest(2);
    assert_false(exists("%s.e2", first[0]));
    libxl_domain_snapshot_args_dispose(&e1);
    libxl_domain_snapshot_args_dispose(&e2);
    end();
}

/* A base that we have not frozen is somebody's. */
static void test_template(void **state)
{
    (void)state;
    make_external(1);
    turn_off();
    assert_int_equal(run_in_bed("cp 'disk,0 a:b.qcow2' tmpl && "
                                "qemu-img create -q -f qcow2 -b tmpl "
                                "-F qcow2 './disk,0 a:b.qcow2'"), 0);
    start_from_first();
    assert_int_equal(merge(), 0);
    assert_int_equal(sum_merged(), 0);
    assert_int_equal(external("e", &args), 0);
    write_disks(2);
    assert_int_equal(merge(), 0);
    assert_int_equal(sum_merged(), 1);
    expect_running();
    turn_off();
    expect_at_rest(2);
    assert_int_equal(run_in_bed("qemu-img info './disk,0 a:b.qcow2' | "
                                "grep -q 'backing file: tmpl'"), 0);
    end();
}

/* A moved disk: its old file bears the base's other name, and stays. */
static void test_moved(void **state)
{
    char path[256];

    (void)state;
    bed_next_raw(0);
    make_external(1);
    assert_int_equal(external("e", &args), 0);
    write_disks(2);
    snprintf(path, sizeof(path), "%s", bed.path[0]);
    assert_int_equal(merge(), 0);
    assert_int_equal(sum_merged(), 1);
    assert_false(exists("%s.e", first[0]));
    assert_true(exists("%s", first[0]));
    assert_true(immutable(first[0]));
    expect_running();
    assert_string_equal(bed.path[0], path);
    turn_off();
    expect_disks(2);
    end();
}

/* Frozen by us, based on by nothing, named by nobody: after a merge whose
 * end was not seen. */
static void test_orphan(void **state)
{
    char keep[256];

    (void)state;
    make_external(1);
    assert_int_equal(external("e1", &args), 0);
    assert_int_equal(external("e2", &args), 0);
    turn_off();
    assert_int_equal(libxl_domain_disk_names_put_right(ctx, first[0], &how),
                     0);
    assert_int_equal(run_in_bed("qemu-img convert -O qcow2 "
                                "'./disk,0 a:b.qcow2' n && "
                                "mv n 'disk,0 a:b.qcow2' && "
                                "echo x > 'disk,0 a:b.qcow2.theirs'"), 0);
    snprintf(keep, sizeof(keep), "%s.e2", first[0]);
    assert_int_equal(merge_keeping(keep), 0);
    assert_true(exists("%s.e1", first[0]));
    assert_int_equal(merge(), 0);
    assert_false(exists("%s.e1", first[0]));
    assert_false(exists("%s.e2", first[0]));
    assert_true(exists("%s.theirs", first[0]));
    look_at(0, first[0], "");
    expect_at_rest(1);
    end();
}

/* What the guest writes to now. */
static void node_of_xvda(char node[64])
{
    yajl_val v;

    assert_int_equal(bed_qmp_reply("query-block", NULL, &v), 0);
    snprintf(node, 64, "%s",
             json_string(json_object(json_item(json_array(v, "return"), 0),
                                     "inserted"), "node-name"));
    yajl_tree_free(v);
}

static void test_refused(void **state)
{
    char node[64], text[300];

    (void)state;
    /* No such disk; none that could have a chain. */
    bed_next_raw(1);
    make_external(2);
    fresh_args();
    merge_args.disks = calloc(1, sizeof(*merge_args.disks));
    merge_args.num_disks = 1;
    libxl_disk_merge_init(&merge_args.disks[0]);
    merge_args.disks[0].device.vdev = strdup("xvdq");
    assert_int_equal(merge_now(), ERROR_NOTFOUND);
    strcpy(merge_args.disks[0].device.vdev, "xvdb");
    assert_int_equal(merge_now(), XLSS(NOT_POSSIBLE));
    end();
    /* Somebody's block job. */
    make_leftover(1, false);
    node_of_xvda(node);
    snprintf(text, sizeof(text), "{\"job-id\":\"theirs\",\"device\":\"%s\","
             "\"auto-finalize\":false}", node);
    assert_int_equal(bed_qmp("block-stream", text), 0);
    assert_int_equal(merge(), XLSS(BUSY));
    assert_int_equal(bed_qmp("job-cancel", "{\"id\":\"theirs\"}"), 0);
    end();
    /* An HVM whose guest uses the emulated disk. */
    make_leftover(1, false);
    turn_off();
    assert_int_equal(libxl_domain_disk_names_put_right(ctx, first[0], &how),
                     0);
    fake.hvm = bed.twin = true;
    fake.backend_state = 2;
    start_from_first();
    assert_int_equal(merge(), XLSS(IMAGE_OPEN_TWICE));
    assert_true(exists("%s.e", first[0]));
    expect_running();
    turn_off();
    expect_at_rest(3);
    end();
}

/* The client is told to stop: the job is ended, and done anew. */
static int stop_at_merge(libxl_ctx *unused, libxl_snapshot_step step,
                         uint64_t done, uint64_t total, void *user)
{
    (void)unused;
    (void)done;
    (void)total;
    (void)user;
    return step == LIBXL_SNAPSHOT_STEP_MERGE ? ERROR_ABORTED : 0;
}

static void test_aborted(void **state)
{
    (void)state;
    make_leftover(1, false);
    how.step = stop_at_merge;
    assert_int_equal(merge(), ERROR_ABORTED);
    how.step = quiet_step;
    expect_running();
    write_disks(4);
    assert_int_equal(merge(), 0);
    assert_int_equal(sum_merged(), 1);
    turn_off();
    expect_at_rest(4);
    end();
}

/* What a client that died has left: a job with our name. */
static void test_client_died(void **state)
{
    char node[64], text[300];
    uint64_t n = 1;
    yajl_val v;

    (void)state;
    make_leftover(1, false);
    node_of_xvda(node);
    snprintf(text, sizeof(text), "{\"job-id\":\"" XLSS_JOB "xvda\","
             "\"device\":\"%s\",\"auto-finalize\":false,"
             "\"auto-dismiss\":false}", node);
    assert_int_equal(bed_qmp("block-stream", text), 0);
    assert_int_equal(merge(), 0);
    assert_int_equal(sum_merged(), 1);
    assert_int_equal(bed_qmp_reply("query-jobs", NULL, &v), 0);
    n = json_length(json_array(v, "return"));
    yajl_tree_free(v);
    assert_int_equal(n, 0);
    expect_running();
    turn_off();
    expect_at_rest(3);
    end();
}

static bool looks_like(int disk, const char *keep, libxl_disk_file_role role,
                       const char *path)
{
    char *kept = (char *)keep;
    libxl_disk_file_list list;
    libxl_device_disk dev;
    bool is;

    libxl_disk_file_list_init(&list);
    libxl_device_disk_init(&dev);
    dev.vdev = strdup(bed.vdev[disk]);
    dev.pdev_path = strdup(fake.exists ? bed.path[disk] : first[disk]);
    assert_int_equal(libxl_disk_file_look(ctx, fake.exists ? fake.domid
                                                           : XLSS_OFF,
                                          &dev, keep ? &kept : NULL, !!keep,
                                          &list, &how), 0);
    is = path ? list.num_files == 1 && list.files[0].role == role &&
                !strcmp(list.files[0].path, path)
              : !list.num_files;
    libxl_device_disk_dispose(&dev);
    libxl_disk_file_list_dispose(&list);
    return is;
}

/* What snapshot-check asks: in each case, one file, or none. */
static void test_look(void **state)
{
    char base[256], live[256], text[600];

    (void)state;
    make_external(1);
    assert_true(looks_like(0, NULL, 0, NULL));
    assert_int_equal(external("e", &args), 0);
    snprintf(base, sizeof(base), "%s.e", first[0]);
    snprintf(live, sizeof(live), "%s", bed.path[0]);
    assert_true(libxl_disk_file_is_frozen(base));
    assert_true(looks_like(0, base, 0, NULL));
    assert_true(looks_like(0, NULL, LIBXL_DISK_FILE_ROLE_CHAIN, base));
    /* An overlay on it that is nobody's. */
    assert_int_equal(run_in_bed("qemu-img create -q -f qcow2 -u -b \"$PWD/"
                                "disk,0 a:b.qcow2.e\" -F qcow2 old.qcow2 "
                                "64M"), 0);
    snprintf(text, sizeof(text), "%s/old.qcow2", bed.dir);
    assert_true(looks_like(0, base, LIBXL_DISK_FILE_ROLE_OVERLAY, text));
    assert_int_equal(run_in_bed("rm old.qcow2"), 0);
    turn_off();
    assert_true(!strcmp(live, first[0]) ||
                looks_like(0, base, LIBXL_DISK_FILE_ROLE_LIVE_NAME, live));
    assert_int_equal(libxl_domain_disk_names_put_right(ctx, first[0], &how),
                     0);
    assert_true(looks_like(0, base, 0, NULL));
    assert_true(looks_like(0, NULL, LIBXL_DISK_FILE_ROLE_CHAIN, base));
    assert_int_equal(run_in_bed("qemu-img rebase -u -b '' "
                                "'./disk,0 a:b.qcow2'"), 0);
    assert_true(looks_like(0, NULL, LIBXL_DISK_FILE_ROLE_ALONE, base));
    assert_true(looks_like(0, base, 0, NULL));
    end();
}

/* QEMU goes over to a file that libxl knows nothing of. */
static void test_look_other_name(void **state)
{
    char text[600], path[192];

    (void)state;
    make_external(1);
    snprintf(path, sizeof(path), "%s/theirs.qcow2", bed.dir);
    snprintf(text, sizeof(text), "{\"node-name\":\"xvda-qcow2\","
             "\"snapshot-file\":\"%s\",\"format\":\"qcow2\","
             "\"snapshot-node-name\":\"xvda-theirs\"}", path);
    assert_int_equal(bed_qmp("blockdev-snapshot-sync", text), 0);
    assert_true(looks_like(0, NULL, LIBXL_DISK_FILE_ROLE_OTHER_NAME, path));
    assert_int_equal(libxl_domain_disk_chain_changed(ctx, fake.domid, "xvda",
                                                     &how), 0);
    assert_true(looks_like(0, NULL, 0, NULL));
    end();
}

/*
 * Fails the n-th call, for every n: the guest runs, all names lead to its
 * data, and the merge can be done again.
 */
static void fail_merge(bool off, enum fault fault)
{
    int n, rc;

    for (n = 1;; n = fault_next(n)) {
        make_leftover(1, false);
        if (off)
            turn_off();
        /* What a dead QEMU had not written is no fault of ours. */
        if (!off) {
            assert_int_equal(bed_qmp("stop", NULL), 0);
            assert_int_equal(bed_qmp("cont", NULL), 0);
        }
        fake.calls = 0;
        fake.fail_at = n;
        fake.fault = fault;
        rc = merge();
        fake.fail_at = 0;
        print_message("%d %s: %s\n", n, fake.failed_call,
                      libxl_snapshot_strerror(rc));
        if (!off && fault != FAULT_QEMU_DIES) {
            expect_running();
            write_disks(4);
            if (n % 2)
                assert_int_equal(merge(), 0);
            expect_running();
        }
        turn_off();
        if (fault == FAULT_QEMU_DIES)
            bed_repair_leaks();
        if (off)
            look_at(0, first[0], "");
        expect_at_rest(off || fault == FAULT_QEMU_DIES ? 3 : 4);
        assert_int_equal(merge(), 0);
        expect_at_rest(off || fault == FAULT_QEMU_DIES ? 3 : 4);
        assert_false(exists("%s.e", first[0]));
        end();
        if (!fake.failed)
            break;
    }
    assert_int_equal(rc, 0);
    assert_true(n > (off ? 1 : 20));
}

static void test_fail_online(void **state)
{
    (void)state;
    fail_merge(false, FAULT_BEFORE);
    fail_merge(false, FAULT_AFTER);
}

static void test_fail_off(void **state)
{
    (void)state;
    fail_merge(true, FAULT_BEFORE);
    fail_merge(true, FAULT_AFTER);
}

static void test_qemu_dies(void **state)
{
    (void)state;
    fail_merge(false, FAULT_QEMU_DIES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leftover_online),
        cmocka_unit_test(test_leftover_off),
        cmocka_unit_test(test_direction_off),
        cmocka_unit_test(test_stays),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_template),
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_orphan),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_aborted),
        cmocka_unit_test(test_client_died),
        cmocka_unit_test(test_look),
        cmocka_unit_test(test_look_other_name),
        cmocka_unit_test(test_fail_online),
        cmocka_unit_test(test_fail_off),
        cmocka_unit_test(test_qemu_dies),
    };

    alarm(1200);
    if (!scene_begin())
        return 1;
    return GROUP_RUN(tests, scene_abandon);
}
