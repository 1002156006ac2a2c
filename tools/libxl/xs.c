/* SPDX-License-Identifier: LGPL-2.1-only */
/* Reading xenstore, by libxenstore on a connection of the operation's own. */
#include <stdio.h>
#include <stdlib.h>

#include "libxlss_internal.h"

static char *vpath(struct libxlss__op *op, const char *fmt, va_list ap)
{
    char path[XENSTORE_ABS_PATH_MAX + 1];

    vsnprintf(path, sizeof(path), fmt, ap);
    return libxlss__strdup(op, path);
}

char *libxlss__xs_read(struct libxlss__op *op, const char *fmt, ...)
{
    unsigned int len;
    char *raw, *text;
    va_list ap;

    va_start(ap, fmt);
    raw = xs_read(op->xs, XBT_NULL, vpath(op, fmt, ap), &len);
    va_end(ap);
    if (!raw)
        return NULL;
    text = libxlss__strdup(op, raw);    /* libxenstore ends it with NUL */
    free(raw);
    return text;
}

char **libxlss__xs_list(struct libxlss__op *op, unsigned int *num,
                        const char *fmt, ...)
{
    char **raw, **list;
    unsigned int i;
    va_list ap;

    va_start(ap, fmt);
    raw = xs_directory(op->xs, XBT_NULL, vpath(op, fmt, ap), num);
    va_end(ap);
    if (!raw) {
        *num = 0;
        return NULL;
    }
    list = libxlss__zalloc(op, (*num + 1) * sizeof(*list));
    for (i = 0; i < *num; i++)
        list[i] = libxlss__strdup(op, raw[i]);
    free(raw);
    return list;
}
