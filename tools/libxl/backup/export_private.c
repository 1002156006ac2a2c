/* SPDX-License-Identifier: LGPL-2.1-only */
/* QEMU's private NBD server, its exports, and the connections to it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "block_export.h"

#define GONE_MS 10000           /* after an export was told to go */

char *libxlss__private_path(struct libxlss__op *op, const char *uuid)
{
    return libxlss__printf(op, "%s/private-%s.nbd", libxlss__run_dir, uuid);
}

static char *private_path(struct libxlss__op *op)
{
    return libxlss__private_path(op, op->uuid);
}

static char *name_of(struct libxlss__op *op, const char *id,
                     const char *vdev)
{
    return libxlss__printf(op, XLSS_VIEW "%s-%s", id, vdev);
}

static int run(struct libxlss__qmp *qmp, bool try, const char *command,
               yajl_gen g)
{
    const unsigned char *text;
    size_t len;
    int rc;

    yajl_gen_map_close(g);
    yajl_gen_get_buf(g, &text, &len);
    rc = (try ? libxlss__qmp_try : libxlss__qmp_run)(qmp, command,
             (const char *)text, XLSS_QMP_TIMEOUT_MS, NULL);
    yajl_gen_free(g);
    return rc;
}

static yajl_gen begin(void)
{
    yajl_gen g = yajl_gen_alloc(NULL);

    yajl_gen_map_open(g);
    return g;
}

/* -1: nobody listens there. */
static int connect_to(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd;

    if (strlen(path) >= sizeof(addr.sun_path))
        return -1;
    strcpy(addr.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* One that runs already is ours if it listens where ours does. */
static int start_server(struct libxlss__qmp *qmp)
{
    char *path = private_path(qmp->op);
    yajl_gen g = begin();
    int rc;

    json_put_key(g, "addr");
    yajl_gen_map_open(g);
    json_put_string(g, "type", "unix");
    json_put_key(g, "data");
    yajl_gen_map_open(g);
    json_put_string(g, "path", path);
    yajl_gen_map_close(g);
    yajl_gen_map_close(g);
    rc = run(qmp, true, "nbd-server-start", g);
    if (!rc)
        return 0;
    if (qmp->error && strstr(qmp->error, "already running")) {
        if (!access(path, F_OK))
            return 0;
        LOG_ERROR(qmp->op, "QEMU has an NBD server of somebody else's; it "
                  "can have one only");
        return XLSS(BUSY);
    }
    LOG_ERROR(qmp->op, "QEMU refused nbd-server-start: %s",
              qmp->error ? qmp->error : libxl_snapshot_strerror(rc));
    return rc;
}

static int add_export(struct libxlss__qmp *qmp, const libxl_block_export *e,
                      const char *vdev)
{
    char *name = name_of(qmp->op, e->id, vdev);
    yajl_gen g = begin();

    json_put_string(g, "type", "nbd");
    json_put_string(g, "id", name);
    json_put_string(g, "node-name",
                    libxlss__printf(qmp->op, XLSS_VIEW "%s-%s-%c",
                                    e->snapshot, vdev, XLSS_ACCESS));
    json_put_string(g, "name", name);
    json_put_bool(g, "writable", false);
    return run(qmp, false, "block-export-add", g);
}

/* QEMU gets its copy before a byte has been sent. */
static int hold(struct libxlss__qmp *qmp, const libxl_block_export *e,
                const char *vdev, int *fd_r)
{
    *fd_r = connect_to(private_path(qmp->op));
    if (*fd_r < 0) {
        LOG_ERRNO(qmp->op, "cannot connect to QEMU's NBD server");
        return ERROR_FAIL;
    }
    return libxlss__qmp_getfd(qmp, name_of(qmp->op, e->id, vdev), *fd_r);
}

int libxlss__private_start(struct libxlss__op *op,
                           const libxl_block_export *e, int *fds)
{
    struct libxlss__qmp qmp;
    int i, rc = libxlss__qmp_open(op, &qmp);

    if (rc)
        return rc;
    rc = start_server(&qmp);
    for (i = 0; !rc && i < e->num_disks; i++)
        rc = add_export(&qmp, e, e->disks[i].vdev);
    for (i = 0; !rc && i < e->num_disks; i++)
        rc = hold(&qmp, e, e->disks[i].vdev, &fds[i]);
    libxlss__qmp_close(&qmp);
    return rc;
}

/* --- stop --- */

/* One of ours; which: of this export, or of any (NULL). */
static bool is_ours(const char *name, const char *which)
{
    char id[XLSS_VIEW_ID + 1], vdev[32], role;

    return name && libxlss__view_parse(name, id, vdev, &role) && !role &&
           (!which || !strcmp(id, which));
}

/* There is none where the start did not come so far. */
static void close_held(struct libxlss__qmp *qmp, const char *name)
{
    yajl_gen g = begin();

    json_put_string(g, "fdname", name);
    run(qmp, true, "closefd", g);
}

/* What goes. */
struct going {
    char **names;               /* descriptors that are held for it */
    int num;
    int left, all;              /* exports of ours, and of anybody, now */
};

static bool is_going(const struct going *g, const char *name)
{
    int i;

    for (i = 0; i < g->num; i++)
        if (!strcmp(g->names[i], name))
            return true;
    return false;
}

/* hard: the clients are cut off, from this side. */
static int del_exports(struct libxlss__qmp *qmp, const char *which, bool del,
                       struct going *g_r)
{
    yajl_val exports;
    size_t i;
    int rc;

    g_r->left = g_r->all = 0;
    rc = libxlss__qmp_run(qmp, "query-block-exports", NULL,
                          XLSS_QMP_TIMEOUT_MS, &exports);
    if (!rc && del)
        g_r->names = libxlss__zalloc(qmp->op, (json_length(exports) + 1) *
                                     sizeof(*g_r->names));
    for (i = 0; !rc && i < json_length(exports); i++) {
        const char *id = json_string(json_item(exports, i), "id");
        yajl_gen g;

        g_r->all++;
        if (!is_ours(id, which))
            continue;
        g_r->left++;
        if (!del)
            continue;
        g_r->names[g_r->num++] = libxlss__strdup(qmp->op, id);
        g = begin();
        json_put_string(g, "id", id);
        json_put_string(g, "mode", "hard");
        /* It may be on its way already. */
        run(qmp, true, "block-export-del", g);
    }
    yajl_tree_free(exports);
    return rc;
}

static int wait_gone(struct libxlss__qmp *qmp, const char *which,
                     struct going *g)
{
    uint64_t end = libxlss__now_ms() + GONE_MS;
    int rc = del_exports(qmp, which, true, g);

    while (!rc && g->left) {
        rc = del_exports(qmp, which, false, g);
        if (rc || !g->left)
            break;
        if (libxlss__now_ms() >= end) {
            LOG_ERROR(qmp->op, "QEMU does not end the export %s", which);
            return ERROR_TIMEDOUT;
        }
        libxlss__sleep_ms(10);
    }
    return rc;
}

int libxlss__private_stop(struct libxlss__op *op,
                          const libxl_block_export *e)
{
    struct libxlss__qmp qmp;
    struct going g = { 0 };
    int i, rc = libxlss__qmp_open(op, &qmp);

    if (rc)
        return rc;
    rc = wait_gone(&qmp, e->id, &g);
    for (i = 0; !rc && i < g.num; i++)
        close_held(&qmp, g.names[i]);
    /* Also of those that had gone before. */
    for (i = 0; !rc && i < e->num_disks; i++) {
        char *name = name_of(op, e->id, e->disks[i].vdev);

        if (!is_going(&g, name))
            close_held(&qmp, name);
    }
    if (!rc && !g.all && !access(private_path(op), F_OK)) {
        libxlss__qmp_try(&qmp, "nbd-server-stop", NULL, XLSS_QMP_TIMEOUT_MS,
                         NULL);
        unlink(private_path(op));
    }
    libxlss__qmp_close(&qmp);
    return rc;
}

/* --- the bitmap --- */

static int copy_bitmaps(struct libxlss__qmp *qmp,
                        const libxl_block_export *e)
{
    struct libxlss__node_options o = { 0 };
    struct libxlss__op *op = qmp->op;
    struct libxlss__transaction t;
    int i, rc2, added = 0, rc = 0;

    libxlss__transaction_begin(&t);
    for (i = 0; !rc && i < e->num_disks; i++) {
        const char *vdev = e->disks[i].vdev;
        char *node = libxlss__printf(op, "xlss-%s-bitmap", vdev);
        char *view = libxlss__printf(op, XLSS_VIEW "%s-%s-%c", e->snapshot,
                                     vdev, XLSS_ACCESS);

        rc = libxlss__qmp_add_overlay(qmp, node,
                 libxlss__export_sidecar(op, e->id, vdev), &o);
        if (rc)
            break;
        added++;
        libxlss__transaction_bitmap_add(&t, node, e->bitmap, true, true, 0);
        libxlss__transaction_bitmap_merge(&t, node, e->bitmap, view,
                                          XLSS_CHANGES);
    }
    if (rc)
        t.actions = 0;
    rc2 = libxlss__transaction_run(qmp, &t);
    rc = rc ? rc : rc2;
    /* This writes them out. */
    for (i = 0; i < added; i++) {
        rc2 = libxlss__qmp_del_node(qmp, libxlss__printf(op,
                  "xlss-%s-bitmap", e->disks[i].vdev));
        rc = rc ? rc : rc2;
    }
    return rc;
}

int libxlss__private_sidecars(struct libxlss__op *op,
                              const libxl_block_export *e,
                              const uint64_t *sizes)
{
    struct libxlss__qmp qmp;
    int i, rc = 0;

    for (i = 0; !rc && i < e->num_disks; i++) {
        char *path = libxlss__export_sidecar(op, e->id, e->disks[i].vdev);

        rc = libxlss__file_reserve(op, path);
        if (!rc)
            rc = libxlss__image_make(op, path, sizes[i]);
    }
    if (!rc)
        rc = libxlss__qmp_open(op, &qmp);
    if (rc)
        return rc;
    /* One of somebody who died at it. */
    for (i = 0; i < e->num_disks; i++)
        libxlss__tidy_nodes(&qmp, e->disks[i].vdev);
    rc = copy_bitmaps(&qmp, e);
    libxlss__qmp_close(&qmp);
    return rc;
}
