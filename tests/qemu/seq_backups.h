/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the good and the bad backups of a sequence share. */
#ifndef SEQ_BACKUPS_H
#define SEQ_BACKUPS_H

#include "seq.h"

struct seq_backup {
    int n;                      /* files bN-VDEV and truth-bN-D, mark cN */
    int life, merged_off;       /* see seq_life and seq_merged_off */
};

/* The one that is under way, and its number; good ones are in the list. */
extern libxl_domain_backup_args seq_b;
extern int seq_next;

bool backup_list_is_full(void);
/* The last one more often than any other; NULL: there is none. */
const struct seq_backup *backup_choose(void);
bool backup_in_model(const char *name);
void backup_set_args(const struct seq_backup *since);
void backup_set_target(int disk, const char *target,
                       libxl_disk_format format);

/* The model is told of the instant. */
int backup_start(void);
void backup_no_limit(void);
void backup_wait(void);
/* Nothing of it is in QEMU or beside the images. */
void backup_expect_clean(void);
/* It is done, and joins the list. */
void backup_is_good(void);

#endif
