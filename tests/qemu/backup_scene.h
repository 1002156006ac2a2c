/* SPDX-License-Identifier: LGPL-2.1-only */
/* A push backup of the bed's disks. */
#ifndef BACKUP_SCENE_H
#define BACKUP_SCENE_H

#include "pull_scene.h"

extern libxl_domain_backup_args args;

void add_target(const char *vdev, const char *target,
                libxl_disk_format format);
/* Every disk, to BED/NAME-VDEV. */
void targets(const char *name, libxl_disk_format format);
/* As another process would: nothing is known but the domain. */
void forget(void);

int start(void);
libxl_backup_state wait_for_end(void);
int finish(void);
int cancel(void);

/* Nothing of us is in QEMU or beside the images, and the guest runs. */
void expect_clean(void);
/* QEMU is stopped. */
void expect_disks_whole(void);

#endif
