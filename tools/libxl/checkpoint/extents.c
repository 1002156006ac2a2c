/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Reads a bitmap out of a qcow2 file (QEMU's docs/interop/qcow2.txt, "Bitmaps
 * extension") that QEMU has closed. One cluster of it is in memory at a time,
 * and the extents.
 *
 * A bitmap that isn't there, or isn't whole, is an error: never "clean".
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint.h"

#define QCOW2_MAGIC     0x514649fbu
#define EXT_BITMAPS     0x23852875u
#define AUTOCLEAR_BITMAPS 1u            /* the bitmaps are up to date */
#define DIRECTORY_MAX   (16u << 20)     /* bytes */
#define TABLE_MAX       (64u << 20)     /* bytes */
#define FLAG_IN_USE     1u
#define TYPE_DIRTY      1
#define ENTRY_OFFSET    0x00fffffffffffe00ULL
#define ENTRY_ALL_ONES  1ULL            /* where the offset is 0 */

enum { AT_CLUSTER_BITS = 20, AT_SIZE = 24, AT_AUTOCLEAR = 88,
       AT_HEADER_LENGTH = 100 };

struct reader {
    struct libxlss__op *op;
    const char *path, *name;
    int fd;
    uint64_t cluster;           /* bytes */
    uint64_t size;              /* of the disk */
    libxl_disk_dirty *out;
    int room;                   /* extents that fit into out */
};

static uint64_t big(const unsigned char *p, int bytes)
{
    uint64_t v = 0;

    while (bytes--)
        v = v << 8 | *p++;
    return v;
}

static int damaged(struct reader *r, const char *what)
{
    LOG_ERROR(r->op, "the bitmap %s in %s can't be read: %s", r->name,
              r->path, what);
    return XLSS(BITMAP_BROKEN);
}

static unsigned char *read_at(struct reader *r, uint64_t at, size_t len)
{
    unsigned char *p = malloc(len ? len : 1);
    size_t done = 0;
    ssize_t n;

    while (p && done < len) {
        n = pread(r->fd, p + done, len - done, at + done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            free(p);
            return NULL;
        }
        done += n;
    }
    return p;
}

static void add_extent(struct reader *r, uint64_t from, uint64_t to)
{
    libxl_disk_dirty *out = r->out;
    libxl_dirty_extent *last;

    if (to > r->size)
        to = r->size;
    if (from >= to)
        return;
    last = out->num_extents ? &out->extents[out->num_extents - 1] : NULL;
    out->dirty += to - from;
    if (last && last->offset + last->length == from) {
        last->length += to - from;
        return;
    }
    if (out->num_extents == r->room) {
        r->room = r->room ? r->room * 2 : 64;
        out->extents = realloc(out->extents, r->room * sizeof(*last));
        if (!out->extents)
            abort();
    }
    last = &out->extents[out->num_extents++];
    libxl_dirty_extent_init(last);
    last->offset = from;
    last->length = to - from;
}

/* Bit i, the lowest of byte 0 first, is the granule i after `from`. */
static void add_bits(struct reader *r, const unsigned char *bits,
                     uint64_t from)
{
    uint64_t i = 0, num = r->cluster * 8, start;

    while (i < num && from + i * r->out->granularity < r->size) {
        if (!bits[i / 8]) {
            i = (i / 8 + 1) * 8;
            continue;
        }
        if (!(bits[i / 8] >> (i % 8) & 1)) {
            i++;
            continue;
        }
        for (start = i; i < num && bits[i / 8] >> (i % 8) & 1; i++)
            ;
        add_extent(r, from + start * r->out->granularity,
                   from + i * r->out->granularity);
    }
}

static int read_table(struct reader *r, uint64_t at, uint32_t entries)
{
    /* What one cluster of bits is about. */
    uint64_t covers = r->cluster * 8 * r->out->granularity;
    unsigned char *table = NULL, *bits;
    uint64_t entry, offset;
    uint32_t i;
    int rc = 0;

    if ((uint64_t)entries * 8 > TABLE_MAX ||
        entries != (r->size + covers - 1) / covers)
        return damaged(r, "its table has not the size of the disk");
    table = read_at(r, at, (size_t)entries * 8);
    if (!table)
        return damaged(r, "its table is cut off");
    for (i = 0; !rc && i < entries; i++) {
        entry = big(table + 8 * i, 8);
        offset = entry & ENTRY_OFFSET;
        if (!offset) {
            if (entry & ENTRY_ALL_ONES)
                add_extent(r, i * covers, (i + 1) * covers);
            continue;
        }
        bits = read_at(r, offset, r->cluster);
        if (bits)
            add_bits(r, bits, i * covers);
        else
            rc = damaged(r, "it is cut off");
        free(bits);
    }
    free(table);
    return rc;
}

/* An entry: table offset 8, entries 4, flags 4, type 1, granularity bits 1,
 * name length 2, length of extra data 4, extra data, name, padding to 8. */
static int read_directory(struct reader *r, const unsigned char *d,
                          uint64_t len, uint32_t num)
{
    size_t name_len = strlen(r->name);
    uint64_t at = 0, used;

    for (; num; num--, at += (used + 7) & ~7ULL) {
        const unsigned char *e = d + at;
        uint64_t n, extra;

        if (len - at < 24)
            break;
        n = big(e + 18, 2);
        extra = big(e + 20, 4);
        used = 24 + extra + n;
        if (((used + 7) & ~7ULL) > len - at)
            break;
        if (n != name_len || memcmp(e + 24 + extra, r->name, n))
            continue;
        if (big(e + 12, 4) & FLAG_IN_USE)
            return damaged(r, "it is marked as in use");
        if (e[16] != TYPE_DIRTY || e[17] < 9 || e[17] > 31)
            return damaged(r, "its type or granularity is not known");
        r->out->granularity = 1ULL << e[17];
        return read_table(r, big(e, 8), big(e + 8, 4));
    }
    return damaged(r, "it is not there");
}

static int read_extension(struct reader *r, const unsigned char *x)
{
    uint64_t len = big(x + 8, 8);
    unsigned char *directory;
    int rc;

    if (len > DIRECTORY_MAX)
        return damaged(r, "the directory of bitmaps is too large");
    directory = read_at(r, big(x + 16, 8), len);
    if (!directory)
        return damaged(r, "the directory of bitmaps is cut off");
    rc = read_directory(r, directory, len, big(x, 4));
    free(directory);
    return rc;
}

static int read_header(struct reader *r)
{
    unsigned char *h = read_at(r, 0, 4096);
    uint64_t at, len;
    int rc;

    if (!h || big(h, 4) != QCOW2_MAGIC || big(h + 4, 4) < 3 ||
        big(h + AT_CLUSTER_BITS, 4) < 9 || big(h + AT_CLUSTER_BITS, 4) > 21) {
        free(h);
        return damaged(r, "the file is no qcow2 image of version 3");
    }
    r->cluster = 1ULL << big(h + AT_CLUSTER_BITS, 4);
    at = big(h + AT_HEADER_LENGTH, 4);
    rc = 1;
    if (big(h + AT_SIZE, 8) != r->size)
        rc = damaged(r, "the image has another size than the disk");
    else if (!(big(h + AT_AUTOCLEAR, 8) & AUTOCLEAR_BITMAPS))
        rc = damaged(r, "something that knows no bitmaps wrote the image");
    while (rc == 1 && at + 32 <= 4096 && big(h + at, 4)) {
        len = big(h + at + 4, 4);
        if (big(h + at, 4) == EXT_BITMAPS && len >= 24)
            rc = read_extension(r, h + at + 8);
        at += 8 + ((len + 7) & ~7ULL);
    }
    free(h);
    return rc == 1 ? damaged(r, "the image has no bitmaps") : rc;
}

int libxlss__bitmap_read(struct libxlss__op *op, const char *path,
                         const char *bitmap, uint64_t size,
                         libxl_disk_dirty *out)
{
    struct reader r = { .op = op, .path = path, .name = bitmap, .size = size,
                        .out = out };
    int rc;

    out->size = size;
    r.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (r.fd < 0) {
        LOG_ERRNO(op, "cannot open %s", path);
        return ERROR_FAIL;
    }
    rc = read_header(&r);
    close(r.fd);
    return rc;
}
