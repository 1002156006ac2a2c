/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * In which files the snapshots of a domain live, and what that means for one
 * another: an external snapshot freezes the image that internal ones are in,
 * a revert puts another file in the place of such an image, and no file is
 * removed that another snapshot needs.
 *
 * UUID/moved lists the disks whose file gets its own name again once the
 * domain is off (libxl_domain_disk_names_put_right), a path in each line.
 */
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xluss.h"

#define MOVED "moved"
#define MOVED_MAX (1u << 20)            /* bytes */

static void keep(libxl_domain_snapshot_args *args, const char *path)
{
    args->keep = xluss__realloc(args->keep,
                                (args->num_keep + 1) * sizeof(*args->keep));
    args->keep[args->num_keep++] = xluss__strdup(path);
}

static bool is_internal(const libxl_disk_snapshot *d)
{
    return d->kind == LIBXL_DISK_SNAPSHOT_KIND_INTERNAL &&
           d->device.vdev && d->device.pdev_path;
}

static bool is_external(const libxl_disk_snapshot *d)
{
    return d->kind == LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL &&
           d->device.vdev && d->device.pdev_path && d->u.external.base_path;
}

void xluss__keep_others(xlu_snapshot_catalogue *cat, const char *name,
                        libxl_domain_snapshot_args *args)
{
    int i, j;

    for (i = 0; i < cat->num_entries; i++) {
        const xlu_snapshot *s = &cat->entries[i].s;

        if (cat->entries[i].damaged || !strcmp(s->name, name))
            continue;
        for (j = 0; j < s->args.num_disks; j++) {
            const libxl_disk_snapshot *d = &s->args.disks[j];

            if (is_external(d))
                keep(args, d->u.external.base_path);
            else if (is_internal(d) && d->u.internal.internal_path)
                keep(args, d->u.internal.internal_path);
        }
    }
}

void xluss__keep_copy(libxl_domain_snapshot_args *to,
                      const libxl_domain_snapshot_args *from)
{
    int i;

    for (i = 0; i < from->num_keep; i++)
        keep(to, from->keep[i]);
}

/* --- internal snapshots whose image gets another name --- */

static int store(xlu_snapshot_catalogue *cat, xlu_snapshot *s)
{
    int rc = xluss__store_json(cat, s);

    return rc ? rc : xluss__store_xml(cat, s, false);
}

/* An internal snapshot in the image at `path`, not in a frozen one. */
static bool is_in(const libxl_disk_snapshot *d, const char *vdev,
                  const char *path)
{
    return is_internal(d) && !d->u.internal.internal_path &&
           !strcmp(d->device.vdev, vdev) &&
           !strcmp(d->device.pdev_path, path);
}

int xluss__places_frozen(xlu_snapshot_catalogue *cat, const xlu_snapshot *of)
{
    int i, j, k, rc = 0;

    for (i = 0; i < cat->num_entries && !rc; i++) {
        xluss__entry *e = &cat->entries[i];
        bool changed = false;

        if (e->damaged || !strcmp(e->s.name, of->name))
            continue;
        for (j = 0; j < e->s.args.num_disks; j++) {
            libxl_disk_snapshot *d = &e->s.args.disks[j];

            for (k = 0; k < of->args.num_disks; k++) {
                const libxl_disk_snapshot *x = &of->args.disks[k];

                if (!is_external(x) || !is_in(d, x->device.vdev,
                                              x->device.pdev_path))
                    continue;
                xluss__replace(&d->u.internal.internal_path,
                               x->u.external.base_path);
                changed = true;
            }
        }
        if (changed)
            rc = store(cat, &e->s);
    }
    return rc;
}

char *xluss__frozen_file(const char *path, const char *name)
{
    char *file = xluss__asprintf("%s.%s", path, name);
    bool is_one = !access(file, F_OK);
    int i;

    /* Any of them may be gone by now. A file that merely has such a name
     * isn't one of these. */
    for (i = 2; i < LIBXL_DISK_FROZEN_FILES_MAX && is_one; i++) {
        char *other = xluss__asprintf("%s~%d", file, i);

        is_one = !libxl_disk_file_is_frozen(other);
        free(other);
    }
    if (!is_one) {
        free(file);
        file = NULL;
    }
    return file;
}

static char *displaced_to(const libxl_disk_snapshot *d, const char *safety)
{
    return xluss__asprintf("%s.%s", d->device.pdev_path, safety);
}

/* Does a revert to `target` make a new file for this disk? */
static bool is_replaced(const libxl_domain_snapshot_args *target,
                        const char *vdev)
{
    int i;

    for (i = 0; i < target->num_disks; i++) {
        const libxl_disk_snapshot *d = &target->disks[i];

        if (d->device.vdev && !strcmp(d->device.vdev, vdev))
            return is_external(d) ||
                   (is_internal(d) && d->u.internal.internal_path);
    }
    return false;
}

int xluss__places_displaced(xlu_snapshot_catalogue *cat,
                            const libxl_domain_snapshot_args *target,
                            const char *safety,
                            libxl_domain_snapshot_args *args)
{
    int i, j, num = 0;

    for (i = 0; i < cat->num_entries; i++) {
        const xluss__entry *e = &cat->entries[i];

        for (j = 0; !e->damaged && j < e->s.args.num_disks; j++) {
            const libxl_disk_snapshot *d = &e->s.args.disks[j];
            char *path;

            if (!is_internal(d) || d->u.internal.internal_path ||
                !is_replaced(target, d->device.vdev))
                continue;
            num++;
            if (!args)
                continue;
            path = displaced_to(d, safety);
            keep(args, path);
            free(path);
        }
    }
    return num;
}

int xluss__places_follow(xlu_snapshot_catalogue *cat, const char *safety)
{
    int i, j, rc = 0;

    for (i = 0; safety && i < cat->num_entries && !rc; i++) {
        xluss__entry *e = &cat->entries[i];
        bool changed = false;

        for (j = 0; !e->damaged && j < e->s.args.num_disks; j++) {
            libxl_disk_snapshot *d = &e->s.args.disks[j];
            char *path;

            if (!is_internal(d) || d->u.internal.internal_path)
                continue;
            path = displaced_to(d, safety);
            if (!access(path, F_OK)) {
                xluss__replace(&d->u.internal.internal_path, path);
                changed = true;
            }
            free(path);
        }
        if (changed)
            rc = store(cat, &e->s);
    }
    return rc;
}

/* --- names that are put right when the domain is off --- */

static bool has_line(const char *text, const char *line)
{
    size_t len = strlen(line);
    const char *at;

    for (at = text; at && (at = strstr(at, line)); at += len)
        if ((at == text || at[-1] == '\n') && at[len] == '\n')
            return true;
    return false;
}

int xluss__moved_note(xlu_snapshot_catalogue *cat, const xlu_snapshot *s)
{
    char *text = NULL, *more;
    bool changed = false;
    size_t len;
    int i, rc;

    rc = xluss__file_get(cat->lg, &cat->dir, MOVED, MOVED_MAX, &text, &len);
    if (rc && rc != ERROR_NOTFOUND)
        return rc;
    if (rc)
        text = xluss__strdup("");
    for (i = 0; i < s->args.num_disks; i++) {
        const libxl_disk_snapshot *d = &s->args.disks[i];

        if (!is_external(d) || strchr(d->device.pdev_path, '\n') ||
            has_line(text, d->device.pdev_path))
            continue;
        more = xluss__asprintf("%s%s\n", text, d->device.pdev_path);
        free(text);
        text = more;
        changed = true;
    }
    rc = changed ? xluss__file_put(cat->lg, &cat->dir, MOVED, text,
                                   strlen(text), false) : 0;
    free(text);
    return rc;
}

int xluss__moved_put_right(xlu_snapshot_catalogue *cat)
{
    libxl_snapshot_how how = xluss__plain_how(cat);
    char *text = NULL, *rest, *path;
    int rc, first = 0;
    size_t len;

    if (!xluss__file_exists(&cat->dir, MOVED))
        return 0;
    rc = xluss__file_get(cat->lg, &cat->dir, MOVED, MOVED_MAX, &text, &len);
    for (rest = text; !rc && (path = strsep(&rest, "\n"));) {
        int one = *path ? libxl_domain_disk_names_put_right(cat->ctx, path,
                                                            &how) : 0;

        if (one && !first)
            first = one;
    }
    free(text);
    if (!rc)
        rc = first;
    return rc ? rc : xluss__file_drop(cat->lg, &cat->dir, MOVED);
}

static int put_right_one(libxl_ctx *ctx, xentoollog_logger *lg,
                         const char *root, const char *uuid)
{
    xlu_snapshot_catalogue *cat;
    xlu_snapshot_domain dom;
    int rc;

    rc = xlu_snapshot_find_domain(ctx, lg, root, uuid, &dom);
    if (rc)
        return rc;
    if (dom.domid == XLUSS__NO_DOMID) {
        rc = xlu_snapshot_open(ctx, lg, root, &dom, XLU_SNAPSHOT_WRITE, &cat);
        if (!rc) {
            rc = xluss__moved_put_right(cat);
            xlu_snapshot_close(cat);
        }
    }
    xlu_snapshot_domain_dispose(&dom);
    return rc;
}

bool xlu_snapshot_names_wrong(const char *root)
{
    char *pattern = xluss__asprintf("%s/*/" MOVED,
                                    root ? root : XLU_SNAPSHOT_ROOT);
    glob_t g = { 0 };
    bool any = !glob(pattern, 0, NULL, &g);

    globfree(&g);
    free(pattern);
    return any;
}

int xlu_snapshot_names_put_right(libxl_ctx *ctx, xentoollog_logger *lg,
                                 const char *root)
{
    char *pattern = xluss__asprintf("%s/*/" MOVED,
                                    root ? root : XLU_SNAPSHOT_ROOT);
    int rc, first = 0;
    glob_t g = { 0 };
    size_t i;

    if (glob(pattern, 0, NULL, &g))
        g.gl_pathc = 0;
    for (i = 0; i < g.gl_pathc; i++) {
        char *uuid = g.gl_pathv[i];

        *strrchr(uuid, '/') = '\0';
        rc = put_right_one(ctx, lg, root, strrchr(uuid, '/') + 1);
        if (rc && !first)
            first = rc;
    }
    globfree(&g);
    free(pattern);
    return first;
}
