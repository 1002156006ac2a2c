/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * When a monitor is started, and what it inherits: real processes stand in
 * for xl's monitor and for ours. Linked without libxenlight.
 */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/xl-start-XXXXXX";

#define XL_RUN_FOLDER folder
#define XL_LOG_FOLDER folder
#include "../../tools/xl/xl_monitor.c"

#define UUID "u-u-i-d"
#define NAME "web1"
#define WAIT_TRIES 500          /* of 10 ms */

static char own_path[4096];

static struct {
    int minor;                  /* of Xen's version */
    bool libvirts;
    char said[512];
} fake;

/* --- libxl, and the message --- */

const libxl_version_info *libxl_get_version_info(libxl_ctx *ctx)
{
    static libxl_version_info info;

    (void)ctx;
    info.xen_version_major = 4;
    info.xen_version_minor = fake.minor;
    return &info;
}

int libxl_userdata_retrieve(libxl_ctx *ctx, uint32_t domid, const char *id,
                            uint8_t **data, int *len)
{
    (void)ctx;
    (void)domid;
    assert_string_equal(id, "libvirt-xml");
    *data = fake.libvirts ? (uint8_t *)strdup("<domain/>") : NULL;
    *len = fake.libvirts ? 10 : 0;
    return 0;
}

int libxl_domid_valid_guest(uint32_t domid)
{
    return domid > 0 && domid < 0x7ff0;
}

void xl_say(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(fake.said, sizeof(fake.said), fmt, ap);
    va_end(ap);
}

/* --- helpers --- */

static char *in_folder(const char *name)
{
    return xl_printf("%s/%s", folder, name);
}

/* In place of the stand-in. */
static void write_script(const char *text)
{
    char *path = in_folder("program");
    FILE *f;

    unlink(path);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, 0700), 0);
    free(path);
}

static void drop_script(void)
{
    char *path = in_folder("program");

    unlink(path);
    assert_int_equal(symlink(own_path, path), 0);
    free(path);
}

/* What the last start has left, or "" after the time is up; removes it. */
static char *started(void)
{
    char *path = in_folder("started"), *text = xl_alloc(4096, 1);
    int i, fd;

    for (i = 0; i < WAIT_TRIES && access(path, F_OK); i++)
        usleep(10000);
    fd = open(path, O_RDONLY);
    if (fd >= 0) {
        assert_true(read(fd, text, 4095) >= 0);
        close(fd);
        unlink(path);
    }
    free(path);
    return text;
}

static bool is_started(void)
{
    char *path = in_folder("started");
    bool is = access(path, F_OK) == 0;

    unlink(path);
    free(path);
    return is;
}

static struct xl_monitor_plan plan_for(uint32_t domid)
{
    static char program[64];
    struct xl_monitor_plan plan = {
        .program = program, .name = NAME, .uuid = UUID, .domid = domid,
        .fd = -1,
    };

    snprintf(program, sizeof(program), "%s/program", folder);
    return plan;
}

/* A process as xl leaves it behind. */
static pid_t stock_start(void)
{
    char *xl = in_folder("xl"), *log = in_folder("xl-" NAME ".log");
    char *copy = xl_printf("cp /bin/sleep %s", xl);
    int i;
    pid_t pid;

    assert_int_equal(system(copy), 0);
    pid = fork();
    if (!pid) {
        int fd = open(log, O_WRONLY | O_CREAT, 0600);

        dup2(fd, 1);
        dup2(fd, 2);
        execl(xl, "xl", "1000", NULL);
        _exit(1);
    }
    for (i = 0; i < WAIT_TRIES; i++) {
        if (xl_monitor_find_stock("/proc", folder, NAME) == pid)
            break;
        usleep(10000);
    }
    assert_true(i < WAIT_TRIES);
    free(copy);
    free(xl);
    free(log);
    return pid;
}

static void stock_stop(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* This test itself, as a monitor: what it was given, in a file, and "ok". */
static int stand_in(const char *domid)
{
    char *path, *ready, target[64];
    const char *where = getenv("XL_START_FOLDER");
    FILE *f;
    int fd;

    if (!where)
        return 1;
    path = xl_printf("%s/started.new", where);
    ready = xl_printf("%s/started", where);
    f = fopen(path, "w");
    if (!f)
        return 1;
    fprintf(f, "snapshot-monitor %s\n", domid);
    for (fd = 0; fd < 64; fd++) {
        char *link = xl_printf("/proc/self/fd/%d", fd);
        ssize_t len = fd == fileno(f) ? -1
                                      : readlink(link, target,
                                                 sizeof(target) - 1);

        free(link);
        if (len < 0)
            continue;
        target[len] = '\0';
        target[strcspn(target, ":")] = '\0';
        fprintf(f, "%d %s\n", fd, target);
    }
    fprintf(f, "%d\n%d\n", (int)getsid(0), (int)getpid());
    if (fclose(f) || rename(path, ready))
        return 1;
    free(path);
    free(ready);
    return write(1, "ok\n", 3) == 3 ? 0 : 1;
}

static int begin(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof(fake));
    fake.minor = 17;
    drop_script();
    is_started();
    return 0;
}

static bool marked(void)
{
    char *path = in_folder("unmonitored-" UUID);
    bool is = access(path, F_OK) == 0;

    free(path);
    return is;
}

/* --- the tests --- */

static void nobody_looked_after_it(void **state)
{
    struct xl_monitor_plan plan = plan_for(5);

    (void)state;
    xl_monitor_before(&plan);
    assert_false(plan.wanted);
    assert_true(marked());
    xl_monitor_suspending(&plan);
    xl_monitor_after(&plan, 5);
    xl_monitor_after(&plan, 6);
    assert_false(is_started());
    assert_false(marked());
    assert_string_equal(fake.said, "");
}

static void libvirt_does(void **state)
{
    struct xl_monitor_plan plan = plan_for(5);
    pid_t pid = stock_start();

    (void)state;
    fake.libvirts = true;
    xl_monitor_before(&plan);
    stock_stop(pid);
    xl_monitor_suspending(&plan);
    fake.libvirts = false;      /* a revert destroys the userdata */
    xl_monitor_after(&plan, 6);
    assert_false(is_started());
}

static void snapshot_on_4_17(void **state)
{
    struct xl_monitor_plan plan = plan_for(5);
    pid_t pid = stock_start();
    int leak = open("/dev/null", O_RDONLY);     /* must not be inherited */
    char *text, *line;

    (void)state;
    xl_monitor_before(&plan);
    assert_true(plan.wanted);
    assert_false(marked());
    xl_monitor_suspending(&plan);
    xl_monitor_suspending(&plan);               /* once is enough */
    stock_stop(pid);
    xl_monitor_after(&plan, 5);
    text = started();
    line = strtok(text, "\n");
    assert_string_equal(line, "snapshot-monitor 5");
    assert_string_equal(strtok(NULL, "\n"), "0 /dev/null");
    assert_string_equal(strtok(NULL, "\n"), "1 pipe");
    assert_string_equal(strtok(NULL, "\n"), "2 /dev/null");
    /* Leader of its session: no terminal, no Ctrl-C. */
    line = strtok(NULL, "\n");
    assert_string_equal(line, strtok(NULL, "\n"));
    assert_null(strtok(NULL, "\n"));
    free(text);
    assert_string_equal(fake.said, "");
    assert_false(plan.pending);
    close(leak);
}

/* Refused before the suspend: xl's monitor has seen nothing. */
static void refused_on_4_17(void **state)
{
    struct xl_monitor_plan plan = plan_for(5);
    pid_t pid = stock_start();

    (void)state;
    xl_monitor_before(&plan);
    xl_monitor_after(&plan, 5);
    stock_stop(pid);
    assert_false(is_started());
}

static void ours_is_there(void **state)
{
    struct xl_monitor_plan plan = plan_for(5);
    int lock = xl_monitor_lock(folder, UUID, 0);

    (void)state;
    assert_true(lock >= 0);
    xl_monitor_before(&plan);
    assert_true(plan.wanted);
    xl_monitor_suspending(&plan);
    xl_monitor_after(&plan, 5);
    assert_false(is_started());
    /* After a revert it is on its way out. */
    plan = plan_for(5);
    xl_monitor_before(&plan);
    xl_monitor_after(&plan, 6);
    xl_monitor_unlock(folder, UUID, lock);
    assert_true(is_started());
}

static void snapshot_on_4_20(void **state)
{
    struct xl_monitor_plan plan = plan_for(5);
    pid_t pid = stock_start();

    (void)state;
    fake.minor = 20;
    xl_monitor_before(&plan);
    xl_monitor_suspending(&plan);
    xl_monitor_after(&plan, 5);
    assert_false(is_started());
    plan = plan_for(5);
    xl_monitor_before(&plan);
    stock_stop(pid);
    xl_monitor_after(&plan, 5);
    assert_true(is_started());
}

static void revert_of_a_domain_that_is_off(void **state)
{
    struct xl_monitor_plan plan = plan_for(INVALID_DOMID);
    char *text;

    (void)state;
    xl_monitor_before(&plan);
    xl_monitor_suspending(&plan);
    assert_false(is_started());
    xl_monitor_after(&plan, 9);
    text = started();
    assert_int_equal(strncmp(text, "snapshot-monitor 9\n", 19), 0);
    free(text);
    /* It failed, and is off still. */
    plan = plan_for(INVALID_DOMID);
    xl_monitor_before(&plan);
    xl_monitor_after(&plan, INVALID_DOMID);
    assert_false(is_started());
}

static void warns(const char *script, const char *why)
{
    struct xl_monitor_plan plan = plan_for(INVALID_DOMID);

    write_script(script);
    fake.said[0] = '\0';
    xl_monitor_before(&plan);
    xl_monitor_after(&plan, 9);
    assert_non_null(strstr(fake.said, why));
    assert_non_null(strstr(fake.said, "on_reboot"));
    assert_non_null(strstr(fake.said, NAME));
}

static void failures(void **state)
{
    (void)state;
    warns("#!/bin/sh\necho \"can't reach Xen\"\n", "can't reach Xen");
    warns("#!/bin/sh\nexit 3\n", "no answer");
    warns("#!/nonexistent\n", "no answer");
}

static void recovered(void **state)
{
    struct xl_monitor_plan plan = plan_for(5);

    (void)state;
    xl_monitor_recovered(&plan, 5);
    assert_true(is_started());
    /* The dead command had seen that nobody looks after it. */
    xl_monitor_before(&plan);
    plan = plan_for(5);
    xl_monitor_recovered(&plan, 5);
    assert_false(is_started());
    assert_false(marked());
    fake.libvirts = true;
    xl_monitor_recovered(&plan, 5);
    assert_false(is_started());
}

static int make(void **state)
{
    ssize_t len = readlink("/proc/self/exe", own_path, sizeof(own_path) - 1);

    (void)state;
    if (len < 0 || !mkdtemp(folder))
        return -1;
    own_path[len] = '\0';
    return setenv("XL_START_FOLDER", folder, 1);
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

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup(name, begin)
    const struct CMUnitTest tests[] = {
        TEST(nobody_looked_after_it),
        TEST(libvirt_does),
        TEST(snapshot_on_4_17),
        TEST(refused_on_4_17),
        TEST(ours_is_there),
        TEST(snapshot_on_4_20),
        TEST(revert_of_a_domain_that_is_off),
        TEST(failures),
        TEST(recovered),
    };

    if (argc == 3 && strcmp(argv[1], "snapshot-monitor") == 0)
        return stand_in(argv[2]);
    return cmocka_run_group_tests(tests, make, drop);
}
