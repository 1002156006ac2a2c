/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * qemu-img. It runs in the image's folder and gets "./VDEV.qcow2": no name of
 * a folder can be taken for an option or a protocol, and what an image is
 * based on is looked for where it will be once the folder has its name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "bk.h"
#include "json.h"

#ifndef XLSS_QEMU_IMG
#define XLSS_QEMU_IMG "qemu-img"
#endif

#define INFO_DEPTH 32
#define BUFFER (256u << 10)

static int failed(int code, const char *doing, const char *where,
                  const char *vdev, const char *err)
{
    if (code == 127)
        xl_say("can't run " XLSS_QEMU_IMG " (package qemu-utils)");
    else if (!bk_interrupted())
        xl_say("%s %s/%s.qcow2: %s", doing, where, vdev,
               err && *err ? err : "qemu-img gave no reason");
    return XL_EXIT_FAILED;
}

static char *base_path(const char *base, const char *vdev)
{
    return base ? xl_printf("../%s/%s.qcow2", base, vdev) : NULL;
}

int bk_image_create(int dir, const char *vdev, uint64_t size,
                    const char *base, const char *where)
{
    char *below = base_path(base, vdev), *err;
    char *file = xl_printf("./%s.qcow2", vdev);
    char *bytes = xl_printf("%llu", (unsigned long long)size);
    char *opts = xl_printf("compat=1.1,cluster_size=65536%s%s%s",
                           below ? ",backing_fmt=qcow2,backing_file=" : "",
                           below ? below : "", "");
    char *argv[] = { XLSS_QEMU_IMG, "create", "-q", "-f", "qcow2", "-o", opts,
                     file, bytes, NULL };
    int code = bk_run(dir, argv, NULL, &err);

    if (code)
        code = failed(code, "making", where, vdev, err);
    free(err);
    free(opts);
    free(bytes);
    free(file);
    free(below);
    return code;
}

/* --- looking at one --- */

static bool text_is(yajl_val v, const char *key, const char *want)
{
    const char *s = json_string(v, key);

    return want ? s && !strcmp(s, want) : !s;
}

static char *header_problem(yajl_val v, uint64_t size, const char *below)
{
    yajl_val data = json_object(json_object(v, "format-specific"), "data");
    uint64_t n = 0;

    if (!text_is(v, "format", "qcow2") || !json_u64(v, "virtual-size", &n))
        return xl_strdup("it is no qcow2 image");
    if (n != size)
        return xl_strdup("the disk in it has another size");
    if (!text_is(v, "backing-filename", below) ||
        (below && !text_is(v, "backing-filename-format", "qcow2")))
        return xl_printf("it is not based on %s, as it should be",
                         below ? below : "nothing");
    if (json_member(data, "data-file") || json_bool(data, "corrupt", false))
        return xl_strdup("it is marked as corrupt, or has its data elsewhere");
    return NULL;
}

bool bk_image_header_ok(int dir, const char *vdev, uint64_t size,
                        const char *base, char **problem)
{
    char *file = xl_printf("./%s.qcow2", vdev), *out, *err, why[160];
    char *below = base_path(base, vdev);
    char *argv[] = { XLSS_QEMU_IMG, "info", "-U", "--output=json", "-f",
                     "qcow2", file, NULL };
    int code = bk_run(dir, argv, &out, &err);
    yajl_val v = code ? NULL : json_parse(out, strlen(out), INFO_DEPTH, why,
                                          sizeof(why));

    *problem = code == 127 ? xl_strdup("can't run " XLSS_QEMU_IMG)
             : code ? xl_strdup(err) : v ? header_problem(v, size, below)
             : xl_strdup("qemu-img's answer can't be read");
    yajl_tree_free(v);
    free(below);
    free(file);
    free(out);
    free(err);
    return !*problem;
}

/* Leaked clusters (3) cost space and no data. */
bool bk_image_check(int dir, const char *vdev, char **problem)
{
    char *file = xl_printf("./%s.qcow2", vdev), *err;
    char *argv[] = { XLSS_QEMU_IMG, "check", "-q", "-U", "-f", "qcow2", file,
                     NULL };
    int code = bk_run(dir, argv, NULL, &err);

    *problem = !code || code == 3 ? NULL
             : xl_strdup(*err ? err : "qemu-img check says it is damaged");
    free(file);
    free(err);
    return !*problem;
}

static int read_all(int fd, XXH64_state_t *state)
{
    unsigned char *buf = xl_alloc(BUFFER, 1);
    ssize_t n;

    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    while ((n = read(fd, buf, BUFFER)) > 0 && !bk_interrupted())
        XXH64_update(state, buf, n);
    free(buf);
    if (n > 0)
        errno = EINTR;
    return n ? -1 : 0;
}

bool bk_image_hash(int dir, struct bk_disk *d, char **problem)
{
    char *file = bk_file_name(d->vdev);
    XXH64_state_t *state = XXH64_createState();
    int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
                    O_CLOEXEC);
    struct stat st;
    char text[32];

    *problem = NULL;
    XXH64_reset(state, 0);
    if (fd < 0 || fstat(fd, &st))
        *problem = xl_strdup(strerror(errno));
    else if (!S_ISREG(st.st_mode))
        *problem = xl_strdup("it is no file");
    else if (read_all(fd, state))
        *problem = xl_strdup(strerror(errno));
    else
        d->file_size = st.st_size;
    snprintf(text, sizeof(text), "%016llx",
             (unsigned long long)XXH64_digest(state));
    memcpy(d->xxh64, text, sizeof(d->xxh64));
    if (fd >= 0)
        close(fd);
    XXH64_freeState(state);
    free(file);
    return !*problem;
}

/* --- making one of another --- */

/* In an option's value a comma is written twice. */
static char *doubled(const char *s)
{
    char *text = xl_alloc(2 * strlen(s) + 1, 1), *to = text;

    for (; *s; s++) {
        *to++ = *s;
        if (*s == ',')
            *to++ = ',';
    }
    return text;
}

int bk_image_flatten(int dir, const char *vdev, uint64_t size, int to_dir,
                     const char *to_path, const char *to_name, bool raw)
{
    const char *format = raw ? "raw" : "qcow2";
    char *from = xl_printf("./%s.qcow2", vdev), *err = NULL;
    char *name = xl_printf("./%s", to_name), *safe = doubled(to_path);
    char *bytes = xl_printf("%llu", (unsigned long long)size);
    char *to = xl_printf("driver=%s,file.driver=file,file.filename=%s/%s",
                         format, safe, to_name);
    char *create[] = { XLSS_QEMU_IMG, "create", "-q", "-f", (char *)format,
                       name, bytes, NULL };
    char *convert[] = { XLSS_QEMU_IMG, "convert", "-f", "qcow2", "-n",
                        "--target-is-zero", "--target-image-opts", from, to,
                        NULL };
    int code = bk_run(to_dir, create, NULL, &err);

    if (!code) {
        free(err);
        code = bk_run(dir, convert, NULL, &err);
    }
    if (code && !bk_interrupted())
        xl_say("copying disk %s to %s/%s: %s", vdev, to_path, to_name,
               code == 127 ? "can't run " XLSS_QEMU_IMG
               : *err ? err : "qemu-img gave no reason");
    free(err);
    free(to);
    free(safe);
    free(name);
    free(bytes);
    free(from);
    return code ? XL_EXIT_FAILED : 0;
}

int bk_image_rebase(int dir, const char *vdev, const char *base,
                    const char *where)
{
    char *file = xl_printf("./%s.qcow2", vdev), *err;
    char *below = base_path(base, vdev);
    char *argv[] = { XLSS_QEMU_IMG, "rebase", "-q", "-f", "qcow2", "-F",
                     "qcow2", "-b", below, file, NULL };
    int code = bk_run(dir, argv, NULL, &err);

    if (code)
        code = failed(code, "merging into", where, vdev, err);
    free(err);
    free(file);
    free(below);
    return code;
}

int bk_image_sync(int dir, const char *file, const char *where)
{
    int status, fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0) {
        xl_say("opening %s: %s", where, strerror(errno));
        return XL_EXIT_FAILED;
    }
    status = bk_sync(fd, where);
    close(fd);
    return status;
}
