/* SPDX-License-Identifier: LGPL-2.1-only */
/* The header of an image, and a bitmap that is stored in it. */
#include <unistd.h>

#include "checkpoint/checkpoint.h"
#include "disk/files.h"
#include "fuzz.h"
#include "lss_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct libxlss__qcow2 q;
    libxl_disk_dirty dirty;
    struct libxlss__op op;
    const char *path;
    int fd;

    lss_op_start(&op);
    path = fuzz_file(data, size, &fd);
    libxlss__qcow2_read(&op, path, &q);
    libxl_disk_dirty_init(&dirty);
    libxlss__bitmap_read(&op, path, "dirty", 1 << 20, &dirty);
    libxl_disk_dirty_dispose(&dirty);
    close(fd);
    lss_op_stop(&op);
    return 0;
}
