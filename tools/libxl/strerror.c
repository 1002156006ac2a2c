/* SPDX-License-Identifier: LGPL-2.1-only */
#include "libxlss_internal.h"

const char *libxl_snapshot_strerror(int rc)
{
    const char *word = NULL;

    if (!rc)
        return "success";
    if (rc <= -1000)
        word = libxl_snapshot_error_to_string(rc);
    else
        word = libxl_error_to_string(rc);
    return word ? word : "unknown error";
}
