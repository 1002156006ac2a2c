/* SPDX-License-Identifier: LGPL-2.1-only */
/* backup-verify: can what is there be restored? */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bk.h"
#include "xl_session.h"

/* The file of the recorded size, which is no link to another. */
static bool file_ok(int dir, const struct bk_disk *d, char **problem)
{
    char *file = bk_file_name(d->vdev);
    struct stat st;

    *problem = NULL;
    if (fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW))
        *problem = xl_strdup(strerror(errno));
    else if (!S_ISREG(st.st_mode))
        *problem = xl_strdup("it is no file");
    else if ((uint64_t)st.st_size != d->file_size)
        *problem = xl_printf("it has %llu bytes, not %llu",
                             (unsigned long long)st.st_size,
                             (unsigned long long)d->file_size);
    free(file);
    return !*problem;
}

static bool sum_ok(int dir, const struct bk_disk *d, char **problem)
{
    struct bk_disk now = { .vdev = d->vdev };

    if (!bk_image_hash(dir, &now, problem))
        return false;
    if (strcmp(now.xxh64, d->xxh64))
        *problem = xl_printf("its checksum is %s, not %s", now.xxh64,
                             d->xxh64);
    return !*problem;
}

/* QEMU opens only what has the checksum that we gave it. */
static bool disk_ok(struct bk_folder *f, const struct bk_set *s, int dir,
                    const struct bk_disk *d, bool deep)
{
    char *problem = NULL;
    bool good = file_ok(dir, d, &problem) &&
                (!deep || sum_ok(dir, d, &problem)) &&
                bk_image_header_ok(dir, d->vdev, d->size, s->base,
                                   &problem) &&
                (!deep || bk_image_check(dir, d->vdev, &problem));

    if (!good && !bk_interrupted())
        xl_say("set %s is damaged: %s/%s/%s.qcow2: %s", s->name, f->path,
               s->name, d->vdev, problem ? problem : "unknown");
    free(problem);
    return good;
}

static bool set_ok(struct bk_folder *f, struct bk_set *s,
                   const struct bk_set *base, bool deep)
{
    struct stat st;
    bool good = true;
    int i, dir;

    if (bk_folder_open_set(f, s->name, &dir))
        return false;
    if (fstatat(dir, BK_CONFIG, &st, AT_SYMLINK_NOFOLLOW)) {
        xl_say("set %s is damaged: %s/%s/" BK_CONFIG ": %s", s->name,
               f->path, s->name, strerror(errno));
        good = false;
    }
    for (i = 0; i < s->num_disks && !bk_interrupted(); i++) {
        if (base && !bk_set_disk(base, s->disks[i].vdev)) {
            xl_say("set %s is damaged: its base %s has no disk %s", s->name,
                   base->name, s->disks[i].vdev);
            good = false;
        } else if (!disk_ok(f, s, dir, &s->disks[i], deep)) {
            good = false;
        }
    }
    close(dir);
    return good;
}

static int walk(struct bk_folder *f, struct bk_set *s, bool deep)
{
    char *problem;
    struct bk_set **chain = bk_chain(f->sets, f->num, s, &problem);
    bool good = chain;
    int i;

    if (!chain)
        xl_say("%s: %s", f->path, problem);
    for (i = 0; chain && chain[i] && !bk_interrupted(); i++) {
        if (!deep) {
            good &= set_ok(f, chain[i], chain[i + 1], false);
            continue;
        }
        if (!chain[i]->state)
            chain[i]->state = set_ok(f, chain[i], chain[i + 1], true) ? 1
                                                                      : -1;
        good &= chain[i]->state > 0;
    }
    free(chain);
    free(problem);
    if (bk_interrupted())
        return bk_say_interrupted("verification");
    return good ? 0 : XL_EXIT_DAMAGED;
}

int bk_verify_chain(struct bk_folder *f, struct bk_set *s)
{
    return walk(f, s, true);
}

int bk_look_at_chain(struct bk_folder *f, struct bk_set *s)
{
    return walk(f, s, false);
}

static int verify_all(struct bk_folder *f)
{
    int i, one, status = 0;

    if (!f->num) {
        xl_say("%s holds no backups", f->path);
        return XL_EXIT_NOT_FOUND;
    }
    for (i = 0; i < f->num && !bk_interrupted(); i++) {
        one = bk_verify_chain(f, &f->sets[i]);
        if (one)
            status = one;
        else
            printf("%s: good\n", f->sets[i].name);
    }
    return status;
}

int bk_verify(const struct xl_save_options *o)
{
    struct bk_folder f;
    struct bk_set *s;
    int status = bk_folder_open(&f, o->dir, BK_READ);

    xl_session_catch_signals();
    if (!status && !o->set) {
        status = verify_all(&f);
    } else if (!status) {
        status = bk_folder_pick(&f, o->set, &s);
        if (!status)
            status = bk_verify_chain(&f, s);
        if (!status)
            printf("%s: good\n", s->name);
    }
    bk_folder_close(&f);
    return status;
}
