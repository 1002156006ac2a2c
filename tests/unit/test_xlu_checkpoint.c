/* SPDX-License-Identifier: LGPL-2.1-only */
/* The catalogue of checkpoints: entries, libvirt's XML, crashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libxml/parser.h>
#include <libxml/relaxng.h>

#include <cmocka.h>

#include "fake_checkpoint.h"
#include "fake_io.h"
#include "fake_lxs.h"
#include "xluss_checkpoint.h"

static char root[64];
static xlu_snapshot_catalogue *cat;

static void open_cat(void)
{
    xlu_snapshot_domain dom = { .domid = fake->domid,
                                .name = (char *)FAKE_NAME };

    strcpy(dom.uuid, FAKE_UUID);
    assert_int_equal(xlu_snapshot_open(fake_ctx(), fake_logger(), root, &dom,
                                       XLU_SNAPSHOT_WRITE, &cat), 0);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(root, "/tmp/xlu-checkpoint.XXXXXX");
    if (!mkdtemp(root))
        return -1;
    fake_reset();
    fake_checkpoint_reset();
    fake_log_clear();
    open_cat();
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    fake_io_stop();
    xlu_snapshot_close(cat);
    cat = NULL;
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command);
}

static int create(const char *name)
{
    const xlu_checkpoint_create_args args = { .name = name,
                                              .description = "a <text> & ü" };

    return xlu_checkpoint_create(cat, &args, NULL, NULL);
}

/* "a b c", with '!' behind a broken one and '*' behind the current one. */
static void expect(const char *want)
{
    xlu_checkpoint_list list;
    char have[256] = "";
    int i;

    xlu_checkpoint_list_init(&list);
    assert_int_equal(xlu_checkpoint_list_all(cat, &list), 0);
    for (i = 0; i < list.num_checkpoints; i++) {
        const xlu_checkpoint *c = &list.checkpoints[i];

        snprintf(have + strlen(have), sizeof(have) - strlen(have),
                 "%s%s%s%s", i ? " " : "", c->name,
                 c->state == XLU_CHECKPOINT_STATE_BROKEN ? "!" : "",
                 c->current ? "*" : "");
        if (i)
            assert_string_equal(c->parent, list.checkpoints[i - 1].name);
        else
            assert_null(c->parent);
    }
    assert_string_equal(have, want);
    xlu_checkpoint_list_dispose(&list);
}

static int dirty(const char *since, const char *until)
{
    libxl_domain_dirty out;
    int rc;

    libxl_domain_dirty_init(&out);
    rc = xlu_checkpoint_dirty(cat, since, until, NULL, NULL, &out);
    if (!rc)
        assert_int_equal(out.num_disks, 2);
    libxl_domain_dirty_dispose(&out);
    return rc;
}

static void life(void **state)
{
    (void)state;
    expect("");
    assert_int_equal(create("a"), 0);
    assert_int_equal(create("b.1"), 0);
    assert_int_equal(create("-c"), 0);
    expect("a b.1 -c*");
    assert_int_equal(create("a"), LIBXL_SNAPSHOT_ERROR_EXISTS);
    assert_int_equal(dirty("a", NULL), 0);
    assert_int_equal(dirty("a", "b.1"), 0);
    assert_int_equal(dirty("b.1", "a"), ERROR_INVAL);
    assert_int_equal(dirty("x", NULL), ERROR_NOTFOUND);
    assert_int_equal(xlu_checkpoint_delete(cat, "b.1", NULL), 0);
    expect("a -c*");
    assert_int_equal(xlu_checkpoint_delete(cat, "b.1", NULL),
                     ERROR_NOTFOUND);
    assert_int_equal(fake_checkpoints->num, 2);
    fake->running = false;
    expect("a -c*");
    assert_int_equal(create("d"), LIBXL_SNAPSHOT_ERROR_NO_QEMU);
    assert_int_equal(dirty("a", NULL), LIBXL_SNAPSHOT_ERROR_NO_QEMU);
}

static void names(void **state)
{
    static const char *const bad[] = { ".a", "a b", "a/b", "ü", "a\n", "" };
    char name[256];
    size_t i;

    (void)state;
    for (i = 0; i < 5; i++)
        assert_int_equal(create(bad[i]), ERROR_INVAL);
    memset(name, 'x', 201);
    name[201] = '\0';
    assert_non_null(xlu_checkpoint_name_problem(name));
    name[200] = '\0';
    assert_null(xlu_checkpoint_name_problem(name));
    assert_int_equal(create(NULL), 0);
    assert_int_equal(create(NULL), 0);
    assert_int_equal(fake_checkpoints->num, 2);
}

static void broken(void **state)
{
    (void)state;
    assert_int_equal(create("a"), 0);
    assert_int_equal(create("b"), 0);
    assert_int_equal(create("c"), 0);
    /* The lower library can't know that it was there. */
    fake_checkpoints->list[1].gone = true;
    expect("a! b! c*");
    assert_int_equal(dirty("a", NULL), LIBXL_SNAPSHOT_ERROR_BITMAP_BROKEN);
    assert_int_equal(dirty("a", "b"), LIBXL_SNAPSHOT_ERROR_BITMAP_BROKEN);
    assert_int_equal(dirty("c", NULL), 0);
    fake_checkpoints->list[1].gone = false;
    fake_checkpoints->list[2].broken = true;
    expect("a! b! c!*");
    assert_int_equal(xlu_checkpoint_delete(cat, "c", NULL), 0);
    expect("a b*");
}

/* While a backup's jobs run: they can be listed, and nothing else. */
static void busy(void **state)
{
    xlu_checkpoint_list list;

    (void)state;
    assert_int_equal(create("a"), 0);
    fake_checkpoints->list[0].broken = true;
    expect("a!*");
    fake_checkpoints->busy = true;
    expect("a*");
    xlu_checkpoint_list_init(&list);
    assert_int_equal(xlu_checkpoint_list_all(cat, &list), 0);
    assert_int_equal(list.checkpoints[0].state, XLU_CHECKPOINT_STATE_UNKNOWN);
    xlu_checkpoint_list_dispose(&list);
    assert_int_equal(create("b"), LIBXL_SNAPSHOT_ERROR_BUSY);
    assert_int_equal(dirty("a", NULL), LIBXL_SNAPSHOT_ERROR_BUSY);
    assert_int_equal(xlu_checkpoint_delete(cat, "a", NULL),
                     LIBXL_SNAPSHOT_ERROR_BUSY);
    assert_int_equal(fake_checkpoints->num, 1);
}

/* Not one that the catalogue has lost, which others may still need. */
static void name_on_disk(void **state)
{
    xlu_snapshot_findings found;
    char command[128];
    int num;

    (void)state;
    assert_int_equal(create("a"), 0);
    assert_int_equal(create("b"), 0);
    snprintf(command, sizeof(command), "rm %s/*/checkpoints/*", root);
    assert_int_equal(system(command), 0);
    expect("");
    assert_int_equal(create("a"), LIBXL_SNAPSHOT_ERROR_EXISTS);
    assert_int_equal(fake_checkpoints->num, 2);
    xlu_snapshot_findings_init(&found);
    assert_int_equal(xlu_snapshot_check(cat, false, &found), 0);
    assert_int_equal(found.num_findings, 2);
    assert_int_equal(found.findings[0].kind,
                     XLU_SNAPSHOT_FINDING_KIND_CHECKPOINT);
    assert_string_equal(found.findings[0].subject, "a");
    assert_int_equal(xlu_snapshot_repair(cat, false, NULL, &found), 0);
    assert_int_equal(found.num_findings, 0);
    xlu_snapshot_findings_dispose(&found);
    expect("a b*");
    assert_int_equal(xlu_checkpoint_rebuild(cat, &num), 0);
    assert_int_equal(num, 0);
}

static void damaged(void **state)
{
    char command[256];

    (void)state;
    assert_int_equal(create("a"), 0);
    snprintf(command, sizeof(command), "cd %s/*/checkpoints && "
             "echo '{' > b.json && cp a.json c.json && touch .json", root);
    assert_int_equal(system(command), 0);
    expect("a*");
}

/* --- XML --- */

static void quiet(void *arg, const char *fmt, ...)
{
    (void)arg;
    (void)fmt;
}

static bool valid(const char *variable, const char *text)
{
    char path[512];
    xmlRelaxNGParserCtxt *parser;
    xmlRelaxNGValidCtxt *ctxt;
    xmlRelaxNG *rng;
    xmlDoc *doc;
    bool good;

    if (!getenv(variable))
        return true;
    snprintf(path, sizeof(path), "%s/domaincheckpoint.rng",
             getenv(variable));
    parser = xmlRelaxNGNewParserCtxt(path);
    rng = xmlRelaxNGParse(parser);
    xmlRelaxNGFreeParserCtxt(parser);
    assert_non_null(rng);
    ctxt = xmlRelaxNGNewValidCtxt(rng);
    xmlRelaxNGSetValidErrors(ctxt, quiet, quiet, NULL);
    doc = xmlReadMemory(text, strlen(text), NULL, NULL, 0);
    good = doc && !xmlRelaxNGValidateDoc(ctxt, doc);
    xmlFreeDoc(doc);
    xmlRelaxNGFreeValidCtxt(ctxt);
    xmlRelaxNGFree(rng);
    return good;
}

static void xml(void **state)
{
    char *text, *again;
    xlu_checkpoint c;

    (void)state;
    assert_int_equal(create("a"), 0);
    assert_int_equal(create("b"), 0);
    assert_int_equal(xlu_checkpoint_xml(cat, "b", &text), 0);
    assert_non_null(strstr(text, "<parent>"));
    assert_non_null(strstr(text, "bitmap=\"xlss-c-2-b\""));
    assert_true(valid("LIBVIRT_SCHEMAS", text));
    assert_true(valid("LIBVIRT_SCHEMAS_11", text));

    /* Forgotten, and made known again. */
    assert_int_equal(xluss__checkpoint_drop(cat, "b"), 0);
    expect("a*");
    assert_int_equal(xlu_checkpoint_redefine(cat, "b.xml", text,
                                             strlen(text), NULL), 0);
    expect("a b*");
    assert_int_equal(xlu_checkpoint_xml(cat, "b", &again), 0);
    assert_string_equal(again, text);
    free(again);

    /* What the document can't say stays. */
    xlu_checkpoint_init(&c);
    assert_int_equal(xlu_checkpoint_get(cat, "b", &c), 0);
    c.folder = strdup("/backup");
    assert_int_equal(xluss__checkpoint_store(cat, &c), 0);
    xlu_checkpoint_dispose(&c);
    xlu_checkpoint_init(&c);
    assert_int_equal(xlu_checkpoint_redefine(cat, "b.xml", text,
                                             strlen(text), &c), 0);
    assert_string_equal(c.folder, "/backup");
    xlu_checkpoint_dispose(&c);

    /* Of one whose bitmaps are gone. */
    fake_checkpoints->num = 1;
    assert_int_equal(xlu_checkpoint_redefine(cat, "b.xml", text,
                                             strlen(text), NULL), 0);
    expect("a! b!*");
    free(text);
}

static void xml_refused(void **state)
{
    static const char *const bad[] = {
        "", "<domainsnapshot/>", "<domaincheckpoint/>",
        "<domaincheckpoint><name>a b</name></domaincheckpoint>",
        "<domaincheckpoint><name>a</name><name>b</name></domaincheckpoint>",
        "<domaincheckpoint><name>a</name><x/></domaincheckpoint>",
        "<domaincheckpoint><name>a</name><creationTime>x</creationTime>"
        "</domaincheckpoint>",
        "<domaincheckpoint><name>a</name><disks><disk/></disks>"
        "</domaincheckpoint>",
        "<domaincheckpoint><name>a</name><disks><disk name='vda' "
        "checkpoint='x'/></disks></domaincheckpoint>",
        "<!DOCTYPE d [<!ENTITY e 'a'>]><domaincheckpoint><name>&e;</name>"
        "</domaincheckpoint>",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(xlu_checkpoint_redefine(cat, "x.xml", bad[i],
                                                 strlen(bad[i]), NULL),
                         ERROR_INVAL);
    expect("");
}

/* --- crashes --- */

static bool crashes(int change, void (*act)(void))
{
    int status;
    pid_t pid;

    xlu_snapshot_close(cat);
    cat = NULL;
    pid = fork();
    if (!pid) {
        open_cat();
        fake_io_crash(change);
        act();
        fake_io_stop();
        _exit(0);
    }
    waitpid(pid, &status, 0);
    open_cat();
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) == FAKE_IO_CRASH_CODE;
}

static void create_b(void)
{
    create("b");
}

static void delete_a(void)
{
    xlu_checkpoint_delete(cat, "a", NULL);
}

/* All agree, after the next command. */
static void settled(void)
{
    xlu_checkpoint_list list;
    int i;

    assert_int_equal(create("next"), 0);
    xlu_checkpoint_list_init(&list);
    assert_int_equal(xlu_checkpoint_list_all(cat, &list), 0);
    assert_int_equal(list.num_checkpoints, fake_checkpoints->num);
    for (i = 0; i < list.num_checkpoints; i++) {
        assert_int_equal(list.checkpoints[i].state,
                         XLU_CHECKPOINT_STATE_GOOD);
        assert_int_equal(list.checkpoints[i].num_disks, 2);
    }
    xlu_checkpoint_list_dispose(&list);
    assert_int_equal(fake_checkpoints->deleted_missing, 0);
}

static void crash_each(void (*act)(void))
{
    bool crashed = true;
    int n;

    for (n = 1; crashed; n++) {
        tear_down(NULL);
        set_up(NULL);
        assert_int_equal(create("a"), 0);
        crashed = crashes(n, act);
        settled();
    }
    assert_true(n > 5);
    for (n = 0; n < 2; n++) {
        tear_down(NULL);
        set_up(NULL);
        assert_int_equal(create("a"), 0);
        fake_checkpoints->crash_before = n ? 0 : 2;
        fake_checkpoints->crash_after = n ? 2 : 0;
        assert_true(crashes(0, act));
        settled();
    }
}

static void crash_create(void **state)
{
    (void)state;
    crash_each(create_b);
}

static void crash_delete(void **state)
{
    (void)state;
    crash_each(delete_a);
}

/* It was done, but reported failure: it is undone. */
static void fail_after(void **state)
{
    (void)state;
    assert_int_equal(create("a"), 0);
    fake_checkpoints->fail_after = 2;
    assert_int_equal(create("b"), ERROR_FAIL);
    expect("a*");
    assert_int_equal(fake_checkpoints->num, 1);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(life),
        TEST(names),
        TEST(broken),
        TEST(busy),
        TEST(name_on_disk),
        TEST(damaged),
        TEST(xml),
        TEST(xml_refused),
        TEST(crash_create),
        TEST(crash_delete),
        TEST(fail_after),
    };

    xmlSetGenericErrorFunc(NULL, quiet);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
