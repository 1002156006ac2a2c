/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * backup-save and its like are a program of their own, so that no other
 * command has to load an NBD library. It is told the path of this one, which
 * is what recovers a domain after a death.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xl_command.h"
#include "xl_exit.h"
#include "xl_passthrough.h"
#include "xl_progress.h"
#include "xl_text.h"

#ifndef XL_BACKUP_CLIENT
#define XL_BACKUP_CLIENT "/usr/libexec/xen-snapshot/xl-backup-client"
#endif

const char *xl_backup_client_path = XL_BACKUP_CLIENT;

static int become(const struct xl_globals *g, int argc, char **argv)
{
    char **all = xl_alloc(argc + 16, sizeof(*all)), *own = xl_own_path();
    int i, n = 0;

    all[n++] = (char *)xl_called_as;
    all[n++] = own ? own : (char *)"";
    for (i = 0; i < g->verbose && i < 8; i++)
        all[n++] = (char *)"-v";
    if (g->progress_cr)
        all[n++] = (char *)"-t";
    if (g->timestamps)
        all[n++] = (char *)"-T";
    for (i = 0; i < argc; i++)
        all[n++] = argv[i];
    execv(xl_backup_client_path, all);
    xl_say("can't run %s: %s", xl_backup_client_path, strerror(errno));
    free(own);
    free(all);
    return XL_EXIT_FAILED;
}

int xl_save_main(const struct xl_globals *globals, int argc, char **argv)
{
    struct xl_save_options o;
    struct xl_problem problem = { 0 };
    bool help;
    int status = xl_save_parse(argc, argv, &o, &help, &problem);

    if (status)
        return xl_help_problem(argv[0], &problem);
    xl_save_options_free(&o);
    return help ? xl_help_asked(argv[0]) : become(globals, argc, argv);
}
