/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The tree of snapshots. Parents are names in documents that anybody may
 * have edited: one that is missing makes its child a root, and a circle is
 * opened at one place. Nothing here is worse than n log n.
 */
#include <stdlib.h>
#include <string.h>

#include "xluss.h"

enum { NEW, ON_PATH, DONE };

static int index_of(xlu_snapshot_catalogue *cat, const char *name)
{
    xluss__entry *e = name ? xluss__find(cat, name) : NULL;

    return e && !e->damaged ? e - cat->entries : -1;
}

static void link_parents(xlu_snapshot_catalogue *cat)
{
    int i;

    for (i = 0; i < cat->num_entries; i++) {
        xluss__entry *e = &cat->entries[i];

        e->parent = e->damaged ? -1 : index_of(cat, e->s.parent);
        if (!e->damaged && e->s.parent && e->parent < 0)
            LOG(cat->lg, WARN, "domain %s, snapshot %s: its parent %s is "
                "not there; shown as a root", cat->dom.name, e->s.name,
                e->s.parent);
    }
}

/* Walks up from each; an entry met again on the same way closes a circle. */
static void break_circles(xlu_snapshot_catalogue *cat)
{
    unsigned char *state = xluss__calloc(cat->num_entries, 1);
    int i, j, next;

    for (i = 0; i < cat->num_entries; i++) {
        for (j = i; j >= 0 && state[j] == NEW; j = next) {
            next = cat->entries[j].parent;
            state[j] = ON_PATH;
            if (next >= 0 && state[next] == ON_PATH) {
                LOG(cat->lg, WARN, "domain %s, snapshot %s: it is among its "
                    "own ancestors; shown as a root", cat->dom.name,
                    cat->entries[j].s.name);
                cat->entries[j].parent = next = -1;
            }
        }
        for (j = i; j >= 0 && state[j] == ON_PATH; j = cat->entries[j].parent)
            state[j] = DONE;
    }
    free(state);
}

/* Hidden ones are jumped over. They are few, so chains of them are short. */
static void skip_hidden(xlu_snapshot_catalogue *cat)
{
    int i;

    for (i = 0; i < cat->num_entries; i++) {
        xluss__entry *e = &cat->entries[i];

        while (e->parent >= 0 && cat->entries[e->parent].s.hidden)
            e->parent = cat->entries[e->parent].parent;
    }
}

static int newer_first(const void *va, const void *vb)
{
    const xluss__entry *a = *(xluss__entry *const *)va;
    const xluss__entry *b = *(xluss__entry *const *)vb;

    if (a->s.creation_time != b->s.creation_time)
        return a->s.creation_time < b->s.creation_time ? 1 : -1;
    return -strcmp(a->s.name, b->s.name);
}

/* Each is put in front of its siblings, the newest first of all; returns
 * the first root. */
static int link_children(xlu_snapshot_catalogue *cat, xluss__entry **sorted,
                         int num)
{
    int i, root = -1;

    for (i = 0; i < num; i++) {
        xluss__entry *e = sorted[i];
        int *first = e->parent < 0 ? &root
                                   : &cat->entries[e->parent].first_child;

        e->sibling = *first;
        *first = e - cat->entries;
    }
    return root;
}

static void walk(xlu_snapshot_catalogue *cat, int root)
{
    int depth = 0, i = root;

    while (i >= 0) {
        xluss__entry *e = &cat->entries[i];

        e->depth = depth;
        cat->list[cat->num_list++] = &e->s;
        if (e->first_child >= 0) {
            i = e->first_child;
            depth++;
            continue;
        }
        while (i >= 0 && cat->entries[i].sibling < 0) {
            i = cat->entries[i].parent;
            depth--;
        }
        if (i >= 0)
            i = cat->entries[i].sibling;
    }
}

void xluss__tree_build(xlu_snapshot_catalogue *cat)
{
    xluss__entry **sorted = xluss__calloc(cat->num_entries, sizeof(*sorted));
    int i, num = 0;

    link_parents(cat);
    break_circles(cat);
    skip_hidden(cat);
    for (i = 0; i < cat->num_entries; i++) {
        xluss__entry *e = &cat->entries[i];

        e->first_child = e->sibling = -1;
        e->depth = 0;
        if (!e->damaged && !e->s.hidden)
            sorted[num++] = e;
    }
    qsort(sorted, num, sizeof(*sorted), newer_first);
    cat->list = xluss__calloc(num, sizeof(*cat->list));
    cat->num_list = 0;
    walk(cat, link_children(cat, sorted, num));
    free(sorted);
}

int xlu_snapshot_list(xlu_snapshot_catalogue *cat,
                      const xlu_snapshot ***list_out, int *num_out)
{
    *list_out = cat->list;
    *num_out = cat->num_list;
    return 0;
}

int xlu_snapshot_depth(xlu_snapshot_catalogue *cat, const xlu_snapshot *s)
{
    (void)cat;
    return ((const xluss__entry *)s)->depth;
}
