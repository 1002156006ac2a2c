/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Without libFuzzer: all that is in corpus/TARGET, as it is and damaged in
 * some thousand ways, the same in each run. The sanitizers are the judge.
 *
 *   run-TARGET FOLDER [ROUNDS]
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define LARGEST (1 << 16)
#define ROUNDS 300

static uint64_t state = 88172645463325252ull;

/* xorshift: no matter where, the same. */
static size_t below(size_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return n ? state % n : 0;
}

static size_t damage(uint8_t *data, size_t size)
{
    static const uint8_t ugly[] = { 0, 0xff, 0x7f, 0x80, '"', '<', '{', ',' };
    size_t at = below(size), n;

    switch (below(6)) {
    case 0:
        return at;
    case 1:
        data[at] ^= 1 << below(8);
        break;
    case 2:
        data[at] = ugly[below(sizeof(ugly))];
        break;
    case 3:
        n = below(size - at);
        memmove(data + at, data + at + n, size - at - n);
        return size - n;
    case 4:
        n = below(size - at);
        if (size + n > LARGEST)
            break;
        memmove(data + at + n, data + at, size - at);
        return size + n;
    default:
        for (n = 0; n < 4 && at + n < size; n++)
            data[at + n] = 0xff;
    }
    return size;
}

/* In memory of just that size: what reads behind it is seen. */
static void one(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void file(const char *path, int rounds)
{
    static uint8_t whole[LARGEST], data[LARGEST];
    FILE *f = fopen(path, "r");
    size_t len, size;
    int i, n;

    if (!f) {
        perror(path);
        exit(1);
    }
    len = fread(whole, 1, sizeof(whole), f);
    fclose(f);
    one(whole, len);
    for (i = 0; i < rounds && len; i++) {
        memcpy(data, whole, len);
        size = len;
        for (n = below(4); n >= 0 && size; n--)
            size = damage(data, size);
        one(data, size);
    }
}

int main(int argc, char **argv)
{
    int rounds = argc > 2 ? atoi(argv[2]) : ROUNDS, num = 0;
    DIR *dir = argc > 1 ? opendir(argv[1]) : NULL;
    struct dirent *e;
    char path[512];

    alarm(300);
    if (!dir) {
        fprintf(stderr, "run-TARGET FOLDER [ROUNDS]\n");
        return 2;
    }
    while ((e = readdir(dir))) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", argv[1], e->d_name);
        file(path, rounds);
        num++;
    }
    closedir(dir);
    printf("%d files, each in %d ways\n", num, rounds + 1);
    return num ? 0 : 1;
}
