/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the options of several subcommands have in common. */
#include <stdlib.h>
#include <string.h>

#include "xl_exit.h"
#include "xl_options.h"

int xl_exclude(struct xl_problem *problem, bool a, const char *a_name,
               bool b, const char *b_name)
{
    if (!a || !b)
        return 0;
    return xl_problem_set(problem, XL_EXIT_USAGE,
                          "--%s and --%s exclude each other",
                          a_name, b_name);
}

int xl_vdevs_add(const char ***vdevs, int *num, const char *vdev,
                 struct xl_problem *problem)
{
    if (!*vdev || strpbrk(vdev, ",/="))
        return xl_problem_set(problem, XL_EXIT_USAGE,
                              "\"%s\" is no disk's name", vdev);
    *vdevs = realloc(*vdevs, (*num + 2) * sizeof(**vdevs));
    if (!*vdevs)
        abort();
    (*vdevs)[(*num)++] = vdev;
    (*vdevs)[*num] = NULL;
    return 0;
}

void xl_vdevs_free(const char ***vdevs, int *num)
{
    free(*vdevs);
    *vdevs = NULL;
    *num = 0;
}
