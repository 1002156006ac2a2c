/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What is left of backups and exports where no device model can be asked any
 * more: scratch files, by their names, and what is below the run folder.
 * What an operation is about to use looks the same for a moment; so the locks
 * of operations are looked at after the names were read.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "remains.h"

#define UUID 36                 /* characters */

static void add_name(struct libxlss__op *op, struct libxlss__remains *r,
                     const char *name)
{
    const char **grown = libxlss__zalloc(op, (r->num + 1) * sizeof(*grown));

    if (r->num)
        memcpy(grown, r->list, r->num * sizeof(*grown));
    grown[r->num++] = libxlss__strdup(op, name);
    r->list = grown;
}

static void read_names(struct libxlss__op *op, const char *folder,
                       struct libxlss__remains *out)
{
    DIR *dir = opendir(folder);
    struct dirent *d;

    memset(out, 0, sizeof(*out));
    while (dir && (d = readdir(dir)))
        add_name(op, out, d->d_name);
    if (dir)
        closedir(dir);
}

static bool ends(const char *name, const char *with)
{
    size_t len = strlen(name), n = strlen(with);

    return len > n && !strcmp(name + len - n, with);
}

static bool is_held(struct libxlss__op *op, const char *lock)
{
    int fd = open(libxlss__printf(op, "%s/%s", libxlss__run_dir, lock),
                  O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool held;

    if (fd < 0)
        return errno != ENOENT;
    held = flock(fd, LOCK_SH | LOCK_NB);
    close(fd);
    return held;
}

/* --- scratch files --- */

static bool any_operation(struct libxlss__op *op)
{
    struct libxlss__remains r;
    int i;

    read_names(op, libxlss__run_dir, &r);
    for (i = 0; i < r.num; i++)
        if (!strncmp(r.list[i], "op-", 3) && ends(r.list[i], ".lock") &&
            is_held(op, r.list[i]))
            return true;
    return false;
}

/* xlbs-ID-VDEV.scratch */
static bool parse_scratch(struct libxlss__op *op, const char *name,
                          char id[XLSS_VIEW_ID + 1], char vdev[32])
{
    char *text, role;

    if (!ends(name, ".scratch"))
        return false;
    text = libxlss__strdup(op, name);
    text[strlen(text) - strlen(".scratch")] = '\0';
    return libxlss__view_parse(text, id, vdev, &role) && !role;
}

static bool is_unused(const char *path)
{
    struct stat st;

    return !lstat(path, &st) && S_ISREG(st.st_mode) &&
           st.st_uid == geteuid() && !libxlss__open_in(&st);
}

int libxlss__scratch_unused(struct libxlss__op *op, const char *folder,
                            struct libxlss__remains *out)
{
    char id[XLSS_VIEW_ID + 1], vdev[32];
    struct libxlss__remains all;
    int i;

    memset(out, 0, sizeof(*out));
    read_names(op, folder, &all);
    for (i = 0; i < all.num; i++)
        if (parse_scratch(op, all.list[i], id, vdev))
            add_name(op, out, libxlss__printf(op, "%s/%s", folder,
                                              all.list[i]));
    if (!out->num)
        return 0;
    if (any_operation(op))
        return XLSS(BUSY);
    all = *out;
    memset(out, 0, sizeof(*out));
    for (i = 0; i < all.num; i++)
        if (is_unused(all.list[i]))
            add_name(op, out, all.list[i]);
    return 0;
}

/* Filesystems that no other host has, too, as long as nobody sees to it with
 * great care. */
static bool is_shared(const char *folder)
{
    static const unsigned int local[] = {
        0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x2fc12fc1, 0xf2f52010,
        0xca451a4e, 0x794c7630,
    };
    struct statfs fs;
    size_t i;

    if (statfs(folder, &fs))
        return true;
    for (i = 0; i < sizeof(local) / sizeof(local[0]); i++)
        if ((unsigned int)fs.f_type == local[i])
            return false;
    return true;
}

static void add_scratch(struct libxlss__op *op, const char *path,
                        libxl_block_snapshot_list *out)
{
    char id[XLSS_VIEW_ID + 1], vdev[32];
    libxl_block_snapshot *s;

    parse_scratch(op, strrchr(path, '/') + 1, id, vdev);
    s = realloc(out->snapshots, (out->num_snapshots + 1) * sizeof(*s));
    if (!s)
        abort();
    out->snapshots = s;
    s = &out->snapshots[out->num_snapshots++];
    libxl_block_snapshot_init(s);
    s->id = libxlss__own(id);
    s->disks = calloc(1, sizeof(*s->disks));
    if (!s->disks)
        abort();
    s->num_disks = 1;
    libxl_block_snapshot_disk_init(s->disks);
    s->disks->vdev = libxlss__own(vdev);
    s->disks->scratch = libxlss__own(path);
}

int libxl_block_scratch_list(libxl_ctx *ctx, const char *folder,
                             libxl_block_snapshot_list *out, bool *shared,
                             const libxl_snapshot_how *how)
{
    struct libxlss__remains r;
    struct libxlss__op op;
    int i, rc;

    *shared = true;
    rc = libxlss__op_begin(&op, ctx, XLSS_OFF, "snapshot-check", how);
    if (!rc && folder[0] != '/')
        rc = ERROR_INVAL;
    if (!rc)
        rc = libxlss__scratch_unused(&op, folder, &r);
    for (i = 0; !rc && i < r.num; i++)
        add_scratch(&op, r.list[i], out);
    if (!rc)
        *shared = is_shared(folder);
    libxlss__op_end(&op);
    return rc;
}

/* --- the run folder --- */

/* Does Xen have the domain? */
static bool exists(struct libxlss__op *op, const char *uuid)
{
    int i, num = 0;
    libxl_dominfo *list = libxl_list_domain(op->ctx, &num);
    bool found = !list;
    libxl_uuid want;

    if (libxl_uuid_from_string(&want, uuid))
        found = true;
    for (i = 0; !found && i < num; i++)
        found = !libxl_uuid_compare(&list[i].uuid, &want);
    if (list)
        libxl_dominfo_list_free(list, num);
    return found;
}

/* The domain's UUID, where the name begins and ends so. */
static char *uuid_of(struct libxlss__op *op, const char *name,
                     const char *begin, const char *end)
{
    char *uuid;

    if (strncmp(name, begin, strlen(begin)) || !ends(name, end) ||
        strlen(name) < strlen(begin) + UUID + strlen(end))
        return NULL;
    uuid = libxlss__printf(op, "%.*s", UUID, name + strlen(begin));
    return strspn(uuid, "0123456789abcdef-") == UUID ? uuid : NULL;
}

static bool at_work(struct libxlss__op *op, const char *uuid)
{
    return is_held(op, libxlss__printf(op, "op-%s.lock", uuid));
}

static bool is_open(struct libxlss__op *op, const char *name)
{
    struct stat st;

    return lstat(libxlss__printf(op, "%s/%s", libxlss__run_dir, name), &st) ||
           !S_ISREG(st.st_mode) || libxlss__open_in(&st);
}

/* Its record, of whichever domain. */
static bool has_record(const struct libxlss__remains *all, const char *id)
{
    size_t prefix = strlen("export-");
    int i;

    for (i = 0; i < all->num; i++)
        if (!strncmp(all->list[i], "export-", prefix) &&
            strlen(all->list[i]) > prefix + UUID + 1 &&
            !strncmp(all->list[i] + prefix + UUID + 1, id, XLSS_VIEW_ID))
            return true;
    return false;
}

/* xlbs-ID.sock, .pid, .qmp, xlbs-ID-VDEV.bitmap */
static bool of_export(const char *name, char id[XLSS_VIEW_ID + 1])
{
    const char *rest = name + strlen(XLSS_VIEW);

    if (strncmp(name, XLSS_VIEW, strlen(XLSS_VIEW)) ||
        strlen(rest) <= XLSS_VIEW_ID)
        return false;
    memcpy(id, rest, XLSS_VIEW_ID);
    id[XLSS_VIEW_ID] = '\0';
    rest += XLSS_VIEW_ID;
    return libxlss__view_id_ok(id) &&
           (!strcmp(rest, ".sock") || !strcmp(rest, ".pid") ||
            !strcmp(rest, ".qmp") ||
            (*rest == '-' && ends(rest, ".bitmap")));
}

static bool is_left(struct libxlss__op *op, const char *name)
{
    char id[XLSS_VIEW_ID + 1], *uuid;
    struct libxlss__remains now;

    if ((uuid = uuid_of(op, name, "export-", ".json")) ||
        (uuid = uuid_of(op, name, "private-", ".nbd")))
        return !exists(op, uuid) && !at_work(op, uuid);
    if ((uuid = uuid_of(op, name, "export-", ".json.new")))
        return !at_work(op, uuid);
    if ((uuid = uuid_of(op, name, "dirty-", ".qcow2")))
        return !at_work(op, uuid) && !is_open(op, name);
    if (!of_export(name, id))
        return false;
    /* A record comes before what it speaks of, and goes after it. */
    read_names(op, libxlss__run_dir, &now);
    return !has_record(&now, id) && !libxlss__proxy_pid(op, id);
}

/* Its server, which nobody else could end, and all of its files. */
static int end_export(struct libxlss__op *op, const char *name)
{
    libxl_block_export_list list;
    int i, rc = 0;

    libxl_block_export_list_init(&list);
    libxlss__export_read_all(op, uuid_of(op, name, "export-", ".json"),
                             &list);
    for (i = 0; !rc && i < list.num_exports; i++) {
        libxl_block_export *e = &list.exports[i];

        if (strncmp(name + strlen("export-") + UUID + 1, e->id,
                    XLSS_VIEW_ID))
            continue;
        rc = libxlss__proxy_stop(op, e->id);
        if (!rc)
            libxlss__export_forget(op, e, true);
    }
    libxl_block_export_list_dispose(&list);
    return rc;
}

static int remove_one(struct libxlss__op *op, const char *name)
{
    char *path = libxlss__printf(op, "%s/%s", libxlss__run_dir, name);
    int rc = uuid_of(op, name, "export-", ".json") ? end_export(op, name) : 0;

    if (rc || !unlink(path) || errno == ENOENT)
        return rc;
    LOG_ERRNO(op, "cannot remove %s", path);
    return ERROR_FAIL;
}

int libxlss__run_remains(struct libxlss__op *op, bool remove,
                         struct libxlss__remains *out)
{
    struct libxlss__remains all;
    int i, round, rc = 0, rc2;
    bool record;

    memset(out, 0, sizeof(*out));
    read_names(op, libxlss__run_dir, &all);
    /* Records first: the rest of one goes with it. */
    for (round = 0; round < 2; round++)
        for (i = 0; i < all.num; i++) {
            const char *name = all.list[i];
            char *path = libxlss__printf(op, "%s/%s", libxlss__run_dir,
                                         name);

            record = uuid_of(op, name, "export-", ".json");
            if (record == (round > 0) || !is_left(op, name) ||
                access(path, F_OK))
                continue;
            add_name(op, out, path);
            rc2 = remove ? remove_one(op, name) : 0;
            rc = rc ? rc : rc2;
        }
    return rc;
}

int libxl_block_export_tidy(libxl_ctx *ctx, bool remove,
                            libxl_string_list *out,
                            const libxl_snapshot_how *how)
{
    struct libxlss__remains r;
    struct libxlss__op op;
    int i, rc;

    *out = NULL;
    rc = libxlss__op_begin(&op, ctx, XLSS_OFF, "snapshot-check", how);
    if (!rc) {
        rc = libxlss__run_remains(&op, remove, &r);
        *out = calloc(r.num + 1, sizeof(**out));
        if (!*out)
            abort();
        for (i = 0; i < r.num; i++)
            (*out)[i] = libxlss__own(r.list[i]);
    }
    libxlss__op_end(&op);
    return rc;
}
