/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Names of snapshots. They become file names, words on a command line and
 * text in XML; what would hurt in one of them is refused.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libxml/chvalid.h>
#include <libxml/parserInternals.h>
#include <libxml/xmlstring.h>

#include "xluss.h"

/* The next character; *s moves on. -1: is not valid UTF-8; libxml2 alone
 * would take '/' written in two bytes. */
static int next_char(const char **s)
{
    int len = 4;        /* the most that is looked at */
    int c = xmlGetUTF8Char((const xmlChar *)*s, &len);
    xmlChar again[8];

    if (c < 0 || c > 0x10ffff || xmlCopyCharMultiByte(again, c) != len)
        return -1;
    *s += len;
    return c;
}

const char *xluss__text_problem(const char *text)
{
    while (*text) {
        int c = next_char(&text);

        if (c < 0)
            return "is not valid UTF-8";
        if (!xmlIsCharQ(c))
            return "has a control character or another character that XML "
                   "can't hold";
    }
    return NULL;
}

static bool is_control(int c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

const char *xlu_snapshot_name_problem(const char *name)
{
    const char *s = name;
    int c;

    if (!name || !*name)
        return "is empty";
    if (strlen(name) > XLU_SNAPSHOT_NAME_MAX)
        return "is longer than 200 bytes";
    if (*name == '.' || *name == '-')
        return "begins with '.' or '-'";
    if (strchr(name, '/'))
        return "has a '/' in it";
    while (*s) {
        c = next_char(&s);
        if (c < 0)
            return "is not valid UTF-8";
        if (is_control(c))
            return "has a control character in it";
    }
    return xluss__text_problem(name);
}

char *xluss__file_name(const char *name, const char *suffix)
{
    return xluss__asprintf("%s%s", name, suffix);
}

/* A document that can't be read, or a file without one, takes it too. */
bool xluss__name_taken(xlu_snapshot_catalogue *cat, const char *name)
{
    static const char *const suffixes[] = { ".json", ".xml", ".config",
                                            ".mem", ".mem.zst" };
    bool taken = xluss__find(cat, name);
    size_t i;

    for (i = 0; !taken && i < sizeof(suffixes) / sizeof(*suffixes); i++) {
        char *file = xluss__file_name(name, suffixes[i]);

        taken = xluss__file_exists(&cat->snaps, file);
        free(file);
    }
    return taken;
}

char *xluss__name_from_time(xlu_snapshot_catalogue *cat, uint64_t seconds)
{
    time_t t = seconds;
    struct tm tm;
    char text[32];
    char *name;
    int i;

    gmtime_r(&t, &tm);
    strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &tm);
    name = xluss__strdup(text);
    for (i = 2; xluss__name_taken(cat, name); i++) {
        free(name);
        name = xluss__asprintf("%s-%d", text, i);
    }
    return name;
}
