/* SPDX-License-Identifier: LGPL-2.1-only */
/* What may be the name of a snapshot, and the default. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_lxs.h"
#include "xluss.h"

static void good(void **state)
{
    static const char *const names[] = {
        "a", "before upgrade", "a.b", "a-b", "a.json", "20261120T153045Z",
        "Überstand", "\xe6\x97\xa5\xe6\x9c\xac", "\xf0\x9f\x90\x98", "~",
        "*", "\"quoted\"", "<&>", "$(reboot)", "\xc2\xa0", "a\\b",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (xlu_snapshot_name_problem(names[i]))
            fail_msg("\"%s\" %s", names[i],
                     xlu_snapshot_name_problem(names[i]));
}

static void bad(void **state)
{
    static const struct { const char *name, *problem; } names[] = {
        { "", "is empty" },
        { ".", "begins with" },
        { "..", "begins with" },
        { ".hidden", "begins with" },
        { "-n", "begins with" },
        { "a/b", "has a '/'" },
        { "/", "has a '/'" },
        { "a\nb", "control" },
        { "a\tb", "control" },
        { "\x01", "control" },
        { "a\x1f", "control" },
        { "a\x7f", "control" },
        { "a\xc2\x80", "control" },             /* U+0080 */
        { "a\xc2\x9f", "control" },             /* U+009F */
        { "\xff", "UTF-8" },
        { "a\x80", "UTF-8" },
        { "a\xc3", "UTF-8" },                   /* cut short */
        { "\xc0\xaf", "UTF-8" },                /* '/' in two bytes */
        { "a\xef\xbf\xbf", "XML" },             /* U+FFFF */
    };
    size_t i;

    (void)state;
    assert_string_equal(xlu_snapshot_name_problem(NULL), "is empty");
    for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *p = xlu_snapshot_name_problem(names[i].name);

        if (!p || !strstr(p, names[i].problem))
            fail_msg("name %zu: %s, not \"%s\"", i, p ? p : "is good",
                     names[i].problem);
    }
}

static void length(void **state)
{
    char name[XLU_SNAPSHOT_NAME_MAX + 2];

    (void)state;
    memset(name, 'a', sizeof(name));
    name[XLU_SNAPSHOT_NAME_MAX] = '\0';
    assert_null(xlu_snapshot_name_problem(name));
    name[XLU_SNAPSHOT_NAME_MAX] = 'a';
    name[XLU_SNAPSHOT_NAME_MAX + 1] = '\0';
    assert_string_equal(xlu_snapshot_name_problem(name),
                        "is longer than 200 bytes");
    /* 100 characters of two bytes. */
    for (size_t i = 0; i < XLU_SNAPSHOT_NAME_MAX; i += 2)
        memcpy(name + i, "\xc3\xa4", 2);
    name[XLU_SNAPSHOT_NAME_MAX] = '\0';
    assert_null(xlu_snapshot_name_problem(name));
}

/* Surrogates and what is beyond Unicode. */
static void not_unicode(void **state)
{
    (void)state;
    assert_non_null(xlu_snapshot_name_problem("\xed\xa0\x80"));
    assert_non_null(xlu_snapshot_name_problem("\xf4\x90\x80\x80"));
    assert_non_null(xlu_snapshot_name_problem("\xf8\x88\x80\x80\x80"));
}

static void texts(void **state)
{
    (void)state;
    assert_null(xluss__text_problem(""));
    assert_null(xluss__text_problem("two\nlines\tand a tab\r"));
    assert_non_null(xluss__text_problem("\x1b[31m"));
    assert_non_null(xluss__text_problem("\xfe"));
}

static void by_time(void **state)
{
    xlu_snapshot_catalogue cat = {
        .dir = { .fd = -1 }, .snaps = { .fd = -1 },
    };
    xluss__entry entries[2] = {
        { .s = { .name = (char *)"20261120T153045Z" } },
        { .s = { .name = (char *)"20261120T153045Z-2" } },
    };
    char *name;

    (void)state;
    name = xluss__name_from_time(&cat, 1795188645);
    assert_string_equal(name, "20261120T153045Z");
    free(name);
    cat.entries = entries;
    cat.num_entries = 2;
    name = xluss__name_from_time(&cat, 1795188645);
    assert_string_equal(name, "20261120T153045Z-3");
    free(name);
    name = xluss__name_from_time(&cat, 0);
    assert_string_equal(name, "19700101T000000Z");
    free(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(bad),
        cmocka_unit_test(length),
        cmocka_unit_test(not_unicode),
        cmocka_unit_test(texts),
        cmocka_unit_test(by_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
