/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The header with which xl begins a saved domain (struct save_file_header in
 * Xen's tools/xl/xl.h), so that stock `xl restore` takes our images and we
 * take those of stock `xl save`. It is in the byte order of the machine:
 *
 *   32 bytes of magic; byte order, mandatory flags, optional flags and
 *   length of the optional data, 4 bytes each; then the optional data:
 *   4 bytes of length, and the configuration as JSON with its NUL. What
 *   follows in the optional data is skipped by who doesn't know it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xluss.h"

#define MAGIC "Xen saved domain, xl format\n \0 \r"
#define ORDER_NATIVE 0x01020304u
#define ORDER_SWAPPED 0x04030201u
#define MANDATORY_JSON (1u << 0)
#define MANDATORY_STREAM_V2 (1u << 1)
#define MANDATORY_ALL (MANDATORY_JSON | MANDATORY_STREAM_V2)

struct header {
    char magic[32];
    uint32_t byte_order;
    uint32_t mandatory_flags;
    uint32_t optional_flags;
    uint32_t optional_data_len;     /* bytes */
};
_Static_assert(sizeof(struct header) == 48, "xl's header has 48 bytes");
_Static_assert(sizeof(MAGIC) - 1 == 32, "xl's magic has 32 bytes");

int xluss__header_write(xentoollog_logger *lg, int fd, const char *path,
                        const char *config_json)
{
    uint32_t config_len = strlen(config_json) + 1;
    struct header h = {
        .byte_order = ORDER_NATIVE,
        .mandatory_flags = MANDATORY_ALL,
        .optional_data_len = sizeof(config_len) + config_len,
    };
    int e;

    memcpy(h.magic, MAGIC, sizeof(h.magic));
    e = xluss__write_all(fd, &h, sizeof(h));
    if (!e)
        e = xluss__write_all(fd, &config_len, sizeof(config_len));
    if (!e)
        e = xluss__write_all(fd, config_json, config_len);
    if (e)
        LOGEV(lg, ERROR, e, "writing the header of memory image %s", path);
    return xluss__rc(e);
}

/* How libvirt's drivers begin theirs. */
static bool begins(const struct header *h, const char *magic)
{
    return !memcmp(h->magic, magic, strlen(magic));
}

/* NULL, or what is wrong. */
static const char *check(const struct header *h)
{
    if (begins(h, "LibvirtQemud"))
        return "is a memory image of libvirt's QEMU driver: Xen can't "
               "restore it";
    if (begins(h, "libvirt-xml\n"))
        return "is a memory image of libvirt's Xen driver: only libvirt "
               "can restore it (virsh restore)";
    if (memcmp(h->magic, MAGIC, sizeof(h->magic)))
        return "is not a memory image: it doesn't begin as one";
    if (h->byte_order == ORDER_SWAPPED)
        return "was written on a machine of the other byte order";
    if (h->byte_order != ORDER_NATIVE)
        return "has a damaged header: its byte order is none";
    if (h->mandatory_flags & ~MANDATORY_ALL)
        return "needs a feature that this program doesn't know";
    if (!(h->mandatory_flags & MANDATORY_JSON))
        return "has its configuration in an old form, not as JSON";
    if (!(h->mandatory_flags & MANDATORY_STREAM_V2))
        return "has a memory stream of an old form";
    if (h->optional_data_len < sizeof(uint32_t) + 2)
        return "has a damaged header: no configuration fits in";
    if (h->optional_data_len > XLUSS__CONFIG_MAX)
        return "has a damaged header: its configuration is too large";
    return NULL;
}

static const char *read_exactly(int fd, void *data, size_t len)
{
    char *p = data;

    while (len) {
        ssize_t r = read(fd, p, len);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return "can't be read";
        if (!r)
            return "ends within its header";
        p += r;
        len -= r;
    }
    return NULL;
}

/* The optional data: length, text, NUL, and perhaps more, which is left. */
static const char *check_config(const char *data, uint32_t data_len,
                                const char **config)
{
    uint32_t len;

    memcpy(&len, data, sizeof(len));
    if (len < 2 || len > data_len - sizeof(len))
        return "has a damaged header: the length of its configuration";
    *config = data + sizeof(len);
    if (strnlen(*config, len) != len - 1)
        return "has a damaged header: its configuration is not text";
    return NULL;
}

int xluss__header_read(xentoollog_logger *lg, int fd, const char *path,
                       char **config_json_out)
{
    const char *wrong, *config = NULL;
    char *data = NULL;
    struct header h;

    *config_json_out = NULL;
    wrong = read_exactly(fd, &h, sizeof(h));
    if (!wrong)
        wrong = check(&h);
    if (!wrong) {
        data = xluss__calloc(h.optional_data_len, 1);
        wrong = read_exactly(fd, data, h.optional_data_len);
    }
    if (!wrong)
        wrong = check_config(data, h.optional_data_len, &config);
    if (wrong)
        LOG(lg, ERROR, "%s %s", path, wrong);
    else
        *config_json_out = xluss__strdup(config);
    free(data);
    return wrong ? LIBXL_SNAPSHOT_ERROR_DAMAGED : 0;
}
