/* SPDX-License-Identifier: LGPL-2.1-only */
/* Counts QMP commands, the guest agent's, and child programs among the calls
 * that can fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent.h"
#include "fake_libxl.h"
#include "qmp/qmp.h"

int __real_libxlss__agent_run(struct libxlss__agent *a, const char *command,
                              unsigned int timeout_ms, yajl_val *reply_r);
int __wrap_libxlss__agent_run(struct libxlss__agent *a, const char *command,
                              unsigned int timeout_ms, yajl_val *reply_r);

int __real_libxlss__qmp_run(struct libxlss__qmp *qmp, const char *command,
                            const char *arguments, unsigned int timeout_ms,
                            yajl_val *reply_r);
int __wrap_libxlss__qmp_run(struct libxlss__qmp *qmp, const char *command,
                            const char *arguments, unsigned int timeout_ms,
                            yajl_val *reply_r);
int __real_libxlss__child(struct libxlss__op *op, char *const argv[],
                          char **out_r, char **err_r, int *status_r);
int __wrap_libxlss__child(struct libxlss__op *op, char *const argv[],
                          char **out_r, char **err_r, int *status_r);

int __wrap_libxlss__qmp_run(struct libxlss__qmp *qmp, const char *command,
                            const char *arguments, unsigned int timeout_ms,
                            yajl_val *reply_r)
{
    bool after;
    int rc;

    if (reply_r)
        *reply_r = NULL;
    if (fake_fails(command, &after))
        return ERROR_QMP_GENERIC_ERROR;
    if (fake.at_command)
        fake.at_command(command);
    if (fake.at_transaction && !strcmp(command, "transaction"))
        fake.at_transaction();
    rc = __real_libxlss__qmp_run(qmp, command, arguments, timeout_ms,
                                 reply_r);
    if (after && reply_r) {
        yajl_tree_free(*reply_r);
        *reply_r = NULL;
    }
    return after ? ERROR_TIMEDOUT : rc;
}

int __wrap_libxlss__child(struct libxlss__op *op, char *const argv[],
                          char **out_r, char **err_r, int *status_r)
{
    bool after;
    char call[64];
    int rc;

    snprintf(call, sizeof(call), "%s %s", argv[0], argv[1]);
    if (fake_fails(call, &after))
        return ERROR_FAIL;
    rc = __real_libxlss__child(op, argv, out_r, err_r, status_r);
    return after ? ERROR_FAIL : rc;
}

/* A guest that stands still doesn't answer. */
int __wrap_libxlss__agent_run(struct libxlss__agent *a, const char *command,
                              unsigned int timeout_ms, yajl_val *reply_r)
{
    bool after;
    int rc;

    *reply_r = NULL;
    assert_int_equal(fake.pauses, 0);
    assert_false(fake.suspended);
    if (fake_fails(command, &after)) {
        snprintf(a->why, sizeof(a->why), "%s was made to fail", command);
        return ERROR_FAIL;
    }
    rc = __real_libxlss__agent_run(a, command, timeout_ms, reply_r);
    if (after && !rc) {
        yajl_tree_free(*reply_r);
        *reply_r = NULL;
    }
    return after ? ERROR_TIMEDOUT : rc;
}
