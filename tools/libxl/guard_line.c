/* SPDX-License-Identifier: LGPL-2.1-only */
#include <stdio.h>
#include <string.h>

#include "guard.h"

void libxlss__held_to_line(const struct libxlss__held *held,
                           char line[GUARD_LINE + 1])
{
    snprintf(line, GUARD_LINE + 1, "%d %d %3u %3u    \n", held->suspending,
             held->stopped, held->pauses % 1000, held->repauses % 1000);
}

bool libxlss__held_from_line(struct libxlss__held *held,
                             const char line[GUARD_LINE + 1])
{
    struct libxlss__held h = { 0 };
    int suspending, stopped;

    if (sscanf(line, "%1d %1d %3u %3u", &suspending, &stopped, &h.pauses,
               &h.repauses) != 4)
        return false;
    h.suspending = suspending;
    h.stopped = stopped;
    *held = h;
    return true;
}
