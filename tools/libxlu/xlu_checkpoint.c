/* SPDX-License-Identifier: LGPL-2.1-only */
/* Checkpoints and their entries, in an order that survives a crash. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "xluss_checkpoint.h"

/* One that was being made or deleted when somebody died; the domain runs. */
static int settle_one(xlu_snapshot_catalogue *cat, struct xluss__checkpoints *v,
                      xlu_checkpoint *c)
{
    libxl_snapshot_how how = xluss__plain_how(cat);
    bool there = xluss__checkpoint_on(&v->found, c->name, c->sequence, NULL);
    libxl_domain_checkpoint_args args;
    int rc = 0;

    if (c->phase == XLU_CHECKPOINT_PHASE_CREATING && there) {
        xluss__checkpoint_fill(c, &v->found);
        c->phase = XLU_CHECKPOINT_PHASE_SETTLED;
        return xluss__checkpoint_store(cat, c);
    }
    if (there) {
        libxl_domain_checkpoint_args_init(&args);
        args.name = xluss__strdup(c->name);
        args.sequence = c->sequence;
        rc = libxl_domain_checkpoint_delete(cat->ctx, cat->dom.domid, &args,
                                            &how, NULL);
        libxl_domain_checkpoint_args_dispose(&args);
    }
    return rc ? rc : xluss__checkpoint_drop(cat, c->name);
}

/* Nothing is under way from then on; the domain runs. */
static int settle(xlu_snapshot_catalogue *cat, struct xluss__checkpoints *v)
{
    bool any = false;
    int i, rc = 0;

    for (i = 0; !rc && i < v->list.num_checkpoints; i++) {
        xlu_checkpoint *c = &v->list.checkpoints[i];

        if (c->phase == XLU_CHECKPOINT_PHASE_SETTLED)
            continue;
        any = true;
        LOG(cat->lg, NOTICE, "domain %s, checkpoint %s: its %s was "
            "interrupted, and is finished or undone", cat->dom.name, c->name,
            c->phase == XLU_CHECKPOINT_PHASE_CREATING ? "creation"
                                                      : "deletion");
        rc = settle_one(cat, v, c);
    }
    if (rc || !any)
        return rc;
    xluss__checkpoints_dispose(v);
    xluss__checkpoints_init(v);
    return xluss__checkpoints_load(cat, v);
}

/* For who changes something: lock, the domain, nothing under way. */
static int begin(xlu_snapshot_catalogue *cat, const libxl_snapshot_how *how,
                 struct xluss__checkpoints *v)
{
    int rc = xluss__begin(cat, how);

    if (!rc)
        rc = xluss__checkpoints_load(cat, v);
    if (!rc && !xluss__runs(cat)) {
        LOG(cat->lg, ERROR, "domain %s is not running, so it has no "
            "checkpoints to work on", cat->dom.name);
        rc = LIBXL_SNAPSHOT_ERROR_NO_QEMU;
    }
    return rc ? rc : settle(cat, v);
}

int xlu_checkpoint_list_all(xlu_snapshot_catalogue *cat,
                            xlu_checkpoint_list *out)
{
    struct xluss__checkpoints v;
    int i, rc;

    xluss__checkpoints_init(&v);
    rc = xluss__checkpoints_load(cat, &v);
    if (rc == LIBXL_SNAPSHOT_ERROR_BUSY) {
        LOG(cat->lg, WARN, "domain %s: the state of its checkpoints can't be "
            "told meanwhile", cat->dom.name);
        rc = 0;
    }
    for (i = v.list.num_checkpoints - 1; i >= 0; i--)
        if (v.list.checkpoints[i].phase != XLU_CHECKPOINT_PHASE_SETTLED)
            xluss__checkpoint_remove(&v.list, &v.list.checkpoints[i]);
    if (!rc) {
        xlu_checkpoint_list_dispose(out);
        *out = v.list;
        xlu_checkpoint_list_init(&v.list);
    }
    xluss__checkpoints_dispose(&v);
    return rc;
}

int xlu_checkpoint_get(xlu_snapshot_catalogue *cat, const char *name,
                       xlu_checkpoint *out)
{
    xlu_checkpoint_list list;
    xlu_checkpoint *c;
    int rc;

    xlu_checkpoint_list_init(&list);
    rc = xlu_checkpoint_list_all(cat, &list);
    c = xluss__checkpoint_find(&list, name);
    if (!rc && !c)
        rc = xluss__checkpoint_not_found(cat, name);
    if (!rc)
        xlu_checkpoint_copy(cat->ctx, out, c);
    xlu_checkpoint_list_dispose(&list);
    return rc;
}

int xlu_checkpoint_xml(xlu_snapshot_catalogue *cat, const char *name,
                       char **xml_out)
{
    xlu_checkpoint c;
    int rc;

    *xml_out = NULL;
    xlu_checkpoint_init(&c);
    rc = xlu_checkpoint_get(cat, name, &c);
    if (!rc)
        *xml_out = xluss__checkpoint_xml_write(&c);
    xlu_checkpoint_dispose(&c);
    return rc || *xml_out ? rc : ERROR_FAIL;
}

/* --- create --- */

static char *name_from_time(const struct xluss__checkpoints *v,
                            uint64_t seconds)
{
    time_t t = seconds;
    char text[32], *name;
    struct tm tm;
    int i;

    gmtime_r(&t, &tm);
    strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &tm);
    name = xluss__strdup(text);
    for (i = 2; xluss__checkpoint_find((xlu_checkpoint_list *)&v->list,
                                       name); i++) {
        free(name);
        name = xluss__asprintf("%s-%d", text, i);
    }
    return name;
}

static int check_name(xlu_snapshot_catalogue *cat, const char *name)
{
    const char *wrong = xlu_checkpoint_name_problem(name);

    if (!wrong)
        return 0;
    LOG(cat->lg, ERROR, "domain %s: the checkpoint's name %s", cat->dom.name,
        wrong);
    return ERROR_INVAL;
}

static int taken(xlu_snapshot_catalogue *cat, const char *name)
{
    LOG(cat->lg, ERROR, "domain %s has a checkpoint %s already",
        cat->dom.name, name);
    return LIBXL_SNAPSHOT_ERROR_EXISTS;
}

static int check(xlu_snapshot_catalogue *cat, struct xluss__checkpoints *v,
                 const xlu_checkpoint *c)
{
    const char *wrong = c->description ? xluss__text_problem(c->description)
                                       : NULL;
    int rc = check_name(cat, c->name);

    if (rc)
        return rc;
    if (wrong) {
        LOG(cat->lg, ERROR, "domain %s, checkpoint %s: its description %s",
            cat->dom.name, c->name, wrong);
        return ERROR_INVAL;
    }
    return xluss__checkpoint_find(&v->list, c->name) ? taken(cat, c->name)
                                                     : 0;
}

static void set_disks(const char *const *vdevs, char ***disks, int *num)
{
    int i;

    for (i = 0; vdevs && vdevs[i]; i++)
        ;
    *disks = i ? xluss__calloc(i, sizeof(**disks)) : NULL;
    *num = i;
    for (i = 0; i < *num; i++)
        (*disks)[i] = xluss__strdup(vdevs[i]);
}

/* So that numbers grow, even where all bitmaps have vanished. */
static uint64_t highest(const xlu_checkpoint_list *list)
{
    uint64_t seq = 0;
    int i;

    for (i = 0; i < list->num_checkpoints; i++)
        if (list->checkpoints[i].sequence > seq)
            seq = list->checkpoints[i].sequence;
    return seq;
}

int xluss__checkpoint_free(xlu_snapshot_catalogue *cat, const char *name,
                           uint64_t *highest_out)
{
    struct xluss__checkpoints v;
    int rc;

    xluss__checkpoints_init(&v);
    rc = check_name(cat, name);
    if (!rc)
        rc = xluss__checkpoints_load(cat, &v);
    if (!rc && xluss__runs(cat))
        rc = settle(cat, &v);
    if (!rc && (xluss__checkpoint_find(&v.list, name) ||
                xluss__checkpoint_on(&v.found, name, 0, NULL)))
        rc = taken(cat, name);
    if (highest_out)
        *highest_out = highest(&v.list);
    xluss__checkpoints_dispose(&v);
    return rc;
}

static int take(xlu_snapshot_catalogue *cat, struct xluss__checkpoints *v,
                const xlu_checkpoint_create_args *in,
                const libxl_snapshot_how *how, xlu_checkpoint *c)
{
    libxl_snapshot_how plain = xluss__plain_how(cat);
    libxl_domain_checkpoint_args args;
    int rc;

    libxl_domain_checkpoint_args_init(&args);
    args.name = xluss__strdup(c->name);
    args.sequence = highest(&v->list);
    set_disks(in->vdevs, &args.disks, &args.num_disks);
    if (in->quiesce)
        libxl_defbool_set(&args.quiesce, true);
    if (in->allow_unquiesced)
        libxl_defbool_set(&args.allow_unquiesced, true);
    rc = libxl_domain_checkpoint_create(cat->ctx, cat->dom.domid, &args,
                                        how ? how : &plain, NULL);
    c->sequence = args.sequence;
    c->quiesced = !libxl_defbool_is_default(args.quiesced) &&
                  libxl_defbool_val(args.quiesced);
    libxl_domain_checkpoint_args_dispose(&args);
    return rc;
}

static int create(xlu_snapshot_catalogue *cat, struct xluss__checkpoints *v,
                  const xlu_checkpoint_create_args *in,
                  const libxl_snapshot_how *how, xlu_checkpoint *c)
{
    bool before;
    int rc;

    c->creation_time = time(NULL);
    c->name = in->name && *in->name ? xluss__strdup(in->name)
                                    : name_from_time(v, c->creation_time);
    if (in->description && *in->description)
        c->description = xluss__strdup(in->description);
    rc = check(cat, v, c);
    if (rc)
        return rc;
    c->domain_name = xluss__strdup(cat->dom.name);
    c->domain_uuid = xluss__strdup(cat->dom.uuid);
    if (v->list.num_checkpoints)
        c->parent = xluss__strdup(
            v->list.checkpoints[v->list.num_checkpoints - 1].name);
    /* One that only the disks know: not ours to take away. */
    before = xluss__checkpoint_on(&v->found, c->name, 0, NULL);
    c->phase = XLU_CHECKPOINT_PHASE_CREATING;
    rc = xluss__checkpoint_store(cat, c);
    if (!rc)
        rc = take(cat, v, in, how, c);
    if (rc && before) {
        xluss__checkpoint_drop(cat, c->name);
        return rc;
    }
    /* Whether it failed or not: what the disks say, counts. */
    xluss__checkpoints_dispose(v);
    xluss__checkpoints_init(v);
    if (xluss__checkpoints_load(cat, v))
        return rc ? rc : LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
    if (!rc)
        return settle_one(cat, v, c);
    c->sequence = 0;
    c->phase = XLU_CHECKPOINT_PHASE_DELETING;
    return settle_one(cat, v, c) ? LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR : rc;
}

int xlu_checkpoint_create(xlu_snapshot_catalogue *cat,
                          const xlu_checkpoint_create_args *args,
                          const libxl_snapshot_how *how,
                          xlu_checkpoint *out)
{
    xlu_checkpoint c;
    struct xluss__checkpoints v;
    int rc;

    xluss__checkpoints_init(&v);
    xlu_checkpoint_init(&c);
    rc = begin(cat, how, &v);
    if (!rc)
        rc = create(cat, &v, args, how, &c);
    if (!rc && out)
        rc = xlu_checkpoint_get(cat, c.name, out);
    xlu_checkpoint_dispose(&c);
    xluss__checkpoints_dispose(&v);
    return rc;
}

/* --- delete --- */

static int delete(xlu_snapshot_catalogue *cat, xlu_checkpoint *c,
                  const libxl_snapshot_how *how)
{
    libxl_snapshot_how plain = xluss__plain_how(cat);
    libxl_domain_checkpoint_args args;
    int i, rc, rc2;

    c->phase = XLU_CHECKPOINT_PHASE_DELETING;
    rc = xluss__checkpoint_store(cat, c);
    if (rc)
        return rc;
    libxl_domain_checkpoint_args_init(&args);
    args.name = xluss__strdup(c->name);
    args.sequence = c->sequence;
    args.disks = xluss__calloc(c->num_disks + 1, sizeof(*args.disks));
    for (i = 0; i < c->num_disks; i++)
        args.disks[args.num_disks++] = xluss__strdup(c->disks[i].vdev);
    rc = libxl_domain_checkpoint_delete(cat->ctx, cat->dom.domid, &args,
                                        how ? how : &plain, NULL);
    libxl_domain_checkpoint_args_dispose(&args);
    if (!rc)
        return xluss__checkpoint_drop(cat, c->name);
    c->phase = XLU_CHECKPOINT_PHASE_SETTLED;
    rc2 = xluss__checkpoint_store(cat, c);
    return rc2 ? LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR : rc;
}

int xlu_checkpoint_delete(xlu_snapshot_catalogue *cat, const char *name,
                          const libxl_snapshot_how *how)
{
    xlu_checkpoint *c;
    struct xluss__checkpoints v;
    int rc;

    xluss__checkpoints_init(&v);
    rc = begin(cat, how, &v);
    c = xluss__checkpoint_find(&v.list, name);
    if (!rc)
        rc = c ? delete(cat, c, how) : xluss__checkpoint_not_found(cat, name);
    xluss__checkpoints_dispose(&v);
    return rc;
}

/* --- from elsewhere --- */

int xlu_checkpoint_redefine(xlu_snapshot_catalogue *cat, const char *from,
                            const char *xml, size_t len, xlu_checkpoint *out)
{
    xlu_checkpoint c, *old;
    struct xluss__checkpoints v;
    int rc;

    xluss__checkpoints_init(&v);
    xlu_checkpoint_init(&c);
    rc = xluss__begin(cat, NULL);
    if (!rc)
        rc = xluss__checkpoint_xml_read(cat->lg, from, xml, len, &c);
    if (!rc)
        rc = xluss__checkpoints_load(cat, &v);
    old = xluss__checkpoint_find(&v.list, c.name);
    if (!rc) {
        c.domain_name = xluss__strdup(cat->dom.name);
        c.domain_uuid = xluss__strdup(cat->dom.uuid);
        if (old) {
            c.sequence = old->sequence;
            xluss__replace(&c.folder, old->folder);
        }
        xluss__checkpoint_fill(&c, &v.found);
        rc = xluss__checkpoint_store(cat, &c);
    }
    if (!rc && out)
        rc = xlu_checkpoint_get(cat, c.name, out);
    xlu_checkpoint_dispose(&c);
    xluss__checkpoints_dispose(&v);
    return rc;
}

int xlu_checkpoint_rebuild(xlu_snapshot_catalogue *cat, int *num_out)
{
    struct xluss__checkpoints v;
    int i, rc;

    *num_out = 0;
    xluss__checkpoints_init(&v);
    rc = begin(cat, NULL, &v);
    for (i = v.found.num_checkpoints - 1; !rc && i >= 0; i--) {
        xlu_checkpoint c;

        if (xluss__checkpoint_find(&v.list, v.found.checkpoints[i].name))
            continue;
        xlu_checkpoint_init(&c);
        c.name = xluss__strdup(v.found.checkpoints[i].name);
        c.domain_name = xluss__strdup(cat->dom.name);
        c.domain_uuid = xluss__strdup(cat->dom.uuid);
        xluss__checkpoint_fill(&c, &v.found);
        rc = xluss__checkpoint_store(cat, &c);
        xlu_checkpoint_dispose(&c);
        if (!rc)
            ++*num_out;
        xlu_checkpoint_list_dispose(&v.list);
        xlu_checkpoint_list_init(&v.list);
        if (!rc)
            rc = xluss__checkpoint_load(cat, &v.list);
    }
    xluss__checkpoints_dispose(&v);
    return rc;
}
