/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Walks libxl's stream (docs/specs/libxl-migration-stream.pandoc of Xen) and
 * the libxc stream within (libxc-migration-stream.pandoc), record by record,
 * to its END. Pages are skipped over, not read: this finds what is cut off
 * or no stream; changed bytes are found by the catalogue's checksum. What
 * comes through a pipe is read, and gone.
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
#define SCRATCH      (64u << 10)        /* bytes of a pipe read at once */

struct stream {
    struct libxlss__op *op;
    int fd;
    bool pipe;
    uint64_t start, at, size;           /* of a pipe: 0, bytes read, no end */
};

static int bad(struct stream *s, const char *why)
{
    LOG_ERROR(s->op, "memory image is damaged at byte %" PRIu64 ": %s",
              s->at, why);
    return XLSS(DAMAGED);
}

static int take_piped(struct stream *s, void *buf, size_t len)
{
    while (len) {
        ssize_t n = read(s->fd, buf, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            LOG_ERRNO(s->op, "cannot read the memory image at byte %" PRIu64,
                      s->at);
            return XLSS(DAMAGED);
        }
        if (!n)
            return bad(s, "it ends too early");
        buf = (char *)buf + n;
        len -= n;
        s->at += n;
    }
    return 0;
}

static int take(struct stream *s, void *buf, size_t len)
{
    ssize_t n;

    if (s->pipe)
        return take_piped(s, buf, len);
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

static int skip(struct stream *s, uint64_t len)
{
    char scratch[SCRATCH];
    int rc = 0;

    if (!s->pipe) {
        if (s->size - s->at < len)
            return bad(s, "it ends in the middle of a record");
        s->at += len;
        return 0;
    }
    while (!rc && len) {
        size_t part = len < sizeof(scratch) ? len : sizeof(scratch);

        rc = take_piped(s, scratch, part);
        len -= part;
    }
    return rc;
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
    return skip(s, body);
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
                                   s->at - s->start,
                                   s->pipe ? 0 : s->size - s->start);
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

    if (start < 0 && errno == ESPIPE) {
        s.pipe = true;
        return walk(&s);
    }
    if (start < 0 || fstat(fd, &st)) {
        LOG_ERRNO(op, "memory image can't be verified");
        return ERROR_INVAL;
    }
    s.start = s.at = start;
    s.size = st.st_size;
    if (s.at > s.size)
        s.at = s.size;
    return walk(&s);
}
