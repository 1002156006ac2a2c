/* SPDX-License-Identifier: LGPL-2.1-only */
/* The records of exports: what was asked for, and where it is served. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block_export.h"

#define RECORD "export-"        /* UUID-ID.json */
#define SIDECAR ".bitmap"
#define RECORD_MAX (1u << 20)   /* bytes */

char *libxlss__export_path(struct libxlss__op *op, const char *id,
                           const char *suffix)
{
    return libxlss__printf(op, "%s/" XLSS_VIEW "%s%s", libxlss__run_dir, id,
                           suffix);
}

char *libxlss__export_sidecar(struct libxlss__op *op, const char *id,
                              const char *vdev)
{
    return libxlss__export_path(op, id, libxlss__printf(op, "-%s" SIDECAR,
                                                        vdev));
}

static char *record_path(struct libxlss__op *op, const char *uuid,
                         const char *id)
{
    return libxlss__printf(op, "%s/" RECORD "%s-%s.json", libxlss__run_dir,
                           uuid, id);
}

bool libxlss__export_exists(struct libxlss__op *op, const char *uuid,
                            const char *id)
{
    return !access(record_path(op, uuid, id), F_OK);
}

/* A tmpfs: it ends with the host's power, as what it speaks of. */
int libxlss__export_write(struct libxlss__op *op, const char *uuid,
                          const libxl_block_export *e)
{
    char *path = record_path(op, uuid, e->id), *text;
    char *new = libxlss__printf(op, "%s.new", path);
    bool done = false;
    int fd;

    text = libxl_block_export_to_json(op->ctx, (libxl_block_export *)e);
    fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
              0600);
    if (fd >= 0 && text)
        done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0 && close(fd))
        done = false;
    free(text);
    if (done && !rename(new, path))
        return 0;
    LOG_ERRNO(op, "cannot write %s", path);
    unlink(new);
    return errno == ENOSPC ? XLSS(NO_SPACE) : ERROR_FAIL;
}

static char *read_text(struct libxlss__op *op, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char *text = NULL;
    struct stat st;

    if (fd < 0)
        return NULL;
    if (!fstat(fd, &st) && st.st_uid == geteuid() &&
        st.st_size < RECORD_MAX) {
        text = libxlss__zalloc(op, st.st_size + 1);
        if (read(fd, text, st.st_size) != st.st_size)
            text = NULL;
    }
    close(fd);
    return text;
}

/* export-UUID-ID.json */
static bool is_record(const char *name, const char *uuid)
{
    size_t prefix = strlen(RECORD);

    return strlen(name) == prefix + 36 + 1 + XLSS_VIEW_ID + 5 &&
           !strncmp(name, RECORD, prefix) &&
           !strcmp(name + strlen(name) - 5, ".json") &&
           (!*uuid || !strncmp(name + prefix, uuid, 36));
}

int libxlss__export_read_all(struct libxlss__op *op, const char *uuid,
                             libxl_block_export_list *out)
{
    DIR *dir = opendir(libxlss__run_dir);
    struct dirent *d;

    while (dir && (d = readdir(dir))) {
        libxl_block_export *grown, *e;
        char *text;

        if (!is_record(d->d_name, uuid))
            continue;
        text = read_text(op, libxlss__printf(op, "%s/%s", libxlss__run_dir,
                                             d->d_name));
        if (!text)
            continue;
        grown = realloc(out->exports, (out->num_exports + 1) *
                        sizeof(*grown));
        if (!grown)
            abort();
        out->exports = grown;
        e = &out->exports[out->num_exports];
        libxl_block_export_init(e);
        if (libxl_block_export_from_json(op->ctx, e, text) ||
            !libxlss__view_id_ok(e->id)) {
            LOG_WARN(op, "%s can't be read", d->d_name);
            libxl_block_export_dispose(e);
            continue;
        }
        e->pid = libxlss__proxy_pid(op, e->id);
        e->running = e->pid > 0;
        out->num_exports++;
    }
    if (dir)
        closedir(dir);
    return 0;
}

static void forget_record(struct libxlss__op *op, const char *id, bool dead)
{
    DIR *dir = opendir(libxlss__run_dir);
    struct dirent *d;

    while (dir && (d = readdir(dir)))
        if (is_record(d->d_name, "") &&
            !strncmp(d->d_name + strlen(RECORD) + 37, id, XLSS_VIEW_ID)) {
            /* Nobody listens there any more. */
            if (dead)
                unlink(libxlss__private_path(op, libxlss__printf(op, "%.36s",
                           d->d_name + strlen(RECORD))));
            unlink(libxlss__printf(op, "%s/%s", libxlss__run_dir,
                                   d->d_name));
        }
    if (dir)
        closedir(dir);
}

/* Those of disks that are only held are in no record. */
static void forget_sidecars(struct libxlss__op *op, const char *id)
{
    char *prefix = libxlss__printf(op, XLSS_VIEW "%s-", id);
    DIR *dir = opendir(libxlss__run_dir);
    struct dirent *d;

    while (dir && (d = readdir(dir)))
        if (!strncmp(d->d_name, prefix, strlen(prefix)) &&
            !strcmp(d->d_name + strlen(d->d_name) - strlen(SIDECAR),
                    SIDECAR))
            unlink(libxlss__printf(op, "%s/%s", libxlss__run_dir,
                                   d->d_name));
    if (dir)
        closedir(dir);
}

void libxlss__export_forget(struct libxlss__op *op,
                            const libxl_block_export *e, bool dead)
{
    struct stat st;

    if (e->socket && !lstat(e->socket, &st) && S_ISSOCK(st.st_mode))
        unlink(e->socket);
    forget_sidecars(op, e->id);
    unlink(libxlss__export_path(op, e->id, ".pid"));
    unlink(libxlss__export_path(op, e->id, ".qmp"));
    forget_record(op, e->id, dead);
}
