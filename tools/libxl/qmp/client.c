/* SPDX-License-Identifier: LGPL-2.1-only */
/* A QMP session: greeting, capabilities, then command by command. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qmp.h"

/*
 * Ids must not be libxl's (0x786c7100 and up), for the reader of a trace; nor
 * those of an earlier session: what QEMU answers late to a client that has
 * gone, it says to the next.
 */
static uint64_t first_id(void)
{
    return UINT64_C(1) << 50 | (libxlss__now_ms() & 0xffffffff) << 12;
}

/* QEMU's classes, in libxl's words. Everything else is GenericError. */
static int class_to_rc(const char *class)
{
    static const struct { const char *class; int rc; } table[] = {
        { "CommandNotFound", ERROR_QMP_COMMAND_NOT_FOUND },
        { "DeviceNotActive", ERROR_QMP_DEVICE_NOT_ACTIVE },
        { "DeviceNotFound", ERROR_QMP_DEVICE_NOT_FOUND },
    };
    size_t i;

    for (i = 0; class && i < sizeof(table) / sizeof(table[0]); i++)
        if (!strcmp(class, table[i].class))
            return table[i].rc;
    return ERROR_QMP_GENERIC_ERROR;
}

#define OWED_MS 1000            /* for an answer that nobody wants */

/* Of an answer to the log, which a description of all nodes would fill. */
#define LOG_MAX 500

static void log_line(struct libxlss__qmp *qmp, const char *line, size_t len)
{
    LOG_DEBUG(qmp->op, "QMP < %.*s%s", (int)(len < LOG_MAX ? len : LOG_MAX),
              line, len < LOG_MAX ? "" : "...");
}

static int read_object(struct libxlss__qmp *qmp, uint64_t deadline,
                       yajl_val *v_r)
{
    const char *line;
    char err[256];
    size_t len;
    int rc;

    rc = libxlss__wire_line(qmp->op, &qmp->wire, deadline, &line, &len);
    if (rc)
        return rc;
    log_line(qmp, line, len);
    *v_r = json_parse(line, len, XLSS_QMP_MAX_DEPTH, err, sizeof(err));
    if (!*v_r || !YAJL_IS_OBJECT(*v_r)) {
        LOG_ERROR(qmp->op, "QEMU sent what is no QMP message: %s", err);
        yajl_tree_free(*v_r);
        *v_r = NULL;
        return ERROR_PROTOCOL_ERROR_QMP;
    }
    return 0;
}

static int read_version(struct libxlss__qmp *qmp, yajl_val v)
{
    yajl_val version = json_object(json_object(json_object(v, "QMP"),
                                               "version"), "qemu");
    uint64_t major = 0, minor = 0;

    if (!json_u64(version, "major", &major) ||
        !json_u64(version, "minor", &minor)) {
        LOG_ERROR(qmp->op, "QEMU's QMP greeting names no version");
        return ERROR_PROTOCOL_ERROR_QMP;
    }
    qmp->version = major * 100 + minor;
    return 0;
}

/*
 * QEMU accepts in one thread and tells of events in another: until it has
 * noticed the new client, that one hears what the last one was told.
 */
static bool for_last_client(yajl_val v)
{
    return !json_member(v, "QMP") &&
           (json_member(v, "event") || json_member(v, "return") ||
            json_member(v, "error"));
}

static int read_greeting(struct libxlss__qmp *qmp, uint64_t deadline)
{
    yajl_val v;
    bool again;
    int rc;

    do {
        rc = read_object(qmp, deadline, &v);
        if (rc)
            return rc;
        again = for_last_client(v);
        if (!again)
            rc = read_version(qmp, v);
        yajl_tree_free(v);
        if (again && libxlss__now_ms() >= deadline) {
            LOG_ERROR(qmp->op, "QEMU sent events only, and no QMP greeting");
            return ERROR_TIMEDOUT;
        }
    } while (again);
    return rc;
}

static int send_command(struct libxlss__qmp *qmp, const char *command,
                        const char *arguments, uint64_t deadline)
{
    char *text = NULL;
    int n, rc;

    n = asprintf(&text, "{\"execute\":\"%s\",\"id\":%" PRIu64 "%s%s}\r\n",
                 command, ++qmp->next_id,
                 arguments ? ",\"arguments\":" : "",
                 arguments ? arguments : "");
    if (n < 0)
        return ERROR_NOMEM;
    LOG_DEBUG(qmp->op, "QMP > %.*s", n - 2, text);
    rc = libxlss__wire_send(qmp->op, &qmp->wire, text, n, deadline);
    free(text);
    return rc;
}

/* Events come anywhere, and a reply to an earlier, timed-out command may:
 * both are passed over. */
static int read_reply(struct libxlss__qmp *qmp, uint64_t deadline,
                      yajl_val *v_r)
{
    for (;;) {
        uint64_t id;
        int rc = read_object(qmp, deadline, v_r);

        if (rc)
            return rc;
        if (json_u64(*v_r, "id", &id) && id == qmp->next_id) {
            qmp->owed = false;
            return 0;
        }
        if (json_object(*v_r, "error") && !json_member(*v_r, "id")) {
            LOG_ERROR(qmp->op, "QEMU could not read the command");
            yajl_tree_free(*v_r);
            *v_r = NULL;
            return ERROR_PROTOCOL_ERROR_QMP;
        }
        yajl_tree_free(*v_r);
        *v_r = NULL;
        /* Reading waits only where nothing has come; events may be many. */
        if (libxlss__now_ms() >= deadline) {
            LOG_ERROR(qmp->op, "QEMU sent events only, and did not answer "
                      "in time");
            return ERROR_TIMEDOUT;
        }
    }
}

static void init(struct libxlss__op *op, struct libxlss__qmp *qmp)
{
    memset(qmp, 0, sizeof(*qmp));
    qmp->op = op;
    qmp->next_id = first_id();
    qmp->lock_fd = -1;
    qmp->wire.fd = -1;
}

static int connect_at(struct libxlss__qmp *qmp, const char *path,
                      uint64_t deadline)
{
    int rc = libxlss__wire_connect(qmp->op, &qmp->wire, path, deadline);

    if (!rc)
        rc = read_greeting(qmp, deadline);
    if (rc)
        goto out;
    /* Its answer isn't waited for, since guests stand still meanwhile: who
     * asks something next passes over it, and fails if it has failed. */
    rc = send_command(qmp, "qmp_capabilities", NULL, deadline);
    qmp->owed = !rc;
out:
    if (rc)
        libxlss__qmp_close(qmp);
    return rc;
}

int libxlss__qmp_open(struct libxlss__op *op, struct libxlss__qmp *qmp)
{
    uint64_t deadline = libxlss__now_ms() + XLSS_QMP_TIMEOUT_MS;
    int rc;

    init(op, qmp);
    rc = libxlss__qmp_lock(op, deadline, &qmp->lock_fd);
    if (rc)
        return rc;
    return connect_at(qmp, libxlss__printf(op, "%s/qmp-libxl-%u",
                                           libxlss__xen_run_dir, op->domid),
                      deadline);
}

int libxlss__qmp_open_at(struct libxlss__op *op, struct libxlss__qmp *qmp,
                         const char *path)
{
    init(op, qmp);
    return connect_at(qmp, path, libxlss__now_ms() + XLSS_QMP_TIMEOUT_MS);
}

void libxlss__qmp_close(struct libxlss__qmp *qmp)
{
    yajl_val v;

    /* Else the next client, which may be libxl, would get it. */
    if (qmp->owed && !read_reply(qmp, libxlss__now_ms() + OWED_MS, &v))
        yajl_tree_free(v);
    qmp->owed = false;
    libxlss__wire_close(&qmp->wire);
    libxlss__qmp_unlock(qmp->op, qmp->lock_fd);
    qmp->lock_fd = -1;
    free(qmp->error);
    qmp->error = NULL;
}

/* Moves "return" out of the reply, so that the rest can be freed. */
static yajl_val take_return(yajl_val reply)
{
    size_t i;

    for (i = 0; i < YAJL_GET_OBJECT(reply)->len; i++) {
        if (!strcmp(YAJL_GET_OBJECT(reply)->keys[i], "return")) {
            yajl_val v = YAJL_GET_OBJECT(reply)->values[i];

            YAJL_GET_OBJECT(reply)->values[i] = NULL;
            return v;
        }
    }
    return NULL;
}

static int take_error(struct libxlss__qmp *qmp, yajl_val error)
{
    const char *desc = json_string(error, "desc");

    free(qmp->error);
    qmp->error = strdup(desc ? desc : "(QEMU gave no reason)");
    /* The class doesn't tell; the kernel's words in the sentence do. */
    if (desc && strstr(desc, "No space left on device"))
        return XLSS(NO_SPACE);
    return class_to_rc(json_string(error, "class"));
}

int libxlss__qmp_try(struct libxlss__qmp *qmp, const char *command,
                     const char *arguments, unsigned int timeout_ms,
                     yajl_val *reply_r)
{
    uint64_t deadline = libxlss__now_ms() + timeout_ms;
    yajl_val reply = NULL, value;
    int rc;

    if (reply_r)
        *reply_r = NULL;
    free(qmp->error);
    qmp->error = NULL;
    rc = send_command(qmp, command, arguments, deadline);
    if (!rc)
        rc = read_reply(qmp, deadline, &reply);
    if (rc)
        return rc;
    if (json_object(reply, "error")) {
        rc = take_error(qmp, json_object(reply, "error"));
        goto out;
    }
    value = take_return(reply);
    if (!value) {
        LOG_ERROR(qmp->op, "QEMU's reply to %s has no return", command);
        rc = ERROR_PROTOCOL_ERROR_QMP;
    } else if (reply_r) {
        *reply_r = value;
    } else {
        yajl_tree_free(value);
    }
out:
    yajl_tree_free(reply);
    return rc;
}

int libxlss__qmp_run(struct libxlss__qmp *qmp, const char *command,
                     const char *arguments, unsigned int timeout_ms,
                     yajl_val *reply_r)
{
    int rc = libxlss__qmp_try(qmp, command, arguments, timeout_ms, reply_r);

    if (rc && qmp->error)
        LOG_ERROR(qmp->op, "QEMU refused %s: %s", command, qmp->error);
    return rc;
}

int libxlss__qmp_getfd(struct libxlss__qmp *qmp, const char *name, int fd)
{
    char *arguments = libxlss__printf(qmp->op, "{\"fdname\":\"%s\"}", name);
    int rc;

    qmp->wire.pass = &fd;
    rc = libxlss__qmp_run(qmp, "getfd", arguments, XLSS_QMP_TIMEOUT_MS, NULL);
    qmp->wire.pass = NULL;
    return rc;
}
