/* SPDX-License-Identifier: LGPL-2.1-only */
/* The documents of checkpoints. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xluss_checkpoint.h"

#define JSON ".json"

const char *xlu_checkpoint_name_problem(const char *name)
{
    static const char set[] = "abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

    if (!name || !*name)
        return "is empty";
    if (strlen(name) > XLU_SNAPSHOT_NAME_MAX)
        return "is longer than 200 bytes";
    if (*name == '.')
        return "begins with '.'";
    if (name[strspn(name, set)])
        return "has something in it that is no letter, digit, '_', '-' or "
               "'.'";
    return NULL;
}

int xluss__checkpoint_dir(xlu_snapshot_catalogue *cat, bool make,
                          xluss__dir *out)
{
    *out = (xluss__dir){ .fd = -1 };
    if (cat->dir.fd < 0)
        return ERROR_NOTFOUND;
    return xluss__dir_open_at(cat->lg, &cat->dir, "checkpoints", make, out);
}

static const char *problem(const xlu_snapshot_catalogue *cat,
                           const xlu_checkpoint *c, const char *name)
{
    if (!c->name || strcmp(c->name, name))
        return "holds another checkpoint's name";
    if (!c->domain_uuid || strcasecmp(c->domain_uuid, cat->dom.uuid))
        return "belongs to another domain";
    if (c->description && xluss__text_problem(c->description))
        return "has a description that is not text";
    return NULL;
}

static void load_one(xlu_snapshot_catalogue *cat, const xluss__dir *dir,
                     const char *file, xlu_checkpoint_list *out)
{
    const char *wrong = "is not the JSON of a checkpoint";
    char *name = xluss__strdup(file), *text = NULL;
    xlu_checkpoint c;
    size_t len;

    name[strlen(name) - strlen(JSON)] = '\0';
    xlu_checkpoint_init(&c);
    if (xlu_checkpoint_name_problem(name))
        wrong = "has a name that no checkpoint has";
    else if (!xluss__file_get(cat->lg, dir, file, XLUSS__JSON_MAX, &text,
                              &len) &&
             strlen(text) == len &&
             !xlu_checkpoint_from_json(cat->ctx, &c, text))
        wrong = problem(cat, &c, name);
    free(text);
    free(name);
    if (!wrong) {
        out->checkpoints = xluss__realloc(
            out->checkpoints,
            (out->num_checkpoints + 1) * sizeof(*out->checkpoints));
        out->checkpoints[out->num_checkpoints++] = c;
        return;
    }
    LOG(cat->lg, WARN, "domain %s: %s/%s %s; it is left out", cat->dom.name,
        dir->path, file, wrong);
    xlu_checkpoint_dispose(&c);
}

/* One whose number isn't known, after those that came before it. */
static int by_age(const void *a, const void *b)
{
    const xlu_checkpoint *x = a, *y = b;

    if (x->sequence && y->sequence && x->sequence != y->sequence)
        return x->sequence < y->sequence ? -1 : 1;
    if (x->creation_time != y->creation_time)
        return x->creation_time < y->creation_time ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void set_parents(xlu_checkpoint_list *list)
{
    const char *before = NULL;
    int i;

    if (list->num_checkpoints)
        qsort(list->checkpoints, list->num_checkpoints,
              sizeof(*list->checkpoints), by_age);
    for (i = 0; i < list->num_checkpoints; i++) {
        xlu_checkpoint *c = &list->checkpoints[i];

        xluss__replace(&c->parent, before);
        c->current = i == list->num_checkpoints - 1;
        before = c->name;
    }
}

int xluss__checkpoint_load(xlu_snapshot_catalogue *cat,
                           xlu_checkpoint_list *out)
{
    struct dirent *de;
    xluss__dir dir;
    DIR *d = NULL;
    int fd, rc;

    rc = xluss__checkpoint_dir(cat, false, &dir);
    if (rc) {
        xluss__dir_close(&dir);
        return rc == ERROR_NOTFOUND ? 0 : rc;
    }
    fd = openat(dir.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        LOGEV(cat->lg, ERROR, errno, "reading folder %s", dir.path);
        if (fd >= 0)
            close(fd);
        rc = ERROR_FAIL;
    }
    while (d && (de = readdir(d)))
        if (de->d_name[0] != '.' && xluss__ends_with(de->d_name, JSON))
            load_one(cat, &dir, de->d_name, out);
    if (d)
        closedir(d);
    xluss__dir_close(&dir);
    set_parents(out);
    return rc;
}

static int put(xlu_snapshot_catalogue *cat, const xluss__dir *dir,
               const char *name, const char *suffix, const char *text)
{
    char *file = xluss__file_name(name, suffix);
    int rc = xluss__file_put(cat->lg, dir, file, text, strlen(text), false);

    free(file);
    return rc;
}

int xluss__checkpoint_store(xlu_snapshot_catalogue *cat,
                            const xlu_checkpoint *c)
{
    char *json = xlu_checkpoint_to_json(cat->ctx, (xlu_checkpoint *)c);
    char *xml = xluss__checkpoint_xml_write(c);
    xluss__dir dir;
    int rc;

    rc = xluss__checkpoint_dir(cat, true, &dir);
    if (!rc && (!json || !xml)) {
        LOG(cat->lg, ERROR, "domain %s, checkpoint %s: no document could be "
            "made", cat->dom.name, c->name);
        rc = ERROR_FAIL;
    }
    if (!rc)
        rc = put(cat, &dir, c->name, ".xml", xml);
    if (!rc)
        rc = put(cat, &dir, c->name, JSON, json);
    xluss__dir_close(&dir);
    free(json);
    free(xml);
    return rc;
}

/* The JSON first: with it the checkpoint goes. */
int xluss__checkpoint_drop(xlu_snapshot_catalogue *cat, const char *name)
{
    char *json = xluss__file_name(name, JSON);
    char *xml = xluss__file_name(name, ".xml");
    xluss__dir dir;
    int rc;

    rc = xluss__checkpoint_dir(cat, true, &dir);
    if (!rc)
        rc = xluss__file_drop(cat->lg, &dir, json);
    if (!rc)
        rc = xluss__dir_sync(cat->lg, &dir);
    if (!rc)
        rc = xluss__file_drop(cat->lg, &dir, xml);
    xluss__dir_close(&dir);
    free(json);
    free(xml);
    return rc;
}

xlu_checkpoint *xluss__checkpoint_find(xlu_checkpoint_list *list,
                                       const char *name)
{
    int i;

    for (i = 0; name && i < list->num_checkpoints; i++)
        if (!strcmp(list->checkpoints[i].name, name))
            return &list->checkpoints[i];
    return NULL;
}

void xluss__checkpoint_remove(xlu_checkpoint_list *list, xlu_checkpoint *c)
{
    int at = c - list->checkpoints;

    xlu_checkpoint_dispose(c);
    memmove(c, c + 1, (--list->num_checkpoints - at) * sizeof(*c));
    set_parents(list);
}
