/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Pull backups of the catalogue (xlu_backup_pull_*) on a real QEMU: what is
 * read while the guest writes, which checkpoints stay, and what the next
 * command does where the command, the server or QEMU has died. nbdcopy,
 * nbdinfo and qemu-img are the judges.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xlu_backup.h>
#include <xlu_checkpoint.h>

#include "catalogue_scene.h"

static xlu_backup_pull p;

static void fresh(const char *since, const char *checkpoint)
{
    xlu_backup_pull_dispose(&p);
    xlu_backup_pull_init(&p);
    p.snapshot.since = since ? strdup(since) : NULL;
    p.snapshot.checkpoint = checkpoint ? strdup(checkpoint) : NULL;
}

static int start(const char *since, const char *checkpoint)
{
    fresh(since, checkpoint);
    return xlu_backup_pull_start(cat, &p, &how);
}

static int stop(bool failed)
{
    fresh(NULL, NULL);
    return xlu_backup_pull_stop(cat, failed, &how, &p);
}

static xlu_backup_pull_state look(void)
{
    fresh(NULL, NULL);
    assert_int_equal(xlu_backup_pull_status(cat, &p), 0);
    return p.state;
}

static int copy(int disk)
{
    return run("nbdcopy '%s' '%s' 2>/dev/null", p.disks[disk].uri,
               in_bed("copy"));
}

static void expect_truth(int disk)
{
    unlink(in_bed("copy"));
    assert_int_equal(copy(disk), 0);
    assert_true(is_truth(disk, "raw", in_bed("copy")));
}

static void test_life(void **state)
{
    struct stat st;
    char *xml;
    int i;

    (void)state;
    begin(2);
    assert_int_equal(start(NULL, "c1"), 0);
    assert_int_equal(p.num_contexts, 1);
    assert_int_equal(stop(false), 0);
    assert_string_equal(checkpoints(), "c1");
    bed_write(0, 3, 33);
    bed_write(1, 60, 34);
    writer_start(1);
    assert_int_equal(start("c1", "c2"), 0);
    assert_int_equal(p.num_disks, 2);
    assert_int_equal(p.num_contexts, 2);
    assert_string_equal(p.contexts[1], "qemu:dirty-bitmap:changes");
    assert_int_equal(stat(p.exported.socket, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    expect_truth(0);
    expect_truth(1);
    /* What is printed to be pasted. */
    assert_int_equal(run("cd '%s' && %s 2>/dev/null", bed.dir,
                         p.disks[1].command), 0);
    assert_true(is_truth(1, "raw", in_bed("xvdb.raw")));
    assert_int_equal(run("nbdinfo --map=%s '%s' | grep -q dirty",
                         p.contexts[1], p.disks[0].uri), 0);
    assert_int_equal(look(), XLU_BACKUP_PULL_STATE_READY);
    for (i = 0; i < 3; i++) {
        assert_int_equal(xlu_backup_xml(cat, i, &xml), 0);
        assert_non_null(strstr(xml, "xvda"));
        free(xml);
    }
    /* Of both kinds there is one at a time. */
    assert_int_equal(start(NULL, NULL), XLSS(BUSY));
    assert_int_equal(stop(false), 0);
    writer_stop();
    expect_clean();
    assert_string_equal(checkpoints(), "c1 c2");
    assert_int_equal(stop(false), ERROR_NOTFOUND);
    /* The name is taken; c2 must not be undone by this. */
    assert_int_equal(start(NULL, "c2"), XLSS(EXISTS));
    assert_int_equal(start(NULL, "."), ERROR_INVAL);
    expect_clean();
    assert_string_equal(checkpoints(), "c1 c2");
    assert_int_equal(num_checkpoints(), 4);
    bed_stop_qemu();
    assert_true(bed_check_clean(0));
    end();
}

/* As if nothing had happened: since c1 all is known that was. */
static void test_failed(void **state)
{
    uint64_t before;

    (void)state;
    begin(1);
    assert_int_equal(start(NULL, "c1"), 0);
    assert_int_equal(stop(false), 0);
    bed_write(0, 3, 33);
    assert_int_equal(start("c1", "c2"), 0);
    bed_write(0, 10, 34);
    assert_int_equal(stop(true), 0);
    expect_clean();
    assert_string_equal(checkpoints(), "c1");
    assert_int_equal(num_checkpoints(), 1);
    before = dirty_since("c1");
    assert_int_equal(before, 2 << 20);
    end();
}

/* A checkpoint in between has vanished: its neighbours know nothing of what it
 * had recorded. */
static void test_vanished(void **state)
{
    xlu_checkpoint_create_args c = { .name = "c1" };
    yajl_val v = NULL;
    char *text;
    const char *at;

    (void)state;
    begin(1);
    assert_int_equal(xlu_checkpoint_create(cat, &c, &how, NULL), 0);
    c.name = "c2";
    assert_int_equal(xlu_checkpoint_create(cat, &c, &how, NULL), 0);
    bed_write(0, 3, 33);
    c.name = "c3";
    assert_int_equal(xlu_checkpoint_create(cat, &c, &how, NULL), 0);
    assert_int_equal(bed_qmp_reply("query-named-block-nodes", NULL, &v), 0);
    text = NULL;
    for (size_t i = 0; i < json_length(json_array(v, "return")); i++) {
        yajl_val node = json_item(json_array(v, "return"), i);
        yajl_val maps = json_array(node, "dirty-bitmaps");

        for (size_t j = 0; j < json_length(maps); j++) {
            at = json_string(json_item(maps, j), "name");
            if (at && strstr(at, "-c2"))
                assert_true(asprintf(&text, "{\"node\":\"%s\",\"name\":"
                                     "\"%s\"}", json_string(node,
                                     "node-name"), at) > 0);
        }
    }
    yajl_tree_free(v);
    assert_non_null(text);
    assert_int_equal(bed_qmp("block-dirty-bitmap-remove", text), 0);
    free(text);
    assert_int_equal(start("c1", NULL), XLSS(BITMAP_BROKEN));
    assert_int_equal(start("c3", NULL), 0);
    assert_int_equal(stop(false), 0);
    expect_clean();
    end();
}

static void test_server_dies(void **state)
{
    char *uri;

    (void)state;
    begin(1);
    assert_int_equal(start(NULL, "c1"), 0);
    bed_write(0, 3, 200);
    uri = strdup(p.disks[0].uri);
    kill(p.exported.pid, SIGKILL);
    usleep(300000);
    assert_int_not_equal(copy(0), 0);
    assert_int_equal(look(), XLU_BACKUP_PULL_STATE_NO_SERVER);
    assert_int_equal(reopen(), 0);
    fresh(NULL, NULL);
    assert_int_equal(xlu_backup_pull_restart(cat, &how, &p), 0);
    assert_string_equal(p.disks[0].uri, uri);
    expect_truth(0);
    assert_int_equal(look(), XLU_BACKUP_PULL_STATE_READY);
    /* And without: what was read by then is good. */
    kill(p.exported.pid, SIGKILL);
    usleep(300000);
    assert_int_equal(stop(false), 0);
    expect_clean();
    assert_string_equal(checkpoints(), "c1");
    free(uri);
    end();
}

static void test_scratch_full(void **state)
{
    int mib;

    (void)state;
    begin(2);
    fresh(NULL, "c1");
    p.snapshot.scratch_max = 2 << 20;
    assert_int_equal(xlu_backup_pull_start(cat, &p, &how), 0);
    assert_int_equal(look(), XLU_BACKUP_PULL_STATE_READY);
    for (mib = 0; mib < 8; mib++)
        bed_write(1, mib, 200);
    assert_int_equal(look(), XLU_BACKUP_PULL_STATE_BROKEN);
    assert_false(p.disks[0].broken);
    assert_true(p.disks[1].broken);
    expect_truth(0);
    assert_int_not_equal(copy(1), 0);
    /* Who calls this a success is told, and c1 is not believed. */
    assert_int_equal(stop(false), XLSS(DAMAGED));
    expect_clean();
    assert_string_equal(checkpoints(), "");
    assert_int_equal(num_checkpoints(), 0);
    for (mib = 0; mib < 8; mib++)
        assert_true(bed_reads(1, mib, 200));
    end();
}

static void test_qemu_dies(void **state)
{
    (void)state;
    begin(1);
    assert_int_equal(start(NULL, "c1"), 0);
    bed_kill_qemu();
    assert_int_equal(look(), XLU_BACKUP_PULL_STATE_DEAD);
    assert_int_equal(reopen(), 0);
    assert_int_equal(stop(false), XLSS(QEMU_DIED));
    assert_false(xlu_backup_is_pull(cat));
    assert_int_not_equal(run("ls %s | grep -q -E 'xlbs|export-'", bed.dir),
                         0);
    /* The next one is right. */
    bed_start_qemu();
    assert_int_equal(reopen(), 0);
    assert_int_equal(xlu_snapshot_recover(cat, &how, NULL), 0);
    assert_int_equal(start(NULL, "c2"), 0);
    expect_truth(0);
    assert_int_equal(stop(false), 0);
    expect_clean();
    assert_string_equal(checkpoints(), "c2");
    end();
}

/* The domain is shut down, so the new bitmap is in the image; nobody knows
 * whether it was read to its end. */
static void test_shutdown(void **state)
{
    char *what = NULL;

    (void)state;
    begin(1);
    assert_int_equal(start(NULL, "c1"), 0);
    assert_int_equal(stop(false), 0);
    bed_write(0, 3, 33);
    assert_int_equal(start("c1", "c2"), 0);
    bed_write(0, 10, 34);
    bed_stop_qemu();
    fake.exists = false;
    assert_int_equal(reopen(), 0);
    assert_int_equal(look(), XLU_BACKUP_PULL_STATE_DEAD);
    assert_int_equal(stop(true), 0);
    assert_false(xlu_backup_is_pull(cat));
    assert_int_not_equal(run("ls %s | grep -q -E 'xlbs|export-'", bed.dir),
                         0);
    assert_int_equal(reopen(), 0);
    assert_int_equal(xlu_snapshot_recover(cat, &how, &what), 0);
    assert_null(what);
    fake.exists = true;
    bed_start_qemu();
    assert_int_equal(reopen(), 0);
    assert_true(xlu_snapshot_interrupted(cat));
    assert_int_equal(xlu_snapshot_recover(cat, &how, &what), 0);
    assert_non_null(what);
    assert_non_null(strstr(what, "checkpoint c2"));
    free(what);
    expect_clean();
    assert_string_equal(checkpoints(), "c1");
    assert_int_equal(dirty_since("c1"), 2 << 20);
    end();
}

static int start_it(void)
{
    return start("c1", "c2");
}

static int stop_it(void)
{
    return stop(false);
}

static int fail_it(void)
{
    return stop(true);
}

static void test_the_starter_dies(void **state)
{
    int n, undone = 0;
    char *what;

    (void)state;
    begin(2);
    truth_wanted(false);
    assert_int_equal(start(NULL, "c1"), 0);
    assert_int_equal(stop(false), 0);
    bed_write(0, 3, 33);
    for (n = 1; n < 200 && !die_at(n, start_it); n = fault_next(n)) {
        what = NULL;
        assert_int_equal(xlu_snapshot_recover(cat, &how, &what), 0);
        if (what)
            assert_non_null(strstr(what, "undone"));
        undone += what != NULL;
        free(what);
        if (xlu_backup_is_pull(cat))
            fail_msg("half a backup runs after %d", n);
        expect_clean();
        assert_string_equal(checkpoints(), "c1");
        assert_int_equal(num_checkpoints(), 2);
        assert_int_equal(dirty_since("c1"), 1 << 20);
    }
    assert_in_range(n, 40, 199);
    assert_true(undone > 30 / fault_stride());
    assert_int_equal(stop(false), 0);
    expect_clean();
    assert_string_equal(checkpoints(), "c1 c2");
    end();
}

static void stopper_dies(int (*how_to)(void), const char *then)
{
    int n;

    begin(1);
    truth_wanted(false);
    assert_int_equal(start(NULL, "c1"), 0);
    assert_int_equal(stop(false), 0);
    for (n = 1; n < 200; n = fault_next(n)) {
        bool ended;

        assert_int_equal(start("c1", "c2"), 0);
        ended = die_at(n, how_to);
        assert_int_equal(xlu_snapshot_recover(cat, &how, NULL), 0);
        /* Killed before it had begun. */
        if (xlu_backup_is_pull(cat))
            assert_int_equal(how_to(), 0);
        expect_clean();
        assert_string_equal(checkpoints(), then);
        if (strstr(then, "c2"))
            assert_int_equal(xlu_checkpoint_delete(cat, "c2", &how), 0);
        if (ended)
            break;
    }
    assert_in_range(n, 20, 199);
    end();
}

static void test_the_stopper_dies(void **state)
{
    (void)state;
    stopper_dies(stop_it, "c1 c2");
}

static void test_the_undoer_dies(void **state)
{
    (void)state;
    stopper_dies(fail_it, "c1");
}

static void every_fault(enum fault fault)
{
    int n, rc;

    begin(1);
    truth_wanted(false);
    assert_int_equal(start(NULL, "c1"), 0);
    assert_int_equal(stop(false), 0);
    for (n = 1; n < 200; n = fault_next(n)) {
        fake.calls = 0;
        fake.failed = false;
        fake.fail_at = n;
        fake.fault = fault;
        rc = start("c1", "c2");
        fake.fail_at = 0;
        if (!fake.failed)
            break;
        if (fault == FAULT_QEMU_DIES) {
            bed_start_qemu();
            fake.pauses = 0;
        }
        assert_int_equal(reopen(), 0);
        assert_int_equal(xlu_snapshot_recover(cat, &how, NULL), 0);
        if (!rc)
            stop(true);
        expect_clean();
        if (strcmp(checkpoints(), "c1"))
            fail_msg("%s after %d (%s)", checkpoints(), n, fake.failed_call);
        /* Its bitmaps were lost. */
        if (fault == FAULT_QEMU_DIES) {
            assert_int_equal(xlu_checkpoint_delete(cat, "c1", &how), 0);
            assert_int_equal(start(NULL, "c1"), 0);
            assert_int_equal(stop(false), 0);
        }
    }
    assert_in_range(n, 40, 199);
    assert_int_equal(rc, 0);
    assert_int_equal(stop(false), 0);
    expect_clean();
    end();
}

static void test_every_call_fails(void **state)
{
    (void)state;
    every_fault(FAULT_BEFORE);
}

static void test_every_reply_is_lost(void **state)
{
    (void)state;
    every_fault(FAULT_AFTER);
}

static void test_qemu_dies_at_each_call(void **state)
{
    (void)state;
    every_fault(FAULT_QEMU_DIES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_failed),
        cmocka_unit_test(test_vanished),
        cmocka_unit_test(test_server_dies),
        cmocka_unit_test(test_scratch_full),
        cmocka_unit_test(test_qemu_dies),
        cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_the_starter_dies),
        cmocka_unit_test(test_the_stopper_dies),
        cmocka_unit_test(test_the_undoer_dies),
        cmocka_unit_test(test_every_call_fails),
        cmocka_unit_test(test_every_reply_is_lost),
        cmocka_unit_test(test_qemu_dies_at_each_call),
    };

    alarm(900);
    if (!scene_begin())
        return 1;
    cmocka_set_test_filter(getenv("TEST"));
    return GROUP_RUN(tests, scene_abandon);
}
