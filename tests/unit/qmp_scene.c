/* SPDX-License-Identifier: LGPL-2.1-only */
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "qmp_scene.h"

/* Long waits are a hundred times shorter here. */
int poll(struct pollfd *fds, nfds_t nfds, int timeout)
{
    int ms = timeout > 1000 ? timeout / 100 : timeout;
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

    return syscall(SYS_ppoll, fds, nfds, timeout < 0 ? NULL : &ts, NULL, 0);
}

struct server server;

struct libxlss__op op;
struct libxlss__qmp qmp;

void put(int fd, const char *text, size_t len)
{
    while (len) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        text += n;
        len -= n;
    }
}

void say(int fd, const char *text)
{
    put(fd, text, strlen(text));
}

void drain(int fd)
{
    struct pollfd p = { .fd = fd };
    int left;

    while (!ioctl(fd, SIOCOUTQ, &left) && left > 0 &&
           !(poll(&p, 1, 0) > 0 && p.revents & POLLHUP))
        sched_yield();
}

void say_split(int fd, const char *text, size_t at)
{
    put(fd, text, at);
    drain(fd);
    say(fd, text + at);
}

uint64_t take(int fd)
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

void answer(int fd, uint64_t id, const char *member)
{
    char text[1024];

    snprintf(text, sizeof(text), "{%s, \"id\": %" PRIu64 "}\r\n", member, id);
    say(fd, text);
}

void greet(int fd)
{
    say(fd, GREETING);
    answer(fd, take(fd), "\"return\": {}");
}

void wait_hangup(int fd)
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

void listen_at(const char *path, int backlog)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };

    strcpy(addr.sun_path, path);
    server.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server.listen_fd, (struct sockaddr *)&addr,
                          sizeof(addr)), 0);
    assert_int_equal(listen(server.listen_fd, backlog), 0);
}

void serve_many(void (*script)(int fd, int nth), int num)
{
    listen_at(lss_path("qmp-libxl-5"), 8);
    server.script = script;
    server.num = num;
    server.started = true;
    assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

void serve_one(void (*script)(int fd, int nth))
{
    serve_many(script, 1);
}

void serve_open(void (*script)(int fd, int nth))
{
    serve_one(script);
    assert_int_equal(libxlss__qmp_open(&op, &qmp), 0);
}

int qmp_set_up(void **state)
{
    (void)state;
    lss_op_start(&op);
    libxlss__xen_run_dir = libxlss__xen_lib_dir = lss_dir();
    memset(&qmp, 0, sizeof(qmp));
    qmp.wire.fd = qmp.lock_fd = server.listen_fd = -1;
    qmp.op = &op;
    return 0;
}

int qmp_tear_down(void **state)
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

void expect_n(uint64_t want)
{
    uint64_t n = 0;
    yajl_val v;

    assert_int_equal(libxlss__qmp_run(&qmp, "query-n", NULL, 1000, &v), 0);
    assert_true(json_u64(v, "n", &n));
    assert_true(n == want);
    yajl_tree_free(v);
}
