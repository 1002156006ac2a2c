/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Chains made shorter. What is needed is known here alone: the files in which
 * the snapshots of the catalogue live. So all of its documents must be whole.
 * An interrupted merge has changed nothing that a disk reads; its journal
 * says that a job may be left in QEMU.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xluss_check.h"

/* Which documents are lost? */
typedef struct {
    xlu_snapshot_catalogue *cat;
    int lost;
} documents;

static void look_at_name(void *arg, const char *name)
{
    documents *d = arg;
    const xluss__entry *e = xluss__find(d->cat, name);

    if (e && !e->damaged)
        return;
    LOG(d->cat->lg, ERROR, "domain %s, snapshot %s: its document is lost or "
        "damaged, so it isn't known which files it needs; see snapshot-check",
        d->cat->dom.name, name);
    d->lost++;
}

static int check_documents(xlu_snapshot_catalogue *cat)
{
    documents d = { .cat = cat };
    int i;

    for (i = 0; i < cat->num_entries; i++)
        if (cat->entries[i].damaged)
            look_at_name(&d, cat->entries[i].s.name);
    if (!d.lost)
        xluss__each_file_name(cat, look_at_name, &d);
    return d.lost ? LIBXL_SNAPSHOT_ERROR_DAMAGED : 0;
}

/* --- the disks of a domain that is off --- */

static bool is_wanted(const char *const *vdevs, const char *vdev)
{
    if (!vdevs)
        return true;
    for (; *vdevs; vdevs++)
        if (!strcmp(*vdevs, vdev))
            return true;
    return false;
}

static bool has_path(const libxl_domain_disk_merge_args *args,
                     const char *path)
{
    int i;

    for (i = 0; i < args->num_disks; i++)
        if (args->disks[i].device.pdev_path &&
            !strcmp(args->disks[i].device.pdev_path, path))
            return true;
    return false;
}

static libxl_device_disk *add(libxl_domain_disk_merge_args *args,
                              const char *vdev)
{
    libxl_disk_merge *m;

    args->disks = xluss__realloc(args->disks, (args->num_disks + 1) *
                                 sizeof(*args->disks));
    m = &args->disks[args->num_disks++];
    libxl_disk_merge_init(m);
    m->device.vdev = xluss__strdup(vdev);
    return &m->device;
}

static void add_file(xlu_snapshot_catalogue *cat,
                     libxl_domain_disk_merge_args *args,
                     const libxl_device_disk *like, const char *path)
{
    libxl_snapshot_how how = xluss__plain_how(cat);
    char *settled = libxl_domain_disk_settled_path(cat->ctx, path, &how);
    libxl_device_disk *dev;

    if (settled && !access(settled, F_OK) && !has_path(args, settled)) {
        dev = add(args, like->vdev);
        libxl_device_disk_dispose(dev);
        libxl_device_disk_init(dev);
        libxl_device_disk_copy(cat->ctx, dev, like);
        xluss__replace(&dev->pdev_path, settled);
        dev->format = LIBXL_DISK_FORMAT_QCOW2;
    }
    free(settled);
}

/* Where its disks are, or were once: no file of these is needed but those
 * that are kept. */
void xluss__disks_off(xlu_snapshot_catalogue *cat, const char *const *vdevs,
                      libxl_domain_disk_merge_args *args)
{
    int i, j;

    for (i = 0; i < cat->num_entries; i++)
        for (j = 0; j < cat->entries[i].s.args.num_disks; j++) {
            const libxl_disk_snapshot *d = &cat->entries[i].s.args.disks[j];

            if (!d->device.vdev || !d->device.pdev_path ||
                !is_wanted(vdevs, d->device.vdev))
                continue;
            if (d->kind == LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL &&
                d->u.external.external_path)
                add_file(cat, args, &d->device,
                         d->u.external.external_path);
            if (d->device.format == LIBXL_DISK_FORMAT_QCOW2)
                add_file(cat, args, &d->device, d->device.pdev_path);
        }
}

static int fill_off(xlu_snapshot_catalogue *cat, const char *const *vdevs,
                    libxl_domain_disk_merge_args *args)
{
    xluss__disks_off(cat, vdevs, args);
    if (args->num_disks)
        return 0;
    LOG(cat->lg, ERROR, "domain %s is off, and no snapshot of it tells where "
        "its disks are; start it first", cat->dom.name);
    return LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE;
}

static int fill_disks(xlu_snapshot_catalogue *cat, const char *const *vdevs,
                      libxl_domain_disk_merge_args *args)
{
    if (cat->dom.domid == XLUSS__NO_DOMID)
        return fill_off(cat, vdevs, args);
    for (; vdevs && *vdevs; vdevs++)
        add(args, *vdevs);
    return 0;
}

/* --- what no snapshot needs --- */

void xluss__keep_all(xlu_snapshot_catalogue *cat,
                     libxl_domain_disk_merge_args *args)
{
    libxl_domain_snapshot_args all;
    int i;

    libxl_domain_snapshot_args_init(&all);
    xluss__keep_others(cat, "", &all);
    args->keep = xluss__calloc(all.num_keep + 1, sizeof(*args->keep));
    for (i = 0; i < all.num_keep; i++)
        args->keep[args->num_keep++] = xluss__strdup(all.keep[i]);
    libxl_domain_snapshot_args_dispose(&all);
}

static int merge_rest(xlu_snapshot_catalogue *cat,
                      const xlu_snapshot_merge_args *args,
                      const libxl_snapshot_how *how,
                      libxl_domain_disk_merge_args *m)
{
    xluss__op op;
    int rc;

    m->direction = args->direction;
    rc = fill_disks(cat, args->vdevs, m);
    if (rc)
        return rc;
    xluss__keep_all(cat, m);
    xluss__op_init(&op, cat, XLU_SNAPSHOT_OPERATION_MERGE, NULL, how);
    op.j.domid = cat->dom.domid;
    rc = xluss__journal_begin(&op);
    if (!rc) {
        rc = libxl_domain_disk_merge(cat->ctx, cat->dom.domid, m, &op.how,
                                     NULL);
        if (xluss__journal_end(cat) && !rc)
            rc = LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
    }
    xluss__op_dispose(&op);
    return rc;
}

/* --- one snapshot --- */

static int merge_named(xlu_snapshot_catalogue *cat,
                       const xlu_snapshot_merge_args *args,
                       const libxl_snapshot_how *how)
{
    const xlu_snapshot *s;
    bool any = false;
    int i, rc, rc2;

    if (args->vdevs) {
        LOG(cat->lg, ERROR, "domain %s, snapshot %s: a snapshot is merged on "
            "all of its disks", cat->dom.name, args->name);
        return ERROR_INVAL;
    }
    rc = xlu_snapshot_get(cat, args->name, &s);
    if (rc)
        return rc;
    for (i = 0; i < s->args.num_disks; i++)
        any = any || s->args.disks[i].kind ==
                     LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL;
    if (!any) {
        LOG(cat->lg, ERROR, "domain %s, snapshot %s: none of its disks is "
            "external, so there is nothing to merge; snapshot-delete removes "
            "it", cat->dom.name, args->name);
        return LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE;
    }
    rc = xluss__delete_one(cat, args->name, args->direction, how);
    rc2 = xluss__load(cat);
    return rc ? rc : rc2;
}

int xlu_snapshot_merge(xlu_snapshot_catalogue *cat,
                       const xlu_snapshot_merge_args *args,
                       const libxl_snapshot_how *how,
                       libxl_domain_disk_merge_args *out)
{
    static const xlu_snapshot_merge_args none;
    libxl_domain_disk_merge_args own;
    int rc;

    if (!args)
        args = &none;
    rc = xluss__begin(cat, how);
    if (!rc)
        rc = check_documents(cat);
    if (rc)
        return rc;
    if (args->name)
        return merge_named(cat, args, how);
    libxl_domain_disk_merge_args_init(&own);
    rc = merge_rest(cat, args, how, out ? out : &own);
    libxl_domain_disk_merge_args_dispose(&own);
    return rc;
}
