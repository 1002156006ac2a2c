/* SPDX-License-Identifier: LGPL-2.1-only */
#include "bitmap.h"

static void begin(struct libxlss__transaction *t, const char *type,
                  const char *node, const char *key, const char *bitmap)
{
    yajl_gen_map_open(t->g);
    json_put_string(t->g, "type", type);
    json_put_key(t->g, "data");
    yajl_gen_map_open(t->g);
    json_put_string(t->g, "node", node);
    json_put_string(t->g, key, bitmap);
}

static void end(struct libxlss__transaction *t)
{
    yajl_gen_map_close(t->g);
    yajl_gen_map_close(t->g);
    t->actions++;
}

static void simple(struct libxlss__transaction *t, const char *type,
                   const char *node, const char *bitmap)
{
    begin(t, type, node, "name", bitmap);
    end(t);
}

void libxlss__transaction_bitmap_add(struct libxlss__transaction *t,
                                     const char *node, const char *bitmap,
                                     bool persistent, bool disabled,
                                     uint64_t granularity)
{
    begin(t, "block-dirty-bitmap-add", node, "name", bitmap);
    json_put_bool(t->g, "persistent", persistent);
    json_put_bool(t->g, "disabled", disabled);
    if (granularity)
        json_put_u64(t->g, "granularity", granularity);
    end(t);
}

void libxlss__transaction_bitmap_enable(struct libxlss__transaction *t,
                                        const char *node, const char *bitmap)
{
    simple(t, "block-dirty-bitmap-enable", node, bitmap);
}

void libxlss__transaction_bitmap_disable(struct libxlss__transaction *t,
                                         const char *node,
                                         const char *bitmap)
{
    simple(t, "block-dirty-bitmap-disable", node, bitmap);
}

void libxlss__transaction_bitmap_remove(struct libxlss__transaction *t,
                                        const char *node, const char *bitmap)
{
    simple(t, "block-dirty-bitmap-remove", node, bitmap);
}

void libxlss__transaction_bitmap_merge(struct libxlss__transaction *t,
                                       const char *node, const char *bitmap,
                                       const char *from_node,
                                       const char *from)
{
    begin(t, "block-dirty-bitmap-merge", node, "target", bitmap);
    json_put_key(t->g, "bitmaps");
    yajl_gen_array_open(t->g);
    yajl_gen_map_open(t->g);
    json_put_string(t->g, "node", from_node);
    json_put_string(t->g, "name", from);
    yajl_gen_map_close(t->g);
    yajl_gen_array_close(t->g);
    end(t);
}
