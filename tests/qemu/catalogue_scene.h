/* SPDX-License-Identifier: LGPL-2.1-only */
/* A catalogue in the bed's folder, on top of the library and a real QEMU. */
#ifndef CATALOGUE_SCENE_H
#define CATALOGUE_SCENE_H

#include <stdbool.h>
#include <stdint.h>

#include <xlu_snapshot.h>

#include "pull_scene.h"

extern xlu_snapshot_catalogue *cat;

/* What a command begins with. */
int reopen(void);
void close_catalogue(void);
/* A bed, and its catalogue. */
void begin(int disks);
void end(void);
/* In a child that is killed at its n-th call; then the guest is let run, as by
 * the guard, and the catalogue opened again. True: it came to its end. */
bool die_at(int n, int (*what)(void));

/* In the catalogue, by age, as one text. */
const char *checkpoints(void);
/* Bytes, of all disks. */
uint64_t dirty_since(const char *since);
/* Nothing of a backup is in QEMU, beside the images or in the catalogue. */
void expect_clean(void);

#endif
