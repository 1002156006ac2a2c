/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * docs/qmp/: what each operation says to QEMU 7.2, with the reasons. With
 * TRANSCRIPTS=DIR the pages are written, else they are compared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint_scene.h"
#include "model.h"
#include "transcript.h"

#define STEP(name) LIBXL_SNAPSHOT_STEP_##name

static const struct transcript_note no_notes[] = { { 0, NULL } };

/* --- snapshots --- */

static const char *begins;      /* a checkpoint; NULL: none */
static bool mixed;              /* the second disk is external */

static int take(libxl_disk_snapshot_kind kind, bool memory)
{
    int i;

    libxl_domain_snapshot_args_dispose(&args);
    libxl_domain_snapshot_args_init(&args);
    args.name = strdup("s1");
    args.checkpoint = begins ? strdup(begins) : NULL;
    libxl_defbool_set(&args.live, live);
    args.disks = calloc(bed.num_disks, sizeof(*args.disks));
    args.num_disks = bed.num_disks;
    for (i = 0; i < bed.num_disks; i++) {
        libxl_disk_snapshot_init(&args.disks[i]);
        libxl_disk_snapshot_init_kind(&args.disks[i], mixed && i
                                      ? LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL
                                      : kind);
        args.disks[i].device.vdev = strdup(bed.vdev[i]);
    }
    ftruncate(fd, 0);
    lseek(fd, 0, SEEK_SET);
    return libxl_domain_snapshot_create(ctx, fake.domid, &args,
                                        memory ? fd : -1, &how, NULL);
}

static void test_create_internal(void **state)
{
    static const struct transcript_note notes[] = {
        { STEP(LOOK), "Which node each disk's guest writes to, what lies "
          "below, and whether some job or export is in the way. What can't "
          "work is refused here, before anything is touched." },
        { STEP(PREPARE), "Nothing: an image needs no preparation." },
        { STEP(SUSPEND), "libxl suspends the guest and writes its memory. Of "
          "a PV or PVH guest it tells QEMU nothing." },
        { STEP(INSTANT), "The guest stands still. `stop` brings what is under "
          "way to the images; the graph is read again, since it may have "
          "changed meanwhile. All disks are in one transaction: all of them, "
          "or none. Then QEMU goes on." },
        { STEP(RESUME), "libxl resumes the guest." },
        { 0, NULL } };

    (void)state;
    make(2);
    transcript_begin("snapshot-create-internal", "A snapshot inside the images",
                     "`xl snapshot-create -i`, of a PV guest with two qcow2 "
                     "disks, and its memory.");
    transcript_section("snapshot-create", "The memory and both disks, as they "
                       "are at one instant.", notes);
    assert_int_equal(take(LIBXL_DISK_SNAPSHOT_KIND_INTERNAL, true), 0);
    transcript_end();
    end();
}

static const struct transcript_note external_notes[] = {
    { STEP(LOOK), "As for a snapshot inside of the images." },
    { STEP(PREPARE), "The overlays were made by qemu-img; QEMU opens them, "
      "without a base: they get it in the transaction. The new node takes "
      "over the options of the old." },
    { STEP(SUSPEND), "libxl suspends the guest and writes its memory." },
    { STEP(INSTANT), "`blockdev-snapshot` puts the overlay over the node that "
      "the guest writes to. Where a checkpoint records, what it goes on with "
      "in the overlay is in the same transaction." },
    { STEP(RESUME), "The guest runs on, on the overlays. libxl is told of "
      "them, and the bases are made immutable." },
    { 0, NULL } };

static void test_create_external(void **state)
{
    (void)state;
    make(2);
    assert_int_equal(checkpoint("c1"), 0);
    transcript_begin("snapshot-create-external",
                     "A snapshot that freezes the images",
                     "`xl snapshot-create -e`, of a PV guest with two qcow2 "
                     "disks whose writes a checkpoint records.");
    transcript_section("snapshot-create", "The images become bases that "
                       "nobody writes to any more.", external_notes);
    assert_int_equal(take(LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL, true), 0);
    transcript_end();
    end();
}

static void test_create_disk_only(void **state)
{
    static const struct transcript_note notes[] = {
        { STEP(LOOK), "As with memory." },
        { STEP(PREPARE), "Nothing." },
        { STEP(SUSPEND), "The guest is paused; nothing is saved." },
        { STEP(INSTANT), "As with memory." },
        { STEP(RESUME), "The guest is unpaused." },
        { 0, NULL } };

    (void)state;
    make(2);
    transcript_begin("snapshot-create-disk-only", "A snapshot without memory",
                     "`xl snapshot-create --disk-only`, of a PV guest with "
                     "two qcow2 disks.");
    transcript_section("snapshot-create", "Both disks at one instant.",
                       notes);
    assert_int_equal(take(LIBXL_DISK_SNAPSHOT_KIND_INTERNAL, false), 0);
    transcript_end();
    end();
}

static void test_create_checkpoint(void **state)
{
    static const struct transcript_note notes[] = {
        { STEP(LOOK), "As without; and whether each disk can have one, and "
          "which number is free. What is undone later is found by name and "
          "number." },
        { STEP(PREPARE), "As without." },
        { STEP(SUSPEND), "The guest is paused." },
        { STEP(INSTANT), "In the one transaction, after each disk's own part. "
          "On xvda the new bitmap begins in the image. On xvdb it begins in the "
          "overlay; that of c1 has its part there, empty and stopped: it says "
          "that nothing of the chain is missing." },
        { STEP(RESUME), "The guest goes on." },
        { 0, NULL } };

    (void)state;
    make(2);
    assert_int_equal(checkpoint("c1"), 0);
    transcript_begin("snapshot-create-checkpoint",
                     "A snapshot in whose instant a checkpoint begins",
                     "`xl snapshot-create --disk-only --disk "
                     "xvdb,kind=external --checkpoint c2`, of a PV guest with "
                     "two qcow2 disks that has the checkpoint c1 already.");
    transcript_section("snapshot-create", "What is written from the snapshot "
                       "on is c2's.", notes);
    begins = "c2";
    mixed = true;
    assert_int_equal(take(LIBXL_DISK_SNAPSHOT_KIND_INTERNAL, false), 0);
    mixed = false;
    begins = NULL;
    transcript_end();
    end();
}

static void test_create_live(void **state)
{
    static const struct transcript_note notes[] = {
        { STEP(LOOK), "As without --live, and whether Xen can note what "
          "the guest writes to." },
        { STEP(PREPARE), "Nothing." },
        { STEP(SUSPEND), "libxl writes the memory in rounds, while the guest "
          "runs. At the end it stops QEMU and has it save its state; QEMU "
          "then gives up its images, as if it were to go on elsewhere." },
        { STEP(INSTANT), "So it is set going and stopped once more first: "
          "that opens the images again. Xen holds the guest meanwhile." },
        { STEP(RESUME), "libxl resumes the guest, and sets QEMU going." },
        { 0, NULL } };

    (void)state;
    make_bed(2, true, false);
    live = true;
    transcript_begin("snapshot-create-live", "A snapshot while the guest runs",
                     "`xl snapshot-create --live`, of an HVM guest with PV "
                     "drivers and two qcow2 disks.");
    transcript_section("snapshot-create", "The guest stands still for the "
                       "last round only.", notes);
    assert_int_equal(take(LIBXL_DISK_SNAPSHOT_KIND_INTERNAL, true), 0);
    transcript_end();
    live = false;
    end();
}

static void test_delete(void **state)
{
    static const struct transcript_note notes[] = {
        { STEP(LOOK), "The snapshot's disks, as they were recorded." },
        { STEP(DISKS), "One after the other: a disk where it is gone already "
          "is no error, so that a deletion that was cut short can be "
          "repeated." },
        { 0, NULL } };

    (void)state;
    make(2);
    assert_int_equal(take(LIBXL_DISK_SNAPSHOT_KIND_INTERNAL, true), 0);
    transcript_begin("snapshot-delete", "A snapshot inside the images goes",
                     "`xl snapshot-delete`, while the guest runs.");
    transcript_section("snapshot-delete", "QEMU frees what nobody else "
                       "needs.", notes);
    assert_int_equal(merge(), 0);
    transcript_end();
    end();
}

static void test_merge(void **state)
{
    static const struct transcript_note notes[] = {
        { STEP(LOOK), "The snapshot's disks, as they were recorded." },
        { STEP(DISKS), "Jobs that an earlier, interrupted merge has left are "
          "ended first. There is none." },
        { STEP(MERGE), "Disk by disk, the base's data is copied up into the "
          "overlay, which is the guest's file at every instant. The job is "
          "kept from finalizing until the data is on the disk and the base's "
          "bitmaps are in the overlay as well. No session is held while the "
          "job runs. What is left of nodes of ours is closed at the end: the "
          "guest's own is in use, and stays." },
        { 0, NULL } };

    (void)state;
    make(2);
    assert_int_equal(checkpoint("c1"), 0);
    assert_int_equal(take(LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL, true), 0);
    transcript_begin("snapshot-merge", "A frozen image goes",
                     "`xl snapshot-delete` of a snapshot that has frozen its "
                     "images, while the guest runs.");
    transcript_section("snapshot-delete", "The base's data goes up into the "
                       "overlay.", notes);
    assert_int_equal(merge(), 0);
    transcript_end();
    end();
}

static void test_revert(void **state)
{
    static const struct transcript_note notes[] = {
        { STEP(LOOK), "Domain and disks." },
        { STEP(VERIFY), "The memory's image and the snapshot in each disk are "
          "looked at, before anything is touched." },
        { STEP(PREPARE), "Nothing: the disks stay in their files." },
        { STEP(SUSPEND), "The way back: the guest's memory as it is now." },
        { STEP(INSTANT), "And its disks: the safety point, a snapshot like "
          "any other." },
        { STEP(DESTROY), "The domain goes, and its QEMU. That is waited for: "
          "it writes to the images until its end." },
        { STEP(DISKS), "By qemu-img." },
        { STEP(RESTORE), "libxl builds the domain, with a new QEMU." },
        { STEP(UNPAUSE), "It runs." },
        { STEP(CLEAN), "The safety point goes, in the new QEMU." },
        { 0, NULL } };
    libxl_domain_snapshot_safety safety;
    uint32_t domid;

    (void)state;
    make(2);
    assert_int_equal(take(LIBXL_DISK_SNAPSHOT_KIND_INTERNAL, true), 0);
    libxl_domain_snapshot_safety_init(&safety);
    safety.name = strdup("xlss-safety-1");
    safety.memory_fd = memory_file("safety");
    transcript_begin("snapshot-revert", "Back to a snapshot",
                     "`xl snapshot-revert` of a PV guest that runs.");
    transcript_section("snapshot-revert", "Before the domain is destroyed, it "
                       "is made sure that there is a way back.", notes);
    assert_int_equal(revert(&args, fd, &safety, &domid), 0);
    transcript_end();
    close(safety.memory_fd);
    libxl_domain_snapshot_safety_dispose(&safety);
    end();
}

/* --- checkpoints --- */

static void test_checkpoint(void **state)
{
    static const struct transcript_note create_notes[] = {
        { STEP(LOOK), "Which disks there are; QEMU isn't asked yet." },
        { STEP(SUSPEND), "The guest is paused. `stop` waits for its last "
          "writes, which belong to the old checkpoint. In one transaction the "
          "new bitmaps begin and the old ones end, on both disks." },
        { 0, NULL } };
    static const struct transcript_note dirty_notes[] = {
        { STEP(LOOK), "Which disks have the checkpoint, and whether its "
          "bitmaps are whole. Each disk gets an empty qcow2 file, and in one "
          "transaction, which is one instant, all that was recorded since "
          "then is merged into a bitmap of that file. When QEMU closes it, "
          "the bitmap is stored, and is read there." },
        { 0, NULL } };
    static const struct transcript_note delete_notes[] = {
        { STEP(LOOK), "Which disks have it." },
        { STEP(DISKS), "What it has recorded goes to the one before it, in "
          "one transaction with its end." },
        { 0, NULL } };

    (void)state;
    make(2);
    assert_int_equal(checkpoint("c1"), 0);
    model_write_some(2);
    transcript_begin("checkpoint", "Checkpoints",
                     "`xl checkpoint-create`, `-dirty` and `-delete`, of a PV "
                     "guest with two qcow2 disks that has the checkpoint c1 "
                     "already.");
    transcript_section("checkpoint-create c2", "Only the last checkpoint's "
                       "bitmap records.", create_notes);
    assert_int_equal(checkpoint("c2"), 0);
    transcript_pause();
    model_write_some(2);
    transcript_section("checkpoint-dirty --since c1", "What c1 and c2 have "
                       "recorded.", dirty_notes);
    assert_int_equal(since("c1", NULL), 0);
    transcript_section("checkpoint-delete c2", "c1 goes on with what c2 had.",
                       delete_notes);
    assert_int_equal(end_checkpoint("c2"), 0);
    transcript_end();
    end();
}

/* --- backups --- */

static libxl_domain_backup_args backup;

static void backup_of(const char *name, const char *since)
{
    int i;

    libxl_domain_backup_args_dispose(&backup);
    libxl_domain_backup_args_init(&backup);
    backup.checkpoint = strdup(name);
    backup.since = since ? strdup(since) : NULL;
    backup.disks = calloc(bed.num_disks, sizeof(*backup.disks));
    backup.num_disks = bed.num_disks;
    for (i = 0; i < bed.num_disks; i++) {
        libxl_backup_disk *d = &backup.disks[i];

        libxl_backup_disk_init(d);
        d->vdev = strdup(bed.vdev[i]);
        d->format = d->base_format = LIBXL_DISK_FORMAT_QCOW2;
        if (asprintf(&d->target, "%s/%s-%s", bed.dir, name, d->vdev) < 0 ||
            (since && asprintf(&d->base, "%s/%s-%s", bed.dir, since,
                               d->vdev) < 0))
            abort();
    }
}

static void wait_for_jobs(void)
{
    do {
        usleep(10000);
        assert_int_equal(libxl_domain_backup_status(ctx, fake.domid, &backup,
                                                    &how), 0);
    } while (backup.state == LIBXL_BACKUP_STATE_RUNNING);
}

static int start_backup(void)
{
    return libxl_domain_backup_start(ctx, fake.domid, &backup, &how, NULL);
}

static int finish_backup(void)
{
    return libxl_domain_backup_finish(ctx, fake.domid, &backup, &how, NULL);
}

static const struct transcript_note start_notes[] = {
    { STEP(LOOK), "The disks; and, of an incremental backup, whether it is "
      "known what was written since." },
    { STEP(PREPARE), "A scratch file for each disk, for what the guest "
      "overwrites. A bitmap that records nothing notes in its name what a "
      "later process has to know." },
    { STEP(INSTANT), "The guest is paused and QEMU stopped, and its counters "
      "are watched until no request is under way. Then each disk gets a "
      "filter that copies what is about to be overwritten, by `qom-set` of "
      "the device's drive, and what it shows is the view. The new "
      "checkpoint, and a copy of what was recorded since the old one, are in "
      "one transaction at the end." },
    { STEP(RESUME), "The guest runs on. The targets are opened, and the jobs "
      "copy from the view, not from the guest's node: what fails fails for "
      "them alone." },
    { 0, NULL } };

static const struct transcript_note finish_notes[] = {
    { STEP(LOOK), "How the jobs ended. The targets are closed, and brought to "
      "the disk." },
    { STEP(INSTANT), "The filters go, in a quiet window as they came." },
    { STEP(RESUME), "The guest runs on. The scratch files go; only then are "
      "the jobs forgotten: who dies before is followed by somebody who does "
      "the same again." },
    { 0, NULL } };

static void good_backup(const char *name, const char *since)
{
    backup_of(name, since);
    assert_int_equal(start_backup(), 0);
    wait_for_jobs();
    assert_int_equal(finish_backup(), 0);
}

static void shown_backup(const char *name, const char *since)
{
    backup_of(name, since);
    transcript_section("backup-start", "The view is made, then the jobs.",
                       start_notes);
    assert_int_equal(start_backup(), 0);
    transcript_section("backup-status", "Until the jobs have come to their "
                       "end; they need no client for that.", no_notes);
    wait_for_jobs();
    transcript_section("backup-finish", "The end of a backup that has copied "
                       "everything.", finish_notes);
    assert_int_equal(finish_backup(), 0);
}

static void test_backup_full(void **state)
{
    (void)state;
    make(2);
    transcript_begin("backup-full", "A full backup",
                     "`xl backup-start` of a PV guest with two qcow2 disks.");
    shown_backup("b1", NULL);
    transcript_end();
    end();
}

static void test_backup_incremental(void **state)
{
    (void)state;
    make(2);
    good_backup("b1", NULL);
    model_write_some(2);
    transcript_begin("backup-incremental", "An incremental backup",
                     "`xl backup-start --since b1` of a PV guest with two "
                     "qcow2 disks.");
    shown_backup("b2", "b1");
    transcript_end();
    end();
}

static const struct transcript_note undo_notes[] = {
    { STEP(LOOK), "How the jobs ended. The targets are closed; those that "
      "the backup has made are removed. First of all the checkpoint that "
      "began with it is undone, as long as the view says which one it is: "
      "what it has recorded goes to the one before, which records again." },
    { STEP(INSTANT), "The filters go, in a quiet window." },
    { STEP(RESUME), "The guest runs on. The scratch files go, and the jobs "
      "are forgotten." },
    { 0, NULL } };

static void let_it_fail(void)
{
    char text[96];

    model_write(0, 8 << 20, 4 << 20);
    snprintf(text, sizeof(text), "{\"device\":\"xlbs-%s-xvda\",\"speed\":0}",
             backup.id);
    bed_qmp("block-job-set-speed", text);
}

static void test_backup_fails(void **state)
{
    (void)state;
    make(1);
    good_backup("b1", NULL);
    model_write(0, 8 << 20, 4 << 20);
    backup_of("b2", "b1");
    backup.speed = 1 << 20;
    backup.scratch_max = 1 << 20;
    assert_int_equal(start_backup(), 0);
    let_it_fail();
    transcript_begin("backup-failed", "A backup that failed",
                     "An incremental backup, b2, whose scratch file is too "
                     "small for what the guest overwrites. The guest has not "
                     "noticed it.");
    transcript_section("backup-status", "The job ends with an error.",
                       no_notes);
    wait_for_jobs();
    assert_int_equal(backup.state, LIBXL_BACKUP_STATE_FAILED);
    transcript_section("backup-finish", "As if it had never been.",
                       undo_notes);
    assert_int_equal(finish_backup(), ERROR_FAIL);
    transcript_end();
    end();
}

/* --- views and exports --- */

static const struct transcript_note view_notes[] = {
    { STEP(LOOK), "As for a backup." },
    { STEP(PREPARE), "A scratch file for each disk." },
    { STEP(INSTANT), "The filters, and what they show: see backup-full.md." },
    { STEP(RESUME), "The guest runs on." },
    { 0, NULL } };

static const struct transcript_note export_notes[] = {
    { STEP(LOOK), "The view that is to be served." },
    { STEP(PREPARE), "QEMU's own NBD server has one client, a "
      "qemu-storage-daemon of ours, which serves everybody else. QEMU holds "
      "the other end of its connection as well (`getfd`), so that it never "
      "sees one close. What has changed is written into a file beside, which "
      "the daemon shows as the connection's dirty bitmap." },
    { 0, NULL } };

static const struct transcript_note drop_notes[] = {
    { STEP(LOOK), "Nobody reads it any more." },
    { STEP(CLEAN), "It is taken away." },
    { STEP(INSTANT), "The filters go." },
    { STEP(RESUME), "The guest runs on; the scratch files go." },
    { 0, NULL } };

static void test_export(void **state)
{
    libxl_block_snapshot view;
    libxl_block_export e;

    (void)state;
    make(1);
    assert_int_equal(checkpoint("c1"), 0);
    model_write_some(2);
    libxl_block_snapshot_init(&view);
    libxl_block_export_init(&e);
    view.since = strdup("c1");
    transcript_begin("block-export", "A view of the disks, read by NBD",
                     "A block snapshot, with what was written since the "
                     "checkpoint c1, and its export: for a backup that "
                     "somebody else pulls.");
    transcript_section("block-snapshot-create", "The disk as it is at one "
                       "instant.", view_notes);
    assert_int_equal(libxl_domain_block_snapshot_create(
                         ctx, fake.domid, &view, &how, NULL), 0);
    e.snapshot = strdup(view.id);
    transcript_section("block-export-start", "For any number of readers.",
                       export_notes);
    assert_int_equal(libxl_domain_block_export_start(ctx, fake.domid, &e,
                                                     &how, NULL), 0);
    transcript_section("block-export-stop", "QEMU's end first: the daemon's "
                       "goodbye would end a QEMU 7.2.", no_notes);
    assert_int_equal(libxl_domain_block_export_stop(ctx, fake.domid, e.id,
                                                    &how), 0);
    transcript_section("block-snapshot-delete", "And the view.", drop_notes);
    assert_int_equal(libxl_domain_block_snapshot_delete(
                         ctx, fake.domid, &view, false, &how, NULL), 0);
    transcript_end();
    libxl_block_export_dispose(&e);
    libxl_block_snapshot_dispose(&view);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_internal),
        cmocka_unit_test(test_create_external),
        cmocka_unit_test(test_create_disk_only),
        cmocka_unit_test(test_create_checkpoint),
        cmocka_unit_test(test_create_live),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_revert),
        cmocka_unit_test(test_checkpoint),
        cmocka_unit_test(test_backup_full),
        cmocka_unit_test(test_backup_incremental),
        cmocka_unit_test(test_backup_fails),
        cmocka_unit_test(test_export),
    };

    if (!scene_begin())
        return 1;
    return GROUP_RUN(tests, scene_abandon);
}
