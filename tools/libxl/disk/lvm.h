/* SPDX-License-Identifier: LGPL-2.1-only */
/* LVM's names, and what its commands say. */
#ifndef LIBXLSS_LVM_H
#define LIBXLSS_LVM_H

#include "../libxlss_internal.h"

/* device-mapper's limit for the name of a device, with its NUL. */
#define LVM_NAME 128

/* lvm_name.c: pure. */
/* VG and LV of a device's name in /dev/mapper, where '-' is doubled. */
bool libxlss__lvm_split(const char *mapper, char vg[LVM_NAME],
                        char lv[LVM_NAME]);
/* The same of /dev/VG/LV and /dev/mapper/NAME. */
bool libxlss__lvm_path(const char *path, char vg[LVM_NAME],
                       char lv[LVM_NAME]);
/* A name that LVM takes? */
bool libxlss__lvm_name_ok(const char *vg, const char *lv);
/*
 * The volume that keeps lv's snapshot `name`: LV.NAME. Where LVM would not
 * take that, the name's characters are replaced, and a hash of it follows.
 */
void libxlss__lvm_volume(const char *vg, const char *lv, const char *name,
                         char volume[LVM_NAME]);

/* lvm_report.c */
struct libxlss__lv {
    char *name, *pool, *tags;   /* never NULL; tags joined by commas */
    char attr[10];              /* lvs(8): lv_attr */
    uint64_t size;              /* bytes */
    double data, metadata;      /* of a pool: per cent in use */
};

struct libxlss__lvm_group {
    struct libxlss__lv *lvs;
    int num_lvs;
};

/* Runs `lvm argv...`; says why it failed. out_r may be NULL. */
int libxlss__lvm_run(struct libxlss__op *op, const char *const argv[],
                     char **out_r);
/* All volumes of a group. */
int libxlss__lvm_read(struct libxlss__op *op, const char *vg,
                      struct libxlss__lvm_group *group);
const struct libxlss__lv *
libxlss__lvm_find(const struct libxlss__lvm_group *group, const char *lv);
bool libxlss__lvm_is_thin(const struct libxlss__lv *lv);
bool libxlss__lvm_is_open(const struct libxlss__lv *lv);
bool libxlss__lvm_has_tag(const struct libxlss__lv *lv, const char *tag);

#endif
