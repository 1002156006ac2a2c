/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Snapshots of LVM's thin volumes: a thin snapshot in the same pool, read-
 * only and not activated. lvcreate stops and drains the volume itself while
 * it makes one.
 *
 * A revert doesn't merge, which would use the snapshot up: LV.xlss-new is
 * made from the snapshot, LV is removed, LV.xlss-new gets its name. If that
 * was interrupted, the next call finds LV missing and LV.xlss-new there, or
 * both, and begins again from either.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "disk.h"
#include "lvm.h"

/* On every volume that is a snapshot made here. */
#define TAG "xlss.snapshot"
#define NEW "xlss-new"
/* A pool that is fuller than this, in per cent, gets no snapshots: one that
 * runs full fails the writes of all its volumes. */
#define POOL_LIMIT 95.0
/* Of other programs, on one volume. */
#define MAX_TAGS 64

struct place {
    char vg[LVM_NAME], lv[LVM_NAME];
    char volume[LVM_NAME];      /* the snapshot's */
};

static bool read_sys(dev_t dev, const char *what, char text[256])
{
    char path[64];
    FILE *f;
    bool ok;

    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/dm/%s", major(dev),
             minor(dev), what);
    f = fopen(path, "re");
    if (!f)
        return false;
    ok = fgets(text, 256, f);
    fclose(f);
    if (ok)
        text[strcspn(text, "\n")] = '\0';
    return ok;
}

/* By what the kernel says; for a volume that isn't there at the moment (in
 * the middle of a revert), by the path. */
static bool find_volume(const char *path, struct place *p)
{
    char text[256], link[PATH_MAX];
    struct stat st;
    ssize_t len;
    int depth;

    if (!stat(path, &st))
        return S_ISBLK(st.st_mode) && read_sys(st.st_rdev, "uuid", text) &&
               !strncmp(text, "LVM-", 4) &&
               read_sys(st.st_rdev, "name", text) &&
               libxlss__lvm_split(text, p->vg, p->lv);
    for (depth = 0; depth < 8; depth++) {
        if (libxlss__lvm_path(path, p->vg, p->lv))
            return true;
        len = readlink(path, text, sizeof(text) - 1);
        if (len <= 0 || *text != '/')
            return false;
        text[len] = '\0';
        path = strcpy(link, text);
    }
    return false;
}

/* VG/VOLUME, or VOLUME alone. */
static bool take_volume(const char *text, struct place *p)
{
    const char *slash = strchr(text, '/');

    if (slash && (strlen(p->vg) != (size_t)(slash - text) ||
                  strncmp(p->vg, text, slash - text)))
        return false;
    text = slash ? slash + 1 : text;
    if (strlen(text) >= LVM_NAME || !strcmp(text, p->lv) ||
        !libxlss__lvm_name_ok(p->vg, text))
        return false;
    strcpy(p->volume, text);
    return true;
}

static int locate(struct libxlss__op *op, const struct libxlss__disk *disk,
                  const char *name, struct place *p)
{
    const char *given = disk->snap.kind == LIBXL_DISK_SNAPSHOT_KIND_LVM
                        ? disk->snap.u.lvm.lvm_volume : NULL;

    memset(p, 0, sizeof(*p));
    if (!find_volume(disk->path, p)) {
        LOG_ERROR(op, "disk %s: %s is no LVM volume", disk->vdev,
                  disk->path);
        return XLSS(NOT_POSSIBLE);
    }
    if (!given || strcmp(name, disk->name)) {
        libxlss__lvm_volume(p->vg, p->lv, name, p->volume);
        return 0;
    }
    if (take_volume(given, p))
        return 0;
    LOG_ERROR(op, "disk %s: \"%s\" can't be the volume of a snapshot of "
              "%s/%s", disk->vdev, given, p->vg, p->lv);
    return ERROR_INVAL;
}

static char *full(struct libxlss__op *op, const struct place *p,
                  const char *lv)
{
    return libxlss__printf(op, "%s/%s", p->vg, lv);
}

static const char *problem(struct libxlss__op *op,
                           const struct libxlss__disk *disk)
{
    struct libxlss__lvm_group group;
    const struct libxlss__lv *lv;
    struct place p;

    if (!libxlss__backend_is_here(disk))
        return "its backend is another domain";
    if (disk->dev.backend != LIBXL_DISK_BACKEND_QDISK &&
        disk->dev.backend != LIBXL_DISK_BACKEND_PHY)
        return "its backend is neither QEMU (qdisk) nor blkback (phy)";
    if (disk->dev.format != LIBXL_DISK_FORMAT_RAW)
        return "its format is not raw";
    if (disk->path[0] != '/' || !find_volume(disk->path, &p))
        return "it is no LVM volume";
    if (libxlss__lvm_read(op, p.vg, &group))
        return "lvs does not tell what it is";
    lv = libxlss__lvm_find(&group, p.lv);
    if (!lv)
        return "LVM has no such volume";
    if (!libxlss__lvm_is_thin(lv))
        return "it is no thin volume, and only those have snapshots that "
               "cost nothing (lvconvert --type thin makes one of it)";
    return NULL;
}

static bool fits(struct libxlss__op *op, struct libxlss__disk *disk, bool say)
{
    const char *why = problem(op, disk);

    if (why && say)
        LOG_ERROR(op, "disk %s (%s): no LVM snapshot is possible: %s; leave "
                  "it out with kind none", disk->vdev, disk->path, why);
    return !why;
}

static int check_pool(struct libxlss__op *op, const struct libxlss__disk *disk,
                      const struct place *p,
                      const struct libxlss__lvm_group *group,
                      const struct libxlss__lv *lv)
{
    const struct libxlss__lv *pool = libxlss__lvm_find(group, lv->pool);

    if (!pool || (pool->data <= POOL_LIMIT && pool->metadata <= POOL_LIMIT))
        return 0;
    LOG_ERROR(op, "disk %s: the thin pool %s/%s has too little space for a "
              "snapshot: %.1f %% of its data and %.1f %% of its metadata are "
              "in use, the limit is %.0f %%", disk->vdev, p->vg, lv->pool,
              pool->data, pool->metadata, POOL_LIMIT);
    return XLSS(NO_SPACE);
}

static int plan(struct libxlss__op *op, struct libxlss__qmp *qmp,
                struct libxlss__disk *disk, const char *name)
{
    struct libxlss__lvm_group group;
    const struct libxlss__lv *lv;
    struct place p;
    int rc = locate(op, disk, name, &p);

    (void)qmp;
    if (!rc)
        rc = libxlss__lvm_read(op, p.vg, &group);
    if (rc)
        return rc;
    lv = libxlss__lvm_find(&group, p.lv);
    if (!lv)
        return ERROR_FAIL;      /* it was there a moment ago */
    if (libxlss__lvm_find(&group, p.volume)) {
        LOG_ERROR(op, "disk %s: a volume %s/%s exists already", disk->vdev,
                  p.vg, p.volume);
        return XLSS(EXISTS);
    }
    rc = check_pool(op, disk, &p, &group, lv);
    if (rc)
        return rc;
    if (!disk->size)
        disk->size = lv->size;
    free(disk->snap.u.lvm.lvm_volume);
    disk->snap.u.lvm.lvm_volume = strdup(full(op, &p, p.volume));
    return disk->snap.u.lvm.lvm_volume ? 0 : ERROR_NOMEM;
}

static int instant(struct libxlss__op *op, struct libxlss__disk *disk,
                   const char *name)
{
    struct place p;
    int rc = locate(op, disk, name, &p);
    const char *const argv[] = {
        "lvcreate", "--yes", "--snapshot", "--permission", "r",
        "--setactivationskip", "y", "--addtag", TAG, "--name", p.volume,
        full(op, &p, p.lv), NULL };

    if (rc)
        disk->taken = false;
    return rc ? rc : libxlss__lvm_run(op, argv, NULL);
}

static int remove_volume(struct libxlss__op *op, const struct place *p,
                         const char *lv)
{
    const char *const argv[] = { "lvremove", "--yes", full(op, p, lv), NULL };

    return libxlss__lvm_run(op, argv, NULL);
}

static int check_ours(struct libxlss__op *op, const struct libxlss__disk *disk,
                      const struct place *p, const struct libxlss__lv *volume)
{
    if (libxlss__lvm_is_thin(volume) && libxlss__lvm_has_tag(volume, TAG))
        return 0;
    LOG_ERROR(op, "disk %s: the volume %s/%s is not a snapshot that was made "
              "here: it lacks the tag " TAG, disk->vdev, p->vg, p->volume);
    return XLSS(DAMAGED);
}

static int drop(struct libxlss__op *op, struct libxlss__disk *disk,
                const char *name)
{
    struct libxlss__lvm_group group;
    const struct libxlss__lv *volume;
    struct place p;
    int rc = locate(op, disk, name, &p);

    if (!rc)
        rc = libxlss__lvm_read(op, p.vg, &group);
    volume = rc ? NULL : libxlss__lvm_find(&group, p.volume);
    if (!volume)
        return rc;
    rc = check_ours(op, disk, &p, volume);
    return rc ? rc : remove_volume(op, &p, p.volume);
}

/* No other domain has it, and no program. */
static int check_idle(struct libxlss__op *op, const struct libxlss__disk *disk)
{
    return access(disk->path, F_OK) ? 0 : libxlss__image_idle(op, disk->path);
}

static int verify(struct libxlss__op *op, struct libxlss__disk *disk,
                  const char *name)
{
    struct libxlss__lvm_group group;
    const struct libxlss__lv *volume;
    struct place p;
    int rc = locate(op, disk, name, &p);

    if (!rc)
        rc = libxlss__lvm_read(op, p.vg, &group);
    if (rc)
        return rc;
    volume = libxlss__lvm_find(&group, p.volume);
    if (!volume) {
        LOG_ERROR(op, "disk %s: its snapshot, the volume %s/%s, is missing",
                  disk->vdev, p.vg, p.volume);
        return XLSS(DAMAGED);
    }
    rc = check_ours(op, disk, &p, volume);
    if (!rc && disk->snap.size && volume->size != disk->snap.size) {
        LOG_ERROR(op, "disk %s: its snapshot, the volume %s/%s, has %llu "
                  "bytes, it had %llu", disk->vdev, p.vg, p.volume,
                  (unsigned long long)volume->size,
                  (unsigned long long)disk->snap.size);
        rc = XLSS(DAMAGED);
    }
    if (!rc && op->domid == XLSS_OFF)
        rc = check_idle(op, disk);
    return rc;
}

/* A copy of the volume as the snapshot has it, with the tags that others
 * gave the volume. */
static int make_new(struct libxlss__op *op, const struct place *p,
                    const char *new, const struct libxlss__lv *old)
{
    const char *argv[16 + 2 * MAX_TAGS] = {
        "lvcreate", "--yes", "--snapshot", "--permission", "rw",
        "--setactivationskip", "n", "--activate", "y", "--name", new };
    char *tags = libxlss__strdup(op, old->tags), *tag;
    int n = 11;

    while ((tag = strsep(&tags, ",")) && n < 11 + 2 * MAX_TAGS)
        if (*tag) {
            argv[n++] = "--addtag";
            argv[n++] = tag;
        }
    argv[n++] = full(op, p, p->volume);
    return libxlss__lvm_run(op, argv, NULL);
}

static int rename_new(struct libxlss__op *op, const struct place *p,
                      const char *new)
{
    const char *const argv[] = { "lvrename", p->vg, new, p->lv, NULL };

    return libxlss__lvm_run(op, argv, NULL);
}

/* What an interrupted call may have left is put away; *lv_r is the volume,
 * when nobody has it open. */
static int tidy(struct libxlss__op *op, const struct libxlss__disk *disk,
                const struct place *p, const char *new,
                struct libxlss__lvm_group *group,
                const struct libxlss__lv **lv_r)
{
    uint64_t end = libxlss__now_ms() + libxlss__close_ms;
    int rc;

    for (;;) {
        rc = libxlss__lvm_read(op, p->vg, group);
        if (rc)
            return rc;
        *lv_r = libxlss__lvm_find(group, p->lv);
        if (!*lv_r && libxlss__lvm_find(group, new)) {
            rc = rename_new(op, p, new);
        } else if (!*lv_r) {
            LOG_ERROR(op, "disk %s: the volume %s/%s is gone", disk->vdev,
                      p->vg, p->lv);
            rc = ERROR_NOTFOUND;
        } else if (libxlss__lvm_find(group, new)) {
            rc = remove_volume(op, p, new);
        } else if (!libxlss__lvm_is_open(*lv_r)) {
            return 0;
        } else if (libxlss__now_ms() >= end) {
            LOG_ERROR(op, "disk %s: the volume %s/%s is still open",
                      disk->vdev, p->vg, p->lv);
            rc = XLSS(NOT_POSSIBLE);
        } else {
            libxlss__sleep_ms(200);
        }
        if (rc)
            return rc;
    }
}

static int revert(struct libxlss__op *op, struct libxlss__disk *disk,
                  const char *name)
{
    struct libxlss__lvm_group group;
    const struct libxlss__lv *lv;
    char new[LVM_NAME];
    struct place p;
    int rc = locate(op, disk, name, &p);

    if (!rc)
        rc = check_idle(op, disk);
    if (rc)
        return rc;
    libxlss__lvm_volume(p.vg, p.lv, NEW, new);
    rc = tidy(op, disk, &p, new, &group, &lv);
    if (!rc && !libxlss__lvm_find(&group, p.volume)) {
        LOG_ERROR(op, "disk %s: its snapshot, the volume %s/%s, is missing",
                  disk->vdev, p.vg, p.volume);
        rc = XLSS(DAMAGED);
    }
    if (!rc)
        rc = make_new(op, &p, new, lv);
    if (!rc)
        rc = remove_volume(op, &p, p.lv);
    return rc ? rc : rename_new(op, &p, new);
}

const struct libxlss__disk_driver libxlss__disk_lvm = {
    .kind = LIBXL_DISK_SNAPSHOT_KIND_LVM,
    .made_outside = true,
    .fits = fits,
    .plan = plan,
    .instant = instant,
    .drop = drop,
    .verify_offline = verify,
    .revert = revert,
};
