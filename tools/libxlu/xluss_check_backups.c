/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-check: what backups and their servers have left. Each kind of
 * backup has a record as long as there is anything of it; the device model
 * says what is. What runs is nobody's business here, and what another program
 * has made by the lower library alone is told of only if it can't be used.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xluss_backup.h"
#include "xluss_check.h"

#define KIND(k) XLU_SNAPSHOT_FINDING_KIND_##k

typedef struct {
    xluss__check *c;
    xlu_snapshot_catalogue *cat;
    bool asked;                 /* views is what the device model has */
    libxl_block_snapshot_list views;
    libxl_block_export_list exports;
    xluss__backup_records r;
} look;

static bool is_off(const look *l)
{
    return l->cat->dom.domid == XLUSS__NO_DOMID;
}

static bool same(const char *a, const char *b)
{
    return a && b && !strcmp(a, b);
}

static bool has_view(const look *l, const char *id)
{
    int i;

    for (i = 0; i < l->views.num_snapshots; i++)
        if (same(l->views.snapshots[i].id, id))
            return true;
    return false;
}

/* No operation of whatever program is at work on the domain. */
static bool is_quiet(const look *l)
{
    libxl_domain_snapshot_status status;

    libxl_domain_snapshot_status_init(&status);
    return is_off(l) ||
           (!libxl_domain_snapshot_look(l->cat->ctx, l->cat->dom.domid,
                                        &status, &l->c->how) && !status.busy);
}

/* "xvda, xvdb"; malloc'ed. */
static char *disks_of(const libxl_block_snapshot *v)
{
    char *text = xluss__strdup(""), *longer;
    int i;

    for (i = 0; i < v->num_disks; i++) {
        longer = xluss__asprintf("%s%s%s", text, i ? ", " : "",
                                 v->disks[i].vdev ? v->disks[i].vdev : "?");
        free(text);
        text = longer;
    }
    return text;
}

/* A record that can't be read: whether anything of it is, only somebody who
 * knows what runs can say. */
static void tell_damaged(look *l, const char *file, bool in_use,
                         const char *command)
{
    xluss__found(l->c, KIND(BACKUP), NULL, file,
                 in_use ? NULL : "it is removed",
                 "the record of a backup, %s/%s, is damaged%s%s",
                 l->cat->dir.path, file, in_use ? "; the device model has "
                 "something of one, which is taken away by " : "",
                 in_use ? command : "");
}

/* --- push --- */

static void tell_targets(look *l)
{
    const libxl_domain_backup_args *p = &l->r.push;
    int i;

    for (i = 0; i < p->num_disks; i++) {
        const libxl_backup_disk *d = &p->disks[i];

        if (!d->target || d->target[0] != '/' || access(d->target, F_OK))
            continue;
        xluss__only_note(xluss__found(
            l->c, KIND(TARGET), NULL, d->target, NULL, "disk %s: %s, a "
            "target of the backup %s, is perhaps incomplete, since nothing "
            "says that it came to its end", d->vdev ? d->vdev : "?",
            d->target, p->id));
    }
}

static void check_jobs(look *l, libxl_backup_state state)
{
    if (state != LIBXL_BACKUP_STATE_RUNNING)
        xluss__only_note(xluss__found(
            l->c, KIND(BACKUP), NULL, XLUSS__PUSH_JSON, NULL, "the backup %s "
            "has %s; backup-status finishes it", l->r.push.id,
            state == LIBXL_BACKUP_STATE_COPIED ? "copied everything"
                                               : "failed"));
}

static void check_push(look *l)
{
    libxl_domain_backup_args now;
    const char *id = l->r.push.id;
    int rc;

    if (!xluss__file_exists(&l->cat->dir, XLUSS__PUSH_JSON))
        return;
    libxl_domain_backup_args_init(&now);
    now.id = xluss__strdup(id);
    rc = is_off(l) ? LIBXL_SNAPSHOT_ERROR_NO_QEMU
        : libxl_domain_backup_status(l->cat->ctx, l->cat->dom.domid, &now,
                                     &l->c->how);
    if (!id && (!rc || xluss__is_gone(rc))) {
        tell_damaged(l, XLUSS__PUSH_JSON, !rc, "backup-stop");
    } else if (!rc) {
        check_jobs(l, now.state);
    } else if (xluss__is_gone(rc)) {
        xluss__found(l->c, KIND(BACKUP), NULL, XLUSS__PUSH_JSON,
                     "what is left of it is removed, but for its targets",
                     has_view(l, id) || l->r.push.state ==
                     LIBXL_BACKUP_STATE_NONE
                     ? "the start of the backup %s was interrupted"
                     : "nothing of the backup %s is in the device model any "
                     "more, and nothing says how it ended", id);
        tell_targets(l);
    }
    libxl_domain_backup_args_dispose(&now);
}

/* --- pull --- */

static bool serves(const look *l, const char *id)
{
    int i;

    for (i = 0; i < l->exports.num_exports; i++)
        if (same(l->exports.exports[i].id, id) && l->exports.exports[i].running)
            return true;
    return false;
}

/* One that was being started or ended is told of elsewhere. */
static void check_pull(look *l)
{
    const xlu_backup_pull *p = &l->r.pull;

    if (!xluss__pull_exists(l->cat) || (!is_off(l) && !l->asked))
        return;
    if (!p->snapshot.id)
        tell_damaged(l, "pull.json", l->views.num_snapshots > 0,
                     "backup-stop --failed");
    else if (p->phase != XLU_BACKUP_PULL_PHASE_RUNNING)
        return;
    else if (!has_view(l, p->snapshot.id))
        xluss__found(l->c, KIND(BACKUP), NULL, "pull.json",
                     "what is left of it is removed", "the pull backup %s "
                     "has ended with its device model", p->snapshot.id);
    else if (!serves(l, p->exported.id))
        xluss__found(l->c, KIND(SERVER), NULL, p->exported.id,
                     "another one is started at the same address",
                     "the server of the pull backup %s has died",
                     p->snapshot.id);
}

/* --- a client's --- */

/* The domain is off, and nothing but its checkpoint is left. */
static bool save_waits(const look *l)
{
    const libxl_block_snapshot *s = &l->r.save.snapshot;
    int i;

    for (i = 0; i < s->num_disks; i++)
        if (s->disks[i].scratch && !access(s->disks[i].scratch, F_OK))
            return false;
    return is_off(l) && s->checkpoint && s->sequence;
}

static void check_save(look *l)
{
    const xlu_backup_save *s = &l->r.save;
    char *partial;

    if (!xluss__file_exists(&l->cat->dir, XLUSS__SAVE_JSON) ||
        xluss__save_lives(l->cat))
        return;
    if (!s->snapshot.id) {
        if (is_off(l) || l->asked)
            tell_damaged(l, XLUSS__SAVE_JSON, l->views.num_snapshots > 0,
                         "backup-stop");
        return;
    }
    partial = xluss__save_partial(s);
    if (partial)
        xluss__found(l->c, KIND(BACKUP), NULL, partial, "it is removed",
                     "%s is a set that was not finished, since its "
                     "backup-save has died", partial);
    if (save_waits(l))
        xluss__only_note(xluss__found(
            l->c, KIND(BACKUP), NULL, XLUSS__SAVE_JSON, NULL, "a backup-save "
            "into %s has died; its checkpoint %s is undone when the domain "
            "runs again", s->folder, s->snapshot.checkpoint));
    else
        xluss__found(l->c, KIND(BACKUP), NULL, XLUSS__SAVE_JSON,
                     "what is left of it is taken away", "a backup-save of "
                     "set %s into %s has died", s->name ? s->name : "?",
                     s->folder ? s->folder : "?");
    free(partial);
}

/* --- of no record --- */

static void check_views(look *l)
{
    int i;

    for (i = 0; i < l->views.num_snapshots; i++) {
        const libxl_block_snapshot *v = &l->views.snapshots[i];
        char *disks;

        if (xluss__backup_owns(&l->r, v->id))
            continue;
        disks = disks_of(v);
        if (!v->complete || v->backup)
            xluss__found(l->c, KIND(BACKUP), NULL, v->id, "it is taken out",
                         "%s: the device model has a block snapshot %s that "
                         "was never finished", disks, v->id);
        else
            xluss__only_note(xluss__found(
                l->c, KIND(BACKUP), NULL, v->id, NULL, "%s: the device model "
                "has a block snapshot %s that is of no backup here; some "
                "other program may use it", disks, v->id));
        free(disks);
    }
}

static void tell_export(look *l, const libxl_block_export *e,
                        const char *what)
{
    xluss__found(l->c, KIND(SERVER), NULL, e->id, "what is left is removed",
                 "the export %s of the block snapshot %s%s%s %s", e->id,
                 e->snapshot ? e->snapshot : "?", e->socket ? " at " : "",
                 e->socket ? e->socket : "", what);
}

static void check_exports(look *l)
{
    int i;

    for (i = 0; i < l->exports.num_exports; i++) {
        const libxl_block_export *e = &l->exports.exports[i];

        if (xluss__backup_owns(&l->r, e->id) ||
            same(e->snapshot, l->r.save.snapshot.id))
            continue;
        if (!has_view(l, e->snapshot))
            tell_export(l, e, "has lost what it served");
        else if (!e->running)
            tell_export(l, e, "has no server any more");
    }
}

/* --- all --- */

static void read_all(look *l)
{
    xlu_snapshot_catalogue *cat = l->cat;

    libxl_block_snapshot_list_init(&l->views);
    libxl_block_export_list_init(&l->exports);
    xluss__backup_records_read(cat, &l->r);
    /* Of a domain that is off both calls would tell of others, or nothing. */
    if (is_off(l))
        return;
    l->asked = !libxl_domain_block_snapshot_list(cat->ctx, cat->dom.domid,
                                                 &l->views, &l->c->how) &&
               !libxl_domain_block_export_list(cat->ctx, cat->dom.domid,
                                               &l->exports, &l->c->how);
}

void xluss__check_backups(xluss__check *c)
{
    look l = { .c = c, .cat = c->cat };
    bool quiet = is_quiet(&l);

    read_all(&l);
    check_push(&l);
    check_pull(&l);
    check_save(&l);
    /* What another program is making just now isn't half made, nor is what
     * it has begun since. */
    if (l.asked && quiet && is_quiet(&l)) {
        check_views(&l);
        check_exports(&l);
    }
    xluss__backup_records_dispose(&l.r);
    libxl_block_snapshot_list_dispose(&l.views);
    libxl_block_export_list_dispose(&l.exports);
}
