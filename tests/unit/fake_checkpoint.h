/* SPDX-License-Identifier: LGPL-2.1-only */
/* Checkpoints of fake_lxs's domain: what its disks have. Shared with forked
 * children, as that is. */
#ifndef FAKE_CHECKPOINT_H
#define FAKE_CHECKPOINT_H

#include <libxl_snapshot.h>

#define FAKE_CHECKPOINTS 16

typedef struct {
    struct {
        char name[64];
        uint64_t seq;
        bool broken, gone;
    } list[FAKE_CHECKPOINTS];
    int num;
    int crash_before, crash_after;      /* this call ends the process */
    int fail_after;             /* this one is done, and reports failure */
    int calls;                  /* of create and delete */
    int deleted_missing;
    bool busy;                  /* a job runs: nothing can be told */
} fake_checkpoint_world;

extern fake_checkpoint_world *fake_checkpoints;

void fake_checkpoint_reset(void);
/* For fake_lxs: the number of one that is to begin; 0: there is one. */
uint64_t fake_checkpoint_number(const char *name, uint64_t known);
void fake_checkpoint_begin(const char *name, uint64_t seq);
void fake_checkpoint_undo(const char *name, uint64_t seq);

#endif
