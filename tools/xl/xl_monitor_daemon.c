/* SPDX-License-Identifier: LGPL-2.1-only */
/* The hidden command snapshot-monitor: a process of its own. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libxl_utils.h>
#include <xentoollog.h>

#include "xl_exit.h"
#include "xl_monitor.h"
#include "xl_options.h"
#include "xl_progress.h"
#include "xl_text.h"

#define LOCK_SECONDS 30         /* that the monitor before us may take to end */

struct daemon {
    xentoollog_logger *lg;
    libxl_ctx *ctx;
    uint32_t domid;
    char *name, *uuid;
};

/* The answer that the command waits for, once. */
static void answer(const char *text)
{
    ssize_t n = write(STDOUT_FILENO, text, strlen(text));

    (void)n;                    /* the command is gone: so be it */
}

/* Forks; the parent ends. The new process leads no session, so that it can
 * never get a terminal. */
static bool detach(void)
{
    int i;

    for (i = 0; i < 2; i++) {
        pid_t pid = fork();

        if (pid < 0)
            return false;
        if (pid > 0)
            _exit(0);
        if (i == 0)
            setsid();
    }
    return chdir("/") == 0;
}

static int open_log(const char *name)
{
    char *safe = xl_strdup(name), *slash, *path;
    int fd;

    while ((slash = strchr(safe, '/')))
        *slash = '_';
    path = xl_printf("%s/xl-snapshot-%s.log", XL_LOG_FOLDER, safe);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    free(path);
    free(safe);
    return fd;
}

/* Output to the log; the pipe to the command is let go. */
static bool redirect(const char *name)
{
    int log = open_log(name), null = open("/dev/null", O_RDWR | O_CLOEXEC);
    bool ok;

    if (log < 0)
        log = null;
    ok = null >= 0 && dup2(null, 0) >= 0 && dup2(log, 2) >= 0;
    if (ok)
        setvbuf(stderr, NULL, _IOLBF, 0);
    return ok;
}

static int identify(struct daemon *d)
{
    libxl_dominfo info;
    int rc;

    libxl_dominfo_init(&info);
    rc = libxl_domain_info(d->ctx, &info, d->domid);
    if (!rc)
        d->uuid = xl_printf(LIBXL_UUID_FMT, LIBXL_UUID_BYTES(info.uuid));
    libxl_dominfo_dispose(&info);
    d->name = libxl_domid_to_name(d->ctx, d->domid);
    return rc || !d->name ? ERROR_DOMAIN_NOTFOUND : 0;
}

static int open_libxl(struct daemon *d, int verbose)
{
    d->lg = (xentoollog_logger *)xtl_createlogger_stdiostream(
        stderr, xl_log_least(verbose),
        XTL_STDIOSTREAM_SHOW_DATE | XTL_STDIOSTREAM_HIDE_PROGRESS);
    if (!d->lg)
        return ERROR_NOMEM;
    return libxl_ctx_alloc(&d->ctx, LIBXL_VERSION, 0, d->lg);
}

static void close_libxl(struct daemon *d)
{
    if (d->ctx)
        libxl_ctx_free(d->ctx);
    xtl_logger_destroy(d->lg);
    free(d->name);
    free(d->uuid);
}

static int watch(struct daemon *d)
{
    int status, lock;

    lock = xl_monitor_lock(XL_RUN_FOLDER, d->uuid, LOCK_SECONDS);
    if (lock < 0) {
        xl_monitor_note("domain %s: no lock in %d s: another monitor looks "
                        "after it", d->name, LOCK_SECONDS);
        return XL_EXIT_BUSY;
    }
    status = xl_monitor_watch(d->ctx, d->uuid, d->name);
    xl_monitor_unlock(XL_RUN_FOLDER, d->uuid, lock);
    return status;
}

/* stdout is where the answer goes, until there is one. */
static int monitor(struct daemon *d, bool foreground, int verbose)
{
    if (open_libxl(d, verbose)) {
        answer("can't reach Xen\n");
        return XL_EXIT_FAILED;
    }
    if (identify(d)) {
        answer("the domain is gone\n");
        return XL_EXIT_NOT_FOUND;
    }
    if (!foreground && !redirect(d->name)) {
        answer("can't open a log\n");
        return XL_EXIT_FAILED;
    }
    answer("ok\n");
    if (!foreground)
        dup2(STDERR_FILENO, STDOUT_FILENO);
    return watch(d);
}

int xl_monitor_main(const struct xl_globals *globals, int argc, char **argv)
{
    struct daemon d = { .domid = INVALID_DOMID };
    bool foreground = argc == 3 && strcmp(argv[1], "--foreground") == 0;
    unsigned long domid;
    char *end;
    int status;

    if (argc != 2 && !foreground) {
        xl_say("snapshot-monitor: a domid is needed");
        return XL_EXIT_USAGE;
    }
    errno = 0;
    domid = strtoul(argv[argc - 1], &end, 10);
    if (errno || *end || end == argv[argc - 1] || domid > UINT32_MAX ||
        !libxl_domid_valid_guest(domid)) {
        xl_say("snapshot-monitor: %s is no domid", argv[argc - 1]);
        return XL_EXIT_USAGE;
    }
    d.domid = domid;
    signal(SIGPIPE, SIG_IGN);   /* the command may not wait for the answer */
    if (!foreground && !detach()) {
        answer("can't fork\n");
        return XL_EXIT_FAILED;
    }
    status = monitor(&d, foreground, globals->verbose);
    close_libxl(&d);
    return status;
}
