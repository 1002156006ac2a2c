/* SPDX-License-Identifier: LGPL-2.1-only */
/* Runs tests so that what one of them leaves when it fails, a QEMU or a
 * thread, is gone before the next. */
#ifndef GROUP_H
#define GROUP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* after: is called at the end of each test, whether it is torn down or not. */
int group_run(const char *name, const struct CMUnitTest *tests, size_t num,
              CMFixtureFunction after);

#define GROUP_RUN(tests, after) \
    group_run(#tests, tests, sizeof(tests) / sizeof((tests)[0]), after)

#endif
