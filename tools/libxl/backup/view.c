/* SPDX-License-Identifier: LGPL-2.1-only */
/* Names of views, and which views QEMU has. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "view.h"

/* Empty bitmaps of V whose names say what has to be known later. */
#define CHECKPOINT XLSS_VIEW "checkpoint="
#define SINCE      XLSS_VIEW "since="
#define COMPLETE   XLSS_VIEW "complete"
/* Of S: the disk's own node, below the filter. */
#define BASE       XLSS_VIEW "base="

#define COARSE (1ull << 31)         /* bytes: such a bitmap costs nothing */

char *libxlss__view_node(struct libxlss__op *op, const struct libxlss__view *v,
                         const char *vdev, char role)
{
    return libxlss__printf(op, XLSS_VIEW "%s-%s-%c", v->id, vdev, role);
}

bool libxlss__view_id_ok(const char *id)
{
    return id && strspn(id, "0123456789abcdef") == XLSS_VIEW_ID &&
           !id[XLSS_VIEW_ID];
}

/* xlbs-ID-VDEV-ROLE, or xlbs-ID-VDEV. */
bool libxlss__view_parse(const char *name, char id[XLSS_VIEW_ID + 1],
                         char vdev[32], char *role_r)
{
    const char *rest = name + strlen(XLSS_VIEW), *end;
    size_t len;

    if (strncmp(name, XLSS_VIEW, strlen(XLSS_VIEW)) ||
        strnlen(rest, XLSS_VIEW_ID + 1) <= XLSS_VIEW_ID ||
        rest[XLSS_VIEW_ID] != '-')
        return false;
    memcpy(id, rest, XLSS_VIEW_ID);
    id[XLSS_VIEW_ID] = '\0';
    rest += XLSS_VIEW_ID + 1;
    end = strchr(rest, '-');
    len = end ? (size_t)(end - rest) : strlen(rest);
    if (!libxlss__view_id_ok(id) || !len || len > 31 ||
        (end && (!end[1] || end[2])))
        return false;
    memcpy(vdev, rest, len);
    vdev[len] = '\0';
    *role_r = end ? end[1] : 0;
    return true;
}

struct libxlss__view *libxlss__view_find(struct libxlss__view *list, int num,
                                         const char *id)
{
    int i;

    for (i = 0; i < num; i++)
        if (!strcmp(list[i].id, id))
            return &list[i];
    return NULL;
}

static struct libxlss__view_disk *
find_disk(struct libxlss__view *v, const char *vdev)
{
    int i;

    for (i = 0; i < v->num_disks; i++)
        if (!strcmp(v->disks[i].vdev, vdev))
            return &v->disks[i];
    return NULL;
}

/* What follows `key` in the name of a bitmap; NULL: there is none. */
static const char *label(const struct libxlss__node *node, const char *key)
{
    int i;

    for (i = 0; i < node->num_bitmaps; i++)
        if (!strncmp(node->bitmaps[i], key, strlen(key)))
            return node->bitmaps[i] + strlen(key);
    return NULL;
}

void libxlss__view_label(struct libxlss__op *op,
                         struct libxlss__transaction *t,
                         const struct libxlss__view *v, const char *node)
{
    libxlss__transaction_bitmap_add(t, node, COMPLETE, false, true, COARSE);
    if (v->checkpoint)
        libxlss__transaction_bitmap_add(t, node,
            libxlss__printf(op, CHECKPOINT "%s", v->checkpoint),
            false, true, COARSE);
    if (v->since)
        libxlss__transaction_bitmap_add(t, node,
            libxlss__printf(op, SINCE "%s", v->since), false, true, COARSE);
}

void libxlss__view_label_scratch(struct libxlss__op *op,
                                 struct libxlss__transaction *t,
                                 const struct libxlss__view_disk *d,
                                 const char *node)
{
    libxlss__transaction_bitmap_add(t, node,
                                    libxlss__printf(op, BASE "%s", d->base),
                                    false, true, COARSE);
}

static void put_access(struct libxlss__view *v, struct libxlss__view_disk *d,
                       const struct libxlss__node *node)
{
    d->access = node;
    v->checkpoint = label(node, CHECKPOINT);
    v->since = label(node, SINCE);
}

static void put(struct libxlss__view *v, struct libxlss__view_disk *d,
                const struct libxlss__node *node, char role)
{
    switch (role) {
    case XLSS_FILTER:
        d->filter = node;
        break;
    case XLSS_ACCESS:
        put_access(v, d, node);
        break;
    case XLSS_SCRATCH:
        d->scratch = node;
        d->base = label(node, BASE);
        break;
    case XLSS_SCRATCH_FILE:
        d->scratch_file = node;
        d->scratch_path = node->file;
        break;
    case XLSS_TARGET:
        d->target = node;
        break;
    case XLSS_TARGET_FILE:
    case XLSS_TARGET_MADE:
        d->target_file = node;
        d->target_made = role == XLSS_TARGET_MADE;
        break;
    }
    if (node->size && role != XLSS_SCRATCH_FILE &&
        role != XLSS_TARGET_FILE && role != XLSS_TARGET_MADE)
        d->size = node->size;
}

static bool is_complete(const struct libxlss__view *v)
{
    int i;

    for (i = 0; i < v->num_disks; i++)
        if (!v->disks[i].access || !label(v->disks[i].access, COMPLETE))
            return false;
    return true;
}

static struct libxlss__view *add(struct libxlss__op *op,
                                 struct libxlss__view *list, int *num,
                                 const char *id, int max_disks)
{
    struct libxlss__view *v = libxlss__view_find(list, *num, id);

    if (v)
        return v;
    v = &list[(*num)++];
    memcpy(v->id, id, sizeof(v->id));
    v->disks = libxlss__zalloc(op, max_disks * sizeof(*v->disks));
    return v;
}

int libxlss__views_read(struct libxlss__qmp *qmp,
                        struct libxlss__graph *graph,
                        struct libxlss__view **list_r, int *num_r)
{
    char id[XLSS_VIEW_ID + 1], vdev[32], role;
    struct libxlss__op *op = qmp->op;
    struct libxlss__view *list, *v;
    struct libxlss__view_disk *d;
    int i, rc, num = 0;

    *num_r = 0;
    rc = libxlss__graph_read(qmp, graph);
    if (rc)
        return rc;
    list = libxlss__zalloc(op, (graph->num_nodes + 1) * sizeof(*list));
    /* QEMU names the latest first. */
    for (i = graph->num_nodes - 1; i >= 0; i--) {
        if (!libxlss__view_parse(graph->nodes[i].name, id, vdev, &role) ||
            !role)
            continue;
        v = add(op, list, &num, id, graph->num_nodes);
        d = find_disk(v, vdev);
        if (!d) {
            d = &v->disks[v->num_disks++];
            d->vdev = libxlss__strdup(op, vdev);
        }
        put(v, d, &graph->nodes[i], role);
    }
    for (i = 0; i < num; i++)
        list[i].complete = is_complete(&list[i]);
    *list_r = list;
    *num_r = num;
    return 0;
}

bool libxlss__view_has_target(const struct libxlss__view *v)
{
    int i;

    for (i = 0; i < v->num_disks; i++)
        if (v->disks[i].target)
            return true;
    return false;
}
