/* SPDX-License-Identifier: LGPL-2.1-only */
/* snapshot-export */
#include <stdio.h>
#include <stdlib.h>

#include "xl_command.h"
#include "xl_print.h"
#include "xl_progress.h"
#include "xl_session.h"
#include "xl_text.h"

/* The catalogue for writing: it keeps others away while a server starts.
 * Nothing is suspended, so there is no monitor to be seen to. */
static int open_catalogue(struct xl_session *s, bool wait)
{
    int rc;

    if (wait)
        s->how.wait_seconds = XL_WAIT_SECONDS;
    rc = xlu_snapshot_open(s->ctx, s->lg, NULL, &s->dom,
                           XLU_SNAPSHOT_WRITE |
                           (wait ? XLU_SNAPSHOT_WAIT : 0), &s->cat);
    return rc ? xl_session_failed(rc, "catalogue of", s->dom.name)
              : xl_session_recover(s);
}

static int print_json(const libxl_snapshot_export_list *list, libxl_ctx *ctx)
{
    int i, n = list->num_exports;
    char **texts = xl_alloc(n, sizeof(*texts));

    for (i = 0; i < n; i++)
        texts[i] = libxl_snapshot_export_to_json(ctx, &list->exports[i]);
    xl_print_array(stdout, texts, n);
    free(texts);
    return XL_EXIT_DONE;
}

static void print_table(const libxl_snapshot_export_list *list)
{
    static const char *const heading[] = { "Snapshot", "Disk", "Process",
                                           "URI" };
    const int columns = 4;
    int i, j, n = list->num_exports + 1;
    char **cells = xl_alloc((size_t)n * columns, sizeof(*cells));

    for (j = 0; j < columns; j++)
        cells[j] = xl_strdup(heading[j]);
    for (i = 1; i < n; i++) {
        const libxl_snapshot_export *e = &list->exports[i - 1];

        cells[i * columns] = xl_print_safe(xlu_snapshot_export_name(e));
        cells[i * columns + 1] = xl_print_safe(e->vdev);
        cells[i * columns + 2] = xl_printf("%d", e->pid);
        cells[i * columns + 3] = xl_print_safe(e->uri);
    }
    xl_table(stdout, (const char *const *)cells, n, columns);
    for (i = 0; i < n * columns; i++)
        free(cells[i]);
    free(cells);
}

static int list(struct xl_session *s, const struct xl_export_options *o)
{
    libxl_snapshot_export_list found;
    int rc, status;

    libxl_snapshot_export_list_init(&found);
    rc = xlu_snapshot_export_list(s->cat, o->name, &found);
    if (rc)
        status = xl_session_failed(rc, "exports of", s->dom.name);
    else if (o->json)
        status = print_json(&found, s->ctx);
    else
        status = (print_table(&found), XL_EXIT_DONE);
    libxl_snapshot_export_list_dispose(&found);
    return status;
}

static int stop(struct xl_session *s, const struct xl_export_options *o)
{
    int num = 0;
    int rc = xlu_snapshot_export_stop(s->cat, o->name,
                                      (const char *const *)o->vdevs, &num);

    if (rc)
        return xl_session_failed(rc, "end of exports of", s->dom.name);
    printf("%d export%s ended.\n", num, num == 1 ? "" : "s");
    return XL_EXIT_DONE;
}

static int start(struct xl_session *s, const struct xl_export_options *o)
{
    libxl_snapshot_export_list made;
    int i, rc, status = XL_EXIT_DONE;

    libxl_snapshot_export_list_init(&made);
    rc = xlu_snapshot_export(s->cat, o->name, (const char *const *)o->vdevs,
                             o->socket, &s->how, &made);
    if (rc)
        status = xl_session_failed(rc, "export of a snapshot of",
                                   s->dom.name);
    else if (o->json)
        status = print_json(&made, s->ctx);
    for (i = 0; !o->json && i < made.num_exports; i++)
        printf("%s\n", made.exports[i].uri);
    libxl_snapshot_export_list_dispose(&made);
    return status;
}

/* Stopping and listing want no lock: a hung operation must not hinder. */
static int run(struct xl_session *s, const struct xl_export_options *o)
{
    int status = o->stop || o->list ? xl_session_read(s)
                                    : open_catalogue(s, o->wait);

    if (status)
        return status;
    return o->list ? list(s, o) : o->stop ? stop(s, o) : start(s, o);
}

int xl_export_main(const struct xl_globals *globals, int argc, char **argv)
{
    struct xl_export_options o;
    struct xl_problem problem = { 0 };
    struct xl_session s;
    bool help;
    int status = xl_export_parse(argc, argv, &o, &help, &problem);

    if (status)
        return xl_help_problem(argv[0], &problem);
    if (help) {
        xl_export_options_free(&o);
        return xl_help_asked(argv[0]);
    }
    status = xl_session_begin(&s, globals, o.domain);
    if (!status)
        status = run(&s, &o);
    xl_session_end(&s);
    xl_export_options_free(&o);
    return status;
}
