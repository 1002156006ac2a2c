/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What the tests of the catalogue's operations have in common: the operations,
 * each as a command would run it, against a domain that is a few numbers
 * (fake_lxs.h), and what must be true afterwards.
 */
#ifndef OPS_SCENE_H
#define OPS_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fake_io.h"
#include "fake_lxs.h"
#include "xluss.h"

extern char ops_root[64];       /* of the catalogue */
extern bool ops_compress;       /* what is created */

int ops_setup(void **state);
int ops_teardown(void **state);
int ops_setup_zstd(void **state);       /* with compressed images */
int ops_teardown_zstd(void **state);
void ops_restart(void);                 /* in the middle of a test */

#define OPS_TEST(f) cmocka_unit_test_setup_teardown(f, ops_setup, ops_teardown)
#define OPS_ZSTD_TEST(f) \
    { "zstd_" #f, f, ops_setup_zstd, ops_teardown_zstd, NULL }

static inline void must(int r)
{
    assert_int_equal(r, 0);
}

/* What a command does first. */
int open_as(int flags, xlu_snapshot_catalogue **out);

int create_named(const char *name, bool disk_only);
int delete_named(const char *name, bool children);
int revert_with(const xlu_snapshot_revert_args *args);  /* to "a" */
int op_create(void);            /* "b" */
int op_revert(void);            /* to "a" */
int op_delete(void);            /* "a" */
int op_quiesced(void);          /* creates "q" */
int recover(void);
bool interrupted(void);

/* Every file in the folder must be among the words. */
void check_folder(const char *sub, const char *words);
/* A catalogue in order: its names are these, and nothing is left over. */
void check_names(const char *names, const char *current);
/* It runs, and this is in its memory and on its disks. */
void check_domain(int value);
void set_domain(int value);

#endif
