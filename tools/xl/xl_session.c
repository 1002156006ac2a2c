/* SPDX-License-Identifier: LGPL-2.1-only */
/* The life of a subcommand around its one call of the catalogue. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xl_passthrough.h"
#include "xl_progress.h"
#include "xl_session.h"
#include "xl_text.h"

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
    (void)sig;
    interrupted = 1;
}

/*
 * Only for the time of an operation: while waiting for a lock, Ctrl-C just
 * ends the command.
 */
void xl_session_catch_signals(void)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction sa = { .sa_handler = on_signal };
    struct sigaction old;
    size_t i;

    for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        /* nohup's and the shell's & mean what they say. */
        if (sigaction(signals[i], NULL, &old) == 0 &&
            old.sa_handler == SIG_IGN)
            continue;
        sigaction(signals[i], &sa, NULL);
    }
}

bool xl_session_interrupted(void)
{
    return interrupted;
}

static int step(libxl_ctx *ctx, libxl_snapshot_step step, uint64_t done,
                uint64_t total, void *user)
{
    struct xl_session *s = user;
    static bool told;

    (void)ctx;
    if (interrupted && step < LIBXL_SNAPSHOT_STEP_DESTROY)
        return ERROR_ABORTED;
    if (interrupted && !told) {
        told = true;
        xl_say("too late to stop: the operation will be finished");
    }
    if (step == LIBXL_SNAPSHOT_STEP_SUSPEND)
        xl_monitor_suspending(&s->monitor);
    xl_progress_step(step, done, total);
    return 0;
}

static int fail_begin(const char *text)
{
    xl_say("%s", text);
    return XL_EXIT_FAILED;
}

static void fill_how(struct xl_session *s)
{
    static char command[] = "snapshot-recover";

    s->how.step = step;
    s->how.user = s;
    s->how.lg = s->lg;
    if (!s->own_path)
        return;
    s->on_death[0] = s->own_path;
    s->on_death[1] = command;
    s->on_death[2] = s->dom.uuid;
    s->how.on_death = s->on_death;
}

int xl_session_begin(struct xl_session *s, const struct xl_globals *globals,
                     const char *domain)
{
    int rc;

    memset(s, 0, sizeof(*s));
    s->globals = globals;
    s->dom.domid = INVALID_DOMID;
    /* A closed pipe is an error of the write, not the end of a snapshot. */
    signal(SIGPIPE, SIG_IGN);
    if (geteuid() != 0)
        return fail_begin("only root may do this; nothing was changed");
    s->lg = xl_log_create(globals);
    rc = libxl_ctx_alloc(&s->ctx, LIBXL_VERSION, 0, s->lg);
    if (rc) {
        s->ctx = NULL;
        return fail_begin("can't reach Xen: is this dom0, and is xenstored "
                          "running?");
    }
    rc = xlu_snapshot_find_domain(s->ctx, s->lg, NULL, domain, &s->dom);
    if (rc)
        return xl_session_failed(rc, "looking for domain", domain);
    s->own_path = xl_own_path();
    fill_how(s);
    s->monitor = (struct xl_monitor_plan) {
        .ctx = s->ctx, .program = s->own_path, .name = s->dom.name,
        .uuid = s->dom.uuid, .domid = s->dom.domid, .fd = -1,
    };
    return 0;
}

void xl_session_end(struct xl_session *s)
{
    xl_progress_end();
    if (s->cat)
        xlu_snapshot_close(s->cat);
    xlu_snapshot_domain_dispose(&s->dom);
    if (s->ctx)
        libxl_ctx_free(s->ctx);
    xtl_logger_destroy(s->lg);
    free(s->own_path);
    memset(s, 0, sizeof(*s));
}

static int open_catalogue(struct xl_session *s, int flags)
{
    return xlu_snapshot_open(s->ctx, s->lg, NULL, &s->dom, flags, &s->cat);
}

static void close_catalogue(struct xl_session *s)
{
    xlu_snapshot_close(s->cat);
    s->cat = NULL;
}

/* The domain may have another domid, or none, than before. */
static uint32_t domid_now(struct xl_session *s)
{
    xlu_snapshot_domain d = { .domid = INVALID_DOMID };
    uint32_t domid = INVALID_DOMID;

    xl_log_quiet(true);
    if (!xlu_snapshot_find_domain(s->ctx, s->lg, NULL, s->dom.uuid, &d)) {
        domid = d.domid;
        xlu_snapshot_domain_dispose(&d);
    }
    xl_log_quiet(false);
    return domid;
}

int xl_session_recover(struct xl_session *s)
{
    char *what = NULL;
    int rc = xlu_snapshot_recover(s->cat, &s->how, &what);

    if (rc)
        return xl_session_failed(rc, "recovery of", s->dom.name);
    if (!what)
        return 0;
    xl_say("%s", what);
    free(what);
    s->dom.domid = s->monitor.domid = domid_now(s);
    xl_monitor_recovered(&s->monitor, s->dom.domid);
    return 0;
}

/*
 * Somebody's operation runs, or ended without an end. Whoever gets the lock
 * finds out which.
 */
static int recover_or_note(struct xl_session *s)
{
    int rc;

    close_catalogue(s);
    xl_log_quiet(true);
    rc = open_catalogue(s, XLU_SNAPSHOT_WRITE);
    xl_log_quiet(false);
    if (!rc) {
        /* It says what fails; the list can be shown whatever came of it. */
        (void)xl_session_recover(s);
        close_catalogue(s);
    } else if (xl_exit_status(rc) == XL_EXIT_BUSY) {
        xl_say("an operation on domain %s is under way", s->dom.name);
    } else {
        xl_say("domain %s: an interrupted operation can't be recovered now "
               "(%s)", s->dom.name, libxl_snapshot_strerror(rc));
    }
    rc = open_catalogue(s, XLU_SNAPSHOT_READ);
    return rc ? xl_session_failed(rc, "catalogue of", s->dom.name) : 0;
}

int xl_session_read(struct xl_session *s)
{
    int rc = open_catalogue(s, XLU_SNAPSHOT_READ);

    if (rc)
        return xl_session_failed(rc, "catalogue of", s->dom.name);
    if (!xlu_snapshot_interrupted(s->cat))
        return 0;
    return recover_or_note(s);
}

/* Bytes that the memory image will have, roughly; 0: unknown. */
static uint64_t expected_bytes(struct xl_session *s)
{
    libxl_dominfo info;
    uint64_t bytes = 0;

    if (!libxl_domid_valid_guest(s->dom.domid))
        return 0;
    libxl_dominfo_init(&info);
    if (!libxl_domain_info(s->ctx, &info, s->dom.domid))
        bytes = info.current_memkb * 1024;
    libxl_dominfo_dispose(&info);
    return bytes;
}

int xl_session_write(struct xl_session *s, bool wait)
{
    int rc, status;

    if (wait)
        s->how.wait_seconds = XL_WAIT_SECONDS;
    rc = open_catalogue(s, XLU_SNAPSHOT_WRITE |
                           (wait ? XLU_SNAPSHOT_WAIT : 0));
    if (rc)
        return xl_session_failed(rc, "catalogue of", s->dom.name);
    if (xlu_snapshot_interrupted(s->cat)) {
        status = xl_session_recover(s);
        if (status)
            return status;
    }
    /* While this waited, a revert may have given it another domid. */
    s->dom.domid = s->monitor.domid = domid_now(s);
    xl_monitor_before(&s->monitor);
    xl_session_catch_signals();
    xl_progress_begin(s->globals->progress_cr || isatty(STDERR_FILENO),
                      expected_bytes(s));
    return 0;
}

/* Codes that say how far it got matter more than why it stopped. */
static bool undone(int rc)
{
    return rc != LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR &&
           rc != LIBXL_SNAPSHOT_ERROR_WENT_BACK;
}

int xl_session_finish(struct xl_session *s, int rc, const char *doing)
{
    xl_progress_end();
    s->dom.domid = domid_now(s);
    xl_monitor_after(&s->monitor, s->dom.domid);
    if (!rc && interrupted)
        xl_say("%s: it was too late to stop", doing);
    if (!rc)
        return XL_EXIT_DONE;
    /* libxl's save helper dies of Ctrl-C on its own: any code may come. */
    if (interrupted && undone(rc)) {
        xl_say("%s: interrupted; undone", doing);
        return XL_EXIT_FAILED;
    }
    return xl_session_failed(rc, doing, NULL);
}

int xl_session_failed(int rc, const char *doing, const char *domain)
{
    xl_progress_clear();
    if (!xl_log_errors())
        xl_say("%s%s%s: %s", doing, domain ? " " : "", domain ? domain : "",
               libxl_snapshot_strerror(rc));
    return xl_exit_status(rc);
}
