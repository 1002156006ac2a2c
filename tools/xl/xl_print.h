/* SPDX-License-Identifier: LGPL-2.1-only */
/* Snapshots as tables, trees, JSON, and in words. */
#ifndef XL_PRINT_H
#define XL_PRINT_H

#include <stdio.h>

#include <xlu_snapshot.h>

/* xl_safe for the user's locale. */
char *xl_print_safe(const char *s);

/*
 * The IDL's JSON; array: an array of them, else the first alone. Returns an
 * exit code. To a terminal, control characters are replaced.
 */
int xl_print_json(libxl_ctx *ctx, FILE *f, const xlu_snapshot *const *list,
                  int n, bool array);
/* An array of such texts, each malloc'ed, NULL for null; frees them. */
void xl_print_array(FILE *f, char **texts, int n);
/* A document as it is stored; to a terminal, as above. */
void xl_print_document(FILE *f, const char *text);

void xl_print_names(FILE *f, const xlu_snapshot *const *list, int n);
void xl_print_table(FILE *f, const xlu_snapshot *const *list, int n);
void xl_print_tree(FILE *f, const xlu_snapshot *const *list, int n,
                   bool utf8);
const char *xl_state_word(const xlu_snapshot *s);
bool xl_is_quiesced(const xlu_snapshot *s);
/* All of one snapshot, with the stock commands that restore it. */
void xl_print_info(FILE *f, const xlu_snapshot *s, const char *domain);

#endif /* XL_PRINT_H */
