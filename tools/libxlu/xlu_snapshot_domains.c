/* SPDX-License-Identifier: LGPL-2.1-only */
/* All the domains that have a catalogue. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "xluss.h"

static int by_name(const void *a, const void *b)
{
    return strcmp(((const xlu_snapshot_domain *)a)->name,
                  ((const xlu_snapshot_domain *)b)->name);
}

int xlu_snapshot_domains(libxl_ctx *ctx, xentoollog_logger *lg,
                         const char *root, xlu_snapshot_domain **out,
                         int *num_out)
{
    DIR *dir = opendir(root ? root : XLU_SNAPSHOT_ROOT);
    xlu_snapshot_domain *list = NULL, one;
    struct dirent *de;
    int num = 0, rc = 0;

    while (dir && !rc && (de = readdir(dir))) {
        if (!xluss__uuid_valid(de->d_name))
            continue;
        rc = xlu_snapshot_find_domain(ctx, lg, root, de->d_name, &one);
        if (rc)
            continue;
        list = xluss__realloc(list, (num + 1) * sizeof(*list));
        list[num++] = one;
    }
    if (dir)
        closedir(dir);
    if (num)
        qsort(list, num, sizeof(*list), by_name);
    *out = list;
    *num_out = num;
    return rc;
}

bool xlu_snapshot_any(const char *root)
{
    DIR *dir = opendir(root ? root : XLU_SNAPSHOT_ROOT);
    struct dirent *de;
    bool any = false;

    while (dir && !any && (de = readdir(dir)))
        any = xluss__uuid_valid(de->d_name);
    if (dir)
        closedir(dir);
    return any;
}
