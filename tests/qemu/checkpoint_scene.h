/* SPDX-License-Identifier: LGPL-2.1-only */
/* What tests of checkpoints need: each call, and the model told of it. */
#ifndef CHECKPOINT_SCENE_H
#define CHECKPOINT_SCENE_H

#include "scene.h"

extern libxl_domain_checkpoint_args last_checkpoint;

void make(int disks);
void end(void);
/* QEMU ends in an orderly way, and comes again. */
void restart(void);

int checkpoint(const char *name);
int end_checkpoint(const char *name);
/* a, b.1 and c_-, with writes after each. */
void three_checkpoints(void);
int num_bitmaps(const char *vdev);

/* until, vdev: NULL is now, and every disk. */
int dirty(const char *since, const char *until, const char *vdev,
          libxl_domain_dirty *out);
/* Is it known what was written since then? */
int since(const char *name, const char *vdev);
void expect_broken(const char *name);
/* As the model says; until -1: until now. */
void expect_range(int since, int until);
/* Between any two, and from each until now. */
void expect_model(void);

/* External, of every disk; without memory. */
int snapshot(const char *name);
int snapshot_with(int memory_fd, const char *name);
/* The last one is deleted. */
int merge(void);

#endif
