/* SPDX-License-Identifier: LGPL-2.1-only */
/* snapshot-list and snapshot-info */
#include <stdio.h>
#include <stdlib.h>

#include "xl_command.h"
#include "xl_print.h"
#include "xl_session.h"
#include "xl_text.h"

static int list(struct xl_session *s, const struct xl_list_options *o)
{
    const xlu_snapshot **entries;
    int n, rc = xlu_snapshot_list(s->cat, &entries, &n);

    if (rc)
        return xl_session_failed(rc, "snapshots of", s->dom.name);
    if (o->json)
        return xl_print_json(s->ctx, stdout, entries, n, true);
    if (o->name)
        xl_print_names(stdout, entries, n);
    else if (o->tree)
        xl_print_tree(stdout, entries, n, xl_locale_is_utf8());
    else
        xl_print_table(stdout, entries, n);
    return XL_EXIT_DONE;
}

int xl_list_main(const struct xl_globals *globals, int argc, char **argv)
{
    struct xl_list_options o;
    struct xl_problem problem = { 0 };
    struct xl_session s;
    bool help;
    int status = xl_list_parse(argc, argv, &o, &help, &problem);

    if (status)
        return xl_help_problem(argv[0], &problem);
    if (help)
        return xl_help_asked(argv[0]);
    status = xl_session_begin(&s, globals, o.domain);
    if (!status)
        status = xl_session_read(&s);
    if (!status)
        status = list(&s, &o);
    xl_session_end(&s);
    return status;
}

static int info(struct xl_session *s, const struct xl_info_options *o)
{
    const xlu_snapshot *snapshot;
    char *xml = NULL;
    int rc = xlu_snapshot_get(s->cat, o->name, &snapshot);

    if (!rc && o->xml)
        rc = xlu_snapshot_xml(s->cat, o->name, &xml);
    if (rc)
        return xl_session_failed(rc, "snapshot", o->name);
    if (o->json)
        return xl_print_json(s->ctx, stdout, &snapshot, 1, false);
    if (o->xml)
        xl_print_document(stdout, xml);
    else
        xl_print_info(stdout, snapshot, s->dom.name);
    free(xml);
    return XL_EXIT_DONE;
}

int xl_info_main(const struct xl_globals *globals, int argc, char **argv)
{
    struct xl_info_options o;
    struct xl_problem problem = { 0 };
    struct xl_session s;
    bool help;
    int status = xl_info_parse(argc, argv, &o, &help, &problem);

    if (status)
        return xl_help_problem(argv[0], &problem);
    if (help)
        return xl_help_asked(argv[0]);
    status = xl_session_begin(&s, globals, o.domain);
    if (!status)
        status = xl_session_read(&s);
    if (!status)
        status = info(&s, &o);
    xl_session_end(&s);
    return status;
}
