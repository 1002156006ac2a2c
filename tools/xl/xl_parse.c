/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Options and operands of one subcommand. getopt_long isn't used: it takes
 * abbreviations, which would change their meaning with every new option.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xl_exit.h"
#include "xl_options.h"
#include "xl_text.h"

int xl_problem_set(struct xl_problem *problem, int status,
                   const char *fmt, ...)
{
    va_list ap;

    if (problem->text)
        return problem->status;
    problem->status = status;
    va_start(ap, fmt);
    if (vasprintf(&problem->text, fmt, ap) < 0)
        problem->text = NULL;
    va_end(ap);
    return status;
}

struct parser {
    const struct xl_grammar *grammar;
    int argc, at;               /* at: the next argument to look at */
    char **argv;
    void *user;
    bool *help;
    struct xl_problem *problem;
};

static const struct xl_option help_option = {
    XL_OPT_HELP, 'h', "help", NULL, "print this help",
};

/* name has len bytes; len 0: the letter counts. */
static const struct xl_option *lookup(const struct xl_grammar *grammar,
                                      char letter, const char *name,
                                      size_t len)
{
    const struct xl_option *o = grammar->options;

    for (;; o++) {
        if (!o->id)
            o = &help_option;
        if (len ? strlen(o->name) == len && !memcmp(o->name, name, len)
                : o->letter == letter)
            return o;
        if (o == &help_option)
            return NULL;
    }
}

static int apply(struct parser *p, const struct xl_option *o,
                 const char *value)
{
    if (o->id == XL_OPT_HELP) {
        *p->help = true;
        return 0;
    }
    if (!o->text)
        return xl_problem_set(p->problem, XL_EXIT_NOT_POSSIBLE,
                              "--%s is not supported by this version",
                              o->name);
    return p->grammar->set(p->user, o->id, value, p->problem);
}

/* The value in the next argument. */
static const char *next_value(struct parser *p)
{
    return p->at < p->argc ? p->argv[p->at++] : NULL;
}

static int long_option(struct parser *p, const char *arg)
{
    const char *equals = strchr(arg, '='), *value;
    size_t len = equals ? (size_t)(equals - arg) : strlen(arg);
    const struct xl_option *o = lookup(p->grammar, 0, arg, len);

    if (!len || !o)
        return xl_problem_set(p->problem, XL_EXIT_USAGE,
                              "unknown option --%.*s", (int)len, arg);
    if (!o->value && equals)
        return xl_problem_set(p->problem, XL_EXIT_USAGE,
                              "option --%s takes no value", o->name);
    value = equals ? equals + 1 : o->value ? next_value(p) : NULL;
    /* What isn't offered is refused whether it has a value or not. */
    if (o->value && !value && o->text)
        return xl_problem_set(p->problem, XL_EXIT_USAGE,
                              "option --%s needs %s", o->name, o->value);
    return apply(p, o, value);
}

static int short_options(struct parser *p, const char *letters)
{
    for (; *letters; letters++) {
        const struct xl_option *o = lookup(p->grammar, *letters, NULL, 0);
        const char *value = NULL;
        int status;

        if (!o)
            return xl_problem_set(p->problem, XL_EXIT_USAGE,
                                  "unknown option -%c", *letters);
        if (o->value)
            value = letters[1] ? letters + 1 : next_value(p);
        if (o->value && !value && o->text)
            return xl_problem_set(p->problem, XL_EXIT_USAGE,
                                  "option -%c needs %s", o->letter, o->value);
        status = apply(p, o, value);
        if (status || o->value || *p->help)
            return status;
    }
    return 0;
}

int xl_parse(const struct xl_grammar *grammar, int argc, char **argv,
             void *user, const char **operands_out, bool *help,
             struct xl_problem *problem)
{
    struct parser p = { grammar, argc, 1, argv, user, help, problem };
    bool options_ended = false;
    int given = 0, status;

    *help = false;
    while (p.at < argc) {
        const char *arg = argv[p.at++];

        if (!options_ended && strcmp(arg, "--") == 0) {
            options_ended = true;
            continue;
        }
        if (!options_ended && arg[0] == '-' && arg[1]) {
            status = arg[1] == '-' ? long_option(&p, arg + 2)
                                   : short_options(&p, arg + 1);
            if (status || *help)
                return status;
            continue;
        }
        if (!grammar->operands[given])
            return xl_problem_set(problem, XL_EXIT_USAGE,
                                  "unexpected argument \"%s\"", arg);
        operands_out[given++] = arg;
    }
    if (grammar->operands[given] && grammar->operands[given][0] != '[')
        return xl_problem_set(problem, XL_EXIT_USAGE, "no %s given",
                              grammar->operands[given]);
    return 0;
}
