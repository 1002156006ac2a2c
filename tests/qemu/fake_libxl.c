/* SPDX-License-Identifier: LGPL-2.1-only */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <xenctrl.h>

#include "bed.h"
#include "fake_libxl.h"

struct fake fake;

#define MEMORY_MAGIC 0x6b636974

void fake_reset(void)
{
    memset(&fake, 0, sizeof(fake));
    fake.domid = 7;
    strcpy(fake.uuid, "00112233-4455-6677-8899-aabbccddeeff");
    fake.exists = fake.ran = true;
    fake.backend_state = 4;
}

int fault_stride(void)
{
    const char *text = getenv("FAULT_STRIDE");

    return text && atoi(text) > 0 ? atoi(text) : 1;
}

int fault_next(int n)
{
    const char *phase = getenv("FAULT_PHASE");

    return n == 1 && phase && atoi(phase) > 0 ? n + atoi(phase)
                                              : n + fault_stride();
}

bool fake_fails(const char *call, bool *after)
{
    *after = false;
    if (++fake.calls != fake.fail_at)
        return false;
    fake.failed = true;
    snprintf(fake.failed_call, sizeof(fake.failed_call), "%s", call);
    if (fake.fault == FAULT_QEMU_DIES) {
        bed_kill_qemu();
        fake.snapshots_then = bed_num_snapshots(0);
        fake.suspended_then = fake.suspended;
        return false;
    }
    if (fake.fault == FAULT_WE_DIE)
        raise(SIGKILL);
    *after = fake.fault == FAULT_AFTER;
    return !*after;
}

#define FAULTY(name)                    \
    bool after;                         \
    if (fake_fails(name, &after))       \
        return ERROR_FAIL

#define DONE return after ? ERROR_FAIL : 0

int libxl_domain_info(libxl_ctx *ctx, libxl_dominfo *info, uint32_t domid)
{
    (void)ctx;
    if (!fake.exists || domid != fake.domid)
        return ERROR_DOMAIN_NOTFOUND;
    FAULTY("domain_info");
    libxl_uuid_from_string(&info->uuid, fake.uuid);
    info->domid = domid;
    info->paused = fake.pauses > 0;
    info->shutdown = fake.suspended || fake.crashed;
    info->shutdown_reason = fake.suspended ? LIBXL_SHUTDOWN_REASON_SUSPEND
                                           : LIBXL_SHUTDOWN_REASON_CRASH;
    info->cpu_time = fake.ran ? 1000 : 0;
    info->current_memkb = 1024;
    info->domain_type = fake.hvm || fake.pvh ? LIBXL_DOMAIN_TYPE_HVM
                                             : LIBXL_DOMAIN_TYPE_PV;
    DONE;
}

char *libxl_domid_to_name(libxl_ctx *ctx, uint32_t domid)
{
    (void)ctx;
    return domid == fake.domid ? strdup("guest") : NULL;
}

int libxl_name_to_domid(libxl_ctx *ctx, const char *name, uint32_t *domid)
{
    (void)ctx;
    if (!fake.exists || strcmp(name, "guest"))
        return ERROR_INVAL;
    *domid = fake.domid;
    return 0;
}

static int write_memory(int fd)
{
    int record[2] = { MEMORY_MAGIC, fake.tick };

    return write(fd, record, sizeof(record)) != sizeof(record);
}

/* What libxl has an HVM's QEMU do. With live its images are inactive then,
 * for QEMU was stopped before. */
static int save_devices(bool live)
{
    return !fake.hvm ? 0 :
           bed_qmp("stop", NULL) ||
           bed_qmp("xen-save-devices-state", live
                   ? "{\"filename\":\"/dev/null\",\"live\":true}"
                   : "{\"filename\":\"/dev/null\",\"live\":false}");
}

int libxl_domain_suspend(libxl_ctx *ctx, uint32_t domid, int fd, int flags,
                         const libxl_asyncop_how *ao_how)
{
    bool live = flags & LIBXL_SUSPEND_LIVE;

    (void)ctx;
    (void)domid;
    (void)ao_how;
    FAULTY("domain_suspend");
    fake.saves++;
    fake.live_saves += live;
    if (live && fake.no_log_dirty)
        return ERROR_GUEST_TIMEDOUT;
    fake.log_dirty = true;
    if (fake.pauses || fake.hung)
        return ERROR_GUEST_TIMEDOUT;
    if (fake.save_dies == SAVE_DIES_RUNNING)
        return ERROR_FAIL;
    fake.suspended = true;
    if (save_devices(live) || fake.save_dies == SAVE_DIES_SUSPENDED ||
        write_memory(fd))
        return ERROR_FAIL;
    fake.log_dirty = false;
    DONE;
}

int libxl_get_physinfo(libxl_ctx *ctx, libxl_physinfo *info)
{
    (void)ctx;
    FAULTY("get_physinfo");
    info->cap_shadow = !fake.no_shadow;
    DONE;
}

int libxl_domain_resume(libxl_ctx *ctx, uint32_t domid, int suspend_cancel,
                        const libxl_asyncop_how *ao_how)
{
    (void)ctx;
    (void)domid;
    (void)suspend_cancel;
    (void)ao_how;
    FAULTY("domain_resume");
    if (!fake.suspended)
        return ERROR_FAIL;
    if (fake.hvm && bed_qmp("cont", NULL))
        return ERROR_FAIL;
    fake.suspended = false;
    DONE;
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

int libxl_domain_pause(libxl_ctx *ctx, uint32_t domid,
                       const libxl_asyncop_how *ao_how)
{
    (void)ctx;
    (void)domid;
    (void)ao_how;
    FAULTY("domain_pause");
    if (!fake.pauses++)
        fake.paused_ns = now_ns();
    DONE;
}

int libxl_domain_unpause(libxl_ctx *ctx, uint32_t domid,
                         const libxl_asyncop_how *ao_how)
{
    (void)ctx;
    (void)ao_how;
    if (domid != fake.domid)
        return ERROR_DOMAIN_NOTFOUND;
    FAULTY("domain_unpause");
    if (fake.pauses && !--fake.pauses)
        fake.paused_ns = now_ns() - fake.paused_ns;
    fake.ran = true;
    DONE;
}

int libxl_domain_destroy(libxl_ctx *ctx, uint32_t domid,
                         const libxl_asyncop_how *ao_how)
{
    (void)ctx;
    (void)domid;
    (void)ao_how;
    FAULTY("domain_destroy");
    fake.exists = false;
    bed_hangup_qemu();
    DONE;
}

/* A new domain, paused, with a new domid and a new QEMU. */
static void make_domain(const libxl_domain_config *config, uint32_t *domid)
{
    bed_use_config(config);
    *domid = ++fake.domid;
    fake.exists = true;
    fake.suspended = fake.crashed = fake.hung = fake.ran = false;
    fake.pauses = 1;
    bed_start_qemu();
}

int libxl_domain_create_restore(libxl_ctx *ctx, libxl_domain_config *config,
                                uint32_t *domid, int restore_fd,
                                int send_back_fd,
                                const libxl_domain_restore_params *params,
                                const libxl_asyncop_how *ao_how,
                                const libxl_asyncprogress_how *aop)
{
    int record[2];

    (void)ctx;
    (void)send_back_fd;
    (void)params;
    (void)ao_how;
    (void)aop;
    FAULTY("create_restore");
    if (fake.restore_fails ||
        read(restore_fd, record, sizeof(record)) != sizeof(record) ||
        record[0] != MEMORY_MAGIC)
        return ERROR_FAIL;
    fake.tick = record[1];
    make_domain(config, domid);
    if (after) {
        /* libxl destroys what it could not finish. */
        fake.exists = false;
        bed_hangup_qemu();
        return ERROR_FAIL;
    }
    return 0;
}

int libxl_domain_create_new(libxl_ctx *ctx, libxl_domain_config *config,
                            uint32_t *domid, const libxl_asyncop_how *ao_how,
                            const libxl_asyncprogress_how *aop)
{
    (void)ctx;
    (void)ao_how;
    (void)aop;
    FAULTY("create_new");
    fake.tick = 0;
    make_domain(config, domid);
    if (after) {
        fake.exists = false;
        bed_hangup_qemu();
        return ERROR_FAIL;
    }
    return 0;
}

int libxl_retrieve_domain_configuration(libxl_ctx *ctx, uint32_t domid,
                                        libxl_domain_config *config,
                                        const libxl_asyncop_how *ao_how)
{
    (void)domid;
    (void)ao_how;
    FAULTY("retrieve_configuration");
    bed_config(ctx, config);
    if (fake.pvh)
        config->c_info.type = LIBXL_DOMAIN_TYPE_PVH;
    DONE;
}

/* What libxl keeps of the configuration: the bed's disks. */
int libxl_userdata_retrieve(libxl_ctx *ctx, uint32_t domid,
                            const char *key, uint8_t **data, int *len)
{
    libxl_domain_config config;
    char *json;

    (void)domid;
    *data = NULL;
    *len = 0;
    FAULTY("userdata_retrieve");
    if (!strcmp(key, "xl")) {
        if (*fake.stored) {
            *data = (uint8_t *)strdup(fake.stored);
            *len = strlen(fake.stored);
        }
        DONE;
    }
    libxl_domain_config_init(&config);
    bed_config(ctx, &config);
    json = libxl_domain_config_to_json(ctx, &config);
    libxl_domain_config_dispose(&config);
    *data = (uint8_t *)json;
    *len = strlen(json) + 1;
    DONE;
}

int libxl_userdata_store(libxl_ctx *ctx, uint32_t domid, const char *key,
                         const uint8_t *data, int len)
{
    libxl_domain_config config;

    (void)domid;
    FAULTY("userdata_store");
    if (!strcmp(key, "xl")) {
        snprintf(fake.stored, sizeof(fake.stored), "%.*s", len,
                 (const char *)data);
        DONE;
    }
    libxl_domain_config_init(&config);
    if (libxl_domain_config_from_json(ctx, &config, (const char *)data))
        abort();
    bed_use_config(&config);
    libxl_domain_config_dispose(&config);
    DONE;
}

libxl_device_disk *libxl_device_disk_list(libxl_ctx *ctx, uint32_t domid,
                                          int *num)
{
    (void)ctx;
    (void)domid;
    *num = 0;
    return NULL;
}

void libxl_device_disk_list_free(libxl_device_disk *list, int num)
{
    (void)list;
    (void)num;
}

int libxl_vdev_to_device_disk(libxl_ctx *ctx, uint32_t domid,
                              const char *vdev, libxl_device_disk *disk)
{
    (void)ctx;
    (void)domid;
    disk->vdev = strdup(vdev);
    return 0;
}

int libxl_device_disk_getinfo(libxl_ctx *ctx, uint32_t domid,
                              const libxl_device_disk *disk,
                              libxl_diskinfo *info)
{
    (void)ctx;
    (void)domid;
    info->devid = bed_disk(disk->vdev);
    info->backend = strdup("/backend");
    return 0;
}

int libxl_domain_need_memory(libxl_ctx *ctx, libxl_domain_config *config,
                             uint32_t domid, uint64_t *need)
{
    (void)ctx;
    (void)config;
    (void)domid;
    *need = 0;
    return 0;
}

int libxl_get_free_memory(libxl_ctx *ctx, uint64_t *memkb)
{
    (void)ctx;
    *memkb = 1;
    return 0;
}

libxl_device_channel *libxl_device_channel_list(libxl_ctx *ctx,
                                                uint32_t domid, int *num)
{
    libxl_device_channel *c = NULL;

    (void)ctx;
    (void)domid;
    *num = 0;
    if (!fake.channel)
        return NULL;
    c = calloc(1, sizeof(*c));
    libxl_device_channel_init(c);
    libxl_device_channel_init_connection(c,
                                         LIBXL_CHANNEL_CONNECTION_SOCKET);
    c->name = strdup("org.qemu.guest_agent.0");
    c->u.socket.path = strdup(fake.channel);
    *num = 1;
    return c;
}

/* xenstore: what the library reads and writes of it. */

struct xs_handle *xs_open(unsigned long flags)
{
    (void)flags;
    return (struct xs_handle *)&fake;
}

void xs_close(struct xs_handle *xsh)
{
    (void)xsh;
}

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path,
              unsigned int *len)
{
    char pid[16];

    (void)h;
    (void)t;
    if (strstr(path, "/image/device-model-pid") && bed.qemu > 0) {
        *len = snprintf(pid, sizeof(pid), "%d", (int)bed.qemu);
        return strdup(pid);
    }
    if (strstr(path, "/control/shutdown")) {
        *len = strlen(fake.control_shutdown);
        return strdup(fake.control_shutdown);
    }
    if (!strcmp(path, "/backend/state")) {
        *len = 1;
        return strdup(fake.backend_state == 4 ? "4" : "2");
    }
    return NULL;
}

char **xs_directory(struct xs_handle *h, xs_transaction_t t,
                    const char *path, unsigned int *num)
{
    (void)h;
    (void)t;
    (void)path;
    *num = 0;
    return NULL;
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path,
              const void *data, unsigned int len)
{
    (void)h;
    (void)t;
    if (strstr(path, "/control/shutdown"))
        snprintf(fake.control_shutdown, sizeof(fake.control_shutdown),
                 "%.*s", (int)len, (const char *)data);
    if (!strcmp(path, "/backend/params"))
        snprintf(fake.params, sizeof(fake.params), "%.*s", (int)len,
                 (const char *)data);
    return true;
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
    (void)h;
    return 1;
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abort)
{
    (void)h;
    (void)t;
    (void)abort;
    return true;
}

/* Hypervisor. */

xc_interface *xc_interface_open(xentoollog_logger *logger,
                                xentoollog_logger *dombuild_logger,
                                unsigned int open_flags)
{
    (void)logger;
    (void)dombuild_logger;
    (void)open_flags;
    return (xc_interface *)&fake;
}

int xc_interface_close(xc_interface *xch)
{
    (void)xch;
    return 0;
}

int xc_shadow_control(xc_interface *xch, uint32_t domid, unsigned int sop,
                      unsigned int *mb, unsigned int mode)
{
    (void)xch;
    (void)domid;
    (void)mb;
    (void)mode;
    if (sop == XEN_DOMCTL_SHADOW_OP_OFF)
        fake.log_dirty = false;
    return 0;
}
