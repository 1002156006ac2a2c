/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Our end of the guard (guard_main.c): started before anything is stopped,
 * told what is about to be stopped, told when all is done. It is a program
 * of its own, so that it can be started from a process with threads; it
 * leaves our session, so that a signal to our terminal doesn't reach it.
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

#include "guard.h"

const char *libxlss__guard_path = XLSS_GUARD_PATH;

struct libxlss__guard {
    int tell;                   /* write end: states */
    int ready;                  /* read end: one byte once it is up */
};

#define READY_MS 20000

/* Only async-signal-safe calls from here: the parent may have threads. */
static void exec_guard(int tell, int ready, int lock, char *const argv[])
{
    /* Out of the way of the numbers that they shall have. */
    int high[3] = { fcntl(tell, F_DUPFD, 10), fcntl(ready, F_DUPFD, 10),
                    lock >= 0 ? fcntl(lock, F_DUPFD, 10) : -1 };

    dup2(high[0], GUARD_FD_TELL);
    dup2(high[1], GUARD_FD_READY);
    if (high[2] >= 0)
        dup2(high[2], GUARD_FD_LOCK);
    else
        close(GUARD_FD_LOCK);
    syscall(SYS_close_range, GUARD_FD_LOCK + 1, ~0U, 0);
    execv(argv[0], argv);
    _exit(127);
}

static void child_main(int tell, int ready, int lock, char *const argv[])
{
    sigset_t none;

    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (fork() == 0)
        exec_guard(tell, ready, lock, argv);
    _exit(0);
}

static char **guard_argv(struct libxlss__op *op, int memory_fd)
{
    char *const *on_death = op->how ? op->how->on_death : NULL;
    struct stat st = { 0 };
    int num = 0, i;
    char **argv;

    if (memory_fd >= 0 && fstat(memory_fd, &st))
        memset(&st, 0, sizeof(st));
    while (on_death && on_death[num])
        num++;
    argv = libxlss__zalloc(op, (num + 6) * sizeof(*argv));
    argv[0] = libxlss__strdup(op, libxlss__guard_path);
    argv[1] = libxlss__printf(op, "%u", op->domid);
    argv[2] = libxlss__strdup(op, op->uuid);
    argv[3] = libxlss__printf(op, "%llu", (unsigned long long)st.st_dev);
    argv[4] = libxlss__printf(op, "%llu", (unsigned long long)st.st_ino);
    for (i = 0; i < num; i++)
        argv[5 + i] = on_death[i];
    return argv;
}

static int spawn(struct libxlss__op *op, int memory_fd, int tell, int ready)
{
    char **argv = guard_argv(op, memory_fd);
    int status;
    pid_t pid = fork();

    if (pid == 0)
        child_main(tell, ready, op->lock_fd, argv);
    if (pid < 0) {
        LOG_ERRNO(op, "cannot fork the guard");
        return ERROR_FAIL;
    }
    /* libxl may have reaped it (ECHILD): the ready byte tells the rest. */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return 0;
}

int libxlss__guard_start(struct libxlss__op *op, int memory_fd)
{
    int tell[2], ready[2], rc;

    if (!libxlss__guard_path)
        return 0;
    if (pipe2(tell, O_CLOEXEC)) {
        LOG_ERRNO(op, "cannot make a pipe");
        return ERROR_FAIL;
    }
    if (pipe2(ready, O_CLOEXEC)) {
        LOG_ERRNO(op, "cannot make a pipe");
        close(tell[0]);
        close(tell[1]);
        return ERROR_FAIL;
    }
    rc = spawn(op, memory_fd, tell[0], ready[1]);
    close(tell[0]);
    close(ready[1]);
    if (rc) {
        close(tell[1]);
        close(ready[0]);
        return rc;
    }
    op->guard = libxlss__zalloc(op, sizeof(*op->guard));
    op->guard->tell = tell[1];
    op->guard->ready = ready[0];
    return 0;
}

/* It starts while we look at disks; waited for just before it is needed. */
int libxlss__guard_wait(struct libxlss__op *op)
{
    struct pollfd p;
    char byte;

    if (!op->guard || op->guard->ready < 0)
        return 0;
    p = (struct pollfd){ .fd = op->guard->ready, .events = POLLIN };
    while (poll(&p, 1, READY_MS) < 0 && errno == EINTR)
        ;
    if (!(p.revents & POLLIN) || read(p.fd, &byte, 1) != 1) {
        LOG_ERROR(op, "cannot start the guard %s; nothing was touched",
                  libxlss__guard_path);
        return ERROR_FAIL;
    }
    close(p.fd);
    op->guard->ready = -1;
    return 0;
}

/* SIGPIPE is the application's business: a dead guard must not kill it. */
static void write_quietly(int fd, const char *text, size_t len)
{
    sigset_t pipe_set, old, pending;
    struct timespec now = { 0 };
    ssize_t ignored;

    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
    ignored = write(fd, text, len);
    if (ignored < 0 && errno == EPIPE && !sigismember(&pending, SIGPIPE))
        sigtimedwait(&pipe_set, NULL, &now);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void libxlss__guard_tell(struct libxlss__op *op)
{
    char line[GUARD_LINE + 1];

    if (!op->guard)
        return;
    libxlss__held_to_line(&op->held, line);
    write_quietly(op->guard->tell, line, GUARD_LINE);
}

void libxlss__guard_end(struct libxlss__op *op)
{
    if (!op->guard)
        return;
    /* Without the word it does what it does when we die. */
    if (!op->stuck)
        write_quietly(op->guard->tell, GUARD_BYE, GUARD_LINE);
    close(op->guard->tell);
    if (op->guard->ready >= 0)
        close(op->guard->ready);
    op->guard = NULL;
}
