/* SPDX-License-Identifier: LGPL-2.1-only */
/* --disk VDEV[,key=value]... */
#include <stdlib.h>
#include <string.h>

#include "xl_exit.h"
#include "xl_options.h"
#include "xl_text.h"

static const struct {
    const char *name;
    int kind;                   /* libxl_disk_snapshot_kind */
    bool offered;
} kinds[] = {
    { "any", 0, true },
    { "none", 1, true },
    { "internal", 2, true },
    { "external", 3, false },
    { "reflink", 4, true },
    { "lvm", 5, true },
};

static int set_kind(struct xl_disk_spec *spec, const char *value,
                    struct xl_problem *problem)
{
    size_t i;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, value) != 0)
            continue;
        if (!kinds[i].offered)
            return xl_problem_set(problem, XL_EXIT_NOT_POSSIBLE,
                                  "disk %s: kind=%s is not supported by "
                                  "this version", spec->vdev, value);
        spec->kind = kinds[i].kind;
        return 0;
    }
    return xl_problem_set(problem, XL_EXIT_USAGE, "disk %s: unknown kind "
                          "\"%s\" (any, none, internal, reflink or lvm)",
                          spec->vdev, value);
}

static int set_key(struct xl_disk_spec *spec, const char *key,
                   const char *value, bool *seen, struct xl_problem *problem)
{
    if (strcmp(key, "path") == 0 || strcmp(key, "format") == 0)
        return xl_problem_set(problem, XL_EXIT_NOT_POSSIBLE,
                              "disk %s: %s= is not supported by this version",
                              spec->vdev, key);
    if (strcmp(key, "kind") != 0)
        return xl_problem_set(problem, XL_EXIT_USAGE,
                              "disk %s: unknown key \"%s\"", spec->vdev, key);
    if (*seen)
        return xl_problem_set(problem, XL_EXIT_USAGE,
                              "disk %s: kind= is given twice", spec->vdev);
    *seen = true;
    return set_kind(spec, value, problem);
}

int xl_disk_spec_parse(const char *text, struct xl_disk_spec *out,
                       struct xl_problem *problem)
{
    char *copy = xl_strdup(text), *rest = copy, *part, *equals;
    bool seen = false;
    int status = 0;

    out->kind = 0;
    out->vdev = xl_strdup(strsep(&rest, ","));
    if (!out->vdev[0] || strchr(out->vdev, '=') || strchr(out->vdev, '/'))
        status = xl_problem_set(problem, XL_EXIT_USAGE,
                                "\"%s\" doesn't begin with a disk's name "
                                "(its vdev, as xvda)", text);
    while (!status && (part = strsep(&rest, ","))) {
        equals = strchr(part, '=');
        if (!equals) {
            status = xl_problem_set(problem, XL_EXIT_USAGE,
                                    "disk %s: \"%s\" isn't key=value",
                                    out->vdev, part);
            break;
        }
        *equals = '\0';
        status = set_key(out, part, equals + 1, &seen, problem);
    }
    if (status) {
        free(out->vdev);
        out->vdev = NULL;
    }
    free(copy);
    return status;
}
