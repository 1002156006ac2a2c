/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Scratch files: for root alone, since they hold what was in the guest. Each
 * is in the folder that was asked for, or in that of the disk's image.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "view_api.h"

static const char *choose(struct libxlss__op *op,
                          const struct libxlss__view *v,
                          const struct libxlss__view_disk *d)
{
    const char *path = d->disk->path;
    struct stat st;

    if (v->scratch_dir)
        return libxlss__printf(op, "%s/" XLSS_VIEW "%s-%s.scratch",
                               v->scratch_dir, v->id, d->vdev);
    if (stat(path, &st) || !S_ISREG(st.st_mode)) {
        LOG_ERROR(op, "disk %s: %s is no file, so a folder for the scratch "
                  "file has to be said", d->vdev, path);
        return NULL;
    }
    return libxlss__path_beside(op, path,
               libxlss__printf(op, XLSS_VIEW "%s-%s.scratch", v->id,
                               d->vdev));
}

/* As long as it may become: QEMU is told to see a device of that size. */
static int set_length(struct libxlss__op *op, const char *path, uint64_t max)
{
    if (!max || !truncate(path, max))
        return 0;
    LOG_ERRNO(op, "cannot make %s %llu bytes long", path,
              (unsigned long long)max);
    return ERROR_FAIL;
}

bool libxlss__is_scratch(const char *path, const char *id)
{
    const char *name = strrchr(path, '/');
    size_t prefix = strlen(XLSS_VIEW), len = strlen(path);

    return path[0] == '/' && !strncmp(++name, XLSS_VIEW, prefix) &&
           !strncmp(name + prefix, id, XLSS_VIEW_ID) &&
           len > 8 && !strcmp(path + len - 8, ".scratch");
}

static int make_one(struct libxlss__op *op, const struct libxlss__view *v,
                    struct libxlss__view_disk *d)
{
    int rc;

    d->scratch_path = choose(op, v, d);
    if (!d->scratch_path)
        return ERROR_INVAL;
    rc = libxlss__file_reserve(op, d->scratch_path);
    if (rc)
        return rc;
    d->scratch_reserved = true;
    rc = libxlss__image_make_as(op, d->scratch_path, "qcow2", NULL, NULL,
                                d->size);
    return rc ? rc : set_length(op, d->scratch_path, v->scratch_max);
}

int libxlss__scratch_make(struct libxlss__op *op, struct libxlss__view *v)
{
    int i, rc = 0;

    if (v->scratch_dir && v->scratch_dir[0] != '/') {
        LOG_ERROR(op, "the folder for scratch files, %s, is not absolute",
                  v->scratch_dir);
        return ERROR_INVAL;
    }
    for (i = 0; !rc && i < v->num_disks; i++)
        rc = make_one(op, v, &v->disks[i]);
    return rc;
}

void libxlss__scratch_remove(struct libxlss__op *op,
                             const struct libxlss__view *v)
{
    int i;

    for (i = 0; i < v->num_disks; i++) {
        const struct libxlss__view_disk *d = &v->disks[i];

        if (d->scratch_reserved || d->scratch_file)
            libxlss__file_unlink(op, d->scratch_path);
    }
}
