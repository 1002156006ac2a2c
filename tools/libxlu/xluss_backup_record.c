/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What backups of all kinds have in common. Of each there is a record before
 * anything of it is, with the id that all of it will have and the files that
 * may be made: so whoever finds it knows what to take away, also where both
 * QEMU and the command have died.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xluss_backup.h"
#include "xluss_checkpoint.h"

bool xluss__is_gone(int rc)
{
    return rc == ERROR_NOTFOUND || rc == LIBXL_SNAPSHOT_ERROR_NO_QEMU ||
           rc == LIBXL_SNAPSHOT_ERROR_QEMU_DIED;
}

static char *scratch_path(const libxl_block_snapshot *s,
                          const libxl_device_disk *d)
{
    const char *slash = d->pdev_path ? strrchr(d->pdev_path, '/') : NULL;

    if (s->scratch_dir)
        return xluss__asprintf("%s/xlbs-%s-%s.scratch", s->scratch_dir, s->id,
                               d->vdev);
    return !slash ? NULL
        : xluss__asprintf("%.*s/xlbs-%s-%s.scratch",
                          (int)(slash - d->pdev_path), d->pdev_path, s->id,
                          d->vdev);
}

int xluss__foresee_scratch(xlu_snapshot_catalogue *cat,
                           libxl_block_snapshot *s)
{
    libxl_block_snapshot_disk *to;
    libxl_domain_config config;
    char *json = NULL, *path;
    int i, rc;

    libxl_domain_config_init(&config);
    rc = xluss__domain_config_json(cat, cat->dom.domid, &config, &json);
    for (i = 0; i < s->num_disks; i++)
        libxl_block_snapshot_disk_dispose(&s->disks[i]);
    s->num_disks = 0;
    s->disks = xluss__realloc(s->disks, (config.num_disks + 1) *
                              sizeof(*s->disks));
    for (i = 0; !rc && i < config.num_disks; i++) {
        const libxl_device_disk *d = &config.disks[i];

        if (!d->vdev || d->is_cdrom || !(path = scratch_path(s, d)))
            continue;
        to = &s->disks[s->num_disks++];
        libxl_block_snapshot_disk_init(to);
        to->vdev = xluss__strdup(d->vdev);
        to->scratch = path;
    }
    libxl_domain_config_dispose(&config);
    free(json);
    return rc;
}

int xluss__undo_checkpoint(xlu_snapshot_catalogue *cat,
                           const libxl_block_snapshot *s,
                           const libxl_snapshot_how *how)
{
    libxl_domain_checkpoint_args args;
    libxl_disk_checkpoint_list found;
    const libxl_disk_checkpoint *c = NULL;
    int rc;

    libxl_disk_checkpoint_list_init(&found);
    libxl_domain_checkpoint_args_init(&args);
    rc = libxl_domain_checkpoint_list(cat->ctx, cat->dom.domid, &found, how);
    if (!rc)
        c = xluss__checkpoint_on(&found, s->checkpoint, s->sequence, NULL);
    if (c) {
        args.name = xluss__strdup(c->name);
        args.sequence = c->sequence;
        rc = libxl_domain_checkpoint_delete(cat->ctx, cat->dom.domid, &args,
                                            how, NULL);
    }
    if (!rc)
        rc = xluss__checkpoint_drop(cat, s->checkpoint);
    libxl_domain_checkpoint_args_dispose(&args);
    libxl_disk_checkpoint_list_dispose(&found);
    return rc;
}

void xluss__backup_records_read(xlu_snapshot_catalogue *cat,
                                xluss__backup_records *out)
{
    libxl_domain_backup_args_init(&out->push);
    xlu_backup_pull_init(&out->pull);
    xlu_backup_save_init(&out->save);
    if (cat->dir.fd < 0)
        return;
    xluss__push_load(cat, &out->push);
    xluss__pull_load(cat, &out->pull);
    xluss__save_load(cat, &out->save);
}

void xluss__backup_records_dispose(xluss__backup_records *r)
{
    libxl_domain_backup_args_dispose(&r->push);
    xlu_backup_pull_dispose(&r->pull);
    xlu_backup_save_dispose(&r->save);
}

static bool is_in(const char *s, const char *const *list, int num)
{
    int i;

    for (i = 0; s && i < num; i++)
        if (list[i] && !strcmp(list[i], s))
            return true;
    return false;
}

bool xluss__backup_owns(const xluss__backup_records *r, const char *id)
{
    const char *const ids[] = {
        r->push.id, r->pull.snapshot.id, r->pull.exported.id,
        r->save.snapshot.id, r->save.export.id,
    };

    return is_in(id, ids, sizeof(ids) / sizeof(ids[0]));
}

bool xluss__backup_has_checkpoint(const xluss__backup_records *r,
                                  const char *name)
{
    const char *const names[] = {
        r->push.checkpoint, r->pull.snapshot.checkpoint,
        r->save.snapshot.checkpoint,
    };

    return is_in(name, names, sizeof(names) / sizeof(names[0]));
}

/* Num RefCount Protocol Flags Type St Inode Path */
static bool is_listened_at(const char *path)
{
    char *line = NULL;
    bool found = false;
    size_t size = 0;
    ssize_t len;
    int at;
    FILE *f = fopen("/proc/net/unix", "re");

    while (f && !found && (len = getline(&line, &size, f)) > 0) {
        line[len - 1] = '\0';
        at = 0;
        sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %n", &at);
        found = at && !strcmp(line + at, path);
    }
    if (f)
        fclose(f);
    free(line);
    /* What can't be known is in use. */
    return found || !f;
}

void xluss__socket_drop(const char *path)
{
    struct stat st;

    if (!lstat(path, &st) && S_ISSOCK(st.st_mode) && !is_listened_at(path))
        unlink(path);
}
