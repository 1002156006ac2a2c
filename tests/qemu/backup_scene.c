/* SPDX-License-Identifier: LGPL-2.1-only */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backup_scene.h"

libxl_domain_backup_args args;

void add_target(const char *vdev, const char *target,
                       libxl_disk_format format)
{
    libxl_backup_disk *b;

    args.disks = realloc(args.disks, (args.num_disks + 1) * sizeof(*b));
    b = &args.disks[args.num_disks++];
    libxl_backup_disk_init(b);
    b->vdev = strdup(vdev);
    b->target = strdup(target);
    b->format = format;
}

void targets(const char *name, libxl_disk_format format)
{
    int i;

    libxl_domain_backup_args_dispose(&args);
    libxl_domain_backup_args_init(&args);
    for (i = 0; i < bed.num_disks; i++)
        add_target(bed.vdev[i], in_bed("%s-%s", name, bed.vdev[i]), format);
}

int start(void)
{
    return libxl_domain_backup_start(ctx, fake.domid, &args, &how, NULL);
}

libxl_backup_state wait_for_end(void)
{
    do {
        usleep(10000);
        assert_int_equal(libxl_domain_backup_status(ctx, fake.domid, &args,
                                                    &how), 0);
    } while (args.state == LIBXL_BACKUP_STATE_RUNNING);
    return args.state;
}

int finish(void)
{
    return libxl_domain_backup_finish(ctx, fake.domid, &args, &how, NULL);
}

int cancel(void)
{
    return libxl_domain_backup_cancel(ctx, fake.domid, &args, &how, NULL);
}

void expect_clean(void)
{
    yajl_val v = NULL;
    const char *left;

    assert_int_equal(fake.pauses, 0);
    assert_true(bed_running());
    left = bed_node_left();
    if (left)
        fail_msg("%s is left", left);
    assert_int_equal(bed_qmp_reply("query-jobs", NULL, &v), 0);
    assert_int_equal(json_length(json_array(v, "return")), 0);
    yajl_tree_free(v);
    assert_int_not_equal(run("ls %s | grep -q scratch", bed.dir), 0);
}

void expect_disks_whole(void)
{
    int i;

    bed_stop_qemu();
    for (i = 0; i < bed.num_disks; i++)
        assert_true(bed_check_clean(i));
}

void forget(void)
{
    libxl_domain_backup_args_dispose(&args);
    libxl_domain_backup_args_init(&args);
}
