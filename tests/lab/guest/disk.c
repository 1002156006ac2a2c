/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The disks, and in memory a table of what each of their blocks must hold.
 * Everything bypasses the page cache, so that what is compared with the table
 * is the disk as it is now.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/fs.h>

#include "guest.h"

#define MAX_DISKS 16
#define MAX_BLOCKS 1024
#define BLOCK 4096                      /* bytes */
#define STRIDE_UNIT 65536               /* bytes; blocks come in pairs */
#define MAGIC 0x3130746e756f436cu

/* What a block must hold.  The nonce differs from write to write, so that
 * the same tick on a time line that was given up isn't taken for this one. */
struct content {
    uint64_t tick, nonce;
};

/* The start of a block; the rest of it follows from these. */
struct block {
    uint64_t magic, disk, index, tick, nonce;
    uint64_t fill[BLOCK / 8 - 5];
};

struct disk {
    char name[32];
    int fd;
    uint64_t id, stride;
    long blocks;                        /* a power of two */
    struct content header, table[MAX_BLOCKS];
    long next;                          /* re-reads: whose turn it is */
};

static struct disk disks[MAX_DISKS];
static int num_disks;
static struct block *buffer;

static void fill_block(struct block *b, const struct disk *d, long index,
                       struct content c)
{
    uint64_t seed = mix(mix(d->id, (uint64_t)index), mix(c.tick, c.nonce));

    b->magic = MAGIC;
    b->disk = d->id;
    b->index = (uint64_t)index;
    b->tick = c.tick;
    b->nonce = c.nonce;
    for (size_t i = 0; i < sizeof(b->fill) / sizeof(b->fill[0]); i++)
        b->fill[i] = seed + i * 0x9e3779b97f4a7c15u;
}

/* Index -1 is the header, at the start.  Blocks 2i and 2i+1 are neighbours,
 * so that some share a cluster of the image and most don't. */
static off_t block_offset(const struct disk *d, long index)
{
    if (index < 0)
        return 0;
    return STRIDE_UNIT + (off_t)((uint64_t)(index / 2) * d->stride) +
           (index % 2) * BLOCK;
}

static void io_error(const struct disk *d, long index, const char *op)
{
    say("IOERROR disk=%s block=%ld op=%s: %s", d->name, index, op,
        strerror(errno));
    mismatch();
}

static void write_block(struct disk *d, long index, uint64_t tick)
{
    struct content c = { tick, now_ns() };

    fill_block(buffer, d, index, c);
    if (pwrite(d->fd, buffer, BLOCK, block_offset(d, index)) != BLOCK) {
        io_error(d, index, "write");
        return;
    }
    if (index < 0)
        d->header = c;
    else
        d->table[index] = c;
}

static void check_block(struct disk *d, long index)
{
    static struct block want;
    struct content c = index < 0 ? d->header : d->table[index];
    char got[64] = "garbage";

    if (pread(d->fd, buffer, BLOCK, block_offset(d, index)) != BLOCK) {
        io_error(d, index, "read");
        return;
    }
    fill_block(&want, d, index, c);
    if (!memcmp(buffer, &want, BLOCK))
        return;
    if (buffer->magic == MAGIC)
        snprintf(got, sizeof(got), "%llu%s", (unsigned long long)buffer->tick,
                 buffer->nonce == c.nonce ? "(torn)" : "");
    say("MISMATCH disk=%s block=%ld expected=%llu got=%s", d->name, index,
        (unsigned long long)c.tick, got);
    mismatch();
}

static bool sysfs_is_one(const char *disk, const char *attribute)
{
    char path[300];
    char c = 0;
    int fd;

    snprintf(path, sizeof(path), "/sys/block/%s/%s", disk, attribute);
    fd = open(path, O_RDONLY);
    if (fd < 0)
        return false;
    if (read(fd, &c, 1) != 1)
        c = 0;
    close(fd);
    return c == '1';
}

/* An ext4, for agent.c to mount: nothing of it must be overwritten. */
static bool has_filesystem(const char *name)
{
    unsigned char start[2048] = { 0 };
    uint64_t magic;
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "/dev/%.31s", name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (read(fd, start, sizeof(start)) != sizeof(start))
        start[0] = 0;
    close(fd);
    memcpy(&magic, start, sizeof(magic));
    return magic != MAGIC && start[1080] == 0x53 && start[1081] == 0xef;
}

/* Writable disks only: no CD-ROM, nothing that isn't a disk. */
static bool is_counted(const char *name)
{
    if (strncmp(name, "xvd", 3) && strncmp(name, "sd", 2) &&
        strncmp(name, "hd", 2))
        return false;
    return !sysfs_is_one(name, "ro") && !sysfs_is_one(name, "removable") &&
           !has_filesystem(name);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* The kernel's names of emulated disks depend on who was found first; the
 * place on the bus doesn't: host H, target T is sd<2H+T>. */
static void steady_name(const char *name, char *out, size_t size)
{
    char path[300], link[300];
    unsigned int host, channel, target;
    ssize_t n;
    char *address;

    snprintf(out, size, "%.20s", name);
    snprintf(path, sizeof(path), "/sys/block/%.31s/device", name);
    n = readlink(path, link, sizeof(link) - 1);
    if (strncmp(name, "sd", 2) || n < 0)
        return;
    link[n] = '\0';
    address = strrchr(link, '/');
    if (address && sscanf(address, "/%u:%u:%u", &host, &channel,
                          &target) == 3 && host < 2 && target < 2)
        snprintf(out, size, "sd%c", (char)('a' + host * 2 + target));
}

static int find_disks(char names[][32])
{
    struct dirent **list;
    int n = scandir("/sys/block", &list, NULL, by_name);
    int found = 0;

    for (int i = 0; i < n; i++) {
        if (found < MAX_DISKS && is_counted(list[i]->d_name))
            snprintf(names[found++], 32, "%.31s", list[i]->d_name);
        free(list[i]);
    }
    if (n >= 0)
        free(list);
    return found;
}

static long power_of_two_below(uint64_t n)
{
    long p = 1;

    while ((uint64_t)p * 2 <= n && p * 2 <= MAX_BLOCKS)
        p *= 2;
    return p;
}

static void open_disk(const char *name, long blocks)
{
    struct disk *d = &disks[num_disks];
    uint64_t size = 0, pairs;
    char path[64];

    snprintf(path, sizeof(path), "/dev/%.31s", name);
    d->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (d->fd < 0 || ioctl(d->fd, BLKGETSIZE64, &size) ||
        size < 4 * STRIDE_UNIT) {
        say("boot: disk %s can't be used: %s, %llu bytes", name,
            strerror(errno), (unsigned long long)size);
        mismatch();
        return;
    }
    steady_name(name, d->name, sizeof(d->name));
    /* A small disk has fewer blocks. */
    pairs = size / STRIDE_UNIT - 1;
    d->blocks = power_of_two_below(
        pairs * 2 < (uint64_t)blocks ? pairs * 2 : (uint64_t)blocks);
    d->stride = (size - 2 * STRIDE_UNIT) / (uint64_t)(d->blocks / 2) /
                STRIDE_UNIT * STRIDE_UNIT;
    if (!d->stride)
        d->stride = STRIDE_UNIT;
    num_disks++;
    d->id = (uint64_t)d->name[2];
    if (pread(d->fd, buffer, BLOCK, 0) != BLOCK)
        io_error(d, -1, "read");
    else if (buffer->magic == MAGIC)
        say("boot: disk %s last tick seen %llu", d->name,
            (unsigned long long)buffer->tick);
    else
        say("boot: disk %s last tick seen none", d->name);
}

void disks_open(long wanted, long blocks)
{
    char names[MAX_DISKS][32];
    int found = 0;

    buffer = aligned_alloc(BLOCK, BLOCK);
    if (!buffer)
        abort();
    /* They appear some time after their driver. */
    for (int i = 0; i < 600; i++) {
        found = find_disks(names);
        if (found >= wanted)
            break;
        usleep(50 * 1000);
    }
    for (int i = 0; i < found; i++)
        open_disk(names[i], blocks);
    if (num_disks != wanted) {
        say("boot: %d of %ld disks", num_disks, wanted);
        mismatch();
    }
    for (int i = 0; i < num_disks; i++) {
        for (long b = -1; b < disks[i].blocks; b++)
            write_block(&disks[i], b, 0);
    }
}

void disks_write(uint64_t tick)
{
    for (int i = 0; i < num_disks; i++) {
        struct disk *d = &disks[i];

        write_block(d, (long)(tick % (uint64_t)d->blocks), tick);
        write_block(d, -1, tick);
    }
}

void disks_read(long count, uint64_t tick)
{
    for (int i = 0; i < num_disks; i++) {
        struct disk *d = &disks[i];

        check_block(d, -1);
        check_block(d, (long)(tick % (uint64_t)d->blocks));
        /* An odd step through a power of two meets every block. */
        for (long r = 0; r < count; r++) {
            check_block(d, d->next);
            d->next = (d->next + 89) % d->blocks;
        }
    }
}

long disks_check(void)
{
    long n = 0;

    for (int i = 0; i < num_disks; i++) {
        for (long b = -1; b < disks[i].blocks; b++, n++)
            check_block(&disks[i], b);
    }
    return n;
}
