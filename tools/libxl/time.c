/* SPDX-License-Identifier: LGPL-2.1-only */
#include <errno.h>
#include <time.h>

#include "libxlss_internal.h"

uint64_t libxlss__now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

void libxlss__sleep_ms(unsigned int ms)
{
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

    while (nanosleep(&ts, &ts) && errno == EINTR)
        ;
}
