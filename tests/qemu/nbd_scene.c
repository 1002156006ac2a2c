/* SPDX-License-Identifier: LGPL-2.1-only */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nbd_scene.h"

libxl_block_snapshot view;
libxl_block_export args;

int snapshot(const char *since, const char *checkpoint)
{
    libxl_block_snapshot_dispose(&view);
    libxl_block_snapshot_init(&view);
    view.since = since ? strdup(since) : NULL;
    view.checkpoint = checkpoint ? strdup(checkpoint) : NULL;
    return libxl_domain_block_snapshot_create(ctx, fake.domid, &view, &how,
                                              NULL);
}

int drop(void)
{
    return libxl_domain_block_snapshot_delete(ctx, fake.domid, &view, false,
                                              &how, NULL);
}

void fresh(void)
{
    libxl_block_export_dispose(&args);
    libxl_block_export_init(&args);
    args.snapshot = strdup(view.id);
}

int export(void)
{
    return libxl_domain_block_export_start(ctx, fake.domid, &args, &how,
                                           NULL);
}

int stop(void)
{
    return libxl_domain_block_export_stop(ctx, fake.domid, args.id, &how);
}

int num_exports(void)
{
    libxl_block_export_list list;
    int num;

    libxl_block_export_list_init(&list);
    assert_int_equal(libxl_domain_block_export_list(ctx, fake.domid, &list,
                                                    &how), 0);
    num = list.num_exports;
    libxl_block_export_list_dispose(&list);
    return num;
}

int copy(int disk)
{
    return run("nbdcopy '%s' '%s' 2>/dev/null", args.disks[disk].uri,
               in_bed("copy"));
}

void expect_truth(int disk)
{
    int of = bed_disk(args.disks[disk].vdev);

    unlink(in_bed("copy"));
    assert_int_equal(copy(disk), 0);
    assert_true(is_truth(of, "raw", in_bed("copy")));
    assert_true(is_truth(of, "raw", args.disks[disk].uri));
}

int num_connections(void)
{
    char line[512];
    int num = 0;
    FILE *f = fopen("/proc/net/unix", "re");

    while (f && fgets(line, sizeof(line), f))
        if (strstr(line, bed.dir) && strstr(line, "private-") &&
            strstr(line, " 03 "))
            num++;
    if (f)
        fclose(f);
    return num;
}

void expect_clean(void)
{
    yajl_val v = NULL;

    assert_true(bed_running());
    assert_int_equal(bed_qmp_reply("query-block-exports", NULL, &v), 0);
    assert_int_equal(json_length(json_array(v, "return")), 0);
    yajl_tree_free(v);
    assert_int_equal(num_exports(), 0);
    assert_int_equal(num_connections(), 0);
    assert_int_not_equal(run("ls %s | grep -E 'xlbs|export-|private' "
                             "| grep -v scratch", bed.dir), 0);
    assert_int_not_equal(run("pgrep -f %s/[x]lbs >/dev/null", bed.dir), 0);
}

void finish(void)
{
    assert_int_equal(stop(), 0);
    assert_int_equal(drop(), 0);
    writer_stop();
    expect_clean();
    bed_stop_qemu();
    assert_true(bed_check_clean(0));
    unmake();
}

void expect_no_holes(int disk, int data_mib)
{
    assert_int_equal(run("nbdinfo --map '%s' | awk '{ if ($3 == 0) d += $2; "
                         "if ($3 == 1) h += $2 } END { exit !(d >= %d * "
                         "1048576 && h == 0) }'", args.disks[disk].uri,
                         data_mib), 0);
}

void expect_dirty(int disk, const char *text)
{
    char out[4096] = "";
    FILE *p;
    size_t n;
    char command[512];

    snprintf(command, sizeof(command), "nbdinfo --map=qemu:dirty-bitmap:%s "
             "'%s' | awk '$4==\"dirty\"{printf \"%%s %%s,\",$1,$2}'",
             args.bitmap, args.disks[disk].uri);
    p = popen(command, "r");
    n = fread(out, 1, sizeof(out) - 1, p);
    out[n] = '\0';
    pclose(p);
    assert_string_equal(out, text);
}
