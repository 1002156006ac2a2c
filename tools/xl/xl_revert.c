/* SPDX-License-Identifier: LGPL-2.1-only */
/* snapshot-revert, snapshot-delete, snapshot-recover */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xl_command.h"
#include "xl_print.h"
#include "xl_progress.h"
#include "xl_session.h"
#include "xl_text.h"

/* "before SNAPSHOT after DOMAIN" */
static void tell(const char *before, const char *snapshot,
                 const char *after, const char *domain)
{
    char *safe_snapshot = xl_print_safe(snapshot);
    char *safe_domain = xl_print_safe(domain);

    printf("%s %s%s %s", before, safe_snapshot, after, safe_domain);
    free(safe_snapshot);
    free(safe_domain);
}

static int revert(struct xl_session *s, const struct xl_revert_options *o)
{
    xlu_snapshot_revert_args args = {
        .force = o->force, .no_safety = o->no_safety,
    };
    uint32_t domid = INVALID_DOMID;
    char *doing;
    int rc, status;

    if (o->running || o->paused)
        libxl_defbool_set(&args.paused, o->paused);
    rc = xlu_snapshot_revert(s->cat, o->name, &args, &s->how, &domid);
    doing = xl_printf("revert of domain %s to %s", s->dom.name, o->name);
    status = xl_session_finish(s, rc, doing);
    free(doing);
    if (!rc) {
        tell("Back at snapshot", o->name, ": domain", s->dom.name);
        printf(" is now domain %u.\n", domid);
    }
    return status;
}

int xl_revert_main(const struct xl_globals *globals, int argc, char **argv)
{
    struct xl_revert_options o;
    struct xl_problem problem = { 0 };
    struct xl_session s;
    bool help;
    int status = xl_revert_parse(argc, argv, &o, &help, &problem);

    if (status)
        return xl_help_problem(argv[0], &problem);
    if (help)
        return xl_help_asked(argv[0]);
    status = xl_session_begin(&s, globals, o.domain);
    if (!status)
        status = xl_session_write(&s, o.wait);
    if (!status)
        status = revert(&s, &o);
    xl_session_end(&s);
    return status;
}

static int delete(struct xl_session *s, const struct xl_delete_options *o)
{
    const xlu_snapshot_delete_args args = {
        .children = o->children, .children_only = o->children_only,
    };
    char *doing;
    int rc, status;

    rc = xlu_snapshot_delete(s->cat, o->name, &args, &s->how);
    doing = xl_printf("deletion of snapshot %s of domain %s", o->name,
                      s->dom.name);
    status = xl_session_finish(s, rc, doing);
    free(doing);
    if (!rc) {
        tell(o->children_only ? "Snapshots below" : "Snapshot", o->name,
             " of domain", s->dom.name);
        printf("%s deleted.\n", o->children ? " and those below it" : "");
    }
    return status;
}

int xl_delete_main(const struct xl_globals *globals, int argc, char **argv)
{
    struct xl_delete_options o;
    struct xl_problem problem = { 0 };
    struct xl_session s;
    bool help;
    int status = xl_delete_parse(argc, argv, &o, &help, &problem);

    if (status)
        return xl_help_problem(argv[0], &problem);
    if (help)
        return xl_help_asked(argv[0]);
    status = xl_session_begin(&s, globals, o.domain);
    if (!status)
        status = xl_session_write(&s, o.wait);
    if (!status)
        status = delete(&s, &o);
    xl_session_end(&s);
    return status;
}

/*
 * Hidden: the guard runs it after the death of an operation's process. By
 * then another command may have the lock: it recovers too, so this waits and
 * finds nothing to do.
 */
int xl_recover_main(const struct xl_globals *globals, int argc, char **argv)
{
    struct xl_session s;
    int rc, status;

    if (argc != 2) {
        xl_say("%s: a domain is needed", argv[0]);
        return XL_EXIT_USAGE;
    }
    status = xl_session_begin(&s, globals, argv[1]);
    if (!status) {
        rc = xlu_snapshot_open(s.ctx, s.lg, NULL, &s.dom,
                               XLU_SNAPSHOT_WRITE | XLU_SNAPSHOT_WAIT,
                               &s.cat);
        status = rc ? xl_session_failed(rc, "catalogue of", s.dom.name)
                    : xl_session_recover(&s);
    }
    xl_session_end(&s);
    return status;
}
