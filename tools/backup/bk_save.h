/* SPDX-License-Identifier: LGPL-2.1-only */
/* One run of backup-save; its parts return exit codes. */
#ifndef BK_SAVE_H
#define BK_SAVE_H

#include <xlu_backup.h>

#include "bk.h"
#include "xl_session.h"

struct bk_save {
    const struct xl_globals *globals;
    const struct xl_save_options *o;
    struct bk_folder folder;
    struct bk_set *base;        /* NULL: a full one */
    bool lost;                  /* incremental was expected, and can't be */
    struct bk_set set;
    xlu_backup_save rec;
    char *config;
    int lock;                   /* says that we live */
    int disk;                   /* that is being copied */
};

/* --- bk_save_base.c --- */

/* No incremental backup, and why: the end of it with --strict, else a full
 * one. */
int bk_save_lose(struct bk_save *s, const char *why);
int bk_save_find_base(struct bk_save *s);
/* A folder is one domain's. */
int bk_save_check_owner(struct bk_save *s, const xlu_snapshot_domain *dom);
/* A checkpoint of the name may be a later one. */
int bk_save_check_checkpoint(struct bk_save *s, xlu_snapshot_catalogue *cat);
int bk_save_choose_name(struct bk_save *s, xlu_snapshot_catalogue *cat);
/*
 * The set is complete: deletes the checkpoints of earlier ones in the folder
 * that no set will be based on. What can't be deleted now is the next one's
 * to delete.
 */
void bk_save_tidy(struct bk_save *s, struct xl_session *session);

#endif /* BK_SAVE_H */
