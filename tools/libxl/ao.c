/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Synchronous or not. An outside library can neither make a libxl ao nor
 * post events into a ctx; so an asynchronous operation is the synchronous
 * one on a thread of ours, which libxl allows on any ctx.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "libxlss_internal.h"

struct work {
    libxl_ctx *ctx;
    libxl_asyncop_how how;
    int (*fn)(void *arg);
    void *arg;
};

static void *work_main(void *p)
{
    struct work *w = p;
    int rc = w->fn(w->arg);

    w->how.callback(w->ctx, rc, w->how.u.for_callback);
    free(w);
    return NULL;
}

static int work_start(struct work *w)
{
    pthread_attr_t attr;
    sigset_t all, old;
    pthread_t thread;
    int r;

    /* Signals are the application's, on its own threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    r = pthread_create(&thread, &attr, work_main, w);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return r ? ERROR_FAIL : 0;
}

int libxlss__ao_run(libxl_ctx *ctx, const libxl_asyncop_how *ao_how,
                    int (*fn)(void *arg), void *arg)
{
    struct work *w;
    int rc;

    if (!ao_how)
        return fn(arg);
    if (!ao_how->callback) {
        free(arg);
        return ERROR_INVAL;
    }
    w = calloc(1, sizeof(*w));
    if (!w) {
        free(arg);
        return ERROR_NOMEM;
    }
    *w = (struct work){ .ctx = ctx, .how = *ao_how, .fn = fn, .arg = arg };
    rc = work_start(w);
    if (rc) {
        free(arg);
        free(w);
    }
    return rc;
}
