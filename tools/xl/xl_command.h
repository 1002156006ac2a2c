/* SPDX-License-Identifier: LGPL-2.1-only */
/* The subcommands. */
#ifndef XL_COMMAND_H
#define XL_COMMAND_H

#include <stdio.h>

#include "xl_options.h"

struct xl_command {
    const char *name;
    const char *operands;
    const char *summary;        /* NULL: hidden, for our own use */
    const struct xl_option *options;
    int (*run)(const struct xl_globals *globals, int argc, char **argv);
};

/* Ends with name NULL. */
extern const struct xl_command xl_commands[];
/* Only the whole name counts. NULL: none of ours. */
const struct xl_command *xl_command_find(const char *name);

/* --- xl_help.c --- */
/* "xl" or "xl-snapshot", for hints that can be typed. */
extern const char *xl_called_as;
void xl_help_command(FILE *f, const struct xl_command *command);
void xl_help_all(FILE *f);
/* For parsers: prints the problem with a hint, frees it; its exit code. */
int xl_help_problem(const char *command, struct xl_problem *problem);
/* Prints the command's help; XL_EXIT_DONE. */
int xl_help_asked(const char *command);

/* --- one file each --- */
int xl_create_main(const struct xl_globals *globals, int argc, char **argv);
int xl_list_main(const struct xl_globals *globals, int argc, char **argv);
int xl_info_main(const struct xl_globals *globals, int argc, char **argv);
int xl_revert_main(const struct xl_globals *globals, int argc, char **argv);
int xl_delete_main(const struct xl_globals *globals, int argc, char **argv);
int xl_redefine_main(const struct xl_globals *globals, int argc,
                     char **argv);
int xl_export_main(const struct xl_globals *globals, int argc, char **argv);
int xl_merge_main(const struct xl_globals *globals, int argc, char **argv);
int xl_check_main(const struct xl_globals *globals, int argc, char **argv);
/* checkpoint-create, -list, -info, -delete, -dirty, -redefine */
int xl_checkpoint_main(const struct xl_globals *globals, int argc,
                       char **argv);
/* backup-start, -status, -stop */
int xl_backup_main(const struct xl_globals *globals, int argc, char **argv);
/* backup-save, -restore, -verify, -list, -prune: becomes the client */
int xl_save_main(const struct xl_globals *globals, int argc, char **argv);
extern const char *xl_backup_client_path;
int xl_recover_main(const struct xl_globals *globals, int argc, char **argv);

#endif /* XL_COMMAND_H */
