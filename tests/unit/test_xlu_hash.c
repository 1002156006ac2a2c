/* SPDX-License-Identifier: LGPL-2.1-only */
/* The hash that follows a writer is that of the file. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <xxhash.h>

#include "xluss.h"

#define TOTAL (20u << 20)

static char *data;
static int fd;

static int set_up(void **state)
{
    char name[] = "/tmp/xluss-hash-XXXXXX";
    size_t i;

    (void)state;
    fd = mkstemp(name);
    unlink(name);
    data = malloc(TOTAL);
    for (i = 0; i < TOTAL; i++)
        data[i] = random();
    return fd < 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(data);
    close(fd);
    return 0;
}

static void append(size_t from, size_t to)
{
    assert_int_equal(pwrite(fd, data + from, to - from, from), to - from);
}

static void expect(const char *text, size_t size)
{
    char want[17];

    snprintf(want, sizeof(want), "%016llx",
             (unsigned long long)XXH64(data, size, 0));
    assert_string_equal(text, want);
}

/* In pieces of any size, with pauses in which it catches up and without. */
static void test_follow(void **state)
{
    struct xluss__follower *f;
    size_t at = 0, next;
    char text[17];

    (void)state;
    append(0, 100);
    f = xluss__hash_follow(fd);
    assert_non_null(f);
    for (at = 100; at < TOTAL; at = next) {
        next = at + 1 + random() % (2u << 20);
        if (next > TOTAL)
            next = TOTAL;
        append(at, next);
        if (random() % 4 == 0)
            usleep(30000);
    }
    assert_int_equal(xluss__hash_end(f, text), 0);
    expect(text, TOTAL);
    assert_int_equal(xluss__hash_file(fd, TOTAL, text), 0);
    expect(text, TOTAL);
    assert_int_equal(xluss__hash_file(fd, 5000, text), 0);
    expect(text, 5000);
}

static void test_empty(void **state)
{
    char text[17];

    (void)state;
    assert_int_equal(xluss__hash_end(xluss__hash_follow(fd), text), 0);
    expect(text, 0);
}

static void test_give_up(void **state)
{
    struct xluss__follower *f = xluss__hash_follow(fd);

    (void)state;
    append(0, TOTAL);
    xluss__hash_give_up(f);
    xluss__hash_give_up(NULL);
}

static void test_errors(void **state)
{
    char text[17];
    int null = open("/dev/null", O_WRONLY);

    (void)state;
    append(0, 10);
    /* It ends too early. */
    assert_int_equal(xluss__hash_file(fd, 11, text), EIO);
    assert_int_equal(xluss__hash_file(null, 11, text), EBADF);
    assert_int_equal(xluss__hash_end(xluss__hash_follow(-1), text), EBADF);
    close(null);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_follow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_give_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
