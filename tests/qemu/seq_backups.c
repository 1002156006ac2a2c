/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The backups of a sequence. Each begins a checkpoint in its instant. What is
 * restored is read by qemu-img, nbdinfo and nbdcopy alone, and compared with
 * what the model held at that instant.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "seq.h"

#define MAX_BACKUPS 64
#define SMALL       (512 << 10)

static struct backup {
    int n;                      /* files bN-VDEV and truth-bN-D, mark cN */
} list[MAX_BACKUPS];
static int num;
static int next;                /* of the next backup, good or not */
static libxl_domain_backup_args b;

void backups_reset(void)
{
    num = next = 0;
    libxl_domain_backup_args_dispose(&b);
    libxl_domain_backup_args_init(&b);
}

/* --- what is asked for --- */

static void set_target(int disk, const char *target, libxl_disk_format format)
{
    libxl_backup_disk *d = &b.disks[disk];

    free(d->target);
    d->target = strdup(target);
    d->format = format;
}

static void set_args(const struct backup *since)
{
    char name[16];
    int i;

    libxl_domain_backup_args_dispose(&b);
    libxl_domain_backup_args_init(&b);
    snprintf(name, sizeof(name), "c%d", next);
    b.checkpoint = strdup(name);
    b.disks = calloc(SEQ_DISKS, sizeof(*b.disks));
    b.num_disks = SEQ_DISKS;
    for (i = 0; i < SEQ_DISKS; i++) {
        libxl_backup_disk_init(&b.disks[i]);
        b.disks[i].vdev = strdup(bed.vdev[i]);
        set_target(i, in_bed("b%d-%s", next, bed.vdev[i]),
                   LIBXL_DISK_FORMAT_QCOW2);
        if (!since)
            continue;
        b.disks[i].base = strdup(in_bed("b%d-%s", since->n, bed.vdev[i]));
        b.disks[i].base_format = LIBXL_DISK_FORMAT_QCOW2;
    }
    if (since) {
        snprintf(name, sizeof(name), "c%d", since->n);
        b.since = strdup(name);
    }
}

static bool in_model(const char *name)
{
    int i;

    for (i = 0; i < model_num(); i++)
        if (!strcmp(model_name(i), name))
            return true;
    return false;
}

/* --- its way --- */

static int start(void)
{
    int i, rc;

    for (i = 0; i < SEQ_DISKS; i++)
        model_image(i, in_bed("truth-b%d-%d", next, i));
    rc = libxl_domain_backup_start(ctx, fake.domid, &b, &how, NULL);
    if (!rc)
        model_begin(b.checkpoint);
    return rc;
}

/* Nothing that would spoil it is let in. */
static void others_wait(void)
{
    libxl_domain_snapshot_args s;

    libxl_domain_snapshot_args_init(&s);
    s.name = strdup("not-now");
    assert_int_equal(libxl_domain_snapshot_create(ctx, fake.domid, &s, -1,
                                                  &how, NULL), XLSS(BUSY));
    libxl_domain_snapshot_args_dispose(&s);
    assert_int_equal(checkpoint("not-now"), XLSS(BUSY));
    assert_int_equal(end_checkpoint(b.checkpoint), XLSS(BUSY));
}

static void no_limit(void)
{
    char text[96];
    int i;

    /* One of a group takes the others along. */
    for (i = 0; i < SEQ_DISKS; i++) {
        snprintf(text, sizeof(text), "{\"device\":\"xlbs-%s-%s\","
                 "\"speed\":0}", b.id, bed.vdev[i]);
        bed_qmp("block-job-set-speed", text);
    }
}

static void wait_for_end(void)
{
    do {
        usleep(5000);
        assert_int_equal(libxl_domain_backup_status(ctx, fake.domid, &b,
                                                    &how), 0);
    } while (b.state == LIBXL_BACKUP_STATE_RUNNING);
}

/* Nothing of it is in QEMU or beside the images. */
static void expect_clean(void)
{
    yajl_val v = NULL;
    size_t i;

    assert_int_equal(fake.pauses, 0);
    assert_true(bed_running());
    assert_int_equal(bed_qmp_reply("query-named-block-nodes", NULL, &v), 0);
    for (i = 0; i < json_length(json_array(v, "return")); i++) {
        const char *node = json_string(json_item(json_array(v, "return"), i),
                                       "node-name");

        if (!strncmp(node, "xlbs-", 5))
            fail_msg("%s is left", node);
    }
    yajl_tree_free(v);
    assert_int_not_equal(shell("ls '%s' | grep -q scratch", bed.dir), 0);
}

/* --- what it is --- */

static bool restores(int n, int disk)
{
    const char *image = in_bed("b%d-%s", n, bed.vdev[disk]);
    const char *truth = in_bed("truth-b%d-%d", n, disk);

    return !shell("qemu-img compare -q -f qcow2 -F raw '%s' '%s'", image,
                  truth);
}

/* By NBD, as somebody would restore it. */
static bool restores_by_nbd(int n, int disk)
{
    const char *image = in_bed("b%d-%s", n, bed.vdev[disk]);

    return !shell("[ $(nbdinfo --size -- [ qemu-nbd -r -f qcow2 '%s' ]) = %llu ]"
                  " && nbdcopy -- [ qemu-nbd -r -f qcow2 '%s' ] '%s' && "
                  "qemu-img compare -q -f raw -F raw '%s' '%s' && rm '%s'", image, MODEL_SIZE, image,
                  in_bed("restored"), in_bed("restored"),
                  in_bed("truth-b%d-%d", n, disk), in_bed("restored"));
}

static void verify(int n, bool nbd)
{
    int d;

    for (d = 0; d < SEQ_DISKS; d++)
        if (!restores(n, d) || (nbd && !restores_by_nbd(n, d)))
            fail_msg("disk %d of the backup %d is not what it was", d, n);
}

void backups_verify(void)
{
    int i;

    for (i = 0; i < num; i++)
        verify(list[i].n, i == num - 1);
}

static void is_good(void)
{
    assert_int_equal(b.state, LIBXL_BACKUP_STATE_DONE);
    expect_clean();
    verify(next, true);
    list[num++].n = next;
}

static void never_was(void)
{
    int i;

    model_end(b.checkpoint);
    assert_int_equal(b.state, LIBXL_BACKUP_STATE_FAILED);
    expect_clean();
    assert_int_equal(since(b.checkpoint, NULL), XLSS(BITMAP_BROKEN));
    for (i = 0; i < SEQ_DISKS; i++)
        assert_int_not_equal(access(in_bed("b%d-%s", next, bed.vdev[i]),
                                    F_OK), 0);
}

/* --- good ones --- */

static void copy(void)
{
    if (chance(2)) {
        b.speed = 1 << 20;
        assert_int_equal(start(), 0);
        model_write_some(2);
        if (chance(3))
            others_wait();
        model_write_some(1);
        no_limit();
    } else {
        assert_int_equal(start(), 0);
        model_write_some(2);
    }
    wait_for_end();
    assert_int_equal(b.state, LIBXL_BACKUP_STATE_COPIED);
    if (chance(2))
        model_write_some(1);
    assert_int_equal(libxl_domain_backup_finish(ctx, fake.domid, &b, &how,
                                                NULL), 0);
    is_good();
}

void backup_full(void)
{
    if (num == MAX_BACKUPS)
        return;
    next++;
    say("backup %d: full", next);
    set_args(NULL);
    copy();
}

/* The last one twice as often as any other. */
static const struct backup *choose(void)
{
    if (!num)
        return NULL;
    return &list[chance(2) ? num - 1 : rand() % num];
}

void backup_incremental(void)
{
    const struct backup *since = choose();

    if (!since || num == MAX_BACKUPS) {
        backup_full();
        return;
    }
    next++;
    say("backup %d: since %d", next, since->n);
    set_args(since);
    if (!in_model(b.since)) {
        assert_int_equal(start(), XLSS(BITMAP_BROKEN));
        assert_int_not_equal(access(b.disks[0].target, F_OK), 0);
        backup_full();
        return;
    }
    copy();
}

/* --- others --- */

/* More than any target or scratch file here has room for. */
static void write_much(void)
{
    int d;

    for (d = 0; d < SEQ_DISKS; d++)
        model_write(d, (uint64_t)(8 + rand() % 20) << 20, 4 << 20);
}

/* Over what was there at the instant. */
static void write_over(void)
{
    int d;

    for (d = 0; d < SEQ_DISKS; d++)
        model_write(d, 8 << 20, 24 << 20);
}

static void finish(void)
{
    int rc;

    no_limit();
    wait_for_end();
    rc = libxl_domain_backup_finish(ctx, fake.domid, &b, &how, NULL);
    if (b.state == LIBXL_BACKUP_STATE_DONE) {
        assert_int_equal(rc, 0);
        say("  it did not");
        is_good();
        return;
    }
    assert_int_equal(rc, ERROR_FAIL);
    never_was();
}

static void cancelled(void)
{
    say("  cancelled");
    assert_int_equal(start(), 0);
    model_write_some(2);
    assert_int_equal(libxl_domain_backup_cancel(ctx, fake.domid, &b, &how,
                                                NULL), 0);
    if (b.state == LIBXL_BACKUP_STATE_DONE)
        is_good();
    else
        never_was();
}

static void target_full(void)
{
    say("  its target is full");
    assert_int_equal(shell("mkdir '%s' && mount -t tmpfs -o size=%d seq '%s'",
                           in_bed("small"), SMALL, in_bed("small")), 0);
    set_target(1, in_bed("small/t"), LIBXL_DISK_FORMAT_QCOW2);
    assert_int_equal(start(), 0);
    model_write_some(2);
    no_limit();
    wait_for_end();
    assert_int_equal(b.state, LIBXL_BACKUP_STATE_FAILED);
    assert_int_equal(libxl_domain_backup_finish(ctx, fake.domid, &b, &how,
                                                NULL), ERROR_FAIL);
    assert_int_not_equal(access(in_bed("small/t"), F_OK), 0);
    assert_int_equal(shell("umount '%s' && rmdir '%s'", in_bed("small"),
                           in_bed("small")), 0);
    never_was();
}

static void server_dies(void)
{
    say("  its target dies");
    assert_int_equal(shell("truncate -s %llu '%s' && qemu-nbd --fork -f raw "
                           "-x t -k '%s' --pid-file='%s' '%s'", MODEL_SIZE,
                           in_bed("store"), in_bed("sock"), in_bed("pid"),
                           in_bed("store")), 0);
    set_target(1, in_bed("x"), LIBXL_DISK_FORMAT_RAW);
    free(b.disks[1].target);
    assert_true(asprintf(&b.disks[1].target, "nbd+unix:///t?socket=%s",
                         in_bed("sock")) > 0);
    free(b.disks[1].base);
    b.disks[1].base = NULL;
    assert_int_equal(start(), 0);
    assert_int_equal(shell("kill -9 $(cat '%s'); rm -f '%s'", in_bed("pid"),
                           in_bed("sock")), 0);
    model_write_some(2);
    no_limit();
    wait_for_end();
    assert_int_equal(libxl_domain_backup_finish(ctx, fake.domid, &b, &how,
                                                NULL), ERROR_FAIL);
    never_was();
}

static void scratch_full(void)
{
    say("  its scratch file is full");
    b.scratch_max = 1 << 20;
    assert_int_equal(start(), 0);
    write_over();
    finish();
}

static void leave_files(void)
{
    (void)shell("rm -f '%s'/*scratch* '%s'/b%d-*", bed.dir, bed.dir, next);
}

static void qemu_dies(void)
{
    say("  QEMU is killed");
    assert_int_equal(start(), 0);
    model_write_some(2);
    seq_flush();
    bed_kill_qemu();
    assert_int_equal(libxl_domain_backup_finish(ctx, fake.domid, &b, &how,
                                                NULL), XLSS(NO_QEMU));
    leave_files();
    seq_all_broken();
    bed_start_qemu();
}

/* The guest is shut down; the checkpoint began, and it goes on. */
static void domain_ends(void)
{
    say("  the domain ends");
    assert_int_equal(start(), 0);
    model_write_some(2);
    bed_stop_qemu();
    assert_int_equal(libxl_domain_backup_finish(ctx, fake.domid, &b, &how,
                                                NULL), XLSS(NO_QEMU));
    leave_files();
    bed_start_qemu();
    assert_int_equal(libxl_domain_backup_status(ctx, fake.domid, &b, &how),
                     ERROR_NOTFOUND);
}

void backup_fails(void)
{
    static void (*const ways[])(void) = {
        cancelled, cancelled, target_full, server_dies, scratch_full,
        scratch_full, domain_ends, qemu_dies };
    const struct backup *since = choose();
    char name[16] = "";

    if (num == MAX_BACKUPS)
        return;
    next++;
    if (since)
        snprintf(name, sizeof(name), "c%d", since->n);
    if (!in_model(name))
        since = NULL;
    say("backup %d fails, since %d", next, since ? since->n : 0);
    write_much();
    set_args(since);
    b.speed = 1 << 20;
    ways[rand() % 8]();
}
