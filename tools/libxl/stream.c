/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Walks libxl's stream (docs/specs/libxl-migration-stream.pandoc of Xen) and
 * the libxc stream within (libxc-migration-stream.pandoc), record by record,
 * to its END. Pages are skipped over, not read: this finds what is cut off
 * or no stream; changed bytes are found by the catalogue's checksum.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libxlss_internal.h"

#define LIBXL_IDENT   0x4c6962786c466d74ULL     /* "LibxlFmt" */
#define LIBXL_VERSION_2 2
#define LIBXL_OPT_BIG_ENDIAN (1u << 0)
#define LIBXL_OPT_LEGACY     (1u << 1)
#define LIBXC_MARKER  0xffffffffffffffffULL
#define LIBXC_ID      0x58454e46u               /* "XENF" */

#define LIBXL_END           0
#define LIBXL_LIBXC_CONTEXT 1
#define LIBXL_LAST_TYPE     5
#define LIBXC_END           0

#define LENGTH_LIMIT (256u << 20)       /* of one record */

struct stream {
    struct libxlss__op *op;
    int fd;
    uint64_t start, at, size;
};

static int bad(struct stream *s, const char *why)
{
    LOG_ERROR(s->op, "memory image is damaged at byte %" PRIu64 ": %s",
              s->at, why);
    return XLSS(DAMAGED);
}

static int take(struct stream *s, void *buf, size_t len)
{
    ssize_t n;

    if (s->size - s->at < len)
        return bad(s, "it ends too early");
    n = pread(s->fd, buf, len, s->at);
    if (n != (ssize_t)len) {
        LOG_ERRNO(s->op, "cannot read the memory image at byte %" PRIu64,
                  s->at);
        return XLSS(DAMAGED);
    }
    s->at += len;
    return 0;
}

struct record {
    uint32_t type, length;
};

/* A record's header; its body is skipped. */
static int next_record(struct stream *s, struct record *r)
{
    uint64_t body;
    int rc = take(s, r, sizeof(*r));

    if (rc)
        return rc;
    if (r->length > LENGTH_LIMIT)
        return bad(s, "a record is longer than any can be");
    body = ((uint64_t)r->length + 7) & ~7ULL;
    if (s->size - s->at < body)
        return bad(s, "it ends in the middle of a record");
    s->at += body;
    return 0;
}

static int walk_libxc(struct stream *s)
{
    struct { uint64_t marker; uint32_t id, version; uint16_t options;
             uint16_t reserved[3]; } image;
    struct { uint32_t type; uint16_t page_shift, reserved;
             uint32_t major, minor; } domain;
    struct record r;
    int rc;

    rc = take(s, &image, sizeof(image));
    if (rc)
        return rc;
    if (image.marker != LIBXC_MARKER || be32toh(image.id) != LIBXC_ID)
        return bad(s, "no libxc stream where one should begin");
    if (be32toh(image.version) < 2 || be32toh(image.version) > 3)
        return bad(s, "a libxc stream of a version that is not known");
    rc = take(s, &domain, sizeof(domain));
    do {
        if (!rc)
            rc = next_record(s, &r);
        if (!rc)
            rc = libxlss__progress(s->op, LIBXL_SNAPSHOT_STEP_VERIFY,
                                   s->at - s->start, s->size - s->start);
    } while (!rc && r.type != LIBXC_END);
    return rc;
}

static int walk(struct stream *s)
{
    struct { uint64_t ident; uint32_t version, options; } header;
    struct record r;
    int rc;

    rc = take(s, &header, sizeof(header));
    if (rc)
        return rc;
    if (be64toh(header.ident) != LIBXL_IDENT ||
        be32toh(header.version) != LIBXL_VERSION_2)
        return bad(s, "no libxl stream of version 2");
    if (be32toh(header.options) & (LIBXL_OPT_BIG_ENDIAN | LIBXL_OPT_LEGACY))
        return bad(s, "a libxl stream of another machine or of old Xen");
    do {
        rc = next_record(s, &r);
        if (!rc && r.type > LIBXL_LAST_TYPE)
            rc = bad(s, "a record of unknown type");
        if (!rc && r.type == LIBXL_LIBXC_CONTEXT)
            rc = walk_libxc(s);
    } while (!rc && r.type != LIBXL_END);
    return rc;
}

int libxlss__stream_verify(struct libxlss__op *op, int fd)
{
    struct stream s = { .op = op, .fd = fd };
    struct stat st;
    off_t start = lseek(fd, 0, SEEK_CUR);

    if (start < 0 || fstat(fd, &st)) {
        LOG_ERRNO(op, "memory image can't be verified, it is not seekable");
        return ERROR_INVAL;
    }
    s.start = s.at = start;
    s.size = st.st_size;
    if (s.at > s.size)
        s.at = s.size;
    return walk(&s);
}
