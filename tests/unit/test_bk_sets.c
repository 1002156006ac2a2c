/* SPDX-License-Identifier: LGPL-2.1-only */
/* Sets of backups: records, chains, and what the rules of prune keep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bk.h"

#define MAX 400
#define DAY 86400ull
/* 2026-11-02, a Monday, noon in UTC. */
#define MONDAY 1793620800ull

static struct bk_set sets[MAX];
static int num;

static struct bk_set *add(const char *name, const char *base, uint64_t time)
{
    struct bk_set *s = &sets[num++];

    memset(s, 0, sizeof(*s));
    s->name = strdup(name);
    s->base = base ? strdup(base) : NULL;
    s->time = time;
    return s;
}

static int clear(void **state)
{
    (void)state;
    while (num > 0)
        bk_set_dispose(&sets[--num]);
    return 0;
}

/* n sets, one in `seconds`, each based on the one before. */
static void series(int n, uint64_t seconds)
{
    char name[16], base[16] = "";
    int i;

    for (i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "s%03d", i);
        add(name, *base ? base : NULL, MONDAY + i * seconds);
        strcpy(base, name);
    }
}

/* Indexes of those kept, "0 4 6". */
static const char *kept(void)
{
    static char text[MAX * 5];
    char *to = text;
    int i;

    *text = '\0';
    for (i = 0; i < num; i++)
        if (sets[i].keep)
            to += sprintf(to, "%s%d", to == text ? "" : " ", i);
    return text;
}

static void expect(struct bk_rules r, const char *want)
{
    bk_apply_rules(sets, num, &r);
    assert_string_equal(kept(), want);
}

static void test_rules(void **state)
{
    (void)state;
    /* Four a day for four weeks: 0 is Monday noon, 1 six hours later. */
    series(112, DAY / 4);
    expect((struct bk_rules){ .last = 3 }, "109 110 111");
    expect((struct bk_rules){ .last = 1000 }, kept());
    bk_apply_rules(sets, num, &(struct bk_rules){ .last = 1000 });
    assert_true(sets[0].keep);
    /* The day ends at midnight: 112 is noon of the 29th day. */
    expect((struct bk_rules){ .daily = 3 }, "105 109 111");
    /* Sunday evening is the last of a week. */
    expect((struct bk_rules){ .weekly = 2 }, "109 111");
    expect((struct bk_rules){ .weekly = 3 }, "81 109 111");
    expect((struct bk_rules){ .monthly = 1 }, "111");
    expect((struct bk_rules){ .yearly = 5 }, "111");
    expect((struct bk_rules){ .last = 1, .weekly = 3 }, "81 109 111");
    clear(NULL);
    /* One a day for a year. */
    series(366, DAY);
    expect((struct bk_rules){ .yearly = 2 }, "59 365");
    expect((struct bk_rules){ .monthly = 3 }, "332 363 365");
    /* Where there is nothing for long, nothing counts. */
    clear(NULL);
    add("a", NULL, MONDAY);
    add("b", NULL, MONDAY + 100 * DAY);
    add("c", NULL, MONDAY + 100 * DAY + 60);
    expect((struct bk_rules){ .daily = 2 }, "0 2");
    /* The turn of the year is within a week: 2026-12-28 and 2027-01-03. */
    clear(NULL);
    add("a", NULL, MONDAY + 56 * DAY);
    add("b", NULL, MONDAY + 62 * DAY);
    add("c", NULL, MONDAY + 63 * DAY);
    expect((struct bk_rules){ .weekly = 3 }, "1 2");
}

static void test_unreadable_stays(void **state)
{
    (void)state;
    series(4, DAY);
    sets[1].problem = strdup("damaged");
    expect((struct bk_rules){ .last = 1 }, "1 3");
    sets[3].problem = strdup("damaged");
    expect((struct bk_rules){ .last = 1 }, "1 2 3");
    assert_ptr_equal(bk_newest(sets, num), &sets[2]);
}

static void test_kept_base(void **state)
{
    (void)state;
    series(5, DAY);
    bk_apply_rules(sets, num, &(struct bk_rules){ .last = 2 });
    assert_null(bk_kept_base(sets, num, &sets[3]));
    assert_ptr_equal(bk_kept_base(sets, num, &sets[4]), &sets[3]);
    sets[1].keep = true;
    assert_ptr_equal(bk_kept_base(sets, num, &sets[3]), &sets[1]);
}

static void test_chain(void **state)
{
    struct bk_set **chain;
    char *problem;

    (void)state;
    series(3, DAY);
    chain = bk_chain(sets, num, &sets[2], &problem);
    assert_non_null(chain);
    assert_null(problem);
    assert_ptr_equal(chain[0], &sets[2]);
    assert_ptr_equal(chain[2], &sets[0]);
    assert_null(chain[3]);
    free(chain);
    /* In a circle; without its base; on one that can't be read. */
    sets[0].base = strdup("s002");
    assert_null(bk_chain(sets, num, &sets[2], &problem));
    assert_non_null(strstr(problem, "based on itself"));
    free(problem);
    assert_null(bk_kept_base(sets, num, &sets[2]));
    free(sets[0].base);
    sets[0].base = strdup("nosuch");
    assert_null(bk_chain(sets, num, &sets[1], &problem));
    assert_non_null(strstr(problem, "nosuch"));
    free(problem);
    sets[0].problem = strdup("gone bad");
    assert_null(bk_chain(sets, num, &sets[1], &problem));
    assert_non_null(strstr(problem, "gone bad"));
    free(problem);
}

static void test_order(void **state)
{
    (void)state;
    add("b", NULL, 5);
    add("a", NULL, 5);
    add("c", NULL, 1);
    bk_sort(sets, num);
    assert_string_equal(sets[0].name, "c");
    assert_string_equal(sets[1].name, "a");
    assert_ptr_equal(bk_find(sets, num, "b"), &sets[2]);
    assert_null(bk_find(sets, num, "d"));
    assert_null(bk_find(sets, num, NULL));
}

static void test_record(void **state)
{
    struct bk_set *s = add("c1", "c0", 1793620800), back = { 0 };
    struct bk_disk *d;
    char *text, *problem;

    (void)state;
    s->domain = strdup("we\"b1");
    s->uuid = strdup("00112233-4455-6677-8899-aabbccddeeff");
    s->version = strdup("0.1");
    s->sequence = 7;
    s->quiesced = true;
    d = bk_set_add(s, "xvda");
    d->size = 1ull << 40;
    d->copied = 65536;
    d->file_size = 196616;
    strcpy(d->xxh64, "0123456789abcdef");
    text = bk_set_write(s);
    assert_true(bk_set_read(&back, text, strlen(text), &problem));
    assert_null(problem);
    assert_string_equal(back.name, "c1");
    assert_string_equal(back.base, "c0");
    assert_string_equal(back.domain, "we\"b1");
    assert_int_equal(back.time, 1793620800);
    assert_int_equal(back.sequence, 7);
    assert_true(back.quiesced);
    assert_int_equal(back.num_disks, 1);
    d = bk_set_disk(&back, "xvda");
    assert_int_equal(d->size, 1ull << 40);
    assert_int_equal(d->copied, 65536);
    assert_int_equal(d->file_size, 196616);
    assert_string_equal(d->xxh64, "0123456789abcdef");
    assert_null(bk_set_disk(&back, "xvdb"));
    bk_set_dispose(&back);
    free(text);
}

#define HEAD "{\"name\":\"c1\",\"domain_name\":\"d\",\"domain_uuid\":\"u\"," \
             "\"tool_version\":\"0\",\"time\":1,\"disks\":"
#define DISK "{\"vdev\":\"xvda\",\"size\":1,\"file_size\":1," \
             "\"xxh64\":\"0123456789abcdef\"}"

static void test_bad_records(void **state)
{
    static const char *const bad[] = {
        "", "{", "[]", "{}", "nonsense",
        HEAD "[]}",
        HEAD "{}}",
        HEAD "[" DISK "," DISK "]}",
        HEAD "[{\"vdev\":\"../xvda\",\"size\":1,\"file_size\":1,"
             "\"xxh64\":\"0123456789abcdef\"}]}",
        HEAD "[{\"vdev\":\"xvda\",\"size\":1,\"file_size\":1,"
             "\"xxh64\":\"0123456789abcde\"}]}",
        HEAD "[{\"vdev\":\"xvda\",\"size\":-1,\"file_size\":1,"
             "\"xxh64\":\"0123456789abcdef\"}]}",
        "{\"name\":\"../c1\",\"domain_name\":\"d\",\"domain_uuid\":\"u\","
             "\"tool_version\":\"0\",\"time\":1,\"disks\":[" DISK "]}",
        "{\"name\":\"c1\",\"since\":\"..\",\"domain_name\":\"d\","
             "\"domain_uuid\":\"u\",\"tool_version\":\"0\",\"time\":1,"
             "\"disks\":[" DISK "]}",
        "{\"name\":\"c1\",\"since\":\"c1\",\"domain_name\":\"d\","
             "\"domain_uuid\":\"u\",\"tool_version\":\"0\",\"time\":1,"
             "\"disks\":[" DISK "]}",
    };
    struct bk_set s = { 0 };
    char *problem;
    size_t i;

    (void)state;
    assert_true(bk_set_read(&s, HEAD "[" DISK "]}",
                            strlen(HEAD "[" DISK "]}"), &problem));
    bk_set_dispose(&s);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (bk_set_read(&s, bad[i], strlen(bad[i]), &problem))
            fail_msg("taken for good: %s", bad[i]);
        assert_non_null(problem);
        assert_null(strchr(problem, '\n'));
        free(problem);
        bk_set_dispose(&s);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_null(bk_name_problem("20261120T153045Z"));
    assert_null(bk_name_problem("20261120T153045Z-2"));
    assert_non_null(bk_name_problem(".partial-c1"));
    assert_non_null(bk_name_problem("-c1"));
    assert_non_null(bk_name_problem("a/b"));
    assert_non_null(bk_name_problem(".."));
    assert_non_null(bk_name_problem(""));
    assert_true(bk_vdev_ok("xvda"));
    assert_true(bk_vdev_ok("d5p3"));
    assert_false(bk_vdev_ok("../x"));
    assert_false(bk_vdev_ok("x,y"));
    assert_false(bk_vdev_ok(""));
    assert_false(bk_vdev_ok(NULL));
}

#define CONFIG \
    "{\"c_info\":{\"type\":\"pvh\",\"name\":\"web1\",\"uuid\":\"u\"}," \
    "\"b_info\":{\"max_vcpus\":2,\"max_memkb\":262144,\"target_memkb\":" \
    "131072,\"kernel\":\"/boot/k\",\"cmdline\":\"root=/dev/xvda ro\"}," \
    "\"disks\":[{\"vdev\":\"xvda\",\"pdev_path\":\"/old/a.qcow2\",\"format\":" \
    "\"qcow2\",\"readwrite\":1},{\"vdev\":\"xvdc\",\"pdev_path\":\"/iso\"," \
    "\"format\":\"raw\",\"is_cdrom\":1}],\"nics\":[{\"mac\":" \
    "\"00:16:3e:00:00:01\",\"bridge\":\"xenbr0\"}]," \
    "\"on_crash\":\"rename_restart\"}"

static void test_config(void **state)
{
    static const char *const wanted[] = {
        "name = \"web1\"\n", "type = \"pvh\"\n", "memory = 128\n",
        "maxmem = 256\n", "vcpus = 2\n", "extra = \"root=/dev/xvda ro\"\n",
        "on_crash = \"rename-restart\"\n",
        "\"format=raw,vdev=xvda,access=rw,target=/new/xvda.raw\",\n",
        "vdev=xvdc,access=ro,devtype=cdrom,target=/iso\",\n",
        "\"mac=00:16:3e:00:00:01,bridge=xenbr0\",\n",
    };
    struct bk_set *s = add("c1", NULL, 1);
    char *cfg;
    size_t i;

    (void)state;
    bk_set_add(s, "xvda");
    cfg = bk_config_write(CONFIG, "/new", s, "raw");
    assert_non_null(cfg);
    for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (!strstr(cfg, wanted[i]))
            fail_msg("no %s in %s", wanted[i], cfg);
    free(cfg);
    assert_null(bk_config_write("{}", "/new", s, "raw"));
    assert_null(bk_config_write("{", "/new", s, "raw"));
    /* A name that could add to the file what nobody wants. */
    assert_null(bk_config_write(CONFIG, "/n\"ew", s, "raw"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_rules, clear),
        cmocka_unit_test_teardown(test_unreadable_stays, clear),
        cmocka_unit_test_teardown(test_kept_base, clear),
        cmocka_unit_test_teardown(test_chain, clear),
        cmocka_unit_test_teardown(test_order, clear),
        cmocka_unit_test_teardown(test_record, clear),
        cmocka_unit_test_teardown(test_bad_records, clear),
        cmocka_unit_test(test_names),
        cmocka_unit_test_teardown(test_config, clear),
    };

    setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
