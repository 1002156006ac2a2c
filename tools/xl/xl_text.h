/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Text for people: safe strings, sizes, times, aligned tables, trees.
 * Nothing here knows a libxl type. Strings returned are malloc'ed.
 */
#ifndef XL_TEXT_H
#define XL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

/* Ends the program when there is no memory left, as xl does. */
void *xl_alloc(size_t n, size_t size);
char *xl_strdup(const char *s);
char *xl_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* True where the user's locale is UTF-8. setlocale must have been called. */
bool xl_locale_is_utf8(void);

/*
 * s without anything that could steer a terminal: control characters
 * (C0, DEL, C1), text direction overrides and bytes that are no UTF-8 become
 * '?', and so does all that isn't ASCII where utf8 is false. Characters in
 * keep ("\n", "\t") stay. NULL becomes "".
 */
char *xl_safe(const char *s, bool utf8, const char *keep);

/* As one word of a POSIX shell command, quoted only where needed. */
char *xl_shell_word(const char *s);

/* "0 B", "512 B", "1.5 GiB"; binary units. */
char *xl_size(uint64_t bytes);
/* "0.4 s", "12 s", "2 min 5 s", "1 h 1 min". */
char *xl_duration(uint64_t milliseconds);
/* Local time, "2026-11-20T16:30:45+0100"; "-" for 0. */
char *xl_time(uint64_t seconds);

/* JSON as libxl prints it: four spaces a level, ended by a line feed. */
char *xl_json_pretty(const char *json);

/* Cells on a terminal that s takes. */
int xl_width(const char *s);

/*
 * cells: rows times columns strings, the first row being the heading. NULL
 * is printed as "-". The last column isn't padded.
 */
void xl_table(FILE *f, const char *const *cells, int rows, int columns);

struct xl_tree_node {
    const char *name;
    const char *parent;         /* NULL or unknown: a root */
    const char *label;          /* printed */
};

/* Siblings in the order given. Nodes in a circle are printed as roots. */
void xl_tree(FILE *f, const struct xl_tree_node *nodes, int n, bool utf8);

#endif /* XL_TEXT_H */
