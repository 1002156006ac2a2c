/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Where is the state of a disk, of a snapshot whose record is lost? What is
 * made outside of images has a name that says so, PATH.NAME or LV.NAME, and
 * bears a mark of its maker. Each kind is tried, and its driver decides.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xluss_check.h"

/* Bytes of the disk that a file holds; 0: not to be told. */
static uint64_t size_of(const char *path, bool is_qcow2)
{
    unsigned char header[32];
    uint64_t size = 0;
    struct stat st;
    int i, fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode)) {
        if (!is_qcow2)
            size = st.st_size;
        else if (pread(fd, header, sizeof(header), 0) == sizeof(header) &&
                 !memcmp(header, "QFI\xfb", 4))
            for (i = 24; i < 32; i++)
                size = size << 8 | header[i];
    }
    if (fd >= 0)
        close(fd);
    return size;
}

/* What revert wants to know, seen through the driver's eyes. */
static bool is_there(xluss__check *c, const char *name,
                     const libxl_disk_snapshot *d)
{
    xlu_snapshot_catalogue *cat = c->cat;
    libxl_domain_snapshot_args one;
    int rc;

    libxl_domain_snapshot_args_init(&one);
    one.name = xluss__strdup(name);
    one.disks = xluss__calloc(1, sizeof(*one.disks));
    one.num_disks = 1;
    libxl_disk_snapshot_init(&one.disks[0]);
    libxl_disk_snapshot_copy(cat->ctx, &one.disks[0], d);
    xluss__ear_dispose(&c->ear);
    rc = libxl_domain_snapshot_verify(cat->ctx, cat->dom.domid, &one, -1,
                                      &c->how, NULL);
    libxl_domain_snapshot_args_dispose(&one);
    return rc == 0;
}

/* `file` is frozen. A raw disk has moved then, to where it does by default;
 * another place was known to the record alone. */
static bool as_external(const char *file, libxl_disk_snapshot *d, char **why)
{
    bool is_qcow2 = d->device.format == LIBXL_DISK_FORMAT_QCOW2;
    char *overlay = is_qcow2 ? xluss__strdup(d->device.pdev_path)
                             : xluss__asprintf("%s.qcow2", file);

    if (access(overlay, F_OK)) {
        *why = xluss__asprintf("disk %s has moved when it was taken, and not "
                               "to %s", d->device.vdev, overlay);
        free(overlay);
        return false;
    }
    libxl_disk_snapshot_init_kind(d, LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL);
    d->u.external.external_format = LIBXL_DISK_FORMAT_QCOW2;
    d->u.external.external_path = overlay;
    d->u.external.base_path = xluss__strdup(file);
    d->size = size_of(file, is_qcow2);
    return d->size != 0;
}

static bool as_reflink(const char *file, libxl_disk_snapshot *d)
{
    libxl_disk_snapshot_init_kind(d, LIBXL_DISK_SNAPSHOT_KIND_REFLINK);
    d->u.reflink.reflink_path = xluss__strdup(file);
    d->size = size_of(file, d->device.format == LIBXL_DISK_FORMAT_QCOW2);
    return d->size != 0;
}

/* The library knows the name of a volume that it has made. */
static bool as_lvm(const char *name, libxl_disk_snapshot *d)
{
    const char *volume = d->device.pdev_path + strlen("/dev/");

    libxl_disk_snapshot_init_kind(d, LIBXL_DISK_SNAPSHOT_KIND_LVM);
    if (strncmp(volume, "mapper/", 7) && strchr(volume, '/'))
        d->u.lvm.lvm_volume = xluss__asprintf("%s.%s", volume, name);
    return true;
}

static bool try_file(const char *name, libxl_disk_snapshot *d, char **why)
{
    char *real = realpath(d->device.pdev_path, NULL);
    char *file = xluss__frozen_file(d->device.pdev_path, name);
    bool found = false;

    if (file && libxl_disk_file_is_frozen(file)) {
        found = as_external(file, d, why);
    } else {
        free(file);
        file = xluss__asprintf("%s.%s", real ? real : d->device.pdev_path,
                               name);
        found = !access(file, F_OK) && !libxl_disk_file_is_frozen(file) &&
                as_reflink(file, d);
    }
    free(real);
    free(file);
    return found;
}

/* In an image that an external snapshot has frozen since. */
static bool try_frozen(xluss__check *c, const char *name,
                       libxl_disk_snapshot *d)
{
    xlu_snapshot_catalogue *cat = c->cat;
    int i, j;

    libxl_disk_snapshot_init_kind(d, LIBXL_DISK_SNAPSHOT_KIND_INTERNAL);
    for (i = 0; i < cat->num_entries; i++)
        for (j = 0; j < cat->entries[i].s.args.num_disks; j++) {
            const libxl_disk_snapshot *x = &cat->entries[i].s.args.disks[j];
            const xluss__checked_image *im;

            if (x->kind != LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL ||
                !x->u.external.base_path || !x->device.vdev ||
                strcmp(x->device.vdev, d->device.vdev))
                continue;
            xluss__replace(&d->u.internal.internal_path,
                           x->u.external.base_path);
            im = xluss__check_image(c, d);
            if (!im->why && xluss__image_holds(im, name)) {
                d->size = im->snaps[0].size;
                return true;
            }
        }
    return false;
}

/* The same disk, of no kind yet. */
static void begin(libxl_ctx *ctx, const libxl_disk_snapshot *d,
                  const char *name, libxl_disk_snapshot *out)
{
    libxl_disk_snapshot_init(out);
    libxl_device_disk_copy(ctx, &out->device, &d->device);
    out->name = xluss__strdup(name);
}

bool xluss__rebuild_disk(xluss__check *c, const char *name,
                         libxl_disk_snapshot *d, char **why)
{
    libxl_disk_snapshot found;
    bool is_file = strncmp(d->device.pdev_path, "/dev/", 5) != 0, is;

    begin(c->cat->ctx, d, name, &found);
    is = is_file ? try_file(name, &found, why) : as_lvm(name, &found);
    is = is && is_there(c, name, &found);
    if (!is && !*why && is_file &&
        d->device.format == LIBXL_DISK_FORMAT_QCOW2) {
        libxl_disk_snapshot_dispose(&found);
        begin(c->cat->ctx, d, name, &found);
        is = try_frozen(c, name, &found);
    }
    if (is) {
        libxl_disk_snapshot_dispose(d);
        *d = found;
    } else {
        libxl_disk_snapshot_dispose(&found);
    }
    return is;
}
