/* SPDX-License-Identifier: LGPL-2.1-only */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xlu_backup.h>
#include <xlu_checkpoint.h>

#include "catalogue_scene.h"

xlu_snapshot_catalogue *cat;

libxl_dominfo *libxl_list_domain(libxl_ctx *c, int *num)
{
    libxl_dominfo *list = calloc(1, sizeof(*list));

    libxl_dominfo_init(list);
    *num = fake.exists;
    if (fake.exists)
        libxl_domain_info(c, list, fake.domid);
    return list;
}

const libxl_version_info *libxl_get_version_info(libxl_ctx *c)
{
    (void)c;
    return NULL;
}

void close_catalogue(void)
{
    xlu_snapshot_close(cat);
    cat = NULL;
}

int reopen(void)
{
    xlu_snapshot_domain dom = { .name = strdup("web1"),
                                .domid = fake.exists ? fake.domid
                                                     : (uint32_t)-1 };
    int rc;

    if (cat)
        close_catalogue();
    snprintf(dom.uuid, sizeof(dom.uuid), "%s", fake.uuid);
    mkdir(in_bed("root"), 0700);
    rc = xlu_snapshot_open(ctx, how.lg, in_bed("root"), &dom,
                           XLU_SNAPSHOT_WRITE, &cat);
    free(dom.name);
    return rc;
}

void begin(int disks)
{
    make(disks);
    assert_int_equal(reopen(), 0);
}

void end(void)
{
    close_catalogue();
    unmake();
}

const char *checkpoints(void)
{
    static char text[256];
    xlu_checkpoint_list list;
    int i;

    text[0] = '\0';
    xlu_checkpoint_list_init(&list);
    assert_int_equal(xlu_checkpoint_list_all(cat, &list), 0);
    for (i = 0; i < list.num_checkpoints; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
                 i ? " " : "", list.checkpoints[i].name);
    xlu_checkpoint_list_dispose(&list);
    return text;
}

uint64_t dirty_since(const char *since)
{
    libxl_domain_dirty out;
    uint64_t bytes = 0;
    int i;

    libxl_domain_dirty_init(&out);
    assert_int_equal(xlu_checkpoint_dirty(cat, since, NULL, NULL, &how,
                                          &out), 0);
    for (i = 0; i < out.num_disks; i++)
        bytes += out.disks[i].dirty;
    libxl_domain_dirty_dispose(&out);
    return bytes;
}

void expect_clean(void)
{
    yajl_val v = NULL;
    const char *left;

    assert_true(bed_running());
    left = bed_node_left();
    if (left)
        fail_msg("%s is left", left);
    assert_int_equal(bed_qmp_reply("query-block-exports", NULL, &v), 0);
    assert_int_equal(json_length(json_array(v, "return")), 0);
    yajl_tree_free(v);
    assert_false(xlu_backup_is_pull(cat));
    assert_int_not_equal(run("ls -R %s | grep -E 'xlbs|export-|private|"
                             "pull.json|backup.xml|backup.json|save.json'",
                             bed.dir), 0);
    assert_int_not_equal(run("pgrep -f %s/[x]lbs >/dev/null", bed.dir), 0);
}

/* The guard's part. */
static void let_run(void)
{
    assert_int_equal(bed_qmp("cont", NULL), 0);
    fake.pauses = 0;
}

bool die_at(int n, int (*what)(void))
{
    int status;
    pid_t pid;

    close_catalogue();
    pid = fork();
    if (pid == 0) {
        if (reopen())
            _exit(99);
        fake.calls = 0;
        fake.fail_at = n;
        fake.fault = FAULT_WE_DIE;
        _exit(what() ? 98 : 0);
    }
    waitpid(pid, &status, 0);
    let_run();
    assert_int_equal(reopen(), 0);
    if (WIFEXITED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFEXITED(status);
}
