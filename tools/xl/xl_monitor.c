/* SPDX-License-Identifier: LGPL-2.1-only */
/* The commands' side of the monitor: is one needed, and its start. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xl_monitor.h"
#include "xl_progress.h"
#include "xl_text.h"

#define START_SECONDS 10        /* that the start of a monitor may take */

/*
 * A file while an operation runs on a domain that nobody looks after: if the
 * operation's process dies, whoever recovers it starts no monitor either.
 */
static char *unmonitored_path(const struct xl_monitor_plan *plan)
{
    return xl_printf("%s/unmonitored-%s", XL_RUN_FOLDER, plan->uuid);
}

static void mark_unmonitored(const struct xl_monitor_plan *plan, bool set)
{
    char *path = unmonitored_path(plan);
    int fd;

    if (!set) {
        unlink(path);
    } else {
        mkdir(XL_RUN_FOLDER, 0700);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0)
            close(fd);
    }
    free(path);
}

static bool is_marked_unmonitored(const struct xl_monitor_plan *plan)
{
    char *path = unmonitored_path(plan);
    bool is = access(path, F_OK) == 0;

    free(path);
    return is;
}

/* libvirt acts on the shutdown of its domains itself. */
static bool is_libvirts(libxl_ctx *ctx, uint32_t domid)
{
    uint8_t *data = NULL;
    int len = 0;
    bool is;

    is = !libxl_userdata_retrieve(ctx, domid, "libvirt-xml", &data, &len) &&
         len > 0;
    free(data);
    return is;
}

/* Since 4.20 xl's monitor goes on after its domain was suspended. */
static bool stock_survives_suspend(libxl_ctx *ctx)
{
    const libxl_version_info *v = libxl_get_version_info(ctx);

    return v && (v->xen_version_major > 4 ||
                 (v->xen_version_major == 4 && v->xen_version_minor >= 20));
}

static bool ours_lives(const struct xl_monitor_plan *plan)
{
    return xl_monitor_ours_lives(XL_RUN_FOLDER, plan->uuid);
}

static bool stock_lives(const struct xl_monitor_plan *plan)
{
    return xl_monitor_find_stock("/proc", XL_LOG_FOLDER, plan->name) != 0;
}

void xl_monitor_before(struct xl_monitor_plan *plan)
{
    plan->survives = stock_survives_suspend(plan->ctx);
    if (!libxl_domid_valid_guest(plan->domid))
        plan->wanted = true;    /* off: a revert starts it, as xl would */
    else if (is_libvirts(plan->ctx, plan->domid))
        plan->wanted = false;
    else
        plan->wanted = ours_lives(plan) || stock_lives(plan);
    mark_unmonitored(plan, !plan->wanted);
}

/*
 * In the child: nothing of the command but its environment. Between fork and
 * exec only calls that are safe there: other threads may hold locks.
 */
static void become_starter(const struct xl_monitor_plan *plan,
                           char *const argv[], int report, int null)
{
    struct sigaction sa = { .sa_handler = SIG_DFL };
    sigset_t none;
    int sig;

    setsid();
    for (sig = 1; sig < NSIG; sig++)
        sigaction(sig, &sa, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(null, 0) < 0 || dup2(report, 1) < 0 || dup2(null, 2) < 0)
        _exit(1);
    /* The command's locks, sockets and pipes end here. */
    close_range(3, ~0U, 0);
    execv(plan->program, argv);
    _exit(1);
}

/* 0, or the errno. The answer is read later, by collect(). */
static int start(struct xl_monitor_plan *plan, uint32_t domid)
{
    char domid_text[16], command[] = "snapshot-monitor", self[] = "xl-snapshot";
    char *argv[] = { self, command, domid_text, NULL };
    int fds[2], null;
    pid_t pid;

    if (!plan->program)
        return ENOENT;
    snprintf(domid_text, sizeof(domid_text), "%u", domid);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return errno;
    if (pipe2(fds, O_CLOEXEC)) {
        close(null);
        return errno;
    }
    /* Twice, and the first is waited for at once: a child that ended during
     * the operation would be reaped by libxl, with a warning. */
    pid = fork();
    if (!pid) {
        if (fork() == 0)
            become_starter(plan, argv, fds[1], null);
        _exit(0);
    }
    close(fds[1]);
    close(null);
    if (pid < 0) {
        close(fds[0]);
        return EAGAIN;
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    plan->pending = true;
    plan->fd = fds[0];
    return 0;
}

/* The starter's answer, up to its end; malloc'ed. */
static char *read_answer(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    char buf[256];
    size_t len = 0;
    ssize_t n = 1;

    while (n > 0 && len < sizeof(buf) - 1) {
        int r = poll(&p, 1, START_SECONDS * 1000);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            break;
        n = read(fd, buf + len, sizeof(buf) - 1 - len);
        len += n > 0 ? n : 0;
    }
    while (len && buf[len - 1] == '\n')
        len--;
    buf[len] = '\0';
    return xl_strdup(buf);
}

/* NULL if the monitor started; else why it did not, malloc'ed. */
static char *collect(struct xl_monitor_plan *plan)
{
    char *answer = read_answer(plan->fd);

    close(plan->fd);
    plan->fd = -1;
    plan->pending = false;
    if (strcmp(answer, "ok") == 0) {
        free(answer);
        return NULL;
    }
    if (!answer[0]) {
        free(answer);
        return xl_strdup("it gave no answer");
    }
    return answer;
}

static void warn(const struct xl_monitor_plan *plan, const char *why)
{
    xl_say("warning: can't start a monitor for domain %s (%s): nobody acts "
           "on its on_poweroff, on_reboot and on_crash now",
           plan->name, why);
}

static void start_and_tell(struct xl_monitor_plan *plan, uint32_t domid)
{
    char *why = NULL;
    int err = start(plan, domid);

    if (err)
        why = xl_strdup(strerror(err));
    else
        why = collect(plan);
    if (why)
        warn(plan, why);
    free(why);
}

void xl_monitor_suspending(struct xl_monitor_plan *plan)
{
    if (plan->asked)
        return;
    plan->asked = true;
    if (!plan->wanted || plan->survives ||
        !libxl_domid_valid_guest(plan->domid) || ours_lives(plan))
        return;
    plan->started = true;
    /* It is asked for again at the end if this fails. */
    start(plan, plan->domid);
}

void xl_monitor_after(struct xl_monitor_plan *plan, uint32_t domid)
{
    bool other = domid != plan->domid, lives = false;

    if (plan->pending) {
        char *why = collect(plan);

        lives = !why;
        free(why);
    }
    mark_unmonitored(plan, false);
    if (!plan->wanted || !libxl_domid_valid_guest(domid))
        return;
    /*
     * A domain that was reverted is another one: monitors of the old one
     * are on their way out, and the new one waits for that. Otherwise one
     * is missing only if there is none.
     */
    if (!other && (lives || ours_lives(plan)))
        return;
    if (!other && (!plan->started || plan->survives) && stock_lives(plan))
        return;
    start_and_tell(plan, domid);
}

void xl_monitor_recovered(struct xl_monitor_plan *plan, uint32_t domid)
{
    bool unmonitored = is_marked_unmonitored(plan);

    mark_unmonitored(plan, false);
    if (unmonitored || !libxl_domid_valid_guest(domid) ||
        is_libvirts(plan->ctx, domid) || ours_lives(plan))
        return;
    start_and_tell(plan, domid);
}
