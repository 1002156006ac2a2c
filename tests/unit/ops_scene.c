/* SPDX-License-Identifier: LGPL-2.1-only */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ops_scene.h"

char ops_root[64];
bool ops_compress;

static void remove_all(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf %s", ops_root);
    must(system(command));
}

int ops_setup(void **state)
{
    (void)state;
    fake_reset();
    fake_log_clear();
    /* In memory, if possible: there are thousands of renames. */
    snprintf(ops_root, sizeof(ops_root), "%s/test-xlu.XXXXXX",
             access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    return mkdtemp(ops_root) ? 0 : -1;
}

int ops_teardown(void **state)
{
    (void)state;
    fake_io_stop();
    remove_all();
    return 0;
}

void ops_restart(void)
{
    ops_teardown(NULL);
    ops_setup(NULL);
}

int open_as(int flags, xlu_snapshot_catalogue **out)
{
    xlu_snapshot_domain d;
    int rc;

    *out = NULL;
    rc = xlu_snapshot_find_domain(fake_ctx(), fake_logger(), ops_root,
                                  FAKE_NAME, &d);
    if (rc == ERROR_DOMAIN_NOTFOUND) {
        memset(&d, 0, sizeof(d));
        d.domid = XLUSS__NO_DOMID;
        d.name = strdup(FAKE_NAME);
        strcpy(d.uuid, FAKE_UUID);
        rc = 0;
    }
    if (!rc)
        rc = xlu_snapshot_open(fake_ctx(), fake_logger(), ops_root, &d, flags,
                               out);
    xlu_snapshot_domain_dispose(&d);
    return rc;
}

/* --- the operations, each as a command would run it --- */

int create_named(const char *name, bool disk_only)
{
    xlu_snapshot_create_args args = { .name = name, .disk_only = disk_only,
                                      .compress = ops_compress };
    xlu_snapshot_catalogue *cat;
    int rc = open_as(XLU_SNAPSHOT_WRITE, &cat);

    if (!rc)
        rc = xlu_snapshot_create(cat, &args, NULL, NULL);
    xlu_snapshot_close(cat);
    return rc;
}

int op_create(void)
{
    return create_named("b", false);
}

int revert_with(const xlu_snapshot_revert_args *args)
{
    xlu_snapshot_catalogue *cat;
    int rc = open_as(XLU_SNAPSHOT_WRITE, &cat);

    if (!rc)
        rc = xlu_snapshot_revert(cat, "a", args, NULL, NULL);
    xlu_snapshot_close(cat);
    return rc;
}

int op_revert(void)
{
    return revert_with(NULL);
}

int delete_named(const char *name, bool children)
{
    xlu_snapshot_delete_args args = { .children = children };
    xlu_snapshot_catalogue *cat;
    int rc = open_as(XLU_SNAPSHOT_WRITE, &cat);

    if (!rc)
        rc = xlu_snapshot_delete(cat, name, &args, NULL);
    xlu_snapshot_close(cat);
    return rc;
}

int op_delete(void)
{
    return delete_named("a", false);
}

int recover(void)
{
    xlu_snapshot_catalogue *cat;
    char *what = NULL;
    int rc = open_as(XLU_SNAPSHOT_WRITE, &cat);

    if (!rc)
        rc = xlu_snapshot_recover(cat, NULL, &what);
    free(what);
    xlu_snapshot_close(cat);
    return rc;
}

bool interrupted(void)
{
    xlu_snapshot_catalogue *cat;
    bool is;

    must(open_as(XLU_SNAPSHOT_READ, &cat));
    is = xlu_snapshot_interrupted(cat);
    xlu_snapshot_close(cat);
    return is;
}

int op_quiesced(void)
{
    xlu_snapshot_create_args args = { .name = "q", .disk_only = true };
    xlu_snapshot_catalogue *cat;
    int rc;

    libxl_defbool_set(&args.args.quiesce, true);
    libxl_defbool_set(&args.args.allow_unquiesced, true);
    rc = open_as(XLU_SNAPSHOT_WRITE, &cat);
    if (!rc)
        rc = xlu_snapshot_create(cat, &args, NULL, NULL);
    xlu_snapshot_close(cat);
    return rc;
}

/* --- what must be true --- */

static bool one_of(const char *word, const char *words)
{
    char text[256];
    char *s, *save = NULL;

    snprintf(text, sizeof(text), "%s", words);
    for (s = strtok_r(text, " ", &save); s; s = strtok_r(NULL, " ", &save))
        if (!strcmp(s, word))
            return true;
    return false;
}

void check_folder(const char *sub, const char *words)
{
    char path[256];
    struct dirent *de;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/" FAKE_UUID "/%s", ops_root, sub);
    dir = opendir(path);
    assert_non_null(dir);
    while ((de = readdir(dir)))
        if (!one_of(de->d_name, words) && strcmp(de->d_name, ".") &&
            strcmp(de->d_name, "..")) {
            print_error("left over: %s/%s\n%s", path, de->d_name,
                        fake_log());
            fail();
        }
    closedir(dir);
}

/* The names in the list, with blanks between. */
static void names_of(xlu_snapshot_catalogue *cat, char *out, size_t size)
{
    const xlu_snapshot **list;
    int i, num;

    out[0] = '\0';
    must(xlu_snapshot_list(cat, &list, &num));
    for (i = 0; i < num; i++)
        snprintf(out + strlen(out), size - strlen(out), "%s%s",
                 i ? " " : "", list[i]->name);
}

void check_names(const char *names, const char *current)
{
    char have[256], files[1024] = "", *s, *save = NULL, text[256];
    xlu_snapshot_catalogue *cat;
    int num = 0;

    must(open_as(XLU_SNAPSHOT_READ, &cat));
    assert_false(xlu_snapshot_interrupted(cat));
    names_of(cat, have, sizeof(have));
    assert_string_equal(have, names);
    if (current)
        assert_string_equal(xlu_snapshot_current(cat)->name, current);
    else
        assert_null(xlu_snapshot_current(cat));
    xlu_snapshot_close(cat);

    snprintf(text, sizeof(text), "%s", names);
    for (s = strtok_r(text, " ", &save); s;
         s = strtok_r(NULL, " ", &save), num++) {
        assert_int_equal(fake_num_snaps(s), FAKE_DISKS);
        snprintf(files + strlen(files), sizeof(files) - strlen(files),
                 "%s.json %s.xml %s.config %s.mem%s ", s, s, s, s,
                 ops_compress ? ".zst" : "");
    }
    assert_int_equal(fake_num_snaps(NULL), FAKE_DISKS * num);
    check_folder("snapshots", files);
    check_folder("", "domain.json lock current snapshots");
}

void check_domain(int value)
{
    int d;

    assert_true(fake->running);
    assert_false(fake->suspended);
    assert_false(fake->paused);
    assert_int_equal(fake->memory, value);
    for (d = 0; d < FAKE_DISKS; d++)
        assert_int_equal(fake->disk[d], value);
}

void set_domain(int value)
{
    int d;

    fake->memory = value;
    for (d = 0; d < FAKE_DISKS; d++)
        fake->disk[d] = value;
}

int ops_setup_zstd(void **state)
{
    ops_compress = true;
    return ops_setup(state);
}

int ops_teardown_zstd(void **state)
{
    ops_compress = false;
    return ops_teardown(state);
}
