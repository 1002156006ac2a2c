/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What every subcommand needs: libxl, the domain, its catalogue, signals,
 * progress; and the sentence and the exit code at the end.
 */
#ifndef XL_SESSION_H
#define XL_SESSION_H

#include <xlu_snapshot.h>

#include "xl_exit.h"
#include "xl_monitor.h"
#include "xl_options.h"

/* --wait: a week is for ever, and no sum of it overflows. */
#define XL_WAIT_SECONDS (7u * 24 * 3600)

struct xl_session {
    const struct xl_globals *globals;
    xentoollog_logger *lg;
    libxl_ctx *ctx;
    xlu_snapshot_domain dom;
    xlu_snapshot_catalogue *cat;
    struct xl_monitor_plan monitor;
    char *own_path;             /* of this program; NULL: unknown */
    char *on_death[4];
    libxl_snapshot_how how;
};

/*
 * Looks for the domain. 0, or an exit code after a sentence on stderr;
 * xl_session_end is called by the caller in either case.
 */
int xl_session_begin(struct xl_session *s, const struct xl_globals *globals,
                     const char *domain);
void xl_session_end(struct xl_session *s);

/*
 * The catalogue for reading, after an interrupted operation was recovered,
 * or, where one is under way, a note about it.
 */
int xl_session_read(struct xl_session *s);
/*
 * The catalogue for writing, after recovery. wait: for others to end. From
 * here on signals are caught, and s->how is ready.
 */
int xl_session_write(struct xl_session *s, bool wait);
/* For those who need no more than that: finishes or undoes, and says so. */
int xl_session_recover(struct xl_session *s);

/*
 * The end of an operation: looks up the domain's domid, which a revert
 * changes, sees to the monitor, and turns rc into an exit code. The
 * libraries have said what went wrong; if not, this does.
 * doing: "snapshot of web1".
 */
int xl_session_finish(struct xl_session *s, int rc, const char *doing);
/* SIGINT, SIGTERM and SIGHUP are remembered from now on; _write does it. */
void xl_session_catch_signals(void);
bool xl_session_interrupted(void);
/* An exit code for an rc outside an operation, with a sentence if needed. */
int xl_session_failed(int rc, const char *doing, const char *domain);

/* --- xl_redefine.c --- */

#define XL_DOCUMENT_MAX ((1u << 20) + 1)    /* bytes; the library takes less */
/* text has XL_DOCUMENT_MAX bytes; "-" is standard input. An exit code, after
 * a sentence. */
int xl_read_document(const char *file, char *text, size_t *len);

#endif /* XL_SESSION_H */
