/* SPDX-License-Identifier: LGPL-2.1-only */
/* A filesystem of the test's own, and a domain whose disks are on it. */
#ifndef STORAGE_SCENE_H
#define STORAGE_SCENE_H

#include "scene.h"

extern char top[64];            /* where the filesystem is mounted */
extern libxl_domain_snapshot_safety safety;

int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* kinds: a letter for each disk: q(cow2), r(aw), p(hy). */
void make_disks(const char *kinds, bool hvm);
void end(void);
/* The disk's kind is for the next create. */
void ask(const char *vdev, libxl_disk_snapshot_kind kind);
void fresh_args(void);

/* With the kinds that were asked for. */
int take(const char *name);
int take_back(bool safe);
int delete(void);

/* Files beside the disks, sockets and locks excepted. */
int num_clones(void);
const char *clone_of(int disk, const char *name);

/* The whole of a program: its exit status. on_xfs NULL: no tests there. A
 * filesystem that isn't to be had here is passed over. */
int run_on_both(int (*on_btrfs)(void), int (*on_xfs)(void));

#endif
