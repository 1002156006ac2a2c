/* SPDX-License-Identifier: LGPL-2.1-only */
/* Commands for the nodes of a view (backup/view.h). */
#include <stdlib.h>
#include <string.h>

#include "../backup/view.h"

/* After this many seconds of waiting for a slow scratch file the view is
 * broken, and the guest's write goes on. (Older versions of QEMU keep it as 32
 * bits of nanoseconds: of 30 s 4.2 are left there.) */
#define CBW_TIMEOUT_S 30

/* How long the rings of a paused guest are waited for. */
#define STILL_MS 2000

static int run(struct libxlss__qmp *qmp, const char *command, yajl_gen g)
{
    const unsigned char *text;
    size_t len;
    int rc;

    yajl_gen_map_close(g);
    yajl_gen_get_buf(g, &text, &len);
    rc = libxlss__qmp_run(qmp, command, (const char *)text,
                          XLSS_QMP_LONG_TIMEOUT_MS, NULL);
    yajl_gen_free(g);
    return rc;
}

static yajl_gen begin(const char *driver, const char *node)
{
    yajl_gen g = yajl_gen_alloc(NULL);

    yajl_gen_map_open(g);
    json_put_string(g, "driver", driver);
    json_put_string(g, "node-name", node);
    return g;
}

/* max: as if it were on a device of that size; the file is as long. */
int libxlss__qmp_add_scratch(struct libxlss__qmp *qmp, const char *node,
                             const char *file_node, const char *path,
                             uint64_t max)
{
    yajl_gen g = begin("qcow2", node);

    json_put_string(g, "discard", "unmap");
    json_put_key(g, "file");
    yajl_gen_map_open(g);
    if (max) {
        json_put_string(g, "driver", "raw");
        json_put_u64(g, "size", max);
        json_put_key(g, "file");
        yajl_gen_map_open(g);
    }
    json_put_string(g, "driver", "file");
    json_put_string(g, "node-name", file_node);
    json_put_string(g, "filename", path);
    json_put_string(g, "discard", "unmap");
    if (max)
        yajl_gen_map_close(g);
    yajl_gen_map_close(g);
    return run(qmp, "blockdev-add", g);
}

/*
 * Before version 8, where a request begins in what the filter has copied and
 * ends in what it hasn't, QEMU takes the whole to be as the guest's disk has
 * it now: reads then give new data, and the map may call zero what isn't
 * (hbitmap_status() of 7.2). So no reader's request may go over an edge.
 */
static bool edges_are_wrong(const struct libxlss__qmp *qmp)
{
    return qmp->version < 800;
}

/*
 * discard: else the guest's would be lost while the filter is there. Where
 * edges are wrong they are: what has had data must not be called zero.
 */
int libxlss__qmp_add_filter(struct libxlss__qmp *qmp, const char *node,
                            const char *disk, const char *scratch)
{
    yajl_gen g = begin("copy-before-write", node);

    json_put_string(g, "file", disk);
    json_put_string(g, "target", scratch);
    json_put_string(g, "on-cbw-error", "break-snapshot");
    json_put_u64(g, "cbw-timeout", CBW_TIMEOUT_S);
    json_put_string(g, "discard", edges_are_wrong(qmp) ? "ignore" : "unmap");
    return run(qmp, "blockdev-add", g);
}

static void put_access(yajl_gen g, const char *filter)
{
    json_put_string(g, "driver", "snapshot-access");
    json_put_string(g, "file", filter);
}

/* Reads whole granules only, one at a time: no edge is within one. The node
 * above it hides that from readers, who may read what they like. */
static void put_granules(struct libxlss__op *op, yajl_gen g,
                         const char *node, const char *filter)
{
    size_t len = strlen(node) - 1;

    json_put_string(g, "driver", "raw");
    json_put_key(g, "file");
    yajl_gen_map_open(g);
    json_put_string(g, "driver", "blkdebug");
    json_put_string(g, "node-name", libxlss__printf(op, "%.*s%c", (int)len,
                                                    node, XLSS_GRANULES));
    json_put_u64(g, "align", XLSS_GRANULE);
    json_put_u64(g, "max-transfer", XLSS_GRANULE);
    json_put_key(g, "image");
    yajl_gen_map_open(g);
    json_put_string(g, "node-name", libxlss__printf(op, "%.*s%c", (int)len,
                                                    node, XLSS_ORIGINAL));
    put_access(g, filter);
    yajl_gen_map_close(g);
    yajl_gen_map_close(g);
}

int libxlss__qmp_add_access(struct libxlss__qmp *qmp, const char *node,
                            const char *filter)
{
    yajl_gen g = yajl_gen_alloc(NULL);

    yajl_gen_map_open(g);
    json_put_string(g, "node-name", node);
    json_put_bool(g, "read-only", true);
    if (edges_are_wrong(qmp))
        put_granules(qmp->op, g, node, filter);
    else
        put_access(g, filter);
    return run(qmp, "blockdev-add", g);
}

/* QEMU aborts where it has that already (seen with 7.2 and 10.0). */
int libxlss__qmp_set_drive(struct libxlss__qmp *qmp, const char *qdev,
                           const char *node)
{
    const char *now = libxlss__qmp_device_property(qmp, qdev, "drive");
    yajl_gen g;

    if (!now) {
        LOG_ERROR(qmp->op, "QEMU's device %s does not say what its disk is",
                  qdev);
        return XLSS(NOT_POSSIBLE);
    }
    if (!strcmp(now, node))
        return 0;
    g = yajl_gen_alloc(NULL);
    yajl_gen_map_open(g);
    json_put_string(g, "path", qdev);
    json_put_string(g, "property", "drive");
    json_put_string(g, "value", node);
    return run(qmp, "qom-set", g);
}

/* The sum of all requests that came to an end; `stop` waits for those that
 * QEMU has taken, but not for those that still lie in a ring. */
static int count_requests(struct libxlss__qmp *qmp, uint64_t *sum_r)
{
    static const char *const keys[] = {
        "rd_operations", "wr_operations", "flush_operations",
        "unmap_operations", "failed_rd_operations", "failed_wr_operations",
        "failed_flush_operations", "failed_unmap_operations",
    };
    yajl_val all;
    size_t i, k;
    int rc;

    *sum_r = 0;
    rc = libxlss__qmp_run(qmp, "query-blockstats", NULL, XLSS_QMP_TIMEOUT_MS,
                          &all);
    for (i = 0; !rc && i < json_length(all); i++) {
        yajl_val stats = json_object(json_item(all, i), "stats");

        for (k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
            uint64_t n;

            if (json_u64(stats, keys[k], &n))
                *sum_r += n;
        }
    }
    yajl_tree_free(all);
    return rc;
}

int libxlss__qmp_still(struct libxlss__qmp *qmp)
{
    uint64_t end = libxlss__now_ms() + STILL_MS, last, now;
    int rc = count_requests(qmp, &last);

    while (!rc) {
        libxlss__sleep_ms(2);
        /* Drains and flushes, stopped or not. */
        rc = libxlss__qmp_stop(qmp);
        if (!rc)
            rc = count_requests(qmp, &now);
        if (rc || now == last)
            break;
        last = now;
        if (libxlss__now_ms() >= end) {
            LOG_ERROR(qmp->op, "the paused domain's disks do not come to "
                      "rest in %d ms", STILL_MS);
            rc = ERROR_TIMEDOUT;
        }
    }
    return rc;
}
