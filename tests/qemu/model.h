/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the guest has written on each disk since each checkpoint, and what each
 * disk holds. */
#ifndef MODEL_H
#define MODEL_H

#include <stdint.h>

#include "libxl_snapshot.h"

#define MODEL_SIZE (64ULL << 20)        /* the bed's disks */

/* What qemu-img writes when it moves data counts as written: more may be
 * dirty than was written, and nothing less. Until the next reset. */
void model_be_lax(void);
void model_reset(void);
void model_begin(const char *name);
/* Its writes are its predecessor's, if it has one. */
void model_end(const char *name);
int model_num(void);
const char *model_name(int i);

/* By the guest's device, noted. */
void model_write(int disk, uint64_t offset, uint64_t length);
void model_write_some(int num);
/* Only noted. */
void model_note(int disk, uint64_t offset, uint64_t length);

/* What the disks hold: nothing; by model_write; this, by other means. */
void model_blank(void);
void model_hold(int disk, uint64_t offset, uint64_t length, int pattern);
/* To come back to it; the caller frees it. */
void *model_copy(void);
void model_go_back(const void *copy);
/* As it was when the i-th checkpoint began; the caller frees it. */
void *model_copy_at(int i);
/* As a raw image. */
void model_image(int disk, const char *path);

/* Exactly this; until -1: until now. */
void model_expect(int disk, int since, int until,
                  const libxl_disk_dirty *dirty);
/* All in which the disk differs now from the copy, and perhaps more. */
void model_expect_since(const void *copy, int disk,
                        const libxl_disk_dirty *dirty);
void model_qemu_img(int disk, const char *command);

#endif
