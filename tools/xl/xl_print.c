/* SPDX-License-Identifier: LGPL-2.1-only */
/* Snapshots as tables, trees and JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xl_exit.h"
#include "xl_print.h"
#include "xl_progress.h"
#include "xl_text.h"

char *xl_print_safe(const char *s)
{
    return xl_safe(s, xl_locale_is_utf8(), NULL);
}

void xl_print_document(FILE *f, const char *text)
{
    size_t len = strlen(text);
    char *safe;

    if (!isatty(fileno(f))) {
        fputs(text, f);
    } else {
        safe = xl_safe(text, xl_locale_is_utf8(), "\n\t");
        fputs(safe, f);
        free(safe);
    }
    if (!len || text[len - 1] != '\n')
        fputc('\n', f);
}

/* One after the other: ten thousand of them needn't be in memory at once,
 * but the indentation is made of the whole. */
static char *join(libxl_ctx *ctx, const xlu_snapshot *const *list, int n)
{
    char *text = NULL, *one;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    int i;

    if (!f)
        abort();
    fputc('[', f);
    for (i = 0; i < n; i++) {
        one = xlu_snapshot_to_json(ctx, (xlu_snapshot *)list[i]);
        if (!one)
            break;
        fprintf(f, "%s%s", i ? "," : "", one);
        free(one);
    }
    fputc(']', f);
    if (fclose(f) || i < n) {
        free(text);
        return NULL;
    }
    return text;
}

int xl_print_json(libxl_ctx *ctx, FILE *f, const xlu_snapshot *const *list,
                  int n, bool array)
{
    char *text = array ? join(ctx, list, n)
                       : xlu_snapshot_to_json(ctx, (xlu_snapshot *)list[0]);
    char *pretty;

    if (!text) {
        xl_say("can't write a snapshot as JSON");
        return XL_EXIT_FAILED;
    }
    pretty = xl_json_pretty(text);
    xl_print_document(f, pretty);
    free(pretty);
    free(text);
    return XL_EXIT_DONE;
}

void xl_print_names(FILE *f, const xlu_snapshot *const *list, int n)
{
    int i;

    for (i = 0; i < n; i++) {
        char *name = xl_print_safe(list[i]->name);

        fprintf(f, "%s\n", name);
        free(name);
    }
}

enum { COL_CURRENT, COL_NAME, COL_CREATED, COL_STATE, COL_MEMORY,
       COL_PARENT, COLUMNS };

static void fill_row(char **row, const xlu_snapshot *s)
{
    row[COL_CURRENT] = xl_strdup(s->current ? "*" : " ");
    row[COL_NAME] = xl_print_safe(s->name);
    row[COL_CREATED] = xl_time(s->creation_time);
    row[COL_STATE] = xl_strdup(xl_state_word(s));
    row[COL_MEMORY] = s->memory.path ? xl_size(s->memory.size) : NULL;
    row[COL_PARENT] = s->parent ? xl_print_safe(s->parent) : NULL;
}

void xl_print_array(FILE *f, char **texts, int n)
{
    char *text = NULL, *pretty;
    size_t size;
    FILE *all = open_memstream(&text, &size);
    int i;

    if (!all)
        abort();
    fputc('[', all);
    for (i = 0; i < n; i++) {
        fprintf(all, "%s%s", i ? "," : "", texts[i] ? texts[i] : "null");
        free(texts[i]);
    }
    fputc(']', all);
    if (fclose(all))
        abort();
    pretty = xl_json_pretty(text);
    xl_print_document(f, pretty);
    free(pretty);
    free(text);
}

void xl_print_table(FILE *f, const xlu_snapshot *const *list, int n)
{
    static const char *const heading[COLUMNS] = {
        " ", "Name", "Created", "State", "Memory", "Parent",
    };
    char **cells = xl_alloc((size_t)(n + 1) * COLUMNS, sizeof(*cells));
    int i;

    for (i = 0; i < COLUMNS; i++)
        cells[i] = xl_strdup(heading[i]);
    for (i = 0; i < n; i++)
        fill_row(cells + (i + 1) * COLUMNS, list[i]);
    xl_table(f, (const char *const *)cells, n + 1, COLUMNS);
    for (i = 0; i < (n + 1) * COLUMNS; i++)
        free(cells[i]);
    free(cells);
}

void xl_print_tree(FILE *f, const xlu_snapshot *const *list, int n,
                   bool utf8)
{
    struct xl_tree_node *nodes = xl_alloc(n, sizeof(*nodes));
    int i;

    for (i = 0; i < n; i++) {
        char *safe = xl_safe(list[i]->name, utf8, NULL);

        nodes[i].name = list[i]->name;
        nodes[i].parent = list[i]->parent;
        nodes[i].label = xl_printf("%s%s", safe,
                                   list[i]->current ? " *" : "");
        free(safe);
    }
    xl_tree(f, nodes, n, utf8);
    for (i = 0; i < n; i++)
        free((char *)nodes[i].label);
    free(nodes);
}
