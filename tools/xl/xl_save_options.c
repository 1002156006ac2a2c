/* SPDX-License-Identifier: LGPL-2.1-only */
/* The options of backup-save, -restore, -verify, -list and -prune. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "xl_exit.h"
#include "xl_options.h"

enum {
    OPT_CHECKPOINT = XL_OPT_OWN, OPT_FULL, OPT_SINCE, OPT_STRICT, OPT_DISK,
    OPT_SCRATCH, OPT_QUIESCE, OPT_WAIT, OPT_JSON, OPT_SET, OPT_FORMAT,
    OPT_FORCE, OPT_NO_VERIFY, OPT_LAST, OPT_DAILY, OPT_WEEKLY, OPT_MONTHLY,
    OPT_YEARLY, OPT_DRY_RUN, OPT_KEEP,
};

const struct xl_option xl_backup_save_table[] = {
    { OPT_CHECKPOINT, 'c', "checkpoint", "NAME",
      "name of checkpoint and set; default: the time" },
    { OPT_FULL, 0, "full", NULL, "copy everything" },
    { OPT_SINCE, 0, "since", "NAME",
      "based on this set; default: the newest in DIR" },
    { OPT_STRICT, 0, "strict", NULL,
      "fail where an incremental one isn't possible" },
    { OPT_DISK, 0, "disk", "VDEV", "only this disk; repeatable" },
    { OPT_SCRATCH, 0, "scratch", "DIR",
      "where what is overwritten is kept" },
    { OPT_QUIESCE, 0, "quiesce", NULL,
      "freeze the guest's filesystems for it" },
    { OPT_KEEP, 0, "keep-checkpoints", NULL,
      "also those of earlier sets that aren't needed" },
    XL_WAIT_OPTION(OPT_WAIT),
    { OPT_JSON, 0, "json", NULL, "print the set as JSON" },
    { 0 },
};

const struct xl_option xl_backup_restore_table[] = {
    { OPT_SET, 0, "set", "NAME", "this set; default: the newest" },
    { OPT_DISK, 0, "disk", "VDEV", "only this disk; repeatable" },
    { OPT_FORMAT, 0, "format", "FORMAT", "qcow2 (default) or raw" },
    { OPT_FORCE, 0, "force", NULL, "overwrite files that are there" },
    { OPT_NO_VERIFY, 0, "no-verify", NULL, "don't read the set twice" },
    { 0 },
};

const struct xl_option xl_backup_verify_table[] = {
    { OPT_SET, 0, "set", "NAME", "this set and its bases; default: all" },
    { 0 },
};

const struct xl_option xl_backup_list_table[] = {
    { OPT_JSON, 0, "json", NULL, "print the sets as JSON" },
    { 0 },
};

const struct xl_option xl_backup_prune_table[] = {
    { OPT_LAST, 0, "keep-last", "N", "the newest N sets" },
    { OPT_DAILY, 0, "keep-daily", "N",
      "the newest set of each of N days" },
    { OPT_WEEKLY, 0, "keep-weekly", "N", "the same for weeks" },
    { OPT_MONTHLY, 0, "keep-monthly", "N", "the same for months" },
    { OPT_YEARLY, 0, "keep-yearly", "N", "the same for years" },
    { OPT_DRY_RUN, 0, "dry-run", NULL, "only say what would go" },
    { 0 },
};

static const char *const operands_domain_dir[] = { "DOMAIN", "DIR", NULL };
static const char *const operands_dir_target[] = { "DIR", "TARGETDIR", NULL };
static const char *const operands_dir[] = { "DIR", NULL };

static int number(const char *text, int *out, struct xl_problem *problem)
{
    char *end;
    long n;

    errno = 0;
    n = isdigit((unsigned char)*text) ? strtol(text, &end, 10) : -1;
    if (n < 0 || errno || *end || n > INT_MAX)
        return xl_problem_set(problem, XL_EXIT_USAGE,
                              "\"%s\" is no number of sets", text);
    *out = n;
    return 0;
}

static int format(struct xl_save_options *o, const char *text,
                  struct xl_problem *problem)
{
    if (strcmp(text, "qcow2") && strcmp(text, "raw"))
        return xl_problem_set(problem, XL_EXIT_USAGE,
                              "the format is qcow2 or raw, not \"%s\"", text);
    o->raw = !strcmp(text, "raw");
    return 0;
}

static int set(void *user, int id, const char *value,
               struct xl_problem *problem)
{
    struct xl_save_options *o = user;

    switch (id) {
    case OPT_CHECKPOINT: o->checkpoint = value; break;
    case OPT_FULL:       o->full = true; break;
    case OPT_SINCE:      o->since = value; break;
    case OPT_STRICT:     o->strict = true; break;
    case OPT_DISK:       return xl_vdevs_add(&o->vdevs, &o->num_vdevs, value,
                                             problem);
    case OPT_SCRATCH:    o->scratch = value; break;
    case OPT_QUIESCE:    o->quiesce = true; break;
    case OPT_WAIT:       o->wait = true; break;
    case OPT_JSON:       o->json = true; break;
    case OPT_SET:        o->set = value; break;
    case OPT_FORMAT:     return format(o, value, problem);
    case OPT_FORCE:      o->force = true; break;
    case OPT_NO_VERIFY:  o->no_verify = true; break;
    case OPT_LAST:       return number(value, &o->keep_last, problem);
    case OPT_DAILY:      return number(value, &o->keep_daily, problem);
    case OPT_WEEKLY:     return number(value, &o->keep_weekly, problem);
    case OPT_MONTHLY:    return number(value, &o->keep_monthly, problem);
    case OPT_YEARLY:     return number(value, &o->keep_yearly, problem);
    case OPT_DRY_RUN:    o->dry_run = true; break;
    case OPT_KEEP:       o->keep_checkpoints = true; break;
    }
    return 0;
}

static int check_save(const struct xl_save_options *o,
                      struct xl_problem *problem)
{
    int status = xl_exclude(problem, o->full, "full", o->since, "since");

    return status ? status : xl_exclude(problem, o->full, "full",
                                        o->strict, "strict");
}

/* What would go if all were 0 is everything. */
static int check_prune(const struct xl_save_options *o,
                       struct xl_problem *problem)
{
    if (!o->keep_last && !o->keep_daily && !o->keep_weekly &&
        !o->keep_monthly && !o->keep_yearly)
        return xl_problem_set(problem, XL_EXIT_USAGE,
                              "nothing is to be kept: give --keep-last, "
                              "-daily, -weekly, -monthly or -yearly");
    return 0;
}

static const struct save_command {
    const char *name;
    const struct xl_option *table;
    const char *const *operands;
    int (*check)(const struct xl_save_options *o, struct xl_problem *problem);
} commands[] = {
    { "backup-save", xl_backup_save_table, operands_domain_dir, check_save },
    { "backup-restore", xl_backup_restore_table, operands_dir_target, NULL },
    { "backup-verify", xl_backup_verify_table, operands_dir, NULL },
    { "backup-list", xl_backup_list_table, operands_dir, NULL },
    { "backup-prune", xl_backup_prune_table, operands_dir, check_prune },
};

int xl_save_parse(int argc, char **argv, struct xl_save_options *out,
                  bool *help, struct xl_problem *problem)
{
    const struct save_command *c = commands;
    const char *operands[2] = { NULL, NULL };
    struct xl_grammar grammar = { .set = set };
    int status;

    while (strcmp(c->name, argv[0]))
        c++;
    memset(out, 0, sizeof(*out));
    grammar.options = c->table;
    grammar.operands = c->operands;
    status = xl_parse(&grammar, argc, argv, out, operands, help, problem);
    if (c->operands == operands_domain_dir) {
        out->domain = operands[0];
        out->dir = operands[1];
    } else {
        out->dir = operands[0];
        out->target = operands[1];
    }
    if (!status && !*help && c->check)
        status = c->check(out, problem);
    if (status)
        xl_save_options_free(out);
    return status;
}

void xl_save_options_free(struct xl_save_options *o)
{
    xl_vdevs_free(&o->vdevs, &o->num_vdevs);
}
