/* SPDX-License-Identifier: LGPL-2.1-only */
/* backup-list */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bk.h"

enum { COLUMNS = 6 };

static void print_json(const struct bk_folder *f)
{
    char *text, *all = xl_strdup("["), *longer;
    bool first = true;
    int i;

    for (i = 0; i < f->num; i++) {
        if (f->sets[i].problem)
            continue;
        text = bk_set_write(&f->sets[i]);
        longer = xl_printf("%s%s%s", all, first ? "" : ",", text);
        first = false;
        free(text);
        free(all);
        all = longer;
    }
    longer = xl_printf("%s]", all);
    text = xl_json_pretty(longer);
    fputs(text, stdout);
    free(text);
    free(longer);
    free(all);
}

static char *disks_of(const struct bk_set *s)
{
    char *text = xl_strdup(""), *longer;
    int i;

    for (i = 0; i < s->num_disks; i++) {
        longer = xl_printf("%s%s%s", text, i ? "," : "", s->disks[i].vdev);
        free(text);
        text = longer;
    }
    return text;
}

static void fill_row(const struct bk_set *s, char **row)
{
    uint64_t size = 0;
    int i;

    for (i = 0; i < s->num_disks; i++)
        size += s->disks[i].file_size;
    row[0] = xl_strdup(s->name);
    row[1] = s->problem ? NULL : xl_time(s->time);
    row[2] = xl_strdup(s->problem ? "damaged" : s->base ? "incremental"
                                                        : "full");
    row[3] = s->base ? xl_strdup(s->base) : NULL;
    row[4] = s->problem ? NULL : xl_size(size);
    row[5] = s->problem ? NULL : disks_of(s);
}

static void print_table(const struct bk_folder *f)
{
    static const char *const heads[COLUMNS] = {
        "NAME", "TIME", "TYPE", "SINCE", "SIZE", "DISKS",
    };
    char **cells = xl_alloc((f->num + 1) * COLUMNS, sizeof(*cells));
    int i;

    for (i = 0; i < COLUMNS; i++)
        cells[i] = xl_strdup(heads[i]);
    for (i = 0; i < f->num; i++)
        fill_row(&f->sets[i], cells + (i + 1) * COLUMNS);
    xl_table(stdout, (const char *const *)cells, f->num + 1, COLUMNS);
    for (i = 0; i < (f->num + 1) * COLUMNS; i++)
        free(cells[i]);
    free(cells);
}

int bk_list(const struct xl_save_options *o)
{
    struct bk_folder f;
    int i, status = bk_folder_open(&f, o->dir, BK_READ);

    if (!status && o->json)
        print_json(&f);
    else if (!status)
        print_table(&f);
    for (i = 0; i < f.num && !status; i++)
        if (f.sets[i].problem) {
            xl_say("%s: the record of set %s can't be used: %s", f.path,
                   f.sets[i].name, f.sets[i].problem);
            status = XL_EXIT_DAMAGED;
        }
    bk_folder_close(&f);
    return status;
}
