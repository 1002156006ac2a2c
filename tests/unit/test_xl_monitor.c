/* SPDX-License-Identifier: LGPL-2.1-only */
/* Who is a monitor, and what a shutdown means. */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../tools/xl/xl_monitor.h"

static char folder[] = "/tmp/xl-monitor-XXXXXX";

static int make(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_one(const char *path, const struct stat *st, int type,
                    struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int drop(void **state)
{
    (void)state;
    return nftw(folder, drop_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A process in a folder that looks like /proc. */
static void process(int pid, const char *exe, const char *out,
                    const char *args, size_t len)
{
    char path[256];
    int fd;

    snprintf(path, sizeof(path), "%s/%d", folder, pid);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/%d/fd", folder, pid);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/%d/exe", folder, pid);
    assert_int_equal(symlink(exe, path), 0);
    snprintf(path, sizeof(path), "%s/%d/fd/1", folder, pid);
    assert_int_equal(symlink(out, path), 0);
    snprintf(path, sizeof(path), "%s/%d/cmdline", folder, pid);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, args, len), len);
    close(fd);
}

#define PROCESS(pid, exe, out, args) \
    process(pid, exe, out, args, sizeof(args))
#define XL "/nonexistent/xen/bin/xl"

static pid_t find(const char *name)
{
    return xl_monitor_find_stock(folder, "/log", name);
}

static void stock(void **state)
{
    (void)state;
    PROCESS(10, XL, "/log/xl-web1.log", "xl\0create\0/etc/xen/a.cfg");
    PROCESS(11, XL, "/log/xl-web11.log", "xl\0create\0b.cfg");
    PROCESS(12, XL " (deleted)", "/log/xl-db.log.1", "xl\0restore\0x");
    PROCESS(13, "/nonexistent/xl-other", "/log/xl-mail.log", "x");
    PROCESS(14, XL, "/dev/pts/1", "xl\0create\0-F\0/etc/xen/fore.cfg");
    PROCESS(15, XL, "/dev/pts/1", "xl\0create\0/etc/xen/back.cfg");
    PROCESS(16, XL, "/dev/pts/1", "xl\0console\0-F\0con");
    PROCESS(17, XL, "/log/xl-moved--incoming.log", "xl\0migrate-receive");
    PROCESS(18, "/proc/self/exe", "/log/xl-own.log", "xl");
    PROCESS(19, XL, "/log/xl-gone.log (deleted)", "xl\0create\0c.cfg");

    assert_int_equal(find("web1"), 10);
    assert_int_equal(find("web11"), 11);
    assert_int_equal(find("web"), 0);
    assert_int_equal(find("db"), 12);
    assert_int_equal(find("mail"), 0);
    assert_int_equal(find("fore"), 14);
    assert_int_equal(find("back"), 0);
    assert_int_equal(find("con"), 0);
    assert_int_equal(find("moved"), 17);
    assert_int_equal(find("own"), 0);
    assert_int_equal(find("gone"), 19);
    assert_int_equal(xl_monitor_find_stock("/nonexistent", "/log", "a"), 0);
}

static void locks(void **state)
{
    static const char uuid[] = "u-u";
    int fd, second;

    (void)state;
    assert_false(xl_monitor_ours_lives(folder, uuid));
    fd = xl_monitor_lock(folder, uuid, 0);
    assert_true(fd >= 0);
    assert_true(xl_monitor_ours_lives(folder, uuid));
    assert_int_equal(xl_monitor_lock(folder, uuid, 0), -1);
    xl_monitor_unlock(folder, uuid, fd);
    assert_false(xl_monitor_ours_lives(folder, uuid));
    /* A file that a dead monitor has left is no monitor. */
    fd = xl_monitor_lock(folder, uuid, 0);
    close(fd);
    assert_false(xl_monitor_ours_lives(folder, uuid));
    second = xl_monitor_lock(folder, uuid, 0);
    assert_true(second >= 0);
    xl_monitor_unlock(folder, uuid, second);
}

static void decisions(void **state)
{
    static const struct {
        libxl_action_on_shutdown action;
        enum xl_monitor_act act;
        bool dump;
    } cases[] = {
        { LIBXL_ACTION_ON_SHUTDOWN_DESTROY, XL_MONITOR_DESTROY, false },
        { LIBXL_ACTION_ON_SHUTDOWN_RESTART, XL_MONITOR_RESTART, false },
        { LIBXL_ACTION_ON_SHUTDOWN_RESTART_RENAME, XL_MONITOR_RENAME,
          false },
        { LIBXL_ACTION_ON_SHUTDOWN_PRESERVE, XL_MONITOR_PRESERVE, false },
        { LIBXL_ACTION_ON_SHUTDOWN_COREDUMP_DESTROY, XL_MONITOR_DESTROY,
          true },
        { LIBXL_ACTION_ON_SHUTDOWN_COREDUMP_RESTART, XL_MONITOR_RESTART,
          true },
        { LIBXL_ACTION_ON_SHUTDOWN_SOFT_RESET, XL_MONITOR_SOFT_RESET,
          false },
    };
    libxl_domain_config c;
    bool dump;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&c, 0, sizeof(c));
        c.on_crash = cases[i].action;
        assert_int_equal(xl_monitor_decide(&c, LIBXL_SHUTDOWN_REASON_CRASH,
                                           &dump), cases[i].act);
        assert_int_equal(dump, cases[i].dump);
    }
}

static void reasons(void **state)
{
    libxl_domain_config c = {
        .on_poweroff = LIBXL_ACTION_ON_SHUTDOWN_PRESERVE,
        .on_reboot = LIBXL_ACTION_ON_SHUTDOWN_RESTART,
        .on_watchdog = LIBXL_ACTION_ON_SHUTDOWN_RESTART_RENAME,
        .on_crash = LIBXL_ACTION_ON_SHUTDOWN_DESTROY,
        .on_soft_reset = LIBXL_ACTION_ON_SHUTDOWN_SOFT_RESET,
    };
    bool dump;

    (void)state;
#define DECIDE(reason) \
    xl_monitor_decide(&c, LIBXL_SHUTDOWN_REASON_##reason, &dump)
    assert_int_equal(DECIDE(POWEROFF), XL_MONITOR_PRESERVE);
    assert_int_equal(DECIDE(REBOOT), XL_MONITOR_RESTART);
    assert_int_equal(DECIDE(WATCHDOG), XL_MONITOR_RENAME);
    assert_int_equal(DECIDE(CRASH), XL_MONITOR_DESTROY);
    assert_int_equal(DECIDE(SOFT_RESET), XL_MONITOR_SOFT_RESET);
    assert_int_equal(DECIDE(SUSPEND), XL_MONITOR_IGNORE);
    assert_int_equal(DECIDE(UNKNOWN), XL_MONITOR_DESTROY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stock),
        cmocka_unit_test(locks),
        cmocka_unit_test(decisions),
        cmocka_unit_test(reasons),
    };

    return cmocka_run_group_tests(tests, make, drop);
}
