/* SPDX-License-Identifier: LGPL-2.1-only */
/* Files are old or new, whatever fails, and nothing else is left. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_io.h"
#include "fake_lxs.h"
#include "xluss.h"

static char root[64];
static xluss__dir dir;

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/test-xlu.XXXXXX");
    if (!mkdtemp(root))
        return -1;
    fake_log_clear();
    return xluss__dir_open(fake_logger(), root, false, &dir);
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    fake_io_stop();
    xluss__dir_close(&dir);
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command);
}

static int put(const char *name, const char *text)
{
    return xluss__file_put(fake_logger(), &dir, name, text, strlen(text),
                           false);
}

static void check(const char *name, const char *want)
{
    char *text;
    size_t len;

    assert_int_equal(xluss__file_get(fake_logger(), &dir, name, 1 << 20,
                                     &text, &len), 0);
    assert_string_equal(text, want);
    assert_int_equal(len, strlen(want));
    free(text);
}

static int num_files(void)
{
    DIR *d = opendir(root);
    struct dirent *de;
    int num = 0;

    while ((de = readdir(d)))
        num += strcmp(de->d_name, ".") && strcmp(de->d_name, "..");
    closedir(d);
    return num;
}

static const char *path_of(const char *name)
{
    static char path[512];

    snprintf(path, sizeof(path), "%s/%s", root, name);
    return path;
}

static void put_get(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(put("f", "one, and more than sixteen bytes"), 0);
    check("f", "one, and more than sixteen bytes");
    assert_int_equal(stat(path_of("f"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(put("f", ""), 0);
    check("f", "");
    assert_int_equal(num_files(), 1);
}

static void each_step_fails(void **state)
{
    int errors[] = { EIO, ENOSPC, EDQUOT };
    int e, n, rc;

    (void)state;
    assert_int_equal(put("f", "old"), 0);
    for (e = 0; e < 3; e++)
        for (n = 1; ; n++) {
            assert_int_equal(put("f", "old"), 0);
            fake_log_clear();
            fake_io_fail(n, errors[e]);
            rc = put("f", "new");
            if (fake_io_stop() < n)
                break;
            assert_int_equal(rc, e ? LIBXL_SNAPSHOT_ERROR_NO_SPACE
                                   : ERROR_FAIL);
            assert_non_null(strstr(fake_log(), root));
            /* Only the folder's fsync comes after the rename. */
            check("f", n == 5 ? "new" : "old");
            assert_int_equal(num_files(), 1);
        }
    assert_int_equal(n, 6);
}

static void too_large_to_write(void **state)
{
    struct rlimit old, limit;
    static char big[8192];

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    assert_int_equal(put("f", "old"), 0);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_int_equal(put("f", big), LIBXL_SNAPSHOT_ERROR_NO_SPACE);
    setrlimit(RLIMIT_FSIZE, &old);
    check("f", "old");
    assert_int_equal(num_files(), 1);
}

/* In place of a folder that can't be written, which root always can. */
static void folder_is_gone(void **state)
{
    (void)state;
    assert_int_equal(rmdir(root), 0);
    assert_int_equal(put("f", "new"), ERROR_FAIL);
    assert_non_null(strstr(fake_log(), "making a temporary file"));
    assert_int_equal(mkdir(root, 0700), 0);
}

static void links_are_not_followed(void **state)
{
    char *text;
    size_t len;

    (void)state;
    assert_int_equal(symlink("/etc/passwd", path_of("f")), 0);
    assert_int_equal(xluss__file_get(fake_logger(), &dir, "f", 1 << 20,
                                     &text, &len), ERROR_FAIL);
    assert_int_equal(put("f", "new"), 0);
    check("f", "new");

    assert_int_equal(symlink("/tmp", path_of("d")), 0);
    xluss__dir sub = { .fd = -1 };
    assert_int_equal(xluss__dir_open_at(fake_logger(), &dir, "d", true,
                                        &sub), ERROR_FAIL);
    xluss__dir_close(&sub);
}

static void only_regular_files(void **state)
{
    char *text;
    size_t len;

    (void)state;
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    assert_int_equal(xluss__file_get(fake_logger(), &dir, "fifo", 100, &text,
                                     &len), ERROR_FAIL);
    assert_non_null(strstr(fake_log(), "not a regular file"));
    assert_int_equal(mkdir(path_of("sub"), 0700), 0);
    assert_int_equal(xluss__file_get(fake_logger(), &dir, "sub", 100, &text,
                                     &len), ERROR_FAIL);
    assert_int_equal(xluss__file_get(fake_logger(), &dir, "none", 100, &text,
                                     &len), ERROR_NOTFOUND);
}

static void limit(void **state)
{
    char *text;
    size_t len;

    (void)state;
    assert_int_equal(put("f", "12345"), 0);
    assert_int_equal(xluss__file_get(fake_logger(), &dir, "f", 4, &text,
                                     &len), ERROR_FAIL);
    assert_non_null(strstr(fake_log(), "larger than 4 bytes"));
}

static void new_and_rename(void **state)
{
    int fd;

    (void)state;
    assert_int_equal(xluss__file_new(fake_logger(), &dir, "f", &fd), 0);
    close(fd);
    assert_int_equal(xluss__file_new(fake_logger(), &dir, "f", &fd),
                     LIBXL_SNAPSHOT_ERROR_EXISTS);
    assert_int_equal(put("g", "other"), 0);
    assert_int_equal(xluss__file_rename(fake_logger(), &dir, "f", "g"),
                     LIBXL_SNAPSHOT_ERROR_EXISTS);
    check("g", "other");
    /* A file system without RENAME_NOREPLACE. */
    fake_io_fail(1, EINVAL);
    assert_int_equal(xluss__file_rename(fake_logger(), &dir, "f", "g"),
                     ERROR_FAIL);
    fake_io_fail(1, EINVAL);
    assert_int_equal(xluss__file_rename(fake_logger(), &dir, "f", "h"), 0);
    fake_io_stop();
    assert_int_equal(xluss__file_drop(fake_logger(), &dir, "h"), 0);
    assert_int_equal(xluss__file_drop(fake_logger(), &dir, "h"), 0);
}

static void temporaries(void **state)
{
    static const char *const stay[] = {
        "a.tmp-01234567", ".a.tmp-0123456", ".a.tmp-0123456g",
        ".a.tmp-01234567.json", ".tmp-01234567", ".a.mem.tmp",
    };
    size_t i, num = sizeof(stay) / sizeof(*stay);

    (void)state;
    for (i = 0; i < num; i++)
        assert_int_equal(put(stay[i], ""), 0);
    assert_int_equal(put(".a.tmp-01234567", ""), 0);
    assert_int_equal(put(".a.json.tmp-89abcdef", ""), 0);
    xluss__temporaries_drop(fake_logger(), &dir);
    assert_int_equal(num_files(), num);
    for (i = 0; i < num; i++)
        assert_true(xluss__file_exists(&dir, stay[i]));
}

static void longest_name(void **state)
{
    char name[XLU_SNAPSHOT_NAME_MAX + 8];

    (void)state;
    memset(name, 'a', XLU_SNAPSHOT_NAME_MAX);
    strcpy(name + XLU_SNAPSHOT_NAME_MAX, ".config");
    assert_int_equal(put(name, "x"), 0);
    check(name, "x");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(put_get),
        TEST(each_step_fails),
        TEST(too_large_to_write),
        TEST(folder_is_gone),
        TEST(links_are_not_followed),
        TEST(only_regular_files),
        TEST(limit),
        TEST(new_and_rename),
        TEST(temporaries),
        TEST(longest_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
