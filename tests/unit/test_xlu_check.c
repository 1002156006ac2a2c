/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-check: each thing that it looks for is provoked, found, not
 * changed by being looked at, repaired if it can be, and then gone. The
 * domain is a few numbers (fake_lxs.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_io.h"
#include "fake_lxs.h"
#include "xluss.h"

static char root[64];
static xlu_snapshot_findings found;

static int shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* In the domain's folder; SNAPS stands for that of the snapshots. */
static int shell(const char *fmt, ...)
{
    char command[1024], text[768];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    snprintf(command, sizeof(command), "cd %s/%s && %s", root, FAKE_UUID,
             text);
    return system(command);
}

static int try_open(int flags, xlu_snapshot_catalogue **cat)
{
    xlu_snapshot_domain d;
    int rc;

    memset(&d, 0, sizeof(d));
    d.domid = fake->running ? fake->domid : XLUSS__NO_DOMID;
    d.name = strdup(FAKE_NAME);
    strcpy(d.uuid, FAKE_UUID);
    rc = xlu_snapshot_open(fake_ctx(), fake_logger(), root, &d, flags, cat);
    xlu_snapshot_domain_dispose(&d);
    return rc;
}

static xlu_snapshot_catalogue *open_as(int flags)
{
    xlu_snapshot_catalogue *cat;

    assert_int_equal(try_open(flags, &cat), 0);
    return cat;
}

static void create(const char *name, bool disk_only)
{
    xlu_snapshot_create_args args = { .name = name, .disk_only = disk_only,
                                      .description = "a <text>" };
    xlu_snapshot_catalogue *cat = open_as(XLU_SNAPSHOT_WRITE);

    assert_int_equal(xlu_snapshot_create(cat, &args, NULL, NULL), 0);
    xlu_snapshot_close(cat);
}

static int check(bool deep)
{
    xlu_snapshot_catalogue *cat = open_as(XLU_SNAPSHOT_READ);
    int rc = xlu_snapshot_check(cat, deep, &found);

    xlu_snapshot_close(cat);
    return rc;
}

static int repair(void)
{
    xlu_snapshot_catalogue *cat;
    int rc = try_open(XLU_SNAPSHOT_WRITE, &cat);

    if (!rc)
        rc = xlu_snapshot_repair(cat, true, NULL, &found);

    xlu_snapshot_close(cat);
    return rc;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake->internal_only = true;
    fake_log_clear();
    snprintf(root, sizeof(root), "%s/test-xlu.XXXXXX",
             access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    if (!mkdtemp(root))
        return -1;
    xlu_snapshot_findings_init(&found);
    create("a", false);
    create("b", false);
    create("c", true);
    assert_int_equal(check(true), 0);
    if (found.num_findings)
        printf("# %s\n", found.findings[0].text);
    assert_int_equal(found.num_findings, 0);
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    fake_io_stop();
    xlu_snapshot_findings_dispose(&found);
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command);
}

/* All files and their contents, and the disks. */
static void sum(char out[80])
{
    char command[256];
    FILE *p;

    snprintf(command, sizeof(command), "cd %s && find . | sort | "
             "while read -r f; do echo \"$f\"; cat \"$f\" 2>/dev/null; done "
             "| sha256sum", root);
    p = popen(command, "r");
    assert_non_null(p);
    assert_non_null(fgets(out, 80, p));
    pclose(p);
}

static const xlu_snapshot_finding *only(xlu_snapshot_finding_kind kind,
                                        const char *snapshot)
{
    const xlu_snapshot_finding *f = NULL;
    int i;

    for (i = 0; i < found.num_findings; i++) {
        f = &found.findings[i];
        if (f->kind != kind || strcmp(f->snapshot ? f->snapshot : "",
                                      snapshot ? snapshot : ""))
            fail_msg("found: %s", f->text);
    }
    if (found.num_findings != 1)
        fail_msg("%d findings of kind %s", found.num_findings,
                 xlu_snapshot_finding_kind_to_string(kind));
    return f;
}

/* Found, and nothing changed; then repaired, and nothing found. */
static void is_repaired(xlu_snapshot_finding_kind kind, const char *snapshot)
{
    char before[80], after[80];
    const xlu_snapshot_finding *f;

    sum(before);
    assert_int_equal(check(true), 0);
    f = only(kind, snapshot);
    assert_int_equal(f->degree, XLU_SNAPSHOT_DEGREE_REPAIR);
    assert_non_null(f->repair);
    sum(after);
    assert_string_equal(before, after);
    assert_int_equal(repair(), 0);
    if (found.num_findings)
        fail_msg("left: %s", found.findings[0].text);
    assert_int_equal(check(true), 0);
    assert_int_equal(found.num_findings, 0);
}

/* Found; a repair changes nothing, and it is found again. */
static void is_damage(xlu_snapshot_finding_kind kind, const char *snapshot)
{
    char before[80], after[80];

    assert_int_equal(check(true), 0);
    assert_int_equal(only(kind, snapshot)->degree,
                     XLU_SNAPSHOT_DEGREE_DAMAGE);
    assert_null(only(kind, snapshot)->repair);
    sum(before);
    assert_int_equal(repair(), 0);
    assert_int_equal(only(kind, snapshot)->degree,
                     XLU_SNAPSHOT_DEGREE_DAMAGE);
    sum(after);
    assert_string_equal(before, after);
}

#define KIND(k) XLU_SNAPSHOT_FINDING_KIND_##k

/* --- the journal --- */

static void test_interrupted(void **state)
{
    xlu_snapshot_create_args args = { .name = "d" };
    xlu_snapshot_catalogue *cat;

    (void)state;
    cat = open_as(XLU_SNAPSHOT_WRITE);
    fake->fail_rc = LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
    fake->fail_at = fake->calls + 3;
    assert_int_not_equal(xlu_snapshot_create(cat, &args, NULL, NULL), 0);
    xlu_snapshot_close(cat);
    fake->fail_at = 0;
    is_repaired(KIND(INTERRUPTED), "d");
    assert_int_equal(fake_num_snaps(NULL), 6);
}

static void test_journal_is_damaged(void **state)
{
    (void)state;
    assert_int_equal(shell("echo '{ \"op' > journal"), 0);
    is_repaired(KIND(INTERRUPTED), NULL);
    assert_int_equal(shell("grep -q '\"op' journal.damaged"), 0);
}

/* A journal that can be read, but not be followed now, is kept. */
static void test_recovery_fails(void **state)
{
    (void)state;
    assert_int_equal(shell("echo '{\"name\":\"a\",\"operation\":\"delete\"}' "
                           "> journal"), 0);
    fake->fail_at = fake->calls + 1;
    assert_int_not_equal(repair(), 0);
    assert_int_equal(only(KIND(INTERRUPTED), "a")->degree,
                     XLU_SNAPSHOT_DEGREE_REPAIR);
    assert_int_equal(shell("test -s journal"), 0);
    fake->fail_at = 0;
    assert_int_equal(repair(), 0);
    assert_int_equal(found.num_findings, 0);
    assert_int_equal(shell("test ! -e journal"), 0);
}

/* --- files --- */

static void test_temporaries(void **state)
{
    (void)state;
    assert_int_equal(shell("touch snapshots/.x.json.tmp-0123abcd"), 0);
    is_repaired(KIND(TEMPORARY), NULL);
    assert_int_equal(shell("touch snapshots/.x.mem.tmp"), 0);
    is_repaired(KIND(TEMPORARY), NULL);
    assert_int_equal(shell("touch .safety.mem"), 0);
    is_repaired(KIND(TEMPORARY), NULL);
    assert_int_equal(shell("touch safety.config"), 0);
    is_repaired(KIND(TEMPORARY), NULL);
    /* Others' files are none of our business. */
    assert_int_equal(shell("touch snapshots/notes .hidden snapshots/.x"), 0);
    assert_int_equal(check(false), 0);
    assert_int_equal(found.num_findings, 0);
}

static void test_xml(void **state)
{
    (void)state;
    assert_int_equal(shell("echo no xml > snapshots/b.xml"), 0);
    is_repaired(KIND(XML), "b");
    assert_int_equal(shell("rm snapshots/b.xml"), 0);
    is_repaired(KIND(XML), "b");
    assert_int_equal(shell("sed -i s/text/other/ snapshots/b.xml"), 0);
    is_repaired(KIND(XML), "b");
    assert_int_equal(shell("sed -i 's/<name>a</<name>c</' snapshots/b.xml"),
                     0);
    is_repaired(KIND(XML), "b");
    assert_int_equal(shell("grep -q '<name>a<' snapshots/b.xml"), 0);
}

static void test_config(void **state)
{
    (void)state;
    assert_int_equal(shell("rm snapshots/a.config"), 0);
    is_repaired(KIND(CONFIG), "a");
    assert_int_equal(shell("echo '{' > snapshots/a.config"), 0);
    is_repaired(KIND(CONFIG), "a");
    assert_int_equal(shell("cmp snapshots/a.config snapshots/b.config"), 0);
    assert_int_equal(shell("rm snapshots/c.config"), 0);
    is_damage(KIND(CONFIG), "c");
}

static void test_memory(void **state)
{
    (void)state;
    assert_int_equal(shell("cp snapshots/a.mem keep; "
                           "truncate -s +1 snapshots/a.mem"), 0);
    is_damage(KIND(MEMORY), "a");
    assert_int_equal(shell("cp keep snapshots/a.mem; printf X | dd bs=1 "
                           "seek=$(($(stat -c %%s keep) - 1)) conv=notrunc "
                           "of=snapshots/a.mem status=none"), 0);
    /* Its checksum is for those who want to wait for it. */
    assert_int_equal(check(false), 0);
    assert_int_equal(found.num_findings, 0);
    is_damage(KIND(MEMORY), "a");
    assert_int_equal(shell("rm snapshots/a.mem"), 0);
    is_damage(KIND(MEMORY), "a");
}

/* --- documents that are lost --- */

static void revert_to(const char *name)
{
    xlu_snapshot_catalogue *cat = open_as(XLU_SNAPSHOT_WRITE);
    uint32_t domid;

    fake->memory = fake->disk[0] = fake->disk[1] = 99;
    assert_int_equal(xlu_snapshot_revert(cat, name, NULL, NULL, &domid), 0);
    assert_int_equal(fake->memory, 1);
    assert_int_equal(fake->disk[1], 1);
    xlu_snapshot_close(cat);
}

static void test_json_is_made_again(void **state)
{
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot *s;

    (void)state;
    assert_int_equal(shell("cp snapshots/b.json keep; "
                           "rm snapshots/b.json"), 0);
    assert_int_equal(check(true), 0);
    /* c has b as its parent, and b is current's. */
    assert_int_equal(found.num_findings, 2);
    assert_int_equal(found.findings[0].kind, KIND(DOCUMENT));
    assert_int_equal(repair(), 0);
    assert_int_equal(found.num_findings, 0);

    cat = open_as(XLU_SNAPSHOT_READ);
    assert_int_equal(xlu_snapshot_get(cat, "b", &s), 0);
    assert_string_equal(s->description, "a <text>");
    assert_string_equal(s->parent, "a");
    assert_int_equal(s->args.num_disks, FAKE_DISKS);
    assert_int_equal(s->state, XLU_SNAPSHOT_STATE_RUNNING);
    assert_non_null(s->memory.xxh64);
    xlu_snapshot_close(cat);
    cat = open_as(XLU_SNAPSHOT_READ);
    assert_int_equal(xlu_snapshot_get(cat, "c", &s), 0);
    assert_string_equal(s->parent, "b");
    xlu_snapshot_close(cat);
    revert_to("b");
}

static void test_json_is_damaged(void **state)
{
    (void)state;
    assert_int_equal(shell("echo '{ \"name\"' > snapshots/a.json"), 0);
    is_repaired(KIND(DOCUMENT), "a");
    assert_int_equal(shell("grep -q name snapshots/a.json.damaged"), 0);
    revert_to("a");
}

/* Nothing but the memory image and the disks. */
static void test_only_memory_is_left(void **state)
{
    (void)state;
    assert_int_equal(shell("rm snapshots/a.json snapshots/a.xml "
                           "snapshots/a.config"), 0);
    assert_int_equal(check(true), 0);
    assert_int_equal(repair(), 0);
    if (found.num_findings)
        fail_msg("left: %s", found.findings[0].text);
    assert_int_equal(shell("test -s snapshots/a.json -a -s snapshots/a.xml "
                           "-a -s snapshots/a.config"), 0);
    revert_to("a");
}

static void drop_disk(int disk, const char *name)
{
    int i;

    for (i = 0; i < FAKE_SNAPS; i++)
        if (!strcmp(fake->snaps[disk][i].name, name))
            fake->snaps[disk][i].name[0] = '\0';
}

/* b's JSON is lost, and so is what b is on the disks. */
static void test_leftovers(void **state)
{
    (void)state;
    assert_int_equal(shell("rm snapshots/c.json; echo b > current"), 0);
    drop_disk(0, "c");
    /* Half of it is there: hands off. */
    is_damage(KIND(DOCUMENT), "c");
    drop_disk(1, "c");
    is_repaired(KIND(LEFTOVER), "c");
    assert_int_equal(shell("! ls snapshots/c.* 2>/dev/null"), 0);
}

static void test_memory_is_not_thrown_away(void **state)
{
    (void)state;
    assert_int_equal(shell("rm snapshots/a.json snapshots/a.xml; "
                           "sed -i '/parent/d' snapshots/b.json"), 0);
    assert_int_equal(shell("grep -c parent snapshots/b.json | grep -q 0"), 0);
    drop_disk(0, "a");
    drop_disk(1, "a");
    /* Without the XML the disks may be elsewhere. */
    assert_int_equal(repair(), 0);
    assert_int_equal(shell("test -s snapshots/a.mem"), 0);
    is_damage(KIND(DOCUMENT), "a");
}

/* An external snapshot's disks aren't in the image, of course. */
static void test_disks_elsewhere(void **state)
{
    (void)state;
    assert_int_equal(shell("rm snapshots/c.json; echo b > current; "
                           "sed -i 's/snapshot=.internal./snapshot=\"external"
                           "\"/' snapshots/c.xml"), 0);
    drop_disk(0, "c");
    drop_disk(1, "c");
    is_damage(KIND(DOCUMENT), "c");
}

static void test_image_can_not_be_read(void **state)
{
    (void)state;
    assert_int_equal(shell("rm snapshots/c.json; echo b > current"), 0);
    fake->image_gone[1] = true;
    assert_int_equal(repair(), 0);
    assert_int_equal(shell("test -s snapshots/c.config"), 0);
}

/* --- disks --- */

static void test_disks(void **state)
{
    (void)state;
    drop_disk(1, "a");
    is_damage(KIND(DISK), "a");
    assert_string_equal(only(KIND(DISK), "a")->subject, "xvdb");
    assert_non_null(strstr(found.findings[0].text, "/img/b.qcow2"));
    fake->running = false;
    is_damage(KIND(DISK), "a");
}

static void test_image_is_gone(void **state)
{
    int i;

    (void)state;
    fake->image_gone[0] = true;
    assert_int_equal(check(false), 0);
    assert_int_equal(found.num_findings, 3);
    for (i = 0; i < 3; i++) {
        assert_int_equal(found.findings[i].kind, KIND(DISK));
        assert_non_null(strstr(found.findings[i].text, "/img/a.qcow2"));
    }
    fake->image_gone[0] = false;
    fake->verify_damaged = true;
    assert_int_equal(check(false), 0);
    assert_int_equal(found.num_findings, 6);
    assert_non_null(strstr(found.findings[1].text, "/img/b.qcow2 is no "
                                                   "image"));
}

static void test_safety_points(void **state)
{
    (void)state;
    strcpy(fake->snaps[0][9].name, "xlss-safety-20260101T000000Z");
    is_repaired(KIND(SAFETY), NULL);
    strcpy(fake->snaps[1][9].name, "xlss-safety-20260101T000000Z");
    fake->running = false;
    is_repaired(KIND(SAFETY), NULL);
    assert_int_equal(fake_num_snaps(NULL), 6);
    /* What others made is theirs. */
    strcpy(fake->snaps[0][9].name, "by hand");
    assert_int_equal(check(true), 0);
    assert_int_equal(found.num_findings, 0);
}

/* --- the tree --- */

static void test_parent(void **state)
{
    (void)state;
    assert_int_equal(shell("sed -i 's/\"parent\": *\"b\"/\"parent\":\"zz\"/' "
                           "snapshots/c.json && "
                           "sed -i 's/<name>b</<name>zz</' snapshots/c.xml"),
                     0);
    is_repaired(KIND(PARENT), "c");
    assert_int_equal(shell("! grep -q zz snapshots/c.json snapshots/c.xml"),
                     0);
}

static void test_circle(void **state)
{
    (void)state;
    /* a, which has none, gets c, whose grandparent it is. */
    assert_int_equal(shell("sed -i '0,/\"name\"/s//\"parent\":\"c\",\"name\"/'"
                           " snapshots/a.json && rm snapshots/a.xml"), 0);
    assert_int_equal(repair(), 0);
    if (found.num_findings)
        fail_msg("left: %s", found.findings[0].text);
    assert_int_equal(shell("sed -i '0,/\"name\"/s//\"parent\":\"a\",\"name\"/'"
                           " snapshots/c.json; rm -f snapshots/*.xml"), 0);
    assert_int_equal(check(false), 0);
    assert_int_equal(repair(), 0);
    assert_int_equal(found.num_findings, 0);
}

static void test_circle_is_found(void **state)
{
    int i, circles = 0;

    (void)state;
    assert_int_equal(shell("sed -i '0,/\"name\"/s//\"parent\":\"c\",\"name\"/'"
                           " snapshots/a.json"), 0);
    assert_int_equal(check(false), 0);
    for (i = 0; i < found.num_findings; i++)
        circles += found.findings[i].kind == KIND(CIRCLE);
    assert_int_equal(circles, 1);
}

static void test_current(void **state)
{
    (void)state;
    assert_int_equal(shell("echo nothing > current"), 0);
    is_repaired(KIND(CURRENT), NULL);
    assert_int_equal(shell("test ! -e current"), 0);
}

/* --- the domain --- */

static void test_stopped(void **state)
{
    (void)state;
    fake->stopped = true;
    is_repaired(KIND(STOPPED), NULL);
    assert_false(fake->stopped);
    /* Others may be at work. */
    fake->suspended = true;
    assert_int_equal(check(false), 0);
    assert_int_equal(only(KIND(STOPPED), NULL)->degree,
                     XLU_SNAPSHOT_DEGREE_NOTE);
    assert_int_equal(repair(), 0);
    assert_true(fake->suspended);
    fake->guard_works = true;
    assert_int_equal(check(false), 0);
    assert_string_equal(only(KIND(STOPPED), NULL)->subject, "guard");
}

static void test_exports(void **state)
{
    libxl_snapshot_export_list list;
    xlu_snapshot_catalogue *cat = open_as(XLU_SNAPSHOT_WRITE);
    int num;

    (void)state;
    libxl_snapshot_export_list_init(&list);
    assert_int_equal(xlu_snapshot_export(cat, "a", NULL, NULL, NULL, &list),
                     0);
    assert_int_equal(list.num_exports, 1);
    assert_string_equal(list.exports[0].label, FAKE_UUID "/a");
    assert_string_equal(xlu_snapshot_export_name(&list.exports[0]), "a");
    assert_int_equal(xlu_snapshot_export(cat, "zz", NULL, NULL, NULL, &list),
                     LIBXL_SNAPSHOT_ERROR_SNAPSHOT_NOT_FOUND);
    assert_int_equal(xlu_snapshot_export_list(cat, "b", &list), 0);
    assert_int_equal(list.num_exports, 0);
    assert_int_equal(xlu_snapshot_export_list(cat, NULL, &list), 0);
    assert_int_equal(list.num_exports, 1);
    assert_int_equal(xlu_snapshot_export_stop(cat, "a", (const char *[]){
                     "xvdb", NULL }, &num), 0);
    assert_int_equal(num, 0);
    xlu_snapshot_close(cat);
    assert_int_equal(check(false), 0);
    assert_int_equal(found.num_findings, 0);

    strcpy(fake->exported, FAKE_UUID "/gone");
    is_repaired(KIND(EXPORT), "gone");
    assert_string_equal(fake->exported, "");
    strcpy(fake->exported, "of-somebody-else/gone");
    assert_int_equal(check(false), 0);
    assert_int_equal(found.num_findings, 0);
    libxl_snapshot_export_list_dispose(&list);
}

/* --- together --- */

static void test_much_at_once(void **state)
{
    (void)state;
    assert_int_equal(shell("rm snapshots/a.json snapshots/b.xml; echo zz > "
                           "current; touch snapshots/.q.mem.tmp"), 0);
    strcpy(fake->snaps[0][9].name, "xlss-safety-1");
    fake->stopped = true;
    assert_int_equal(check(true), 0);
    assert_in_range(found.num_findings, 6, 9);
    assert_int_equal(repair(), 0);
    if (found.num_findings)
        fail_msg("left: %s", found.findings[0].text);
}

/* A repair that is interrupted anywhere can be done again. */
static void test_repair_again(void **state)
{
    int n;

    for (n = 1; n < 200; n++) {
        assert_int_equal(shell("rm -f snapshots/a.json snapshots/b.xml; "
                               "echo zz > current"), 0);
        fake_io_fail(n, EIO);
        (void)repair();
        if (fake_io_stop() < n)
            break;
        assert_int_equal(repair(), 0);
        if (found.num_findings)
            fail_msg("after %d: left: %s", n, found.findings[0].text);
    }
    assert_in_range(n, 5, 199);
    revert_to("a");
    (void)state;
}

static void test_busy(void **state)
{
    xlu_snapshot_catalogue *cat = open_as(XLU_SNAPSHOT_WRITE);

    (void)state;
    assert_int_equal(check(false), LIBXL_SNAPSHOT_ERROR_BUSY);
    xlu_snapshot_close(cat);
    assert_int_equal(check(false), 0);
    cat = open_as(XLU_SNAPSHOT_READ);
    assert_int_equal(xlu_snapshot_repair(cat, false, NULL, &found),
                     ERROR_INVAL);
    xlu_snapshot_close(cat);
}

static void test_domains(void **state)
{
    xlu_snapshot_domain *list;
    int num;

    (void)state;
    assert_int_equal(xlu_snapshot_domains(fake_ctx(), fake_logger(), root,
                                          &list, &num), 0);
    assert_int_equal(num, 1);
    assert_string_equal(list[0].name, FAKE_NAME);
    assert_int_equal(list[0].domid, fake->domid);
    xlu_snapshot_domain_dispose(&list[0]);
    free(list);
    assert_int_equal(xlu_snapshot_domains(fake_ctx(), fake_logger(), "/none",
                                          &list, &num), 0);
    assert_int_equal(num, 0);
    free(list);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_interrupted), TEST(test_journal_is_damaged),
        TEST(test_recovery_fails), TEST(test_temporaries), TEST(test_xml),
        TEST(test_config), TEST(test_memory), TEST(test_json_is_made_again),
        TEST(test_json_is_damaged), TEST(test_only_memory_is_left),
        TEST(test_leftovers), TEST(test_memory_is_not_thrown_away),
        TEST(test_disks_elsewhere), TEST(test_image_can_not_be_read),
        TEST(test_disks), TEST(test_image_is_gone), TEST(test_safety_points),
        TEST(test_parent), TEST(test_circle), TEST(test_circle_is_found),
        TEST(test_current), TEST(test_stopped), TEST(test_exports),
        TEST(test_much_at_once), TEST(test_repair_again), TEST(test_busy),
        TEST(test_domains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
