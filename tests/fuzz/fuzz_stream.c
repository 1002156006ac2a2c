/* SPDX-License-Identifier: LGPL-2.1-only */
/* A memory image: xl's header, then libxl's stream. */
#include <stdlib.h>
#include <unistd.h>

#include "fuzz.h"
#include "lss_test.h"
#include "xluss.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *config = NULL;
    struct libxlss__op op;
    const char *path;
    int fd;

    lss_op_start(&op);
    path = fuzz_file(data, size, &fd);
    if (!xluss__header_read(op.lg, fd, path, &config))
        libxlss__stream_verify(&op, fd);
    free(config);
    close(fd);
    lss_op_stop(&op);
    return 0;
}
