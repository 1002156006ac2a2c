/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Reading the catalogue. NAME.json is the truth: it holds everything, and a
 * snapshot exists from the instant at which it appears. NAME.xml is for
 * libvirt and for readers; one that was damaged is written again from the
 * JSON by the next command that changes anything.
 *
 * Any of these may have been edited or cut short. A document that can't be
 * used is named in the log and left out; its name stays taken.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xluss.h"

#define JSON ".json"

static int by_name(const void *a, const void *b)
{
    return strcmp(((const xluss__entry *)a)->s.name,
                  ((const xluss__entry *)b)->s.name);
}

xluss__entry *xluss__find(xlu_snapshot_catalogue *cat, const char *name)
{
    int low = 0, high = cat->num_entries - 1;

    while (low <= high) {
        int middle = low + (high - low) / 2;
        int r = strcmp(name, cat->entries[middle].s.name);

        if (!r)
            return &cat->entries[middle];
        if (r < 0)
            high = middle - 1;
        else
            low = middle + 1;
    }
    return NULL;
}

/* What is wrong with a document that parses; NULL: nothing. */
static const char *problem(const xlu_snapshot_catalogue *cat,
                           const xlu_snapshot *s, const char *name)
{
    if (!s->name || strcmp(s->name, name))
        return "holds another snapshot's name";
    if (!s->domain_uuid || strcasecmp(s->domain_uuid, cat->dom.uuid))
        return "belongs to another domain";
    if (s->memory.path && s->memory.path[0] != '/')
        return "names a memory image without its full path";
    if (s->parent && xlu_snapshot_name_problem(s->parent))
        return "names a parent that can't be one";
    if (s->description && xluss__text_problem(s->description))
        return "has a description that is not text";
    return NULL;
}

/* Fills e->s, or says what is wrong and returns false. */
static bool load_json(xlu_snapshot_catalogue *cat, const char *file,
                      const char *name, xluss__entry *e)
{
    const char *wrong;
    char *text;
    size_t len;
    int rc;

    xlu_snapshot_init(&e->s);
    rc = xluss__file_get(cat->lg, &cat->snaps, file, XLUSS__JSON_MAX, &text,
                         &len);
    if (rc)
        return false;
    rc = strlen(text) == len ? xlu_snapshot_from_json(cat->ctx, &e->s, text)
                             : ERROR_INVAL;
    free(text);
    wrong = rc ? "is not the JSON of a snapshot" : problem(cat, &e->s, name);
    if (!wrong)
        return true;
    LOG(cat->lg, WARN, "domain %s, snapshot %s: %s/%s %s; it is left out",
        cat->dom.name, name, cat->snaps.path, file, wrong);
    return false;
}

/* Does NAME.xml say the same name? It is told of once, here. */
static bool xml_is_bad(xlu_snapshot_catalogue *cat, const char *name)
{
    char *file = xluss__file_name(name, ".xml");
    char *path = xluss__asprintf("%s/%s", cat->snaps.path, file);
    char *text = NULL, *in_xml = NULL;
    size_t len;
    bool bad = true;
    int rc;

    rc = xluss__file_get(cat->lg, &cat->snaps, file, XLUSS__DOCUMENT_MAX,
                         &text, &len);
    if (rc == ERROR_NOTFOUND)
        LOG(cat->lg, WARN, "domain %s, snapshot %s: %s is missing; the "
            "snapshot can be used, the next command that changes "
            "snapshots writes the file again", cat->dom.name, name, path);
    if (!rc && !xluss__xml_read(cat->lg, path, text, len, &in_xml)) {
        bad = strcmp(in_xml, name);
        if (bad)
            LOG(cat->lg, WARN, "%s holds the name %s, not %s", path, in_xml,
                name);
    }
    free(in_xml);
    free(text);
    free(path);
    free(file);
    return bad;
}

static void load_one(xlu_snapshot_catalogue *cat, const char *file)
{
    char *name = xluss__strdup(file);
    xluss__entry *e;

    name[strlen(name) - strlen(JSON)] = '\0';
    if (xlu_snapshot_name_problem(name)) {
        LOG(cat->lg, WARN, "%s/%s: the name of this file %s; it is left out",
            cat->snaps.path, file, xlu_snapshot_name_problem(name));
        free(name);
        return;
    }
    e = &cat->entries[cat->num_entries++];
    memset(e, 0, sizeof(*e));
    e->damaged = !load_json(cat, file, name, e);
    if (e->damaged) {
        xlu_snapshot_dispose(&e->s);
        xlu_snapshot_init(&e->s);
        e->s.name = xluss__strdup(name);
    } else {
        e->s.current = false;
        e->xml_bad = xml_is_bad(cat, name);
    }
    free(name);
}

static int load_all(xlu_snapshot_catalogue *cat)
{
    int fd, room = 0;
    struct dirent *de;
    DIR *dir;

    fd = openat(cat->snaps.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        LOGEV(cat->lg, ERROR, errno, "reading folder %s", cat->snaps.path);
        if (fd >= 0)
            close(fd);
        return ERROR_FAIL;
    }
    while ((de = readdir(dir))) {
        if (de->d_name[0] == '.' || !xluss__ends_with(de->d_name, JSON))
            continue;
        if (cat->num_entries == room) {
            room = room ? 2 * room : 64;
            cat->entries = xluss__realloc(cat->entries,
                                          room * sizeof(*cat->entries));
        }
        load_one(cat, de->d_name);
    }
    closedir(dir);
    return 0;
}

static void load_current(xlu_snapshot_catalogue *cat)
{
    xluss__entry *e;
    char *text;
    size_t len;

    if (xluss__file_get(cat->lg, &cat->dir, "current", XLUSS__PATH_MAX,
                        &text, &len))
        return;
    text[strcspn(text, "\n")] = '\0';
    e = xluss__find(cat, text);
    if (e && !e->damaged) {
        e->s.current = true;
        cat->current = &e->s;
    }
    free(text);
}

int xluss__load(xlu_snapshot_catalogue *cat)
{
    int rc;

    xluss__unload(cat);
    if (cat->snaps.fd >= 0) {
        rc = load_all(cat);
        if (rc)
            return rc;
    }
    if (cat->num_entries)
        qsort(cat->entries, cat->num_entries, sizeof(*cat->entries), by_name);
    if (cat->dir.fd >= 0)
        load_current(cat);
    xluss__tree_build(cat);
    cat->interrupted = xluss__file_exists(&cat->dir, "journal") ||
                       xluss__pull_interrupted(cat);
    return 0;
}

void xluss__unload(xlu_snapshot_catalogue *cat)
{
    int i;

    for (i = 0; i < cat->num_entries; i++)
        xlu_snapshot_dispose(&cat->entries[i].s);
    free(cat->entries);
    free(cat->list);
    cat->entries = NULL;
    cat->list = NULL;
    cat->num_entries = cat->num_list = 0;
    cat->current = NULL;
}
