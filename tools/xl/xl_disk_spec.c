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
    { "external", 3, true },
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
                          "\"%s\" (any, none, internal, external, "
                          "reflink or lvm)",
                          spec->vdev, value);
}

static int set_path(struct xl_disk_spec *spec, const char *value,
                    struct xl_problem *problem)
{
    if (*value != '/')
        return xl_problem_set(problem, XL_EXIT_USAGE, "disk %s: path \"%s\" "
                              "isn't absolute", spec->vdev, value);
    free(spec->path);
    spec->path = xl_strdup(value);
    return 0;
}

static int set_format(struct xl_disk_spec *spec, const char *value,
                      struct xl_problem *problem)
{
    if (strcmp(value, "qcow2") == 0)
        return 0;
    return xl_problem_set(problem, XL_EXIT_NOT_POSSIBLE, "disk %s: an overlay "
                          "can only be qcow2, not \"%s\"", spec->vdev, value);
}

static int set_reuse(struct xl_disk_spec *spec, const char *value,
                     struct xl_problem *problem)
{
    spec->reuse = strcmp(value, "yes") == 0;
    if (spec->reuse || strcmp(value, "no") == 0)
        return 0;
    return xl_problem_set(problem, XL_EXIT_USAGE, "disk %s: reuse=%s (yes or "
                          "no)", spec->vdev, value);
}

static int set_key(struct xl_disk_spec *spec, const char *key,
                   const char *value, bool *seen, struct xl_problem *problem)
{
    if (strcmp(key, "path") == 0)
        return set_path(spec, value, problem);
    if (strcmp(key, "format") == 0)
        return set_format(spec, value, problem);
    if (strcmp(key, "reuse") == 0)
        return set_reuse(spec, value, problem);
    if (strcmp(key, "kind") != 0)
        return xl_problem_set(problem, XL_EXIT_USAGE,
                              "disk %s: unknown key \"%s\"", spec->vdev, key);
    if (*seen)
        return xl_problem_set(problem, XL_EXIT_USAGE,
                              "disk %s: kind= is given twice", spec->vdev);
    *seen = true;
    return set_kind(spec, value, problem);
}

/* What says where an overlay is says that one is wanted. */
static int check_external(struct xl_disk_spec *spec, bool seen,
                          struct xl_problem *problem)
{
    if (!spec->path && !spec->reuse)
        return 0;
    if (!seen)
        spec->kind = 3;
    if (spec->kind != 3)
        return xl_problem_set(problem, XL_EXIT_USAGE, "disk %s: path= and "
                              "reuse= go with kind=external", spec->vdev);
    if (spec->reuse && !spec->path)
        return xl_problem_set(problem, XL_EXIT_USAGE, "disk %s: reuse=yes "
                              "wants a path=", spec->vdev);
    return 0;
}

int xl_disk_spec_parse(const char *text, struct xl_disk_spec *out,
                       struct xl_problem *problem)
{
    char *copy = xl_strdup(text), *rest = copy, *part, *equals;
    bool seen = false;
    int status = 0;

    out->kind = 0;
    out->path = NULL;
    out->reuse = false;
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
    if (!status)
        status = check_external(out, seen, problem);
    if (status) {
        free(out->vdev);
        free(out->path);
        out->vdev = out->path = NULL;
    }
    free(copy);
    return status;
}
