/* SPDX-License-Identifier: LGPL-2.1-only */
/* The checkpoints of a disk, out of the bitmaps of all its layers. */
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"

#define MAX_LAYERS 1000         /* a longer chain is a circle */

static const char gap[] = "an overlay was made, or the image was written, "
                          "without its bitmap";

/* The base first. */
static int layers_of(struct libxlss__graph *graph, struct libxlss__node *top,
                     struct libxlss__node **layers)
{
    struct libxlss__node *node = top, *swap;
    int i, num = 0;

    while (node && num < MAX_LAYERS) {
        layers[num++] = node;
        node = *node->backing
               ? libxlss__graph_format_node(graph, node->backing) : NULL;
    }
    for (i = 0; i < num / 2; i++) {
        swap = layers[i];
        layers[i] = layers[num - 1 - i];
        layers[num - 1 - i] = swap;
    }
    return num;
}

struct own {
    uint64_t seq;
    const char *name;
    bool part;
    const struct libxlss__bitmap *bitmap;
};

static int by_seq(const void *a, const void *b)
{
    const struct own *x = a, *y = b;

    if (x->seq != y->seq)
        return x->seq < y->seq ? -1 : 1;
    /* Both only where a merge was cut short: the whole comes first. */
    return x->part - y->part;
}

/* A layer's bitmaps that are checkpoints', oldest first. */
static int own_bitmaps(struct libxlss__op *op,
                       const struct libxlss__node *node, struct own **list_r)
{
    struct own *list = libxlss__zalloc(op, (node->num_bitmaps + 1) *
                                       sizeof(*list));
    int i, num = 0;

    for (i = 0; i < node->num_bitmaps; i++)
        if (libxlss__checkpoint_parse(node->bitmap[i].name, &list[num].seq,
                                      &list[num].name, &list[num].part))
            list[num++].bitmap = &node->bitmap[i];
    if (num)
        qsort(list, num, sizeof(*list), by_seq);
    *list_r = list;
    return num;
}

static struct libxlss__checkpoint *find_own(struct libxlss__checkpoints *c,
                                            const struct own *own)
{
    int i;

    for (i = 0; i < c->num; i++)
        if (c->list[i].seq == own->seq &&
            !strcmp(c->list[i].name, own->name))
            return &c->list[i];
    return NULL;
}

static void all_broken(struct libxlss__checkpoints *c, const char *why)
{
    int i;

    for (i = 0; i < c->num; i++)
        if (!c->list[i].broken)
            c->list[i].broken = why;
}

/* A merge that was cut short after the bitmaps had gone up: the layer has the
 * whole of them, and no part. */
static void forget_repeated(struct libxlss__checkpoints *c,
                            const struct own *own, int num)
{
    struct libxlss__checkpoint *cp;
    int i;

    for (i = 0; i < num; i++) {
        cp = own[i].part ? NULL : find_own(c, &own[i]);
        if (cp)
            memmove(cp, cp + 1, (char *)(c->list + c->num--) -
                    (char *)(cp + 1));
    }
}

/* What the layer has taken over from those below; see checkpoint.h. */
static void take_over(struct libxlss__checkpoints *c, const struct own *own,
                      int num)
{
    int i, j, left = 0;

    forget_repeated(c, own, num);
    if (!c->num)
        return;
    if (!num || !own[0].part || !find_own(c, &own[0])) {
        all_broken(c, gap);
        return;
    }
    for (i = 0; i < c->num; i++) {
        bool alive = c->list[i].seq <= own[0].seq;

        for (j = 0; !alive && j < num; j++)
            alive = find_own(c, &own[j]) == &c->list[i];
        if (alive)
            c->list[left++] = c->list[i];
    }
    c->num = left;
}

static const char *why_broken(struct libxlss__op *op,
                              const struct libxlss__checkpoints *c,
                              const struct libxlss__node *node,
                              const struct libxlss__bitmap *bitmap)
{
    if (bitmap->inconsistent)
        return "its bitmap is inconsistent: QEMU did not come to an orderly "
               "end, or has the image open twice";
    if (node->size != c->top->size)
        return "the disk has had another size since";
    /* The emulated disk's node, which may have been the one that recorded
     * nothing, writes a bitmap back as if it were whole. */
    if (bitmap->persistent && libxlss__has_emulated_disks(op))
        return "a bitmap in the image is not to be trusted in an HVM "
               "domain, where QEMU opens it twice";
    return NULL;
}

static void add_part(struct libxlss__op *op, struct libxlss__checkpoints *c,
                     const struct libxlss__node *node, const struct own *own,
                     int layers)
{
    struct libxlss__checkpoint *cp = find_own(c, own);

    if (!cp) {
        cp = &c->list[c->num++];
        memset(cp, 0, sizeof(*cp));
        cp->seq = own->seq;
        cp->name = own->name;
        cp->parts = libxlss__zalloc(op, 2 * layers *
                                    sizeof(*cp->parts));
        if (own->part)
            cp->broken = "the file with its first part is not there any more";
    }
    cp->bitmap = own->bitmap->name;
    cp->parts[cp->num_parts].node = node;
    cp->parts[cp->num_parts++].bitmap = own->bitmap;
    cp->dirty += own->bitmap->dirty;
    if (!cp->broken)
        cp->broken = why_broken(op, c, node, own->bitmap);
    if (node != c->top)
        return;
    cp->in_top = true;
    cp->busy = own->bitmap->busy;
    cp->persistent = own->bitmap->persistent;
    cp->recording = own->bitmap->recording && !cp->broken &&
                    !node->read_only;
}

static int compare(const void *a, const void *b)
{
    const struct libxlss__checkpoint *x = a, *y = b;

    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

void libxlss__checkpoints_read(struct libxlss__op *op,
                               struct libxlss__graph *graph,
                               const struct libxlss__disk *disk,
                               struct libxlss__checkpoints *out)
{
    struct libxlss__node **layers;
    int i, j, num, num_layers, total = 0;
    struct own *own;

    memset(out, 0, sizeof(*out));
    out->vdev = disk->vdev;
    out->top = disk->writer.node;
    out->persistent = !strcmp(out->top->driver, "qcow2") &&
                      !libxlss__has_emulated_disks(op);
    layers = libxlss__zalloc(op, MAX_LAYERS * sizeof(*layers));
    num_layers = layers_of(graph, disk->writer.node, layers);
    for (i = 0; i < num_layers; i++)
        total += layers[i]->num_bitmaps;
    out->list = libxlss__zalloc(op, (total + 1) * sizeof(*out->list));

    for (i = 0; i < num_layers; i++) {
        num = own_bitmaps(op, layers[i], &own);
        take_over(out, own, num);
        for (j = 0; j < num; j++) {
            if (own[j].seq > out->last_seq)
                out->last_seq = own[j].seq;
            add_part(op, out, layers[i], &own[j], num_layers);
        }
    }
    if (!out->num)
        return;
    qsort(out->list, out->num, sizeof(*out->list), compare);
    /* Of the last one's writes, some are nowhere. */
    if (!out->list[out->num - 1].recording &&
        !out->list[out->num - 1].broken)
        out->list[out->num - 1].broken = "nothing has recorded the guest's "
                                         "writes since";
}

struct libxlss__checkpoint *
libxlss__checkpoint_find(struct libxlss__checkpoints *c, const char *name)
{
    int i;

    for (i = c->num - 1; i >= 0; i--)
        if (!strcmp(c->list[i].name, name))
            return &c->list[i];
    return NULL;
}

struct libxlss__checkpoint *
libxlss__checkpoint_recording(struct libxlss__checkpoints *c)
{
    if (!c->num || !c->list[c->num - 1].recording)
        return NULL;
    return &c->list[c->num - 1];
}

static int not_found(struct libxlss__op *op, struct libxlss__checkpoints *c,
                     const char *name)
{
    LOG_ERROR(op, "disk %s: no bitmap of the checkpoint \"%s\" is there any "
              "more, so what was written since is not known", c->vdev, name);
    return XLSS(BITMAP_BROKEN);
}

/* The checkpoints from *first_r to before *end_r are those in question. */
static int find_range(struct libxlss__op *op, struct libxlss__checkpoints *c,
                      const char *since, const char *until, int *first_r,
                      int *end_r)
{
    struct libxlss__checkpoint *a = libxlss__checkpoint_find(c, since), *b;

    if (!a)
        return not_found(op, c, since);
    *first_r = a - c->list;
    *end_r = c->num;
    if (!until)
        return 0;
    b = libxlss__checkpoint_find(c, until);
    if (!b)
        return not_found(op, c, until);
    *end_r = b - c->list;
    if (b > a)
        return 0;
    LOG_ERROR(op, "disk %s: the checkpoint \"%s\" is not later than \"%s\"",
              c->vdev, until, since);
    return ERROR_INVAL;
}

static int check_range(struct libxlss__op *op,
                       const struct libxlss__checkpoints *c, int first,
                       int end)
{
    int i;

    for (i = first; i < end; i++)
        if (c->list[i].broken) {
            LOG_ERROR(op, "disk %s: what was written since the checkpoint "
                      "\"%s\" is not known: %s", c->vdev, c->list[i].name,
                      c->list[i].broken);
            return XLSS(BITMAP_BROKEN);
        }
    return 0;
}

int libxlss__checkpoint_known(struct libxlss__op *op,
                              struct libxlss__checkpoints *c,
                              const char *since, const char *until)
{
    int first, end, rc = find_range(op, c, since, until, &first, &end);

    return rc ? rc : check_range(op, c, first, end);
}

/* So that nothing is said to be dirty that no part says: the finest. */
static uint64_t granularity_of(const struct libxlss__checkpoints *c,
                               int first, int end)
{
    uint64_t finest = 0;
    int i, j;

    for (i = first; i < end; i++)
        for (j = 0; j < c->list[i].num_parts; j++) {
            uint64_t g = c->list[i].parts[j].bitmap->granularity;

            if (!finest || g < finest)
                finest = g;
        }
    return finest;
}

int libxlss__checkpoint_range(struct libxlss__op *op,
                              struct libxlss__transaction *t,
                              struct libxlss__checkpoints *c,
                              const char *since, const char *until,
                              const char *node, const char *target,
                              bool persistent)
{
    int i, j, first, end;
    int rc = find_range(op, c, since, until, &first, &end);

    if (!rc)
        rc = check_range(op, c, first, end);
    if (rc)
        return rc;
    libxlss__transaction_bitmap_add(t, node, target, persistent, true,
                                    granularity_of(c, first, end));
    for (i = first; i < end; i++)
        for (j = 0; j < c->list[i].num_parts; j++)
            libxlss__transaction_bitmap_merge(
                t, node, target, c->list[i].parts[j].node->name,
                c->list[i].parts[j].bitmap->name);
    return 0;
}
