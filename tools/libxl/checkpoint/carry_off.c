/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * As carry.c, with the domain off: by qemu-img, one bitmap at a time. Each
 * step leaves what is right, or what is known to be broken, and all may be
 * done again.
 */
#include <string.h>

#include "checkpoint.h"

static int read_image(struct libxlss__op *op, const char *path,
                      struct libxlss__node *node)
{
    struct libxlss__image image;
    int rc = libxlss__image_info(op, path, &image);

    memset(node, 0, sizeof(*node));
    node->bitmap = image.bitmap;
    node->num_bitmaps = image.num_bitmaps;
    return rc;
}

/* What the overlay's own part has goes into the whole. */
static int make_whole(struct libxlss__op *op, const char *overlay,
                      const struct libxlss__bitmap *b, const char *base,
                      const struct libxlss__bitmap *own)
{
    int rc;

    rc = libxlss__image_merge_bitmap(op, overlay, own->name, b->name, base);
    if (rc || !strcmp(own->name, b->name))
        return rc;
    rc = libxlss__image_add_bitmap(op, overlay, b, !own->recording,
                                   own->name, NULL);
    return rc ? rc : libxlss__image_drop_bitmap(op, overlay, own->name);
}

int libxlss__checkpoint_carry_up_off(struct libxlss__op *op,
                                     const char *base, const char *overlay)
{
    const struct libxlss__bitmap *b, *own;
    struct libxlss__node below, above;
    int i = 0, rc;

    rc = read_image(op, overlay, &above);
    if (rc || !libxlss__checkpoint_extreme(&above, false, NULL, NULL, NULL))
        return rc;
    rc = read_image(op, base, &below);
    while (!rc && (b = libxlss__checkpoint_goes_up(&below, &above, &i,
                                                   &own)))
        rc = own ? make_whole(op, overlay, b, base, own)
                 : libxlss__image_add_bitmap(op, overlay, b, true, b->name,
                                             base);
    return rc;
}

/* The newest of a layer that are broken. */
static uint64_t newest_broken(const struct libxlss__node *node)
{
    uint64_t seq, newest = 0;
    const char *name;
    bool part;
    int i;

    for (i = 0; i < node->num_bitmaps; i++)
        if (node->bitmap[i].inconsistent &&
            libxlss__checkpoint_parse(node->bitmap[i].name, &seq, &name,
                                      &part) && seq > newest)
            newest = seq;
    return newest;
}

static int add_all(struct libxlss__op *op, const char *overlay,
                   const struct libxlss__node *above, const char *base,
                   const struct libxlss__node *below)
{
    uint64_t seq, broken = newest_broken(above);
    const struct libxlss__bitmap *to;
    const char *name;
    int i, rc = 0;
    bool part;

    for (i = 0; !rc && i < above->num_bitmaps; i++) {
        const struct libxlss__bitmap *b = &above->bitmap[i];

        if (!libxlss__checkpoint_parse(b->name, &seq, &name, &part) ||
            seq <= broken)
            continue;
        to = libxlss__checkpoint_in(below, seq, name);
        if (!to && !part)
            rc = libxlss__image_add_bitmap(op, base, b, !b->recording,
                                           b->name, overlay);
        if (!to || to->inconsistent)
            continue;
        rc = libxlss__image_merge_bitmap(op, base, to->name, b->name,
                                         overlay);
        if (!rc && b->recording && !to->recording)
            rc = libxlss__image_enable_bitmap(op, base, to->name);
    }
    return rc;
}

/* Those that the overlay says to be deleted go; the one that recorded before
 * the overlay stops. */
static int tidy_base(struct libxlss__op *op,
                     const struct libxlss__node *above, const char *base,
                     const struct libxlss__node *below, uint64_t recording)
{
    uint64_t seq, oldest = 0;
    const char *name;
    bool part, is_part = false;
    int i, rc = 0;

    libxlss__checkpoint_extreme(above, false, &oldest, &name, &is_part);
    for (i = 0; !rc && i < below->num_bitmaps; i++) {
        const struct libxlss__bitmap *b = &below->bitmap[i];

        if (!libxlss__checkpoint_parse(b->name, &seq, &name, &part))
            continue;
        if (is_part && seq > oldest &&
            !libxlss__checkpoint_in(above, seq, name))
            rc = libxlss__image_drop_bitmap(op, base, b->name);
        else if (b->recording && !b->inconsistent && seq != recording)
            rc = libxlss__image_disable_bitmap(op, base, b->name);
    }
    return rc;
}

int libxlss__checkpoint_carry_down_off(struct libxlss__op *op,
                                       const char *overlay, const char *base)
{
    const struct libxlss__bitmap *last, *under;
    struct libxlss__node below, above;
    uint64_t seq;
    const char *name;
    bool part;
    int rc;

    rc = read_image(op, overlay, &above);
    if (rc)
        return rc;
    last = libxlss__checkpoint_extreme(&above, true, &seq, &name, &part);
    /* The base's own last one has recorded all that came down. */
    if (!last || !last->recording || last->inconsistent)
        return 0;
    rc = read_image(op, base, &below);
    if (rc)
        return rc;
    under = libxlss__checkpoint_extreme(&below, true, NULL, NULL, NULL);
    /* It hasn't: then what is above must not look as if it went on. */
    if (under && (!under->recording || under->inconsistent))
        return 0;
    if (part && !libxlss__checkpoint_in(&below, seq, name))
        return 0;
    rc = add_all(op, overlay, &above, base, &below);
    return rc ? rc : tidy_base(op, &above, base, &below, seq);
}
