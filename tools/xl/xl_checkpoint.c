/* SPDX-License-Identifier: LGPL-2.1-only */
/* checkpoint-create, -list, -info, -delete, -dirty and -redefine */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xlu_checkpoint.h>

#include "xl_command.h"
#include "xl_print.h"
#include "xl_session.h"
#include "xl_text.h"

/* --- printing --- */

/* text is freed. */
static int print_json(char *text)
{
    char *pretty;

    if (!text)
        return xl_session_failed(ERROR_FAIL, "JSON of a checkpoint", NULL);
    pretty = xl_json_pretty(text);
    xl_print_document(stdout, pretty);
    free(pretty);
    free(text);
    return XL_EXIT_DONE;
}

static int print_list_json(libxl_ctx *ctx, xlu_checkpoint_list *list)
{
    char *text = NULL, *one;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    int i;

    if (!f)
        abort();
    fputc('[', f);
    for (i = 0; i < list->num_checkpoints; i++) {
        one = xlu_checkpoint_to_json(ctx, &list->checkpoints[i]);
        fprintf(f, "%s%s", i ? "," : "", one ? one : "null");
        free(one);
    }
    fputc(']', f);
    if (fclose(f))
        abort();
    return print_json(text);
}

static const char *state_word(const xlu_checkpoint *c)
{
    switch (c->state) {
    case XLU_CHECKPOINT_STATE_GOOD:
        return "good";
    case XLU_CHECKPOINT_STATE_BROKEN:
        return "broken";
    default:
        return "unknown";
    }
}

/* Until the next one, on all disks. */
static char *dirty_text(const xlu_checkpoint *c)
{
    uint64_t sum = 0;
    int i;

    if (c->state == XLU_CHECKPOINT_STATE_UNKNOWN)
        return NULL;
    for (i = 0; i < c->num_disks; i++)
        sum += c->disks[i].dirty;
    return xl_size(sum);
}

static char *disks_text(const xlu_checkpoint *c)
{
    char *text = xl_strdup(""), *longer;
    int i;

    for (i = 0; i < c->num_disks; i++) {
        longer = xl_printf("%s%s%s", text, i ? "," : "", c->disks[i].vdev);
        free(text);
        text = longer;
    }
    longer = xl_print_safe(text);
    free(text);
    return longer;
}

/* Prints the cells, row by row, and frees them. */
static void print_cells(char **cells, int rows, int columns)
{
    int i;

    xl_table(stdout, (const char *const *)cells, rows, columns);
    for (i = 0; i < rows * columns; i++)
        free(cells[i]);
    free(cells);
}

static void print_table(const xlu_checkpoint_list *list)
{
    static const char *const heading[] = { "Name", "Time", "State",
                                           "Written", "Disks" };
    const int columns = 5;
    int i, rows = list->num_checkpoints + 1;
    char **cells = xl_alloc((size_t)rows * columns, sizeof(*cells)), **row;

    for (i = 0; i < columns; i++)
        cells[i] = xl_strdup(heading[i]);
    for (i = 0; i < list->num_checkpoints; i++) {
        const xlu_checkpoint *c = &list->checkpoints[i];

        row = &cells[(i + 1) * columns];
        row[0] = xl_print_safe(c->name);
        row[1] = xl_time(c->creation_time);
        row[2] = xl_strdup(state_word(c));
        row[3] = dirty_text(c);
        row[4] = disks_text(c);
    }
    print_cells(cells, rows, columns);
}

/* One after the other; but what a tree of snapshots looks like is known. */
static void print_tree(const xlu_checkpoint_list *list)
{
    int i, n = list->num_checkpoints;
    xlu_snapshot *all = xl_alloc(n + 1, sizeof(*all));
    const xlu_snapshot **entries = xl_alloc(n + 1, sizeof(*entries));

    for (i = 0; i < n; i++) {
        all[i].name = list->checkpoints[i].name;
        all[i].parent = list->checkpoints[i].parent;
        all[i].current = list->checkpoints[i].current;
        entries[i] = &all[i];
    }
    xl_print_tree(stdout, entries, n, xl_locale_is_utf8());
    free(entries);
    free(all);
}

static void field(const char *name, char *value)
{
    printf("%-12s %s\n", name, value && *value ? value : "-");
    free(value);
}

static void print_info(const xlu_checkpoint *c)
{
    int i;

    field("Name:", xl_print_safe(c->name));
    field("Description:", xl_print_safe(c->description));
    field("Parent:", xl_print_safe(c->parent));
    field("Current:", xl_strdup(c->current ? "yes" : "no"));
    field("Time:", xl_time(c->creation_time));
    field("State:", xl_strdup(state_word(c)));
    field("Quiesced:", xl_strdup(c->quiesced ? "yes" : "no"));
    field("Written:", dirty_text(c));
    if (c->folder)
        field("Backups in:", xl_print_safe(c->folder));
    for (i = 0; i < c->num_disks; i++) {
        const xlu_checkpoint_disk *d = &c->disks[i];
        char *vdev = xl_print_safe(d->vdev);
        char *problem = xl_print_safe(d->problem);

        field("Disk:", d->problem ? xl_printf("%s: broken: %s", vdev,
                                              problem)
                                  : xl_strdup(vdev));
        free(vdev);
        free(problem);
    }
}

static void print_totals(const libxl_domain_dirty *dirty)
{
    static const char *const heading[] = { "Disk", "Size", "Written",
                                           "Extents" };
    const int columns = 4;
    int i, rows = dirty->num_disks + 1;
    char **cells = xl_alloc((size_t)rows * columns, sizeof(*cells)), **row;

    for (i = 0; i < columns; i++)
        cells[i] = xl_strdup(heading[i]);
    for (i = 0; i < dirty->num_disks; i++) {
        const libxl_disk_dirty *d = &dirty->disks[i];

        row = &cells[(i + 1) * columns];
        row[0] = xl_print_safe(d->vdev);
        row[1] = xl_size(d->size);
        row[2] = xl_size(d->dirty);
        row[3] = xl_printf("%d", d->num_extents);
    }
    print_cells(cells, rows, columns);
}

static void print_extents(const libxl_domain_dirty *dirty)
{
    int i, j;

    for (i = 0; i < dirty->num_disks; i++)
        for (j = 0; j < dirty->disks[i].num_extents; j++) {
            const libxl_dirty_extent *e = &dirty->disks[i].extents[j];

            printf("%s %" PRIu64 " %" PRIu64 "\n", dirty->disks[i].vdev,
                   e->offset, e->length);
        }
}

/* --- each command, in a session --- */

static int list(struct xl_session *s, const struct xl_checkpoint_options *o)
{
    xlu_checkpoint_list found;
    int i, rc, status = XL_EXIT_DONE;

    xlu_checkpoint_list_init(&found);
    rc = xlu_checkpoint_list_all(s->cat, &found);
    if (rc)
        status = xl_session_failed(rc, "checkpoints of", s->dom.name);
    else if (o->json)
        status = print_list_json(s->ctx, &found);
    else if (o->tree)
        print_tree(&found);
    else if (!o->names)
        print_table(&found);
    for (i = 0; !rc && o->names && i < found.num_checkpoints; i++)
        printf("%s\n", found.checkpoints[i].name);
    xlu_checkpoint_list_dispose(&found);
    return status;
}

static int info(struct xl_session *s, const struct xl_checkpoint_options *o)
{
    int rc, status = XL_EXIT_DONE;
    char *xml = NULL;
    xlu_checkpoint c;

    xlu_checkpoint_init(&c);
    rc = xlu_checkpoint_get(s->cat, o->name, &c);
    if (!rc && o->xml)
        rc = xlu_checkpoint_xml(s->cat, o->name, &xml);
    if (rc)
        status = xl_session_failed(rc, "checkpoint", o->name);
    else if (o->json)
        status = print_json(xlu_checkpoint_to_json(s->ctx, &c));
    else if (o->xml)
        xl_print_document(stdout, xml);
    else
        print_info(&c);
    free(xml);
    xlu_checkpoint_dispose(&c);
    return status;
}

static int create(struct xl_session *s, const struct xl_checkpoint_options *o)
{
    const xlu_checkpoint_create_args args = {
        .name = o->name, .description = o->description,
        .vdevs = (const char *const *)o->vdevs,
        .quiesce = o->quiesce, .allow_unquiesced = o->allow_unquiesced,
    };
    xlu_checkpoint c;
    int rc, status;

    xlu_checkpoint_init(&c);
    rc = xlu_checkpoint_create(s->cat, &args, &s->how, &c);
    status = xl_session_finish(s, rc, "checkpoint");
    if (!rc && o->json)
        status = print_json(xlu_checkpoint_to_json(s->ctx, &c));
    else if (!rc)
        printf("Checkpoint %s made.\n", c.name);
    /* Less than was asked; a message has said why. */
    if (!rc && !status && o->quiesce && !c.quiesced)
        status = XL_EXIT_LESS;
    xlu_checkpoint_dispose(&c);
    return status;
}

static int delete(struct xl_session *s, const struct xl_checkpoint_options *o)
{
    int rc = xlu_checkpoint_delete(s->cat, o->name, &s->how);
    int status = xl_session_finish(s, rc, "deletion of a checkpoint");

    if (!rc)
        printf("Checkpoint %s deleted.\n", o->name);
    return status;
}

/* malloc'ed; NULL: there is none. */
static char *last_name(struct xl_session *s)
{
    xlu_checkpoint_list found;
    char *name = NULL;

    xlu_checkpoint_list_init(&found);
    if (!xlu_checkpoint_list_all(s->cat, &found) && found.num_checkpoints)
        name = xl_strdup(found.checkpoints[found.num_checkpoints - 1].name);
    xlu_checkpoint_list_dispose(&found);
    return name;
}

static int dirty(struct xl_session *s, const struct xl_checkpoint_options *o)
{
    char *last = o->since ? NULL : last_name(s);
    int rc, status = XL_EXIT_DONE;
    libxl_domain_dirty found;

    libxl_domain_dirty_init(&found);
    rc = xlu_checkpoint_dirty(s->cat, o->since ? o->since : last, o->until,
                              (const char *const *)o->vdevs, &s->how,
                              &found);
    if (rc)
        status = xl_session_failed(rc, "what was written by", s->dom.name);
    else if (o->json)
        status = print_json(libxl_domain_dirty_to_json(s->ctx, &found));
    else if (o->extents)
        print_extents(&found);
    else
        print_totals(&found);
    libxl_domain_dirty_dispose(&found);
    free(last);
    return status;
}

static int redefine(struct xl_session *s,
                    const struct xl_checkpoint_options *o, const char *text,
                    size_t len)
{
    xlu_checkpoint c;
    int rc, status;

    xlu_checkpoint_init(&c);
    rc = xlu_checkpoint_redefine(s->cat, strcmp(o->file, "-")
                                 ? o->file : "standard input", text, len,
                                 &c);
    status = xl_session_finish(s, rc, "redefinition of a checkpoint");
    if (!rc)
        printf("Checkpoint %s redefined%s.\n", c.name,
               c.state == XLU_CHECKPOINT_STATE_BROKEN
               ? "; it is broken" : "");
    if (!rc && c.state == XLU_CHECKPOINT_STATE_BROKEN)
        status = XL_EXIT_LESS;
    xlu_checkpoint_dispose(&c);
    return status;
}

static const struct {
    const char *command;
    bool writes;
    int (*run)(struct xl_session *s, const struct xl_checkpoint_options *o);
} commands[] = {
    { "checkpoint-create", true, create },
    { "checkpoint-delete", true, delete },
    { "checkpoint-list", false, list },
    { "checkpoint-info", false, info },
    { "checkpoint-dirty", false, dirty },
};

static int run(struct xl_session *s, const char *command,
               const struct xl_checkpoint_options *o)
{
    size_t i;
    int status;

    for (i = 0; strcmp(commands[i].command, command); i++)
        ;
    status = commands[i].writes ? xl_session_write(s, o->wait)
                                : xl_session_read(s);
    return status ? status : commands[i].run(s, o);
}

int xl_checkpoint_main(const struct xl_globals *globals, int argc,
                       char **argv)
{
    struct xl_checkpoint_options o;
    struct xl_problem problem = { 0 };
    struct xl_session s;
    char *text = NULL;
    size_t len = 0;
    bool help;
    int status = xl_checkpoint_parse(argc, argv, &o, &help, &problem);

    if (status)
        return xl_help_problem(argv[0], &problem);
    if (help) {
        xl_checkpoint_options_free(&o);
        return xl_help_asked(argv[0]);
    }
    /* Before anything is locked: a pipe may be slow. */
    if (o.file) {
        text = xl_alloc(XL_DOCUMENT_MAX, 1);
        status = xl_read_document(o.file, text, &len);
    }
    if (!status) {
        status = xl_session_begin(&s, globals, o.domain);
        if (!status && o.file) {
            status = xl_session_write(&s, o.wait);
            if (!status)
                status = redefine(&s, &o, text, len);
        } else if (!status) {
            status = run(&s, argv[0], &o);
        }
        xl_session_end(&s);
    }
    free(text);
    xl_checkpoint_options_free(&o);
    return status;
}
