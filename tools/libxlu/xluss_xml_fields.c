/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * From a document that the schema allows to the words of a snapshot. What
 * the schema lets be left out, and libvirt would make up for a new snapshot,
 * is made up here as well: the name is the time.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "xluss_xml.h"

/* ERROR_INVAL with a sentence about an element that holds what no snapshot
 * here can have. */
static int refuse(xentoollog_logger *lg, const char *from, const xmlNode *at,
                  const char *why)
{
    LOG(lg, ERROR, "%s, line %ld: <%s> %s", from, xmlGetLineNo(at), at->name,
        why);
    return ERROR_INVAL;
}

static int read_time(xentoollog_logger *lg, const char *from,
                     const xmlNode *root, uint64_t *out)
{
    char *text = xluss__xml_word(root, "creationTime");
    bool good = !text || (*text && !text[strspn(text, "0123456789")] &&
                          strlen(text) < 19);

    *out = text && good ? strtoull(text, NULL, 10) : (uint64_t)time(NULL);
    free(text);
    return good ? 0 : refuse(lg, from, xluss__xml_child(root, "creationTime"),
                             "is not a number of seconds");
}

static int read_name(xentoollog_logger *lg, const char *from,
                     const xmlNode *root, xlu_snapshot *s)
{
    const char *wrong;

    s->name = xluss__xml_text(root, "name");
    if (!s->name)
        s->name = xluss__asprintf("%" PRIu64, s->creation_time);
    wrong = xlu_snapshot_name_problem(s->name);
    return wrong ? refuse(lg, from, xluss__xml_child(root, "name"), wrong)
                 : 0;
}

static int read_parent(xentoollog_logger *lg, const char *from,
                       const xmlNode *root, xlu_snapshot *s)
{
    const xmlNode *parent = xluss__xml_child(root, "parent");
    const char *wrong;

    if (!parent)
        return 0;
    s->parent = xluss__xml_text(parent, "name");
    wrong = xlu_snapshot_name_problem(s->parent);
    return wrong ? refuse(lg, from, xluss__xml_child(parent, "name"), wrong)
                 : 0;
}

/* Without one: that of a snapshot with memory, or of disks alone. */
static void read_state(const xmlNode *root, xlu_snapshot *s)
{
    char *word = xluss__xml_word(root, "state"), *dash;

    s->state = xluss__xml_has_memory(root)
               ? XLU_SNAPSHOT_STATE_RUNNING
               : XLU_SNAPSHOT_STATE_DISK_SNAPSHOT;
    if (!word)
        return;
    dash = strchr(word, '-');
    if (dash)
        *dash = '_';
    xlu_snapshot_state_from_string(word, &s->state);
    free(word);
}

bool xluss__xml_has_memory(const xmlNode *root)
{
    const xmlNode *memory = xluss__xml_child(root, "memory");
    char *kind = xluss__xml_value(memory, "snapshot");
    bool has = memory && !(kind && xluss__xml_is_word(kind, "no"));

    free(kind);
    return has;
}

/* The schema has paths of other systems, too; they lead nowhere. */
static char *read_memory(const xmlNode *root)
{
    char *path = xluss__xml_value(xluss__xml_child(root, "memory"), "file");

    if (!path || path[0] == '/')
        return path;
    free(path);
    return NULL;
}

int xluss__xml_fields(xentoollog_logger *lg, const char *from, xmlDoc *doc,
                      xlu_snapshot *s)
{
    xmlNode *root = xmlDocGetRootElement(doc);
    int rc;

    rc = read_time(lg, from, root, &s->creation_time);
    if (!rc)
        rc = read_name(lg, from, root, s);
    if (!rc)
        rc = read_parent(lg, from, root, s);
    if (rc)
        return rc;
    s->description = xluss__xml_text(root, "description");
    read_state(root, s);
    s->memory.path = read_memory(root);
    s->document = xluss__xml_dump(root);
    return s->document ? 0 : ERROR_NOMEM;
}
