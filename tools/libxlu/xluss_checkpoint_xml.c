/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libvirt's <domaincheckpoint> (domaincheckpoint.rng). It has no <domain>:
 * libvirt wants all of one there or nothing. Of a document that is read, the
 * <domain> is passed over.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/xmlmemory.h>

#include "xluss_checkpoint.h"
#include "xluss_xml.h"

static xmlNode *add(xmlNode *to, const char *name, const char *text)
{
    return xmlNewTextChild(to, NULL, BAD_CAST name, BAD_CAST text);
}

static void set(xmlNode *node, const char *name, const char *value)
{
    xmlSetProp(node, BAD_CAST name, BAD_CAST value);
}

static void add_number(xmlNode *to, const char *name, uint64_t number)
{
    char *text = xluss__asprintf("%" PRIu64, number);

    add(to, name, text);
    free(text);
}

/* libvirt knows a disk by its target alone. */
static void add_disks(xmlNode *root, const xlu_checkpoint *c)
{
    xmlNode *disks = NULL, *disk;
    int i;

    for (i = 0; i < c->num_disks; i++) {
        if (!xluss__xml_is_target(c->disks[i].vdev))
            continue;
        if (!disks)
            disks = add(root, "disks", NULL);
        disk = add(disks, "disk", NULL);
        set(disk, "name", c->disks[i].vdev);
        set(disk, "checkpoint", "bitmap");
        if (c->disks[i].bitmap)
            set(disk, "bitmap", c->disks[i].bitmap);
    }
}

char *xluss__checkpoint_xml_write(const xlu_checkpoint *c)
{
    xmlDoc *doc = xmlNewDoc(BAD_CAST "1.0");
    xmlNode *root = xmlNewNode(NULL, BAD_CAST "domaincheckpoint");
    xmlChar *text = NULL;
    char *copy;
    int len;

    xmlDocSetRootElement(doc, root);
    add(root, "name", c->name);
    if (c->description)
        add(root, "description", c->description);
    if (c->parent)
        add(add(root, "parent", NULL), "name", c->parent);
    add_number(root, "creationTime", c->creation_time);
    add_disks(root, c);
    xmlDocDumpFormatMemoryEnc(doc, &text, &len, "UTF-8", 1);
    xmlFreeDoc(doc);
    copy = xluss__strdup((const char *)text);
    xmlFree(text);
    return copy;
}

/* --- reading --- */

static const char *read_disk(const xmlNode *n, xlu_checkpoint *c)
{
    char *name = xluss__xml_value(n, "name");
    char *how = xluss__xml_value(n, "checkpoint");
    const char *wrong = NULL;
    xlu_checkpoint_disk *disk;

    if (strcmp((const char *)n->name, "disk"))
        wrong = "has something beside <disk> in <disks>";
    else if (!name || !(xluss__xml_is_target(name) ||
                        xluss__xml_is_path(name)))
        wrong = "has a <disk> without a name";
    else if (how && strcmp(how, "no") && strcmp(how, "bitmap"))
        wrong = "has a <disk> whose checkpoint is neither no nor bitmap";
    if (!wrong && !(how && !strcmp(how, "no")) &&
        xluss__xml_is_target(name)) {
        c->disks = xluss__realloc(c->disks,
                                  (c->num_disks + 1) * sizeof(*c->disks));
        disk = &c->disks[c->num_disks++];
        xlu_checkpoint_disk_init(disk);
        disk->vdev = xluss__strdup(name);
        disk->bitmap = xluss__xml_value(n, "bitmap");
    }
    free(name);
    free(how);
    return wrong;
}

static bool known(const char *name)
{
    static const char *const names[] = { "name", "description", "parent",
                                         "creationTime", "disks", "domain" };
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

static const char *check_children(const xmlNode *root)
{
    const xmlNode *n;

    for (n = root->children; n; n = n->next) {
        if (n->type != XML_ELEMENT_NODE)
            continue;
        if (n->ns || !known((const char *)n->name))
            return "has an element that a checkpoint doesn't have";
        if (xluss__xml_child(root, (const char *)n->name) != n)
            return "has an element twice";
    }
    return NULL;
}

static const char *read_time(const xmlNode *root, xlu_checkpoint *c)
{
    char *text = xluss__xml_word(root, "creationTime");
    const char *wrong = NULL;

    if (text && (!xluss__xml_ulong.fits(text)))
        wrong = "has a <creationTime> that is no number";
    else if (text)
        c->creation_time = strtoull(text, NULL, 10);
    free(text);
    return wrong;
}

static const char *read_root(const xmlNode *root, xlu_checkpoint *c)
{
    const xmlNode *disks = xluss__xml_child(root, "disks"), *n;
    const char *wrong;

    if (!root || strcmp((const char *)root->name, "domaincheckpoint") ||
        root->ns)
        return "is not a <domaincheckpoint>";
    wrong = check_children(root);
    if (wrong)
        return wrong;
    c->name = xluss__xml_text(root, "name");
    if (xlu_checkpoint_name_problem(c->name))
        return "has a name that no checkpoint can have";
    c->description = xluss__xml_text(root, "description");
    if (c->description && !*c->description)
        xluss__replace(&c->description, NULL);
    wrong = read_time(root, c);
    for (n = disks ? disks->children : NULL; !wrong && n; n = n->next)
        if (n->type == XML_ELEMENT_NODE)
            wrong = read_disk(n, c);
    return wrong;
}

int xluss__checkpoint_xml_read(xentoollog_logger *lg, const char *from,
                               const char *text, size_t len,
                               xlu_checkpoint *out)
{
    const char *wrong;
    xmlDoc *doc;
    int rc = xluss__xml_parse(lg, from, text, len, &doc);

    if (rc)
        return rc;
    wrong = read_root(xmlDocGetRootElement(doc), out);
    xmlFreeDoc(doc);
    if (!wrong)
        return 0;
    LOG(lg, ERROR, "%s %s", from, wrong);
    return ERROR_INVAL;
}
