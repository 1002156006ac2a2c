/* SPDX-License-Identifier: LGPL-2.1-only */
/* xl's header of a saved domain: written, read, and every way to be bad. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_lxs.h"
#include "xluss.h"

#define CONFIG "{\"c_info\":{}}"
#define CONFIG_LEN sizeof(CONFIG)       /* with its NUL */

/* As xl.h of Xen has it. */
typedef struct {
    char magic[32];
    uint32_t order, mandatory, optional, len;
    uint32_t config_len;
    char config[64];
} image;

static image fresh(void)
{
    image im = {
        .order = 0x01020304, .mandatory = 3,
        .len = 4 + CONFIG_LEN, .config_len = CONFIG_LEN,
        .config = CONFIG "\0STREAM",
    };

    memcpy(im.magic, "Xen saved domain, xl format\n \0 \r", 32);
    return im;
}

static int read_image(const void *data, size_t len, char **json, int *fd_out)
{
    int fd = memfd_create("image", 0);
    int rc;

    assert_int_equal(xluss__write_all(fd, data, len), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    fake_log_clear();
    rc = xluss__header_read(fake_logger(), fd, "/x/a.mem", json);
    if (fd_out)
        *fd_out = fd;
    else
        close(fd);
    return rc;
}

static void check_bad(const image *im, size_t len, const char *why)
{
    char *json;

    assert_int_equal(read_image(im, len, &json, NULL),
                     LIBXL_SNAPSHOT_ERROR_DAMAGED);
    assert_null(json);
    if (!strstr(fake_log(), "/x/a.mem ") || !strstr(fake_log(), why))
        fail_msg("no \"%s\" in: %s", why, fake_log());
}

static void read_good(void **state)
{
    image im = fresh();
    char *json, stream[6];
    int fd;

    (void)state;
    assert_int_equal(read_image(&im, sizeof(im), &json, &fd), 0);
    assert_string_equal(json, CONFIG);
    free(json);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 48 + 4 + CONFIG_LEN);
    close(fd);

    /* What follows the configuration in the optional data is skipped. */
    im.len += 2;
    assert_int_equal(read_image(&im, sizeof(im), &json, &fd), 0);
    free(json);
    assert_int_equal(read(fd, stream, 4), 4);
    assert_memory_equal(stream, "REAM", 4);
    close(fd);
}

static void write_read(void **state)
{
    int fd = memfd_create("image", 0);
    image im = fresh(), have;
    size_t len = 48 + 4 + CONFIG_LEN;

    (void)state;
    assert_int_equal(xluss__header_write(fake_logger(), fd, "x", CONFIG), 0);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), len);
    assert_int_equal(pread(fd, &have, sizeof(have), 0), len);
    assert_memory_equal(&have, &im, len);
    close(fd);
}

static void cut(void **state)
{
    image im = fresh();
    size_t len;

    (void)state;
    for (len = 0; len < 48 + 4 + CONFIG_LEN; len++)
        check_bad(&im, len, "ends within its header");
}

static void malformed(void **state)
{
    image im;

    (void)state;
    im = fresh(), im.magic[0] = 'x';
    check_bad(&im, sizeof(im), "is not a memory image");
    im = fresh(), im.magic[31] = 'x';
    check_bad(&im, sizeof(im), "is not a memory image");
    im = fresh(), im.order = 0x04030201;
    check_bad(&im, sizeof(im), "of the other byte order");
    im = fresh(), im.order = 0;
    check_bad(&im, sizeof(im), "its byte order is none");
    im = fresh(), im.mandatory = 7;
    check_bad(&im, sizeof(im), "needs a feature");
    im = fresh(), im.mandatory = 1u << 31 | 3;
    check_bad(&im, sizeof(im), "needs a feature");
    im = fresh(), im.mandatory = 2;
    check_bad(&im, sizeof(im), "not as JSON");
    im = fresh(), im.mandatory = 1;
    check_bad(&im, sizeof(im), "stream of an old form");
    im = fresh(), im.len = 0;
    check_bad(&im, sizeof(im), "no configuration fits in");
    im = fresh(), im.len = 5;
    check_bad(&im, sizeof(im), "no configuration fits in");
    im = fresh(), im.len = UINT32_MAX;
    check_bad(&im, sizeof(im), "too large");
    im = fresh(), im.config_len = 0;
    check_bad(&im, sizeof(im), "length of its configuration");
    im = fresh(), im.config_len = CONFIG_LEN + 1;
    check_bad(&im, sizeof(im), "length of its configuration");
    im = fresh(), im.config_len = UINT32_MAX;
    check_bad(&im, sizeof(im), "length of its configuration");
    im = fresh(), im.config_len = CONFIG_LEN - 1;
    check_bad(&im, sizeof(im), "is not text");
    im = fresh(), im.config[3] = '\0';
    check_bad(&im, sizeof(im), "is not text");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_good),
        cmocka_unit_test(write_read),
        cmocka_unit_test(cut),
        cmocka_unit_test(malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
