/* SPDX-License-Identifier: LGPL-2.1-only */
/* Tables, trees, sizes, times, and that nothing steers the terminal. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "../../tools/xl/xl_progress.h"
#include "../../tools/xl/xl_text.h"

static void equal(char *got, const char *expected)
{
    assert_string_equal(got, expected);
    free(got);
}

static void sizes(void **state)
{
    (void)state;
    equal(xl_size(0), "0 B");
    equal(xl_size(1023), "1023 B");
    equal(xl_size(1024), "1.0 KiB");
    equal(xl_size(1536), "1.5 KiB");
    equal(xl_size((1ull << 20) - 1), "1.0 MiB");
    equal(xl_size(1ull << 30), "1.0 GiB");
    equal(xl_size(UINT64_MAX), "16.0 EiB");
}

static void durations(void **state)
{
    (void)state;
    equal(xl_duration(0), "0.0 s");
    equal(xl_duration(449), "0.4 s");
    equal(xl_duration(450), "0.5 s");
    equal(xl_duration(9949), "9.9 s");
    equal(xl_duration(9950), "10 s");
    equal(xl_duration(59499), "59 s");
    equal(xl_duration(59500), "1 min 0 s");
    equal(xl_duration(125000), "2 min 5 s");
    equal(xl_duration(3660000), "1 h 1 min");
}

static void times(void **state)
{
    (void)state;
    setenv("TZ", "UTC-1", 1);
    tzset();
    equal(xl_time(1795188645), "2026-11-20T16:30:45+0100");
    equal(xl_time(0), "-");
}

static void safe(void **state)
{
    (void)state;
    equal(xl_safe("plain", true, NULL), "plain");
    equal(xl_safe(NULL, true, NULL), "");
    equal(xl_safe("a\033[2Jb\n\x7f", true, NULL), "a?[2Jb??");
    equal(xl_safe("a\nb\tc", true, "\n"), "a\nb?c");
    equal(xl_safe("\xc2\x9b" "31m", true, NULL), "?31m");
    equal(xl_safe("\xe2\x80\xae" "txt", true, NULL), "?txt");
    equal(xl_safe("\xc3\xbc", true, NULL), "\xc3\xbc");
    equal(xl_safe("\xc3\xbc", false, NULL), "?");
    equal(xl_safe("\xc3", true, NULL), "?");
    equal(xl_safe("\xff\xfe", true, NULL), "??");
    equal(xl_safe("\xc0\x80", true, NULL), "??");
    equal(xl_safe("\xed\xa0\x80", true, NULL), "???");
    equal(xl_safe("\xf0\x9f\x98\x80", true, NULL), "\xf0\x9f\x98\x80");
}

static void shell_words(void **state)
{
    (void)state;
    equal(xl_shell_word("web1"), "web1");
    equal(xl_shell_word("/a/b.qcow2"), "/a/b.qcow2");
    equal(xl_shell_word(""), "''");
    equal(xl_shell_word("a b"), "'a b'");
    equal(xl_shell_word("$(x)"), "'$(x)'");
    equal(xl_shell_word("it's"), "$'it\\047s'");
    equal(xl_shell_word("a\nb\\"), "$'a\\012b\\134'");
}

struct capture {
    char *text;
    size_t size;
    FILE *f;
};

static FILE *capture(struct capture *c)
{
    c->text = NULL;
    c->f = open_memstream(&c->text, &c->size);
    assert_non_null(c->f);
    return c->f;
}

static void captured(struct capture *c, const char *expected)
{
    fclose(c->f);
    equal(c->text, expected);
}

static void table(void **state)
{
    static const char *const cells[] = {
        " ", "Name", "Memory", "Parent",
        "*", "f\xc3\xbcr", "1.0 GiB", NULL,
        " ", "longer-name", NULL, "f\xc3\xbcr",
    };
    struct capture c;

    (void)state;
    xl_table(capture(&c), cells, 3, 4);
    captured(&c, "   Name         Memory   Parent\n"
                 "*  f\xc3\xbcr          1.0 GiB  -\n"
                 "   longer-name  -        f\xc3\xbcr\n");
}

static const struct xl_tree_node nodes[] = {
    { "a", NULL, "a" },
    { "b", "a", "b" },
    { "c", "a", "c *" },
    { "d", "b", "d" },
    { "e", "d", "e" },
    { "f", "c", "f" },
    { "z", "gone", "z" },
};

static void tree(void **state)
{
    struct capture c;

    (void)state;
    xl_tree(capture(&c), nodes, 7, false);
    captured(&c, "a\n"
                 "|- b\n"
                 "|  `- d\n"
                 "|     `- e\n"
                 "`- c *\n"
                 "   `- f\n"
                 "z\n");
    xl_tree(capture(&c), nodes, 4, true);
    captured(&c, "a\n├─ b\n│  └─ d\n└─ c *\n");
    xl_tree(capture(&c), nodes, 0, true);
    captured(&c, "");
}

/* A document changed by hand must not hang or hide a snapshot. */
static void tree_circle(void **state)
{
    static const struct xl_tree_node circle[] = {
        { "a", "c", "a" }, { "b", "a", "b" }, { "c", "b", "c" },
        { "s", "s", "s" }, { "t", "b", "t" },
    };
    struct capture c;

    (void)state;
    xl_tree(capture(&c), circle, 5, false);
    captured(&c, "a\n`- b\n   |- c\n   `- t\ns\n");
}

static void tree_deep(void **state)
{
    enum { N = 2000 };
    struct xl_tree_node *chain = calloc(N, sizeof(*chain));
    char (*names)[8] = calloc(N, sizeof(*names));
    struct capture c;
    int i, lines = 0;
    char *p;

    (void)state;
    for (i = 0; i < N; i++) {
        snprintf(names[i], sizeof(names[i]), "%d", i);
        chain[i].name = chain[i].label = names[i];
        chain[i].parent = i ? names[i - 1] : NULL;
    }
    xl_tree(capture(&c), chain, N, true);
    fclose(c.f);
    for (p = c.text; (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, N);
    free(c.text);
    free(chain);
    free(names);
}

static void json(void **state)
{
    (void)state;
    equal(xl_json_pretty("{}"), "{}\n");
    equal(xl_json_pretty("[ ]"), "[]\n");
    equal(xl_json_pretty("{\"a\":1,\"b\":[{\"c\":\"x, {\\\"y\"},2]}"),
          "{\n    \"a\": 1,\n    \"b\": [\n        {\n"
          "            \"c\": \"x, {\\\"y\"\n        },\n        2\n"
          "    ]\n}\n");
    /* What is indented already stays as it is; broken text ends. */
    equal(xl_json_pretty("{\n    \"a\": 1\n}\n"), "{\n    \"a\": 1\n}\n");
    equal(xl_json_pretty("\"a\\"), "\"a\\\n");
    equal(xl_json_pretty("]}"), "\n]\n}\n");
}

static void progress(void **state)
{
    char buf[128];

    (void)state;
    assert_string_equal(
        xl_progress_line(buf, sizeof(buf), 80, LIBXL_SNAPSHOT_STEP_LOOK,
                         0, 0), "looking");
    assert_string_equal(
        xl_progress_line(buf, sizeof(buf), 80, LIBXL_SNAPSHOT_STEP_SUSPEND,
                         512ull << 20, 1024ull << 20),
        "saving memory      [############............] 512/1024 MiB");
    assert_string_equal(
        xl_progress_line(buf, sizeof(buf), 80, LIBXL_SNAPSHOT_STEP_VERIFY,
                         5ull << 20, 0), "verifying: 5 MiB");
    assert_string_equal(
        xl_progress_line(buf, sizeof(buf), 80, LIBXL_SNAPSHOT_STEP_SUSPEND,
                         9ull << 20, 8ull << 20),
        "saving memory      [########################] 9/8 MiB");
    assert_string_equal(
        xl_progress_line(buf, sizeof(buf), 8, LIBXL_SNAPSHOT_STEP_VERIFY,
                         5ull << 20, 0), "verifyi");
    assert_string_equal(
        xl_progress_round_line(buf, sizeof(buf), 80, "Frames iteration 1",
                               5ull << 20, 20ull << 20),
        "memory, round 2    [######..................] 5/20 MiB");
    assert_string_equal(
        xl_progress_round_line(buf, sizeof(buf), 80, "Frames",
                               5ull << 20, 20ull << 20),
        "saving memory      [######..................] 5/20 MiB");
}

/* As many -v as with xl. */
static void verbose(void **state)
{
    (void)state;
    assert_int_equal(xl_log_least(0), XTL_NOTICE);
    assert_int_equal(xl_log_least(1), XTL_DETAIL);
    assert_int_equal(xl_log_least(3), XTL_DEBUG);
    assert_int_equal(xl_log_least(9), XTL_DEBUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(durations),
        cmocka_unit_test(times),
        cmocka_unit_test(safe),
        cmocka_unit_test(shell_words),
        cmocka_unit_test(table),
        cmocka_unit_test(tree),
        cmocka_unit_test(tree_circle),
        cmocka_unit_test(tree_deep),
        cmocka_unit_test(json),
        cmocka_unit_test(progress),
        cmocka_unit_test(verbose),
    };

    setlocale(LC_ALL, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
