/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A domain without Xen: the libxl, libxenstore and libxenctrl calls that the
 * library makes, on a domain whose device model is a real QEMU (bed.h).
 * These symbols stand before the shared libraries' in the test program.
 *
 * Every call that a product may see fail is counted, QMP commands and child
 * programs included, and one of them can be made to fail.
 */
#ifndef FAKE_LIBXL_H
#define FAKE_LIBXL_H

#include "libxlss_internal.h"

enum fault {
    FAULT_BEFORE,       /* the call does nothing and fails */
    FAULT_AFTER,        /* it does what it should, and reports failure */
    FAULT_QEMU_DIES,    /* QEMU is killed before it */
    FAULT_WE_DIE,       /* this process is killed before it */
};

/* The save helper is killed: nothing that it has turned on is turned off. */
enum save_dies {
    SAVE_LIVES,
    SAVE_DIES_RUNNING,  /* in a round, the guest running */
    SAVE_DIES_SUSPENDED,
};

struct fake {
    uint32_t domid;
    char uuid[37];
    bool exists;
    bool hvm;
    bool pvh;               /* by its configuration; info calls it HVM */
    bool suspended, crashed, hung;
    int pauses;                 /* the hypervisor's count */
    uint64_t paused_ns;         /* how long the last pause was */
    bool log_dirty;
    bool no_shadow;             /* Xen says that it has no shadow paging */
    bool no_log_dirty;          /* turning it on fails */
    enum save_dies save_dies;
    int saves, live_saves;      /* libxl_domain_suspend, so often */
    bool ran;                   /* was unpaused since it was made */
    char control_shutdown[16];
    int tick;                   /* the guest's memory */
    int backend_state;          /* of xen-block */
    char params[256];           /* written last to a backend in xenstore */
    char stored[1024];          /* by `xl config-update` */

    int calls;                  /* so far */
    int fail_at;                /* 0: never */
    enum fault fault;
    bool failed;                /* the fault was injected */
    char failed_call[64];
    int snapshots_then;     /* in the first image, when QEMU was killed */
    bool suspended_then;
    bool restore_fails;         /* every create_restore does */

    const char *channel;        /* the guest agent's socket; NULL: none */
    void (*at_transaction)(void);   /* called before QEMU gets one */
    void (*at_command)(const char *command);    /* ... any */
};

extern struct fake fake;

void fake_reset(void);
/* The call to fail after the n-th: the next one, or with $FAULT_STRIDE the
 * one so far behind it, where there is less time than calls. With
 * $FAULT_PHASE the second is so far behind the first: two runs fail different
 * ones. What one call alone shows may be passed over then. */
int fault_stride(void);
int fault_next(int n);
/* Counts; returns true where the call must fail instead of being done. */
bool fake_fails(const char *call, bool *after);

#endif
