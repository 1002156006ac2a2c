/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A view of the bed's disks and its export, and the readers of those: nbdcopy,
 * nbdinfo and qemu-img.
 */
#ifndef NBD_SCENE_H
#define NBD_SCENE_H

#include "pull_scene.h"

extern libxl_block_snapshot view;
extern libxl_block_export args;

/* A new view, in place of the last one. */
int snapshot(const char *since, const char *checkpoint);
int drop(void);
/* args are those of a new export of the view. */
void fresh(void);
int export(void);
int stop(void);
int num_exports(void);
/* To BED/copy; its exit status. */
int copy(int disk);
/* What is read of the export's n-th disk is what that was. */
void expect_truth(int disk);
/* Of QEMU's private server: those of its connections that are open. */
int num_connections(void);
/* Nothing of an export is left. */
void expect_clean(void);
/* Export, view and bed end, and the image is clean. */
void finish(void);
/* The map of the changes, as "START LENGTH," of each dirty part. */
void expect_dirty(int disk, const char *text);
/* base:allocation: so much data, and no hole that may have data or not. */
void expect_no_holes(int disk, int data_mib);

#endif
