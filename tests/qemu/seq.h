/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A sequence of operations on two disks, chosen by a seed, and what must be
 * true of what they leave behind (test_sequences.c).
 */
#ifndef SEQ_H
#define SEQ_H

#include "checkpoint_scene.h"
#include "model.h"
#include "shell.h"

#define SEQ_DISKS 2

/* Paths as the user's configuration has them. */
extern char seq_settled[SEQ_DISKS][192];

/* Once in n times. */
bool chance(int n);
/* What is done next; printed where the sequence fails. */
__attribute__((format(printf, 1, 2)))
void say(const char *fmt, ...);

/* The domain is off and on again; by the user's configuration. */
void seq_turn_off(void);
void seq_turn_on(void);
/* QEMU is killed, and what the guest was told to be on the disk is. */
void seq_kill(void);
void seq_flush(void);
/* From now on one call fails, perhaps after it did what it should. */
void seq_arm(void);
void seq_disarm(void);

/* seq_snapshots.c */
void snaps_reset(void);
void snap_take(const char *name);
/* One of them; with the domain off, perhaps. */
void snap_delete(void);
/* Back to one of them, where nothing inside of the guest's images would have
 * to be kept for another. */
void snap_revert(void);
/* What no snapshot needs leaves the chain. */
void snaps_merge(void);
/* With the domain off: is each what it was? */
void snaps_verify(void);

/* seq_backups.c */
void backups_reset(void);
void backup_full(void);
/* Since one of those before, if its checkpoint is there; full otherwise. */
void backup_incremental(void);
void backup_fails(void);
/* One call on its way fails. */
void backup_meets_a_fault(void);
/* seq_pulls.c: one that is read by NBD, in full or since another. */
void pull_reads(void);
/* Is each, with those that it is based on, what it was? */
void backups_verify(void);
/* QEMU has died, or the disks went back: no checkpoint is of use. */
void seq_all_broken(bool went_back);
extern int seq_life;            /* so often */
extern int seq_merged_off;      /* deletions with the domain off, so far */

#endif
