/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A domain's block snapshot and its export, in the files $FAKE_PULL and
 * $FAKE_PULL.export, so that several processes see the same. The first holds
 * READY, BROKEN, INCOMPLETE or TARGET, which a test may change, and the id, and
 * goes with its QEMU; the second is the server: its id, that of its snapshot,
 * and perhaps DEAD. A checkpoint "broken" is just that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libxl_snapshot.h"

static const char *path(const char *suffix)
{
    const char *p = getenv("FAKE_PULL");
    static char text[512];

    snprintf(text, sizeof(text), "%s%s", p ? p : "/nonexistent/pull", suffix);
    return text;
}

static int get(const char *suffix, char word[3][16])
{
    FILE *f = fopen(path(suffix), "re");
    int num = f ? fscanf(f, "%15s %15s %15s", word[0], word[1], word[2]) : 0;

    if (f)
        fclose(f);
    return num;
}

static int put(const char *suffix, const char *word, const char *second)
{
    FILE *f = fopen(path(suffix), "we");

    if (!f)
        return ERROR_FAIL;
    fprintf(f, "%s%s%s\n", word, second ? " " : "", second ? second : "");
    fclose(f);
    return 0;
}

static void set_disks(libxl_block_snapshot *s)
{
    static const char *const vdevs[] = { "xvda", "xvdb" };
    int i;

    for (i = 0; i < s->num_disks; i++)
        libxl_block_snapshot_disk_dispose(&s->disks[i]);
    s->disks = realloc(s->disks, 2 * sizeof(*s->disks));
    s->num_disks = 2;
    for (i = 0; i < 2; i++) {
        libxl_block_snapshot_disk_init(&s->disks[i]);
        s->disks[i].vdev = strdup(vdevs[i]);
        s->disks[i].size = 1 << 20;
        s->disks[i].scratch = strdup("/images/a & b.scratch");
    }
}

int libxl_domain_block_snapshot_create(libxl_ctx *ctx, uint32_t domid,
                                       libxl_block_snapshot *args,
                                       const libxl_snapshot_how *how,
                                       const libxl_asyncop_how *ao_how)
{
    (void)ctx, (void)domid, (void)how, (void)ao_how;
    if (args->since && !strcmp(args->since, "broken"))
        return LIBXL_SNAPSHOT_ERROR_BITMAP_BROKEN;
    args->complete = true;
    set_disks(args);
    return put("", "READY", args->id);
}

int libxl_domain_block_snapshot_verify(libxl_ctx *ctx, uint32_t domid,
                                       libxl_block_snapshot *which,
                                       const libxl_snapshot_how *how)
{
    char word[3][16];

    (void)ctx, (void)domid, (void)how;
    if (!get("", word))
        return ERROR_NOTFOUND;
    set_disks(which);
    which->complete = true;
    which->disks[1].broken = !strcmp(word[0], "BROKEN");
    return 0;
}

int libxl_domain_block_snapshot_delete(libxl_ctx *ctx, uint32_t domid,
                                       const libxl_block_snapshot *which,
                                       bool undo_checkpoint,
                                       const libxl_snapshot_how *how,
                                       const libxl_asyncop_how *ao_how)
{
    char word[3][16];
    int i;

    (void)ctx, (void)domid, (void)how, (void)ao_how;
    for (i = 0; i < which->num_disks; i++) {
        const char *scratch = which->disks[i].scratch;

        if (scratch && strstr(scratch, which->id))
            unlink(scratch);
    }
    /* Of another backup. */
    if (get("", word) > 1 && strcmp(word[1], which->id))
        return 0;
    if (getenv("FAKE_PULL") && !access(path(""), F_OK))
        put(".undone", undo_checkpoint ? "yes" : "no", NULL);
    unlink(path(""));
    return 0;
}

int libxl_domain_block_snapshot_list(libxl_ctx *ctx, uint32_t domid,
                                     libxl_block_snapshot_list *out,
                                     const libxl_snapshot_how *how)
{
    char word[3][16];
    int num = get("", word);

    (void)ctx, (void)domid, (void)how;
    if (!num)
        return 0;
    out->snapshots = calloc(1, sizeof(*out->snapshots));
    out->num_snapshots = 1;
    libxl_block_snapshot_init(out->snapshots);
    out->snapshots->id = strdup(num > 1 ? word[1] : "00112233");
    out->snapshots->complete = strcmp(word[0], "INCOMPLETE");
    out->snapshots->backup = !strcmp(word[0], "TARGET");
    set_disks(out->snapshots);
    return 0;
}

int libxl_domain_block_export_start(libxl_ctx *ctx, uint32_t domid,
                                    libxl_block_export *args,
                                    const libxl_snapshot_how *how,
                                    const libxl_asyncop_how *ao_how)
{
    static const char *const vdevs[] = { "xvda", "xvdb" };
    int i;

    (void)ctx, (void)domid, (void)how, (void)ao_how;
    if (args->socket && !strcmp(args->socket, "/taken"))
        return LIBXL_SNAPSHOT_ERROR_EXISTS;
    if (!args->socket && !args->host)
        args->socket = strdup("/run/xl-snapshot/x.sock");
    if (args->host && !args->port)
        args->port = 10809;
    if (!args->num_disks)
        args->disks = calloc(2, sizeof(*args->disks));
    for (i = args->num_disks; i < 2; i++) {
        libxl_block_export_disk_init(&args->disks[i]);
        args->disks[i].vdev = strdup(vdevs[i]);
        args->disks[i].name = strdup(vdevs[i]);
        if (asprintf(&args->disks[i].uri, args->host ? "nbds://h:1/%s"
                     : "nbd+unix:///%s?socket=/a/b", vdevs[i]) < 0)
            abort();
    }
    args->num_disks = 2;
    if (!args->bitmap && getenv("FAKE_PULL_BITMAP"))
        args->bitmap = strdup("changes");
    args->running = true;
    args->pid = 1;
    return put(".export", args->id, args->snapshot);
}

int libxl_domain_block_export_stop(libxl_ctx *ctx, uint32_t domid,
                                   const char *id,
                                   const libxl_snapshot_how *how)
{
    (void)ctx, (void)domid, (void)id, (void)how;
    unlink(path(".export"));
    return 0;
}

int libxl_domain_block_export_list(libxl_ctx *ctx, uint32_t domid,
                                   libxl_block_export_list *out,
                                   const libxl_snapshot_how *how)
{
    char word[3][16];
    int num = get(".export", word);

    (void)ctx, (void)domid, (void)how;
    if (!num)
        return 0;
    out->exports = calloc(1, sizeof(*out->exports));
    out->num_exports = 1;
    libxl_block_export_init(out->exports);
    out->exports->id = strdup(word[0]);
    out->exports->snapshot = strdup(num > 1 ? word[1] : "00112233");
    out->exports->running = num < 3;
    out->exports->pid = 1;
    return 0;
}

/* $FAKE_SCRATCH, a file in that folder; $FAKE_SHARED: on an NFS server. */
int libxl_block_scratch_list(libxl_ctx *ctx, const char *folder,
                             libxl_block_snapshot_list *out, bool *shared,
                             const libxl_snapshot_how *how)
{
    const char *file = getenv("FAKE_SCRATCH");
    libxl_block_snapshot *s;

    (void)ctx, (void)how;
    *shared = getenv("FAKE_SHARED");
    if (!file || access(file, F_OK) || strncmp(file, folder, strlen(folder)) ||
        strchr(file + strlen(folder) + 1, '/'))
        return 0;
    out->snapshots = s = calloc(1, sizeof(*s));
    out->num_snapshots = 1;
    libxl_block_snapshot_init(s);
    s->id = strndup(strrchr(file, '/') + 6, 8);
    s->disks = calloc(1, sizeof(*s->disks));
    s->num_disks = 1;
    libxl_block_snapshot_disk_init(s->disks);
    s->disks->vdev = strdup("xvda");
    s->disks->scratch = strdup(file);
    return 0;
}
