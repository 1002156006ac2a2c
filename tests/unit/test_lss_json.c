/* SPDX-License-Identifier: LGPL-2.1-only */
/* tools/common/json.c: limits, and members of any type or none. */
#include <stdio.h>
#include <stdlib.h>

#include "lss_test.h"

static unsigned int depth(const char *text)
{
    return json_depth(text, strlen(text));
}

static yajl_val parse(const char *text, unsigned int max)
{
    char err[256];
    yajl_val v = json_parse(text, strlen(text), max, err, sizeof(err));

    /* A reason, if and only if it failed. */
    assert_int_equal(!v, !!err[0]);
    return v;
}

static void refused(const char *text, unsigned int max)
{
    assert_null(parse(text, max));
}

static void test_depth(void **state)
{
    (void)state;
    assert_int_equal(depth(""), 0);
    assert_int_equal(depth("12"), 0);
    assert_int_equal(depth("[]"), 1);
    assert_int_equal(depth("[{},[],[]]"), 2);
    assert_int_equal(depth("{\"a\":[{\"b\":[]}],\"c\":{}}"), 4);
    /* Closed too often: never below zero. */
    assert_int_equal(depth("]]]["), 1);
    /* Cut off: json_depth stays within len. */
    assert_int_equal(json_depth("[[[[", 2), 2);
}

static void test_depth_in_strings(void **state)
{
    (void)state;
    assert_int_equal(depth("\"[[[[{{{{\""), 0);
    assert_int_equal(depth("[\"[[\",\"{{\"]"), 1);
    assert_int_equal(depth("[\"\\\"[[[\"]"), 1);
    assert_int_equal(depth("[\"\\\\\",[]]"), 2);
    assert_int_equal(depth("[\"\\\\\\\"[\",[[]]]"), 3);
    assert_int_equal(depth("{\"[[[\":\"\\u005b[\"}"), 1);
    assert_int_equal(depth("[\"\\"), 1);
}

static void test_depth_limit(void **state)
{
    char text[4096];
    unsigned int n;

    (void)state;
    for (n = 1; n < 1000; n += 37) {
        yajl_val v;

        memset(text, '[', n);
        memset(text + n, ']', n);
        text[2 * n] = '\0';
        v = parse(text, n);
        assert_non_null(v);
        yajl_tree_free(v);
        refused(text, n - 1);
    }
}

/* yajl takes comments; a quotation mark in one would hide what follows. */
static void test_depth_behind_comment(void **state)
{
    char text[4096];

    (void)state;
    strcpy(text, "/*\"*/");
    memset(text + 5, '[', 1000);
    memset(text + 1005, ']', 1000);
    text[2005] = '\0';
    refused(text, 512);
    memcpy(text, "//\"\n ", 5);
    refused(text, 512);
    refused("[/**/]", 512);
    refused("{} // end", 512);
}

static void test_refused(void **state)
{
    char err[256];

    (void)state;
    refused("", 10);
    refused("  ", 10);
    refused("[1,", 10);
    refused("[1]]", 10);
    refused("{} {}", 10);
    refused("{'a':1}", 10);
    refused("nil", 10);
    refused("[\"\xff\"]", 10);
    assert_null(json_parse("[1]\0", 4, 10, err, sizeof(err)));
    assert_non_null(strstr(err, "NUL"));
    assert_null(json_parse("[\"a\0b\"]", 7, 10, err, sizeof(err)));
    /* The reason stays within its buffer. */
    memset(err, 'x', sizeof(err));
    assert_null(json_parse("[[[", 3, 1, err, 8));
    assert_int_equal(strlen(err), 7);
    assert_int_equal(err[8], 'x');
}

/* The text need not end: what is behind it isn't read. */
static void test_not_terminated(void **state)
{
    char *text = malloc(3), err[64];
    yajl_val v;

    (void)state;
    memcpy(text, "[7]", 3);
    v = json_parse(text, 3, 10, err, sizeof(err));
    free(text);
    assert_non_null(v);
    assert_int_equal(json_length(v), 1);
    yajl_tree_free(v);
}

static void test_u64(void **state)
{
    static const struct { const char *text; bool ok; uint64_t n; } t[] = {
        { "0", true, 0 },
        { "9223372036854775807", true, INT64_MAX },
        { "9223372036854775808", true, 1ULL << 63 },
        { "18446744073709551615", true, UINT64_MAX },
        { "18446744073709551616", false, 0 },
        { "-1", false, 0 },
        { "-18446744073709551615", false, 0 },
        { "1.5", false, 0 },
        { "1e3", false, 0 },
        { "\"1\"", false, 0 },
        { "true", false, 0 },
        { "null", false, 0 },
        { "[1]", false, 0 },
    };
    uint64_t n;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        char text[64];
        yajl_val v;

        snprintf(text, sizeof(text), "{\"n\":%s}", t[i].text);
        v = parse(text, 10);
        assert_non_null(v);
        assert_int_equal(json_u64(v, "n", &n), t[i].ok);
        if (t[i].ok)
            assert_true(n == t[i].n);
        assert_false(json_u64(v, "m", &n));
        yajl_tree_free(v);
    }
}

static void test_members(void **state)
{
    yajl_val v = parse("{\"s\":\"x\",\"a\":[1,\"two\"],\"o\":{\"k\":\"v\"},"
                       "\"t\":true,\"f\":false,\"n\":5,\"z\":null}", 10);
    uint64_t n;

    (void)state;
    assert_string_equal(json_string(v, "s"), "x");
    assert_string_equal(json_string(json_object(v, "o"), "k"), "v");
    assert_int_equal(json_length(json_array(v, "a")), 2);
    assert_true(YAJL_IS_STRING(json_item(json_array(v, "a"), 1)));
    assert_null(json_item(json_array(v, "a"), 2));
    assert_true(json_bool(v, "t", false));
    assert_false(json_bool(v, "f", true));
    assert_true(json_u64(v, "n", &n) && n == 5);
    assert_true(YAJL_IS_NULL(json_member(v, "z")));
    yajl_tree_free(v);
}

/* Each getter on a member of each other type, and on what is no object. */
static void test_wrong_types(void **state)
{
    static const char *const keys[] = { "s", "a", "o", "t", "n", "z", "-" };
    yajl_val v = parse("{\"s\":\"x\",\"a\":[1],\"o\":{},\"t\":true,\"n\":5,"
                       "\"z\":null}", 10);
    yajl_val others[] = { NULL, json_member(v, "s"), json_member(v, "a"),
                          json_member(v, "z") };
    uint64_t n;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *k = keys[i];

        assert_int_equal(!!json_string(v, k), *k == 's');
        assert_int_equal(!!json_array(v, k), *k == 'a');
        assert_int_equal(!!json_object(v, k), *k == 'o');
        assert_int_equal(json_u64(v, k, &n), *k == 'n');
        assert_true(json_bool(v, k, true));
        assert_int_equal(json_bool(v, k, false), *k == 't');
        assert_int_equal(json_length(json_member(v, k)), *k == 'a');
    }
    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_null(json_member(others[i], "s"));
        assert_null(json_string(others[i], "s"));
        assert_true(json_bool(others[i], "s", true));
        assert_false(json_u64(others[i], "s", &n));
        assert_int_equal(!!json_item(others[i], 0), i == 2);
    }
    yajl_tree_free(v);
}

static void test_put(void **state)
{
    yajl_gen g = yajl_gen_alloc(NULL);
    const unsigned char *text;
    size_t len;

    (void)state;
    yajl_gen_map_open(g);
    json_put_string(g, "s", "a\"\\\n");
    json_put_bool(g, "b", true);
    json_put_u64(g, "n", UINT64_MAX);
    json_put_key(g, "k");
    yajl_gen_null(g);
    yajl_gen_map_close(g);
    yajl_gen_get_buf(g, &text, &len);
    assert_string_equal((const char *)text,
                        "{\"s\":\"a\\\"\\\\\\n\",\"b\":true,"
                        "\"n\":18446744073709551615,\"k\":null}");
    yajl_gen_free(g);
}

static void test_is_text(void **state)
{
    (void)state;
    assert_true(json_is_text("/a/b \xc3\xa4"));
    assert_true(json_is_text(""));
    assert_false(json_is_text("/a/\xff"));
    assert_false(json_is_text("/a/\xc3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_depth_in_strings),
        cmocka_unit_test(test_depth_limit),
        cmocka_unit_test(test_depth_behind_comment),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_not_terminated),
        cmocka_unit_test(test_u64),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_is_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
