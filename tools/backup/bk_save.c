/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * backup-save. First, under the catalogue's lock, the view and its export;
 * then the copy, under no lock but the folder's; then, under the catalogue's
 * again, both are taken down. The set counts from the moment it has its name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bk_save.h"

#define CONNECTIONS 1           /* to the server of the target */

/* --- the view --- */

static char *absolute(const char *path)
{
    char *folder, *text;

    if (*path == '/')
        return xl_strdup(path);
    folder = getcwd(NULL, 0);
    text = xl_printf("%s/%s", folder ? folder : "", path);
    free(folder);
    return text;
}

static void ask_for_view(struct bk_save *s)
{
    libxl_block_snapshot *v = &s->rec.snapshot;
    int i, n = s->o->num_vdevs;

    xlu_backup_save_dispose(&s->rec);
    xlu_backup_save_init(&s->rec);
    s->rec.folder = xl_strdup(s->folder.path);
    s->rec.name = xl_strdup(s->set.name);
    v->checkpoint = xl_strdup(s->set.name);
    v->since = s->base ? xl_strdup(s->base->name) : NULL;
    v->scratch_dir = s->o->scratch ? absolute(s->o->scratch) : NULL;
    if (s->o->quiesce)
        libxl_defbool_set(&v->quiesce, true);
    v->disks = n ? xl_alloc(n, sizeof(*v->disks)) : NULL;
    v->num_disks = n;
    for (i = 0; i < n; i++) {
        libxl_block_snapshot_disk_init(&v->disks[i]);
        v->disks[i].vdev = xl_strdup(s->o->vdevs[i]);
    }
}

/* The same disks, of the same size? NULL: yes; else why not. */
static char *differs(const struct bk_save *s)
{
    const libxl_block_snapshot *v = &s->rec.snapshot;
    int i;

    for (i = 0; s->base && i < v->num_disks; i++) {
        struct bk_disk *d = bk_set_disk(s->base, v->disks[i].vdev);

        if (!d)
            return xl_printf("set %s has no disk %s", s->base->name,
                             v->disks[i].vdev);
        if (d->size != v->disks[i].size)
            return xl_printf("the size of disk %s has changed",
                             v->disks[i].vdev);
    }
    return NULL;
}

static int begin(struct bk_save *s, struct xl_session *session)
{
    char *why;
    int rc;

    ask_for_view(s);
    rc = xlu_backup_save_begin(session->cat, &s->rec, &s->lock,
                               &session->how);
    if (rc == LIBXL_SNAPSHOT_ERROR_BITMAP_BROKEN && s->base &&
        !s->o->strict) {
        bk_save_lose(s, "what was written since is not known");
        return begin(s, session);
    }
    if (rc)
        return xl_session_failed(rc, "backup of", session->dom.name);
    why = differs(s);
    if (!why)
        return 0;
    rc = bk_save_lose(s, why);
    free(why);
    if (xlu_backup_save_end(session->cat, &s->rec, false, NULL))
        rc = XL_EXIT_REPAIR;
    close(s->lock);
    s->lock = -1;
    return rc ? rc : begin(s, session);
}

/* What the lower library has made of it; the record without it is fine. */
static void note_sequence(struct bk_save *s, struct xl_session *session)
{
    libxl_disk_checkpoint_list list;
    int i;

    libxl_disk_checkpoint_list_init(&list);
    xl_log_quiet(true);
    if (!libxl_domain_checkpoint_list(session->ctx, session->dom.domid,
                                      &list, &session->how))
        for (i = 0; i < list.num_checkpoints; i++)
            if (!strcmp(list.checkpoints[i].name, s->set.name))
                s->set.sequence = list.checkpoints[i].sequence;
    xl_log_quiet(false);
    libxl_disk_checkpoint_list_dispose(&list);
}

static void fill_set(struct bk_save *s, struct xl_session *session)
{
    const libxl_block_snapshot *v = &s->rec.snapshot;
    struct bk_set *set = &s->set;
    int i;

    set->base = s->base ? xl_strdup(s->base->name) : NULL;
    set->domain = xl_strdup(session->dom.name);
    set->uuid = xl_strdup(session->dom.uuid);
    set->version = xl_strdup(PACKAGE_VERSION);
    set->quiesced = !libxl_defbool_is_default(v->quiesced) &&
                    libxl_defbool_val(v->quiesced);
    for (i = 0; i < v->num_disks; i++)
        bk_set_add(set, v->disks[i].vdev)->size = v->disks[i].size;
    note_sequence(s, session);
}

/* They become names of files. */
static int check_names(const struct bk_save *s)
{
    int i;

    for (i = 0; i < s->set.num_disks; i++)
        if (!bk_vdev_ok(s->set.disks[i].vdev)) {
            xl_say("domain %s: disk %s has a name that can't be a file's",
                   s->set.domain, s->set.disks[i].vdev);
            return XL_EXIT_NOT_POSSIBLE;
        }
    return 0;
}

static int open_view(struct bk_save *s)
{
    struct xl_session session;
    int rc, status = xl_session_begin(&session, s->globals, s->o->domain);

    if (!status)
        status = bk_folder_open(&s->folder, s->o->dir, BK_SAVE);
    if (!status)
        status = bk_save_find_base(s);
    if (!status)
        status = bk_save_check_owner(s, &session.dom);
    if (!status)
        status = xl_session_write(&session, s->o->wait);
    if (!status)
        status = bk_save_check_checkpoint(s, session.cat);
    s->set.time = time(NULL);
    if (!status)
        status = bk_save_choose_name(s, session.cat);
    if (!status)
        status = begin(s, &session);
    if (!status) {
        fill_set(s, &session);
        status = check_names(s);
        rc = xlu_backup_domain_config(session.cat, &s->config);
        if (rc)
            status = xl_session_failed(rc, "configuration of",
                                       session.dom.name);
    }
    if (session.cat)
        xl_session_finish(&session, 0, "backup");
    xl_session_end(&session);
    return status;
}

static int close_view(struct bk_save *s, bool good)
{
    struct xl_session session;
    int rc, status = xl_session_begin(&session, s->globals, s->set.uuid);

    if (!status)
        status = xl_session_write(&session, true);
    if (!status) {
        rc = xlu_backup_save_end(session.cat, &s->rec, good, NULL);
        status = rc ? xl_session_failed(rc, "end of the backup of",
                                        session.dom.name) : 0;
        if (!status && good)
            bk_save_tidy(s, &session);
    }
    xl_session_end(&session);
    if (!status)
        return 0;
    xl_say("domain %s: what the backup has left there could not be taken "
           "away; use backup-stop", s->set.domain);
    return XL_EXIT_REPAIR;
}

/* --- the copy --- */

static void draw(void *user, uint64_t done, uint64_t total)
{
    struct bk_save *s = user;
    static int last = -1;
    uint64_t all = 0, before = 0;
    int i, percent;

    (void)total;
    if (!s->globals->progress_cr && !isatty(2))
        return;
    for (i = 0; i < s->set.num_disks; i++) {
        before += i < s->disk ? s->set.disks[i].size : 0;
        all += s->set.disks[i].size;
    }
    percent = all ? (before + done) * 100 / all : 100;
    if (percent == last)
        return;
    last = percent;
    fprintf(stderr, "\rCopied: %3d %%", percent);
}

static const char *export_name(const struct bk_save *s, const char *vdev)
{
    int i;

    for (i = 0; i < s->rec.export.num_disks; i++)
        if (!strcmp(s->rec.export.disks[i].vdev, vdev))
            return s->rec.export.disks[i].name;
    return vdev;
}

static int finish_file(int dir, struct bk_disk *d, const char *where)
{
    char *file = bk_file_name(d->vdev), *problem = NULL;
    int status = bk_image_sync(dir, file, where);

    if (!status && !bk_image_hash(dir, d, &problem)) {
        if (!bk_interrupted())
            xl_say("reading %s: %s", where, problem);
        status = XL_EXIT_FAILED;
    }
    free(problem);
    free(file);
    return status;
}

static int copy_disk(struct bk_save *s, int dir, struct bk_disk *d)
{
    char *where = xl_printf("%s/" BK_PARTIAL "%s/%s.qcow2", s->folder.path,
                            s->set.name, d->vdev);
    char *what = xl_printf("domain %s, disk %s", s->set.domain, d->vdev);
    struct bk_source src = {
        .socket = s->rec.export.socket, .name = export_name(s, d->vdev),
        .bitmap = s->base ? s->rec.export.bitmap : NULL, .what = what,
        .size = d->size, .progress = draw, .user = s,
    };
    struct bk_target t;
    int status = bk_image_create(dir, d->vdev, d->size, s->set.base,
                                 s->folder.path);

    if (!status)
        status = bk_target_open(&t, dir, d->vdev, CONNECTIONS, where);
    if (!status) {
        status = bk_copy(&src, &t, where, &d->copied);
        if (!status)
            status = bk_target_close(&t, where);
    }
    if (!status)
        status = finish_file(dir, d, where);
    free(what);
    free(where);
    return status;
}

static int store(struct bk_save *s, int dir)
{
    char *record = bk_set_write(&s->set), *name;
    int status = bk_put(dir, BK_CONFIG, s->config, s->set.name);

    if (!status)
        status = bk_put(dir, BK_RECORD, record, s->set.name);
    free(record);
    if (!status)
        status = bk_sync(dir, s->set.name);
    if (!status && bk_interrupted())
        status = XL_EXIT_FAILED;
    if (status)
        return status;
    name = xl_printf(BK_PARTIAL "%s", s->set.name);
    status = bk_rename(s->folder.fd, name, s->set.name, s->folder.path);
    free(name);
    return status;
}

static int copy(struct bk_save *s)
{
    char *partial = xl_printf(BK_PARTIAL "%s", s->set.name);
    int dir, status = bk_folder_make(&s->folder, BK_PARTIAL, s->set.name,
                                     &dir);
    bool named = false;

    if (!status && s->base && !s->rec.export.bitmap) {
        xl_say("domain %s: the export doesn't tell what has changed",
               s->set.domain);
        status = XL_EXIT_FAILED;
    }
    for (s->disk = 0; s->disk < s->set.num_disks && !status; s->disk++)
        status = copy_disk(s, dir, &s->set.disks[s->disk]);
    if (s->globals->progress_cr || isatty(2))
        fputc('\n', stderr);
    if (!status) {
        status = store(s, dir);
        named = !status;
    }
    if (named)
        status = bk_folder_sync(&s->folder);
    if (status)
        bk_folder_remove(&s->folder, named ? s->set.name : partial);
    if (dir >= 0)
        close(dir);
    free(partial);
    return status;
}

/* --- all of it --- */

static void report(const struct bk_save *s)
{
    uint64_t copied = 0;
    char *text;
    int i;

    if (s->o->json) {
        char *record = bk_set_write(&s->set);

        text = xl_json_pretty(record);
        fputs(text, stdout);
        free(record);
        free(text);
        return;
    }
    for (i = 0; i < s->set.num_disks; i++)
        copied += s->set.disks[i].copied;
    text = xl_size(copied);
    printf("Backup %s of %s: %s%s, %s copied.\n", s->set.name,
           s->set.domain, s->set.base ? "incremental since " : "full",
           s->set.base ? s->set.base : "", text);
    free(text);
}

static int run(struct bk_save *s)
{
    int status = open_view(s), status2;

    if (s->lock < 0)
        return status;
    if (!status)
        status = copy(s);
    status2 = close_view(s, !status);
    close(s->lock);
    if (!status)
        report(s);
    else if (bk_interrupted() && !status2)
        bk_say_interrupted("backup");
    return status2 ? status2 : status ? status : s->lost ? XL_EXIT_LESS : 0;
}

int bk_save(const struct xl_globals *globals, const struct xl_save_options *o)
{
    struct bk_save s = { .globals = globals, .o = o, .lock = -1,
                      .folder = { .fd = -1, .lock_fd = -1 } };
    int status;

    xlu_backup_save_init(&s.rec);
    status = run(&s);
    xlu_backup_save_dispose(&s.rec);
    bk_set_dispose(&s.set);
    bk_folder_close(&s.folder);
    free(s.config);
    return status;
}
