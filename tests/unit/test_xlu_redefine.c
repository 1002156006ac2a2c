/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libvirt's XML into the catalogue: what is taken over, what is refused and
 * with which word, what may change of a snapshot that is there, and that a
 * failure or the death of the process leaves the old or the new.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libxml/parser.h>

#include <cmocka.h>

#include "fake_io.h"
#include "fake_lxs.h"
#include "xluss_xml.h"

#define DOC_MAX (1 << 16)

static char root[64];

static void must(int r)
{
    if (r)
        fail_msg("rc %d: %s", r, fake_log());
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    /* XML has no word for the other kind. */
    fake->internal_only = true;
    fake_log_clear();
    strcpy(root, "/tmp/test-xlu.XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    fake_io_stop();
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command);
}

static int open_as(int flags, xlu_snapshot_catalogue **out)
{
    xlu_snapshot_domain d = { .domid = XLUSS__NO_DOMID };
    int rc;

    if (fake->running)
        d.domid = fake->domid;
    d.name = strdup(FAKE_NAME);
    strcpy(d.uuid, FAKE_UUID);
    rc = xlu_snapshot_open(fake_ctx(), fake_logger(), root, &d, flags, out);
    xlu_snapshot_domain_dispose(&d);
    return rc;
}

static bool incomplete;

static int redefine_as(const char *text, bool current)
{
    const xlu_snapshot_redefine_args args = { .current = current };
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot *s;
    int rc = open_as(XLU_SNAPSHOT_WRITE, &cat);

    incomplete = false;
    if (!rc)
        rc = xlu_snapshot_redefine(cat, "doc.xml", text, strlen(text), &args,
                                   NULL, &s, &incomplete);
    xlu_snapshot_close(cat);
    return rc;
}

static int redefine(const char *text)
{
    fake_log_clear();
    return redefine_as(text, false);
}

static void check_refused(int rc, const char *text, const char *word)
{
    assert_int_equal(redefine(text), rc);
    if (!strstr(fake_log(), word))
        fail_msg("no \"%s\" in: %s", word, fake_log());
}

static void create(const char *name)
{
    xlu_snapshot_create_args args = { .name = name };
    xlu_snapshot_catalogue *cat;

    must(open_as(XLU_SNAPSHOT_WRITE, &cat));
    must(xlu_snapshot_create(cat, &args, NULL, NULL));
    xlu_snapshot_close(cat);
}

static char *xml_of(const char *name)
{
    xlu_snapshot_catalogue *cat;
    char *xml;

    must(open_as(XLU_SNAPSHOT_READ, &cat));
    must(xlu_snapshot_xml(cat, name, &xml));
    xlu_snapshot_close(cat);
    return xml;
}

static void run_shell(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

static void run_shell(const char *fmt, ...)
{
    char command[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(command, sizeof(command), fmt, ap);
    va_end(ap);
    must(system(command));
}

/* text with the first `from` in it replaced. */
static char *edited(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    char *out;

    assert_non_null(at);
    if (asprintf(&out, "%.*s%s%s", (int)(at - text), text, to,
                 at + strlen(from)) < 0)
        abort();
    return out;
}

/* --- lost and found --- */

/* The metadata of snapshot a is lost; its data is still there. */
static char *lost(void)
{
    char *xml;

    create("a");
    xml = xml_of("a");
    run_shell("cd %s/" FAKE_UUID "/snapshots && rm a.json a.xml a.config && "
              "rm ../current", root);
    return xml;
}

static void found(void **state)
{
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot *s;
    char *xml = lost(), *again;
    uint32_t domid;

    (void)state;
    fake->memory = fake->disk[0] = fake->disk[1] = 2;
    must(redefine(xml));
    assert_false(incomplete);
    again = xml_of("a");
    assert_string_equal(xml, again);
    must(open_as(XLU_SNAPSHOT_WRITE, &cat));
    must(xlu_snapshot_get(cat, "a", &s));
    assert_int_equal(s->state, XLU_SNAPSHOT_STATE_RUNNING);
    assert_int_equal(s->args.num_disks, 2);
    assert_string_equal(s->args.disks[1].device.pdev_path, "/img/b.qcow2");
    assert_string_equal(s->args.disks[1].name, "a");
    assert_non_null(s->memory.xxh64);
    assert_null(xlu_snapshot_current(cat));
    must(xlu_snapshot_revert(cat, "a", NULL, NULL, &domid));
    assert_int_equal(fake->memory, 1);
    assert_int_equal(fake->disk[1], 1);
    must(xlu_snapshot_delete(cat, "a", NULL, NULL));
    assert_int_equal(fake_num_snaps("a"), 0);
    xlu_snapshot_close(cat);
    free(xml);
    free(again);
}

static void found_while_off(void **state)
{
    char *xml = lost();

    (void)state;
    fake->running = false;
    must(redefine(xml));
    assert_false(incomplete);
    free(xml);
}

static void becomes_current(void **state)
{
    xlu_snapshot_catalogue *cat;
    char *xml = lost();

    (void)state;
    must(redefine_as(xml, true));
    must(open_as(XLU_SNAPSHOT_READ, &cat));
    assert_string_equal(xlu_snapshot_current(cat)->name, "a");
    xlu_snapshot_close(cat);
    free(xml);
}

/* The damaged one is put right. */
static void damaged(void **state)
{
    char *xml;

    (void)state;
    create("a");
    xml = xml_of("a");
    run_shell("cd %s/" FAKE_UUID "/snapshots && echo '{' > a.json", root);
    must(redefine(xml));
    assert_false(incomplete);
    free(xml);
}

/* --- not all is there --- */

static void check_incomplete(const char *text, const char *why)
{
    xlu_snapshot_catalogue *cat;

    must(redefine(text));
    if (!incomplete || !strstr(fake_log(), why))
        fail_msg("no \"%s\" in: %s", why, fake_log());
    must(open_as(XLU_SNAPSHOT_WRITE, &cat));
    assert_int_not_equal(xlu_snapshot_revert(cat, "a", NULL, NULL, NULL), 0);
    assert_true(fake->running && fake->domid == 5);
    must(xlu_snapshot_delete(cat, "a", NULL, NULL));
    xlu_snapshot_close(cat);
}

#define DOC(inside) "<domainsnapshot><name>a</name><state>running</state>" \
    "<creationTime>5</creationTime>" inside "</domainsnapshot>"
#define DISKS(inside) DOC("<memory snapshot='no'/><disks>" inside "</disks>")

static void not_there(void **state)
{
    (void)state;
    check_incomplete(DOC("<memory file='/nowhere/a.mem'/><disks/>"),
                     "opening memory image /nowhere/a.mem");
    check_incomplete(DOC("<memory file='/dev/null'/><disks/>"),
                     "not a regular file");
    check_incomplete(DOC("<memory snapshot='internal'/><disks/>"),
                     "as QEMU keeps it");
    check_incomplete(DOC("<memory file='C:\\a.mem'/><disks/>"),
                     "a path of another system");
    check_incomplete(DISKS("<disk name='xvda' snapshot='internal'/>"),
                     "not all that it names is there");
    check_incomplete(DISKS("<disk name='vdz' snapshot='internal'/>"),
                     "disk vdz is not known in this domain");
    check_incomplete(DISKS("<disk name='xvdc' snapshot='internal'/>"),
                     "disk xvdc is not a qcow2 image");
    check_incomplete(DISKS("<disk name='xvda' snapshot='manual'/>"),
                     "disk xvda is kept by other means");
    check_incomplete(DISKS("<disk name='xvda'><source file='/o'/></disk>"),
                     "disk xvda has an overlay");
    check_incomplete(DOC(""), "not all that it names is there");
    fake->running = false;
    must(redefine(DISKS("")));
    assert_true(incomplete);
    assert_non_null(strstr(fake_log(), "configuration is not known"));
}

/* The memory image comes back: its hash is taken then. */
static void there_again(void **state)
{
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot *s;
    char *xml = lost();

    (void)state;
    run_shell("mv %s/" FAKE_UUID "/snapshots/a.mem %s/", root, root);
    must(redefine(xml));
    assert_true(incomplete);
    must(redefine(xml));
    assert_true(incomplete);
    run_shell("mv %s/a.mem %s/" FAKE_UUID "/snapshots/", root, root);
    must(redefine(xml));
    assert_false(incomplete);
    must(open_as(XLU_SNAPSHOT_WRITE, &cat));
    must(xlu_snapshot_get(cat, "a", &s));
    assert_non_null(s->memory.xxh64);
    must(xlu_snapshot_revert(cat, "a", NULL, NULL, NULL));
    xlu_snapshot_close(cat);
    free(xml);
}

static void images_of_others(void **state)
{
    static const char *const magics[][2] = {
        { "LibvirtQemudSave", "libvirt's QEMU driver" },
        { "LibvirtQemudPart", "libvirt's QEMU driver" },
        { "libvirt-xml\\n \\0 \\r", "libvirt's Xen driver" },
    };
    char *text;
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        run_shell("{ printf '%s'; head -c 200 /dev/zero; } > %s/q.save",
                  magics[i][0], root);
        if (asprintf(&text, DOC("<memory file='%s/q.save'/><disks/>"),
                     root) < 0)
            abort();
        check_incomplete(text, magics[i][1]);
        free(text);
    }
}

/* By the paths of the images, and by those of the document's own domain. */
static void disks_by_path(void **state)
{
    static const char *const texts[] = {
        DISKS("<disk name='/img/a.qcow2' snapshot='internal'/>"),
        "<domainsnapshot><name>a</name><state>shutoff</state><memory "
        "snapshot='no'/><disks><disk name='vda' snapshot='internal'/></disks>"
        "<domain type='xen'><name>x</name><uuid>" FAKE_UUID "</uuid><devices>"
        "<disk><driver type='qcow2'/><source file='/img/a.qcow2'/>"
        "<target dev='vda'/></disk><disk/><interface/></devices></domain>"
        "</domainsnapshot>",
    };
    static const char *const vdevs[] = { "xvda", "vda" };
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot *s;
    int i;

    (void)state;
    for (i = 0; i < 2; i++) {
        fake->running = i == 0;
        must(redefine(texts[i]));
        must(open_as(XLU_SNAPSHOT_READ, &cat));
        must(xlu_snapshot_get(cat, "a", &s));
        assert_int_equal(s->args.num_disks, 1);
        assert_string_equal(s->args.disks[0].device.vdev, vdevs[i]);
        assert_string_equal(s->args.disks[0].device.pdev_path,
                            "/img/a.qcow2");
        assert_int_equal(s->args.disks[0].kind,
                         LIBXL_DISK_SNAPSHOT_KIND_INTERNAL);
        xlu_snapshot_close(cat);
        run_shell("rm -rf %s/*", root);
    }
}

/* The file that was frozen for the snapshot is beside the disk's. */
static void overlays(void **state)
{
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot *s;
    char *text;

    (void)state;
    fake->running = false;
    run_shell("touch %s/d.qcow2.a", root);
    if (asprintf(&text, "<domainsnapshot><name>a</name><memory snapshot='no'/>"
                 "<disks><disk name='xvda' type='file'><source file="
                 "'%s/d.qcow2.live2'/></disk></disks><domain type='xen'>"
                 "<name>x</name><devices><disk><driver type='qcow2'/><source "
                 "file='%s/d.qcow2.live1'/><target dev='xvda'/></disk>"
                 "</devices></domain></domainsnapshot>", root, root) < 0)
        abort();
    must(redefine(text));
    must(open_as(XLU_SNAPSHOT_READ, &cat));
    must(xlu_snapshot_get(cat, "a", &s));
    assert_null(s->no_revert);
    assert_int_equal(s->args.disks[0].kind,
                     LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL);
    assert_true(xluss__ends_with(s->args.disks[0].device.pdev_path,
                                 "/d.qcow2"));
    assert_true(xluss__ends_with(s->args.disks[0].u.external.base_path,
                                 "/d.qcow2.a"));
    assert_true(xluss__ends_with(s->args.disks[0].u.external.external_path,
                                 "/d.qcow2.live2"));
    xlu_snapshot_close(cat);
    free(text);
}

/* --- the whole document --- */

static char *full_text(void)
{
    FILE *f = fopen("domainsnapshot.xml", "r");
    char *text = calloc(1, DOC_MAX);

    assert_non_null(f);
    assert_true(fread(text, 1, DOC_MAX - 1, f) > 0);
    fclose(f);
    return text;
}

static void everything_kept(void **state)
{
    char *text = full_text(), *out;
    xmlDoc *in_doc, *out_doc;
    xmlNode *n, *o;

    (void)state;
    check_refused(LIBXL_SNAPSHOT_ERROR_SNAPSHOT_NOT_FOUND, text,
                  "its parent base is not there");
    create("base");
    must(redefine(text));
    assert_true(incomplete);
    out = xml_of("full");
    must(xluss__xml_accept(fake_logger(), "in", text, strlen(text),
                           &in_doc));
    must(xluss__xml_accept(fake_logger(), "out", out, strlen(out),
                           &out_doc));
    for (n = xmlDocGetRootElement(in_doc)->children; n; n = n->next) {
        if (n->type != XML_ELEMENT_NODE)
            continue;
        o = xluss__xml_child(xmlDocGetRootElement(out_doc),
                             (const char *)n->name);
        if (!o || !xluss__xml_same(n, o))
            fail_msg("<%s> was lost: %s", n->name, out);
    }
    assert_true(strstr(out, "<snapshotDeleteInProgress") <
                strstr(out, "<driver type"));
    assert_non_null(strstr(out, "<q:arg value=\"-x\"/>"));
    /* Again, and from its own output: nothing changes any more. */
    must(redefine(text));
    must(redefine(out));
    free(text);
    text = xml_of("full");
    assert_string_equal(text, out);
    xmlFreeDoc(in_doc);
    xmlFreeDoc(out_doc);
    free(text);
    free(out);
}

/* The parent goes away: only that changes in what was kept. */
static void child_of_a_deleted(void **state)
{
    xlu_snapshot_catalogue *cat;
    char *text = full_text(), *out;

    (void)state;
    create("base");
    must(redefine(text));
    must(open_as(XLU_SNAPSHOT_WRITE, &cat));
    must(xlu_snapshot_delete(cat, "base", NULL, NULL));
    xlu_snapshot_close(cat);
    out = xml_of("full");
    assert_null(strstr(out, "<parent>"));
    assert_non_null(strstr(out, "<iqn name="));
    free(text);
    free(out);
}

static void defaults(void **state)
{
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot *s;

    (void)state;
    must(redefine("<domainsnapshot><creationTime> 7 </creationTime>"
                  "<disks/></domainsnapshot>"));
    must(open_as(XLU_SNAPSHOT_READ, &cat));
    must(xlu_snapshot_get(cat, "7", &s));
    assert_int_equal(s->creation_time, 7);
    assert_int_equal(s->state, XLU_SNAPSHOT_STATE_DISK_SNAPSHOT);
    xlu_snapshot_close(cat);
}

/* --- what is refused --- */

static void invalid(void **state)
{
    static const char *const cases[][2] = {
        { "", "not well-formed" },
        { "<a/>", "line 1: <a> is not a <domainsnapshot>" },
        { "<domainsnapshot xmlns='x'/>", "is not a <domainsnapshot>" },
        { "<domainsnapshot x='1'/>", "<domainsnapshot>: attribute x is not "
          "allowed here" },
        { DOC("<foo/>"), "<foo> is not allowed in <domainsnapshot>" },
        { DOC("\n<x:state xmlns:x='x'/>"), "line 2: <state> is not allowed" },
        { DOC("<name>b</name>"), "<name> is there more than once" },
        { DOC("text"), "<domainsnapshot> has text in it" },
        { DOC("<memory/>"), "<memory>: attribute file is missing" },
        { DOC("<memory snapshot='some'/>"), "<memory>: attribute snapshot="
          "\"some\" is not one of no, internal or external" },
        { DOC("<memory snapshot='no' file='/a'/>"), "<memory>: attribute "
          "file is not allowed here" },
        { DOC("<memory file='a'/>"), "file=\"a\" is not an absolute path" },
        { DOC("<parent/>"), "<parent>: element <name> is missing" },
        { DOC("<active>2</active>"), "<active>: \"2\" is not one of 0 or 1" },
        { DOC("<cookie x='1'/>"), "<cookie>: attribute x is not allowed" },
        { DOC("<domain/>"), "<domain>: element <uuid> is missing" },
        { DOC("<domain><uuid>1</uuid></domain>"), "<uuid>: \"1\" is not a "
          "UUID" },
        { DOC("<domain type='zen'><name>a</name></domain>"), "<domain>: "
          "attribute type=\"zen\" is not one of qemu" },
        { DOC("<inactiveDomain/>"), "<inactiveDomain>: attribute type is "
          "missing" },
        { DISKS("<disk/>"), "<disk>: attribute name is missing" },
        { DISKS("<disk name='foo'/>"), "name=\"foo\" is not the name of a "
          "disk" },
        { DISKS("<disk name='vda' snapshot='yes'/>"), "snapshot=\"yes\" is "
          "not one of no, internal, manual or external" },
        { DISKS("<disk name='vda' type='dir'/>"), "type=\"dir\" is not one "
          "of file, block or network" },
        { DISKS("<disk name='vda' snapshot='no'><source/></disk>"),
          "<source> is not allowed in <disk>" },
        { DISKS("<disk name='vda'><driver type='raw'/></disk>"),
          "<driver>: attribute type=\"raw\" is not one of cow" },
        { DISKS("<disk name='vda' type='network'><source/></disk>"),
          "<source>: attribute protocol is missing" },
        { DISKS("<disk name='vda' type='network'><source protocol='nbd'/>"
                "</disk>"), "<source>: element <host> is missing" },
        { DISKS("<disk name='vda'><source><encryption format='luks'/>"
                "<slices/></source></disk>"), "<slices> must stand before "
          "<encryption> in <source>" },
        { DISKS("<disk name='vda'><source><seclabel/></source></disk>"),
          "<seclabel>: element <label> is missing" },
        { DISKS("<disk name='vda'><source><encryption format='luks'><secret "
                "type='passphrase'/></encryption></source></disk>"),
          "<secret>: attribute usage, or another in its place, is missing" },
        { "<domainsnapshot><state>pmsuspended</state></domainsnapshot>",
          "<state>: \"pmsuspended\" is not one of running" },
        { "<domainsnapshot><name>a/b</name></domainsnapshot>",
          "line 1: <name> has a '/' in it" },
        { "<domainsnapshot><creationTime>x</creationTime></domainsnapshot>",
          "<creationTime> is not a number of seconds" },
        { "<domainsnapshot>\n<parent><name/></parent></domainsnapshot>",
          "line 2: <name> is empty" },
        { "<!DOCTYPE domainsnapshot [<!ENTITY a 'b'>]><domainsnapshot>"
          "<name>&a;</name></domainsnapshot>", "document type" },
        { "<domainsnapshot><name>&lol;</name></domainsnapshot>",
          "not well-formed" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        check_refused(ERROR_INVAL, cases[i][0], cases[i][1]);
}

static void hostile(void **state)
{
    char *deep = calloc(1, DOC_MAX), *p = deep;
    char *large = calloc(1, (1 << 20) + 100);
    int i;

    (void)state;
    p += sprintf(p, "<domainsnapshot><cookie>");
    for (i = 0; i < 100; i++)
        p += sprintf(p, "<a>");
    for (i = 0; i < 100; i++)
        p += sprintf(p, "</a>");
    sprintf(p, "</cookie></domainsnapshot>");
    check_refused(ERROR_INVAL, deep, "nested too deeply");
    memset(large, ' ', (1 << 20) + 1);
    check_refused(ERROR_INVAL, large, "too large");
    free(deep);
    free(large);
}

static void of_another_domain(void **state)
{
    (void)state;
    check_refused(LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE,
                  DOC("<domain><uuid>00000000-6d3a-4a52-9c39-0b1c2d3e4f50"
                      "</uuid></domain>"), "the <uuid> in <domain> is 0000");
    check_refused(LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE,
                  DOC("<inactiveDomain type='xen'><name>a</name><uuid>"
                      "000000006d3a4a529c390b1c2d3e4f50</uuid>"
                      "</inactiveDomain>"), "<uuid> in <inactiveDomain>");
}

/* --- one that is there --- */

static void check_edit(const char *from, const char *to, const char *word)
{
    char *xml = xml_of("b"), *new = edited(xml, from, to), *after;

    check_refused(LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE, new, word);
    after = xml_of("b");
    assert_string_equal(after, xml);
    free(xml);
    free(new);
    free(after);
}

static void replaced(void **state)
{
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot *s;
    char *xml, *new;

    (void)state;
    create("a");
    create("b");
    create("c");
    check_edit("running", "shutoff", "between running and not running");
    check_edit("running", "disk-snapshot", "between running and not");
    check_edit("b.mem", "a.mem", "its <memory> can't be changed");
    check_edit("\"internal\"", "\"no\"", "its <disks> can't be changed");
    check_edit("<name>a<", "<name>b<", "among its own ancestors");
    check_edit("<name>a<", "<name>c<", "among its own ancestors");

    xml = xml_of("b");
    new = edited(xml, "<state>", "<description>new</description><state>");
    free(xml);
    xml = edited(new, "<parent>\n  <name>a</name>\n </parent>", "");
    must(redefine(xml));
    assert_false(incomplete);
    must(open_as(XLU_SNAPSHOT_READ, &cat));
    must(xlu_snapshot_get(cat, "b", &s));
    assert_string_equal(s->description, "new");
    assert_null(s->parent);
    assert_null(s->document);
    assert_non_null(s->memory.xxh64);
    assert_int_equal(s->args.num_disks, 2);
    assert_non_null(s->xen_version);
    assert_string_equal(xlu_snapshot_current(cat)->name, "c");
    xlu_snapshot_close(cat);
    free(xml);
    free(new);
}

/* --- failure and death --- */

static int check_old_or_new(const char *old, const char *new)
{
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot *s;
    char *xml;
    int is_new;

    must(open_as(XLU_SNAPSHOT_WRITE, &cat));
    must(xlu_snapshot_get(cat, "a", &s));
    is_new = s->description != NULL;
    xlu_snapshot_close(cat);
    /* Whatever command comes next mends the XML. */
    create("next");
    xml = xml_of("a");
    assert_string_equal(xml, is_new ? new : old);
    free(xml);
    return is_new;
}

static void each_step(bool die)
{
    char *old, *new;
    int n, rc, status, num_new = 0, num_old = 0;

    for (n = 1; n < 40; n++) {
        setup(NULL);
        create("a");
        old = xml_of("a");
        new = edited(old, "<state>",
                     "<description>n</description>\n <state>");
        if (!fork()) {
            xlu_snapshot_catalogue *cat;

            must(open_as(XLU_SNAPSHOT_WRITE, &cat));
            if (die)
                fake_io_crash(n);
            else
                fake_io_fail(n, EIO);
            rc = xlu_snapshot_redefine(cat, "x", new, strlen(new), NULL,
                                       NULL, NULL, NULL);
            _exit(rc ? 1 : 0);
        }
        wait(&status);
        rc = WEXITSTATUS(status);
        *(check_old_or_new(old, new) ? &num_new : &num_old) += 1;
        if (!die && rc == 1)
            assert_int_equal(num_new, 0);       /* failed: as it was */
        free(old);
        free(new);
        teardown(NULL);
        if (!rc)
            break;
    }
    assert_true(num_old > 2 && num_new && n < 40);
    setup(NULL);
}

static void failure(void **state)
{
    (void)state;
    teardown(NULL);
    each_step(false);
}

static void death(void **state)
{
    (void)state;
    teardown(NULL);
    each_step(true);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(found),
        TEST(found_while_off),
        TEST(becomes_current),
        TEST(damaged),
        TEST(not_there),
        TEST(there_again),
        TEST(images_of_others),
        TEST(disks_by_path),
        TEST(overlays),
        TEST(everything_kept),
        TEST(child_of_a_deleted),
        TEST(defaults),
        TEST(invalid),
        TEST(hostile),
        TEST(of_another_domain),
        TEST(replaced),
        TEST(failure),
        TEST(death),
    };
    int r = cmocka_run_group_tests(tests, NULL, NULL);

    xmlCleanupParser();
    return r;
}
