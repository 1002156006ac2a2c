/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Is a view whole? QEMU tells nobody that a copy before a write has failed:
 * only who reads finds out, and then any read fails. So one sector of each
 * disk is read, over an export and a connection of the same kind as the
 * proxy's, which QEMU holds too: this end may go at any time.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "block_export.h"

#define TIMEOUT_S 10            /* for each read of the socket */
#define SECTOR    512

/* The protocol's numbers, of which no more is needed than this. */
#define NBD_MAGIC           0x4e42444d41474943ull
#define NBD_OPTION_MAGIC    0x49484156454f5054ull
#define NBD_REQUEST_MAGIC   0x25609513u
#define NBD_REPLY_MAGIC     0x67446698u
#define NBD_FLAG_FIXED      1
#define NBD_FLAG_NO_ZEROES  2
#define NBD_OPT_EXPORT_NAME 1
#define NBD_CMD_READ        0

struct greeting {
    uint64_t magic, option_magic;
    uint16_t flags;
} __attribute__((packed));

struct option {
    uint32_t flags;             /* the client's, once, before its option */
    uint64_t magic;
    uint32_t option, len;
} __attribute__((packed));

struct chosen {
    uint64_t size;
    uint16_t flags;
} __attribute__((packed));

struct request {
    uint32_t magic;
    uint16_t flags, type;
    uint64_t handle, offset;
    uint32_t len;
} __attribute__((packed));

struct reply {
    uint32_t magic, error;
    uint64_t handle;
} __attribute__((packed));

static bool get(int fd, void *p, size_t len)
{
    return recv(fd, p, len, MSG_WAITALL) == (ssize_t)len;
}

static bool put(int fd, const void *p, size_t len)
{
    return send(fd, p, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool choose(int fd, const char *name)
{
    struct option o = {
        htobe32(NBD_FLAG_FIXED | NBD_FLAG_NO_ZEROES),
        htobe64(NBD_OPTION_MAGIC), htobe32(NBD_OPT_EXPORT_NAME),
        htobe32(strlen(name)),
    };
    struct greeting g;
    struct chosen c;

    return get(fd, &g, sizeof(g)) && be64toh(g.magic) == NBD_MAGIC &&
           put(fd, &o, sizeof(o)) && put(fd, name, strlen(name)) &&
           get(fd, &c, sizeof(c)) && be64toh(c.size) >= SECTOR;
}

/* An errno of the server's; -1: it didn't answer as it should. */
static int read_sector(int fd, const char *name)
{
    struct request q = {
        .magic = htobe32(NBD_REQUEST_MAGIC), .type = htobe16(NBD_CMD_READ),
        .handle = 1, .len = htobe32(SECTOR),
    };
    struct timeval timeout = { .tv_sec = TIMEOUT_S };
    char data[SECTOR];
    struct reply r;

    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) ||
        !choose(fd, name) || !put(fd, &q, sizeof(q)) ||
        !get(fd, &r, sizeof(r)) || be32toh(r.magic) != NBD_REPLY_MAGIC)
        return -1;
    if (r.error)
        return be32toh(r.error);
    return get(fd, data, sizeof(data)) ? 0 : -1;
}

static int read_all(struct libxlss__op *op, const libxl_block_export *e,
                    const int *fds, libxl_block_snapshot *s)
{
    int i, error;

    for (i = 0; i < s->num_disks; i++) {
        error = read_sector(fds[i], libxlss__printf(op, XLSS_VIEW "%s-%s",
                                                    e->id, s->disks[i].vdev));
        if (error < 0) {
            LOG_ERROR(op, "disk %s: QEMU does not answer a read of the block "
                      "snapshot %s", s->disks[i].vdev, s->id);
            return ERROR_TIMEDOUT;
        }
        s->disks[i].broken = error != 0;
    }
    return 0;
}

/* As an export that has no server, so that who dies here leaves nothing
 * that _export_list doesn't tell of. */
static int choose_export(struct libxlss__op *op,
                         const libxl_block_snapshot *s,
                         libxl_block_export *e)
{
    uint32_t bits;
    int i;

    if (getrandom(&bits, sizeof(bits), 0) != sizeof(bits)) {
        LOG_ERRNO(op, "the kernel gives no random number");
        return ERROR_FAIL;
    }
    libxlss__replace(&e->id, libxlss__printf(op, "%08x", bits));
    libxlss__replace(&e->snapshot, s->id);
    e->disks = calloc(s->num_disks + 1, sizeof(*e->disks));
    if (!e->disks)
        abort();
    e->num_disks = s->num_disks;
    for (i = 0; i < s->num_disks; i++) {
        libxl_block_export_disk_init(&e->disks[i]);
        e->disks[i].vdev = libxlss__own(s->disks[i].vdev);
    }
    return 0;
}

int libxlss__view_probe(struct libxlss__op *op, libxl_block_snapshot *s)
{
    int *fds = libxlss__zalloc(op, (s->num_disks + 1) * sizeof(*fds));
    libxl_block_export e;
    int i, rc, rc2 = 0;

    libxl_block_export_init(&e);
    for (i = 0; i < s->num_disks; i++)
        fds[i] = -1;
    rc = choose_export(op, s, &e);
    if (!rc)
        rc = libxlss__export_write(op, op->uuid, &e);
    if (!rc) {
        rc = libxlss__private_start(op, &e, fds);
        if (!rc)
            rc = read_all(op, &e, fds, s);
        /* QEMU's side goes first. */
        rc2 = libxlss__private_stop(op, &e);
        if (!rc2)
            libxlss__export_forget(op, &e, false);
    }
    for (i = 0; i < s->num_disks; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    libxl_block_export_dispose(&e);
    return rc ? rc : rc2;
}
