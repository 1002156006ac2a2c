/* SPDX-License-Identifier: LGPL-2.1-only */
/* Small things: the log, strings, and what an errno means. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xluss.h"

void xluss__log(xentoollog_logger *lg, xentoollog_level level, int errnoval,
                const char *fmt, ...)
{
    va_list ap;

    if (!lg)
        return;
    va_start(ap, fmt);
    xtl_logv(lg, level, errnoval, "xlu_snapshot", fmt, ap);
    va_end(ap);
}

static void *or_die(void *p)
{
    if (!p) {
        fputs("libxlusnapshot: out of memory\n", stderr);
        abort();
    }
    return p;
}

char *xluss__asprintf(const char *fmt, ...)
{
    va_list ap;
    char *s = NULL;
    int r;

    va_start(ap, fmt);
    r = vasprintf(&s, fmt, ap);
    va_end(ap);
    return or_die(r < 0 ? NULL : s);
}

char *xluss__strdup(const char *s)
{
    return s ? or_die(strdup(s)) : NULL;
}

void *xluss__calloc(size_t n, size_t size)
{
    return or_die(calloc(n ? n : 1, size));
}

void *xluss__realloc(void *p, size_t size)
{
    return or_die(realloc(p, size ? size : 1));
}

void xluss__replace(char **where, const char *s)
{
    char *copy = xluss__strdup(s);

    free(*where);
    *where = copy;
}

bool xluss__ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && !strcmp(s + n - m, suffix);
}

int xluss__rc(int errnoval)
{
    switch (errnoval) {
    case 0:
        return 0;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return LIBXL_SNAPSHOT_ERROR_NO_SPACE;
    case EEXIST:
        return LIBXL_SNAPSHOT_ERROR_EXISTS;
    case ENOMEM:
        return ERROR_NOMEM;
    case EINTR:
        return ERROR_ABORTED;
    default:
        return ERROR_FAIL;
    }
}
