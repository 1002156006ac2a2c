/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * checkpoint/name.c and chain.c: names of bitmaps, and what the layers of a
 * disk say, in a word for each checkpoint.
 */
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint/checkpoint.h"
#include "lss_test.h"

static struct libxlss__op op;

static int set_up(void **state)
{
    (void)state;
    lss_op_start(&op);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lss_op_stop(&op);
    return 0;
}

static void names(void **state)
{
    static const char *const good[] = {
        "xlss-c-1-a", "xlss-p-999999999999999999-_", "xlss-c-10--x.y",
    };
    static const char *const bad[] = {
        "", "xlss-", "xlss-c-", "xlss-c-1", "xlss-c-1-", "xlss-c-0-a",
        "xlss-c-01-a", "xlss-c-x-a", "xlss-c--1-a", "xlss-c-1-.a",
        "xlss-c-1-a b", "xlss-c-1-a/b", "xlss-r-1-a", "xlss-c1-a", "a",
        "xlss-c-1000000000000000000-a", "xlss-c-1-\xc3\xbc",
    };
    char longest[XLSS_CHECKPOINT_NAME_MAX + 2];
    const char *name;
    uint64_t seq;
    bool part;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_true(libxlss__checkpoint_parse(good[i], &seq, &name, &part));
        assert_true(part == (good[i][5] == 'p'));
        assert_string_equal(part ? libxlss__checkpoint_part(&op, seq, name)
                            : libxlss__checkpoint_bitmap(&op, seq, name),
                            good[i]);
    }
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(libxlss__checkpoint_parse(bad[i], &seq, &name, &part));
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_false(libxlss__checkpoint_name_ok(longest));
    longest[sizeof(longest) - 2] = '\0';
    assert_true(libxlss__checkpoint_name_ok(longest));
    assert_true(strlen(libxlss__checkpoint_bitmap(&op, 1, longest)) < 1023);
}

/* "c1a p2b+ c3c?": + records, ? is inconsistent; a layer's bitmaps. */
static void fill(struct libxlss__node *node, const char *text)
{
    char *copy = libxlss__strdup(&op, text), *word;

    node->bitmap = libxlss__zalloc(&op, 16 * sizeof(*node->bitmap));
    while ((word = strsep(&copy, " "))) {
        struct libxlss__bitmap *b = &node->bitmap[node->num_bitmaps];

        if (!*word)
            continue;
        b->name = libxlss__printf(&op, "xlss-%c-%c-%c", word[0], word[1],
                                  word[2]);
        b->recording = word[3] == '+';
        b->inconsistent = word[3] == '?';
        b->persistent = true;
        b->granularity = b->dirty = 65536;
        node->num_bitmaps++;
    }
}

/* layers: of the base first, "|" between them. */
static void expect(const char *layers, const char *want)
{
    struct libxlss__node nodes[8];
    struct libxlss__graph graph = { .nodes = nodes };
    char *copy = libxlss__strdup(&op, layers), *layer, have[256] = "";
    struct libxlss__disk disk = { .vdev = "xvda" };
    struct libxlss__checkpoints c;
    int i;

    memset(nodes, 0, sizeof(nodes));
    while ((layer = strsep(&copy, "|"))) {
        i = graph.num_nodes++;
        nodes[i].name = libxlss__printf(&op, "n%d", i);
        nodes[i].driver = libxlss__strdup(&op, "qcow2");
        nodes[i].file = libxlss__printf(&op, "/img/%d", i);
        nodes[i].backing = i ? libxlss__printf(&op, "/img/%d", i - 1) : "";
        nodes[i].size = 1 << 20;
        fill(&nodes[i], layer);
    }
    disk.writer.node = &nodes[graph.num_nodes - 1];
    libxlss__checkpoints_read(&op, &graph, &disk, &c);
    for (i = 0; i < c.num; i++)
        snprintf(have + strlen(have), sizeof(have) - strlen(have),
                 "%s%s%s%s", i ? " " : "", c.list[i].name,
                 c.list[i].broken ? "!" : "",
                 c.list[i].recording ? "+" : "");
    assert_string_equal(have, want);
}

static void one_layer(void **state)
{
    (void)state;
    expect("", "");
    expect("c1a c2b c3c+", "a b c+");
    expect("c3c+ c1a c2b", "a b c+");
    expect("c1a c2b c3c", "a b c!");        /* nothing records */
    expect("c1a c2b? c3c+", "a b! c+");
    expect("p1a c2b+", "a! b+");            /* a part without a beginning */
}

static void layers(void **state)
{
    (void)state;
    expect("c1a c2b+|p2b c3c+", "a b c+");
    expect("c1a c2b+|p2b+", "a b+");
    expect("c1a c2b+|p2b|p2b", "a b!");     /* nothing records */
    expect("c1a c2b+|p2b+|p2b c4d+", "a b d+");
    /* A gap: nothing, or something that is no part of what is below. */
    expect("c1a c2b+|", "a! b!");
    expect("c1a c2b+|c3c+", "a! b! c+");
    expect("c1a c2b+|p3c c4d+", "a! b! c! d+");
    expect("c1a c2b+||p2b c3c+", "a! b! c+");
    /* Deleted below: newer than the oldest part, and without one. */
    expect("c1a c2b c3c+|p1a c4d+", "a d+");
    expect("c1a c2b c3c+|p1a p3c c4d+", "a c d+");
    expect("c1a c2b+|p2b? c3c+", "a b! c+");
    expect("c1a? c2b+|p2b c3c+", "a! b c+");
    /* A merge that was cut short: the whole is above already. */
    expect("c1a c2b+|c1a c2b c3c+", "a b c+");
}

static void known(void **state)
{
    struct libxlss__checkpoint list[] = {
        { .seq = 1, .name = "a" }, { .seq = 2, .name = "b", .broken = "?" },
        { .seq = 3, .name = "c" }, { .seq = 4, .name = "a" },
    };
    struct libxlss__checkpoints c = { .vdev = "xvda", .list = list,
                                      .num = 3 };

    (void)state;
    assert_int_equal(libxlss__checkpoint_known(&op, &c, "a", "b"), 0);
    assert_int_equal(libxlss__checkpoint_known(&op, &c, "c", NULL), 0);
    assert_int_equal(libxlss__checkpoint_known(&op, &c, "a", NULL),
                     XLSS(BITMAP_BROKEN));
    assert_logged("disk xvda");
    assert_logged("\"b\"");
    assert_int_equal(libxlss__checkpoint_known(&op, &c, "x", NULL),
                     XLSS(BITMAP_BROKEN));
    assert_int_equal(libxlss__checkpoint_known(&op, &c, "c", "a"),
                     ERROR_INVAL);
    assert_int_equal(libxlss__checkpoint_known(&op, &c, "a", "a"),
                     ERROR_INVAL);
    /* A name that was used twice means the later. */
    c.num = 4;
    assert_int_equal(libxlss__checkpoint_known(&op, &c, "a", NULL), 0);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names),
        TEST(one_layer),
        TEST(layers),
        TEST(known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
