/* SPDX-License-Identifier: LGPL-2.1-only */
/* create, revert and delete of the catalogue, where nothing goes wrong or what
 * they are given is bad. test_xlu_steps.c lets each of their steps fail. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops_scene.h"

/* --- nothing goes wrong --- */

static void works(void **state)
{
    (void)state;
    must(create_named("a", false));
    assert_non_null(strstr(fake->steps, "suspend"));
    set_domain(2);
    must(create_named("b", false));
    set_domain(3);
    check_names("a b", "b");

    must(op_revert());
    check_domain(1);
    assert_int_equal(fake->domid, 6);
    check_names("a b", "a");
    set_domain(4);
    must(op_revert());
    check_domain(1);

    must(create_named("c", false));
    check_names("a b c", "c");
    must(op_delete());
    check_names("b c", "c");
    must(delete_named("b", true));
    check_names("c", "c");
    must(delete_named("c", false));
    check_names("", NULL);
}

static void children(void **state)
{
    (void)state;
    xlu_snapshot_delete_args args = { .children_only = true };
    xlu_snapshot_catalogue *cat;

    must(create_named("a", false));
    must(create_named("b", false));
    must(create_named("c", false));
    must(open_as(XLU_SNAPSHOT_WRITE, &cat));
    must(xlu_snapshot_delete(cat, "a", &args, NULL));
    xlu_snapshot_close(cat);
    check_names("a", "a");
    must(create_named("b", false));
    must(create_named("c", false));
    must(delete_named("a", true));
    check_names("", NULL);
}

static void names(void **state)
{
    (void)state;
    static const char *const bad[] = { "a/b", ".a", "-a", "a\nb", "\xff" };
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot *s, *t;
    xlu_snapshot_create_args args = { 0 };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(create_named(bad[i], false), ERROR_INVAL);
    must(create_named("a", false));
    assert_int_equal(create_named("a", false), LIBXL_SNAPSHOT_ERROR_EXISTS);
    assert_non_null(strstr(fake_log(), "has a snapshot a already"));
    assert_int_equal(delete_named("x", false),
                     LIBXL_SNAPSHOT_ERROR_SNAPSHOT_NOT_FOUND);
    check_names("a", "a");

    must(open_as(XLU_SNAPSHOT_WRITE, &cat));
    must(xlu_snapshot_create(cat, &args, NULL, &s));
    assert_int_equal(strlen(s->name), strlen("20261120T153045Z"));
    must(xlu_snapshot_create(cat, &args, NULL, &t));
    must(xlu_snapshot_create(cat, &args, NULL, &t));
    args.description = "bad \x01 text";
    assert_int_equal(xlu_snapshot_create(cat, &args, NULL, &t), ERROR_INVAL);
    xlu_snapshot_close(cat);
}

static void disks_only(void **state)
{
    (void)state;
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot *s;

    must(create_named("a", true));
    must(open_as(XLU_SNAPSHOT_READ, &cat));
    must(xlu_snapshot_get(cat, "a", &s));
    assert_null(s->memory.path);
    assert_int_equal(s->state, XLU_SNAPSHOT_STATE_DISK_SNAPSHOT);
    xlu_snapshot_close(cat);
    set_domain(2);
    must(op_revert());
    assert_int_equal(fake->disk[0], 1);
    assert_int_equal(fake->memory, 0);      /* started from its disks */
    check_names("a", "a");
}

/* Whether it is, is kept, whatever was asked for. */
static void quiesced(void **state)
{
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot *s;
    int can;

    (void)state;
    for (can = 0; can < 2; can++) {
        fake->can_freeze = can;
        must(op_quiesced());
        must(open_as(XLU_SNAPSHOT_READ, &cat));
        must(xlu_snapshot_get(cat, "q", &s));
        assert_true(libxl_defbool_val(s->args.quiesced) == can);
        xlu_snapshot_close(cat);
        must(delete_named("q", false));
        assert_false(fake->thawed);
    }
}

static void busy(void **state)
{
    (void)state;
    xlu_snapshot_catalogue *cat, *second;

    must(open_as(XLU_SNAPSHOT_WRITE, &cat));
    assert_int_equal(open_as(XLU_SNAPSHOT_WRITE, &second),
                     LIBXL_SNAPSHOT_ERROR_BUSY);
    assert_non_null(strstr(fake_log(), "domain web1 is busy: process "));
    must(open_as(XLU_SNAPSHOT_READ, &second));
    assert_int_equal(xlu_snapshot_create(second,
                                         &(xlu_snapshot_create_args){ 0 },
                                         NULL, NULL), ERROR_INVAL);
    xlu_snapshot_close(second);
    xlu_snapshot_close(cat);
    must(create_named("a", false));
}

static void paused(void **state)
{
    (void)state;
    xlu_snapshot_revert_args args = { 0 };

    fake->paused = true;
    must(create_named("a", false));
    assert_true(fake->paused);
    must(op_revert());
    assert_true(fake->paused);
    libxl_defbool_set(&args.paused, false);
    must(revert_with(&args));
    check_domain(1);
}

static void folder(void **state)
{
    (void)state;
    xlu_snapshot_create_args args = { .name = "a", .compress = ops_compress };
    xlu_snapshot_catalogue *cat;
    char path[128], file[160];

    snprintf(path, sizeof(path), "%s/elsewhere", ops_root);
    must(mkdir(path, 0700));
    args.memory_folder = path;
    must(open_as(XLU_SNAPSHOT_WRITE, &cat));
    must(xlu_snapshot_create(cat, &args, NULL, NULL));
    xlu_snapshot_close(cat);
    snprintf(file, sizeof(file), "%s/a.mem%s", path,
             ops_compress ? ".zst" : "");
    must(access(file, F_OK));
    set_domain(2);
    must(op_revert());
    check_domain(1);
    must(op_delete());
    assert_int_equal(access(file, F_OK), -1);
    must(rmdir(path));
}

/* --- bad input --- */

static void put(const char *file, const char *text, size_t at, bool cut)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof(path), "%s/" FAKE_UUID "/%s", ops_root, file);
    f = fopen(path, cut ? "w" : "r+");
    assert_non_null(f);
    must(fseek(f, at, SEEK_SET));
    fputs(text, f);
    must(fclose(f));
}

/* A revert that is refused changes nothing. */
static void check_refused(const char *why)
{
    fake_log_clear();
    assert_int_equal(op_revert(), LIBXL_SNAPSHOT_ERROR_DAMAGED);
    if (!strstr(fake_log(), why))
        fail_msg("no \"%s\" in: %s", why, fake_log());
    check_domain(2);
    assert_int_equal(fake->domid, 5);
    assert_false(interrupted());
}

static void damaged_image(void **state)
{
    char path[256];

    (void)state;
    fake->image_kib = 8;
    must(create_named("a", false));
    set_domain(2);
    snprintf(path, sizeof(path), "%s/" FAKE_UUID "/snapshots/a.mem", ops_root);

    put("snapshots/a.mem", "x", 4000, false);
    check_refused("its checksum is");
    must(truncate(path, 100));
    check_refused("has 100 bytes, it had");
    must(unlink(path));
    check_refused("opening memory image");
    must(op_delete());
    check_names("", NULL);
}

/* By others, so that there is no checksum that says so first. */
static void forget_checksum(void)
{
    char command[512];

    snprintf(command, sizeof(command), "cd %s/" FAKE_UUID "/snapshots && "
             "sed -i '/\"xxh64\":/d; /\"size\":/d' a.json && "
             "grep -q zstd a.json", ops_root);
    must(system(command));
}

static void damaged_compressed(void **state)
{
    char path[256], command[600];
    struct stat st;

    (void)state;
    fake->image_kib = 2048;
    must(create_named("a", false));
    set_domain(2);
    snprintf(path, sizeof(path), "%s/" FAKE_UUID "/snapshots/a.mem.zst",
             ops_root);
    must(stat(path, &st));
    assert_in_range(st.st_size, 100, 100 << 10);
    /* Every other write of the fake is cut short. */
    snprintf(command, sizeof(command), "test $(zstd -dc %s | wc -c) -gt "
             "1000000", path);
    must(system(command));

    put("snapshots/a.mem.zst", "x", st.st_size / 2, false);
    check_refused("its checksum is");
    forget_checksum();
    check_refused("is damaged: ");
    must(truncate(path, st.st_size - 4));
    put("snapshots/a.mem.zst", "\x28\xb5\x2f\xfd", 0, false);
    check_refused("is damaged: ");
    put("snapshots/a.mem.zst", "none", 0, false);
    check_refused("is damaged: Unknown frame descriptor");
    must(truncate(path, 0));
    check_refused("is damaged: it ends too early");
    must(op_delete());
    check_names("", NULL);
}

static void damaged_disk(void **state)
{
    (void)state;
    must(create_named("a", false));
    set_domain(2);
    memset(&fake->snaps[1], 0, sizeof(fake->snaps[1]));
    check_refused("");
    must(op_delete());
}

static void damaged_json(void **state)
{
    (void)state;
    must(create_named("a", false));
    must(create_named("b", false));
    set_domain(2);
    put("snapshots/a.json", "{ nonsense", 0, true);
    check_refused("snapshots/a.json is damaged");
    assert_int_equal(op_delete(), LIBXL_SNAPSHOT_ERROR_DAMAGED);
    assert_int_equal(create_named("a", false), LIBXL_SNAPSHOT_ERROR_EXISTS);
    must(create_named("c", false));
    must(delete_named("b", false));
    check_domain(2);
}

static void damaged_xml(void **state)
{
    (void)state;
    xlu_snapshot_catalogue *cat;
    char *xml;

    must(create_named("a", false));
    set_domain(2);
    put("snapshots/a.xml", "<domainsnapshot><name>a</name>", 0, true);
    must(open_as(XLU_SNAPSHOT_READ, &cat));
    assert_non_null(strstr(fake_log(), "snapshots/a.xml is not well-formed"));
    assert_int_equal(xlu_snapshot_xml(cat, "a", &xml),
                     LIBXL_SNAPSHOT_ERROR_DAMAGED);
    xlu_snapshot_close(cat);
    must(op_revert());
    check_domain(1);
    must(open_as(XLU_SNAPSHOT_READ, &cat));
    must(xlu_snapshot_xml(cat, "a", &xml));
    assert_non_null(strstr(xml, "<name>a</name>"));
    free(xml);
    xlu_snapshot_close(cat);
}

static void no_space(void **state)
{
    struct rlimit old, limit;

    (void)state;
    must(create_named("a", false));
    fake->memkb = 1ull << 40;
    assert_int_equal(op_create(), LIBXL_SNAPSHOT_ERROR_NO_SPACE);
    assert_non_null(strstr(fake_log(), "no space for memory image"));
    check_names("a", "a");

    /* Half-way. */
    fake->memkb = 1024;
    fake->image_kib = 512;
    must(getrlimit(RLIMIT_FSIZE, &old));
    limit = old;
    limit.rlim_cur = 128 << 10;
    signal(SIGXFSZ, SIG_IGN);
    must(setrlimit(RLIMIT_FSIZE, &limit));
    fake->random = true;
    if (ops_compress) {
        /* Seen before the disks are snapshotted, and only at the end. */
        fake->image_kib = 16 << 10;
        assert_int_equal(op_create(), LIBXL_SNAPSHOT_ERROR_NO_SPACE);
        fake->image_kib = 512;
    }
    assert_int_equal(op_create(), LIBXL_SNAPSHOT_ERROR_NO_SPACE);
    must(setrlimit(RLIMIT_FSIZE, &old));
    assert_non_null(strstr(fake_log(), "no space left for memory image"));
    check_names("a", "a");
    check_domain(1);
}

static void bad_journal(void **state)
{
    (void)state;
    must(create_named("a", false));
    put("journal", "{ nonsense", 0, true);
    assert_int_equal(op_create(), LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR);
    assert_non_null(strstr(fake_log(), "journal is damaged"));
    check_domain(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OPS_TEST(works),
        OPS_TEST(children),
        OPS_TEST(names),
        OPS_TEST(disks_only),
        OPS_TEST(quiesced),
        OPS_TEST(busy),
        OPS_TEST(paused),
        OPS_TEST(folder),
        OPS_TEST(damaged_image),
        OPS_TEST(damaged_disk),
        OPS_TEST(damaged_json),
        OPS_TEST(damaged_xml),
        OPS_TEST(no_space),
        OPS_TEST(bad_journal),
        OPS_ZSTD_TEST(works),
        OPS_ZSTD_TEST(folder),
        OPS_ZSTD_TEST(paused),
        OPS_ZSTD_TEST(damaged_compressed),
        OPS_ZSTD_TEST(no_space),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
