/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The proxy: a qemu-storage-daemon that is the one client of QEMU's private
 * server, and the server of all others. It is known by its command line,
 * which names its pid file, and by nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block_export.h"

#ifndef XLSS_QSD
#define XLSS_QSD "qemu-storage-daemon"
#endif

#define END_MS 10000            /* after SIGTERM, then after SIGKILL */
#define CMDLINE_MAX 65536       /* bytes */

static char *text_of(struct libxlss__op *op, yajl_gen g)
{
    const unsigned char *text;
    size_t len;
    char *s;

    yajl_gen_map_close(g);
    yajl_gen_get_buf(g, &text, &len);
    s = libxlss__strdup(op, (const char *)text);
    yajl_gen_free(g);
    return s;
}

static yajl_gen node(const char *driver, const char *name)
{
    yajl_gen g = yajl_gen_alloc(NULL);

    yajl_gen_map_open(g);
    json_put_string(g, "driver", driver);
    json_put_string(g, "node-name", name);
    json_put_bool(g, "read-only", true);
    return g;
}

/* QEMU's export over the held connection. */
static char *client(struct libxlss__op *op, const char *name,
                    const libxl_block_export *e, const char *vdev,
                    const char *fd)
{
    yajl_gen g = node("nbd", name);

    json_put_string(g, "export", libxlss__printf(op, XLSS_VIEW "%s-%s",
                                                 e->id, vdev));
    json_put_key(g, "server");
    yajl_gen_map_open(g);
    json_put_string(g, "type", "fd");
    json_put_string(g, "str", fd);
    yajl_gen_map_close(g);
    return text_of(op, g);
}

/*
 * QEMU tells of a view's map what it knows of the topmost image alone: what
 * lies in an image below is a "hole" there, though it has data, and clients
 * differ in what they make of a hole that is not said to be zero (qemu-img
 * compare takes it for zeroes). Quorum calls data whatever isn't known to be
 * zero, and with one child reads what that does.
 */
static char *truthful(struct libxlss__op *op, const char *name,
                      const char *child)
{
    yajl_gen g = node("quorum", name);

    json_put_key(g, "children");
    yajl_gen_array_open(g);
    yajl_gen_string(g, (const unsigned char *)child, strlen(child));
    yajl_gen_array_close(g);
    json_put_u64(g, "vote-threshold", 1);
    json_put_string(g, "read-pattern", "fifo");
    return text_of(op, g);
}

/* An image without data, which reads through, and has the bitmap. */
static char *sidecar(struct libxlss__op *op, const char *name,
                     const char *below, const char *path)
{
    yajl_gen g = node("qcow2", name);

    json_put_string(g, "backing", below);
    json_put_key(g, "file");
    yajl_gen_map_open(g);
    json_put_string(g, "driver", "file");
    json_put_string(g, "filename", path);
    yajl_gen_map_close(g);
    return text_of(op, g);
}

static char *export(struct libxlss__op *op, const char *id, const char *node,
                    const char *name, const char *bitmap)
{
    yajl_gen g = yajl_gen_alloc(NULL);

    yajl_gen_map_open(g);
    json_put_string(g, "type", "nbd");
    json_put_string(g, "id", id);
    json_put_string(g, "node-name", node);
    json_put_string(g, "name", name);
    json_put_bool(g, "writable", false);
    if (bitmap) {
        json_put_key(g, "bitmaps");
        yajl_gen_array_open(g);
        yajl_gen_string(g, (const unsigned char *)bitmap, strlen(bitmap));
        yajl_gen_array_close(g);
    }
    return text_of(op, g);
}

static char *server(struct libxlss__op *op, const libxl_block_export *e)
{
    yajl_gen g = yajl_gen_alloc(NULL);

    yajl_gen_map_open(g);
    json_put_key(g, "addr");
    yajl_gen_map_open(g);
    json_put_string(g, "type", e->host ? "inet" : "unix");
    if (e->host) {
        json_put_string(g, "host", e->host);
        json_put_string(g, "port", libxlss__printf(op, "%d", e->port));
    } else {
        json_put_string(g, "path", e->socket);
    }
    yajl_gen_map_close(g);
    if (e->tls_dir)
        json_put_string(g, "tls-creds", "tls");
    json_put_u64(g, "max-connections", 0);
    return text_of(op, g);
}

static char *tls(struct libxlss__op *op, const libxl_block_export *e)
{
    yajl_gen g = yajl_gen_alloc(NULL);

    yajl_gen_map_open(g);
    json_put_string(g, "qom-type", "tls-creds-x509");
    json_put_string(g, "id", "tls");
    json_put_string(g, "dir", e->tls_dir);
    json_put_string(g, "endpoint", "server");
    json_put_bool(g, "verify-peer", !e->tls_any_client);
    return text_of(op, g);
}

static void add(char **argv, int *n, const char *option, char *value)
{
    argv[(*n)++] = (char *)option;
    argv[(*n)++] = value;
}

/* What serves a disk: nodes from below to the top, the last one exported. */
struct served {
    char *options[3];
    int num;
    char *export;
};

static char *name_for(struct libxlss__op *op, const char *what,
                      const char *vdev)
{
    return libxlss__printf(op, "%s-%s", what, vdev);
}

static struct served serve(struct libxlss__op *op,
                           const libxl_block_export *e,
                           const libxl_block_export_disk *d, const char *fd)
{
    char *below = name_for(op, "client", d->vdev);
    char *name = name_for(op, "disk", d->vdev);
    char *over = name_for(op, "bitmap", d->vdev);
    struct served s = { .num = 0 };

    s.options[s.num++] = client(op, below, e, d->vdev, fd);
    s.options[s.num++] = truthful(op, name, below);
    if (e->bitmap)
        s.options[s.num++] = sidecar(op, over, name,
                                 libxlss__export_sidecar(op, e->id, d->vdev));
    s.export = export(op, name_for(op, "export", d->vdev),
                      e->bitmap ? over : name, d->name, e->bitmap);
    return s;
}

static char *monitor_path(struct libxlss__op *op, const char *id)
{
    return libxlss__export_path(op, id, ".qmp");
}

/* Of the disks of all the first `num` are exported. */
static char **argv_of(struct libxlss__op *op, const libxl_block_export *e,
                      int num, const int *fds)
{
    char **argv = libxlss__zalloc(op, (20 + 8 * e->num_disks) *
                                  sizeof(*argv));
    int i, j, n = 0;

    argv[n++] = XLSS_QSD;
    argv[n++] = "--daemonize";
    add(argv, &n, "--pidfile", libxlss__export_path(op, e->id, ".pid"));
    add(argv, &n, "--chardev",
        libxlss__printf(op, "socket,id=qmp,path=%s,server=on,wait=off",
                        monitor_path(op, e->id)));
    add(argv, &n, "--monitor", "chardev=qmp");
    if (e->tls_dir)
        add(argv, &n, "--object", tls(op, e));
    add(argv, &n, "--nbd-server", server(op, e));
    for (i = 0; i < e->num_disks; i++) {
        struct served s = serve(op, e, &e->disks[i],
                                libxlss__printf(op, "%d", fds[i]));

        for (j = 0; j < s.num; j++)
            add(argv, &n, "--blockdev", s.options[j]);
        if (i < num)
            add(argv, &n, "--export", s.export);
    }
    return argv;
}

/* --- while it serves --- */

int libxlss__proxy_add(struct libxlss__op *op, const libxl_block_export *e)
{
    struct libxlss__qmp qmp;
    int i, rc = libxlss__qmp_open_at(op, &qmp, monitor_path(op, e->id));

    if (rc)
        return rc;
    for (i = 0; !rc && i < e->num_disks; i++)
        rc = libxlss__qmp_run(&qmp, "block-export-add",
                              serve(op, e, &e->disks[i], "").export,
                              XLSS_QMP_TIMEOUT_MS, NULL);
    libxlss__qmp_close(&qmp);
    return rc;
}

static int is_exported(struct libxlss__qmp *qmp, const char *id, bool *yes_r)
{
    yajl_val exports;
    size_t i;
    int rc = libxlss__qmp_run(qmp, "query-block-exports", NULL,
                              XLSS_QMP_TIMEOUT_MS, &exports);

    *yes_r = false;
    for (i = 0; !rc && i < json_length(exports); i++) {
        const char *one = json_string(json_item(exports, i), "id");

        *yes_r |= one && !strcmp(one, id);
    }
    yajl_tree_free(exports);
    return rc;
}

/* Its readers are cut off. */
static int remove_one(struct libxlss__qmp *qmp, const libxl_block_export *e,
                      const libxl_block_export_disk *d)
{
    char *id = name_for(qmp->op, "export", d->vdev);
    uint64_t until = libxlss__now_ms() + END_MS;
    bool there;
    int rc = is_exported(qmp, id, &there);

    if (rc || !there)
        return rc;
    /* It may be on its way already. */
    libxlss__qmp_try(qmp, "block-export-del",
                     libxlss__printf(qmp->op, "{\"id\":\"%s\","
                                     "\"mode\":\"hard\"}", id),
                     XLSS_QMP_TIMEOUT_MS, NULL);
    while (!(rc = is_exported(qmp, id, &there)) && there) {
        if (libxlss__now_ms() >= until) {
            LOG_ERROR(qmp->op, "the server of the export %s does not let "
                      "disk %s go", e->id, d->vdev);
            return ERROR_TIMEDOUT;
        }
        libxlss__sleep_ms(10);
    }
    return rc;
}

int libxlss__proxy_remove(struct libxlss__op *op,
                          const libxl_block_export *e)
{
    struct libxlss__qmp qmp;
    int i, rc = libxlss__qmp_open_at(op, &qmp, monitor_path(op, e->id));

    if (rc)
        return rc;
    for (i = 0; !rc && i < e->num_disks; i++)
        rc = remove_one(&qmp, e, &e->disks[i]);
    libxlss__qmp_close(&qmp);
    return rc;
}

/* --- its process --- */

static const char *last_line(char *text)
{
    size_t len = strlen(text);
    char *nl;

    while (len && text[len - 1] == '\n')
        text[--len] = '\0';
    nl = strrchr(text, '\n');
    return !*text ? "(it gave no reason)" : nl ? nl + 1 : text;
}

int libxlss__proxy_start(struct libxlss__op *op, libxl_block_export *e,
                         const libxl_block_export *all, const int *fds)
{
    char **argv = argv_of(op, all, e->num_disks, fds), *out, *err;
    int status, rc;

    op->private_children = true;
    op->child_fds = fds;
    op->num_child_fds = all->num_disks;
    rc = libxlss__child(op, argv, &out, &err, &status);
    op->private_children = false;
    op->num_child_fds = 0;
    if (rc)
        return rc;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        LOG_ERROR(op, "cannot run %s (package qemu-system-common)", argv[0]);
        return ERROR_FAIL;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status)) {
        LOG_ERROR(op, "%s can't export the block snapshot %s: %s", argv[0],
                  e->snapshot, last_line(err));
        return ERROR_FAIL;
    }
    /* It takes a mask of its own, by which root alone can connect. */
    if (e->socket && chmod(e->socket, 0600)) {
        LOG_ERRNO(op, "cannot change the mode of %s", e->socket);
        return ERROR_FAIL;
    }
    e->pid = libxlss__proxy_pid(op, e->id);
    e->running = e->pid > 0;
    if (e->running)
        return 0;
    LOG_ERROR(op, "%s has ended just after its start", argv[0]);
    return ERROR_FAIL;
}

/* Is the process one that has this argument? */
static bool has_argument(pid_t pid, const char *argument)
{
    char path[64], *text = malloc(CMDLINE_MAX), *p;
    bool found = false;
    ssize_t n = 0;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && text)
        n = read(fd, text, CMDLINE_MAX - 1);
    if (fd >= 0)
        close(fd);
    if (n > 0) {
        text[n] = '\0';
        for (p = text; !found && p < text + n; p += strlen(p) + 1)
            found = !strcmp(p, argument);
    }
    free(text);
    return found;
}

pid_t libxlss__proxy_pid(struct libxlss__op *op, const char *id)
{
    char *path = libxlss__export_path(op, id, ".pid"), text[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    pid_t pid = 0;

    if (fd < 0)
        return 0;
    if (read(fd, text, sizeof(text) - 1) > 0)
        pid = atoi(text);
    close(fd);
    return pid > 0 && libxlss__process_alive(pid) && has_argument(pid, path)
           ? pid : 0;
}

static bool ends(int pidfd)
{
    struct pollfd p = { .fd = pidfd, .events = POLLIN };
    int r;

    do
        r = poll(&p, 1, END_MS);
    while (r < 0 && errno == EINTR);
    return r > 0;
}

int libxlss__proxy_stop(struct libxlss__op *op, const char *id)
{
    pid_t pid = libxlss__proxy_pid(op, id);
    int pidfd = pid ? libxlss__pidfd_open(pid) : -1;
    bool ended = pidfd < 0;

    /* The number may have passed on to somebody else. */
    if (!ended && libxlss__proxy_pid(op, id) == pid) {
        syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0);
        ended = ends(pidfd);
        if (!ended) {
            syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
            ended = ends(pidfd);
        }
    } else {
        ended = true;
    }
    if (pidfd >= 0)
        close(pidfd);
    if (ended)
        return 0;
    LOG_ERROR(op, "the server of the export %s (process %d) does not end", id,
              (int)pid);
    return ERROR_TIMEDOUT;
}
