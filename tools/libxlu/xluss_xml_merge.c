/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A snapshot that was redefined from somebody else's document keeps it. When
 * its XML is written, name, description, state, parent and time are ours,
 * since they may change; all the rest is as it was given. The order is
 * libvirt's (virDomainSnapshotDefFormatInternal); comments between the
 * elements go, the inside of elements is left as it is.
 */
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>

#include "xluss_xml.h"

enum whose { OURS, KEPT, KEPT_OR_OURS };

static const struct {
    const char *name;
    enum whose whose;
} order[] = {
    { "name", OURS },
    { "description", OURS },
    { "state", OURS },
    { "parent", OURS },
    { "creationTime", OURS },
    { "memory", KEPT_OR_OURS },
    { "disks", KEPT_OR_OURS },
    { "revertDisks", KEPT },
    { "domain", KEPT_OR_OURS },
    { "inactiveDomain", KEPT },
    { "cookie", KEPT },
    { "active", KEPT },
};

#define NUM_ORDER (sizeof(order) / sizeof(*order))

static xmlDoc *parse(const char *text)
{
    return xmlReadMemory(text, strlen(text), NULL, NULL,
                         XML_PARSE_NONET | XML_PARSE_NOERROR |
                         XML_PARSE_NOWARNING);
}

/* To the front, with the blanks before it. */
static void move_first(xmlNode *n)
{
    xmlNode *first = n->parent->children, *blank = n->prev;

    if (blank && blank->type != XML_TEXT_NODE)
        blank = NULL;
    if (n == first || blank == first)
        return;
    xmlUnlinkNode(n);
    xmlAddPrevSibling(first, n);
    if (!blank)
        return;
    xmlUnlinkNode(blank);
    xmlAddPrevSibling(n, blank);
}

/* <disk>: the marker, then the driver, then the source. */
static void order_disk(xmlNode *disk)
{
    static const char *const names[] = {
        "source", "driver", "snapshotDeleteInProgress",
    };
    xmlNode *n;
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
        n = xluss__xml_child(disk, names[i]);
        if (n)
            move_first(n);
    }
}

static void order_disks(xmlNode *disks)
{
    xmlNode *n = disks ? disks->children : NULL;

    for (; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE)
            order_disk(n);
}

static void break_line(xmlNode *root, const char *text)
{
    xmlNode *blank = xmlNewDocText(root->doc, BAD_CAST text);

    if (blank)
        xmlAddChild(root, blank);
}

/* Moves one to the end of root. */
static void append(xmlNode *root, xmlNode *n)
{
    xmlUnlinkNode(n);
    break_line(root, "\n ");
    xmlAddChild(root, n);
}

static void merge(xmlNode *root, xmlNode *ours)
{
    xmlNode *kept[NUM_ORDER], *mine, *rest;
    size_t i;

    order_disks(xluss__xml_child(root, "disks"));
    order_disks(xluss__xml_child(root, "revertDisks"));
    for (i = 0; i < NUM_ORDER; i++) {
        kept[i] = xluss__xml_child(root, order[i].name);
        if (kept[i])
            xmlUnlinkNode(kept[i]);
    }
    rest = root->children;
    root->children = root->last = NULL;
    xmlFreeNodeList(rest);
    for (i = 0; i < NUM_ORDER; i++) {
        mine = xluss__xml_child(ours, order[i].name);
        if (order[i].whose == OURS || (order[i].whose == KEPT_OR_OURS &&
                                       !kept[i])) {
            if (kept[i])
                xmlFreeNode(kept[i]);
            kept[i] = mine ? xmlDocCopyNode(mine, root->doc, 1) : NULL;
        }
        if (kept[i])
            append(root, kept[i]);
    }
    break_line(root, "\n");
}

char *xluss__xml_merge(const char *ours_text, const char *kept_text)
{
    xmlDoc *ours = parse(ours_text), *kept = parse(kept_text);
    char *element = NULL, *text = NULL;

    if (ours && kept) {
        merge(xmlDocGetRootElement(kept), xmlDocGetRootElement(ours));
        element = xluss__xml_dump(xmlDocGetRootElement(kept));
    }
    if (element)
        text = xluss__asprintf("%s\n", element);
    free(element);
    xmlFreeDoc(ours);
    xmlFreeDoc(kept);
    return text;
}

/* --- comparing --- */

static bool is_element(const xmlNode *n)
{
    return n->type == XML_ELEMENT_NODE;
}

static const xmlNode *next_element(const xmlNode *n)
{
    while (n && !is_element(n))
        n = n->next;
    return n;
}

static int num_attributes(const xmlNode *n)
{
    const xmlAttr *a;
    int num = 0;

    for (a = n->properties; a; a = a->next)
        num++;
    return num;
}

static bool same_attributes(const xmlNode *a, const xmlNode *b)
{
    const xmlAttr *i;
    bool good = num_attributes(a) == num_attributes(b);

    for (i = a->properties; i && good; i = i->next) {
        const xmlChar *uri = i->ns ? i->ns->href : NULL;
        xmlChar *va = xmlGetNsProp((xmlNode *)a, i->name, uri);
        xmlChar *vb = xmlGetNsProp((xmlNode *)b, i->name, uri);

        good = va && vb && xmlStrEqual(va, vb);
        xmlFree(va);
        xmlFree(vb);
    }
    return good;
}

static bool same_children(const xmlNode *a, const xmlNode *b)
{
    bool disk = !strcmp((const char *)a->name, "disk");
    const xmlNode *i = next_element(a->children);
    const xmlNode *j = next_element(b->children), *other;

    while (i && j) {
        other = disk ? xluss__xml_child(b, (const char *)i->name) : j;
        if (!other || !xluss__xml_same(i, other))
            return false;
        i = next_element(i->next);
        j = next_element(j->next);
    }
    return !i && !j;
}

bool xluss__xml_same(const xmlNode *a, const xmlNode *b)
{
    char *ta, *tb;
    bool good;

    if (strcmp((const char *)a->name, (const char *)b->name) ||
        !same_attributes(a, b))
        return false;
    if (next_element(a->children) || next_element(b->children))
        return same_children(a, b);
    ta = xluss__xml_word(a, NULL);
    tb = xluss__xml_word(b, NULL);
    good = !strcmp(ta, tb);
    free(ta);
    free(tb);
    return good;
}

bool xluss__xml_has_more(const xmlNode *root)
{
    static const char *const more[] = {
        "revertDisks", "inactiveDomain", "cookie", "active",
    };
    const xmlNode *domain = xluss__xml_child(root, "domain");
    char *type = xluss__xml_value(domain, "type");
    bool has = type;
    size_t i;

    free(type);
    for (i = 0; i < sizeof(more) / sizeof(*more) && !has; i++)
        has = xluss__xml_child(root, more[i]);
    return has;
}
