/* SPDX-License-Identifier: LGPL-2.1-only */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

/* yajl's tree takes comments; JSON has none, nor a slash but in strings. */
static unsigned int scan(const char *text, size_t len, bool *slash)
{
    unsigned int depth = 0, deepest = 0;
    bool in_string = false;
    size_t i;

    for (i = 0; i < len; i++) {
        char c = text[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > deepest)
                deepest = depth;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        } else if (c == '/') {
            *slash = true;
        }
    }
    return deepest;
}

unsigned int json_depth(const char *text, size_t len)
{
    bool slash;

    return scan(text, len, &slash);
}

yajl_val json_parse(const char *text, size_t len, unsigned int max_depth,
                    char *err, size_t errlen)
{
    bool slash = false;
    yajl_val v = NULL;
    char *copy;

    err[0] = '\0';
    if (memchr(text, '\0', len)) {
        snprintf(err, errlen, "NUL character in JSON");
        return NULL;
    }
    if (scan(text, len, &slash) > max_depth) {
        snprintf(err, errlen, "JSON nested deeper than %u", max_depth);
        return NULL;
    }
    /* A quotation mark in a comment would have misled the scan. */
    if (slash) {
        snprintf(err, errlen, "slash outside of a string in JSON");
        return NULL;
    }
    copy = strndup(text, len);
    if (!copy) {
        snprintf(err, errlen, "out of memory");
        return NULL;
    }
    v = yajl_tree_parse(copy, err, errlen);
    if (!v && !err[0])
        snprintf(err, errlen, "no JSON value");
    free(copy);
    return v;
}

yajl_val json_member(yajl_val v, const char *key)
{
    size_t i;

    if (!v || !YAJL_IS_OBJECT(v))
        return NULL;
    for (i = 0; i < YAJL_GET_OBJECT(v)->len; i++)
        if (!strcmp(YAJL_GET_OBJECT(v)->keys[i], key))
            return YAJL_GET_OBJECT(v)->values[i];
    return NULL;
}

yajl_val json_object(yajl_val v, const char *key)
{
    yajl_val m = json_member(v, key);

    return m && YAJL_IS_OBJECT(m) ? m : NULL;
}

yajl_val json_array(yajl_val v, const char *key)
{
    yajl_val m = json_member(v, key);

    return m && YAJL_IS_ARRAY(m) ? m : NULL;
}

const char *json_string(yajl_val v, const char *key)
{
    yajl_val m = json_member(v, key);

    return m && YAJL_IS_STRING(m) ? YAJL_GET_STRING(m) : NULL;
}

bool json_bool(yajl_val v, const char *key, bool otherwise)
{
    yajl_val m = json_member(v, key);

    if (m && YAJL_IS_TRUE(m))
        return true;
    if (m && YAJL_IS_FALSE(m))
        return false;
    return otherwise;
}

bool json_u64(yajl_val v, const char *key, uint64_t *out)
{
    yajl_val m = json_member(v, key);
    const char *text;
    char *end;

    /* yajl's own integer is signed; the text it keeps has all 64 bits. */
    if (!m || !YAJL_IS_NUMBER(m))
        return false;
    text = YAJL_GET_NUMBER(m);
    if (text[0] == '-')
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return !errno && !*end;
}

size_t json_length(yajl_val array)
{
    return array && YAJL_IS_ARRAY(array) ? YAJL_GET_ARRAY(array)->len : 0;
}

yajl_val json_item(yajl_val array, size_t i)
{
    return i < json_length(array) ? YAJL_GET_ARRAY(array)->values[i] : NULL;
}

bool json_is_text(const char *s)
{
    yajl_gen g = yajl_gen_alloc(NULL);
    bool good;

    yajl_gen_config(g, yajl_gen_validate_utf8, 1);
    good = yajl_gen_string(g, (const unsigned char *)s, strlen(s)) ==
           yajl_gen_status_ok;
    yajl_gen_free(g);
    return good;
}

void json_put_key(yajl_gen g, const char *key)
{
    yajl_gen_string(g, (const unsigned char *)key, strlen(key));
}

void json_put_string(yajl_gen g, const char *key, const char *value)
{
    json_put_key(g, key);
    json_put_key(g, value);
}

void json_put_bool(yajl_gen g, const char *key, bool value)
{
    json_put_key(g, key);
    yajl_gen_bool(g, value);
}

void json_put_u64(yajl_gen g, const char *key, uint64_t value)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%" PRIu64, value);

    json_put_key(g, key);
    yajl_gen_number(g, text, n);
}
