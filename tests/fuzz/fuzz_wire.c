/* SPDX-License-Identifier: LGPL-2.1-only */
/* Whatever comes over QMP's socket, cut into lines. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "lss_test.h"
#include "qmp/qmp.h"

#define MAX_SENT 65536          /* what a socket takes without a reader */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct libxlss__wire wire = { .max = 4096 };
    struct libxlss__op op;
    const char *line;
    size_t len;
    int pair[2];

    if (size > MAX_SENT)
        return 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) ||
        write(pair[1], data, size) != (ssize_t)size)
        abort();
    close(pair[1]);
    wire.fd = pair[0];
    lss_op_start(&op);
    while (!libxlss__wire_line(&op, &wire, libxlss__now_ms() + 1000, &line,
                               &len)) {
        char err[128];

        yajl_tree_free(json_parse(line, len, XLSS_QMP_MAX_DEPTH, err,
                                  sizeof(err)));
    }
    libxlss__wire_close(&wire);
    lss_op_stop(&op);
    return 0;
}
