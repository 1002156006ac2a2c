/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The record of a pull backup, what has become of it, and its end. The record
 * holds the ids of all that is to be made before any of it is, and goes when
 * all of it has gone. What is, QEMU and the records of exports say.
 */
#include <stdlib.h>
#include <string.h>

#include "xluss_backup.h"
#include "xluss_checkpoint.h"

#define JSON "pull.json"

static uint32_t domid_of(const xlu_snapshot_catalogue *cat)
{
    return cat->dom.domid == XLUSS__NO_DOMID ? (uint32_t)INVALID_DOMID
                                             : cat->dom.domid;
}

static bool is_off(const xlu_snapshot_catalogue *cat)
{
    return cat->dom.domid == XLUSS__NO_DOMID;
}

/* --- the record --- */

bool xluss__pull_exists(const xlu_snapshot_catalogue *cat)
{
    return xluss__file_exists(&cat->dir, JSON);
}

bool xluss__pull_load(xlu_snapshot_catalogue *cat, xlu_backup_pull *out)
{
    char *text = NULL;
    bool good = false;
    size_t len;

    if (!xluss__pull_exists(cat))
        return false;
    if (!xluss__file_get(cat->lg, &cat->dir, JSON, XLUSS__JSON_MAX, &text,
                         &len) && strlen(text) == len)
        good = !xlu_backup_pull_from_json(cat->ctx, out, text) &&
               out->snapshot.id && out->exported.id;
    free(text);
    if (good)
        return true;
    LOG(cat->lg, WARN, "domain %s: %s/" JSON " can't be read",
        cat->dom.name, cat->dir.path);
    xlu_backup_pull_dispose(out);
    xlu_backup_pull_init(out);
    return false;
}

int xluss__pull_store(xlu_snapshot_catalogue *cat, xlu_backup_pull *p)
{
    char *json = xlu_backup_pull_to_json(cat->ctx, p);
    char *xml = xluss__pull_xml_write(p);
    int rc = ERROR_FAIL;

    if (json && xml)
        rc = xluss__file_put(cat->lg, &cat->dir, JSON, json, strlen(json),
                             false);
    /* For others to read: it says nothing that the first one doesn't. */
    if (!rc && p->phase == XLU_BACKUP_PULL_PHASE_RUNNING)
        rc = xluss__file_put(cat->lg, &cat->dir, XLUSS__BACKUP_XML, xml,
                             strlen(xml), true);
    free(json);
    free(xml);
    return rc;
}

static int drop(xlu_snapshot_catalogue *cat)
{
    int rc = xluss__file_drop(cat->lg, &cat->dir, XLUSS__BACKUP_XML);

    if (!rc)
        rc = xluss__file_drop(cat->lg, &cat->dir, JSON);
    return rc ? rc : xluss__dir_sync(cat->lg, &cat->dir);
}

/* --- what others want to know of it --- */

static void add_context(xlu_backup_pull *p, char *name)
{
    p->contexts = xluss__realloc(p->contexts, (p->num_contexts + 1) *
                                 sizeof(*p->contexts));
    p->contexts[p->num_contexts++] = name;
}

/* One word of a shell: names of exports are the user's. */
static char *quoted(const char *s)
{
    char *out = xluss__calloc(4 * strlen(s) + 3, 1), *to = out;

    *to++ = '\'';
    for (; *s; s++) {
        if (*s == '\'')
            to = stpcpy(to, "'\\''");
        else
            *to++ = *s;
    }
    *to++ = '\'';
    return out;
}

/* With TLS the client needs certificates of its own. */
static char *copy_command(const libxl_block_export *e,
                          const libxl_block_export_disk *d)
{
    char *uri = e->tls_dir
        ? xluss__asprintf("%s%ctls-certificates=DIR", d->uri,
                          strchr(d->uri, '?') ? '&' : '?')
        : xluss__strdup(d->uri);
    char *word = quoted(uri);
    char *command = xluss__asprintf("nbdcopy %s %s.raw", word, d->vdev);

    free(word);
    free(uri);
    return command;
}

static uint64_t size_of(const xlu_backup_pull *p, const char *vdev)
{
    int i;

    for (i = 0; i < p->snapshot.num_disks; i++)
        if (!strcmp(p->snapshot.disks[i].vdev, vdev))
            return p->snapshot.disks[i].size;
    return 0;
}

void xluss__pull_describe(xlu_backup_pull *p)
{
    const libxl_block_export *e = &p->exported;
    int i;

    for (i = 0; i < p->num_contexts; i++)
        free(p->contexts[i]);
    p->num_contexts = 0;
    for (i = 0; i < p->num_disks; i++)
        xlu_backup_pull_disk_dispose(&p->disks[i]);
    p->num_disks = 0;

    xluss__replace(&p->mode, "pull");
    add_context(p, xluss__strdup("base:allocation"));
    if (e->bitmap)
        add_context(p, xluss__asprintf("qemu:dirty-bitmap:%s", e->bitmap));
    p->disks = xluss__realloc(p->disks, (e->num_disks + 1) *
                              sizeof(*p->disks));
    for (i = 0; i < e->num_disks; i++) {
        xlu_backup_pull_disk *d;

        if (!e->disks[i].vdev || !e->disks[i].uri)
            continue;
        d = &p->disks[p->num_disks++];
        xlu_backup_pull_disk_init(d);
        d->vdev = xluss__strdup(e->disks[i].vdev);
        d->name = xluss__strdup(e->disks[i].name);
        d->uri = xluss__strdup(e->disks[i].uri);
        d->size = size_of(p, d->vdev);
        d->command = copy_command(e, &e->disks[i]);
    }
}

static void take_broken(xlu_backup_pull *p, const libxl_block_snapshot *now)
{
    int i, j;

    p->state = now->complete ? XLU_BACKUP_PULL_STATE_READY
                             : XLU_BACKUP_PULL_STATE_BROKEN;
    for (i = 0; i < now->num_disks; i++) {
        if (!now->disks[i].broken)
            continue;
        p->state = XLU_BACKUP_PULL_STATE_BROKEN;
        for (j = 0; j < p->num_disks; j++)
            if (!strcmp(p->disks[j].vdev, now->disks[i].vdev))
                p->disks[j].broken = true;
    }
}

static int look_at_server(xlu_snapshot_catalogue *cat, xlu_backup_pull *p,
                          const libxl_snapshot_how *how)
{
    libxl_block_export_list list;
    bool running = false;
    int i, rc;

    libxl_block_export_list_init(&list);
    rc = libxl_domain_block_export_list(cat->ctx, cat->dom.domid, &list, how);
    for (i = 0; !rc && i < list.num_exports; i++)
        if (!strcmp(list.exports[i].id, p->exported.id) &&
            list.exports[i].running) {
            running = true;
            p->exported.pid = list.exports[i].pid;
        }
    p->exported.running = running;
    if (!running && p->state == XLU_BACKUP_PULL_STATE_READY)
        p->state = XLU_BACKUP_PULL_STATE_NO_SERVER;
    libxl_block_export_list_dispose(&list);
    return rc;
}

int xluss__pull_look(xlu_snapshot_catalogue *cat, xlu_backup_pull *p)
{
    libxl_snapshot_how how = xluss__plain_how(cat);
    libxl_block_snapshot now;
    int rc;

    p->state = XLU_BACKUP_PULL_STATE_DEAD;
    if (is_off(cat))
        return 0;
    libxl_block_snapshot_init(&now);
    now.id = xluss__strdup(p->snapshot.id);
    rc = libxl_domain_block_snapshot_verify(cat->ctx, cat->dom.domid, &now,
                                            &how);
    if (!rc) {
        take_broken(p, &now);
        rc = look_at_server(cat, p, &how);
    }
    libxl_block_snapshot_dispose(&now);
    if (!xluss__is_gone(rc))
        return rc;
    p->state = XLU_BACKUP_PULL_STATE_DEAD;
    return 0;
}

/* --- its end --- */

/* Those that others made of it, too. */
static int stop_exports(xlu_snapshot_catalogue *cat, xlu_backup_pull *p,
                        const libxl_snapshot_how *how)
{
    libxl_block_export_list list;
    int i, rc;

    libxl_block_export_list_init(&list);
    rc = libxl_domain_block_export_list(cat->ctx, domid_of(cat), &list, how);
    for (i = 0; !rc && i < list.num_exports; i++) {
        const libxl_block_export *e = &list.exports[i];

        if (!strcmp(e->id, p->exported.id) ||
            (e->snapshot && !strcmp(e->snapshot, p->snapshot.id)))
            rc = libxl_domain_block_export_stop(cat->ctx, domid_of(cat),
                                                e->id, how);
    }
    libxl_block_export_list_dispose(&list);
    return rc;
}

/* It has an entry like any other from now on. */
static int keep_checkpoint(xlu_snapshot_catalogue *cat,
                           const xlu_backup_pull *p)
{
    libxl_disk_checkpoint_list found;
    xlu_checkpoint_list list;
    xlu_checkpoint c;
    int rc;

    xlu_checkpoint_init(&c);
    xlu_checkpoint_list_init(&list);
    libxl_disk_checkpoint_list_init(&found);
    rc = xluss__checkpoint_load(cat, &list);
    if (!rc)
        rc = xluss__checkpoint_look(cat, NULL, &list, &found);
    if (!rc && xluss__checkpoint_on(&found, p->snapshot.checkpoint, 0, NULL)) {
        c.name = xluss__strdup(p->snapshot.checkpoint);
        c.domain_name = xluss__strdup(cat->dom.name);
        c.domain_uuid = xluss__strdup(cat->dom.uuid);
        c.creation_time = p->creation_time;
        xluss__checkpoint_fill(&c, &found);
        rc = xluss__checkpoint_store(cat, &c);
    }
    libxl_disk_checkpoint_list_dispose(&found);
    xlu_checkpoint_list_dispose(&list);
    xlu_checkpoint_dispose(&c);
    return rc;
}

/* later: only the device model of the next start can do it. */
static int end_checkpoint(xlu_snapshot_catalogue *cat, xlu_backup_pull *p,
                          const libxl_snapshot_how *how, bool *later)
{
    int rc;

    if (!p->snapshot.checkpoint)
        return 0;
    if (p->phase == XLU_BACKUP_PULL_PHASE_KEEPING) {
        rc = is_off(cat) ? 0 : keep_checkpoint(cat, p);
        /* It is on the disks: snapshot-check --repair finds it. */
        if (rc && !xluss__is_gone(rc))
            return rc;
        return 0;
    }
    rc = is_off(cat) ? LIBXL_SNAPSHOT_ERROR_NO_QEMU
                     : xluss__undo_checkpoint(cat, &p->snapshot, how);
    *later = xluss__is_gone(rc);
    return *later ? 0 : rc;
}

int xluss__pull_end(xlu_snapshot_catalogue *cat, xlu_backup_pull *p,
                    const libxl_snapshot_how *how)
{
    libxl_snapshot_how plain = xluss__plain_how(cat);
    bool keep = p->phase == XLU_BACKUP_PULL_PHASE_KEEPING, later = false;
    xlu_backup_pull_state state = p->state;
    int rc;

    if (!how)
        how = &plain;
    cat->pull_ends = true;
    rc = stop_exports(cat, p, &plain);
    if (!rc)
        rc = libxl_domain_block_snapshot_delete(cat->ctx, domid_of(cat),
                                                &p->snapshot, !keep, how,
                                                NULL);
    /* It had been made: where the host has lost its power, nothing else knows
     * of a socket outside of /run. */
    if (!rc && p->exported.pid && p->exported.socket)
        xluss__socket_drop(p->exported.socket);
    if (!rc)
        rc = end_checkpoint(cat, p, &plain, &later);
    if (!rc && !later)
        rc = drop(cat);
    if (!rc && later) {
        p->state = XLU_BACKUP_PULL_STATE_DEAD;
        rc = xluss__pull_store(cat, p);
        p->state = state;
        xluss__file_drop(cat->lg, &cat->dir, XLUSS__BACKUP_XML);
    }
    cat->pull_ends = false;
    return rc;
}

/* Which of them it was, only the record knew. */
int xluss__pull_end_damaged(xlu_snapshot_catalogue *cat,
                            const libxl_snapshot_how *how)
{
    libxl_snapshot_how plain = xluss__plain_how(cat);
    libxl_block_snapshot_list list;
    int i, rc;

    libxl_block_snapshot_list_init(&list);
    rc = is_off(cat) ? 0
        : libxl_domain_block_snapshot_list(cat->ctx, cat->dom.domid, &list,
                                           &plain);
    for (i = 0; !rc && i < list.num_snapshots; i++) {
        xlu_backup_pull p;

        xlu_backup_pull_init(&p);
        libxl_block_snapshot_copy(cat->ctx, &p.snapshot, &list.snapshots[i]);
        p.exported.id = xluss__strdup("");
        p.phase = XLU_BACKUP_PULL_PHASE_UNDOING;
        rc = xluss__pull_end(cat, &p, how);
        xlu_backup_pull_dispose(&p);
    }
    libxl_block_snapshot_list_dispose(&list);
    return rc ? rc : drop(cat);
}

int xluss__pull_damaged(xlu_snapshot_catalogue *cat)
{
    LOG(cat->lg, ERROR, "domain %s: the record of a pull backup, %s/" JSON
        ", is damaged; backup-stop --failed takes away what there is of it",
        cat->dom.name, cat->dir.path);
    return LIBXL_SNAPSHOT_ERROR_DAMAGED;
}

int xluss__pull_clean_earlier(xlu_snapshot_catalogue *cat)
{
    xlu_backup_pull p;
    int rc = 0;

    xlu_backup_pull_init(&p);
    if (xluss__pull_exists(cat) && !xluss__pull_load(cat, &p)) {
        rc = xluss__pull_damaged(cat);
    } else if (p.phase == XLU_BACKUP_PULL_PHASE_RUNNING) {
        rc = xluss__pull_look(cat, &p);
        if (!rc && p.state != XLU_BACKUP_PULL_STATE_DEAD) {
            LOG(cat->lg, ERROR, "domain %s: the backup %s is not finished; "
                "wait for its reader's end, and stop it", cat->dom.name,
                p.snapshot.id);
            rc = LIBXL_SNAPSHOT_ERROR_BUSY;
        } else if (!rc) {
            p.phase = XLU_BACKUP_PULL_PHASE_UNDOING;
            LOG(cat->lg, NOTICE, "domain %s: the backup %s has ended with "
                "its device model; what is left of it is removed",
                cat->dom.name, p.snapshot.id);
            rc = xluss__pull_end(cat, &p, NULL);
        }
    }
    xlu_backup_pull_dispose(&p);
    return rc;
}
