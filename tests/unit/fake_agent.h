/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A guest agent without a guest: a process that listens on a Unix socket, as
 * QEMU does for a channel, one client at a time. What it does wrong, and what
 * came of it, is in memory shared with the test.
 */
#ifndef FAKE_AGENT_H
#define FAKE_AGENT_H

#include <stdbool.h>
#include <sys/types.h>

/* How it deals with a command: the first `times` of it. */
enum fake_agent_way {
    AGENT_FINE,
    AGENT_SILENT,           /* does nothing, and does not answer */
    AGENT_LOST,             /* does it, and does not answer */
    AGENT_ERROR,            /* does nothing, and says so */
    AGENT_DIES,             /* does it, and closes the connection */
    AGENT_NOT_JSON,         /* does it, and answers something else */
    AGENT_NOTHING,          /* does it, and says that it did 0 times */
};

struct fake_agent_rule {
    enum fake_agent_way way;
    int times;
};

struct fake_agent {
    /* What it does wrong. */
    struct fake_agent_rule sync, status, freeze, thaw;
    bool byte_by_byte;      /* answers are split at each byte */
    bool stale;             /* replies of an earlier talk come first */
    bool floods;            /* writes without an end instead of answering */
    bool thaws_itself;      /* right after it was asked to freeze */

    /* What came of it. */
    bool frozen;
    int freezes, thaws, connections;

    pid_t pid;
    char path[100];
};

extern struct fake_agent *fake_agent;

/* Starts it, with everything fine, at a socket in this folder. */
void fake_agent_start(const char *folder);
void fake_agent_stop(void);

#endif
