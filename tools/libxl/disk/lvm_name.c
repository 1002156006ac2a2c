/* SPDX-License-Identifier: LGPL-2.1-only */
#include <stdio.h>
#include <string.h>

#include "lvm.h"

#define HASH_LEN 18     /* "-x" and 16 digits */

static const char plain[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+_.-";

/* lvm(8), VALID NAMES: kept for LVM's own volumes. */
static bool is_reserved(const char *name)
{
    static const char *const parts[] = {
        "_cdata", "_cmeta", "_corig", "_cpool", "_cvol", "_wcorig",
        "_mimage", "_mlog", "_pmspare", "_rimage", "_rmeta", "_tdata",
        "_tmeta", "_vdata", "_vorigin", "_imeta", "_iorig",
    };
    size_t i;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (strstr(name, parts[i]))
            return true;
    return !strncmp(name, "snapshot", 8) || !strncmp(name, "pvmove", 6);
}

/* As long as its device's name makes it. */
static size_t mapper_len(const char *name)
{
    size_t len = 0;

    for (; *name; name++)
        len += *name == '-' ? 2 : 1;
    return len;
}

static bool fits_mapper(const char *vg, const char *lv)
{
    return mapper_len(vg) + 1 + mapper_len(lv) < LVM_NAME;
}

bool libxlss__lvm_name_ok(const char *vg, const char *lv)
{
    return *vg && *lv && *vg != '-' && *lv != '-' &&
           !vg[strspn(vg, plain)] && !lv[strspn(lv, plain)] &&
           strcmp(lv, ".") && strcmp(lv, "..") && !is_reserved(lv) &&
           fits_mapper(vg, lv);
}

/* FNV-1a, 64 bits. */
static uint64_t hash(const char *s)
{
    uint64_t h = 0xcbf29ce484222325;

    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3;
    return h;
}

/* '.' is neither doubled by device-mapper nor part of a reserved name. */
static void replace(char *s, bool underscores)
{
    for (; *s; s++)
        if (!strchr(plain, *s) || (underscores && *s == '_'))
            *s = '.';
}

void libxlss__lvm_volume(const char *vg, const char *lv, const char *name,
                         char volume[LVM_NAME])
{
    char tail[HASH_LEN + 1];
    size_t len;
    int n = snprintf(volume, LVM_NAME, "%s.%s", lv, name);

    if (n < LVM_NAME && libxlss__lvm_name_ok(vg, volume))
        return;
    snprintf(tail, sizeof(tail), "-x%016llx", (unsigned long long)hash(name));
    if (strlen(lv) < strlen(volume))
        replace(volume + strlen(lv), is_reserved(volume));
    len = strlen(volume);
    do {
        if (len > LVM_NAME - 1 - HASH_LEN)
            len = LVM_NAME - 1 - HASH_LEN;
        strcpy(volume + len, tail);
    } while (!fits_mapper(vg, volume) && len-- > 1);
}

bool libxlss__lvm_split(const char *mapper, char vg[LVM_NAME],
                        char lv[LVM_NAME])
{
    char *to = vg;
    bool in_lv = false;

    if (strlen(mapper) >= LVM_NAME)
        return false;
    for (; *mapper; mapper++) {
        if (*mapper != '-') {
            *to++ = *mapper;
        } else if (mapper[1] == '-') {
            *to++ = '-';
            mapper++;
        } else if (in_lv) {
            return false;       /* a part of a volume: VG-LV-real */
        } else {
            in_lv = true;
            *to = '\0';
            to = lv;
        }
    }
    *to = '\0';
    return in_lv && *vg && *lv;
}

bool libxlss__lvm_path(const char *path, char vg[LVM_NAME],
                       char lv[LVM_NAME])
{
    const char *slash;

    if (strncmp(path, "/dev/", 5))
        return false;
    path += 5;
    if (!strncmp(path, "mapper/", 7))
        return libxlss__lvm_split(path + 7, vg, lv);
    slash = strchr(path, '/');
    if (!slash || slash - path >= LVM_NAME || strlen(slash + 1) >= LVM_NAME)
        return false;
    memcpy(vg, path, slash - path);
    vg[slash - path] = '\0';
    strcpy(lv, slash + 1);
    return libxlss__lvm_name_ok(vg, lv);
}
