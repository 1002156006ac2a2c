/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The hash of a memory image: of one that is there, and of one that is being
 * written. A thread follows the writer of that one: it hashes what has come,
 * while it is still cached, and sets its way to the disk going, so that little
 * is left of either when the guest runs on.
 *
 * The guest is paused meanwhile. The thread runs only where a processor has
 * nothing else to do (SCHED_IDLE): it takes no time from the writer.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <xxhash.h>

#include "xluss.h"

#define BUFFER_BYTES (1u << 20)
#define FLUSH_BYTES  (8u << 20)         /* are worth a request */
#define LOOK_NS      20000000           /* between looks for more */

struct xluss__follower {
    pthread_t thread;
    int fd;
    XXH64_state_t *state;
    char *buffer;
    uint64_t hashed, flushed;           /* bytes, from the file's beginning */
    atomic_bool given_up;
    atomic_bool complete;               /* nothing more will be written */
    int error;                          /* errno */
};

/* Returns an errno. */
static int hash_some(struct xluss__follower *f, uint64_t end)
{
    while (f->hashed < end && !f->given_up) {
        uint64_t left = end - f->hashed;
        ssize_t r = pread(f->fd, f->buffer,
                          left < BUFFER_BYTES ? left : BUFFER_BYTES,
                          f->hashed);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r ? errno : EIO;
        XXH64_update(f->state, f->buffer, r);
        f->hashed += r;
    }
    return 0;
}

/* Only begins it, and is no promise; what goes wrong, fsync tells. */
static void flush_some(struct xluss__follower *f, uint64_t end)
{
    if (end - f->flushed < FLUSH_BYTES)
        return;
    sync_file_range(f->fd, f->flushed, end - f->flushed,
                    SYNC_FILE_RANGE_WRITE);
    f->flushed = end;
}

static void *follow(void *arg)
{
    struct xluss__follower *f = arg;
    const struct timespec nap = { .tv_nsec = LOOK_NS };
    bool complete;

    do {
        struct stat st;

        /* In this order: what was written before it was complete is seen. */
        complete = f->complete;
        f->error = fstat(f->fd, &st) ? errno : 0;
        if (!f->error && !complete)
            flush_some(f, st.st_size);
        if (!f->error)
            f->error = hash_some(f, st.st_size);
        if (!complete)
            nanosleep(&nap, NULL);
    } while (!complete && !f->error && !f->given_up);
    return NULL;
}

static void follower_free(struct xluss__follower *f)
{
    XXH64_freeState(f->state);
    free(f->buffer);
    free(f);
}

static struct xluss__follower *follower_new(int fd)
{
    struct xluss__follower *f = xluss__calloc(1, sizeof(*f));

    f->fd = fd;
    f->buffer = xluss__calloc(1, BUFFER_BYTES);
    f->state = XXH64_createState();
    if (f->state)
        XXH64_reset(f->state, 0);
    return f;
}

static void result(struct xluss__follower *f, char text[17])
{
    snprintf(text, 17, "%016" PRIx64, (uint64_t)XXH64_digest(f->state));
}

int xluss__hash_file(int fd, uint64_t size, char text[17])
{
    struct xluss__follower *f = follower_new(fd);
    int e = f->state ? hash_some(f, size) : ENOMEM;

    if (!e)
        result(f, text);
    follower_free(f);
    return e;
}

struct xluss__follower *xluss__hash_follow(int fd)
{
    struct xluss__follower *f = follower_new(fd);
    const struct sched_param param = { 0 };
    sigset_t all, old;
    int e = ENOMEM;

    /* Signals are the application's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (f->state)
        e = pthread_create(&f->thread, NULL, follow, f);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (e) {
        follower_free(f);
        return NULL;
    }
    pthread_setschedparam(f->thread, SCHED_IDLE, &param);
    return f;
}

/* Somebody waits for it now: it runs as others do. */
static void join(struct xluss__follower *f)
{
    const struct sched_param param = { 0 };

    pthread_setschedparam(f->thread, SCHED_OTHER, &param);
    f->complete = true;
    pthread_join(f->thread, NULL);
}

int xluss__hash_end(struct xluss__follower *f, char text[17])
{
    int e;

    join(f);
    e = f->error;
    if (!e)
        result(f, text);
    follower_free(f);
    return e;
}

void xluss__hash_give_up(struct xluss__follower *f)
{
    if (!f)
        return;
    f->given_up = true;
    join(f);
    follower_free(f);
}
