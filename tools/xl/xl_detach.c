/* SPDX-License-Identifier: LGPL-2.1-only */
/* `xl block-detach` and `xl block-attach` on a domain with snapshots. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libxl.h>
#include <libxl_snapshot.h>
#include <libxl_utils.h>

#include "xl_detach.h"

#define WAIT_SECONDS 10         /* for another operation on the domain */

/* The first word that is no option; those of xl's take no argument here. */
static const char *domain_of(char *const *command)
{
    while (*++command)
        if (**command != '-')
            return *command;
    return NULL;
}

void xl_detached(char *const *command)
{
    const char *domain = domain_of(command);
    libxl_snapshot_how how = { .wait_seconds = WAIT_SECONDS };
    xentoollog_logger *lg;
    libxl_ctx *ctx = NULL;
    uint32_t domid;

    lg = (xentoollog_logger *)
        xtl_createlogger_stdiostream(stderr, XTL_ERROR, 0);
    how.lg = lg;
    /* What the domain isn't, xl says. */
    if (lg && domain && !libxl_ctx_alloc(&ctx, LIBXL_VERSION, 0, lg) &&
        !libxl_domain_qualifier_to_domid(ctx, domain, &domid))
        libxl_domain_disk_detached(ctx, domid, &how);
    if (ctx)
        libxl_ctx_free(ctx);
    if (lg)
        xtl_logger_destroy(lg);
}

int xl_run(const char *path, char **argv)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN }, interrupt, quit;
    int status = -1;
    pid_t pid;

    sigaction(SIGINT, &ignore, &interrupt);
    sigaction(SIGQUIT, &ignore, &quit);
    pid = fork();
    if (!pid) {
        sigaction(SIGINT, &interrupt, NULL);
        sigaction(SIGQUIT, &quit, NULL);
        execv(path, argv);
        fprintf(stderr, "xl-snapshot: can't run %s: %s\n", path,
                strerror(errno));
        _exit(1);
    }
    if (pid > 0)
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    sigaction(SIGINT, &interrupt, NULL);
    sigaction(SIGQUIT, &quit, NULL);
    return status;
}
