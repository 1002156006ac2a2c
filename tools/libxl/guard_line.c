/* SPDX-License-Identifier: LGPL-2.1-only */
#include <stdio.h>
#include <string.h>

#include "guard.h"

void libxlss__held_to_line(const struct libxlss__held *held,
                           char line[GUARD_LINE + 1])
{
    snprintf(line, GUARD_LINE + 1, "%d %d %3u %3u %d %d %d  \n",
             held->suspending, held->stopped, held->pauses % 1000,
             held->repauses % 1000, held->frozen, held->inactive,
             held->log_dirty);
}

bool libxlss__held_from_line(struct libxlss__held *held,
                             const char line[GUARD_LINE + 1])
{
    struct libxlss__held h = { 0 };
    int suspending, stopped, frozen, inactive, log_dirty;

    if (sscanf(line, "%1d %1d %3u %3u %1d %1d %1d", &suspending, &stopped,
               &h.pauses, &h.repauses, &frozen, &inactive, &log_dirty) != 7)
        return false;
    h.suspending = suspending;
    h.stopped = stopped;
    h.frozen = frozen;
    h.inactive = inactive;
    h.log_dirty = log_dirty;
    *held = h;
    return true;
}
