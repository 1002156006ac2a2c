/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * From one NBD server to another: what has data, or what has changed. One
 * thread, SLOTS requests at once, each with a buffer of its own: a read's
 * buffer is written from as it is. The map of what is to be copied is fetched
 * in parts, one ahead.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

#include "bk.h"

#define SLOTS 16                /* as many as QEMU takes of one client */
#define CHUNK (512u << 10)      /* bytes; 8 MiB in all */
#define PIECE (64u << 10)       /* what is all zero is left out in these */
#define MAP_PART (1ull << 30)   /* bytes of the disk asked for at once */
#define ZERO_MAX (64u << 20)    /* bytes set to zero at once */
#define SOURCES 2
#define POLL_MS 200             /* for an interruption */

struct extent {
    uint64_t offset, length;
    bool zero;
};

struct map {
    uint64_t *runs;             /* length, flags; as a server has said */
    size_t num;
};

enum slot_state { FREE, READING, READ, WRITING };

struct copy;
struct slot {
    struct copy *c;
    enum slot_state state;
    unsigned char *buf;
    uint64_t offset;
    size_t length;
    int pending;                /* writes of it */
};

struct copy {
    const struct bk_source *src;
    struct bk_target *t;
    const char *where;
    struct nbd_handle *from[SOURCES], *ask;
    char *context;              /* of the bitmap; NULL: full */
    uint64_t size, asked;       /* asked: the map up to there is known */
    uint64_t copied, done;
    struct map allocation, bitmap;
    bool asking, answered;
    struct extent *queue;
    size_t num, head;
    struct slot slots[SLOTS];
    int busy;                   /* slots that aren't free */
    int turn;
    int failed;                 /* an exit code; the sentence is out */
};

/* libnbd's words for an end that it met when it was asked for more. */
static bool has_ended(struct nbd_handle *h)
{
    return h && (nbd_aio_is_dead(h) || nbd_aio_is_closed(h));
}

static void fail(struct copy *c, const char *doing, const char *why)
{
    bool writing = *doing == 'w';
    char *said = NULL;

    if (c->failed)
        return;
    c->failed = XL_EXIT_FAILED;
    if (writing && c->t->num && has_ended(c->t->nbd[0]))
        why = "qemu-nbd has ended";
    else if (!writing && (has_ended(c->from[0]) || has_ended(c->ask)))
        why = "the server of the export has ended";
    if (writing)
        said = bk_target_said(c->t);
    xl_say("%s, %s %s: %s", c->src->what, doing,
           writing ? c->where : "the view", said ? said : why);
    free(said);
}

/* --- the map --- */

static int on_extents(void *user, const char *context, uint64_t offset,
                      uint32_t *entries, size_t num, int *error)
{
    struct copy *c = user;
    bool bitmap = c->context && !strcmp(context, c->context);
    struct map *m = bitmap ? &c->bitmap : &c->allocation;
    size_t i;

    (void)offset;
    (void)error;
    if (!bitmap && strcmp(context, "base:allocation"))
        return 0;
    m->runs = realloc(m->runs, (num + 1) * sizeof(*m->runs));
    if (!m->runs)
        abort();
    for (i = 0; i < num; i++)
        m->runs[i] = (uint64_t)entries[i];
    m->num = num / 2;
    return 0;
}

static int on_answer(void *user, int *error)
{
    struct copy *c = user;

    c->asking = false;
    if (*error)
        fail(c, "asking for the map of", strerror(*error));
    else
        c->answered = true;
    return 1;
}

static void ask(struct copy *c)
{
    uint64_t left = c->size - c->asked;
    nbd_extent_callback extents = { .callback = on_extents, .user_data = c };
    nbd_completion_callback end = { .callback = on_answer, .user_data = c };

    c->allocation.num = c->bitmap.num = 0;
    c->asking = true;
    if (nbd_aio_block_status(c->ask, left < MAP_PART ? left : MAP_PART,
                             c->asked, extents, end, 0) < 0) {
        c->asking = false;
        fail(c, "asking for the map of", nbd_get_error());
    }
}

static void add(struct copy *c, uint64_t offset, uint64_t length, bool zero)
{
    struct extent *last = c->num > c->head ? &c->queue[c->num - 1] : NULL;

    if (last && last->zero == zero &&
        last->offset + last->length == offset) {
        last->length += length;
        return;
    }
    c->queue[c->num++] = (struct extent){ offset, length, zero };
}

/* Both maps side by side, as far as both go. */
static void digest(struct copy *c)
{
    size_t i = 0, j = 0;
    uint64_t a = 0, b = 0, n;
    struct extent *grown;

    c->answered = false;
    memmove(c->queue, c->queue + c->head,
            (c->num - c->head) * sizeof(*c->queue));
    c->num -= c->head;
    c->head = 0;
    grown = realloc(c->queue, (c->num + c->allocation.num + c->bitmap.num +
                               1) * sizeof(*c->queue));
    if (!grown)
        abort();
    c->queue = grown;
    while (i < c->allocation.num && (!c->context || j < c->bitmap.num)) {
        bool zero = c->allocation.runs[2 * i + 1] & LIBNBD_STATE_ZERO;
        bool wanted = c->context ? c->bitmap.runs[2 * j + 1] & 1 : !zero;
        uint64_t left = c->allocation.runs[2 * i] - a;

        n = c->context ? c->bitmap.runs[2 * j] - b : left;
        if (n > left)
            n = left;
        if (n > c->size - c->asked)
            n = c->size - c->asked;
        if (wanted && n)
            add(c, c->asked, n, zero);
        c->asked += n;
        a += n;
        b += n;
        if (a == c->allocation.runs[2 * i] || c->asked == c->size) {
            i++;
            a = 0;
        }
        if (c->context && (b == c->bitmap.runs[2 * j])) {
            j++;
            b = 0;
        }
    }
    if (!i && !j)
        fail(c, "asking for the map of", "the server gives none");
}

/* --- slots --- */

static int on_write(void *user, int *error)
{
    struct slot *s = user;

    if (*error)
        fail(s->c, "writing", strerror(*error));
    if (--s->pending == 0) {
        s->state = FREE;
        s->c->busy--;
    }
    return 1;
}

static int on_read(void *user, int *error)
{
    struct slot *s = user;

    if (*error)
        fail(s->c, "reading", strerror(*error));
    s->state = READ;
    return 1;
}

static struct nbd_handle *next_target(struct copy *c)
{
    return c->t->nbd[c->turn++ % c->t->num];
}

static void write_part(struct slot *s, size_t from, size_t length, bool zero)
{
    nbd_completion_callback end = { .callback = on_write, .user_data = s };
    struct copy *c = s->c;
    int64_t r;

    s->pending++;
    r = zero ? nbd_aio_zero(next_target(c), length, s->offset + from, end, 0)
             : nbd_aio_pwrite(next_target(c), s->buf + from, length,
                              s->offset + from, end, 0);
    if (r < 0) {
        s->pending--;
        fail(c, "writing", nbd_get_error());
    }
}

static bool is_zero(const unsigned char *p, size_t n)
{
    return !p[0] && !memcmp(p, p + 1, n - 1);
}

/* To the end of the piece: pieces lie at multiples of their size. */
static size_t piece(const struct slot *s, size_t from)
{
    size_t n = PIECE - (s->offset + from) % PIECE;

    return n < s->length - from ? n : s->length - from;
}

/* In a new file what isn't written is zero; over a base it must be said. */
static void write_slot(struct slot *s)
{
    size_t from = 0, to, n;
    bool zero;

    s->state = WRITING;
    s->pending = 1;             /* our own, so that it doesn't end under us */
    s->c->copied += s->length;
    while (from < s->length && !s->c->failed) {
        n = piece(s, from);
        zero = is_zero(s->buf + from, n);
        for (to = from + n; to < s->length; to += n) {
            n = piece(s, to);
            if (is_zero(s->buf + to, n) != zero)
                break;
        }
        if (!zero || s->c->context)
            write_part(s, from, to - from, zero);
        from = to;
    }
    if (--s->pending == 0) {
        s->state = FREE;
        s->c->busy--;
    }
}

/* The next thing to do, for a free slot; false: there is none now. */
static bool start_slot(struct copy *c, struct slot *s)
{
    nbd_completion_callback end = { .callback = on_read, .user_data = s };
    struct extent *e = &c->queue[c->head];
    uint64_t n;

    if (c->head == c->num)
        return false;
    n = e->zero ? ZERO_MAX : CHUNK - e->offset % CHUNK;
    if (n > e->length)
        n = e->length;
    s->offset = e->offset;
    s->length = n;
    c->busy++;
    e->offset += n;
    e->length -= n;
    c->done = e->offset;
    if (e->zero) {
        s->state = WRITING;
        write_part(s, 0, n, true);
    } else {
        s->state = READING;
        if (nbd_aio_pread(c->from[c->turn++ % SOURCES], s->buf, n, s->offset,
                          end, 0) < 0)
            fail(c, "reading", nbd_get_error());
    }
    if (!e->length)
        c->head++;
    return true;
}

static void advance(struct copy *c)
{
    int i;

    if (c->answered)
        digest(c);
    for (i = 0; i < SLOTS && !c->failed; i++) {
        if (c->slots[i].state == READ)
            write_slot(&c->slots[i]);
        if (c->slots[i].state == FREE)
            start_slot(c, &c->slots[i]);
    }
    if (!c->failed && !c->asking && !c->answered && c->asked < c->size &&
        c->num - c->head < SLOTS)
        ask(c);
}

/* --- the loop --- */

static void watch(struct pollfd *p, struct nbd_handle *h)
{
    unsigned int d = nbd_aio_get_direction(h);

    p->fd = nbd_aio_get_fd(h);
    p->events = (d & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
                (d & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0);
    p->revents = 0;
}

static void notify(struct copy *c, const struct pollfd *p,
                   struct nbd_handle *h, const char *doing)
{
    unsigned int d = nbd_aio_get_direction(h);
    int r = 0;

    if (p->revents & (POLLIN | POLLHUP | POLLERR) &&
        d & LIBNBD_AIO_DIRECTION_READ)
        r = nbd_aio_notify_read(h);
    else if (p->revents & (POLLOUT | POLLHUP | POLLERR) &&
             d & LIBNBD_AIO_DIRECTION_WRITE)
        r = nbd_aio_notify_write(h);
    else if (p->revents & (POLLHUP | POLLERR | POLLNVAL))
        r = -1;
    if (r < 0)
        fail(c, doing, nbd_get_error() ? nbd_get_error()
                                       : "the server has gone");
}

static void turn(struct copy *c)
{
    int i, n = SOURCES + 1 + c->t->num;
    struct pollfd *p = xl_alloc(n, sizeof(*p));

    for (i = 0; i < SOURCES; i++)
        watch(&p[i], c->from[i]);
    watch(&p[SOURCES], c->ask);
    for (i = 0; i < c->t->num; i++)
        watch(&p[SOURCES + 1 + i], c->t->nbd[i]);
    if (poll(p, n, POLL_MS) > 0) {
        for (i = 0; i <= SOURCES; i++)
            notify(c, &p[i], i < SOURCES ? c->from[i] : c->ask, "reading");
        for (i = 0; i < c->t->num; i++)
            notify(c, &p[SOURCES + 1 + i], c->t->nbd[i], "writing");
    }
    free(p);
    if (bk_interrupted() && !c->failed)
        c->failed = XL_EXIT_FAILED;
    if (c->src->progress)
        c->src->progress(c->src->user, c->done, c->size);
}

static struct nbd_handle *connect_to(struct copy *c, bool maps)
{
    struct nbd_handle *h = nbd_create();
    int64_t size;

    if (!h || nbd_set_export_name(h, c->src->name) ||
        nbd_set_pread_initialize(h, false) ||
        (maps && nbd_add_meta_context(h, "base:allocation")) ||
        (maps && c->context && nbd_add_meta_context(h, c->context)) ||
        nbd_connect_unix(h, c->src->socket)) {
        fail(c, "reading", nbd_get_error());
        return h;
    }
    size = nbd_get_size(h);
    if (size < 0 || (uint64_t)size != c->size)
        fail(c, "reading", "it has not the size of the disk");
    if (maps && (nbd_can_meta_context(h, "base:allocation") <= 0 ||
                 (c->context && nbd_can_meta_context(h, c->context) <= 0)))
        fail(c, "reading", "its server doesn't tell what has changed");
    return h;
}

static void begin(struct copy *c)
{
    int i;

    if (c->src->bitmap)
        c->context = xl_printf("qemu:dirty-bitmap:%s", c->src->bitmap);
    for (i = 0; i < SLOTS; i++) {
        c->slots[i].c = c;
        c->slots[i].buf = xl_alloc(CHUNK, 1);
    }
    c->queue = xl_alloc(1, sizeof(*c->queue));
    c->ask = connect_to(c, true);
    for (i = 0; i < SOURCES && !c->failed; i++)
        c->from[i] = connect_to(c, false);
}

/* What is under way ends with the handles, before its buffers do. */
static void end(struct copy *c)
{
    int i;

    nbd_close(c->ask);
    for (i = 0; i < SOURCES; i++)
        nbd_close(c->from[i]);
    if (c->failed)
        bk_target_drop(c->t);
    for (i = 0; i < SLOTS; i++)
        free(c->slots[i].buf);
    free(c->queue);
    free(c->allocation.runs);
    free(c->bitmap.runs);
    free(c->context);
}

int bk_copy(const struct bk_source *src, struct bk_target *t,
            const char *where, uint64_t *copied)
{
    struct copy *c = xl_alloc(1, sizeof(*c));
    int status;

    c->src = src;
    c->t = t;
    c->where = where;
    c->size = src->size;
    begin(c);
    while (!c->failed) {
        advance(c);
        if (!c->busy && c->head == c->num && c->asked == c->size)
            break;
        if (!c->failed)
            turn(c);
    }
    end(c);
    *copied = c->copied;
    status = c->failed;
    free(c);
    return status;
}
