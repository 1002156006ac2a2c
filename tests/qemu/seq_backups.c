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

#include "seq_backups.h"

#define MAX_BACKUPS 64

static struct seq_backup list[MAX_BACKUPS];
static int num;
int seq_next;                   /* good or not */
libxl_domain_backup_args seq_b;

void backups_reset(void)
{
    num = seq_next = 0;
    libxl_domain_backup_args_dispose(&seq_b);
    libxl_domain_backup_args_init(&seq_b);
}

/* --- what is asked for --- */

void backup_set_target(int disk, const char *target, libxl_disk_format format)
{
    libxl_backup_disk *d = &seq_b.disks[disk];

    free(d->target);
    d->target = strdup(target);
    d->format = format;
}

void backup_set_args(const struct seq_backup *since)
{
    char name[16];
    int i;

    libxl_domain_backup_args_dispose(&seq_b);
    libxl_domain_backup_args_init(&seq_b);
    snprintf(name, sizeof(name), "c%d", seq_next);
    seq_b.checkpoint = strdup(name);
    seq_b.disks = calloc(SEQ_DISKS, sizeof(*seq_b.disks));
    seq_b.num_disks = SEQ_DISKS;
    for (i = 0; i < SEQ_DISKS; i++) {
        libxl_backup_disk_init(&seq_b.disks[i]);
        seq_b.disks[i].vdev = strdup(bed.vdev[i]);
        backup_set_target(i, in_bed("b%d-%s", seq_next, bed.vdev[i]),
                   LIBXL_DISK_FORMAT_QCOW2);
        if (!since)
            continue;
        seq_b.disks[i].base = strdup(in_bed("b%d-%s", since->n, bed.vdev[i]));
        seq_b.disks[i].base_format = LIBXL_DISK_FORMAT_QCOW2;
    }
    if (since) {
        snprintf(name, sizeof(name), "c%d", since->n);
        seq_b.since = strdup(name);
    }
}

bool backup_in_model(const char *name)
{
    int i;

    for (i = 0; i < model_num(); i++)
        if (!strcmp(model_name(i), name))
            return true;
    return false;
}

/* --- its way --- */

int backup_start(void)
{
    int i, rc;

    for (i = 0; i < SEQ_DISKS; i++)
        model_image(i, in_bed("truth-b%d-%d", seq_next, i));
    rc = libxl_domain_backup_start(ctx, fake.domid, &seq_b, &how, NULL);
    if (!rc)
        model_begin(seq_b.checkpoint);
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
    assert_int_equal(end_checkpoint(seq_b.checkpoint), XLSS(BUSY));
}

void backup_no_limit(void)
{
    char text[96];
    int i;

    /* One of a group takes the others along. */
    for (i = 0; i < SEQ_DISKS; i++) {
        snprintf(text, sizeof(text), "{\"device\":\"xlbs-%s-%s\","
                 "\"speed\":0}", seq_b.id, bed.vdev[i]);
        bed_qmp("block-job-set-speed", text);
    }
}

void backup_wait(void)
{
    do {
        usleep(5000);
        assert_int_equal(libxl_domain_backup_status(ctx, fake.domid, &seq_b,
                                                    &how), 0);
    } while (seq_b.state == LIBXL_BACKUP_STATE_RUNNING);
}

/* Nothing of it is in QEMU or beside the images. */
void backup_expect_clean(void)
{
    const char *left;

    assert_int_equal(fake.pauses, 0);
    assert_true(bed_running());
    left = bed_node_left();
    if (left)
        fail_msg("%s is left", left);
    assert_int_not_equal(run("ls '%s' | grep -q scratch", bed.dir), 0);
}

/* --- what it is --- */

static bool restores(int n, int disk)
{
    const char *image = in_bed("b%d-%s", n, bed.vdev[disk]);
    const char *truth = in_bed("truth-b%d-%d", n, disk);

    return !run("qemu-img compare -q -f qcow2 -F raw '%s' '%s'", image,
                  truth);
}

/* By NBD, as somebody would restore it. */
static bool restores_by_nbd(int n, int disk)
{
    const char *image = in_bed("b%d-%s", n, bed.vdev[disk]);

    return !run("[ $(nbdinfo --size -- [ qemu-nbd -r -f qcow2 '%s' ]) = "
                  "%llu ] && nbdcopy -- [ qemu-nbd -r -f qcow2 '%s' ] '%s' && "
                  "qemu-img compare -q -f raw -F raw '%s' '%s' && rm '%s'",
                  image, MODEL_SIZE, image, in_bed("restored"),
                  in_bed("restored"), in_bed("truth-b%d-%d", n, disk),
                  in_bed("restored"));
}

static void verify(int n, bool nbd)
{
    int d;

    for (d = 0; d < SEQ_DISKS; d++)
        if (!restores(n, d) || (nbd && !restores_by_nbd(n, d))) {
            /* Where? */
            run("qemu-img compare -f qcow2 -F raw '%s' '%s' >&2; "
                  "qemu-img map -f qcow2 '%s' >&2",
                  in_bed("b%d-%s", n, bed.vdev[d]),
                  in_bed("truth-b%d-%d", n, d),
                  in_bed("b%d-%s", n, bed.vdev[d]));
            fail_msg("disk %d of the backup %d is not what it was", d, n);
        }
}

void backups_verify(void)
{
    int i;

    for (i = 0; i < num; i++)
        verify(list[i].n, i == num - 1);
}

void backup_is_good(void)
{
    assert_int_equal(seq_b.state, LIBXL_BACKUP_STATE_DONE);
    backup_expect_clean();
    verify(seq_next, true);
    list[num].n = seq_next;
    list[num].merged_off = seq_merged_off;
    list[num++].life = seq_life;
}

/* --- good ones --- */

static void follow(void)
{
    if (seq_b.speed) {
        model_write_some(2);
        if (chance(3))
            others_wait();
        model_write_some(1);
        backup_no_limit();
    } else {
        model_write_some(2);
    }
    backup_wait();
    assert_int_equal(seq_b.state, LIBXL_BACKUP_STATE_COPIED);
    if (chance(2))
        model_write_some(1);
    assert_int_equal(libxl_domain_backup_finish(ctx, fake.domid, &seq_b, &how,
                                                NULL), 0);
    backup_is_good();
}

static void copy(void)
{
    seq_b.speed = chance(2) ? 0 : 1 << 20;
    assert_int_equal(backup_start(), 0);
    follow();
}

bool backup_list_is_full(void)
{
    return num == MAX_BACKUPS;
}

void backup_full(void)
{
    if (num == MAX_BACKUPS)
        return;
    seq_next++;
    say("backup %d: full", seq_next);
    backup_set_args(NULL);
    copy();
}

/* The last one twice as often as any other. */
const struct seq_backup *backup_choose(void)
{
    if (!num)
        return NULL;
    return &list[chance(2) ? num - 1 : rand() % num];
}

void backup_incremental(void)
{
    const struct seq_backup *since = backup_choose();
    int rc;

    if (!since || num == MAX_BACKUPS) {
        backup_full();
        return;
    }
    seq_next++;
    say("backup %d: since %d", seq_next, since->n);
    backup_set_args(since);
    if (backup_in_model(seq_b.since)) {
        copy();
        return;
    }
    rc = backup_start();
    if (rc == 0 && (since->life == seq_life ||
                    since->merged_off < seq_merged_off)) {
        /* It was deleted, or went with a QEMU that died, and a merge with the
         * domain off, into a layer that had it, has brought it back: it has
         * recorded all that came down. It must be whole. */
        say("  it is known again");
        follow();
        return;
    }
    assert_int_equal(rc, XLSS(BITMAP_BROKEN));
    assert_int_not_equal(access(seq_b.disks[0].target, F_OK), 0);
    backup_full();
}
