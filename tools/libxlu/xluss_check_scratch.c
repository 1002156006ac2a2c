/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-check: scratch files beside the domain's images, and where its
 * backups have them, that no backup uses and no record names. Other domains'
 * may be in the same folder; whose one was that nobody uses doesn't matter.
 */
#include <stdlib.h>
#include <string.h>

#include "xluss_backup.h"
#include "xluss_check.h"

typedef struct {
    xluss__check *c;
    xluss__backup_records r;
    char **list;                /* folders */
    int num;
} folders;

/* Each once. */
static void add(folders *f, const char *path, size_t len)
{
    int i;

    if (!path || path[0] != '/')
        return;
    for (i = 0; i < f->num; i++)
        if (strlen(f->list[i]) == len && !strncmp(f->list[i], path, len))
            return;
    f->list = xluss__realloc(f->list, (f->num + 1) * sizeof(*f->list));
    f->list[f->num++] = xluss__asprintf("%.*s", (int)len, path);
}

static void add_disk(folders *f, const libxl_device_disk *d)
{
    const char *slash = d->pdev_path ? strrchr(d->pdev_path, '/') : NULL;

    if (slash && slash != d->pdev_path && !d->is_cdrom)
        add(f, d->pdev_path, slash - d->pdev_path);
}

static void add_all(folders *f)
{
    xlu_snapshot_catalogue *cat = f->c->cat;
    const char *const dirs[] = {
        f->r.push.scratch_dir, f->r.pull.snapshot.scratch_dir,
        f->r.save.snapshot.scratch_dir,
    };
    libxl_domain_disk_merge_args off;
    libxl_domain_config config;
    int i;

    libxl_domain_disk_merge_args_init(&off);
    libxl_domain_config_init(&config);
    if (cat->dom.domid == XLUSS__NO_DOMID)
        xluss__disks_off(cat, NULL, &off);
    else
        libxl_retrieve_domain_configuration(cat->ctx, cat->dom.domid,
                                            &config, NULL);
    for (i = 0; i < off.num_disks; i++)
        add_disk(f, &off.disks[i].device);
    for (i = 0; i < config.num_disks; i++)
        add_disk(f, &config.disks[i]);
    for (i = 0; i < (int)(sizeof(dirs) / sizeof(dirs[0])); i++)
        add(f, dirs[i], dirs[i] ? strlen(dirs[i]) : 0);
    libxl_domain_config_dispose(&config);
    libxl_domain_disk_merge_args_dispose(&off);
}

static void tell(folders *f, const char *path, bool shared)
{
    xlu_snapshot_finding *found = xluss__found(
        f->c, XLU_SNAPSHOT_FINDING_KIND_SCRATCH, NULL, path,
        shared ? NULL : "it is removed", "%s is a scratch file that no "
        "backup%s uses%s", path, shared ? " of this host" : "",
        shared ? "; if none of another host does, it can be removed" : "");

    if (shared)
        xluss__only_note(found);
}

static void check_folder(folders *f, const char *folder)
{
    libxl_block_snapshot_list list;
    bool shared;
    int i;

    libxl_block_snapshot_list_init(&list);
    if (!libxl_block_scratch_list(f->c->cat->ctx, folder, &list, &shared,
                                  &f->c->how))
        for (i = 0; i < list.num_snapshots; i++)
            if (!xluss__backup_owns(&f->r, list.snapshots[i].id))
                tell(f, list.snapshots[i].disks[0].scratch, shared);
    libxl_block_snapshot_list_dispose(&list);
}

void xluss__check_scratch(xluss__check *c)
{
    folders f = { .c = c };
    int i;

    xluss__backup_records_read(c->cat, &f.r);
    add_all(&f);
    for (i = 0; i < f.num; i++) {
        check_folder(&f, f.list[i]);
        free(f.list[i]);
    }
    free(f.list);
    xluss__backup_records_dispose(&f.r);
}
