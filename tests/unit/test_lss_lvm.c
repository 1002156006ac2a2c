/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * disk/lvm*.c: names, reports, and every step of a revert failing, on a
 * volume group of the test's own in place of `lvm`.
 */
#include <stdio.h>
#include <stdlib.h>

#include "disk/disk.h"
#include "disk/lvm.h"
#include "lss_test.h"

#define DRIVER libxlss__disk_lvm
#define LONG_NAME \
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" \
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"

/* --- the volume group tvg --- */

#define MAX_LVS 8

static struct lv {
    char name[LVM_NAME], tags[64];
    int content;
    bool open, readonly;
} lvs[MAX_LVS];

static double pool_data;
static int calls, fail_at;
static bool fail_after;
static int opens_left;          /* `lvs` calls until the volume is closed */

static struct lv *find_lv(const char *name)
{
    int i;

    for (i = 0; i < MAX_LVS; i++)
        if (!strcmp(lvs[i].name, name))
            return &lvs[i];
    return NULL;
}

static struct lv *new_lv(const char *name, int content)
{
    struct lv *lv = find_lv("");

    if (!lv)
        abort();
    memset(lv, 0, sizeof(*lv));
    strcpy(lv->name, name);
    lv->content = content;
    return lv;
}

static const char *base(const char *full)
{
    return strchr(full, '/') ? strchr(full, '/') + 1 : full;
}

static const char *option(char *const argv[], const char *name)
{
    for (; *argv; argv++)
        if (!strcmp(*argv, name))
            return argv[1];
    return NULL;
}

static int do_create(char *const argv[], const char *last)
{
    const struct lv *from = find_lv(base(last));
    const char *name = option(argv, "--name");
    struct lv *lv;

    assert_non_null(option(argv, "--yes"));
    if (!from || find_lv(name))
        return 5;
    lv = new_lv(name, from->content);
    if (option(argv, "--addtag"))
        strcpy(lv->tags, option(argv, "--addtag"));
    lv->readonly = !strcmp(option(argv, "--permission"), "r");
    return 0;
}

static int do_remove(const char *last)
{
    struct lv *lv = find_lv(base(last));

    if (!lv || lv->open)
        return 5;
    lv->name[0] = '\0';
    return 0;
}

static int do_rename(const char *from, const char *to)
{
    struct lv *lv = find_lv(from);

    if (!lv || find_lv(to))
        return 5;
    strcpy(lv->name, to);
    return 0;
}

static char *report(struct libxlss__op *op)
{
    char *out = libxlss__printf(op,
        "{\"report\":[{\"lv\":[{\"lv_name\":\"pool\",\"pool_lv\":\"\","
        "\"lv_attr\":\"twi-aotz--\",\"data_percent\":\"%.2f\","
        "\"metadata_percent\":\"10.25\"}", pool_data);
    int i;

    if (find_lv("web") && opens_left > 0)
        find_lv("web")->open = --opens_left > 0;
    for (i = 0; i < MAX_LVS; i++)
        if (*lvs[i].name)
            out = libxlss__printf(op, "%s,{\"lv_name\":\"%s\",\"pool_lv\":"
                "\"%s\",\"lv_tags\":\"%s\",\"lv_attr\":\"%s\","
                "\"lv_size\":\"1048576\"}", out, lvs[i].name,
                strcmp(lvs[i].name, "thick") ? "pool" : "", lvs[i].tags,
                !strcmp(lvs[i].name, "thick") ? "-wi-ao----" :
                lvs[i].open ? "Vwi-aotz--" : "Vwi-a-tz--");
    return libxlss__printf(op, "%s]}]}", out);
}

/* In the library's place. */
int __wrap_libxlss__child(struct libxlss__op *op, char *const argv[],
                          char **out_r, char **err_r, int *status_r);
int __wrap_libxlss__child(struct libxlss__op *op, char *const argv[],
                          char **out_r, char **err_r, int *status_r)
{
    char *const *words = argv;
    const char *last;
    int status = 5, n;

    while (strcmp(*words, "lvm"))
        words++;
    words++;
    for (n = 0; words[n]; n++)
        ;
    last = words[n - 1];
    *out_r = libxlss__strdup(op, "");
    *err_r = libxlss__strdup(op, "  WARNING: of no import\n  It failed.\n");
    *status_r = 5 << 8;
    if (++calls == fail_at && !fail_after)
        return 0;
    if (!strcmp(words[0], "lvs")) {
        *out_r = report(op);
        status = 0;
    } else if (!strcmp(words[0], "lvcreate")) {
        status = do_create(words, last);
    } else if (!strcmp(words[0], "lvremove")) {
        status = do_remove(last);
    } else if (!strcmp(words[0], "lvrename")) {
        status = do_rename(words[n - 2], last);
    }
    if (calls != fail_at)
        *status_r = status << 8;
    return 0;
}

void __wrap_libxlss__sleep_ms(unsigned int ms);
void __wrap_libxlss__sleep_ms(unsigned int ms)
{
    (void)ms;
}

static struct libxlss__op op;
static struct libxlss__disk disk;

static int set_up(void **state)
{
    (void)state;
    memset(lvs, 0, sizeof(lvs));
    calls = fail_at = opens_left = 0;
    pool_data = 50;
    new_lv("web", 1);
    strcpy(find_lv("web")->tags, "theirs");
    new_lv("thick", 9);
    lss_op_start(&op);
    op.domid = XLSS_OFF;
    memset(&disk, 0, sizeof(disk));
    libxl_device_disk_init(&disk.dev);
    libxl_disk_snapshot_init(&disk.snap);
    libxl_disk_snapshot_init_kind(&disk.snap, LIBXL_DISK_SNAPSHOT_KIND_LVM);
    disk.vdev = "xvda";
    disk.path = "/dev/tvg/web";
    disk.kind = LIBXL_DISK_SNAPSHOT_KIND_LVM;
    disk.name = "s1";
    disk.dev.backend = LIBXL_DISK_BACKEND_PHY;
    disk.dev.format = LIBXL_DISK_FORMAT_RAW;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    libxl_disk_snapshot_dispose(&disk.snap);
    lss_op_stop(&op);
    return 0;
}

static void take(const char *name)
{
    if (!strcmp(name, disk.name))
        assert_int_equal(DRIVER.plan(&op, NULL, &disk, name), 0);
    assert_int_equal(DRIVER.instant(&op, &disk, name), 0);
}

/* --- names --- */

static void expect_volume(const char *lv, const char *name, const char *want)
{
    char volume[LVM_NAME], other[LVM_NAME];

    libxlss__lvm_volume("tvg", lv, name, volume);
    if (want)
        assert_string_equal(volume, want);
    assert_true(libxlss__lvm_name_ok("tvg", volume));
    libxlss__lvm_volume("tvg", lv, "another", other);
    assert_string_not_equal(volume, other);
}

static void test_volume_names(void **state)
{
    char one[LVM_NAME], two[LVM_NAME];

    (void)state;
    expect_volume("web", "before-upgrade", "web.before-upgrade");
    expect_volume("web", "20261120T153045Z", "web.20261120T153045Z");
    expect_volume("web", "snapshot", "web.snapshot");
    expect_volume("web", "two words", NULL);
    expect_volume("web", "\xc3\xa9t\xc3\xa9", NULL);
    expect_volume("web", "x_tdata", NULL);
    expect_volume("web", "a:b,c@d", NULL);
    expect_volume("web", LONG_NAME, NULL);
    expect_volume("web", LONG_NAME "m", NULL);
    /* device-mapper has each of these twice. */
    expect_volume("w----------------------------------------------------",
                  "n--------------------------------", NULL);

    /* Different names never have the same volume. */
    libxlss__lvm_volume("tvg", "web", "a b", one);
    libxlss__lvm_volume("tvg", "web", "a,b", two);
    assert_int_equal(strncmp(one, "web.a.b-x", 9), 0);
    assert_string_not_equal(one, two);
    libxlss__lvm_volume("tvg", "web", LONG_NAME "1", one);
    libxlss__lvm_volume("tvg", "web", LONG_NAME "2", two);
    assert_string_not_equal(one, two);
    assert_true(strlen(one) < LVM_NAME);
}

static void test_mapper_names(void **state)
{
    char vg[LVM_NAME], lv[LVM_NAME];

    (void)state;
    assert_true(libxlss__lvm_split("vg--lab-thin--a", vg, lv));
    assert_string_equal(vg, "vg-lab");
    assert_string_equal(lv, "thin-a");
    assert_true(libxlss__lvm_split("a-b", vg, lv));
    assert_false(libxlss__lvm_split("vg-pool-tpool", vg, lv));
    assert_false(libxlss__lvm_split("swap", vg, lv));
    assert_false(libxlss__lvm_split("vg-", vg, lv));
    assert_false(libxlss__lvm_split(LONG_NAME "-b", vg, lv));

    assert_true(libxlss__lvm_path("/dev/tvg/web", vg, lv));
    assert_string_equal(vg, "tvg");
    assert_string_equal(lv, "web");
    assert_true(libxlss__lvm_path("/dev/mapper/tvg-we--b", vg, lv));
    assert_string_equal(lv, "we-b");
    assert_false(libxlss__lvm_path("/dev/sda", vg, lv));
    assert_false(libxlss__lvm_path("/dev/disk/by-id/x", vg, lv));
    assert_false(libxlss__lvm_path("/var/tvg/web", vg, lv));
    assert_false(libxlss__lvm_path("/dev/tvg/..", vg, lv));
}

/* --- life --- */

static void test_fits(void **state)
{
    (void)state;
    assert_true(DRIVER.fits(&op, &disk, true));
    disk.path = "/dev/tvg/thick";
    assert_false(DRIVER.fits(&op, &disk, true));
    assert_logged("no thin volume");
    disk.path = "/dev/tvg/none";
    assert_false(DRIVER.fits(&op, &disk, false));
    disk.path = "/dev/null";
    assert_false(DRIVER.fits(&op, &disk, true));
    assert_logged("no LVM volume");
    disk.path = "/dev/tvg/web";
    disk.dev.format = LIBXL_DISK_FORMAT_QCOW2;
    assert_false(DRIVER.fits(&op, &disk, false));
}

static void test_life(void **state)
{
    int round;

    (void)state;
    take("s1");
    assert_string_equal(disk.snap.u.lvm.lvm_volume, "tvg/web.s1");
    assert_int_equal(disk.size, 1048576);
    assert_true(find_lv("web.s1")->readonly);
    for (round = 2; round < 4; round++) {
        find_lv("web")->content = round;
        /* blkback closes it late. */
        find_lv("web")->open = true;
        opens_left = 3;
        assert_int_equal(DRIVER.verify_offline(&op, &disk, "s1"), 0);
        assert_int_equal(DRIVER.revert(&op, &disk, "s1"), 0);
        assert_int_equal(find_lv("web")->content, 1);
        assert_false(find_lv("web")->readonly);
        assert_string_equal(find_lv("web")->tags, "theirs");
    }
    assert_int_equal(DRIVER.drop(&op, &disk, "s1"), 0);
    assert_int_equal(DRIVER.drop(&op, &disk, "s1"), 0);
    assert_null(find_lv("web.s1"));
    assert_int_equal(DRIVER.verify_offline(&op, &disk, "s1"), XLSS(DAMAGED));
}

/* A safety point is found by its name, not by the snapshot's record. */
static void test_safety(void **state)
{
    (void)state;
    take("s1");
    find_lv("web")->content = 2;
    take("xlss-safety-1");
    assert_int_equal(DRIVER.revert(&op, &disk, "s1"), 0);
    assert_int_equal(DRIVER.revert(&op, &disk, "xlss-safety-1"), 0);
    assert_int_equal(find_lv("web")->content, 2);
    assert_int_equal(DRIVER.drop(&op, &disk, "xlss-safety-1"), 0);
    assert_non_null(find_lv("web.s1"));
    assert_null(find_lv("web.xlss-safety-1"));
}

static void test_given_volume(void **state)
{
    (void)state;
    disk.snap.u.lvm.lvm_volume = strdup("other/vol");
    assert_int_equal(DRIVER.plan(&op, NULL, &disk, "s1"), ERROR_INVAL);
    strcpy(disk.snap.u.lvm.lvm_volume, "web");
    assert_int_equal(DRIVER.plan(&op, NULL, &disk, "s1"), ERROR_INVAL);
    strcpy(disk.snap.u.lvm.lvm_volume, "thick");
    assert_int_equal(DRIVER.plan(&op, NULL, &disk, "s1"), XLSS(EXISTS));
    strcpy(disk.snap.u.lvm.lvm_volume, "mine");
    take("s1");
    assert_string_equal(disk.snap.u.lvm.lvm_volume, "tvg/mine");
    assert_non_null(find_lv("mine"));
}

static void test_pool_full(void **state)
{
    (void)state;
    pool_data = 97.25;
    assert_int_equal(DRIVER.plan(&op, NULL, &disk, "s1"), XLSS(NO_SPACE));
    assert_logged("97.2 % of its data");
    assert_logged("tvg/pool");
}

/* A volume that lacks our tag is somebody's own. */
static void test_not_ours(void **state)
{
    (void)state;
    new_lv("web.s1", 5);
    assert_int_equal(DRIVER.plan(&op, NULL, &disk, "s1"), XLSS(EXISTS));
    assert_int_equal(DRIVER.drop(&op, &disk, "s1"), XLSS(DAMAGED));
    assert_non_null(find_lv("web.s1"));
    assert_int_equal(DRIVER.verify_offline(&op, &disk, "s1"), XLSS(DAMAGED));
}

/* LVM's reason is told, not its warnings. */
static void test_reason(void **state)
{
    (void)state;
    take("s1");
    fail_at = calls + 1;
    assert_int_not_equal(DRIVER.drop(&op, &disk, "s1"), 0);
    assert_logged("It failed.");
    assert_null(strstr(lss_log(), "no import"));
}

/* Wherever it stops, doing it again ends well; so does going back. */
static void stops(bool after, bool back)
{
    int n, rc = ERROR_FAIL;

    for (n = 1; rc; n++) {
        tear_down(NULL);
        set_up(NULL);
        take("s1");
        find_lv("web")->content = 2;
        take("xlss-safety");
        fail_at = calls + n;
        fail_after = after;
        rc = DRIVER.revert(&op, &disk, "s1");
        fail_at = 0;
        assert_int_equal(DRIVER.verify_offline(&op, &disk, "s1"), 0);
        assert_int_equal(DRIVER.revert(&op, &disk,
                                       back ? "xlss-safety" : "s1"), 0);
        assert_int_equal(find_lv("web")->content, back ? 2 : 1);
        assert_null(find_lv("web.xlss-new"));
        assert_int_equal(DRIVER.drop(&op, &disk, "xlss-safety"), 0);
    }
    assert_true(n > 4);
}

static void test_every_step(void **state)
{
    (void)state;
    stops(false, false);
    stops(true, false);
    stops(false, true);
    stops(true, true);
}

static void test_volume_gone(void **state)
{
    (void)state;
    take("s1");
    assert_int_equal(do_remove("tvg/web"), 0);
    assert_int_equal(DRIVER.revert(&op, &disk, "s1"), ERROR_NOTFOUND);
    assert_logged("tvg/web is gone");
    assert_int_equal(DRIVER.drop(&op, &disk, "s1"), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_volume_names),
        cmocka_unit_test(test_mapper_names),
        TEST(test_fits),
        TEST(test_life),
        TEST(test_safety),
        TEST(test_given_volume),
        TEST(test_pool_full),
        TEST(test_not_ours),
        TEST(test_reason),
        TEST(test_every_step),
        TEST(test_volume_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
