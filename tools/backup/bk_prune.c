/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * backup-prune. First each set that stays and is based on one that goes gets
 * files that aren't: made beside it, on the disk, then exchanged with it. Only
 * when none that stays needs them do others go, the newest first, so that no
 * set is ever without what it is based on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bk.h"
#include "xl_session.h"

static struct bk_rules rules_of(const struct xl_save_options *o)
{
    return (struct bk_rules){ o->keep_last, o->keep_daily, o->keep_weekly,
                              o->keep_monthly, o->keep_yearly };
}

/* What can't be read may be based on anything. */
static int check(const struct bk_folder *f)
{
    int i;

    for (i = 0; i < f->num; i++)
        if (f->sets[i].problem) {
            xl_say("%s: the record of set %s can't be used (%s), so nothing "
                   "is removed", f->path, f->sets[i].name,
                   f->sets[i].problem);
            return XL_EXIT_DAMAGED;
        }
    return 0;
}

/* --- merging --- */

/* The next that stays and is based on one that goes. */
static struct bk_set *next_merge(struct bk_folder *f)
{
    int i;

    for (i = 0; i < f->num; i++) {
        struct bk_set *s = &f->sets[i];
        struct bk_set *base = bk_find(f->sets, f->num, s->base);

        if (s->keep && s->base && !(base && base->keep))
            return s;
    }
    return NULL;
}

/* A set that stays below it, and has all its disks. */
static struct bk_set *new_base(struct bk_folder *f, struct bk_set *s)
{
    struct bk_set *base = bk_kept_base(f->sets, f->num, s);
    int i;

    for (i = 0; base && i < s->num_disks; i++)
        if (!bk_set_disk(base, s->disks[i].vdev))
            return NULL;
    return base;
}

static int merge_disk(struct bk_folder *f, struct bk_set *s,
                      const struct bk_set *base, int from, int to,
                      struct bk_disk *d)
{
    char *where = xl_printf("%s/" BK_MERGED "%s", f->path, s->name);
    char *file = bk_file_name(d->vdev), *problem = NULL;
    int status;

    if (base) {
        status = bk_copy_file(from, to, file, where);
        if (!status)
            status = bk_image_rebase(to, d->vdev, base->name, where);
    } else {
        status = bk_image_flatten(from, d->vdev, d->size, to, where, file,
                                  false);
    }
    if (!status)
        status = bk_image_sync(to, file, where);
    if (!status && !bk_image_hash(to, d, &problem)) {
        xl_say("reading %s/%s: %s", where, file, problem);
        status = XL_EXIT_FAILED;
    }
    free(problem);
    free(file);
    free(where);
    return status;
}

/* s gets its new base and checksums, which its record will have. */
static int fill(struct bk_folder *f, struct bk_set *s, struct bk_set *base,
                int to)
{
    int from, i, status = bk_folder_open_set(f, s->name, &from);
    char *record;

    for (i = 0; i < s->num_disks && !status; i++)
        status = merge_disk(f, s, base, from, to, &s->disks[i]);
    if (!status)
        status = bk_copy_file(from, to, BK_CONFIG, s->name);
    if (from >= 0)
        close(from);
    if (status)
        return status;
    free(s->base);
    s->base = base ? xl_strdup(base->name) : NULL;
    record = bk_set_write(s);
    status = bk_put(to, BK_RECORD, record, s->name);
    free(record);
    return status ? status : bk_sync(to, s->name);
}

/* On filesystems that can't exchange: each name in turn, and for a moment
 * the set has none; whoever comes next puts it back. */
static int swap_by_names(struct bk_folder *f, const char *merged,
                         const char *name)
{
    char *ready = xl_printf(BK_READY "%s", name);
    char *trash = xl_printf(BK_TRASH "%s", name);
    int status = bk_rename(f->fd, merged, ready, f->path);

    if (!status)
        status = bk_folder_sync(f);
    if (!status)
        status = bk_rename(f->fd, name, trash, f->path);
    if (!status)
        status = bk_rename(f->fd, ready, name, f->path);
    if (!status)
        status = bk_folder_sync(f);
    if (!status)
        status = bk_folder_remove(f, trash);
    free(trash);
    free(ready);
    return status;
}

static int swap(struct bk_folder *f, const char *merged, const char *name)
{
    int r, status = bk_folder_sync(f);

    if (status)
        return status;
    r = bk_exchange(f->fd, merged, name, f->path);
    if (r > 0)
        return swap_by_names(f, merged, name);
    if (r < 0)
        return XL_EXIT_FAILED;
    status = bk_folder_sync(f);
    return status ? status : bk_folder_remove(f, merged);
}

static int merge(struct bk_folder *f, struct bk_set *s)
{
    struct bk_set *base = new_base(f, s);
    char *merged = xl_printf(BK_MERGED "%s", s->name);
    int to, status = bk_verify_chain(f, s);

    /* Else what is damaged would get a good checksum. */
    if (!status)
        status = bk_folder_make(f, BK_MERGED, s->name, &to);
    if (!status) {
        status = fill(f, s, base, to);
        close(to);
        if (!status)
            status = swap(f, merged, s->name);
        else
            bk_folder_remove(f, merged);
    }
    if (!status)
        printf("%s: merged, %s%s\n", s->name, base ? "based on "
               : "it is a full one now", base ? base->name : "");
    free(merged);
    return status;
}

/* --- removing --- */

static int remove_set(struct bk_folder *f, const char *name)
{
    char *trash = xl_printf(BK_TRASH "%s", name);
    int status = bk_rename(f->fd, name, trash, f->path);

    if (!status)
        status = bk_folder_sync(f);
    if (!status)
        status = bk_folder_remove(f, trash);
    if (!status)
        printf("%s: removed\n", name);
    free(trash);
    return status;
}

static void say(struct bk_folder *f)
{
    int i;

    for (i = 0; i < f->num; i++) {
        struct bk_set *s = &f->sets[i];
        struct bk_set *base = bk_find(f->sets, f->num, s->base);

        printf("%s: %s\n", s->name, !s->keep ? "would be removed"
               : s->base && !(base && base->keep) ? "would be merged"
               : "stays");
    }
}

static int prune(struct bk_folder *f, const struct bk_rules *rules)
{
    struct bk_set *s;
    int i, status = 0;

    while (!status && !bk_interrupted() && (s = next_merge(f))) {
        status = merge(f, s);
        if (!status)
            status = bk_folder_load(f);
        if (!status)
            status = check(f);
        bk_apply_rules(f->sets, f->num, rules);
    }
    for (i = f->num - 1; i >= 0 && !status && !bk_interrupted(); i--)
        if (!f->sets[i].keep)
            status = remove_set(f, f->sets[i].name);
    if (bk_interrupted()) {
        xl_say("prune: interrupted; what is there is whole");
        return XL_EXIT_FAILED;
    }
    return status;
}

int bk_prune(const struct xl_save_options *o)
{
    struct bk_rules rules = rules_of(o);
    struct bk_folder f;
    int status = bk_folder_open(&f, o->dir, BK_PRUNE);

    xl_session_catch_signals();
    if (!status)
        status = check(&f);
    if (!status) {
        bk_apply_rules(f.sets, f.num, &rules);
        if (o->dry_run)
            say(&f);
        else
            status = prune(&f, &rules);
    }
    bk_folder_close(&f);
    return status;
}
