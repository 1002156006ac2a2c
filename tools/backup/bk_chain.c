/* SPDX-License-Identifier: LGPL-2.1-only */
/* Which set is based on which, and which are to be kept. */
#include <stdlib.h>
#include <string.h>

#include "bk.h"

struct bk_set *bk_find(struct bk_set *sets, int num, const char *name)
{
    int i;

    for (i = 0; name && i < num; i++)
        if (!strcmp(sets[i].name, name))
            return &sets[i];
    return NULL;
}

struct bk_set *bk_newest(struct bk_set *sets, int num)
{
    while (num > 0)
        if (!sets[--num].problem)
            return &sets[num];
    return NULL;
}

static int compare(const void *a, const void *b)
{
    const struct bk_set *x = a, *y = b;

    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return strcmp(x->name, y->name);
}

void bk_sort(struct bk_set *sets, int num)
{
    if (num > 1)
        qsort(sets, num, sizeof(*sets), compare);
}

struct bk_set **bk_chain(struct bk_set *sets, int num, struct bk_set *s,
                         char **problem)
{
    struct bk_set **chain = xl_alloc(num + 2, sizeof(*chain));
    int n = 0;

    *problem = NULL;
    for (;;) {
        if (s->problem)
            *problem = xl_printf("the record of set %s can't be used: %s",
                                 s->name, s->problem);
        else if (n == num)
            *problem = xl_printf("set %s is based on itself", s->name);
        if (*problem)
            break;
        chain[n++] = s;
        if (!s->base)
            return chain;
        if (!bk_find(sets, num, s->base)) {
            *problem = xl_printf("set %s is based on set %s, which isn't "
                                 "there", s->name, s->base);
            break;
        }
        s = bk_find(sets, num, s->base);
    }
    free(chain);
    return NULL;
}

/* --- rules --- */

enum period { DAY, WEEK, MONTH, YEAR };

/* A number that is the same for all of one period, by the local clock. */
static long period_of(uint64_t seconds, enum period p)
{
    time_t t = seconds;
    char text[16];
    struct tm tm;

    if (!localtime_r(&t, &tm))
        return 0;
    switch (p) {
    case DAY:
        return tm.tm_year * 1000L + tm.tm_yday;
    case WEEK:
        /* ISO 8601: it may belong to the year before or after. */
        strftime(text, sizeof(text), "%G%V", &tm);
        return atol(text);
    case MONTH:
        return tm.tm_year * 100L + tm.tm_mon;
    default:
        return tm.tm_year;
    }
}

/* The newest of each of the last n periods that have any. */
static void keep_periods(struct bk_set *sets, int num, int n, enum period p)
{
    long last = -1, now;
    int i;

    for (i = num - 1; i >= 0 && n > 0; i--) {
        if (sets[i].problem)
            continue;
        now = period_of(sets[i].time, p);
        if (now == last)
            continue;
        sets[i].keep = true;
        last = now;
        n--;
    }
}

void bk_apply_rules(struct bk_set *sets, int num, const struct bk_rules *r)
{
    int i, n = r->last;

    for (i = num - 1; i >= 0; i--) {
        sets[i].keep = sets[i].problem || n > 0;
        if (!sets[i].problem && n > 0)
            n--;
    }
    keep_periods(sets, num, r->daily, DAY);
    keep_periods(sets, num, r->weekly, WEEK);
    keep_periods(sets, num, r->monthly, MONTH);
    keep_periods(sets, num, r->yearly, YEAR);
}

struct bk_set *bk_kept_base(struct bk_set *sets, int num, struct bk_set *s)
{
    int steps;

    for (steps = 0; s && s->base && steps <= num; steps++) {
        s = bk_find(sets, num, s->base);
        if (s && s->keep)
            return s;
    }
    return NULL;
}
