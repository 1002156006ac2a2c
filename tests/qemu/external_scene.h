/* SPDX-License-Identifier: LGPL-2.1-only */
/* What tests of external snapshots need beside the scene. */
#ifndef EXTERNAL_SCENE_H
#define EXTERNAL_SCENE_H

#include "scene.h"

/* Paths as the bed has them first. */
extern char first[BED_MAX_DISKS][192];

void make_external(int disks);
void end(void);
/* QEMU 10: the disk keeps its path. */
bool in_place(void);

/* Always from fresh arguments; path: of the first disk, or NULL. */
int create_kind(const char *name, libxl_domain_snapshot_args *a,
                libxl_disk_snapshot_kind kind, const char *path);
int external(const char *name, libxl_domain_snapshot_args *a);
int delete(const libxl_domain_snapshot_args *a);

/* Domain and QEMU are gone, as by xl destroy. */
void turn_off(void);
/* As `xl create` with the user's configuration, which names first[]. */
void start_from_first(void);

/* Which file is looked at, or started from, next. */
void look_at(int disk, const char *path, const char *suffix);
bool exists(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool immutable(const char *path);
int num_files(void);
int run_in_bed(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
