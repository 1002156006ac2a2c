/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What is done before the guest stands still, so that it stands still for
 * less: on a real QEMU and real images. fdatasync is this program's, which
 * writes down whose data it was, and whether the guest still ran.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scene.h"

static char early[2048], late[2048];

int fdatasync(int fd)
{
    char *to = fake.suspended || fake.pauses ? late : early, proc[64];
    size_t len = strlen(to);
    ssize_t n;

    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
    n = readlink(proc, to + len, sizeof(early) - len - 2);
    if (n > 0)
        strcpy(to + len + n, "\n");
    return fsync(fd);
}

static void synced(const char *name, int memory, bool of_live)
{
    int i;

    early[0] = late[0] = '\0';
    live = of_live;
    assert_int_equal(create(name, &args, memory), 0);
    live = false;
    expect_running();
    for (i = 0; i < bed.num_disks; i++) {
        if (!strstr(early, bed.path[i]))
            fail_msg("%s: %s is not synced before the guest stands still:\n%s",
                     name, bed.path[i], early);
        assert_null(strstr(late, bed.path[i]));
    }
}

static void test_disks_are_synced(void **state)
{
    (void)state;
    make_bed(3, false, false);
    synced("memory", fd, false);
    synced("disks", -1, false);
    remove_bed();
    make_bed(1, true, true);
    synced("live", fd, true);
    remove_bed();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disks_are_synced),
    };

    alarm(300);
    if (!scene_begin())
        return 1;
    return GROUP_RUN(tests, scene_abandon);
}
