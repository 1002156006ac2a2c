/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What is exported stays as it is: deleting a snapshot frees its clusters for
 * the guest's next writes, which a reader would then see.
 */
#include <stdio.h>
#include <string.h>

#include "disk/disk.h"
#include "export.h"

static int say_busy(struct libxlss__op *op, const struct libxlss__disk *disk,
                    const struct libxlss__server *server)
{
    LOG_ERROR(op, "disk %s: its snapshot %s is exported at %s (process %d); "
              "stop that first (snapshot-export --stop)", disk->vdev,
              server->label, server->socket, (int)server->pid);
    return XLSS(BUSY);
}

static bool has_open(const struct libxlss__server *server, const char *path)
{
    struct stat st;

    return path && !stat(path, &st) &&
           libxlss__process_has(server->pid, &st);
}

/* Does the server read what would be taken away? */
static bool reads(const struct libxlss__server *server,
                  const struct libxlss__source *source)
{
    if (!has_open(server, source->path))
        return false;
    return !source->load || !server->load ||
           !strcmp(source->load, server->load);
}

int libxlss__file_not_exported(struct libxlss__op *op,
                               const struct libxlss__disk *disk,
                               const char *path)
{
    int i, num;
    struct libxlss__server *servers = libxlss__servers(op, &num);

    for (i = 0; i < num; i++)
        if (has_open(&servers[i], path))
            return say_busy(op, disk, &servers[i]);
    return 0;
}

int libxlss__disks_not_exported(struct libxlss__op *op, bool any)
{
    struct libxlss__source source;
    int i, j, num;
    struct libxlss__server *servers = libxlss__servers(op, &num);

    for (i = 0; num && i < op->num_disks; i++) {
        struct libxlss__disk *disk = &op->disks[i];

        if (!libxlss__source(op, &disk->snap, disk->name, &source))
            continue;
        for (j = 0; j < num; j++)
            if (reads(&servers[j], &source) ||
                (any && (has_open(&servers[j], disk->path) ||
                         has_open(&servers[j], source.path))))
                return say_busy(op, disk, &servers[j]);
    }
    return 0;
}
