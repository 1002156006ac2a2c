/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libvirt's XML into the catalogue, as `virsh snapshot-create --redefine`
 * does it. Only files of the catalogue are written: a snapshot that isn't
 * there is made known, of one that is there the description, the parent, the
 * time and what libvirt keeps beside them may change, never where its data
 * is.
 *
 * The order: NAME.xml goes, NAME.config is written if it is new, NAME.json
 * (from here on it is so), NAME.xml. One that is missing after a crash is
 * made again by the next command.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include "xluss_xml.h"

typedef struct {
    xlu_snapshot_catalogue *cat;
    const char *from;           /* the document, for sentences */
    const libxl_snapshot_how *how;
    xmlDoc *doc;
    xlu_snapshot s;
    const xluss__entry *old;    /* NULL: a new one */
    libxl_domain_config config;
    char *config_json;          /* to be kept with it; NULL: none */
    int fd;                     /* its memory; -1: none, or not there */
    xluss__zstd *z;             /* behind fd; NULL: none */
    bool incomplete;
} redefinition;

static const xmlNode *root_of(const redefinition *r)
{
    return xmlDocGetRootElement(r->doc);
}

static int refuse(const redefinition *r, int rc, const char *what)
{
    LOG(r->cat->lg, ERROR, "domain %s, snapshot %s: %s", r->cat->dom.name,
        r->s.name, what);
    return rc;
}

/* --- is it of this domain, and has it a place in the tree? --- */

/* With or without dashes. */
static bool same_uuid(const char *a, const char *b)
{
    for (;; a++, b++) {
        a += *a == '-';
        b += *b == '-';
        if (strncasecmp(a, b, 1))
            return false;
        if (!*a)
            return true;
    }
}

static int check_domain(const redefinition *r, const char *element)
{
    char *uuid = xluss__xml_text(xluss__xml_child(root_of(r), element),
                                 "uuid");
    bool good = !uuid || same_uuid(uuid, r->cat->dom.uuid);

    if (!good)
        LOG(r->cat->lg, ERROR, "domain %s, snapshot %s: the <uuid> in <%s> "
            "is %s, and the domain's is %s", r->cat->dom.name, r->s.name,
            element, uuid, r->cat->dom.uuid);
    free(uuid);
    return good ? 0 : LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE;
}

static int check_parent(const redefinition *r)
{
    xlu_snapshot_catalogue *cat = r->cat;
    const char *parent = r->s.parent;
    const xluss__entry *e = NULL;
    int steps;

    if (!parent)
        return 0;
    if (strcmp(parent, r->s.name))
        e = xluss__find(cat, parent);
    if (strcmp(parent, r->s.name) && (!e || e->damaged || e->s.hidden)) {
        LOG(cat->lg, ERROR, "domain %s, snapshot %s: its parent %s is not "
            "there", cat->dom.name, r->s.name, parent);
        return LIBXL_SNAPSHOT_ERROR_SNAPSHOT_NOT_FOUND;
    }
    for (steps = 0; e && e != r->old && steps <= cat->num_entries; steps++)
        e = e->s.parent ? xluss__find(cat, e->s.parent) : NULL;
    if (!e && strcmp(parent, r->s.name))
        return 0;
    LOG(cat->lg, ERROR, "domain %s, snapshot %s: with the parent %s it would "
        "be among its own ancestors", cat->dom.name, r->s.name, parent);
    return LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE;
}

/* --- one that is there already --- */

static bool was_on(const xlu_snapshot *s)
{
    return s->state == XLU_SNAPSHOT_STATE_RUNNING ||
           s->state == XLU_SNAPSHOT_STATE_PAUSED;
}

static bool is_disks_only(const xlu_snapshot *s)
{
    return s->state == XLU_SNAPSHOT_STATE_DISK_SNAPSHOT;
}

/* The element as it is in the document and as it would be written now. */
static int check_unchanged(const redefinition *r, const xmlNode *now,
                           const char *element)
{
    const xmlNode *a = xluss__xml_child(root_of(r), element);
    const xmlNode *b = xluss__xml_child(now, element);
    char *what;

    if (!a || (b && xluss__xml_same(a, b)))
        return 0;
    what = xluss__asprintf("its <%s> can't be changed by a redefinition",
                           element);
    refuse(r, 0, what);
    free(what);
    return LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE;
}

static int check_old(const redefinition *r)
{
    const xlu_snapshot *old = &r->old->s;
    char *text = NULL;
    xmlDoc *now = NULL;
    int rc;

    if (xluss__xml_child(root_of(r), "state")) {
        if (was_on(old) != was_on(&r->s))
            return refuse(r, LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE, "its <state> "
                          "can't change between running and not running");
        if (is_disks_only(old) != is_disks_only(&r->s))
            return refuse(r, LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE, "its <state> "
                          "can't change between disk-snapshot and another");
    }
    rc = xluss__xml_write(r->cat->lg, old, &text);
    if (!rc)
        rc = xluss__xml_parse(r->cat->lg, "what is there", text,
                              strlen(text), &now);
    if (!rc)
        rc = check_unchanged(r, xmlDocGetRootElement(now), "memory");
    if (!rc)
        rc = check_unchanged(r, xmlDocGetRootElement(now), "disks");
    xmlFreeDoc(now);
    free(text);
    return rc;
}

/* What it has stays; what the document doesn't say, too. */
static int take_over(redefinition *r)
{
    xlu_snapshot s;
    int rc = check_old(r);

    if (rc)
        return rc;
    xlu_snapshot_init(&s);
    xlu_snapshot_copy(r->cat->ctx, &s, &r->old->s);
    s.current = r->old->s.current;
    xluss__replace(&s.description, r->s.description);
    xluss__replace(&s.parent, r->s.parent);
    if (xluss__xml_child(root_of(r), "creationTime"))
        s.creation_time = r->s.creation_time;
    if (xluss__xml_child(root_of(r), "state")) {
        s.state = r->s.state;
        libxl_defbool_set(&s.args.paused,
                          s.state == XLU_SNAPSHOT_STATE_PAUSED);
    }
    if (s.document || xluss__xml_has_more(root_of(r)))
        xluss__replace(&s.document, r->s.document);
    xlu_snapshot_dispose(&r->s);
    r->s = s;
    return 0;
}

/* --- a new one: what is there of what it names? --- */

static void lacks(redefinition *r, const char *what)
{
    r->incomplete = true;
    LOG(r->cat->lg, WARN, "domain %s, snapshot %s: %s", r->cat->dom.name,
        r->s.name, what);
}

/* Size and hash are those of the file, whatever it is read through. */
static int measure(redefinition *r)
{
    int fd, rc;

    if (r->s.memory.xxh64)
        return 0;
    fd = open(r->s.memory.path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return LIBXL_SNAPSHOT_ERROR_DAMAGED;
    rc = xluss__image_measure(r->cat->lg, fd, &r->s.memory);
    close(fd);
    return rc;
}

static void open_image(redefinition *r)
{
    xlu_snapshot_memory *m = &r->s.memory;

    if (!m->path)
        return;
    m->format = xluss__image_format(m->path);
    if (xluss__image_open(r->cat->lg, &r->s, &r->fd, &r->z,
                          &r->config_json) || measure(r))
        lacks(r, "its memory image can't be used, so it can't be reverted "
                 "to now");
}

/* The configuration of that time, if it can be had; else that of now. */
static int find_config(redefinition *r)
{
    xlu_snapshot_catalogue *cat = r->cat;
    char *file = xluss__file_name(r->s.name, ".config"), *stored = NULL;
    size_t len;
    int rc = 0;

    if (r->config_json) {
        rc = xluss__domain_config_parse(cat, r->config_json,
                                        r->s.memory.path, &r->config);
    } else if (!xluss__file_get(cat->lg, &cat->snaps, file,
                                XLUSS__CONFIG_MAX, &stored, &len)) {
        rc = xluss__domain_config_parse(cat, stored, file, &r->config);
    } else if (cat->dom.domid != XLUSS__NO_DOMID) {
        rc = xluss__domain_config_json(cat, cat->dom.domid, &r->config,
                                       &r->config_json);
    } else {
        xluss__xml_domain_disks(r->doc, &r->config);
    }
    if (!rc && !r->s.memory.path && !r->s.no_revert && !stored &&
        !r->config_json)
        lacks(r, "the domain's configuration is not known, so it can't be "
                 "reverted to");
    /* That of now says nothing about an image that can't be read. */
    if (xluss__file_exists(&cat->snaps, file) ||
        (r->s.memory.path && r->fd < 0)) {
        free(r->config_json);
        r->config_json = NULL;
    }
    free(stored);
    free(file);
    return rc;
}

static bool has_disks(const xlu_snapshot *s)
{
    int i;

    for (i = 0; i < s->args.num_disks; i++)
        if (s->args.disks[i].kind != LIBXL_DISK_SNAPSHOT_KIND_NONE)
            return true;
    return false;
}

/* Asks the lower library, which touches nothing. */
static int verify(redefinition *r)
{
    libxl_snapshot_how how = xluss__plain_how(r->cat);
    int rc;

    if (r->fd < 0 && !has_disks(&r->s))
        return 0;
    if (r->how)
        how = *r->how;
    if (!how.lg)
        how.lg = r->cat->lg;
    rc = libxl_domain_snapshot_verify(r->cat->ctx, r->cat->dom.domid,
                                      &r->s.args, r->fd, &how, NULL);
    if (rc == ERROR_ABORTED || rc == LIBXL_SNAPSHOT_ERROR_BUSY)
        return rc;
    if (rc)
        lacks(r, "not all that it names is there, so it can't be reverted "
                 "to now");
    return 0;
}

static int make_known(redefinition *r)
{
    xlu_snapshot_catalogue *cat = r->cat;
    int rc;

    r->s.domain_name = xluss__strdup(cat->dom.name);
    r->s.domain_uuid = xluss__strdup(cat->dom.uuid);
    open_image(r);
    rc = find_config(r);
    if (rc)
        return rc;
    xluss__xml_args(cat->ctx, r->doc, &r->config, &r->s);
    if (r->s.no_revert)
        lacks(r, r->s.no_revert);
    return verify(r);
}

/* What was lacking when it was made known may be there by now. */
static int look_again(redefinition *r)
{
    if (r->s.no_revert)
        lacks(r, r->s.no_revert);
    open_image(r);
    free(r->config_json);
    r->config_json = NULL;
    return verify(r);
}

/* As it was. What can't be put back is made again by the next command, or
 * is a file that nothing refers to. */
static void undo(redefinition *r)
{
    xlu_snapshot_catalogue *cat = r->cat;
    xlu_snapshot old;

    if (r->old) {
        xlu_snapshot_init(&old);
        xlu_snapshot_copy(cat->ctx, &old, &r->old->s);
        if (!xluss__store_json(cat, &old))
            xluss__store_xml(cat, &old, false);
        xlu_snapshot_dispose(&old);
        return;
    }
    xluss__drop_named(cat, r->s.name, ".json");
    xluss__dir_sync(cat->lg, &cat->snaps);
    xluss__drop_named(cat, r->s.name, ".xml");
    if (r->config_json)
        xluss__drop_named(cat, r->s.name, ".config");
}

static int put(redefinition *r)
{
    xlu_snapshot_catalogue *cat = r->cat;
    int rc = xluss__drop_named(cat, r->s.name, ".xml");

    if (!rc)
        rc = xluss__dir_sync(cat->lg, &cat->snaps);
    if (!rc && r->config_json)
        rc = xluss__store_config(cat, r->s.name, r->config_json);
    if (!rc)
        rc = xluss__store_json(cat, &r->s);
    if (!rc)
        rc = xluss__store_xml(cat, &r->s, false);
    return rc;
}

static int store(redefinition *r)
{
    char *text = NULL;
    int rc = xluss__xml_write(r->cat->lg, &r->s, &text);

    if (!rc && strlen(text) > XLUSS__DOCUMENT_MAX)
        rc = refuse(r, ERROR_INVAL, "its document is too large");
    free(text);
    if (rc)
        return rc;
    rc = put(r);
    if (rc)
        undo(r);
    return rc;
}

static int redefine(redefinition *r, const char *text, size_t len,
                    bool current)
{
    xlu_snapshot_catalogue *cat = r->cat;
    int rc;

    rc = xluss__xml_accept(cat->lg, r->from, text, len, &r->doc);
    if (!rc)
        rc = xluss__xml_fields(cat->lg, r->from, r->doc, &r->s);
    if (!rc)
        rc = check_domain(r, "domain");
    if (!rc)
        rc = check_domain(r, "inactiveDomain");
    if (rc)
        return rc;
    r->old = xluss__find(cat, r->s.name);
    rc = check_parent(r);
    /* A damaged one is put right. */
    if (r->old && r->old->damaged)
        r->old = NULL;
    if (!rc)
        rc = r->old ? take_over(r) : make_known(r);
    /* The first document that makes one known is kept with it. */
    if (!rc && r->old && r->old->s.document)
        rc = look_again(r);
    if (!rc)
        rc = store(r);
    if (!rc && current) {
        rc = xluss__store_current(cat, r->s.name);
        if (rc)
            undo(r);
    }
    return rc;
}

int xlu_snapshot_redefine(xlu_snapshot_catalogue *cat, const char *from,
                          const char *xml, size_t len,
                          const xlu_snapshot_redefine_args *args,
                          const libxl_snapshot_how *how,
                          const xlu_snapshot **out, bool *incomplete)
{
    redefinition r = { .cat = cat, .from = from, .how = how, .fd = -1 };
    int rc;

    if (out)
        *out = NULL;
    rc = xluss__begin(cat, how);
    if (rc)
        return rc;
    xlu_snapshot_init(&r.s);
    libxl_domain_config_init(&r.config);
    rc = redefine(&r, xml, len, args && args->current);
    if (incomplete)
        *incomplete = r.incomplete;
    if (!rc)
        rc = xluss__load(cat);
    if (!rc && out)
        rc = xlu_snapshot_get(cat, r.s.name, out);
    if (r.fd >= 0)
        close(r.fd);
    if (r.z)
        xluss__zstd_end(r.z, true);
    xmlFreeDoc(r.doc);
    xlu_snapshot_dispose(&r.s);
    libxl_domain_config_dispose(&r.config);
    free(r.config_json);
    return rc;
}
