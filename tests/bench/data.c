/* SPDX-License-Identifier: LGPL-2.1-only */
/* data [PART]...: the figures of backups and checkpoints. */
#include <stdio.h>
#include <string.h>

#include "bench.h"

static const struct {
    const char *name;
    void (*run)(void);
} parts[] = {
    { "window", bench_window },
    { "push", bench_push },
    { "pull", bench_pull },
    { "incremental", bench_incremental },
    { "writes", bench_writes },
    { "dirty", bench_dirty },
};

int main(int argc, char **argv)
{
    size_t i;
    int j;

    bench_begin();
    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        bool wanted = argc < 2;

        for (j = 1; j < argc; j++)
            wanted = wanted || !strcmp(argv[j], parts[i].name);
        if (wanted)
            parts[i].run();
    }
    return failed;
}
