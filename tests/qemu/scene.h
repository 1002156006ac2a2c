/* SPDX-License-Identifier: LGPL-2.1-only */
/* What nearly every test on the bed needs: a snapshot, its memory's file. */
#ifndef SCENE_H
#define SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bed.h"
#include "fake_libxl.h"
#include "group.h"

extern libxl_ctx *ctx;
extern libxl_snapshot_how how;
extern libxl_domain_snapshot_args args;
extern int fd;
extern bool live;               /* what create() asks for */

/* Logger and ctx; false: no ctx. */
bool scene_begin(void);
int quiet_step(libxl_ctx *unused, libxl_snapshot_step step, uint64_t done,
               uint64_t total, void *user);

void make_bed(int disks, bool hvm, bool twin);
void remove_bed(void);
/* After a test, see group.h. */
int scene_abandon(void **state);
int memory_file(const char *name);

/* Always from fresh arguments. */
int create(const char *name, libxl_domain_snapshot_args *args, int fd);
/* The configuration is the bed's; domid: of the domain, if it exists. */
int revert(const libxl_domain_snapshot_args *args, int fd,
           libxl_domain_snapshot_safety *safety, uint32_t *domid);

/* Every disk's MiB 0 and the memory: `pattern`; MiB 5 is 9 from the start. */
void write_disks(int pattern);
void expect_running(void);
/* QEMU is off. */
void expect_disks(int pattern);

#endif
