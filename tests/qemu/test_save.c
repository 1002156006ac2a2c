/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * backup-save and its like, whole, on a guest that writes: what is in the
 * folder is what was there at the instant, whoever dies. qemu-img is the
 * judge.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pull_scene.h"
#include "save_scene.h"

/* Nothing of us is in QEMU or beside the images, and the guest runs. */
static void expect_clean(void)
{
    const char *left;

    assert_int_equal(fake.pauses, 0);
    assert_true(bed_running());
    left = bed_node_left();
    if (left)
        fail_msg("%s is left", left);
    assert_int_not_equal(run("ls %s | grep -q scratch", bed.dir), 0);
    assert_int_not_equal(run("ls %s/root/*/backup-save.json >/dev/null 2>&1",
                             bed.dir), 0);
    assert_int_not_equal(run("ls -a %s/b 2>/dev/null | grep -q '^\\.[^.l]'",
                             bed.dir), 0);
    assert_int_not_equal(run("pgrep -f '%s/[x]lbs' >/dev/null", bed.dir), 0);
    assert_int_not_equal(run("pgrep -x qemu-nbd -P %d >/dev/null", getpid()),
                         0);
}

static void expect_set(const char *name)
{
    int i;

    for (i = 0; i < bed.num_disks; i++)
        if (!is_truth(i, "qcow2", in_bed("b/%s/%s.qcow2", name,
                                         bed.vdev[i])))
            fail_msg("disk %d of set %s differs", i, name);
}

static bool set_has(const char *set, const char *text)
{
    return run("grep -q '%s' '%s'", text,
               in_bed("b/%s/backup.json", set)) == 0;
}

static void test_chain(void **state)
{
    char name[16];
    int n, i;

    (void)state;
    make(2);
    writer_start(4);
    for (n = 0; n < 4; n++) {
        snprintf(name, sizeof(name), "c%d", n);
        assert_int_equal(save("-c", name, NULL), 0);
        assert_true(set_has(name, n ? "\"incremental\"" : "\"full\""));
        expect_set(name);
        usleep(30000);
    }
    assert_true(writer_writes > 20);
    writer_stop();
    /* Of the last two sets, on each disk. */
    assert_int_equal(num_checkpoints(), 4);
    expect_clean();
    assert_int_equal(client("backup-verify", in_bed("b"), NULL), 0);
    assert_int_equal(client("backup-list", in_bed("b"), NULL), 0);
    assert_int_equal(client("backup-restore", in_bed("b"), in_bed("r"),
                            NULL), 0);
    assert_int_equal(client("backup-restore", in_bed("b"), in_bed("r"),
                            NULL), 4);
    assert_int_equal(client("backup-restore", "--force", in_bed("b"),
                            in_bed("b/c1"), NULL), 2);
    assert_int_equal(client("backup-restore", "--force", "--format", "raw",
                            in_bed("b"), in_bed("r"), NULL), 0);
    for (i = 0; i < 2; i++) {
        assert_true(is_truth(i, "qcow2", in_bed("r/%s.qcow2", bed.vdev[i])));
        assert_true(is_truth(i, "raw", in_bed("r/%s.raw", bed.vdev[i])));
    }
    assert_int_equal(run("grep -q 'target=%s' '%s'", in_bed("r/xvda.raw"),
                         in_bed("r/domain.cfg")), 0);
    bed_stop_qemu();
    assert_true(bed_check_clean(0));
    unmake();
}

/* What the guest has set to zero since hides what it was. */
static void test_zeroes(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(save("-c", "c0", NULL), 0);
    bed_write(0, 3, 0);
    bed_write(0, 5, 77);
    assert_int_equal(save("-c", "c1", NULL), 0);
    assert_true(set_has("c1", "\"incremental\""));
    expect_set("c1");
    assert_int_equal(save("--full", "-c", "c2", NULL), 0);
    assert_true(set_has("c2", "\"full\""));
    expect_set("c2");
    assert_int_equal(save("--since", "c1", "-c", "c3", NULL), 0);
    assert_true(set_has("c3", "\"since\": \"c1\""));
    expect_set("c3");
    expect_clean();
    unmake();
}

static bool has_checkpoint(const char *name)
{
    libxl_disk_checkpoint_list list;
    bool found = false;
    int i;

    libxl_disk_checkpoint_list_init(&list);
    assert_int_equal(libxl_domain_checkpoint_list(ctx, fake.domid, &list,
                                                  &how), 0);
    for (i = 0; i < list.num_checkpoints; i++)
        found |= !strcmp(list.checkpoints[i].name, name);
    libxl_disk_checkpoint_list_dispose(&list);
    return found;
}

/* All that the disk's images have, and no more. */
static void test_images_below(void **state)
{
    (void)state;
    make(1);
    external_snapshot("e1");
    bed_write(0, 30, 31);
    assert_int_equal(save("-c", "c0", NULL), 0);
    expect_set("c0");
    assert_int_equal(run("test $(du -k '%s' | cut -f1) -lt 12000",
                         in_bed("b/c0/xvda.qcow2")), 0);
    bed_write(0, 2, 0);
    external_snapshot("e2");
    bed_write(0, 40, 41);
    assert_int_equal(save("-c", "c1", NULL), 0);
    assert_true(set_has("c1", "\"incremental\""));
    expect_set("c1");
    assert_int_equal(run("test $(du -k '%s' | cut -f1) -lt 3000",
                         in_bed("b/c1/xvda.qcow2")), 0);
    expect_clean();
    unmake();
}

/* Of the folder's, only what a set may be based on; others' stay. */
static void test_checkpoints_go(void **state)
{
    libxl_domain_checkpoint_args args;

    (void)state;
    make(1);
    libxl_domain_checkpoint_args_init(&args);
    args.name = strdup("theirs");
    assert_int_equal(libxl_domain_checkpoint_create(ctx, fake.domid, &args,
                                                    &how, NULL), 0);
    libxl_domain_checkpoint_args_dispose(&args);
    assert_int_equal(save("-c", "s0", NULL), 0);
    assert_int_equal(save("-c", "s1", NULL), 0);
    assert_int_equal(save("--since", "s0", "-c", "s2", NULL), 0);
    assert_true(has_checkpoint("s0") && has_checkpoint("s1"));
    assert_int_equal(save("--since", "s0", "-c", "s3", NULL), 0);
    assert_true(set_has("s3", "\"since\": \"s0\""));
    assert_true(has_checkpoint("s0") && has_checkpoint("s2"));
    assert_false(has_checkpoint("s1"));
    /* Its set has gone: that it is the folder's is known all the same. */
    assert_int_equal(client("backup-prune", "--keep-last", "1", in_bed("b"),
                            NULL), 0);
    bed_write(0, 3, 44);
    assert_int_equal(save("-c", "s4", "--keep-checkpoints", NULL), 0);
    assert_true(has_checkpoint("s0") && has_checkpoint("s2"));
    bed_write(0, 4, 45);
    assert_int_equal(save("-c", "s5", NULL), 0);
    assert_false(has_checkpoint("s0") || has_checkpoint("s2") ||
                 has_checkpoint("s3"));
    assert_true(has_checkpoint("theirs") && has_checkpoint("s4") &&
                has_checkpoint("s5"));
    assert_true(set_has("s5", "\"incremental\""));
    expect_set("s5");
    expect_clean();
    unmake();
}

static void test_falls_back(void **state)
{
    (void)state;
    make(2);
    assert_int_equal(client("backup-save", "nosuch", in_bed("b"), NULL), 3);
    assert_int_not_equal(access(in_bed("b"), F_OK), 0);
    assert_int_equal(save("--strict", NULL), 6);
    assert_int_equal(save("-c", "c0", NULL), 0);
    assert_int_equal(save("-c", "c0", NULL), 4);
    /* An orderly end keeps the checkpoint. */
    bed_stop_qemu();
    bed_start_qemu();
    assert_int_equal(save("-c", "c1", NULL), 0);
    assert_true(set_has("c1", "\"incremental\""));
    /* QEMU dies: what it recorded is lost. */
    bed_kill_qemu();
    bed_start_qemu();
    bed_write(0, 60, 61);
    assert_int_equal(save("--strict", NULL), 6);
    assert_int_equal(save("-c", "c2", NULL), 8);
    assert_true(set_has("c2", "\"full\""));
    expect_set("c2");
    assert_int_equal(save("-c", "c3", NULL), 0);
    assert_true(set_has("c3", "\"since\": \"c2\""));
    expect_set("c3");
    /* What it would be based on is damaged. */
    assert_int_equal(run("truncate -s -1 '%s'", in_bed("b/c2/xvda.qcow2")),
                     0);
    assert_int_equal(save("-c", "c4", NULL), 8);
    expect_set("c4");
    /* Fewer disks are in each set. */
    assert_int_equal(save("--disk", "xvda", "-c", "c5", NULL), 0);
    assert_int_equal(save("-c", "c6", NULL), 8);
    expect_set("c6");
    expect_clean();
    unmake();
}

static void test_target_full(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(run("mkdir %s/b && mount -t tmpfs -o size=3M none %s/b",
                         bed.dir, bed.dir), 0);
    assert_int_equal(save("-c", "c0", NULL), 1);
    assert_int_equal(num_checkpoints(), 0);
    expect_clean();
    assert_int_equal(run("mount -o remount,size=100M %s/b", bed.dir), 0);
    assert_int_equal(save("-c", "c0", NULL), 0);
    expect_set("c0");
    expect_clean();
    assert_int_equal(run("umount %s/b", bed.dir), 0);
    unmake();
}

static void kill_proxy(void)
{
    assert_int_equal(run("pkill -KILL -f '%s/[x]lbs'", bed.dir), 0);
}

static void kill_target(void)
{
    assert_int_equal(run("pkill -KILL -P %d qemu-nbd", getpid()), 0);
}

static void test_servers_die(void **state)
{
    (void)state;
    make(2);
    writer_start(8);
    assert_int_equal(save("-c", "c0", NULL), 0);
    at_create = kill_proxy;
    assert_int_equal(save("-c", "c1", NULL), 1);
    at_create = NULL;
    expect_clean();
    assert_int_equal(num_checkpoints(), 2);
    at_copy = kill_target;
    assert_int_equal(save("-c", "c1", NULL), 1);
    at_copy = NULL;
    writer_stop();
    expect_clean();
    assert_int_equal(num_checkpoints(), 2);
    /* What was written before is in the next one. */
    assert_int_equal(save("-c", "c1", NULL), 0);
    assert_true(set_has("c1", "\"incremental\""));
    expect_set("c1");
    unmake();
}

static void test_qemu_dies(void **state)
{
    (void)state;
    make(1);
    at_create = bed_kill_qemu;
    assert_int_not_equal(save("-c", "c0", NULL), 0);
    at_create = NULL;
    bed_start_qemu();
    assert_int_equal(num_checkpoints(), 0);
    /* Whether the image had it by then wasn't to be seen. */
    assert_int_equal(stop(), 0);
    expect_clean();
    assert_int_equal(save("-c", "c0", NULL), 0);
    expect_set("c0");
    unmake();
}

/* SIGTERM in the middle, from whom it may be. */
static void term_self(void)
{
    raise(SIGTERM);
}

static void test_cancel(void **state)
{
    int status;

    (void)state;
    make(1);
    if (fork() == 0) {
        at_copy = term_self;
        _exit(save("-c", "c0", NULL));
    }
    wait(&status);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_int_equal(num_checkpoints(), 0);
    expect_clean();
    unmake();
}

/* False: it came to its end before that. */
static bool die(const char *name, int at_file, int at_call)
{
    int status;

    if (fork() == 0) {
        die_at = at_file;
        fake.calls = 0;
        fake.fail_at = at_call;
        fake.fault = FAULT_WE_DIE;
        _exit(save("-c", name, NULL));
    }
    wait(&status);
    /* As the guard does it. */
    assert_int_equal(bed_qmp("cont", NULL), 0);
    if (WIFEXITED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    return !WIFEXITED(status);
}

/* The next one finds all as if it had never been, or had come to its end. */
static void go_on(int n)
{
    char name[16];

    snprintf(name, sizeof(name), "g%d", n);
    truth_wanted(true);
    if (save("-c", name, NULL))
        fail_msg("it can't go on after a death at %d", n);
    truth_wanted(false);
    assert_true(set_has(name, "\"incremental\""));
    expect_set(name);
    expect_clean();
}

/* The client is killed at each thing that it does to files, and at some of
 * what the library does for it (test_backup_faults.c does so at all). */
static void client_dies(int by, bool files)
{
    int n, before;
    char name[16];

    make(1);
    truth_wanted(false);
    assert_int_equal(save("-c", "first", NULL), 0);
    for (n = 1; n < 200; n += by * fault_stride()) {
        bed_write(0, 20 + n % 20, n % 200 + 1);
        before = num_checkpoints();
        snprintf(name, sizeof(name), "k%d", n);
        if (!die(name, files ? n : 0, files ? 0 : n))
            break;
        /* Of a view that QEMU has never seen nobody knows the number. */
        if (!files)
            run("rm -f %s/*scratch", bed.dir);
        if (n % 2) {
            assert_int_equal(stop(), 0);
            assert_in_range(num_checkpoints(), before, before + 1);
            run("rm -rf %s/b/.partial-*", bed.dir);
            expect_clean();
        }
        go_on(n);
        /* A short chain is looked at faster. */
        assert_int_equal(client("backup-prune", "--keep-last", "1",
                                in_bed("b"), NULL), 0);
    }
    assert_in_range(n, 8, 199);
    assert_int_equal(client("backup-verify", in_bed("b"), NULL), 0);
    unmake();
}

static void test_client_dies(void **state)
{
    (void)state;
    client_dies(1, true);
}

static void test_client_dies_in_calls(void **state)
{
    (void)state;
    client_dies(7, false);
}

static void kill_self(void)
{
    raise(SIGKILL);
}

/* Then the domain is shut down, and the image has a checkpoint that nobody
 * has a backup for. It is undone as soon as it can be. */
static void test_client_dies_then_off(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(save("-c", "c0", NULL), 0);
    bed_write(0, 4, 99);
    if (fork() == 0) {
        at_copy = kill_self;
        _exit(save("-c", "c1", NULL));
    }
    wait(NULL);
    bed_stop_qemu();
    fake.exists = false;
    assert_int_equal(stop(), 0);
    assert_int_equal(run("ls %s/root/*/backup-save.json >/dev/null",
                         bed.dir), 0);
    assert_int_not_equal(run("ls %s | grep -q scratch", bed.dir), 0);
    fake.exists = true;
    bed_start_qemu();
    assert_int_equal(num_checkpoints(), 2);
    assert_int_equal(stop(), 0);
    assert_int_equal(num_checkpoints(), 1);
    assert_int_equal(save("-c", "c1", NULL), 0);
    expect_clean();
    expect_set("c1");
    unmake();
}

static void test_damage(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(save("-c", "c0", NULL), 0);
    bed_write(0, 4, 99);
    assert_int_equal(save("-c", "c1", NULL), 0);
    assert_int_equal(client("backup-verify", in_bed("b"), NULL), 0);
    /* A byte of data. */
    assert_int_equal(run("printf X | dd of=%s bs=1 seek=400000 conv=notrunc "
                         "2>/dev/null", in_bed("b/c0/xvda.qcow2")), 0);
    assert_int_equal(client("backup-verify", in_bed("b"), NULL), 7);
    assert_int_equal(client("backup-verify", "--set", "c1", in_bed("b"),
                            NULL), 7);
    assert_int_equal(client("backup-restore", in_bed("b"), in_bed("r"),
                            NULL), 7);
    assert_int_not_equal(access(in_bed("r/xvda.qcow2"), F_OK), 0);
    /* Nothing of it gets a good checksum by a merge. */
    assert_int_equal(client("backup-prune", "--keep-last", "1", in_bed("b"),
                            NULL), 7);
    assert_int_equal(access(in_bed("b/c0/xvda.qcow2"), F_OK), 0);
    assert_int_equal(run("rm -r '%s'", in_bed("b/c0")), 0);
    assert_int_equal(client("backup-verify", in_bed("b"), NULL), 7);
    assert_int_equal(run("echo '{' > '%s'", in_bed("b/c1/backup.json")), 0);
    assert_int_equal(client("backup-verify", in_bed("b"), NULL), 7);
    assert_int_equal(client("backup-list", in_bed("b"), NULL), 7);
    assert_int_equal(client("backup-prune", "--keep-last", "1", in_bed("b"),
                            NULL), 7);
    unmake();
}

/* --- prune --- */

#define SETS 3

static void expect_kept(int n)
{
    if (run("qemu-img compare -q -f qcow2 -F raw '%s' '%s' >/dev/null 2>&1",
            in_bed("b/c%d/xvda.qcow2", n), in_bed("t%d.raw", n)))
        fail_msg("set c%d is not what it was", n);
}

static void set_time(int n, int seconds)
{
    assert_int_equal(run("sed -i 's/\"time\": *[0-9]*/\"time\": %d/' '%s'",
                         seconds, in_bed("b/c%d/backup.json", n)), 0);
}

/* Three sets, and what each of them holds. */
static void three_sets(void)
{
    char name[16];
    int n;

    make(1);
    for (n = 0; n < SETS; n++) {
        bed_write(0, 10 + n, 50 + n);
        bed_write(0, 5, 100 + n);
        snprintf(name, sizeof(name), "c%d", n);
        assert_int_equal(save("-c", name, NULL), 0);
        assert_int_equal(run("mv '%s' '%s'", in_bed("truth0.raw"),
                             in_bed("t%d.raw", n)), 0);
        /* They are made within a second, and kept in order by it. */
        set_time(n, 1000000 + n * 86400);
        expect_kept(n);
    }
    assert_int_equal(run("cp -a %s/b %s/sets", bed.dir, bed.dir), 0);
}

static int prune(void)
{
    return client("backup-prune", "--keep-last", "1", "--keep-yearly", "1",
                  in_bed("b"), NULL);
}

static int prune_two(void)
{
    return client("backup-prune", "--keep-last", "2", in_bed("b"), NULL);
}

static void prune_killed(int (*command)(void), const int *kept, bool names,
                         int by)
{
    int n, i, status;
    pid_t pid;

    for (n = 1; n < 200; n += by * fault_stride()) {
        assert_int_equal(run("rm -rf %s/b && cp -a %s/sets %s/b", bed.dir,
                             bed.dir, bed.dir), 0);
        pid = fork();
        if (pid == 0) {
            die_at = n;
            no_exchange = names;
            _exit(command());
        }
        waitpid(pid, &status, 0);
        if (WIFEXITED(status))
            break;
        /* Readers may see one out of place, and say how to put it back. */
        status = client("backup-verify", in_bed("b"), NULL);
        if (status && !(names && status == 9))
            fail_msg("killed at %d, verification says %d", n, status);
        no_exchange = names;
        assert_int_equal(command(), 0);
        no_exchange = false;
        assert_int_equal(client("backup-verify", in_bed("b"), NULL), 0);
        for (i = 0; i < SETS; i++) {
            assert_int_equal(access(in_bed("b/c%d", i), F_OK),
                             kept[i] ? 0 : -1);
            if (kept[i])
                expect_kept(i);
        }
        assert_int_not_equal(run("ls -a %s/b | grep -q '^\\.[^.l]'", bed.dir),
                             0);
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_in_range(n, 10, 199);
}

static void test_prune_killed(void **state)
{
    static const int last[SETS] = { 0, 0, 1 };
    static const int two[SETS] = { 0, 1, 1 };

    (void)state;
    three_sets();
    assert_int_equal(client("backup-prune", "--keep-last", "2", "--dry-run",
                            in_bed("b"), NULL), 0);
    assert_int_equal(run("ls %s/b | grep -c c | grep -qx 3", bed.dir), 0);
    prune_killed(prune, last, false, 1);
    prune_killed(prune_two, two, false, 5);
    prune_killed(prune_two, two, true, 1);
    unmake();
}

/* One in the middle goes: what is above is based on what is below. */
static void test_prune_middle(void **state)
{
    int n;

    (void)state;
    three_sets();
    /* c0 is a year before the others. */
    for (n = 1; n < SETS; n++)
        set_time(n, 100000000 + n);
    assert_int_equal(client("backup-prune", "--keep-yearly", "2",
                            in_bed("b"), NULL), 0);
    assert_true(set_has("c2", "\"since\": \"c0\""));
    expect_kept(0);
    expect_kept(2);
    assert_int_equal(run("ls %s/b | wc -l | grep -qx 2", bed.dir), 0);
    assert_int_equal(client("backup-verify", in_bed("b"), NULL), 0);
    unmake();
}

static void try_prune(void)
{
    assert_int_equal(prune(), 5);
    assert_int_equal(client("backup-list", in_bed("b"), NULL), 0);
    assert_int_equal(save("--json", NULL), 5);
}

static void test_busy(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(save("-c", "c0", NULL), 0);
    at_create = try_prune;
    assert_int_equal(save("-c", "c1", NULL), 0);
    at_create = NULL;
    expect_set("c1");
    unmake();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_zeroes),
        cmocka_unit_test(test_checkpoints_go),
        cmocka_unit_test(test_images_below),
        cmocka_unit_test(test_falls_back),
        cmocka_unit_test(test_target_full),
        cmocka_unit_test(test_servers_die),
        cmocka_unit_test(test_qemu_dies),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_client_dies),
        cmocka_unit_test(test_client_dies_in_calls),
        cmocka_unit_test(test_client_dies_then_off),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_prune_killed),
        cmocka_unit_test(test_prune_middle),
        cmocka_unit_test(test_busy),
    };

    alarm(600);
    if (!scene_begin())
        return 1;
    cmocka_set_test_filter(getenv("TEST"));
    return GROUP_RUN(tests, scene_abandon);
}
