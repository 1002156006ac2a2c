/* SPDX-License-Identifier: LGPL-2.1-only */
/* The running backup of a domain, in its catalogue. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xluss_backup.h"
#include "xluss_checkpoint.h"

#define JSON "backup.json"
#define XML  XLUSS__BACKUP_XML

static int no_backup(xlu_snapshot_catalogue *cat)
{
    LOG(cat->lg, ERROR, "domain %s has no backup that runs", cat->dom.name);
    return ERROR_NOTFOUND;
}

/* What it was started with; one that can't be read is no hindrance: QEMU
 * knows the rest. */
static bool load(xlu_snapshot_catalogue *cat, libxl_domain_backup_args *out)
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

static int put(xlu_snapshot_catalogue *cat, const char *file, char *text)
{
    int rc = text ? xluss__file_put(cat->lg, &cat->dir, file, text,
                                    strlen(text), true) : ERROR_FAIL;

    free(text);
    return rc;
}

static int store(xlu_snapshot_catalogue *cat, libxl_domain_backup_args *args)
{
    int rc = put(cat, XML, xluss__backup_xml_write(args));

    return rc ? rc : put(cat, JSON,
                         libxl_domain_backup_args_to_json(cat->ctx, args));
}

static int drop(xlu_snapshot_catalogue *cat)
{
    int rc = xluss__file_drop(cat->lg, &cat->dir, JSON);

    if (!rc)
        rc = xluss__file_drop(cat->lg, &cat->dir, XML);
    return rc ? rc : xluss__dir_sync(cat->lg, &cat->dir);
}

/* QEMU has died, and with it the backup: its scratch files are no use. */
static int clean_dead(xlu_snapshot_catalogue *cat,
                      const libxl_domain_backup_args *args)
{
    libxl_snapshot_how how = xluss__plain_how(cat);
    libxl_block_snapshot which;
    int i, rc;

    libxl_block_snapshot_init(&which);
    which.id = xluss__strdup(args->id ? args->id : "");
    which.disks = xluss__realloc(NULL, (args->num_disks + 1) *
                                 sizeof(*which.disks));
    which.num_disks = args->num_disks;
    for (i = 0; i < args->num_disks; i++) {
        libxl_block_snapshot_disk_init(&which.disks[i]);
        if (args->disks[i].scratch)
            which.disks[i].scratch = xluss__strdup(args->disks[i].scratch);
    }
    rc = args->id ? libxl_domain_block_snapshot_delete(cat->ctx,
                        INVALID_DOMID, &which, false, &how, NULL) : 0;
    libxl_block_snapshot_dispose(&which);
    if (!rc)
        rc = drop(cat);
    return rc;
}

/* rc of a call on the backup: is it gone with its QEMU? */
static bool is_gone(int rc)
{
    return rc == ERROR_NOTFOUND || rc == LIBXL_SNAPSHOT_ERROR_NO_QEMU ||
           rc == LIBXL_SNAPSHOT_ERROR_QEMU_DIED;
}

int xlu_backup_status(xlu_snapshot_catalogue *cat,
                      libxl_domain_backup_args *out)
{
    libxl_snapshot_how how = xluss__plain_how(cat);
    bool known = load(cat, out);
    int rc;

    if (cat->dom.domid == XLUSS__NO_DOMID)
        return no_backup(cat);
    rc = libxl_domain_backup_status(cat->ctx, cat->dom.domid, out, &how);
    if (rc == ERROR_NOTFOUND && known)
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
    if (load(cat, &old)) {
        rc = libxl_domain_backup_status(cat->ctx, cat->dom.domid, &old,
                                        &how);
        if (!rc) {
            LOG(cat->lg, ERROR, "domain %s: the backup %s is not finished; "
                "wait for its end, or stop it", cat->dom.name, old.id);
            rc = LIBXL_SNAPSHOT_ERROR_BUSY;
        } else if (is_gone(rc)) {
            rc = clean_dead(cat, &old);
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
        rc = libxl_domain_backup_start(cat->ctx, cat->dom.domid, args, how,
                                       NULL);
    if (rc)
        return rc;
    rc = store(cat, args);
    /* It goes on all the same, and can be found. */
    if (rc)
        LOG(cat->lg, WARN, "domain %s: the backup %s runs, but there is no "
            "record of it", cat->dom.name, args->id);
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
    known = load(cat, out);
    if (cat->dom.domid == XLUSS__NO_DOMID)
        rc = LIBXL_SNAPSHOT_ERROR_NO_QEMU;
    else
        rc = call(cat->ctx, cat->dom.domid, out, how, NULL);
    if (rc && !is_gone(rc) && out->state != LIBXL_BACKUP_STATE_FAILED)
        return rc;
    if (known)
        rc2 = is_gone(rc) ? clean_dead(cat, out) : drop(cat);
    if (!rc && out->state == LIBXL_BACKUP_STATE_DONE && out->checkpoint)
        rc2 = xlu_checkpoint_rebuild(cat, &num);
    if (is_gone(rc) && !known)
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
