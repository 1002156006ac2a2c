/* SPDX-License-Identifier: LGPL-2.1-only */
/* What a set is based on, its name, and which checkpoints it outdates. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <xlu_checkpoint.h>

#include "bk_save.h"

int bk_save_lose(struct bk_save *s, const char *why)
{
    if (s->o->strict) {
        xl_say("no incremental backup is possible: %s", why);
        return XL_EXIT_NOT_POSSIBLE;
    }
    xl_say("%s; a full backup is made instead", why);
    s->base = NULL;
    s->lost = true;
    return 0;
}

int bk_save_find_base(struct bk_save *s)
{
    struct bk_folder *f = &s->folder;

    if (s->o->full)
        return 0;
    s->base = s->o->since ? bk_find(f->sets, f->num, s->o->since)
                          : bk_newest(f->sets, f->num);
    if (s->o->since && !s->base) {
        xl_say("%s holds no set %s", f->path, s->o->since);
        return XL_EXIT_NOT_FOUND;
    }
    if (!s->base)
        return f->num ? bk_save_lose(s, "no set in the folder can be used")
             : s->o->strict ? bk_save_lose(s, "the folder holds no backups") : 0;
    return bk_look_at_chain(f, s->base)
           ? bk_save_lose(s, "what it would be based on is damaged") : 0;
}

int bk_save_check_owner(struct bk_save *s, const xlu_snapshot_domain *dom)
{
    const struct bk_set *newest = bk_newest(s->folder.sets, s->folder.num);

    if (!newest || !strcmp(newest->uuid, dom->uuid))
        return s->base && strcmp(s->base->uuid, dom->uuid)
               ? bk_save_lose(s, "the set is of a domain with another UUID") : 0;
    if (strcmp(newest->domain, dom->name)) {
        xl_say("%s holds backups of domain %s, not of %s", s->folder.path,
               newest->domain, dom->name);
        return XL_EXIT_NOT_POSSIBLE;
    }
    return s->base ? bk_save_lose(s, "the domain has another UUID than before") : 0;
}

int bk_save_check_checkpoint(struct bk_save *s, xlu_snapshot_catalogue *cat)
{
    xlu_checkpoint_list list;
    bool other = false;
    int i;

    if (!s->base || !s->base->sequence)
        return 0;
    xlu_checkpoint_list_init(&list);
    if (!xlu_checkpoint_list_all(cat, &list))
        for (i = 0; i < list.num_checkpoints; i++)
            other |= !strcmp(list.checkpoints[i].name, s->base->name) &&
                     list.checkpoints[i].sequence &&
                     list.checkpoints[i].sequence != s->base->sequence;
    xlu_checkpoint_list_dispose(&list);
    return other ? bk_save_lose(s, "the set's checkpoint was made again since") : 0;
}

/* --- its name --- */

static bool taken(struct bk_save *s, xlu_snapshot_catalogue *cat,
                  const char *name)
{
    xlu_checkpoint_list list;
    bool found = bk_find(s->folder.sets, s->folder.num, name);
    int i;

    xlu_checkpoint_list_init(&list);
    if (!found && !xlu_checkpoint_list_all(cat, &list))
        for (i = 0; i < list.num_checkpoints; i++)
            found |= !strcmp(list.checkpoints[i].name, name);
    xlu_checkpoint_list_dispose(&list);
    return found;
}

int bk_save_choose_name(struct bk_save *s, xlu_snapshot_catalogue *cat)
{
    time_t now = s->set.time;
    struct stat st;
    char text[32];
    struct tm tm;
    int i;

    if (s->o->checkpoint) {
        const char *wrong = bk_name_problem(s->o->checkpoint);

        if (wrong) {
            xl_say("the checkpoint's name %s", wrong);
            return XL_EXIT_USAGE;
        }
        s->set.name = xl_strdup(s->o->checkpoint);
        if (!fstatat(s->folder.fd, s->set.name, &st, 0)) {
            xl_say("%s/%s is there already", s->folder.path, s->set.name);
            return XL_EXIT_EXISTS;
        }
        return 0;
    }
    gmtime_r(&now, &tm);
    strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &tm);
    s->set.name = xl_strdup(text);
    for (i = 2; taken(s, cat, s->set.name); i++) {
        free(s->set.name);
        s->set.name = xl_printf("%s-%d", text, i);
    }
    return 0;
}

/* --- the checkpoints of those before it --- */

/* One of this folder's: by its entry, or, if that was made anew from the
 * image, by the set that has its number. */
static bool is_ours(const struct bk_save *s, const xlu_checkpoint *c)
{
    const struct bk_set *set = bk_find(s->folder.sets, s->folder.num,
                                       c->name);

    if (c->folder)
        return !strcmp(c->folder, s->folder.path);
    return set && set->sequence && set->sequence == c->sequence;
}

/* The one before stays as well: this set may turn out to be damaged. */
static bool is_needed(const struct bk_save *s, const char *name)
{
    const struct bk_set *before = bk_newest(s->folder.sets, s->folder.num);

    return !strcmp(name, s->set.name) ||
           (before && !strcmp(name, before->name)) ||
           (s->o->since && !strcmp(name, s->o->since));
}

void bk_save_tidy(struct bk_save *s, struct xl_session *session)
{
    xlu_checkpoint_list list;
    int i, rc;

    if (s->o->keep_checkpoints)
        return;
    xlu_checkpoint_list_init(&list);
    rc = xlu_checkpoint_list_all(session->cat, &list);
    for (i = 0; i < list.num_checkpoints && !rc; i++) {
        const xlu_checkpoint *c = &list.checkpoints[i];

        if (is_ours(s, c) && !is_needed(s, c->name))
            rc = xlu_checkpoint_delete(session->cat, c->name, NULL);
    }
    if (rc)
        xl_say("domain %s: checkpoints of earlier sets are left; the next "
               "backup-save deletes them", s->set.domain);
    xlu_checkpoint_list_dispose(&list);
}
