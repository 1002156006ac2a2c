/* SPDX-License-Identifier: LGPL-2.1-only */
/* A set's record, backup.json. What is read may be anybody's. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <xlu_checkpoint.h>

#include "bk.h"
#include "json.h"

#define DEPTH_MAX 8
#define DISKS_MAX 1024
#define VDEV_MAX 32

/* It is part of a file's name. */
bool bk_vdev_ok(const char *vdev)
{
    size_t i, len = vdev ? strlen(vdev) : 0;

    for (i = 0; i < len; i++)
        if (!isalnum((unsigned char)vdev[i]))
            return false;
    return len > 0 && len <= VDEV_MAX;
}

const char *bk_name_problem(const char *name)
{
    if (name && name[0] == '-')
        return "begins with '-'";
    return xlu_checkpoint_name_problem(name);
}

char *bk_file_name(const char *vdev)
{
    return xl_printf("%s.qcow2", vdev);
}

void bk_set_dispose(struct bk_set *s)
{
    int i;

    for (i = 0; i < s->num_disks; i++)
        free(s->disks[i].vdev);
    free(s->disks);
    free(s->name);
    free(s->base);
    free(s->domain);
    free(s->uuid);
    free(s->version);
    free(s->problem);
    memset(s, 0, sizeof(*s));
}

struct bk_disk *bk_set_add(struct bk_set *s, const char *vdev)
{
    struct bk_disk *d;

    s->disks = realloc(s->disks, (s->num_disks + 1) * sizeof(*d));
    if (!s->disks)
        abort();
    d = &s->disks[s->num_disks++];
    memset(d, 0, sizeof(*d));
    d->vdev = xl_strdup(vdev);
    return d;
}

struct bk_disk *bk_set_disk(const struct bk_set *s, const char *vdev)
{
    int i;

    for (i = 0; i < s->num_disks; i++)
        if (!strcmp(s->disks[i].vdev, vdev))
            return &s->disks[i];
    return NULL;
}

/* --- writing --- */

static void put_disk(yajl_gen g, const struct bk_disk *d)
{
    char *file = bk_file_name(d->vdev);

    yajl_gen_map_open(g);
    json_put_string(g, "vdev", d->vdev);
    json_put_string(g, "file", file);
    json_put_string(g, "format", "qcow2");
    json_put_u64(g, "size", d->size);
    json_put_u64(g, "copied", d->copied);
    json_put_u64(g, "file_size", d->file_size);
    json_put_string(g, "xxh64", d->xxh64);
    yajl_gen_map_close(g);
    free(file);
}

char *bk_set_write(const struct bk_set *s)
{
    yajl_gen g = yajl_gen_alloc(NULL);
    const unsigned char *text;
    size_t len;
    char *out;
    int i;

    yajl_gen_config(g, yajl_gen_beautify, 1);
    yajl_gen_config(g, yajl_gen_indent_string, "    ");
    yajl_gen_map_open(g);
    json_put_string(g, "name", s->name);
    json_put_string(g, "type", s->base ? "incremental" : "full");
    if (s->base)
        json_put_string(g, "since", s->base);
    json_put_string(g, "domain_name", s->domain);
    json_put_string(g, "domain_uuid", s->uuid);
    json_put_u64(g, "time", s->time);
    json_put_string(g, "checkpoint", s->name);
    json_put_u64(g, "checkpoint_sequence", s->sequence);
    json_put_bool(g, "quiesced", s->quiesced);
    json_put_string(g, "tool_version", s->version);
    json_put_key(g, "disks");
    yajl_gen_array_open(g);
    for (i = 0; i < s->num_disks; i++)
        put_disk(g, &s->disks[i]);
    yajl_gen_array_close(g);
    yajl_gen_map_close(g);
    yajl_gen_get_buf(g, &text, &len);
    out = xl_printf("%.*s", (int)len, (const char *)text);
    yajl_gen_free(g);
    return out;
}

/* --- reading --- */

static bool copy_string(yajl_val v, const char *key, char **out)
{
    const char *s = json_string(v, key);

    *out = s ? xl_strdup(s) : NULL;
    return s;
}

static const char *read_disk(struct bk_set *s, yajl_val v)
{
    const char *vdev = json_string(v, "vdev");
    const char *hash = json_string(v, "xxh64");
    struct bk_disk *d;

    if (!bk_vdev_ok(vdev) || bk_set_disk(s, vdev))
        return "a disk has no usable name";
    d = bk_set_add(s, vdev);
    if (!hash || strlen(hash) != 16 ||
        strspn(hash, "0123456789abcdef") != 16)
        return "a disk has no checksum";
    memcpy(d->xxh64, hash, 17);
    json_u64(v, "copied", &d->copied);
    if (!json_u64(v, "size", &d->size) ||
        !json_u64(v, "file_size", &d->file_size))
        return "a disk has no size";
    return NULL;
}

static const char *read_set(struct bk_set *s, yajl_val v)
{
    yajl_val disks = json_array(v, "disks");
    size_t i, n = json_length(disks);
    const char *wrong = NULL;

    if (!copy_string(v, "name", &s->name) || bk_name_problem(s->name))
        return "it has no usable name";
    copy_string(v, "since", &s->base);
    if (s->base && (bk_name_problem(s->base) || !strcmp(s->base, s->name)))
        return "what it is based on has no usable name";
    if (!copy_string(v, "domain_name", &s->domain) ||
        !copy_string(v, "domain_uuid", &s->uuid) ||
        !copy_string(v, "tool_version", &s->version))
        return "it doesn't say of which domain it is";
    if (!json_u64(v, "time", &s->time))
        return "it has no time";
    json_u64(v, "checkpoint_sequence", &s->sequence);
    s->quiesced = json_bool(v, "quiesced", false);
    if (!n || n > DISKS_MAX)
        return "it has no disks";
    for (i = 0; i < n && !wrong; i++)
        wrong = read_disk(s, json_item(disks, i));
    return wrong;
}

bool bk_set_read(struct bk_set *s, const char *text, size_t len,
                 char **problem)
{
    char err[160] = "";
    yajl_val v = json_parse(text, len, DEPTH_MAX, err, sizeof(err));
    const char *wrong = v ? read_set(s, v) : err;

    err[strcspn(err, "\n")] = '\0';
    *problem = wrong ? xl_strdup(wrong) : NULL;
    yajl_tree_free(v);
    return !wrong;
}
