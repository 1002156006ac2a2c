/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-check --repair: one function for each kind of finding. Each may be
 * interrupted and done again; none removes what might be needed.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xlu_checkpoint.h"
#include "xluss_check.h"

typedef struct {
    xlu_snapshot_catalogue *cat;
    const libxl_snapshot_how *how;
    const xlu_snapshot_finding *f;
} repair;

static libxl_snapshot_how lower_how(const repair *r)
{
    libxl_snapshot_how how = xluss__plain_how(r->cat);

    if (r->how) {
        how.on_death = r->how->on_death;
        how.wait_seconds = r->how->wait_seconds;
    }
    return how;
}

/* One that can be read is never given up. */
static int repair_journal(repair *r)
{
    xlu_snapshot_catalogue *cat = r->cat;
    int rc;

    if (!strcmp(r->f->subject, "journal") ||
        !strcmp(r->f->subject, "pull.json"))
        return xlu_snapshot_recover(cat, r->how, NULL);
    xluss__file_drop(cat->lg, &cat->dir, "journal.damaged");
    rc = xluss__file_rename(cat->lg, &cat->dir, "journal",
                            "journal.damaged");
    return rc ? rc : xluss__dir_sync(cat->lg, &cat->dir);
}

static int repair_stopped(repair *r)
{
    libxl_snapshot_how how = lower_how(r);
    libxl_domain_snapshot_args args;
    int rc;

    libxl_domain_snapshot_args_init(&args);
    rc = libxl_domain_snapshot_recover(r->cat->ctx, r->cat->dom.domid,
                                       LIBXL_SNAPSHOT_INTENT_REVERT, &args,
                                       &how, NULL);
    libxl_domain_snapshot_args_dispose(&args);
    return rc;
}

/* In either folder; only what a check would find. */
static int repair_temporary(repair *r)
{
    xlu_snapshot_catalogue *cat = r->cat;
    const char *file = r->f->subject;
    int rc = xluss__file_drop(cat->lg, &cat->dir, file);

    return rc || !xluss__is_unfinished(file)
           ? rc : xluss__file_drop(cat->lg, &cat->snaps, file);
}

/* The damaged one stays beside it, for whoever can read more of it. */
static int keep_damaged(xlu_snapshot_catalogue *cat, const char *name)
{
    char *file = xluss__file_name(name, ".json");
    char *kept = xluss__file_name(name, ".json.damaged");
    int rc = 0;

    if (xluss__file_exists(&cat->snaps, file)) {
        xluss__file_drop(cat->lg, &cat->snaps, kept);
        rc = xluss__file_rename(cat->lg, &cat->snaps, file, kept);
    }
    free(file);
    free(kept);
    return rc;
}

/* The checksum of the image as it is now: no other is known. */
static int hash_memory(xlu_snapshot_catalogue *cat, xlu_snapshot *s)
{
    char *json;
    int fd, rc;

    if (!s->memory.path)
        return 0;
    rc = xluss__image_probe(cat->lg, s, &json);
    free(json);
    if (rc)
        return rc;
    fd = open(s->memory.path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return LIBXL_SNAPSHOT_ERROR_DAMAGED;
    rc = xluss__image_measure(cat->lg, fd, &s->memory);
    close(fd);
    return rc;
}

static int put_config(repair *r, const char *name)
{
    xlu_snapshot_catalogue *cat = r->cat;
    const xlu_snapshot *s;
    char *json = NULL, *file;
    int rc;

    rc = xlu_snapshot_get(cat, name, &s);
    if (rc || !s->memory.path)
        return rc;
    rc = xluss__image_probe(cat->lg, s, &json);
    if (rc)
        return rc;
    file = xluss__file_name(name, ".config");
    rc = xluss__file_put(cat->lg, &cat->snaps, file, json, strlen(json),
                         false);
    free(file);
    free(json);
    return rc;
}

static int repair_config(repair *r)
{
    return put_config(r, r->f->snapshot);
}

static int repair_document(repair *r)
{
    xlu_snapshot_findings none;
    xluss__check c = { .cat = r->cat, .out = &none };
    xlu_snapshot s;
    char *why = NULL;
    int rc = LIBXL_SNAPSHOT_ERROR_DAMAGED;

    xlu_snapshot_findings_init(&none);
    xluss__ear_init(&c.ear);
    c.how.lg = &c.ear.vtable;
    if (xluss__rebuild(&c, r->f->snapshot, &s, &why) == XLUSS__REBUILD_CAN)
        rc = hash_memory(r->cat, &s);
    if (!rc)
        rc = keep_damaged(r->cat, s.name);
    if (!rc)
        rc = xluss__store_xml(r->cat, &s, false);
    if (!rc)
        rc = xluss__store_json(r->cat, &s);
    free(why);
    xlu_snapshot_dispose(&s);
    xluss__check_dispose(&c);
    return rc;
}

static int repair_leftover(repair *r)
{
    xlu_snapshot_catalogue *cat = r->cat;
    xlu_snapshot_memory m;
    int rc;

    xlu_snapshot_memory_init(&m);
    xluss__image_own(cat, r->f->snapshot, &m);
    rc = xluss__drop_files(cat, r->f->snapshot, m.path);
    xlu_snapshot_memory_dispose(&m);
    return rc;
}

static int repair_xml(repair *r)
{
    const xlu_snapshot *s;
    int rc = xlu_snapshot_get(r->cat, r->f->snapshot, &s);

    return rc ? rc : xluss__store_xml(r->cat, s, false);
}

static int repair_parent(repair *r)
{
    xluss__entry *e = xluss__find(r->cat, r->f->snapshot);
    int rc;

    if (!e || e->damaged)
        return 0;
    xluss__replace(&e->s.parent, NULL);
    rc = xluss__store_json(r->cat, &e->s);
    return rc ? rc : xluss__store_xml(r->cat, &e->s, false);
}

static int repair_current(repair *r)
{
    return xluss__store_current(r->cat, NULL);
}

/* On all disks that the domain or one of its snapshots has. */
static int repair_safety(repair *r)
{
    xlu_snapshot_catalogue *cat = r->cat;
    libxl_snapshot_how how = lower_how(r);
    libxl_domain_snapshot_args args;
    libxl_domain_config config;
    int i, j, rc = 0;

    libxl_domain_snapshot_args_init(&args);
    libxl_domain_config_init(&config);
    args.name = xluss__strdup(r->f->subject);
    if (cat->dom.domid != XLUSS__NO_DOMID)
        rc = libxl_retrieve_domain_configuration(cat->ctx, cat->dom.domid,
                                                 &config, NULL);
    if (!rc)
        xluss__args_complete(cat->ctx, &args, &config);
    for (i = 0; !rc && i < cat->num_entries; i++)
        for (j = 0; j < cat->entries[i].s.args.num_disks; j++)
            xluss__args_add(cat->ctx, &args,
                            &cat->entries[i].s.args.disks[j]);
    if (!rc)
        rc = libxl_domain_snapshot_delete(cat->ctx, cat->dom.domid, &args,
                                          &how, NULL);
    libxl_domain_config_dispose(&config);
    libxl_domain_snapshot_args_dispose(&args);
    return rc;
}

static int repair_export(repair *r)
{
    return xlu_snapshot_export_stop(r->cat, r->f->snapshot, NULL, NULL);
}

static int repair_name(repair *r)
{
    xlu_snapshot_catalogue *cat = r->cat;
    libxl_snapshot_how how = lower_how(r);

    /* The subject is a path of a domain that is off, or a disk. */
    if (cat->dom.domid == XLUSS__NO_DOMID)
        return libxl_domain_disk_names_put_right(cat->ctx, r->f->subject,
                                                 &how);
    return libxl_domain_disk_chain_changed(cat->ctx, cat->dom.domid,
                                           r->f->subject, &how);
}

/* All of them at once. */
static int repair_checkpoint(repair *r)
{
    int num;

    return xlu_checkpoint_rebuild(r->cat, &num);
}

static int repair_backup(repair *r)
{
    return xluss__repair_backup(r->cat, r->f);
}

static int (*const repairs[])(repair *r) = {
    [XLU_SNAPSHOT_FINDING_KIND_INTERRUPTED] = repair_journal,
    [XLU_SNAPSHOT_FINDING_KIND_STOPPED] = repair_stopped,
    [XLU_SNAPSHOT_FINDING_KIND_TEMPORARY] = repair_temporary,
    [XLU_SNAPSHOT_FINDING_KIND_DOCUMENT] = repair_document,
    [XLU_SNAPSHOT_FINDING_KIND_LEFTOVER] = repair_leftover,
    [XLU_SNAPSHOT_FINDING_KIND_XML] = repair_xml,
    [XLU_SNAPSHOT_FINDING_KIND_CONFIG] = repair_config,
    [XLU_SNAPSHOT_FINDING_KIND_PARENT] = repair_parent,
    [XLU_SNAPSHOT_FINDING_KIND_CIRCLE] = repair_parent,
    [XLU_SNAPSHOT_FINDING_KIND_CURRENT] = repair_current,
    [XLU_SNAPSHOT_FINDING_KIND_SAFETY] = repair_safety,
    [XLU_SNAPSHOT_FINDING_KIND_EXPORT] = repair_export,
    [XLU_SNAPSHOT_FINDING_KIND_NAME] = repair_name,
    [XLU_SNAPSHOT_FINDING_KIND_FILE] = NULL,
    [XLU_SNAPSHOT_FINDING_KIND_CHECKPOINT] = repair_checkpoint,
    [XLU_SNAPSHOT_FINDING_KIND_BACKUP] = repair_backup,
    [XLU_SNAPSHOT_FINDING_KIND_SCRATCH] = repair_backup,
    [XLU_SNAPSHOT_FINDING_KIND_SERVER] = repair_backup,
    [XLU_SNAPSHOT_FINDING_KIND_TARGET] = NULL,
};

/* In this order, except that a checkpoint which a backup's end undoes must
 * not get into the catalogue first. */
static int nth_kind(int n, int num)
{
    const int late = XLU_SNAPSHOT_FINDING_KIND_CHECKPOINT;

    return n < late ? n : n + 1 < num ? n + 1 : late;
}

/* Repairs what was found of one kind; true if there was any. */
static bool repair_kind(repair *r, const xlu_snapshot_findings *found,
                        int kind, int *rc)
{
    bool any = false;
    int i, rc1;

    for (i = 0; i < found->num_findings; i++) {
        r->f = &found->findings[i];
        if ((int)r->f->kind != kind || !r->f->repair || !repairs[kind])
            continue;
        any = true;
        rc1 = repairs[kind](r);
        if (rc1 && !*rc)
            *rc = rc1;
    }
    return any;
}

/* What one repair brings to light, or changes, the next check finds: a JSON
 * that was made again may have a parent that is lost. */
int xlu_snapshot_repair(xlu_snapshot_catalogue *cat, bool deep,
                        const libxl_snapshot_how *how,
                        xlu_snapshot_findings *left)
{
    repair r = { .cat = cat, .how = how };
    int n, rc, num = sizeof(repairs) / sizeof(repairs[0]);
    int first = 0;

    if (cat->lock_fd < 0) {
        LOG(cat->lg, ERROR, "domain %s: its snapshots are open for reading "
            "only", cat->dom.name);
        return ERROR_INVAL;
    }
    rc = xlu_snapshot_check(cat, false, left);
    for (n = 0; !rc && n < num; n++) {
        if (!repair_kind(&r, left, nth_kind(n, num), &first))
            continue;
        rc = xlu_snapshot_check(cat, false, left);
    }
    if (!rc)
        rc = xlu_snapshot_check(cat, deep, left);
    return rc ? rc : first;
}
