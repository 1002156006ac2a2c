/* SPDX-License-Identifier: LGPL-2.1-only */
/* One operation: its memory, its log, its steps, its beginning and end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libxlss_internal.h"
#include "disk/disk.h"

unsigned int libxlss__late_suspend_ms = 10000;
unsigned int libxlss__close_ms = 15000;
const char *libxlss__run_dir = "/run/xl-snapshot";
const char *libxlss__xen_run_dir = "/var/run/xen";
const char *libxlss__xen_lib_dir = "/var/lib/xen";

/* Like libxl: without memory there is nothing left to do. */
static void *must(void *p)
{
    if (!p) {
        static const char text[] = "libxlsnapshot: out of memory\n";
        ssize_t ignored = write(2, text, sizeof(text) - 1);

        (void)ignored;
        abort();
    }
    return p;
}

static void *keep(struct libxlss__op *op, void *p)
{
    op->allocs = must(realloc(op->allocs,
                              (op->num_allocs + 1) * sizeof(*op->allocs)));
    op->allocs[op->num_allocs++] = must(p);
    return p;
}

void *libxlss__zalloc(struct libxlss__op *op, size_t size)
{
    return keep(op, calloc(1, size ? size : 1));
}

char *libxlss__strdup(struct libxlss__op *op, const char *s)
{
    return keep(op, strdup(s));
}

char *libxlss__printf(struct libxlss__op *op, const char *fmt, ...)
{
    va_list ap;
    char *text;
    int r;

    va_start(ap, fmt);
    r = vasprintf(&text, fmt, ap);
    va_end(ap);
    return keep(op, r < 0 ? NULL : text);
}

void libxlss__log(struct libxlss__op *op, xentoollog_level level, int err,
                  const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    xtl_log(op->lg, level, err, "libxlsnapshot", "%s %s: %s", op->what,
            op->name ? op->name : "domain", text ? text : fmt);
    free(text);
}

int libxlss__progress(struct libxlss__op *op, libxl_snapshot_step step,
                      uint64_t done, uint64_t total)
{
    int rc;

    if (!op->how || !op->how->step)
        return 0;
    rc = op->how->step(op->ctx, step, done, total, op->how->user);
    return op->committed ? 0 : rc;
}

int libxlss__step(struct libxlss__op *op, libxl_snapshot_step step)
{
    int rc;

    LOG_DEBUG(op, "step %s", libxl_snapshot_step_to_string(step));
    rc = libxlss__progress(op, step, 0, 0);
    if (rc)
        LOG_INFO(op, "stopped before step %s: %s",
                 libxl_snapshot_step_to_string(step),
                 libxl_snapshot_strerror(rc));
    return rc;
}

int libxlss__op_begin(struct libxlss__op *op, libxl_ctx *ctx, uint32_t domid,
                      const char *what, const libxl_snapshot_how *how)
{
    memset(op, 0, sizeof(*op));
    op->ctx = ctx;
    op->how = how;
    op->what = what;
    op->domid = domid;
    op->lock_fd = -1;
    op->lg = how ? how->lg : NULL;
    if (!op->lg) {
        op->lg = must(xtl_createlogger_stdiostream(stderr, XTL_WARN, 0));
        op->own_lg = true;
    }
    libxl_dominfo_init(&op->info);
    libxl_domain_config_init(&op->config);

    op->name = libxlss__strdup(op, domid == XLSS_OFF
                               ? "(domain that is off)" : "domain");
    if (geteuid() != 0) {
        LOG_ERROR(op, "only root may do this");
        return ERROR_INVAL;
    }
    op->xs = xs_open(0);
    if (!op->xs) {
        LOG_ERRNO(op, "cannot connect to xenstore");
        return ERROR_FAIL;
    }
    return libxlss__domain_look(op);
}

void libxlss__op_end(struct libxlss__op *op)
{
    size_t i;

    libxlss__disks_dispose(op);
    /* Before the guard's turn: only one can hold the channel. */
    libxlss__agent_end(op);
    libxlss__guard_end(op);
    libxlss__opunlock(op);
    libxl_dominfo_dispose(&op->info);
    libxl_domain_config_dispose(&op->config);
    if (op->xs)
        xs_close(op->xs);
    if (op->own_lg)
        xtl_logger_destroy(op->lg);
    for (i = 0; i < op->num_allocs; i++)
        free(op->allocs[i]);
    free(op->allocs);
    memset(op, 0, sizeof(*op));
    op->lock_fd = -1;
}
