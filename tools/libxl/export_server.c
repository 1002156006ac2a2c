/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A qemu-nbd for each disk that is exported. It outlives us, and is known by
 * its command line alone: the description (-D) says that it is ours, and
 * which snapshot it serves. So nothing is left to be believed of a server
 * that has died, whatever killed it.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "export.h"

#define OURS "xl-snapshot "     /* and the label: a server's description */
#define CMDLINE_MAX 16384       /* bytes */
#define END_MS 10000            /* after SIGTERM, then after SIGKILL */

#ifndef XLSS_QEMU_NBD
#define XLSS_QEMU_NBD "qemu-nbd"
#endif

/* Anybody may call a program as he likes; root's are believed. */
static bool is_roots(const char *pid)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof(path), "/proc/%.20s", pid);
    return !stat(path, &st) && st.st_uid == geteuid();
}

/* Its arguments, each ending in NUL; 0: none, or too many. */
static size_t read_cmdline(const char *pid, char *buffer)
{
    char path[64];
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%.20s/cmdline", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    n = read(fd, buffer, CMDLINE_MAX);
    close(fd);
    return n > 0 && n < CMDLINE_MAX && !buffer[n - 1] ? n : 0;
}

static bool is_qemu_nbd(const char *argv0)
{
    const char *slash = strrchr(argv0, '/');

    return !strcmp(slash ? slash + 1 : argv0, "qemu-nbd");
}

/* What follows the option, as server_start gives it; NULL: it isn't there. */
static const char *option(const char *text, size_t len, const char *name)
{
    const char *end = text + len, *p;

    for (p = text; p < end; p += strlen(p) + 1)
        if (!strcmp(p, name) && p + strlen(p) + 1 < end)
            return p + strlen(p) + 1;
    return NULL;
}

static char *copy(struct libxlss__op *op, const char *s)
{
    return s ? libxlss__strdup(op, s) : NULL;
}

/* False: pid is none of ours. */
static bool look_at(struct libxlss__op *op, const char *pid,
                    struct libxlss__server *server)
{
    char text[CMDLINE_MAX];
    size_t len = is_roots(pid) ? read_cmdline(pid, text) : 0;
    const char *what;

    if (!len || !is_qemu_nbd(text))
        return false;
    what = option(text, len, "-D");
    if (!what || strncmp(what, OURS, strlen(OURS)))
        return false;
    server->pid = atoi(pid);
    server->label = libxlss__strdup(op, what + strlen(OURS));
    server->vdev = copy(op, option(text, len, "-x"));
    server->socket = copy(op, option(text, len, "-k"));
    server->load = copy(op, option(text, len, "-l"));
    return server->vdev && server->socket;
}

static bool same(const struct libxlss__server *a,
                 const struct libxlss__server *b)
{
    return !strcmp(a->label, b->label) && !strcmp(a->vdev, b->vdev);
}

struct libxlss__server *libxlss__servers(struct libxlss__op *op, int *num_r)
{
    struct libxlss__server *list = NULL, one;
    DIR *dir = opendir("/proc");
    struct dirent *e;
    int i, num = 0;

    while (dir && (e = readdir(dir))) {
        if (!isdigit((unsigned char)e->d_name[0]) ||
            !look_at(op, e->d_name, &one))
            continue;
        /* While one starts there are two, the later being the server. */
        for (i = 0; i < num && !same(&list[i], &one); i++)
            ;
        if (i == num) {
            struct libxlss__server *grown =
                libxlss__zalloc(op, ++num * sizeof(*list));

            if (list)
                memcpy(grown, list, (num - 1) * sizeof(*list));
            list = grown;
        }
        list[i] = one;
    }
    if (dir)
        closedir(dir);
    *num_r = num;
    return list;
}

bool libxlss__is_server(struct libxlss__op *op, pid_t pid)
{
    struct libxlss__server server;
    char text[24];

    snprintf(text, sizeof(text), "%d", (int)pid);
    return look_at(op, text, &server);
}

static void drop_socket(const char *path)
{
    struct stat st;

    if (!lstat(path, &st) && S_ISSOCK(st.st_mode))
        unlink(path);
}

/* The last line of what it printed is the reason; libraries that warn come
 * before it. */
static const char *last_line(char *text)
{
    size_t len = strlen(text);
    char *nl;

    while (len && text[len - 1] == '\n')
        text[--len] = '\0';
    nl = strrchr(text, '\n');
    return !*text ? "(it gave no reason)" : nl ? nl + 1 : text;
}

int libxlss__server_start(struct libxlss__op *op,
                          const struct libxlss__source *source,
                          const char *label, const char *vdev,
                          const char *socket)
{
    /* --fork: it returns when the server listens. -t: it stays when the last
     * client has left. -e 0: as many clients as want. */
    char *argv[32] = {
        XLSS_QEMU_NBD, "--fork", "-t", "-e", "0", "-r",
        "-D", libxlss__printf(op, OURS "%s", label),
        "-x", (char *)vdev, "-k", (char *)socket,
        "--image-opts", (char *)source->options,
    };
    char *out, *err;
    int status, rc, n = 14;

    if (source->load) {
        argv[n++] = "-l";
        argv[n++] = (char *)source->load;
    }
    op->private_children = true;        /* the socket is for root alone */
    rc = libxlss__child(op, argv, &out, &err, &status);
    op->private_children = false;
    if (rc)
        return rc;
    if (WIFEXITED(status) && !WEXITSTATUS(status))
        return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        LOG_ERROR(op, "cannot run %s (package qemu-utils)", argv[0]);
    else
        LOG_ERROR(op, "disk %s: %s can't export %s: %s", vdev, argv[0],
                  source->path, last_line(err));
    return ERROR_FAIL;
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

int libxlss__server_stop(struct libxlss__op *op,
                         const struct libxlss__server *server)
{
    int pidfd = libxlss__pidfd_open(server->pid);
    bool ended = pidfd < 0;

    /* It may have ended, and another process have its number: not this. */
    if (!ended && libxlss__is_server(op, server->pid)) {
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
    if (!ended) {
        LOG_ERROR(op, "the server of disk %s (process %d) does not end",
                  server->vdev, (int)server->pid);
        return ERROR_TIMEDOUT;
    }
    drop_socket(server->socket);
    return 0;
}
