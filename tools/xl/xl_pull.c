/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Pull backups: others read the disks by NBD. The command returns when they
 * can; nothing of it is needed until backup-stop.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xlu_backup.h>

#include "xl_command.h"
#include "xl_print.h"
#include "xl_progress.h"
#include "xl_pull.h"
#include "xl_session.h"
#include "xl_text.h"

static char *maybe(const char *s)
{
    return s ? xl_strdup(s) : NULL;
}

static void fill(xlu_backup_pull *p, const struct xl_backup_options *o)
{
    libxl_block_snapshot *s = &p->snapshot;
    libxl_block_export *e = &p->exported;
    int i;

    s->since = maybe(o->since);
    s->checkpoint = maybe(o->checkpoint);
    s->scratch_dir = o->scratch ? xl_backup_absolute(o->scratch) : NULL;
    s->scratch_max = o->scratch_max;
    if (o->quiesce)
        libxl_defbool_set(&s->quiesce, true);
    s->disks = xl_alloc(o->num_disks, sizeof(*s->disks));
    s->num_disks = o->num_disks;
    for (i = 0; i < o->num_disks; i++) {
        libxl_block_snapshot_disk_init(&s->disks[i]);
        s->disks[i].vdev = xl_strdup(o->disks[i].vdev);
    }
    e->socket = o->socket ? xl_backup_absolute(o->socket) : NULL;
    e->host = maybe(o->host);
    e->port = o->port;
    e->tls_dir = o->tls ? xl_backup_absolute(o->tls) : NULL;
    e->tls_any_client = o->tls_any_client;
    e->insecure = o->insecure;
}

/* --- printing --- */

static int print_json(struct xl_session *s, xlu_backup_pull *p)
{
    char *text = xlu_backup_pull_to_json(s->ctx, p), *pretty;

    if (!text)
        return xl_session_failed(ERROR_FAIL, "JSON of a backup", NULL);
    pretty = xl_json_pretty(text);
    xl_print_document(stdout, pretty);
    free(pretty);
    free(text);
    return XL_EXIT_DONE;
}

static void print_head(const struct xl_session *s, const xlu_backup_pull *p)
{
    static const char *const words[] = {
        [XLU_BACKUP_PULL_STATE_UNKNOWN] = "not known",
        [XLU_BACKUP_PULL_STATE_READY] = "ready to be read",
        [XLU_BACKUP_PULL_STATE_BROKEN] =
            "broken, since its scratch space was full; it can't be read",
        [XLU_BACKUP_PULL_STATE_NO_SERVER] = "its server has died",
        [XLU_BACKUP_PULL_STATE_DEAD] = "it has ended with its device model",
    };
    const libxl_block_snapshot *v = &p->snapshot;

    printf("Backup %s of %s, pull%s%s%s%s: %s.\n", v->id, s->dom.name,
           v->since ? ", since " : "", v->since ? v->since : "",
           v->checkpoint ? ", checkpoint " : "",
           v->checkpoint ? v->checkpoint : "", words[p->state]);
}

static void print_disks(const xlu_backup_pull *p)
{
    static const char *const heading[] = { "Disk", "Size", "Export", "URI" };
    const int columns = 4;
    int i, j, n = p->num_disks + 1;
    char **cells = xl_alloc((size_t)n * columns, sizeof(*cells));

    for (j = 0; j < columns; j++)
        cells[j] = xl_strdup(heading[j]);
    for (i = 1; i < n; i++) {
        const xlu_backup_pull_disk *d = &p->disks[i - 1];

        cells[i * columns] = d->broken ? xl_printf("%s (broken)", d->vdev)
                                       : xl_print_safe(d->vdev);
        cells[i * columns + 1] = xl_size(d->size);
        cells[i * columns + 2] = xl_print_safe(d->name);
        cells[i * columns + 3] = xl_print_safe(d->uri);
    }
    xl_table(stdout, (const char *const *)cells, n, columns);
    for (i = 0; i < n * columns; i++)
        free(cells[i]);
    free(cells);
}

static void print_line(char *line)
{
    char *safe = xl_print_safe(line);

    printf("    %s\n", safe);
    free(safe);
    free(line);
}

/* What can be pasted. */
static void print_commands(const struct xl_session *s,
                           const xlu_backup_pull *p)
{
    const char *changes = p->exported.bitmap;
    int i;

    printf("To copy%s:\n", p->exported.tls_dir
           ? ", with a client's certificates in DIR" : "");
    for (i = 0; i < p->num_disks; i++) {
        const xlu_backup_pull_disk *d = &p->disks[i];
        char *uri = xl_shell_word(d->uri);

        print_line(xl_strdup(d->command));
        if (!p->exported.tls_dir)
            print_line(xl_printf("qemu-img convert -f raw -O qcow2 %s "
                                 "%s.qcow2", uri, d->vdev));
        if (changes && !p->exported.tls_dir)
            print_line(xl_printf("nbdinfo --map=qemu:dirty-bitmap:%s %s",
                                 changes, uri));
        free(uri);
    }
    printf("When it has been read:\n");
    print_line(xl_printf("%s backup-stop %s", xl_called_as, s->dom.name));
}

static int print(struct xl_session *s, xlu_backup_pull *p, bool json)
{
    int i;

    if (json)
        return print_json(s, p);
    print_head(s, p);
    print_disks(p);
    printf("Contexts:");
    for (i = 0; i < p->num_contexts; i++)
        printf(" %s", p->contexts[i]);
    putchar('\n');
    if (p->state == XLU_BACKUP_PULL_STATE_READY)
        print_commands(s, p);
    return XL_EXIT_DONE;
}

/* --- start --- */

int xl_pull_start(const struct xl_globals *globals,
                  const struct xl_backup_options *o)
{
    xlu_backup_pull p;
    struct xl_session s;
    bool lost = false;
    int rc, status = xl_session_begin(&s, globals, o->domain);

    xlu_backup_pull_init(&p);
    if (!status)
        status = xl_session_write(&s, o->wait);
    if (!status) {
        fill(&p, o);
        rc = xlu_backup_pull_start(s.cat, &p, &s.how);
        if (rc == LIBXL_SNAPSHOT_ERROR_BITMAP_BROKEN && !o->strict) {
            xl_say("everything has to be read: it is not known what was "
                   "written since %s", o->since);
            lost = true;
            free(p.snapshot.since);
            p.snapshot.since = NULL;
            rc = xlu_backup_pull_start(s.cat, &p, &s.how);
        }
        status = xl_session_finish(&s, rc, "backup");
        if (!status)
            status = print(&s, &p, o->json);
    }
    xlu_backup_pull_dispose(&p);
    xl_session_end(&s);
    return !status && lost ? XL_EXIT_LESS : status;
}

/* --- status --- */

/* In a session for writing: another server, or the end of a dead one. */
static int mend(const struct xl_globals *globals,
                const struct xl_backup_options *o, bool dead)
{
    xlu_backup_pull p;
    struct xl_session s;
    int rc, status = xl_session_begin(&s, globals, o->domain);

    xlu_backup_pull_init(&p);
    if (!status)
        status = xl_session_write(&s, o->wait);
    if (!status) {
        rc = dead ? xlu_backup_pull_stop(s.cat, true, &s.how, &p)
                  : xlu_backup_pull_restart(s.cat, &s.how, &p);
        status = xl_session_finish(&s, rc, "backup");
    }
    if (!status && dead) {
        const char *c = p.snapshot.checkpoint;

        xl_say("domain %s: the backup %s has ended with its device model; "
               "what was left of it was removed%s%s%s", s.dom.name,
               p.snapshot.id, c ? ", and the checkpoint " : "", c ? c : "",
               c ? " never was" : "");
        status = XL_EXIT_NOT_FOUND;
    } else if (!status) {
        xl_say("the server of the backup %s had died; there is another one "
               "at the same address", p.snapshot.id);
        status = print(&s, &p, o->json);
    }
    xlu_backup_pull_dispose(&p);
    xl_session_end(&s);
    return status;
}

static int print_xml(struct xl_session *s, const struct xl_backup_options *o)
{
    char *xml;
    int rc = xlu_backup_xml(s->cat,
                 o->snapshot_xml ? XLU_BACKUP_XML_SNAPSHOT
                 : o->export_xml ? XLU_BACKUP_XML_EXPORT
                                 : XLU_BACKUP_XML_BACKUP, &xml);

    if (rc)
        return xl_session_failed(rc, "XML of the backup of", s->dom.name);
    xl_print_document(stdout, xml);
    free(xml);
    return XL_EXIT_DONE;
}

/* False: it is a push backup's, or nobody's. */
static bool look(struct xl_session *s, const struct xl_backup_options *o,
                 xlu_backup_pull *p, int *status)
{
    int rc;

    *status = xl_session_read(s);
    if (*status)
        return true;
    if (o->xml || o->snapshot_xml || o->export_xml) {
        *status = print_xml(s, o);
        return true;
    }
    if (!xlu_backup_is_pull(s->cat))
        return false;
    rc = xlu_backup_pull_status(s->cat, p);
    if (rc)
        *status = xl_session_failed(rc, "backup of", s->dom.name);
    else if (p->state == XLU_BACKUP_PULL_STATE_READY ||
             p->state == XLU_BACKUP_PULL_STATE_BROKEN)
        *status = print(s, p, o->json);
    if (!*status && p->state == XLU_BACKUP_PULL_STATE_BROKEN)
        *status = XL_EXIT_DAMAGED;
    return true;
}

bool xl_pull_status(const struct xl_globals *globals,
                    const struct xl_backup_options *o, int *status)
{
    xlu_backup_pull_state state;
    xlu_backup_pull p;
    struct xl_session s;
    bool pull = true;

    xlu_backup_pull_init(&p);
    *status = xl_session_begin(&s, globals, o->domain);
    if (!*status)
        pull = look(&s, o, &p, status);
    state = p.state;
    xlu_backup_pull_dispose(&p);
    xl_session_end(&s);
    if (pull && !*status && (state == XLU_BACKUP_PULL_STATE_NO_SERVER ||
                             state == XLU_BACKUP_PULL_STATE_DEAD))
        *status = mend(globals, o, state == XLU_BACKUP_PULL_STATE_DEAD);
    return pull;
}

/* --- stop --- */

static int stop(struct xl_session *s, const struct xl_backup_options *o)
{
    xlu_backup_pull p;
    const char *c;
    int rc, status;

    xlu_backup_pull_init(&p);
    rc = xlu_backup_pull_stop(s->cat, o->failed, &s->how, &p);
    status = xl_session_finish(s, rc, "end of a backup");
    c = p.snapshot.checkpoint;
    if (!status)
        printf("Backup %s ended%s%s%s.\n", p.snapshot.id ? p.snapshot.id : "",
               c ? "; the checkpoint " : "", c ? c : "",
               !c ? "" : o->failed ? " never was" : " stays");
    xlu_backup_pull_dispose(&p);
    return status;
}

bool xl_pull_stop(const struct xl_globals *globals,
                  const struct xl_backup_options *o, int *status)
{
    struct xl_session s;
    bool pull = true;

    *status = xl_session_begin(&s, globals, o->domain);
    if (!*status)
        *status = xl_session_write(&s, o->wait);
    if (!*status) {
        pull = xlu_backup_is_pull(s.cat) || o->failed;
        if (pull)
            *status = stop(&s, o);
        else
            *status = xl_session_finish(&s, 0, "end of a backup");
    }
    xl_session_end(&s);
    return pull;
}
