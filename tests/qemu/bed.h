/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The test bed: qcow2 disks in a folder of its own, and a real QEMU that has
 * them open the way libxl's does: a node VDEV-qcow2 without locks, anonymous
 * BlockBackends, and, with `twin`, the same image a second time as ide0-hd0.
 */
#ifndef BED_H
#define BED_H

#include <stdbool.h>
#include <sys/types.h>

#include <libxl.h>

#include "json.h"

#define BED_MAX_DISKS 8

struct bed {
    char dir[64];
    int num_disks;
    char path[BED_MAX_DISKS][192];      /* as the configuration says */
    const char *format[BED_MAX_DISKS];
    const char *vdev[BED_MAX_DISKS];
    bool phy[BED_MAX_DISKS];    /* a raw file that no QEMU has */
    bool twin;                  /* disk 0 is emulated too */
    bool cdrom;                 /* the last one is a CD-ROM */
    pid_t qemu;                 /* 0: none */
};

extern struct bed bed;

void bed_make(int num_disks, bool twin);
/* The next bed's disk is raw. */
void bed_next_raw(int disk);
/* It is raw, and blkback's. */
void bed_next_phy(int disk);
/* The next bed's folder is made there; /tmp otherwise. */
void bed_next_base(const char *folder);
/* The next bed's disks are so large, in qemu-img's words; 64M otherwise. */
void bed_next_size(const char *size);
void bed_remove(void);
void bed_start_qemu(void);
/* As libxl_domain_destroy: SIGHUP, and not waited for. */
void bed_hangup_qemu(void);
void bed_kill_qemu(void);
/* Ends it in an orderly way and waits. */
void bed_stop_qemu(void);

/* A command on a monitor of the test's own; the caller frees *v_r. */
int bed_qmp_reply(const char *command, const char *arguments, yajl_val *v_r);
int bed_qmp(const char *command, const char *arguments);
bool bed_running(void);         /* query-status */
/* A node that the library has made for a backup or a checkpoint; NULL: QEMU
 * has none. Until the next call. */
const char *bed_node_left(void);

/* Fills a MiB of a disk through the node that the guest uses. */
void bed_write(int disk, int mib, int pattern);
/* With QEMU off: is the MiB so? */
bool bed_reads(int disk, int mib, int pattern);
bool bed_has_snapshot(int disk, const char *name);
int bed_num_snapshots(int disk);
bool bed_check_clean(int disk);
void bed_repair_leaks(void);
void bed_config(libxl_ctx *ctx, libxl_domain_config *config);
/* A domain is made from this configuration: these are its disks now. */
void bed_use_config(const libxl_domain_config *config);
int bed_disk(const char *vdev);         /* -1: no such disk */
/* Ends a bed that a test which failed has left. */
void bed_abandon(void);

#endif
