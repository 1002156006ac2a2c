/* SPDX-License-Identifier: LGPL-2.1-only */
/* snapshot-merge */
#include <stdio.h>
#include <stdlib.h>

#include "xl_command.h"
#include "xl_print.h"
#include "xl_session.h"
#include "xl_text.h"

static libxl_merge_direction direction(const struct xl_merge_options *o)
{
    return o->up ? LIBXL_MERGE_DIRECTION_UP
         : o->down ? LIBXL_MERGE_DIRECTION_DOWN : LIBXL_MERGE_DIRECTION_ANY;
}

static int print_json(libxl_ctx *ctx,
                      const libxl_domain_disk_merge_args *done)
{
    int i, n = done->num_disks;
    char **texts = xl_alloc(n, sizeof(*texts));

    for (i = 0; i < n; i++)
        texts[i] = libxl_disk_merge_to_json(ctx, &done->disks[i]);
    xl_print_array(stdout, texts, n);
    free(texts);
    return XL_EXIT_DONE;
}

static void tell_disk(const libxl_disk_merge *m)
{
    char *vdev = xl_print_safe(m->device.vdev);

    if (m->merged)
        printf("Disk %s: %d file%s merged.\n", vdev, m->merged,
               m->merged == 1 ? "" : "s");
    if (m->stayed)
        printf("Disk %s: %d file%s, which snapshots inside an image need.\n",
               vdev, m->stayed, m->stayed == 1 ? " stays" : "s stay");
    free(vdev);
}

static int tell(struct xl_session *s, const struct xl_merge_options *o,
                const libxl_domain_disk_merge_args *done)
{
    int i, any = 0;
    char *name;

    if (o->json)
        return print_json(s->ctx, done);
    if (o->name) {
        name = xl_print_safe(o->name);
        printf("Snapshot %s merged.\n", name);
        free(name);
        return XL_EXIT_DONE;
    }
    for (i = 0; i < done->num_disks; i++) {
        any += done->disks[i].merged + done->disks[i].stayed;
        tell_disk(&done->disks[i]);
    }
    if (!any)
        printf("There is nothing to merge.\n");
    return XL_EXIT_DONE;
}

static int merge(struct xl_session *s, const struct xl_merge_options *o)
{
    const xlu_snapshot_merge_args args = {
        .name = o->name, .vdevs = o->vdevs, .direction = direction(o),
    };
    libxl_domain_disk_merge_args done;
    char *doing;
    int rc, status;

    libxl_domain_disk_merge_args_init(&done);
    rc = xlu_snapshot_merge(s->cat, &args, &s->how, &done);
    doing = xl_printf("merge of the disks of domain %s", s->dom.name);
    status = xl_session_finish(s, rc, doing);
    free(doing);
    if (!rc)
        status = tell(s, o, &done);
    libxl_domain_disk_merge_args_dispose(&done);
    return status;
}

int xl_merge_main(const struct xl_globals *globals, int argc, char **argv)
{
    struct xl_merge_options o;
    struct xl_problem problem = { 0 };
    struct xl_session s;
    bool help;
    int status = xl_merge_parse(argc, argv, &o, &help, &problem);

    if (status)
        return xl_help_problem(argv[0], &problem);
    if (help) {
        xl_merge_options_free(&o);
        return xl_help_asked(argv[0]);
    }
    status = xl_session_begin(&s, globals, o.domain);
    if (!status)
        status = xl_session_write(&s, o.wait);
    if (!status)
        status = merge(&s, &o);
    xl_session_end(&s);
    xl_merge_options_free(&o);
    return status;
}
