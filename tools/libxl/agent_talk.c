/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * One connection to the guest agent. Lines of JSON, as with QMP, but nobody
 * greets, and replies to a client that went away are still to come: so each
 * command is preceded by guest-sync-delimited, whose reply begins with a
 * byte that no JSON has.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "agent.h"

#define SENTINEL '\xff'

__attribute__((format(printf, 3, 4)))
static int failed(struct libxlss__agent *a, int rc, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(a->why, sizeof(a->why), fmt, ap);
    va_end(ap);
    return rc;
}

static int failed_errno(struct libxlss__agent *a, const char *what)
{
    return failed(a, ERROR_FAIL, "%s %s: %s", what, a->path,
                  strerror(errno));
}

static int connect_socket(struct libxlss__agent *a)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };

    if (strlen(a->path) >= sizeof(addr.sun_path))
        return failed(a, ERROR_INVAL, "%s is too long for a socket's path",
                      a->path);
    memcpy(addr.sun_path, a->path, strlen(a->path));
    a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (a->fd < 0)
        return failed_errno(a, "cannot make a socket for");
    if (!connect(a->fd, (const struct sockaddr *)&addr, sizeof(addr)))
        return 0;
    /* QEMU serves one at a time; here even the queue is full. */
    if (errno == EAGAIN)
        return failed(a, ERROR_TIMEDOUT, "other programs are connected to "
                      "%s", a->path);
    return failed_errno(a, "cannot connect to");
}

static int open_tty(struct libxlss__agent *a)
{
    struct termios t;

    a->fd = open(a->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC |
                          O_NOFOLLOW);
    if (a->fd < 0)
        return failed_errno(a, "cannot open");
    if (tcgetattr(a->fd, &t))
        return failed_errno(a, "no terminal is");
    cfmakeraw(&t);
    tcsetattr(a->fd, TCSANOW, &t);
    return 0;
}

int libxlss__agent_connect(struct libxlss__agent *a)
{
    int rc;

    if (a->fd >= 0)
        return 0;
    a->used = a->taken = 0;
    rc = a->tty ? open_tty(a) : connect_socket(a);
    if (rc)
        libxlss__agent_close(a);
    return rc;
}

void libxlss__agent_close(struct libxlss__agent *a)
{
    if (a->fd >= 0)
        close(a->fd);
    a->fd = -1;
    a->used = a->taken = 0;
}

static int wait_for(struct libxlss__agent *a, short events,
                    uint64_t deadline)
{
    struct pollfd p = { .fd = a->fd, .events = events };

    for (;;) {
        int64_t left = deadline - libxlss__now_ms();
        int r = poll(&p, 1, left > 0 ? left : 0);

        if (r > 0)
            return 0;
        if (r == 0)
            return failed(a, ERROR_TIMEDOUT, "the guest agent does not "
                          "answer on %s", a->path);
        if (errno != EINTR)
            return failed_errno(a, "poll on");
    }
}

static int hung_up(struct libxlss__agent *a)
{
    return failed(a, ERROR_FAIL, "the connection to the guest agent at %s "
                  "was closed in the middle", a->path);
}

/* A signal for a dead socket is the application's business. */
static ssize_t put(struct libxlss__agent *a, const char *text, size_t len)
{
    return a->tty ? write(a->fd, text, len)
                  : send(a->fd, text, len, MSG_NOSIGNAL);
}

static int send_all(struct libxlss__agent *a, const char *text, size_t len,
                    uint64_t deadline)
{
    while (len) {
        ssize_t n = put(a, text, len);
        int rc;

        if (n >= 0) {
            text += n;
            len -= n;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return hung_up(a);
        rc = wait_for(a, POLLOUT, deadline);
        if (rc)
            return rc;
    }
    return 0;
}

/* Drops the first bytes of what was read. */
static void drop(struct libxlss__agent *a, size_t len)
{
    memmove(a->buf, a->buf + len, a->used - len);
    a->used -= len;
}

static int read_more(struct libxlss__agent *a, uint64_t deadline)
{
    ssize_t n;

    /* A guest that never stops must not keep us here. */
    if (libxlss__now_ms() >= deadline)
        return wait_for(a, 0, deadline);
    if (a->used == sizeof(a->buf))
        return failed(a, ERROR_FAIL, "the guest agent's reply on %s is "
                      "longer than %zu bytes", a->path, sizeof(a->buf));
    n = read(a->fd, a->buf + a->used, sizeof(a->buf) - a->used);
    if (n > 0) {
        a->used += n;
        return 0;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return wait_for(a, POLLIN, deadline);
    return hung_up(a);
}

/* The next line that isn't empty; valid until more is read. */
static int next_line(struct libxlss__agent *a, uint64_t deadline,
                     size_t *len_r)
{
    drop(a, a->taken);
    a->taken = 0;
    for (;;) {
        char *end = memchr(a->buf, '\n', a->used);
        int rc = 0;

        if (end > a->buf) {
            *len_r = end - a->buf;
            a->taken = *len_r + 1;
            return 0;
        }
        if (end)
            drop(a, 1);
        else
            rc = read_more(a, deadline);
        if (rc)
            return rc;
    }
}

/* Leaves what follows the next sentinel at the buffer's start. */
static int skip_to_sentinel(struct libxlss__agent *a, uint64_t deadline,
                            size_t *thrown)
{
    drop(a, a->taken);
    a->taken = 0;
    for (;;) {
        char *at = memchr(a->buf, SENTINEL, a->used);
        int rc;

        *thrown += at ? (size_t)(at - a->buf) + 1 : a->used;
        if (at) {
            drop(a, at - a->buf + 1);
            return 0;
        }
        a->used = 0;
        if (*thrown > AGENT_STALE_MAX)
            return failed(a, ERROR_FAIL, "what comes from %s is not a guest "
                          "agent's", a->path);
        rc = read_more(a, deadline);
        if (rc)
            return rc;
    }
}

static yajl_val parse(const struct libxlss__agent *a, size_t len)
{
    char err[128];
    yajl_val v = json_parse(a->buf, len, AGENT_DEPTH_MAX, err, sizeof(err));

    if (v && !YAJL_IS_OBJECT(v)) {
        yajl_tree_free(v);
        v = NULL;
    }
    return v;
}

static bool is_our_sync(const struct libxlss__agent *a, size_t len,
                        uint64_t id)
{
    yajl_val v = parse(a, len);
    uint64_t got;
    bool ours = json_u64(v, "return", &got) && got == id;

    yajl_tree_free(v);
    return ours;
}

/* The byte before the command ends whatever the agent has half read. */
static int synchronize(struct libxlss__agent *a)
{
    uint64_t deadline = libxlss__now_ms() + libxlss__agent_times.sync;
    uint64_t id = ((uint64_t)getpid() << 12 ^ libxlss__now_ms() ^ ++a->turn) &
                  0x7fffffff;
    size_t thrown = 0, len;
    char text[128];
    int n, rc;

    n = snprintf(text, sizeof(text), "\xff{\"execute\":"
                 "\"guest-sync-delimited\",\"arguments\":{\"id\":%llu}}\n",
                 (unsigned long long)id);
    rc = send_all(a, text, n, deadline);
    while (!rc) {
        rc = skip_to_sentinel(a, deadline, &thrown);
        if (!rc)
            rc = next_line(a, deadline, &len);
        if (!rc && is_our_sync(a, len, id))
            return 0;
    }
    return rc;
}

/* The guest's words, fit for a log. */
static void copy_words(char *to, size_t size, const char *from)
{
    size_t i;

    for (i = 0; from && from[i] && i < size - 1; i++)
        to[i] = from[i] >= ' ' && from[i] < 127 ? from[i] : '?';
    to[i] = '\0';
}

static int take_reply(struct libxlss__agent *a, const char *command,
                      size_t len, yajl_val *reply_r)
{
    yajl_val v = parse(a, len), error = json_object(v, "error");
    char words[200];
    int rc = 0;

    if (error) {
        copy_words(words, sizeof(words), json_string(error, "desc"));
        rc = failed(a, ERROR_FAIL, "the guest agent refuses %s: %s", command,
                    words);
    } else if (!json_member(v, "return")) {
        rc = failed(a, ERROR_FAIL, "the guest agent's reply to %s on %s is "
                    "not one", command, a->path);
    }
    if (rc) {
        yajl_tree_free(v);
        return rc;
    }
    *reply_r = v;
    return 0;
}

int libxlss__agent_run(struct libxlss__agent *a, const char *command,
                       unsigned int timeout_ms, yajl_val *reply_r)
{
    uint64_t deadline;
    char text[128];
    size_t len;
    int n, rc;

    *reply_r = NULL;
    rc = libxlss__agent_connect(a);
    if (!rc)
        rc = synchronize(a);
    if (rc)
        return rc;
    deadline = libxlss__now_ms() + timeout_ms;
    n = snprintf(text, sizeof(text), "{\"execute\":\"%s\"}\n", command);
    rc = send_all(a, text, n, deadline);
    if (!rc)
        rc = next_line(a, deadline, &len);
    if (!rc)
        rc = take_reply(a, command, len, reply_r);
    return rc;
}
