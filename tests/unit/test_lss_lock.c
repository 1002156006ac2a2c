/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * qmp/lock.c against processes that take the lock as libxl does
 * (libxl__lock_file and libxl__unlock_file), and oplock.c.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lss_test.h"
#include "qmp/qmp.h"

#define LOCK "userdata-l.5." LSS_UUID ".qmp-socket-lock"

/* Time runs so many times faster here. */
static unsigned int speed = 100;

uint64_t libxlss__now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000) * speed / 1000;
}

void libxlss__sleep_ms(unsigned int ms)
{
    usleep(ms * 1000 / speed);
}

static struct libxlss__op op;
static pid_t child;
static int to_child[2], from_child[2];

static int set_up(void **state)
{
    (void)state;
    lss_op_start(&op);
    libxlss__xen_lib_dir = libxlss__run_dir = lss_dir();
    speed = 100;
    child = 0;
    assert_int_equal(pipe(to_child), 0);
    assert_int_equal(pipe(from_child), 0);
    return 0;
}

static int tear_down(void **state)
{
    int i;

    (void)state;
    if (child) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    for (i = 0; i < 2; i++) {
        close(to_child[i]);
        close(from_child[i]);
    }
    lss_op_stop(&op);
    lss_dir_remove();
    return 0;
}

static void send_byte(const int *p)
{
    if (write(p[1], "!", 1) != 1)
        abort();
}

/* False at the pipe's end. */
static bool wait_byte(const int *p)
{
    char c;

    return read(p[0], &c, 1) == 1;
}

/* --- libxl's side --- */

static int xen_lock(const char *path)
{
    for (;;) {
        struct stat a, b;
        int fd = open(path, O_RDWR | O_CREAT, 0666);

        if (fd < 0 || flock(fd, LOCK_EX))
            abort();
        if (!fstat(fd, &a) && !stat(path, &b) && a.st_ino == b.st_ino &&
            a.st_dev == b.st_dev)
            return fd;
        close(fd);
    }
}

static void xen_unlock(const char *path, int fd)
{
    unlink(path);
    flock(fd, LOCK_UN);
    close(fd);
}

/* A child that takes the lock, says so, and lets it go when told to. */
static void start_holder(void)
{
    child = fork();
    assert_int_not_equal(child, -1);
    if (!child) {
        int fd = xen_lock(lss_path(LOCK));

        send_byte(from_child);
        wait_byte(to_child);
        xen_unlock(lss_path(LOCK), fd);
        _exit(0);
    }
    wait_byte(from_child);
}

static bool lock_is_there(void)
{
    return !access(lss_path(LOCK), F_OK);
}

/* --- qmp/lock.c --- */

#define ROUNDS 200

struct shared {
    int counter;                /* under the lock only */
    int inside;
    int collisions;
};

static void critical(struct shared *s)
{
    int seen = s->counter;

    if (__atomic_add_fetch(&s->inside, 1, __ATOMIC_SEQ_CST) != 1)
        __atomic_add_fetch(&s->collisions, 1, __ATOMIC_SEQ_CST);
    sched_yield();
    s->counter = seen + 1;
    __atomic_sub_fetch(&s->inside, 1, __ATOMIC_SEQ_CST);
}

static void xen_rounds(struct shared *s)
{
    int i;

    for (i = 0; i < ROUNDS; i++) {
        int fd = xen_lock(lss_path(LOCK));

        critical(s);
        xen_unlock(lss_path(LOCK), fd);
    }
}

/* What went wrong, or NULL; runs in children, too. */
static const char *our_round(struct shared *s)
{
    int fd, other;
    struct stat st;

    if (libxlss__qmp_lock(&op, libxlss__now_ms() + 1000000, &fd))
        return "no lock";
    other = open(lss_path(LOCK), O_RDONLY);
    critical(s);
    libxlss__qmp_unlock(&op, fd);
    /* Our file is gone; the name may be another's already. */
    if (other < 0 || fstat(other, &st))
        return "no file";
    close(other);
    return st.st_nlink ? "the file is still there" : NULL;
}

static int our_rounds(struct shared *s)
{
    int i;

    for (i = 0; i < ROUNDS; i++) {
        const char *wrong = our_round(s);

        if (wrong) {
            print_error("round %d: %s\n%s", i, wrong, lss_log());
            return 1;
        }
    }
    return 0;
}

/* Against libxl, and against ourselves in another process. */
static void test_excludes(void **state)
{
    struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[2];
    int i, rc;

    (void)state;
    for (i = 0; i < 2; i++) {
        pids[i] = fork();
        if (!pids[i] && i == 0)
            _exit(our_rounds(s));
        if (!pids[i]) {
            xen_rounds(s);
            _exit(0);
        }
    }
    rc = our_rounds(s);
    for (i = 0; i < 2; i++) {
        int status;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(s->collisions, 0);
    assert_int_equal(s->counter, 3 * ROUNDS);
    assert_false(lock_is_there());
    munmap(s, sizeof(*s));
}

static void test_lock_alone(void **state)
{
    int fd, i, fds = lss_num_fds();

    (void)state;
    for (i = 0; i < 3; i++) {
        assert_int_equal(libxlss__qmp_lock(&op, 0, &fd), 0);
        assert_true(lock_is_there());
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        libxlss__qmp_unlock(&op, fd);
        assert_false(lock_is_there());
    }
    libxlss__qmp_unlock(&op, -1);
    assert_int_equal(lss_num_fds(), fds);
}

/* Sees a file that was unlinked under its hands, for as often as it is. */
static void test_waits_for_libxl(void **state)
{
    int fd;

    (void)state;
    start_holder();
    send_byte(to_child);
    assert_int_equal(libxlss__qmp_lock(&op, libxlss__now_ms() + 1000000,
                                       &fd), 0);
    assert_true(lock_is_there());
    libxlss__qmp_unlock(&op, fd);
}

static void test_lock_times_out(void **state)
{
    uint64_t began, took;
    int fd, fds;

    (void)state;
    start_holder();
    fds = lss_num_fds();
    began = libxlss__now_ms();
    assert_int_equal(libxlss__qmp_lock(&op, began + 1000, &fd),
                     ERROR_TIMEDOUT);
    took = libxlss__now_ms() - began;
    assert_true(took >= 1000);
    assert_true(took < 60000);
    assert_int_equal(fd, -1);
    assert_logged("somebody holds it for too long");
    assert_logged(LOCK);
    /* The holder's file stays, and its lock. */
    assert_true(lock_is_there());
    assert_int_equal(lss_num_fds(), fds);
    assert_int_equal(lss_info_calls, 0);
}

static void test_holder_is_killed(void **state)
{
    int fd;

    (void)state;
    start_holder();
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    child = 0;
    assert_true(lock_is_there());
    assert_int_equal(libxlss__qmp_lock(&op, 0, &fd), 0);
    libxlss__qmp_unlock(&op, fd);
    assert_false(lock_is_there());
}

static void test_domain_vanishes(void **state)
{
    int fd, fds = lss_num_fds();

    (void)state;
    start_holder();
    lss_info_rc = ERROR_DOMAIN_NOTFOUND;
    send_byte(to_child);
    assert_int_equal(libxlss__qmp_lock(&op, libxlss__now_ms() + 1000000,
                                       &fd), ERROR_DOMAIN_DESTROYED);
    assert_int_equal(fd, -1);
    assert_int_equal(lss_info_calls, 1);
    assert_logged("there is no domain with domid 5");
    assert_false(lock_is_there());
    assert_int_equal(lss_num_fds(), fds);
}

/* libxl's failure to answer isn't the domain's end. */
static void test_domain_is_not_known(void **state)
{
    int fd;

    (void)state;
    lss_info_fails = 2;
    assert_int_equal(libxlss__qmp_lock(&op, 0, &fd), 0);
    libxlss__qmp_unlock(&op, fd);
    lss_info_rc = ERROR_NOMEM;
    assert_int_equal(libxlss__qmp_lock(&op, 0, &fd), ERROR_NOMEM);
    assert_int_equal(fd, -1);
    assert_false(lock_is_there());
}

static void test_lock_folder_is_missing(void **state)
{
    int fd;

    (void)state;
    libxlss__xen_lib_dir = "/nonexistent";
    assert_int_equal(libxlss__qmp_lock(&op, 0, &fd), ERROR_LOCK_FAIL);
    assert_int_equal(fd, -1);
    assert_logged("/nonexistent");
}

/* --- oplock.c --- */

/* A child with the operation's lock, until told or killed. */
static void start_op_holder(void)
{
    child = fork();
    assert_int_not_equal(child, -1);
    if (!child) {
        struct libxlss__op other;

        lss_op_start(&other);
        if (!libxlss__oplock(&other, 0))
            send_byte(from_child);
        wait_byte(to_child);
        libxlss__opunlock(&other);
        lss_op_stop(&other);
        _exit(0);
    }
    assert_true(wait_byte(from_child));
}

static void test_busy_at_once(void **state)
{
    char pid[32];
    int fds;

    (void)state;
    start_op_holder();
    fds = lss_num_fds();
    assert_int_equal(libxlss__oplock(&op, 0), LIBXL_SNAPSHOT_ERROR_BUSY);
    assert_int_equal(op.lock_fd, -1);
    snprintf(pid, sizeof(pid), "(process %d)", (int)child);
    assert_non_null(strstr(lss_log(), pid));
    assert_int_equal(lss_num_fds(), fds);
}

/* Another domain's operation doesn't matter; neither does our own, past. */
static void test_not_busy(void **state)
{
    (void)state;
    start_op_holder();
    op.uuid[0] = '0';
    assert_int_equal(libxlss__oplock(&op, 0), 0);
    assert_true(op.lock_fd >= 0);
    libxlss__opunlock(&op);
    assert_int_equal(op.lock_fd, -1);
    assert_int_equal(libxlss__oplock(&op, 0), 0);
    libxlss__opunlock(&op);
    libxlss__opunlock(&op);
    /* Off, and unknown: nothing to lock. */
    op.uuid[0] = '\0';
    assert_int_equal(libxlss__oplock(&op, 0), 0);
    assert_int_equal(op.lock_fd, -1);
}

static void *let_go_soon(void *arg)
{
    (void)arg;
    usleep(5000);
    send_byte(to_child);
    return NULL;
}

static void test_waits(void **state)
{
    pthread_t thread;

    (void)state;
    start_op_holder();
    assert_int_equal(pthread_create(&thread, NULL, let_go_soon, NULL), 0);
    assert_int_equal(libxlss__oplock(&op, 1000), 0);
    pthread_join(thread, NULL);
    assert_string_equal(lss_log(), "");
    libxlss__opunlock(&op);
}

static void test_waits_not_for_ever(void **state)
{
    uint64_t began = libxlss__now_ms(), took;

    (void)state;
    start_op_holder();
    assert_int_equal(libxlss__oplock(&op, 2), LIBXL_SNAPSHOT_ERROR_BUSY);
    took = libxlss__now_ms() - began;
    assert_true(took >= 2000);
    assert_true(took < 60000);
}

/* The holder dies; a process that got its open file lives on. */
static void start_orphan_guard(void)
{
    pid_t pid = fork();

    if (!pid) {
        struct libxlss__op other;

        lss_op_start(&other);
        if (libxlss__oplock(&other, 0))
            _exit(1);
        if (!fork()) {
            close(to_child[1]);
            send_byte(from_child);
            wait_byte(to_child);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(wait_byte(from_child));
}

static void test_waits_for_guard(void **state)
{
    uint64_t began;
    pthread_t thread;

    (void)state;
    start_orphan_guard();
    began = libxlss__now_ms();
    assert_int_equal(pthread_create(&thread, NULL, let_go_soon, NULL), 0);
    assert_int_equal(libxlss__oplock(&op, 0), 0);
    pthread_join(thread, NULL);
    assert_true(libxlss__now_ms() - began >= 500);
    assert_true(op.lock_fd >= 0);
    libxlss__opunlock(&op);
}

static void test_waits_for_guard_not_for_ever(void **state)
{
    uint64_t began;

    (void)state;
    start_orphan_guard();
    speed = 2000;
    began = libxlss__now_ms();
    assert_int_equal(libxlss__oplock(&op, 0), LIBXL_SNAPSHOT_ERROR_BUSY);
    assert_true(libxlss__now_ms() - began >= 90000);
    send_byte(to_child);
}

/* The lock survives its holder in a child only; a kill sets it free. */
static void test_op_holder_is_killed(void **state)
{
    (void)state;
    start_op_holder();
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    child = 0;
    assert_int_equal(libxlss__oplock(&op, 0), 0);
    libxlss__opunlock(&op);
}

static void test_op_lock_is_no_symlink(void **state)
{
    (void)state;
    assert_int_equal(symlink("victim", lss_path("op-" LSS_UUID ".lock")), 0);
    assert_int_equal(libxlss__oplock(&op, 0), ERROR_LOCK_FAIL);
    assert_int_not_equal(access(lss_path("victim"), F_OK), 0);
    assert_logged("cannot open");
    libxlss__run_dir = "/nonexistent/folder";
    assert_int_equal(libxlss__oplock(&op, 0), ERROR_LOCK_FAIL);
    assert_logged("cannot make /nonexistent/folder");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_excludes),
        TEST(test_lock_alone),
        TEST(test_waits_for_libxl),
        TEST(test_lock_times_out),
        TEST(test_holder_is_killed),
        TEST(test_domain_vanishes),
        TEST(test_domain_is_not_known),
        TEST(test_lock_folder_is_missing),
        TEST(test_busy_at_once),
        TEST(test_not_busy),
        TEST(test_waits),
        TEST(test_waits_not_for_ever),
        TEST(test_waits_for_guard),
        TEST(test_waits_for_guard_not_for_ever),
        TEST(test_op_holder_is_killed),
        TEST(test_op_lock_is_no_symlink),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
