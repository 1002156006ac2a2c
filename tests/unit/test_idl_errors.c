/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * JSON that nobody should send: each text is refused with ERROR_INVAL, the
 * type is left as its _init leaves it, and no memory stays behind. Next to
 * each limit stands the last text that is within it.
 */
#include "idl_test.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "libxl_snapshot.h"

/* What tools/idl/idl_runtime.h promises. */
#define MAX_TEXT (16 * 1024 * 1024)
#define MAX_DEPTH 64
#define MAX_VALUES 65536
#define MAX_ELEMENTS 4096

/*-------- helpers --------*/

/* unit, count times, between head and tail */
static char *repeat(const char *head, const char *unit, size_t count,
                    const char *tail)
{
    size_t len = strlen(unit);
    char *text = malloc(strlen(head) + count * len + strlen(tail) + 1), *at;

    assert_non_null(text);
    for (at = stpcpy(text, head); count; count--)
        at = stpcpy(at, unit);
    strcpy(at, tail);
    return text;
}

static void is_fresh(const libxl_domain_snapshot_args *a)
{
    static const libxl_domain_snapshot_args zero;

    /* Every default of this type is 0 or NULL. */
    assert_memory_equal(a, &zero, sizeof(*a));
}

static void refuse(const char *text)
{
    libxl_domain_snapshot_args a;

    memset(&a, 0xa5, sizeof(a));
    assert_int_equal(libxl_domain_snapshot_args_from_json(idl_test_ctx, &a,
                                                          text),
                     ERROR_INVAL);
    is_fresh(&a);
}

static void take(const char *text)
{
    libxl_domain_snapshot_args a;

    assert_int_equal(libxl_domain_snapshot_args_from_json(idl_test_ctx, &a,
                                                          text), 0);
    libxl_domain_snapshot_args_dispose(&a);
}

/* The same, of the one disk in it. */
static void with_disk(const char *disk, void (*check)(const char *))
{
    char *text;

    assert_true(asprintf(&text, "{\"disks\": [{\"name\": \"first\"}, %s]}",
                         disk) > 0);
    check(text);
    free(text);
}

/*-------- texts --------*/

static void not_json(void **state)
{
    static const char *const texts[] = {
        "", " ", "{", "}", "[", "{]", "{}}", "{} {}", "{},", "{} x", "{}\n0",
        "{\"name\"}", "{\"name\":}", "{\"name\":\"a\",}", "{name:\"a\"}",
        "{\"name\":\"a}", "{\"name\":'a'}", "{\"name\":\"a\" \"live\":1}",
        "nul", "tru", "{\"x\":nan}", "{\"x\":Infinity}", "{\"x\":01}",
        "{\"x\":+1}", "{\"x\":1.}", "{\"x\":.5}", "{\"x\":0x10}",
        "{\"x\":1e}", "{\"x\":--1}", "/* note */ {}", "{} // note",
        "{\"x\": /* \" */ 1}", "{\"name\":\"a\tb\"}", "{\"name\":\"a\nb\"}",
        "{\"name\":\"\\x41\"}", "{\"name\":\"\\u12\"}", "{\"name\":\"\\",
        "{\"name\":\"\\u\"}", "{\"name\":\"\\u123g\"}", "\xef\xbb\xbf{}",
    };
    size_t i;

    (void)state;
    refuse(NULL);
    for (i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        refuse(texts[i]);
}

static void truncated(void **state)
{
    static const char whole[] =
        "{\"name\": \"s\\u00e9\\ud83d\\ude00\", \"live\": \"True\","
        " \"disks\": [{\"device\": {\"vdev\": \"xvda\"}, \"name\": \"d\","
        " \"size\": 10737418240, \"kind.external\": {\"external_format\":"
        " \"qcow2\", \"external_path\": \"/a\"}}, {\"kind.any\": {}}]}";
    char text[sizeof(whole)];
    size_t len;

    (void)state;
    take(whole);
    for (len = 0; len < strlen(whole); len++) {
        memcpy(text, whole, len);
        text[len] = '\0';
        refuse(text);
    }
}

static void wrong_types(void **state)
{
    static const char *const texts[] = {
        "null", "true", "1", "\"name\"", "[]", "[{}]",
        "{\"name\": 1}", "{\"name\": true}", "{\"name\": {}}",
        "{\"name\": [\"a\"]}",
        "{\"live\": true}", "{\"live\": 1}", "{\"live\": null}",
        "{\"live\": \"true\"}", "{\"live\": \"\"}", "{\"live\": \"Truely\"}",
        "{\"disks\": {}}", "{\"disks\": null}", "{\"disks\": \"xvda\"}",
        "{\"disks\": 3}", "{\"disks\": [1]}", "{\"disks\": [null]}",
        "{\"disks\": [[]]}", "{\"disks\": [{}, \"\"]}",
    };
    static const char *const disks[] = {
        "{\"device\": null}", "{\"device\": []}", "{\"device\": \"xvda\"}",
        "{\"device\": {\"format\": \"floppy\"}}",
        "{\"name\": 1}", "{\"size\": \"1\"}", "{\"size\": null}",
        "{\"size\": true}", "{\"size\": [1]}", "{\"size\": {}}",
        "{\"kind.any\": null}", "{\"kind.none\": []}",
        "{\"kind.internal\": \"\"}", "{\"kind.external\": 1}",
        "{\"kind.reflink\": true}", "{\"kind.lvm\": [{}]}",
        "{\"kind.lvm\": {\"lvm_volume\": 1}}",
        "{\"kind.external\": {\"external_path\": []}}",
        "{\"kind.external\": {\"external_path\": \"/a\","
        " \"external_format\": 2}}",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        refuse(texts[i]);
    for (i = 0; i < sizeof(disks) / sizeof(*disks); i++)
        with_disk(disks[i], refuse);
    take("{\"name\": null}");
}

static void unknown_words(void **state)
{
    (void)state;
    with_disk("{\"kind.external\": {\"external_path\": \"/a\","
              " \"external_format\": \"floppy\"}}", refuse);
    with_disk("{\"kind.external\": {\"external_format\": \"\"}}", refuse);
    with_disk("{\"kind.zfs\": {}}", refuse);
    with_disk("{\"kind.\": {}}", refuse);
    with_disk("{\"kind.external\": {\"external_format\": \"QCOW2\"}}", take);
}

static void unknown_members_are_ignored(void **state)
{
    (void)state;
    take("{\"colour\": [1, {\"a\": null}], \"kinds\": {}, \"\": 1e400}");
    with_disk("{\"kind\": \"external\", \"device\": {\"new\": [{}]}}", take);
}

static void twins(void **state)
{
    (void)state;
    refuse("{\"name\": \"a\", \"name\": \"b\"}");
    refuse("{\"name\": \"a\", \"live\": \"True\", \"nam\\u0065\": \"a\"}");
    refuse("{\"new\": {\"a\": 1, \"b\": 2, \"a\": 1}}");
    with_disk("{\"device\": {\"vdev\": \"a\", \"vdev\": \"b\"}}", refuse);
    with_disk("{\"kind.any\": {}, \"kind.lvm\": {}}", refuse);
    with_disk("{\"kind.lvm\": {}, \"kind.LVM\": {}}", refuse);
    take("{\"new\": [{\"a\": 1}, {\"a\": 1}], \"a\": 1}");
}

static uint64_t size_of(const char *digits, int want_rc)
{
    libxl_disk_snapshot d;
    char text[200];
    uint64_t size;

    snprintf(text, sizeof(text), "{\"name\": \"a\", \"size\": %s}", digits);
    assert_int_equal(libxl_disk_snapshot_from_json(idl_test_ctx, &d, text),
                     want_rc);
    size = d.size;
    libxl_disk_snapshot_dispose(&d);
    return size;
}

static int fd_of(const char *digits, int want_rc)
{
    libxl_domain_snapshot_safety s;
    char text[200];
    int fd;

    snprintf(text, sizeof(text), "{\"memory_fd\": %s}", digits);
    assert_int_equal(libxl_domain_snapshot_safety_from_json(idl_test_ctx, &s,
                                                            text),
                     want_rc);
    fd = s.memory_fd;
    libxl_domain_snapshot_safety_dispose(&s);
    return fd;
}

static void numbers(void **state)
{
    static const char *const bad[] = {
        "18446744073709551616", "99999999999999999999999999", "-1", "-0",
        "1.0", "1e3", "1E400", "-9223372036854775808",
    };
    size_t i;

    (void)state;
    assert_true(size_of("18446744073709551615", 0) == UINT64_MAX);
    assert_true(size_of("9223372036854775808", 0) == (uint64_t)1 << 63);
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_true(size_of(bad[i], ERROR_INVAL) == 0);

    assert_int_equal(fd_of("2147483647", 0), INT32_MAX);
    assert_int_equal(fd_of("-2147483648", 0), INT32_MIN);
    /* After an error the default is there: -1. */
    assert_int_equal(fd_of("2147483648", ERROR_INVAL), -1);
    assert_int_equal(fd_of("-2147483649", ERROR_INVAL), -1);
    assert_int_equal(fd_of("4294967295", ERROR_INVAL), -1);
    assert_int_equal(fd_of("18446744073709551615", ERROR_INVAL), -1);
    assert_int_equal(fd_of("3.0", ERROR_INVAL), -1);
}

static void depth(void **state)
{
    static const char *const bombs[] = { "[", "{\"a\":", "[{\"a\":" };
    char *inner, *text;
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        size_t levels = MAX_DEPTH - 1 + i;  /* and one for the object */

        inner = repeat("{\"x\": ", "[", levels, "");
        text = repeat(inner, "]", levels, "}");
        (i ? refuse : take)(text);
        free(inner);
        free(text);
    }
    for (i = 0; i < sizeof(bombs) / sizeof(*bombs); i++) {
        text = repeat("{\"x\": ", bombs[i], 1000000, "");
        refuse(text);
        free(text);
    }
    /* Brackets in a string are no depth; quotes there don't end it. */
    text = repeat("{\"x\": \"\\\"", "[{", 10 * MAX_DEPTH, "\"}");
    take(text);
    free(text);
}

static void huge(void **state)
{
    char *text;

    (void)state;
    text = repeat("{\"disks\": [{}", ",{}", MAX_ELEMENTS - 1, "]}");
    take(text);
    free(text);
    text = repeat("{\"disks\": [{}", ",{}", MAX_ELEMENTS, "]}");
    refuse(text);
    free(text);

    /* Counted: the whole, each object and array, each comma. */
    text = repeat("{\"x\": [1", ",[1,1,1]", (MAX_VALUES - 4) / 4, ",1]}");
    take(text);
    free(text);
    text = repeat("{\"x\": [1", ",[1,1,1]", (MAX_VALUES - 4) / 4, ",1,1]}");
    refuse(text);
    free(text);

    text = repeat("{\"name\": \"", "a", MAX_TEXT - 12, "\"}");
    assert_int_equal(strlen(text), MAX_TEXT);
    take(text);
    free(text);
    text = repeat("{\"name\": \"", "a", MAX_TEXT - 11, "\"}");
    refuse(text);
    free(text);
}

static void characters(void **state)
{
    static const char *const bad[] = {
        "\\u0000", "a\\u0000b",
        "\\ud800", "\\udc00", "\\ud800x", "\\ud800\\ud800", "\\ud800\\n",
        "\\udc00\\ud800", "\\ud83d\\u0041",
        "\xff", "\x80", "\xc3", "\xc3(", "\xc0\x80", "\xc1\xbf",
        "\xe0\x80\x80", "\xe2\x82", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80",
        "\xf0\x9f\x98",
    };
    libxl_domain_snapshot_args a;
    char text[100];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        snprintf(text, sizeof(text), "{\"name\": \"%s\"}", bad[i]);
        refuse(text);
        snprintf(text, sizeof(text), "{\"%s\": 1}", bad[i]);
        refuse(text);

        /* What can't be read is not written either. */
        if (strchr(bad[i], '\\'))
            continue;
        libxl_domain_snapshot_args_init(&a);
        a.name = strdup(bad[i]);
        assert_null(libxl_domain_snapshot_args_to_json(idl_test_ctx, &a));
        libxl_domain_snapshot_args_dispose(&a);
    }
    assert_int_equal(libxl_domain_snapshot_args_from_json(idl_test_ctx, &a,
        "{\"name\": \"\\\\u0000 \\ud83d\\ude00 \\/\\u0001\\uffff\"}"), 0);
    assert_string_equal(a.name, "\\u0000 \xf0\x9f\x98\x80 /\x01\xef\xbf\xbf");
    libxl_domain_snapshot_args_dispose(&a);
}

static void enums(void **state)
{
    static const char *const bad[] = {
        "", "running", "3", "null", "{}", "[\"create\"]", "\"creat\"",
        "\"created\"", "\"create \"", "\"create\" 1", "\"cre\\u0000ate\"",
    };
    libxl_snapshot_intent e = LIBXL_SNAPSHOT_INTENT_REVERT;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_int_equal(libxl_snapshot_intent_from_json(idl_test_ctx, &e,
                                                         bad[i]),
                         ERROR_INVAL);
        assert_int_equal(e, LIBXL_SNAPSHOT_INTENT_REVERT);
    }
    assert_int_equal(libxl_snapshot_intent_from_json(idl_test_ctx, &e,
                                                     " \"Delete\"\n"), 0);
    assert_int_equal(e, LIBXL_SNAPSHOT_INTENT_DELETE);
}

/* What can't be read again is not written. */
static void not_written(void **state)
{
    libxl_domain_snapshot_args a;
    char *text;

    (void)state;
    libxl_domain_snapshot_args_init(&a);
    a.num_disks = MAX_ELEMENTS + 1;
    a.disks = calloc(a.num_disks, sizeof(*a.disks));
    assert_null(libxl_domain_snapshot_args_to_json(idl_test_ctx, &a));
    libxl_domain_snapshot_args_dispose(&a);

    libxl_domain_snapshot_args_init(&a);
    a.name = repeat("", "a", MAX_TEXT, "");
    assert_null(libxl_domain_snapshot_args_to_json(idl_test_ctx, &a));
    libxl_domain_snapshot_args_dispose(&a);

    /* A length without an array, or below 0, is no array. */
    libxl_domain_snapshot_args_init(&a);
    a.num_disks = 3;
    text = libxl_domain_snapshot_args_to_json(idl_test_ctx, &a);
    assert_string_equal(text, "{\n\n}\n");
    free(text);
    a.num_disks = -1;
    libxl_domain_snapshot_args_dispose(&a);
}

/* Runs the others again: what they took is given back. Counts in glibc's
 * own books; the address sanitizer has none there, but looks by itself. */
static void no_leaks(void **state)
{
    size_t before = 0;
    int i;

    for (i = 0; i < 4; i++) {
        if (i == 3)
            before = mallinfo2().uordblks;
        not_json(state);
        truncated(state);
        wrong_types(state);
        unknown_words(state);
        twins(state);
        numbers(state);
        characters(state);
        enums(state);
    }
    assert_int_equal(mallinfo2().uordblks, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_json),
        cmocka_unit_test(truncated),
        cmocka_unit_test(wrong_types),
        cmocka_unit_test(unknown_words),
        cmocka_unit_test(unknown_members_are_ignored),
        cmocka_unit_test(twins),
        cmocka_unit_test(numbers),
        cmocka_unit_test(depth),
        cmocka_unit_test(huge),
        cmocka_unit_test(characters),
        cmocka_unit_test(enums),
        cmocka_unit_test(not_written),
        cmocka_unit_test(no_leaks),
    };

    return cmocka_run_group_tests(tests, idl_test_begin, idl_test_end);
}
