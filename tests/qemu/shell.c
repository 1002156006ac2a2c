/* SPDX-License-Identifier: LGPL-2.1-only */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "bed.h"
#include "shell.h"

int run(const char *fmt, ...)
{
    char command[4096];
    va_list ap;
    int r;

    va_start(ap, fmt);
    vsnprintf(command, sizeof(command), fmt, ap);
    va_end(ap);
    r = system(command);
    return WIFEXITED(r) ? WEXITSTATUS(r) : -1;
}

const char *in_bed(const char *fmt, ...)
{
    static char text[8][256];
    static int turn;
    char name[160], *to = text[turn = (turn + 1) % 8];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(name, sizeof(name), fmt, ap);
    va_end(ap);
    snprintf(to, sizeof(text[0]), "%s/%s", bed.dir, name);
    return to;
}
