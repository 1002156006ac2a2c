/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What a quiesced snapshot needs of a guest: a filesystem that is written to
 * all the time, and QEMU's guest agent on the first Xen channel. Both are in
 * the larger of the two initramfs only (initrd.agent).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#define AGENT "/sbin/qemu-ga"

static pid_t agent;

/*
 * Says "file N" after each piece: in a frozen filesystem the write waits, and
 * so does this process, but not the counter.  Never flushed by itself, so
 * that the journal always has something to replay.
 */
static void write_for_ever(void)
{
    char piece[4096];
    int fd;

    memset(piece, 'x', sizeof(piece));
    for (long n = 1;; n++) {
        fd = open(n % 2 ? "/mnt/odd" : "/mnt/even",
                  O_CREAT | O_WRONLY | (n % 64 < 2 ? O_TRUNC : O_APPEND),
                  0600);
        if (fd < 0 || write(fd, piece, sizeof(piece)) < 0)
            say("file %ld failed: %s", n, strerror(errno));
        else
            say("file %ld", n);
        if (fd >= 0)
            close(fd);
        usleep(300 * 1000);
    }
}

void agent_mount(const char *disk)
{
    char path[64];

    snprintf(path, sizeof(path), "/dev/%.31s", disk);
    mkdir("/mnt", 0755);
    if (mount(path, "/mnt", "ext4", 0, NULL)) {
        say("mount of %s failed: %s", disk, strerror(errno));
        return;
    }
    say("mounted %s", disk);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        write_for_ever();
    }
}

/* What the guest's kernel knows of Xen's consoles, for whoever looks for the
 * reason of a failure. */
static void say_consoles(void)
{
    struct dirent **list;
    int n = scandir("/sys/bus/xen/devices", &list, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        char path[300];
        char state[40] = "?";
        ssize_t got;
        int fd;

        snprintf(path, sizeof(path), "/sys/bus/xen/devices/%.200s/state",
                 list[i]->d_name);
        fd = open(path, O_RDONLY);
        got = fd < 0 ? -1 : read(fd, state, sizeof(state) - 1);
        if (got > 0)
            state[strcspn(state, "\n")] = '\0';
        if (fd >= 0)
            close(fd);
        if (list[i]->d_name[0] != '.')
            say("agent: xenbus device %.100s: %s", list[i]->d_name, state);
        free(list[i]);
    }
    if (n >= 0)
        free(list);
}

/* The first console of the hypervisor's beside the system's own: there are
 * nodes for some that don't exist. */
static const char *channel(void)
{
    static char path[16];

    for (int i = 1; i < 8; i++) {
        int fd;

        snprintf(path, sizeof(path), "/dev/hvc%d", i);
        fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
        if (fd >= 0) {
            close(fd);
            return path;
        }
        say("agent: %s: %s", path, strerror(errno));
    }
    say_consoles();
    return NULL;
}

static void start(void)
{
    const char *tty = channel();
    int null;

    if (!tty) {
        say("agent: no channel");
        return;
    }
    mkdir("/run", 0755);
    agent = fork();
    if (agent)
        return;
    null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    execl(AGENT, AGENT, "-m", "isa-serial", "-p", tty, "-t", "/run", NULL);
    _exit(127);
}

void agent_command(const char *word)
{
    int status;

    if (!word) {
        start();
        usleep(500 * 1000);
        if (agent > 0 && waitpid(agent, &status, WNOHANG) == agent) {
            say("agent ended with %x", (unsigned)status);
            say_consoles();
            agent = 0;
        } else if (agent > 0) {
            say("agent runs on %s", channel());
        }
        return;
    }
    if (agent > 0)
        kill(agent, !strcmp(word, "stop") ? SIGSTOP
                    : !strcmp(word, "cont") ? SIGCONT : SIGKILL);
    say("agent %s", word);
}
