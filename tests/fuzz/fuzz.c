/* SPDX-License-Identifier: LGPL-2.1-only */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

const char *fuzz_file(const uint8_t *data, size_t size, int *fd_r)
{
    static char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size ||
        lseek(fd, 0, SEEK_SET))
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    *fd_r = fd;
    return path;
}
