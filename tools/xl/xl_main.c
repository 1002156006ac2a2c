/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * xl-snapshot: the snapshot subcommands, and whatever else is asked for from
 * the system's xl. Called as xl, or by its own name.
 */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "xl_command.h"
#include "xl_exit.h"
#include "xl_monitor.h"
#include "xl_passthrough.h"
#include "xl_progress.h"

static const struct xl_option no_options[] = { { 0 } };

const struct xl_command xl_commands[] = {
    { "snapshot-create", "DOMAIN",
      "Take a snapshot of a domain, its memory and its disks",
      xl_create_table, xl_create_main },
    { "snapshot-list", "DOMAIN", "List the snapshots of a domain",
      xl_list_table, xl_list_main },
    { "snapshot-info", "DOMAIN NAME", "Print what a snapshot holds",
      xl_info_table, xl_info_main },
    { "snapshot-revert", "DOMAIN NAME", "Take a domain back to a snapshot",
      xl_revert_table, xl_revert_main },
    { "snapshot-delete", "DOMAIN NAME", "Delete a snapshot",
      xl_delete_table, xl_delete_main },
    { "snapshot-redefine", "DOMAIN FILE",
      "Make a snapshot known from libvirt's XML, or change its texts",
      xl_redefine_table, xl_redefine_main },
    { "snapshot-export", "DOMAIN [NAME]",
      "Give read-only access to the disks of a snapshot",
      xl_export_table, xl_export_main },
    { "snapshot-merge", "DOMAIN [NAME]",
      "Merge files that external snapshots have left",
      xl_merge_table, xl_merge_main },
    { "snapshot-check", "[DOMAIN]",
      "Look for what is wrong with snapshots, and repair it",
      xl_check_table, xl_check_main },
    { "checkpoint-create", "DOMAIN",
      "Record from now on what the domain writes to its disks",
      xl_checkpoint_create_table, xl_checkpoint_main },
    { "checkpoint-list", "DOMAIN", "List the checkpoints of a domain",
      xl_checkpoint_list_table, xl_checkpoint_main },
    { "checkpoint-info", "DOMAIN NAME", "Print what a checkpoint holds",
      xl_checkpoint_info_table, xl_checkpoint_main },
    { "checkpoint-delete", "DOMAIN NAME", "Delete a checkpoint",
      xl_checkpoint_delete_table, xl_checkpoint_main },
    { "checkpoint-dirty", "DOMAIN",
      "Print what was written since a checkpoint",
      xl_checkpoint_dirty_table, xl_checkpoint_main },
    { "checkpoint-redefine", "DOMAIN FILE",
      "Make a checkpoint known from libvirt's XML",
      xl_checkpoint_redefine_table, xl_checkpoint_main },
    { "backup-start", "DOMAIN",
      "Copy the disks of a running domain, as at one instant",
      xl_backup_start_table, xl_backup_main },
    { "backup-status", "DOMAIN", "Look at a backup, and finish it",
      xl_backup_status_table, xl_backup_main },
    { "backup-stop", "DOMAIN", "End a backup before its time",
      xl_backup_stop_table, xl_backup_main },
    { "backup-save", "DOMAIN DIR",
      "Add a set of files to the backups in a folder",
      xl_backup_save_table, xl_save_main },
    { "backup-restore", "DIR TARGETDIR",
      "Make disks again as they were backed up",
      xl_backup_restore_table, xl_save_main },
    { "backup-verify", "DIR", "Look whether backups can be restored",
      xl_backup_verify_table, xl_save_main },
    { "backup-list", "DIR", "List the backups in a folder",
      xl_backup_list_table, xl_save_main },
    { "backup-prune", "DIR", "Remove backups that no rule keeps",
      xl_backup_prune_table, xl_save_main },
    { "snapshot-recover", "DOMAIN", NULL, no_options, xl_recover_main },
    { "snapshot-monitor", "DOMID", NULL, no_options, xl_monitor_main },
    { NULL, NULL, NULL, NULL, NULL },
};

const struct xl_command *xl_command_find(const char *name)
{
    const struct xl_command *c;

    for (c = xl_commands; c->name; c++) {
        if (strcmp(c->name, name) == 0)
            return c;
    }
    return NULL;
}

static bool set_global(struct xl_globals *g, char letter)
{
    switch (letter) {
    case 'v': g->verbose++; return true;
    case 'N': g->dryrun = true; return true;
    case 'f': g->force = true; return true;
    case 't': g->progress_cr = true; return true;
    case 'T': g->timestamps = true; return true;
    }
    return false;
}

/*
 * The place of the subcommand behind xl's own options; argc if there is
 * none, -1 if there is an option that isn't known here.
 */
static int find_subcommand(int argc, char **argv, struct xl_globals *g)
{
    int i;

    for (i = 1; i < argc; i++) {
        const char *p = argv[i];

        if (strcmp(p, "--") == 0)
            return i + 1;
        if (*p++ != '-' || !*p)
            return i;
        for (; *p; p++) {
            if (!set_global(g, *p))
                return -1;
        }
    }
    return argc;
}

static bool is_own_name(const char *argv0)
{
    const char *slash = strrchr(argv0, '/');

    return strcmp(slash ? slash + 1 : argv0, "xl-snapshot") == 0;
}

/* xl-snapshot with nothing, help, -h or --help. */
static bool asks_for_ours(int argc, char **argv, int at)
{
    int i;

    if (!is_own_name(argv[0]))
        return false;
    if (at >= 0)
        return at == argc ||
               (strcmp(argv[at], "help") == 0 && at + 1 == argc);
    for (i = 1; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
            return true;
    }
    return false;
}

/* `help COMMAND` with one of ours. */
static const struct xl_command *asks_for_help(int argc, char **argv, int at)
{
    const struct xl_command *c;

    if (at < 0 || at + 2 != argc || strcmp(argv[at], "help") != 0)
        return NULL;
    c = xl_command_find(argv[at + 1]);
    return c && c->summary ? c : NULL;
}

/* Output that could not be written is a failure, too. */
static int flushed(int status)
{
    if ((fflush(stdout) || ferror(stdout)) && status == XL_EXIT_DONE) {
        xl_say("can't write to standard output");
        return XL_EXIT_FAILED;
    }
    return status;
}

int main(int argc, char **argv)
{
    const struct xl_command *command;
    struct xl_globals globals = { 0 };
    int at;

    if (argc < 1)
        return XL_EXIT_USAGE;
    setlocale(LC_CTYPE, "");
    if (is_own_name(argv[0]))
        xl_called_as = "xl-snapshot";
    at = find_subcommand(argc, argv, &globals);
    if (asks_for_ours(argc, argv, at)) {
        xl_help_all(stdout);
        return flushed(XL_EXIT_DONE);
    }
    command = asks_for_help(argc, argv, at);
    if (command) {
        xl_help_command(stdout, command);
        return flushed(XL_EXIT_DONE);
    }
    command = at >= 0 && at < argc ? xl_command_find(argv[at]) : NULL;
    if (!command)
        return xl_passthrough(argv);
    if (globals.dryrun) {
        xl_say("%s: there is no dry run of it (-N)", command->name);
        return XL_EXIT_USAGE;
    }
    return flushed(command->run(&globals, argc - at, argv + at));
}
