/* SPDX-License-Identifier: LGPL-2.1-only */
/* The backups of a sequence that fail, or on whose way a call fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "seq_backups.h"

#define SMALL (512 << 10)

static void never_was(void)
{
    int i;

    model_end(seq_b.checkpoint);
    assert_int_equal(seq_b.state, LIBXL_BACKUP_STATE_FAILED);
    backup_expect_clean();
    assert_int_equal(since(seq_b.checkpoint, NULL), XLSS(BITMAP_BROKEN));
    for (i = 0; i < SEQ_DISKS; i++)
        assert_int_not_equal(access(in_bed("b%d-%s", seq_next, bed.vdev[i]),
                                    F_OK), 0);
}

/* --- others --- */

/* More than any target or scratch file here has room for. */
static void write_much(void)
{
    int d;

    for (d = 0; d < SEQ_DISKS; d++)
        model_write(d, (uint64_t)(8 + rand() % 8) << 20, 4 << 20);
}

/* Over what was there at the instant. */
static void write_over(void)
{
    int d;

    for (d = 0; d < SEQ_DISKS; d++)
        model_write(d, 8 << 20, 8 << 20);
}

static void finish(void)
{
    int rc;

    backup_no_limit();
    backup_wait();
    rc = libxl_domain_backup_finish(ctx, fake.domid, &seq_b, &how, NULL);
    if (seq_b.state == LIBXL_BACKUP_STATE_DONE) {
        assert_int_equal(rc, 0);
        say("  it did not");
        backup_is_good();
        return;
    }
    assert_int_equal(rc, ERROR_FAIL);
    never_was();
}

static void cancelled(void)
{
    say("  cancelled");
    assert_int_equal(backup_start(), 0);
    model_write_some(2);
    assert_int_equal(libxl_domain_backup_cancel(ctx, fake.domid, &seq_b, &how,
                                                NULL), 0);
    if (seq_b.state == LIBXL_BACKUP_STATE_DONE)
        backup_is_good();
    else
        never_was();
}

static void target_full(void)
{
    say("  its target is full");
    assert_int_equal(run("mkdir '%s' && mount -t tmpfs -o size=%d seq '%s'",
                           in_bed("small"), SMALL, in_bed("small")), 0);
    backup_set_target(1, in_bed("small/t"), LIBXL_DISK_FORMAT_QCOW2);
    assert_int_equal(backup_start(), 0);
    model_write_some(2);
    backup_no_limit();
    backup_wait();
    assert_int_equal(seq_b.state, LIBXL_BACKUP_STATE_FAILED);
    assert_int_equal(libxl_domain_backup_finish(ctx, fake.domid, &seq_b, &how,
                                                NULL), ERROR_FAIL);
    assert_int_not_equal(access(in_bed("small/t"), F_OK), 0);
    assert_int_equal(run("umount '%s' && rmdir '%s'", in_bed("small"),
                           in_bed("small")), 0);
    never_was();
}

static void server_dies(void)
{
    say("  its target dies");
    assert_int_equal(run("truncate -s %llu '%s' && qemu-nbd --fork -f raw "
                           "-x t -k '%s' --pid-file='%s' '%s'", MODEL_SIZE,
                           in_bed("store"), in_bed("sock"), in_bed("pid"),
                           in_bed("store")), 0);
    backup_set_target(1, in_bed("x"), LIBXL_DISK_FORMAT_RAW);
    free(seq_b.disks[1].target);
    assert_true(asprintf(&seq_b.disks[1].target, "nbd+unix:///t?socket=%s",
                         in_bed("sock")) > 0);
    free(seq_b.disks[1].base);
    seq_b.disks[1].base = NULL;
    assert_int_equal(backup_start(), 0);
    assert_int_equal(run("kill -9 $(cat '%s'); rm -f '%s'", in_bed("pid"),
                           in_bed("sock")), 0);
    model_write_some(2);
    backup_no_limit();
    backup_wait();
    assert_int_equal(libxl_domain_backup_finish(ctx, fake.domid, &seq_b, &how,
                                                NULL), ERROR_FAIL);
    never_was();
}

static void scratch_full(void)
{
    say("  its scratch file is full");
    seq_b.scratch_max = 1 << 20;
    assert_int_equal(backup_start(), 0);
    write_over();
    finish();
}

static void leave_files(void)
{
    (void)run("rm -f '%s'/*scratch* '%s'/b%d-*", bed.dir, bed.dir, seq_next);
}

static void qemu_dies(void)
{
    say("  QEMU is killed");
    assert_int_equal(backup_start(), 0);
    model_write_some(2);
    seq_flush();
    bed_kill_qemu();
    assert_int_equal(libxl_domain_backup_finish(ctx, fake.domid, &seq_b, &how,
                                                NULL), XLSS(NO_QEMU));
    leave_files();
    seq_all_broken(false);
    bed_start_qemu();
}

/* The guest is shut down; the checkpoint began, and it goes on. */
static void domain_ends(void)
{
    say("  the domain ends");
    assert_int_equal(backup_start(), 0);
    model_write_some(2);
    bed_stop_qemu();
    assert_int_equal(libxl_domain_backup_finish(ctx, fake.domid, &seq_b, &how,
                                                NULL), XLSS(NO_QEMU));
    leave_files();
    bed_start_qemu();
    assert_int_equal(libxl_domain_backup_status(ctx, fake.domid, &seq_b, &how),
                     ERROR_NOTFOUND);
}

void backup_fails(void)
{
    static void (*const ways[])(void) = {
        cancelled, cancelled, target_full, server_dies, scratch_full,
        scratch_full, domain_ends, qemu_dies };
    const struct seq_backup *since = backup_choose();
    char name[16] = "";

    if (backup_list_is_full())
        return;
    seq_next++;
    if (since)
        snprintf(name, sizeof(name), "c%d", since->n);
    if (!backup_in_model(name))
        since = NULL;
    say("backup %d fails, since %d", seq_next, since ? since->n : 0);
    write_much();
    backup_set_args(since);
    seq_b.speed = 1 << 20;
    ways[rand() % 8]();
}

/* --- one call fails --- */

/* What is left of it, if anything, can be taken away. */
static void start_failed(int rc)
{
    if (rc == XLSS(NEEDS_REPAIR)) {
        say("  needs repair");
        rc = libxl_domain_backup_cancel(ctx, fake.domid, &seq_b, &how, NULL);
        assert_true(rc == 0 || rc == ERROR_NOTFOUND);
    }
    backup_expect_clean();
    assert_int_equal(since(seq_b.checkpoint, NULL), XLSS(BITMAP_BROKEN));
    leave_files();
}

/* May be repeated until it is done, and says how the backup ended. */
static void finish_with_a_fault(void)
{
    int i, rc;

    seq_arm();
    rc = libxl_domain_backup_finish(ctx, fake.domid, &seq_b, &how, NULL);
    seq_disarm();
    for (i = 0; i < 3 && rc && rc != ERROR_NOTFOUND &&
         seq_b.state != LIBXL_BACKUP_STATE_FAILED; i++)
        rc = libxl_domain_backup_finish(ctx, fake.domid, &seq_b, &how, NULL);
    if (seq_b.state == LIBXL_BACKUP_STATE_FAILED) {
        while (i++ < 3 && rc && rc != ERROR_FAIL && rc != ERROR_NOTFOUND)
            rc = libxl_domain_backup_finish(ctx, fake.domid, &seq_b, &how,
                                            NULL);
        never_was();
        return;
    }
    /* Done, and only its last answer was lost. */
    if (rc == ERROR_NOTFOUND)
        seq_b.state = LIBXL_BACKUP_STATE_DONE;
    else
        assert_int_equal(rc, 0);
    backup_is_good();
}

void backup_meets_a_fault(void)
{
    const struct seq_backup *since = backup_choose();
    char name[16] = "";
    int rc;

    if (backup_list_is_full())
        return;
    seq_next++;
    if (since)
        snprintf(name, sizeof(name), "c%d", since->n);
    if (!backup_in_model(name))
        since = NULL;
    say("backup %d, since %d, meets a fault", seq_next, since ? since->n : 0);
    backup_set_args(since);
    seq_b.speed = 1 << 20;
    if (chance(2)) {
        seq_arm();
        rc = backup_start();
        seq_disarm();
        if (rc) {
            start_failed(rc);
            return;
        }
    } else {
        assert_int_equal(backup_start(), 0);
    }
    model_write_some(2);
    backup_no_limit();
    backup_wait();
    assert_int_equal(seq_b.state, LIBXL_BACKUP_STATE_COPIED);
    finish_with_a_fault();
}
