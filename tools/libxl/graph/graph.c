/* SPDX-License-Identifier: LGPL-2.1-only */
/* query-named-block-nodes and query-block into structs. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../backup/view.h"
#include "graph.h"

static char *dup_member(struct libxlss__op *op, yajl_val v, const char *key)
{
    const char *text = json_string(v, key);

    return libxlss__strdup(op, text ? text : "");
}

/* The member `key` of each object in an array. */
static char **names(struct libxlss__op *op, yajl_val array, const char *key,
                    int *num_r)
{
    size_t i, len = json_length(array);
    char **list = libxlss__zalloc(op, (len + 1) * sizeof(*list));

    *num_r = 0;
    for (i = 0; i < len; i++)
        if (json_string(json_item(array, i), key))
            list[(*num_r)++] = dup_member(op, json_item(array, i), key);
    return list;
}

/*
 * Where an overlay's header names its base otherwise than QEMU does (by
 * another name of the same file), QEMU describes the node as
 * json:{"driver":...,"file":{"driver":"file","filename":PATH},"backing":...}
 */
static char *file_of(struct libxlss__op *op, yajl_val v, const char *key)
{
    const char *text = json_string(v, key), *name = NULL;
    char err[128], *file;
    yajl_val inner = NULL;

    if (!text)
        return libxlss__strdup(op, "");
    if (!strncmp(text, "json:", 5))
        inner = json_parse(text + 5, strlen(text + 5), XLSS_QMP_MAX_DEPTH,
                           err, sizeof(err));
    if (inner)
        name = json_string(json_object(inner, "file"), "filename");
    file = libxlss__strdup(op, name ? name : text);
    yajl_tree_free(inner);
    return file;
}

static void parse_bitmaps(struct libxlss__op *op, yajl_val array,
                          struct libxlss__node *node)
{
    size_t i, len = json_length(array);

    node->bitmaps = libxlss__zalloc(op, (len + 1) * sizeof(char *));
    node->bitmap = libxlss__zalloc(op, (len + 1) * sizeof(*node->bitmap));
    for (i = 0; i < len; i++) {
        yajl_val v = json_item(array, i);
        struct libxlss__bitmap *b = &node->bitmap[node->num_bitmaps];

        /* QEMU's own, those of jobs, have no name. */
        if (!json_string(v, "name"))
            continue;
        b->name = dup_member(op, v, "name");
        if (!json_u64(v, "granularity", &b->granularity))
            b->granularity = 0;
        if (!json_u64(v, "count", &b->dirty))
            b->dirty = 0;
        b->recording = json_bool(v, "recording", false);
        b->busy = json_bool(v, "busy", false);
        b->persistent = json_bool(v, "persistent", false);
        b->inconsistent = json_bool(v, "inconsistent", false);
        node->bitmaps[node->num_bitmaps++] = b->name;
    }
}

static void parse_node(struct libxlss__op *op, yajl_val v,
                       struct libxlss__node *node)
{
    yajl_val image = json_object(v, "image");

    node->name = dup_member(op, v, "node-name");
    node->driver = dup_member(op, v, "drv");
    node->file = file_of(op, v, "file");
    node->backing = file_of(op, v, "backing_file");
    node->read_only = json_bool(v, "ro", true);
    node->encrypted = json_bool(v, "encrypted", false);
    if (!json_u64(image, "virtual-size", &node->size))
        node->size = 0;
    if (!json_u64(image, "cluster-size", &node->cluster))
        node->cluster = 0;
    node->snapshots = names(op, json_array(image, "snapshots"), "name",
                            &node->num_snapshots);
    parse_bitmaps(op, json_array(v, "dirty-bitmaps"), node);
}

struct libxlss__node *libxlss__graph_node(struct libxlss__graph *graph,
                                          const char *name)
{
    int i;

    for (i = 0; name && *name && i < graph->num_nodes; i++)
        if (!strcmp(graph->nodes[i].name, name))
            return &graph->nodes[i];
    return NULL;
}

bool libxlss__node_has_snapshot(const struct libxlss__node *node,
                                const char *name)
{
    int i;

    for (i = 0; i < node->num_snapshots; i++)
        if (!strcmp(node->snapshots[i], name))
            return true;
    return false;
}

bool libxlss__node_is_view(const struct libxlss__node *node)
{
    char id[XLSS_VIEW_ID + 1], vdev[32], role;

    return !strcmp(node->driver, "copy-before-write") ||
           !strcmp(node->driver, "snapshot-access") ||
           /* Raw, on QEMU 7.2, and with the image's own name perhaps. */
           (libxlss__view_parse(node->name, id, vdev, &role) &&
            (role == XLSS_ACCESS || role == XLSS_GRANULES));
}

static bool is_file(const struct libxlss__node *node, const char *path)
{
    struct stat sa, sb;

    return !strcmp(node->file, path) ||
           (!stat(node->file, &sa) && !stat(path, &sb) &&
            sa.st_ino == sb.st_ino && sa.st_dev == sb.st_dev);
}

struct libxlss__node *libxlss__graph_format_node(struct libxlss__graph *graph,
                                                 const char *path)
{
    struct libxlss__node *found = NULL;
    int i;

    for (i = 0; i < graph->num_nodes; i++) {
        struct libxlss__node *node = &graph->nodes[i];

        if (!strcmp(node->driver, "file") ||
            !strcmp(node->driver, "host_device") ||
            libxlss__node_is_view(node) || !is_file(node, path))
            continue;
        /* One of ours is the one in the chain: the other is xen-block's
         * first, which nothing uses any more. */
        if (!found || !strncmp(node->name, XLSS_NODE, strlen(XLSS_NODE)))
            found = node;
    }
    return found;
}

void libxlss__tidy_nodes(struct libxlss__qmp *qmp, const char *vdev)
{
    char *prefix = libxlss__printf(qmp->op, XLSS_NODE "%.8s-", vdev);
    struct libxlss__graph *graph = libxlss__zalloc(qmp->op, sizeof(*graph));
    bool gone = true;
    int i;

    /* A node that was in use may be free once another has gone. */
    while (gone && !libxlss__graph_read(qmp, graph)) {
        gone = false;
        for (i = 0; i < graph->num_nodes; i++)
            if (!strncmp(graph->nodes[i].name, prefix, strlen(prefix)) &&
                !libxlss__qmp_try_del_node(qmp, graph->nodes[i].name))
                gone = true;
    }
}

/* query-block describes the node of each device as query-named-block-nodes
 * does, but not those below it. */
static yajl_val inserted_of(yajl_val block)
{
    return json_object(block, "inserted");
}

/* An empty drive has no "inserted": it has no root. */
static void parse_root(struct libxlss__op *op, struct libxlss__graph *graph,
                       yajl_val v)
{
    yajl_val inserted = inserted_of(v);
    struct libxlss__root *root = &graph->roots[graph->num_roots];
    struct libxlss__node *node;

    node = libxlss__graph_node(graph, json_string(inserted, "node-name"));
    if (!node)
        return;
    root->drive = dup_member(op, v, "device");
    root->qdev = json_string(v, "qdev") ? dup_member(op, v, "qdev") : NULL;
    root->node = node;
    graph->num_roots++;
}

int libxlss__graph_parse(struct libxlss__op *op, struct libxlss__graph *graph,
                         yajl_val nodes, yajl_val blocks)
{
    size_t i;

    memset(graph, 0, sizeof(*graph));
    if (!YAJL_IS_ARRAY(nodes) || !YAJL_IS_ARRAY(blocks)) {
        LOG_ERROR(op, "QEMU's list of block nodes is no array");
        return ERROR_PROTOCOL_ERROR_QMP;
    }
    graph->nodes = libxlss__zalloc(op, json_length(nodes) *
                                   sizeof(*graph->nodes));
    graph->roots = libxlss__zalloc(op, json_length(blocks) *
                                   sizeof(*graph->roots));
    for (i = 0; i < json_length(nodes); i++)
        parse_node(op, json_item(nodes, i),
                   &graph->nodes[graph->num_nodes++]);
    for (i = 0; i < json_length(blocks); i++)
        parse_root(op, graph, json_item(blocks, i));
    return 0;
}

/*
 * Only xen-block has the property; an emulated disk gives an error. While one
 * QEMU runs it gives no two devices without a name of their own the same path
 * below UNATTACHED: of these it is asked once, before the guest stands still.
 */
#define UNATTACHED "/machine/unattached/"

struct libxlss__vdevs {
    uint32_t domid;
    struct libxlss__vdevs *next;
    char *qdev, *vdev;
};

static char *known_vdev(const struct libxlss__op *op, const char *qdev)
{
    const struct libxlss__vdevs *v;

    for (v = op->vdevs; v; v = v->next)
        if (v->domid == op->domid && !strcmp(v->qdev, qdev))
            return v->vdev;
    return NULL;
}

static char *ask_vdev(struct libxlss__qmp *qmp, const char *qdev)
{
    char *vdev = libxlss__qmp_device_property(qmp, qdev, "vdev");
    struct libxlss__vdevs *v;

    if (!vdev || strncmp(qdev, UNATTACHED, strlen(UNATTACHED)))
        return vdev;
    v = libxlss__zalloc(qmp->op, sizeof(*v));
    v->domid = qmp->op->domid;
    v->qdev = libxlss__strdup(qmp->op, qdev);
    v->vdev = vdev;
    v->next = qmp->op->vdevs;
    qmp->op->vdevs = v;
    return vdev;
}

static void find_vdevs(struct libxlss__qmp *qmp, struct libxlss__graph *graph)
{
    int i;

    for (i = 0; i < graph->num_roots; i++) {
        struct libxlss__root *root = &graph->roots[i];

        if (!root->qdev || *root->drive)
            continue;
        root->vdev = known_vdev(qmp->op, root->qdev);
        if (!root->vdev)
            root->vdev = ask_vdev(qmp, root->qdev);
    }
}

/*
 * QEMU 7.2 can die of query-named-block-nodes while a job ends: it looks at
 * each node's image, which lets the job go on, and a node may vanish below
 * it (seen: SIGSEGV at the end of a block-stream). So it isn't asked while
 * there is a job; query-block-jobs looks at no image.
 */
static int refuse_jobs(struct libxlss__qmp *qmp)
{
    yajl_val jobs;
    int rc = libxlss__qmp_run(qmp, "query-block-jobs", NULL,
                              XLSS_QMP_TIMEOUT_MS, &jobs);
    const char *status;
    size_t i;

    for (i = 0; !rc && i < json_length(jobs); i++) {
        /* It has let its nodes go, and waits to be asked how it ended. */
        status = json_string(json_item(jobs, i), "status");
        if (status && !strcmp(status, "concluded"))
            continue;
        LOG_ERROR(qmp->op, "a block job (backup, commit or the like) runs on "
                  "this domain's disks; wait for its end or cancel it");
        rc = XLSS(BUSY);
    }
    yajl_tree_free(jobs);
    return rc;
}

int libxlss__graph_parse_roots(struct libxlss__op *op,
                               struct libxlss__graph *graph, yajl_val blocks)
{
    size_t i;

    memset(graph, 0, sizeof(*graph));
    if (!YAJL_IS_ARRAY(blocks)) {
        LOG_ERROR(op, "QEMU's list of block devices is no array");
        return ERROR_PROTOCOL_ERROR_QMP;
    }
    graph->nodes = libxlss__zalloc(op, json_length(blocks) *
                                   sizeof(*graph->nodes));
    graph->roots = libxlss__zalloc(op, json_length(blocks) *
                                   sizeof(*graph->roots));
    for (i = 0; i < json_length(blocks); i++) {
        yajl_val v = inserted_of(json_item(blocks, i));

        if (!json_string(v, "node-name") ||
            libxlss__graph_node(graph, json_string(v, "node-name")))
            continue;
        parse_node(op, v, &graph->nodes[graph->num_nodes++]);
    }
    for (i = 0; i < json_length(blocks); i++)
        parse_root(op, graph, json_item(blocks, i));
    return 0;
}

int libxlss__graph_read_roots(struct libxlss__qmp *qmp,
                              struct libxlss__graph *graph)
{
    yajl_val blocks = NULL;
    int rc = refuse_jobs(qmp);

    if (!rc)
        rc = libxlss__qmp_run(qmp, "query-block", NULL, XLSS_QMP_TIMEOUT_MS,
                              &blocks);
    if (!rc)
        rc = libxlss__graph_parse_roots(qmp->op, graph, blocks);
    if (!rc)
        find_vdevs(qmp, graph);
    yajl_tree_free(blocks);
    return rc;
}

int libxlss__graph_read(struct libxlss__qmp *qmp,
                        struct libxlss__graph *graph)
{
    yajl_val nodes = NULL, blocks = NULL;
    int rc = refuse_jobs(qmp);

    if (!rc)
        rc = libxlss__qmp_run(qmp, "query-named-block-nodes",
                              "{\"flat\":true}", XLSS_QMP_TIMEOUT_MS,
                              &nodes);
    if (!rc)
        rc = libxlss__qmp_run(qmp, "query-block", NULL, XLSS_QMP_TIMEOUT_MS,
                              &blocks);
    if (!rc)
        rc = libxlss__graph_parse(qmp->op, graph, nodes, blocks);
    if (!rc)
        find_vdevs(qmp, graph);
    yajl_tree_free(nodes);
    yajl_tree_free(blocks);
    return rc;
}
