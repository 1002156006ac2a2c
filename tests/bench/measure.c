/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * measure DOMID COMMAND ARG... : runs the command and prints, in one line,
 * its wall time in ms, how long the domain was suspended or paused in ms,
 * and the largest resident size of the command in KiB.
 *
 * The domain is asked for its state every 2 ms, which is the resolution.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <libxl.h>
#include <xentoollog.h>

static double now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

static bool still(libxl_ctx *ctx, uint32_t domid)
{
    libxl_dominfo info;
    bool stopped = false;

    libxl_dominfo_init(&info);
    if (!libxl_domain_info(ctx, &info, domid))
        stopped = info.shutdown || info.paused;
    libxl_dominfo_dispose(&info);
    return stopped;
}

static pid_t start(char **argv)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (!freopen("/dev/null", "w", stdout))
            _exit(126);
        execvp(argv[0], argv);
        _exit(127);
    }
    return pid;
}

int main(int argc, char **argv)
{
    struct timespec nap = { 0, 2000000 };
    double begin, last, pause_ms = 0;
    xentoollog_logger *lg;
    struct rusage usage;
    int status = 0;
    libxl_ctx *ctx;
    uint32_t domid;
    pid_t pid;

    if (argc < 3)
        return 2;
    lg = (xentoollog_logger *)xtl_createlogger_stdiostream(stderr, XTL_ERROR,
                                                           0);
    if (libxl_ctx_alloc(&ctx, LIBXL_VERSION, 0, lg))
        return 1;
    domid = strtoul(argv[1], NULL, 10);
    begin = last = now_ms();
    pid = start(argv + 2);
    while (wait4(pid, &status, WNOHANG, &usage) == 0) {
        bool stopped;
        double t;

        nanosleep(&nap, NULL);
        stopped = still(ctx, domid);
        t = now_ms();
        if (stopped)
            pause_ms += t - last;
        last = t;
    }
    printf("%.0f %.0f %ld\n", now_ms() - begin, pause_ms, usage.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
