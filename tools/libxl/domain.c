/* SPDX-License-Identifier: LGPL-2.1-only */
/* What libxl and xenstore say of the domain, and of its QEMU's process. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libxlss_internal.h"

bool libxlss__is_suspended(const libxl_dominfo *info)
{
    return info->shutdown &&
           info->shutdown_reason == LIBXL_SHUTDOWN_REASON_SUSPEND;
}

bool libxlss__is_hvm(const struct libxlss__op *op)
{
    return op->info.domain_type == LIBXL_DOMAIN_TYPE_HVM;
}

/* libxl_domain_info says HVM of PVH too, whose QEMU has no emulated disks. */
bool libxlss__has_emulated_disks(const struct libxlss__op *op)
{
    return libxlss__is_hvm(op) &&
           !(op->have_config &&
             op->config.c_info.type == LIBXL_DOMAIN_TYPE_PVH);
}

/* A guest that waits to be resumed depends on this: one failure that is no
 * answer is not enough. */
int libxlss__domain_refresh(struct libxlss__op *op)
{
    libxl_dominfo info;
    int rc, tries;

    for (tries = 0; tries < 3; tries++) {
        libxl_dominfo_init(&info);
        rc = libxl_domain_info(op->ctx, &info, op->domid);
        if (!rc || rc == ERROR_DOMAIN_NOTFOUND)
            break;
        libxl_dominfo_dispose(&info);
        libxlss__sleep_ms(50);
    }
    /* Where it failed, what was known last is still the best guess. */
    if (!rc) {
        libxl_dominfo_dispose(&op->info);
        op->info = info;
    }
    if (rc == ERROR_DOMAIN_NOTFOUND)
        LOG_ERROR(op, "there is no domain with domid %u", op->domid);
    else if (rc)
        LOG_ERROR(op, "libxl does not say how the domain is: %s",
                  libxl_snapshot_strerror(rc));
    return rc;
}

static pid_t qemu_pid(struct libxlss__op *op)
{
    char *text = libxlss__xs_read(op, "/local/domain/%u/image/"
                                  "device-model-pid", op->domid);

    return text ? atoi(text) : 0;
}

int libxlss__domain_look(struct libxlss__op *op)
{
    char *name;
    int rc;

    if (op->domid == XLSS_OFF)
        return 0;
    rc = libxlss__domain_refresh(op);
    if (rc)
        return rc;
    snprintf(op->uuid, sizeof(op->uuid), LIBXL_UUID_FMT,
             LIBXL_UUID_BYTES(op->info.uuid));
    name = libxl_domid_to_name(op->ctx, op->domid);
    op->name = name ? libxlss__strdup(op, name)
                    : libxlss__printf(op, "domain %u", op->domid);
    free(name);
    op->qemu_pid = qemu_pid(op);
    op->was_paused = op->info.paused;
    return 0;
}

int libxlss__pidfd_open(pid_t pid)
{
    return syscall(SYS_pidfd_open, pid, 0);
}

/* Not by kill(): a process that has died and was not reaped yet is dead. */
static bool exits_within(pid_t pid, int ms)
{
    struct pollfd p = { .fd = libxlss__pidfd_open(pid), .events = POLLIN };
    int r;

    if (p.fd < 0)
        return true;
    r = poll(&p, 1, ms);
    close(p.fd);
    return r > 0;
}

bool libxlss__process_alive(pid_t pid)
{
    return pid > 0 && !exits_within(pid, 0);
}

bool libxlss__qemu_alive(struct libxlss__op *op)
{
    return libxlss__process_alive(op->qemu_pid);
}

/* A socket is closed some moments before the process has ended. */
bool libxlss__qemu_dies(struct libxlss__op *op)
{
    return op->qemu_pid > 0 && exits_within(op->qemu_pid, 3000);
}

int libxlss__domain_config(struct libxlss__op *op)
{
    int rc = libxl_retrieve_domain_configuration(op->ctx, op->domid,
                                                 &op->config, NULL);

    if (rc)
        LOG_ERROR(op, "libxl does not give the domain's configuration: %s",
                  libxl_snapshot_strerror(rc));
    else
        op->have_config = true;
    return rc;
}

/* libxl_domain_destroy only signals QEMU; its last writes come after. */
int libxlss__wait_qemu_exit(struct libxlss__op *op, int pidfd)
{
    struct pollfd p = { .fd = pidfd, .events = POLLIN };
    uint64_t end = libxlss__now_ms() + XLSS_QEMU_EXIT_MS;

    while (pidfd >= 0) {
        int64_t left = end - libxlss__now_ms();
        int r = poll(&p, 1, left > 0 ? left : 0);

        if (r > 0)
            break;
        if (r < 0 && errno == EINTR)
            continue;
        LOG_ERROR(op, "QEMU (process %d) has not ended %d s after the "
                  "domain was destroyed", (int)op->qemu_pid,
                  XLSS_QEMU_EXIT_MS / 1000);
        return ERROR_TIMEDOUT;
    }
    op->qemu_pid = 0;
    return 0;
}
