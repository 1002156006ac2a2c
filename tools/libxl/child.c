/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Runs a program and gathers what it prints. Its exit status comes back
 * through a pipe from a process between: libxl may reap any child of ours
 * (libxl_sigchld_owner_libxl), so waitpid here can't be relied upon.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libxlss_internal.h"

#define MAX_OUTPUT (16u << 20)

struct gather {
    int fd;
    char *text;
    size_t len, size;
};

/* Async-signal-safe calls only: the parent may have threads. */
static void between(int out, int err, int status_fd, char *const argv[])
{
    int status = -1;
    pid_t self = getpid(), pid;

    /* The application may ignore it, and then nothing could be waited for;
     * its handler is no business of this process. */
    signal(SIGCHLD, SIG_DFL);
    pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDONLY);

        /* Killed with its parent, where it takes too long. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != self)
            _exit(127);
        dup2(null, 0);
        dup2(out, 1);
        dup2(err, 2);
        execvp(argv[0], argv);
        _exit(127);
    }
    /* The reader waits for the end of these two. */
    close(out);
    close(err);
    if (pid > 0)
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    _exit(write(status_fd, &status, sizeof(status)) != sizeof(status));
}

static int more(struct gather *g)
{
    ssize_t n;

    if (g->size - g->len < 4096) {
        size_t size = g->size ? g->size * 2 : 65536;
        char *grown = size > MAX_OUTPUT ? NULL : realloc(g->text, size);

        if (!grown)
            return -1;
        g->text = grown;
        g->size = size;
    }
    n = read(g->fd, g->text + g->len, g->size - g->len - 1);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -1;
    g->len += n;
    g->text[g->len] = '\0';
    if (n == 0) {
        close(g->fd);
        g->fd = -1;
    }
    return 0;
}

static int gather_all(struct gather g[3], uint64_t deadline)
{
    while (g[0].fd >= 0 || g[1].fd >= 0 || g[2].fd >= 0) {
        struct pollfd p[3];
        int64_t left = deadline - libxlss__now_ms();
        int i, r;

        for (i = 0; i < 3; i++)
            p[i] = (struct pollfd){ .fd = g[i].fd, .events = POLLIN };
        r = poll(p, 3, left > 0 ? left : 0);
        if (r == 0)
            return ERROR_TIMEDOUT;
        for (i = 0; i < 3; i++)
            if (g[i].fd >= 0 && p[i].revents && more(&g[i]))
                return ERROR_FAIL;
    }
    return 0;
}

static int open_pipes(int p[3][2])
{
    int i;

    for (i = 0; i < 3; i++) {
        if (!pipe2(p[i], O_CLOEXEC))
            continue;
        while (i--) {
            close(p[i][0]);
            close(p[i][1]);
        }
        return ERROR_FAIL;
    }
    return 0;
}

static char *keep(struct libxlss__op *op, struct gather *g)
{
    char *text = libxlss__strdup(op, g->text ? g->text : "");

    return text;
}

int libxlss__child(struct libxlss__op *op, char *const argv[],
                   char **out_r, char **err_r, int *status_r)
{
    struct gather g[3] = { { .fd = -1 }, { .fd = -1 }, { .fd = -1 } };
    int p[3][2], i, rc;
    pid_t pid;

    rc = open_pipes(p);
    if (rc) {
        LOG_ERRNO(op, "cannot make pipes for %s", argv[0]);
        return rc;
    }
    pid = fork();
    if (pid == 0) {
        if (op->private_children)
            umask(0177);
        for (i = 0; i < op->num_child_fds; i++)
            fcntl(op->child_fds[i], F_SETFD, 0);
        between(p[0][1], p[1][1], p[2][1], argv);
    }
    for (i = 0; i < 3; i++) {
        close(p[i][1]);
        g[i].fd = p[i][0];
    }
    if (pid < 0) {
        LOG_ERRNO(op, "cannot fork for %s", argv[0]);
        rc = ERROR_FAIL;
        goto out;
    }
    rc = gather_all(g, libxlss__now_ms() +
                       (op->child_ms ? op->child_ms : XLSS_CHILD_MS));
    if (rc) {
        LOG_ERROR(op, "%s did not end in time, or printed too much",
                  argv[0]);
        kill(pid, SIGKILL);
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (!rc && g[2].len != sizeof(*status_r)) {
        LOG_ERROR(op, "cannot learn how %s ended", argv[0]);
        rc = ERROR_FAIL;
    }
    if (!rc) {
        memcpy(status_r, g[2].text, sizeof(*status_r));
        *out_r = keep(op, &g[0]);
        *err_r = keep(op, &g[1]);
    }
out:
    for (i = 0; i < 3; i++) {
        if (g[i].fd >= 0)
            close(g[i].fd);
        free(g[i].text);
    }
    return rc;
}
