/* SPDX-License-Identifier: LGPL-2.1-only */
/* Lines over a Unix socket, with deadlines and a limit of size. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "qmp.h"

#define READ_CHUNK (64u << 10)

static int wait_ready(struct libxlss__op *op, int fd, short events,
                      uint64_t deadline)
{
    struct pollfd p = { .fd = fd, .events = events };

    for (;;) {
        int64_t left = deadline - libxlss__now_ms();
        int r = poll(&p, 1, left > 0 ? left : 0);

        if (r > 0)
            return 0;
        if (r == 0) {
            LOG_ERROR(op, "QEMU did not answer on its QMP socket in time");
            return ERROR_TIMEDOUT;
        }
        if (errno != EINTR) {
            LOG_ERRNO(op, "poll on the QMP socket");
            return ERROR_FAIL;
        }
    }
}

/* A full backlog gives EAGAIN: somebody else is connected. */
static int connect_until(int fd, const struct sockaddr_un *addr,
                         uint64_t deadline)
{
    while (connect(fd, (const struct sockaddr *)addr, sizeof(*addr))) {
        if (errno != EAGAIN && errno != EINTR)
            return -1;
        if (libxlss__now_ms() >= deadline)
            return -1;
        libxlss__sleep_ms(10);
    }
    return 0;
}

int libxlss__wire_connect(struct libxlss__op *op, struct libxlss__wire *w,
                          const char *path, uint64_t deadline)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };

    memset(w, 0, sizeof(*w));
    w->max = XLSS_QMP_MAX_BYTES;
    w->fd = -1;
    if (strlen(path) >= sizeof(addr.sun_path)) {
        LOG_ERROR(op, "%s is too long for a socket's path", path);
        return ERROR_INVAL;
    }
    memcpy(addr.sun_path, path, strlen(path));
    w->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (w->fd < 0) {
        LOG_ERRNO(op, "cannot make a socket");
        return ERROR_FAIL;
    }
    if (connect_until(w->fd, &addr, deadline)) {
        int rc = errno == EAGAIN ? ERROR_TIMEDOUT : ERROR_FAIL;

        LOG_ERRNO(op, "cannot connect to QEMU at %s", path);
        libxlss__wire_close(w);
        return libxlss__qemu_alive(op) ? rc : XLSS(QEMU_DIED);
    }
    return 0;
}

void libxlss__wire_close(struct libxlss__wire *w)
{
    if (w->fd >= 0)
        close(w->fd);
    free(w->buf);
    memset(w, 0, sizeof(*w));
    w->fd = -1;
}

static int died(struct libxlss__op *op)
{
    bool dead = libxlss__qemu_dies(op);

    LOG_ERROR(op, "QEMU (process %d) closed its QMP socket in the middle%s; "
              "see /var/log/xen/qemu-dm-%s.log", (int)op->qemu_pid,
              dead ? ": the device model has died" : "", op->name);
    return dead ? XLSS(QEMU_DIED) : ERROR_PROTOCOL_ERROR_QMP;
}

/* The first bytes take the descriptor along. */
static ssize_t send_some(struct libxlss__wire *w, const char *text,
                         size_t len)
{
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = { { 0 } };
    struct iovec iov = { .iov_base = (char *)text, .iov_len = len };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    struct cmsghdr *c;
    ssize_t n;

    if (w->pass) {
        msg.msg_control = control.buf;
        msg.msg_controllen = sizeof(control.buf);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), w->pass, sizeof(int));
    }
    n = sendmsg(w->fd, &msg, MSG_NOSIGNAL);
    if (n > 0)
        w->pass = NULL;
    return n;
}

int libxlss__wire_send(struct libxlss__op *op, struct libxlss__wire *w,
                       const char *text, size_t len, uint64_t deadline)
{
    while (len) {
        ssize_t n = send_some(w, text, len);
        int rc;

        if (n >= 0) {
            text += n;
            len -= n;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return died(op);
        rc = wait_ready(op, w->fd, POLLOUT, deadline);
        if (rc)
            return rc;
    }
    return 0;
}

static int make_room(struct libxlss__wire *w)
{
    char *grown;
    size_t size;

    if (w->size - w->used >= READ_CHUNK)
        return 0;
    size = w->size * 2 + READ_CHUNK;
    grown = realloc(w->buf, size);
    if (!grown)
        return ERROR_NOMEM;
    w->buf = grown;
    w->size = size;
    return 0;
}

static int read_more(struct libxlss__op *op, struct libxlss__wire *w,
                     uint64_t deadline)
{
    int rc = make_room(w);
    ssize_t n;

    if (rc)
        return rc;
    n = recv(w->fd, w->buf + w->used, w->size - w->used, 0);
    if (n > 0) {
        w->used += n;
        return 0;
    }
    if (n == 0)
        return died(op);
    if (errno == EAGAIN || errno == EINTR)
        return wait_ready(op, w->fd, POLLIN, deadline);
    return died(op);
}

static int too_long(struct libxlss__op *op, const struct libxlss__wire *w)
{
    LOG_ERROR(op, "QEMU's reply is longer than %zu bytes", w->max);
    return ERROR_PROTOCOL_ERROR_QMP;
}

/* Drops the line that was given out by the last call. */
static void drop_line(struct libxlss__wire *w)
{
    size_t len = w->taken;

    memmove(w->buf, w->buf + len, w->used - len);
    w->used -= len;
    w->taken = 0;
    w->seen = 0;
}

int libxlss__wire_line(struct libxlss__op *op, struct libxlss__wire *w,
                       uint64_t deadline, const char **line_r, size_t *len_r)
{
    if (w->taken)
        drop_line(w);
    for (;;) {
        char *end = w->used > w->seen
            ? memchr(w->buf + w->seen, '\n', w->used - w->seen) : NULL;
        int rc;

        if (end) {
            *line_r = w->buf;
            *len_r = end - w->buf;
            w->taken = *len_r + 1;
            if (*len_r && w->buf[*len_r - 1] == '\r')
                (*len_r)--;
            return *len_r > w->max ? too_long(op, w) : 0;
        }
        if (w->used > w->max + 1)       /* + 1: it may end in '\r' */
            return too_long(op, w);
        w->seen = w->used;      /* a long line is searched once */
        rc = read_more(op, w, deadline);
        if (rc)
            return rc;
    }
}
