/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What the test programs written by gentest.py call: a libxl_ctx that needs
 * no Xen, random values, and comparisons that end the test.
 */
#ifndef IDL_TEST_H
#define IDL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <libxl.h>

#define IDL_TEST_ROUNDS 200

/* Set by idl_test_begin; good for JSON and copies, not for domains. */
extern libxl_ctx *idl_test_ctx;

/* Group set-up and tear-down. The first prints the seed of the random
 * numbers; IDL_TEST_SEED in the environment sets it. */
int idl_test_begin(void **state);
int idl_test_end(void **state);

/* 64 random bits, but often one of the numbers at which things break. */
uint64_t idl_test_number(void);
/* malloc'ed, or NULL. Valid UTF-8 with everything that JSON escapes. */
char *idl_test_string(void);
libxl_defbool idl_test_defbool(void);
int idl_test_enum(const libxl_enum_string_table *table);
/* Zeroed elements; NULL for none. */
void *idl_test_array(int count, size_t size);
char *idl_test_upper(const char *s);

void idl_test_same_string(const char *a, const char *b);
void idl_test_same_defbool(libxl_defbool a, libxl_defbool b);
void idl_test_zero(const void *p, size_t size);

void idl_test_random_libxl_device_disk(libxl_device_disk *d);
void idl_test_same_libxl_device_disk(const libxl_device_disk *a,
                                     const libxl_device_disk *b);
void idl_test_default_libxl_device_disk(const libxl_device_disk *d);

#endif /* IDL_TEST_H */
