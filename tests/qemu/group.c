/* SPDX-License-Identifier: LGPL-2.1-only */
#include <stdlib.h>
#include <string.h>

#include "group.h"

int group_run(const char *name, const struct CMUnitTest *tests, size_t num,
              CMFixtureFunction after)
{
    struct CMUnitTest *copy = calloc(num, sizeof(*copy));
    size_t i;
    int r;

    if (!copy)
        abort();
    memcpy(copy, tests, num * sizeof(*copy));
    for (i = 0; i < num; i++)
        copy[i].teardown_func = after;
    r = _cmocka_run_group_tests(name, copy, num, NULL, NULL);
    free(copy);
    return r;
}
