/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * create, revert, delete and recovery of the catalogue, against a domain that
 * is a few numbers (fake_lxs.h). Each step of each operation fails once, and
 * each is once the last thing that the process did; afterwards domain, disks
 * and files are as before or as wanted, nothing between.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_io.h"
#include "fake_lxs.h"
#include "xluss.h"

#define STEPS_MAX 400           /* more than any operation has */

static char root[64];
static bool compress;           /* what is created */

static void must(int r)
{
    assert_int_equal(r, 0);
}

static void remove_all(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf %s", root);
    must(system(command));
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_log_clear();
    /* In memory, if possible: there are thousands of renames. */
    snprintf(root, sizeof(root), "%s/test-xlu.XXXXXX",
             access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    fake_io_stop();
    remove_all();
    return 0;
}

static void restart(void)
{
    teardown(NULL);
    setup(NULL);
}

/* What a command does first. */
static int open_as(int flags, xlu_snapshot_catalogue **out)
{
    xlu_snapshot_domain d;
    int rc;

    *out = NULL;
    rc = xlu_snapshot_find_domain(fake_ctx(), fake_logger(), root, FAKE_NAME,
                                  &d);
    if (rc == ERROR_DOMAIN_NOTFOUND) {
        memset(&d, 0, sizeof(d));
        d.domid = XLUSS__NO_DOMID;
        d.name = strdup(FAKE_NAME);
        strcpy(d.uuid, FAKE_UUID);
        rc = 0;
    }
    if (!rc)
        rc = xlu_snapshot_open(fake_ctx(), fake_logger(), root, &d, flags,
                               out);
    xlu_snapshot_domain_dispose(&d);
    return rc;
}

/* --- the operations, each as a command would run it --- */

static int create_named(const char *name, bool disk_only)
{
    xlu_snapshot_create_args args = { .name = name, .disk_only = disk_only,
                                      .compress = compress };
    xlu_snapshot_catalogue *cat;
    int rc = open_as(XLU_SNAPSHOT_WRITE, &cat);

    if (!rc)
        rc = xlu_snapshot_create(cat, &args, NULL, NULL);
    xlu_snapshot_close(cat);
    return rc;
}

static int op_create(void)
{
    return create_named("b", false);
}

static int revert_with(const xlu_snapshot_revert_args *args)
{
    xlu_snapshot_catalogue *cat;
    int rc = open_as(XLU_SNAPSHOT_WRITE, &cat);

    if (!rc)
        rc = xlu_snapshot_revert(cat, "a", args, NULL, NULL);
    xlu_snapshot_close(cat);
    return rc;
}

static int op_revert(void)
{
    return revert_with(NULL);
}

static int delete_named(const char *name, bool children)
{
    xlu_snapshot_delete_args args = { .children = children };
    xlu_snapshot_catalogue *cat;
    int rc = open_as(XLU_SNAPSHOT_WRITE, &cat);

    if (!rc)
        rc = xlu_snapshot_delete(cat, name, &args, NULL);
    xlu_snapshot_close(cat);
    return rc;
}

static int op_delete(void)
{
    return delete_named("a", false);
}

static int recover(void)
{
    xlu_snapshot_catalogue *cat;
    char *what = NULL;
    int rc = open_as(XLU_SNAPSHOT_WRITE, &cat);

    if (!rc)
        rc = xlu_snapshot_recover(cat, NULL, &what);
    free(what);
    xlu_snapshot_close(cat);
    return rc;
}

static bool interrupted(void)
{
    xlu_snapshot_catalogue *cat;
    bool is;

    must(open_as(XLU_SNAPSHOT_READ, &cat));
    is = xlu_snapshot_interrupted(cat);
    xlu_snapshot_close(cat);
    return is;
}

/* --- what must be true --- */

static bool one_of(const char *word, const char *words)
{
    char text[256];
    char *s, *save = NULL;

    snprintf(text, sizeof(text), "%s", words);
    for (s = strtok_r(text, " ", &save); s; s = strtok_r(NULL, " ", &save))
        if (!strcmp(s, word))
            return true;
    return false;
}

/* Every file in the folder must be among the words. */
static void check_folder(const char *sub, const char *words)
{
    char path[256];
    struct dirent *de;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/" FAKE_UUID "/%s", root, sub);
    dir = opendir(path);
    assert_non_null(dir);
    while ((de = readdir(dir)))
        if (!one_of(de->d_name, words) && strcmp(de->d_name, ".") &&
            strcmp(de->d_name, "..")) {
            print_error("left over: %s/%s\n%s", path, de->d_name,
                        fake_log());
            fail();
        }
    closedir(dir);
}

/* The names in the list, with blanks between. */
static void names_of(xlu_snapshot_catalogue *cat, char *out, size_t size)
{
    const xlu_snapshot **list;
    int i, num;

    out[0] = '\0';
    must(xlu_snapshot_list(cat, &list, &num));
    for (i = 0; i < num; i++)
        snprintf(out + strlen(out), size - strlen(out), "%s%s",
                 i ? " " : "", list[i]->name);
}

/* A catalogue in order: its names are these, and nothing is left over. */
static void check_names(const char *names, const char *current)
{
    char have[256], files[1024] = "", *s, *save = NULL, text[256];
    xlu_snapshot_catalogue *cat;
    int num = 0;

    must(open_as(XLU_SNAPSHOT_READ, &cat));
    assert_false(xlu_snapshot_interrupted(cat));
    names_of(cat, have, sizeof(have));
    assert_string_equal(have, names);
    if (current)
        assert_string_equal(xlu_snapshot_current(cat)->name, current);
    else
        assert_null(xlu_snapshot_current(cat));
    xlu_snapshot_close(cat);

    snprintf(text, sizeof(text), "%s", names);
    for (s = strtok_r(text, " ", &save); s;
         s = strtok_r(NULL, " ", &save), num++) {
        assert_int_equal(fake_num_snaps(s), FAKE_DISKS);
        snprintf(files + strlen(files), sizeof(files) - strlen(files),
                 "%s.json %s.xml %s.config %s.mem%s ", s, s, s, s,
                 compress ? ".zst" : "");
    }
    assert_int_equal(fake_num_snaps(NULL), FAKE_DISKS * num);
    check_folder("snapshots", files);
    check_folder("", "domain.json lock current snapshots");
}

static void check_domain(int value)
{
    int d;

    assert_true(fake->running);
    assert_false(fake->suspended);
    assert_false(fake->paused);
    assert_int_equal(fake->memory, value);
    for (d = 0; d < FAKE_DISKS; d++)
        assert_int_equal(fake->disk[d], value);
}

static void set_domain(int value)
{
    int d;

    fake->memory = value;
    for (d = 0; d < FAKE_DISKS; d++)
        fake->disk[d] = value;
}

/* --- nothing goes wrong --- */

static void works(void **state)
{
    (void)state;
    must(create_named("a", false));
    assert_non_null(strstr(fake->steps, "suspend"));
    set_domain(2);
    must(create_named("b", false));
    set_domain(3);
    check_names("a b", "b");

    must(op_revert());
    check_domain(1);
    assert_int_equal(fake->domid, 6);
    check_names("a b", "a");
    set_domain(4);
    must(op_revert());
    check_domain(1);

    must(create_named("c", false));
    check_names("a b c", "c");
    must(op_delete());
    check_names("b c", "c");
    must(delete_named("b", true));
    check_names("c", "c");
    must(delete_named("c", false));
    check_names("", NULL);
}

static void children(void **state)
{
    (void)state;
    xlu_snapshot_delete_args args = { .children_only = true };
    xlu_snapshot_catalogue *cat;

    must(create_named("a", false));
    must(create_named("b", false));
    must(create_named("c", false));
    must(open_as(XLU_SNAPSHOT_WRITE, &cat));
    must(xlu_snapshot_delete(cat, "a", &args, NULL));
    xlu_snapshot_close(cat);
    check_names("a", "a");
    must(create_named("b", false));
    must(create_named("c", false));
    must(delete_named("a", true));
    check_names("", NULL);
}

static void names(void **state)
{
    (void)state;
    static const char *const bad[] = { "a/b", ".a", "-a", "a\nb", "\xff" };
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot *s, *t;
    xlu_snapshot_create_args args = { 0 };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(create_named(bad[i], false), ERROR_INVAL);
    must(create_named("a", false));
    assert_int_equal(create_named("a", false), LIBXL_SNAPSHOT_ERROR_EXISTS);
    assert_non_null(strstr(fake_log(), "has a snapshot a already"));
    assert_int_equal(delete_named("x", false),
                     LIBXL_SNAPSHOT_ERROR_SNAPSHOT_NOT_FOUND);
    check_names("a", "a");

    must(open_as(XLU_SNAPSHOT_WRITE, &cat));
    must(xlu_snapshot_create(cat, &args, NULL, &s));
    assert_int_equal(strlen(s->name), strlen("20261120T153045Z"));
    must(xlu_snapshot_create(cat, &args, NULL, &t));
    must(xlu_snapshot_create(cat, &args, NULL, &t));
    args.description = "bad \x01 text";
    assert_int_equal(xlu_snapshot_create(cat, &args, NULL, &t), ERROR_INVAL);
    xlu_snapshot_close(cat);
}

static void disks_only(void **state)
{
    (void)state;
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot *s;

    must(create_named("a", true));
    must(open_as(XLU_SNAPSHOT_READ, &cat));
    must(xlu_snapshot_get(cat, "a", &s));
    assert_null(s->memory.path);
    assert_int_equal(s->state, XLU_SNAPSHOT_STATE_DISK_SNAPSHOT);
    xlu_snapshot_close(cat);
    set_domain(2);
    must(op_revert());
    assert_int_equal(fake->disk[0], 1);
    assert_int_equal(fake->memory, 0);      /* started from its disks */
    check_names("a", "a");
}

static int op_quiesced(void)
{
    xlu_snapshot_create_args args = { .name = "q", .disk_only = true };
    xlu_snapshot_catalogue *cat;
    int rc;

    libxl_defbool_set(&args.args.quiesce, true);
    libxl_defbool_set(&args.args.allow_unquiesced, true);
    rc = open_as(XLU_SNAPSHOT_WRITE, &cat);
    if (!rc)
        rc = xlu_snapshot_create(cat, &args, NULL, NULL);
    xlu_snapshot_close(cat);
    return rc;
}

/* Whether it is, is kept, whatever was asked for. */
static void quiesced(void **state)
{
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot *s;
    int can;

    (void)state;
    for (can = 0; can < 2; can++) {
        fake->can_freeze = can;
        must(op_quiesced());
        must(open_as(XLU_SNAPSHOT_READ, &cat));
        must(xlu_snapshot_get(cat, "q", &s));
        assert_true(libxl_defbool_val(s->args.quiesced) == can);
        xlu_snapshot_close(cat);
        must(delete_named("q", false));
        assert_false(fake->thawed);
    }
}

static void busy(void **state)
{
    (void)state;
    xlu_snapshot_catalogue *cat, *second;

    must(open_as(XLU_SNAPSHOT_WRITE, &cat));
    assert_int_equal(open_as(XLU_SNAPSHOT_WRITE, &second),
                     LIBXL_SNAPSHOT_ERROR_BUSY);
    assert_non_null(strstr(fake_log(), "domain web1 is busy: process "));
    must(open_as(XLU_SNAPSHOT_READ, &second));
    assert_int_equal(xlu_snapshot_create(second,
                                         &(xlu_snapshot_create_args){ 0 },
                                         NULL, NULL), ERROR_INVAL);
    xlu_snapshot_close(second);
    xlu_snapshot_close(cat);
    must(create_named("a", false));
}

static void paused(void **state)
{
    (void)state;
    xlu_snapshot_revert_args args = { 0 };

    fake->paused = true;
    must(create_named("a", false));
    assert_true(fake->paused);
    must(op_revert());
    assert_true(fake->paused);
    libxl_defbool_set(&args.paused, false);
    must(revert_with(&args));
    check_domain(1);
}

static void folder(void **state)
{
    (void)state;
    xlu_snapshot_create_args args = { .name = "a", .compress = compress };
    xlu_snapshot_catalogue *cat;
    char path[128], file[160];

    snprintf(path, sizeof(path), "%s/elsewhere", root);
    must(mkdir(path, 0700));
    args.memory_folder = path;
    must(open_as(XLU_SNAPSHOT_WRITE, &cat));
    must(xlu_snapshot_create(cat, &args, NULL, NULL));
    xlu_snapshot_close(cat);
    snprintf(file, sizeof(file), "%s/a.mem%s", path, compress ? ".zst" : "");
    must(access(file, F_OK));
    set_domain(2);
    must(op_revert());
    check_domain(1);
    must(op_delete());
    assert_int_equal(access(file, F_OK), -1);
    must(rmdir(path));
}

/* --- bad input --- */

static void put(const char *file, const char *text, size_t at, bool cut)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof(path), "%s/" FAKE_UUID "/%s", root, file);
    f = fopen(path, cut ? "w" : "r+");
    assert_non_null(f);
    must(fseek(f, at, SEEK_SET));
    fputs(text, f);
    must(fclose(f));
}

/* A revert that is refused changes nothing. */
static void check_refused(const char *why)
{
    fake_log_clear();
    assert_int_equal(op_revert(), LIBXL_SNAPSHOT_ERROR_DAMAGED);
    if (!strstr(fake_log(), why))
        fail_msg("no \"%s\" in: %s", why, fake_log());
    check_domain(2);
    assert_int_equal(fake->domid, 5);
    assert_false(interrupted());
}

static void damaged_image(void **state)
{
    char path[256];

    (void)state;
    fake->image_kib = 8;
    must(create_named("a", false));
    set_domain(2);
    snprintf(path, sizeof(path), "%s/" FAKE_UUID "/snapshots/a.mem", root);

    put("snapshots/a.mem", "x", 4000, false);
    check_refused("its checksum is");
    must(truncate(path, 100));
    check_refused("has 100 bytes, it had");
    must(unlink(path));
    check_refused("opening memory image");
    must(op_delete());
    check_names("", NULL);
}

/* By others, so that there is no checksum that says so first. */
static void forget_checksum(void)
{
    char command[512];

    snprintf(command, sizeof(command), "cd %s/" FAKE_UUID "/snapshots && "
             "sed -i '/\"xxh64\":/d; /\"size\":/d' a.json && "
             "grep -q zstd a.json", root);
    must(system(command));
}

static void damaged_compressed(void **state)
{
    char path[256], command[600];
    struct stat st;

    (void)state;
    fake->image_kib = 2048;
    must(create_named("a", false));
    set_domain(2);
    snprintf(path, sizeof(path), "%s/" FAKE_UUID "/snapshots/a.mem.zst",
             root);
    must(stat(path, &st));
    assert_in_range(st.st_size, 100, 100 << 10);
    /* Every other write of the fake is cut short. */
    snprintf(command, sizeof(command), "test $(zstd -dc %s | wc -c) -gt "
             "1000000", path);
    must(system(command));

    put("snapshots/a.mem.zst", "x", st.st_size / 2, false);
    check_refused("its checksum is");
    forget_checksum();
    check_refused("is damaged: ");
    must(truncate(path, st.st_size - 4));
    put("snapshots/a.mem.zst", "\x28\xb5\x2f\xfd", 0, false);
    check_refused("is damaged: ");
    put("snapshots/a.mem.zst", "none", 0, false);
    check_refused("is damaged: Unknown frame descriptor");
    must(truncate(path, 0));
    check_refused("is damaged: it ends too early");
    must(op_delete());
    check_names("", NULL);
}

static void damaged_disk(void **state)
{
    (void)state;
    must(create_named("a", false));
    set_domain(2);
    memset(&fake->snaps[1], 0, sizeof(fake->snaps[1]));
    check_refused("");
    must(op_delete());
}

static void damaged_json(void **state)
{
    (void)state;
    must(create_named("a", false));
    must(create_named("b", false));
    set_domain(2);
    put("snapshots/a.json", "{ nonsense", 0, true);
    check_refused("snapshots/a.json is damaged");
    assert_int_equal(op_delete(), LIBXL_SNAPSHOT_ERROR_DAMAGED);
    assert_int_equal(create_named("a", false), LIBXL_SNAPSHOT_ERROR_EXISTS);
    must(create_named("c", false));
    must(delete_named("b", false));
    check_domain(2);
}

static void damaged_xml(void **state)
{
    (void)state;
    xlu_snapshot_catalogue *cat;
    char *xml;

    must(create_named("a", false));
    set_domain(2);
    put("snapshots/a.xml", "<domainsnapshot><name>a</name>", 0, true);
    must(open_as(XLU_SNAPSHOT_READ, &cat));
    assert_non_null(strstr(fake_log(), "snapshots/a.xml is not well-formed"));
    assert_int_equal(xlu_snapshot_xml(cat, "a", &xml),
                     LIBXL_SNAPSHOT_ERROR_DAMAGED);
    xlu_snapshot_close(cat);
    must(op_revert());
    check_domain(1);
    must(open_as(XLU_SNAPSHOT_READ, &cat));
    must(xlu_snapshot_xml(cat, "a", &xml));
    assert_non_null(strstr(xml, "<name>a</name>"));
    free(xml);
    xlu_snapshot_close(cat);
}

static void no_space(void **state)
{
    struct rlimit old, limit;

    (void)state;
    must(create_named("a", false));
    fake->memkb = 1ull << 40;
    assert_int_equal(op_create(), LIBXL_SNAPSHOT_ERROR_NO_SPACE);
    assert_non_null(strstr(fake_log(), "no space for memory image"));
    check_names("a", "a");

    /* Half-way. */
    fake->memkb = 1024;
    fake->image_kib = 512;
    must(getrlimit(RLIMIT_FSIZE, &old));
    limit = old;
    limit.rlim_cur = 128 << 10;
    signal(SIGXFSZ, SIG_IGN);
    must(setrlimit(RLIMIT_FSIZE, &limit));
    fake->random = true;
    if (compress) {
        /* Seen before the disks are snapshotted, and only at the end. */
        fake->image_kib = 16 << 10;
        assert_int_equal(op_create(), LIBXL_SNAPSHOT_ERROR_NO_SPACE);
        fake->image_kib = 512;
    }
    assert_int_equal(op_create(), LIBXL_SNAPSHOT_ERROR_NO_SPACE);
    must(setrlimit(RLIMIT_FSIZE, &old));
    assert_non_null(strstr(fake_log(), "no space left for memory image"));
    check_names("a", "a");
    check_domain(1);
}

static void bad_journal(void **state)
{
    (void)state;
    must(create_named("a", false));
    put("journal", "{ nonsense", 0, true);
    assert_int_equal(op_create(), LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR);
    assert_non_null(strstr(fake_log(), "journal is damaged"));
    check_domain(1);
}

/* --- something goes wrong at the n-th step --- */

static void prepare_a(void)
{
    restart();
    must(create_named("a", false));
    set_domain(2);
    fake->calls = 0;
}

static void prepare_a_b(void)
{
    prepare_a();
    must(create_named("b", false));
    fake->calls = 0;
}

static void check_create(bool done)
{
    check_names(done ? "a b" : "a", done ? "b" : "a");
    check_domain(2);
}

static void check_revert(bool done)
{
    check_names("a", "a");
    check_domain(done ? 1 : 2);
}

static void check_delete(bool done)
{
    xlu_snapshot_catalogue *cat;
    const xlu_snapshot *b;

    check_names(done ? "b" : "a b", "b");
    must(open_as(XLU_SNAPSHOT_READ, &cat));
    must(xlu_snapshot_get(cat, "b", &b));
    if (done)
        assert_null(b->parent);
    xlu_snapshot_close(cat);
    check_domain(2);
}

/* Whether the operation was done can be seen from the state itself. */
static bool create_is_done(void)
{
    return fake_num_snaps("b");
}

static bool revert_is_done(void)
{
    return fake->memory == 1;
}

static bool delete_is_done(void)
{
    return !fake_num_snaps("a");
}

typedef struct {
    const char *name;
    void (*prepare)(void);
    int (*run)(void);
    bool (*is_done)(void);
    void (*check)(bool done);
} scenario;

static const scenario scenarios[] = {
    { "create", prepare_a, op_create, create_is_done, check_create },
    { "revert", prepare_a, op_revert, revert_is_done, check_revert },
    { "delete", prepare_a_b, op_delete, delete_is_done, check_delete },
};

/* The domain runs whatever failed, unless recovery has to build it. */
static void after_failure(const scenario *s, int n, int rc)
{
    if (interrupted()) {
        if (rc != LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR)
            fail_msg("%s, step %d: %d with a journal left", s->name, n, rc);
        must(recover());
        s->check(s->is_done());
        return;
    }
    if (rc && s->is_done())
        fail_msg("%s, step %d: failed (%d), and yet done", s->name, n, rc);
    s->check(!rc);
}

/* A delete whose disks failed half-way is still in the catalogue. */
static void after_seam(const scenario *s, int n, int rc)
{
    if (s->run == op_delete && rc && !interrupted()) {
        fake->fail_at = 0;
        rc = s->run();
    }
    after_failure(s, n, rc);
}

static void fail_io(int errnoval)
{
    size_t i;
    int count, n, rc;

    for (i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
        for (n = 1; n < STEPS_MAX; n++) {
            scenarios[i].prepare();
            fake_io_fail(n, errnoval);
            rc = scenarios[i].run();
            count = fake_io_stop();
            after_failure(&scenarios[i], n, rc);
            if (count < n)
                break;
            assert_int_not_equal(n, STEPS_MAX - 1);
        }
}

static void fail_each_change(void **state)
{
    (void)state;
    fail_io(EIO);
}

static void full_at_each_change(void **state)
{
    (void)state;
    fail_io(ENOSPC);
}

static void fail_each_call(void **state)
{
    size_t i;
    int n, rc;

    (void)state;
    for (i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
        for (n = 1; n < STEPS_MAX; n++) {
            scenarios[i].prepare();
            fake->fail_at = n;
            rc = scenarios[i].run();
            after_seam(&scenarios[i], n, rc);
            if (fake->calls < n)
                break;
        }
}

/* Runs it in a child that ends at the n-th change, or at the n-th call into
 * the lower library; true if it came to its end before. */
static bool run_to(int (*run)(void), int change, int call)
{
    pid_t pid;
    int st;

    fake->calls = 0;
    fake->crash_at = call;
    pid = fork();
    if (!pid) {
        if (change)
            fake_io_crash(change);
        _exit(run() ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &st, 0), pid);
    fake->crash_at = 0;
    assert_true(WIFEXITED(st));
    if (WEXITSTATUS(st) == FAKE_IO_CRASH_CODE)
        return false;
    assert_int_equal(WEXITSTATUS(st), 0);
    return true;
}

static void crash(bool in_calls)
{
    size_t i;
    bool end;
    int n;

    for (i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
        for (end = false, n = 1; !end; n++) {
            assert_true(n < STEPS_MAX);
            scenarios[i].prepare();
            end = run_to(scenarios[i].run, in_calls ? 0 : n,
                         in_calls ? n : 0);
            must(recover());
            scenarios[i].check(scenarios[i].is_done());
        }
}

static void crash_at_each_change(void **state)
{
    (void)state;
    crash(false);
}

static void crash_at_each_call(void **state)
{
    (void)state;
    crash(true);
}

/* Recovery may be cut short as well. */
static void crash_in_recovery(void **state)
{
    size_t i;
    bool end, recovered;
    int m, n;

    (void)state;
    for (i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
        for (end = false, n = 1; !end; n++)
            for (recovered = false, m = 1; !recovered; m++) {
                scenarios[i].prepare();
                end = run_to(scenarios[i].run, 0, n);
                recovered = run_to(recover, m, 0);
                must(recover());
                scenarios[i].check(scenarios[i].is_done());
            }
}

/* The whole host: the domain is gone, its disks are what they are. */
static void host_crash(void **state)
{
    size_t i;
    bool end;
    int n;

    (void)state;
    for (i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
        for (end = false, n = 1; !end; n++) {
            scenarios[i].prepare();
            end = run_to(scenarios[i].run, 0, n);
            fake->running = fake->suspended = fake->paused = false;
            must(recover());
            assert_false(interrupted());
            check_folder("", "domain.json lock current snapshots");
            if (scenarios[i].run != op_revert)
                continue;
            assert_int_equal(fake->disk[0], fake->disk[1]);
            if (fake->running)
                check_domain(1);
            check_names("a", "a");
        }
}

/* Failing for good after the domain was destroyed: it goes back. */
static void goes_back(void **state)
{
    int n;
    bool went = false;

    (void)state;
    for (n = 1; n < 30; n++) {
        prepare_a();
        fake->fail_at = n;
        if (op_revert() == LIBXL_SNAPSHOT_ERROR_WENT_BACK) {
            check_revert(false);
            went = true;
        }
    }
    assert_true(went);
}

/* Without a safety point the next command tries it again. */
static void no_safety(void **state)
{
    xlu_snapshot_revert_args args = { .no_safety = true };
    int n, rc;

    (void)state;
    for (n = 1; n < 20; n++) {
        prepare_a();
        fake->fail_at = n;
        rc = revert_with(&args);
        fake->fail_at = 0;
        if (rc == LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR)
            must(recover());
        check_revert(revert_is_done());
    }
}

/* A domain that somebody started in the meantime is not destroyed. */
static void started_by_hand(void **state)
{
    bool end;
    int n, rc;

    (void)state;
    for (end = false, n = 1; !end; n++) {
        prepare_a();
        end = run_to(op_revert, 0, n);
        fake->running = true;
        fake->suspended = fake->paused = false;
        fake->domid = 77;
        rc = recover();
        assert_true(fake->running);
        assert_int_equal(fake->domid, 77);
        if (rc)
            assert_int_equal(rc, LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR);
        else
            check_names("a", "a");
    }
}

/* Who pauses a domain after the death of a command that had stopped nothing
 * yet finds it paused after the recovery, too. */
static void paused_after_crash(void **state)
{
    bool early = true;
    int n;

    (void)state;
    for (n = 1; early; n++) {
        fake->paused = false;
        fake->steps[0] = '\0';
        assert_false(run_to(op_quiesced, 0, n));
        early = !strstr(fake->steps, "prepare");
        fake->paused = early;
        must(recover());
        assert_true(fake->paused == early);
    }
    assert_true(n > 2);
}

/* Recovery thaws the domain that was frozen, and no other. */
static void quiesced_crash(void **state)
{
    int other, n, thawed;

    (void)state;
    for (other = 0; other < 2; other++) {
        thawed = 0;
        for (n = 1; !run_to(op_quiesced, 0, n); n++) {
            fake->thawed = false;
            if (other)
                fake->domid++;
            must(recover());
            thawed += fake->thawed;
        }
        /* SUSPEND, INSTANT, two disks, RESUME at the least. */
        assert_true(other ? thawed == 0 : thawed >= 5);
        must(delete_named("q", false));
    }
}

static int setup_zstd(void **state)
{
    compress = true;
    return setup(state);
}

static int teardown_zstd(void **state)
{
    compress = false;
    return teardown(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define ZSTD_TEST(f) \
    { "zstd_" #f, f, setup_zstd, teardown_zstd, NULL }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(works),
        TEST(children),
        TEST(names),
        TEST(disks_only),
        TEST(quiesced),
        TEST(quiesced_crash),
        TEST(paused_after_crash),
        TEST(busy),
        TEST(paused),
        TEST(folder),
        TEST(damaged_image),
        TEST(damaged_disk),
        TEST(damaged_json),
        TEST(damaged_xml),
        TEST(no_space),
        TEST(bad_journal),
        TEST(fail_each_change),
        TEST(full_at_each_change),
        TEST(fail_each_call),
        TEST(crash_at_each_change),
        TEST(crash_at_each_call),
        TEST(crash_in_recovery),
        TEST(host_crash),
        TEST(goes_back),
        TEST(no_safety),
        TEST(started_by_hand),
        ZSTD_TEST(works),
        ZSTD_TEST(folder),
        ZSTD_TEST(paused),
        ZSTD_TEST(damaged_compressed),
        ZSTD_TEST(no_space),
        ZSTD_TEST(fail_each_change),
        ZSTD_TEST(full_at_each_change),
        ZSTD_TEST(fail_each_call),
        ZSTD_TEST(crash_at_each_change),
        ZSTD_TEST(crash_at_each_call),
        ZSTD_TEST(host_crash),
        ZSTD_TEST(goes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
