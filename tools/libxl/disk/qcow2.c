/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Reads a qcow2 header (QEMU's docs/interop/qcow2.txt): only to learn what
 * a file is based on, of many files, without a process for each. The files
 * are hostile: a guest may write such a header into a raw disk.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

#define QCOW2_MAGIC         0x514649fbu     /* "QFI\xfb" */
#define BACKING_MAX         1023            /* bytes of its name */
#define HEADER_MAX          65536           /* bytes that are looked at */
#define V2_LENGTH           72
#define EXT_BACKING_FORMAT  0xe2792acau
#define INCOMPATIBLE_DATA_FILE (1u << 2)

/* Offsets in the header, big-endian. */
enum {
    AT_VERSION = 4, AT_BACKING_OFFSET = 8, AT_BACKING_SIZE = 16,
    AT_SIZE = 24, AT_NUM_SNAPSHOTS = 60, AT_INCOMPATIBLE = 72,
    AT_HEADER_LENGTH = 100,
};

struct header {
    unsigned char bytes[HEADER_MAX];
    size_t len;
};

static uint32_t u32(const struct header *h, size_t at)
{
    uint32_t v = 0;

    if (at + sizeof(v) <= h->len)
        memcpy(&v, h->bytes + at, sizeof(v));
    return be32toh(v);
}

static uint64_t u64(const struct header *h, size_t at)
{
    return (uint64_t)u32(h, at) << 32 | u32(h, at + 4);
}

static char *text(struct libxlss__op *op, const struct header *h, uint64_t at,
                  uint32_t len)
{
    if (!len || len > BACKING_MAX || at > h->len || h->len - at < len)
        return NULL;
    return libxlss__printf(op, "%.*s", (int)len,
                           (const char *)h->bytes + at);
}

/* Header extensions follow the header: type, length, data, padding. */
static char *backing_format(struct libxlss__op *op, const struct header *h)
{
    uint64_t at = u32(h, AT_VERSION) > 2 ? u32(h, AT_HEADER_LENGTH)
                                         : V2_LENGTH;

    while (at + 8 <= h->len && u32(h, at)) {
        uint32_t len = u32(h, at + 4);

        if (u32(h, at) == EXT_BACKING_FORMAT)
            return text(op, h, at + 8, len);
        at += 8 + (((uint64_t)len + 7) & ~7ULL);
    }
    return NULL;
}

/* A name with a protocol, or a json: description, is no plain path. */
static bool is_plain(const char *name)
{
    const char *colon = strchr(name, ':'), *slash = strchr(name, '/');

    return !colon || (slash && slash < colon);
}

static int parse(struct libxlss__op *op, const char *path,
                 const struct header *h, struct libxlss__qcow2 *q)
{
    uint32_t len = u32(h, AT_BACKING_SIZE);

    if (h->len < V2_LENGTH || u32(h, 0) != QCOW2_MAGIC ||
        u32(h, AT_VERSION) < 2)
        return 0;
    q->is_qcow2 = true;
    q->size = u64(h, AT_SIZE);
    q->num_snapshots = u32(h, AT_NUM_SNAPSHOTS);
    q->external_data = u32(h, AT_VERSION) > 2 &&
        (u64(h, AT_INCOMPATIBLE) & INCOMPATIBLE_DATA_FILE);
    if (!len || !u64(h, AT_BACKING_OFFSET))
        return 0;
    q->backing = text(op, h, u64(h, AT_BACKING_OFFSET), len);
    if (!q->backing) {
        LOG_ERROR(op, "%s: its qcow2 header names its backing file outside "
                  "of the header", path);
        return XLSS(DAMAGED);
    }
    q->backing_format = backing_format(op, h);
    if (!strncmp(q->backing, "file:", 5))
        q->backing_path = libxlss__path_beside(op, path, q->backing + 5);
    else if (is_plain(q->backing))
        q->backing_path = libxlss__path_beside(op, path, q->backing);
    return 0;
}

int libxlss__qcow2_read(struct libxlss__op *op, const char *path,
                        struct libxlss__qcow2 *q)
{
    /* A FIFO or a device in the folder must not hold us up. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct header *h = NULL;
    struct stat st;
    ssize_t n = 0;
    int rc = 0;

    memset(q, 0, sizeof(*q));
    if (fd < 0 && errno == ENOENT)
        return ERROR_NOTFOUND;
    if (fd < 0 || fstat(fd, &st)) {
        LOG_ERRNO(op, "cannot open %s", path);
        rc = ERROR_FAIL;
        goto out;
    }
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        goto out;
    /* Many files are looked at: this isn't kept until the end. */
    h = malloc(sizeof(*h));
    if (!h) {
        rc = ERROR_NOMEM;
        goto out;
    }
    n = pread(fd, h->bytes, sizeof(h->bytes), 0);
    if (n < 0) {
        LOG_ERRNO(op, "cannot read %s", path);
        rc = ERROR_FAIL;
        goto out;
    }
    h->len = n;
    rc = parse(op, path, h, q);
out:
    if (fd >= 0)
        close(fd);
    free(h);
    return rc;
}
