/* SPDX-License-Identifier: LGPL-2.1-only */
/* backup-restore: flat images of the disks, as they were. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bk.h"
#include "xl_session.h"

#define CONFIG_MAX (16u << 20)  /* bytes */
#define CFG "domain.cfg"

struct restore {
    const struct xl_save_options *o;
    struct bk_folder folder;
    struct bk_set *set;
    int from, to;               /* the set's folder, the target */
    char *path;                 /* of the target, absolute */
    const char *format;
    char *json, *cfg;           /* cfg may be NULL */
};

static bool wanted(const struct restore *r, const char *vdev)
{
    int i;

    for (i = 0; i < r->o->num_vdevs; i++)
        if (!strcmp(r->o->vdevs[i], vdev))
            return true;
    return !r->o->num_vdevs;
}

static int check_disks(const struct restore *r)
{
    int i;

    for (i = 0; i < r->o->num_vdevs; i++)
        if (!bk_set_disk(r->set, r->o->vdevs[i])) {
            xl_say("set %s has no disk %s", r->set->name, r->o->vdevs[i]);
            return XL_EXIT_NOT_FOUND;
        }
    return 0;
}

static bool is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    return !strncmp(path, folder, len) && (!path[len] || path[len] == '/');
}

static int open_target(struct restore *r)
{
    if (mkdir(r->o->target, 0700) && errno != EEXIST) {
        xl_say("making %s: %s", r->o->target, strerror(errno));
        return XL_EXIT_FAILED;
    }
    r->path = realpath(r->o->target, NULL);
    if (r->path && is_below(r->path, r->folder.path)) {
        xl_say("%s belongs to the backups", r->path);
        return XL_EXIT_USAGE;
    }
    if (r->path)
        r->to = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->to >= 0)
        return 0;
    xl_say("%s: %s", r->o->target, strerror(errno));
    return XL_EXIT_FAILED;
}

static int check_free(const struct restore *r, const char *name)
{
    struct stat st;

    if (fstatat(r->to, name, &st, AT_SYMLINK_NOFOLLOW))
        return 0;
    if (r->o->force && S_ISREG(st.st_mode))
        return 0;
    xl_say("%s/%s is there already%s", r->path, name,
           r->o->force ? ", and is no file" : "; --force overwrites it");
    return XL_EXIT_EXISTS;
}

static int check_target(const struct restore *r)
{
    int i, status = check_free(r, BK_CONFIG);

    if (!status && r->cfg)
        status = check_free(r, CFG);
    for (i = 0; i < r->set->num_disks && !status; i++) {
        char *name = xl_printf("%s.%s", r->set->disks[i].vdev, r->format);

        if (wanted(r, r->set->disks[i].vdev))
            status = check_free(r, name);
        free(name);
    }
    return status;
}

static int restore_disk(struct restore *r, const struct bk_disk *d)
{
    char *name = xl_printf("%s.%s", d->vdev, r->format);
    char *part = xl_printf(".%s.partial", name);
    int status = bk_unlink(r->to, part, 0, r->path);

    if (!status)
        status = bk_image_flatten(r->from, d->vdev, d->size, r->to, r->path,
                                  part, r->o->raw);
    if (!status)
        status = bk_image_sync(r->to, part, part);
    if (!status)
        status = bk_rename(r->to, part, name, r->path);
    if (status)
        bk_unlink(r->to, part, 0, r->path);
    else
        printf("%s/%s\n", r->path, name);
    free(part);
    free(name);
    return status;
}

static int put(struct restore *r, const char *name, const char *text)
{
    char *part = xl_printf(".%s.partial", name);
    int status = bk_unlink(r->to, part, 0, r->path);

    if (!status)
        status = bk_put(r->to, part, text, r->path);
    if (!status)
        status = bk_rename(r->to, part, name, r->path);
    free(part);
    return status;
}

static int read_config(struct restore *r)
{
    size_t len;

    r->json = bk_get(r->from, BK_CONFIG, CONFIG_MAX, &len);
    if (!r->json) {
        xl_say("set %s: its configuration can't be read", r->set->name);
        return XL_EXIT_DAMAGED;
    }
    r->cfg = bk_config_write(r->json, r->path, r->set, r->format);
    return 0;
}

static void print_hint(const struct restore *r)
{
    char *path = xl_printf("%s/" CFG, r->path), *word = xl_shell_word(path);

    if (r->cfg && !r->o->num_vdevs)
        printf("To start it, after a look into that file:\n"
               "    xl create %s\n", word);
    free(word);
    free(path);
}

static int restore_all(struct restore *r)
{
    int i, status = 0;

    for (i = 0; i < r->set->num_disks && !status; i++)
        if (wanted(r, r->set->disks[i].vdev))
            status = restore_disk(r, &r->set->disks[i]);
    if (!status)
        status = put(r, BK_CONFIG, r->json);
    if (!status && r->cfg)
        status = put(r, CFG, r->cfg);
    if (!status)
        status = bk_sync(r->to, r->path);
    if (bk_interrupted())
        return bk_say_interrupted("restore");
    if (!status)
        print_hint(r);
    return status;
}

static int run(struct restore *r)
{
    int status = bk_folder_open(&r->folder, r->o->dir, BK_READ);

    xl_session_catch_signals();
    if (!status)
        status = bk_folder_pick(&r->folder, r->o->set, &r->set);
    if (!status && r->set->problem) {
        xl_say("the record of set %s can't be used: %s", r->set->name,
               r->set->problem);
        status = XL_EXIT_DAMAGED;
    }
    if (!status)
        status = check_disks(r);
    if (!status)
        status = open_target(r);
    if (!status)
        status = bk_folder_open_set(&r->folder, r->set->name, &r->from);
    if (!status)
        status = read_config(r);
    if (!status)
        status = check_target(r);
    if (!status)
        status = r->o->no_verify ? bk_look_at_chain(&r->folder, r->set)
                                 : bk_verify_chain(&r->folder, r->set);
    return status ? status : restore_all(r);
}

int bk_restore(const struct xl_save_options *o)
{
    struct restore r = { .o = o, .from = -1, .to = -1 };
    int status;

    r.format = o->raw ? "raw" : "qcow2";
    status = run(&r);
    if (r.from >= 0)
        close(r.from);
    if (r.to >= 0)
        close(r.to);
    bk_folder_close(&r.folder);
    free(r.path);
    free(r.json);
    free(r.cfg);
    return status;
}
