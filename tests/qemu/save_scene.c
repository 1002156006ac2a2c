/* SPDX-License-Identifier: LGPL-2.1-only */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xlu_backup.h>

#include "bk.h"
#include "pull_scene.h"
#include "save_scene.h"
#include "xl_monitor.h"

#define MAX_ARGS 24

int die_at;
bool no_exchange;
void (*at_create)(void), (*at_copy)(void);

/* --- the client --- */

static int run_client(char **argv, int argc)
{
    argv[argc] = NULL;
    return bk_main(argc, argv);
}

int client(const char *command, ...)
{
    char *argv[MAX_ARGS] = { (char *)"xl", (char *)"", (char *)command };
    int argc = 3;
    va_list ap;

    va_start(ap, command);
    while (argc < MAX_ARGS - 1 && (argv[argc] = va_arg(ap, char *)))
        argc++;
    va_end(ap);
    return run_client(argv, argc);
}

int save(const char *first, ...)
{
    char *argv[MAX_ARGS] = { (char *)"xl", (char *)"",
                             (char *)"backup-save", (char *)first };
    int argc = 3;
    va_list ap;

    va_start(ap, first);
    while (argc < MAX_ARGS - 3 && argv[argc])
        argv[++argc] = va_arg(ap, char *);
    va_end(ap);
    argv[argc++] = (char *)"guest";
    argv[argc++] = (char *)in_bed("b");
    return run_client(argv, argc);
}

/* --- its domain and catalogue --- */

int __real_xlu_snapshot_open(libxl_ctx *c, xentoollog_logger *lg,
                             const char *root, const xlu_snapshot_domain *dom,
                             int flags, xlu_snapshot_catalogue **out);
int __wrap_xlu_snapshot_open(libxl_ctx *c, xentoollog_logger *lg,
                             const char *root, const xlu_snapshot_domain *dom,
                             int flags, xlu_snapshot_catalogue **out);
int __wrap_xlu_snapshot_find_domain(libxl_ctx *c, xentoollog_logger *lg,
                                    const char *root, const char *which,
                                    xlu_snapshot_domain *out);

int __wrap_xlu_snapshot_open(libxl_ctx *c, xentoollog_logger *lg,
                             const char *root, const xlu_snapshot_domain *dom,
                             int flags, xlu_snapshot_catalogue **out)
{
    (void)root;
    return __real_xlu_snapshot_open(c, lg, in_bed("root"), dom, flags, out);
}

int __wrap_xlu_snapshot_find_domain(libxl_ctx *c, xentoollog_logger *lg,
                                    const char *root, const char *which,
                                    xlu_snapshot_domain *out)
{
    (void)c;
    (void)lg;
    (void)root;
    memset(out, 0, sizeof(*out));
    if (strcmp(which, "guest") && strcmp(which, fake.uuid))
        return ERROR_DOMAIN_NOTFOUND;
    out->domid = fake.exists ? fake.domid : INVALID_DOMID;
    out->name = strdup("guest");
    snprintf(out->uuid, sizeof(out->uuid), "%s", fake.uuid);
    return 0;
}

/* How the catalogue looks for a UUID. */
libxl_dominfo *libxl_list_domain(libxl_ctx *c, int *num)
{
    libxl_dominfo *info = calloc(1, sizeof(*info));

    (void)c;
    *num = fake.exists ? 1 : 0;
    info->domid = fake.domid;
    libxl_uuid_from_string(&info->uuid, fake.uuid);
    return info;
}

void libxl_dominfo_list_free(libxl_dominfo *list, int num)
{
    (void)num;
    free(list);
}

int stop(void)
{
    xlu_snapshot_domain dom;
    xlu_snapshot_catalogue *cat;
    int rc, pidfd;

    __wrap_xlu_snapshot_find_domain(ctx, NULL, NULL, "guest", &dom);
    rc = __wrap_xlu_snapshot_open(ctx, how.lg, NULL, &dom,
                                  XLU_SNAPSHOT_WRITE, &cat);
    if (!rc) {
        rc = xlu_backup_save_stop(cat, NULL, &pidfd);
        xlu_snapshot_close(cat);
    }
    xlu_snapshot_domain_dispose(&dom);
    return rc == ERROR_NOTFOUND ? 0 : rc;
}

/* The scene's own: no write may be under way while the guest is paused. */
void __wrap_xl_progress_step(libxl_snapshot_step step, uint64_t done,
                             uint64_t total);

void __wrap_xl_progress_step(libxl_snapshot_step step, uint64_t done,
                             uint64_t total)
{
    how.step(ctx, step, done, total, NULL);
}

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

/* --- what it does to files --- */

int __real_bk_rename(int dir, const char *from, const char *to,
                     const char *where);
int __wrap_bk_rename(int dir, const char *from, const char *to,
                     const char *where);
int __real_bk_exchange(int dir, const char *a, const char *b,
                       const char *where);
int __wrap_bk_exchange(int dir, const char *a, const char *b,
                       const char *where);
int __real_bk_unlink(int dir, const char *name, int flags,
                     const char *where);
int __wrap_bk_unlink(int dir, const char *name, int flags,
                     const char *where);
int __real_bk_sync(int fd, const char *what);
int __wrap_bk_sync(int fd, const char *what);
int __real_bk_put(int dir, const char *name, const char *text,
                  const char *where);
int __wrap_bk_put(int dir, const char *name, const char *text,
                  const char *where);
int __real_bk_copy_file(int from_dir, int to_dir, const char *name,
                        const char *where);
int __wrap_bk_copy_file(int from_dir, int to_dir, const char *name,
                        const char *where);
int __real_bk_run(int dir, char *const argv[], char **out, char **err);
int __wrap_bk_run(int dir, char *const argv[], char **out, char **err);
int __real_bk_image_create(int dir, const char *vdev, uint64_t size,
                           const char *base, const char *where);
int __wrap_bk_image_create(int dir, const char *vdev, uint64_t size,
                           const char *base, const char *where);
int __real_bk_target_open(struct bk_target *t, int dir, const char *vdev,
                          int connections, const char *where);
int __wrap_bk_target_open(struct bk_target *t, int dir, const char *vdev,
                          int connections, const char *where);

static void count(void)
{
    if (die_at && --die_at == 0)
        raise(SIGKILL);
}

int __wrap_bk_rename(int dir, const char *from, const char *to,
                     const char *where)
{
    count();
    return __real_bk_rename(dir, from, to, where);
}

int __wrap_bk_exchange(int dir, const char *a, const char *b,
                       const char *where)
{
    count();
    return no_exchange ? 1 : __real_bk_exchange(dir, a, b, where);
}

int __wrap_bk_unlink(int dir, const char *name, int flags, const char *where)
{
    count();
    return __real_bk_unlink(dir, name, flags, where);
}

int __wrap_bk_sync(int fd, const char *what)
{
    count();
    return __real_bk_sync(fd, what);
}

int __wrap_bk_put(int dir, const char *name, const char *text,
                  const char *where)
{
    count();
    return __real_bk_put(dir, name, text, where);
}

int __wrap_bk_copy_file(int from_dir, int to_dir, const char *name,
                        const char *where)
{
    count();
    return __real_bk_copy_file(from_dir, to_dir, name, where);
}

int __wrap_bk_run(int dir, char *const argv[], char **out, char **err)
{
    count();
    return __real_bk_run(dir, argv, out, err);
}

int __wrap_bk_image_create(int dir, const char *vdev, uint64_t size,
                           const char *base, const char *where)
{
    int status = __real_bk_image_create(dir, vdev, size, base, where);

    if (!status && at_create)
        at_create();
    return status;
}

int __wrap_bk_target_open(struct bk_target *t, int dir, const char *vdev,
                          int connections, const char *where)
{
    int status = __real_bk_target_open(t, dir, vdev, connections, where);

    if (!status && at_copy)
        at_copy();
    if (!status)
        count();
    return status;
}
