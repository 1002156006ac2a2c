/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What an operation says to QEMU and hears from it, out of the library's own
 * debug log, as a page for people: a section for each step, with a sentence
 * of what it is for. What differs from one run to the next is evened out, so
 * that the page differs only where the program does.
 */
#ifndef TRANSCRIPT_H
#define TRANSCRIPT_H

#include "scene.h"

struct transcript_note {
    libxl_snapshot_step step;
    const char *text;
};

/* Notes: of the operations' steps; in their order, {0, NULL} at the end. */
void transcript_begin(const char *name, const char *title,
                      const char *intro);
/* How much of what follows is written down: of this operation. */
void transcript_section(const char *title, const char *text,
                        const struct transcript_note *notes);
/* What follows is not wanted. */
void transcript_pause(void);
/* Writes $TRANSCRIPTS/NAME.md, or compares it with ../../docs/qmp/NAME.md. */
void transcript_end(void);

#endif
