/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What an init has to do: mounts, modules, the end.  And how to hang.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "guest.h"

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);

    if (fd < 0)
        return;
    if (write(fd, text, strlen(text)) < 0)
        say("can't write %s", path);
    close(fd);
}

void system_start(void)
{
    struct termios t;

    mount("proc", "/proc", "proc", 0, NULL);
    mount("sys", "/sys", "sysfs", 0, NULL);
    mount("dev", "/dev", "devtmpfs", 0, NULL);
    mount("debug", "/sys/kernel/debug", "debugfs", 0, NULL);
    /* The log shall hold what we print: no echo, no carriage returns. */
    if (!tcgetattr(0, &t)) {
        t.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
        t.c_oflag &= ~(tcflag_t)OPOST;
        tcsetattr(0, TCSANOW, &t);
    }
}

/* The value of NAME=VALUE on the kernel's command line. */
long system_param(const char *name, long fallback)
{
    char line[4096] = "";
    int fd = open("/proc/cmdline", O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);

    if (fd >= 0)
        close(fd);
    if (n < 0)
        return fallback;
    for (char *w = strtok(line, " \n"); w; w = strtok(NULL, " \n")) {
        size_t len = strlen(name);

        if (!strncmp(w, name, len) && w[len] == '=')
            return strtol(w + len + 1, NULL, 0);
    }
    return fallback;
}

/* Each in the order of the list; what has no device may well refuse. */
void system_load_modules(void)
{
    char line[128], path[256];
    FILE *order = fopen("/lib/modules/order", "r");

    while (order && fgets(line, sizeof(line), order)) {
        int fd;

        line[strcspn(line, "\n")] = '\0';
        snprintf(path, sizeof(path), "/lib/modules/%s", line);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        syscall(SYS_finit_module, fd, "", 0);
        close(fd);
    }
    if (order)
        fclose(order);
}

static uint64_t hang_until;

static void *spin(void *arg)
{
    struct sched_param highest = { .sched_priority = 99 };
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)(uintptr_t)arg, &set);
    sched_setaffinity(0, sizeof(set), &set);
    sched_setscheduler(0, SCHED_FIFO, &highest);
    while (!hang_until || now_ns() < hang_until)
        ;
    return NULL;
}

/*
 * Hangs as seen from outside: the thread that answers xenstore's requests
 * never runs, as something of a higher priority has every CPU, while the
 * domain stays alive.  The kernel's reserve for ordinary threads is taken
 * away first: the throttling, and where there is one the fair server.
 */
void system_hang(long seconds)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    pthread_t thread;
    char path[128];

    write_file("/proc/sys/kernel/sched_rt_runtime_us", "-1");
    for (long cpu = 0; cpu < cpus; cpu++) {
        snprintf(path, sizeof(path),
                 "/sys/kernel/debug/sched/fair_server/cpu%ld/runtime", cpu);
        write_file(path, "0");
    }
    hang_until = seconds ? now_ns() + (uint64_t)seconds * 1000000000u : 0;
    /* This one's CPU last, or the others would not be started. */
    for (long cpu = cpus - 1; cpu > 0; cpu--)
        pthread_create(&thread, NULL, spin, (void *)(uintptr_t)cpu);
    spin((void *)(uintptr_t)0);
    if (seconds) {
        struct sched_param normal = { .sched_priority = 0 };

        sched_setscheduler(0, SCHED_OTHER, &normal);
    }
}

void system_sysrq(char key)
{
    char text[2] = { key, '\0' };

    write_file("/proc/sysrq-trigger", text);
}

_Noreturn void system_end(bool again)
{
    sync();
    reboot(again ? RB_AUTOBOOT : RB_POWER_OFF);
    for (;;)
        pause();
}
