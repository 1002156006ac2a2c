/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * From a document's <disks> to what the operations want: the images. The
 * document has names; the images are those of the domain's configuration
 * or, where there is none, of the document's own <domain>.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xluss_xml.h"

/* The first reason stays. */
static void no_revert(xlu_snapshot *s, const char *disk, const char *why)
{
    if (!s->no_revert)
        s->no_revert = xluss__asprintf("disk %s %s", disk, why);
}

static libxl_disk_snapshot *add_disk(xlu_snapshot *s,
                                     libxl_disk_snapshot_kind kind)
{
    libxl_domain_snapshot_args *args = &s->args;
    libxl_disk_snapshot *d;

    args->disks = xluss__realloc(args->disks, (args->num_disks + 1) *
                                              sizeof(*args->disks));
    d = &args->disks[args->num_disks++];
    libxl_disk_snapshot_init(d);
    libxl_disk_snapshot_init_kind(d, kind);
    return d;
}

/* By its vdev, or by the path of its image. */
static const libxl_device_disk *find_device(const libxl_domain_config *config,
                                            const char *name)
{
    int i;

    for (i = 0; i < config->num_disks; i++) {
        const libxl_device_disk *d = &config->disks[i];
        const char *is = name[0] == '/' ? d->pdev_path : d->vdev;

        if (is && !strcmp(is, name))
            return d;
    }
    return NULL;
}

static bool holds_internal(const libxl_device_disk *d)
{
    return d->format == LIBXL_DISK_FORMAT_QCOW2 && d->pdev_path &&
           d->pdev_path[0] == '/' && d->vdev;
}

static void add_internal(libxl_ctx *ctx, xlu_snapshot *s,
                         const libxl_device_disk *device)
{
    libxl_disk_snapshot *d = add_disk(s, LIBXL_DISK_SNAPSHOT_KIND_INTERNAL);

    libxl_device_disk_copy(ctx, &d->device, device);
    d->name = xluss__strdup(s->name);
}

/* A disk's path, without the .liveN that it may have for a while. */
static char *settled(const libxl_device_disk *device)
{
    char *path = xluss__strdup(device->pdev_path), *end;

    end = strrchr(path, '.');
    if (end && !strncmp(end, ".live", 5) && end[5] &&
        !end[5 + strspn(end + 5, "0123456789")])
        *end = '\0';
    return path;
}

/* An overlay that was made here: beside the disk is what it is based on,
 * under the snapshot's name. */
static bool add_external(libxl_ctx *ctx, xlu_snapshot *s, const xmlNode *disk,
                         const libxl_device_disk *device)
{
    const xmlNode *source = xluss__xml_child(disk, "source");
    char *overlay = xluss__xml_value(source, "file"), *path, *base;
    libxl_disk_snapshot *d;

    if (!overlay || !device || !device->vdev || !device->pdev_path) {
        free(overlay);
        return false;
    }
    path = settled(device);
    base = xluss__frozen_file(path, s->name);
    if (!base) {
        free(overlay);
        free(path);
        return false;
    }
    d = add_disk(s, LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL);
    libxl_device_disk_copy(ctx, &d->device, device);
    free(d->device.pdev_path);
    d->device.pdev_path = path;
    d->name = xluss__strdup(s->name);
    d->u.external.external_format = LIBXL_DISK_FORMAT_QCOW2;
    d->u.external.external_path = overlay;
    d->u.external.base_path = base;
    return true;
}

/* One that no operation touches. */
static void add_none(xlu_snapshot *s, const char *name)
{
    libxl_disk_snapshot *d = add_disk(s, LIBXL_DISK_SNAPSHOT_KIND_NONE);

    if (name[0] == '/')
        d->device.pdev_path = xluss__strdup(name);
    else
        d->device.vdev = xluss__strdup(name);
}

static void read_disk(libxl_ctx *ctx, const xmlNode *disk,
                      const libxl_domain_config *config, xlu_snapshot *s)
{
    char *given = xluss__xml_value(disk, "name");
    char *kind = xluss__xml_value(disk, "snapshot");
    const char *name = strncmp(given, "ioemu:", 6) ? given : given + 6;
    const libxl_device_disk *device = find_device(config, name);

    if (kind && xluss__xml_is_word(kind, "internal")) {
        if (device && holds_internal(device)) {
            add_internal(ctx, s, device);
            goto out;
        }
        no_revert(s, name, device ? "is not a qcow2 image here, so it can't "
                                    "hold the snapshot"
                                  : "is not known in this domain");
    } else if (!kind || xluss__xml_is_word(kind, "external")) {
        if (add_external(ctx, s, disk, device))
            goto out;
        no_revert(s, name, "has an overlay, and the file that it "
                           "was based on is not known");
    } else if (xluss__xml_is_word(kind, "manual")) {
        no_revert(s, name, "is kept by other means (manual)");
    }
    add_none(s, name);
out:
    free(given);
    free(kind);
}

/* No <disks>: libvirt means all, inside their images. */
static void all_internal(libxl_ctx *ctx, const libxl_domain_config *config,
                         xlu_snapshot *s)
{
    int i;

    for (i = 0; i < config->num_disks; i++) {
        const libxl_device_disk *d = &config->disks[i];

        if (d->readwrite && !d->is_cdrom && holds_internal(d))
            add_internal(ctx, s, d);
    }
}

static char *memory_elsewhere(const xmlNode *root)
{
    char *path = xluss__xml_value(xluss__xml_child(root, "memory"), "file");
    const char *why = path
        ? "its memory image has a path of another system"
        : "its memory is inside a disk's image, as QEMU keeps it, which Xen "
          "can't restore";

    free(path);
    return xluss__strdup(why);
}

void xluss__xml_args(libxl_ctx *ctx, xmlDoc *doc,
                     const libxl_domain_config *config, xlu_snapshot *s)
{
    const xmlNode *root = xmlDocGetRootElement(doc);
    const xmlNode *disks = xluss__xml_child(root, "disks"), *n;

    s->args.name = xluss__strdup(s->name);
    libxl_defbool_set(&s->args.memory, s->memory.path != NULL);
    libxl_defbool_set(&s->args.paused,
                      s->state == XLU_SNAPSHOT_STATE_PAUSED);
    if (xluss__xml_has_memory(root) && !s->memory.path)
        s->no_revert = memory_elsewhere(root);
    if (!disks)
        all_internal(ctx, config, s);
    for (n = disks ? disks->children : NULL; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE)
            read_disk(ctx, n, config, s);
}

/* --- the document's own <domain> --- */

static void add_device(libxl_domain_config *config, const xmlNode *disk)
{
    const xmlNode *source = xluss__xml_child(disk, "source");
    char *path = xluss__xml_value(source, "file");
    char *vdev = xluss__xml_value(xluss__xml_child(disk, "target"), "dev");
    char *type = xluss__xml_value(xluss__xml_child(disk, "driver"), "type");
    libxl_device_disk *d;

    if (!path)
        path = xluss__xml_value(source, "dev");
    if (!path || !vdev) {
        free(path);
        free(vdev);
        free(type);
        return;
    }
    config->disks = xluss__realloc(config->disks, (config->num_disks + 1) *
                                                  sizeof(*config->disks));
    d = &config->disks[config->num_disks++];
    libxl_device_disk_init(d);
    d->pdev_path = path;
    d->vdev = vdev;
    d->backend = LIBXL_DISK_BACKEND_QDISK;
    d->readwrite = !xluss__xml_child(disk, "readonly");
    d->format = type && !strcmp(type, "qcow2") ? LIBXL_DISK_FORMAT_QCOW2
                                               : LIBXL_DISK_FORMAT_RAW;
    free(type);
}

void xluss__xml_domain_disks(xmlDoc *doc, libxl_domain_config *config)
{
    const xmlNode *domain, *devices, *n;

    domain = xluss__xml_child(xmlDocGetRootElement(doc), "domain");
    devices = xluss__xml_child(domain, "devices");
    for (n = devices ? devices->children : NULL; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE &&
            !strcmp((const char *)n->name, "disk"))
            add_device(config, n);
}
