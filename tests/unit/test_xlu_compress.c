/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * xluss_compress.c alone: what goes in comes out, stock zstd reads it and is
 * read, and every way in which it can break off is an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_lxs.h"
#include "xluss.h"

static char dir[64];

static int setup(void **state)
{
    (void)state;
    fake_log_clear();
    strcpy(dir, "/tmp/test-zstd.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int run(const char *fmt, ...)
{
    char command[1024], text[900];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    snprintf(command, sizeof(command), "cd %s && %s", dir, text);
    return system(command);
}

static int teardown(void **state)
{
    (void)state;
    return run("rm -rf %s", dir);
}

static int file(const char *name, int flags)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, flags | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

/* Copies to the end; false if writing fails. */
static bool copy(int from, int to)
{
    static char some[100000];       /* no power of two */
    ssize_t n;

    while ((n = read(from, some, sizeof(some))) > 0)
        if (xluss__write_all(to, some, n))
            return false;
    return true;
}

static int compress(const char *from, const char *to)
{
    int in = file(from, O_RDONLY), out = file(to, O_RDWR | O_CREAT | O_TRUNC);
    xluss__zstd *z;
    int fd, rc;

    assert_int_equal(xluss__zstd_writer(fake_logger(), to, out, &z, &fd), 0);
    /* All is taken, whatever happens behind. */
    assert_true(copy(in, fd));
    close(fd);
    rc = xluss__zstd_end(z, false);
    close(in);
    close(out);
    return rc;
}

static int decompress(const char *from, const char *to)
{
    int out = file(to, O_RDWR | O_CREAT | O_TRUNC), fd, rc;
    xluss__zstd *z;

    assert_int_equal(xluss__zstd_reader(fake_logger(), from,
                                        file(from, O_RDONLY), &z, &fd), 0);
    assert_true(copy(fd, out));
    close(fd);
    rc = xluss__zstd_end(z, false);
    close(out);
    return rc;
}

static void make_raw(void)
{
    assert_int_equal(run("{ head -c 5000001 /dev/zero; head -c 3000000 "
                         "/dev/urandom; yes text | head -c 20000000; } "
                         "> raw"), 0);
}

static void round_trip(void **state)
{
    (void)state;
    make_raw();
    assert_int_equal(compress("raw", "z"), 0);
    assert_int_equal(decompress("z", "again"), 0);
    assert_int_equal(run("cmp raw again"), 0);
    assert_int_equal(run("zstd -dc z | cmp raw -"), 0);
    /* Its checksum is there for zstd to see. */
    assert_int_equal(run("zstd -lv z 2>&1 | grep -q XXH64"), 0);
    assert_int_equal(run("test $(stat -c %%s z) -lt 3500000"), 0);
}

static void nothing(void **state)
{
    (void)state;
    assert_int_equal(run(": > raw"), 0);
    assert_int_equal(compress("raw", "z"), 0);
    assert_int_equal(decompress("z", "again"), 0);
    assert_int_equal(run("cmp raw again"), 0);
}

/* Runs of zeroes of every length, wherever they begin; they cost nothing. */
static void zero_runs(void **state)
{
    static const char *const runs[] = {
        "1", "262143", "262144", "524288", "786432", "786433", "1048576",
        "5000001", "41943040",
    };
    size_t i;

    (void)state;
    assert_int_equal(run(": > raw"), 0);
    for (i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
        assert_int_equal(run("{ head -c %s /dev/zero; printf data%zu; } "
                             ">> raw", runs[i], i), 0);
    assert_int_equal(compress("raw", "z"), 0);
    assert_int_equal(decompress("z", "again"), 0);
    assert_int_equal(run("cmp raw again && zstd -dc z | cmp raw -"), 0);
    assert_int_equal(run("test $(stat -c %%s z) -lt 30000"), 0);
    /* More than a frame for each run, and each with its checksum. */
    assert_int_equal(run("zstd -lv z 2>&1 | grep -q 'Frames: [1-9][0-9]'"),
                     0);
    assert_int_equal(run("head -c 9000000 /dev/zero > raw"), 0);
    assert_int_equal(compress("raw", "z"), 0);
    assert_int_equal(decompress("z", "again"), 0);
    assert_int_equal(run("cmp raw again && zstd -dc z | cmp raw -"), 0);
}

static void of_stock_zstd(void **state)
{
    (void)state;
    make_raw();
    assert_int_equal(run("zstd -q -19 < raw > z"), 0);
    assert_int_equal(decompress("z", "again"), 0);
    assert_int_equal(run("cmp raw again"), 0);
    /* Several frames are one image. */
    assert_int_equal(run("{ head -c 9000000 raw | zstd -qc; "
                         "tail -c +9000001 raw | zstd -qc; } > z"), 0);
    assert_int_equal(decompress("z", "again"), 0);
    assert_int_equal(run("cmp raw again"), 0);
}

/* A window that would need more memory than we may take. */
static void large_window(void **state)
{
    (void)state;
    make_raw();
    assert_int_equal(run("zstd -q --long=27 < raw > z"), 0);
    assert_int_equal(decompress("z", "again"), LIBXL_SNAPSHOT_ERROR_DAMAGED);
    assert_non_null(strstr(fake_log(), "too much memory"));
}

static void cut_off(void **state)
{
    static const char *const sizes[] = { "0", "1", "100", "1000000", "-4",
                                         "-1" };
    size_t i;

    (void)state;
    make_raw();
    assert_int_equal(compress("raw", "whole"), 0);
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fake_log_clear();
        assert_int_equal(run("cp whole z && truncate -s %s z",
                             sizes[i]), 0);
        assert_int_equal(decompress("z", "again"),
                         LIBXL_SNAPSHOT_ERROR_DAMAGED);
        assert_non_null(strstr(fake_log(), "it ends too early"));
    }
}

static void changed(void **state)
{
    (void)state;
    make_raw();
    assert_int_equal(compress("raw", "z"), 0);
    assert_int_equal(run("printf xxxx | dd of=z bs=1 seek=2000000 "
                         "conv=notrunc status=none"), 0);
    assert_int_equal(decompress("z", "again"), LIBXL_SNAPSHOT_ERROR_DAMAGED);
    assert_non_null(strstr(fake_log(), "memory image z is damaged: "));
    assert_int_equal(run("echo text > z"), 0);
    assert_int_equal(decompress("z", "again"), LIBXL_SNAPSHOT_ERROR_DAMAGED);
    assert_int_equal(run("zstd -qc raw > z && echo more >> z"), 0);
    assert_int_equal(decompress("z", "again"), LIBXL_SNAPSHOT_ERROR_DAMAGED);
}

/* Who has seen enough closes the pipe: no SIGPIPE, no error. */
static void reader_leaves(void **state)
{
    xluss__zstd *z;
    char some[100];
    int fd;

    (void)state;
    make_raw();
    assert_int_equal(compress("raw", "z"), 0);
    assert_int_equal(xluss__zstd_reader(fake_logger(), "z",
                                        file("z", O_RDONLY), &z, &fd), 0);
    assert_int_equal(read(fd, some, sizeof(some)), sizeof(some));
    close(fd);
    assert_int_equal(xluss__zstd_end(z, false), 0);
    assert_string_equal(fake_log(), "");
}

/* A child of the application's has the other end, too. */
static void held_open(void **state)
{
    char some[100] = "header";
    xluss__zstd *z;
    int fd, other, out;

    (void)state;
    make_raw();
    out = file("small", O_RDWR | O_CREAT);
    assert_int_equal(xluss__zstd_writer(fake_logger(), "small", out, &z,
                                        &fd), 0);
    other = dup(fd);
    assert_int_equal(xluss__write_all(fd, some, sizeof(some)), 0);
    close(fd);
    assert_int_equal(xluss__zstd_end(z, false), 0);
    close(other);
    close(out);
    assert_int_equal(run("test $(zstd -dc < small | wc -c) = 100"), 0);

    assert_int_equal(compress("raw", "z"), 0);
    assert_int_equal(xluss__zstd_reader(fake_logger(), "z",
                                        file("z", O_RDONLY), &z, &fd), 0);
    other = dup(fd);
    assert_int_equal(read(fd, some, sizeof(some)), sizeof(some));
    close(fd);
    assert_int_equal(xluss__zstd_end(z, false), 0);
    close(other);
}

/* The disk is full: known while it is written to, and at the end. */
static void no_space(void **state)
{
    struct rlimit old, limit;
    int in, out, fd, i;
    xluss__zstd *z;

    (void)state;
    assert_int_equal(run("head -c 30000000 /dev/urandom > raw"), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = 1 << 20;
    in = file("raw", O_RDONLY);
    out = file("z", O_RDWR | O_CREAT);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(xluss__zstd_writer(fake_logger(), "z", out, &z, &fd), 0);
    assert_true(copy(in, fd));
    for (i = 0; i < 500 && !xluss__zstd_error(z); i++)
        usleep(10000);
    assert_int_equal(xluss__zstd_error(z), EFBIG);
    close(fd);
    assert_int_equal(xluss__zstd_end(z, false),
                     LIBXL_SNAPSHOT_ERROR_NO_SPACE);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_non_null(strstr(fake_log(), "no space left for memory image z"));
    close(in);
    close(out);
}

/* Much data in little memory, and several workers where there are CPUs. */
static void bounded(void **state)
{
    struct rusage before, after;

    (void)state;
    assert_int_equal(run("for i in 1 2 3 4 5 6 7 8; do head -c 10000000 "
                         "/dev/urandom; head -c 30000000 /dev/zero; done "
                         "> raw"), 0);
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    assert_int_equal(compress("raw", "z"), 0);
    assert_int_equal(decompress("z", "again"), 0);
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_in_range(after.ru_maxrss - before.ru_maxrss, 0, 20 << 10);
    assert_int_equal(run("cmp raw again"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: what the others need doesn't count. */
        TEST(bounded),
        TEST(round_trip),
        TEST(zero_runs),
        TEST(nothing),
        TEST(of_stock_zstd),
        TEST(large_window),
        TEST(cut_off),
        TEST(changed),
        TEST(reader_leaves),
        TEST(held_open),
        TEST(no_space),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
