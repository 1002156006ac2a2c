/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What may run beside what: each operation while another of the domain's is
 * under way. What is refused changes nothing, what is done is right, and what
 * was under way comes to the end that it would have had. The table is
 * docs/together.md, which is compared with what happens here.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "pull_scene.h"

#define PAGE "../../docs/together.md"

static libxl_domain_snapshot_args inner, middle, outer; /* s1, s2; e1 */
static libxl_block_snapshot view;
static libxl_block_export export;
static libxl_snapshot_export_list exports;
static libxl_domain_backup_args backup;

/* --- the domain --- */

static int take(const char *name, libxl_domain_snapshot_args *a,
                libxl_disk_snapshot_kind kind)
{
    libxl_domain_snapshot_args_dispose(a);
    libxl_domain_snapshot_args_init(a);
    a->name = strdup(name);
    a->kind = kind;
    return libxl_domain_snapshot_create(ctx, fake.domid, a, -1, &how, NULL);
}

static int checkpoint(const char *name)
{
    libxl_domain_checkpoint_args a;
    int rc;

    libxl_domain_checkpoint_args_init(&a);
    a.name = strdup(name);
    rc = libxl_domain_checkpoint_create(ctx, fake.domid, &a, &how, NULL);
    libxl_domain_checkpoint_args_dispose(&a);
    return rc;
}

/* Two snapshots inside the image, or an external one below it; a checkpoint
 * on top. */
static void prepare(bool external)
{
    truth_wanted(false);
    make(1);
    if (external) {
        assert_int_equal(take("e1", &outer, LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL),
                         0);
        follow();
    } else {
        assert_int_equal(take("s1", &inner, LIBXL_DISK_SNAPSHOT_KIND_ANY), 0);
        bed_write(0, 1, 101);
        assert_int_equal(take("s2", &middle, LIBXL_DISK_SNAPSHOT_KIND_ANY),
                         0);
    }
    bed_write(0, 2, 102);
    assert_int_equal(checkpoint("c1"), 0);
    bed_write(0, 3, 103);
}

static int num_files(void)
{
    return run("exit $(ls '%s' | grep -c '^disk')", bed.dir);
}

/* --- what is done --- */

static int create_internal(void)
{
    libxl_domain_snapshot_args a;
    int rc;

    libxl_domain_snapshot_args_init(&a);
    rc = take("s3", &a, LIBXL_DISK_SNAPSHOT_KIND_INTERNAL);
    libxl_domain_snapshot_args_dispose(&a);
    return rc;
}

static int create_external(void)
{
    libxl_domain_snapshot_args a;
    int rc;

    libxl_domain_snapshot_args_init(&a);
    rc = take("e2", &a, LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL);
    libxl_domain_snapshot_args_dispose(&a);
    return rc;
}

static int create_live(void)
{
    libxl_domain_snapshot_args a;
    int fd = open(in_bed("mem"), O_RDWR | O_CREAT | O_CLOEXEC, 0600), rc;

    libxl_domain_snapshot_args_init(&a);
    a.name = strdup("s3");
    libxl_defbool_set(&a.live, true);
    fake.hvm = fake.pvh = true;
    rc = libxl_domain_snapshot_create(ctx, fake.domid, &a, fd, &how, NULL);
    fake.hvm = fake.pvh = false;
    libxl_domain_snapshot_args_dispose(&a);
    close(fd);
    return rc;
}

static int revert_to(const libxl_domain_snapshot_args *a)
{
    libxl_domain_config config;
    uint32_t domid;
    int rc;

    libxl_domain_config_init(&config);
    bed_config(ctx, &config);
    rc = libxl_domain_snapshot_revert(ctx, fake.domid, &config, a, -1, false,
                                      NULL, &domid, &how, NULL);
    libxl_domain_config_dispose(&config);
    return rc;
}

static int revert(void)
{
    return revert_to(&inner);
}

static int delete_this(void)
{
    return libxl_domain_snapshot_delete(ctx, fake.domid, &inner, &how, NULL);
}

static int delete_other(void)
{
    return libxl_domain_snapshot_delete(ctx, fake.domid, &middle, &how, NULL);
}

static int delete_external(void)
{
    return libxl_domain_snapshot_delete(ctx, fake.domid, &outer, &how, NULL);
}

static int merge(void)
{
    libxl_domain_disk_merge_args a;
    int rc;

    libxl_domain_disk_merge_args_init(&a);
    rc = libxl_domain_disk_merge(ctx, fake.domid, &a, &how, NULL);
    libxl_domain_disk_merge_args_dispose(&a);
    return rc;
}

static int export_of(const libxl_domain_snapshot_args *a,
                     libxl_snapshot_export_list *out)
{
    return libxl_domain_snapshot_export_start(ctx, fake.domid, a,
                                              in_bed("%s", a->name), NULL,
                                              NULL, out, &how, NULL);
}

static int export_snapshot(void)
{
    libxl_snapshot_export_list list;
    int i, rc;

    libxl_snapshot_export_list_init(&list);
    rc = export_of(&middle, &list);
    for (i = 0; i < list.num_exports; i++)
        libxl_domain_snapshot_export_stop(ctx, &list.exports[i], &how);
    libxl_snapshot_export_list_dispose(&list);
    return rc;
}

static int checkpoint_create(void)
{
    return checkpoint("c2");
}

static int checkpoint_delete(void)
{
    libxl_domain_checkpoint_args a;
    int rc;

    libxl_domain_checkpoint_args_init(&a);
    a.name = strdup("c1");
    rc = libxl_domain_checkpoint_delete(ctx, fake.domid, &a, &how, NULL);
    libxl_domain_checkpoint_args_dispose(&a);
    return rc;
}

static int checkpoint_dirty(void)
{
    libxl_domain_dirty_args a;
    libxl_domain_dirty d;
    int rc;

    libxl_domain_dirty_args_init(&a);
    libxl_domain_dirty_init(&d);
    a.since = strdup("c1");
    rc = libxl_domain_checkpoint_dirty(ctx, fake.domid, &a, &d, &how, NULL);
    libxl_domain_dirty_args_dispose(&a);
    libxl_domain_dirty_dispose(&d);
    return rc;
}

static int start_view(libxl_block_snapshot *v)
{
    libxl_block_snapshot_dispose(v);
    libxl_block_snapshot_init(v);
    return libxl_domain_block_snapshot_create(ctx, fake.domid, v, &how, NULL);
}

static int end_view(const libxl_block_snapshot *v)
{
    return libxl_domain_block_snapshot_delete(ctx, fake.domid, v, false, &how,
                                              NULL);
}

static int pull(void)
{
    libxl_block_snapshot v;
    int rc;

    libxl_block_snapshot_init(&v);
    rc = start_view(&v);
    if (!rc)
        assert_int_equal(end_view(&v), 0);
    libxl_block_snapshot_dispose(&v);
    return rc;
}

static int start_push(libxl_domain_backup_args *b, const char *target)
{
    libxl_domain_backup_args_dispose(b);
    libxl_domain_backup_args_init(b);
    b->disks = calloc(1, sizeof(*b->disks));
    b->num_disks = 1;
    libxl_backup_disk_init(&b->disks[0]);
    b->disks[0].vdev = strdup("xvda");
    b->disks[0].target = strdup(target);
    b->disks[0].format = LIBXL_DISK_FORMAT_QCOW2;
    b->speed = 1 << 20;
    return libxl_domain_backup_start(ctx, fake.domid, b, &how, NULL);
}

static int push(void)
{
    libxl_domain_backup_args b;
    int rc;

    libxl_domain_backup_args_init(&b);
    rc = start_push(&b, in_bed("second"));
    if (!rc)
        libxl_domain_backup_cancel(ctx, fake.domid, &b, &how, NULL);
    else
        assert_int_not_equal(access(in_bed("second"), F_OK), 0);
    libxl_domain_backup_args_dispose(&b);
    return rc;
}

static const struct what {
    const char *name;
    int (*run)(void);
    bool external;              /* with e1 below the disk */
} whats[] = {
    { "snapshot-create, internal", create_internal, false },
    { "snapshot-create, external", create_external, false },
    { "snapshot-create --live", create_live, false },
    { "snapshot-revert", revert, false },
    { "snapshot-delete, internal, that one", delete_this, false },
    { "snapshot-delete, internal, another one", delete_other, false },
    { "snapshot-delete, external", delete_external, true },
    { "snapshot-merge", merge, true },
    { "snapshot-export", export_snapshot, false },
    { "checkpoint-create", checkpoint_create, false },
    { "checkpoint-delete", checkpoint_delete, false },
    { "checkpoint-dirty", checkpoint_dirty, false },
    { "backup-start --pull, backup-save", pull, false },
    { "backup-start", push, false },
};

#define NUM_WHATS (sizeof(whats) / sizeof(whats[0]))

/* --- what is under way --- */

static int copy_begun(bool external)
{
    const char *base = outer.num_disks
                       ? outer.disks[0].u.external.base_path : NULL;

    return external
           ? run("qemu-img convert -U -f qcow2 -O raw '%s' '%s'", base,
                 in_bed("begun"))
           : run("qemu-img convert -U -f qcow2 -O raw -l snapshot.name=s1 "
                 "'%s' '%s'", bed.path[0], in_bed("begun"));
}

static void begin_pull(bool external)
{
    (void)external;
    truth_wanted(true);
    assert_int_equal(start_view(&view), 0);
    truth_wanted(false);
    libxl_block_export_dispose(&export);
    libxl_block_export_init(&export);
    export.snapshot = strdup(view.id);
    assert_int_equal(libxl_domain_block_export_start(ctx, fake.domid, &export,
                                                     &how, NULL), 0);
}

static void end_pull(void)
{
    assert_true(is_truth(0, "raw", export.disks[0].uri));
    assert_int_equal(libxl_domain_block_export_stop(ctx, fake.domid,
                                                    export.id, &how), 0);
    assert_int_equal(end_view(&view), 0);
}

static void begin_push(bool external)
{
    (void)external;
    truth_wanted(true);
    assert_int_equal(start_push(&backup, in_bed("pushed")), 0);
    truth_wanted(false);
}

static void end_push(void)
{
    char text[96];

    snprintf(text, sizeof(text), "{\"device\":\"xlbs-%s-xvda\",\"speed\":0}",
             backup.id);
    assert_int_equal(bed_qmp("block-job-set-speed", text), 0);
    do {
        usleep(10000);
        assert_int_equal(libxl_domain_backup_status(ctx, fake.domid, &backup,
                                                    &how), 0);
    } while (backup.state == LIBXL_BACKUP_STATE_RUNNING);
    assert_int_equal(libxl_domain_backup_finish(ctx, fake.domid, &backup,
                                                &how, NULL), 0);
    assert_true(is_truth(0, "qcow2", in_bed("pushed")));
}

static void begin_export(bool external)
{
    assert_int_equal(copy_begun(external), 0);
    libxl_snapshot_export_list_dispose(&exports);
    libxl_snapshot_export_list_init(&exports);
    assert_int_equal(export_of(external ? &outer : &inner, &exports), 0);
}

static void end_export(void)
{
    assert_int_equal(run("qemu-img compare -q -f raw -F raw "
                         "'nbd+unix:///%s?socket=%s' '%s'",
                         exports.exports[0].vdev, exports.exports[0].socket,
                         in_bed("begun")), 0);
    assert_int_equal(libxl_domain_snapshot_export_stop(ctx,
                         &exports.exports[0], &how), 0);
}

static void begin_job(bool external)
{
    char node[64], text[256];
    yajl_val v;

    (void)external;
    assert_int_equal(bed_qmp_reply("query-block", NULL, &v), 0);
    snprintf(node, sizeof(node), "%s",
             json_string(json_object(json_item(json_array(v, "return"), 0),
                                     "inserted"), "node-name"));
    yajl_tree_free(v);
    assert_int_equal(bed_qmp("blockdev-add", "{\"driver\":\"null-co\","
                             "\"node-name\":\"nowhere\",\"size\":67108864}"),
                     0);
    snprintf(text, sizeof(text), "{\"job-id\":\"theirs\",\"device\":\"%s\","
             "\"target\":\"nowhere\",\"sync\":\"full\",\"speed\":65536}",
             node);
    assert_int_equal(bed_qmp("blockdev-backup", text), 0);
}

static void end_job(void)
{
    int i;

    assert_int_equal(bed_qmp("block-job-cancel", "{\"device\":\"theirs\"}"),
                     0);
    for (i = 0; i < 500 && bed_qmp("blockdev-del",
                                   "{\"node-name\":\"nowhere\"}"); i++)
        usleep(10000);
    assert_in_range(i, 0, 499);
}

static int lock_fd;

static void begin_lock(bool external)
{
    char path[160];

    (void)external;
    snprintf(path, sizeof(path), "%s/op-%s.lock", libxlss__run_dir,
             fake.uuid);
    lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(lock_fd, LOCK_EX | LOCK_NB), 0);
}

static void end_lock(void)
{
    close(lock_fd);
}

static const struct under_way {
    const char *name;
    void (*begin)(bool external);
    void (*end)(void);
} under_ways[] = {
    { "another operation", begin_lock, end_lock },
    { "snapshot-export", begin_export, end_export },
    { "backup-start --pull, backup-save", begin_pull, end_pull },
    { "backup-start", begin_push, end_push },
    { "somebody's block job", begin_job, end_job },
};

#define NUM_UNDER_WAYS (sizeof(under_ways) / sizeof(under_ways[0]))

/* --- both --- */

static const char *word(int rc)
{
    return rc == 0 ? "yes" : rc == XLSS(BUSY) ? "busy (5)"
           : rc == XLSS(NOT_POSSIBLE) ? "no (6)"
           : libxl_snapshot_strerror(rc);
}

static const char *results[NUM_WHATS][NUM_UNDER_WAYS];

static struct {
    bool there;
    int snapshots, files, checkpoints;
} bed_state;

static void set_up(const struct under_way *u, bool external)
{
    prepare(external);
    bed_state.there = true;
    bed_state.snapshots = bed_num_snapshots(0);
    bed_state.files = num_files();
    bed_state.checkpoints = num_checkpoints();
    u->begin(external);
    bed_write(0, 4, 104);
}

/* What was under way ends well, and the disk is right. done: what was, or
 * NULL. */
static void take_down(const struct under_way *u, const struct what *done)
{
    bool reverted = done && done->run == revert;

    u->end();
    assert_true(bed_running());
    if (!done)
        assert_int_equal(num_checkpoints(), bed_state.checkpoints);
    follow();
    bed_stop_qemu();
    assert_true(bed_check_clean(0));
    assert_true(bed_reads(0, 3, reverted ? 13 : 103));
    assert_true(bed_reads(0, 4, reverted ? 14 : 104));
    assert_true(bed_reads(0, 5, 105));
    unmake();
    bed_state.there = false;
}

/* Where it is refused, all is as it was, and the next may be tried. */
static const char *attempt(const struct under_way *u, const struct what *w)
{
    int rc;

    if (!bed_state.there)
        set_up(u, w->external);
    rc = w->run();
    assert_int_equal(fake.pauses, 0);
    assert_false(fake.suspended);
    assert_true(bed_running());
    bed_write(0, 5, 105);
    if (!rc) {
        take_down(u, w);
        return word(rc);
    }
    assert_int_equal(bed_num_snapshots(0), bed_state.snapshots);
    assert_int_equal(num_files(), bed_state.files);
    return word(rc);
}

static void column(size_t i, bool external)
{
    size_t n;

    for (n = 0; n < NUM_WHATS; n++)
        if (whats[n].external == external)
            results[n][i] = attempt(&under_ways[i], &whats[n]);
    if (bed_state.there)
        take_down(&under_ways[i], NULL);
}

static void run_column(void **state)
{
    size_t i = (const struct under_way *)*state - under_ways;

    bed_state.there = false;
    column(i, false);
    column(i, true);
}

static void put_table(FILE *f)
{
    size_t i, n;

    fprintf(f, "| |");
    for (i = 0; i < NUM_UNDER_WAYS; i++)
        fprintf(f, " %s |", under_ways[i].name);
    fprintf(f, "\n|---|");
    for (i = 0; i < NUM_UNDER_WAYS; i++)
        fprintf(f, "---|");
    fprintf(f, "\n");
    for (n = 0; n < NUM_WHATS; n++) {
        fprintf(f, "| %s |", whats[n].name);
        for (i = 0; i < NUM_UNDER_WAYS; i++)
            fprintf(f, " %s |", results[n][i]);
        fprintf(f, "\n");
    }
}

/* It is as the page says; after all columns. */
static void test_table(void **state)
{
    char path[] = "/tmp/xlss-together-XXXXXX";
    int fd = mkstemp(path), differs;
    FILE *f = fdopen(fd, "w");

    (void)state;
    put_table(f);
    fclose(f);
    differs = run("grep '^|' " PAGE " | diff -u - %s >&2", path);
    unlink(path);
    assert_false(differs);
}

#define COLUMN(n) { under_ways[n].name, run_column, NULL, NULL, \
                    (void *)&under_ways[n] }

int main(void)
{
    const struct CMUnitTest tests[] = {
        COLUMN(0), COLUMN(1), COLUMN(2), COLUMN(3), COLUMN(4),
        cmocka_unit_test(test_table),
    };

    if (!scene_begin())
        return 1;
    return GROUP_RUN(tests, scene_abandon);
}
