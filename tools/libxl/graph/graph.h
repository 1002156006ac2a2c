/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * One picture of QEMU's block nodes: which node each guest disk writes to,
 * who else has the image open, its snapshots and its bitmaps. It is read
 * afresh in each QMP session; nothing of it outlives the session but which
 * vdev a device is, which doesn't change (graph.c).
 */
#ifndef LIBXLSS_GRAPH_H
#define LIBXLSS_GRAPH_H

#include "../qmp/qmp.h"

struct libxlss__node {
    char *name;                 /* node-name */
    char *driver;               /* qcow2, raw, file … */
    char *file;                 /* as QEMU names it */
    char *backing;              /* file of the node below; empty: none */
    bool read_only;
    bool encrypted;
    uint64_t size;              /* virtual, bytes */
    uint64_t cluster;           /* bytes; 0: it has none */
    char **snapshots;
    int num_snapshots;
    char **bitmaps;             /* their names */
    struct libxlss__bitmap *bitmap;     /* the same, with their state */
    int num_bitmaps;
};

/* What a guest device, emulated or paravirtual, has its hands on. */
struct libxlss__root {
    char *drive;                /* ide0-hd0; empty for xen-block */
    char *qdev;                 /* QOM path of the device, or NULL */
    char *vdev;                 /* xen-block only: xvda */
    struct libxlss__node *node;
};

struct libxlss__graph {
    struct libxlss__node *nodes;
    int num_nodes;
    struct libxlss__root *roots;
    int num_roots;
};

/* BUSY, with a sentence, while a block job runs: see graph.c. */
int libxlss__graph_read(struct libxlss__qmp *qmp,
                        struct libxlss__graph *graph);
/*
 * Devices and their nodes, and no node below: all that a snapshot inside of
 * the images wants, from one command, for while the guest stands still.
 */
int libxlss__graph_read_roots(struct libxlss__qmp *qmp,
                              struct libxlss__graph *graph);
/* For tests and fuzzing: from the replies. */
int libxlss__graph_parse_roots(struct libxlss__op *op,
                               struct libxlss__graph *graph, yajl_val blocks);
int libxlss__graph_parse(struct libxlss__op *op, struct libxlss__graph *graph,
                         yajl_val nodes, yajl_val blocks);
struct libxlss__node *libxlss__graph_node(struct libxlss__graph *graph,
                                          const char *name);
bool libxlss__node_has_snapshot(const struct libxlss__node *node,
                                const char *name);

/* A filter or a view of a backup, whoever made it. */
bool libxlss__node_is_view(const struct libxlss__node *node);

/* The format node (not the protocol's below it) of an image file. */
struct libxlss__node *libxlss__graph_format_node(struct libxlss__graph *graph,
                                                 const char *path);
/* Takes away the nodes of this library's own that nothing uses any more. */
void libxlss__tidy_nodes(struct libxlss__qmp *qmp, const char *vdev);

/* writers.c: which node of a disk to act on. */
/* What the PV backend of a disk, or else its emulated drive, has. NULL: no
 * such disk. The path is not looked at. */
struct libxlss__node *libxlss__graph_root(struct libxlss__graph *graph,
                                          const char *vdev);
struct libxlss__writer {
    struct libxlss__node *node; /* the guest writes here */
    struct libxlss__node *twin; /* idle second opening of the image, or NULL */
};
/*
 * NO_QEMU: QEMU doesn't have the disk. IMAGE_OPEN_TWICE: two nodes that may
 * both be written to, or an idle twin of an image with bitmaps.
 */
int libxlss__graph_writer(struct libxlss__op *op,
                          struct libxlss__graph *graph, const char *vdev,
                          const char *path, struct libxlss__writer *w);

#endif
