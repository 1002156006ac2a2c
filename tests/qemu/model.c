/* SPDX-License-Identifier: LGPL-2.1-only */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bed.h"
#include "model.h"

#define GRANULE     65536
#define GRANULES    (MODEL_SIZE / GRANULE)
#define MAX         64
#define SECTOR      512
#define SECTORS     (MODEL_SIZE / SECTOR)

static struct interval {
    char name[32];
    bool dirty[BED_MAX_DISKS][GRANULES];
    void *at;                   /* what the disks held when it began */
} list[MAX];
static int num;
static bool lax;
static unsigned char held[BED_MAX_DISKS][SECTORS];

void model_be_lax(void)
{
    lax = true;
}

void model_reset(void)
{
    while (num > 0)
        free(list[--num].at);
    lax = false;
}

int model_num(void)
{
    return num;
}

const char *model_name(int i)
{
    return list[i].name;
}

void model_begin(const char *name)
{
    assert_true(num < MAX);
    memset(&list[num], 0, sizeof(list[num]));
    list[num].at = model_copy();
    snprintf(list[num++].name, sizeof(list[0].name), "%s", name);
}

void model_end(const char *name)
{
    int i, d, g;

    for (i = 0; i < num && strcmp(list[i].name, name); i++)
        ;
    if (i == num)
        return;
    for (d = 0; i && d < BED_MAX_DISKS; d++)
        for (g = 0; g < (int)GRANULES; g++)
            list[i - 1].dirty[d][g] |= list[i].dirty[d][g];
    free(list[i].at);
    memmove(&list[i], &list[i + 1], (num - i - 1) * sizeof(list[0]));
    num--;
}

void model_note(int disk, uint64_t offset, uint64_t length)
{
    uint64_t g;

    if (num)
        for (g = offset / GRANULE; g * GRANULE < offset + length; g++)
            list[num - 1].dirty[disk][g] = true;
}

void model_blank(void)
{
    memset(held, 0, sizeof(held));
}

void model_hold(int disk, uint64_t offset, uint64_t length, int pattern)
{
    memset(&held[disk][offset / SECTOR], pattern, length / SECTOR);
}

void *model_copy(void)
{
    size_t size = bed.num_disks * sizeof(held[0]);

    return memcpy(malloc(size), held, size);
}

void *model_copy_at(int i)
{
    size_t size = bed.num_disks * sizeof(held[0]);

    return memcpy(malloc(size), list[i].at, size);
}

void model_go_back(const void *copy)
{
    memcpy(held, copy, bed.num_disks * sizeof(held[0]));
}

void model_image(int disk, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const unsigned char *from = held[disk];
    static char buffer[1 << 20];
    uint64_t i, n;

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, MODEL_SIZE), 0);
    for (i = 0; i < SECTORS; i += n) {
        for (n = 1; i + n < SECTORS && from[i + n] == from[i] &&
             n < sizeof(buffer) / SECTOR; n++)
            ;
        if (!from[i])
            continue;
        memset(buffer, from[i], n * SECTOR);
        assert_int_equal(pwrite(fd, buffer, n * SECTOR, i * SECTOR),
                         n * SECTOR);
    }
    close(fd);
}

void model_write(int disk, uint64_t offset, uint64_t length)
{
    int pattern = 1 + rand() % 255;
    char text[256];

    snprintf(text, sizeof(text), "{\"command-line\":\"qemu-io -d dev-%s "
             "\\\"write -q -P %d %llu %llu\\\"\"}", bed.vdev[disk],
             pattern, (unsigned long long)offset,
             (unsigned long long)length);
    assert_int_equal(bed_qmp("human-monitor-command", text), 0);
    model_hold(disk, offset, length, pattern);
    model_note(disk, offset, length);
}

void model_write_some(int n)
{
    int disk;

    for (; n > 0; n--) {
        uint64_t length = (1 + rand() % 400) * 512ULL;
        uint64_t offset = rand() % ((MODEL_SIZE - length) / 512) * 512;

        for (disk = 0; disk < bed.num_disks; disk++)
            model_write(disk, (offset + disk * 12345 * 512ULL) %
                        (MODEL_SIZE - length) & ~511ULL, length);
    }
}

static bool wanted(int disk, int since, int until, uint64_t granule)
{
    int i;

    for (i = since; i < (until < 0 ? num : until); i++)
        if (list[i].dirty[disk][granule])
            return true;
    return false;
}

void model_expect(int disk, int since, int until,
                  const libxl_disk_dirty *dirty)
{
    uint64_t g, sum = 0, end = 0;
    int i = 0;

    assert_string_equal(dirty->vdev, bed.vdev[disk]);
    assert_int_equal(dirty->size, MODEL_SIZE);
    assert_int_equal(dirty->granularity, GRANULE);
    for (g = 0; g < GRANULES; g++) {
        bool in;

        while (i < dirty->num_extents && g * GRANULE >=
               dirty->extents[i].offset + dirty->extents[i].length)
            i++;
        in = i < dirty->num_extents &&
             g * GRANULE >= dirty->extents[i].offset;
        if (in != wanted(disk, since, until, g) && !(lax && in))
            fail_msg("disk %d, since %s until %s: granule %llu is %s",
                     disk, list[since].name,
                     until < 0 ? "now" : list[until].name,
                     (unsigned long long)g, in ? "dirty, and was not written"
                     : "clean, and was written");
    }
    for (i = 0; i < dirty->num_extents; i++) {
        assert_true(dirty->extents[i].length > 0);
        assert_true(i == 0 || dirty->extents[i].offset > end);
        end = dirty->extents[i].offset + dirty->extents[i].length;
        sum += dirty->extents[i].length;
    }
    assert_true(end <= MODEL_SIZE);
    assert_int_equal(sum, dirty->dirty);
}

void model_expect_since(const void *copy, int disk,
                        const libxl_disk_dirty *dirty)
{
    const unsigned char *then = copy;
    uint64_t s;
    int i = 0;

    then += disk * SECTORS;
    for (s = 0; s < SECTORS; s++) {
        while (i < dirty->num_extents && s * SECTOR >=
               dirty->extents[i].offset + dirty->extents[i].length)
            i++;
        if (then[s] != held[disk][s] &&
            (i == dirty->num_extents || s * SECTOR < dirty->extents[i].offset))
            fail_msg("disk %d: sector %llu is clean, and has changed", disk,
                     (unsigned long long)s);
    }
}

void model_qemu_img(int disk, const char *command)
{
    char text[512];

    snprintf(text, sizeof(text), "qemu-img %s '%s' >/dev/null", command,
             bed.path[disk]);
    assert_int_equal(system(text), 0);
}
