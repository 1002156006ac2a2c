/* SPDX-License-Identifier: LGPL-2.1-only */
/* Revert's two great acts: the old domain's end, the new one's beginning. */
#include <string.h>
#include <unistd.h>

#include "libxlss_internal.h"

#define MEMORY_WAIT_S 20

int libxlss__destroy(struct libxlss__op *op)
{
    int pidfd = -1, rc;

    /* Before: afterwards the number may be somebody else's. */
    if (op->qemu_pid > 0)
        pidfd = libxlss__pidfd_open(op->qemu_pid);
    rc = libxl_domain_destroy(op->ctx, op->domid, NULL);
    if (rc)
        LOG_ERROR(op, "cannot destroy the domain: %s",
                  libxl_snapshot_strerror(rc));
    else
        rc = libxlss__wait_qemu_exit(op, pidfd);
    if (pidfd >= 0)
        close(pidfd);
    return rc;
}

/* Xen gives a dead domain's memory back bit by bit. */
static void wait_for_memory(struct libxlss__op *op,
                            libxl_domain_config *config)
{
    uint64_t need = 0, have = 0, end;

    if (libxl_domain_need_memory(op->ctx, config, XLSS_OFF, &need))
        return;
    end = libxlss__now_ms() + MEMORY_WAIT_S * 1000;
    while (!libxl_get_free_memory(op->ctx, &have) && have < need &&
           libxlss__now_ms() < end)
        libxlss__sleep_ms(100);
    if (have < need)
        LOG_WARN(op, "only %llu KiB of memory are free, %llu are needed",
                 (unsigned long long)have, (unsigned long long)need);
}

int libxlss__build(struct libxlss__op *op, libxl_domain_config *config,
                   int restore_fd, uint32_t *domid_out)
{
    libxl_domain_restore_params params;
    int rc;

    *domid_out = XLSS_OFF;
    wait_for_memory(op, config);
    if (restore_fd < 0) {
        rc = libxl_domain_create_new(op->ctx, config, domid_out, NULL, NULL);
    } else {
        libxl_domain_restore_params_init(&params);
        params.checkpointed_stream = LIBXL_CHECKPOINTED_STREAM_NONE;
        params.stream_version = 2;
        rc = libxl_domain_create_restore(op->ctx, config, domid_out,
                                         restore_fd, -1, &params, NULL, NULL);
        libxl_domain_restore_params_dispose(&params);
    }
    if (rc) {
        LOG_ERROR(op, "libxl could not %s the domain: %s",
                  restore_fd < 0 ? "create" : "restore",
                  libxl_snapshot_strerror(rc));
        *domid_out = XLSS_OFF;
    }
    return rc;
}
