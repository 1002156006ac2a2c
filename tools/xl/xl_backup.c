/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * backup-start, -status and -stop. The copying is QEMU's: while it lasts no
 * lock is held, and an end of this process changes nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xlu_backup.h>

#include "xl_command.h"
#include "xl_pull.h"
#include "xl_print.h"
#include "xl_progress.h"
#include "xl_session.h"
#include "xl_text.h"

#define POLL_US 300000
#define STOP_MS 60000           /* for a backup-save to clean up */

/* --- what is to be backed up --- */

static void add(libxl_domain_backup_args *args,
                const struct xl_backup_options *o, const char *vdev,
                char *target)
{
    libxl_backup_disk *b;

    args->disks = realloc(args->disks, (args->num_disks + 1) * sizeof(*b));
    if (!args->disks)
        abort();
    b = &args->disks[args->num_disks++];
    libxl_backup_disk_init(b);
    b->vdev = xl_strdup(vdev);
    b->target = target;
    b->format = o->raw ? LIBXL_DISK_FORMAT_RAW : LIBXL_DISK_FORMAT_QCOW2;
    b->reuse = o->reuse;
}

/* A relative path is one of ours, not of QEMU's. */
char *xl_backup_absolute(const char *target)
{
    char *folder, *path;

    if (*target == '/' || !strncmp(target, "nbd:", 4) ||
        !strncmp(target, "nbd+", 4))
        return xl_strdup(target);
    folder = getcwd(NULL, 0);
    path = xl_printf("%s/%s", folder ? folder : "", target);
    free(folder);
    return path;
}

static void add_all(struct xl_session *s, libxl_domain_backup_args *args,
                    const struct xl_backup_options *o)
{
    char *folder = xl_backup_absolute(o->to);
    libxl_device_disk *disks;
    int i, num = 0;

    disks = libxl_device_disk_list(s->ctx, s->dom.domid, &num);
    for (i = 0; i < num; i++)
        if (disks[i].readwrite && !disks[i].is_cdrom && disks[i].vdev)
            add(args, o, disks[i].vdev,
                xl_printf("%s/%s.%s", folder, disks[i].vdev,
                          o->raw ? "raw" : "qcow2"));
    libxl_device_disk_list_free(disks, num);
    free(folder);
}

static char *maybe(const char *s)
{
    return s ? xl_strdup(s) : NULL;
}

static void fill(struct xl_session *s, libxl_domain_backup_args *args,
                 const struct xl_backup_options *o)
{
    int i;

    args->since = maybe(o->since);
    args->checkpoint = maybe(o->checkpoint);
    args->scratch_dir = o->scratch ? xl_backup_absolute(o->scratch) : NULL;
    args->scratch_max = o->scratch_max;
    args->speed = o->speed;
    if (o->quiesce)
        libxl_defbool_set(&args->quiesce, true);
    if (o->to)
        add_all(s, args, o);
    for (i = 0; i < o->num_disks; i++)
        add(args, o, o->disks[i].vdev,
            xl_backup_absolute(o->disks[i].target));
}

/* --- printing --- */

static int print_json(char *text)
{
    char *pretty;

    if (!text)
        return xl_session_failed(ERROR_FAIL, "JSON of a backup", NULL);
    pretty = xl_json_pretty(text);
    xl_print_document(stdout, pretty);
    free(pretty);
    free(text);
    return XL_EXIT_DONE;
}

static int print(struct xl_session *s, libxl_domain_backup_args *args,
                 bool json)
{
    uint64_t done = 0, total = 0;
    char *a, *b;
    int i;

    if (json)
        return print_json(libxl_domain_backup_args_to_json(s->ctx, args));
    for (i = 0; i < args->num_disks; i++) {
        done += args->disks[i].done;
        total += args->disks[i].total;
    }
    a = xl_size(done);
    b = xl_size(total);
    printf("Backup %s of %s: %s, %s of %s copied.\n",
           args->id ? args->id : "-", s->dom.name,
           libxl_backup_state_to_string(args->state), a, b);
    free(a);
    free(b);
    return XL_EXIT_DONE;
}

static void draw(const libxl_domain_backup_args *args)
{
    uint64_t done = 0, total = 0;
    int i;

    if (!isatty(2))
        return;
    for (i = 0; i < args->num_disks; i++) {
        done += args->disks[i].done;
        total += args->disks[i].total;
    }
    fprintf(stderr, "\rCopied: %3d %%", total ? (int)(done * 100 / total)
                                              : 0);
    if (args->state != LIBXL_BACKUP_STATE_RUNNING)
        fputc('\n', stderr);
}

/* --- each step in a session of its own --- */

/* lost: incremental was asked for, and can't be. */
static int start(const struct xl_globals *globals,
                 const struct xl_backup_options *o, bool *lost)
{
    libxl_domain_backup_args args;
    struct xl_session s;
    int rc, status = xl_session_begin(&s, globals, o->domain);

    libxl_domain_backup_args_init(&args);
    if (!status)
        status = xl_session_write(&s, o->wait);
    if (!status) {
        fill(&s, &args, o);
        rc = xlu_backup_start(s.cat, &args, &s.how);
        if (rc == LIBXL_SNAPSHOT_ERROR_BITMAP_BROKEN && !o->strict) {
            xl_say("a full backup is made instead");
            *lost = true;
            free(args.since);
            args.since = NULL;
            rc = xlu_backup_start(s.cat, &args, &s.how);
        }
        status = xl_session_finish(&s, rc, "backup");
        if (!status && o->detach)
            status = print(&s, &args, o->json);
    }
    libxl_domain_backup_args_dispose(&args);
    xl_session_end(&s);
    return status;
}

static int look(const struct xl_globals *globals,
                const struct xl_backup_options *o, bool show,
                libxl_backup_state *state_r)
{
    libxl_domain_backup_args args;
    struct xl_session s;
    int rc, status = xl_session_begin(&s, globals, o->domain);

    libxl_domain_backup_args_init(&args);
    if (!status)
        status = xl_session_read(&s);
    if (!status) {
        rc = xlu_backup_status(s.cat, &args);
        *state_r = args.state;
        if (rc)
            status = xl_session_failed(rc, "backup of", s.dom.name);
        else if (show)
            status = print(&s, &args, o->json);
        else
            draw(&args);
    }
    libxl_domain_backup_args_dispose(&args);
    xl_session_end(&s);
    return status;
}

static int end(const struct xl_globals *globals,
               const struct xl_backup_options *o, bool cancel)
{
    libxl_domain_backup_args args;
    struct xl_session s;
    int rc, status = xl_session_begin(&s, globals, o->domain);

    libxl_domain_backup_args_init(&args);
    if (!status)
        status = xl_session_write(&s, o->wait);
    if (!status) {
        rc = cancel ? xlu_backup_cancel(s.cat, &s.how, &args)
                    : xlu_backup_finish(s.cat, &s.how, &args);
        status = xl_session_finish(&s, rc, cancel ? "end of a backup"
                                                  : "backup");
        if (!status && cancel)
            printf("Backup %s %s.\n", args.id,
                   args.state == LIBXL_BACKUP_STATE_DONE
                   ? "had come to its end" : "stopped");
        else if (!status)
            status = print(&s, &args, o->json);
    }
    libxl_domain_backup_args_dispose(&args);
    xl_session_end(&s);
    return status;
}

/* Of one that backup-save reads: true if there was one. */
static bool stop_save(struct xl_session *s, int *status, int *pidfd)
{
    int rc = xlu_backup_save_stop(s->cat, &s->how, pidfd);

    if (rc == ERROR_NOTFOUND)
        return false;
    *status = XL_EXIT_DONE;
    if (rc == LIBXL_SNAPSHOT_ERROR_BUSY && *pidfd >= 0)
        return true;
    if (rc)
        *status = xl_session_failed(rc, "end of a backup of", s->dom.name);
    else
        printf("What a backup-save had left was taken away.\n");
    return true;
}

/* It takes away what it has made itself, under the catalogue's lock. */
static int wait_for_save(int pidfd)
{
    struct pollfd p = { .fd = pidfd, .events = POLLIN };
    int r;

    do
        r = poll(&p, 1, STOP_MS);
    while (r < 0 && errno == EINTR);
    close(pidfd);
    if (r > 0) {
        printf("The backup-save was stopped.\n");
        return XL_EXIT_DONE;
    }
    xl_say("the backup-save was told to stop, and has not ended yet");
    return XL_EXIT_BUSY;
}

static int stop(const struct xl_globals *globals,
                const struct xl_backup_options *o)
{
    struct xl_session s;
    int pidfd = -1, status = xl_session_begin(&s, globals, o->domain);
    bool found = true;

    if (!status)
        status = xl_session_write(&s, o->wait);
    if (!status)
        found = stop_save(&s, &status, &pidfd);
    xl_session_end(&s);
    if (!found)
        return xl_pull_stop(globals, o, &status) ? status
                                                 : end(globals, o, true);
    return pidfd >= 0 ? wait_for_save(pidfd) : status;
}

static int follow(const struct xl_globals *globals,
                  const struct xl_backup_options *o)
{
    libxl_backup_state state = LIBXL_BACKUP_STATE_RUNNING;
    int status;

    for (;;) {
        status = look(globals, o, false, &state);
        if (status || state != LIBXL_BACKUP_STATE_RUNNING)
            return status ? status : end(globals, o, false);
        usleep(POLL_US);
    }
}

static int start_command(const struct xl_globals *globals,
                         const struct xl_backup_options *o)
{
    bool lost = false;
    int status = start(globals, o, &lost);

    if (!status && !o->detach)
        status = follow(globals, o);
    return !status && lost ? XL_EXIT_LESS : status;
}

static int print_save(libxl_ctx *ctx, xlu_backup_save *save, bool json)
{
    if (json)
        return print_json(xlu_backup_save_to_json(ctx, save));
    printf("backup-save, process %d, copies %s into %s.\n", save->pid,
           save->name ? save->name : "a set",
           save->folder ? save->folder : "a folder");
    return XL_EXIT_DONE;
}

/* One that a client of ours reads: true if there is one. */
static bool save_status(const struct xl_globals *globals,
                        const struct xl_backup_options *o, int *status)
{
    struct xl_session s;
    xlu_backup_save save;
    bool found = false;

    xlu_backup_save_init(&save);
    *status = xl_session_begin(&s, globals, o->domain);
    if (!*status)
        *status = xl_session_read(&s);
    if (!*status)
        found = !xlu_backup_save_status(s.cat, &save);
    if (found)
        *status = print_save(s.ctx, &save, o->json);
    xlu_backup_save_dispose(&save);
    xl_session_end(&s);
    return found || *status;
}

/* One that has copied everything is finished on the way. */
static int status_command(const struct xl_globals *globals,
                          const struct xl_backup_options *o)
{
    libxl_backup_state state = LIBXL_BACKUP_STATE_RUNNING;
    struct xl_backup_options quiet = *o;
    int status;

    if ((!o->xml && !o->snapshot_xml && !o->export_xml &&
         save_status(globals, o, &status)) ||
        xl_pull_status(globals, o, &status))
        return status;
    status = look(globals, &quiet, false, &state);
    if (status)
        return status;
    return state == LIBXL_BACKUP_STATE_RUNNING
           ? look(globals, o, true, &state) : end(globals, o, false);
}

int xl_backup_main(const struct xl_globals *globals, int argc, char **argv)
{
    struct xl_backup_options o;
    struct xl_problem problem = { 0 };
    bool help;
    int status = xl_backup_parse(argc, argv, &o, &help, &problem);

    if (status)
        return xl_help_problem(argv[0], &problem);
    if (help)
        status = xl_help_asked(argv[0]);
    else if (!strcmp(argv[0], "backup-start"))
        status = o.pull ? xl_pull_start(globals, &o)
                        : start_command(globals, &o);
    else if (!strcmp(argv[0], "backup-status"))
        status = status_command(globals, &o);
    else
        status = stop(globals, &o);
    xl_backup_options_free(&o);
    return status;
}
