/* SPDX-License-Identifier: LGPL-2.1-only */
/* From the libraries' error codes to exit codes: the one place for it. */
#include <stddef.h>

#include <libxl_snapshot.h>

#include "xl_exit.h"

#define CODE(rc, status) { rc, #rc, status }

const struct xl_exit_code xl_exit_codes[] = {
    /* The caller's words: names are checked before the libraries see them. */
    CODE(ERROR_INVAL,                               XL_EXIT_USAGE),

    CODE(ERROR_DOMAIN_NOTFOUND,                     XL_EXIT_NOT_FOUND),
    CODE(ERROR_DOMAIN_DESTROYED,                    XL_EXIT_NOT_FOUND),
    CODE(ERROR_NOTFOUND,                            XL_EXIT_NOT_FOUND),
    CODE(LIBXL_SNAPSHOT_ERROR_SNAPSHOT_NOT_FOUND,   XL_EXIT_NOT_FOUND),

    CODE(ERROR_DEVICE_EXISTS,                       XL_EXIT_EXISTS),
    CODE(LIBXL_SNAPSHOT_ERROR_EXISTS,               XL_EXIT_EXISTS),

    CODE(ERROR_LOCK_FAIL,                           XL_EXIT_BUSY),
    CODE(LIBXL_SNAPSHOT_ERROR_BUSY,                 XL_EXIT_BUSY),

    CODE(ERROR_NI,                                  XL_EXIT_NOT_POSSIBLE),
    CODE(ERROR_NOPARAVIRT,                          XL_EXIT_NOT_POSSIBLE),
    CODE(ERROR_FEATURE_REMOVED,                     XL_EXIT_NOT_POSSIBLE),
    CODE(LIBXL_SNAPSHOT_ERROR_LIVE_NOT_POSSIBLE,    XL_EXIT_NOT_POSSIBLE),
    CODE(LIBXL_SNAPSHOT_ERROR_IMAGE_OPEN_TWICE,     XL_EXIT_NOT_POSSIBLE),
    CODE(LIBXL_SNAPSHOT_ERROR_BITMAP_BROKEN,        XL_EXIT_NOT_POSSIBLE),
    CODE(LIBXL_SNAPSHOT_ERROR_NO_QEMU,              XL_EXIT_NOT_POSSIBLE),
    CODE(LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE,         XL_EXIT_NOT_POSSIBLE),
    CODE(LIBXL_SNAPSHOT_ERROR_FOREIGN_BITMAPS,      XL_EXIT_NOT_POSSIBLE),

    CODE(LIBXL_SNAPSHOT_ERROR_DAMAGED,              XL_EXIT_DAMAGED),

    CODE(LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR,         XL_EXIT_REPAIR),

    /* XL_EXIT_FAILED, by name since the manual names them. */
    CODE(ERROR_FAIL,                                XL_EXIT_FAILED),
    CODE(ERROR_ABORTED,                             XL_EXIT_FAILED),
    CODE(LIBXL_SNAPSHOT_ERROR_NOT_SUSPENDED,        XL_EXIT_FAILED),
    CODE(LIBXL_SNAPSHOT_ERROR_NOT_QUIESCED,         XL_EXIT_FAILED),
    CODE(LIBXL_SNAPSHOT_ERROR_QEMU_DIED,            XL_EXIT_FAILED),
    CODE(LIBXL_SNAPSHOT_ERROR_NO_SPACE,             XL_EXIT_FAILED),
    /* The revert failed and the domain is where it was before it. */
    CODE(LIBXL_SNAPSHOT_ERROR_WENT_BACK,            XL_EXIT_FAILED),
    { 0, NULL, 0 },
};

int xl_exit_status(int rc)
{
    const struct xl_exit_code *c;

    if (rc == 0)
        return XL_EXIT_DONE;
    for (c = xl_exit_codes; c->name; c++) {
        if (c->rc == rc)
            return c->status;
    }
    return XL_EXIT_FAILED;
}
