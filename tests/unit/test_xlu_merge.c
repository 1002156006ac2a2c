/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What the catalogue asks the lower library to merge: all that no snapshot
 * lives in, and nothing while it isn't known what that is. What is left of a
 * merge that was interrupted.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_io.h"
#include "fake_lxs.h"
#include "xluss.h"

static char root[64], image[128], base[160];
static xlu_snapshot_catalogue *cat;

static void open_again(void)
{
    xlu_snapshot_domain d;

    xlu_snapshot_close(cat);
    assert_int_equal(xlu_snapshot_find_domain(fake_ctx(), fake_logger(), root,
                                              FAKE_UUID, &d), 0);
    assert_int_equal(xlu_snapshot_open(fake_ctx(), fake_logger(), root, &d,
                                       XLU_SNAPSHOT_WRITE, &cat), 0);
    xlu_snapshot_domain_dispose(&d);
}

static void create(const char *name)
{
    xlu_snapshot_create_args args = { .name = name };

    assert_int_equal(xlu_snapshot_create(cat, &args, NULL, NULL), 0);
}

/* The snapshot's first disk, as if it had always been external. */
static void make_external(const char *name)
{
    xluss__entry *e = xluss__find(cat, name);
    libxl_disk_snapshot *d = &e->s.args.disks[0];

    memset(&d->u, 0, sizeof(d->u));
    d->kind = LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL;
    xluss__replace(&d->device.pdev_path, image);
    d->u.external.base_path = strdup(base);
    d->u.external.external_path = strdup(image);
    assert_int_equal(xluss__store_json(cat, &e->s), 0);
}

static int setup(void **state)
{
    FILE *f;

    (void)state;
    fake_reset();
    fake_log_clear();
    fake->internal_only = true;
    cat = NULL;
    snprintf(root, sizeof(root), "/tmp/test-xlu-merge.XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(image, sizeof(image), "%s/image.qcow2", root);
    snprintf(base, sizeof(base), "%s.e", image);
    f = fopen(image, "w");
    if (!f || fclose(f))
        return -1;
    open_again();
    create("i");
    create("e");
    make_external("e");
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    fake_io_stop();
    xlu_snapshot_close(cat);
    cat = NULL;
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command);
}

static int merge(const xlu_snapshot_merge_args *args)
{
    return xlu_snapshot_merge(cat, args, NULL, NULL);
}

static bool journal(void)
{
    return xluss__file_exists(&cat->dir, "journal");
}

static void what_is_needed_is_kept(void **state)
{
    libxl_domain_disk_merge_args out;
    char want[256];

    (void)state;
    libxl_domain_disk_merge_args_init(&out);
    assert_int_equal(xlu_snapshot_merge(cat, NULL, NULL, &out), 0);
    snprintf(want, sizeof(want), "any keep %s ", base);
    assert_string_equal(fake->merged, want);
    assert_false(journal());
    libxl_domain_disk_merge_args_dispose(&out);
}

static void disks_and_direction(void **state)
{
    const char *const vdevs[] = { "xvdb", NULL };
    xlu_snapshot_merge_args args = {
        .vdevs = vdevs, .direction = LIBXL_MERGE_DIRECTION_DOWN };
    libxl_domain_disk_merge_args out;

    (void)state;
    libxl_domain_disk_merge_args_init(&out);
    assert_int_equal(xlu_snapshot_merge(cat, &args, NULL, &out), 0);
    assert_memory_equal(fake->merged, "down xvdb keep ", 15);
    assert_int_equal(out.num_disks, 1);
    assert_int_equal(out.disks[0].merged, 1);
    libxl_domain_disk_merge_args_dispose(&out);
}

/* Where the disks are, the snapshots say. */
static void off(void **state)
{
    const char *const none[] = { "xvdq", NULL };
    xlu_snapshot_merge_args args = { .vdevs = none };
    char want[512];

    (void)state;
    fake->running = false;
    open_again();
    assert_int_equal(merge(NULL), 0);
    snprintf(want, sizeof(want), "any xvda %s keep %s ", image, base);
    assert_string_equal(fake->merged, want);
    assert_int_equal(merge(&args), LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE);
    assert_false(journal());
}

/* Then nobody knows what it needs. */
static void document_is_lost(void **state)
{
    (void)state;
    assert_int_equal(xluss__drop_named(cat, "e", ".json"), 0);
    open_again();
    fake_log_clear();
    assert_int_equal(merge(NULL), LIBXL_SNAPSHOT_ERROR_DAMAGED);
    assert_non_null(strstr(fake_log(), "snapshot e"));
    assert_int_equal(fake->merges, 0);
    assert_int_equal(xluss__file_put(cat->lg, &cat->snaps, "e.json", "{", 1,
                                     false), 0);
    open_again();
    assert_int_equal(merge(NULL), LIBXL_SNAPSHOT_ERROR_DAMAGED);
    assert_int_equal(fake->merges, 0);
    assert_false(journal());
}

static void one_by_name(void **state)
{
    const char *const vdevs[] = { "xvda", NULL };
    xlu_snapshot_merge_args args = {
        .name = "i", .direction = LIBXL_MERGE_DIRECTION_UP };
    const xlu_snapshot *s;

    (void)state;
    assert_int_equal(merge(&args), LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE);
    args.name = "nobody";
    assert_int_equal(merge(&args), LIBXL_SNAPSHOT_ERROR_SNAPSHOT_NOT_FOUND);
    args.name = "e";
    args.vdevs = vdevs;
    assert_int_equal(merge(&args), ERROR_INVAL);
    assert_int_equal(xlu_snapshot_get(cat, "e", &s), 0);
    args.vdevs = NULL;
    assert_int_equal(merge(&args), 0);
    assert_string_equal(fake->merged, "up ");
    assert_int_equal(fake->merges, 0);
    assert_int_equal(xlu_snapshot_get(cat, "e", &s),
                     LIBXL_SNAPSHOT_ERROR_SNAPSHOT_NOT_FOUND);
    assert_false(journal());
}

/* Each step fails once: no journal stays. */
static void fails(void **state)
{
    int n;

    (void)state;
    for (n = 1; n < 20; n++) {
        fake->calls = 0;
        fake->fail_at = n;
        fake->fail_rc = LIBXL_SNAPSHOT_ERROR_NO_SPACE;
        if (!merge(NULL))
            break;
        assert_false(journal());
        assert_int_equal(fake->ended, 0);
    }
    assert_true(n > 2 && n < 20);
}

/* The process ends at each call; the next command ends what it left. */
static void crashes(void **state)
{
    int n, status;
    pid_t pid;

    (void)state;
    for (n = 1; n < 20; n++) {
        fake->calls = 0;
        fake->crash_at = n;
        fake->merges = fake->ended = 0;
        pid = fork();
        if (!pid) {
            merge(NULL);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        fake->crash_at = 0;
        if (WEXITSTATUS(status) != FAKE_IO_CRASH_CODE)
            break;
        open_again();
        if (journal()) {
            fake_log_clear();
            assert_int_equal(merge(NULL), 0);
            assert_int_equal(fake->ended, 1);
            assert_int_equal(fake->merges, 1);
            assert_non_null(strstr(fake_log(), "a merge, which was"));
        }
        assert_false(journal());
    }
    assert_true(n > 2 && n < 20);
}

/* snapshot-check tells of it, and ends it. */
static void check_finds_it(void **state)
{
    xlu_snapshot_findings found;
    xluss__op op;

    (void)state;
    xlu_snapshot_findings_init(&found);
    xluss__op_init(&op, cat, XLU_SNAPSHOT_OPERATION_MERGE, NULL, NULL);
    assert_int_equal(xluss__journal_begin(&op), 0);
    xluss__op_dispose(&op);
    assert_int_equal(xlu_snapshot_check(cat, false, &found), 0);
    assert_int_equal(found.num_findings, 1);
    assert_int_equal(found.findings[0].kind,
                     XLU_SNAPSHOT_FINDING_KIND_INTERRUPTED);
    assert_non_null(strstr(found.findings[0].text, "(merge)"));
    assert_int_equal(xlu_snapshot_repair(cat, false, NULL, &found), 0);
    assert_int_equal(fake->ended, 1);
    assert_false(journal());
    xlu_snapshot_findings_dispose(&found);
}

/* What is found of the one file that there is. */
static void check_one(libxl_disk_file_role role, xlu_snapshot_finding *out)
{
    xlu_snapshot_findings found;
    int i, num = 0;

    fake->file_role = role;
    snprintf(fake->file, sizeof(fake->file), "%s.old", image);
    xlu_snapshot_findings_init(&found);
    xlu_snapshot_finding_init(out);
    assert_int_equal(xlu_snapshot_check(cat, false, &found), 0);
    for (i = 0; i < found.num_findings; i++)
        if (strstr(found.findings[i].text, fake->file)) {
            num++;
            xlu_snapshot_finding_copy(fake_ctx(), out, &found.findings[i]);
        }
    assert_int_equal(num, 1);
    xlu_snapshot_findings_dispose(&found);
}

static void check_files(void **state)
{
    static const libxl_disk_file_role roles[] = {
        LIBXL_DISK_FILE_ROLE_CHAIN, LIBXL_DISK_FILE_ROLE_ALONE,
        LIBXL_DISK_FILE_ROLE_OVERLAY };
    xlu_snapshot_finding f;
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        check_one(roles[i], &f);
        assert_int_equal(f.kind, XLU_SNAPSHOT_FINDING_KIND_FILE);
        assert_int_equal(f.degree, XLU_SNAPSHOT_DEGREE_NOTE);
        assert_null(f.repair);
        xlu_snapshot_finding_dispose(&f);
    }
    fake->file[0] = '\0';
}

/* libxl, or the file's own name, is put right; and only by a repair. */
static void check_names(void **state)
{
    xlu_snapshot_findings left;
    xlu_snapshot_finding f;

    (void)state;
    check_one(LIBXL_DISK_FILE_ROLE_OTHER_NAME, &f);
    assert_int_equal(f.kind, XLU_SNAPSHOT_FINDING_KIND_NAME);
    assert_int_equal(f.degree, XLU_SNAPSHOT_DEGREE_REPAIR);
    assert_string_equal(f.subject, "xvda");
    xlu_snapshot_finding_dispose(&f);
    assert_int_equal(fake->named, 0);
    xlu_snapshot_findings_init(&left);
    assert_int_equal(xlu_snapshot_repair(cat, false, NULL, &left), 0);
    assert_int_equal(fake->named, 1);
    xlu_snapshot_findings_dispose(&left);

    fake->running = false;
    fake->named = 0;
    open_again();
    check_one(LIBXL_DISK_FILE_ROLE_LIVE_NAME, &f);
    assert_string_equal(f.subject, image);
    assert_int_equal(f.degree, XLU_SNAPSHOT_DEGREE_NOTE);
    assert_non_null(f.repair);
    xlu_snapshot_finding_dispose(&f);
    xlu_snapshot_findings_init(&left);
    xlu_snapshot_repair(cat, false, NULL, &left);
    assert_true(fake->named > 0);
    xlu_snapshot_findings_dispose(&left);
    fake->file[0] = '\0';
}

/* While a document is lost a file may be that snapshot's. */
static void check_lost(void **state)
{
    xlu_snapshot_findings found;
    int i;

    (void)state;
    assert_int_equal(xluss__file_put(cat->lg, &cat->snaps, "e.json", "{", 1,
                                     false), 0);
    fake->file_role = LIBXL_DISK_FILE_ROLE_ALONE;
    snprintf(fake->file, sizeof(fake->file), "%s.old", image);
    xlu_snapshot_findings_init(&found);
    assert_int_equal(xlu_snapshot_check(cat, false, &found), 0);
    for (i = 0; i < found.num_findings; i++)
        assert_int_not_equal(found.findings[i].kind,
                             XLU_SNAPSHOT_FINDING_KIND_FILE);
    fake->file[0] = '\0';
    xlu_snapshot_findings_dispose(&found);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_needed_is_kept),
        TEST(disks_and_direction),
        TEST(off),
        TEST(document_is_lost),
        TEST(one_by_name),
        TEST(fails),
        TEST(crashes),
        TEST(check_finds_it),
        TEST(check_files),
        TEST(check_names),
        TEST(check_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
