/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Whoever writes qcow2 is a qemu-nbd. It gets a socket that we have connected
 * to already, and that has no name any more: so there is nothing to be found
 * by others, nothing to be left behind, and it ends when we do.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libnbd.h>

#include "bk.h"

#ifndef BK_QEMU_NBD
#define BK_QEMU_NBD "qemu-nbd"
#endif

/* A chunk and more at once: as many times fewer do the two take turns. */
static void widen(int fd)
{
    int size = 4 << 20;

    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
}

/* listening, and num connections to it. False: errno. */
static bool sockets(int num, int *listening, int *connected)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    char folder[] = "/tmp/xl-backup-XXXXXX";
    bool good = false;
    int i;

    *listening = -1;
    if (!mkdtemp(folder))
        return false;
    snprintf(un.sun_path, sizeof(un.sun_path), "%s/nbd", folder);
    *listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*listening >= 0 &&
        !bind(*listening, (struct sockaddr *)&un, sizeof(un)) &&
        !listen(*listening, num))
        good = true;
    for (i = 0; i < num; i++) {
        connected[i] = good ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
                            : -1;
        if (connected[i] >= 0)
            widen(connected[i]);
        if (connected[i] < 0 ||
            connect(connected[i], (struct sockaddr *)&un, sizeof(un)))
            good = false;
    }
    i = errno;
    unlink(un.sun_path);
    rmdir(folder);
    errno = i;
    return good;
}

static void child(int dir, char *const argv[], int listening, int err)
{
    int null = open("/dev/null", O_RDWR);
    char pid[16];

    /* It ends as its connections do; this is for the time before them. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_DFL);
    /* Ctrl-C is for us: it is told when we go. */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    if (fchdir(dir) || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
        dup2(err, 2) < 0 || dup2(listening, 3) < 0 ||
        setenv("LISTEN_PID", pid, 1) || setenv("LISTEN_FDS", "1", 1))
        _exit(126);
    /* Where it had the number already, dup2 has left the flag. */
    fcntl(3, F_SETFD, 0);
    execvp(argv[0], argv);
    dprintf(2, "can't run %s (package qemu-utils): %s\n", argv[0],
            strerror(errno));
    _exit(127);
}

static int spawn(struct bk_target *t, int dir, const char *vdev,
                 int listening)
{
    char *image = xl_printf("driver=qcow2,file.driver=file,"
                            "file.filename=./%s.qcow2", vdev);
    char *shared = xl_printf("--shared=%d", t->num);
    char *argv[] = { BK_QEMU_NBD, "--image-opts", "--cache=writeback",
                     "--discard=unmap", "--export-name=", shared, image,
                     NULL };
    int pe[2];

    t->pid = -1;
    if (!pipe2(pe, O_CLOEXEC)) {
        t->pid = fork();
        if (t->pid == 0)
            child(dir, argv, listening, pe[1]);
        close(pe[1]);
        t->err_fd = pe[0];
        fcntl(t->err_fd, F_SETFL, O_NONBLOCK);
    }
    free(shared);
    free(image);
    return t->pid < 0 ? XL_EXIT_FAILED : 0;
}

char *bk_target_said(struct bk_target *t)
{
    char text[512];
    ssize_t n = t->err_fd < 0 ? -1 : read(t->err_fd, text, sizeof(text) - 1);

    if (n <= 0)
        return NULL;
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return xl_strdup(text);
}

static void say_why(struct bk_target *t, const char *where, const char *why)
{
    char *said;

    /* It says so before it closes its end, but ends after. */
    usleep(20000);
    said = bk_target_said(t);
    xl_say("writing %s: %s", where, said ? said : why);
    free(said);
}

int bk_target_open(struct bk_target *t, int dir, const char *vdev,
                   int connections, const char *where)
{
    int *fds = xl_alloc(connections, sizeof(*fds)), listening, i, status = 0;

    *t = (struct bk_target){ .pid = -1, .err_fd = -1, .num = connections };
    t->nbd = xl_alloc(connections, sizeof(*t->nbd));
    if (!sockets(connections, &listening, fds) ||
        spawn(t, dir, vdev, listening)) {
        xl_say("writing %s: %s", where, strerror(errno));
        status = XL_EXIT_FAILED;
    }
    if (listening >= 0)
        close(listening);
    for (i = 0; i < connections; i++) {
        t->nbd[i] = status ? NULL : nbd_create();
        if (t->nbd[i] && !nbd_connect_socket(t->nbd[i], fds[i]))
            continue;
        /* Which of them closes it, libnbd leaves open only if it is NULL. */
        if (!t->nbd[i] && fds[i] >= 0)
            close(fds[i]);
        if (!status)
            say_why(t, where, nbd_get_error());
        status = XL_EXIT_FAILED;
    }
    free(fds);
    if (status)
        bk_target_drop(t);
    return status;
}

static int end(struct bk_target *t)
{
    int i, code = 0;

    for (i = 0; i < t->num; i++)
        nbd_close(t->nbd[i]);
    free(t->nbd);
    t->nbd = NULL;
    t->num = 0;
    if (t->pid > 0)
        while (waitpid(t->pid, &code, 0) < 0 && errno == EINTR)
            ;
    t->pid = -1;
    return code;
}

static void close_err(struct bk_target *t)
{
    if (t->err_fd >= 0)
        close(t->err_fd);
    t->err_fd = -1;
}

int bk_target_close(struct bk_target *t, const char *where)
{
    int i, status = 0;

    if (nbd_flush(t->nbd[0], 0)) {
        xl_say("writing %s: %s", where, nbd_get_error());
        status = XL_EXIT_FAILED;
    }
    for (i = 0; i < t->num; i++)
        nbd_shutdown(t->nbd[i], 0);
    if (end(t) && !status) {
        say_why(t, where, "qemu-nbd has failed at its end");
        status = XL_EXIT_FAILED;
    }
    close_err(t);
    return status;
}

void bk_target_drop(struct bk_target *t)
{
    if (t->pid > 0)
        kill(t->pid, SIGTERM);
    end(t);
    close_err(t);
}
