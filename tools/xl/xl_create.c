/* SPDX-License-Identifier: LGPL-2.1-only */
/* snapshot-create */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "xl_command.h"
#include "xl_print.h"
#include "xl_session.h"
#include "xl_text.h"

static uint64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Numbered as in the IDL (xl_disk_spec.c). */
static libxl_disk_snapshot_kind kind(const struct xl_create_options *o, int i)
{
    libxl_disk_snapshot_kind k = o->disks[i].kind;

    if (k != LIBXL_DISK_SNAPSHOT_KIND_ANY)
        return k;
    return o->external ? LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL
         : o->internal ? LIBXL_DISK_SNAPSHOT_KIND_INTERNAL : k;
}

/* Disks that aren't named get their best kind from the library. */
static void fill_disks(const struct xl_create_options *o,
                       libxl_domain_snapshot_args *args)
{
    int i;

    if (!o->num_disks)
        return;
    args->disks = xl_alloc(o->num_disks, sizeof(*args->disks));
    args->num_disks = o->num_disks;
    for (i = 0; i < o->num_disks; i++) {
        libxl_disk_snapshot_init(&args->disks[i]);
        libxl_disk_snapshot_init_kind(&args->disks[i], kind(o, i));
        args->disks[i].device.vdev = xl_strdup(o->disks[i].vdev);
        if (o->disks[i].path) {
            args->disks[i].u.external.external_path =
                xl_strdup(o->disks[i].path);
            args->disks[i].u.external.external_reuse = o->disks[i].reuse;
        }
    }
}

static void fill_create(const struct xl_create_options *o,
                        xlu_snapshot_create_args *args)
{
    memset(args, 0, sizeof(*args));
    args->name = o->name;
    args->description = o->description;
    args->memory_folder = o->path;
    args->disk_only = o->disk_only;
    args->compress = o->compress;
    libxl_domain_snapshot_args_init(&args->args);
    if (o->live)
        libxl_defbool_set(&args->args.live, true);
    if (o->paused)
        libxl_defbool_set(&args->args.leave_paused, true);
    if (o->quiesce)
        libxl_defbool_set(&args->args.quiesce, true);
    if (o->allow_unquiesced)
        libxl_defbool_set(&args->args.allow_unquiesced, true);
    if (o->external || o->internal)
        args->args.kind = o->external ? LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL
                                      : LIBXL_DISK_SNAPSHOT_KIND_INTERNAL;
    if (o->checkpoint)
        args->args.checkpoint = xl_strdup(o->checkpoint);
    fill_disks(o, &args->args);
}

/* "12 MiB of memory", or what it is that holds none. */
static char *contents(const xlu_snapshot *snapshot)
{
    char *size, *text;

    if (!snapshot->memory.path)
        return xl_strdup(xl_is_quiesced(snapshot) ? "quiesced, no memory"
                                                  : "no memory");
    size = xl_size(snapshot->memory.size);
    text = xl_printf("%s of %smemory", size, snapshot->memory.format ==
                     XLU_SNAPSHOT_MEMORY_FORMAT_ZSTD ? "compressed " : "");
    free(size);
    return text;
}

static int tell_created(struct xl_session *s, const xlu_snapshot *snapshot,
                        const struct xl_create_options *o, uint64_t ms)
{
    int status = o->quiesce && !xl_is_quiesced(snapshot) ? XL_EXIT_LESS
                                                         : XL_EXIT_DONE;
    char *name, *dom, *took, *what;
    int failed;

    if (o->json) {
        failed = xl_print_json(s->ctx, stdout, &snapshot, 1, false);
        return failed ? failed : status;
    }
    name = xl_print_safe(snapshot->name);
    dom = xl_print_safe(s->dom.name);
    took = xl_duration(ms);
    what = contents(snapshot);
    printf("Snapshot %s of domain %s taken in %s (%d disk%s, %s).\n",
           name, dom, took, snapshot->args.num_disks,
           snapshot->args.num_disks == 1 ? "" : "s", what);
    /* Its name has nothing in it that a terminal could take amiss. */
    if (snapshot->args.checkpoint)
        printf("Checkpoint %s began with it.\n",
               snapshot->args.checkpoint);
    free(name);
    free(dom);
    free(took);
    free(what);
    return status;
}

static int create(struct xl_session *s, const struct xl_create_options *o)
{
    const xlu_snapshot *snapshot = NULL;
    xlu_snapshot_create_args args;
    uint64_t started = now_ms();
    char *doing;
    int rc, status;

    fill_create(o, &args);
    rc = xlu_snapshot_create(s->cat, &args, &s->how, &snapshot);
    libxl_domain_snapshot_args_dispose(&args.args);
    doing = xl_printf("snapshot of domain %s", s->dom.name);
    status = xl_session_finish(s, rc, doing);
    free(doing);
    if (!rc)
        status = tell_created(s, snapshot, o, now_ms() - started);
    return status;
}

int xl_create_main(const struct xl_globals *globals, int argc, char **argv)
{
    struct xl_create_options o;
    struct xl_problem problem = { 0 };
    struct xl_session s;
    const char *bad = NULL;
    bool help;
    int status = xl_create_parse(argc, argv, &o, &help, &problem);

    if (!status && !help && o.name)
        bad = xlu_snapshot_name_problem(o.name);
    if (bad)
        status = xl_problem_set(&problem, XL_EXIT_USAGE,
                                "the name \"%s\" %s", o.name, bad);
    if (status || help) {
        xl_create_options_free(&o);
        return status ? xl_help_problem(argv[0], &problem)
                      : xl_help_asked(argv[0]);
    }
    status = xl_session_begin(&s, globals, o.domain);
    if (!status)
        status = xl_session_write(&s, o.wait);
    if (!status)
        status = create(&s, &o);
    xl_session_end(&s);
    xl_create_options_free(&o);
    return status;
}
