/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The whole command on top of fake_lxs: fake-xl is xl-snapshot with a domain
 * web1 that runs. $FAKE_SNAPS: names of the snapshots on its disks, separated
 * by blanks; $FAKE_OFF: it doesn't run; $XL_SNAPSHOT_ROOT: the catalogues.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_checkpoint.h"
#include "fake_lxs.h"
#include "xl_command.h"
#include "xl_monitor.h"
#include "xlu_snapshot.h"

int __real_xlu_snapshot_open(libxl_ctx *ctx, xentoollog_logger *lg,
                             const char *root, const xlu_snapshot_domain *dom,
                             int flags, xlu_snapshot_catalogue **out);
int __wrap_xlu_snapshot_open(libxl_ctx *ctx, xentoollog_logger *lg,
                             const char *root, const xlu_snapshot_domain *dom,
                             int flags, xlu_snapshot_catalogue **out);
int __real_xlu_snapshot_find_domain(libxl_ctx *ctx, xentoollog_logger *lg,
                                    const char *root, const char *which,
                                    xlu_snapshot_domain *out);
int __wrap_xlu_snapshot_find_domain(libxl_ctx *ctx, xentoollog_logger *lg,
                                    const char *root, const char *which,
                                    xlu_snapshot_domain *out);

int __wrap_xlu_snapshot_open(libxl_ctx *ctx, xentoollog_logger *lg,
                             const char *root, const xlu_snapshot_domain *dom,
                             int flags, xlu_snapshot_catalogue **out)
{
    (void)root;
    return __real_xlu_snapshot_open(ctx, lg, getenv("XL_SNAPSHOT_ROOT"), dom,
                                    flags, out);
}

int __wrap_xlu_snapshot_find_domain(libxl_ctx *ctx, xentoollog_logger *lg,
                                    const char *root, const char *which,
                                    xlu_snapshot_domain *out)
{
    (void)root;
    return __real_xlu_snapshot_find_domain(ctx, lg,
                                           getenv("XL_SNAPSHOT_ROOT"), which,
                                           out);
}

uid_t geteuid(void)
{
    return 0;
}

int libxl_ctx_alloc(libxl_ctx **ctx, int version, unsigned flags,
                    xentoollog_logger *lg)
{
    (void)version;
    (void)flags;
    (void)lg;
    *ctx = fake_ctx();
    return 0;
}

int libxl_ctx_free(libxl_ctx *ctx)
{
    (void)ctx;
    return 0;
}

/* Nobody acts on the end of the domain. */
void xl_monitor_before(struct xl_monitor_plan *plan)
{
    (void)plan;
}

void xl_monitor_suspending(struct xl_monitor_plan *plan)
{
    (void)plan;
}

void xl_monitor_after(struct xl_monitor_plan *plan, uint32_t domid)
{
    (void)plan;
    (void)domid;
}

void xl_monitor_recovered(struct xl_monitor_plan *plan, uint32_t domid)
{
    (void)plan;
    (void)domid;
}

static void put_snapshots(char *names)
{
    char *name;
    int i = 0, d;

    while ((name = strsep(&names, " ")) && i < FAKE_SNAPS)
        for (d = 0; d < FAKE_DISKS && *name; d++)
            snprintf(fake->snaps[d][i++].name, sizeof(fake->snaps[d]->name),
                     "%s", name);
}

/* $FAKE_CHECKPOINTS: as for the snapshots. */
static void put_checkpoints(char *names)
{
    char *name;
    int n;

    fake_checkpoint_reset();
    while ((name = strsep(&names, " "))) {
        n = fake_checkpoints->num++;
        snprintf(fake_checkpoints->list[n].name,
                 sizeof(fake_checkpoints->list[n].name), "%s", name);
        fake_checkpoints->list[n].seq = n + 1;
    }
}

__attribute__((constructor)) static void begin(void)
{
    char *names = getenv("FAKE_SNAPS");

    if (getenv("FAKE_CLIENT"))
        xl_backup_client_path = getenv("FAKE_CLIENT");
    if (!getenv("XL_SNAPSHOT_ROOT")) {
        fputs("fake-xl: no XL_SNAPSHOT_ROOT\n", stderr);
        exit(1);
    }
    fake_reset();
    /* XML has no word for the other kind. */
    fake->internal_only = true;
    fake->running = !getenv("FAKE_OFF");
    if (names)
        put_snapshots(names);
    if (getenv("FAKE_CHECKPOINTS"))
        put_checkpoints(getenv("FAKE_CHECKPOINTS"));
}
