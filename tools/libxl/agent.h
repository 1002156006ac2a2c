/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * QEMU's guest agent in the guest, reached by a Xen channel: a console of
 * QEMU's with a name, whose other end is a socket or a pty in this host.
 * All that comes from there was written by the guest.
 */
#ifndef LIBXLSS_AGENT_H
#define LIBXLSS_AGENT_H

#include "libxlss_internal.h"

#define AGENT_CHANNEL "org.qemu.guest_agent.0"

/* A reply larger or deeper than this is none; all that is thrown away until
 * a reply begins has a limit as well. */
#define AGENT_LINE_MAX  (64u << 10)
#define AGENT_STALE_MAX (1u << 20)
#define AGENT_DEPTH_MAX 32

/* Milliseconds; tests have less patience. */
struct libxlss__agent_times {
    unsigned int sync;          /* to any sign of life */
    unsigned int command;       /* to the reply of a small command */
    unsigned int freeze;        /* flushing may take the guest long */
    unsigned int thaw;          /* all attempts together */
    unsigned int pause;         /* between two attempts */
};
extern struct libxlss__agent_times libxlss__agent_times;

/* agent_talk.c: one connection. */
struct libxlss__agent {
    struct libxlss__op *op;
    char *path;
    bool tty;
    int fd;                     /* -1: not connected */
    unsigned int turn;          /* makes syncs differ */
    char why[400];              /* of the last failure: a sentence's part */
    size_t used, taken;         /* bytes in buf; of the line given out last */
    char buf[AGENT_LINE_MAX];
};

/*
 * These return libxl's codes and say nothing: the reason is in a->why, since
 * it depends on the caller whether it is a warning or an error.
 * ERROR_TIMEDOUT: no answer.
 */
int libxlss__agent_connect(struct libxlss__agent *a);
void libxlss__agent_close(struct libxlss__agent *a);
/*
 * Throws away what an earlier talk left over, then runs one command.
 * *reply_r is the whole reply, which has a "return": free with
 * yajl_tree_free; NULL on failure.
 */
int libxlss__agent_run(struct libxlss__agent *a, const char *command,
                       unsigned int timeout_ms, yajl_val *reply_r);

#endif
