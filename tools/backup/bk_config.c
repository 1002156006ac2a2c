/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxl's JSON as a file that `xl create` takes: xl has no command for that.
 * Only what a domain can't do without; the JSON lies beside it, whole.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bk.h"
#include "json.h"

#define DEPTH_MAX 64

struct text {
    char *s;
};

__attribute__((format(printf, 2, 3)))
static void add(struct text *t, const char *fmt, ...)
{
    char *more = NULL, *all;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&more, fmt, ap) < 0)
        abort();
    va_end(ap);
    all = xl_printf("%s%s", t->s ? t->s : "", more);
    free(more);
    free(t->s);
    t->s = all;
}

/* xl.cfg has no way to write these in a string. */
static bool writable(const char *s)
{
    return s && *s && !strpbrk(s, "\"'\\\n\r");
}

static void add_string(struct text *t, const char *key, yajl_val v,
                       const char *member)
{
    const char *s = json_string(v, member);

    if (writable(s))
        add(t, "%s = \"%s\"\n", key, s);
}

/* on_reboot = "rename-restart" is written with another line in JSON. */
static void add_action(struct text *t, const char *key, yajl_val v)
{
    const char *s = json_string(v, key);
    char *word = writable(s) ? xl_strdup(s) : NULL, *p;

    for (p = word; p && *p; p++)
        if (*p == '_')
            *p = '-';
    if (word)
        add(t, "%s = \"%s\"\n", key, word);
    free(word);
}

static void add_memory(struct text *t, yajl_val b)
{
    uint64_t max = 0, now = 0, cpus = 0;

    json_u64(b, "max_memkb", &max);
    if (!json_u64(b, "target_memkb", &now))
        now = max;
    json_u64(b, "max_vcpus", &cpus);
    if (now)
        add(t, "memory = %llu\n", (unsigned long long)(now + 1023) / 1024);
    if (max > now)
        add(t, "maxmem = %llu\n", (unsigned long long)(max + 1023) / 1024);
    if (cpus)
        add(t, "vcpus = %llu\n", (unsigned long long)cpus);
}

static void add_boot(struct text *t, yajl_val b, const char *type)
{
    char *key = xl_printf("type.%s", type);
    yajl_val u = json_object(b, key);

    free(key);
    add_string(t, "kernel", b, "kernel");
    add_string(t, "ramdisk", b, "ramdisk");
    add_string(t, "extra", b, "cmdline");
    add_string(t, "bootloader", b, "bootloader");
    if (!strcmp(type, "hvm")) {
        add_string(t, "bios", u, "bios");
        add_string(t, "boot", u, "boot");
        add_string(t, "serial", u, "serial");
    }
}

/* libxl writes such as numbers. */
static bool is_set(yajl_val v, const char *key)
{
    uint64_t n = 0;

    return json_u64(v, key, &n) ? n != 0 : json_bool(v, key, false);
}

/* False: it can't be written, so nothing is right. */
static bool add_disk(struct text *t, yajl_val d, const char *folder,
                     const struct bk_set *s, const char *format)
{
    const char *vdev = json_string(d, "vdev"), *path, *was;
    bool ours = vdev && bk_set_disk(s, vdev);
    char *own = ours ? xl_printf("%s/%s.%s", folder, vdev, format) : NULL;
    bool good;

    path = own ? own : json_string(d, "pdev_path");
    was = own ? format : json_string(d, "format");
    good = writable(vdev) && (!path || !*path || writable(path));
    if (good && path && *path)
        add(t, "    \"format=%s,vdev=%s,access=%s%s,target=%s\",\n",
            writable(was) ? was : "raw", vdev,
            ours || is_set(d, "readwrite") ? "rw" : "ro",
            is_set(d, "is_cdrom") ? ",devtype=cdrom" : "", path);
    free(own);
    return good;
}

static void add_nic(struct text *t, yajl_val n)
{
    static const char *const keys[] = { "mac", "bridge", "model", "ip",
                                        "script" };
    bool first = true;
    size_t i;

    add(t, "    \"");
    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *s = json_string(n, keys[i]);

        if (!writable(s) || strchr(s, ','))
            continue;
        add(t, "%s%s=%s", first ? "" : ",", keys[i], s);
        first = false;
    }
    add(t, "\",\n");
}

char *bk_config_write(const char *json, const char *folder,
                      const struct bk_set *s, const char *format)
{
    static const char *const actions[] = { "on_poweroff", "on_reboot",
                                           "on_crash", "on_watchdog" };
    char err[160];
    yajl_val v = json_parse(json, strlen(json), DEPTH_MAX, err, sizeof(err));
    yajl_val c = json_object(v, "c_info"), b = json_object(v, "b_info");
    yajl_val disks = json_array(v, "disks"), nics = json_array(v, "nics");
    const char *type = json_string(c, "type");
    struct text t = { NULL };
    bool good = writable(type) && writable(json_string(c, "name"));
    size_t i;

    if (good) {
        add(&t, "# Made of " BK_CONFIG " by xl backup-restore: what a "
            "domain can't do without.\n");
        add_string(&t, "name", c, "name");
        add_string(&t, "uuid", c, "uuid");
        add_string(&t, "type", c, "type");
        add_memory(&t, b);
        add_boot(&t, b, type);
        for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
            add_action(&t, actions[i], v);
        add(&t, "disk = [\n");
    }
    for (i = 0; good && i < json_length(disks); i++)
        good = add_disk(&t, json_item(disks, i), folder, s, format);
    if (good)
        add(&t, "]\nvif = [\n");
    for (i = 0; good && i < json_length(nics); i++)
        add_nic(&t, json_item(nics, i));
    if (good)
        add(&t, "]\n");
    yajl_tree_free(v);
    if (good)
        return t.s;
    free(t.s);
    return NULL;
}
