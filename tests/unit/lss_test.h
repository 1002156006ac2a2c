/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What the tests of tools/libxl share: an operation on a domain that needs
 * no Xen, its log as text, and libxl_domain_info.
 */
#ifndef LSS_TEST_H
#define LSS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "libxlss_internal.h"

#define LSS_DOMID 5
#define LSS_UUID "6f2c5b0e-6d3a-4a52-9c39-0b1c2d3e4f50"
#define LSS_NAME "web1"

/* A running PV domain without a QEMU; clears the log. */
void lss_op_start(struct libxlss__op *op);
void lss_op_stop(struct libxlss__op *op);

/* What was logged since the operation's start, debug messages excepted. */
const char *lss_log(void);
void lss_log_clear(void);
#define assert_logged(text) \
    _assert_true(!!strstr(lss_log(), (text)), \
                 "log holds: " text, __FILE__, __LINE__)

/* What libxl_domain_info says, and how often it was asked. */
extern libxl_dominfo lss_info;
extern int lss_info_rc;
extern int lss_info_calls;
/* The first so many calls fail with ERROR_FAIL. */
extern int lss_info_fails;

/* A folder of the test's own; the same until it is removed. */
const char *lss_dir(void);
void lss_dir_remove(void);
/* DIR/NAME, in memory of the helper's own: the last four stay valid. */
const char *lss_path(const char *name);

int lss_num_fds(void);
/* The number of a process that has ended and was reaped. */
pid_t lss_dead_pid(void);

#endif
