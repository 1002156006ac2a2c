/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * One domain with two disks, and libxl and libxlsnapshot as far as the
 * catalogue calls them. Its memory and each of its disks are one number.
 * The state is shared with forked children, so that a child may crash in
 * the middle and the parent can look at what it left.
 */
#ifndef FAKE_LXS_H
#define FAKE_LXS_H

#include <stdbool.h>
#include <stdint.h>

#include <libxl_snapshot.h>

#define FAKE_NAME "web1"
#define FAKE_UUID "6f2c5b0e-6d3a-4a52-9c39-0b1c2d3e4f50"
#define FAKE_DISKS 2
#define FAKE_SNAPS 16

typedef struct {
    char name[256];
    int value;
} fake_snap;

typedef struct {
    bool running, paused, suspended;
    uint32_t domid, next_domid;
    bool internal_only;         /* else the second disk is a reflink */
    int memory;
    int disk[FAKE_DISKS];
    fake_snap snaps[FAKE_DISKS][FAKE_SNAPS];
    uint64_t memkb;
    int image_kib;              /* written after the number, of zeroes */
    bool random;                /* not of zeroes */

    int calls;                  /* seams passed */
    int fail_at;                /* the one that fails, once */
    int crash_at;               /* the one at which the process ends */
    int fail_rc;
    bool verify_damaged;
    bool can_freeze;            /* its guest agent does as it is asked */
    bool thawed;                /* the last recovery was told to */
    bool image_gone[FAKE_DISKS];
    bool stopped;               /* QEMU is, and nothing else */
    bool guard_works;           /* after a death */
    char exported[256];         /* the label of what is; "": nothing */
    char file[256];             /* what libxl_disk_file_look tells of xvda */
    libxl_disk_file_role file_role;
    int named;                  /* names put right, or libxl told */
    char frozen[256];           /* it and those that begin so bear the mark */
    int merges;                 /* libxl_domain_disk_merge, so often */
    int ended;                  /* recoveries of one */
    char merged[512];           /* vdevs, direction and keep of the last */
    char steps[512];            /* words of the steps announced */
} fake_world;

extern fake_world *fake;

/* A domain that runs, with memory and disks 1, no snapshots. */
void fake_reset(void);
libxl_ctx *fake_ctx(void);
/* How many snapshots are on the disks, or of that name. */
int fake_num_snaps(const char *name);

/* All that was logged since the last clear. */
xentoollog_logger *fake_logger(void);
const char *fake_log(void);
void fake_log_clear(void);


#endif
