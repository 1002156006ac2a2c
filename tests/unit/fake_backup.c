/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A domain's backup, in the file $FAKE_BACKUP, so that several processes see
 * the same: RUNNING, COPIED or FAILED, which a test may change, and the id.
 * $FAKE_BACKUP_STATE: how it begins. A checkpoint "broken" is just that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libxl_snapshot.h"

static const char *path(void)
{
    const char *p = getenv("FAKE_BACKUP");

    return p ? p : "/nonexistent/backup";
}

static bool read_state(libxl_backup_state *out, char id[16])
{
    FILE *f = fopen(path(), "re");
    char word[16] = "";
    int num = f ? fscanf(f, "%15s %15s", word, id) : 0;

    if (num == 1)
        strcpy(id, "0011aabb");
    if (f)
        fclose(f);
    return num > 0 && !libxl_backup_state_from_string(word, out);
}

int libxl_domain_backup_start(libxl_ctx *ctx, uint32_t domid,
                              libxl_domain_backup_args *args,
                              const libxl_snapshot_how *how,
                              const libxl_asyncop_how *ao_how)
{
    const char *state = getenv("FAKE_BACKUP_STATE");
    FILE *f;

    (void)ctx;
    (void)domid;
    (void)how;
    (void)ao_how;
    if (args->since && !strcmp(args->since, "broken"))
        return LIBXL_SNAPSHOT_ERROR_BITMAP_BROKEN;
    f = fopen(path(), "we");
    if (!f)
        return ERROR_FAIL;
    if (!args->id)
        args->id = strdup("0011aabb");
    fprintf(f, "%s %s\n", state ? state : "COPIED", args->id);
    fclose(f);
    args->state = LIBXL_BACKUP_STATE_RUNNING;
    return 0;
}

int libxl_domain_backup_status(libxl_ctx *ctx, uint32_t domid,
                               libxl_domain_backup_args *args,
                               const libxl_snapshot_how *how)
{
    char id[16];

    (void)ctx;
    (void)domid;
    (void)how;
    if (!read_state(&args->state, id))
        return ERROR_NOTFOUND;
    free(args->id);
    args->id = strdup(id);
    return 0;
}

int libxl_domain_backup_finish(libxl_ctx *ctx, uint32_t domid,
                               libxl_domain_backup_args *args,
                               const libxl_snapshot_how *how,
                               const libxl_asyncop_how *ao_how)
{
    int rc = libxl_domain_backup_status(ctx, domid, args, how);

    (void)ao_how;
    if (rc)
        return rc;
    if (args->state == LIBXL_BACKUP_STATE_RUNNING)
        return LIBXL_SNAPSHOT_ERROR_BUSY;
    unlink(path());
    if (args->state == LIBXL_BACKUP_STATE_FAILED)
        return ERROR_FAIL;
    args->state = LIBXL_BACKUP_STATE_DONE;
    return 0;
}

int libxl_domain_backup_cancel(libxl_ctx *ctx, uint32_t domid,
                               libxl_domain_backup_args *args,
                               const libxl_snapshot_how *how,
                               const libxl_asyncop_how *ao_how)
{
    int rc = libxl_domain_backup_status(ctx, domid, args, how);

    (void)ao_how;
    if (rc)
        return rc;
    unlink(path());
    args->state = LIBXL_BACKUP_STATE_FAILED;
    return 0;
}
