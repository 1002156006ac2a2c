/* SPDX-License-Identifier: LGPL-2.1-only */
/* Opening and closing a catalogue, and writing its documents. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xluss.h"

/* mkdir -p, 0700. */
static int make_root(xentoollog_logger *lg, const char *root)
{
    char *path = xluss__strdup(root);
    char *p;
    int e, rc = 0;

    for (p = path; p && !rc; ) {
        p = strchr(p + 1, '/');
        if (p)
            *p = '\0';
        if (mkdir(path, 0700) && errno != EEXIST) {
            e = errno;
            LOGEV(lg, ERROR, e, "making folder %s", path);
            rc = xluss__rc(e);
        }
        if (p)
            *p = '/';
    }
    free(path);
    return rc;
}

static int open_dirs(xlu_snapshot_catalogue *cat, const char *root)
{
    bool make = cat->flags & XLU_SNAPSHOT_WRITE;
    xluss__dir top = { .fd = -1 };
    int rc;

    rc = make ? make_root(cat->lg, root) : 0;
    if (rc) goto out;
    rc = xluss__dir_open(cat->lg, root, false, &top);
    if (rc) goto out;
    rc = xluss__dir_open_at(cat->lg, &top, cat->dom.uuid, make, &cat->dir);
    if (rc) goto out;
    rc = xluss__dir_open_at(cat->lg, &cat->dir, "snapshots", make,
                            &cat->snaps);
out:
    xluss__dir_close(&top);
    return rc == ERROR_NOTFOUND && !make ? 0 : rc;
}

/* So that the domain is found by its name while it is off. */
static int note_owner(xlu_snapshot_catalogue *cat)
{
    xlu_snapshot_owner o;
    char *text = NULL, *old;
    size_t len;
    int rc;

    xlu_snapshot_owner_init(&o);
    o.name = xluss__strdup(cat->dom.name);
    o.uuid = xluss__strdup(cat->dom.uuid);
    text = xlu_snapshot_owner_to_json(cat->ctx, &o);
    rc = text ? 0 : ERROR_FAIL;
    if (rc) goto out;
    rc = xluss__file_get(cat->lg, &cat->dir, "domain.json",
                         XLUSS__DOCUMENT_MAX, &old, &len);
    if (rc || strcmp(old, text))
        rc = xluss__file_put(cat->lg, &cat->dir, "domain.json", text,
                             strlen(text), false);
    free(old);
out:
    free(text);
    xlu_snapshot_owner_dispose(&o);
    return rc;
}

static int prepare_writing(xlu_snapshot_catalogue *cat)
{
    int rc = xluss__lock(cat, cat->flags & XLU_SNAPSHOT_WAIT);

    if (rc)
        return rc;
    xluss__temporaries_drop(cat->lg, &cat->dir);
    xluss__temporaries_drop(cat->lg, &cat->snaps);
    return note_owner(cat);
}

int xlu_snapshot_open(libxl_ctx *ctx, xentoollog_logger *lg,
                      const char *root, const xlu_snapshot_domain *dom,
                      int flags, xlu_snapshot_catalogue **out)
{
    xlu_snapshot_catalogue *cat;
    int rc;

    *out = NULL;
    if (!xluss__uuid_valid(dom->uuid)) {
        LOG(lg, ERROR, "%s is not a UUID", dom->uuid);
        return ERROR_INVAL;
    }
    cat = xluss__calloc(1, sizeof(*cat));
    cat->ctx = ctx;
    cat->lg = lg;
    cat->flags = flags;
    cat->dom = *dom;
    cat->dom.name = xluss__strdup(dom->name ? dom->name : dom->uuid);
    cat->dir.fd = cat->snaps.fd = cat->lock_fd = -1;

    rc = open_dirs(cat, root ? root : XLU_SNAPSHOT_ROOT);
    if (!rc && (flags & XLU_SNAPSHOT_WRITE))
        rc = prepare_writing(cat);
    if (!rc)
        rc = xluss__load(cat);
    if (rc) {
        xlu_snapshot_close(cat);
        return rc;
    }
    *out = cat;
    return 0;
}

void xlu_snapshot_close(xlu_snapshot_catalogue *cat)
{
    if (!cat)
        return;
    xluss__unload(cat);
    xluss__unlock(cat);
    xluss__dir_close(&cat->snaps);
    xluss__dir_close(&cat->dir);
    xlu_snapshot_domain_dispose(&cat->dom);
    free(cat);
}

static int get(xlu_snapshot_catalogue *cat, const char *name,
               xluss__entry **out)
{
    xluss__entry *e = name ? xluss__find(cat, name) : NULL;

    if (!e) {
        LOG(cat->lg, ERROR, "domain %s has no snapshot %s", cat->dom.name,
            name ? name : "");
        return LIBXL_SNAPSHOT_ERROR_SNAPSHOT_NOT_FOUND;
    }
    if (e->damaged) {
        LOG(cat->lg, ERROR, "domain %s, snapshot %s: %s/%s.json is damaged",
            cat->dom.name, name, cat->snaps.path, name);
        return LIBXL_SNAPSHOT_ERROR_DAMAGED;
    }
    *out = e;
    return 0;
}

int xlu_snapshot_get(xlu_snapshot_catalogue *cat, const char *name,
                     const xlu_snapshot **out)
{
    xluss__entry *e;
    int rc = get(cat, name, &e);

    *out = rc ? NULL : &e->s;
    return rc;
}

const xlu_snapshot *xlu_snapshot_current(xlu_snapshot_catalogue *cat)
{
    return cat->current;
}

bool xlu_snapshot_interrupted(xlu_snapshot_catalogue *cat)
{
    return cat->interrupted;
}

int xlu_snapshot_xml(xlu_snapshot_catalogue *cat, const char *name,
                     char **xml_out)
{
    xluss__entry *e;
    char *file;
    size_t len;
    int rc;

    *xml_out = NULL;
    rc = get(cat, name, &e);
    if (rc)
        return rc;
    if (e->xml_bad) {
        LOG(cat->lg, ERROR, "domain %s, snapshot %s: %s/%s.xml is damaged",
            cat->dom.name, name, cat->snaps.path, name);
        return LIBXL_SNAPSHOT_ERROR_DAMAGED;
    }
    file = xluss__file_name(name, ".xml");
    rc = xluss__file_get(cat->lg, &cat->snaps, file, XLUSS__DOCUMENT_MAX,
                         xml_out, &len);
    free(file);
    return rc == ERROR_NOTFOUND ? LIBXL_SNAPSHOT_ERROR_DAMAGED : rc;
}

static int put_named(xlu_snapshot_catalogue *cat, const char *name,
                     const char *suffix, const char *text, bool lazy)
{
    char *file = xluss__file_name(name, suffix);
    int rc = xluss__file_put(cat->lg, &cat->snaps, file, text, strlen(text),
                             lazy);

    free(file);
    return rc;
}

int xluss__store_json(xlu_snapshot_catalogue *cat, xlu_snapshot *s)
{
    bool current = s->current;
    char *text;
    int rc;

    s->current = false;         /* UUID/current alone says that */
    text = xlu_snapshot_to_json(cat->ctx, s);
    s->current = current;
    if (!text) {
        LOG(cat->lg, ERROR, "domain %s, snapshot %s: no JSON could be made",
            cat->dom.name, s->name);
        return ERROR_FAIL;
    }
    rc = put_named(cat, s->name, ".json", text, false);
    free(text);
    return rc;
}

int xluss__store_xml(xlu_snapshot_catalogue *cat, const xlu_snapshot *s,
                     bool lazy)
{
    char *text;
    int rc = xluss__xml_write(cat->lg, s, &text);

    if (rc)
        return rc;
    rc = put_named(cat, s->name, ".xml", text, lazy);
    free(text);
    return rc;
}

int xluss__store_config(xlu_snapshot_catalogue *cat, const char *name,
                        const char *json)
{
    return put_named(cat, name, ".config", json, true);
}

int xluss__store_current(xlu_snapshot_catalogue *cat, const char *name)
{
    char *text;
    int rc;

    if (!name) {
        rc = xluss__file_drop(cat->lg, &cat->dir, "current");
        return rc ? rc : xluss__dir_sync(cat->lg, &cat->dir);
    }
    text = xluss__asprintf("%s\n", name);
    rc = xluss__file_put(cat->lg, &cat->dir, "current", text, strlen(text),
                         false);
    free(text);
    return rc;
}

int xluss__drop_named(xlu_snapshot_catalogue *cat, const char *name,
                      const char *suffix)
{
    char *file = xluss__file_name(name, suffix);
    int rc = xluss__file_drop(cat->lg, &cat->snaps, file);

    free(file);
    return rc;
}

int xluss__drop_files(xlu_snapshot_catalogue *cat, const char *name,
                      const char *memory_path)
{
    int rc;

    /* Without its JSON a snapshot isn't there any more. */
    rc = xluss__drop_named(cat, name, ".json");
    if (rc) goto out;
    rc = xluss__dir_sync(cat->lg, &cat->snaps);
    if (rc) goto out;
    if (memory_path) {
        rc = xluss__image_drop_path(cat, name, memory_path);
        if (rc) goto out;
    }
    rc = xluss__drop_named(cat, name, ".config");
    if (rc) goto out;
    rc = xluss__drop_named(cat, name, ".xml");
    if (rc) goto out;
    rc = xluss__dir_sync(cat->lg, &cat->snaps);
out:
    return rc;
}

/* Only what is made again from the JSON beside it; failing is no harm. */
static void mend_xml(xlu_snapshot_catalogue *cat)
{
    int i;

    for (i = 0; i < cat->num_entries; i++) {
        xluss__entry *e = &cat->entries[i];

        if (e->damaged || !e->xml_bad ||
            xluss__store_xml(cat, &e->s, false))
            continue;
        e->xml_bad = false;
        LOG(cat->lg, NOTICE, "%s/%s.xml was written again from %s.json",
            cat->snaps.path, e->s.name, e->s.name);
    }
}

int xluss__begin(xlu_snapshot_catalogue *cat, const libxl_snapshot_how *how)
{
    char *what = NULL;
    int rc;

    if (cat->lock_fd < 0) {
        LOG(cat->lg, ERROR, "domain %s: its snapshots are open for reading "
            "only", cat->dom.name);
        return ERROR_INVAL;
    }
    /* Somebody else may have reverted it while the lock was waited for. */
    rc = xluss__domain_by_uuid(cat->ctx, cat->dom.uuid, &cat->dom.domid,
                               NULL);
    if (rc && rc != ERROR_DOMAIN_NOTFOUND) {
        LOG(cat->lg, ERROR, "domain %s: Xen doesn't say which domains run",
            cat->dom.name);
        return rc;
    }
    rc = xlu_snapshot_recover(cat, how, &what);
    if (rc)
        return rc;
    if (what)
        LOG(cat->lg, NOTICE, "%s", what);
    free(what);
    /* Whoever starts it next finds its disks where they belong. */
    if (cat->dom.domid == XLUSS__NO_DOMID && xluss__moved_put_right(cat))
        LOG(cat->lg, WARN, "domain %s: not all of its disks have their own "
            "names yet", cat->dom.name);
    mend_xml(cat);
    return 0;
}
