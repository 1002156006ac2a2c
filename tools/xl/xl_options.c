/* SPDX-License-Identifier: LGPL-2.1-only */
/* The options of each subcommand. */
#include <stdlib.h>
#include <string.h>

#include "xl_exit.h"
#include "xl_options.h"
#include "xl_text.h"

const char *const xl_operands_domain[] = { "DOMAIN", NULL };
const char *const xl_operands_name[] = { "DOMAIN", "NAME", NULL };
const char *const xl_operands_file[] = { "DOMAIN", "FILE", NULL };

enum {
    OPT_NAME = XL_OPT_OWN, OPT_LIVE, OPT_INTERNAL, OPT_EXTERNAL, OPT_PATH,
    OPT_DISK_ONLY, OPT_QUIESCE, OPT_ALLOW_UNQUIESCED, OPT_DISK,
    OPT_COMPRESS, OPT_PAUSED,
    OPT_DESCRIPTION, OPT_WAIT, OPT_JSON, OPT_TREE, OPT_XML, OPT_RUNNING,
    OPT_FORCE, OPT_NO_SAFETY, OPT_CHILDREN, OPT_CHILDREN_ONLY,
    OPT_CURRENT, OPT_CHECKPOINT,
};

/*
 * Without a text: known, so that the answer is "not supported" and not
 * "unknown".
 */
#define HIDDEN ""

const struct xl_option xl_create_table[] = {
    { OPT_NAME, 'n', "name", "NAME",
      "name; default: the time, as 20261120T153045Z" },
    { OPT_LIVE, 'l', "live", NULL,
      "write most of the memory while the domain runs" },
    { OPT_INTERNAL, 'i', "internal", NULL,
      "keep the disks' state in their images (default)" },
    { OPT_EXTERNAL, 'e', "external", NULL,
      "freeze the disks' files, go on with overlays" },
    { OPT_PATH, 'p', "path", "DIR",
      "write the memory image into this folder" },
    { OPT_DISK_ONLY, 0, "disk-only", NULL,
      "the disks alone, without the memory" },
    { OPT_QUIESCE, 0, "quiesce", NULL,
      "with --disk-only: the guest agent freezes it" },
    { OPT_ALLOW_UNQUIESCED, 0, "allow-unquiesced", NULL,
      "with --quiesce: take it even so (status 8)" },
    { OPT_DISK, 0, "disk", "VDEV[,KEY=VALUE]",
      "kind, path, reuse of one disk; repeatable" },
    { OPT_CHECKPOINT, 'c', "checkpoint", "NAME",
      "begin this checkpoint in the same instant" },
    { OPT_COMPRESS, 0, "compress", NULL,
      "compress the memory image with zstd" },
    { OPT_PAUSED, 0, "paused", NULL,
      "leave the domain paused afterwards" },
    { OPT_DESCRIPTION, 0, "description", "TEXT",
      "a text to keep with the snapshot" },
    XL_WAIT_OPTION(OPT_WAIT),
    { OPT_JSON, 0, "json", NULL, "print the snapshot as JSON" },
    { 0 },
};

const struct xl_option xl_list_table[] = {
    { OPT_TREE, 0, "tree", NULL, "print names as a tree" },
    { OPT_JSON, 0, "json", NULL, "print the snapshots as a JSON array" },
    { OPT_NAME, 0, "name", NULL, "print names only, one in a line" },
    { 0 },
};

const struct xl_option xl_info_table[] = {
    { OPT_JSON, 0, "json", NULL, "print the snapshot as JSON" },
    { OPT_XML, 0, "xml", NULL,
      "print the snapshot as libvirt's <domainsnapshot>" },
    { 0 },
};

const struct xl_option xl_revert_table[] = {
    { OPT_RUNNING, 0, "running", NULL,
      "let the domain run, even if it was paused" },
    { OPT_PAUSED, 0, "paused", NULL,
      "leave the domain paused, even if it ran" },
    { OPT_FORCE, 0, "force", NULL,
      "drop dirty bitmaps of other programs" },
    { OPT_NO_SAFETY, 0, "no-safety", NULL,
      "take no safety point: no way back if it fails" },
    XL_WAIT_OPTION(OPT_WAIT),
    { 0 },
};

const struct xl_option xl_delete_table[] = {
    { OPT_CHILDREN, 0, "children", NULL,
      "delete the snapshot and all snapshots below it" },
    { OPT_CHILDREN_ONLY, 0, "children-only", NULL,
      "delete the snapshots below it only" },
    XL_WAIT_OPTION(OPT_WAIT),
    { 0 },
};

const struct xl_option xl_redefine_table[] = {
    { OPT_CURRENT, 0, "current", NULL,
      "make it the current snapshot" },
    XL_WAIT_OPTION(OPT_WAIT),
    { 0 },
};

static int add_disk(struct xl_create_options *o, const char *text,
                    struct xl_problem *problem)
{
    struct xl_disk_spec spec;
    int i, status = xl_disk_spec_parse(text, &spec, problem);

    if (status)
        return status;
    for (i = 0; i < o->num_disks; i++) {
        if (strcmp(o->disks[i].vdev, spec.vdev) == 0) {
            status = xl_problem_set(problem, XL_EXIT_USAGE,
                                    "disk %s is given twice", spec.vdev);
            free(spec.vdev);
            return status;
        }
    }
    o->disks = realloc(o->disks, (i + 1) * sizeof(*o->disks));
    if (!o->disks)
        abort();
    o->disks[o->num_disks++] = spec;
    return 0;
}

static int create_set(void *user, int id, const char *value,
                      struct xl_problem *problem)
{
    struct xl_create_options *o = user;

    switch (id) {
    case OPT_NAME:        o->name = value; break;
    case OPT_LIVE:        o->live = true; break;
    case OPT_INTERNAL:    o->internal = true; break;
    case OPT_EXTERNAL:    o->external = true; break;
    case OPT_PATH:        o->path = value; break;
    case OPT_DISK_ONLY:   o->disk_only = true; break;
    case OPT_QUIESCE:     o->quiesce = true; break;
    case OPT_ALLOW_UNQUIESCED: o->allow_unquiesced = true; break;
    case OPT_COMPRESS:    o->compress = true; break;
    case OPT_CHECKPOINT:  o->checkpoint = value; break;
    case OPT_DISK:        return add_disk(o, value, problem);
    case OPT_PAUSED:      o->paused = true; break;
    case OPT_DESCRIPTION: o->description = value; break;
    case OPT_WAIT:        o->wait = true; break;
    case OPT_JSON:        o->json = true; break;
    }
    return 0;
}

void xl_create_options_free(struct xl_create_options *o)
{
    int i;

    for (i = 0; i < o->num_disks; i++) {
        free(o->disks[i].vdev);
        free(o->disks[i].path);
    }
    free(o->disks);
    o->disks = NULL;
    o->num_disks = 0;
}

/* A memory image of a frozen guest would come back frozen. */
static int check_quiesce(const struct xl_create_options *o,
                         struct xl_problem *problem)
{
    if (o->quiesce && !o->disk_only)
        return xl_problem_set(problem, XL_EXIT_USAGE,
                              "--quiesce needs --disk-only: with its memory "
                              "the guest would come back frozen");
    if (o->allow_unquiesced && !o->quiesce)
        return xl_problem_set(problem, XL_EXIT_USAGE,
                              "--allow-unquiesced needs --quiesce");
    return 0;
}

int xl_create_parse(int argc, char **argv, struct xl_create_options *out,
                    bool *help, struct xl_problem *problem)
{
    const struct xl_grammar grammar = {
        xl_operands_domain, xl_create_table, create_set,
    };
    const char *operands[1] = { NULL };
    int status;

    memset(out, 0, sizeof(*out));
    status = xl_parse(&grammar, argc, argv, out, operands, help, problem);
    out->domain = operands[0];
    if (!status && !*help && out->path && out->path[0] != '/')
        status = xl_problem_set(problem, XL_EXIT_USAGE,
                                "--path %s isn't an absolute path",
                                out->path);
    if (!status && !*help)
        status = xl_exclude(problem, out->path, "path",
                            out->disk_only, "disk-only");
    if (!status && !*help)
        status = xl_exclude(problem, out->internal, "internal",
                            out->external, "external");
    if (!status && !*help)
        status = check_quiesce(out, problem);
    if (!status && !*help)
        status = xl_exclude(problem, out->live, "live",
                            out->disk_only, "disk-only");
    if (!status && !*help)
        status = xl_exclude(problem, out->compress, "compress",
                            out->disk_only, "disk-only");
    if (status)
        xl_create_options_free(out);
    return status;
}

static int list_set(void *user, int id, const char *value,
                    struct xl_problem *problem)
{
    struct xl_list_options *o = user;

    (void)value;
    (void)problem;
    switch (id) {
    case OPT_TREE: o->tree = true; break;
    case OPT_JSON: o->json = true; break;
    case OPT_NAME: o->name = true; break;
    }
    return 0;
}

int xl_list_parse(int argc, char **argv, struct xl_list_options *out,
                  bool *help, struct xl_problem *problem)
{
    const struct xl_grammar grammar = {
        xl_operands_domain, xl_list_table, list_set,
    };
    const char *operands[1] = { NULL };
    int status;

    memset(out, 0, sizeof(*out));
    status = xl_parse(&grammar, argc, argv, out, operands, help, problem);
    out->domain = operands[0];
    if (status || *help)
        return status;
    status = xl_exclude(problem, out->tree, "tree", out->json, "json");
    if (!status)
        status = xl_exclude(problem, out->tree, "tree", out->name, "name");
    if (!status)
        status = xl_exclude(problem, out->json, "json", out->name, "name");
    return status;
}

static int info_set(void *user, int id, const char *value,
                    struct xl_problem *problem)
{
    struct xl_info_options *o = user;

    (void)value;
    (void)problem;
    switch (id) {
    case OPT_JSON: o->json = true; break;
    case OPT_XML:  o->xml = true; break;
    }
    return 0;
}

int xl_info_parse(int argc, char **argv, struct xl_info_options *out,
                  bool *help, struct xl_problem *problem)
{
    const struct xl_grammar grammar = {
        xl_operands_name, xl_info_table, info_set,
    };
    const char *operands[2] = { NULL, NULL };
    int status;

    memset(out, 0, sizeof(*out));
    status = xl_parse(&grammar, argc, argv, out, operands, help, problem);
    out->domain = operands[0];
    out->name = operands[1];
    if (!status && !*help)
        status = xl_exclude(problem, out->json, "json", out->xml, "xml");
    return status;
}

static int revert_set(void *user, int id, const char *value,
                      struct xl_problem *problem)
{
    struct xl_revert_options *o = user;

    (void)value;
    (void)problem;
    switch (id) {
    case OPT_RUNNING:   o->running = true; break;
    case OPT_PAUSED:    o->paused = true; break;
    case OPT_FORCE:     o->force = true; break;
    case OPT_NO_SAFETY: o->no_safety = true; break;
    case OPT_WAIT:      o->wait = true; break;
    }
    return 0;
}

int xl_revert_parse(int argc, char **argv, struct xl_revert_options *out,
                    bool *help, struct xl_problem *problem)
{
    const struct xl_grammar grammar = {
        xl_operands_name, xl_revert_table, revert_set,
    };
    const char *operands[2] = { NULL, NULL };
    int status;

    memset(out, 0, sizeof(*out));
    status = xl_parse(&grammar, argc, argv, out, operands, help, problem);
    out->domain = operands[0];
    out->name = operands[1];
    if (!status && !*help)
        status = xl_exclude(problem, out->running, "running",
                            out->paused, "paused");
    return status;
}

static int delete_set(void *user, int id, const char *value,
                      struct xl_problem *problem)
{
    struct xl_delete_options *o = user;

    (void)value;
    (void)problem;
    switch (id) {
    case OPT_CHILDREN:      o->children = true; break;
    case OPT_CHILDREN_ONLY: o->children_only = true; break;
    case OPT_WAIT:          o->wait = true; break;
    }
    return 0;
}

int xl_delete_parse(int argc, char **argv, struct xl_delete_options *out,
                    bool *help, struct xl_problem *problem)
{
    const struct xl_grammar grammar = {
        xl_operands_name, xl_delete_table, delete_set,
    };
    const char *operands[2] = { NULL, NULL };
    int status;

    memset(out, 0, sizeof(*out));
    status = xl_parse(&grammar, argc, argv, out, operands, help, problem);
    out->domain = operands[0];
    out->name = operands[1];
    if (!status && !*help)
        status = xl_exclude(problem, out->children, "children",
                            out->children_only, "children-only");
    return status;
}

static int redefine_set(void *user, int id, const char *value,
                        struct xl_problem *problem)
{
    struct xl_redefine_options *o = user;

    (void)value;
    (void)problem;
    switch (id) {
    case OPT_CURRENT: o->current = true; break;
    case OPT_WAIT:    o->wait = true; break;
    }
    return 0;
}

int xl_redefine_parse(int argc, char **argv, struct xl_redefine_options *out,
                      bool *help, struct xl_problem *problem)
{
    const struct xl_grammar grammar = {
        xl_operands_file, xl_redefine_table, redefine_set,
    };
    const char *operands[2] = { NULL, NULL };
    int status;

    memset(out, 0, sizeof(*out));
    status = xl_parse(&grammar, argc, argv, out, operands, help, problem);
    out->domain = operands[0];
    out->file = operands[1];
    return status;
}
