/* SPDX-License-Identifier: LGPL-2.1-only */
/* The tree: order, depth, missing parents, circles, and many snapshots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fake_lxs.h"
#include "xluss.h"

#define MANY 10000

static xlu_snapshot_catalogue cat;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const xluss__entry *)a)->s.name,
                  ((const xluss__entry *)b)->s.name);
}

static void add(const char *name, const char *parent, uint64_t when)
{
    xluss__entry *e;

    if (!cat.entries)
        cat.entries = calloc(MANY, sizeof(*cat.entries));
    e = &cat.entries[cat.num_entries++];
    memset(e, 0, sizeof(*e));
    xlu_snapshot_init(&e->s);
    e->s.name = strdup(name);
    e->s.parent = parent ? strdup(parent) : NULL;
    e->s.creation_time = when;
}

static void build(void)
{
    if (cat.num_entries)
        qsort(cat.entries, cat.num_entries, sizeof(*cat.entries), by_name);
    xluss__tree_build(&cat);
}

static int setup(void **state)
{
    (void)state;
    memset(&cat, 0, sizeof(cat));
    cat.lg = fake_logger();
    cat.dom.name = (char *)FAKE_NAME;
    fake_log_clear();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    xluss__unload(&cat);
    return 0;
}

/* The list, each name with its depth. */
static void check(const char *want)
{
    char have[512] = "";
    int i;

    for (i = 0; i < cat.num_list; i++)
        snprintf(have + strlen(have), sizeof(have) - strlen(have),
                 "%s%s%d", i ? " " : "", cat.list[i]->name,
                 xlu_snapshot_depth(&cat, cat.list[i]));
    assert_string_equal(have, want);
}

static void order(void **state)
{
    (void)state;
    add("z", NULL, 1);
    add("y", "z", 5);
    add("b", "z", 3);
    add("a", "z", 3);
    add("c", "b", 9);
    add("root", NULL, 2);
    add("d", "root", 1);
    build();
    check("z0 a1 b1 c2 y1 root0 d1");
}

static void empty(void **state)
{
    (void)state;
    build();
    check("");
}

static void missing_parent(void **state)
{
    (void)state;
    add("a", "gone", 1);
    add("b", "a", 2);
    build();
    check("a0 b1");
    assert_non_null(strstr(fake_log(), "its parent gone is not there"));
}

static void own_parent(void **state)
{
    (void)state;
    add("a", "a", 1);
    build();
    check("a0");
    assert_non_null(strstr(fake_log(), "among its own ancestors"));
}

static void circle(void **state)
{
    (void)state;
    add("a", "c", 1);
    add("b", "a", 2);
    add("c", "b", 3);
    add("d", "c", 4);       /* hangs on it */
    add("e", NULL, 5);
    build();
    assert_int_equal(cat.num_list, 5);
    /* a -> c -> b -> a: opened where the circle closes. */
    check("b0 c1 a2 d2 e0");
}

static void hidden_and_damaged(void **state)
{
    (void)state;
    add("a", NULL, 1);
    add("h", "a", 2);
    add("b", "h", 3);
    add("bad", "a", 4);
    add("c", "bad", 5);
    cat.entries[1].s.hidden = true;
    cat.entries[3].damaged = true;
    build();
    check("a0 b1 c0");
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* shape: a chain, a star, a circle of all, a chain of hidden ones. */
static void many(int shape)
{
    double begin;
    char name[32], parent[32];
    int i;

    for (i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        snprintf(parent, sizeof(parent), "s%d",
                 shape == 1 ? 0 : shape == 2 ? (i + MANY - 1) % MANY
                                             : i - 1);
        add(name, i || shape == 2 ? parent : NULL, i);
        cat.entries[i].s.hidden = shape == 3 && i && i < MANY - 1;
    }
    begin = seconds();
    build();
    /* Slow if it grew with the square: then it would be minutes. */
    assert_true(seconds() - begin < 2);
    assert_int_equal(cat.num_list, shape == 3 ? 2 : MANY);
    assert_int_equal(xlu_snapshot_depth(&cat, cat.list[cat.num_list - 1]),
                     shape == 0 || shape == 2 ? MANY - 1 : 1);
}

static void chain(void **state)
{
    (void)state;
    many(0);
}

static void star(void **state)
{
    (void)state;
    many(1);
}

static void large_circle(void **state)
{
    (void)state;
    many(2);
}

static void hidden_chain(void **state)
{
    (void)state;
    many(3);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(order),
        TEST(empty),
        TEST(missing_parent),
        TEST(own_parent),
        TEST(circle),
        TEST(hidden_and_damaged),
        TEST(chain),
        TEST(star),
        TEST(large_circle),
        TEST(hidden_chain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
