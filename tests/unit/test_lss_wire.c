/* SPDX-License-Identifier: LGPL-2.1-only */
/* qmp/wire.c and qmp/client.c, with a server that does as it should; how the
 * bytes come is another thing. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qmp_scene.h"

/* --- framing --- */

static char split_reply[1024];

static size_t make_split_reply(uint64_t id, uint64_t n)
{
    return snprintf(split_reply, sizeof(split_reply), EVENT
                    "{\"return\": {\"n\": %" PRIu64 "}, \"id\": %" PRIu64
                    "}\r\n", n, id);
}

/* The ids grow, but they are all of one length. */
static void split_script(int fd, int nth)
{
    size_t at = 0, len;

    (void)nth;
    greet(fd);
    do {
        uint64_t id = take(fd);

        if (!id)
            return;
        len = make_split_reply(id, 1000 + at);
        say_split(fd, split_reply, at);
    } while (at++ < len);
    wait_hangup(fd);
}

static void test_reply_split_everywhere(void **state)
{
    size_t i, len;

    (void)state;
    serve_open(split_script);
    len = make_split_reply(qmp.next_id, 1000);
    assert_true(len > 100);
    for (i = 0; i <= len; i++)
        expect_n(1000 + i);
}

static void split_greeting_script(int fd, int nth)
{
    say_split(fd, GREETING, nth);
    answer(fd, take(fd), "\"return\": {}");
    wait_hangup(fd);
}

static void test_greeting_split_everywhere(void **state)
{
    int i, num = strlen(GREETING);

    (void)state;
    serve_many(split_greeting_script, num);
    for (i = 0; i < num; i++) {
        assert_int_equal(libxlss__qmp_open(&op, &qmp), 0);
        assert_int_equal(qmp.version, 702);
        libxlss__qmp_close(&qmp);
    }
}

/* QEMU, which is slow to answer, must have nothing left for the next client,
 * libxl perhaps, when we go. */
static bool was_heard;

static void slow_capabilities_script(int fd, int nth)
{
    char text[64];
    int n;

    (void)nth;
    say(fd, GREETING);
    n = snprintf(text, sizeof(text), "{\"return\": {}, \"id\": %" PRIu64
                 "}\r\n", take(fd));
    libxlss__sleep_ms(100);
    was_heard = send(fd, text, n, MSG_NOSIGNAL) == n;
}

static void test_close_at_once(void **state)
{
    (void)state;
    was_heard = false;
    serve_one(slow_capabilities_script);
    assert_int_equal(libxlss__qmp_open(&op, &qmp), 0);
    libxlss__qmp_close(&qmp);
    pthread_join(server.thread, NULL);
    server.started = false;
    assert_true(was_heard);
}

static void byte_by_byte_script(int fd, int nth)
{
    size_t i, len;

    (void)nth;
    greet(fd);
    len = make_split_reply(take(fd), 7);
    for (i = 0; i < len; i++) {
        put(fd, split_reply + i, 1);
        drain(fd);
    }
    wait_hangup(fd);
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    serve_open(byte_by_byte_script);
    expect_n(7);
}

/* All in one packet; what comes after the reply waits for the next. */
static void packet_script(int fd, int nth)
{
    char text[1024];
    uint64_t id;

    (void)nth;
    greet(fd);
    id = take(fd);
    snprintf(text, sizeof(text), EVENT EVENT "{\"return\": {\"n\": 1}, "
             "\"id\": %" PRIu64 "}\r\n" EVENT "{\"id\": %" PRIu64 ", "
             "\"return\": {\"n\": 2}}\r\n" EVENT "\n", id, id + 1);
    say(fd, text);
    take(fd);
    id = take(fd);
    say(fd, EVENT);
    answer(fd, id, "\"return\": {\"n\": 3}");
    wait_hangup(fd);
}

static void test_messages_in_one_packet(void **state)
{
    uint64_t id;

    (void)state;
    serve_open(packet_script);
    id = qmp.next_id;
    expect_n(1);
    expect_n(2);
    assert_true(qmp.next_id == id + 2);
    /* An empty line is no message. */
    assert_int_equal(libxlss__qmp_run(&qmp, "query-n", NULL, 1000, NULL),
                     ERROR_PROTOCOL_ERROR_QMP);
}

/* \n alone ends a line, too, and \r in it isn't taken off. */
static void test_lines(void **state)
{
    uint64_t soon = libxlss__now_ms() + 1000;
    struct libxlss__wire w = { .max = 100 };
    static const char text[] = "one\ntwo\r\n\r\na\rb\nrest";
    static const char *const want[] = { "one", "two", "", "a\rb" };
    const char *line;
    size_t i, len;
    int s[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s),
                     0);
    w.fd = s[0];
    put(s[1], text, sizeof(text) - 1);
    for (i = 0; i < 4; i++) {
        assert_int_equal(libxlss__wire_line(&op, &w, soon, &line, &len), 0);
        assert_int_equal(len, strlen(want[i]));
        assert_memory_equal(line, want[i], len);
    }
    assert_int_equal(libxlss__wire_line(&op, &w, libxlss__now_ms() + 5,
                                        &line, &len), ERROR_TIMEDOUT);
    /* What was read before the time-out isn't lost. */
    say(s[1], "+\n");
    assert_int_equal(libxlss__wire_line(&op, &w, soon, &line, &len), 0);
    assert_int_equal(len, 5);
    assert_memory_equal(line, "rest+", 5);
    close(s[1]);
    libxlss__wire_close(&w);
}

/* --- replies --- */

static void late_script(int fd, int nth)
{
    uint64_t first, second;

    (void)nth;
    greet(fd);
    first = take(fd);
    second = take(fd);
    answer(fd, first, "\"return\": {\"n\": 1}");
    answer(fd, 0, "\"return\": {\"n\": 0}");
    say(fd, "{\"return\": {\"n\": 3}, \"id\": \"x\"}\r\n");
    say(fd, "{\"return\": {\"n\": 4}}\r\n");
    answer(fd, second, "\"return\": {\"n\": 2}");
    wait_hangup(fd);
}

static void test_late_reply(void **state)
{
    yajl_val v;

    (void)state;
    serve_open(late_script);
    assert_int_equal(libxlss__qmp_run(&qmp, "query-n", NULL, 10, &v),
                     ERROR_TIMEDOUT);
    assert_null(v);
    assert_logged("did not answer");
    expect_n(2);
}

static const struct {
    const char *error;
    int rc;
    const char *sentence;
} errors[] = {
    { "{\"class\": \"GenericError\", \"desc\": \"Job 'x' not found\"}",
      ERROR_QMP_GENERIC_ERROR, "Job 'x' not found" },
    { "{\"class\": \"CommandNotFound\", \"desc\": \"no such\"}",
      ERROR_QMP_COMMAND_NOT_FOUND, "no such" },
    { "{\"class\": \"DeviceNotActive\", \"desc\": \"idle\"}",
      ERROR_QMP_DEVICE_NOT_ACTIVE, "idle" },
    { "{\"class\": \"DeviceNotFound\", \"desc\": \"nowhere\"}",
      ERROR_QMP_DEVICE_NOT_FOUND, "nowhere" },
    { "{\"class\": \"Novel\", \"desc\": \"new\"}",
      ERROR_QMP_GENERIC_ERROR, "new" },
    { "{\"class\": \"GenericError\", \"desc\": \"Failed to create snapshot "
      "'s' on device 'xvda-qcow2': No space left on device\"}",
      LIBXL_SNAPSHOT_ERROR_NO_SPACE, "Failed to create snapshot 's' on "
      "device 'xvda-qcow2': No space left on device" },
    { "{\"class\": 1, \"desc\": []}", ERROR_QMP_GENERIC_ERROR,
      "(QEMU gave no reason)" },
    { "{}", ERROR_QMP_GENERIC_ERROR, "(QEMU gave no reason)" },
};
#define NUM_ERRORS ((int)(sizeof(errors) / sizeof(errors[0])))

static void errors_script(int fd, int nth)
{
    char text[512];
    int i;

    (void)nth;
    greet(fd);
    for (i = 0; i < 2 * NUM_ERRORS; i++) {
        snprintf(text, sizeof(text), "\"error\": %s", errors[i / 2].error);
        answer(fd, take(fd), text);
    }
    answer(fd, take(fd), "\"return\": {\"n\": 9}");
    wait_hangup(fd);
}

static void test_errors(void **state)
{
    yajl_val v;
    int i;

    (void)state;
    serve_open(errors_script);
    for (i = 0; i < NUM_ERRORS; i++) {
        lss_log_clear();
        assert_int_equal(libxlss__qmp_try(&qmp, "do", "{\"a\":1}", 1000, &v),
                         errors[i].rc);
        assert_null(v);
        assert_string_equal(qmp.error, errors[i].sentence);
        assert_string_equal(lss_log(), "");
        assert_int_equal(libxlss__qmp_run(&qmp, "do", NULL, 1000, NULL),
                         errors[i].rc);
        assert_string_equal(qmp.error, errors[i].sentence);
        assert_logged("QEMU refused do: ");
        assert_non_null(strstr(lss_log(), errors[i].sentence));
        assert_logged(LSS_NAME);
    }
    expect_n(9);
    assert_null(qmp.error);
}

static void no_return_script(int fd, int nth)
{
    (void)nth;
    greet(fd);
    answer(fd, take(fd), "\"result\": {}");
    answer(fd, take(fd), "\"return\": null");
    say(fd, "{\"error\": {\"class\": \"GenericError\", \"desc\": "
        "\"JSON parse error\"}}\r\n");
    wait_hangup(fd);
}

static void test_no_return(void **state)
{
    yajl_val v;

    (void)state;
    serve_open(no_return_script);
    assert_int_equal(libxlss__qmp_run(&qmp, "do", NULL, 1000, &v),
                     ERROR_PROTOCOL_ERROR_QMP);
    assert_null(v);
    assert_logged("reply to do has no return");
    assert_int_equal(libxlss__qmp_run(&qmp, "do", NULL, 1000, &v), 0);
    assert_true(YAJL_IS_NULL(v));
    yajl_tree_free(v);
    assert_int_equal(libxlss__qmp_run(&qmp, "do", NULL, 1000, &v),
                     ERROR_PROTOCOL_ERROR_QMP);
    assert_logged("could not read the command");
}

/* --- sizes --- */

#define BIG (5u << 20)

static void big_script(int fd, int nth)
{
    char *text = malloc(BIG), end[64];
    uint64_t id;

    (void)nth;
    memset(text, 'z', BIG);
    greet(fd);
    id = take(fd);
    say(fd, "{\"return\": {\"text\": \"");
    put(fd, text, BIG);
    snprintf(end, sizeof(end), "\"}, \"id\": %" PRIu64 "}\r\n", id);
    say(fd, end);
    answer(fd, take(fd), "\"return\": {\"n\": 8}");
    wait_hangup(fd);
    free(text);
}

static void test_big_reply(void **state)
{
    const char *text;
    yajl_val v;

    (void)state;
    serve_open(big_script);
    assert_int_equal(libxlss__qmp_run(&qmp, "do", NULL, 5000, &v), 0);
    text = json_string(v, "text");
    assert_non_null(text);
    assert_int_equal(strlen(text), BIG);
    assert_int_equal(strspn(text, "z"), BIG);
    yajl_tree_free(v);
    expect_n(8);
}

static pthread_mutex_t may_read = PTHREAD_MUTEX_INITIALIZER;

static void deaf_script(int fd, int nth)
{
    (void)nth;
    greet(fd);
    pthread_mutex_lock(&may_read);
    pthread_mutex_unlock(&may_read);
}

/* A server that doesn't read: the command doesn't get out in time. */
static void test_send_times_out(void **state)
{
    char *arguments = malloc(BIG);
    int rc;

    (void)state;
    memset(arguments, ' ', BIG);
    arguments[BIG - 1] = '\0';
    pthread_mutex_lock(&may_read);
    serve_open(deaf_script);
    rc = libxlss__qmp_run(&qmp, "do", arguments, 20, NULL);
    pthread_mutex_unlock(&may_read);
    free(arguments);
    assert_int_equal(rc, ERROR_TIMEDOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        QMP_TEST(test_reply_split_everywhere),
        QMP_TEST(test_greeting_split_everywhere),
        QMP_TEST(test_close_at_once),
        QMP_TEST(test_byte_by_byte),
        QMP_TEST(test_messages_in_one_packet),
        QMP_TEST(test_lines),
        QMP_TEST(test_late_reply),
        QMP_TEST(test_errors),
        QMP_TEST(test_no_return),
        QMP_TEST(test_big_reply),
        QMP_TEST(test_send_times_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
