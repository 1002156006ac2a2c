/* SPDX-License-Identifier: LGPL-2.1-only */
/* NBD URIs, of the forms that QEMU's own client can reach without TLS. */
#include <ctype.h>
#include <string.h>

#include "backup.h"

static int hex(char c)
{
    return isdigit((unsigned char)c) ? c - '0'
         : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
         : -1;
}

/* %XX; NULL where it is none, or an end of the text. */
static char *decode(struct libxlss__op *op, const char *s, size_t len)
{
    char *out = libxlss__zalloc(op, len + 1), *to = out;
    size_t i;

    for (i = 0; i < len; i++) {
        if (s[i] != '%') {
            *to++ = s[i];
            continue;
        }
        if (i + 2 >= len || hex(s[i + 1]) < 0 || hex(s[i + 2]) < 0)
            return NULL;
        *to = hex(s[i + 1]) << 4 | hex(s[i + 2]);
        if (!*to++)
            return NULL;
        i += 2;
    }
    return out;
}

static bool parse_unix(struct libxlss__op *op, const char *rest,
                       struct libxlss__nbd_uri *out)
{
    const char *query = strchr(rest, '?');

    if (rest[0] != '/' || !query || strncmp(query, "?socket=", 8) ||
        strchr(query, '&'))
        return false;
    out->name = decode(op, rest + 1, query - rest - 1);
    out->path = decode(op, query + 8, strlen(query + 8));
    return out->name && out->path && out->path[0] == '/';
}

/* [::1]:10809/name, or host:port/name. */
static bool parse_inet(struct libxlss__op *op, const char *rest,
                       struct libxlss__nbd_uri *out)
{
    size_t host = *rest == '[' ? strcspn(rest, "]") : strcspn(rest, ":/");
    const char *after = rest + host, *from = rest;
    size_t port = 0;

    if (*rest == '[') {
        if (!*after)
            return false;
        after++;
        from++;
        host--;
    }
    if (*after == ':')
        port = strspn(++after, "0123456789");
    if (!host || (after[-1] == ':' && !port) ||
        (after[port] && after[port] != '/') || strchr(rest, '?'))
        return false;
    out->host = decode(op, from, host);
    out->port = port ? libxlss__printf(op, "%.*s", (int)port, after)
                     : libxlss__strdup(op, "10809");
    after += port;
    out->name = *after ? decode(op, after + 1, strlen(after + 1))
                       : libxlss__strdup(op, "");
    return out->host && out->name;
}

bool libxlss__nbd_uri_parse(struct libxlss__op *op, const char *uri,
                            struct libxlss__nbd_uri *out)
{
    memset(out, 0, sizeof(*out));
    if (!strncmp(uri, "nbd+unix://", 11))
        return parse_unix(op, uri + 11, out);
    return !strncmp(uri, "nbd://", 6) && parse_inet(op, uri + 6, out);
}
