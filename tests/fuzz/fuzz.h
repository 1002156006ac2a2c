/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What comes from outside - documents, JSON, QEMU's replies, headers of
 * images, words of the command line - must be taken or refused, whatever is
 * in it. Each fuzz_*.c is one such door: libFuzzer calls it with what it
 * makes up (tests/fuzz/run), replay.c with what is in corpus/.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An unnamed file that holds the input; its path, valid until the next. */
const char *fuzz_file(const uint8_t *data, size_t size, int *fd_r);

#endif
