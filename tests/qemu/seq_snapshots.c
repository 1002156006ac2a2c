/* SPDX-License-Identifier: LGPL-2.1-only */
/* The snapshots of a sequence, as a catalogue keeps them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "seq.h"

#define MAX_SNAPS 64

static struct snap {
    libxl_domain_snapshot_args args;
    bool external;
    void *held;                 /* what the disks held */
} snaps[MAX_SNAPS];
static int num;

void snaps_reset(void)
{
    while (num > 0) {
        libxl_domain_snapshot_args_dispose(&snaps[--num].args);
        free(snaps[num].held);
    }
}

static void set(char **to, const char *text)
{
    free(*to);
    *to = strdup(text);
}

/* Those inside the images that `s` has frozen are found there from now on. */
static void follow(const struct snap *s)
{
    int i, d;

    for (i = 0; i < num; i++)
        for (d = 0; !snaps[i].external && d < SEQ_DISKS; d++) {
            libxl_disk_snapshot *disk = &snaps[i].args.disks[d];

            if (!disk->u.internal.internal_path)
                set(&disk->u.internal.internal_path,
                    s->args.disks[d].u.external.base_path);
        }
}

void snap_take(const char *name)
{
    struct snap *s = &snaps[num];
    bool memory = chance(2);
    int i;

    if (num == MAX_SNAPS)
        return;
    s->external = chance(2);
    say("snapshot %s, %s%s", name, s->external ? "external" : "internal",
        memory ? ", with memory" : "");
    libxl_domain_snapshot_args_init(&s->args);
    s->held = model_copy();
    s->args.name = strdup(name);
    s->args.disks = calloc(SEQ_DISKS, sizeof(*s->args.disks));
    s->args.num_disks = SEQ_DISKS;
    for (i = 0; i < SEQ_DISKS; i++) {
        libxl_disk_snapshot_init(&s->args.disks[i]);
        libxl_disk_snapshot_init_kind(&s->args.disks[i], s->external
                                      ? LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL
                                      : LIBXL_DISK_SNAPSHOT_KIND_INTERNAL);
        s->args.disks[i].device.vdev = strdup(bed.vdev[i]);
        model_image(i, in_bed("truth-%s-%d", name, i));
    }
    ftruncate(fd, 0);
    lseek(fd, 0, SEEK_SET);
    assert_int_equal(libxl_domain_snapshot_create(ctx, fake.domid, &s->args,
                                                  memory ? fd : -1, &how,
                                                  NULL), 0);
    if (s->external)
        follow(s);
    num++;
}

static const char *place(const struct snap *s, int disk)
{
    const libxl_disk_snapshot *d = &s->args.disks[disk];

    return s->external ? d->u.external.base_path
                       : d->u.internal.internal_path;
}

/* The files that all but `s` live in. */
static void keep_others(const struct snap *s, char ***keep, int *num_keep)
{
    int i, d;

    for (i = 0; i < *num_keep; i++)
        free((*keep)[i]);
    free(*keep);
    *keep = calloc(MAX_SNAPS * SEQ_DISKS, sizeof(**keep));
    *num_keep = 0;
    for (i = 0; i < num; i++)
        for (d = 0; &snaps[i] != s && d < SEQ_DISKS; d++)
            if (place(&snaps[i], d))
                (*keep)[(*num_keep)++] = strdup(place(&snaps[i], d));
}

static void forget(struct snap *s)
{
    libxl_domain_snapshot_args_dispose(&s->args);
    free(s->held);
    memmove(s, s + 1, (char *)&snaps[num--] - (char *)(s + 1));
}

void snap_delete(void)
{
    static const libxl_merge_direction ways[] = {
        LIBXL_MERGE_DIRECTION_ANY, LIBXL_MERGE_DIRECTION_ANY,
        LIBXL_MERGE_DIRECTION_UP, LIBXL_MERGE_DIRECTION_DOWN };
    struct snap *s = num ? &snaps[rand() % num] : NULL;
    bool off = chance(3);
    int rc;

    if (!s)
        return;
    s->args.merge = ways[rand() % 4];
    say("delete %s, %s%s", s->args.name,
        libxl_merge_direction_to_string(s->args.merge), off ? ", off" : "");
    keep_others(s, &s->args.keep, &s->args.num_keep);
    if (off) {
        model_be_lax();
        seq_turn_off();
    }
    rc = libxl_domain_snapshot_delete(ctx, off ? XLSS_OFF : fake.domid,
                                      &s->args, &how, NULL);
    if (off) {
        seq_turn_on();
        seq_merged_off++;
    }
    /* Down is not always possible, nor is inside of a frozen image on a
     * domain that runs: said before anything is done. */
    if (rc == XLSS(NOT_POSSIBLE) &&
        (s->args.merge == LIBXL_MERGE_DIRECTION_DOWN || !s->external)) {
        say("  not possible");
        return;
    }
    assert_int_equal(rc, 0);
    forget(s);
}

/* It is inside of the guest's own images. */
static bool is_inside(const struct snap *s)
{
    return !s->external && !s->args.disks[0].u.internal.internal_path;
}

/* Else its images are replaced, and with them what is inside. */
static bool can_go_back(const struct snap *s)
{
    int i;

    for (i = 0; i < num && !is_inside(s); i++)
        if (is_inside(&snaps[i]))
            return false;
    return true;
}

static int go_back(const struct snap *s)
{
    libxl_domain_snapshot_safety safety;
    libxl_domain_config config;
    uint32_t domid;
    int rc;

    libxl_domain_snapshot_safety_init(&safety);
    safety.name = strdup("xlss-safety-1");
    safety.memory_fd = memory_file("safety");
    libxl_domain_config_init(&config);
    bed_config(ctx, &config);
    rc = libxl_domain_snapshot_revert(ctx, fake.domid, &config, &s->args, -1,
                                      false, &safety, &domid, &how, NULL);
    libxl_domain_config_dispose(&config);
    close(safety.memory_fd);
    libxl_domain_snapshot_safety_dispose(&safety);
    return rc;
}

void snap_revert(void)
{
    struct snap *s = num ? &snaps[rand() % num] : NULL;

    if (!s || !can_go_back(s))
        return;
    say("revert to %s", s->args.name);
    keep_others(s, &s->args.keep, &s->args.num_keep);
    assert_int_equal(go_back(s), 0);
    assert_int_equal(fake.pauses, 0);
    model_go_back(s->held);
    seq_all_broken(true);
}

void snaps_merge(void)
{
    libxl_domain_disk_merge_args merge;

    say("merge what is not needed");
    libxl_domain_disk_merge_args_init(&merge);
    keep_others(NULL, &merge.keep, &merge.num_keep);
    assert_int_equal(libxl_domain_disk_merge(ctx, fake.domid, &merge, &how,
                                             NULL), 0);
    libxl_domain_disk_merge_args_dispose(&merge);
}

static bool verify(const struct snap *s, int disk)
{
    const char *path = place(s, disk);
    const char *truth = in_bed("truth-%s-%d", s->args.name, disk);

    if (s->external)
        return !run("qemu-img compare -q -f qcow2 -F raw 'file:%s' '%s'",
                      path, truth);
    return !run("qemu-img convert -f qcow2 -O raw -l snapshot.name='%s' "
                  "'file:%s' '%s' && "
                  "qemu-img compare -q -f raw -F raw '%s' '%s'", s->args.name,
                  path ? path : seq_settled[disk], in_bed("inside"),
                  in_bed("inside"), truth);
}

void snaps_verify(void)
{
    int i, d;

    for (i = 0; i < num; i++)
        for (d = 0; d < SEQ_DISKS; d++)
            if (!verify(&snaps[i], d))
                fail_msg("disk %d of the snapshot %s is not what it was", d,
                         snaps[i].args.name);
}
