/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the disks say about the checkpoints of the catalogue. */
#include <stdlib.h>
#include <string.h>

#include "xluss_checkpoint.h"

const libxl_disk_checkpoint *
xluss__checkpoint_on(const libxl_disk_checkpoint_list *found,
                     const char *name, uint64_t sequence, const char *vdev)
{
    int i;

    for (i = found->num_checkpoints - 1; i >= 0; i--) {
        const libxl_disk_checkpoint *d = &found->checkpoints[i];

        if (!strcmp(d->name, name) &&
            (!sequence || d->sequence == sequence) &&
            (!vdev || !strcmp(d->vdev, vdev)))
            return d;
    }
    return NULL;
}

static void look_at_disk(const libxl_disk_checkpoint_list *found,
                         const xlu_checkpoint *c, xlu_checkpoint_disk *disk)
{
    const libxl_disk_checkpoint *d = xluss__checkpoint_on(
        found, c->name, c->sequence, disk->vdev);

    disk->dirty = d ? d->dirty : 0;
    xluss__replace(&disk->problem,
                   !d ? "its bitmap is not there any more" : d->broken);
}

/* From the last to the first: what is broken breaks all that are older, on
 * the same disk. */
static void look_at_all(xlu_checkpoint_list *list,
                        const libxl_disk_checkpoint_list *found)
{
    int i, j, k, m;

    for (i = list->num_checkpoints - 1; i >= 0; i--) {
        xlu_checkpoint *c = &list->checkpoints[i];

        c->state = XLU_CHECKPOINT_STATE_GOOD;
        for (j = 0; j < c->num_disks; j++) {
            xlu_checkpoint_disk *disk = &c->disks[j];

            look_at_disk(found, c, disk);
            for (k = i + 1; !disk->problem && k < list->num_checkpoints; k++)
                for (m = 0; m < list->checkpoints[k].num_disks; m++) {
                    xlu_checkpoint_disk *later =
                        &list->checkpoints[k].disks[m];

                    if (!disk->problem && later->problem &&
                        !strcmp(later->vdev, disk->vdev))
                        disk->problem = xluss__asprintf(
                            "the later checkpoint %s is broken",
                            list->checkpoints[k].name);
                }
            if (disk->problem)
                c->state = XLU_CHECKPOINT_STATE_BROKEN;
        }
    }
}

int xluss__checkpoint_look(xlu_snapshot_catalogue *cat,
                           const libxl_snapshot_how *how,
                           xlu_checkpoint_list *list,
                           libxl_disk_checkpoint_list *found)
{
    libxl_snapshot_how plain = xluss__plain_how(cat);
    int rc;

    rc = xluss__domain_by_uuid(cat->ctx, cat->dom.uuid, &cat->dom.domid,
                               NULL);
    if (rc == ERROR_DOMAIN_NOTFOUND || cat->dom.domid == XLUSS__NO_DOMID)
        return 0;
    if (!rc)
        rc = libxl_domain_checkpoint_list(cat->ctx, cat->dom.domid, found,
                                          how ? how : &plain);
    if (!rc)
        look_at_all(list, found);
    return rc;
}

void xluss__checkpoint_fill(xlu_checkpoint *c,
                            const libxl_disk_checkpoint_list *found)
{
    const libxl_disk_checkpoint *newest = xluss__checkpoint_on(
        found, c->name, c->sequence, NULL);
    int i;

    if (!newest)
        return;
    for (i = 0; i < c->num_disks; i++)
        xlu_checkpoint_disk_dispose(&c->disks[i]);
    free(c->disks);
    c->num_disks = 0;
    c->disks = xluss__calloc(found->num_checkpoints + 1, sizeof(*c->disks));
    c->sequence = newest->sequence;
    for (i = 0; i < found->num_checkpoints; i++) {
        const libxl_disk_checkpoint *d = &found->checkpoints[i];
        xlu_checkpoint_disk *disk = &c->disks[c->num_disks];

        if (d->sequence != newest->sequence || strcmp(d->name, c->name))
            continue;
        xlu_checkpoint_disk_init(disk);
        disk->vdev = xluss__strdup(d->vdev);
        disk->size = d->size;
        disk->bitmap = xluss__asprintf("xlss-c-%llu-%s",
                                       (unsigned long long)d->sequence,
                                       d->name);
        c->num_disks++;
    }
}

/* --- both together --- */

void xluss__checkpoints_init(struct xluss__checkpoints *v)
{
    xlu_checkpoint_list_init(&v->list);
    libxl_disk_checkpoint_list_init(&v->found);
}

void xluss__checkpoints_dispose(struct xluss__checkpoints *v)
{
    xlu_checkpoint_list_dispose(&v->list);
    libxl_disk_checkpoint_list_dispose(&v->found);
}

int xluss__checkpoints_load(xlu_snapshot_catalogue *cat,
                            struct xluss__checkpoints *v)
{
    int rc = xluss__checkpoint_load(cat, &v->list);

    return rc ? rc : xluss__checkpoint_look(cat, NULL, &v->list, &v->found);
}

int xluss__checkpoint_not_found(xlu_snapshot_catalogue *cat,
                                const char *name)
{
    LOG(cat->lg, ERROR, "domain %s has no checkpoint %s", cat->dom.name,
        name ? name : "");
    return ERROR_NOTFOUND;
}
