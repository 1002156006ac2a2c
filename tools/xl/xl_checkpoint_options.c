/* SPDX-License-Identifier: LGPL-2.1-only */
/* The options of checkpoint-create, -list, -info, -delete, -dirty and
 * -redefine. */
#include <stdlib.h>
#include <string.h>

#include "xl_exit.h"
#include "xl_options.h"

enum {
    OPT_NAME = XL_OPT_OWN, OPT_DESCRIPTION, OPT_DISK, OPT_WAIT, OPT_JSON,
    OPT_XML, OPT_NAMES, OPT_SINCE, OPT_UNTIL, OPT_EXTENTS, OPT_TREE,
    OPT_QUIESCE, OPT_ALLOW_UNQUIESCED,
};

const struct xl_option xl_checkpoint_create_table[] = {
    { OPT_NAME, 'n', "name", "NAME",
      "name; default: the time, as 20261120T153045Z" },
    { OPT_DESCRIPTION, 0, "description", "TEXT",
      "a text to keep with the checkpoint" },
    { OPT_DISK, 0, "disk", "VDEV",
      "this disk only; repeatable" },
    { OPT_QUIESCE, 0, "quiesce", NULL,
      "the guest agent freezes the filesystems" },
    { OPT_ALLOW_UNQUIESCED, 0, "allow-unquiesced", NULL,
      "with --quiesce: make it even so (status 8)" },
    XL_WAIT_OPTION(OPT_WAIT),
    { OPT_JSON, 0, "json", NULL, "print the checkpoint as JSON" },
    { 0 },
};

const struct xl_option xl_checkpoint_list_table[] = {
    { OPT_TREE, 0, "tree", NULL, "print names as a tree" },
    { OPT_JSON, 0, "json", NULL, "print the checkpoints as a JSON array" },
    { OPT_NAMES, 0, "name", NULL, "print names only, one in a line" },
    { 0 },
};

const struct xl_option xl_checkpoint_info_table[] = {
    { OPT_JSON, 0, "json", NULL, "print the checkpoint as JSON" },
    { OPT_XML, 0, "xml", NULL,
      "print it as libvirt's <domaincheckpoint>" },
    { 0 },
};

const struct xl_option xl_checkpoint_delete_table[] = {
    XL_WAIT_OPTION(OPT_WAIT),
    { 0 },
};

const struct xl_option xl_checkpoint_dirty_table[] = {
    { OPT_SINCE, 0, "since", "NAME",
      "from this checkpoint on; default: the last" },
    { OPT_UNTIL, 0, "until", "NAME",
      "up to this one; default: up to now" },
    { OPT_DISK, 0, "disk", "VDEV", "this disk only; repeatable" },
    { OPT_EXTENTS, 0, "extents", NULL,
      "print each extent: disk, offset, length" },
    { OPT_JSON, 0, "json", NULL, "print sizes and extents as JSON" },
    { 0 },
};

const struct xl_option xl_checkpoint_redefine_table[] = {
    XL_WAIT_OPTION(OPT_WAIT),
    { 0 },
};

static int set(void *user, int id, const char *value,
               struct xl_problem *problem)
{
    struct xl_checkpoint_options *o = user;

    switch (id) {
    case OPT_NAME:        o->name = value; break;
    case OPT_DESCRIPTION: o->description = value; break;
    case OPT_DISK:        return xl_vdevs_add(&o->vdevs, &o->num_vdevs, value,
                                              problem);
    case OPT_WAIT:        o->wait = true; break;
    case OPT_JSON:        o->json = true; break;
    case OPT_XML:         o->xml = true; break;
    case OPT_NAMES:       o->names = true; break;
    case OPT_SINCE:       o->since = value; break;
    case OPT_UNTIL:       o->until = value; break;
    case OPT_EXTENTS:     o->extents = true; break;
    case OPT_TREE:        o->tree = true; break;
    case OPT_QUIESCE:     o->quiesce = true; break;
    case OPT_ALLOW_UNQUIESCED: o->allow_unquiesced = true; break;
    }
    return 0;
}

static int check(const struct xl_checkpoint_options *o,
                 struct xl_problem *problem)
{
    int status = xl_exclude(problem, o->json, "json", o->xml, "xml");

    if (!status)
        status = xl_exclude(problem, o->json, "json", o->names, "name");
    if (!status)
        status = xl_exclude(problem, o->json, "json", o->extents, "extents");
    if (!status)
        status = xl_exclude(problem, o->json, "json", o->tree, "tree");
    if (!status)
        status = xl_exclude(problem, o->tree, "tree", o->names, "name");
    if (!status && o->allow_unquiesced && !o->quiesce)
        status = xl_problem_set(problem, XL_EXIT_USAGE,
                                "--allow-unquiesced needs --quiesce");
    return status;
}

static const struct {
    const char *command;
    const struct xl_option *options;
    const char *const *operands;
} tables[] = {
    { "checkpoint-create", xl_checkpoint_create_table, xl_operands_domain },
    { "checkpoint-list", xl_checkpoint_list_table, xl_operands_domain },
    { "checkpoint-info", xl_checkpoint_info_table, xl_operands_name },
    { "checkpoint-delete", xl_checkpoint_delete_table, xl_operands_name },
    { "checkpoint-dirty", xl_checkpoint_dirty_table, xl_operands_domain },
    { "checkpoint-redefine", xl_checkpoint_redefine_table,
      xl_operands_file },
};

int xl_checkpoint_parse(int argc, char **argv,
                        struct xl_checkpoint_options *out, bool *help,
                        struct xl_problem *problem)
{
    struct xl_grammar grammar = { .set = set };
    const char *operands[2] = { NULL, NULL };
    size_t i;
    int status;

    memset(out, 0, sizeof(*out));
    for (i = 0; i < sizeof(tables) / sizeof(*tables); i++)
        if (!strcmp(tables[i].command, argv[0])) {
            grammar.options = tables[i].options;
            grammar.operands = tables[i].operands;
        }
    status = xl_parse(&grammar, argc, argv, out, operands, help, problem);
    out->domain = operands[0];
    if (grammar.operands == xl_operands_name)
        out->name = operands[1];
    if (grammar.operands == xl_operands_file)
        out->file = operands[1];
    if (!status && !*help)
        status = check(out, problem);
    if (status)
        xl_checkpoint_options_free(out);
    return status;
}

void xl_checkpoint_options_free(struct xl_checkpoint_options *o)
{
    xl_vdevs_free(&o->vdevs, &o->num_vdevs);
}
