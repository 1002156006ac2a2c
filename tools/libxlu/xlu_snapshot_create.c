/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Making a snapshot, in an order that survives a crash anywhere:
 *
 *   journal; memory image under its temporary name; the lower library takes
 *   the snapshot, and the guest runs on; image hashed and fsynced; .config,
 *   .xml, .mem; folder fsynced; .json, and from here on it exists; the entry
 *   of a checkpoint that began with it; current; end of the journal.
 *
 * Until the .json is there, everything is undone; afterwards it is finished.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "xluss_checkpoint.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "0"
#endif

typedef struct {
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot_create_args *in;
    xluss__op op;
    xlu_snapshot s;             /* s.args are the lower library's */
    xluss__image image;
    libxl_domain_config config;
    char *config_json;
    libxl_dominfo info;
} creation;

static void creation_init(creation *c, xlu_snapshot_catalogue *cat,
                          const xlu_snapshot_create_args *in,
                          const libxl_snapshot_how *how)
{
    memset(c, 0, sizeof(*c));
    c->cat = cat;
    c->in = in;
    xlu_snapshot_init(&c->s);
    xluss__image_init(&c->image);
    libxl_domain_config_init(&c->config);
    libxl_dominfo_init(&c->info);
    c->image.format = in->compress ? XLU_SNAPSHOT_MEMORY_FORMAT_ZSTD
                                   : XLU_SNAPSHOT_MEMORY_FORMAT_RAW;
    c->s.creation_time = time(NULL);
    c->s.name = in->name && *in->name
                ? xluss__strdup(in->name)
                : xluss__name_from_time(cat, c->s.creation_time);
    xluss__op_init(&c->op, cat, XLU_SNAPSHOT_OPERATION_CREATE, c->s.name,
                   how);
}

static void creation_dispose(creation *c)
{
    xluss__op_dispose(&c->op);
    xlu_snapshot_dispose(&c->s);
    xluss__image_dispose(&c->image);
    libxl_domain_config_dispose(&c->config);
    libxl_dominfo_dispose(&c->info);
    free(c->config_json);
}

static int check(creation *c)
{
    const char *wrong = xlu_snapshot_name_problem(c->s.name);
    const char *text = c->in->description;

    if (wrong) {
        LOG(c->cat->lg, ERROR, "domain %s: the snapshot's name %s",
            c->cat->dom.name, wrong);
        return ERROR_INVAL;
    }
    wrong = text ? xluss__text_problem(text) : NULL;
    if (wrong) {
        LOG(c->cat->lg, ERROR, "domain %s, snapshot %s: its description %s",
            c->cat->dom.name, c->s.name, wrong);
        return ERROR_INVAL;
    }
    if (xluss__name_taken(c->cat, c->s.name)) {
        LOG(c->cat->lg, ERROR, "domain %s has a snapshot %s already",
            c->cat->dom.name, c->s.name);
        return LIBXL_SNAPSHOT_ERROR_EXISTS;
    }
    return 0;
}

/* The domain, its configuration, and room for its memory. */
static int look(creation *c)
{
    xlu_snapshot_catalogue *cat = c->cat;
    int rc;

    if (!xluss__domain_is(cat->ctx, cat->dom.domid, cat->dom.uuid,
                          &c->info)) {
        LOG(cat->lg, ERROR, "domain %s, snapshot %s: the domain is not "
            "running", cat->dom.name, c->s.name);
        return ERROR_DOMAIN_NOTFOUND;
    }
    rc = xluss__domain_config_json(cat, cat->dom.domid, &c->config,
                                   &c->config_json);
    if (rc || c->in->disk_only)
        return rc;
    rc = xluss__image_place(cat, c->in->memory_folder, c->s.name, &c->image);
    if (rc)
        return rc;
    return xluss__image_room(&c->image, c->info.current_memkb * 1024);
}

static void describe(creation *c)
{
    xlu_snapshot_catalogue *cat = c->cat;
    const libxl_version_info *v = libxl_get_version_info(cat->ctx);
    xlu_snapshot *s = &c->s;

    if (c->in->description && *c->in->description)
        s->description = xluss__strdup(c->in->description);
    if (cat->current)
        s->parent = xluss__strdup(cat->current->name);
    s->domain_name = xluss__strdup(cat->dom.name);
    s->domain_uuid = xluss__strdup(cat->dom.uuid);
    s->tool_version = xluss__strdup(PACKAGE_VERSION);
    if (v)
        s->xen_version = xluss__asprintf("%d.%d%s", v->xen_version_major,
                                         v->xen_version_minor,
                                         v->xen_version_extra
                                         ? v->xen_version_extra : "");
    libxl_domain_snapshot_args_dispose(&s->args);
    libxl_domain_snapshot_args_init(&s->args);
    libxl_domain_snapshot_args_copy(cat->ctx, &s->args, &c->in->args);
    if (!s->args.name)
        s->args.name = xluss__strdup(s->name);
}

static int check_checkpoint(creation *c)
{
    libxl_domain_snapshot_args *args = &c->s.args;

    if (!args->checkpoint)
        return 0;
    return xluss__checkpoint_free(c->cat, args->checkpoint,
                                  &args->checkpoint_sequence);
}

/*
 * What is to be undone after a crash: from PREPARE on all disks that may be
 * touched, with their paths, since the domain may be off by then. Before, no
 * disk was touched, and what was asked for may not even be possible.
 */
static int note_args(xluss__op *op, libxl_snapshot_step step)
{
    creation *c = op->owner;
    libxl_domain_snapshot_args *args = &op->j.args;

    libxl_domain_snapshot_args_dispose(args);
    libxl_domain_snapshot_args_init(args);
    if (step == LIBXL_SNAPSHOT_STEP_PREPARE) {
        libxl_domain_snapshot_args_copy(op->cat->ctx, args, &c->s.args);
        xluss__args_complete(op->cat->ctx, args, &c->config);
    } else {
        args->name = xluss__strdup(c->s.args.name);
    }
    libxl_defbool_set(&args->memory, !c->in->disk_only);
    libxl_defbool_set(&args->paused, c->info.paused);
    return 0;
}

/* libxl doesn't notice what goes wrong behind the compressor: better now than
 * with snapshots on the disks. */
static int check_image(xluss__op *op, libxl_snapshot_step step)
{
    creation *c = op->owner;
    int e, rc;

    if (step != LIBXL_SNAPSHOT_STEP_INSTANT)
        return 0;
    e = xluss__image_error(&c->image);
    rc = xluss__rc(e);
    /* That, take() says. */
    if (rc && rc != LIBXL_SNAPSHOT_ERROR_NO_SPACE)
        LOGEV(op->cat->lg, ERROR, e, "compressing memory image %s",
              c->image.path);
    return rc;
}

static int begin_journal(creation *c)
{
    xluss__op *op = &c->op;

    op->owner = c;
    op->prepare = note_args;
    op->check = check_image;
    /* Only while the guest runs: an fsync would lengthen its pause. */
    op->steps = 1u << LIBXL_SNAPSHOT_STEP_PREPARE;
    op->j.domid = c->cat->dom.domid;
    op->j.memory_path = xluss__strdup(c->image.path);
    note_args(op, LIBXL_SNAPSHOT_STEP_LOOK);
    return xluss__journal_begin(op);
}

static int take(creation *c)
{
    int rc = 0;

    if (!c->in->disk_only)
        rc = xluss__image_begin(&c->image, c->config_json);
    if (rc)
        return rc;
    rc = libxl_domain_snapshot_create(c->cat->ctx, c->cat->dom.domid,
                                      &c->s.args, c->image.out, &c->op.how,
                                      NULL);
    if (rc && rc != LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR &&
        xluss__image_full(&c->image)) {
        LOG(c->cat->lg, ERROR, "domain %s, snapshot %s: no space left for "
            "memory image %s", c->cat->dom.name, c->s.name, c->image.path);
        rc = LIBXL_SNAPSHOT_ERROR_NO_SPACE;
    }
    return rc;
}

static void note_state(creation *c)
{
    libxl_domain_snapshot_args *args = &c->s.args;

    libxl_defbool_setdefault(&args->paused, c->info.paused);
    libxl_defbool_setdefault(&args->memory, !c->in->disk_only);
    if (c->in->disk_only)
        c->s.state = XLU_SNAPSHOT_STATE_DISK_SNAPSHOT;
    else
        c->s.state = libxl_defbool_val(args->paused)
                     ? XLU_SNAPSHOT_STATE_PAUSED
                     : XLU_SNAPSHOT_STATE_RUNNING;
}

/* The guest runs on; all that is left are files. */
static int store(creation *c)
{
    xlu_snapshot_catalogue *cat = c->cat;
    int rc = 0;

    note_state(c);
    if (!c->in->disk_only)
        rc = xluss__image_seal(&c->image, &c->s.memory);
    if (rc) goto out;
    rc = xluss__store_config(cat, c->s.name, c->config_json);
    if (rc) goto out;
    rc = xluss__store_xml(cat, &c->s, true);
    if (rc) goto out;
    if (!c->in->disk_only) {
        rc = xluss__image_publish(&c->image);
        if (!rc && c->in->memory_folder)
            rc = xluss__dir_sync(cat->lg, &c->image.dir);
        if (rc) goto out;
    }
    rc = xluss__dir_sync(cat->lg, &cat->snaps);
    if (rc) goto out;
    rc = xluss__store_json(cat, &c->s);
out:
    return rc;
}

/* Files first: without its .json, recovery undoes the rest as well. */
static int undo(creation *c, bool disks, int why)
{
    xlu_snapshot_catalogue *cat = c->cat;
    libxl_snapshot_how how = xluss__plain_how(cat);
    int rc;

    rc = xluss__drop_files(cat, c->s.name, NULL);
    if (!rc)
        rc = xluss__image_drop(&c->image);
    if (!rc && disks)
        rc = libxl_domain_snapshot_delete(cat->ctx, cat->dom.domid,
                                          &c->s.args, &how, NULL);
    /* As the journal has it: with a number only from PREPARE on. */
    if (!rc)
        rc = xluss__checkpoint_never_was(cat, &c->op.j.args);
    if (!rc)
        rc = xluss__journal_end(cat);
    if (!rc)
        return why;
    LOG(cat->lg, ERROR, "domain %s, snapshot %s: it failed, and not all of "
        "it could be removed; the next command tries again", cat->dom.name,
        c->s.name);
    return LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
}

/* Also after a crash: whatever the other documents said before. */
static int finish_places(xlu_snapshot_catalogue *cat, const char *name)
{
    const xlu_snapshot *s;
    int rc = xluss__load(cat);

    if (!rc)
        rc = xlu_snapshot_get(cat, name, &s);
    if (!rc)
        rc = xluss__places_frozen(cat, s);
    if (!rc)
        rc = xluss__checkpoint_of_snapshot(cat, s);
    return rc ? rc : xluss__moved_note(cat, s);
}

int xluss__create_finish(xlu_snapshot_catalogue *cat, const char *name)
{
    int rc = finish_places(cat, name);

    if (!rc)
        rc = xluss__store_current(cat, name);

    if (!rc)
        rc = xluss__journal_end(cat);
    if (!rc)
        return 0;
    LOG(cat->lg, ERROR, "domain %s, snapshot %s: it is complete, but not yet "
        "the current one; the next command makes it so", cat->dom.name,
        name);
    return LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
}

static int create(creation *c)
{
    int rc;

    rc = check(c);
    if (rc)
        return rc;
    rc = look(c);
    if (rc)
        return rc;
    describe(c);
    rc = check_checkpoint(c);
    if (!rc)
        rc = begin_journal(c);
    if (rc)
        return rc;
    rc = take(c);
    if (rc == LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR)
        return rc;
    if (rc)
        return undo(c, false, rc);
    rc = store(c);
    if (rc)
        return undo(c, true, rc);
    return xluss__create_finish(c->cat, c->s.name);
}

int xlu_snapshot_create(xlu_snapshot_catalogue *cat,
                        const xlu_snapshot_create_args *args,
                        const libxl_snapshot_how *how,
                        const xlu_snapshot **out)
{
    creation c;
    int rc;

    if (out)
        *out = NULL;
    rc = xluss__begin(cat, how);
    if (rc)
        return rc;
    creation_init(&c, cat, args, how);
    rc = create(&c);
    if (!rc)
        rc = xluss__load(cat);
    if (!rc && out)
        rc = xlu_snapshot_get(cat, c.s.name, out);
    creation_dispose(&c);
    return rc;
}
