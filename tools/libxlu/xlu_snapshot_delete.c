/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Deleting snapshots, one after the other, leaves first. For each: journal;
 * its data in the disks; its children get its parent, and `current` moves
 * there; its files, the .json first; end of the journal. Each step may be
 * done twice, so recovery just does all of them.
 */
#include <stdlib.h>
#include <string.h>

#include "xluss.h"

/* Each child that is already rewritten is no child any more. */
static int adopt_children(xluss__op *op)
{
    xlu_snapshot_catalogue *cat = op->cat;
    int i, rc = 0;

    for (i = 0; i < cat->num_entries && !rc; i++) {
        xluss__entry *e = &cat->entries[i];

        if (e->damaged || !e->s.parent || strcmp(e->s.parent, op->j.name) ||
            !strcmp(e->s.name, op->j.name))
            continue;
        xluss__replace(&e->s.parent, op->j.parent);
        rc = xluss__store_json(cat, &e->s);
        if (!rc)
            rc = xluss__store_xml(cat, &e->s, false);
    }
    return rc;
}

/* `current` is read anew: in a recovery the .json may be gone already. */
static int move_current(xluss__op *op)
{
    xlu_snapshot_catalogue *cat = op->cat;
    char *text = NULL;
    size_t len;
    int rc;

    rc = xluss__file_get(cat->lg, &cat->dir, "current", XLUSS__PATH_MAX,
                         &text, &len);
    if (!rc) {
        text[strcspn(text, "\n")] = '\0';
        if (!strcmp(text, op->j.name))
            rc = xluss__store_current(cat, op->j.parent);
    }
    free(text);
    return rc == ERROR_NOTFOUND ? 0 : rc;
}

int xluss__delete_finish(xluss__op *op)
{
    xlu_snapshot_catalogue *cat = op->cat;
    xluss__entry *e;
    int rc;

    rc = adopt_children(op);
    if (rc) goto out;
    rc = move_current(op);
    if (rc) goto out;
    rc = xluss__drop_files(cat, op->j.name, op->j.memory_path);
    if (rc) goto out;
    rc = xluss__journal_end(cat);
    if (rc) goto out;
    /* Not there any more, for those that are deleted after it. */
    e = xluss__find(cat, op->j.name);
    if (e)
        e->damaged = true;
out:
    if (!rc)
        return 0;
    LOG(cat->lg, ERROR, "domain %s, snapshot %s: it is gone from the disks, "
        "but not from the catalogue; the next command removes the rest",
        cat->dom.name, op->j.name);
    return LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
}

static void fill_journal(xluss__op *op, const xlu_snapshot *s)
{
    xlu_snapshot_catalogue *cat = op->cat;

    op->j.domid = cat->dom.domid;
    if (s->parent && xluss__find(cat, s->parent))
        op->j.parent = xluss__strdup(s->parent);
    op->j.memory_path = xluss__strdup(s->memory.path);
    libxl_domain_snapshot_args_copy(cat->ctx, &op->j.args, &s->args);
    xluss__keep_others(cat, s->name, &op->j.args);
}

int xluss__delete_one(xlu_snapshot_catalogue *cat, const char *name,
                      libxl_merge_direction direction,
                      const libxl_snapshot_how *how)
{
    const xlu_snapshot *s;
    xluss__op op;
    int rc;

    rc = xlu_snapshot_get(cat, name, &s);
    if (rc)
        return rc;
    if (direction == LIBXL_MERGE_DIRECTION_DOWN &&
        cat->dom.domid != XLUSS__NO_DOMID) {
        LOG(cat->lg, ERROR, "domain %s, snapshot %s: nothing is merged down "
            "while the domain runs, only up", cat->dom.name, name);
        return LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE;
    }
    xluss__op_init(&op, cat, XLU_SNAPSHOT_OPERATION_DELETE, name, how);
    fill_journal(&op, s);
    op.j.args.merge = direction;
    rc = xluss__journal_begin(&op);
    if (rc) goto out;
    rc = libxl_domain_snapshot_delete(cat->ctx, cat->dom.domid, &op.j.args,
                                      &op.how, NULL);
    if (!rc)
        rc = xluss__delete_finish(&op);
    else if (rc != LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR &&
             xluss__journal_end(cat))
        rc = LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
out:
    xluss__op_dispose(&op);
    return rc;
}

/* The names below list[at], and perhaps its own, in the order of deletion:
 * the list has parents before children, so from its end. */
static char **collect(xlu_snapshot_catalogue *cat, int at, bool children,
                      bool self, int *num_out)
{
    int depth = xlu_snapshot_depth(cat, cat->list[at]);
    int end = at + 1, num = 0;
    char **names;

    while (children && end < cat->num_list &&
           xlu_snapshot_depth(cat, cat->list[end]) > depth)
        end++;
    names = xluss__calloc(end - at, sizeof(*names));
    while (--end >= at)
        if (end > at || self)
            names[num++] = xluss__strdup(cat->list[end]->name);
    *num_out = num;
    return names;
}

/* Index in the list; hidden snapshots have none, and no children. */
static int list_index(xlu_snapshot_catalogue *cat, const xlu_snapshot *s)
{
    int i;

    for (i = 0; i < cat->num_list; i++)
        if (cat->list[i] == s)
            return i;
    return -1;
}

int xlu_snapshot_delete(xlu_snapshot_catalogue *cat, const char *name,
                        const xlu_snapshot_delete_args *args,
                        const libxl_snapshot_how *how)
{
    static const xlu_snapshot_delete_args none;
    int at, i, rc, rc2, num = 0;
    const xlu_snapshot *s;
    char **names;

    if (!args)
        args = &none;
    rc = xluss__begin(cat, how);
    if (rc)
        return rc;
    rc = xlu_snapshot_get(cat, name, &s);
    if (rc)
        return rc;
    at = list_index(cat, s);
    if (at < 0)
        return xluss__delete_one(cat, name, LIBXL_MERGE_DIRECTION_ANY, how);
    names = collect(cat, at, args->children || args->children_only,
                    !args->children_only, &num);
    for (i = 0; i < num && !rc; i++)
        rc = xluss__delete_one(cat, names[i], LIBXL_MERGE_DIRECTION_ANY,
                               how);
    for (i = 0; i < num; i++)
        free(names[i]);
    free(names);
    rc2 = xluss__load(cat);
    return rc ? rc : rc2;
}
