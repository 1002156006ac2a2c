/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * graph/graph.c and graph/writers.c, by replies in the shape in which
 * QEMU 7.2 gives them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "graph/graph.h"
#include "lss_test.h"

#define IMAGE "/var/lib/img/web1.qcow2"
#define OTHER "/var/lib/img/other.qcow2"

/* --- libxl and xenstore --- */

static const char *backend_state;       /* NULL: no such node */
static int getinfo_rc;

int libxl_vdev_to_device_disk(libxl_ctx *ctx, uint32_t domid,
                              const char *vdev, libxl_device_disk *disk)
{
    (void)ctx;
    assert_int_equal(domid, LSS_DOMID);
    disk->vdev = strdup(vdev);
    return 0;
}

int libxl_device_disk_getinfo(libxl_ctx *ctx, uint32_t domid,
                              const libxl_device_disk *disk,
                              libxl_diskinfo *info)
{
    (void)ctx;
    (void)domid;
    assert_string_equal(disk->vdev, "xvda");
    if (!getinfo_rc)
        info->backend = strdup("/local/domain/0/backend/qdisk/5/51712");
    return getinfo_rc;
}

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path,
              unsigned int *len)
{
    (void)h;
    assert_int_equal(t, XBT_NULL);
    assert_string_equal(path, "/local/domain/0/backend/qdisk/5/51712/state");
    if (!backend_state)
        return NULL;
    *len = strlen(backend_state);
    return strdup(backend_state);
}

/* --- replies --- */

#define COMMON "\"iops_rd\": 0, \"detect_zeroes\": \"off\", " \
    "\"iops_wr\": 0, \"backing_file_depth\": 0, \"iops\": 0, " \
    "\"bps_wr\": 0, \"write_threshold\": 0, \"encrypted\": false, " \
    "\"bps\": 0, \"bps_rd\": 0, \"cache\": {\"no-flush\": false, " \
    "\"direct\": false, \"writeback\": true}"
#define SNAPSHOT(name) "{\"icount\": 0, \"vm-clock-nsec\": 0, " \
    "\"name\": \"" name "\", \"date-sec\": 1795201419, " \
    "\"date-nsec\": 122230000, \"vm-clock-sec\": 0, \"id\": \"1\", " \
    "\"vm-state-size\": 0}"
#define BITMAP(name) "{\"name\": \"" name "\", \"recording\": true, " \
    "\"persistent\": true, \"busy\": false, \"granularity\": 65536, " \
    "\"count\": 0}"
#define QCOW2(name, path, ro, more) "{" COMMON ", \"image\": {" \
    "\"snapshots\": [" SNAPSHOT("before") ", " SNAPSHOT("after") "], " \
    "\"virtual-size\": 67108864, \"filename\": \"" path "\", " \
    "\"cluster-size\": 65536, \"format\": \"qcow2\", " \
    "\"actual-size\": 208896, \"format-specific\": {\"type\": \"qcow2\", " \
    "\"data\": {\"compat\": \"1.1\", \"compression-type\": \"zlib\", " \
    "\"lazy-refcounts\": false, \"refcount-bits\": 16, " \
    "\"corrupt\": false, \"extended-l2\": false}}, " \
    "\"dirty-flag\": false}, \"ro\": " ro ", \"node-name\": \"" name "\", " \
    "\"drv\": \"qcow2\", \"file\": \"" path "\"" more "}"
#define PROTOCOL(name, path) "{" COMMON ", \"image\": {" \
    "\"virtual-size\": 328192, \"filename\": \"" path "\", " \
    "\"format\": \"file\", \"actual-size\": 208896, " \
    "\"dirty-flag\": false}, \"ro\": false, \"node-name\": \"" name "\", " \
    "\"drv\": \"file\", \"file\": \"" path "\"}"
#define WITH_BITMAP ", \"dirty-bitmaps\": [" BITMAP("cp1") "]"

#define PV_DEV "/machine/unattached/device[4]"
#define IDE_DEV "/machine/unattached/device[27]"
#define BLOCK(device, qdev, node) "{\"io-status\": \"ok\", " \
    "\"device\": \"" device "\", \"locked\": false, \"removable\": false, " \
    "\"inserted\": " node ", \"qdev\": \"" qdev "\", " \
    "\"type\": \"unknown\"}"
#define EMPTY_CD "{\"io-status\": \"ok\", \"device\": \"ide0-cd1\", " \
    "\"locked\": false, \"removable\": true, \"qdev\": " \
    "\"/machine/unattached/device[28]\", \"tray_open\": false, " \
    "\"type\": \"unknown\"}"

#define PV_NODE QCOW2("xvda-qcow2", IMAGE, "false", "")
#define PV_NODE_B QCOW2("xvda-qcow2", IMAGE, "false", WITH_BITMAP)
#define IDE_NODE QCOW2("#block138", IMAGE, "false", "")
#define IDE_NODE_B QCOW2("#block138", IMAGE, "false", WITH_BITMAP)
#define PV_BLOCK BLOCK("", PV_DEV, PV_NODE)
#define IDE_BLOCK BLOCK("ide0-hd0", IDE_DEV, IDE_NODE)

static struct libxlss__op op;
static struct libxlss__graph graph;
static struct libxlss__writer w;

static int set_up(void **state)
{
    (void)state;
    lss_op_start(&op);
    memset(&graph, 0, sizeof(graph));
    memset(&w, 0xff, sizeof(w));
    backend_state = NULL;
    getinfo_rc = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lss_op_stop(&op);
    lss_dir_remove();
    return 0;
}

static yajl_val parse(const char *text)
{
    char err[256];
    yajl_val v = json_parse(text, strlen(text), 64, err, sizeof(err));

    if (!v)
        print_error("%s\n%s\n", text, err);
    assert_non_null(v);
    return v;
}

static int read_graph(const char *nodes, const char *blocks)
{
    yajl_val n = parse(nodes), b = parse(blocks);
    int rc = libxlss__graph_parse(&op, &graph, n, b);

    /* Nothing of the graph may point into them. */
    yajl_tree_free(n);
    yajl_tree_free(b);
    return rc;
}

static int read_roots(const char *blocks)
{
    yajl_val b = parse(blocks);
    int rc = libxlss__graph_parse_roots(&op, &graph, b);

    yajl_tree_free(b);
    return rc;
}

static int find(const char *path)
{
    return libxlss__graph_writer(&op, &graph, "xvda", path, &w);
}

/* --- parsing --- */

static void test_parse(void **state)
{
    struct libxlss__node *node;

    (void)state;
    assert_int_equal(read_graph("[" PV_NODE_B "," PROTOCOL("#block1", IMAGE)
                                "," QCOW2("cd", OTHER, "true", "") "]",
                                "[" PV_BLOCK "," EMPTY_CD "]"), 0);
    assert_int_equal(graph.num_nodes, 3);
    assert_int_equal(graph.num_roots, 1);
    node = libxlss__graph_node(&graph, "xvda-qcow2");
    assert_ptr_equal(node, &graph.nodes[0]);
    assert_string_equal(node->driver, "qcow2");
    assert_string_equal(node->file, IMAGE);
    assert_int_equal(node->size, 67108864);
    assert_false(node->read_only);
    assert_false(node->encrypted);
    assert_int_equal(node->num_snapshots, 2);
    assert_string_equal(node->snapshots[0], "before");
    assert_string_equal(node->snapshots[1], "after");
    assert_true(libxlss__node_has_snapshot(node, "after"));
    assert_false(libxlss__node_has_snapshot(node, "aft"));
    assert_int_equal(node->num_bitmaps, 1);
    assert_string_equal(node->bitmaps[0], "cp1");
    node = libxlss__graph_node(&graph, "#block1");
    assert_string_equal(node->driver, "file");
    assert_int_equal(node->num_snapshots + node->num_bitmaps, 0);
    assert_true(libxlss__graph_node(&graph, "cd")->read_only);
    assert_null(libxlss__graph_node(&graph, "xvda"));
    assert_null(libxlss__graph_node(&graph, NULL));
    assert_string_equal(graph.roots[0].drive, "");
    assert_string_equal(graph.roots[0].qdev, PV_DEV);
    assert_ptr_equal(graph.roots[0].node, &graph.nodes[0]);
}

/* All that query-block tells of a device's node, and which device it is. */
static void test_parse_roots(void **state)
{
    struct libxlss__node *node;

    (void)state;
    backend_state = "2";
    assert_int_equal(read_roots("[" IDE_BLOCK "," EMPTY_CD ","
                                BLOCK("", PV_DEV, PV_NODE_B) "]"), 0);
    assert_int_equal(graph.num_nodes, 2);
    assert_int_equal(graph.num_roots, 2);
    node = libxlss__graph_node(&graph, "xvda-qcow2");
    assert_string_equal(node->file, IMAGE);
    assert_int_equal(node->size, 67108864);
    assert_true(libxlss__node_has_snapshot(node, "after"));
    assert_int_equal(node->num_bitmaps, 1);
    assert_ptr_equal(graph.roots[1].node, node);
    assert_int_equal(find(IMAGE), LIBXL_SNAPSHOT_ERROR_IMAGE_OPEN_TWICE);
    assert_int_equal(read_roots("[" IDE_BLOCK "," PV_BLOCK "]"), 0);
    assert_int_equal(find(IMAGE), 0);
    assert_string_equal(w.node->name, "#block138");
    assert_string_equal(w.twin->name, "xvda-qcow2");
    /* Two devices on one node. */
    assert_int_equal(read_roots("[" PV_BLOCK "," PV_BLOCK "]"), 0);
    assert_int_equal(graph.num_nodes, 1);
    assert_int_equal(graph.num_roots, 2);
    assert_int_equal(read_roots("[1, {\"inserted\": 2}]"), 0);
    assert_int_equal(graph.num_roots, 0);
}

static void test_parse_empty(void **state)
{
    (void)state;
    assert_int_equal(read_graph("[]", "[]"), 0);
    assert_int_equal(graph.num_nodes, 0);
    assert_int_equal(graph.num_roots, 0);
    assert_int_equal(find(IMAGE), LIBXL_SNAPSHOT_ERROR_NO_QEMU);
}

/* --- the writer --- */

static void test_pv(void **state)
{
    (void)state;
    read_graph("[" PV_NODE "," PROTOCOL("#block488", IMAGE) "]",
               "[" PV_BLOCK "]");
    assert_int_equal(find(IMAGE), 0);
    assert_string_equal(w.node->name, "xvda-qcow2");
    assert_null(w.twin);
}

/* QEMU's own word for the vdev counts more than the node's name. */
static void test_pv_by_property(void **state)
{
    (void)state;
    read_graph("[" QCOW2("odd", IMAGE, "false", "") "," PV_NODE "]",
               "[" BLOCK("", PV_DEV, "{\"node-name\": \"odd\"}") "]");
    graph.roots[0].vdev = libxlss__strdup(&op, "xvda");
    assert_int_equal(find(IMAGE), 0);
    assert_string_equal(w.node->name, "odd");
    /* As QEMU says it: the partition comes last, 0 for the whole disk. */
    graph.roots[0].vdev = libxlss__strdup(&op, "xvda0");
    assert_int_equal(find(IMAGE), 0);
    graph.roots[0].vdev = libxlss__strdup(&op, "xvda1");
    assert_int_not_equal(find(IMAGE), 0);
    read_graph("[" PV_NODE "]", "[" PV_BLOCK "]");
    graph.roots[0].vdev = libxlss__strdup(&op, "xvdb");
    assert_int_equal(find(OTHER), LIBXL_SNAPSHOT_ERROR_NO_QEMU);
}

/* xvda's node isn't that of xvdaa, nor the other way. */
static void test_vdev_is_a_prefix(void **state)
{
    (void)state;
    read_graph("[" QCOW2("xvdaa-qcow2", OTHER, "false", "") "]",
               "[" BLOCK("", PV_DEV, "{\"node-name\": \"xvdaa-qcow2\"}") "]");
    assert_int_equal(find(IMAGE), LIBXL_SNAPSHOT_ERROR_NO_QEMU);
    assert_int_equal(libxlss__graph_writer(&op, &graph, "xvdaa", OTHER, &w),
                     0);
    assert_string_equal(w.node->name, "xvdaa-qcow2");
}

static void both(const char *nodes)
{
    assert_int_equal(read_graph(nodes, "[" IDE_BLOCK "," EMPTY_CD ","
                                PV_BLOCK "]"), 0);
    assert_int_equal(graph.num_roots, 2);
}

static void test_hvm_emulated(void **state)
{
    static const char *const idle[] = { "1", "2", "3", "6", NULL };
    size_t i;

    (void)state;
    both("[" PV_NODE "," IDE_NODE "]");
    for (i = 0; i < sizeof(idle) / sizeof(idle[0]); i++) {
        backend_state = idle[i];
        assert_int_equal(find(IMAGE), 0);
        assert_string_equal(w.node->name, "#block138");
        assert_non_null(w.twin);
        assert_string_equal(w.twin->name, "xvda-qcow2");
    }
    getinfo_rc = ERROR_FAIL;
    backend_state = "4";
    assert_int_equal(find(IMAGE), 0);
}

static void test_hvm_not_unplugged(void **state)
{
    (void)state;
    both("[" PV_NODE "," IDE_NODE "]");
    backend_state = "4";
    assert_int_equal(find(IMAGE), LIBXL_SNAPSHOT_ERROR_IMAGE_OPEN_TWICE);
    assert_logged("xvda");
    assert_logged(IMAGE);
    assert_logged("has not unplugged");
    assert_null(w.node);
}

static void test_hvm_bitmaps(void **state)
{
    static const char *const nodes[] = {
        "[" PV_NODE_B "," IDE_NODE "]", "[" PV_NODE "," IDE_NODE_B "]",
        "[" PV_NODE_B "," IDE_NODE_B "]",
    };
    size_t i;

    (void)state;
    backend_state = "2";
    for (i = 0; i < 3; i++) {
        lss_log_clear();
        both(nodes[i]);
        assert_int_equal(find(IMAGE), LIBXL_SNAPSHOT_ERROR_IMAGE_OPEN_TWICE);
        assert_logged("dirty bitmaps");
        assert_null(w.node);
    }
}

/* PV alone may have bitmaps. */
static void test_hvm_unplugged(void **state)
{
    (void)state;
    backend_state = "4";
    read_graph("[" PV_NODE_B "]",
               "[" EMPTY_CD "," PV_BLOCK ",{\"device\": \"\", "
               "\"qdev\": \"" IDE_DEV "\"}]");
    assert_int_equal(graph.num_roots, 1);
    assert_int_equal(find(IMAGE), 0);
    assert_string_equal(w.node->name, "xvda-qcow2");
    assert_null(w.twin);
}

static void test_emulated_only(void **state)
{
    (void)state;
    read_graph("[" IDE_NODE "]", "[" IDE_BLOCK "," EMPTY_CD "]");
    assert_int_equal(find(IMAGE), 0);
    assert_string_equal(w.node->name, "#block138");
    assert_null(w.twin);
}

/* A third opening, by an emulated disk or by another vdev. */
static void test_three_openings(void **state)
{
    (void)state;
    backend_state = "2";
    read_graph("[" PV_NODE "," IDE_NODE ","
               QCOW2("#block2", IMAGE, "false", "") "]",
               "[" PV_BLOCK "," IDE_BLOCK ","
               BLOCK("ide0-hd1", IDE_DEV, "{\"node-name\": \"#block2\"}")
               "]");
    assert_int_equal(find(IMAGE), LIBXL_SNAPSHOT_ERROR_IMAGE_OPEN_TWICE);
    assert_logged("ide0-hd1");
    read_graph("[" PV_NODE "," QCOW2("xvdb-qcow2", IMAGE, "false", "") "]",
               "[" PV_BLOCK ","
               BLOCK("", PV_DEV, "{\"node-name\": \"xvdb-qcow2\"}") "]");
    assert_int_equal(find(IMAGE), LIBXL_SNAPSHOT_ERROR_IMAGE_OPEN_TWICE);
    assert_logged("xvdb-qcow2");
}

/* A reader of the same image does no harm. */
static void test_read_only_opening(void **state)
{
    (void)state;
    backend_state = "2";
    read_graph("[" PV_NODE "," QCOW2("#ro", IMAGE, "true", "") "]",
               "[" PV_BLOCK ","
               BLOCK("ide0-cd1", IDE_DEV, "{\"node-name\": \"#ro\"}") "]");
    assert_int_equal(find(IMAGE), 0);
    assert_string_equal(w.node->name, "xvda-qcow2");
    assert_null(w.twin);
}

static void test_no_such_image(void **state)
{
    (void)state;
    read_graph("[" IDE_NODE "]", "[" IDE_BLOCK "]");
    assert_int_equal(find(OTHER), LIBXL_SNAPSHOT_ERROR_NO_QEMU);
    assert_logged("disk xvda: QEMU has no node for " OTHER);
    assert_null(w.node);
}

static void test_other_image_open(void **state)
{
    (void)state;
    read_graph("[" PV_NODE "]", "[" PV_BLOCK "]");
    assert_int_equal(find(OTHER), LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE);
    assert_logged(OTHER);
    assert_logged("QEMU has " IMAGE " open");
}

/* The two openings aren't of one image: none is the other's twin. */
static void test_pv_has_other_image(void **state)
{
    (void)state;
    backend_state = "2";
    read_graph("[" QCOW2("xvda-qcow2", OTHER, "false", "") "," IDE_NODE "]",
               "[" BLOCK("", PV_DEV, "{\"node-name\": \"xvda-qcow2\"}") ","
               IDE_BLOCK "]");
    assert_int_equal(find(IMAGE), LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE);
    assert_logged("QEMU has " OTHER " open");
}

/* QEMU's name of the file and ours may differ. */
static void test_same_file_by_other_name(void **state)
{
    char nodes[4096];
    FILE *f = fopen(lss_path("a.img"), "w");

    (void)state;
    fclose(f);
    assert_int_equal(symlink("a.img", lss_path("link.img")), 0);
    snprintf(nodes, sizeof(nodes), "[{\"node-name\": \"xvda-qcow2\", "
             "\"drv\": \"qcow2\", \"ro\": false, \"file\": \"%s\"}]",
             lss_path("link.img"));
    read_graph(nodes, "[" PV_BLOCK "]");
    assert_int_equal(find(lss_path("a.img")), 0);
    assert_string_equal(w.node->name, "xvda-qcow2");
    assert_int_equal(find(lss_path("b.img")),
                     LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE);
}

/* --- what QEMU would never say --- */

static void test_no_arrays(void **state)
{
    static const char *const bad[] = { "{}", "null", "1", "\"x\"", "true" };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(read_graph(bad[i], "[]"), ERROR_PROTOCOL_ERROR_QMP);
        assert_int_equal(read_graph("[]", bad[i]), ERROR_PROTOCOL_ERROR_QMP);
        assert_int_equal(graph.num_nodes + graph.num_roots, 0);
    }
    assert_int_equal(libxlss__graph_parse_roots(&op, &graph, NULL),
                     ERROR_PROTOCOL_ERROR_QMP);
    assert_int_equal(libxlss__graph_parse(&op, &graph, NULL, NULL),
                     ERROR_PROTOCOL_ERROR_QMP);
    assert_logged("no array");
}

/* Each becomes a node that no disk can be taken for. */
static void test_hostile_nodes(void **state)
{
    static const char *const bad[] = {
        "null", "[]", "1", "\"xvda-qcow2\"", "{}",
        "{\"node-name\": 7, \"drv\": 7, \"file\": 7, \"ro\": 7}",
        "{\"node-name\": [\"xvda-qcow2\"], \"file\": {}, \"ro\": \"no\"}",
        "{\"node-name\": null, \"file\": null, \"ro\": null}",
        "{\"image\": [], \"dirty-bitmaps\": {}}",
        "{\"image\": {\"virtual-size\": -1, \"snapshots\": 5}}",
        "{\"image\": {\"virtual-size\": 1e99, \"snapshots\": [1, [], {}, "
        "null, {\"name\": 5}, {\"name\": null}]}, \"dirty-bitmaps\": "
        "[null, 1, {}, {\"name\": {}}]}",
    };
    char nodes[4096];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct libxlss__node *n;

        snprintf(nodes, sizeof(nodes), "[%s]", bad[i]);
        assert_int_equal(read_graph(nodes, "[" PV_BLOCK "," IDE_BLOCK "]"),
                         0);
        assert_int_equal(graph.num_nodes, 1);
        assert_int_equal(graph.num_roots, 0);
        n = &graph.nodes[0];
        assert_string_equal(n->name, "");
        assert_string_equal(n->driver, "");
        assert_string_equal(n->file, "");
        assert_true(n->read_only);
        assert_int_equal(n->size, 0);
        assert_int_equal(n->num_snapshots, 0);
        assert_int_equal(n->num_bitmaps, 0);
        assert_int_equal(find(IMAGE), LIBXL_SNAPSHOT_ERROR_NO_QEMU);
    }
}

static void test_hostile_blocks(void **state)
{
    static const char *const bad[] = {
        "null", "[]", "1", "{}", "{\"inserted\": 1}", "{\"inserted\": []}",
        "{\"inserted\": {}}", "{\"inserted\": {\"node-name\": 1}}",
        "{\"inserted\": {\"node-name\": \"none\"}}",
        "{\"inserted\": \"xvda-qcow2\", \"device\": \"\"}",
    };
    char blocks[1024];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(blocks, sizeof(blocks), "[%s,%s]", bad[i], bad[i]);
        assert_int_equal(read_graph("[" PV_NODE "]", blocks), 0);
        assert_int_equal(graph.num_roots, 0);
    }
    /* Without a device's name it is taken for xen-block, without a path. */
    assert_int_equal(read_graph("[" PV_NODE "]", "[{\"device\": 1, \"qdev\": "
                                "2, \"inserted\": {\"node-name\": "
                                "\"xvda-qcow2\"}}]"), 0);
    assert_int_equal(graph.num_roots, 1);
    assert_string_equal(graph.roots[0].drive, "");
    assert_null(graph.roots[0].qdev);
}

/* A node without a name is none that a root could mean. */
static void test_nameless_root(void **state)
{
    (void)state;
    read_graph("[{\"file\": \"" IMAGE "\", \"ro\": false}]",
               "[" BLOCK("ide0-hd0", IDE_DEV, "{\"node-name\": \"\"}") "]");
    assert_int_equal(graph.num_roots, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_parse),
        TEST(test_parse_roots),
        TEST(test_parse_empty),
        TEST(test_pv),
        TEST(test_pv_by_property),
        TEST(test_vdev_is_a_prefix),
        TEST(test_hvm_emulated),
        TEST(test_hvm_not_unplugged),
        TEST(test_hvm_bitmaps),
        TEST(test_hvm_unplugged),
        TEST(test_emulated_only),
        TEST(test_three_openings),
        TEST(test_read_only_opening),
        TEST(test_no_such_image),
        TEST(test_other_image_open),
        TEST(test_pv_has_other_image),
        TEST(test_same_file_by_other_name),
        TEST(test_no_arrays),
        TEST(test_hostile_nodes),
        TEST(test_hostile_blocks),
        TEST(test_nameless_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
