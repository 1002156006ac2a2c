/* SPDX-License-Identifier: LGPL-2.1-only */
/* libxl_domain_block_export_start, _stop and _list. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "block_export.h"

#define NBD_PORT 10809

struct start {
    libxl_ctx *ctx;
    uint32_t domid;
    libxl_block_export *args;
    const libxl_snapshot_how *how;
};

/* --- what is wanted --- */

static const char *address_problem(const libxl_block_export *e)
{
    if (e->socket && e->host)
        return "both a socket and a TCP address are given";
    if (e->socket && e->socket[0] != '/')
        return "the socket's path is not absolute";
    if (e->socket && strlen(e->socket) >=
        sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return "the socket's path is longer than the 107 bytes that a socket "
               "can have";
    if (e->port < 0 || e->port > 65535)
        return "there is no such port";
    if (e->host && !e->tls_dir && !e->insecure)
        return "over TCP everybody could read the disks: give a folder with "
               "TLS certificates, or ask for an insecure export by name";
    if (e->tls_dir && e->insecure)
        return "TLS certificates are given, and an insecure export is asked "
               "for";
    if (e->tls_dir && e->tls_dir[0] != '/')
        return "the path of the TLS certificates is not absolute";
    return NULL;
}

static int check_address(struct libxlss__op *op, const libxl_block_export *e)
{
    const char *why = address_problem(e);
    struct stat st;

    if (why) {
        LOG_ERROR(op, "the export is refused: %s", why);
        return ERROR_INVAL;
    }
    if (e->socket && !lstat(e->socket, &st)) {
        LOG_ERROR(op, "%s exists already", e->socket);
        return XLSS(EXISTS);
    }
    return 0;
}

static int choose_id(struct libxlss__op *op, libxl_block_export *e)
{
    char id[XLSS_VIEW_ID + 1];
    uint32_t bits;

    if (!e->id) {
        if (getrandom(&bits, sizeof(bits), 0) != sizeof(bits)) {
            LOG_ERRNO(op, "the kernel gives no random number");
            return ERROR_FAIL;
        }
        snprintf(id, sizeof(id), "%08x", bits);
        libxlss__replace(&e->id, id);
    } else if (!libxlss__view_id_ok(e->id)) {
        LOG_ERROR(op, "%s is no export's id", e->id);
        return ERROR_INVAL;
    } else if (libxlss__export_exists(op, op->uuid, e->id)) {
        LOG_ERROR(op, "there is an export %s already", e->id);
        return XLSS(EXISTS);
    }
    if (e->host && !e->port)
        e->port = NBD_PORT;
    if (!e->host && !e->socket)
        libxlss__replace(&e->socket, libxlss__export_path(op, e->id, ".sock"));
    return 0;
}

static const struct libxlss__view_disk *
find(const struct libxlss__view *v, const char *vdev)
{
    int i;

    for (i = 0; i < v->num_disks; i++)
        if (!strcmp(v->disks[i].vdev, vdev))
            return &v->disks[i];
    return NULL;
}

/* Those named, or all. */
static int choose_disks(struct libxlss__op *op, libxl_block_export *e,
                        const struct libxlss__view *v)
{
    int i, j;

    if (!e->num_disks) {
        e->disks = calloc(v->num_disks + 1, sizeof(*e->disks));
        if (!e->disks)
            abort();
        e->num_disks = v->num_disks;
        for (i = 0; i < v->num_disks; i++) {
            libxl_block_export_disk_init(&e->disks[i]);
            e->disks[i].vdev = libxlss__own(v->disks[i].vdev);
        }
    }
    for (i = 0; i < e->num_disks; i++) {
        libxl_block_export_disk *d = &e->disks[i];

        if (!d->vdev || !find(v, d->vdev)) {
            LOG_ERROR(op, "the block snapshot %s holds no disk %s", v->id,
                      d->vdev ? d->vdev : "without a name");
            return ERROR_NOTFOUND;
        }
        if (!d->name)
            d->name = libxlss__own(d->vdev);
        for (j = 0; j < i; j++)
            if (!strcmp(e->disks[j].name, d->name) ||
                !strcmp(e->disks[j].vdev, d->vdev)) {
                LOG_ERROR(op, "two disks of the export have the name %s",
                          d->name);
                return ERROR_INVAL;
            }
    }
    return 0;
}

int libxlss__export_look(struct libxlss__op *op, libxl_block_export *e,
                         const struct libxlss__view **v_r)
{
    struct libxlss__graph graph;
    struct libxlss__view *list, *v;
    struct libxlss__qmp qmp;
    int num, rc = libxlss__qmp_open(op, &qmp);

    if (rc)
        return rc;
    rc = libxlss__views_read(&qmp, &graph, &list, &num);
    libxlss__qmp_close(&qmp);
    if (rc)
        return rc;
    v = e->snapshot ? libxlss__view_find(list, num, e->snapshot) : NULL;
    if (!v || !v->complete || libxlss__view_has_target(v)) {
        LOG_ERROR(op, "there is no block snapshot %s that could be exported",
                  e->snapshot ? e->snapshot : "(none named)");
        return ERROR_NOTFOUND;
    }
    *v_r = v;
    libxlss__replace(&e->bitmap, v->since ? XLSS_CHANGES : NULL);
    return choose_disks(op, e, v);
}

/* --- start --- */

void libxlss__export_uris(struct libxlss__op *op, libxl_block_export *e)
{
    int i;

    for (i = 0; i < e->num_disks; i++) {
        char *name = libxlss__uri_part(op, e->disks[i].name);
        bool ipv6 = e->host && strchr(e->host, ':');

        libxlss__replace(&e->disks[i].uri, e->host
            ? libxlss__printf(op, "%s://%s%s%s:%d/%s",
                              e->tls_dir ? "nbds" : "nbd", ipv6 ? "[" : "",
                              e->host, ipv6 ? "]" : "", e->port, name)
            : libxlss__printf(op, "%s://%s%s?socket=%s",
                              e->tls_dir ? "nbds+unix" : "nbd+unix", "/",
                              name, libxlss__uri_part(op, e->socket)));
    }
}

/* QEMU first: then nothing that the proxy does can harm it. */
static int end(struct libxlss__op *op, const libxl_block_export *e)
{
    bool alive = op->domid != XLSS_OFF && libxlss__qemu_alive(op);
    int rc = 0;

    if (alive)
        rc = libxlss__private_stop(op, e);
    if (!rc)
        rc = libxlss__proxy_stop(op, e->id);
    if (!rc)
        libxlss__export_forget(op, e, !alive);
    return rc;
}

static bool is_in(const libxl_block_export *e, const char *vdev)
{
    int i;

    for (i = 0; i < e->num_disks; i++)
        if (!strcmp(e->disks[i].vdev, vdev))
            return true;
    return false;
}

/* Its disks, and after them the others of the view. */
static void all_disks(struct libxlss__op *op, const libxl_block_export *e,
                      const struct libxlss__view *v, libxl_block_export *all)
{
    int i;

    libxl_block_export_init(all);
    libxl_block_export_copy(op->ctx, all, e);
    all->disks = realloc(all->disks, (e->num_disks + v->num_disks + 1) *
                         sizeof(*all->disks));
    if (!all->disks)
        abort();
    for (i = 0; i < v->num_disks; i++) {
        libxl_block_export_disk *d = &all->disks[all->num_disks];

        if (is_in(e, v->disks[i].vdev))
            continue;
        libxl_block_export_disk_init(d);
        d->vdev = libxlss__own(v->disks[i].vdev);
        d->name = libxlss__own(v->disks[i].vdev);
        all->num_disks++;
    }
}

static int serve_all(struct libxlss__op *op, libxl_block_export *e,
                     const libxl_block_export *all,
                     const struct libxlss__view *v)
{
    uint64_t *sizes = libxlss__zalloc(op, all->num_disks * sizeof(*sizes));
    int *fds = libxlss__zalloc(op, all->num_disks * sizeof(*fds));
    int i, rc = 0;

    for (i = 0; i < all->num_disks; i++) {
        fds[i] = -1;
        sizes[i] = find(v, all->disks[i].vdev)->size;
    }
    if (e->bitmap)
        rc = libxlss__private_sidecars(op, all, sizes);
    if (!rc)
        rc = libxlss__private_start(op, all, fds);
    if (!rc)
        rc = libxlss__proxy_start(op, e, all, fds);
    for (i = 0; i < all->num_disks; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return rc;
}

static int serve(struct libxlss__op *op, libxl_block_export *e,
                 const struct libxlss__view *v)
{
    libxl_block_export all;
    int rc;

    all_disks(op, e, v, &all);
    rc = serve_all(op, e, &all, v);
    libxl_block_export_dispose(&all);
    return rc;
}

static int start(struct libxlss__op *op, libxl_block_export *e)
{
    const struct libxlss__view *v;
    int rc = check_address(op, e);

    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_LOOK);
    if (!rc && (op->domid == XLSS_OFF || !libxlss__qemu_alive(op))) {
        LOG_ERROR(op, "the domain's QEMU is dead or can't be found");
        rc = XLSS(NO_QEMU);
    }
    if (!rc)
        rc = libxlss__oplock(op, op->how ? op->how->wait_seconds : 0);
    if (!rc)
        rc = libxlss__export_look(op, e, &v);
    if (!rc)
        rc = choose_id(op, e);
    if (rc)
        return rc;
    libxlss__export_uris(op, e);
    /* First: who finds it can take away whatever comes after. */
    rc = libxlss__export_write(op, op->uuid, e);
    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_PREPARE);
    if (!rc)
        rc = serve(op, e, v);
    if (!rc)
        return 0;
    op->committed = true;
    if (end(op, e))
        LOG_ERROR(op, "what was made of the export %s could not be taken "
                  "away again; stop it", e->id);
    return rc;
}

static int start_main(void *p)
{
    struct start *s = p;
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, s->ctx, s->domid, "block-export", s->how);
    if (!rc)
        rc = start(&op, s->args);
    libxlss__op_end(&op);
    free(s);
    return rc;
}

int libxl_domain_block_export_start(libxl_ctx *ctx, uint32_t domid,
                                    libxl_block_export *args,
                                    const libxl_snapshot_how *how,
                                    const libxl_asyncop_how *ao_how)
{
    struct start *s = malloc(sizeof(*s));

    if (!s)
        return ERROR_NOMEM;
    *s = (struct start){ ctx, domid, args, how };
    return libxlss__ao_run(ctx, ao_how, start_main, s);
}

/* --- stop and list --- */

static int stop(struct libxlss__op *op, const char *id)
{
    libxl_block_export_list list;
    int i, rc = 0;

    if (!libxlss__view_id_ok(id)) {
        LOG_ERROR(op, "%s is no export's id", id ? id : "(nothing)");
        return ERROR_INVAL;
    }
    rc = libxlss__oplock(op, op->how ? op->how->wait_seconds : 0);
    if (rc)
        return rc;
    libxl_block_export_list_init(&list);
    libxlss__export_read_all(op, op->uuid, &list);
    for (i = 0; !rc && i < list.num_exports; i++)
        if (!strcmp(list.exports[i].id, id))
            rc = end(op, &list.exports[i]);
    libxl_block_export_list_dispose(&list);
    return rc;
}

int libxl_domain_block_export_stop(libxl_ctx *ctx, uint32_t domid,
                                   const char *id,
                                   const libxl_snapshot_how *how)
{
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, ctx, domid, "block-export", how);
    if (!rc)
        rc = stop(&op, id);
    libxlss__op_end(&op);
    return rc;
}

int libxl_domain_block_export_list(libxl_ctx *ctx, uint32_t domid,
                                   libxl_block_export_list *out,
                                   const libxl_snapshot_how *how)
{
    struct libxlss__op op;
    int rc;

    libxl_block_export_list_dispose(out);
    libxl_block_export_list_init(out);
    rc = libxlss__op_begin(&op, ctx, domid, "block-export", how);
    if (!rc)
        rc = libxlss__export_read_all(&op, op.uuid, out);
    libxlss__op_end(&op);
    return rc;
}
