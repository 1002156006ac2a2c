/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * qemu-img on qcow2 images of domains that are off. The format is always
 * said, never probed; the path is an option's value, never an argument that
 * could be read as an option or a protocol.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "libxlss_internal.h"

/* In an option's value a comma is written twice. */
char *libxlss__opt_value(struct libxlss__op *op, const char *value)
{
    char *text = libxlss__zalloc(op, 2 * strlen(value) + 1), *to = text;

    for (; *value; value++) {
        *to++ = *value;
        if (*value == ',')
            *to++ = ',';
    }
    return text;
}

static char *image_opts(struct libxlss__op *op, const char *path)
{
    return libxlss__printf(op, "driver=qcow2,file.driver=file,"
                           "file.filename=%s", libxlss__opt_value(op, path));
}

/* The first line is enough of a reason. */
static const char *first_line(char *text)
{
    text[strcspn(text, "\n")] = '\0';
    return *text ? text : "(it gave no reason)";
}

static int run(struct libxlss__op *op, const char *path, char *const argv[],
               char **out_r)
{
    char *out, *err;
    int status, rc;

    rc = libxlss__child(op, argv, &out, &err, &status);
    if (rc)
        return rc;
    if (out_r)
        *out_r = out;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        LOG_ERROR(op, "cannot run %s (package qemu-utils)", argv[0]);
        return ERROR_FAIL;
    }
    rc = strstr(err, "No space left on device") ? XLSS(NO_SPACE) : ERROR_FAIL;
    LOG_ERROR(op, "%s %s on %s: %s", argv[0], argv[1], path,
              first_line(err));
    return rc;
}

static char **names(struct libxlss__op *op, yajl_val array, int *num_r)
{
    size_t i, len = json_length(array);
    char **list = libxlss__zalloc(op, (len + 1) * sizeof(*list));

    *num_r = 0;
    for (i = 0; i < len; i++) {
        const char *name = json_string(json_item(array, i), "name");

        if (name)
            list[(*num_r)++] = libxlss__strdup(op, name);
    }
    return list;
}

static void read_bitmaps(struct libxlss__op *op, yajl_val array,
                         struct libxlss__image *image)
{
    size_t i, j;
    int n = 0;

    image->bitmap = libxlss__zalloc(op, (json_length(array) + 1) *
                                    sizeof(*image->bitmap));
    for (i = 0; i < json_length(array); i++) {
        yajl_val v = json_item(array, i), flags = json_array(v, "flags");
        struct libxlss__bitmap *b = &image->bitmap[n];

        if (!json_string(v, "name"))
            continue;
        b->name = image->bitmaps[n++];
        b->persistent = true;
        if (!json_u64(v, "granularity", &b->granularity))
            b->granularity = 0;
        for (j = 0; j < json_length(flags); j++) {
            const char *flag = json_item(flags, j)
                ? YAJL_GET_STRING(json_item(flags, j)) : NULL;

            if (flag && !strcmp(flag, "auto"))
                b->recording = true;
            if (flag && !strcmp(flag, "in-use"))
                b->inconsistent = true;
        }
    }
}

int libxlss__image_info(struct libxlss__op *op, const char *path,
                        struct libxlss__image *image)
{
    char *argv[] = { XLSS_QEMU_IMG, "info", "-U", "--output=json",
                     "--image-opts", image_opts(op, path), NULL };
    char *out, err[256];
    yajl_val v, data;
    int rc;

    memset(image, 0, sizeof(*image));
    rc = run(op, path, argv, &out);
    if (rc)
        return rc == XLSS(NO_SPACE) ? rc : XLSS(DAMAGED);
    v = json_parse(out, strlen(out), 64, err, sizeof(err));
    if (!v) {
        LOG_ERROR(op, "cannot read what qemu-img says of %s: %s", path, err);
        return ERROR_FAIL;
    }
    if (!json_u64(v, "virtual-size", &image->size))
        image->size = 0;
    image->snapshots = names(op, json_array(v, "snapshots"),
                             &image->num_snapshots);
    data = json_object(json_object(v, "format-specific"), "data");
    image->bitmaps = names(op, json_array(data, "bitmaps"),
                           &image->num_bitmaps);
    read_bitmaps(op, json_array(data, "bitmaps"), image);
    yajl_tree_free(v);
    return 0;
}

bool libxlss__image_has(const struct libxlss__image *image, const char *name)
{
    int i;

    for (i = 0; i < image->num_snapshots; i++)
        if (!strcmp(image->snapshots[i], name))
            return true;
    return false;
}

static int snapshot(struct libxlss__op *op, const char *path,
                    const char *action, const char *name)
{
    char *argv[] = { XLSS_QEMU_IMG, "snapshot", (char *)action,
                     (char *)name, "--image-opts", image_opts(op, path),
                     NULL };

    return run(op, path, argv, NULL);
}

int libxlss__image_create(struct libxlss__op *op, const char *path,
                          const char *name)
{
    return snapshot(op, path, "-c", name);
}

int libxlss__image_apply(struct libxlss__op *op, const char *path,
                         const char *name)
{
    return snapshot(op, path, "-a", name);
}

int libxlss__image_delete(struct libxlss__op *op, const char *path,
                          const char *name)
{
    return snapshot(op, path, "-d", name);
}

int libxlss__image_add_bitmap(struct libxlss__op *op, const char *path,
                              const struct libxlss__bitmap *bitmap,
                              bool disabled, const char *from,
                              const char *from_path)
{
    char *argv[18] = { XLSS_QEMU_IMG, "bitmap", "--add", "-g",
                       libxlss__printf(op, "%llu", (unsigned long long)
                                       bitmap->granularity),
                       "--merge", (char *)from };
    int n = 7;

    if (disabled)
        argv[n++] = "--disable";
    if (from_path) {
        argv[n++] = "-b";
        argv[n++] = (char *)from_path;
        argv[n++] = "-F";
        argv[n++] = "qcow2";
    }
    argv[n++] = "--image-opts";
    argv[n++] = image_opts(op, path);
    argv[n] = bitmap->name;
    return run(op, path, argv, NULL);
}

int libxlss__image_merge_bitmap(struct libxlss__op *op, const char *path,
                                const char *bitmap, const char *from,
                                const char *from_path)
{
    char *argv[] = { XLSS_QEMU_IMG, "bitmap", "--merge", (char *)from, "-b",
                     (char *)from_path, "-F", "qcow2", "--image-opts",
                     image_opts(op, path), (char *)bitmap, NULL };

    return run(op, path, argv, NULL);
}

static int simple_bitmap(struct libxlss__op *op, const char *path,
                         const char *action, const char *bitmap)
{
    char *argv[] = { XLSS_QEMU_IMG, "bitmap", (char *)action,
                     "--image-opts", image_opts(op, path), (char *)bitmap,
                     NULL };

    return run(op, path, argv, NULL);
}

int libxlss__image_disable_bitmap(struct libxlss__op *op, const char *path,
                                  const char *bitmap)
{
    return simple_bitmap(op, path, "--disable", bitmap);
}

int libxlss__image_enable_bitmap(struct libxlss__op *op, const char *path,
                                 const char *bitmap)
{
    return simple_bitmap(op, path, "--enable", bitmap);
}

int libxlss__image_drop_bitmap(struct libxlss__op *op, const char *path,
                               const char *bitmap)
{
    return simple_bitmap(op, path, "--remove", bitmap);
}

/* -u: the backing file is a name in the header, and isn't opened. */
int libxlss__image_make_as(struct libxlss__op *op, const char *path,
                           const char *format, const char *backing,
                           const char *backing_format, uint64_t size)
{
    char *argv[16] = { XLSS_QEMU_IMG, "create", "-q", "-f", (char *)format };
    int n = 5;

    if (backing) {
        argv[n++] = "-u";
        argv[n++] = "-b";
        argv[n++] = (char *)backing;
        argv[n++] = "-F";
        argv[n++] = (char *)backing_format;
    }
    argv[n++] = (char *)path;
    argv[n++] = libxlss__printf(op, "%llu", (unsigned long long)size);
    return run(op, path, argv, NULL);
}

int libxlss__image_make_overlay(struct libxlss__op *op, const char *path,
                                const char *backing, const char *format,
                                uint64_t size)
{
    return libxlss__image_make_as(op, path, "qcow2", backing, format, size);
}

int libxlss__image_make(struct libxlss__op *op, const char *path,
                        uint64_t size)
{
    return libxlss__image_make_as(op, path, "qcow2", NULL, NULL, size);
}

int libxlss__image_is_empty(struct libxlss__op *op, const char *path,
                            bool *empty_r)
{
    char *argv[] = { XLSS_QEMU_IMG, "map", "-U", "--output=json",
                     "--image-opts", image_opts(op, path), NULL };
    char *out, err[256];
    yajl_val v;
    size_t i;
    int rc;

    rc = run(op, path, argv, &out);
    if (rc)
        return rc;
    v = json_parse(out, strlen(out), 64, err, sizeof(err));
    if (!YAJL_IS_ARRAY(v)) {
        LOG_ERROR(op, "cannot read what qemu-img says of %s: %s", path, err);
        yajl_tree_free(v);
        return ERROR_FAIL;
    }
    *empty_r = true;
    for (i = 0; i < json_length(v); i++) {
        yajl_val part = json_item(v, i);
        uint64_t depth = 0;

        /* Zeroes of its own hide the base's data as well. */
        if (json_u64(part, "depth", &depth) && depth == 0 &&
            json_bool(part, "present", true))
            *empty_r = false;
    }
    yajl_tree_free(v);
    return 0;
}

/* What takes as long as a disk is large. */
static int run_long(struct libxlss__op *op, const char *path,
                    char *const argv[])
{
    int rc;

    op->child_ms = XLSS_CHILD_LONG_MS;
    rc = run(op, path, argv, NULL);
    op->child_ms = 0;
    return rc;
}

/* Safe mode: what differs is copied first, then the header is changed. A
 * child that dies has changed nothing that can be read. */
int libxlss__image_rebase(struct libxlss__op *op, const char *path,
                          const char *backing, const char *format)
{
    char *with[] = { XLSS_QEMU_IMG, "rebase", "--image-opts", "-b",
                     (char *)backing, "-F", (char *)format,
                     image_opts(op, path), NULL };
    char *without[] = { XLSS_QEMU_IMG, "rebase", "--image-opts", "-b", "",
                        image_opts(op, path), NULL };

    return run_long(op, path, backing ? with : without);
}

int libxlss__image_rename_backing(struct libxlss__op *op, const char *path,
                                  const char *backing, const char *format)
{
    char *argv[] = { XLSS_QEMU_IMG, "rebase", "-u", "--image-opts", "-b",
                     (char *)backing, "-F", (char *)format,
                     image_opts(op, path), NULL };

    return run(op, path, argv, NULL);
}

/* -d: the overlay keeps its data, so that it reads the same at any time. */
int libxlss__image_commit(struct libxlss__op *op, const char *path)
{
    char *argv[] = { XLSS_QEMU_IMG, "commit", "-q", "-d", "--image-opts",
                     image_opts(op, path), NULL };

    return run_long(op, path, argv);
}

int libxlss__image_copy_snapshot(struct libxlss__op *op, const char *path,
                                 const char *name, const char *to)
{
    char *argv[] = { XLSS_QEMU_IMG, "convert", "-U", "-l",
                     libxlss__printf(op, "snapshot.name=%s",
                                     libxlss__opt_value(op, name)),
                     "-O", "qcow2", "--image-opts", image_opts(op, path),
                     (char *)to, NULL };

    return run_long(op, to, argv);
}
