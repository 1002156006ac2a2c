/* SPDX-License-Identifier: LGPL-2.1-only */
/* Aligned tables, trees drawn with lines, indented JSON. */
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "xl_text.h"

int xl_width(const char *s)
{
    mbstate_t state = { 0 };
    int width = 0;
    wchar_t wc;

    while (*s) {
        size_t len = mbrtowc(&wc, s, MB_CUR_MAX, &state);
        int cells;

        if (len == (size_t)-1 || len == (size_t)-2) {
            memset(&state, 0, sizeof(state));
            s++;
            width++;
            continue;
        }
        cells = wcwidth(wc);
        width += cells > 0 ? cells : 0;
        s += len ? len : 1;
    }
    return width;
}

void xl_table(FILE *f, const char *const *cells, int rows, int columns)
{
    int *widths = xl_alloc(columns, sizeof(*widths));
    int r, c;

    for (r = 0; r < rows; r++) {
        for (c = 0; c < columns; c++) {
            const char *cell = cells[r * columns + c];
            int w = cell ? xl_width(cell) : 1;

            if (w > widths[c])
                widths[c] = w;
        }
    }
    for (r = 0; r < rows; r++) {
        for (c = 0; c < columns; c++) {
            const char *cell = cells[r * columns + c];

            if (!cell)
                cell = "-";
            fputs(cell, f);
            if (c + 1 < columns)
                fprintf(f, "%*s", widths[c] - xl_width(cell) + 2, "");
        }
        fputc('\n', f);
    }
    free(widths);
}

/* First child and next sibling of each node; -1: none. */
struct links {
    int *first, *next, *parent;
    bool *drawn;
};

static const struct xl_tree_node *sort_nodes;

static int by_name(const void *a, const void *b)
{
    return strcmp(sort_nodes[*(const int *)a].name,
                  sort_nodes[*(const int *)b].name);
}

static int find(const int *sorted, int n, const char *name)
{
    int low = 0, high = n - 1;

    while (name && low <= high) {
        int mid = low + (high - low) / 2;
        int cmp = strcmp(name, sort_nodes[sorted[mid]].name);

        if (cmp == 0)
            return sorted[mid];
        if (cmp < 0)
            high = mid - 1;
        else
            low = mid + 1;
    }
    return -1;
}

/* Backwards, so that pushing to the front keeps the order given. */
static void link_nodes(struct links *l, const struct xl_tree_node *nodes,
                       int n)
{
    int *sorted = xl_alloc(n, sizeof(*sorted)), i;

    for (i = 0; i < n; i++) {
        sorted[i] = i;
        l->first[i] = l->next[i] = -1;
    }
    sort_nodes = nodes;
    qsort(sorted, n, sizeof(*sorted), by_name);
    for (i = n - 1; i >= 0; i--) {
        int p = find(sorted, n, nodes[i].parent);

        l->parent[i] = p;
        if (p < 0)
            continue;
        l->next[i] = l->first[p];
        l->first[p] = i;
    }
    free(sorted);
}

/* One node and all below it, without recursion: chains can be long. */
static void draw(FILE *f, const struct xl_tree_node *nodes, struct links *l,
                 int root, bool utf8)
{
    const char *tee = utf8 ? "├─ " : "|- ", *end = utf8 ? "└─ " : "`- ";
    const char *bar = utf8 ? "│  " : "|  ", *gap = "   ";
    int depth = 0, size = 16, i, at = root;
    const char **prefix = xl_alloc(size, sizeof(*prefix));

    for (;;) {
        bool fresh = !l->drawn[at];

        if (fresh) {
            l->drawn[at] = true;
            for (i = 0; i + 1 < depth; i++)
                fputs(prefix[i], f);
            if (depth)
                fputs(l->next[at] < 0 ? end : tee, f);
            fprintf(f, "%s\n", nodes[at].label);
        }
        if (fresh && l->first[at] >= 0 && !l->drawn[l->first[at]]) {
            /* What stands below this node, in front of its grandchildren. */
            if (depth + 1 >= size) {
                size *= 2;
                prefix = realloc(prefix, size * sizeof(*prefix));
                if (!prefix)
                    abort();
            }
            if (depth)
                prefix[depth - 1] = l->next[at] < 0 ? gap : bar;
            depth++;
            at = l->first[at];
            continue;
        }
        while (depth && (l->next[at] < 0 || l->drawn[l->next[at]])) {
            at = l->parent[at];
            depth--;
        }
        if (!depth)
            break;
        at = l->next[at];
    }
    free(prefix);
}

void xl_tree(FILE *f, const struct xl_tree_node *nodes, int n, bool utf8)
{
    struct links l = {
        .first = xl_alloc(n, sizeof(int)), .next = xl_alloc(n, sizeof(int)),
        .parent = xl_alloc(n, sizeof(int)), .drawn = xl_alloc(n, sizeof(bool)),
    };
    int i;

    link_nodes(&l, nodes, n);
    for (i = 0; i < n; i++) {
        if (l.parent[i] < 0)
            draw(f, nodes, &l, i, utf8);
    }
    /* A circle has no root: documents changed by hand may hold one. */
    for (i = 0; i < n; i++) {
        if (!l.drawn[i])
            draw(f, nodes, &l, i, utf8);
    }
    free(l.first);
    free(l.next);
    free(l.parent);
    free(l.drawn);
}

static void newline(FILE *f, int depth)
{
    fprintf(f, "\n%*s", depth * 4, "");
}

/* The end of the string that begins at s (which is a quotation mark). */
static const char *string_end(const char *s)
{
    for (s++; *s && *s != '"'; s++) {
        if (*s == '\\' && s[1])
            s++;
    }
    return *s ? s + 1 : s;
}

char *xl_json_pretty(const char *json)
{
    size_t size, len;
    char *out = NULL;
    FILE *f = open_memstream(&out, &size);
    int depth = 0;
    const char *p, *end;

    if (!f)
        abort();
    for (p = json; *p; p = end) {
        end = p + 1;
        if (strchr(" \t\r\n", *p))
            continue;
        if (*p == '"') {
            end = string_end(p);
            fwrite(p, 1, end - p, f);
            continue;
        }
        if (*p == '}' || *p == ']') {
            newline(f, --depth > 0 ? depth : 0);
            fputc(*p, f);
            continue;
        }
        fputc(*p, f);
        if (*p == ':')
            fputc(' ', f);
        if (*p == ',')
            newline(f, depth);
        if (*p != '{' && *p != '[')
            continue;
        len = strspn(end, " \t\r\n");
        if (end[len] == (*p == '{' ? '}' : ']')) {
            fputc(end[len], f);         /* empty: on one line */
            end += len + 1;
        } else {
            newline(f, ++depth);
        }
    }
    fputc('\n', f);
    if (fclose(f) || !out)
        abort();
    return out;
}
