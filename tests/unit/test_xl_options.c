/* SPDX-License-Identifier: LGPL-2.1-only */
/* The front end's parsers, and the exit codes against the manual. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <libxl_snapshot.h>

#include "../../tools/xl/xl_exit.h"
#include "../../tools/xl/xl_options.h"

#define MAX_ARGS 64

/* "a|b||c" -> { "a", "b", "", "c", NULL } */
static int split(char *text, char **argv)
{
    int argc = 0;
    char *part;

    while ((part = strsep(&text, "|")) && argc < MAX_ARGS - 1)
        argv[argc++] = part;
    argv[argc] = NULL;
    return argc;
}

#define PARSE(kind, words)                                              \
    char text_[] = words;                                               \
    char *argv_[MAX_ARGS];                                              \
    struct xl_##kind##_options o;                                       \
    struct xl_problem problem = { 0 };                                  \
    bool help;                                                          \
    int status = xl_##kind##_parse(split(text_, argv_), argv_, &o,      \
                                   &help, &problem)

static void refused(int status, int expected, struct xl_problem *problem,
                    const char *word)
{
    assert_int_equal(status, expected);
    assert_non_null(problem->text);
    if (!strstr(problem->text, word))
        fail_msg("\"%s\" doesn't say %s", problem->text, word);
    free(problem->text);
}

static void create_plain(void **state)
{
    (void)state;
    PARSE(create, "snapshot-create|web1");
    assert_int_equal(status, 0);
    assert_false(help);
    assert_string_equal(o.domain, "web1");
    assert_null(o.name);
    assert_int_equal(o.num_disks, 0);
}

static void create_everything(void **state)
{
    (void)state;
    PARSE(create, "snapshot-create|-ln|a|--path=/x y|--description||"
          "--disk|xvda,kind=none|web1|--disk=xvdb|--wait|--json|--paused|-i|"
          "--compress|--checkpoint=c");
    assert_int_equal(status, 0);
    assert_string_equal(o.name, "a");
    assert_string_equal(o.path, "/x y");
    assert_string_equal(o.description, "");
    assert_string_equal(o.checkpoint, "c");
    assert_string_equal(o.domain, "web1");
    assert_true(o.live && o.wait && o.json && o.paused && o.internal &&
                o.compress);
    assert_int_equal(o.num_disks, 2);
    assert_string_equal(o.disks[0].vdev, "xvda");
    assert_int_equal(o.disks[0].kind, LIBXL_DISK_SNAPSHOT_KIND_NONE);
    assert_int_equal(o.disks[1].kind, LIBXL_DISK_SNAPSHOT_KIND_ANY);
    xl_create_options_free(&o);
}

static void create_quiesced(void **state)
{
    (void)state;
    PARSE(create, "snapshot-create|--allow-unquiesced|--quiesce|--disk-only|"
          "web1");
    assert_int_equal(status, 0);
    assert_true(o.disk_only && o.quiesce && o.allow_unquiesced);
}

static void value_attached_to_letter(void **state)
{
    (void)state;
    PARSE(create, "snapshot-create|-nfoo|d");
    assert_int_equal(status, 0);
    assert_string_equal(o.name, "foo");
}

static void end_of_options(void **state)
{
    (void)state;
    PARSE(create, "snapshot-create|--|-d");
    assert_int_equal(status, 0);
    assert_string_equal(o.domain, "-d");
}

static void help_wins(void **state)
{
    (void)state;
    PARSE(create, "snapshot-create|--help|--nonsense");
    assert_int_equal(status, 0);
    assert_true(help);
}

#define REFUSED(test, kind, words, expected, word)                      \
    static void test(void **state)                                      \
    {                                                                   \
        (void)state;                                                    \
        PARSE(kind, words);                                             \
        (void)o;                                                        \
        refused(status, expected, &problem, word);                      \
    }

#define CREATE "snapshot-create|"
REFUSED(no_domain, create, "snapshot-create", 2, "DOMAIN")
REFUSED(two_domains, create, CREATE "a|b", 2, "\"b\"")
REFUSED(unknown_long, create, CREATE "--foo|a", 2, "--foo")
REFUSED(unknown_short, create, CREATE "-x|a", 2, "-x")
REFUSED(abbreviated, create, CREATE "--nam|x|a", 2, "--nam")
REFUSED(no_value, create, CREATE "a|--name", 2, "NAME")
REFUSED(no_value_short, create, CREATE "a|-n", 2, "NAME")
REFUSED(value_for_flag, create, CREATE "--live=1|a", 2, "--live")
REFUSED(bare_equals, create, CREATE "--=1|a", 2, "--")
REFUSED(external, create, CREATE "-e|-i|a", 2, "exclude")
REFUSED(external_long, create, CREATE "--external|--internal|a", 2, "exclude")
REFUSED(quiesce, create, CREATE "--quiesce|a", 2, "come back frozen")
REFUSED(allow_alone, create, CREATE "--disk-only|--allow-unquiesced|a", 2,
        "needs --quiesce")
REFUSED(compress, create, CREATE "--compress|--disk-only|a", 2, "exclude")
REFUSED(relative_path, create, CREATE "-p|x|a", 2, "absolute")
REFUSED(live_disk_only, create, CREATE "-l|--disk-only|a", 2, "exclude")
REFUSED(path_disk_only, create, CREATE "-p|/x|--disk-only|a", 2, "exclude")
REFUSED(disk_twice, create, CREATE "--disk|xvda|--disk|xvda,kind=none|a", 2,
        "twice")
REFUSED(list_two_forms, list, "snapshot-list|--tree|--json|a", 2, "exclude")
REFUSED(list_name_json, list, "snapshot-list|--name|--json|a", 2, "exclude")
REFUSED(info_no_name, info, "snapshot-info|a", 2, "NAME")
REFUSED(info_two_forms, info, "snapshot-info|--xml|--json|a|b", 2, "exclude")
REFUSED(revert_no_name, revert, "snapshot-revert|a", 2, "NAME")
REFUSED(revert_both, revert, "snapshot-revert|--running|--paused|a|b", 2,
        "exclude")
REFUSED(delete_both, delete, "snapshot-delete|--children|--children-only|"
        "a|b", 2, "exclude")
REFUSED(delete_three, delete, "snapshot-delete|a|b|c", 2, "\"c\"")
REFUSED(merge_both, merge, "snapshot-merge|--up|--down|a", 2, "exclude")
REFUSED(merge_name_disk, merge, "snapshot-merge|--disk|xvda|a|b", 2, "disk")
REFUSED(merge_name_json, merge, "snapshot-merge|--json|a|b", 2, "json")
REFUSED(merge_disk, merge, "snapshot-merge|--disk|a=b|a", 2, "no disk's")
REFUSED(redefine_no_file, redefine, "snapshot-redefine|a", 2, "FILE")
REFUSED(redefine_three, redefine, "snapshot-redefine|a|-|c", 2, "\"c\"")

static void others_good(void **state)
{
    (void)state;
    {
        PARSE(list, "snapshot-list|--tree|a");
        assert_int_equal(status, 0);
        assert_true(o.tree && !o.json && !o.name);
    }
    {
        PARSE(info, "snapshot-info|a|--xml|b");
        assert_int_equal(status, 0);
        assert_string_equal(o.domain, "a");
        assert_string_equal(o.name, "b");
    }
    {
        PARSE(revert, "snapshot-revert|--force|--no-safety|--wait|a|b");
        assert_int_equal(status, 0);
        assert_true(o.force && o.no_safety && o.wait && !o.paused);
    }
    {
        PARSE(delete, "snapshot-delete|--children-only|a|b");
        assert_int_equal(status, 0);
        assert_true(o.children_only && !o.children);
    }
    {
        PARSE(merge, "snapshot-merge|--disk|xvda|--disk|xvdb|--down|a");
        assert_int_equal(status, 0);
        assert_int_equal(o.num_vdevs, 2);
        assert_string_equal(o.vdevs[1], "xvdb");
        assert_null(o.vdevs[2]);
        assert_null(o.name);
        assert_true(o.down && !o.up && !o.wait && !o.json);
        xl_merge_options_free(&o);
    }
    {
        PARSE(redefine, "snapshot-redefine|a|--current|-");
        assert_int_equal(status, 0);
        assert_string_equal(o.file, "-");
        assert_true(o.current && !o.wait);
    }
}

static void disk_specs(void **state)
{
    static const struct {
        const char *text;
        int status, kind;
    } cases[] = {
        { "xvda", 0, LIBXL_DISK_SNAPSHOT_KIND_ANY },
        { "xvda,kind=any", 0, LIBXL_DISK_SNAPSHOT_KIND_ANY },
        { "hda,kind=internal", 0, LIBXL_DISK_SNAPSHOT_KIND_INTERNAL },
        { "sda,kind=none", 0, LIBXL_DISK_SNAPSHOT_KIND_NONE },
        { "xvda,kind=external", 0, LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL },
        { "xvda,kind=reflink", 0, LIBXL_DISK_SNAPSHOT_KIND_REFLINK },
        { "xvda,kind=lvm", 0, LIBXL_DISK_SNAPSHOT_KIND_LVM },
        { "xvda,format=qcow2", 0, 0 },
        { "", 2, 0 },
        { ",kind=none", 2, 0 },
        { "kind=none", 2, 0 },
        { "/dev/xvda", 2, 0 },
        { "xvda,", 2, 0 },
        { "xvda,kind", 2, 0 },
        { "xvda,kind=", 2, 0 },
        { "xvda,kind=None", 2, 0 },
        { "xvda,kind=none,kind=any", 2, 0 },
        { "xvda,=none", 2, 0 },
        { "xvda,colour=red", 2, 0 },
        { "xvda,path=/x/y.qcow2", 0, 3 },
        { "xvda,kind=external,path=/x/y.qcow2,format=qcow2", 0, 3 },
        { "xvda,path=/x/y.qcow2,reuse=yes", 0, 3 },
        { "xvda,path=y.qcow2", 2, 0 },
        { "xvda,kind=external,reuse=yes", 2, 0 },
        { "xvda,kind=internal,path=/x/y.qcow2", 2, 0 },
        { "xvda,kind=external,format=raw", 6, 0 },
        { "xvda,path=/x,reuse=maybe", 2, 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct xl_problem problem = { 0 };
        struct xl_disk_spec spec;
        int status = xl_disk_spec_parse(cases[i].text, &spec, &problem);

        if (status != cases[i].status)
            fail_msg("%s: %d", cases[i].text, status);
        if (status) {
            assert_non_null(problem.text);
            assert_null(spec.vdev);
        } else {
            assert_int_equal(spec.kind, cases[i].kind);
        }
        free(spec.vdev);
        free(spec.path);
        free(problem.text);
    }
}

static void export_all(void **state)
{
    (void)state;
    PARSE(export, "snapshot-export|--disk|xvda|--disk=xvdb|--socket|/run/x|"
                  "--json|--wait|web1|s1");
    assert_int_equal(status, 0);
    assert_string_equal(o.domain, "web1");
    assert_string_equal(o.name, "s1");
    assert_string_equal(o.socket, "/run/x");
    assert_int_equal(o.num_vdevs, 2);
    assert_string_equal(o.vdevs[1], "xvdb");
    assert_null(o.vdevs[2]);
    assert_true(o.json && o.wait);
    assert_false(o.stop || o.list);
    xl_export_options_free(&o);
}

/* The name may be left out where nothing is started. */
static void export_without_name(void **state)
{
    (void)state;
    {
        PARSE(export, "snapshot-export|--stop|web1");
        assert_int_equal(status, 0);
        assert_true(o.stop);
        assert_null(o.name);
    }
    {
        PARSE(export, "snapshot-export|--list|web1");
        assert_int_equal(status, 0);
        assert_true(o.list);
    }
    {
        PARSE(export, "snapshot-export|web1");
        refused(status, XL_EXIT_USAGE, &problem, "NAME");
    }
    {
        PARSE(export, "snapshot-export|--stop");
        refused(status, XL_EXIT_USAGE, &problem, "DOMAIN");
    }
}

static void export_refused(void **state)
{
    (void)state;
    {
        PARSE(export, "snapshot-export|--stop|--list|web1");
        refused(status, XL_EXIT_USAGE, &problem, "--list");
    }
    {
        PARSE(export, "snapshot-export|--socket|/run/x|--stop|web1|s1");
        refused(status, XL_EXIT_USAGE, &problem, "--socket");
    }
    {
        PARSE(export, "snapshot-export|--socket|x|web1|s1");
        refused(status, XL_EXIT_USAGE, &problem, "absolute");
    }
    {
        PARSE(export, "snapshot-export|--disk|a/b|web1|s1");
        refused(status, XL_EXIT_USAGE, &problem, "a/b");
    }
    {
        PARSE(export, "snapshot-export|--list|--disk|xvda|web1");
        refused(status, XL_EXIT_USAGE, &problem, "--disk");
    }
    {
        PARSE(export, "snapshot-export|--stop|--json|web1");
        refused(status, XL_EXIT_USAGE, &problem, "--json");
    }
    {
        PARSE(export, "snapshot-export|web1|s1|s2");
        refused(status, XL_EXIT_USAGE, &problem, "s2");
    }
}

static void check_options(void **state)
{
    (void)state;
    {
        PARSE(check, "snapshot-check");
        assert_int_equal(status, 0);
        assert_null(o.domain);
        assert_false(o.repair || o.deep || o.json || o.wait);
    }
    {
        PARSE(check, "snapshot-check|--repair|web1|--deep|--json|--wait");
        assert_int_equal(status, 0);
        assert_string_equal(o.domain, "web1");
        assert_true(o.repair && o.deep && o.json && o.wait);
    }
    {
        PARSE(check, "snapshot-check|web1|web2");
        refused(status, XL_EXIT_USAGE, &problem, "web2");
    }
}

static void checkpoint_options(void **state)
{
    (void)state;
    {
        PARSE(checkpoint, "checkpoint-dirty|--since=a|--until|b|--disk|xvda|"
              "web1|--disk=xvdb|--json");
        assert_int_equal(status, 0);
        assert_string_equal(o.domain, "web1");
        assert_string_equal(o.since, "a");
        assert_string_equal(o.until, "b");
        assert_int_equal(o.num_vdevs, 2);
        assert_string_equal(o.vdevs[1], "xvdb");
        assert_null(o.vdevs[2]);
        assert_true(o.json);
        xl_checkpoint_options_free(&o);
    }
    {
        PARSE(checkpoint, "checkpoint-create|-n|x|--wait|web1");
        assert_int_equal(status, 0);
        assert_string_equal(o.name, "x");
        assert_null(o.vdevs);
    }
    {
        PARSE(checkpoint, "checkpoint-delete|web1|x");
        assert_int_equal(status, 0);
        assert_string_equal(o.name, "x");
    }
    {
        PARSE(checkpoint, "checkpoint-info|--json|--xml|web1|x");
        refused(status, XL_EXIT_USAGE, &problem, "--xml");
    }
    {
        PARSE(checkpoint, "checkpoint-create|--disk|a,b|web1");
        refused(status, XL_EXIT_USAGE, &problem, "a,b");
    }
    {
        PARSE(checkpoint, "checkpoint-delete|web1");
        refused(status, XL_EXIT_USAGE, &problem, "NAME");
    }
}

static void exit_codes(void **state)
{
    (void)state;
    assert_int_equal(xl_exit_status(0), 0);
    assert_int_equal(xl_exit_status(-31337), 1);
    assert_int_equal(xl_exit_status(ERROR_DOMAIN_NOTFOUND), 3);
    assert_int_equal(xl_exit_status(LIBXL_SNAPSHOT_ERROR_BUSY), 5);
    assert_int_equal(xl_exit_status(LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR), 9);
}

static char *read_manual(void)
{
    const char *dir = getenv("TOP_SRCDIR");
    char path[4096], *text = NULL;
    size_t size = 0, len;
    FILE *f;

    snprintf(path, sizeof(path), "%s/docs/man/xl-snapshot.1.pod",
             dir ? dir : "../..");
    f = fopen(path, "r");
    if (!f)
        return NULL;
    len = getdelim(&text, &size, '\0', f) > 0 ? strlen(text) : 0;
    fclose(f);
    assert_true(len > 0);
    return text;
}

/* Each code stands in the manual's EXIT STATUS, under its exit code. */
static void exit_codes_in_manual(void **state)
{
    char *manual = read_manual(), *section, *end, *item, *next;
    const struct xl_exit_code *c;
    char heading[32], name[80];

    (void)state;
    if (!manual)
        fail_msg("no docs/man/xl-snapshot.1.pod: set TOP_SRCDIR");
    section = strstr(manual, "=head1 EXIT STATUS");
    assert_non_null(section);
    end = strstr(section + 1, "\n=head1 ");
    assert_non_null(end);
    *end = '\0';
    for (c = xl_exit_codes; c->name; c++) {
        snprintf(heading, sizeof(heading), "=item B<%d>", c->status);
        item = strstr(section, heading);
        assert_non_null(item);
        next = strstr(item + 1, "\n=");
        snprintf(name, sizeof(name), "C<%s>", c->name);
        item = strstr(item, name);
        if (!item || item > next)
            fail_msg("%s isn't under exit status %d", c->name, c->status);
        if (strstr(strstr(section, name) + 1, name))
            fail_msg("%s is there twice", c->name);
    }
    free(manual);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_plain),
        cmocka_unit_test(create_everything),
        cmocka_unit_test(value_attached_to_letter),
        cmocka_unit_test(end_of_options),
        cmocka_unit_test(help_wins),
        cmocka_unit_test(no_domain),
        cmocka_unit_test(two_domains),
        cmocka_unit_test(unknown_long),
        cmocka_unit_test(unknown_short),
        cmocka_unit_test(abbreviated),
        cmocka_unit_test(no_value),
        cmocka_unit_test(no_value_short),
        cmocka_unit_test(value_for_flag),
        cmocka_unit_test(bare_equals),
        cmocka_unit_test(external),
        cmocka_unit_test(external_long),
        cmocka_unit_test(quiesce),
        cmocka_unit_test(allow_alone),
        cmocka_unit_test(create_quiesced),
        cmocka_unit_test(compress),
        cmocka_unit_test(relative_path),
        cmocka_unit_test(live_disk_only),
        cmocka_unit_test(path_disk_only),
        cmocka_unit_test(disk_twice),
        cmocka_unit_test(list_two_forms),
        cmocka_unit_test(list_name_json),
        cmocka_unit_test(info_no_name),
        cmocka_unit_test(info_two_forms),
        cmocka_unit_test(revert_no_name),
        cmocka_unit_test(revert_both),
        cmocka_unit_test(delete_both),
        cmocka_unit_test(delete_three),
        cmocka_unit_test(merge_both),
        cmocka_unit_test(merge_name_disk),
        cmocka_unit_test(merge_name_json),
        cmocka_unit_test(merge_disk),
        cmocka_unit_test(redefine_no_file),
        cmocka_unit_test(redefine_three),
        cmocka_unit_test(others_good),
        cmocka_unit_test(disk_specs),
        cmocka_unit_test(export_all),
        cmocka_unit_test(export_without_name),
        cmocka_unit_test(export_refused),
        cmocka_unit_test(check_options),
        cmocka_unit_test(checkpoint_options),
        cmocka_unit_test(exit_codes),
        cmocka_unit_test(exit_codes_in_manual),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
