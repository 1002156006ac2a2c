/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What a stored <domainsnapshot> says, as far as the JSON says it too: for
 * comparing both, and for what remains where the JSON is lost.
 */
#include <stdlib.h>
#include <string.h>

#include <libxml/xmlreader.h>

#include "xluss_check.h"

static char **field(xluss__xml_says *x, int depth, const char *above,
                    const char *here)
{
    static const struct {
        const char *name;
        size_t at;
    } fields[] = {
        { "name", offsetof(xluss__xml_says, name) },
        { "description", offsetof(xluss__xml_says, description) },
        { "state", offsetof(xluss__xml_says, state) },
        { "creationTime", offsetof(xluss__xml_says, created) },
    };
    size_t i;

    if (depth == 2 && !strcmp(above, "parent") && !strcmp(here, "name"))
        return &x->parent;
    if (depth != 1)
        return NULL;
    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (!strcmp(here, fields[i].name))
            return (char **)((char *)x + fields[i].at);
    return NULL;
}

static void put(char **where, xmlChar *text)
{
    free(*where);
    *where = xluss__strdup(text ? (const char *)text : "");
    xmlFree(text);
}

static void look_disk(xmlTextReader *r, xluss__xml_says *x)
{
    xmlChar *how = xmlTextReaderGetAttribute(r, BAD_CAST "snapshot");

    if (how && (xmlStrEqual(how, BAD_CAST "external") ||
                xmlStrEqual(how, BAD_CAST "manual")))
        x->elsewhere = true;
    xmlFree(how);
}

static void look(xmlTextReader *r, xluss__xml_says *x, char above[32])
{
    const char *here = (const char *)xmlTextReaderConstLocalName(r);
    int depth = xmlTextReaderDepth(r);
    char **f = field(x, depth, above, here);
    xmlChar *file;

    if (f)
        put(f, xmlTextReaderReadString(r));
    if (depth == 1 && !strcmp(here, "memory")) {
        file = xmlTextReaderGetAttribute(r, BAD_CAST "file");
        if (file)
            put(&x->memory, file);
    }
    if (depth == 2 && !strcmp(above, "disks") && !strcmp(here, "disk"))
        look_disk(r, x);
    if (depth == 1) {
        strncpy(above, here, 31);
        above[31] = '\0';
    }
}

static void ignore(void *arg, const char *message,
                   xmlParserSeverities severity, xmlTextReaderLocatorPtr at)
{
    (void)arg;
    (void)message;
    (void)severity;
    (void)at;
}

bool xluss__xml_text_look(const char *text, xluss__xml_says *out)
{
    xmlTextReader *r;
    char above[32] = "";
    int got = -1;

    memset(out, 0, sizeof(*out));
    r = xmlReaderForMemory(text, strlen(text), NULL, NULL, XML_PARSE_NONET |
                           XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (r)
        xmlTextReaderSetErrorHandler(r, ignore, NULL);
    while (r && (got = xmlTextReaderRead(r)) == 1)
        if (xmlTextReaderNodeType(r) == XML_READER_TYPE_ELEMENT)
            look(r, out, above);
    if (r)
        xmlFreeTextReader(r);
    if (!got && out->name)
        return true;
    xluss__xml_says_dispose(out);
    return false;
}

bool xluss__xml_look(xlu_snapshot_catalogue *cat, const char *name,
                     xluss__xml_says *out)
{
    char *file = xluss__file_name(name, ".xml");
    char *path = xluss__asprintf("%s/%s", cat->snaps.path, file);
    char *text = NULL, *in_xml = NULL;
    bool good = false;
    size_t len;

    memset(out, 0, sizeof(*out));
    /* The reader that refuses what is hostile comes first. */
    if (!xluss__file_get(NULL, &cat->snaps, file, XLUSS__DOCUMENT_MAX, &text,
                         &len) &&
        !xluss__xml_read(NULL, path, text, len, &in_xml))
        good = !strcmp(in_xml, name) && xluss__xml_text_look(text, out);
    free(in_xml);
    free(text);
    free(path);
    free(file);
    return good;
}

static bool equal(const char *a, const char *b)
{
    return !strcmp(a ? a : "", b ? b : "");
}

bool xluss__xml_says_same(const xluss__xml_says *a, const xluss__xml_says *b)
{
    return equal(a->name, b->name) && equal(a->description, b->description) &&
           equal(a->state, b->state) && equal(a->parent, b->parent) &&
           equal(a->created, b->created) && equal(a->memory, b->memory);
}

void xluss__xml_says_dispose(xluss__xml_says *x)
{
    free(x->name);
    free(x->description);
    free(x->state);
    free(x->parent);
    free(x->created);
    free(x->memory);
    memset(x, 0, sizeof(*x));
}
