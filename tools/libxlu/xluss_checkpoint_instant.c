/* SPDX-License-Identifier: LGPL-2.1-only */
/* The entry of a checkpoint that begins in the instant of a snapshot. */
#include <stdlib.h>

#include "xluss_checkpoint.h"

static void begin_entry(xlu_snapshot_catalogue *cat,
                        const libxl_domain_snapshot_args *args,
                        xlu_checkpoint *c)
{
    xlu_checkpoint_init(c);
    c->name = xluss__strdup(args->checkpoint);
    c->domain_name = xluss__strdup(cat->dom.name);
    c->domain_uuid = xluss__strdup(cat->dom.uuid);
    c->sequence = args->checkpoint_sequence;
}

/* Those that take part in the snapshot have it. */
static void fill_disks(const libxl_domain_snapshot_args *args,
                       xlu_checkpoint *c)
{
    int i;

    c->disks = xluss__calloc(args->num_disks + 1, sizeof(*c->disks));
    for (i = 0; i < args->num_disks; i++) {
        const libxl_disk_snapshot *d = &args->disks[i];
        xlu_checkpoint_disk *disk = &c->disks[c->num_disks];

        if (d->kind == LIBXL_DISK_SNAPSHOT_KIND_NONE)
            continue;
        xlu_checkpoint_disk_init(disk);
        disk->vdev = xluss__strdup(d->device.vdev);
        disk->size = d->size;
        disk->bitmap = xluss__asprintf("xlss-c-%llu-%s",
                                       (unsigned long long)c->sequence,
                                       c->name);
        c->num_disks++;
    }
}

int xluss__checkpoint_of_snapshot(xlu_snapshot_catalogue *cat,
                                  const xlu_snapshot *s)
{
    xlu_checkpoint c;
    int rc;

    if (!s->args.checkpoint)
        return 0;
    begin_entry(cat, &s->args, &c);
    c.creation_time = s->creation_time;
    c.quiesced = !libxl_defbool_is_default(s->args.quiesced) &&
                 libxl_defbool_val(s->args.quiesced);
    fill_disks(&s->args, &c);
    rc = xluss__checkpoint_store(cat, &c);
    xlu_checkpoint_dispose(&c);
    return rc;
}

static int end_on_disks(xlu_snapshot_catalogue *cat,
                        const libxl_domain_snapshot_args *args)
{
    libxl_snapshot_how how = xluss__plain_how(cat);
    libxl_domain_checkpoint_args which;
    int rc;

    if (cat->dom.domid == XLUSS__NO_DOMID)
        return LIBXL_SNAPSHOT_ERROR_NO_QEMU;
    libxl_domain_checkpoint_args_init(&which);
    which.name = xluss__strdup(args->checkpoint);
    which.sequence = args->checkpoint_sequence;
    rc = libxl_domain_checkpoint_delete(cat->ctx, cat->dom.domid, &which,
                                        &how, NULL);
    libxl_domain_checkpoint_args_dispose(&which);
    return rc;
}

/* Where the bitmaps were stored, the next command on checkpoints that finds
 * the domain running ends it. */
static int end_later(xlu_snapshot_catalogue *cat,
                     const libxl_domain_snapshot_args *args)
{
    xlu_checkpoint c;
    int rc;

    begin_entry(cat, args, &c);
    c.phase = XLU_CHECKPOINT_PHASE_DELETING;
    rc = xluss__checkpoint_store(cat, &c);
    xlu_checkpoint_dispose(&c);
    return rc;
}

int xluss__checkpoint_never_was(xlu_snapshot_catalogue *cat,
                                const libxl_domain_snapshot_args *args)
{
    int rc;

    /* Without a number it had not come as far as that. */
    if (!args->checkpoint || !args->checkpoint_sequence)
        return 0;
    rc = end_on_disks(cat, args);
    if (rc == LIBXL_SNAPSHOT_ERROR_NO_QEMU ||
        rc == LIBXL_SNAPSHOT_ERROR_QEMU_DIED ||
        rc == ERROR_DOMAIN_NOTFOUND)
        return end_later(cat, args);
    return rc ? rc : xluss__checkpoint_drop(cat, args->checkpoint);
}
