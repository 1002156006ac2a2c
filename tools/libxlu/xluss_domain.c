/* SPDX-License-Identifier: LGPL-2.1-only */
/* Domains: by number, name or UUID; their configuration as JSON. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <libxl_utils.h>

#include "xluss.h"

void xlu_snapshot_domain_dispose(xlu_snapshot_domain *d)
{
    free(d->name);
    d->name = NULL;
}

bool xluss__uuid_valid(const char *s)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    size_t i;

    for (i = 0; form[i]; i++)
        if (form[i] == '-' ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
            return false;
    return !s[i];
}

static void uuid_text(const libxl_uuid *uuid, char out[37])
{
    const uint8_t *b = libxl_uuid_bytearray_const(uuid);

    snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
             "%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4], b[5],
             b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
             b[15]);
}

bool xluss__domain_is(libxl_ctx *ctx, uint32_t domid, const char *uuid,
                      libxl_dominfo *info)
{
    libxl_dominfo own;
    char text[37] = "";
    bool is;

    libxl_dominfo_init(&own);
    is = domid != XLUSS__NO_DOMID && !libxl_domain_info(ctx, &own, domid);
    if (is) {
        uuid_text(&own.uuid, text);
        is = !strcasecmp(text, uuid);
    }
    if (is && info)
        libxl_dominfo_copy(ctx, info, &own);
    libxl_dominfo_dispose(&own);
    return is;
}

int xluss__domain_by_uuid(libxl_ctx *ctx, const char *uuid,
                          uint32_t *domid_out, libxl_dominfo *info)
{
    libxl_dominfo *list;
    char text[37];
    int i, num = 0, rc = ERROR_DOMAIN_NOTFOUND;

    *domid_out = XLUSS__NO_DOMID;
    list = libxl_list_domain(ctx, &num);
    if (!list)          /* dom0 at least is always there */
        return ERROR_FAIL;
    for (i = 0; i < num; i++) {
        uuid_text(&list[i].uuid, text);
        if (strcasecmp(text, uuid))
            continue;
        *domid_out = list[i].domid;
        if (info)
            libxl_dominfo_copy(ctx, info, &list[i]);
        rc = 0;
        break;
    }
    libxl_dominfo_list_free(list, num);
    return rc;
}

/* A running domain. ERROR_DOMAIN_NOTFOUND without a word. */
static int find_running(libxl_ctx *ctx, const char *which,
                        xlu_snapshot_domain *out)
{
    libxl_dominfo info;
    uint32_t domid;
    char *end, *name;
    int rc;

    libxl_dominfo_init(&info);
    domid = strtoul(which, &end, 10);
    if (xluss__uuid_valid(which)) {
        rc = xluss__domain_by_uuid(ctx, which, &domid, &info);
    } else if (isdigit((unsigned char)*which) && !*end) {
        rc = libxl_domain_info(ctx, &info, domid);
    } else {
        rc = libxl_name_to_domid(ctx, which, &domid);
        if (!rc)
            rc = libxl_domain_info(ctx, &info, domid);
    }
    if (!rc) {
        name = libxl_domid_to_name(ctx, domid);
        uuid_text(&info.uuid, out->uuid);
        out->name = xluss__strdup(name ? name : out->uuid);
        out->domid = domid;
        free(name);
    }
    libxl_dominfo_dispose(&info);
    return rc ? ERROR_DOMAIN_NOTFOUND : 0;
}

/* Does the catalogue in folder `uuid` belong to `which`? */
static bool matches(libxl_ctx *ctx, xentoollog_logger *lg,
                    const xluss__dir *top, const char *uuid,
                    const char *which, char **name_out)
{
    xluss__dir dir = { .fd = -1 };
    xlu_snapshot_owner o;
    char *text = NULL;
    bool match = false;
    size_t len;

    xlu_snapshot_owner_init(&o);
    if (!xluss__dir_open_at(lg, top, uuid, false, &dir) &&
        !xluss__file_get(lg, &dir, "domain.json", XLUSS__DOCUMENT_MAX, &text,
                         &len) &&
        !xlu_snapshot_owner_from_json(ctx, &o, text) && o.name)
        match = !strcmp(o.name, which);
    if (!strcasecmp(uuid, which))
        match = true;
    if (match)
        *name_out = xluss__strdup(o.name ? o.name : uuid);
    free(text);
    xlu_snapshot_owner_dispose(&o);
    xluss__dir_close(&dir);
    return match;
}

/* A domain that is off. ERROR_INVAL if several had that name. */
static int find_catalogued(libxl_ctx *ctx, xentoollog_logger *lg,
                           const xluss__dir *top, const char *which,
                           xlu_snapshot_domain *out)
{
    int fd = openat(top->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int rc = ERROR_DOMAIN_NOTFOUND;
    struct dirent *de;
    char *name;

    while (dir && (de = readdir(dir))) {
        if (!xluss__uuid_valid(de->d_name) ||
            !matches(ctx, lg, top, de->d_name, which, &name))
            continue;
        if (!rc) {
            LOG(lg, ERROR, "domains %s and %s both had the name %s; give "
                "the UUID", out->uuid, de->d_name, which);
            free(name);
            rc = ERROR_INVAL;
            break;
        }
        out->domid = XLUSS__NO_DOMID;
        out->name = name;
        snprintf(out->uuid, sizeof(out->uuid), "%.36s", de->d_name);
        rc = 0;
    }
    if (dir)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
    if (rc)
        xlu_snapshot_domain_dispose(out);
    return rc;
}

int xlu_snapshot_find_domain(libxl_ctx *ctx, xentoollog_logger *lg,
                             const char *root, const char *which,
                             xlu_snapshot_domain *out)
{
    xluss__dir top = { .fd = -1 };
    int rc;

    memset(out, 0, sizeof(*out));
    out->domid = XLUSS__NO_DOMID;
    rc = find_running(ctx, which, out);
    if (rc && !xluss__dir_open(lg, root ? root : XLU_SNAPSHOT_ROOT, false,
                               &top))
        rc = find_catalogued(ctx, lg, &top, which, out);
    xluss__dir_close(&top);
    if (rc == ERROR_DOMAIN_NOTFOUND)
        LOG(lg, ERROR, "there is no domain %s, and none of that name has "
            "snapshots", which);
    return rc;
}

bool xlu_snapshot_uuid_of_name(libxl_ctx *ctx, xentoollog_logger *lg,
                               const char *root, const char *name,
                               char uuid_out[37])
{
    xluss__dir top = { .fd = -1 };
    xlu_snapshot_domain found;
    uint32_t domid;
    bool off;

    memset(&found, 0, sizeof(found));
    /* A name like a UUID would find that one, of any name. */
    if (xluss__uuid_valid(name) ||
        xluss__dir_open(lg, root ? root : XLU_SNAPSHOT_ROOT, false, &top))
        return false;
    off = !find_catalogued(ctx, lg, &top, name, &found) &&
          xluss__domain_by_uuid(ctx, found.uuid, &domid, NULL) ==
              ERROR_DOMAIN_NOTFOUND;
    if (off)
        snprintf(uuid_out, 37, "%s", found.uuid);
    xlu_snapshot_domain_dispose(&found);
    xluss__dir_close(&top);
    return off;
}

/* Whoever reads it starts the domain, which is off then. */
static int settle_disks(xlu_snapshot_catalogue *cat,
                        libxl_domain_config *config)
{
    libxl_snapshot_how how = xluss__plain_how(cat);
    int i;

    for (i = 0; i < config->num_disks; i++) {
        libxl_device_disk *d = &config->disks[i];
        char *settled;

        /* Only such a path can be another for a while. */
        if (!d->pdev_path || !strstr(d->pdev_path, ".live"))
            continue;
        settled = libxl_domain_disk_settled_path(cat->ctx, d->pdev_path,
                                                 &how);
        if (!settled)
            return ERROR_FAIL;
        free(d->pdev_path);
        d->pdev_path = settled;
    }
    return 0;
}

int xluss__domain_config_json(xlu_snapshot_catalogue *cat, uint32_t domid,
                              libxl_domain_config *config, char **json_out)
{
    int rc = libxl_retrieve_domain_configuration(cat->ctx, domid, config,
                                                 NULL);

    if (!rc)
        rc = settle_disks(cat, config);

    *json_out = rc ? NULL : libxl_domain_config_to_json(cat->ctx, config);
    if (*json_out)
        return 0;
    LOG(cat->lg, ERROR, "domain %s: its configuration can't be read",
        cat->dom.name);
    return rc ? rc : ERROR_FAIL;
}

int xluss__domain_config_parse(xlu_snapshot_catalogue *cat, const char *json,
                               const char *from, libxl_domain_config *config)
{
    libxl_uuid *uuid = &config->c_info.uuid;
    char text[37];

    if (libxl_domain_config_from_json(cat->ctx, config, json)) {
        LOG(cat->lg, ERROR, "domain %s: the configuration in %s is damaged",
            cat->dom.name, from);
        return LIBXL_SNAPSHOT_ERROR_DAMAGED;
    }
    uuid_text(uuid, text);
    if (!libxl_uuid_is_nil(uuid) && strcasecmp(text, cat->dom.uuid)) {
        LOG(cat->lg, ERROR, "domain %s: the configuration in %s is of "
            "domain %s", cat->dom.name, from, text);
        return LIBXL_SNAPSHOT_ERROR_DAMAGED;
    }
    libxl_uuid_from_string(uuid, cat->dom.uuid);
    xluss__replace(&config->c_info.name, cat->dom.name);
    return 0;
}

static libxl_disk_snapshot *find_disk(libxl_domain_snapshot_args *args,
                                      const char *vdev)
{
    int i;

    for (i = 0; i < args->num_disks; i++)
        if (args->disks[i].device.vdev &&
            !strcmp(args->disks[i].device.vdev, vdev))
            return &args->disks[i];
    return NULL;
}

static libxl_disk_snapshot *add_disk(libxl_domain_snapshot_args *args)
{
    int n = args->num_disks++;

    args->disks = xluss__realloc(args->disks,
                                 args->num_disks * sizeof(*args->disks));
    libxl_disk_snapshot_init(&args->disks[n]);
    return &args->disks[n];
}

void xluss__args_add(libxl_ctx *ctx, libxl_domain_snapshot_args *args,
                     const libxl_disk_snapshot *disk)
{
    libxl_disk_snapshot *d;

    if (!disk->device.vdev || find_disk(args, disk->device.vdev) ||
        disk->kind != LIBXL_DISK_SNAPSHOT_KIND_INTERNAL ||
        disk->u.internal.internal_path)
        return;
    d = add_disk(args);
    libxl_disk_snapshot_copy(ctx, d, disk);
    xluss__replace(&d->name, NULL);
}

/* What ANY becomes. Undoing a snapshot that isn't there is no error, so it
 * is enough not to miss one. */
static void choose_kind(libxl_disk_snapshot *d)
{
    if (d->kind != LIBXL_DISK_SNAPSHOT_KIND_ANY)
        return;
    libxl_disk_snapshot_init_kind(d, d->device.format ==
                                     LIBXL_DISK_FORMAT_QCOW2
                                  ? LIBXL_DISK_SNAPSHOT_KIND_INTERNAL
                                  : LIBXL_DISK_SNAPSHOT_KIND_NONE);
}

void xluss__args_complete(libxl_ctx *ctx, libxl_domain_snapshot_args *args,
                          const libxl_domain_config *config)
{
    int i;

    for (i = 0; i < config->num_disks; i++) {
        const libxl_device_disk *device = &config->disks[i];
        libxl_disk_snapshot *d;

        if (!device->readwrite || device->is_cdrom || !device->vdev ||
            device->format == LIBXL_DISK_FORMAT_EMPTY)
            continue;
        d = find_disk(args, device->vdev);
        if (!d)
            d = add_disk(args);
        if (!d->device.pdev_path) {
            libxl_device_disk_dispose(&d->device);
            libxl_device_disk_init(&d->device);
            libxl_device_disk_copy(ctx, &d->device, device);
        }
        choose_kind(d);
    }
}
