/* SPDX-License-Identifier: LGPL-2.1-only */
/* Checkpoints go with the data: into an overlay that is made, and into one
 * that takes its base's data in. */
#include <stdio.h>
#include <string.h>

#include "checkpoint.h"

const struct libxlss__bitmap *
libxlss__checkpoint_in(const struct libxlss__node *node, uint64_t seq,
                       const char *name)
{
    const struct libxlss__bitmap *found = NULL;
    const char *other;
    uint64_t number;
    bool part;
    int i;

    for (i = 0; i < node->num_bitmaps; i++)
        if (libxlss__checkpoint_parse(node->bitmap[i].name, &number, &other,
                                      &part) &&
            number == seq && !strcmp(other, name) && (!found || !part))
            found = &node->bitmap[i];
    return found;
}

const struct libxlss__bitmap *
libxlss__checkpoint_extreme(const struct libxlss__node *node, bool newest,
                            uint64_t *seq_r, const char **name_r,
                            bool *part_r)
{
    const struct libxlss__bitmap *found = NULL;
    uint64_t seq, best = 0;
    const char *name;
    bool part;
    int i;

    for (i = 0; i < node->num_bitmaps; i++) {
        if (!libxlss__checkpoint_parse(node->bitmap[i].name, &seq, &name,
                                       &part) ||
            (found && (newest ? seq < best : seq > best)))
            continue;
        found = &node->bitmap[i];
        best = seq;
        if (seq_r)
            *seq_r = seq;
        if (name_r)
            *name_r = name;
        if (part_r)
            *part_r = part;
    }
    return found;
}

#define PART_MAX (sizeof(XLSS_PART_PREFIX) + 20 + XLSS_CHECKPOINT_NAME_MAX)

/* The base's that goes on in an overlay, and the name of its part there; NULL:
 * none does. */
static const struct libxlss__bitmap *
goes_on(const struct libxlss__node *base, char part[PART_MAX])
{
    const struct libxlss__bitmap *last;
    const char *name;
    uint64_t seq;

    last = libxlss__checkpoint_extreme(base, true, &seq, &name, NULL);
    if (!last || !last->recording || last->inconsistent)
        return NULL;
    snprintf(part, PART_MAX, XLSS_PART_PREFIX "%llu-%s",
             (unsigned long long)seq, name);
    return last;
}

void libxlss__checkpoint_carry(struct libxlss__transaction *t,
                               const struct libxlss__node *base,
                               const char *overlay)
{
    const struct libxlss__bitmap *last;
    char part[PART_MAX];

    last = goes_on(base, part);
    /* The base's stays enabled: should the base be written to, it knows. */
    if (last)
        libxlss__transaction_bitmap_add(t, overlay, part, last->persistent,
                                        false, last->granularity);
}

void libxlss__checkpoint_start_above(struct libxlss__op *op,
                                     struct libxlss__transaction *t,
                                     const struct libxlss__node *base,
                                     const char *overlay, uint64_t seq,
                                     const char *name)
{
    const struct libxlss__bitmap *last;
    char part[PART_MAX];

    last = goes_on(base, part);
    /* An overlay is qcow2, whatever its base is. */
    libxlss__transaction_bitmap_add(t, overlay,
                                    libxlss__checkpoint_bitmap(op, seq, name),
                                    !libxlss__has_emulated_disks(op), false,
                                    last ? last->granularity : 0);
    if (last)
        libxlss__transaction_bitmap_disable(t, overlay, part);
}

/* One of the base's: the overlay's own part goes into it. */
static void take_over(struct libxlss__transaction *t,
                      const struct libxlss__node *base,
                      const struct libxlss__bitmap *b,
                      const struct libxlss__node *overlay,
                      const struct libxlss__bitmap *own)
{
    const char *name = b->name;

    /* The same name: both are further parts of what is below the base. */
    if (!own || strcmp(own->name, name))
        libxlss__transaction_bitmap_add(t, overlay->name, name,
                                        b->persistent,
                                        !own || !own->recording,
                                        b->granularity);
    libxlss__transaction_bitmap_merge(t, overlay->name, name, base->name,
                                      name);
    if (!own || !strcmp(own->name, name))
        return;
    libxlss__transaction_bitmap_merge(t, overlay->name, name, overlay->name,
                                      own->name);
    libxlss__transaction_bitmap_remove(t, overlay->name, own->name);
}

/* The newest of the base's that are broken, and have no part above: what is
 * older would look as if it reached to the present. 0: none. */
static uint64_t newest_broken(const struct libxlss__node *base,
                              const struct libxlss__node *overlay)
{
    uint64_t seq, newest = 0;
    const char *name;
    bool part;
    int i;

    for (i = 0; i < base->num_bitmaps; i++)
        if (base->bitmap[i].inconsistent &&
            libxlss__checkpoint_parse(base->bitmap[i].name, &seq, &name,
                                      &part) &&
            !libxlss__checkpoint_in(overlay, seq, name) && seq > newest)
            newest = seq;
    return newest;
}

const struct libxlss__bitmap *
libxlss__checkpoint_goes_up(const struct libxlss__node *base,
                            const struct libxlss__node *overlay, int *i,
                            const struct libxlss__bitmap **own_r)
{
    uint64_t seq, oldest, broken = newest_broken(base, overlay);
    const struct libxlss__bitmap *own;
    const char *name;
    bool part;

    /* A gap between the two: then the base's are of no use. What the oldest
     * part belongs to may be further down than the base. */
    own = libxlss__checkpoint_extreme(overlay, false, &oldest, NULL, &part);
    if (!own || !part)
        return NULL;
    while (*i < base->num_bitmaps) {
        const struct libxlss__bitmap *b = &base->bitmap[(*i)++];

        if (!libxlss__checkpoint_parse(b->name, &seq, &name, &part))
            continue;
        own = libxlss__checkpoint_in(overlay, seq, name);
        /* A part without a beginning is broken, and says so. */
        if (b->inconsistent || (own && own->inconsistent) || seq < broken ||
            (!own && seq > oldest))
            continue;
        *own_r = own;
        return b;
    }
    return NULL;
}

void libxlss__checkpoint_carry_up(struct libxlss__transaction *t,
                                  const struct libxlss__node *base,
                                  const struct libxlss__node *overlay)
{
    const struct libxlss__bitmap *b, *own;
    int i = 0;

    while ((b = libxlss__checkpoint_goes_up(base, overlay, &i, &own)))
        take_over(t, base, b, overlay, own);
}
