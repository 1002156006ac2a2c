/* SPDX-License-Identifier: LGPL-2.1-only */
/* snapshot-check: of one domain, or of all that have snapshots. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xl_command.h"
#include "xl_print.h"
#include "xl_progress.h"
#include "xl_session.h"
#include "xl_text.h"

struct check {
    struct xl_session *s;
    const struct xl_check_options *o;
    char **json;                /* of each finding */
    int num_json;
    int status;                 /* the worst so far */
};

/* What needs a repair comes before what none can help. */
static int rank(int status)
{
    switch (status) {
    case XL_EXIT_DONE:    return 0;
    case XL_EXIT_DAMAGED: return 1;
    case XL_EXIT_BUSY:    return 2;
    case XL_EXIT_REPAIR:  return 4;
    default:              return 3;
    }
}

static void worse(struct check *c, int status)
{
    if (rank(status) > rank(c->status))
        c->status = status;
}

static bool equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* What was wrong, and is but a note now, is put right. */
static bool is_in(const xlu_snapshot_finding *f,
                  const xlu_snapshot_findings *list)
{
    int i;

    for (i = 0; i < list->num_findings; i++) {
        const xlu_snapshot_finding *g = &list->findings[i];

        if (f->kind == g->kind && equal(f->snapshot, g->snapshot) &&
            equal(f->subject, g->subject) &&
            (f->degree == XLU_SNAPSHOT_DEGREE_NOTE) ==
            (g->degree == XLU_SNAPSHOT_DEGREE_NOTE))
            return true;
    }
    return false;
}

static void add_json(struct check *c, const xlu_snapshot_finding *f)
{
    char *text = xlu_snapshot_finding_to_json(c->s->ctx,
                                              (xlu_snapshot_finding *)f);

    c->json = realloc(c->json, (c->num_json + 1) * sizeof(*c->json));
    if (!c->json)
        abort();
    c->json[c->num_json++] = text ? text : xl_strdup("null");
}

/* how: what comes before the repair; NULL: nothing is said of it. */
static void tell(const char *domain, const xlu_snapshot_finding *f,
                 const char *how)
{
    char *dom = xl_print_safe(domain), *text = xl_print_safe(f->text);
    char *repair = f->repair && how ? xl_print_safe(f->repair) : NULL;

    printf("%s: %s%s%s%s%s.\n", dom,
           f->degree == XLU_SNAPSHOT_DEGREE_NOTE ? "note: " : "", text,
           repair ? "; " : "", repair ? how : "", repair ? repair : "");
    free(dom);
    free(text);
    free(repair);
}

static int status_of(const xlu_snapshot_finding *f)
{
    switch (f->degree) {
    case XLU_SNAPSHOT_DEGREE_REPAIR: return XL_EXIT_REPAIR;
    case XLU_SNAPSHOT_DEGREE_DAMAGE: return XL_EXIT_DAMAGED;
    default:                         return XL_EXIT_DONE;
    }
}

/* left NULL: nothing was repaired. JSON shows what is so now. */
static void report(struct check *c, const xlu_snapshot_findings *found,
                   const xlu_snapshot_findings *left)
{
    const xlu_snapshot_findings *now = left ? left : found;
    const char *domain = c->s->dom.name;
    int i;

    for (i = 0; i < now->num_findings; i++) {
        worse(c, status_of(&now->findings[i]));
        if (c->o->json)
            add_json(c, &now->findings[i]);
    }
    if (c->o->json)
        return;
    for (i = 0; i < found->num_findings; i++) {
        const xlu_snapshot_finding *f = &found->findings[i];

        tell(domain, f, !left ? "with --repair " : is_in(f, left)
             ? "this could not be done: " : "repaired: ");
    }
    for (i = 0; left && i < left->num_findings; i++)
        if (!is_in(&left->findings[i], found))
            tell(domain, &left->findings[i], "with --repair ");
    if (!now->num_findings && !left)
        tell(domain, &(xlu_snapshot_finding){ .text = "all is well",
             .degree = XLU_SNAPSHOT_DEGREE_REPAIR }, NULL);
}

static bool repairable(const xlu_snapshot_findings *found)
{
    int i;

    for (i = 0; i < found->num_findings; i++)
        if (found->findings[i].repair)
            return true;
    return false;
}

static void close_catalogue(struct xl_session *s)
{
    xlu_snapshot_close(s->cat);
    s->cat = NULL;
}

/* What is damaged is found anyway: the warnings of loading aren't needed. */
static int open_catalogue(struct xl_session *s, int flags)
{
    int rc;

    xl_log_quiet(flags == XLU_SNAPSHOT_READ);
    rc = xlu_snapshot_open(s->ctx, s->lg, NULL, &s->dom, flags, &s->cat);
    xl_log_quiet(false);
    return rc;
}

static int look(struct check *c, xlu_snapshot_findings *found)
{
    struct xl_session *s = c->s;
    int rc = open_catalogue(s, XLU_SNAPSHOT_READ);

    if (!rc) {
        xl_log_quiet(true);
        rc = xlu_snapshot_check(s->cat, c->o->deep, found);
        xl_log_quiet(false);
        close_catalogue(s);
    }
    if (rc == LIBXL_SNAPSHOT_ERROR_BUSY)
        xl_say("domain %s is busy: an operation on its snapshots is under "
               "way", s->dom.name);
    return rc;
}

/* The session's own recovery first: it sees to the domain's monitor. */
static int repair(struct check *c, xlu_snapshot_findings *left)
{
    struct xl_session *s = c->s;
    int rc;

    if (c->o->wait)
        s->how.wait_seconds = XL_WAIT_SECONDS;
    rc = open_catalogue(s, XLU_SNAPSHOT_WRITE |
                           (c->o->wait ? XLU_SNAPSHOT_WAIT : 0));
    if (rc)
        return rc;
    if (xlu_snapshot_interrupted(s->cat))
        (void)xl_session_recover(s);
    rc = xlu_snapshot_repair(s->cat, c->o->deep, &s->how, left);
    close_catalogue(s);
    return rc;
}

static int look_patiently(struct check *c, xlu_snapshot_findings *found)
{
    int rc;

    if (!c->o->wait)
        return look(c, found);
    /* Whoever is at work: its end is waited for by asking for its lock. */
    rc = open_catalogue(c->s, XLU_SNAPSHOT_WRITE | XLU_SNAPSHOT_WAIT);
    if (rc)
        return rc;
    close_catalogue(c->s);
    return look(c, found);
}

static void check_one(struct check *c)
{
    xlu_snapshot_findings found, left;
    int rc, rc2 = 0;

    xlu_snapshot_findings_init(&found);
    xlu_snapshot_findings_init(&left);
    rc = look_patiently(c, &found);
    if (!rc && c->o->repair && repairable(&found)) {
        rc2 = repair(c, &left);
        report(c, &found, &left);
    } else if (!rc) {
        report(c, &found, NULL);
    }
    if (rc)
        worse(c, xl_session_failed(rc, "check of", c->s->dom.name));
    else if (rc2)
        worse(c, xl_session_failed(rc2, "repair of", c->s->dom.name));
    xlu_snapshot_findings_dispose(&found);
    xlu_snapshot_findings_dispose(&left);
}

/* Sockets of exports that have died belong to no domain. */
static void check_sockets(struct check *c, const libxl_snapshot_how *how)
{
    int num = 0;
    int rc = libxl_domain_snapshot_export_tidy(c->s->ctx, c->o->repair, &num,
                                               how);

    if (rc)
        worse(c, xl_session_failed(rc, "sockets of exports", NULL));
    if (!num || c->o->json)
        return;
    printf("%d socket%s of exports that have died %s in /run/xl-snapshot; "
           "%s.\n", num, num == 1 ? "" : "s", num == 1 ? "lies" : "lie",
           c->o->repair ? "repaired: removed" : "with --repair removed");
    if (!c->o->repair)
        worse(c, XL_EXIT_REPAIR);
}

/* What is left of domains that Xen doesn't have any more. */
static void check_host(struct check *c)
{
    libxl_snapshot_how how = { .lg = c->s->lg };
    libxl_string_list left = NULL;
    int i, rc;

    check_sockets(c, &how);
    rc = libxl_block_export_tidy(c->s->ctx, c->o->repair, &left, &how);
    if (rc)
        worse(c, xl_session_failed(rc, "files of exports", NULL));
    for (i = 0; left && left[i] && !c->o->json; i++) {
        printf("%s is left of an export; %s.\n", left[i], c->o->repair
               ? "repaired: removed" : "with --repair removed");
        if (!c->o->repair)
            worse(c, XL_EXIT_REPAIR);
    }
    libxl_string_list_dispose(&left);
}

static void check_all(struct check *c)
{
    struct xl_session *s = c->s;
    xlu_snapshot_domain *list;
    int i, num;
    int rc = xlu_snapshot_domains(s->ctx, s->lg, NULL, &list, &num);

    if (rc)
        worse(c, xl_session_failed(rc, "looking for domains", NULL));
    for (i = 0; i < num; i++) {
        xlu_snapshot_domain_dispose(&s->dom);
        s->dom = list[i];
        s->monitor.name = s->dom.name;
        s->monitor.domid = s->dom.domid;
        check_one(c);
    }
    free(list);
    check_host(c);
}

int xl_check_main(const struct xl_globals *globals, int argc, char **argv)
{
    struct xl_check_options o;
    struct xl_problem problem = { 0 };
    struct xl_session s;
    struct check c = { .s = &s, .o = &o };
    bool help;
    int status = xl_check_parse(argc, argv, &o, &help, &problem);

    if (status)
        return xl_help_problem(argv[0], &problem);
    if (help)
        return xl_help_asked(argv[0]);
    /* A session has a domain; the host's own is always there. */
    status = xl_session_begin(&s, globals, o.domain ? o.domain : "0");
    if (!status) {
        if (o.domain)
            check_one(&c);
        else
            check_all(&c);
        if (o.json)
            xl_print_array(stdout, c.json, c.num_json);
        status = c.status;
    }
    xl_session_end(&s);
    free(c.json);
    return status;
}
