/* SPDX-License-Identifier: LGPL-2.1-only */
/* Programs that we wait for. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bk.h"

#define SAID_MAX (4u << 20)     /* bytes of its output that are kept */
#define CHECK_MS 200            /* for an interruption */

struct said {
    int fd;
    char *text;
    size_t len;
};

/* False at its end. */
static bool hear(struct said *s)
{
    char buf[4096];
    ssize_t n = read(s->fd, buf, sizeof(buf));

    if (n < 0 && errno == EINTR)
        return true;
    if (n <= 0) {
        close(s->fd);
        s->fd = -1;
        return false;
    }
    if (s->len + n <= SAID_MAX) {
        s->text = realloc(s->text, s->len + n + 1);
        if (!s->text)
            abort();
        memcpy(s->text + s->len, buf, n);
        s->len += n;
        s->text[s->len] = '\0';
    }
    return true;
}

static void child(int dir, char *const argv[], int out, int err,
                  pid_t parent)
{
    int null = open("/dev/null", O_RDONLY);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    if (getppid() != parent || (dir >= 0 && fchdir(dir)) || null < 0 ||
        dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(126);
    execvp(argv[0], argv);
    _exit(127);
}

static void listen_to(struct said *out, struct said *err, pid_t pid)
{
    bool killed = false;

    while (out->fd >= 0 || err->fd >= 0) {
        struct pollfd p[2] = { { .fd = out->fd, .events = POLLIN },
                               { .fd = err->fd, .events = POLLIN } };

        if (bk_interrupted() && !killed)
            killed = !kill(pid, SIGTERM);
        if (poll(p, 2, CHECK_MS) <= 0)
            continue;
        if (p[0].revents)
            hear(out);
        if (p[1].revents)
            hear(err);
    }
}

int bk_run(int dir, char *const argv[], char **out, char **err)
{
    struct said o = { -1, NULL, 0 }, e = { -1, NULL, 0 };
    int po[2], pe[2], status = -1;
    pid_t self = getpid(), pid = -1;

    *err = NULL;
    if (out)
        *out = NULL;
    if (!pipe2(po, O_CLOEXEC)) {
        if (!pipe2(pe, O_CLOEXEC)) {
            pid = fork();
            if (pid == 0)
                child(dir, argv, po[1], pe[1], self);
            close(pe[1]);
            e.fd = pe[0];
        }
        close(po[1]);
        o.fd = po[0];
    }
    if (pid < 0)
        *err = xl_strdup(strerror(errno));
    if (pid > 0)
        listen_to(&o, &e, pid);
    else if (o.fd >= 0)
        close(o.fd);
    if (pid < 0 && e.fd >= 0)
        close(e.fd);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (out)
        *out = o.text ? o.text : xl_strdup("");
    else
        free(o.text);
    if (!*err)
        *err = e.text ? e.text : xl_strdup("");
    (*err)[strcspn(*err, "\n")] = '\0';
    if (pid < 0 || bk_interrupted() || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}
