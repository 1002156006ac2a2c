/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * How a checkpoint begins and ends, as actions of a transaction. QEMU does
 * them one after the other while the guest may write: so the bitmap that
 * shall record comes first, and the one that shall not any more comes last.
 */
#include <string.h>

#include "checkpoint.h"

static uint64_t granularity_of(const struct libxlss__checkpoint *cp)
{
    return cp->parts[cp->num_parts - 1].bitmap->granularity;
}

void libxlss__checkpoint_start(struct libxlss__op *op,
                               struct libxlss__transaction *t,
                               const struct libxlss__checkpoints *c,
                               uint64_t seq, const char *name)
{
    const struct libxlss__checkpoint *last = NULL;
    char *bitmap = libxlss__checkpoint_bitmap(op, seq, name);
    const char *top = c->top->name;
    int i;

    if (c->num && c->list[c->num - 1].recording)
        last = &c->list[c->num - 1];
    libxlss__transaction_bitmap_add(t, top, bitmap, c->persistent, false,
                                    last ? granularity_of(last) : 0);
    if (last) {
        libxlss__transaction_bitmap_disable(t, top, last->bitmap);
        return;
    }
    /* Of the time until now nothing is known, and beside the new one the old
     * ones would look as if it were. */
    for (i = 0; i < c->num; i++)
        if (c->list[i].in_top)
            libxlss__transaction_bitmap_remove(t, top, c->list[i].bitmap);
}

static int check_busy(struct libxlss__op *op,
                      const struct libxlss__checkpoints *c,
                      const struct libxlss__checkpoint *cp)
{
    if (!cp || !cp->busy)
        return 0;
    LOG_ERROR(op, "disk %s: the bitmap of the checkpoint \"%s\" is in use by "
              "a backup or an export", c->vdev, cp->name);
    return XLSS(BUSY);
}

/* It and all before it go, where that can be. */
static int drop_broken(struct libxlss__op *op, struct libxlss__transaction *t,
                       const struct libxlss__checkpoints *c,
                       const struct libxlss__checkpoint *cp)
{
    int rc = 0;

    for (; !rc && cp >= c->list; cp--) {
        rc = check_busy(op, c, cp);
        if (!rc && cp->in_top)
            libxlss__transaction_bitmap_remove(t, c->top->name, cp->bitmap);
    }
    return rc;
}

int libxlss__checkpoint_end_missing(struct libxlss__op *op,
                                    struct libxlss__transaction *t,
                                    const struct libxlss__checkpoints *c,
                                    uint64_t seq)
{
    const struct libxlss__checkpoint *cp = NULL;
    int i;

    for (i = 0; i < c->num && c->list[i].seq < seq; i++) {
        cp = &c->list[i];
        if (!cp->broken && (cp->num_parts > 1 || !cp->in_top)) {
            LOG_ERROR(op, "disk %s: the checkpoint's bitmap is gone, and "
                      "that of the older one \"%s\" is in a file that can't "
                      "be changed now; delete that one first", c->vdev,
                      cp->name);
            return XLSS(NOT_POSSIBLE);
        }
    }
    return cp ? drop_broken(op, t, c, cp) : 0;
}

/* Has a part in the top layer, so that it can be merged into: its name. */
static const char *bring_up(struct libxlss__op *op,
                            struct libxlss__transaction *t,
                            const struct libxlss__checkpoints *c,
                            const struct libxlss__checkpoint *cp)
{
    const char *part;

    if (cp->in_top)
        return cp->bitmap;
    part = libxlss__checkpoint_part(op, cp->seq, cp->name);
    libxlss__transaction_bitmap_add(t, c->top->name, part, c->persistent,
                                    true, granularity_of(cp));
    return part;
}

/* What the predecessor's new part in the top layer would make look deleted;
 * an empty part says that it isn't. */
static void bring_up_between(struct libxlss__op *op,
                             struct libxlss__transaction *t,
                             const struct libxlss__checkpoints *c,
                             const struct libxlss__checkpoint *before,
                             const struct libxlss__checkpoint *cp)
{
    const struct libxlss__checkpoint *other;

    if (before->in_top)
        return;
    for (other = before + 1; other < c->list + c->num; other++)
        if (other != cp)
            bring_up(op, t, c, other);
}

int libxlss__checkpoint_end(struct libxlss__op *op,
                            struct libxlss__transaction *t,
                            const struct libxlss__checkpoints *c,
                            const struct libxlss__checkpoint *cp)
{
    const struct libxlss__checkpoint *before = cp > c->list ? cp - 1 : NULL;
    const char *top = c->top->name, *into;
    int i, rc;

    rc = check_busy(op, c, cp);
    if (!rc)
        rc = check_busy(op, c, before);
    if (rc)
        return rc;
    if (cp->broken)
        return drop_broken(op, t, c, cp);
    if (before && !before->broken) {
        into = bring_up(op, t, c, before);
        bring_up_between(op, t, c, before, cp);
        if (cp->recording)
            libxlss__transaction_bitmap_enable(t, top, into);
        for (i = 0; i < cp->num_parts; i++)
            libxlss__transaction_bitmap_merge(t, top, into,
                                              cp->parts[i].node->name,
                                              cp->parts[i].bitmap->name);
    }
    if (cp->in_top)
        libxlss__transaction_bitmap_remove(t, top, cp->bitmap);
    return 0;
}
