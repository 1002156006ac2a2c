/* SPDX-License-Identifier: LGPL-2.1-only */
/* A pull backup, from its start to its end (xlu_backup.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "xluss_backup.h"
#include "xluss_checkpoint.h"

static int no_backup(xlu_snapshot_catalogue *cat)
{
    LOG(cat->lg, ERROR, "domain %s has no backup that runs", cat->dom.name);
    return ERROR_NOTFOUND;
}

bool xlu_backup_is_pull(xlu_snapshot_catalogue *cat)
{
    xlu_backup_pull p;
    bool is;

    xlu_backup_pull_init(&p);
    is = xluss__pull_exists(cat) &&
         (!xluss__pull_load(cat, &p) ||
          p.phase == XLU_BACKUP_PULL_PHASE_RUNNING);
    xlu_backup_pull_dispose(&p);
    return is;
}

/* --- start --- */

static int choose_ids(xlu_snapshot_catalogue *cat, xlu_backup_pull *p)
{
    uint32_t bits[2];

    if (getrandom(bits, sizeof(bits), 0) != sizeof(bits)) {
        LOG(cat->lg, ERROR, "the kernel gives no random number");
        return ERROR_FAIL;
    }
    free(p->snapshot.id);
    p->snapshot.id = xluss__asprintf("%08x", bits[0]);
    free(p->exported.id);
    p->exported.id = xluss__asprintf("%08x", bits[1]);
    xluss__replace(&p->exported.snapshot, p->snapshot.id);
    return 0;
}

static int check_since(xlu_snapshot_catalogue *cat, const xlu_backup_pull *p)
{
    int i, rc, num = p->snapshot.num_disks;
    const char **vdevs = xluss__calloc(num + 1, sizeof(*vdevs));

    for (i = 0; i < num; i++)
        vdevs[i] = p->snapshot.disks[i].vdev;
    rc = xluss__checkpoint_since(cat, p->snapshot.since,
                                 num ? vdevs : NULL);
    free(vdevs);
    return rc;
}

/* The record, before anything of it is. */
static int begin(xlu_snapshot_catalogue *cat, const xlu_backup_pull *p)
{
    xlu_backup_pull record;
    int rc;

    xlu_backup_pull_init(&record);
    xlu_backup_pull_copy(cat->ctx, &record, p);
    record.phase = XLU_BACKUP_PULL_PHASE_STARTING;
    rc = xluss__foresee_scratch(cat, &record.snapshot);
    if (!rc)
        rc = xluss__pull_store(cat, &record);
    xlu_backup_pull_dispose(&record);
    return rc;
}

static int make(xlu_snapshot_catalogue *cat, xlu_backup_pull *p,
                const libxl_snapshot_how *how)
{
    libxl_snapshot_how plain = xluss__plain_how(cat);
    int rc;

    rc = libxl_domain_block_snapshot_create(cat->ctx, cat->dom.domid,
                                            &p->snapshot, how, NULL);
    if (!rc)
        rc = libxl_domain_block_export_start(cat->ctx, cat->dom.domid,
                                             &p->exported, &plain, NULL);
    if (rc)
        return rc;
    xluss__pull_describe(p);
    p->phase = XLU_BACKUP_PULL_PHASE_RUNNING;
    p->state = XLU_BACKUP_PULL_STATE_READY;
    return xluss__pull_store(cat, p);
}

/* By what the record foresaw: the call may have said less. */
static int unmake(xlu_snapshot_catalogue *cat)
{
    xlu_backup_pull record;
    int rc = 0;

    xlu_backup_pull_init(&record);
    if (xluss__pull_load(cat, &record)) {
        record.phase = XLU_BACKUP_PULL_PHASE_UNDOING;
        rc = xluss__pull_end(cat, &record, NULL);
    }
    xlu_backup_pull_dispose(&record);
    return rc;
}

int xlu_backup_pull_start(xlu_snapshot_catalogue *cat, xlu_backup_pull *p,
                          const libxl_snapshot_how *how)
{
    int rc = xluss__begin(cat, how);

    if (!rc && cat->dom.domid == XLUSS__NO_DOMID) {
        LOG(cat->lg, ERROR, "domain %s is not running: its disks can be "
            "read as they are", cat->dom.name);
        rc = LIBXL_SNAPSHOT_ERROR_NO_QEMU;
    }
    if (!rc)
        rc = xluss__push_clean_earlier(cat);
    if (!rc)
        rc = xluss__pull_clean_earlier(cat);
    if (!rc && p->snapshot.checkpoint)
        rc = xluss__checkpoint_free(cat, p->snapshot.checkpoint, NULL);
    if (!rc && p->snapshot.since)
        rc = check_since(cat, p);
    if (!rc)
        rc = choose_ids(cat, p);
    p->creation_time = time(NULL);
    if (!rc)
        rc = begin(cat, p);
    if (rc)
        return rc;
    rc = make(cat, p, how);
    if (!rc)
        return 0;
    if (unmake(cat)) {
        LOG(cat->lg, ERROR, "domain %s: what was made of the backup %s could "
            "not be taken away again; backup-stop tries again",
            cat->dom.name, p->snapshot.id);
        rc = LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
    }
    return rc;
}

/* --- status --- */

int xlu_backup_pull_status(xlu_snapshot_catalogue *cat, xlu_backup_pull *out)
{
    if (!xluss__pull_load(cat, out) && xluss__pull_exists(cat))
        return xluss__pull_damaged(cat);
    if (out->phase != XLU_BACKUP_PULL_PHASE_RUNNING)
        return no_backup(cat);
    return xluss__pull_look(cat, out);
}

int xlu_backup_pull_restart(xlu_snapshot_catalogue *cat,
                            const libxl_snapshot_how *how,
                            xlu_backup_pull *out)
{
    libxl_snapshot_how plain = xluss__plain_how(cat);
    int rc = xluss__begin(cat, how);

    if (!rc)
        rc = xlu_backup_pull_status(cat, out);
    if (rc || out->state != XLU_BACKUP_PULL_STATE_NO_SERVER)
        return rc;
    rc = libxl_domain_block_export_stop(cat->ctx, cat->dom.domid,
                                        out->exported.id, &plain);
    if (!rc)
        rc = libxl_domain_block_export_start(cat->ctx, cat->dom.domid,
                                             &out->exported, &plain, NULL);
    if (rc)
        return rc;
    out->state = XLU_BACKUP_PULL_STATE_READY;
    return xluss__pull_store(cat, out);
}

/* --- the end --- */

static int verdict(xlu_snapshot_catalogue *cat, const xlu_backup_pull *p)
{
    const char *c = p->snapshot.checkpoint;
    bool broken = p->state == XLU_BACKUP_PULL_STATE_BROKEN;

    LOG(cat->lg, ERROR, "domain %s: the backup %s %s before its end%s%s%s",
        cat->dom.name, p->snapshot.id,
        broken ? "broke, since its scratch space was full,"
               : "ended with its device model",
        c ? "; the checkpoint " : "", c ? c : "", c ? " never was" : "");
    return broken ? LIBXL_SNAPSHOT_ERROR_DAMAGED
                  : LIBXL_SNAPSHOT_ERROR_QEMU_DIED;
}

int xlu_backup_pull_stop(xlu_snapshot_catalogue *cat, bool failed,
                         const libxl_snapshot_how *how, xlu_backup_pull *out)
{
    bool keep;
    int rc = xluss__begin(cat, how);

    if (rc)
        return rc;
    if (!xluss__pull_load(cat, out) && xluss__pull_exists(cat))
        return failed ? xluss__pull_end_damaged(cat, how)
                      : xluss__pull_damaged(cat);
    if (out->phase != XLU_BACKUP_PULL_PHASE_RUNNING)
        return no_backup(cat);
    rc = xluss__pull_look(cat, out);
    if (rc)
        return rc;
    keep = !failed && (out->state == XLU_BACKUP_PULL_STATE_READY ||
                       out->state == XLU_BACKUP_PULL_STATE_NO_SERVER);
    out->phase = keep ? XLU_BACKUP_PULL_PHASE_KEEPING
                      : XLU_BACKUP_PULL_PHASE_UNDOING;
    /* Where scratch files have filled the catalogue's own filesystem it has
     * to end all the same. Who then finds a record without a backup undoes
     * the checkpoint. */
    if (xluss__pull_store(cat, out))
        LOG(cat->lg, WARN, "domain %s: the backup %s ends without a note of "
            "it", cat->dom.name, out->snapshot.id);
    rc = xluss__pull_end(cat, out, how);
    return rc || keep || failed ? rc : verdict(cat, out);
}

/* --- documents --- */

static int push_xml(xlu_snapshot_catalogue *cat, char **xml_out)
{
    size_t len;
    int rc = ERROR_NOTFOUND;

    if (cat->dir.fd >= 0)
        rc = xluss__file_get(cat->lg, &cat->dir, XLUSS__BACKUP_XML,
                             XLUSS__DOCUMENT_MAX, xml_out, &len);
    return rc == ERROR_NOTFOUND ? no_backup(cat) : rc;
}

int xlu_backup_xml(xlu_snapshot_catalogue *cat, xlu_backup_xml_kind kind,
                   char **xml_out)
{
    xlu_backup_pull p;
    int rc = 0;

    *xml_out = NULL;
    xlu_backup_pull_init(&p);
    if (!xluss__pull_load(cat, &p) ||
        p.phase != XLU_BACKUP_PULL_PHASE_RUNNING) {
        if (kind == XLU_BACKUP_XML_BACKUP) {
            rc = push_xml(cat, xml_out);
        } else {
            LOG(cat->lg, ERROR, "domain %s has no pull backup that runs",
                cat->dom.name);
            rc = ERROR_NOTFOUND;
        }
    } else if (kind == XLU_BACKUP_XML_BACKUP) {
        *xml_out = xluss__pull_xml_write(&p);
    } else if (kind == XLU_BACKUP_XML_SNAPSHOT) {
        *xml_out = xluss__block_snapshot_xml_write(cat, &p);
    } else {
        *xml_out = xluss__block_export_xml_write(&p);
    }
    xlu_backup_pull_dispose(&p);
    return rc;
}
