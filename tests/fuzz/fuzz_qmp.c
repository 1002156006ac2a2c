/* SPDX-License-Identifier: LGPL-2.1-only */
/* Two replies of QEMU, one in a line: its nodes, and its drives. */
#include <string.h>

#include "fuzz.h"
#include "graph/graph.h"
#include "lss_test.h"

static yajl_val parse(const char *text, size_t len)
{
    char err[128];

    return json_parse(text, len, XLSS_QMP_MAX_DEPTH, err, sizeof(err));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *end = memchr(text, '\n', size);
    struct libxlss__graph graph;
    struct libxlss__writer writer;
    struct libxlss__op op;
    yajl_val nodes, blocks;

    if (!end)
        end = text + size;
    lss_op_start(&op);
    nodes = parse(text, end - text);
    blocks = end < text + size ? parse(end + 1, text + size - end - 1) : NULL;
    if (!libxlss__graph_parse(&op, &graph, nodes, blocks)) {
        libxlss__graph_root(&graph, "xvda");
        libxlss__graph_format_node(&graph, "/nowhere/a.qcow2");
        libxlss__graph_writer(&op, &graph, "xvda", "/nowhere/a.qcow2",
                              &writer);
    }
    yajl_tree_free(nodes);
    yajl_tree_free(blocks);
    lss_op_stop(&op);
    return 0;
}
