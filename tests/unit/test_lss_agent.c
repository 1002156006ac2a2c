/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * agent.c and agent_talk.c against an agent that does each thing wrong. In
 * the end the guest is thawed, or it is said that it may not be.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "fake_agent.h"
#include "lss_test.h"

static struct libxlss__op op;
static const char *why;

/* --- libxl's channels --- */

static const char *channel_name;        /* NULL: it has none */
static const char *pty_path;            /* NULL: a socket */

libxl_device_channel *libxl_device_channel_list(libxl_ctx *ctx,
                                                uint32_t domid, int *num)
{
    libxl_device_channel *list;

    (void)ctx;
    (void)domid;
    *num = 0;
    if (!channel_name)
        return NULL;
    list = calloc(2, sizeof(*list));
    libxl_device_channel_init(&list[0]);
    libxl_device_channel_init_connection(&list[0],
                                         LIBXL_CHANNEL_CONNECTION_PTY);
    list[0].name = strdup("com.example.other");
    libxl_device_channel_init(&list[1]);
    libxl_device_channel_init_connection(&list[1], pty_path
        ? LIBXL_CHANNEL_CONNECTION_PTY : LIBXL_CHANNEL_CONNECTION_SOCKET);
    list[1].name = strdup(channel_name);
    list[1].devid = 1;
    if (!pty_path)
        list[1].u.socket.path = strdup(fake_agent->path);
    *num = 2;
    return list;
}

int libxl_device_channel_getinfo(libxl_ctx *ctx, uint32_t domid,
                                 const libxl_device_channel *channel,
                                 libxl_channelinfo *info)
{
    (void)ctx;
    (void)domid;
    assert_int_equal(channel->devid, 1);
    libxl_channelinfo_init_connection(info, LIBXL_CHANNEL_CONNECTION_PTY);
    info->u.pty.path = strdup(pty_path);
    return 0;
}

/* --- set-up --- */

static int fds_before;

static int set_up(void **state)
{
    (void)state;
    fds_before = lss_num_fds();
    lss_op_start(&op);
    fake_agent_start(lss_dir());
    channel_name = AGENT_CHANNEL;
    pty_path = NULL;
    why = NULL;
    libxlss__agent_times = (struct libxlss__agent_times){
        .sync = 150, .command = 150, .freeze = 150, .thaw = 1500,
        .pause = 10,
    };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lss_op_stop(&op);
    fake_agent_stop();
    lss_dir_remove();
    assert_int_equal(lss_num_fds(), fds_before);
    return 0;
}

static void freezes(void)
{
    assert_int_equal(libxlss__agent_freeze(&op, &why), 0);
    assert_true(fake_agent->frozen);
    assert_true(op.held.frozen);
    assert_true(op.quiesced);
}

static void thaws(void)
{
    assert_int_equal(libxlss__release(&op), 0);
    assert_false(fake_agent->frozen);
    assert_false(op.held.frozen);
    assert_false(op.stuck);
}

/* With the reason given back, nothing logged, and nothing frozen. */
static void freeze_fails(int rc, const char *reason)
{
    assert_int_equal(libxlss__agent_freeze(&op, &why), rc);
    if (!strstr(why, reason))
        fail_msg("%s is not in: %s", reason, why);
    assert_string_equal(lss_log(), "");
    assert_false(fake_agent->frozen);
    assert_false(op.held.frozen);
    assert_false(op.quiesced);
    assert_false(op.stuck);
}

/* --- tests --- */

static void test_freeze_and_thaw(void **state)
{
    (void)state;
    freezes();
    thaws();
    assert_true(op.quiesced);
    assert_int_equal(fake_agent->freezes, 1);
    assert_int_equal(fake_agent->thaws, 1);
    assert_int_equal(fake_agent->connections, 1);
    /* Again does nothing. */
    assert_int_equal(libxlss__agent_thaw(&op), 0);
    assert_int_equal(libxlss__release(&op), 0);
    assert_int_equal(fake_agent->thaws, 1);
    assert_string_equal(lss_log(), "");
}

static void test_split_answers(void **state)
{
    (void)state;
    fake_agent->byte_by_byte = true;
    freezes();
    thaws();
}

static void test_stale_bytes(void **state)
{
    (void)state;
    fake_agent->stale = true;
    freezes();
    thaws();
    assert_true(op.quiesced);
}

static void test_stale_and_split(void **state)
{
    (void)state;
    fake_agent->stale = fake_agent->byte_by_byte = true;
    libxlss__agent_times.sync = 1000;
    freezes();
    thaws();
}

static void test_no_channel(void **state)
{
    (void)state;
    channel_name = NULL;
    freeze_fails(XLSS(NOT_POSSIBLE), "no channel of the name");
    channel_name = "org.qemu.guest_agent.1";
    freeze_fails(XLSS(NOT_POSSIBLE), "no channel of the name");
    /* Configured, but lost by xl. */
    op.config.channels = calloc(1, sizeof(*op.config.channels));
    op.config.num_channels = 1;
    libxl_device_channel_init(op.config.channels);
    op.config.channels->name = strdup(AGENT_CHANNEL);
    freeze_fails(XLSS(NOT_POSSIBLE), "xl makes none of the first channel");
}

static void test_paused(void **state)
{
    (void)state;
    lss_info.paused = true;
    freeze_fails(XLSS(NOT_POSSIBLE), "paused");
    assert_int_equal(fake_agent->connections, 0);
}

static void test_no_answer(void **state)
{
    (void)state;
    fake_agent->sync = (struct fake_agent_rule){ AGENT_SILENT, 1 };
    freeze_fails(XLSS(NOT_QUIESCED), "does not answer on /");
    assert_int_equal(fake_agent->freezes, 0);
}

static void test_nobody_listens(void **state)
{
    (void)state;
    fake_agent_stop();
    freeze_fails(XLSS(NOT_QUIESCED), "cannot connect to");
}

/* One is served; others wait in the queue, which is short as QEMU's. */
static void test_queue_is_full(void **state)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fds[8], i, num = 0;

    (void)state;
    strcpy(addr.sun_path, fake_agent->path);
    for (num = 0; num < 8; num++) {
        fds[num] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(fds[num], (struct sockaddr *)&addr, sizeof(addr)))
            break;
        while (!fake_agent->connections)
            usleep(1000);
    }
    assert_in_range(num, 2, 7);
    freeze_fails(XLSS(NOT_QUIESCED), "other programs are connected to /");
    for (i = 0; i <= num; i++)
        close(fds[i]);
}

static void test_hangs_up_at_once(void **state)
{
    (void)state;
    fake_agent->sync = (struct fake_agent_rule){ AGENT_DIES, 1 };
    freeze_fails(XLSS(NOT_QUIESCED), "was closed in the middle");
}

static void test_flood(void **state)
{
    (void)state;
    fake_agent->floods = true;
    libxlss__agent_times.sync = 5000;
    freeze_fails(XLSS(NOT_QUIESCED), "is not a guest agent's");
}

static void test_frozen_by_others(void **state)
{
    (void)state;
    fake_agent->frozen = true;
    assert_int_equal(libxlss__agent_freeze(&op, &why), XLSS(NOT_QUIESCED));
    assert_non_null(strstr(why, "by somebody else"));
    assert_false(op.held.frozen);
    assert_int_equal(libxlss__release(&op), 0);
    assert_int_equal(fake_agent->thaws, 0);
    assert_true(fake_agent->frozen);
}

/* The agent's words go to a terminal: no escapes in them. */
static void test_freeze_error(void **state)
{
    (void)state;
    fake_agent->freeze = (struct fake_agent_rule){ AGENT_ERROR, 1 };
    freeze_fails(XLSS(NOT_QUIESCED),
                 "refuses guest-fsfreeze-freeze: no?[31mway");
}

static void test_freeze_nothing(void **state)
{
    (void)state;
    fake_agent->freeze = (struct fake_agent_rule){ AGENT_NOTHING, 1 };
    freeze_fails(XLSS(NOT_QUIESCED), "no filesystem that it can freeze");
    assert_int_equal(fake_agent->thaws, 1);
}

/* The guest is frozen, and only the reply is missing. */
static void test_freeze_reply_lost(void **state)
{
    (void)state;
    fake_agent->freeze = (struct fake_agent_rule){ AGENT_LOST, 1 };
    freeze_fails(XLSS(NOT_QUIESCED), "did not freeze its filesystems in");
    assert_int_equal(fake_agent->thaws, 1);
}

static void test_freeze_silent(void **state)
{
    (void)state;
    fake_agent->freeze = (struct fake_agent_rule){ AGENT_SILENT, 1 };
    freeze_fails(XLSS(NOT_QUIESCED), "did not freeze");
    assert_int_equal(fake_agent->thaws, 0);
}

static void test_dies_in_freeze(void **state)
{
    (void)state;
    fake_agent->freeze = (struct fake_agent_rule){ AGENT_DIES, 1 };
    freeze_fails(XLSS(NOT_QUIESCED), "was closed in the middle");
    assert_int_equal(fake_agent->thaws, 1);
    assert_int_equal(fake_agent->connections, 2);
}

static void test_freeze_not_json(void **state)
{
    (void)state;
    fake_agent->freeze = (struct fake_agent_rule){ AGENT_NOT_JSON, 1 };
    freeze_fails(XLSS(NOT_QUIESCED), "is not one");
    assert_int_equal(fake_agent->thaws, 1);
}

/* Each way in which a thaw can go wrong, some times in a row. */
static void test_thaw_goes_wrong(void **state)
{
    static const enum fake_agent_way ways[] = {
        AGENT_SILENT, AGENT_LOST, AGENT_ERROR, AGENT_DIES, AGENT_NOT_JSON,
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        freezes();
        fake_agent->thaw = (struct fake_agent_rule){ ways[i], 2 };
        thaws();
        fake_agent->thaw = (struct fake_agent_rule){ AGENT_FINE, 0 };
        assert_string_equal(lss_log(), "");
    }
}

/* The same with the small talk before it. */
static void test_sync_and_status_go_wrong(void **state)
{
    struct fake_agent_rule *rules[] = { &fake_agent->sync,
                                        &fake_agent->status };
    int way, i;

    (void)state;
    for (i = 0; i < 2; i++) {
        for (way = AGENT_SILENT; way <= AGENT_NOT_JSON; way++) {
            freezes();
            *rules[i] = (struct fake_agent_rule){ way, 3 };
            thaws();
            *rules[i] = (struct fake_agent_rule){ AGENT_FINE, 0 };
        }
    }
}

/* Never confirmed: loud, and left to the guard. */
static void test_thaw_never(void **state)
{
    (void)state;
    freezes();
    fake_agent->thaw = (struct fake_agent_rule){ AGENT_SILENT, 1000 };
    libxlss__agent_times.thaw = 300;
    assert_int_equal(libxlss__release(&op), XLSS(NEEDS_REPAIR));
    assert_true(op.held.frozen);
    assert_true(op.stuck);
    assert_logged("may still be frozen");
    /* What the guard then does. */
    fake_agent->thaw.times = 0;
    thaws();
}

static void test_freeze_lost_and_thaw_never(void **state)
{
    (void)state;
    fake_agent->freeze = (struct fake_agent_rule){ AGENT_LOST, 1 };
    fake_agent->thaw = (struct fake_agent_rule){ AGENT_SILENT, 1000 };
    libxlss__agent_times.thaw = 300;
    assert_int_equal(libxlss__agent_freeze(&op, &why), XLSS(NEEDS_REPAIR));
    assert_true(op.held.frozen);
    assert_true(op.stuck);
    assert_logged("may still be frozen");
}

/* As Windows does it after ten seconds. */
static void test_thaws_by_itself(void **state)
{
    (void)state;
    fake_agent->thaws_itself = true;
    assert_int_equal(libxlss__agent_freeze(&op, &why), 0);
    assert_true(op.quiesced);
    assert_int_equal(libxlss__release(&op), 0);
    assert_false(op.quiesced);
    assert_int_equal(fake_agent->thaws, 0);
}

/* Nobody is left to thaw. */
static void test_guest_goes_away(void **state)
{
    (void)state;
    freezes();
    fake_agent_stop();
    lss_info.shutdown = true;
    lss_info.shutdown_reason = LIBXL_SHUTDOWN_REASON_CRASH;
    assert_int_equal(libxlss__release(&op), 0);
    assert_false(op.held.frozen);
    assert_string_equal(lss_log(), "");
}

/* The guard has its own connection, after the caller's is gone. */
static void test_another_process_thaws(void **state)
{
    (void)state;
    freezes();
    libxlss__agent_end(&op);
    thaws();
    assert_int_equal(fake_agent->connections, 2);
}

/* A pty instead of a socket; at its other end this test itself. */
static void test_pty(void **state)
{
    char path[64], line[200];
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    pid_t pid;
    FILE *f;

    (void)state;
    assert_true(master >= 0);
    assert_int_equal(grantpt(master) | unlockpt(master), 0);
    assert_int_equal(ptsname_r(master, path, sizeof(path)), 0);
    pty_path = path;
    pid = fork();
    if (!pid) {
        f = fdopen(master, "r");
        while (fgets(line, sizeof(line), f)) {
            const char *id = strstr(line, "\"id\":");

            if (id)
                dprintf(master, "\xff{\"return\":%d}\n", atoi(id + 5));
            else if (strstr(line, "status"))
                dprintf(master, "{\"return\":\"%s\"}\n",
                        fake_agent->frozen ? "frozen" : "thawed");
            else
                dprintf(master, "{\"return\":%d}\n",
                        fake_agent->frozen = !!strstr(line, "freeze-freeze"));
        }
        _exit(0);
    }
    close(master);
    freezes();
    thaws();
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void test_pty_elsewhere(void **state)
{
    (void)state;
    pty_path = "/NO-SUCH-PATH";
    freeze_fails(XLSS(NOT_POSSIBLE), "no channel");
    pty_path = "/etc/passwd";
    freeze_fails(XLSS(NOT_POSSIBLE), "no channel");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_freeze_and_thaw),
        TEST(test_split_answers),
        TEST(test_stale_bytes),
        TEST(test_stale_and_split),
        TEST(test_no_channel),
        TEST(test_paused),
        TEST(test_no_answer),
        TEST(test_nobody_listens),
        TEST(test_queue_is_full),
        TEST(test_hangs_up_at_once),
        TEST(test_flood),
        TEST(test_frozen_by_others),
        TEST(test_freeze_error),
        TEST(test_freeze_nothing),
        TEST(test_freeze_reply_lost),
        TEST(test_freeze_silent),
        TEST(test_dies_in_freeze),
        TEST(test_freeze_not_json),
        TEST(test_thaw_goes_wrong),
        TEST(test_sync_and_status_go_wrong),
        TEST(test_thaw_never),
        TEST(test_freeze_lost_and_thaw_never),
        TEST(test_thaws_by_itself),
        TEST(test_guest_goes_away),
        TEST(test_another_process_thaws),
        TEST(test_pty),
        TEST(test_pty_elsewhere),
    };

    alarm(120);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
