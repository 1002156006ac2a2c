/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * <domainsnapshot>: what is written, to the byte; that libvirt's schema takes
 * it (if $LIBVIRT_SCHEMAS names the folder with domainsnapshot.rng); and what
 * is refused on reading.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/relaxng.h>

#include <cmocka.h>

#include "fake_lxs.h"
#include "xluss.h"

static libxl_disk_snapshot *add_disk(xlu_snapshot *s, const char *vdev,
                                     const char *path,
                                     libxl_disk_snapshot_kind kind)
{
    libxl_disk_snapshot *d;

    s->args.disks = realloc(s->args.disks,
                            (s->args.num_disks + 1) * sizeof(*d));
    d = &s->args.disks[s->args.num_disks++];
    libxl_disk_snapshot_init(d);
    libxl_disk_snapshot_init_kind(d, kind);
    d->device.vdev = strdup(vdev);
    d->device.pdev_path = strdup(path);
    return d;
}

static void minimal(xlu_snapshot *s)
{
    xlu_snapshot_init(s);
    s->name = strdup("a");
    s->domain_uuid = strdup(FAKE_UUID);
    s->state = XLU_SNAPSHOT_STATE_DISK_SNAPSHOT;
    s->creation_time = 1795188645;
}

static void full(xlu_snapshot *s)
{
    libxl_disk_snapshot *d;

    minimal(s);
    s->state = XLU_SNAPSHOT_STATE_RUNNING;
    s->description = strdup("<before> & \"after\"\nline two");
    s->parent = strdup("Überstand");
    s->memory.path = strdup("/snapshots/it's a.mem");
    add_disk(s, "xvda", "/img/a", LIBXL_DISK_SNAPSHOT_KIND_INTERNAL);
    d = add_disk(s, "hdb", "/img/b", LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL);
    d->u.external.external_format = LIBXL_DISK_FORMAT_QCOW2;
    d->u.external.external_path = strdup("/img/b.overlay");
    add_disk(s, "xvdc", "/img/c", LIBXL_DISK_SNAPSHOT_KIND_NONE);
    add_disk(s, "xvdd", "/img/d", LIBXL_DISK_SNAPSHOT_KIND_REFLINK);
    add_disk(s, "d1p2", "/img/e", LIBXL_DISK_SNAPSHOT_KIND_INTERNAL);
    add_disk(s, "d3", "relative", LIBXL_DISK_SNAPSHOT_KIND_INTERNAL);
}

static const char full_xml[] =
    "<domainsnapshot>\n"
    " <name>a</name>\n"
    " <description>&lt;before&gt; &amp; &quot;after&quot;\n"
    "line two</description>\n"
    " <state>running</state>\n"
    " <parent>\n"
    "  <name>Überstand</name>\n"
    " </parent>\n"
    " <creationTime>1795188645</creationTime>\n"
    " <memory snapshot=\"external\" file=\"/snapshots/it's a.mem\"/>\n"
    " <disks>\n"
    "  <disk name=\"xvda\" snapshot=\"internal\"/>\n"
    "  <disk name=\"hdb\" snapshot=\"external\" type=\"file\">\n"
    "   <driver type=\"qcow2\"/>\n"
    "   <source file=\"/img/b.overlay\"/>\n"
    "  </disk>\n"
    "  <disk name=\"xvdc\" snapshot=\"no\"/>\n"
    "  <disk name=\"xvdd\" snapshot=\"manual\"/>\n"
    "  <disk name=\"/img/e\" snapshot=\"internal\"/>\n"
    " </disks>\n"
    " <domain>\n"
    "  <uuid>" FAKE_UUID "</uuid>\n"
    " </domain>\n"
    "</domainsnapshot>\n";

static const char minimal_xml[] =
    "<domainsnapshot>\n"
    " <name>a</name>\n"
    " <state>disk-snapshot</state>\n"
    " <creationTime>1795188645</creationTime>\n"
    " <memory snapshot=\"no\"/>\n"
    " <domain>\n"
    "  <uuid>" FAKE_UUID "</uuid>\n"
    " </domain>\n"
    "</domainsnapshot>\n";

static void check_write(void (*make)(xlu_snapshot *), const char *want)
{
    xlu_snapshot s;
    char *text;

    make(&s);
    assert_int_equal(xluss__xml_write(fake_logger(), &s, &text), 0);
    assert_string_equal(text, want);
    free(text);
    xlu_snapshot_dispose(&s);
}

static void golden(void **state)
{
    (void)state;
    check_write(full, full_xml);
    check_write(minimal, minimal_xml);
}

static void check_valid(const char *folder)
{
    const char *texts[] = { full_xml, minimal_xml };
    xmlRelaxNGParserCtxt *parser;
    xmlRelaxNGValidCtxt *valid;
    xmlRelaxNG *rng;
    char path[512];
    size_t i;

    snprintf(path, sizeof(path), "%s/domainsnapshot.rng", folder);
    parser = xmlRelaxNGNewParserCtxt(path);
    rng = xmlRelaxNGParse(parser);
    assert_non_null(rng);
    for (i = 0; i < 2; i++) {
        xmlDoc *doc = xmlReadMemory(texts[i], strlen(texts[i]), NULL, NULL,
                                    0);

        valid = xmlRelaxNGNewValidCtxt(rng);
        assert_int_equal(xmlRelaxNGValidateDoc(valid, doc), 0);
        xmlRelaxNGFreeValidCtxt(valid);
        xmlFreeDoc(doc);
    }
    xmlRelaxNGFree(rng);
    xmlRelaxNGFreeParserCtxt(parser);
}

static void schema(void **state)
{
    const char *old = getenv("LIBVIRT_SCHEMAS");
    const char *new = getenv("LIBVIRT_SCHEMAS_11");

    (void)state;
    if (!old && !new)
        skip();
    if (old)
        check_valid(old);
    if (new)
        check_valid(new);
}

static void unwritable(void **state)
{
    xlu_snapshot s;
    char *text;

    (void)state;
    minimal(&s);
    s.description = strdup("a bell \x07");
    fake_log_clear();
    assert_int_equal(xluss__xml_write(fake_logger(), &s, &text),
                     ERROR_INVAL);
    assert_null(text);
    assert_non_null(strstr(fake_log(), "XML can't hold"));
    xlu_snapshot_dispose(&s);
}

static int read_text(const char *text, char **name)
{
    fake_log_clear();
    return xluss__xml_read(fake_logger(), "/x/a.xml", text, strlen(text),
                           name);
}

static void check_bad(const char *text, const char *why)
{
    char *name;

    assert_int_equal(read_text(text, &name), LIBXL_SNAPSHOT_ERROR_DAMAGED);
    assert_null(name);
    if (!strstr(fake_log(), "/x/a.xml ") || !strstr(fake_log(), why))
        fail_msg("no \"%s\" in: %s", why, fake_log());
}

static void check_good(const char *text, const char *want)
{
    char *name = NULL;

    if (read_text(text, &name))
        fail_msg("%s", fake_log());
    assert_string_equal(name, want);
    free(name);
}

static void readable(void **state)
{
    (void)state;
    check_good(full_xml, "a");
    check_good(minimal_xml, "a");
    check_good("<?xml version='1.0'?><!-- libvirt's\nbanner -->"
               "<domainsnapshot><memory snapshot='no'/><unknown><name>x"
               "</name></unknown><name>a&amp;b</name></domainsnapshot>",
               "a&b");
    check_good("<domainsnapshot><name><![CDATA[a<b]]></name>"
               "</domainsnapshot>", "a<b");
}

static void hostile(void **state)
{
    char *deep = malloc(1 << 16), *p = deep;
    char *large = malloc((2 << 20) + 1);
    int i;

    (void)state;
    check_bad("", "well-formed");
    check_bad("nonsense", "well-formed");
    check_bad("<domainsnapshot><name>a</name>", "well-formed");
    check_bad("<domainsnapshot><name>a</domainsnapshot>", "well-formed");
    check_bad("<domainsnapshot><name>\x01</name></domainsnapshot>",
              "well-formed");
    check_bad("<domainsnapshot><name>&x;</name></domainsnapshot>", "");
    check_bad("<domainsnapshot><state>running</state></domainsnapshot>",
              "has no <name>");
    check_bad("<domaincheckpoint><name>a</name></domaincheckpoint>",
              "is not a <domainsnapshot>");
    check_bad("<!DOCTYPE x SYSTEM 'file:///etc/passwd'><domainsnapshot>"
              "<name>a</name></domainsnapshot>", "document type");
    check_bad("<!DOCTYPE x [<!ENTITY a 'aaaaaaaa'><!ENTITY b "
              "'&a;&a;&a;&a;&a;&a;&a;&a;'>]><domainsnapshot><name>&b;"
              "</name></domainsnapshot>", "document type");
    check_bad("<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"
              "<domainsnapshot><name>&a;</name></domainsnapshot>",
              "document type");

    p += sprintf(p, "<domainsnapshot><name>a</name>");
    for (i = 0; i < 100; i++)
        p += sprintf(p, "<a>");
    for (i = 0; i < 100; i++)
        p += sprintf(p, "</a>");
    sprintf(p, "</domainsnapshot>");
    check_bad(deep, "nested too deeply");
    free(deep);

    memset(large, ' ', 2 << 20);
    large[2 << 20] = '\0';
    check_bad(large, "too large");
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),
        cmocka_unit_test(schema),
        cmocka_unit_test(unwritable),
        cmocka_unit_test(readable),
        cmocka_unit_test(hostile),
    };
    int r = cmocka_run_group_tests(tests, NULL, NULL);

    xmlCleanupParser();
    return r;
}
