/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The program that xl-snapshot becomes for its backup commands:
 *
 *   xl-backup-client XL-SNAPSHOT [-v]... [-t] [-T] COMMAND ...
 */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bk.h"
#include "xl_command.h"
#include "xl_passthrough.h"
#include "xl_session.h"

static const char *xl_snapshot = "";

char *xl_own_path(void)
{
    return *xl_snapshot == '/' ? xl_strdup(xl_snapshot) : NULL;
}

bool bk_interrupted(void)
{
    return xl_session_interrupted();
}

int bk_say_interrupted(const char *doing)
{
    xl_say("%s: interrupted; undone", doing);
    return XL_EXIT_FAILED;
}

static int run(const struct xl_globals *globals, int argc, char **argv)
{
    struct xl_problem problem = { 0 };
    struct xl_save_options o;
    bool help;
    int status = xl_save_parse(argc, argv, &o, &help, &problem);

    if (status) {
        xl_say("%s: %s", argv[0], problem.text);
        free(problem.text);
        return status;
    }
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    if (help)
        status = XL_EXIT_USAGE;         /* xl-snapshot's to print */
    else if (!strcmp(argv[0], "backup-save"))
        status = bk_save(globals, &o);
    else if (!strcmp(argv[0], "backup-restore"))
        status = bk_restore(&o);
    else if (!strcmp(argv[0], "backup-verify"))
        status = bk_verify(&o);
    else if (!strcmp(argv[0], "backup-list"))
        status = bk_list(&o);
    else
        status = bk_prune(&o);
    xl_save_options_free(&o);
    return status;
}

static bool known(const char *command)
{
    static const char *const names[] = {
        "backup-save", "backup-restore", "backup-verify", "backup-list",
        "backup-prune", NULL,
    };
    int i;

    for (i = 0; names[i]; i++)
        if (!strcmp(names[i], command))
            return true;
    return false;
}

int bk_main(int argc, char **argv)
{
    struct xl_globals globals = { 0 };
    int i, status;

    if (argc > 1)
        xl_snapshot = argv[1];
    for (i = 2; i < argc && argv[i][0] == '-'; i++) {
        globals.verbose += !strcmp(argv[i], "-v");
        globals.progress_cr |= !strcmp(argv[i], "-t");
        globals.timestamps |= !strcmp(argv[i], "-T");
    }
    if (i >= argc || !known(argv[i])) {
        fputs("xl-backup-client: this is run by xl-snapshot\n", stderr);
        return XL_EXIT_USAGE;
    }
    setlocale(LC_CTYPE, "");
    status = run(&globals, argc - i, argv + i);
    if ((fflush(stdout) || ferror(stdout)) && status == XL_EXIT_DONE) {
        xl_say("can't write to standard output");
        return XL_EXIT_FAILED;
    }
    return status;
}
