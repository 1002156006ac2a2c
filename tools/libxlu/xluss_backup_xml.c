/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libvirt's <domainbackup> (domainbackup.rng), and of a pull backup the two
 * documents of the proposal of 2018 that libvirt didn't take over, as
 * docs/schemas has them.
 */
#include <inttypes.h>
#include <stdio.h>
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

/* The text of it, malloc'ed; frees the document. */
static char *finish(xmlDoc *doc)
{
    xmlChar *text = NULL;
    char *copy;
    int len;

    xmlDocDumpFormatMemoryEnc(doc, &text, &len, "UTF-8", 1);
    xmlFreeDoc(doc);
    copy = xluss__strdup((const char *)text);
    xmlFree(text);
    return copy;
}

static xmlNode *begin(xmlDoc **doc, const char *name)
{
    xmlNode *root = xmlNewNode(NULL, BAD_CAST name);

    *doc = xmlNewDoc(BAD_CAST "1.0");
    xmlDocSetRootElement(*doc, root);
    return root;
}

static xmlNode *child(xmlNode *parent, const char *name, const char *text)
{
    return xmlNewTextChild(parent, NULL, BAD_CAST name, BAD_CAST text);
}

char *xluss__backup_xml_write(const libxl_domain_backup_args *args)
{
    xmlNode *root, *disks = NULL;
    xmlDoc *doc;
    int i;

    root = begin(&doc, "domainbackup");
    set(root, "mode", "push");
    if (args->since)
        child(root, "incremental", args->since);
    for (i = 0; i < args->num_disks; i++)
        add_disk(&disks, root, &args->disks[i]);
    return finish(doc);
}

/* --- pull --- */

static void set_number(xmlNode *node, const char *name, uint64_t value)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    set(node, name, text);
}

static const char *scratch_of(const xlu_backup_pull *p, const char *vdev)
{
    int i;

    for (i = 0; i < p->snapshot.num_disks; i++)
        if (!strcmp(p->snapshot.disks[i].vdev, vdev))
            return p->snapshot.disks[i].scratch;
    return NULL;
}

static void add_server(xmlNode *root, const libxl_block_export *e)
{
    xmlNode *server = xmlNewChild(root, NULL, BAD_CAST "server", NULL);

    set(server, "transport", e->host ? "tcp" : "unix");
    if (e->host) {
        set(server, "name", e->host);
        set_number(server, "port", e->port);
        set(server, "tls", e->tls_dir ? "yes" : "no");
    } else {
        set(server, "socket", e->socket);
    }
}

static void add_pull_disk(xmlNode **disks, xmlNode *root,
                          const xlu_backup_pull *p,
                          const libxl_block_export_disk *d)
{
    const char *scratch = scratch_of(p, d->vdev);
    xmlNode *disk, *node;

    if (!xluss__xml_is_target(d->vdev))
        return;
    if (!*disks)
        *disks = xmlNewChild(root, NULL, BAD_CAST "disks", NULL);
    disk = xmlNewChild(*disks, NULL, BAD_CAST "disk", NULL);
    set(disk, "name", d->vdev);
    set(disk, "backup", "yes");
    set(disk, "type", "file");
    set(disk, "exportname", d->name);
    if (p->exported.bitmap)
        set(disk, "exportbitmap", p->exported.bitmap);
    if (!scratch || scratch[0] != '/')
        return;
    node = xmlNewChild(disk, NULL, BAD_CAST "driver", NULL);
    set(node, "type", "qcow2");
    node = xmlNewChild(disk, NULL, BAD_CAST "scratch", NULL);
    set(node, "file", scratch);
}

char *xluss__pull_xml_write(const xlu_backup_pull *p)
{
    xmlNode *root, *disks = NULL;
    xmlDoc *doc;
    int i;

    root = begin(&doc, "domainbackup");
    set(root, "mode", "pull");
    if (p->snapshot.since)
        child(root, "incremental", p->snapshot.since);
    if (p->exported.host || p->exported.socket)
        add_server(root, &p->exported);
    for (i = 0; i < p->exported.num_disks; i++)
        if (p->exported.disks[i].vdev && p->exported.disks[i].name)
            add_pull_disk(&disks, root, p, &p->exported.disks[i]);
    return finish(doc);
}

char *xluss__block_snapshot_xml_write(const xlu_snapshot_catalogue *cat,
                                      const xlu_backup_pull *p)
{
    const libxl_block_snapshot *s = &p->snapshot;
    xmlNode *root, *node, *disk;
    char text[32];
    xmlDoc *doc;
    int i;

    root = begin(&doc, "domainblocksnapshot");
    child(root, "name", s->id);
    snprintf(text, sizeof(text), "%" PRIu64, p->creation_time);
    child(root, "creationTime", text);
    node = xmlNewChild(root, NULL, BAD_CAST "domain", NULL);
    child(node, "name", cat->dom.name);
    child(node, "uuid", cat->dom.uuid);
    if (s->since)
        child(root, "incremental", s->since);
    if (s->checkpoint) {
        node = xmlNewChild(root, NULL, BAD_CAST "checkpoint", NULL);
        set(node, "name", s->checkpoint);
    }
    for (i = 0; i < s->num_disks; i++) {
        disk = xmlNewChild(root, NULL, BAD_CAST "disk", NULL);
        set(disk, "name", s->disks[i].vdev);
        set(disk, "type", "file");
        snprintf(text, sizeof(text), "%" PRIu64, s->disks[i].size);
        node = child(disk, "capacity", text);
        set(node, "unit", "bytes");
        node = xmlNewChild(disk, NULL, BAD_CAST "fleece", NULL);
        set(node, "file", s->disks[i].scratch ? s->disks[i].scratch : "");
    }
    return finish(doc);
}

char *xluss__block_export_xml_write(const xlu_backup_pull *p)
{
    const libxl_block_export *e = &p->exported;
    xmlNode *root, *node;
    xmlDoc *doc;
    int i;

    root = begin(&doc, "domainblockexport");
    set(root, "type", "nbd");
    child(root, "name", e->id);
    node = xmlNewChild(root, NULL, BAD_CAST "address", NULL);
    set(node, "type", e->host ? "ip" : "unix");
    if (e->host) {
        set(node, "host", e->host);
        set_number(node, "port", e->port);
        set(node, "tls", e->tls_dir ? "yes" : "no");
    } else {
        set(node, "path", e->socket ? e->socket : "");
    }
    for (i = 0; i < e->num_disks; i++) {
        node = xmlNewChild(root, NULL, BAD_CAST "disk", NULL);
        set(node, "name", e->disks[i].vdev);
        set(node, "snapshot", e->snapshot);
        set(node, "exportname", e->disks[i].name);
        if (p->snapshot.since) {
            set(node, "checkpoint", p->snapshot.since);
            set(node, "bitmap", e->bitmap ? e->bitmap : "");
        }
        set(node, "readonly", "yes");
    }
    return finish(doc);
}
