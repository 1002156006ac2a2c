/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The files of the disks: is the guest's where its name says, and are there
 * any that no snapshot needs? Names are put right; files are only told of:
 * snapshot-merge takes them away, when somebody wants that.
 */
#include <stdlib.h>
#include <string.h>

#include "xluss_check.h"

typedef struct {
    xluss__check *c;
    const libxl_device_disk *disk;
    bool whole;                 /* all documents can be read */
} chains;

static bool documents_are_whole(const xluss__check *c)
{
    int i;

    for (i = 0; i < c->out->num_findings; i++)
        if (c->out->findings[i].kind == XLU_SNAPSHOT_FINDING_KIND_DOCUMENT)
            return false;
    return true;
}

static void tell_name(chains *h, const libxl_disk_file *f)
{
    const char *path = h->disk->pdev_path;

    /* As after every shutdown on QEMU 7.2, until the next command. */
    if (f->role == LIBXL_DISK_FILE_ROLE_LIVE_NAME)
        xluss__only_note(
            xluss__found(h->c, XLU_SNAPSHOT_FINDING_KIND_NAME, NULL, path,
                         "it gets its own name again", "disk %s: the guest's "
                         "file is %s, and configurations name %s, which is a "
                         "frozen one", h->disk->vdev, f->path, path));
    else
        xluss__found(h->c, XLU_SNAPSHOT_FINDING_KIND_NAME, NULL,
                     h->disk->vdev, "libxl is told", "disk %s: QEMU writes to "
                     "%s, and libxl remembers %s", h->disk->vdev, f->path,
                     path);
}

static void tell_file(chains *h, const libxl_disk_file *f)
{
    const char *what =
        f->role == LIBXL_DISK_FILE_ROLE_CHAIN
        ? "is in its chain, and no snapshot needs it; snapshot-merge takes it "
          "out" :
        f->role == LIBXL_DISK_FILE_ROLE_ALONE
        ? "was frozen for a snapshot that is in no list, and nothing is based "
          "on it; snapshot-merge removes it"
        : "is an overlay on a snapshot's file, and not what the guest writes "
          "to, as after a revert of a disk that has moved; it can be removed";

    /* Else it may be that of a snapshot whose document is lost. */
    if (!h->whole)
        return;
    xluss__only_note(xluss__found(h->c, XLU_SNAPSHOT_FINDING_KIND_FILE, NULL,
                                  f->path, NULL, "disk %s: %s %s",
                                  h->disk->vdev, f->path, what));
}

static void check_disk(chains *h, const libxl_domain_disk_merge_args *all)
{
    xlu_snapshot_catalogue *cat = h->c->cat;
    libxl_disk_file_list list;
    int i;

    libxl_disk_file_list_init(&list);
    xluss__ear_dispose(&h->c->ear);
    if (!libxl_disk_file_look(cat->ctx, cat->dom.domid, h->disk, all->keep,
                              all->num_keep, &list, &h->c->how))
        for (i = 0; i < list.num_files; i++) {
            const libxl_disk_file *f = &list.files[i];

            if (f->role == LIBXL_DISK_FILE_ROLE_LIVE_NAME ||
                f->role == LIBXL_DISK_FILE_ROLE_OTHER_NAME)
                tell_name(h, f);
            else
                tell_file(h, f);
        }
    libxl_disk_file_list_dispose(&list);
}

void xluss__check_chains(xluss__check *c)
{
    xlu_snapshot_catalogue *cat = c->cat;
    libxl_domain_disk_merge_args all;
    libxl_domain_config config;
    chains h = { .c = c, .whole = documents_are_whole(c) };
    int i;

    libxl_domain_disk_merge_args_init(&all);
    libxl_domain_config_init(&config);
    xluss__keep_all(cat, &all);
    if (cat->dom.domid == XLUSS__NO_DOMID)
        xluss__disks_off(cat, NULL, &all);
    else
        libxl_retrieve_domain_configuration(cat->ctx, cat->dom.domid, &config,
                                            NULL);
    for (i = 0; i < all.num_disks; i++) {
        h.disk = &all.disks[i].device;
        check_disk(&h, &all);
    }
    for (i = 0; i < config.num_disks; i++) {
        h.disk = &config.disks[i];
        if (h.disk->readwrite && !h.disk->is_cdrom && h.disk->vdev &&
            h.disk->pdev_path)
            check_disk(&h, &all);
    }
    libxl_domain_config_dispose(&config);
    libxl_domain_disk_merge_args_dispose(&all);
}
