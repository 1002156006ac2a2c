/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Random documents of libvirt's schemas, and mutations of them (rng_docs.py):
 * what either schema allows is accepted, comes out again with all that it
 * held, valid, and in libvirt's order; what both refuse is refused with the
 * line and an element. $LIBVIRT_SCHEMAS names the folder of 9.0's schemas,
 * $LIBVIRT_SCHEMAS_11 that of 11.3's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <libxml/parser.h>
#include <libxml/relaxng.h>

#include <cmocka.h>

#include "fake_lxs.h"
#include "xluss_xml.h"

#define DOCUMENTS 3000
#define MAX_TEXT (1 << 16)

static struct schema {
    const char *variable;
    xmlRelaxNG *rng;
} schemas[] = {
    { "LIBVIRT_SCHEMAS", NULL }, { "LIBVIRT_SCHEMAS_11", NULL },
};

static char folder[] = "/tmp/xlu-schema.XXXXXX";

static void quiet(void *arg, const char *fmt, ...)
{
    (void)arg;
    (void)fmt;
}

static char *schema_path(const struct schema *s)
{
    const char *where = getenv(s->variable);
    char *path = NULL;

    if (where && asprintf(&path, "%s/domainsnapshot.rng", where) < 0)
        abort();
    return path;
}

static int set_up(void **state)
{
    size_t i;

    (void)state;
    xmlSetGenericErrorFunc(NULL, quiet);
    for (i = 0; i < 2; i++) {
        char *path = schema_path(&schemas[i]);
        xmlRelaxNGParserCtxt *parser = path ? xmlRelaxNGNewParserCtxt(path)
                                            : NULL;

        schemas[i].rng = parser ? xmlRelaxNGParse(parser) : NULL;
        xmlRelaxNGFreeParserCtxt(parser);
        free(path);
    }
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    char *command;
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++)
        xmlRelaxNGFree(schemas[i].rng);
    if (asprintf(&command, "rm -rf %s", folder) < 0 || system(command))
        return -1;
    free(command);
    return 0;
}

static bool valid(const struct schema *s, const char *text)
{
    xmlDoc *doc = xmlReadMemory(text, strlen(text), NULL, NULL, 0);
    xmlRelaxNGValidCtxt *ctxt = xmlRelaxNGNewValidCtxt(s->rng);
    bool good;

    xmlRelaxNGSetValidErrors(ctxt, quiet, quiet, NULL);
    good = doc && !xmlRelaxNGValidateDoc(ctxt, doc);
    xmlRelaxNGFreeValidCtxt(ctxt);
    xmlFreeDoc(doc);
    return good;
}

static void read_text(const char *path, char *text)
{
    FILE *f = fopen(path, "r");
    size_t len;

    assert_non_null(f);
    len = fread(text, 1, MAX_TEXT - 1, f);
    text[len] = '\0';
    fclose(f);
}

/* --- is the same held? --- */

static bool blank(const xmlNode *n)
{
    const char *s = (const char *)n->content;

    return n->type == XML_COMMENT_NODE ||
           (n->type == XML_TEXT_NODE && !s[strspn(s, " \t\r\n")]);
}

static bool has_elements(const xmlNode *n)
{
    return xmlChildElementCount((xmlNode *)n) > 0;
}

static bool same(xmlNode *a, xmlNode *b);

static bool same_attributes(xmlNode *a, xmlNode *b)
{
    xmlAttr *i;
    int n = 0, m = 0;

    for (i = b->properties; i; i = i->next)
        m++;
    for (i = a->properties; i; i = i->next, n++) {
        const char *uri = i->ns ? (const char *)i->ns->href : NULL;
        xmlChar *va = xmlGetNsProp(a, i->name, BAD_CAST uri);
        xmlChar *vb = xmlGetNsProp(b, i->name, BAD_CAST uri);
        bool good = va && vb && xmlStrEqual(va, vb);

        xmlFree(va);
        xmlFree(vb);
        if (!good)
            return false;
    }
    return n == m;
}

static xmlNode *next_real(xmlNode *n, bool elements)
{
    while (n && (blank(n) || (elements && n->type != XML_ELEMENT_NODE)))
        n = n->next;
    return n;
}

static bool same_text(xmlNode *a, xmlNode *b)
{
    xmlChar *ta = xmlNodeGetContent(a), *tb = xmlNodeGetContent(b);
    bool good = xmlStrEqual(ta, tb);

    xmlFree(ta);
    xmlFree(tb);
    return good;
}

/* In a disk the order may be another; elsewhere it is the same. */
static bool same_children(xmlNode *a, xmlNode *b)
{
    bool disk = !strcmp((const char *)a->name, "disk");
    xmlNode *i = next_real(a->children, true);
    xmlNode *j = next_real(b->children, true);

    for (; i && j; i = next_real(i->next, true)) {
        xmlNode *other = disk ? xluss__xml_child(b, (const char *)i->name)
                              : j;

        if (!other || !same(i, other))
            return false;
        j = next_real(j->next, true);
    }
    return !i && !j;
}

static bool same(xmlNode *a, xmlNode *b)
{
    const char *na = a->ns ? (const char *)a->ns->href : "";
    const char *nb = b->ns ? (const char *)b->ns->href : "";

    if (!xmlStrEqual(a->name, b->name) || strcmp(na, nb) ||
        !same_attributes(a, b))
        return false;
    return has_elements(a) || has_elements(b) ? same_children(a, b)
                                              : same_text(a, b);
}

/* A <state> or <creationTime> may lose its blanks. */
static bool same_word(xmlNode *a, xmlNode *b)
{
    char *wa = xluss__xml_word(a->parent, (const char *)a->name);
    char *wb = xluss__xml_word(b->parent, (const char *)b->name);
    bool good = !strcmp(wa, wb);

    if (!strcmp((const char *)a->name, "creationTime"))
        good = strtoull(wa, NULL, 10) == strtoull(wb, NULL, 10);
    free(wa);
    free(wb);
    return good;
}

static void check_held(xmlNode *in, xmlNode *out, const char *text)
{
    xmlNode *i, *o;

    for (i = next_real(in->children, true); i;
         i = next_real(i->next, true)) {
        const char *name = (const char *)i->name;
        bool word = !strcmp(name, "state") || !strcmp(name, "creationTime");

        o = xluss__xml_child(out, name);
        if (!o || !(word ? same_word(i, o) : same(i, o)))
            fail_msg("<%s> was not kept of: %s", name, text);
    }
}

/* order ends with NULL. */
static void check_children_order(xmlNode *n, const char *const *order)
{
    xmlNode *o = next_real(n->children, true);

    for (; *order && o; order++)
        if (!strcmp((const char *)o->name, *order))
            o = next_real(o->next, true);
    if (o)
        fail_msg("<%s> is not in its place in <%s>", o->name, n->name);
}

/* As libvirt writes them. */
static void check_order(xmlNode *out)
{
    static const char *const order[] = {
        "name", "description", "state", "parent", "creationTime", "memory",
        "disks", "revertDisks", "domain", "inactiveDomain", "cookie",
        "active", NULL,
    };
    static const char *const disk_order[] = {
        "snapshotDeleteInProgress", "driver", "source", NULL,
    };
    static const char *const lists[] = { "disks", "revertDisks" };
    xmlNode *list, *disk;
    size_t i;

    check_children_order(out, order);
    for (i = 0; i < 2; i++) {
        list = xluss__xml_child(out, lists[i]);
        for (disk = list ? next_real(list->children, true) : NULL; disk;
             disk = next_real(disk->next, true))
            check_children_order(disk, disk_order);
    }
}

/* --- the test --- */

static bool round_trip(const char *text, xmlDoc *doc, const bool *allowed)
{
    xlu_snapshot s;
    xmlDoc *again;
    char *out;
    size_t i;

    xlu_snapshot_init(&s);
    s.domain_uuid = strdup(FAKE_UUID);
    if (xluss__xml_fields(fake_logger(), "x", doc, &s)) {
        assert_true(strstr(fake_log(), "<name> ") ||
                    strstr(fake_log(), "<creationTime> "));
        xlu_snapshot_dispose(&s);
        return false;
    }
    assert_int_equal(xluss__xml_write(fake_logger(), &s, &out), 0);
    for (i = 0; i < 2; i++)
        if (allowed[i] && !valid(&schemas[i], out))
            fail_msg("no longer valid by %s: %s", schemas[i].variable, out);
    again = xmlReadMemory(out, strlen(out), NULL, NULL, 0);
    assert_non_null(again);
    check_held(xmlDocGetRootElement(doc), xmlDocGetRootElement(again), text);
    check_order(xmlDocGetRootElement(again));
    xmlFreeDoc(again);
    free(out);
    xlu_snapshot_dispose(&s);
    return true;
}

static int num_valid, num_refused, num_kept;

static void one(const char *text)
{
    bool allowed[2], any = false;
    xmlDoc *doc;
    size_t i;
    int rc;

    for (i = 0; i < 2; i++) {
        allowed[i] = schemas[i].rng && valid(&schemas[i], text);
        any = any || allowed[i];
    }
    fake_log_clear();
    rc = xluss__xml_accept(fake_logger(), "x.xml", text, strlen(text), &doc);
    if (!rc != any)
        fail_msg("the schemas %s it, we %s it: %s%s",
                 any ? "allow" : "refuse", rc ? "refuse" : "accept",
                 fake_log(), text);
    if (rc) {
        assert_non_null(strstr(fake_log(), "x.xml, line "));
        assert_non_null(strstr(fake_log(), "<"));
        num_refused++;
        return;
    }
    num_valid++;
    num_kept += round_trip(text, doc, allowed);
    xmlFreeDoc(doc);
}

static void run(const struct schema *s, int seed)
{
    char *schema = schema_path(s), *command, *path;
    static char text[MAX_TEXT];
    int i;

    if (asprintf(&command, "python3 rng_docs.py %s %d %d %s", schema, seed,
                 DOCUMENTS, folder) < 0)
        abort();
    assert_int_equal(system(command), 0);
    for (i = 0; i < DOCUMENTS; i++) {
        if (asprintf(&path, "%s/%04d.xml", folder, i) < 0)
            abort();
        read_text(path, text);
        one(text);
        free(path);
    }
    free(command);
    free(schema);
}

static void random_documents(void **state)
{
    const char *seed = getenv("SCHEMA_SEED");

    (void)state;
    /* One schema alone can't tell: what it refuses the other may allow. */
    if (!schemas[0].rng || !schemas[1].rng) {
        print_message("no schemas of libvirt 9.0 and 11.3\n");
        skip();
    }
    run(&schemas[0], seed ? atoi(seed) : 1);
    run(&schemas[1], seed ? atoi(seed) + 1 : 2);
    print_message("# %d valid, %d kept through a round trip, %d refused\n",
                  num_valid, num_kept, num_refused);
    assert_true(num_valid >= DOCUMENTS && num_refused >= DOCUMENTS / 4);
    assert_true(num_kept >= num_valid / 2);
}

/* --- what is made here --- */

static const char *pick(const char *const *from, size_t num)
{
    return from[rand() % num];
}
#define PICK(a) pick(a, sizeof(a) / sizeof(*(a)))

static char *maybe(const char *s)
{
    return s ? strdup(s) : NULL;
}

static void make_disk(libxl_disk_snapshot *d)
{
    static const char *const vdevs[] = {
        "xvda", "hdb", "sda1", "d1p2", "xvd", "", "ioemu:hda", "xvd\xc3\xbc",
    };
    static const char *const paths[] = {
        "/img/a b.qcow2", "/", "relative", "", "/a\nb", "/\xc3\xbc&<'\"",
        NULL,
    };

    libxl_disk_snapshot_init(d);
    libxl_disk_snapshot_init_kind(d, rand() % 6);
    d->device.vdev = maybe(PICK(vdevs));
    d->device.pdev_path = maybe(PICK(paths));
    if (d->kind != LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL)
        return;
    d->u.external.external_format = rand() % 8;
    d->u.external.external_path = maybe(PICK(paths));
}

static void make(xlu_snapshot *s)
{
    static const char *const names[] = { "a", " a", "a b&<\"'>", "\xc3\xbc" };
    static const char *const texts[] = { "", "\n", "]]>", "<a>&amp;", NULL };
    static const char *const paths[] = { "/m", "/a/b c.mem", NULL };
    int i;

    xlu_snapshot_init(s);
    s->name = strdup(PICK(names));
    s->description = maybe(PICK(texts));
    s->parent = rand() % 2 ? strdup(PICK(names)) : NULL;
    s->domain_uuid = strdup(FAKE_UUID);
    s->state = rand() % 7;
    s->creation_time = rand();
    s->memory.path = maybe(PICK(paths));
    s->args.num_disks = rand() % 5;
    s->args.disks = calloc(5, sizeof(*s->args.disks));
    for (i = 0; i < s->args.num_disks; i++)
        make_disk(&s->args.disks[i]);
}

/* Every one is valid by both schemas, and is read here as well. */
static void own_documents(void **state)
{
    xlu_snapshot s;
    xmlDoc *doc;
    char *out;
    size_t j;
    int i;

    (void)state;
    srand(1);
    for (i = 0; i < DOCUMENTS; i++) {
        make(&s);
        assert_int_equal(xluss__xml_write(fake_logger(), &s, &out), 0);
        for (j = 0; j < 2; j++)
            if (schemas[j].rng && !valid(&schemas[j], out))
                fail_msg("not valid by %s: %s", schemas[j].variable, out);
        fake_log_clear();
        if (xluss__xml_accept(fake_logger(), "x", out, strlen(out), &doc))
            fail_msg("%s%s", fake_log(), out);
        check_order(xmlDocGetRootElement(doc));
        xmlFreeDoc(doc);
        free(out);
        xlu_snapshot_dispose(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_documents),
        cmocka_unit_test(own_documents),
    };
    int r = cmocka_run_group_tests(tests, set_up, tear_down);

    xmlCleanupParser();
    return r;
}
