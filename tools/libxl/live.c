/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Whether a domain's memory can be saved while the domain runs, found before
 * anything is touched. Xen must be able to note the pages that are written
 * (log-dirty mode): for HVM and PVH hardware or shadow paging does it, for PV
 * shadow paging alone. At the end libxl has an HVM's QEMU give its images up
 * for a moment (inactivation), which it can't while somebody else reads or
 * writes them there.
 */
#include <string.h>

#include "disk/disk.h"

int libxlss__live_domain(struct libxlss__op *op)
{
    libxl_physinfo info;
    bool possible = true;

    if (op->info.domain_type != LIBXL_DOMAIN_TYPE_PV)
        return 0;
    libxl_physinfo_init(&info);
    /* Where Xen doesn't say it, the save itself will. */
    if (!libxl_get_physinfo(op->ctx, &info))
        possible = info.cap_shadow;
    libxl_physinfo_dispose(&info);
    if (possible)
        return 0;
    LOG_ERROR(op, "a live snapshot is not possible: it is a PV domain, and "
              "this Xen has no shadow paging, which those need to be saved "
              "while they run");
    return XLSS(LIVE_NOT_POSSIBLE);
}

static int busy(struct libxlss__op *op, const char *what, const char *name)
{
    LOG_ERROR(op, "a live snapshot is not possible now: %s (%s) has this "
              "domain's disks; wait for its end, or take it without live",
              what, name);
    return XLSS(BUSY);
}

static int check_nodes(struct libxlss__qmp *qmp)
{
    struct libxlss__graph graph;
    int i, rc = libxlss__graph_read(qmp, &graph);

    for (i = 0; !rc && i < graph.num_nodes; i++)
        if (libxlss__node_is_view(&graph.nodes[i]))
            rc = busy(qmp->op, "a backup's view", graph.nodes[i].name);
    return rc;
}

static int check_exports(struct libxlss__qmp *qmp)
{
    yajl_val exports = NULL;
    const char *id;
    int rc = libxlss__qmp_run(qmp, "query-block-exports", NULL,
                              XLSS_QMP_TIMEOUT_MS, &exports);

    if (!rc && json_length(exports)) {
        id = json_string(json_item(exports, 0), "id");
        rc = busy(qmp->op, "a block export", id ? id : "without a name");
    }
    yajl_tree_free(exports);
    return rc;
}

/* A QEMU that somebody has stopped may have given its images up already:
 * twice would abort it. */
static int check_running(struct libxlss__qmp *qmp)
{
    bool running = false;
    int rc = libxlss__qmp_running(qmp, &running);

    if (rc || running)
        return rc;
    LOG_ERROR(qmp->op, "a live snapshot is not possible: its QEMU was stopped "
              "by somebody");
    return XLSS(LIVE_NOT_POSSIBLE);
}

int libxlss__live_disks(struct libxlss__op *op)
{
    struct libxlss__qmp qmp;
    int rc;

    if (!libxlss__qemu_alive(op))
        return 0;
    rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    rc = check_running(&qmp);
    if (!rc)
        rc = check_exports(&qmp);
    if (!rc)
        rc = check_nodes(&qmp);
    libxlss__qmp_close(&qmp);
    return rc;
}
