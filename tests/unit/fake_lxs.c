/* SPDX-License-Identifier: LGPL-2.1-only */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <libxl_utils.h>

#include "fake_checkpoint.h"
#include "fake_io.h"
#include "fake_lxs.h"

static const char config_text[] =
    "{\"c_info\":{\"type\":\"pvh\",\"name\":\"" FAKE_NAME "\","
    "\"uuid\":\"" FAKE_UUID "\"},"
    "\"b_info\":{\"max_memkb\":1024},"
    "\"disks\":["
    "{\"pdev_path\":\"/img/a.qcow2\",\"vdev\":\"xvda\","
    "\"format\":\"qcow2\",\"backend\":\"qdisk\",\"readwrite\":1},"
    "{\"pdev_path\":\"/img/b.qcow2\",\"vdev\":\"xvdb\","
    "\"format\":\"qcow2\",\"backend\":\"qdisk\",\"readwrite\":1},"
    "{\"pdev_path\":\"/img/cd.iso\",\"vdev\":\"xvdc\","
    "\"format\":\"raw\",\"is_cdrom\":1,\"removable\":1}]}";

fake_world *fake;

/* --- log and ctx --- */

static char log_text[1 << 16];

static void vmessage(xentoollog_logger *lg, xentoollog_level level,
                     int errnoval, const char *context, const char *format,
                     va_list al) __attribute__((format(printf, 5, 0)));

static void vmessage(xentoollog_logger *lg, xentoollog_level level,
                     int errnoval, const char *context, const char *format,
                     va_list al)
{
    size_t len = strlen(log_text);

    (void)lg;
    (void)context;
    if (len > sizeof(log_text) - 4096)
        len = 0;
    len += snprintf(log_text + len, 1024, "%s: ",
                    xtl_level_to_string(level));
    len += vsnprintf(log_text + len, 2048, format, al);
    if (errnoval >= 0)
        len += snprintf(log_text + len, 256, ": %s", strerror(errnoval));
    strcat(log_text + len, "\n");
}

static xentoollog_logger logger = { .vmessage = vmessage };

xentoollog_logger *fake_logger(void)
{
    return &logger;
}

const char *fake_log(void)
{
    return log_text;
}

void fake_log_clear(void)
{
    log_text[0] = '\0';
}

/* libxl's JSON functions want of a ctx its first members only: the logger,
 * and what says that memory is the caller's (else libxl keeps a list of all
 * of it, and searches that each time). */
libxl_ctx *fake_ctx(void)
{
    static struct {
        xentoollog_logger *lg;
        void *xch, *xsh;
        struct {
            int alloc_maxsize;
            void **alloc_ptrs;
            void *owner;
        } nogc;
        char rest[1 << 16];
    } ctx;

    ctx.lg = &logger;
    ctx.nogc.alloc_maxsize = -1;
    ctx.nogc.owner = &ctx;
    return (libxl_ctx *)&ctx;
}

/* --- the world --- */

void fake_reset(void)
{
    int i;

    if (!fake)
        fake = mmap(NULL, sizeof(*fake), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(fake, 0, sizeof(*fake));
    fake->running = true;
    fake->domid = 5;
    fake->next_domid = 6;
    fake->memory = 1;
    fake->memkb = 1024;
    fake->fail_rc = ERROR_FAIL;
    for (i = 0; i < FAKE_DISKS; i++)
        fake->disk[i] = 1;
}

static int seam(void)
{
    int n = ++fake->calls;

    if (n == fake->crash_at)
        _exit(FAKE_IO_CRASH_CODE);
    return n == fake->fail_at ? fake->fail_rc : 0;
}

static fake_snap *find_snap(int disk, const char *name)
{
    int i;

    for (i = 0; i < FAKE_SNAPS; i++)
        if (!strcmp(fake->snaps[disk][i].name, name))
            return &fake->snaps[disk][i];
    return NULL;
}

int fake_num_snaps(const char *name)
{
    int d, i, num = 0;

    for (d = 0; d < FAKE_DISKS; d++)
        for (i = 0; i < FAKE_SNAPS; i++)
            if (fake->snaps[d][i].name[0] &&
                (!name || !strcmp(fake->snaps[d][i].name, name)))
                num++;
    return num;
}

static int add_snaps(const char *name)
{
    int d, rc;

    for (d = 0; d < FAKE_DISKS; d++) {
        fake_snap *s = find_snap(d, "");

        rc = seam();
        if (rc)
            return rc;
        if (!s || find_snap(d, name))
            return LIBXL_SNAPSHOT_ERROR_EXISTS;
        snprintf(s->name, sizeof(s->name), "%s", name);
        s->value = fake->disk[d];
    }
    return 0;
}

static int drop_snaps(const char *name)
{
    int d, rc;

    for (d = 0; d < FAKE_DISKS; d++) {
        fake_snap *s = find_snap(d, name);

        rc = seam();
        if (rc)
            return rc;
        if (s)
            memset(s, 0, sizeof(*s));
    }
    return 0;
}

static void drop_snaps_surely(const char *name)
{
    int d;

    for (d = 0; d < FAKE_DISKS; d++) {
        fake_snap *s = find_snap(d, name);

        if (s)
            memset(s, 0, sizeof(*s));
    }
}

static int announce(const libxl_snapshot_how *how, libxl_snapshot_step s)
{
    int rc = 0;

    if (strlen(fake->steps) < sizeof(fake->steps) - 32) {
        strcat(fake->steps, libxl_snapshot_step_to_string(s));
        strcat(fake->steps, " ");
    }
    if (how && how->step)
        rc = how->step(fake_ctx(), s, 0, 0, how->user);
    return rc ? rc : seam();
}

static int put_memory(int fd)
{
    char block[1024] = "";
    int i;

    if (write(fd, &fake->memory, sizeof(int)) < (ssize_t)sizeof(int))
        return ERROR_FAIL;
    for (i = 0; i < fake->image_kib; i++)
        if ((fake->random && getrandom(block, sizeof(block), 0) < 0) ||
            write(fd, block, sizeof(block)) < 0)
            return ERROR_FAIL;
    return 0;
}

static int get_memory(int fd, off_t at, int *out)
{
    ssize_t n = at < 0 ? read(fd, out, sizeof(int))
                       : pread(fd, out, sizeof(int), at);

    if (n != sizeof(int))
        return LIBXL_SNAPSHOT_ERROR_DAMAGED;
    return 0;
}

/* --- libxlsnapshot --- */

const char *libxl_snapshot_strerror(int rc)
{
    return rc <= -1000 ? libxl_snapshot_error_to_string(rc) : "libxl's";
}

static void fill_disks(libxl_domain_snapshot_args *args)
{
    static const char *const paths[] = { "/img/a.qcow2", "/img/b.qcow2" };
    static const char *const vdevs[] = { "xvda", "xvdb" };
    int i;

    if (args->num_disks)
        return;
    args->num_disks = FAKE_DISKS;
    args->disks = calloc(FAKE_DISKS, sizeof(*args->disks));
    for (i = 0; i < FAKE_DISKS; i++) {
        libxl_disk_snapshot *d = &args->disks[i];

        libxl_disk_snapshot_init(d);
        libxl_disk_snapshot_init_kind(d, i == 0 || fake->internal_only ?
                                      LIBXL_DISK_SNAPSHOT_KIND_INTERNAL :
                                      LIBXL_DISK_SNAPSHOT_KIND_REFLINK);
        if (d->kind == LIBXL_DISK_SNAPSHOT_KIND_REFLINK)
            d->u.reflink.reflink_path = strdup("/img/kept");
        d->device.vdev = strdup(vdevs[i]);
        d->device.pdev_path = strdup(paths[i]);
        d->device.format = LIBXL_DISK_FORMAT_QCOW2;
        d->name = strdup(args->name);
    }
}

int libxl_domain_snapshot_create(libxl_ctx *ctx, uint32_t domid,
                                 libxl_domain_snapshot_args *args,
                                 int memory_fd,
                                 const libxl_snapshot_how *how,
                                 const libxl_asyncop_how *ao_how)
{
    uint64_t seq = 0;
    int rc;

    (void)ctx;
    (void)ao_how;
    if (!fake->running || domid != fake->domid)
        return ERROR_DOMAIN_NOTFOUND;
    rc = announce(how, LIBXL_SNAPSHOT_STEP_LOOK);
    if (rc) goto out;
    if (args->checkpoint) {
        seq = fake_checkpoint_number(args->checkpoint,
                                     args->checkpoint_sequence);
        if (!seq)
            return LIBXL_SNAPSHOT_ERROR_EXISTS;
        args->checkpoint_sequence = seq;
    }
    rc = announce(how, LIBXL_SNAPSHOT_STEP_PREPARE);
    if (rc) goto out;
    rc = announce(how, LIBXL_SNAPSHOT_STEP_SUSPEND);
    if (rc) goto out;
    fake->suspended = true;
    if (memory_fd >= 0)
        rc = put_memory(memory_fd);
    if (rc) goto out;
    rc = announce(how, LIBXL_SNAPSHOT_STEP_INSTANT);
    if (rc) goto out;
    rc = add_snaps(args->name);
    if (rc) goto out;
    if (seq)
        fake_checkpoint_begin(args->checkpoint, seq);
    rc = announce(how, LIBXL_SNAPSHOT_STEP_RESUME);
    if (rc) goto out;
    fake->suspended = false;
    fill_disks(args);
    libxl_defbool_set(&args->paused, fake->paused);
    libxl_defbool_set(&args->memory, memory_fd >= 0);
    libxl_defbool_set(&args->quiesced, fake->can_freeze &&
                      !libxl_defbool_is_default(args->quiesce) &&
                      libxl_defbool_val(args->quiesce));
out:
    fake->suspended = false;
    if (rc && rc != LIBXL_SNAPSHOT_ERROR_EXISTS)
        drop_snaps_surely(args->name);
    if (rc && seq)
        fake_checkpoint_undo(args->checkpoint, seq);
    return rc;
}

/* A safety point's disk that leads to the snapshot's file would delete it. */
static bool leads_astray(const libxl_disk_snapshot *d)
{
    return d->kind == LIBXL_DISK_SNAPSHOT_KIND_REFLINK &&
           d->u.reflink.reflink_path && d->name &&
           !strncmp(d->name, "xlss-safety", 11);
}

static void note(const char *word)
{
    strncat(fake->merged, word,
            sizeof(fake->merged) - strlen(fake->merged) - 2);
    strcat(fake->merged, " ");
}

/* Disks of a record must say all. */
static bool recorded(const libxl_domain_snapshot_args *args)
{
    int i;

    for (i = 0; i < args->num_disks; i++)
        if (args->disks[i].kind != LIBXL_DISK_SNAPSHOT_KIND_NONE &&
            (!args->disks[i].device.pdev_path ||
             args->disks[i].kind == LIBXL_DISK_SNAPSHOT_KIND_ANY ||
             leads_astray(&args->disks[i])))
            return false;
    return true;
}

int libxl_domain_snapshot_delete(libxl_ctx *ctx, uint32_t domid,
                                 const libxl_domain_snapshot_args *args,
                                 const libxl_snapshot_how *how,
                                 const libxl_asyncop_how *ao_how)
{
    int rc;

    (void)ctx;
    (void)ao_how;
    if (domid != (uint32_t)INVALID_DOMID &&
        (!fake->running || domid != fake->domid))
        return ERROR_DOMAIN_NOTFOUND;
    if (!recorded(args))
        return ERROR_INVAL;
    rc = announce(how, LIBXL_SNAPSHOT_STEP_LOOK);
    if (!rc && args->num_disks)
        rc = drop_snaps(args->name);
    fake->merged[0] = '\0';
    note(libxl_merge_direction_to_string(args->merge));
    return rc;
}

int libxl_domain_snapshot_verify(libxl_ctx *ctx, uint32_t domid,
                                 const libxl_domain_snapshot_args *args,
                                 int restore_fd,
                                 const libxl_snapshot_how *how,
                                 const libxl_asyncop_how *ao_how)
{
    char some[4096];
    int d;

    (void)ctx;
    (void)domid;
    (void)ao_how;
    /* A pipe is used up, a file's position stays. */
    if (restore_fd >= 0 && lseek(restore_fd, 0, SEEK_CUR) < 0)
        while (read(restore_fd, some, sizeof(some)) > 0)
            ;
    if (fake->verify_damaged)
        return LIBXL_SNAPSHOT_ERROR_DAMAGED;
    if (!recorded(args))
        return ERROR_INVAL;
    for (d = 0; d < FAKE_DISKS; d++)
        if (!find_snap(d, args->name))
            return LIBXL_SNAPSHOT_ERROR_DAMAGED;
    return announce(how, LIBXL_SNAPSHOT_STEP_VERIFY);
}

int libxl_domain_snapshot_recover(libxl_ctx *ctx, uint32_t domid,
                                  libxl_snapshot_intent intent,
                                  const libxl_domain_snapshot_args *args,
                                  const libxl_snapshot_how *how,
                                  const libxl_asyncop_how *ao_how)
{
    int rc = seam();

    (void)ctx;
    (void)how;
    (void)ao_how;
    if (rc)
        return rc;
    if (intent == LIBXL_SNAPSHOT_INTENT_MERGE) {
        fake->ended++;
        return 0;
    }
    fake->thawed = !libxl_defbool_is_default(args->quiesce) &&
                   libxl_defbool_val(args->quiesce);
    if (fake->running && domid == fake->domid) {
        fake->suspended = fake->stopped = false;
        /* As the library: true pauses it again, false lets it run. */
        if (!libxl_defbool_is_default(args->paused))
            fake->paused = libxl_defbool_val(args->paused);
    }
    if (intent != LIBXL_SNAPSHOT_INTENT_REVERT) {
        if (!recorded(args))
            return ERROR_INVAL;
        rc = args->num_disks ? drop_snaps(args->name) : 0;
    }
    if (!rc && intent == LIBXL_SNAPSHOT_INTENT_CREATE && fake->running &&
        args->checkpoint)
        fake_checkpoint_undo(args->checkpoint, args->checkpoint_sequence);
    return rc;
}

static void build(int memory, bool paused)
{
    fake->running = true;
    fake->suspended = false;
    fake->paused = paused;
    fake->domid = fake->next_domid++;
    fake->memory = memory;
}

static int take_safety(libxl_domain_snapshot_safety *safety,
                       const libxl_snapshot_how *how)
{
    int rc;

    rc = announce(how, LIBXL_SNAPSHOT_STEP_SUSPEND);
    if (rc)
        return rc;
    safety->paused = fake->paused;
    fake->suspended = true;
    if (safety->memory_fd >= 0) {
        rc = put_memory(safety->memory_fd);
        if (rc)
            return rc;
        safety->memory = true;
    }
    rc = announce(how, LIBXL_SNAPSHOT_STEP_INSTANT);
    return rc ? rc : add_snaps(safety->name);
}

/* --- exports: one for each disk, in a process that there isn't --- */

int libxl_domain_snapshot_export_start(libxl_ctx *ctx, uint32_t domid,
                                       const libxl_domain_snapshot_args *args,
                                       const char *label,
                                       const char *const *vdevs,
                                       const char *socket,
                                       libxl_snapshot_export_list *out,
                                       const libxl_snapshot_how *how,
                                       const libxl_asyncop_how *ao_how)
{
    (void)domid;
    (void)args;
    (void)vdevs;
    (void)socket;
    (void)ao_how;
    snprintf(fake->exported, sizeof(fake->exported), "%s", label);
    return libxl_domain_snapshot_export_list(ctx, label, out, how);
}

int libxl_domain_snapshot_export_list(libxl_ctx *ctx, const char *label,
                                      libxl_snapshot_export_list *out,
                                      const libxl_snapshot_how *how)
{
    libxl_snapshot_export *e;

    (void)ctx;
    (void)how;
    libxl_snapshot_export_list_dispose(out);
    libxl_snapshot_export_list_init(out);
    if (!fake->exported[0] || (label && strcmp(label, fake->exported)))
        return 0;
    out->num_exports = 1;
    out->exports = e = calloc(1, sizeof(*e));
    libxl_snapshot_export_init(e);
    e->label = strdup(fake->exported);
    e->vdev = strdup("xvda");
    e->socket = strdup("/run/s");
    e->uri = strdup("nbd+unix:///xvda?socket=/run/s");
    e->pid = 4711;
    return 0;
}

int libxl_domain_snapshot_export_stop(libxl_ctx *ctx,
                                      const libxl_snapshot_export *which,
                                      const libxl_snapshot_how *how)
{
    (void)ctx;
    (void)how;
    if (!strcmp(which->label, fake->exported))
        fake->exported[0] = '\0';
    return 0;
}

/* --- looking --- */

int libxl_domain_snapshot_look(libxl_ctx *ctx, uint32_t domid,
                               libxl_domain_snapshot_status *out,
                               const libxl_snapshot_how *how)
{
    (void)ctx;
    (void)how;
    if (!fake->running || domid != fake->domid)
        return ERROR_DOMAIN_NOTFOUND;
    out->paused = fake->paused;
    out->suspended = fake->suspended;
    out->stopped = fake->stopped;
    out->busy = fake->guard_works;
    return 0;
}

int libxl_disk_snapshot_list(libxl_ctx *ctx, const libxl_device_disk *disk,
                             libxl_disk_snapshot **list_out, int *num_out,
                             const libxl_snapshot_how *how)
{
    int d = strcmp(disk->pdev_path, "/img/a.qcow2") != 0, i;
    libxl_disk_snapshot *s;

    (void)ctx;
    *list_out = NULL;
    *num_out = 0;
    if (d && strcmp(disk->pdev_path, "/img/b.qcow2"))
        return ERROR_NOTFOUND;
    if (fake->image_gone[d])
        return ERROR_NOTFOUND;
    if (fake->verify_damaged) {
        xtl_log(how->lg, XTL_ERROR, -1, "fake", "%s is no image",
                disk->pdev_path);
        return LIBXL_SNAPSHOT_ERROR_DAMAGED;
    }
    *list_out = s = calloc(FAKE_SNAPS, sizeof(*s));
    for (i = 0; i < FAKE_SNAPS; i++)
        if (fake->snaps[d][i].name[0]) {
            libxl_disk_snapshot_init(&s[*num_out]);
            s[*num_out].name = strdup(fake->snaps[d][i].name);
            s[(*num_out)++].size = 1 << 20;
        }
    return 0;
}

/* The part after which there is no domain; restores the disks and builds. */
static int forward(const libxl_domain_snapshot_args *args, int fd,
                   const libxl_snapshot_how *how)
{
    int d, memory = 0, rc;
    off_t at = fd < 0 ? 0 : lseek(fd, 0, SEEK_CUR);

    announce(how, LIBXL_SNAPSHOT_STEP_DISKS);
    for (d = 0; d < FAKE_DISKS; d++) {
        fake_snap *s = find_snap(d, args->name);

        rc = seam();
        if (rc)
            return rc;
        if (!s)
            return LIBXL_SNAPSHOT_ERROR_DAMAGED;
        fake->disk[d] = s->value;
    }
    rc = announce(how, LIBXL_SNAPSHOT_STEP_RESTORE);
    if (!rc && fd >= 0)
        rc = get_memory(fd, at, &memory);
    if (rc)
        return rc;
    build(memory, true);
    return 0;
}

/* If it can't be unpaused, it stays as it is. */
static int go(const libxl_domain_snapshot_args *args,
              const libxl_snapshot_how *how)
{
    int rc;

    announce(how, LIBXL_SNAPSHOT_STEP_UNPAUSE);
    rc = seam();
    if (!rc)
        fake->paused = libxl_defbool_val(args->leave_paused);
    announce(how, LIBXL_SNAPSHOT_STEP_CLEAN);
    return rc;
}

static int back(libxl_domain_snapshot_safety *safety,
                const libxl_snapshot_how *how)
{
    int d, memory = 0;

    announce(how, LIBXL_SNAPSHOT_STEP_BACK);
    if (!safety)
        return LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
    for (d = 0; d < FAKE_DISKS; d++) {
        fake_snap *s = find_snap(d, safety->name);

        if (!s || seam())
            return LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
        fake->disk[d] = s->value;
    }
    if (safety->memory && get_memory(safety->memory_fd, 0, &memory))
        return LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
    build(memory, safety->paused);
    return LIBXL_SNAPSHOT_ERROR_WENT_BACK;
}

int libxl_domain_snapshot_revert(libxl_ctx *ctx, uint32_t domid,
                                 libxl_domain_config *config,
                                 const libxl_domain_snapshot_args *args,
                                 int restore_fd, bool force,
                                 libxl_domain_snapshot_safety *safety,
                                 uint32_t *domid_out,
                                 const libxl_snapshot_how *how,
                                 const libxl_asyncop_how *ao_how)
{
    int rc;

    (void)ctx;
    (void)force;
    (void)ao_how;
    if (!config->c_info.name || strcmp(config->c_info.name, FAKE_NAME))
        return ERROR_INVAL;
    /* What is left of a domain has its uuid still. */
    if (fake->running && domid != fake->domid)
        return ERROR_INVAL;
    rc = announce(how, LIBXL_SNAPSHOT_STEP_LOOK);
    if (!rc && safety && !safety->taken)
        rc = take_safety(safety, how);
    if (!rc && domid != (uint32_t)INVALID_DOMID)
        rc = announce(how, LIBXL_SNAPSHOT_STEP_DESTROY);
    if (rc) {
        fake->suspended = false;
        if (safety && !safety->taken)
            drop_snaps_surely(safety->name);
        return rc;
    }
    fake->running = fake->suspended = false;
    rc = forward(args, restore_fd, how);
    if (rc)
        rc = back(safety, how);
    else
        rc = go(args, how);
    *domid_out = fake->running ? fake->domid : (uint32_t)INVALID_DOMID;
    if (rc == LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR)
        return rc;
    if (safety)
        drop_snaps_surely(safety->name);
    return rc;
}

/* --- libxl --- */

static void fill_info(libxl_dominfo *info)
{
    libxl_uuid_from_string(&info->uuid, FAKE_UUID);
    info->domid = fake->domid;
    info->paused = fake->paused;
    info->shutdown = fake->suspended;
    info->current_memkb = fake->memkb;
}

int libxl_domain_info(libxl_ctx *ctx, libxl_dominfo *info, uint32_t domid)
{
    (void)ctx;
    if (!fake->running || domid != fake->domid)
        return ERROR_DOMAIN_NOTFOUND;
    fill_info(info);
    return 0;
}

/* dom0 is always in it. */
libxl_dominfo *libxl_list_domain(libxl_ctx *ctx, int *num_out)
{
    libxl_dominfo *list = calloc(2, sizeof(*list));

    (void)ctx;
    libxl_dominfo_init(&list[0]);
    libxl_dominfo_init(&list[1]);
    if (fake->running)
        fill_info(&list[1]);
    *num_out = fake->running ? 2 : 1;
    return list;
}

int libxl_name_to_domid(libxl_ctx *ctx, const char *name, uint32_t *domid)
{
    (void)ctx;
    if (!fake->running || strcmp(name, FAKE_NAME))
        return ERROR_INVAL;
    *domid = fake->domid;
    return 0;
}

char *libxl_domid_to_name(libxl_ctx *ctx, uint32_t domid)
{
    (void)ctx;
    return fake->running && domid == fake->domid ? strdup(FAKE_NAME) : NULL;
}

int libxl_retrieve_domain_configuration(libxl_ctx *ctx, uint32_t domid,
                                        libxl_domain_config *config,
                                        const libxl_asyncop_how *ao_how)
{
    (void)ao_how;
    if (!fake->running || domid != fake->domid)
        return ERROR_INVAL;
    return libxl_domain_config_from_json(ctx, config, config_text);
}

int libxl_domain_destroy(libxl_ctx *ctx, uint32_t domid,
                         const libxl_asyncop_how *ao_how)
{
    int rc = seam();

    (void)ctx;
    (void)ao_how;
    if (rc || !fake->running || domid != fake->domid)
        return ERROR_FAIL;
    fake->running = fake->suspended = fake->paused = false;
    return 0;
}

int libxl_domain_unpause(libxl_ctx *ctx, uint32_t domid,
                         const libxl_asyncop_how *ao_how)
{
    (void)ctx;
    (void)ao_how;
    if (!fake->running || domid != fake->domid)
        return ERROR_FAIL;
    fake->paused = false;
    return 0;
}

const libxl_version_info *libxl_get_version_info(libxl_ctx *ctx)
{
    static char extra[] = ".0";
    static libxl_version_info v = {
        .xen_version_major = 4, .xen_version_minor = 17,
        .xen_version_extra = extra,
    };

    (void)ctx;
    return &v;
}

int libxl_domain_snapshot_export_tidy(libxl_ctx *ctx, bool remove,
                                      int *num_out,
                                      const libxl_snapshot_how *how)
{
    (void)ctx;
    (void)remove;
    (void)how;
    *num_out = 0;
    return 0;
}

/* $FAKE_REMAINS, a file. */
int libxl_block_export_tidy(libxl_ctx *ctx, bool remove,
                            libxl_string_list *out,
                            const libxl_snapshot_how *how)
{
    const char *path = getenv("FAKE_REMAINS");

    (void)ctx;
    (void)how;
    *out = calloc(2, sizeof(**out));
    if (path && !access(path, F_OK)) {
        (*out)[0] = strdup(path);
        if (remove)
            unlink(path);
    }
    return 0;
}

int libxl_domain_disk_merge(libxl_ctx *ctx, uint32_t domid,
                            libxl_domain_disk_merge_args *args,
                            const libxl_snapshot_how *how,
                            const libxl_asyncop_how *ao_how)
{
    int i, rc;

    (void)ctx;
    (void)ao_how;
    if (domid != (uint32_t)INVALID_DOMID &&
        (!fake->running || domid != fake->domid))
        return ERROR_DOMAIN_NOTFOUND;
    fake->merged[0] = '\0';
    note(libxl_merge_direction_to_string(args->direction));
    for (i = 0; i < args->num_disks; i++) {
        note(args->disks[i].device.vdev);
        if (args->disks[i].device.pdev_path)
            note(args->disks[i].device.pdev_path);
        args->disks[i].merged = 1;
    }
    note("keep");
    for (i = 0; i < args->num_keep; i++)
        note(args->keep[i]);
    rc = announce(how, LIBXL_SNAPSHOT_STEP_LOOK);
    if (!rc)
        rc = announce(how, LIBXL_SNAPSHOT_STEP_MERGE);
    fake->merges += !rc;
    return rc;
}

int libxl_domain_disk_names_put_right(libxl_ctx *ctx, const char *path,
                                      const libxl_snapshot_how *how)
{
    (void)ctx;
    (void)path;
    (void)how;
    fake->named++;
    return 0;
}

int libxl_domain_disk_detached(libxl_ctx *ctx, uint32_t domid,
                               const libxl_snapshot_how *how)
{
    (void)ctx;
    (void)domid;
    (void)how;
    return 0;
}

int libxl_domain_disk_chain_changed(libxl_ctx *ctx, uint32_t domid,
                                    const char *vdev,
                                    const libxl_snapshot_how *how)
{
    (void)ctx;
    (void)domid;
    (void)how;
    if (!strcmp(vdev, "xvda")) {
        fake->named++;
        fake->file[0] = '\0';
    }
    return 0;
}

int libxl_disk_file_look(libxl_ctx *ctx, uint32_t domid,
                         const libxl_device_disk *disk, char *const *keep,
                         int num_keep, libxl_disk_file_list *out,
                         const libxl_snapshot_how *how)
{
    (void)ctx;
    (void)domid;
    (void)keep;
    (void)num_keep;
    (void)how;
    if (!fake->file[0] || strcmp(disk->vdev, "xvda"))
        return 0;
    out->files = calloc(1, sizeof(*out->files));
    out->num_files = 1;
    out->files[0].path = strdup(fake->file);
    out->files[0].role = fake->file_role;
    return 0;
}

bool libxl_disk_file_is_frozen(const char *path)
{
    return *fake->frozen && !access(path, F_OK) &&
           !strncmp(path, fake->frozen, strlen(fake->frozen));
}

char *libxl_domain_disk_settled_path(libxl_ctx *ctx, const char *path,
                                     const libxl_snapshot_how *how)
{
    (void)ctx;
    (void)how;
    return strdup(path);
}
