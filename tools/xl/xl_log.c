/* SPDX-License-Identifier: LGPL-2.1-only */
/* What libraries and commands say, on stderr. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "xl_progress.h"
#include "xl_text.h"

struct xl_logger {
    xentoollog_logger vtable;
    xentoollog_level least;
    bool timestamps;
};

/* The logger of a libxl_ctx is called by whatever thread is inside it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool timestamps, quiet;
static int errors;

static void stamp(void)
{
    char buf[32];
    time_t now = time(NULL);
    struct tm tm;

    if (!timestamps || !localtime_r(&now, &tm) ||
        !strftime(buf, sizeof(buf), "%Y-%m-%d %H:%M:%S", &tm))
        return;
    fprintf(stderr, "%s [%d] ", buf, (int)getpid());
}

/* One line; text may hold anything, from guests and documents too. */
static void put(const char *prefix, const char *level, const char *text)
{
    char *safe = xl_safe(text, xl_locale_is_utf8(), NULL);

    xl_progress_clear();
    stamp();
    fprintf(stderr, "%s: %s%s%s\n", prefix, level, *level ? ": " : "", safe);
    free(safe);
}

static bool our_context(const char *context)
{
    return context && (strncmp(context, "xlu", 3) == 0 ||
                       strstr(context, "snapshot"));
}

static void xl_vmessage(xentoollog_logger *base, xentoollog_level level,
                        int errnoval, const char *context,
                        const char *format, va_list al)
    __attribute__((format(printf, 5, 0)));

static void xl_vmessage(xentoollog_logger *base, xentoollog_level level,
                        int errnoval, const char *context,
                        const char *format, va_list al)
{
    struct xl_logger *logger = (struct xl_logger *)base;
    bool ours = our_context(context);
    const char *word = xtl_level_to_string(level);
    char *text = NULL;

    /* -v sees what is quiet, too. */
    if (level < logger->least || (quiet && logger->least > XTL_INFO))
        return;
    if (vasprintf(&text, format, al) < 0)
        return;
    if (errnoval >= 0) {
        char *more = xl_printf("%s: %s", text, strerror(errnoval));

        free(text);
        text = more;
    }
    if (ours && level >= XTL_ERROR)
        word = "";
    pthread_mutex_lock(&lock);
    if (level >= XTL_ERROR)
        errors++;
    put(ours ? "xl-snapshot" : context ? context : "xl", word, text);
    pthread_mutex_unlock(&lock);
    free(text);
}

static void xl_frames(xentoollog_logger *base, const char *context,
                      const char *what, int percent, unsigned long done,
                      unsigned long total)
{
    (void)base;
    (void)context;
    (void)percent;
    pthread_mutex_lock(&lock);
    xl_progress_frames(what, done, total);
    pthread_mutex_unlock(&lock);
}

static void xl_destroy(xentoollog_logger *base)
{
    free(base);
}

int xl_log_least(int verbose)
{
    int least = verbose ? XTL_PROGRESS - verbose : XTL_NOTICE;

    return least > XTL_DEBUG ? least : XTL_DEBUG;
}

xentoollog_logger *xl_log_create(const struct xl_globals *globals)
{
    struct xl_logger *logger = xl_alloc(1, sizeof(*logger));
    logger->vtable.vmessage = xl_vmessage;
    logger->vtable.progress = xl_frames;
    logger->vtable.destroy = xl_destroy;
    logger->least = xl_log_least(globals->verbose);
    timestamps = globals->timestamps;
    return &logger->vtable;
}

int xl_log_errors(void)
{
    int n;

    pthread_mutex_lock(&lock);
    n = errors;
    pthread_mutex_unlock(&lock);
    return n;
}

void xl_log_quiet(bool on)
{
    pthread_mutex_lock(&lock);
    quiet = on;
    pthread_mutex_unlock(&lock);
}

void xl_say(const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    if (!text)
        return;
    pthread_mutex_lock(&lock);
    put("xl-snapshot", "", text);
    pthread_mutex_unlock(&lock);
    free(text);
}
