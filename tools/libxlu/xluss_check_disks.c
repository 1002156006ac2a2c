/* SPDX-License-Identifier: LGPL-2.1-only */
/* Are the disks' states still there, and are there any that nobody needs? */
#include <stdlib.h>
#include <string.h>

#include "xluss_check.h"

static const char *vdev_of(const libxl_disk_snapshot *d)
{
    return d->device.vdev ? d->device.vdev : "(without a name)";
}

static void check_internal(xluss__check *c, const xlu_snapshot *s,
                           const libxl_disk_snapshot *d)
{
    const xluss__checked_image *im = xluss__check_image(c, d);
    const char *name = d->name ? d->name : s->args.name;

    if (im->why)
        xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_DISK, s->name, vdev_of(d),
                     NULL, "snapshot %s, disk %s: %s", s->name, vdev_of(d),
                     im->why);
    else if (!xluss__image_holds(im, name))
        xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_DISK, s->name, vdev_of(d),
                     NULL, "snapshot %s, disk %s: %s has no snapshot \"%s\" "
                     "inside any more", s->name, vdev_of(d), im->path,
                     name ? name : "");
}

/* A kind whose data is a file or volume of its own: its driver knows. */
static void check_outside(xluss__check *c, const xlu_snapshot *s,
                          const libxl_disk_snapshot *d)
{
    xlu_snapshot_catalogue *cat = c->cat;
    libxl_domain_snapshot_args one;
    int rc;

    libxl_domain_snapshot_args_init(&one);
    libxl_domain_snapshot_args_copy(cat->ctx, &one, &s->args);
    while (one.num_disks > 1)
        libxl_disk_snapshot_dispose(&one.disks[--one.num_disks]);
    libxl_disk_snapshot_dispose(&one.disks[0]);
    libxl_disk_snapshot_init(&one.disks[0]);
    libxl_disk_snapshot_copy(cat->ctx, &one.disks[0], d);
    xluss__ear_dispose(&c->ear);
    rc = libxl_domain_snapshot_verify(cat->ctx, cat->dom.domid, &one, -1,
                                      &c->how, NULL);
    libxl_domain_snapshot_args_dispose(&one);
    if (rc == LIBXL_SNAPSHOT_ERROR_BUSY)
        return;
    if (rc)
        xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_DISK, s->name, vdev_of(d),
                     NULL, "snapshot %s, disk %s: %s", s->name, vdev_of(d),
                     xluss__ear_text(&c->ear, rc));
}

static void check_disk(xluss__check *c, const xlu_snapshot *s,
                       const libxl_disk_snapshot *d)
{
    if (d->kind == LIBXL_DISK_SNAPSHOT_KIND_INTERNAL)
        check_internal(c, s, d);
    else if (d->kind != LIBXL_DISK_SNAPSHOT_KIND_NONE)
        check_outside(c, s, d);
}

/* So that images are seen that no snapshot is in. */
static void read_own_images(xluss__check *c)
{
    xlu_snapshot_catalogue *cat = c->cat;
    libxl_domain_snapshot_args args;
    libxl_domain_config config;
    int i;

    libxl_domain_config_init(&config);
    libxl_domain_snapshot_args_init(&args);
    if (cat->dom.domid != XLUSS__NO_DOMID &&
        !libxl_retrieve_domain_configuration(cat->ctx, cat->dom.domid,
                                             &config, NULL))
        xluss__args_complete(cat->ctx, &args, &config);
    for (i = 0; i < args.num_disks; i++)
        if (args.disks[i].kind == LIBXL_DISK_SNAPSHOT_KIND_INTERNAL)
            xluss__check_image(c, &args.disks[i]);
    libxl_domain_snapshot_args_dispose(&args);
    libxl_domain_config_dispose(&config);
}

/* There is no journal, so no revert needs it. Other snapshots that are in no
 * list are their makers' own business. */
static void check_safety(xluss__check *c)
{
    int i, j;

    for (i = 0; i < c->num_images; i++)
        for (j = 0; j < c->images[i].num_snaps; j++) {
            const char *name = c->images[i].snaps[j].name;

            if (xluss__is_safety(name))
                xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_SAFETY, NULL, name,
                             "it is deleted", "%s holds the safety point %s "
                             "of a revert that has ended",
                             c->images[i].path, name);
        }
}

void xluss__check_disks(xluss__check *c)
{
    int i, j;

    for (i = 0; i < c->cat->num_entries; i++) {
        const xluss__entry *e = &c->cat->entries[i];

        for (j = 0; !e->damaged && j < e->s.args.num_disks; j++)
            check_disk(c, &e->s, &e->s.args.disks[j]);
    }
    read_own_images(c);
    check_safety(c);
}

/* --- the tree --- */

void xluss__check_tree(xluss__check *c)
{
    xlu_snapshot_catalogue *cat = c->cat;
    char *text = NULL;
    size_t len;
    int i;

    for (i = 0; i < cat->num_entries; i++) {
        const xluss__entry *e = &cat->entries[i], *parent;

        if (e->damaged || !e->s.parent)
            continue;
        parent = xluss__find(cat, e->s.parent);
        if (!parent)
            xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_PARENT, e->s.name,
                         e->s.parent, "it becomes one without a parent",
                         "snapshot %s has a parent %s that doesn't exist",
                         e->s.name, e->s.parent);
        /* The tree has been opened here. */
        else if (!parent->damaged && !parent->s.hidden && e->parent < 0)
            xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_CIRCLE, e->s.name,
                         e->s.parent, "it becomes one without a parent",
                         "snapshot %s is among its own ancestors",
                         e->s.name);
    }
    if (!xluss__file_get(NULL, &cat->dir, "current", XLUSS__PATH_MAX, &text,
                         &len)) {
        text[strcspn(text, "\n")] = '\0';
        if (!xluss__find(cat, text))
            xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_CURRENT, NULL, text,
                         "no snapshot is the current one from then on",
                         "the current snapshot is said to be %s, which "
                         "doesn't exist", text);
    }
    free(text);
}

/* --- the domain --- */

void xluss__check_domain(xluss__check *c)
{
    xlu_snapshot_catalogue *cat = c->cat;
    libxl_domain_snapshot_status status;
    xlu_snapshot_finding *f = NULL;

    if (cat->dom.domid == XLUSS__NO_DOMID)
        return;
    libxl_domain_snapshot_status_init(&status);
    if (libxl_domain_snapshot_look(cat->ctx, cat->dom.domid, &status,
                                   &c->how))
        return;
    if (status.busy && !status.holder)
        f = xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_STOPPED, NULL, "guard",
                         NULL, "an operation has died, and its guard is "
                         "still setting the domain going");
    else if (status.suspended && !status.busy)
        f = xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_STOPPED, NULL,
                         "suspended", NULL, "the domain is suspended, and "
                         "not by an operation on its snapshots: a save or a "
                         "migration is under way, or has died");
    else if (status.stopped)
        xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_STOPPED, NULL, "qemu",
                     "it is set going", "QEMU of the domain is stopped, "
                     "while the domain itself is not");
    if (f)
        xluss__only_note(f);
}

void xluss__check_exports(xluss__check *c)
{
    libxl_snapshot_export_list list;
    int i;

    libxl_snapshot_export_list_init(&list);
    if (!xlu_snapshot_export_list(c->cat, NULL, &list))
        for (i = 0; i < list.num_exports; i++) {
            const libxl_snapshot_export *e = &list.exports[i];
            const char *name = xlu_snapshot_export_name(e);

            if (!xluss__find(c->cat, name))
                xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_EXPORT, name,
                             e->vdev, "the export is ended",
                             "disk %s of snapshot %s, which doesn't exist, "
                             "is exported (process %d)", e->vdev, name,
                             e->pid);
        }
    libxl_snapshot_export_list_dispose(&list);
}
