/* SPDX-License-Identifier: LGPL-2.1-only */
/* qmp/wire.c and qmp/client.c, with servers that send what they shouldn't, die
 * or aren't there. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qmp_scene.h"

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
    qmp_tear_down(state);
    qmp_set_up(state);
    serve_one(script);
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
    serve_open(late_greeting_script);
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
    serve_open(events_first_script);
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
    serve_many(late_answer_script, 2);
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
    serve_one(no_greeting_script);
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
    serve_open(flood_script);
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
    serve_open(long_line_script);
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
    serve_open(half_reply_script);
    assert_int_equal(libxlss__qmp_run(&qmp, "do", NULL, 1000, NULL),
                     ERROR_PROTOCOL_ERROR_QMP);
    assert_logged("closed its QMP socket in the middle;");
    assert_null(qmp.error);
}

static void test_eof_qemu_died(void **state)
{
    (void)state;
    op.qemu_pid = lss_dead_pid();
    serve_open(half_reply_script);
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
    serve_open(half_reply_script);
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
    serve_open(hang_up_script);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        QMP_TEST(test_garbage),
        QMP_TEST(test_greeting_without_version),
        QMP_TEST(test_greeting_late),
        QMP_TEST(test_greeting_never),
        QMP_TEST(test_greeting_after_events),
        QMP_TEST(test_answer_to_last_session),
        QMP_TEST(test_events_dont_stretch_deadline),
        QMP_TEST(test_line_without_end),
        QMP_TEST(test_line_limit),
        QMP_TEST(test_eof_qemu_lives),
        QMP_TEST(test_eof_qemu_died),
        QMP_TEST(test_eof_qemu_dies_later),
        QMP_TEST(test_no_sigpipe),
        QMP_TEST(test_nobody_listens),
        QMP_TEST(test_path_too_long),
        QMP_TEST(test_backlog_full),
        QMP_TEST(test_backlog_gets_free),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
