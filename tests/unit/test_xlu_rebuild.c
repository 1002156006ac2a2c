/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A record is lost, and the disks' states are outside of the images: what
 * the names, the marks and the drivers tell of them, and what they don't.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_lxs.h"
#include "xluss_check.h"

static char root[64], image[128], file[160], overlay[192];
static xlu_snapshot_catalogue *cat;
static xlu_snapshot_findings none;
static xluss__check c;

static void put(const char *path, const void *data, size_t len)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* The header of a qcow2 of 64 MiB, as far as anybody looks here. */
static void put_qcow2(const char *path)
{
    static const char header[32] = { 'Q', 'F', 'I', '\xfb', 0, 0, 0, 3,
                                     [28] = 4 };

    put(path, header, sizeof(header));
}

static int setup(void **state)
{
    xlu_snapshot_create_args args = { .name = "s" };
    xlu_snapshot_domain d;

    (void)state;
    fake_reset();
    fake->internal_only = true;
    snprintf(root, sizeof(root), "/tmp/test-xlu-rebuild.XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(image, sizeof(image), "%s/image", root);
    snprintf(file, sizeof(file), "%s.s", image);
    snprintf(overlay, sizeof(overlay), "%s.qcow2", file);
    if (xlu_snapshot_find_domain(fake_ctx(), fake_logger(), root, FAKE_NAME,
                                 &d) ||
        xlu_snapshot_open(fake_ctx(), fake_logger(), root, &d,
                          XLU_SNAPSHOT_WRITE, &cat))
        return -1;
    xlu_snapshot_domain_dispose(&d);
    /* So that the fake finds it on the disks. */
    if (xlu_snapshot_create(cat, &args, NULL, NULL))
        return -1;
    xlu_snapshot_findings_init(&none);
    c = (xluss__check){ .cat = cat, .out = &none };
    xluss__ear_init(&c.ear);
    c.how.lg = &c.ear.vtable;
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    xluss__check_dispose(&c);
    xlu_snapshot_close(cat);
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command);
}

static bool rebuild(const char *path, libxl_disk_format format,
                    libxl_disk_snapshot *d, char **why)
{
    *why = NULL;
    libxl_disk_snapshot_init(d);
    d->device.vdev = strdup("xvda");
    d->device.pdev_path = strdup(path);
    d->device.format = format;
    return xluss__rebuild_disk(&c, "s", d, why);
}

static void external(void **state)
{
    libxl_disk_snapshot d;
    char *why;

    (void)state;
    put_qcow2(image);
    put_qcow2(file);
    strcpy(fake->frozen, file);
    assert_true(rebuild(image, LIBXL_DISK_FORMAT_QCOW2, &d, &why));
    assert_int_equal(d.kind, LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL);
    assert_string_equal(d.u.external.base_path, file);
    assert_string_equal(d.u.external.external_path, image);
    assert_string_equal(d.name, "s");
    assert_int_equal(d.size, 64 << 20);
    libxl_disk_snapshot_dispose(&d);
}

/* Two of that name, with a gap: which it was, the record alone knew. */
static void external_twice(void **state)
{
    libxl_disk_snapshot d;
    char *why, second[300];

    (void)state;
    put_qcow2(image);
    put_qcow2(file);
    snprintf(second, sizeof(second), "%s~3", file);
    put_qcow2(second);
    strcpy(fake->frozen, file);
    assert_false(rebuild(image, LIBXL_DISK_FORMAT_QCOW2, &d, &why));
    free(why);
    libxl_disk_snapshot_dispose(&d);
    unlink(second);
}

/* A raw disk moves; where to is known if nobody said otherwise. */
static void moved(void **state)
{
    libxl_disk_snapshot d;
    char *why;

    (void)state;
    put(image, "raw data", 8);
    put(file, "raw data", 8);
    strcpy(fake->frozen, file);
    assert_false(rebuild(image, LIBXL_DISK_FORMAT_RAW, &d, &why));
    assert_non_null(strstr(why, "has moved"));
    free(why);
    libxl_disk_snapshot_dispose(&d);
    put_qcow2(overlay);
    assert_true(rebuild(image, LIBXL_DISK_FORMAT_RAW, &d, &why));
    assert_int_equal(d.kind, LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL);
    assert_string_equal(d.u.external.external_path, overlay);
    assert_int_equal(d.size, 8);
    libxl_disk_snapshot_dispose(&d);
}

static void reflink(void **state)
{
    libxl_disk_snapshot d;
    char *why;

    (void)state;
    put(image, "raw data", 8);
    put(file, "raw data", 8);
    assert_true(rebuild(image, LIBXL_DISK_FORMAT_RAW, &d, &why));
    assert_int_equal(d.kind, LIBXL_DISK_SNAPSHOT_KIND_REFLINK);
    assert_string_equal(d.u.reflink.reflink_path, file);
    assert_int_equal(d.size, 8);
    libxl_disk_snapshot_dispose(&d);
    /* The driver says that it isn't one. */
    fake->verify_damaged = true;
    assert_false(rebuild(image, LIBXL_DISK_FORMAT_RAW, &d, &why));
    assert_int_equal(d.kind, LIBXL_DISK_SNAPSHOT_KIND_ANY);
    libxl_disk_snapshot_dispose(&d);
}

static void lvm(void **state)
{
    libxl_disk_snapshot d;
    char *why;

    (void)state;
    assert_true(rebuild("/dev/vg/lv", LIBXL_DISK_FORMAT_RAW, &d, &why));
    assert_int_equal(d.kind, LIBXL_DISK_SNAPSHOT_KIND_LVM);
    assert_string_equal(d.u.lvm.lvm_volume, "vg/lv.s");
    libxl_disk_snapshot_dispose(&d);
    assert_true(rebuild("/dev/mapper/vg-lv", LIBXL_DISK_FORMAT_RAW, &d,
                        &why));
    assert_null(d.u.lvm.lvm_volume);
    libxl_disk_snapshot_dispose(&d);
    fake->verify_damaged = true;
    assert_false(rebuild("/dev/vg/lv", LIBXL_DISK_FORMAT_RAW, &d, &why));
    libxl_disk_snapshot_dispose(&d);
}

/* Inside an image that a later external snapshot has frozen. */
static void frozen_image(void **state)
{
    xlu_snapshot *s = &xluss__find(cat, "s")->s;
    libxl_disk_snapshot d, *x = &s->args.disks[0];
    char *why;

    (void)state;
    put_qcow2(image);
    x->kind = LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL;
    memset(&x->u, 0, sizeof(x->u));
    x->u.external.base_path = strdup("/img/b.qcow2");
    assert_true(rebuild(image, LIBXL_DISK_FORMAT_QCOW2, &d, &why));
    assert_int_equal(d.kind, LIBXL_DISK_SNAPSHOT_KIND_INTERNAL);
    assert_string_equal(d.u.internal.internal_path, "/img/b.qcow2");
    libxl_disk_snapshot_dispose(&d);
}

static void nothing(void **state)
{
    libxl_disk_snapshot d;
    char *why;

    (void)state;
    put(image, "raw data", 8);
    assert_false(rebuild(image, LIBXL_DISK_FORMAT_RAW, &d, &why));
    assert_null(why);
    libxl_disk_snapshot_dispose(&d);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(external),
        TEST(external_twice),
        TEST(moved),
        TEST(reflink),
        TEST(lvm),
        TEST(frozen_image),
        TEST(nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
