/* SPDX-License-Identifier: LGPL-2.1-only */
/* snapshot-check: checkpoints in the catalogue and on the disks. */
#include <string.h>

#include "xluss_backup.h"
#include "xluss_check.h"
#include "xluss_checkpoint.h"

/* Only a device model can put it right: with the domain off it waits. */
static void interrupted(xluss__check *c, const xlu_checkpoint *cp)
{
    const char *what = cp->phase == XLU_CHECKPOINT_PHASE_CREATING
                       ? "creation" : "deletion";

    if (c->cat->dom.domid == XLUSS__NO_DOMID)
        xluss__only_note(xluss__found(
            c, XLU_SNAPSHOT_FINDING_KIND_CHECKPOINT, NULL, cp->name, NULL,
            "the %s of checkpoint %s was interrupted; it is finished, or "
            "undone, when the domain runs again", what, cp->name));
    else
        xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_CHECKPOINT, NULL, cp->name,
                     "it is finished, or undone",
                     "the %s of checkpoint %s was interrupted", what,
                     cp->name);
}

static void check_entries(xluss__check *c, const xlu_checkpoint_list *list)
{
    int i, j;

    for (i = 0; i < list->num_checkpoints; i++) {
        const xlu_checkpoint *cp = &list->checkpoints[i];

        if (cp->phase != XLU_CHECKPOINT_PHASE_SETTLED) {
            interrupted(c, cp);
            continue;
        }
        for (j = 0; j < cp->num_disks; j++)
            if (cp->disks[j].problem)
                xluss__only_note(xluss__found(
                    c, XLU_SNAPSHOT_FINDING_KIND_CHECKPOINT, NULL, cp->name,
                    NULL, "checkpoint %s is broken on disk %s: %s", cp->name,
                    cp->disks[j].vdev, cp->disks[j].problem));
    }
}

/* That of a backup gets into the catalogue at its good end. */
static void check_found(xluss__check *c, xlu_checkpoint_list *list,
                        const libxl_disk_checkpoint_list *found)
{
    xluss__backup_records r;
    int i, j;

    xluss__backup_records_read(c->cat, &r);
    for (i = 0; i < found->num_checkpoints; i++) {
        const char *name = found->checkpoints[i].name;

        /* Once, though it is on several disks. */
        for (j = 0; j < i && strcmp(found->checkpoints[j].name, name); j++)
            ;
        if (j == i && !xluss__checkpoint_find(list, name) &&
            !xluss__backup_has_checkpoint(&r, name))
            xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_CHECKPOINT, NULL, name,
                         "it is put into the catalogue",
                         "the disks have a checkpoint %s, and the catalogue "
                         "hasn't", name);
    }
    xluss__backup_records_dispose(&r);
}

void xluss__check_checkpoints(xluss__check *c)
{
    libxl_disk_checkpoint_list found;
    xlu_checkpoint_list list;

    xlu_checkpoint_list_init(&list);
    libxl_disk_checkpoint_list_init(&found);
    /* What can't be asked now isn't wrong. */
    if (!xluss__checkpoint_load(c->cat, &list) &&
        !xluss__checkpoint_look(c->cat, &c->how, &list, &found)) {
        check_entries(c, &list);
        check_found(c, &list, &found);
    }
    xlu_checkpoint_list_dispose(&list);
    libxl_disk_checkpoint_list_dispose(&found);
}
