/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * guard_line.c and guard.c. The guard that is started is this program
 * itself, by another name; it writes down what it was given and hears.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard.h"
#include "lss_test.h"

/* --- the guard --- */

static void write_fds(FILE *f)
{
    int fd;

    fprintf(f, "fds");
    for (fd = 0; fd < 1024; fd++)
        if (fd != fileno(f) && fcntl(fd, F_GETFD) != -1)
            fprintf(f, " %d", fd);
    fprintf(f, "\n");
}

static void write_signals(FILE *f)
{
    sigset_t blocked;
    int i;

    sigprocmask(SIG_BLOCK, NULL, &blocked);
    fprintf(f, "blocked");
    for (i = 1; i < NSIG; i++)
        if (sigismember(&blocked, i) == 1)
            fprintf(f, " %d", i);
    fprintf(f, "\n");
}

/* Ends when it is told so, or when nobody is left to tell it. */
static int guard_main(int argc, char **argv)
{
    char path[512], line[GUARD_LINE + 1] = "";
    struct stat lock;
    bool has_lock = !fstat(GUARD_FD_LOCK, &lock);
    FILE *f;
    int i;

    snprintf(path, sizeof(path), "%s.heard", argv[0]);
    f = fopen(path, "we");
    if (!f)
        return 1;
    setvbuf(f, NULL, _IONBF, 0);
    write_fds(f);
    write_signals(f);
    for (i = 1; i < argc; i++)
        fprintf(f, "arg %s\n", argv[i]);
    if (has_lock)
        fprintf(f, "lock %llu\n", (unsigned long long)lock.st_ino);
    fprintf(f, "pid %d group %d session %d\n", (int)getpid(),
            (int)getpgrp(), (int)getsid(0));
    if (strstr(argv[0], "dies-unready"))
        return 0;
    if (write(GUARD_FD_READY, "!", 1) != 1)
        return 1;
    close(GUARD_FD_READY);
    if (strstr(argv[0], "dies-early"))
        return 0;
    while (read(GUARD_FD_TELL, line, GUARD_LINE) == GUARD_LINE) {
        fprintf(f, "line %s", line);
        if (!strcmp(line, GUARD_BYE))
            break;
    }
    fprintf(f, "over\n");
    return 0;
}

/* --- the caller --- */

static struct libxlss__op op;
static libxl_snapshot_how how;
static int fds_before;
static const char *guard;       /* its path */
static char heard[8192];

static int start_as(const char *name, int memory_fd)
{
    static char path[512];
    char self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    assert_true(n > 0);
    self[n] = '\0';
    strcpy(path, lss_path(name));
    assert_int_equal(symlink(self, path), 0);
    libxlss__guard_path = guard = path;
    return libxlss__guard_start(&op, memory_fd);
}

static void read_heard(void)
{
    char path[600];
    size_t n = 0;
    FILE *f;

    snprintf(path, sizeof(path), "%s.heard", guard);
    f = fopen(path, "re");
    if (f) {
        n = fread(heard, 1, sizeof(heard) - 1, f);
        fclose(f);
    }
    heard[n] = '\0';
}

/* Until it has written so, or two seconds have passed. */
static void expect_heard(const char *text)
{
    int i;

    for (i = 0; i < 2000; i++) {
        read_heard();
        if (strstr(heard, text))
            return;
        usleep(1000);
    }
    print_error("not heard: %s\n%s", text, heard);
    fail();
}

/* Descriptors that a program started by somebody else would get. */
static int num_inheritable(void)
{
    int fd, num = 0;

    for (fd = 0; fd < 1024; fd++)
        num += fcntl(fd, F_GETFD) == 0;
    return num;
}

static bool guard_ended(void)
{
    int i, pid = 0;
    char *at;

    read_heard();
    at = strstr(heard, "pid ");
    if (!at || sscanf(at, "pid %d", &pid) != 1)
        return false;
    /* This process is a subreaper, so it can wait for it. */
    for (i = 0; i < 2000; i++) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return true;
        usleep(1000);
    }
    return false;
}

static int set_up(void **state)
{
    (void)state;
    fds_before = lss_num_fds();
    lss_op_start(&op);
    memset(&how, 0, sizeof(how));
    op.how = &how;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lss_op_stop(&op);
    lss_dir_remove();
    assert_int_equal(lss_num_fds(), fds_before);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    return 0;
}

/* --- lines --- */

static void test_line_round_trip(void **state)
{
    static const unsigned int counts[] = { 0, 1, 9, 10, 16, 255, 999 };
    unsigned int i, flags;

    (void)state;
    for (i = 0; i < 49; i++) {
        for (flags = 0; flags < 32; flags++) {
            struct libxlss__held h = {
                .suspending = flags & 1, .stopped = flags & 2,
                .frozen = flags & 4,
                .pauses = counts[i / 7], .repauses = counts[i % 7],
                .inactive = flags & 8, .log_dirty = flags & 16,
            }, back = { .pauses = 77 };
            char line[GUARD_LINE + 1];

            memset(line, '#', sizeof(line));
            libxlss__held_to_line(&h, line);
            assert_int_equal(strlen(line), GUARD_LINE);
            assert_int_equal(line[GUARD_LINE - 1], '\n');
            assert_ptr_equal(strchr(line, '\n'), line + GUARD_LINE - 1);
            assert_true(libxlss__held_from_line(&back, line));
            assert_int_equal(back.suspending, h.suspending);
            assert_int_equal(back.stopped, h.stopped);
            assert_int_equal(back.pauses, h.pauses);
            assert_int_equal(back.repauses, h.repauses);
            assert_int_equal(back.frozen, h.frozen);
            assert_int_equal(back.inactive, h.inactive);
            assert_int_equal(back.log_dirty, h.log_dirty);
        }
    }
}

/* Nothing but a whole line changes what is known. */
static void test_bad_lines(void **state)
{
    static const char *const bad[] = {
        "", "end                \n", "1 0 1              \n",
        "x 1 1 1            \n",
        "1 x   1   1 0 0 0  \n", "1 0   1   x 0 0 0  \n",
        "1 0   1   1        \n", "1 0   1   1 0 0 x  \n",
        "\n\n\n\n\n\n\n\n",
    };
    size_t i;

    (void)state;
    assert_int_equal(strlen(GUARD_BYE), GUARD_LINE);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct libxlss__held h = { .suspending = true, .pauses = 3 };
        char line[GUARD_LINE + 1] = "";

        strcpy(line, bad[i]);
        assert_false(libxlss__held_from_line(&h, line));
        assert_true(h.suspending);
        assert_false(h.stopped);
        assert_int_equal(h.pauses, 3);
    }
}

/* --- the conversation --- */

static void test_conversation(void **state)
{
    int inheritable = num_inheritable();

    (void)state;
    assert_int_equal(start_as("guard", -1), 0);
    assert_int_equal(num_inheritable(), inheritable);
    assert_non_null(op.guard);
    assert_int_equal(libxlss__guard_wait(&op), 0);
    assert_int_equal(libxlss__guard_wait(&op), 0);
    op.held.suspending = true;
    libxlss__guard_tell(&op);
    expect_heard("line 1 0   0   0 0 0 0  \n");
    op.held.suspending = false;
    op.held.stopped = true;
    op.held.pauses = 2;
    op.held.repauses = 13;
    libxlss__guard_tell(&op);
    expect_heard("line 1 0   0   0 0 0 0  \nline 0 1   2  13 0 0 0  \n");
    assert_null(strstr(heard, "over"));
    libxlss__guard_end(&op);
    assert_null(op.guard);
    expect_heard("line " GUARD_BYE "over\n");
    assert_true(guard_ended());
    libxlss__guard_end(&op);
    assert_string_equal(lss_log(), "");
}

/* We live, but could not set the domain going: the guard has to go on. */
static void test_stuck(void **state)
{
    (void)state;
    assert_int_equal(start_as("guard", -1), 0);
    assert_int_equal(libxlss__guard_wait(&op), 0);
    op.held.suspending = true;
    libxlss__guard_tell(&op);
    op.stuck = true;
    libxlss__guard_end(&op);
    op.stuck = false;
    expect_heard("line 1 0   0   0 0 0 0  \nover\n");
    assert_true(guard_ended());
}

/* Without a word of good-bye the pipe ends: our process has died. */
static void test_caller_dies(void **state)
{
    pid_t pid;

    (void)state;
    lss_dir();                  /* one for both */
    pid = fork();
    if (!pid) {
        if (start_as("guard", -1) || libxlss__guard_wait(&op))
            _exit(1);
        op.held.pauses = 1;
        libxlss__guard_tell(&op);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    guard = lss_path("guard");
    expect_heard("line 0 0   1   0 0 0 0  \nover\n");
    assert_true(guard_ended());
}

static void test_arguments(void **state)
{
    char *on_death[] = { (char *)"/bin/xl-x", (char *)"a b", (char *)"",
                         NULL };
    char want[256];
    struct stat st;
    int fd = open(lss_path("memory"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    (void)state;
    assert_int_equal(fstat(fd, &st), 0);
    how.on_death = on_death;
    assert_int_equal(start_as("guard", fd), 0);
    assert_int_equal(libxlss__guard_wait(&op), 0);
    read_heard();
    snprintf(want, sizeof(want), "arg 5\narg " LSS_UUID "\narg %llu\n"
             "arg %llu\narg /bin/xl-x\narg a b\narg \npid ",
             (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    assert_non_null(strstr(heard, want));
    close(fd);
}

static void test_no_memory_file(void **state)
{
    (void)state;
    op.how = NULL;
    assert_int_equal(start_as("guard", -1), 0);
    assert_int_equal(libxlss__guard_wait(&op), 0);
    read_heard();
    assert_non_null(strstr(heard, "arg 5\narg " LSS_UUID "\narg 0\narg 0\n"
                           "pid "));
}

/* 0 to 2, and the three that it knows; the lock only if there is one. */
static void expect_fds(const char *want)
{
    char line[64];

    snprintf(line, sizeof(line), "fds %s\n", want);
    read_heard();
    assert_memory_equal(heard, line, strlen(line));
}

static void test_descriptors(void **state)
{
    /* Neither closed by exec nor out of the way. */
    int more[40], i;

    (void)state;
    for (i = 0; i < 40; i++)
        more[i] = open("/dev/null", O_RDONLY);
    assert_int_equal(start_as("guard", -1), 0);
    assert_int_equal(libxlss__guard_wait(&op), 0);
    expect_fds("0 1 2 3 4");
    for (i = 0; i < 40; i++)
        close(more[i]);
}

static void test_lock_is_inherited(void **state)
{
    char want[64];
    struct stat st;
    int other;

    (void)state;
    libxlss__run_dir = lss_dir();
    assert_int_equal(libxlss__oplock(&op, 0), 0);
    assert_int_equal(fstat(op.lock_fd, &st), 0);
    assert_int_equal(start_as("guard", -1), 0);
    assert_int_equal(libxlss__guard_wait(&op), 0);
    expect_fds("0 1 2 3 4 5");
    snprintf(want, sizeof(want), "lock %llu\n",
             (unsigned long long)st.st_ino);
    assert_non_null(strstr(heard, want));
    /* It holds the lock for as long as it lives. */
    other = open(lss_path("op-" LSS_UUID ".lock"), O_RDWR | O_CLOEXEC);
    libxlss__opunlock(&op);
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
    libxlss__guard_end(&op);
    assert_true(guard_ended());
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
    close(other);
}

/* With our own descriptors on the numbers that the guard's shall have. */
static void test_numbers_are_taken(void **state)
{
    int p[3], i;

    (void)state;
    /* The lock where the pipes go, the pipes wherever is room. */
    for (i = 0; i < 3; i++)
        p[i] = open("/dev/null", O_RDONLY);
    op.lock_fd = open(lss_path("lock"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    for (i = 0; i < 3; i++)
        close(p[i]);
    assert_int_equal(start_as("guard", -1), 0);
    assert_int_equal(libxlss__guard_wait(&op), 0);
    expect_fds("0 1 2 3 4 5");
    libxlss__guard_tell(&op);
    expect_heard("line 0 0   0   0 0 0 0  \n");
}

static void test_session_and_signals(void **state)
{
    int pid, group, session;
    sigset_t set, old;

    (void)state;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    assert_int_equal(start_as("guard", -1), 0);
    sigprocmask(SIG_SETMASK, &old, NULL);
    assert_int_equal(libxlss__guard_wait(&op), 0);
    read_heard();
    assert_int_equal(sscanf(strstr(heard, "pid "),
                            "pid %d group %d session %d", &pid, &group,
                            &session), 3);
    assert_int_not_equal(group, getpgrp());
    assert_int_not_equal(session, getsid(0));
    /* No leader: it can't get a terminal by opening one. */
    assert_int_not_equal(session, pid);
    assert_non_null(strstr(heard, "blocked\n"));
}

/* --- what goes wrong --- */

static void test_no_guard_wanted(void **state)
{
    (void)state;
    libxlss__guard_path = NULL;
    assert_int_equal(libxlss__guard_start(&op, -1), 0);
    assert_null(op.guard);
    assert_int_equal(libxlss__guard_wait(&op), 0);
    libxlss__guard_tell(&op);
    libxlss__guard_end(&op);
    assert_int_equal(lss_num_fds(), fds_before);
}

static void test_guard_is_missing(void **state)
{
    (void)state;
    libxlss__guard_path = "/nonexistent/guard";
    assert_int_equal(libxlss__guard_start(&op, -1), 0);
    assert_int_equal(libxlss__guard_wait(&op), ERROR_FAIL);
    assert_logged("cannot start the guard /nonexistent/guard; "
                  "nothing was touched");
    libxlss__guard_end(&op);
}

static void test_guard_dies_unready(void **state)
{
    (void)state;
    assert_int_equal(start_as("dies-unready", -1), 0);
    assert_int_equal(libxlss__guard_wait(&op), ERROR_FAIL);
    assert_logged("cannot start the guard");
}

static volatile sig_atomic_t num_sigpipe;

static void count_sigpipe(int sig)
{
    (void)sig;
    num_sigpipe++;
}

static void test_guard_dies_early(void **state)
{
    struct sigaction old, sa = { .sa_handler = count_sigpipe };
    sigset_t set, pending;

    (void)state;
    assert_int_equal(start_as("dies-early", -1), 0);
    assert_int_equal(libxlss__guard_wait(&op), 0);
    assert_true(guard_ended());
    num_sigpipe = 0;
    sigaction(SIGPIPE, &sa, &old);
    libxlss__guard_tell(&op);
    libxlss__guard_tell(&op);
    /* One that was there before stays. */
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGPIPE);
    libxlss__guard_tell(&op);
    sigpending(&pending);
    assert_int_equal(num_sigpipe, 0);
    assert_int_equal(sigismember(&pending, SIGPIPE), 1);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    assert_int_equal(num_sigpipe, 1);
    libxlss__guard_end(&op);
    assert_int_equal(num_sigpipe, 1);
    sigaction(SIGPIPE, &old, NULL);
}

static void test_sigchld_is_ignored(void **state)
{
    struct sigaction old, sa = { .sa_handler = SIG_IGN };
    int rc;

    (void)state;
    sigaction(SIGCHLD, &sa, &old);
    rc = start_as("guard", -1);
    if (!rc)
        rc = libxlss__guard_wait(&op);
    libxlss__guard_end(&op);
    expect_heard("over\n");
    sigaction(SIGCHLD, &old, NULL);
    assert_int_equal(rc, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_round_trip),
        cmocka_unit_test(test_bad_lines),
        TEST(test_conversation),
        TEST(test_stuck),
        TEST(test_caller_dies),
        TEST(test_arguments),
        TEST(test_no_memory_file),
        TEST(test_descriptors),
        TEST(test_lock_is_inherited),
        TEST(test_numbers_are_taken),
        TEST(test_session_and_signals),
        TEST(test_no_guard_wanted),
        TEST(test_guard_is_missing),
        TEST(test_guard_dies_unready),
        TEST(test_guard_dies_early),
        TEST(test_sigchld_is_ignored),
    };

    if (!strncmp(argv[0], "/tmp/lss.", 9))
        return guard_main(argc, argv);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
