/* SPDX-License-Identifier: LGPL-2.1-only */

#include "idl_runtime.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <yajl/yajl_parse.h>

/*-------- memory --------*/

static void *must(void *p)
{
    if (!p) {
        fputs("libxl snapshot types: out of memory\n", stderr);
        abort();
    }
    return p;
}

void *idl__calloc(int count, size_t size)
{
    return count > 0 ? must(calloc(count, size)) : NULL;
}

static void *yajl_malloc(void *unused, size_t size)
{
    (void)unused;
    return must(malloc(size));
}

static void *yajl_realloc(void *unused, void *p, size_t size)
{
    (void)unused;
    return must(realloc(p, size));
}

static void yajl_release(void *unused, void *p)
{
    (void)unused;
    free(p);
}

/* yajl itself doesn't look whether its allocations succeed. */
static yajl_alloc_funcs memory = {
    .malloc = yajl_malloc,
    .realloc = yajl_realloc,
    .free = yajl_release,
};

int idl__length(const void *array, int count)
{
    return array && count > 0 ? count : 0;
}

/*-------- looking before anything is made of a text --------*/

/* Bytes of the character at s, 0 if it isn't one. */
static size_t utf8_bytes(const unsigned char *s, size_t left)
{
    /* The least value for which a form of that many bytes is allowed. */
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t n = *s < 0x80 ? 1 : (*s & 0xe0) == 0xc0 ? 2
             : (*s & 0xf0) == 0xe0 ? 3 : (*s & 0xf8) == 0xf0 ? 4 : 0;
    uint32_t c;
    size_t i;

    if (n < 2)
        return n;
    if (n > left)
        return 0;
    c = *s & (0x7f >> n);
    for (i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    return n;
}

/* Well-formed UTF-8 as RFC 3629 has it: no overlong forms, no surrogates. */
static bool is_utf8(const char *s, size_t len)
{
    const unsigned char *u = (const unsigned char *)s, *end = u + len;
    size_t n;

    for (; u < end; u += n) {
        n = utf8_bytes(u, end - u);
        if (!n)
            return false;
    }
    return true;
}

/* The value of uXXXX at s (len bytes are left), -1 if it isn't that. */
static int unicode_escape(const char *s, size_t len)
{
    char hex[5] = "";

    if (len < 5 || *s != 'u')
        return -1;
    memcpy(hex, s + 1, 4);
    if (hex[strspn(hex, "0123456789abcdefABCDEF")])
        return -1;
    return strtol(hex, NULL, 16);
}

/* Bytes of the escape whose backslash is at s; 0 if it can't be held. */
static size_t escape_bytes(const char *s, size_t len)
{
    int c, low;

    if (len < 2)
        return 0;
    if (s[1] != 'u')
        return 2;
    c = unicode_escape(s + 1, len - 1);
    if (c <= 0 || (c >= 0xdc00 && c <= 0xdfff))
        return 0;
    if (c < 0xd800 || c > 0xdbff)
        return 6;
    low = len > 7 && s[6] == '\\' ? unicode_escape(s + 7, len - 7) : -1;
    return low >= 0xdc00 && low <= 0xdfff ? 12 : 0;
}

/* Bytes of the string whose first quote is at s, with both quotes. */
static size_t string_bytes(const char *s, size_t len)
{
    size_t i = 1, n;

    while (i < len && s[i] != '"') {
        n = s[i] == '\\' ? escape_bytes(s + i, len - i) : 1;
        if (!n)
            return 0;
        i += n;
    }
    return i < len ? i + 1 : 0;
}

/*
 * False if a text has what the tree must not be asked to hold: more depth or
 * values than allowed, comments (yajl_tree would take them), or strings that
 * a C string or UTF-8 can't hold (\u0000, lone surrogates). True doesn't
 * mean that it is JSON.
 */
static bool scan(const char *text, size_t len)
{
    size_t i, n;
    int depth = 0, values = 1;

    if (!is_utf8(text, len))
        return false;
    for (i = 0; i < len; i += n) {
        n = 1;
        switch (text[i]) {
        case '"':
            n = string_bytes(text + i, len - i);
            if (!n)
                return false;
            break;
        case '[':
        case '{':
            depth++;
            values++;
            break;
        case ']':
        case '}':
            depth--;
            break;
        case ',':
            values++;
            break;
        case '/':
            return false;
        }
        if (depth > IDL__MAX_DEPTH || values > IDL__MAX_VALUES)
            return false;
    }
    return true;
}

/*-------- writing --------*/

static void note(idl__out *o, yajl_gen_status s)
{
    if (s != yajl_gen_status_ok)
        o->failed = true;
}

static void put_text(idl__out *o, const char *s)
{
    size_t len = strlen(s);

    if (!is_utf8(s, len))
        o->failed = true;
    else
        note(o, yajl_gen_string(o->gen, (const unsigned char *)s, len));
}

static void put_key(idl__out *o, const char *key)
{
    if (key)
        put_text(o, key);
}

void idl__out_start(idl__out *o, libxl_ctx *ctx)
{
    o->ctx = ctx;
    o->failed = false;
    o->gen = must(yajl_gen_alloc(&memory));
    yajl_gen_config(o->gen, yajl_gen_beautify, 1);
    yajl_gen_config(o->gen, yajl_gen_indent_string, "    ");
}

char *idl__out_end(idl__out *o)
{
    const unsigned char *buf;
    size_t len;
    char *text = NULL;

    note(o, yajl_gen_get_buf(o->gen, &buf, &len));
    if (!o->failed && len <= IDL__MAX_TEXT_BYTES)
        text = must(strndup((const char *)buf, len));
    yajl_gen_free(o->gen);
    if (!text)
        errno = EINVAL;
    return text;
}

void idl__put_map(idl__out *o, const char *key)
{
    put_key(o, key);
    note(o, yajl_gen_map_open(o->gen));
}

void idl__put_map_end(idl__out *o)
{
    note(o, yajl_gen_map_close(o->gen));
}

void idl__put_array(idl__out *o, const char *key, int count)
{
    if (count > IDL__MAX_ELEMENTS)
        o->failed = true;
    put_key(o, key);
    note(o, yajl_gen_array_open(o->gen));
}

void idl__put_array_end(idl__out *o)
{
    note(o, yajl_gen_array_close(o->gen));
}

void idl__put_bool(idl__out *o, const char *key, bool b)
{
    put_key(o, key);
    note(o, yajl_gen_bool(o->gen, b));
}

void idl__put_int(idl__out *o, const char *key, int64_t n)
{
    put_key(o, key);
    note(o, yajl_gen_integer(o->gen, n));
}

void idl__put_uint(idl__out *o, const char *key, uint64_t n)
{
    char digits[24];    /* yajl's own integers end at 2^63 */
    int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);

    put_key(o, key);
    note(o, yajl_gen_number(o->gen, digits, len));
}

void idl__put_string(idl__out *o, const char *key, const char *s)
{
    put_key(o, key);
    if (s)
        put_text(o, s);
    else
        note(o, yajl_gen_null(o->gen));
}

void idl__put_word(idl__out *o, const char *key, const char *word)
{
    if (!word)
        o->failed = true;
    idl__put_string(o, key, word);
}

/* Depth of recursion: at most IDL__MAX_DEPTH, as the tree has been read. */
static void put_tree(idl__out *o, yajl_val v)
{
    size_t i;

    switch (v->type) {
    case yajl_t_string:
        put_text(o, v->u.string);
        break;
    case yajl_t_number:
        note(o, yajl_gen_number(o->gen, v->u.number.r,
                                strlen(v->u.number.r)));
        break;
    case yajl_t_object:
        idl__put_map(o, NULL);
        for (i = 0; i < v->u.object.len; i++) {
            put_text(o, v->u.object.keys[i]);
            put_tree(o, v->u.object.values[i]);
        }
        idl__put_map_end(o);
        break;
    case yajl_t_array:
        note(o, yajl_gen_array_open(o->gen));
        for (i = 0; i < v->u.array.len; i++)
            put_tree(o, v->u.array.values[i]);
        idl__put_array_end(o);
        break;
    case yajl_t_true:
    case yajl_t_false:
        idl__put_bool(o, NULL, v->type == yajl_t_true);
        break;
    default:
        note(o, yajl_gen_null(o->gen));
    }
}

void idl__put_text(idl__out *o, const char *key, char *text)
{
    idl__in in;
    yajl_val v = idl__in_start(&in, o->ctx, text);

    put_key(o, key);
    if (v)
        put_tree(o, v);
    else
        o->failed = true;
    idl__in_end(&in);
    free(text);
}

/*-------- reading --------*/

static bool is_json(const char *text, size_t len)
{
    yajl_handle h = must(yajl_alloc(NULL, &memory, NULL));
    yajl_status s = yajl_parse(h, (const unsigned char *)text, len);

    if (s == yajl_status_ok)
        s = yajl_complete_parse(h);
    yajl_free(h);
    return s == yajl_status_ok;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Most maps are small, and there are very many of them. */
#define SMALL_MAP 16

static bool small_map_has_twins(yajl_val v)
{
    const char **names = v->u.object.keys;
    size_t i, j, n = v->u.object.len;

    for (i = 1; i < n; i++)
        for (j = 0; j < i; j++)
            if (!strcmp(names[i], names[j]))
                return true;
    return false;
}

static bool map_has_twins(yajl_val v)
{
    size_t i, n = v->u.object.len;
    const char **names;
    bool twins = false;

    if (n <= SMALL_MAP)
        return small_map_has_twins(v);
    names = must(malloc(n * sizeof(*names)));
    memcpy(names, v->u.object.keys, n * sizeof(*names));
    qsort(names, n, sizeof(*names), by_name);
    for (i = 1; i < n && !twins; i++)
        twins = !strcmp(names[i - 1], names[i]);
    free(names);
    return twins;
}

static bool has_twins(yajl_val v)
{
    bool map = YAJL_IS_OBJECT(v), array = YAJL_IS_ARRAY(v);
    size_t i, n = map ? v->u.object.len : array ? v->u.array.len : 0;

    if (map && map_has_twins(v))
        return true;
    for (i = 0; i < n; i++)
        if (has_twins(map ? v->u.object.values[i] : v->u.array.values[i]))
            return true;
    return false;
}

yajl_val idl__in_start(idl__in *in, libxl_ctx *ctx, const char *text)
{
    size_t len = text ? strnlen(text, IDL__MAX_TEXT_BYTES + 1) : 0;

    in->ctx = ctx;
    in->root = NULL;
    in->rc = ERROR_INVAL;
    if (!len || len > IDL__MAX_TEXT_BYTES)
        return NULL;

    /* yajl_tree's own errors are avoided: releases of yajl leak there. */
    if (!scan(text, len) || !is_json(text, len))
        return NULL;

    in->root = must(yajl_tree_parse(text, NULL, 0));
    if (has_twins(in->root))
        return NULL;
    in->rc = 0;
    return in->root;
}

int idl__in_end(idl__in *in)
{
    yajl_tree_free(in->root);
    in->root = NULL;
    return in->rc;
}

bool idl__check(idl__in *in, int rc)
{
    if (rc)
        in->rc = ERROR_INVAL;
    return !rc;
}

/* Whether to read v: it is there, and (else an error) of the right type. */
static bool usable(idl__in *in, yajl_val v, bool right_type)
{
    return v && idl__check(in, right_type ? 0 : ERROR_INVAL);
}

bool idl__is_map(idl__in *in, yajl_val v)
{
    return usable(in, v, YAJL_IS_OBJECT(v));
}

yajl_val idl__member(yajl_val map, const char *name)
{
    size_t i;

    for (i = 0; i < map->u.object.len; i++)
        if (!strcmp(map->u.object.keys[i], name))
            return map->u.object.values[i];
    return NULL;
}

yajl_val idl__get_branch(idl__in *in, yajl_val map, const char *prefix,
                         const char **rest)
{
    size_t i, len = strlen(prefix);
    yajl_val found = NULL;

    for (i = 0; i < map->u.object.len; i++) {
        const char *name = map->u.object.keys[i];

        if (strncmp(name, prefix, len))
            continue;
        if (found) {
            idl__check(in, ERROR_INVAL);
            return NULL;
        }
        found = map->u.object.values[i];
        *rest = name + len;
    }
    return found;
}

void *idl__get_array(idl__in *in, yajl_val v, size_t size, int *count)
{
    if (!usable(in, v, YAJL_IS_ARRAY(v)
                       && v->u.array.len <= IDL__MAX_ELEMENTS))
        return NULL;
    *count = v->u.array.len;
    return idl__calloc(*count, size);
}

yajl_val idl__element(yajl_val array, int i)
{
    return array->u.array.values[i];
}

void idl__get_bool(idl__in *in, yajl_val v, bool *p)
{
    if (usable(in, v, YAJL_IS_TRUE(v) || YAJL_IS_FALSE(v)))
        *p = YAJL_IS_TRUE(v);
}

/* The digits of a whole number, in yajl's own text of it: its number.i ends
 * at 2^63, and its number.d would round. NULL for 1.0 and 1e3. */
static const char *whole_number(yajl_val v, bool sign_allowed)
{
    const char *s = YAJL_IS_NUMBER(v) ? v->u.number.r : NULL;

    if (!s || s[strspn(s, sign_allowed ? "-0123456789" : "0123456789")])
        return NULL;
    return s;
}

void idl__get_int(idl__in *in, yajl_val v, int *p)
{
    const char *s = whole_number(v, true);
    long long n = 0;

    errno = 0;
    if (s)
        n = strtoll(s, NULL, 10);
    if (usable(in, v, s && !errno && n >= INT_MIN && n <= INT_MAX))
        *p = n;
}

/* False: not there, or (an error) no whole number from 0 to max. */
static bool get_uint(idl__in *in, yajl_val v, uint64_t max, uint64_t *n)
{
    const char *s = whole_number(v, false);

    errno = 0;
    if (s)
        *n = strtoull(s, NULL, 10);
    return usable(in, v, s && !errno && *n <= max);
}

void idl__get_uint8(idl__in *in, yajl_val v, uint8_t *p)
{
    uint64_t n;

    if (get_uint(in, v, UINT8_MAX, &n))
        *p = n;
}

void idl__get_uint16(idl__in *in, yajl_val v, uint16_t *p)
{
    uint64_t n;

    if (get_uint(in, v, UINT16_MAX, &n))
        *p = n;
}

void idl__get_uint32(idl__in *in, yajl_val v, uint32_t *p)
{
    uint64_t n;

    if (get_uint(in, v, UINT32_MAX, &n))
        *p = n;
}

void idl__get_uint64(idl__in *in, yajl_val v, uint64_t *p)
{
    uint64_t n;

    if (get_uint(in, v, UINT64_MAX, &n))
        *p = n;
}

void idl__get_size_t(idl__in *in, yajl_val v, size_t *p)
{
    uint64_t n;

    if (get_uint(in, v, SIZE_MAX, &n))
        *p = n;
}

void idl__get_string(idl__in *in, yajl_val v, char **p)
{
    const char *s = YAJL_GET_STRING(v);

    if (usable(in, v, s || YAJL_IS_NULL(v)))
        *p = s ? must(strdup(s)) : NULL;
}

const char *idl__get_word(idl__in *in, yajl_val v)
{
    return usable(in, v, YAJL_IS_STRING(v)) ? YAJL_GET_STRING(v) : NULL;
}

void idl__get_defbool(idl__in *in, yajl_val v, libxl_defbool *p)
{
    const char *s = idl__get_word(in, v);

    if (!s)
        return;
    if (!strcmp(s, "True") || !strcmp(s, "False"))
        libxl_defbool_set(p, *s == 'T');
    else if (!strcmp(s, "<default>"))
        libxl_defbool_unset(p);
    else
        idl__check(in, ERROR_INVAL);
}

char *idl__get_text(idl__in *in, yajl_val v)
{
    idl__out o;
    char *text;

    if (!idl__is_map(in, v))
        return NULL;
    idl__out_start(&o, in->ctx);
    put_tree(&o, v);
    text = idl__out_end(&o);
    idl__check(in, text ? 0 : ERROR_INVAL);
    return text;
}

int idl__enum_from_string(const libxl_enum_string_table *table,
                          const char *s, int *value)
{
    for (; s && table->s; table++) {
        if (!strcasecmp(table->s, s)) {
            *value = table->v;
            return 0;
        }
    }
    return ERROR_INVAL;
}
