/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A view that a client copies from. The record is written before the view is
 * made, and the client holds a lock as long as it lives: so whoever finds the
 * record without the lock knows that it is a dead one's.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "xlu_checkpoint.h"
#include "xluss_backup.h"
#include "xluss_check.h"
#include "xluss_checkpoint.h"

#define RECORD XLUSS__SAVE_JSON
#define LOCK   "backup-save.lock"

/* false: none, or one that can't be read, which says no more than that. */
bool xluss__save_load(xlu_snapshot_catalogue *cat, xlu_backup_save *out)
{
    char *text = NULL;
    bool good = false;
    size_t len;

    if (cat->dir.fd < 0 || faccessat(cat->dir.fd, RECORD, F_OK, 0))
        return false;
    if (!xluss__file_get(cat->lg, &cat->dir, RECORD, XLUSS__JSON_MAX, &text,
                         &len) && strlen(text) == len)
        good = !xlu_backup_save_from_json(cat->ctx, out, text);
    free(text);
    if (good)
        return true;
    LOG(cat->lg, WARN, "domain %s: %s/" RECORD " can't be read",
        cat->dom.name, cat->dir.path);
    xlu_backup_save_dispose(out);
    xlu_backup_save_init(out);
    return false;
}

static int store(xlu_snapshot_catalogue *cat, const xlu_backup_save *save)
{
    char *text = xlu_backup_save_to_json(cat->ctx, (xlu_backup_save *)save);
    int rc = text ? xluss__file_put(cat->lg, &cat->dir, RECORD, text,
                                    strlen(text), false) : ERROR_FAIL;

    free(text);
    return rc;
}

static int drop(xlu_snapshot_catalogue *cat)
{
    int rc = xluss__file_drop(cat->lg, &cat->dir, RECORD);

    return rc ? rc : xluss__dir_sync(cat->lg, &cat->dir);
}

/* The client's lock; BUSY, without a word, if one lives. */
static int lock(xlu_snapshot_catalogue *cat, int *fd_out)
{
    int e, fd = openat(cat->dir.fd, LOCK,
                       O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    *fd_out = -1;
    if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB)) {
        *fd_out = fd;
        return 0;
    }
    e = errno;
    if (fd >= 0)
        close(fd);
    if (fd >= 0 && e == EWOULDBLOCK)
        return LIBXL_SNAPSHOT_ERROR_BUSY;
    LOGEV(cat->lg, ERROR, e, "locking %s/" LOCK, cat->dir.path);
    return xluss__rc(e);
}

/* --- the end of it --- */

static bool same(const char *a, const char *b)
{
    return a && b && !strcmp(a, b);
}

/* Also one of which a client that died could not yet write the number. */
static int stop_exports(xlu_snapshot_catalogue *cat, const char *view,
                        const libxl_snapshot_how *how)
{
    libxl_block_export_list list;
    int i, rc;

    libxl_block_export_list_init(&list);
    rc = libxl_domain_block_export_list(cat->ctx, cat->dom.domid, &list, how);
    for (i = 0; !rc && i < list.num_exports; i++)
        if (same(list.exports[i].snapshot, view))
            rc = libxl_domain_block_export_stop(cat->ctx, cat->dom.domid,
                                                list.exports[i].id, how);
    libxl_block_export_list_dispose(&list);
    return rc;
}

/* Has _create returned, so that the record says what was made? */
static bool made(const xlu_backup_save *save)
{
    return save->snapshot.complete;
}

/* Where nobody could write down what was made: it has our number, or begins
 * our checkpoint. */
static int find_view(xlu_snapshot_catalogue *cat, xlu_backup_save *save,
                     const libxl_snapshot_how *how)
{
    const libxl_block_snapshot *found = NULL, *v;
    libxl_block_snapshot_list list;
    int i, rc;

    libxl_block_snapshot_list_init(&list);
    rc = libxl_domain_block_snapshot_list(cat->ctx, cat->dom.domid, &list,
                                          how);
    for (i = 0; !rc && i < list.num_snapshots; i++) {
        v = &list.snapshots[i];
        if (same(v->id, save->snapshot.id) ||
            same(v->checkpoint, save->snapshot.checkpoint)) {
            found = v;
            break;
        }
    }
    if (found)
        xluss__replace(&save->snapshot.id, found->id);
    libxl_block_snapshot_list_dispose(&list);
    return rc;
}

static int take_down(xlu_snapshot_catalogue *cat, xlu_backup_save *save,
                     bool good, const libxl_snapshot_how *how)
{
    bool runs = cat->dom.domid != XLUSS__NO_DOMID;
    int rc = 0;

    if (runs && !made(save))
        rc = find_view(cat, save, how);
    if (rc || !save->snapshot.id)
        return xluss__is_gone(rc) ? 0 : rc;
    if (runs) {
        rc = stop_exports(cat, save->snapshot.id, how);
        if (!rc)
            rc = libxl_domain_block_snapshot_delete(cat->ctx, cat->dom.domid,
                     &save->snapshot, !good, how, NULL);
    } else if (save->export.id) {
        rc = libxl_domain_block_export_stop(cat->ctx, INVALID_DOMID,
                                            save->export.id, how);
    }
    if (rc && !xluss__is_gone(rc))
        return rc;
    /* Of a QEMU that has died, its scratch files are left. */
    return rc || !runs
           ? libxl_domain_block_snapshot_delete(cat->ctx, INVALID_DOMID,
                 &save->snapshot, false, how, NULL) : 0;
}

/* Where its view has gone with its device model, the image may have it.
 * later: only the device model of the next start can undo it. */
static int end_checkpoint(xlu_snapshot_catalogue *cat,
                          const xlu_backup_save *save,
                          const libxl_snapshot_how *how, bool *later)
{
    libxl_snapshot_how quiet = *how;
    xluss__ear ear;
    int rc;

    if (!save->snapshot.checkpoint || !save->snapshot.sequence)
        return 0;
    xluss__ear_init(&ear);
    quiet.lg = &ear.vtable;
    rc = cat->dom.domid == XLUSS__NO_DOMID
         ? LIBXL_SNAPSHOT_ERROR_NO_QEMU
         : xluss__undo_checkpoint(cat, &save->snapshot, &quiet);
    *later = xluss__is_gone(rc);
    if (rc && !*later)
        LOG(cat->lg, ERROR, "%s", xluss__ear_text(&ear, rc));
    xluss__ear_dispose(&ear);
    return *later ? 0 : rc;
}

/* What the disks have is what counts: an entry can be made later. */
static void note_checkpoint(xlu_snapshot_catalogue *cat,
                            const xlu_backup_save *save)
{
    xlu_checkpoint_list list;
    xlu_checkpoint *c;
    int num, rc;

    xlu_checkpoint_list_init(&list);
    rc = xlu_checkpoint_rebuild(cat, &num);
    if (!rc)
        rc = xluss__checkpoint_load(cat, &list);
    c = xluss__checkpoint_find(&list, save->snapshot.checkpoint);
    if (c && !rc) {
        xluss__replace(&c->folder, save->folder);
        rc = xluss__checkpoint_store(cat, c);
    }
    if (rc)
        LOG(cat->lg, WARN, "domain %s: the checkpoint %s is not in the "
            "catalogue yet", cat->dom.name, save->snapshot.checkpoint);
    xlu_checkpoint_list_dispose(&list);
}

int xlu_backup_save_end(xlu_snapshot_catalogue *cat,
                        const xlu_backup_save *save, bool good,
                        const libxl_snapshot_how *how)
{
    libxl_snapshot_how plain = xluss__plain_how(cat);
    int rc = xluss__begin(cat, how);
    xlu_backup_save copy;
    bool later = false;

    if (rc)
        return rc;
    xlu_backup_save_init(&copy);
    xlu_backup_save_copy(cat->ctx, &copy, save);
    rc = take_down(cat, &copy, good, &plain);
    xlu_backup_save_dispose(&copy);
    if (!rc && !good)
        rc = end_checkpoint(cat, save, &plain, &later);
    if (!rc && !later)
        rc = drop(cat);
    if (!rc && good && cat->dom.domid != XLUSS__NO_DOMID)
        note_checkpoint(cat, save);
    return rc;
}

/*
 * All was copied if the set is there under its name. Where that can't be
 * seen, the checkpoint stays, which is never wrong: what it records is part
 * of what was written since those before it.
 */
static bool was_good(const xlu_backup_save *save)
{
    struct stat st;
    char *path;
    bool there;

    if (!save->folder || !save->name || stat(save->folder, &st))
        return true;
    path = xluss__asprintf("%s/%s", save->folder, save->name);
    there = !lstat(path, &st) || errno != ENOENT;
    free(path);
    return there;
}

/* The lock is held, so a client that had it is dead. */
static int clean(xlu_snapshot_catalogue *cat, const libxl_snapshot_how *how)
{
    xlu_backup_save old;
    int rc = ERROR_NOTFOUND;

    xlu_backup_save_init(&old);
    if (xluss__save_load(cat, &old)) {
        LOG(cat->lg, NOTICE, "domain %s: a backup into %s was interrupted, "
            "and is taken away", cat->dom.name,
            old.folder ? old.folder : "(unknown)");
        rc = xlu_backup_save_end(cat, &old, was_good(&old), how);
    }
    xlu_backup_save_dispose(&old);
    return rc;
}

/* What its view was, only the record knew; another kind's stays. */
static int clean_damaged(xlu_snapshot_catalogue *cat,
                         const libxl_snapshot_how *how)
{
    int rc = 0;

    if (!xluss__pull_exists(cat) &&
        !xluss__file_exists(&cat->dir, XLUSS__PUSH_JSON))
        rc = xluss__pull_end_damaged(cat, how);
    return rc ? rc : drop(cat);
}

bool xluss__save_lives(xlu_snapshot_catalogue *cat)
{
    int fd = openat(cat->dir.fd, LOCK, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool lives = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) &&
                 errno == EWOULDBLOCK;

    if (fd >= 0)
        close(fd);
    return lives;
}

int xlu_backup_save_status(xlu_snapshot_catalogue *cat, xlu_backup_save *out)
{
    if (cat->dir.fd < 0 || !xluss__save_lives(cat) ||
        !xluss__save_load(cat, out))
        return ERROR_NOTFOUND;
    return 0;
}

int xluss__save_clean_earlier(xlu_snapshot_catalogue *cat,
                              const libxl_snapshot_how *how)
{
    int fd, rc;

    if (faccessat(cat->dir.fd, RECORD, F_OK, 0))
        return ERROR_NOTFOUND;
    rc = lock(cat, &fd);
    if (rc)
        return rc;
    rc = clean(cat, how);
    if (rc == ERROR_NOTFOUND)
        rc = clean_damaged(cat, how);
    close(fd);
    return rc;
}

/* --- the beginning --- */

/* Known before it is made: so it is found whatever came of it. */
static void choose_id(xlu_backup_save *save)
{
    char id[9];
    uint32_t bits;

    if (getrandom(&bits, sizeof(bits), 0) != sizeof(bits))
        return;
    snprintf(id, sizeof(id), "%08x", bits);
    xluss__replace(&save->snapshot.id, id);
}

/* The record, before anything of it is. */
static int begin(xlu_snapshot_catalogue *cat, const xlu_backup_save *save)
{
    xlu_backup_save record;
    int rc;

    xlu_backup_save_init(&record);
    xlu_backup_save_copy(cat->ctx, &record, save);
    record.snapshot.complete = false;
    rc = xluss__foresee_scratch(cat, &record.snapshot);
    if (!rc)
        rc = store(cat, &record);
    xlu_backup_save_dispose(&record);
    return rc;
}

static int make(xlu_snapshot_catalogue *cat, xlu_backup_save *save,
                const libxl_snapshot_how *how)
{
    int rc, rc2;

    save->pid = getpid();
    choose_id(save);
    rc = begin(cat, save);
    if (rc)
        return rc;
    rc = libxl_domain_block_snapshot_create(cat->ctx, cat->dom.domid,
                                            &save->snapshot, how, NULL);
    if (rc) {
        if (rc != LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR)
            drop(cat);
        return rc;
    }
    rc = store(cat, save);
    if (!rc) {
        xluss__replace(&save->export.snapshot, save->snapshot.id);
        rc = libxl_domain_block_export_start(cat->ctx, cat->dom.domid,
                                             &save->export, how, NULL);
    }
    if (!rc)
        rc = store(cat, save);
    if (!rc)
        return 0;
    rc2 = xlu_backup_save_end(cat, save, false, NULL);
    return rc2 ? LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR : rc;
}

int xlu_backup_save_begin(xlu_snapshot_catalogue *cat, xlu_backup_save *save,
                          int *lock_out, const libxl_snapshot_how *how)
{
    int rc = xluss__begin(cat, how);

    *lock_out = -1;
    if (!rc && cat->dom.domid == XLUSS__NO_DOMID) {
        LOG(cat->lg, ERROR, "domain %s is not running: its disks can be "
            "copied as they are", cat->dom.name);
        rc = LIBXL_SNAPSHOT_ERROR_NO_QEMU;
    }
    if (rc)
        return rc;
    rc = lock(cat, lock_out);
    if (rc == LIBXL_SNAPSHOT_ERROR_BUSY)
        LOG(cat->lg, ERROR, "domain %s: another backup is being saved; wait "
            "for its end, or stop it", cat->dom.name);
    if (!rc)
        rc = clean(cat, NULL);
    /* Its checkpoint has to wait. */
    if (!rc && !faccessat(cat->dir.fd, RECORD, F_OK, 0)) {
        LOG(cat->lg, ERROR, "domain %s: its device model has died",
            cat->dom.name);
        rc = LIBXL_SNAPSHOT_ERROR_NO_QEMU;
    }
    if (!rc || rc == ERROR_NOTFOUND)
        rc = make(cat, save, how);
    if (rc && *lock_out >= 0) {
        close(*lock_out);
        *lock_out = -1;
    }
    return rc;
}

int xlu_backup_domain_config(xlu_snapshot_catalogue *cat, char **json_out)
{
    libxl_domain_config config;
    int rc;

    *json_out = NULL;
    if (cat->dom.domid == XLUSS__NO_DOMID)
        return LIBXL_SNAPSHOT_ERROR_NO_QEMU;
    libxl_domain_config_init(&config);
    rc = xluss__domain_config_json(cat, cat->dom.domid, &config, json_out);
    libxl_domain_config_dispose(&config);
    return rc;
}

int xlu_backup_save_stop(xlu_snapshot_catalogue *cat,
                         const libxl_snapshot_how *how, int *pidfd_out)
{
    xlu_backup_save save;
    int rc = xluss__begin(cat, how);

    *pidfd_out = -1;
    if (rc)
        return rc;
    rc = xluss__save_clean_earlier(cat, how);
    if (rc != LIBXL_SNAPSHOT_ERROR_BUSY)
        return rc;
    /* It wrote its number while it held both locks, and lives: it is it. */
    xlu_backup_save_init(&save);
    if (xluss__save_load(cat, &save) && save.pid > 0) {
        *pidfd_out = syscall(SYS_pidfd_open, save.pid, 0);
        if (*pidfd_out >= 0)
            syscall(SYS_pidfd_send_signal, *pidfd_out, SIGTERM, NULL, 0);
    }
    xlu_backup_save_dispose(&save);
    return LIBXL_SNAPSHOT_ERROR_BUSY;
}
