/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The backup client in this process: its main function, on the bed's domain,
 * with a catalogue in the bed's folder. Backups go to BED/b.
 */
#ifndef SAVE_SCENE_H
#define SAVE_SCENE_H

#include <stdbool.h>

/* A command with its arguments, ended by NULL; its exit code. */
int client(const char *command, ...) __attribute__((sentinel));
/* backup-save with these options, of the bed's domain into BED/b. */
int save(const char *first, ...) __attribute__((sentinel));
/* As backup-stop. */
int stop(void);

/* This process is killed before the n-th thing that changes files or runs a
 * program; 0: never. */
extern int die_at;
/* The filesystem can't exchange two names. */
extern bool no_exchange;
/* Called once a target has been made, and once its server runs. */
extern void (*at_create)(void), (*at_copy)(void);

#endif
