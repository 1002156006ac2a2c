/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxl_domain_snapshot_export_start, _stop and _list: read-only NBD of a
 * snapshot's disks.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "export.h"

struct start {
    libxl_ctx *ctx;
    uint32_t domid;
    const libxl_domain_snapshot_args *args;
    const char *label;
    const char *const *vdevs;
    const char *socket;
    libxl_snapshot_export_list *out;
    const libxl_snapshot_how *how;
};

/* One disk on its way. */
struct export {
    const libxl_disk_snapshot *snap;
    struct libxlss__source source;
    const char *socket;
    bool running;               /* before we came */
    bool started;
};

/* --- which disks, which sockets --- */

static bool is_named(const char *const *vdevs, const char *vdev)
{
    if (!vdevs)
        return true;
    for (; *vdevs; vdevs++)
        if (!strcmp(*vdevs, vdev))
            return true;
    return false;
}

static const libxl_disk_snapshot *
find(const libxl_domain_snapshot_args *args, const char *vdev)
{
    int i;

    for (i = 0; i < args->num_disks; i++)
        if (args->disks[i].device.vdev &&
            !strcmp(args->disks[i].device.vdev, vdev) &&
            args->disks[i].kind != LIBXL_DISK_SNAPSHOT_KIND_NONE)
            return &args->disks[i];
    return NULL;
}

static int choose(struct libxlss__op *op, const struct start *s,
                  struct export *exports, int *num)
{
    const char *const *v;
    int i;

    for (v = s->vdevs; v && *v; v++)
        if (!find(s->args, *v)) {
            LOG_ERROR(op, "the snapshot holds no disk %s", *v);
            return ERROR_NOTFOUND;
        }
    for (i = 0; i < s->args->num_disks; i++) {
        const libxl_disk_snapshot *snap = &s->args->disks[i];

        if (snap->device.vdev && is_named(s->vdevs, snap->device.vdev) &&
            find(s->args, snap->device.vdev) == snap)
            exports[(*num)++].snap = snap;
    }
    if (*num)
        return 0;
    LOG_ERROR(op, "the snapshot holds no disk");
    return ERROR_NOTFOUND;
}

/* A path has few bytes in sockaddr_un: names are too long for it. */
static uint64_t hash(const char *s)
{
    uint64_t h = 0xcbf29ce484222325;    /* FNV-1a */

    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3;
    return h;
}

static bool is_folder(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* Nobody listens there any more? */
static bool is_dead_socket(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    struct stat st;
    bool dead;
    int fd;

    if (lstat(path, &st) || !S_ISSOCK(st.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    dead = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) &&
           errno == ECONNREFUSED;
    close(fd);
    return dead;
}

static int check_socket(struct libxlss__op *op, const char *path)
{
    struct stat st;

    if (path[0] != '/' ||
        strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        LOG_ERROR(op, "the socket's path %s is %s", path, path[0] == '/'
                  ? "longer than the 107 bytes that a socket can have"
                  : "not absolute");
        return ERROR_INVAL;
    }
    if (is_dead_socket(path))
        unlink(path);
    if (!lstat(path, &st)) {
        LOG_ERROR(op, "%s exists already", path);
        return XLSS(EXISTS);
    }
    return 0;
}

static const char *socket_of(struct libxlss__op *op, const struct start *s,
                             const char *vdev)
{
    if (!s->socket)
        return libxlss__printf(op, "%s/nbd-%016llx-%s.sock", libxlss__run_dir,
                               (unsigned long long)hash(s->label), vdev);
    return is_folder(s->socket)
           ? libxlss__printf(op, "%s/%s.sock", s->socket, vdev)
           : libxlss__strdup(op, s->socket);
}

/* --- start --- */

static const struct libxlss__server *
server_of(const struct libxlss__server *servers, int num, const char *label,
          const char *vdev)
{
    int i;

    for (i = 0; i < num; i++)
        if (!strcmp(servers[i].label, label) &&
            !strcmp(servers[i].vdev, vdev))
            return &servers[i];
    return NULL;
}

static int prepare(struct libxlss__op *op, const struct start *s,
                   struct export *e)
{
    const char *vdev = e->snap->device.vdev;
    const struct libxlss__server *server;
    int num, rc;

    if (!libxlss__source(op, e->snap, s->args->name, &e->source)) {
        LOG_ERROR(op, "disk %s: its record names no file, format or name "
                  "from which the snapshot could be read", vdev);
        return ERROR_INVAL;
    }
    e->socket = socket_of(op, s, vdev);
    server = libxlss__servers(op, &num);
    server = server_of(server, num, s->label, vdev);
    if (server && s->socket && strcmp(server->socket, e->socket)) {
        LOG_ERROR(op, "disk %s: %s is exported at %s already (process %d)",
                  vdev, s->label, server->socket, (int)server->pid);
        return XLSS(EXISTS);
    }
    if (server) {
        e->socket = server->socket;
        e->running = true;
        return 0;
    }
    rc = libxlss__source_check(op, vdev, &e->source);
    return rc ? rc : check_socket(op, e->socket);
}

static void stop_all(struct libxlss__op *op, const char *label,
                     struct export *exports, int num)
{
    struct libxlss__server *servers;
    int i, num_servers;

    servers = libxlss__servers(op, &num_servers);
    for (i = 0; i < num; i++) {
        const struct libxlss__server *server =
            server_of(servers, num_servers, label,
                      exports[i].snap->device.vdev);

        if (exports[i].started && server)
            libxlss__server_stop(op, server);
    }
}

/* What an URI can't hold is written as %XX. */
char *libxlss__uri_part(struct libxlss__op *op, const char *s)
{
    static const char fine[] = "/-._~0123456789abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char *out = libxlss__zalloc(op, 3 * strlen(s) + 1), *to = out;

    for (; *s; s++)
        if (strchr(fine, *s))
            *to++ = *s;
        else
            to += sprintf(to, "%%%02X", (unsigned char)*s);
    return out;
}

static char *own(const char *s)
{
    char *p = strdup(s);

    if (!p)
        abort();
    return p;
}

static void fill(struct libxlss__op *op, const struct libxlss__server *server,
                 libxl_snapshot_export *out)
{
    libxl_snapshot_export_init(out);
    out->vdev = own(server->vdev);
    out->label = own(server->label);
    out->socket = own(server->socket);
    out->pid = server->pid;
    out->uri = own(libxlss__printf(op, "nbd+unix:///%s?socket=%s",
                                   libxlss__uri_part(op, server->vdev),
                                   libxlss__uri_part(op, server->socket)));
}

/* Those of label (NULL: all) among vdevs (NULL: all). */
static int report(struct libxlss__op *op, const char *label,
                  const char *const *vdevs, libxl_snapshot_export_list *out)
{
    struct libxlss__server *servers;
    int i, num;

    if (!out)
        return 0;
    servers = libxlss__servers(op, &num);
    libxl_snapshot_export_list_dispose(out);
    libxl_snapshot_export_list_init(out);
    out->exports = calloc(num ? num : 1, sizeof(*out->exports));
    if (!out->exports)
        return ERROR_NOMEM;
    for (i = 0; i < num; i++)
        if ((!label || !strcmp(servers[i].label, label)) &&
            is_named(vdevs, servers[i].vdev))
            fill(op, &servers[i], &out->exports[out->num_exports++]);
    return 0;
}

static int start_all(struct libxlss__op *op, const struct start *s,
                     struct export *exports, int num)
{
    int i, rc = 0;

    for (i = 0; !rc && i < num; i++)
        rc = prepare(op, s, &exports[i]);
    for (i = 0; !rc && i < num; i++) {
        if (exports[i].running)
            continue;
        exports[i].started = true;
        rc = libxlss__server_start(op, &exports[i].source, s->label,
                                   exports[i].snap->device.vdev,
                                   exports[i].socket);
    }
    if (rc)
        stop_all(op, s->label, exports, num);
    return rc;
}

static int start(struct libxlss__op *op, const struct start *s)
{
    struct export *exports =
        libxlss__zalloc(op, (s->args->num_disks + 1) * sizeof(*exports));
    int num = 0, rc = 0;

    /* So that nothing is deleted while the server opens it. */
    if (op->domid != XLSS_OFF)
        rc = libxlss__oplock(op, s->how ? s->how->wait_seconds : 0);
    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_LOOK);
    if (!rc && mkdir(libxlss__run_dir, 0700) && errno != EEXIST) {
        LOG_ERRNO(op, "cannot make %s", libxlss__run_dir);
        rc = ERROR_FAIL;
    }
    if (!rc)
        rc = choose(op, s, exports, &num);
    if (!rc && num > 1 && s->socket && !is_folder(s->socket)) {
        LOG_ERROR(op, "%s is no folder, and %d disks need a socket each",
                  s->socket, num);
        rc = ERROR_INVAL;
    }
    if (!rc)
        rc = start_all(op, s, exports, num);
    return rc ? rc : report(op, s->label, s->vdevs, s->out);
}

static int start_main(void *p)
{
    struct start *s = p;
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, s->ctx, s->domid, "snapshot-export", s->how);
    if (!rc)
        rc = start(&op, s);
    libxlss__op_end(&op);
    free(s);
    return rc;
}

int libxl_domain_snapshot_export_start(libxl_ctx *ctx, uint32_t domid,
                                       const libxl_domain_snapshot_args *args,
                                       const char *label,
                                       const char *const *vdevs,
                                       const char *socket,
                                       libxl_snapshot_export_list *out,
                                       const libxl_snapshot_how *how,
                                       const libxl_asyncop_how *ao_how)
{
    struct start *s = malloc(sizeof(*s));

    if (!s)
        return ERROR_NOMEM;
    *s = (struct start){ .ctx = ctx, .domid = domid, .args = args,
                         .label = label, .vdevs = vdevs, .socket = socket,
                         .out = out, .how = how };
    return libxlss__ao_run(ctx, ao_how, start_main, s);
}

/* --- stop and list --- */

int libxl_domain_snapshot_export_stop(libxl_ctx *ctx,
                                      const libxl_snapshot_export *which,
                                      const libxl_snapshot_how *how)
{
    const struct libxlss__server *server;
    struct libxlss__op op;
    int num, rc;

    rc = libxlss__op_begin(&op, ctx, XLSS_OFF, "snapshot-export", how);
    if (!rc) {
        server = libxlss__servers(&op, &num);
        server = server_of(server, num, which->label, which->vdev);
        rc = server ? libxlss__server_stop(&op, server) : 0;
    }
    libxlss__op_end(&op);
    return rc;
}

int libxl_domain_snapshot_export_list(libxl_ctx *ctx, const char *label,
                                      libxl_snapshot_export_list *out,
                                      const libxl_snapshot_how *how)
{
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, ctx, XLSS_OFF, "snapshot-export", how);
    if (!rc)
        rc = report(&op, label, NULL, out);
    libxlss__op_end(&op);
    return rc;
}
