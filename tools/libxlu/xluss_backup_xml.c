/* SPDX-License-Identifier: LGPL-2.1-only */
/* libvirt's <domainbackup> (domainbackup.rng) of a push backup. */
#include <stdlib.h>
#include <string.h>

#include <libxml/xmlmemory.h>

#include "xluss_backup.h"
#include "xluss_xml.h"

static void set(xmlNode *node, const char *name, const char *value)
{
    xmlSetProp(node, BAD_CAST name, BAD_CAST value);
}

/* It has no word for a target at an NBD server: those are left out. */
static void add_disk(xmlNode **disks, xmlNode *root,
                     const libxl_backup_disk *b)
{
    xmlNode *disk, *child;

    if (!b->target || b->target[0] != '/' || !xluss__xml_is_target(b->vdev))
        return;
    if (!*disks)
        *disks = xmlNewChild(root, NULL, BAD_CAST "disks", NULL);
    disk = xmlNewChild(*disks, NULL, BAD_CAST "disk", NULL);
    set(disk, "name", b->vdev);
    set(disk, "backup", "yes");
    set(disk, "type", "file");
    child = xmlNewChild(disk, NULL, BAD_CAST "driver", NULL);
    set(child, "type", b->format == LIBXL_DISK_FORMAT_RAW ? "raw" : "qcow2");
    child = xmlNewChild(disk, NULL, BAD_CAST "target", NULL);
    set(child, "file", b->target);
}

char *xluss__backup_xml_write(const libxl_domain_backup_args *args)
{
    xmlDoc *doc = xmlNewDoc(BAD_CAST "1.0");
    xmlNode *root = xmlNewNode(NULL, BAD_CAST "domainbackup");
    xmlNode *disks = NULL;
    xmlChar *text = NULL;
    char *copy;
    int i, len;

    xmlDocSetRootElement(doc, root);
    set(root, "mode", "push");
    if (args->since)
        xmlNewTextChild(root, NULL, BAD_CAST "incremental",
                        BAD_CAST args->since);
    for (i = 0; i < args->num_disks; i++)
        add_disk(&disks, root, &args->disks[i]);
    xmlDocDumpFormatMemoryEnc(doc, &text, &len, "UTF-8", 1);
    xmlFreeDoc(doc);
    copy = xluss__strdup((const char *)text);
    xmlFree(text);
    return copy;
}
