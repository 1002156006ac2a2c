/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * backup/remains.c: what is left of backups and exports is found by its name
 * alone, and only where nobody can be using it.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backup/remains.h"
#include "lss_test.h"

#define GONE "11111111-2222-3333-4444-555555555555"
#define ID   "0a1b2c3d"

static struct libxlss__op op;
static struct libxlss__remains r;
static bool xen_fails;

libxl_dominfo *libxl_list_domain(libxl_ctx *ctx, int *num)
{
    libxl_dominfo *list = xen_fails ? NULL : calloc(1, sizeof(*list));

    (void)ctx;
    *num = !xen_fails;
    if (list)
        libxl_uuid_from_string(&list->uuid, LSS_UUID);
    return list;
}

void libxl_dominfo_list_free(libxl_dominfo *list, int num)
{
    (void)num;
    free(list);
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(lss_path(name), "we");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void put_socket(const char *name)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(un.sun_path, sizeof(un.sun_path), "%s", lss_path(name));
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    close(fd);
}

static bool there(const char *name)
{
    return !access(lss_path(name), F_OK);
}

/* A process that has the file open until it is told to end. */
static pid_t opener(const char *name, bool lock)
{
    int ready[2];
    char c;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        int fd = open(lss_path(name), O_RDWR | O_CREAT, 0600);

        if (fd < 0 || (lock && flock(fd, LOCK_EX)) ||
            write(ready[1], "", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static int begin(void **state)
{
    (void)state;
    xen_fails = false;
    libxlss__run_dir = lss_dir();
    lss_op_start(&op);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    lss_op_stop(&op);
    lss_dir_remove();
    return 0;
}

/* --- scratch files --- */

static int num_scratch(void)
{
    int rc = libxlss__scratch_unused(&op, lss_dir(), &r);

    return rc ? rc : r.num;
}

static void test_scratch(void **state)
{
    static const char *const others[] = {
        "xlbs-" ID "-xvda.scratch.old", "xlbs-" ID "-xvda", "xlbs-" ID
        ".scratch", "xlbs-0A1B2C3D-xvda.scratch", "xlbs-" ID "-.scratch",
        "xlbs-" ID "-xvda-c.scratch", "a-xlbs-" ID "-xvda.scratch",
        ".scratch", "xlbs-0a1b2c3-xvda.scratch",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        put(others[i], "");
    assert_int_equal(num_scratch(), 0);
    put("xlbs-" ID "-xvda.scratch", "");
    assert_int_equal(num_scratch(), 1);
    assert_string_equal(r.list[0], lss_path("xlbs-" ID "-xvda.scratch"));
    assert_true(there("xlbs-" ID "-xvda.scratch"));
    /* Of whatever folder. */
    assert_int_equal(libxlss__scratch_unused(&op, "/nonexistent", &r), 0);
    assert_int_equal(r.num, 0);
}

static void test_scratch_is_no_file_of_ours(void **state)
{
    (void)state;
    mkdir(lss_path("xlbs-" ID "-xvda.scratch"), 0700);
    put("data", "");
    assert_int_equal(symlink("data",
                             lss_path("xlbs-" ID "-xvdb.scratch")), 0);
    assert_int_equal(num_scratch(), 0);
    if (geteuid())
        return;
    put("xlbs-" ID "-xvdc.scratch", "");
    assert_int_equal(num_scratch(), 1);
    assert_int_equal(chown(lss_path("xlbs-" ID "-xvdc.scratch"), 1, 1), 0);
    assert_int_equal(num_scratch(), 0);
}

static void test_scratch_in_use(void **state)
{
    pid_t pid;

    (void)state;
    pid = opener("xlbs-" ID "-xvda.scratch", false);
    put("xlbs-" ID "-xvdb.scratch", "");
    assert_int_equal(num_scratch(), 1);
    assert_string_equal(r.list[0], lss_path("xlbs-" ID "-xvdb.scratch"));
    end(pid);
    assert_int_equal(num_scratch(), 2);
}

/* It may have made the file, and not have told QEMU yet. */
static void test_scratch_of_an_operation(void **state)
{
    pid_t pid;

    (void)state;
    pid = opener("op-" GONE ".lock", true);
    assert_int_equal(num_scratch(), 0);
    put("xlbs-" ID "-xvda.scratch", "");
    assert_int_equal(num_scratch(), XLSS(BUSY));
    end(pid);
    assert_int_equal(num_scratch(), 1);
}

/* --- the run folder --- */

static int look(bool remove)
{
    assert_int_equal(libxlss__run_remains(&op, remove, &r), 0);
    return r.num;
}

/* Found, left alone; then removed. */
static void is_left(const char *name)
{
    assert_int_equal(look(false), 1);
    assert_string_equal(r.list[0], lss_path(name));
    assert_true(there(name));
    assert_int_equal(look(true), 1);
    assert_false(there(name));
    assert_int_equal(look(false), 0);
}

static void is_needed(const char *name)
{
    assert_int_equal(look(true), 0);
    assert_true(there(name));
}

static void put_export(const char *uuid)
{
    char name[96], record[512];

    snprintf(name, sizeof(name), "export-%s-" ID ".json", uuid);
    snprintf(record, sizeof(record), "{\"id\":\"" ID "\",\"snapshot\":"
             "\"00000001\",\"socket\":\"%s\",\"disks\":[{\"vdev\":"
             "\"xvda\",\"name\":\"xvda\"}]}",
             lss_path("xlbs-" ID ".sock"));
    put(name, record);
    put_socket("xlbs-" ID ".sock");
    put("xlbs-" ID "-xvda.bitmap", "");
    put("xlbs-" ID ".pid", "1");
}

static void test_export_of_a_domain(void **state)
{
    (void)state;
    put_export(LSS_UUID);
    put_socket("private-" LSS_UUID ".nbd");
    is_needed("export-" LSS_UUID "-" ID ".json");
    assert_true(there("xlbs-" ID ".sock") && there("xlbs-" ID ".pid") &&
                there("xlbs-" ID "-xvda.bitmap") &&
                there("private-" LSS_UUID ".nbd"));
}

static void test_export_of_a_domain_that_is_gone(void **state)
{
    pid_t pid;

    (void)state;
    put_export(GONE);
    put_socket("private-" GONE ".nbd");
    put("notes", "");
    assert_int_equal(look(false), 2);
    xen_fails = true;
    is_needed("export-" GONE "-" ID ".json");
    xen_fails = false;
    pid = opener("op-" GONE ".lock", true);
    is_needed("export-" GONE "-" ID ".json");
    end(pid);
    /* The rest of it goes with the record. */
    assert_int_equal(look(true), 1);
    assert_false(there("export-" GONE "-" ID ".json") ||
                 there("xlbs-" ID ".pid") || there("private-" GONE ".nbd") ||
                 there("xlbs-" ID "-xvda.bitmap") ||
                 there("xlbs-" ID ".sock"));
    assert_true(there("notes") && there("op-" GONE ".lock"));
}

static void test_record_is_damaged(void **state)
{
    (void)state;
    put_export(GONE);
    put("export-" GONE "-" ID ".json", "{");
    assert_true(look(true) > 0);
    look(true);
    assert_int_equal(look(false), 0);
    assert_false(there("export-" GONE "-" ID ".json") ||
                 there("xlbs-" ID ".sock") || there("xlbs-" ID ".pid") ||
                 there("xlbs-" ID "-xvda.bitmap"));
}

static void test_no_record(void **state)
{
    static const char *const files[] = {
        "xlbs-" ID ".sock", "xlbs-" ID ".pid", "xlbs-" ID "-xvda.bitmap" };
    static const char *const others[] = {
        "xlbs-" ID, "xlbs-" ID ".sock.old", "xlbs-0a.sock", "a.pid",
        "xlbs-" ID "-xvda.scratch", "xlbs-" ID "xvda.bitmap" };
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        put(files[i], "");
        is_left(files[i]);
    }
    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        put(others[i], "");
        is_needed(others[i]);
    }
}

/* Nobody knows of it, but it serves. */
static void test_no_record_and_it_lives(void **state)
{
    char number[16];
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        execlp("sh", "sh", "-c", "sleep 60; :", lss_path("xlbs-" ID ".pid"),
               (char *)NULL);
        _exit(1);
    }
    snprintf(number, sizeof(number), "%d\n", (int)pid);
    usleep(200000);
    put("xlbs-" ID ".pid", number);
    put("xlbs-" ID ".sock", "");
    is_needed("xlbs-" ID ".sock");
    end(pid);
    assert_int_equal(look(true), 2);
}

static void test_half_written(void **state)
{
    pid_t pid;

    (void)state;
    put("export-" LSS_UUID "-" ID ".json.new", "{");
    pid = opener("op-" LSS_UUID ".lock", true);
    is_needed("export-" LSS_UUID "-" ID ".json.new");
    end(pid);
    is_left("export-" LSS_UUID "-" ID ".json.new");
}

static void test_bitmaps(void **state)
{
    pid_t pid, lock;

    (void)state;
    put("dirty-" LSS_UUID "-xvda.qcow2", "");
    lock = opener("op-" LSS_UUID ".lock", true);
    is_needed("dirty-" LSS_UUID "-xvda.qcow2");
    end(lock);
    pid = opener("dirty-" LSS_UUID "-xvda.qcow2", false);
    is_needed("dirty-" LSS_UUID "-xvda.qcow2");
    end(pid);
    is_left("dirty-" LSS_UUID "-xvda.qcow2");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_scratch), TEST(test_scratch_is_no_file_of_ours),
        TEST(test_scratch_in_use), TEST(test_scratch_of_an_operation),
        TEST(test_export_of_a_domain),
        TEST(test_export_of_a_domain_that_is_gone),
        TEST(test_record_is_damaged), TEST(test_no_record),
        TEST(test_no_record_and_it_lives), TEST(test_half_written),
        TEST(test_bitmaps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
