/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Freezing the guest's filesystems by its agent, and thawing them. A guest
 * that stays frozen is worse than no snapshot: so what may be frozen is in
 * op->held before it is asked for, and libxlss__release thaws it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "disk/disk.h"
#include "qmp/qmp.h"

struct libxlss__agent_times libxlss__agent_times = {
    .sync = 5000, .command = 5000, .freeze = 30000, .thaw = 30000,
    .pause = 500,
};

/* --- finding it --- */

/* libxl's answer for a pty that has gone is a path without one. */
static char *pty_of(struct libxlss__op *op, const libxl_device_channel *c)
{
    libxl_channelinfo info;
    char *path = NULL;

    libxl_channelinfo_init(&info);
    if (!libxl_device_channel_getinfo(op->ctx, op->domid, c, &info) &&
        info.connection == LIBXL_CHANNEL_CONNECTION_PTY && info.u.pty.path &&
        !strncmp(info.u.pty.path, "/dev/pts/", 9))
        path = libxlss__strdup(op, info.u.pty.path);
    libxl_channelinfo_dispose(&info);
    return path;
}

static struct libxlss__agent *agent_at(struct libxlss__op *op, char *path,
                                       bool tty)
{
    struct libxlss__agent *a = libxlss__zalloc(op, sizeof(*a));

    a->op = op;
    a->fd = -1;
    a->path = path;
    a->tty = tty;
    return a;
}

static struct libxlss__agent *from_channel(struct libxlss__op *op,
                                           const libxl_device_channel *c)
{
    char *path = NULL;
    bool tty = c->connection == LIBXL_CHANNEL_CONNECTION_PTY;

    if (!c->name || strcmp(c->name, AGENT_CHANNEL))
        return NULL;
    if (tty)
        path = pty_of(op, c);
    else if (c->connection == LIBXL_CHANNEL_CONNECTION_SOCKET &&
             c->u.socket.path)
        path = libxlss__strdup(op, c->u.socket.path);
    return path ? agent_at(op, path, tty) : NULL;
}

/* From xenstore, so that the guard can do it too, and fast. */
static struct libxlss__agent *find_agent(struct libxlss__op *op)
{
    libxl_device_channel *list;
    int i, num = 0;

    if (op->agent)
        return op->agent;
    list = libxl_device_channel_list(op->ctx, op->domid, &num);
    for (i = 0; i < num; i++) {
        if (!op->agent)
            op->agent = from_channel(op, &list[i]);
        libxl_device_channel_dispose(&list[i]);
    }
    free(list);
    return op->agent;
}

void libxlss__agent_end(struct libxlss__op *op)
{
    if (op->agent)
        libxlss__agent_close(op->agent);
    op->agent = NULL;
}

/* --- freezing --- */

static bool is_connected(struct libxlss__qmp *qmp, const char *path)
{
    bool connected = false;
    yajl_val reply;
    size_t i;

    if (libxlss__qmp_run(qmp, "query-chardev", NULL, XLSS_QMP_TIMEOUT_MS,
                         &reply))
        return false;
    for (i = 0; i < json_length(reply); i++) {
        const char *file = json_string(json_item(reply, i), "filename");

        /* Else "disconnected:unix:". */
        connected = connected || (file && strstr(file, path) &&
                                  !strncmp(file, "unix:", 5));
    }
    yajl_tree_free(reply);
    return connected;
}

/* Does somebody else hold the channel? That we have let go of it QEMU may
 * notice a moment later. */
static bool channel_is_taken(struct libxlss__op *op, const char *path)
{
    struct libxlss__qmp qmp;
    bool taken = true;
    int i;

    if (!libxlss__qemu_alive(op) || libxlss__qmp_open(op, &qmp))
        return false;
    for (i = 0; taken && i < 10; i++) {
        if (i)
            libxlss__sleep_ms(100);
        taken = is_connected(&qmp, path);
    }
    libxlss__qmp_close(&qmp);
    return taken;
}

static int explain_silence(struct libxlss__agent *a)
{
    libxlss__agent_close(a);
    if (!a->tty && channel_is_taken(a->op, a->path))
        snprintf(a->why, sizeof(a->why), "another program is connected to "
                 "the guest agent's channel %s", a->path);
    else
        snprintf(a->why, sizeof(a->why), "the guest agent does not answer "
                 "on %s (does qemu-ga run in the guest?)", a->path);
    return XLSS(NOT_QUIESCED);
}

static int get_status(struct libxlss__agent *a, bool *frozen_r)
{
    const char *word;
    yajl_val reply;
    int rc;

    rc = libxlss__agent_run(a, "guest-fsfreeze-status",
                            libxlss__agent_times.command, &reply);
    if (rc)
        return rc;
    word = json_string(reply, "return");
    *frozen_r = word && !strcmp(word, "frozen");
    yajl_tree_free(reply);
    return 0;
}

/* Before anything is frozen: whose freeze would we thaw? */
static int look_at_agent(struct libxlss__agent *a)
{
    bool frozen = false;
    int rc = get_status(a, &frozen);

    if (rc == ERROR_TIMEDOUT && a->fd >= 0)
        return explain_silence(a);
    if (rc)
        return XLSS(NOT_QUIESCED);
    if (!frozen)
        return 0;
    snprintf(a->why, sizeof(a->why), "the guest's filesystems are frozen "
             "already, by somebody else");
    return XLSS(NOT_QUIESCED);
}

static int ask_to_freeze(struct libxlss__agent *a)
{
    yajl_val reply;
    uint64_t num = 0;
    int rc;

    rc = libxlss__agent_run(a, "guest-fsfreeze-freeze",
                            libxlss__agent_times.freeze, &reply);
    if (rc == ERROR_TIMEDOUT)
        snprintf(a->why, sizeof(a->why), "the guest did not freeze its "
                 "filesystems in %u s", libxlss__agent_times.freeze / 1000);
    if (rc)
        return XLSS(NOT_QUIESCED);
    if (!json_u64(reply, "return", &num) || !num) {
        snprintf(a->why, sizeof(a->why), "the guest agent found no "
                 "filesystem that it can freeze");
        rc = XLSS(NOT_QUIESCED);
    }
    yajl_tree_free(reply);
    if (!rc)
        LOG_DEBUG(a->op, "the guest froze %llu filesystems",
                  (unsigned long long)num);
    return rc;
}

/* xl numbers channels from 0, which is the domain's own console: that wins,
 * and of the first channel nothing is left (seen with Xen 4.17). */
static const char *no_channel(const struct libxlss__op *op)
{
    const libxl_domain_config *c = &op->config;
    int i;

    for (i = 0; i < c->num_channels; i++)
        if (c->channels[i].name && !strcmp(c->channels[i].name,
                                           AGENT_CHANNEL))
            return "its channel " AGENT_CHANNEL " has no console in the "
                   "guest (xl makes none of the first channel: put another "
                   "before it in the configuration)";
    return "it has no channel of the name " AGENT_CHANNEL;
}

int libxlss__agent_freeze(struct libxlss__op *op, const char **why_r)
{
    struct libxlss__agent *a = find_agent(op);
    int rc, rc2;

    if (!a) {
        *why_r = no_channel(op);
        return XLSS(NOT_POSSIBLE);
    }
    *why_r = a->why;
    rc = libxlss__domain_refresh(op);
    if (rc)
        return rc;
    if (op->info.paused) {
        *why_r = "its guest agent can't answer while the domain is paused";
        return XLSS(NOT_POSSIBLE);
    }
    rc = look_at_agent(a);
    if (rc) {
        libxlss__agent_close(a);
        return rc;
    }
    /* While it may still write; the pause finds the rest. */
    libxlss__disks_sync(op);
    op->held.frozen = true;
    libxlss__guard_tell(op);
    rc = ask_to_freeze(a);
    if (!rc) {
        op->quiesced = true;
        return 0;
    }
    /* The reply may be lost, the guest may be frozen all the same. */
    *why_r = libxlss__strdup(op, a->why);
    rc2 = libxlss__release(op);
    return rc2 ? rc2 : rc;
}

/* --- thawing --- */

/* Windows thaws by itself after 10 s: then nobody knows what the disks'
 * snapshot holds. */
static int thaw_once(struct libxlss__agent *a)
{
    bool frozen = true;
    yajl_val reply;
    int rc;

    if (a->op->info.paused) {
        snprintf(a->why, sizeof(a->why), "the domain is paused");
        return ERROR_FAIL;
    }
    rc = get_status(a, &frozen);
    if (rc)
        return rc;
    if (!frozen) {
        a->op->quiesced = false;
        return 0;
    }
    rc = libxlss__agent_run(a, "guest-fsfreeze-thaw",
                            libxlss__agent_times.freeze, &reply);
    if (!rc)
        yajl_tree_free(reply);
    else if (!get_status(a, &frozen) && !frozen)
        rc = 0;
    return rc;
}

/* Without them there is nobody to ask, and nothing to thaw. */
static bool is_gone(struct libxlss__op *op)
{
    return libxlss__domain_refresh(op) == ERROR_DOMAIN_NOTFOUND ||
           op->info.shutdown || op->info.dying;
}

int libxlss__agent_thaw(struct libxlss__op *op)
{
    uint64_t end = libxlss__now_ms() + libxlss__agent_times.thaw;
    struct libxlss__agent *a;

    if (!op->held.frozen)
        return 0;
    a = find_agent(op);
    while (a && !is_gone(op) && thaw_once(a)) {
        libxlss__agent_close(a);
        if (libxlss__now_ms() >= end) {
            LOG_ERROR(op, "the guest may still be frozen, its agent can't "
                      "be asked to thaw it: %s", a->why);
            return XLSS(NEEDS_REPAIR);
        }
        libxlss__sleep_ms(libxlss__agent_times.pause);
    }
    op->held.frozen = false;
    libxlss__guard_tell(op);
    return 0;
}
