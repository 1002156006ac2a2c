/* SPDX-License-Identifier: LGPL-2.1-only */
/* Strings, sizes and times for people. */
#include <inttypes.h>
#include <langinfo.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "xl_text.h"

static void *or_die(void *p)
{
    if (!p) {
        fputs("xl-snapshot: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

void *xl_alloc(size_t n, size_t size)
{
    return or_die(calloc(n ? n : 1, size));
}

char *xl_strdup(const char *s)
{
    return or_die(strdup(s));
}

char *xl_printf(const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        s = NULL;
    va_end(ap);
    return or_die(s);
}

bool xl_locale_is_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/*
 * The length of the UTF-8 sequence at s and its code point; 0 if it is none
 * (too long a form, a surrogate, or cut off by the end).
 */
static int decode(const unsigned char *s, uint32_t *cp)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    int i, len = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 :
                 s[0] >= 0xe0 && s[0] < 0xf0 ? 3 :
                 s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

    if (len <= 1) {
        *cp = s[0];
        return len;
    }
    *cp = s[0] & (0xff >> (len + 1));
    for (i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        *cp = *cp << 6 | (s[i] & 0x3f);
    }
    if (*cp < least[len] || *cp > 0x10ffff ||
        (*cp >= 0xd800 && *cp < 0xe000))
        return 0;
    return len;
}

/* Does the character steer the terminal, or hide the order of the text? */
static bool steers(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) ||
           cp == 0x200e || cp == 0x200f || cp == 0x2028 || cp == 0x2029 ||
           (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069);
}

char *xl_safe(const char *s, bool utf8, const char *keep)
{
    const unsigned char *p = (const unsigned char *)(s ? s : "");
    char *out = xl_alloc(strlen((const char *)p) + 1, 1), *o = out;
    uint32_t cp;
    int len;

    while (*p) {
        len = decode(p, &cp);
        if (len == 1 && keep && strchr(keep, (int)cp)) {
            *o++ = (char)*p++;
            continue;
        }
        if (len == 0 || steers(cp) || (len > 1 && !utf8)) {
            *o++ = '?';
            p += len ? len : 1;
            continue;
        }
        memcpy(o, p, len);
        o += len;
        p += len;
    }
    return out;
}

/* $'...' is not POSIX 2017, but every shell of dom0 reads printf's octal. */
static char *dollar_quoted(const char *s)
{
    char *out = xl_alloc(strlen(s) + 1, 4 + 4), *o = out;

    o = stpcpy(o, "$'");
    for (; *s; s++) {
        unsigned char c = *s;

        if (c < 0x20 || c == 0x7f || c == '\'' || c == '\\')
            o += sprintf(o, "\\%03o", c);
        else
            *o++ = c;
    }
    strcpy(o, "'");
    return out;
}

char *xl_shell_word(const char *s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_-./:@%+=,";
    const char *p;

    if (*s && s[strspn(s, plain)] == '\0')
        return xl_strdup(s);
    for (p = s; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '\'')
            return dollar_quoted(s);
    }
    return xl_printf("'%s'", s);
}

char *xl_size(uint64_t bytes)
{
    static const char *const units[] = {
        "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB",
    };
    double value = bytes;
    int u = 0;

    /* 1023.95 would be printed as 1024.0. */
    while (value >= 1023.95 && u < 6) {
        value /= 1024;
        u++;
    }
    if (u == 0)
        return xl_printf("%" PRIu64 " B", bytes);
    return xl_printf("%.1f %s", value, units[u]);
}

char *xl_duration(uint64_t ms)
{
    uint64_t s = (ms + 500) / 1000;

    if (ms < 9950)
        return xl_printf("%" PRIu64 ".%" PRIu64 " s", (ms + 50) / 1000,
                         (ms + 50) / 100 % 10);
    if (s < 60)
        return xl_printf("%" PRIu64 " s", s);
    if (s < 3600)
        return xl_printf("%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
    return xl_printf("%" PRIu64 " h %" PRIu64 " min", s / 3600,
                     s % 3600 / 60);
}

char *xl_time(uint64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;
    char buf[64];

    if (!seconds || !localtime_r(&t, &tm) ||
        !strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%S%z", &tm))
        return xl_strdup("-");
    return xl_strdup(buf);
}
