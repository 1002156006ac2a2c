/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Which files snapshots live in: followed when an external snapshot freezes
 * an image, when a revert displaces one, and kept for one another.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_lxs.h"
#include "xluss.h"

static char root[64], image[128], base[160];
static xlu_snapshot_catalogue *cat;

static void create(const char *name)
{
    xlu_snapshot_create_args args = { .name = name };

    assert_int_equal(xlu_snapshot_create(cat, &args, NULL, NULL), 0);
}

static xlu_snapshot *find(const char *name)
{
    xluss__entry *e = xluss__find(cat, name);

    assert_non_null(e);
    return &e->s;
}

/* The first disk of an entry, as if it had always been so. */
static libxl_disk_snapshot *disk(const char *name,
                                 libxl_disk_snapshot_kind kind)
{
    libxl_disk_snapshot *d = &find(name)->args.disks[0];

    d->kind = kind;
    memset(&d->u, 0, sizeof(d->u));
    xluss__replace(&d->device.pdev_path, image);
    if (kind == LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL) {
        d->u.external.base_path = strdup(base);
        d->u.external.external_path = strdup(image);
    }
    assert_int_equal(xluss__store_json(cat, find(name)), 0);
    return d;
}

static int setup(void **state)
{
    xlu_snapshot_domain d;

    (void)state;
    fake_reset();
    fake->internal_only = true;
    snprintf(root, sizeof(root), "/tmp/test-xlu-places.XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(image, sizeof(image), "%s/image.qcow2", root);
    snprintf(base, sizeof(base), "%s.e", image);
    if (xlu_snapshot_find_domain(fake_ctx(), fake_logger(), root, FAKE_NAME,
                                 &d) ||
        xlu_snapshot_open(fake_ctx(), fake_logger(), root, &d,
                          XLU_SNAPSHOT_WRITE, &cat))
        return -1;
    xlu_snapshot_domain_dispose(&d);
    create("i");
    create("e");
    disk("i", LIBXL_DISK_SNAPSHOT_KIND_INTERNAL);
    disk("e", LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL);
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    xlu_snapshot_close(cat);
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command);
}

static const char *where(const char *name)
{
    assert_int_equal(xluss__load(cat), 0);
    return find(name)->args.disks[0].u.internal.internal_path;
}

static void frozen(void **state)
{
    (void)state;
    assert_null(where("i"));
    assert_int_equal(xluss__places_frozen(cat, find("e")), 0);
    assert_string_equal(where("i"), base);
    /* Again, and by a later one: it stays in the first. */
    assert_int_equal(xluss__places_frozen(cat, find("e")), 0);
    free(find("e")->args.disks[0].u.external.base_path);
    find("e")->args.disks[0].u.external.base_path = strdup("/other");
    assert_int_equal(xluss__places_frozen(cat, find("e")), 0);
    assert_string_equal(where("i"), base);
}

static void of_another_disk(void **state)
{
    (void)state;
    xluss__replace(&find("e")->args.disks[0].device.pdev_path, "/other");
    assert_int_equal(xluss__places_frozen(cat, find("e")), 0);
    assert_null(where("i"));
}

static void kept(void **state)
{
    libxl_domain_snapshot_args args;

    (void)state;
    assert_int_equal(xluss__places_frozen(cat, find("e")), 0);
    libxl_domain_snapshot_args_init(&args);
    xluss__keep_others(cat, "e", &args);
    assert_int_equal(args.num_keep, 1);
    assert_string_equal(args.keep[0], base);
    libxl_domain_snapshot_args_dispose(&args);
    libxl_domain_snapshot_args_init(&args);
    xluss__keep_others(cat, "i", &args);
    assert_int_equal(args.num_keep, 1);
    libxl_domain_snapshot_args_dispose(&args);
}

/* A revert to e puts another file in the place of the image with i. */
static void displaced(void **state)
{
    libxl_domain_snapshot_args args;
    char path[200];
    int fd;

    (void)state;
    libxl_domain_snapshot_args_init(&args);
    assert_int_equal(xluss__places_displaced(cat, &find("i")->args, "x",
                                             NULL), 0);
    assert_int_equal(xluss__places_displaced(cat, &find("e")->args, "x",
                                             &args), 1);
    snprintf(path, sizeof(path), "%s.x", image);
    assert_string_equal(args.keep[0], path);
    libxl_domain_snapshot_args_dispose(&args);

    /* It went back, or wasn't displaced: there is no such file. */
    assert_int_equal(xluss__places_follow(cat, "x"), 0);
    assert_null(where("i"));
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(xluss__places_follow(cat, "x"), 0);
    assert_string_equal(where("i"), path);
    assert_int_equal(xluss__places_follow(cat, NULL), 0);
}

static void moved(void **state)
{
    char command[256];

    (void)state;
    assert_false(xlu_snapshot_names_wrong(root));
    assert_int_equal(xluss__moved_note(cat, find("i")), 0);
    assert_false(xlu_snapshot_names_wrong(root));
    assert_int_equal(xluss__moved_note(cat, find("e")), 0);
    assert_int_equal(xluss__moved_note(cat, find("e")), 0);
    assert_true(xlu_snapshot_names_wrong(root));
    snprintf(command, sizeof(command), "grep -c . %s/*/moved | grep -qx 1",
             root);
    assert_int_equal(system(command), 0);

    /* Only of a domain that is off. */
    xlu_snapshot_close(cat);
    assert_int_equal(xlu_snapshot_names_put_right(fake_ctx(), fake_logger(),
                                                  root), 0);
    assert_true(xlu_snapshot_names_wrong(root));
    fake->running = false;
    assert_int_equal(xlu_snapshot_names_put_right(fake_ctx(), fake_logger(),
                                                  root), 0);
    assert_false(xlu_snapshot_names_wrong(root));
    cat = NULL;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(frozen), TEST(of_another_disk), TEST(kept), TEST(displaced),
        TEST(moved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
