/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A disk that was attached later, read as a whole: what cksum(1) would say
 * of it, so that the host can compare.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest.h"

#define CHUNK (1u << 20)                /* bytes */
#define POLYNOMIAL 0x04c11db7u

static uint32_t table[256];

static void make_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i << 24;

        for (int bit = 0; bit < 8; bit++)
            c = c & 0x80000000u ? c << 1 ^ POLYNOMIAL : c << 1;
        table[i] = c;
    }
}

static uint32_t add(uint32_t crc, unsigned char byte)
{
    return crc << 8 ^ table[crc >> 24 ^ byte];
}

void disk_cksum(const char *name)
{
    unsigned char *buffer = aligned_alloc(4096, CHUNK);
    uint64_t length = 0;
    uint32_t crc = 0;
    char path[64];
    ssize_t n = 0;
    int fd;

    make_table();
    snprintf(path, sizeof(path), "/dev/%.40s", name);
    fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    while (fd >= 0 && (n = read(fd, buffer, CHUNK)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            crc = add(crc, buffer[i]);
        length += (uint64_t)n;
    }
    for (uint64_t l = length; l; l >>= 8)
        crc = add(crc, l & 0xff);
    if (fd < 0 || n < 0)
        say("cksum %s: can't be read", name);
    else
        say("cksum %s %u %llu", name, ~crc, (unsigned long long)length);
    if (fd >= 0)
        close(fd);
    free(buffer);
}
