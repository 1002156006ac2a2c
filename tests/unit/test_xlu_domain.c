/* SPDX-License-Identifier: LGPL-2.1-only */
/* Finding domains, waiting for the lock, and documents that are hostile. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_io.h"
#include "fake_lxs.h"
#include "xluss.h"

#define OTHER_UUID "11111111-2222-3333-4444-555555555555"

static char root[64];

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_log_clear();
    snprintf(root, sizeof(root), "/tmp/test-xlu.XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    fake_io_stop();
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command);
}

static void put(const char *folder, const char *file, const char *text,
                size_t len)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", root, folder);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/%s/%s", root, folder, file);
    f = fopen(path, "w");
    assert_non_null(f);
    fwrite(text, 1, len, f);
    fclose(f);
}

static int find(const char *which, xlu_snapshot_domain *d)
{
    fake_log_clear();
    return xlu_snapshot_find_domain(fake_ctx(), fake_logger(), root, which,
                                    d);
}

static void check_found(const char *which, uint32_t domid)
{
    xlu_snapshot_domain d;

    assert_int_equal(find(which, &d), 0);
    assert_int_equal(d.domid, domid);
    assert_string_equal(d.name, FAKE_NAME);
    assert_string_equal(d.uuid, FAKE_UUID);
    xlu_snapshot_domain_dispose(&d);
}

static void check_not_found(const char *which)
{
    xlu_snapshot_domain d;

    assert_int_equal(find(which, &d), ERROR_DOMAIN_NOTFOUND);
    assert_non_null(strstr(fake_log(), "there is no domain "));
    xlu_snapshot_domain_dispose(&d);
}

static void running(void **state)
{
    (void)state;
    check_found("5", 5);
    check_found(FAKE_NAME, 5);
    check_found(FAKE_UUID, 5);
    check_found("6F2C5B0E-6D3A-4A52-9C39-0B1C2D3E4F50", 5);
    check_not_found("6");
    check_not_found("web2");
    check_not_found("");
    check_not_found(OTHER_UUID);
    check_not_found("../..");
}

static void off(void **state)
{
    static const char owner[] = "{\"name\":\"web1\",\"uuid\":\"x\"}";
    xlu_snapshot_domain d;

    (void)state;
    fake->running = false;
    check_not_found(FAKE_NAME);
    put(FAKE_UUID, "domain.json", owner, strlen(owner));
    put("stray", "domain.json", owner, strlen(owner));
    check_found(FAKE_NAME, XLUSS__NO_DOMID);
    check_found(FAKE_UUID, XLUSS__NO_DOMID);
    check_not_found("5");

    put(OTHER_UUID, "domain.json", "{ nonsense", 10);
    check_found(FAKE_NAME, XLUSS__NO_DOMID);
    put(OTHER_UUID, "domain.json", owner, strlen(owner));
    assert_int_equal(find(FAKE_NAME, &d), ERROR_INVAL);
    assert_non_null(strstr(fake_log(), "give the UUID"));
    check_found(FAKE_UUID, XLUSS__NO_DOMID);
    fake->running = true;
    check_found(FAKE_NAME, 5);
}

static bool kept(const char *name)
{
    char uuid[37] = "";
    bool found = xlu_snapshot_uuid_of_name(fake_ctx(), fake_logger(), root,
                                           name, uuid);

    assert_string_equal(uuid, found ? FAKE_UUID : "");
    return found;
}

/* Who makes a domain of that name anew gives it the UUID of its snapshots. */
static void uuid_of_name(void **state)
{
    static const char owner[] = "{\"name\":\"web1\",\"uuid\":\"x\"}";

    (void)state;
    fake->running = false;
    assert_false(xlu_snapshot_any(root));
    assert_false(kept(FAKE_NAME));
    put(FAKE_UUID, "domain.json", owner, strlen(owner));
    assert_true(xlu_snapshot_any(root));
    assert_true(kept(FAKE_NAME));
    assert_false(kept("web2"));
    assert_false(kept(FAKE_UUID));
    fake->running = true;
    assert_false(kept(FAKE_NAME));
    fake->running = false;
    put(OTHER_UUID, "domain.json", owner, strlen(owner));
    assert_false(kept(FAKE_NAME));
    assert_false(xlu_snapshot_any("/nonexistent"));
}

static int open_as(int flags, xlu_snapshot_catalogue **out)
{
    xlu_snapshot_domain d = { .domid = 5, .name = (char *)FAKE_NAME,
                              .uuid = FAKE_UUID };

    return xlu_snapshot_open(fake_ctx(), fake_logger(), root, &d, flags,
                             out);
}

static void reading_makes_nothing(void **state)
{
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot **list;
    int num;

    (void)state;
    assert_int_equal(open_as(XLU_SNAPSHOT_READ, &cat), 0);
    assert_int_equal(xlu_snapshot_list(cat, &list, &num), 0);
    assert_int_equal(num, 0);
    assert_null(xlu_snapshot_current(cat));
    assert_false(xlu_snapshot_interrupted(cat));
    xlu_snapshot_close(cat);
    assert_int_equal(rmdir(root), 0);
    assert_int_equal(open_as(XLU_SNAPSHOT_READ, &cat), 0);
    xlu_snapshot_close(cat);
    assert_int_equal(open_as(XLU_SNAPSHOT_WRITE, &cat), 0);
    xlu_snapshot_close(cat);
}

static void folders_are_private(void **state)
{
    static const char *const paths[] = { "", "/snapshots" };
    xlu_snapshot_catalogue *cat;
    struct stat st;
    char path[256];
    int i;

    (void)state;
    assert_int_equal(open_as(XLU_SNAPSHOT_WRITE, &cat), 0);
    xlu_snapshot_close(cat);
    for (i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/" FAKE_UUID "%s", root, paths[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
    }
}

static void waits(void **state)
{
    xlu_snapshot_catalogue *cat;
    int st, ready[2];
    char c;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (!pid) {
        open_as(XLU_SNAPSHOT_WRITE, &cat);
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        usleep(200000);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(open_as(XLU_SNAPSHOT_WRITE, &cat),
                     LIBXL_SNAPSHOT_ERROR_BUSY);
    assert_int_equal(open_as(XLU_SNAPSHOT_WRITE | XLU_SNAPSHOT_WAIT, &cat),
                     0);
    xlu_snapshot_close(cat);
    assert_int_equal(waitpid(pid, &st, 0), pid);
    close(ready[0]);
    close(ready[1]);
}

/* A good document, cut short or changed at each byte: read, or left out. */
static void hostile_json(void **state)
{
    static const char good[] =
        "{\"name\":\"a\",\"domain_uuid\":\"" FAKE_UUID "\","
        "\"creation_time\":5,\"state\":\"paused\","
        "\"memory\":{\"path\":\"/x/a.mem\",\"size\":1},"
        "\"args\":{\"live\":\"True\",\"disks\":[{\"device\":"
        "{\"vdev\":\"xvda\"},\"kind.internal\":{}}]}}";
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot **list;
    char text[sizeof(good)];
    size_t i, len = strlen(good);
    int num;

    (void)state;
    assert_int_equal(open_as(XLU_SNAPSHOT_WRITE, &cat), 0);
    xlu_snapshot_close(cat);
    put(FAKE_UUID "/snapshots", "a.json", good, len);
    assert_int_equal(open_as(XLU_SNAPSHOT_READ, &cat), 0);
    xlu_snapshot_list(cat, &list, &num);
    assert_int_equal(num, 1);
    xlu_snapshot_close(cat);
    for (i = 0; i < 2 * len; i++) {
        memcpy(text, good, len);
        text[i / 2] = i % 2 ? '\0' : '"';
        put(FAKE_UUID "/snapshots", "a.json", text, i % 2 ? i / 2 : len);
        assert_int_equal(open_as(XLU_SNAPSHOT_READ, &cat), 0);
        xlu_snapshot_list(cat, &list, &num);
        assert_true(num == 0 || num == 1);
        xlu_snapshot_close(cat);
    }
}

static void check_left_out(const char *file, const char *text,
                           const char *why)
{
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot **list;
    const xlu_snapshot *s;
    int num;

    put(FAKE_UUID "/snapshots", file, text, strlen(text));
    fake_log_clear();
    assert_int_equal(open_as(XLU_SNAPSHOT_READ, &cat), 0);
    xlu_snapshot_list(cat, &list, &num);
    assert_int_equal(num, 0);
    if (!strstr(fake_log(), why) || !strstr(fake_log(), file))
        fail_msg("no \"%s\" in: %s", why, fake_log());
    if (!strcmp(file, "a.json"))
        assert_int_equal(xlu_snapshot_get(cat, "a", &s),
                         LIBXL_SNAPSHOT_ERROR_DAMAGED);
    xlu_snapshot_close(cat);
}

#define WITH_UUID "\"domain_uuid\":\"" FAKE_UUID "\""

static void wrong_documents(void **state)
{
    xlu_snapshot_catalogue *cat;

    (void)state;
    assert_int_equal(open_as(XLU_SNAPSHOT_WRITE, &cat), 0);
    xlu_snapshot_close(cat);
    check_left_out("a.json", "", "is not the JSON");
    check_left_out("a.json", "[]", "is not the JSON");
    check_left_out("a.json", "{" WITH_UUID "}", "another snapshot's name");
    check_left_out("a.json", "{\"name\":\"b\"," WITH_UUID "}",
                   "another snapshot's name");
    check_left_out("a.json", "{\"name\":\"a\"}", "another domain");
    check_left_out("a.json", "{\"name\":\"a\",\"domain_uuid\":\""
                   OTHER_UUID "\"}", "another domain");
    check_left_out("a.json", "{\"name\":\"a\",\"parent\":\"../x\","
                   WITH_UUID "}", "parent that can't be one");
    check_left_out("a.json", "{\"name\":\"a\",\"memory\":{\"path\":\"x\"},"
                   WITH_UUID "}", "without its full path");
    check_left_out("-x.json", "{}", "begins with");
}

/* Folders of that name, links, and files of others are passed by. */
static void strays(void **state)
{
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot **list;
    char path[256];
    int num;

    (void)state;
    assert_int_equal(open_as(XLU_SNAPSHOT_WRITE, &cat), 0);
    xlu_snapshot_close(cat);
    put(FAKE_UUID "/snapshots", "a.json.new", "{}", 2);
    put(FAKE_UUID "/snapshots", ".b.json", "{}", 2);
    put(FAKE_UUID "/snapshots", "README", "{}", 2);
    snprintf(path, sizeof(path), "%s/" FAKE_UUID "/snapshots/c.json", root);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/" FAKE_UUID "/snapshots/d.json", root);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(open_as(XLU_SNAPSHOT_WRITE, &cat), 0);
    xlu_snapshot_list(cat, &list, &num);
    assert_int_equal(num, 0);
    xlu_snapshot_close(cat);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(running),
        TEST(off),
        TEST(uuid_of_name),
        TEST(reading_makes_nothing),
        TEST(folders_are_private),
        TEST(waits),
        TEST(hostile_json),
        TEST(wrong_documents),
        TEST(strays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
