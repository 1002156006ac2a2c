/* SPDX-License-Identifier: LGPL-2.1-only */
/* Calls about the paths of disks, which belong to no one snapshot. */
#include <stdlib.h>
#include <string.h>

#include "disk/disk.h"
#include "disk/files.h"

int libxl_domain_disk_names_put_right(libxl_ctx *ctx, const char *path,
                                      const libxl_snapshot_how *how)
{
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, ctx, XLSS_OFF, "disk names", how);
    if (!rc)
        rc = libxlss__name_put_right(&op, path);
    libxlss__op_end(&op);
    return rc;
}

char *libxl_domain_disk_settled_path(libxl_ctx *ctx, const char *path,
                                     const libxl_snapshot_how *how)
{
    struct libxlss__op op;
    char *settled = NULL;

    if (!libxlss__op_begin(&op, ctx, XLSS_OFF, "disk names", how))
        settled = strdup(libxlss__name_settled(&op, path));
    libxlss__op_end(&op);
    return settled;
}
