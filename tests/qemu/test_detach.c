/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A disk is taken from the domain after an external snapshot: QEMU closes
 * what it has open of it, and another one can have its name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "external_scene.h"

static int add_qcow2(const char *node, const char *file, const char *more)
{
    char *arguments = NULL;
    int rc;

    assert_true(asprintf(&arguments, "{\"driver\":\"qcow2\",\"node-name\":"
                         "\"%s\",%s\"file\":{\"driver\":\"file\","
                         "\"filename\":\"%s/%s\",\"locking\":\"off\"}}",
                         node, more, bed.dir, file) > 0);
    rc = bed_qmp("blockdev-add", arguments);
    free(arguments);
    return rc;
}

static int add_base(void)
{
    return add_qcow2("xvdz-qcow2", "z.qcow2", "");
}

/* As after an external snapshot of xvdz: its overlay is XLSS_NODE's. */
static void plug(void)
{
    assert_int_equal(run_in_bed("qemu-img create -q -f qcow2 z.qcow2 8M && "
                                "qemu-img create -q -f qcow2 z1.qcow2 8M"),
                     0);
    assert_int_equal(add_base(), 0);
    assert_int_equal(bed_qmp("device_add", "{\"driver\":\"virtio-scsi-pci\","
                             "\"id\":\"scsi\"}"), 0);
    assert_int_equal(bed_qmp("device_add", "{\"driver\":\"scsi-hd\",\"id\":"
                             "\"dev-xvdz\",\"bus\":\"scsi.0\",\"drive\":"
                             "\"xvdz-qcow2\"}"), 0);
    assert_int_equal(add_qcow2("xlss-xvdz-o00001", "z1.qcow2",
                               "\"backing\":null,"), 0);
    assert_int_equal(bed_qmp("blockdev-snapshot", "{\"node\":\"xvdz-qcow2\","
                             "\"overlay\":\"xlss-xvdz-o00001\"}"), 0);
}

static bool is_open(const char *file)
{
    return run_in_bed("ls -l /proc/%d/fd | grep -q '/%s$'", (int)bed.qemu,
                      file) == 0;
}

static int detached(void)
{
    return libxl_domain_disk_detached(ctx, fake.domid, &how);
}

static void test_closed(void **state)
{
    (void)state;
    make_external(1);
    assert_int_equal(external("s1", &args), 0);
    plug();
    assert_int_equal(bed_qmp("device_del", "{\"id\":\"dev-xvdz\"}"), 0);
    /* What it is about: the vdev isn't free. */
    assert_int_not_equal(add_base(), 0);
    assert_true(is_open("z.qcow2") && is_open("z1.qcow2"));

    /* xvda is still there, and the fake libxl doesn't list it. */
    assert_int_equal(detached(), XLSS(BUSY));
    assert_false(is_open("z.qcow2") || is_open("z1.qcow2"));
    assert_int_equal(add_base(), 0);
    expect_running();
    write_disks(2);
    turn_off();
    expect_disks(2);
    end();
}

static void test_untouched(void **state)
{
    (void)state;
    make_external(1);
    plug();
    assert_int_equal(detached(), XLSS(BUSY));
    assert_true(is_open("z.qcow2") && is_open("z1.qcow2"));
    assert_int_not_equal(add_base(), 0);
    expect_running();
    turn_off();
    end();
}

static void test_nothing_to_do(void **state)
{
    (void)state;
    make_external(1);
    assert_int_equal(detached(), 0);
    assert_int_equal(libxl_domain_disk_detached(ctx, XLSS_OFF,
                                                &how), ERROR_INVAL);
    bed_kill_qemu();
    assert_int_equal(detached(), 0);
    end();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_untouched),
        cmocka_unit_test(test_nothing_to_do),
    };

    alarm(1200);
    if (!scene_begin())
        return 1;
    return GROUP_RUN(tests, scene_abandon);
}
