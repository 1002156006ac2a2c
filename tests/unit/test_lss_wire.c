/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * qmp/wire.c and qmp/client.c against a server on a thread of its own, which
 * runs a script: a function that is given the connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "lss_test.h"
#include "qmp/qmp.h"

#define GREETING "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, " \
    "\"minor\": 2, \"major\": 7}, \"package\": \"Debian\"}, " \
    "\"capabilities\": [\"oob\"]}}\r\n"
#define EVENT "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, " \
    "\"event\": \"JOB_STATUS_CHANGE\", \"data\": {\"id\": \"j\"}}\r\n"

/* Long waits are a hundred times shorter here. */
int poll(struct pollfd *fds, nfds_t nfds, int timeout)
{
    int ms = timeout > 1000 ? timeout / 100 : timeout;
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

    return syscall(SYS_ppoll, fds, nfds, timeout < 0 ? NULL : &ts, NULL, 0);
}

/* --- the server --- */

static struct server {
    int listen_fd;
    int num;                    /* connections to take, one by one */
    void (*script)(int fd, int nth);
    pthread_t thread;
    bool started;
} server;

static struct libxlss__op op;
static struct libxlss__qmp qmp;

static void put(int fd, const char *text, size_t len)
{
    while (len) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        text += n;
        len -= n;
    }
}

static void say(int fd, const char *text)
{
    put(fd, text, strlen(text));
}

/* Until the other end has read all that was sent. */
static void drain(int fd)
{
    struct pollfd p = { .fd = fd };
    int left;

    while (!ioctl(fd, SIOCOUTQ, &left) && left > 0 &&
           !(poll(&p, 1, 0) > 0 && p.revents & POLLHUP))
        sched_yield();
}

static void say_split(int fd, const char *text, size_t at)
{
    put(fd, text, at);
    drain(fd);
    say(fd, text + at);
}

/* Reads one command; its id, or 0 if the client has gone. */
static uint64_t take(int fd)
{
    char line[4096], *id;
    size_t len = 0;

    while (len < sizeof(line) - 1 && read(fd, line + len, 1) == 1)
        if (line[len++] == '\n')
            break;
    line[len] = '\0';
    id = strstr(line, "\"id\":");
    return id ? strtoull(id + 5, NULL, 10) : 0;
}

/* Answers with a member "return" or "error". */
static void answer(int fd, uint64_t id, const char *member)
{
    char text[1024];

    snprintf(text, sizeof(text), "{%s, \"id\": %" PRIu64 "}\r\n", member, id);
    say(fd, text);
}

static void greet(int fd)
{
    say(fd, GREETING);
    answer(fd, take(fd), "\"return\": {}");
}

static void wait_hangup(int fd)
{
    while (take(fd))
        ;
}

static void *serve(void *arg)
{
    int i;

    (void)arg;
    for (i = 0; i < server.num; i++) {
        int fd = accept(server.listen_fd, NULL, NULL);

        server.script(fd, i);
        close(fd);
    }
    return NULL;
}

static void listen_at(const char *path, int backlog)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };

    strcpy(addr.sun_path, path);
    server.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server.listen_fd, (struct sockaddr *)&addr,
                          sizeof(addr)), 0);
    assert_int_equal(listen(server.listen_fd, backlog), 0);
}

static void start_many(void (*script)(int fd, int nth), int num)
{
    listen_at(lss_path("qmp-libxl-5"), 8);
    server.script = script;
    server.num = num;
    server.started = true;
    assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void start(void (*script)(int fd, int nth))
{
    start_many(script, 1);
}

/* With the session open. */
static void start_open(void (*script)(int fd, int nth))
{
    start(script);
    assert_int_equal(libxlss__qmp_open(&op, &qmp), 0);
}

static int set_up(void **state)
{
    (void)state;
    lss_op_start(&op);
    libxlss__xen_run_dir = libxlss__xen_lib_dir = lss_dir();
    memset(&qmp, 0, sizeof(qmp));
    qmp.wire.fd = qmp.lock_fd = server.listen_fd = -1;
    qmp.op = &op;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    libxlss__qmp_close(&qmp);
    if (server.started)
        pthread_join(server.thread, NULL);
    server.started = false;
    if (server.listen_fd >= 0)
        close(server.listen_fd);
    lss_op_stop(&op);
    lss_dir_remove();
    return 0;
}

/* Runs a command whose reply must be {"n": N}. */
static void expect_n(uint64_t want)
{
    uint64_t n = 0;
    yajl_val v;

    assert_int_equal(libxlss__qmp_run(&qmp, "query-n", NULL, 1000, &v), 0);
    assert_true(json_u64(v, "n", &n));
    assert_true(n == want);
    yajl_tree_free(v);
}

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
    start_open(split_script);
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
    start_many(split_greeting_script, num);
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
    start(slow_capabilities_script);
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
    start_open(byte_by_byte_script);
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
    start_open(packet_script);
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
    start_open(late_script);
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
    start_open(errors_script);
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
    start_open(no_return_script);
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

/* --- bad servers --- */

static const char *bad_text;
static size_t bad_len;

static void bad_greeting_script(int fd, int nth)
{
    (void)nth;
    put(fd, bad_text, bad_len);
    wait_hangup(fd);
}

static void bad_reply_script(int fd, int nth)
{
    (void)nth;
    greet(fd);
    take(fd);
    put(fd, bad_text, bad_len);
    wait_hangup(fd);
}

static char deep[4096];

static const struct { const char *text; size_t len; } garbage[] = {
    { "hello\r\n", 7 },
    { "\r\n", 2 },
    { "[1]\r\n", 5 },
    { "12\r\n", 4 },
    { "{\"QMP\"}\r\n", 9 },
    { "{} {}\r\n", 7 },
    { "{\"a\": \"\xff\"}\r\n", 12 },
    { "{\"a\": \"\0\"}\r\n", 12 },
    { "\0\0\0\0\n", 5 },
    { deep, 2 * 600 + 9 },
};

static void make_deep(void)
{
    strcpy(deep, "{\"a\": ");
    memset(deep + 6, '[', 600);
    memset(deep + 606, ']', 600);
    strcpy(deep + 1206, "}\r\n");
}

static void restart(void **state, void (*script)(int fd, int nth))
{
    tear_down(state);
    set_up(state);
    start(script);
}

static void test_garbage(void **state)
{
    size_t i;

    make_deep();
    for (i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        bad_text = garbage[i].text;
        bad_len = garbage[i].len;
        restart(state, bad_greeting_script);
        assert_int_equal(libxlss__qmp_open(&op, &qmp),
                         ERROR_PROTOCOL_ERROR_QMP);
        assert_logged("no QMP message");
        assert_int_equal(qmp.wire.fd, -1);
        assert_int_equal(qmp.lock_fd, -1);

        restart(state, bad_reply_script);
        assert_int_equal(libxlss__qmp_open(&op, &qmp), 0);
        assert_int_equal(libxlss__qmp_run(&qmp, "do", NULL, 1000, NULL),
                         ERROR_PROTOCOL_ERROR_QMP);
        assert_logged("no QMP message");
    }
    assert_logged("deeper than 512");
}

static void test_greeting_without_version(void **state)
{
    static const char *const texts[] = {
        "{}\r\n", "{\"QMP\": 1}\r\n", "{\"QMP\": {\"version\": {}}}\r\n",
        "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7}}}}\r\n",
        "{\"QMP\": {\"version\": {\"qemu\": {\"major\": \"7\", "
        "\"minor\": 2}}}}\r\n",
    };
    size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        bad_text = texts[i];
        bad_len = strlen(bad_text);
        restart(state, bad_greeting_script);
        assert_int_equal(libxlss__qmp_open(&op, &qmp),
                         ERROR_PROTOCOL_ERROR_QMP);
        assert_logged("names no version");
    }
}

static void late_greeting_script(int fd, int nth)
{
    (void)nth;
    usleep(20000);
    greet(fd);
    wait_hangup(fd);
}

static void test_greeting_late(void **state)
{
    (void)state;
    start_open(late_greeting_script);
    assert_int_equal(qmp.version, 702);
    assert_true(qmp.lock_fd >= 0);
}

/* An event, and the answer to a client that has gone, before it is greeted. */
static void events_first_script(int fd, int nth)
{
    (void)nth;
    say(fd, EVENT);
    answer(fd, 1, "\"return\": {}");
    answer(fd, 2, "\"error\": {\"class\": \"GenericError\"}");
    say(fd, EVENT);
    greet(fd);
    wait_hangup(fd);
}

static void test_greeting_after_events(void **state)
{
    (void)state;
    start_open(events_first_script);
    assert_int_equal(qmp.version, 702);
}

/* What was asked in one session is not taken for an answer in the next. */
static uint64_t asked;

static void late_answer_script(int fd, int nth)
{
    uint64_t id;

    greet(fd);
    id = take(fd);
    if (nth == 0) {
        asked = id;
        return;
    }
    answer(fd, asked, "\"return\": {\"n\": 1}");
    answer(fd, id, "\"return\": {\"n\": 2}");
    wait_hangup(fd);
}

static void test_answer_to_last_session(void **state)
{
    (void)state;
    start_many(late_answer_script, 2);
    assert_int_equal(libxlss__qmp_open(&op, &qmp), 0);
    assert_int_not_equal(libxlss__qmp_run(&qmp, "do", NULL, 1000, NULL), 0);
    libxlss__qmp_close(&qmp);
    usleep(2000);
    assert_int_equal(libxlss__qmp_open(&op, &qmp), 0);
    expect_n(2);
}

static void no_greeting_script(int fd, int nth)
{
    (void)nth;
    wait_hangup(fd);
}

static void test_greeting_never(void **state)
{
    int fds = lss_num_fds();

    (void)state;
    start(no_greeting_script);
    assert_int_equal(libxlss__qmp_open(&op, &qmp), ERROR_TIMEDOUT);
    assert_logged("did not answer");
    /* The connection is given up, and libxl's lock. */
    assert_int_equal(qmp.wire.fd, -1);
    assert_int_equal(qmp.lock_fd, -1);
    assert_int_not_equal(access(lss_path("userdata-l.5." LSS_UUID
                                         ".qmp-socket-lock"), F_OK), 0);
    pthread_join(server.thread, NULL);
    server.started = false;
    assert_int_equal(lss_num_fds(), fds + 1);   /* the listening one */
}

/* Sent before the command is: it must not matter how fast events come. */
static void flood_script(int fd, int nth)
{
    uint64_t id;
    int i;

    (void)nth;
    say(fd, GREETING);
    id = take(fd);
    answer(fd, id, "\"return\": {}");
    for (i = 0; i < 100; i++)
        say(fd, EVENT);
    answer(fd, id + 1, "\"return\": {}");
    shutdown(fd, SHUT_WR);
    wait_hangup(fd);
}

static void test_events_dont_stretch_deadline(void **state)
{
    char byte;

    (void)state;
    start_open(flood_script);
    /* All is there once the end is. */
    while (recv(qmp.wire.fd, &byte, 1, MSG_PEEK) < 0)
        sched_yield();
    usleep(5000);
    assert_int_equal(libxlss__qmp_run(&qmp, "do", NULL, 0, NULL),
                     ERROR_TIMEDOUT);
    assert_logged("did not answer");
}

static void long_line_script(int fd, int nth)
{
    struct pollfd p = { .fd = fd };
    char text[1000];

    (void)nth;
    greet(fd);
    take(fd);
    memset(text, ' ', sizeof(text));
    while (!(poll(&p, 1, 0) > 0 && p.revents & POLLHUP))
        put(fd, text, sizeof(text));
}

static void test_line_without_end(void **state)
{
    (void)state;
    start_open(long_line_script);
    qmp.wire.max = 200000;
    assert_int_equal(libxlss__qmp_run(&qmp, "do", NULL, 10000, NULL),
                     ERROR_PROTOCOL_ERROR_QMP);
    assert_logged("longer than 200000 bytes");
    assert_true(qmp.wire.size < 1000000);
}

/* The limit is exact, wherever the line's end is when it is reached. */
static void test_line_limit(void **state)
{
    static const size_t max[] = { 1, 100, 65535, 65536, 65537, 100000 };
    size_t i, len, size = 200000;
    char *text = malloc(size);
    const char *line;

    (void)state;
    memset(text, 'x', size);
    for (i = 0; i < 2 * sizeof(max) / sizeof(max[0]); i++) {
        struct libxlss__wire w = { .max = max[i / 2] };
        size_t n = w.max + i % 2;
        int s[2], rc, room = 1 << 20;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
                                    s), 0);
        setsockopt(s[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
        w.fd = s[0];
        put(s[1], text, n);
        put(s[1], "\n", 1);
        rc = libxlss__wire_line(&op, &w, libxlss__now_ms() + 100, &line,
                                &len);
        assert_int_equal(rc, i % 2 ? ERROR_PROTOCOL_ERROR_QMP : 0);
        if (!rc)
            assert_int_equal(len, n);
        close(s[1]);
        libxlss__wire_close(&w);
    }
    free(text);
}

static void half_reply_script(int fd, int nth)
{
    (void)nth;
    greet(fd);
    take(fd);
    say(fd, EVENT "{\"return\": {");
}

static void test_eof_qemu_lives(void **state)
{
    (void)state;
    op.qemu_pid = getpid();
    start_open(half_reply_script);
    assert_int_equal(libxlss__qmp_run(&qmp, "do", NULL, 1000, NULL),
                     ERROR_PROTOCOL_ERROR_QMP);
    assert_logged("closed its QMP socket in the middle;");
    assert_null(qmp.error);
}

static void test_eof_qemu_died(void **state)
{
    (void)state;
    op.qemu_pid = lss_dead_pid();
    start_open(half_reply_script);
    assert_int_equal(libxlss__qmp_run(&qmp, "do", NULL, 1000, NULL),
                     LIBXL_SNAPSHOT_ERROR_QEMU_DIED);
    assert_logged("the device model has died");
}

/* It closes its socket some moments before it ends. */
static void *end_soon(void *arg)
{
    int *fd = arg;

    usleep(10000);
    close(*fd);
    return NULL;
}

static void test_eof_qemu_dies_later(void **state)
{
    pthread_t thread;
    int p[2];
    char c;

    (void)state;
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    op.qemu_pid = fork();
    if (!op.qemu_pid) {
        close(p[1]);
        _exit(read(p[0], &c, 1));
    }
    close(p[0]);
    start_open(half_reply_script);
    assert_int_equal(pthread_create(&thread, NULL, end_soon, &p[1]), 0);
    assert_int_equal(libxlss__qmp_run(&qmp, "do", NULL, 1000, NULL),
                     LIBXL_SNAPSHOT_ERROR_QEMU_DIED);
    pthread_join(thread, NULL);
    /* Not reaped until now: a zombie is dead. */
    assert_int_equal(waitpid(op.qemu_pid, NULL, 0), op.qemu_pid);
}

static int num_sigpipe;

static void count_sigpipe(int sig)
{
    (void)sig;
    num_sigpipe++;
}

static void hang_up_script(int fd, int nth)
{
    (void)nth;
    greet(fd);
}

static void test_no_sigpipe(void **state)
{
    struct sigaction old, sa = { .sa_handler = count_sigpipe };
    int rc;

    (void)state;
    op.qemu_pid = getpid();
    start_open(hang_up_script);
    pthread_join(server.thread, NULL);
    server.started = false;
    num_sigpipe = 0;
    sigaction(SIGPIPE, &sa, &old);
    rc = libxlss__qmp_run(&qmp, "do", NULL, 1000, NULL);
    sigaction(SIGPIPE, &old, NULL);
    assert_int_equal(num_sigpipe, 0);
    assert_int_equal(rc, ERROR_PROTOCOL_ERROR_QMP);
    assert_logged("closed its QMP socket");
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
    start_open(big_script);
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
    start_open(deaf_script);
    rc = libxlss__qmp_run(&qmp, "do", arguments, 20, NULL);
    pthread_mutex_unlock(&may_read);
    free(arguments);
    assert_int_equal(rc, ERROR_TIMEDOUT);
}

/* --- connecting --- */

static void test_nobody_listens(void **state)
{
    uint64_t soon = libxlss__now_ms() + 1000;
    struct libxlss__wire w;

    (void)state;
    op.qemu_pid = getpid();
    assert_int_equal(libxlss__wire_connect(&op, &w, lss_path("none"), soon),
                     ERROR_FAIL);
    assert_logged("No such file");
    assert_int_equal(w.fd, -1);
    op.qemu_pid = lss_dead_pid();
    assert_int_equal(libxlss__wire_connect(&op, &w, lss_path("none"), soon),
                     LIBXL_SNAPSHOT_ERROR_QEMU_DIED);
    listen_at(lss_path("closed"), 0);
    close(server.listen_fd);
    server.listen_fd = -1;
    assert_int_equal(libxlss__wire_connect(&op, &w, lss_path("closed"), soon),
                     LIBXL_SNAPSHOT_ERROR_QEMU_DIED);
    assert_logged("Connection refused");
}

static void test_path_too_long(void **state)
{
    struct libxlss__wire w;
    char path[200];

    (void)state;
    memset(path, 'p', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(libxlss__wire_connect(&op, &w, path, UINT64_MAX),
                     ERROR_INVAL);
    path[107] = '\0';           /* as long as can be: is tried */
    op.qemu_pid = getpid();
    assert_int_equal(libxlss__wire_connect(&op, &w, path, UINT64_MAX),
                     ERROR_FAIL);
    assert_logged("No such file");
}

static void test_backlog_full(void **state)
{
    uint64_t began = libxlss__now_ms();
    struct libxlss__wire w, more[8];
    int num = 0, i;

    (void)state;
    op.qemu_pid = getpid();
    listen_at(lss_path("full"), 1);
    while (num < 8 && !libxlss__wire_connect(&op, &more[num],
                                             lss_path("full"), 0))
        num++;
    assert_in_range(num, 1, 7);
    lss_log_clear();
    assert_int_equal(libxlss__wire_connect(&op, &w, lss_path("full"),
                                           libxlss__now_ms() + 20),
                     ERROR_TIMEDOUT);
    assert_true(libxlss__now_ms() - began >= 20);
    assert_logged("cannot connect to QEMU");
    assert_int_equal(w.fd, -1);
    for (i = 0; i < num; i++)
        libxlss__wire_close(&more[i]);
}

static void *accept_soon(void *arg)
{
    int fd;

    (void)arg;
    usleep(20000);
    fd = accept(server.listen_fd, NULL, NULL);
    close(fd);
    return NULL;
}

static void test_backlog_gets_free(void **state)
{
    struct libxlss__wire w, more[8];
    pthread_t thread;
    int num = 0, i;

    (void)state;
    listen_at(lss_path("full"), 1);
    while (num < 8 && !libxlss__wire_connect(&op, &more[num],
                                             lss_path("full"), 0))
        num++;
    assert_int_equal(pthread_create(&thread, NULL, accept_soon, NULL), 0);
    assert_int_equal(libxlss__wire_connect(&op, &w, lss_path("full"),
                                           libxlss__now_ms() + 5000), 0);
    pthread_join(thread, NULL);
    assert_true(w.fd >= 0);
    libxlss__wire_close(&w);
    for (i = 0; i < num; i++)
        libxlss__wire_close(&more[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reply_split_everywhere),
        TEST(test_greeting_split_everywhere),
        TEST(test_close_at_once),
        TEST(test_byte_by_byte),
        TEST(test_messages_in_one_packet),
        TEST(test_lines),
        TEST(test_late_reply),
        TEST(test_errors),
        TEST(test_no_return),
        TEST(test_garbage),
        TEST(test_greeting_without_version),
        TEST(test_greeting_late),
        TEST(test_greeting_never),
        TEST(test_greeting_after_events),
        TEST(test_answer_to_last_session),
        TEST(test_events_dont_stretch_deadline),
        TEST(test_line_without_end),
        TEST(test_line_limit),
        TEST(test_eof_qemu_lives),
        TEST(test_eof_qemu_died),
        TEST(test_eof_qemu_dies_later),
        TEST(test_no_sigpipe),
        TEST(test_big_reply),
        TEST(test_send_times_out),
        TEST(test_nobody_listens),
        TEST(test_path_too_long),
        TEST(test_backlog_full),
        TEST(test_backlog_gets_free),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
