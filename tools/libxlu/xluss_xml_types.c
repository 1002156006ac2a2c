/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Forms of values in libvirt's documents (basictypes.rng and others). A
 * value of XML is UTF-8 and has no NUL, so bytes are enough.
 */
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "xluss_xml.h"

#define DIGITS "0123456789"
#define HEX DIGITS "abcdefABCDEF"
#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS
#define SPACE " \t\r\n"

/* One or more, all of these. */
static bool all_of(const char *s, const char *set)
{
    return *s && !s[strspn(s, set)];
}

/* One or more, none of these. */
static bool none_of(const char *s, const char *set)
{
    return *s && !s[strcspn(s, set)];
}

bool xluss__xml_is_word(const char *value, const char *words)
{
    size_t len;

    value += strspn(value, SPACE);
    len = strlen(value);
    while (len && strchr(SPACE, value[len - 1]))
        len--;
    while (len && *words) {
        size_t n = strcspn(words, "|");

        if (n == len && !memcmp(words, value, n))
            return true;
        words += n + (words[n] == '|');
    }
    return false;
}

static bool any(const char *s)
{
    (void)s;
    return true;
}

/* Another system's paths are valid, too. */
bool xluss__xml_is_path(const char *s)
{
    if (*s == '/')
        return none_of(s + 1, "\r\n");
    return *s && strspn(s, ALNUM) > 0 && !strchr(DIGITS, *s) &&
           s[1] == ':' && s[2] == '\\' && none_of(s + 3, "\r\n");
}

/* "[datastore] path" */
static bool vmware_path(const char *s)
{
    size_t n = *s == '[' ? strcspn(s, "]") : 0;

    return n > 1 && s[n] == ']' && s[n + 1] == ' ' &&
           none_of(s + n + 2, "\r\n");
}

static bool device(const char *s)
{
    return all_of(s, ALNUM "_.-\\:/");
}

bool xluss__xml_is_target(const char *s)
{
    static const char *const kinds[] = { "fd", "hd", "sd", "vd", "xvd",
                                         "ubd" };
    size_t i;

    if (!strncmp(s, "ioemu:", 6))
        s += 6;
    for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (!strncmp(s, kinds[i], strlen(kinds[i])))
            return all_of(s + strlen(kinds[i]), ALNUM "_");
    return false;
}

/* Digits of a number, with white space around them, as XML Schema has it. */
static bool number(const char *s, unsigned long long max)
{
    unsigned long long n = 0;

    s += strspn(s, SPACE);
    if (!*s || !strchr(DIGITS, *s))
        return false;
    for (; *s && strchr(DIGITS, *s); s++) {
        if (n > (max - (*s - '0')) / 10)
            return false;
        n = n * 10 + (*s - '0');
    }
    return !s[strspn(s, SPACE)];
}

/* Of any size, as long as it isn't 0. */
static bool positive(const char *s)
{
    return all_of(s, DIGITS) && s[strspn(s, "0")];
}

/* These have the pattern [0-9]+, and xmllint lets no blanks be beside. */
static bool is_uint(const char *s)
{
    return all_of(s, DIGITS) && number(s, 0xffffffffu);
}

static bool is_ulong(const char *s)
{
    return all_of(s, DIGITS) && number(s, ~0ull);
}

/* Hexadecimal digits, with or without 0x. */
static bool hex(const char *s, size_t most, bool must_0x)
{
    bool prefix = s[0] == '0' && s[1] == 'x';

    if (prefix)
        s += 2;
    return (prefix || !must_0x) && all_of(s, HEX) && strlen(s) <= most;
}

/* XML Schema's numbers may have a sign. */
static bool small(const char *s, unsigned max)
{
    s += strspn(s, SPACE);
    if (*s == '-')
        return number(s + 1, 0);
    return number(s + (*s == '+'), max);
}

static bool is_uint32(const char *s)
{
    return hex(s, 8, false) || small(s, 0xffffffffu);
}

static bool pci_bus(const char *s)
{
    return hex(s, 2, true) || small(s, 255);
}

static bool pci_slot(const char *s)
{
    const char *digits = s[0] == '0' && s[1] == 'x' ? s + 2 : s;

    return small(s, 31) ||
           (hex(s, 2, false) && (strlen(digits) == 1 || *digits == '0' ||
                                 *digits == '1'));
}

static bool pci_function(const char *s)
{
    const char *digits = s[0] == '0' && s[1] == 'x' ? s + 2 : s;

    return small(s, 7) || (strlen(digits) == 1 && strchr("01234567", *digits));
}

/* 8-4-4-4-12 hexadecimal digits, with or without the dashes. */
static bool uuid(const char *s)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    size_t i;

    if (strlen(s) == 32)
        return all_of(s, HEX);
    if (strlen(s) != strlen(form))
        return false;
    for (i = 0; i < strlen(form); i++)
        if (form[i] == '-' ? s[i] != '-' : !strchr(HEX, s[i]))
            return false;
    return true;
}

static bool generic(const char *s)
{
    return all_of(s, ALNUM "_+-");
}

static bool object(const char *s)
{
    return none_of(s, "/\n");
}

static bool one_line(const char *s)
{
    return none_of(s, "\n");
}

static bool volume(const char *s)
{
    return none_of(s, "/") && strcmp(s, ".") && strcmp(s, "..");
}

#define GROUP "[0-9A-Fa-f]{1,4}"
#define BYTE "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define IPV4 "(" BYTE "\\.){3}" BYTE

/* The colons may stand for any number of groups, also at either end. */
static const char ipv6[] =
    "^((" GROUP ":){7}" GROUP
    "|(" GROUP ":){6}:" GROUP
    "|(" GROUP ":){5}:(" GROUP ":)?" GROUP
    "|(" GROUP ":){4}:(" GROUP ":){0,2}" GROUP
    "|(" GROUP ":){3}:(" GROUP ":){0,3}" GROUP
    "|(" GROUP ":){2}:(" GROUP ":){0,4}" GROUP
    "|" GROUP "::(" GROUP ":){0,5}" GROUP
    "|(" GROUP ":){6}" IPV4
    "|(" GROUP ":){0,5}:" IPV4
    "|::(" GROUP ":){0,5}" IPV4
    "|::(" GROUP ":){0,6}" GROUP
    "|(" GROUP ":){1,7}:"
    "|::)$";

/* A name, or an address; one of IPv4 looks like a name. */
static bool host(const char *s)
{
    regex_t re;
    bool match;

    if (all_of(s, ALNUM ".-"))
        return true;
    if (strlen(s) > 64 || !all_of(s, HEX ":."))
        return false;
    if (regcomp(&re, ipv6, REG_EXTENDED | REG_NOSUB))
        return false;
    match = !regexec(&re, s, 0, NULL, 0);
    regfree(&re);
    return match;
}

/* B, byte, bytes; or K, M, G, T, P, E, alone or with B or iB. */
static bool unit(const char *s)
{
    if (!strcasecmp(s, "b") || !strcasecmp(s, "byte") ||
        !strcasecmp(s, "bytes"))
        return true;
    return *s && strchr("kKmMgGtTpPeE", *s) &&
           (!s[1] || !strcasecmp(s + 1, "b") || !strcasecmp(s + 1, "ib"));
}

static bool cookie_name(const char *s)
{
    return all_of(s, ALNUM "!#$%&'*+-.^_`|~");
}

static bool cookie(const char *s)
{
    size_t n;

    s += *s == '"';
    n = strspn(s, ALNUM "!#$%&'()*+-./:>=<?@^_`[]|~");
    return n && (!s[n] || !strcmp(s + n, "\""));
}

#define TYPE(name, function, text) \
    const struct xluss__xml_type xluss__xml_##name = { function, text }

TYPE(any, any, "a text");
TYPE(path, xluss__xml_is_path, "an absolute path");
TYPE(vmware_path, vmware_path, "a path in a datastore");
TYPE(device, device, "the name of a device");
TYPE(target, xluss__xml_is_target, "the name of a disk, as xvda");
TYPE(positive, positive, "a number above 0");
TYPE(uint, is_uint, "a number of 32 bits");
TYPE(ulong, is_ulong, "a number of 64 bits");
TYPE(uint32, is_uint32, "a number of 32 bits");
TYPE(uuid, uuid, "a UUID");
TYPE(generic, generic, "a name of letters, digits, _, + and -");
TYPE(object, object, "a name without a slash, in one line");
TYPE(one_line, one_line, "a name in one line");
TYPE(volume, volume, "the name of a volume");
TYPE(host, host, "the name or the address of a host");
TYPE(unit, unit, "a unit of size");
TYPE(cookie_name, cookie_name, "the name of a cookie");
TYPE(cookie, cookie, "the value of a cookie");
TYPE(pci_bus, pci_bus, "a PCI bus");
TYPE(pci_slot, pci_slot, "a PCI slot");
TYPE(pci_function, pci_function, "a PCI function");
