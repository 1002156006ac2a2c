/* SPDX-License-Identifier: LGPL-2.1-only */
/* The running backup of a domain, in its catalogue. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "xluss_backup.h"
#include "xluss_checkpoint.h"

#define JSON XLUSS__PUSH_JSON
#define XML  XLUSS__BACKUP_XML

static int no_backup(xlu_snapshot_catalogue *cat)
{
    LOG(cat->lg, ERROR, "domain %s has no backup that runs", cat->dom.name);
    return ERROR_NOTFOUND;
}

/* One that can't be read is no hindrance: QEMU knows the rest. */
bool xluss__push_load(xlu_snapshot_catalogue *cat,
                      libxl_domain_backup_args *out)
{
    char *text = NULL;
    bool good = false;
    size_t len;

    if (cat->dir.fd < 0 || faccessat(cat->dir.fd, JSON, F_OK, 0))
        return false;
    if (!xluss__file_get(cat->lg, &cat->dir, JSON, XLUSS__JSON_MAX, &text,
                         &len) && strlen(text) == len)
        good = !libxl_domain_backup_args_from_json(cat->ctx, out, text);
    free(text);
    if (good)
        return true;
    LOG(cat->lg, WARN, "domain %s: %s/" JSON " can't be read",
        cat->dom.name, cat->dir.path);
    libxl_domain_backup_args_dispose(out);
    libxl_domain_backup_args_init(out);
    return false;
}

static int put(xlu_snapshot_catalogue *cat, const char *file, char *text,
               bool lazy)
{
    int rc = text ? xluss__file_put(cat->lg, &cat->dir, file, text,
                                    strlen(text), lazy) : ERROR_FAIL;

    free(text);
    return rc;
}

static int store(xlu_snapshot_catalogue *cat, libxl_domain_backup_args *args)
{
    int rc = put(cat, XML, xluss__backup_xml_write(args), true);

    return rc ? rc : put(cat, JSON,
                         libxl_domain_backup_args_to_json(cat->ctx, args),
                         true);
}

static int drop(xlu_snapshot_catalogue *cat)
{
    int rc = xluss__file_drop(cat->lg, &cat->dir, JSON);

    if (!rc)
        rc = xluss__file_drop(cat->lg, &cat->dir, XML);
    return rc ? rc : xluss__dir_sync(cat->lg, &cat->dir);
}

static void take_disks(libxl_block_snapshot *which,
                       const libxl_domain_backup_args *args)
{
    int i;

    which->disks = xluss__realloc(NULL, (args->num_disks + 1) *
                                  sizeof(*which->disks));
    which->num_disks = args->num_disks;
    for (i = 0; i < args->num_disks; i++) {
        libxl_block_snapshot_disk_init(&which->disks[i]);
        which->disks[i].vdev = xluss__strdup(args->disks[i].vdev);
        which->disks[i].scratch = xluss__strdup(args->disks[i].scratch);
    }
}

/* Nothing of it is in QEMU, or QEMU has died: its scratch files are no use. */
static int clean_dead(xlu_snapshot_catalogue *cat,
                      const libxl_domain_backup_args *args)
{
    libxl_snapshot_how how = xluss__plain_how(cat);
    libxl_block_snapshot which;
    int rc;

    libxl_block_snapshot_init(&which);
    which.id = xluss__strdup(args->id ? args->id : "");
    take_disks(&which, args);
    rc = args->id ? libxl_domain_block_snapshot_delete(cat->ctx,
                        INVALID_DOMID, &which, false, &how, NULL) : 0;
    libxl_block_snapshot_dispose(&which);
    if (!rc)
        rc = drop(cat);
    return rc;
}

/* It has no jobs: but its start may have been interrupted before those. */
static int take_away(xlu_snapshot_catalogue *cat,
                     libxl_domain_backup_args *args)
{
    libxl_snapshot_how how = xluss__plain_how(cat);
    int rc = 0;

    if (args->id && cat->dom.domid != XLUSS__NO_DOMID)
        rc = libxl_domain_backup_cancel(cat->ctx, cat->dom.domid, args, &how,
                                        NULL);
    return rc && !xluss__is_gone(rc) ? rc : clean_dead(cat, args);
}

int xlu_backup_status(xlu_snapshot_catalogue *cat,
                      libxl_domain_backup_args *out)
{
    libxl_snapshot_how how = xluss__plain_how(cat);
    bool known = xluss__push_load(cat, out);
    int rc;

    if (cat->dom.domid == XLUSS__NO_DOMID)
        return no_backup(cat);
    rc = libxl_domain_backup_status(cat->ctx, cat->dom.domid, out, &how);
    if (rc == ERROR_NOTFOUND && known &&
        out->state == LIBXL_BACKUP_STATE_NONE)
        LOG(cat->lg, ERROR, "domain %s: the start of its backup %s was "
            "interrupted; backup-stop takes away what is left of it",
            cat->dom.name, out->id ? out->id : "");
    else if (rc == ERROR_NOTFOUND && known)
        LOG(cat->lg, ERROR, "domain %s: its backup %s has ended with its "
            "device model", cat->dom.name, out->id ? out->id : "");
    else if (rc == ERROR_NOTFOUND)
        return no_backup(cat);
    return rc;
}

int xluss__push_clean_earlier(xlu_snapshot_catalogue *cat)
{
    libxl_snapshot_how how = xluss__plain_how(cat);
    libxl_domain_backup_args old;
    int rc = 0;

    libxl_domain_backup_args_init(&old);
    if (xluss__push_load(cat, &old)) {
        rc = libxl_domain_backup_status(cat->ctx, cat->dom.domid, &old,
                                        &how);
        if (!rc) {
            LOG(cat->lg, ERROR, "domain %s: the backup %s is not finished; "
                "wait for its end, or stop it", cat->dom.name, old.id);
            rc = LIBXL_SNAPSHOT_ERROR_BUSY;
        } else if (xluss__is_gone(rc)) {
            rc = take_away(cat, &old);
        }
    }
    libxl_domain_backup_args_dispose(&old);
    return rc;
}

static int check_since(xlu_snapshot_catalogue *cat,
                       const libxl_domain_backup_args *args)
{
    const char **vdevs = xluss__calloc(args->num_disks + 1, sizeof(*vdevs));
    int i, rc;

    for (i = 0; i < args->num_disks; i++)
        vdevs[i] = args->disks[i].vdev;
    rc = xluss__checkpoint_since(cat, args->since, vdevs);
    free(vdevs);
    return rc;
}

static int choose_id(xlu_snapshot_catalogue *cat,
                     libxl_domain_backup_args *args)
{
    uint32_t bits;

    if (getrandom(&bits, sizeof(bits), 0) != sizeof(bits)) {
        LOG(cat->lg, ERROR, "the kernel gives no random number");
        return ERROR_FAIL;
    }
    free(args->id);
    args->id = xluss__asprintf("%08x", bits);
    return 0;
}

static void take_scratch(libxl_domain_backup_args *args,
                         const libxl_block_snapshot *s)
{
    int i, j;

    for (i = 0; i < args->num_disks; i++)
        for (j = 0; args->disks[i].vdev && j < s->num_disks; j++)
            if (!strcmp(args->disks[i].vdev, s->disks[j].vdev))
                xluss__replace(&args->disks[i].scratch, s->disks[j].scratch);
}

/* The record, before anything of it is. */
static int begin(xlu_snapshot_catalogue *cat,
                 const libxl_domain_backup_args *args)
{
    libxl_domain_backup_args record;
    libxl_block_snapshot s;
    int rc;

    libxl_domain_backup_args_init(&record);
    libxl_domain_backup_args_copy(cat->ctx, &record, args);
    libxl_block_snapshot_init(&s);
    s.id = xluss__strdup(args->id);
    s.scratch_dir = xluss__strdup(args->scratch_dir);
    rc = xluss__foresee_scratch(cat, &s);
    take_scratch(&record, &s);
    record.state = LIBXL_BACKUP_STATE_NONE;
    if (!rc)
        rc = put(cat, JSON, libxl_domain_backup_args_to_json(cat->ctx,
                                                             &record), false);
    libxl_block_snapshot_dispose(&s);
    libxl_domain_backup_args_dispose(&record);
    return rc;
}

int xlu_backup_start(xlu_snapshot_catalogue *cat,
                     libxl_domain_backup_args *args,
                     const libxl_snapshot_how *how)
{
    int rc = xluss__begin(cat, how);

    if (!rc && cat->dom.domid == XLUSS__NO_DOMID) {
        LOG(cat->lg, ERROR, "domain %s is not running: its disks can be "
            "copied as they are", cat->dom.name);
        rc = LIBXL_SNAPSHOT_ERROR_NO_QEMU;
    }
    if (!rc)
        rc = xluss__push_clean_earlier(cat);
    if (!rc)
        rc = xluss__pull_clean_earlier(cat);
    if (!rc && args->since)
        rc = check_since(cat, args);
    if (!rc)
        rc = choose_id(cat, args);
    if (!rc)
        rc = begin(cat, args);
    if (rc)
        return rc;
    rc = libxl_domain_backup_start(cat->ctx, cat->dom.domid, args, how, NULL);
    /* What could not be undone is known by the record. */
    if (rc && rc != LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR)
        drop(cat);
    if (rc)
        return rc;
    /* It goes on all the same, and can be found. */
    if (store(cat, args))
        LOG(cat->lg, WARN, "domain %s: the backup %s runs, but its record "
            "doesn't say so", cat->dom.name, args->id);
    return 0;
}

/* The end of it, by one of the lower library's calls. */
static int end(xlu_snapshot_catalogue *cat, const libxl_snapshot_how *how,
               libxl_domain_backup_args *out,
               int (*call)(libxl_ctx *ctx, uint32_t domid,
                           libxl_domain_backup_args *args,
                           const libxl_snapshot_how *how,
                           const libxl_asyncop_how *ao_how))
{
    int rc = xluss__begin(cat, how), rc2 = 0, num;
    bool known;

    if (rc)
        return rc;
    known = xluss__push_load(cat, out);
    if (cat->dom.domid == XLUSS__NO_DOMID)
        rc = LIBXL_SNAPSHOT_ERROR_NO_QEMU;
    else
        rc = call(cat->ctx, cat->dom.domid, out, how, NULL);
    if (rc && !xluss__is_gone(rc) && out->state != LIBXL_BACKUP_STATE_FAILED)
        return rc;
    if (known)
        rc2 = xluss__is_gone(rc) ? clean_dead(cat, out) : drop(cat);
    if (!rc && out->state == LIBXL_BACKUP_STATE_DONE && out->checkpoint)
        rc2 = xlu_checkpoint_rebuild(cat, &num);
    if (xluss__is_gone(rc) && !known)
        return no_backup(cat);
    return rc ? rc : rc2;
}

int xlu_backup_finish(xlu_snapshot_catalogue *cat,
                      const libxl_snapshot_how *how,
                      libxl_domain_backup_args *out)
{
    return end(cat, how, out, libxl_domain_backup_finish);
}

int xlu_backup_cancel(xlu_snapshot_catalogue *cat,
                      const libxl_snapshot_how *how,
                      libxl_domain_backup_args *out)
{
    return end(cat, how, out, libxl_domain_backup_cancel);
}
