/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Compressed memory images: zstd of the very bytes that an image has. libxl
 * writes to a file descriptor and reads from one, so a thread sits between a
 * pipe and the file. The writer's zstd has threads of its own.
 *
 * Should writing fail (no space), the thread goes on to empty the pipe: the
 * save then comes to an end as usual, and turns off what it has turned on,
 * instead of being killed by SIGPIPE in the middle.
 *
 * The thread's end of the pipe doesn't block: should some child of the
 * application's hold the other end open, the thread ends all the same once its
 * owner says so.
 *
 * Most of a guest's memory may be zero. Long runs of that get a frame of their
 * own, made beforehand, and cost a comparison; `zstd -dc` reads one frame
 * after the other.
 *
 * Memory is bounded whatever is compressed: LEVEL's window, jobs of JOB_BYTES,
 * and on reading no window larger than WINDOW_LOG_MAX.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zstd.h>

#include "xluss.h"

/* Memory is mostly zeroes and text: higher ones cost much and gain little. */
#define LEVEL 1
#define MAX_WORKERS 4
#define JOB_BYTES (1 << 20)
#define WINDOW_LOG_MAX 23           /* 8 MiB: up to `zstd -19` */
#define PIPE_BYTES (1 << 20)
#define BUFFER_BYTES (256u << 10)
#define LOOK_MS 200                 /* between looks whether it shall end */
#define ZEROES_MIN 2                /* BUFFERs of a run that is compressed */

struct xluss__zstd {
    xentoollog_logger *lg;
    char *path;                     /* of the image, for sentences */
    pthread_t thread;
    int pipe, file;                 /* the thread's ends */
    bool reads;                     /* the image */
    atomic_bool ends;               /* the owner is through with the pipe */
    atomic_int error;               /* errno; 0: good */
    const char *damage;             /* reading: zstd's word for it */
    char *in, *out;                 /* BUFFER_BYTES each */
    ZSTD_CCtx *c;
    ZSTD_DCtx *d;
    /* The writer's: */
    char zeroes[128];               /* a frame of BUFFER_BYTES of them */
    size_t zeroes_len;
    unsigned int zero_buffers;      /* so many came last */
    bool frame;                     /* one has begun, and not ended */
};

static void wait_for(const xluss__zstd *z, short events)
{
    struct pollfd p = { .fd = z->pipe, .events = events };

    poll(&p, 1, LOOK_MS);
}

/* After the owner's last word an empty pipe is an end. */
static ssize_t from_pipe(xluss__zstd *z, size_t have)
{
    for (;;) {
        bool ends = z->ends;
        ssize_t n = read(z->pipe, z->in + have, BUFFER_BYTES - have);

        if (n >= 0 || (errno != EINTR && errno != EAGAIN))
            return n;
        if (errno == EAGAIN && ends)
            return 0;
        if (errno == EAGAIN)
            wait_for(z, POLLIN);
    }
}

/* Returns an errno; EPIPE: nobody reads. */
static int to_pipe(xluss__zstd *z, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(z->pipe, data, len);

        if (n > 0) {
            data += n;
            len -= n;
        } else if (n < 0 && errno == EAGAIN) {
            if (z->ends)
                return EPIPE;
            wait_for(z, POLLOUT);
        } else if (n < 0 && errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

static ssize_t from_file(xluss__zstd *z)
{
    ssize_t n;

    do
        n = read(z->file, z->in, BUFFER_BYTES);
    while (n < 0 && errno == EINTR);
    return n;
}

/* --- the writer --- */

static void compress_some(xluss__zstd *z, size_t len, ZSTD_EndDirective end)
{
    ZSTD_inBuffer in = { z->in, len, 0 };
    size_t left;

    do {
        ZSTD_outBuffer out = { z->out, BUFFER_BYTES, 0 };

        left = ZSTD_compressStream2(z->c, &out, &in, end);
        if (ZSTD_isError(left)) {
            z->error = ENOMEM;      /* nothing else can go wrong here */
            return;
        }
        z->error = xluss__write_all(z->file, out.dst, out.pos);
    } while (!z->error && (end == ZSTD_e_end ? left > 0
                                             : in.pos < in.size));
}

static bool is_zero(const char *p, size_t len)
{
    return !*p && !memcmp(p, p + 1, len - 1);
}

static void end_frame(xluss__zstd *z)
{
    compress_some(z, 0, ZSTD_e_end);
    z->frame = false;
}

/* The first of a run go with what came before: an end makes workers wait. */
static void take(xluss__zstd *z, size_t len)
{
    bool zero = len == BUFFER_BYTES && z->zeroes_len && is_zero(z->in, len);

    z->zero_buffers = zero ? z->zero_buffers + 1 : 0;
    if (z->zero_buffers <= ZEROES_MIN) {
        z->frame = true;
        compress_some(z, len, ZSTD_e_continue);
        return;
    }
    if (z->frame)
        end_frame(z);
    if (!z->error)
        z->error = xluss__write_all(z->file, z->zeroes, z->zeroes_len);
}

/* A whole buffer, but at the end. */
static size_t fill(xluss__zstd *z, ssize_t *last)
{
    size_t have = 0;

    do {
        *last = from_pipe(z, have);
        have += *last > 0 ? *last : 0;
    } while (*last > 0 && have < BUFFER_BYTES);
    return have;
}

static void *writer(void *arg)
{
    xluss__zstd *z = arg;
    ssize_t last = 1;
    size_t len;

    z->frame = true;                /* nothing at all is a frame, too */
    while (last > 0 && (len = fill(z, &last)) > 0)
        if (!z->error)
            take(z, len);
    if (last < 0 && !z->error)
        z->error = errno;
    if (!z->error && z->frame)
        end_frame(z);
    return NULL;
}

/* Where it doesn't fit, zeroes are compressed as all else. z->in is zero. */
static void make_zeroes(xluss__zstd *z)
{
    size_t n = ZSTD_compress2(z->c, z->zeroes, sizeof(z->zeroes), z->in,
                              BUFFER_BYTES);

    z->zeroes_len = ZSTD_isError(n) ? 0 : n;
}

static bool writer_init(xluss__zstd *z)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    z->c = ZSTD_createCCtx();
    if (!z->c)
        return false;
    ZSTD_CCtx_setParameter(z->c, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(z->c, ZSTD_c_checksumFlag, 1);
    make_zeroes(z);
    /* A libzstd without threads says no, and compresses all the same. */
    ZSTD_CCtx_setParameter(z->c, ZSTD_c_nbWorkers,
                           cpus < 1 ? 1 : cpus > MAX_WORKERS ? MAX_WORKERS
                                                             : (int)cpus);
    ZSTD_CCtx_setParameter(z->c, ZSTD_c_jobSize, JOB_BYTES);
    return true;
}

/* --- the reader --- */

/* All that the input gives; false: an end, good or bad. */
static bool decompress_some(xluss__zstd *z, size_t len, size_t *left)
{
    ZSTD_inBuffer in = { z->in, len, 0 };
    ZSTD_outBuffer out;

    do {
        out = (ZSTD_outBuffer){ z->out, BUFFER_BYTES, 0 };
        *left = ZSTD_decompressStream(z->d, &out, &in);
        if (ZSTD_isError(*left)) {
            z->damage = ZSTD_getErrorName(*left);
            return false;
        }
        z->error = to_pipe(z, out.dst, out.pos);
        if (z->error)
            return false;
    } while (in.pos < in.size || out.pos == out.size);
    return true;
}

static void *reader(void *arg)
{
    xluss__zstd *z = arg;
    size_t left = 1;                /* 0: at the end of a frame */
    bool more = true;
    ssize_t n = 0;

    while (more && (n = from_file(z)) > 0)
        more = decompress_some(z, n, &left);
    if (n < 0)
        z->error = errno;
    else if (more && left)
        z->damage = "it ends too early";
    /* Who read it has seen enough. */
    if (z->error == EPIPE)
        z->error = 0;
    close(z->pipe);
    z->pipe = -1;
    return NULL;
}

static bool reader_init(xluss__zstd *z)
{
    z->d = ZSTD_createDCtx();
    if (!z->d)
        return false;
    ZSTD_DCtx_setParameter(z->d, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    return true;
}

/* --- both --- */

static void destroy(xluss__zstd *z)
{
    if (z->pipe >= 0)
        close(z->pipe);
    if (z->reads && z->file >= 0)
        close(z->file);
    ZSTD_freeCCtx(z->c);
    ZSTD_freeDCtx(z->d);
    free(z->in);
    free(z->out);
    free(z->path);
    free(z);
}

/* Signals are the application's; a pipe without a reader is an error, no
 * SIGPIPE. Returns an errno. */
static int start(xluss__zstd *z)
{
    sigset_t all, old;
    int e;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    e = pthread_create(&z->thread, NULL, z->reads ? reader : writer, z);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return e;
}

static int begin(xentoollog_logger *lg, const char *path, int file,
                 bool reads, xluss__zstd **out, int *fd_out)
{
    xluss__zstd *z = xluss__calloc(1, sizeof(*z));
    int fds[2], e = 0;

    z->lg = lg;
    z->path = xluss__strdup(path);
    z->pipe = -1;
    z->file = file;
    z->reads = reads;
    z->in = xluss__calloc(1, BUFFER_BYTES);
    z->out = xluss__calloc(1, BUFFER_BYTES);
    if (!(reads ? reader_init(z) : writer_init(z)))
        e = ENOMEM;
    else if (pipe2(fds, O_CLOEXEC))
        e = errno;
    if (!e) {
        fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES);
        z->pipe = fds[reads ? 1 : 0];
        fcntl(z->pipe, F_SETFL, O_NONBLOCK);
        e = start(z);
        if (e)
            close(fds[reads ? 0 : 1]);
    }
    if (e) {
        LOGEV(lg, ERROR, e, "starting zstd for memory image %s", path);
        destroy(z);
        return xluss__rc(e);
    }
    *out = z;
    *fd_out = fds[reads ? 0 : 1];
    return 0;
}

int xluss__zstd_writer(xentoollog_logger *lg, const char *path, int file,
                       xluss__zstd **out, int *fd_out)
{
    return begin(lg, path, file, false, out, fd_out);
}

int xluss__zstd_reader(xentoollog_logger *lg, const char *path, int file,
                       xluss__zstd **out, int *fd_out)
{
    return begin(lg, path, file, true, out, fd_out);
}

int xluss__zstd_error(xluss__zstd *z)
{
    return z->error;
}

int xluss__zstd_end(xluss__zstd *z, bool quiet)
{
    int e, rc = 0;

    z->ends = true;
    pthread_join(z->thread, NULL);
    e = z->error;
    if (z->damage) {
        rc = LIBXL_SNAPSHOT_ERROR_DAMAGED;
        if (!quiet)
            LOG(z->lg, ERROR, "memory image %s is damaged: %s", z->path,
                z->damage);
    } else if (e) {
        rc = xluss__rc(e);
        if (!quiet && rc == LIBXL_SNAPSHOT_ERROR_NO_SPACE)
            LOG(z->lg, ERROR, "no space left for memory image %s", z->path);
        else if (!quiet)
            LOGEV(z->lg, ERROR, e, "%s memory image %s",
                  z->reads ? "decompressing" : "compressing", z->path);
    }
    destroy(z);
    return rc;
}
