/* SPDX-License-Identifier: LGPL-2.1-only */
/* A checkpoint's name, and that of its bitmap: xlss-c-SEQ-NAME. */
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define WORD LETTERS "0123456789_-"

/* As libvirt's domaincheckpoint.rng has it. */
bool libxlss__checkpoint_name_ok(const char *name)
{
    size_t len = name ? strlen(name) : 0;

    return len && len <= XLSS_CHECKPOINT_NAME_MAX && name[0] != '.' &&
           strspn(name, WORD ".") == len;
}

int libxlss__checkpoint_check_name(struct libxlss__op *op, const char *name)
{
    if (libxlss__checkpoint_name_ok(name))
        return 0;
    LOG_ERROR(op, "a checkpoint can't be called \"%s\": letters, digits, "
              "_ - and . are allowed, no . at the beginning, %d at most",
              name ? name : "", XLSS_CHECKPOINT_NAME_MAX);
    return ERROR_INVAL;
}

char *libxlss__checkpoint_bitmap(struct libxlss__op *op, uint64_t seq,
                                 const char *name)
{
    return libxlss__printf(op, XLSS_CHECKPOINT_PREFIX "%llu-%s",
                           (unsigned long long)seq, name);
}

char *libxlss__checkpoint_part(struct libxlss__op *op, uint64_t seq,
                               const char *name)
{
    return libxlss__printf(op, XLSS_PART_PREFIX "%llu-%s",
                           (unsigned long long)seq, name);
}

bool libxlss__checkpoint_parse(const char *bitmap, uint64_t *seq_r,
                               const char **name_r, bool *part_r)
{
    const size_t prefix = strlen(XLSS_CHECKPOINT_PREFIX);
    const char *digits, *name;
    size_t len;

    *part_r = !strncmp(bitmap, XLSS_PART_PREFIX, prefix);
    if (!*part_r && strncmp(bitmap, XLSS_CHECKPOINT_PREFIX, prefix))
        return false;
    /* 18 digits fit; no zero in front, so that each number has one form. */
    digits = bitmap + prefix;
    len = strspn(digits, "0123456789");
    name = digits + len;
    if (!len || len > 18 || digits[0] == '0' || *name++ != '-' ||
        !libxlss__checkpoint_name_ok(name))
        return false;
    *seq_r = strtoull(digits, NULL, 10);
    *name_r = name;
    return true;
}
