/* SPDX-License-Identifier: LGPL-2.1-only */
/* --help, made from the tables that the parser uses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xl_command.h"
#include "xl_exit.h"
#include "xl_text.h"

#define OPTION_CELLS 28         /* before an option's text */

const char *xl_called_as = "xl";

static void print_option(FILE *f, const struct xl_option *o)
{
    char *names = xl_printf("%c%c%s --%s%s%s", o->letter ? '-' : ' ',
                            o->letter ? o->letter : ' ',
                            o->letter ? "," : " ", o->name,
                            o->value ? " " : "", o->value ? o->value : "");

    if (strlen(names) < OPTION_CELLS)
        fprintf(f, "  %-*s %s\n", OPTION_CELLS, names, o->text);
    else
        fprintf(f, "  %s\n  %-*s %s\n", names, OPTION_CELLS, "", o->text);
    free(names);
}

void xl_help_command(FILE *f, const struct xl_command *command)
{
    static const struct xl_option help = {
        XL_OPT_HELP, 'h', "help", NULL, "print this help",
    };
    const struct xl_option *o;

    fprintf(f, "Usage: %s [-vftT] %s [OPTIONS] %s\n\n%s.\n\nOptions:\n\n",
            xl_called_as, command->name, command->operands, command->summary);
    for (o = command->options; o->id; o++) {
        if (o->text && o->text[0])
            print_option(f, o);
    }
    print_option(f, &help);
    fprintf(f, "\nSee %s(1).\n",
            !strncmp(command->name, "checkpoint-", 11) ? "xl-checkpoint"
            : !strncmp(command->name, "backup-", 7) ? "xl-backup"
            : "xl-snapshot");
}

void xl_help_all(FILE *f)
{
    const struct xl_command *c;

    fprintf(f, "Usage: xl-snapshot [-vftT] COMMAND [ARGUMENTS]\n\n"
               "Snapshots of running Xen domains, memory and disks.\n\n");
    for (c = xl_commands; c->name; c++) {
        if (c->summary)
            fprintf(f, "  %-19s %s\n", c->name, c->summary);
    }
    fprintf(f, "\nCOMMAND --help tells more; see xl-snapshot(1). Any other "
               "command is passed on\nto the system's xl.\n");
}

int xl_help_problem(const char *command, struct xl_problem *problem)
{
    char *safe = xl_safe(problem->text, xl_locale_is_utf8(), NULL);

    fprintf(stderr, "xl-snapshot: %s: %s", command, safe);
    if (problem->status == XL_EXIT_USAGE)
        fprintf(stderr, " (see %s %s --help)", xl_called_as, command);
    fputc('\n', stderr);
    free(safe);
    free(problem->text);
    problem->text = NULL;
    return problem->status;
}

int xl_help_asked(const char *command)
{
    const struct xl_command *c = xl_command_find(command);

    if (c && c->summary)
        xl_help_command(stdout, c);
    return XL_EXIT_DONE;
}
