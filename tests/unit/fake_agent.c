/* SPDX-License-Identifier: LGPL-2.1-only */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_agent.h"

struct fake_agent *fake_agent;

static void reply(int fd, const char *text)
{
    size_t len = strlen(text), step = fake_agent->byte_by_byte ? 1 : len;

    for (; len; len -= step, text += step) {
        if (send(fd, text, step, MSG_NOSIGNAL) < 0)
            return;
        if (step == 1)
            usleep(200);
    }
}

/* What is wrong with this one? */
static enum fake_agent_way way_of(struct fake_agent_rule *rule)
{
    if (rule->way == AGENT_FINE || rule->times <= 0)
        return AGENT_FINE;
    rule->times--;
    return rule->way;
}

static bool does_it(enum fake_agent_way way)
{
    return way != AGENT_SILENT && way != AGENT_ERROR;
}

/* False: the connection is over. */
static bool answer(int fd, enum fake_agent_way way, const char *good,
                   const char *nothing)
{
    switch (way) {
    case AGENT_FINE:     reply(fd, good); return true;
    case AGENT_SILENT:
    case AGENT_LOST:     return true;
    case AGENT_ERROR:
        reply(fd, "{\"error\": {\"class\": \"GenericError\", \"desc\": "
              "\"no\\u001b[31mway\"}}\n");
        return true;
    case AGENT_DIES:     return false;
    case AGENT_NOT_JSON: reply(fd, "} this is [ no reply\n"); return true;
    case AGENT_NOTHING:  reply(fd, nothing); return true;
    }
    return true;
}

static bool do_sync(int fd, const char *line)
{
    const char *id = strstr(line, "\"id\":");
    char text[100];

    if (fake_agent->stale)
        reply(fd, "{\"return\": 3}\n{\"error\": {\"class\": \"G\"}}\n"
              "\xff{\"return\": 1}\n\n\xff{\"return\": {}}\n{\"retu");
    snprintf(text, sizeof(text), "\xff{\"return\": %ld}\n",
             id ? atol(id + 5) : 0);
    return answer(fd, way_of(&fake_agent->sync), text, "\xff{}\n");
}

static bool do_freeze(int fd)
{
    enum fake_agent_way way = way_of(&fake_agent->freeze);

    fake_agent->freezes++;
    if (does_it(way))
        fake_agent->frozen = !fake_agent->thaws_itself;
    return answer(fd, way, "{\"return\": 2}\n", "{\"return\": 0}\n");
}

static bool do_thaw(int fd)
{
    enum fake_agent_way way = way_of(&fake_agent->thaw);

    fake_agent->thaws++;
    if (does_it(way))
        fake_agent->frozen = false;
    return answer(fd, way, "{\"return\": 2}\n", "{\"return\": 0}\n");
}

static bool obey(int fd, const char *line)
{
    if (strstr(line, "guest-sync-delimited"))
        return do_sync(fd, line);
    if (strstr(line, "guest-fsfreeze-freeze"))
        return do_freeze(fd);
    if (strstr(line, "guest-fsfreeze-thaw"))
        return do_thaw(fd);
    return answer(fd, way_of(&fake_agent->status), fake_agent->frozen
                  ? "{\"return\": \"frozen\"}\n"
                  : "{\"return\": \"thawed\"}\n", "{\"return\": 1}\n");
}

static void flood(int fd)
{
    static const char text[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

    while (send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL) > 0)
        ;
}

static void serve(int fd)
{
    FILE *f = fdopen(fd, "r");
    char line[500];

    fake_agent->connections++;
    while (fgets(line, sizeof(line), f)) {
        if (fake_agent->floods)
            flood(fd);
        else if (!obey(fd, line))
            break;
    }
    fclose(f);
}

void fake_agent_start(const char *folder)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    pid_t pid;
    int fd;

    if (!fake_agent)
        fake_agent = mmap(NULL, sizeof(*fake_agent), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(fake_agent, 0, sizeof(*fake_agent));
    snprintf(fake_agent->path, sizeof(fake_agent->path), "%s/agent", folder);
    strcpy(addr.sun_path, fake_agent->path);
    unlink(addr.sun_path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 1))
        abort();
    /* What it is stored in is shared: the child would write a 0 to it. */
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            serve(accept(fd, NULL, NULL));
    }
    fake_agent->pid = pid;
    close(fd);
}

void fake_agent_stop(void)
{
    if (!fake_agent || fake_agent->pid <= 0)
        return;
    kill(fake_agent->pid, SIGKILL);
    waitpid(fake_agent->pid, NULL, 0);
    unlink(fake_agent->path);
    fake_agent->pid = 0;
}
