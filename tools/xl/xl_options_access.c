/* SPDX-License-Identifier: LGPL-2.1-only */
/* The options of snapshot-export, snapshot-merge and snapshot-check. */
#include <stdlib.h>
#include <string.h>

#include "xl_exit.h"
#include "xl_options.h"
#include "xl_text.h"

enum {
    OPT_DISK = XL_OPT_OWN, OPT_SOCKET, OPT_STOP, OPT_LIST, OPT_JSON,
    OPT_WAIT, OPT_REPAIR, OPT_DEEP, OPT_UP, OPT_DOWN,
};

const struct xl_option xl_export_table[] = {
    { OPT_DISK, 0, "disk", "VDEV", "this disk only; repeatable" },
    { OPT_SOCKET, 0, "socket", "PATH",
      "unix socket of one disk, or a folder for them" },
    { OPT_STOP, 0, "stop", NULL,
      "end the exports; without NAME: all of the domain" },
    { OPT_LIST, 0, "list", NULL, "print what is exported" },
    XL_WAIT_OPTION(OPT_WAIT),
    { OPT_JSON, 0, "json", NULL, "print the exports as a JSON array" },
    { 0 },
};

const struct xl_option xl_merge_table[] = {
    { OPT_DISK, 0, "disk", "VDEV",
      "without NAME: this disk only; repeatable" },
    { OPT_UP, 0, "up", NULL, "copy bases into what is based on them" },
    { OPT_DOWN, 0, "down", NULL,
      "write the guest's overlay into its base" },
    XL_WAIT_OPTION(OPT_WAIT),
    { OPT_JSON, 0, "json", NULL,
      "without NAME: print what was done as JSON" },
    { 0 },
};

const struct xl_option xl_check_table[] = {
    { OPT_REPAIR, 0, "repair", NULL, "put right what can be put right" },
    { OPT_DEEP, 0, "deep", NULL,
      "read memory images whole, compare checksums" },
    XL_WAIT_OPTION(OPT_WAIT),
    { OPT_JSON, 0, "json", NULL, "print the findings as a JSON array" },
    { 0 },
};

static int export_set(void *user, int id, const char *value,
                      struct xl_problem *problem)
{
    struct xl_export_options *o = user;

    switch (id) {
    case OPT_DISK:
        return xl_vdevs_add(&o->vdevs, &o->num_vdevs, value, problem);
    case OPT_SOCKET: o->socket = value; break;
    case OPT_STOP:   o->stop = true; break;
    case OPT_LIST:   o->list = true; break;
    case OPT_WAIT:   o->wait = true; break;
    case OPT_JSON:   o->json = true; break;
    }
    return 0;
}

static int export_check(const struct xl_export_options *o,
                        struct xl_problem *problem)
{
    int status = xl_exclude(problem, o->stop, "stop", o->list, "list");

    if (!status)
        status = xl_exclude(problem, o->socket, "socket", o->stop, "stop");
    if (!status)
        status = xl_exclude(problem, o->socket, "socket", o->list, "list");
    if (!status)
        status = xl_exclude(problem, o->list, "list", o->vdevs, "disk");
    if (!status)
        status = xl_exclude(problem, o->stop, "stop", o->json, "json");
    if (status)
        return status;
    if (o->socket && o->socket[0] != '/')
        return xl_problem_set(problem, XL_EXIT_USAGE,
                              "--socket %s isn't an absolute path",
                              o->socket);
    if (!o->name && !o->stop && !o->list)
        return xl_problem_set(problem, XL_EXIT_USAGE, "no NAME given");
    return 0;
}

int xl_export_parse(int argc, char **argv, struct xl_export_options *out,
                    bool *help, struct xl_problem *problem)
{
    static const char *const names[] = { "DOMAIN", "[NAME]", NULL };
    const struct xl_grammar grammar = {
        names, xl_export_table, export_set,
    };
    const char *operands[2] = { NULL, NULL };
    int status;

    memset(out, 0, sizeof(*out));
    status = xl_parse(&grammar, argc, argv, out, operands, help, problem);
    out->domain = operands[0];
    out->name = operands[1];
    if (!status && !*help)
        status = export_check(out, problem);
    if (status)
        xl_export_options_free(out);
    return status;
}

void xl_export_options_free(struct xl_export_options *o)
{
    xl_vdevs_free(&o->vdevs, &o->num_vdevs);
}

static int merge_set(void *user, int id, const char *value,
                     struct xl_problem *problem)
{
    struct xl_merge_options *o = user;

    switch (id) {
    case OPT_DISK:
        return xl_vdevs_add(&o->vdevs, &o->num_vdevs, value, problem);
    case OPT_UP:   o->up = true; break;
    case OPT_DOWN: o->down = true; break;
    case OPT_WAIT: o->wait = true; break;
    case OPT_JSON: o->json = true; break;
    }
    return 0;
}

static int merge_check(const struct xl_merge_options *o,
                       struct xl_problem *problem)
{
    int status = xl_exclude(problem, o->up, "up", o->down, "down");

    if (status)
        return status;
    if (o->name && (o->vdevs || o->json))
        return xl_problem_set(problem, XL_EXIT_USAGE,
                              "a NAME and --%s exclude each other",
                              o->vdevs ? "disk" : "json");
    return 0;
}

int xl_merge_parse(int argc, char **argv, struct xl_merge_options *out,
                   bool *help, struct xl_problem *problem)
{
    static const char *const names[] = { "DOMAIN", "[NAME]", NULL };
    const struct xl_grammar grammar = { names, xl_merge_table, merge_set };
    const char *operands[2] = { NULL, NULL };
    int status;

    memset(out, 0, sizeof(*out));
    status = xl_parse(&grammar, argc, argv, out, operands, help, problem);
    out->domain = operands[0];
    out->name = operands[1];
    if (!status && !*help)
        status = merge_check(out, problem);
    if (status)
        xl_merge_options_free(out);
    return status;
}

void xl_merge_options_free(struct xl_merge_options *o)
{
    xl_vdevs_free(&o->vdevs, &o->num_vdevs);
}

static int check_set(void *user, int id, const char *value,
                     struct xl_problem *problem)
{
    struct xl_check_options *o = user;

    (void)value;
    (void)problem;
    switch (id) {
    case OPT_REPAIR: o->repair = true; break;
    case OPT_DEEP:   o->deep = true; break;
    case OPT_WAIT:   o->wait = true; break;
    case OPT_JSON:   o->json = true; break;
    }
    return 0;
}

int xl_check_parse(int argc, char **argv, struct xl_check_options *out,
                   bool *help, struct xl_problem *problem)
{
    static const char *const names[] = { "[DOMAIN]", NULL };
    const struct xl_grammar grammar = { names, xl_check_table, check_set };
    const char *operands[1] = { NULL };
    int status;

    memset(out, 0, sizeof(*out));
    status = xl_parse(&grammar, argc, argv, out, operands, help, problem);
    out->domain = operands[0];
    return status;
}
