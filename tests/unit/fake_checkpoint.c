/* SPDX-License-Identifier: LGPL-2.1-only */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_checkpoint.h"
#include "fake_io.h"
#include "fake_lxs.h"

fake_checkpoint_world *fake_checkpoints;

static const char *const vdevs[] = { "xvda", "xvdb" };

void fake_checkpoint_reset(void)
{
    if (!fake_checkpoints)
        fake_checkpoints = mmap(NULL, sizeof(*fake_checkpoints),
                                PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(fake_checkpoints, 0, sizeof(*fake_checkpoints));
}

static fake_checkpoint_world *world(void)
{
    if (!fake_checkpoints)
        fake_checkpoint_reset();
    return fake_checkpoints;
}

static void enter(void)
{
    if (++world()->calls == world()->crash_before)
        _exit(FAKE_IO_CRASH_CODE);
}

static int leave(void)
{
    if (world()->calls == world()->crash_after)
        _exit(FAKE_IO_CRASH_CODE);
    return world()->calls == world()->fail_after ? ERROR_FAIL : 0;
}

static int find(const char *name)
{
    int i;

    for (i = world()->num - 1; i >= 0; i--)
        if (!strcmp(world()->list[i].name, name) && !world()->list[i].gone)
            return i;
    return -1;
}

uint64_t fake_checkpoint_number(const char *name, uint64_t known)
{
    int i;

    for (i = 0; i < world()->num; i++)
        if (world()->list[i].seq > known)
            known = world()->list[i].seq;
    return find(name) < 0 ? known + 1 : 0;
}

void fake_checkpoint_begin(const char *name, uint64_t seq)
{
    int n = world()->num++;

    memset(&world()->list[n], 0, sizeof(world()->list[n]));
    snprintf(world()->list[n].name, sizeof(world()->list[n].name), "%s",
             name);
    world()->list[n].seq = seq;
}

void fake_checkpoint_undo(const char *name, uint64_t seq)
{
    int i = find(name);

    if (i >= 0 && world()->list[i].seq == seq)
        memmove(&world()->list[i], &world()->list[i + 1],
                (--world()->num - i) * sizeof(world()->list[0]));
}

int libxl_domain_checkpoint_create(libxl_ctx *ctx, uint32_t domid,
                                   libxl_domain_checkpoint_args *args,
                                   const libxl_snapshot_how *how,
                                   const libxl_asyncop_how *ao_how)
{
    (void)ctx, (void)domid, (void)how, (void)ao_how;
    enter();
    if (find(args->name) >= 0)
        return LIBXL_SNAPSHOT_ERROR_EXISTS;
    fake_checkpoint_begin(args->name, ++args->sequence);
    /* This guest can be frozen only by who insists on it. */
    libxl_defbool_set(&args->quiesced,
                      !libxl_defbool_is_default(args->quiesce) &&
                      libxl_defbool_is_default(args->allow_unquiesced));
    return leave();
}

int libxl_domain_checkpoint_delete(libxl_ctx *ctx, uint32_t domid,
                                   const libxl_domain_checkpoint_args *args,
                                   const libxl_snapshot_how *how,
                                   const libxl_asyncop_how *ao_how)
{
    int i;

    (void)ctx, (void)domid, (void)how, (void)ao_how;
    enter();
    i = find(args->name);
    if (i < 0) {
        world()->deleted_missing++;
        return 0;
    }
    memmove(&world()->list[i], &world()->list[i + 1],
            (--world()->num - i) * sizeof(world()->list[0]));
    return leave();
}

int libxl_domain_checkpoint_list(libxl_ctx *ctx, uint32_t domid,
                                 libxl_disk_checkpoint_list *out,
                                 const libxl_snapshot_how *how)
{
    int i, d;

    (void)ctx, (void)domid, (void)how;
    if (world()->busy)
        return LIBXL_SNAPSHOT_ERROR_BUSY;
    out->checkpoints = calloc(FAKE_CHECKPOINTS * 2,
                              sizeof(*out->checkpoints));
    for (d = 0; d < 2; d++)
        for (i = 0; i < world()->num; i++) {
            libxl_disk_checkpoint *c =
                &out->checkpoints[out->num_checkpoints];

            if (world()->list[i].gone)
                continue;
            out->num_checkpoints++;
            libxl_disk_checkpoint_init(c);
            c->vdev = strdup(vdevs[d]);
            c->name = strdup(world()->list[i].name);
            c->sequence = world()->list[i].seq;
            c->size = 1 << 20;
            c->granularity = c->dirty = 65536;
            if (world()->list[i].broken)
                c->broken = strdup("it was said so");
        }
    return 0;
}

int libxl_domain_checkpoint_dirty(libxl_ctx *ctx, uint32_t domid,
                                  const libxl_domain_dirty_args *args,
                                  libxl_domain_dirty *out,
                                  const libxl_snapshot_how *how,
                                  const libxl_asyncop_how *ao_how)
{
    int i;

    (void)ctx, (void)domid, (void)how, (void)ao_how;
    if (find(args->since) < 0 || world()->list[find(args->since)].broken)
        return LIBXL_SNAPSHOT_ERROR_BITMAP_BROKEN;
    out->disks = calloc(args->num_disks + 1, sizeof(*out->disks));
    for (i = 0; i < args->num_disks; i++) {
        libxl_disk_dirty *d = &out->disks[out->num_disks++];

        libxl_disk_dirty_init(d);
        d->vdev = strdup(args->disks[i]);
        d->size = 1 << 20;
        d->granularity = d->dirty = 65536;
        d->extents = calloc(1, sizeof(*d->extents));
        d->num_extents = 1;
        d->extents[0].offset = 131072;
        d->extents[0].length = 65536;
    }
    return 0;
}
