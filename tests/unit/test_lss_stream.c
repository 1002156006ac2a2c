/* SPDX-License-Identifier: LGPL-2.1-only */
/* stream.c: a valid stream is made here, then cut and bent. */
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lss_test.h"

/* libxl-migration-stream and libxc-migration-stream, of Xen's docs/specs */
enum { XL_END, XL_LIBXC, XL_XENSTORE, XL_EMULATOR, XL_CHECKPOINT_END,
       XL_CHECKPOINT_STATE, XL_UNKNOWN };
enum { XC_END, XC_PAGE_DATA, XC_X86_PV_INFO, XC_TSC_INFO = 7 };

static struct {
    unsigned char data[4096];
    size_t len;
} s;

static struct libxlss__op op;
static int fd;
static libxl_snapshot_how how;

/* Where things are in the stream, to bend them. */
static size_t at_libxc, at_domain, at_page, at_emulator, at_end;

static void add(const void *data, size_t len)
{
    assert_true(s.len + len <= sizeof(s.data));
    memcpy(s.data + s.len, data, len);
    s.len += len;
}

static void add32(uint32_t n)
{
    add(&n, sizeof(n));
}

static void set32(size_t at, uint32_t n)
{
    memcpy(s.data + at, &n, sizeof(n));
}

/* A record with a body of so many bytes, padded to eight. */
static size_t record(uint32_t type, uint32_t length)
{
    size_t at = s.len;
    uint32_t i;

    add32(type);
    add32(length);
    for (i = 0; i < ((length + 7) & ~7u); i++)
        add(&(unsigned char){ i < length ? 0xa5 : 0 }, 1);
    return at;
}

static void make_libxc(void)
{
    at_libxc = s.len;
    add32(0xffffffff);
    add32(0xffffffff);
    add32(htobe32(0x58454e46));
    add32(htobe32(3));
    add32(0);                   /* options, little-endian */
    add32(0);
    at_domain = s.len;
    add32(1);                   /* x86 PV */
    add32(12);                  /* page shift */
    add32(4);
    add32(17);
    record(XC_X86_PV_INFO, 8);
    at_page = record(XC_PAGE_DATA, 300);
    record(XC_TSC_INFO, 24);
    record(XC_PAGE_DATA, 0);
    record(XC_END, 0);
}

static void make_stream(void)
{
    s.len = 0;
    add32(htobe32(0x4c696278)); /* "LibxlFmt" */
    add32(htobe32(0x6c466d74));
    add32(htobe32(2));
    add32(htobe32(0));
    record(XL_LIBXC, 0);
    make_libxc();
    record(XL_XENSTORE, 13);
    at_emulator = record(XL_EMULATOR, 77);
    at_end = record(XL_END, 0);
}

static int verify_at(off_t start, size_t len)
{
    int rc;

    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, s.data, len, start), len);
    assert_int_equal(lseek(fd, start, SEEK_SET), start);
    rc = libxlss__stream_verify(&op, fd);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), start);
    return rc;
}

static int verify(void)
{
    return verify_at(0, s.len);
}

static void damaged(const char *why)
{
    lss_log_clear();
    assert_int_equal(verify(), LIBXL_SNAPSHOT_ERROR_DAMAGED);
    assert_logged("memory image is damaged at byte ");
    if (!strstr(lss_log(), why))
        print_error("%s is not in: %s", why, lss_log());
    assert_non_null(strstr(lss_log(), why));
}

static int set_up(void **state)
{
    (void)state;
    lss_op_start(&op);
    memset(&how, 0, sizeof(how));
    op.how = &how;
    fd = open(lss_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        fd = open(lss_path("image"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    make_stream();
    return fd < 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(fd);
    lss_op_stop(&op);
    lss_dir_remove();
    return 0;
}

static void test_good(void **state)
{
    (void)state;
    assert_int_equal(verify(), 0);
    assert_int_equal(verify_at(1000, s.len), 0);
    assert_string_equal(lss_log(), "");
    /* What follows is the caller's. */
    record(XL_UNKNOWN, 3);
    assert_int_equal(verify(), 0);
}

/* Checkpointed streams have records of two types more. */
static void test_all_types(void **state)
{
    (void)state;
    s.len = at_end;
    record(XL_CHECKPOINT_END, 0);
    record(XL_CHECKPOINT_STATE, 4);
    record(XL_END, 0);
    assert_int_equal(verify(), 0);
}

static void test_cut_off_everywhere(void **state)
{
    size_t len, full = s.len;

    (void)state;
    for (len = 0; len < full; len++) {
        lss_log_clear();
        if (verify_at(0, len) != LIBXL_SNAPSHOT_ERROR_DAMAGED)
            print_error("cut off at %zu\n", len);
        assert_int_equal(verify_at(0, len), LIBXL_SNAPSHOT_ERROR_DAMAGED);
        assert_logged("it ends ");
        assert_int_equal(verify_at(1000, len), LIBXL_SNAPSHOT_ERROR_DAMAGED);
    }
    assert_int_equal(verify_at(0, full), 0);
}

static void test_position_is_behind_end(void **state)
{
    (void)state;
    assert_int_equal(ftruncate(fd, 10), 0);
    lseek(fd, 5000, SEEK_SET);
    assert_int_equal(libxlss__stream_verify(&op, fd),
                     LIBXL_SNAPSHOT_ERROR_DAMAGED);
    assert_logged("it ends too early");
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 5000);
}

static void test_magic(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < 8; i++) {
        s.data[i] ^= 1;
        damaged("no libxl stream of version 2");
        s.data[i] ^= 1;
    }
    /* At the header of xl's file: the caller forgot to skip it. */
    memcpy(s.data, "Xen saved domain, xl format\n \0 \r", 32);
    damaged("no libxl stream");
}

static void test_version(void **state)
{
    (void)state;
    set32(8, htobe32(1));
    damaged("version 2");
    set32(8, htobe32(3));
    damaged("version 2");
    set32(8, 2);                /* in the wrong order of bytes */
    damaged("version 2");
}

static void test_options(void **state)
{
    (void)state;
    set32(12, htobe32(1));
    damaged("of another machine or of old Xen");
    set32(12, htobe32(2));
    damaged("of another machine or of old Xen");
}

static void test_libxc_header(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < 12; i++) {
        s.data[at_libxc + i] ^= 0x10;
        damaged("no libxc stream");
        s.data[at_libxc + i] ^= 0x10;
    }
    /* The domain header's contents are libxc's business. */
    set32(at_domain, 2);
    assert_int_equal(verify(), 0);
}

static void test_unknown_record(void **state)
{
    (void)state;
    set32(at_emulator, XL_UNKNOWN);
    damaged("a record of unknown type");
    set32(at_emulator, 0x80000003);
    damaged("a record of unknown type");
}

static void test_lengths(void **state)
{
    (void)state;
    set32(at_emulator + 4, 0xffffffff);
    damaged("longer than any can be");
    set32(at_emulator + 4, (256u << 20) + 1);
    damaged("longer than any can be");
    set32(at_emulator + 4, 256u << 20);
    damaged("in the middle of a record");
    set32(at_emulator + 4, 77 + 16);    /* up to the file's end */
    damaged("it ends ");
    set32(at_emulator + 4, 77);
    set32(at_page + 4, 0xfffffff9);     /* padded, it wraps around to 0 */
    damaged("longer than any can be");
}

/* The end of libxc's stream isn't that of libxl's. */
static void test_ends(void **state)
{
    (void)state;
    set32(at_end, XL_XENSTORE);
    damaged("it ends too early");
    make_stream();
    set32(at_page, XC_END);     /* then libxl's records would follow */
    assert_int_equal(verify(), LIBXL_SNAPSHOT_ERROR_DAMAGED);
}

/* --- progress --- */

static struct {
    int calls, abort_at;
    uint64_t last, total;
} heard;

static int hear(libxl_ctx *ctx, libxl_snapshot_step step, uint64_t done,
                uint64_t total, void *user)
{
    (void)ctx;
    assert_ptr_equal(user, &heard);
    assert_int_equal(step, LIBXL_SNAPSHOT_STEP_VERIFY);
    assert_true(done > heard.last);
    assert_true(!total || done <= total);
    heard.last = done;
    heard.total = total;
    return ++heard.calls == heard.abort_at ? -4242 : 0;
}

static void test_progress(void **state)
{
    int i, calls;

    (void)state;
    how.step = hear;
    how.user = &heard;
    memset(&heard, 0, sizeof(heard));
    assert_int_equal(verify_at(1000, s.len), 0);
    assert_int_equal(heard.calls, 5);   /* records of libxc */
    assert_true(heard.total == s.len);
    assert_true(heard.last < s.len);
    calls = heard.calls;
    for (i = 1; i <= calls; i++) {
        memset(&heard, 0, sizeof(heard));
        heard.abort_at = i;
        assert_int_equal(verify(), -4242);
        assert_int_equal(heard.calls, i);
    }
}

/* The first len bytes come through a pipe; *left_r: what is left in it. */
static int verify_piped(size_t len, size_t *left_r)
{
    char some[4096];
    ssize_t n;
    int p[2], rc;

    assert_int_equal(pipe(p), 0);
    assert_int_equal(write(p[1], s.data, len), len);
    close(p[1]);
    memset(&heard, 0, sizeof(heard));
    rc = libxlss__stream_verify(&op, p[0]);
    for (*left_r = 0; (n = read(p[0], some, sizeof(some))) > 0;)
        *left_r += n;
    close(p[0]);
    return rc;
}

static void test_pipe(void **state)
{
    size_t len, left;

    (void)state;
    how.step = hear;
    how.user = &heard;
    assert_int_equal(verify_piped(s.len, &left), 0);
    assert_int_equal(left, 0);
    assert_int_equal(heard.calls, 5);
    assert_true(heard.total == 0);
    for (len = 0; len < s.len; len++) {
        lss_log_clear();
        assert_int_equal(verify_piped(len, &left),
                         LIBXL_SNAPSHOT_ERROR_DAMAGED);
        assert_logged("it ends too early");
    }
    /* What comes behind the end is the caller's business. */
    add32(1);
    assert_int_equal(verify_piped(s.len, &left), 0);
    assert_int_equal(left, 4);
}

static void test_no_file(void **state)
{
    (void)state;
    assert_int_equal(libxlss__stream_verify(&op, -1), ERROR_INVAL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_good),
        TEST(test_all_types),
        TEST(test_cut_off_everywhere),
        TEST(test_position_is_behind_end),
        TEST(test_magic),
        TEST(test_version),
        TEST(test_options),
        TEST(test_libxc_header),
        TEST(test_unknown_record),
        TEST(test_lengths),
        TEST(test_ends),
        TEST(test_progress),
        TEST(test_pipe),
        TEST(test_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
