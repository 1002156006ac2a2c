/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What libxl remembers of a disk's path, put right after the disk has moved:
 *   libxl-json   what `xl list -l`, save, migrate and reboot use
 *   xl           a configuration stored by `xl config-update`; wins at reboot
 *   xenstore     params, at libxl's side and the backend's: `xl block-list`
 *
 * libxl.h says that applications shall leave libxl-json alone; libxl has no
 * call that says "this disk's chain was changed", so there is no other way.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "files.h"

#define TRIES 5
#define CHANGES_LOCK "libxl-device-changes-lock"

static libxl_device_disk *find(libxl_domain_config *config, const char *vdev)
{
    int i;

    for (i = 0; i < config->num_disks; i++)
        if (config->disks[i].vdev && !strcmp(config->disks[i].vdev, vdev))
            return &config->disks[i];
    return NULL;
}

void libxlss__config_set(libxl_domain_config *config, const char *vdev,
                         const char *path, libxl_disk_format format)
{
    libxl_device_disk *disk = find(config, vdev);

    if (!disk)
        return;
    free(disk->pdev_path);
    disk->pdev_path = strdup(path);
    disk->format = format;
}

static int get_json(struct libxlss__op *op, libxl_domain_config *config)
{
    uint8_t *data = NULL;
    int len = 0, rc;

    libxl_domain_config_init(config);
    rc = libxl_userdata_retrieve(op->ctx, op->domid, "libxl-json", &data,
                                 &len);
    if (!rc && (!data || !len))
        rc = ERROR_JSON_CONFIG_EMPTY;
    if (!rc)
        rc = libxl_domain_config_from_json(op->ctx, config,
                                           (const char *)data);
    free(data);
    if (rc)
        LOG_ERROR(op, "cannot read the configuration that libxl keeps of "
                  "the domain: %s", libxl_snapshot_strerror(rc));
    return rc;
}

static bool is_so(libxl_domain_config *config, const char *vdev,
                  const char *path, libxl_disk_format format)
{
    const libxl_device_disk *disk = find(config, vdev);

    return !disk || (disk->pdev_path && !strcmp(disk->pdev_path, path) &&
                     disk->format == format);
}

static int put_json(struct libxlss__op *op, libxl_domain_config *config)
{
    char *json = libxl_domain_config_to_json(op->ctx, config);
    int rc;

    if (!json)
        return ERROR_FAIL;
    /* libxl counts the NUL. */
    rc = libxl_userdata_store(op->ctx, op->domid, "libxl-json",
                              (const uint8_t *)json, strlen(json) + 1);
    free(json);
    return rc;
}

/* libxl's lock on it is taken inside each call; another may come between
 * (xl mem-set, block-attach), so it is read once more. */
static int set_json(struct libxlss__op *op, const char *vdev,
                    const char *path, libxl_disk_format format)
{
    libxl_domain_config config;
    int rc = 0, tries;
    bool done = false;

    for (tries = 0; !rc && !done && tries < TRIES; tries++) {
        rc = get_json(op, &config);
        done = !rc && is_so(&config, vdev, path, format);
        if (!rc && !done) {
            libxlss__config_set(&config, vdev, path, format);
            rc = put_json(op, &config);
        }
        libxl_domain_config_dispose(&config);
    }
    if (!rc && !done)
        rc = ERROR_FAIL;
    if (rc)
        LOG_ERROR(op, "disk %s: libxl could not be told its new path %s: %s",
                  vdev, path, libxl_snapshot_strerror(rc));
    return rc;
}

/* --- a stored configuration, in xl's syntax --- */

static bool ends_path(char c)
{
    return !c || isspace((unsigned char)c) || strchr(",'\"]", c);
}

static bool begins_path(const char *text, const char *at)
{
    return at == text || isspace((unsigned char)at[-1]) ||
           strchr("'\"=:,[", at[-1]);
}

static const char *next_path(const char *text, const char *from,
                             const char *path)
{
    size_t len = strlen(path);
    const char *at = from;

    while ((at = strstr(at, path))) {
        if (begins_path(text, at) && ends_path(at[len]))
            return at;
        at += len;
    }
    return NULL;
}

static char *replaced(struct libxlss__op *op, const char *text,
                      const char *from, const char *to)
{
    char *out = libxlss__strdup(op, "");
    const char *at, *rest = text;

    while ((at = next_path(text, rest, from))) {
        out = libxlss__printf(op, "%s%.*s%s", out, (int)(at - rest), rest,
                              to);
        rest = at + strlen(from);
    }
    return libxlss__printf(op, "%s%s", out, rest);
}

static int get_stored(struct libxlss__op *op, char **text_r)
{
    uint8_t *data = NULL;
    int len = 0, rc;

    *text_r = NULL;
    rc = libxl_userdata_retrieve(op->ctx, op->domid, "xl", &data, &len);
    if (!rc && data && len > 0)
        *text_r = libxlss__printf(op, "%.*s", len, (const char *)data);
    free(data);
    if (rc)
        LOG_ERROR(op, "cannot read the configuration that xl has stored for "
                  "the domain: %s", libxl_snapshot_strerror(rc));
    return rc;
}

int libxlss__config_can_move(struct libxlss__op *op, const char *vdev,
                             const char *path, bool format_changes)
{
    char *text;
    int rc = get_stored(op, &text);

    if (rc || !text)
        return rc;
    if (!format_changes && next_path(text, text, path))
        return 0;
    LOG_ERROR(op, "disk %s: the configuration stored by `xl config-update` "
              "can't be given the new path of %s; restart the domain first, "
              "which uses that configuration up", vdev, path);
    return XLSS(NOT_POSSIBLE);
}

static int set_stored(struct libxlss__op *op, const char *vdev,
                      const char *from, const char *to)
{
    char *text;
    int rc = get_stored(op, &text);

    if (rc || !text || !next_path(text, text, from))
        return rc;
    text = replaced(op, text, from, to);
    rc = libxl_userdata_store(op->ctx, op->domid, "xl",
                              (const uint8_t *)text, strlen(text));
    if (rc)
        LOG_ERROR(op, "disk %s: cannot store the configuration with its new "
                  "path %s: %s", vdev, to, libxl_snapshot_strerror(rc));
    return rc;
}

/* --- xenstore --- */

static const char *prefix_of(libxl_disk_format format)
{
    /* libxl's words, which QEMU's xen-block reads. */
    return format == LIBXL_DISK_FORMAT_RAW ? "aio"
                                           : libxl_disk_format_to_string(format);
}

static bool write_params(struct libxlss__op *op, const char *backend,
                         uint32_t devid, const char *params)
{
    char *ours = libxlss__printf(op, "/libxl/%u/device/vbd/%u/params",
                                 op->domid, devid);
    char *theirs = libxlss__printf(op, "%s/params", backend);
    bool done;

    do {
        xs_transaction_t t = xs_transaction_start(op->xs);

        if (t == XBT_NULL)
            return false;
        done = xs_write(op->xs, t, ours, params, strlen(params)) &&
               xs_write(op->xs, t, theirs, params, strlen(params));
        if (!xs_transaction_end(op->xs, t, !done)) {
            if (errno != EAGAIN)
                return false;
            done = false;
            continue;
        }
        return done;
    } while (true);
}

static int set_xenstore(struct libxlss__op *op, const char *vdev,
                        const char *path, libxl_disk_format format)
{
    libxl_device_disk disk;
    libxl_diskinfo info;
    char *params;
    int rc;

    libxl_device_disk_init(&disk);
    libxl_diskinfo_init(&info);
    rc = libxl_vdev_to_device_disk(op->ctx, op->domid, vdev, &disk);
    if (!rc)
        rc = libxl_device_disk_getinfo(op->ctx, op->domid, &disk, &info);
    params = libxlss__printf(op, "%s:%s", prefix_of(format), path);
    if (!rc && (!info.backend ||
                !write_params(op, info.backend, info.devid, params)))
        rc = ERROR_FAIL;
    if (rc)
        LOG_ERROR(op, "disk %s: xenstore could not be told its new path %s",
                  vdev, path);
    libxl_diskinfo_dispose(&info);
    libxl_device_disk_dispose(&disk);
    return rc;
}

int libxlss__config_move(struct libxlss__op *op, const char *vdev,
                         const char *from, const char *to,
                         libxl_disk_format format)
{
    int lock, rc;

    /* Keeps out who reads or changes it for long. */
    rc = libxlss__libxl_lock(op, CHANGES_LOCK,
                             libxlss__now_ms() + XLSS_QMP_TIMEOUT_MS, &lock);
    if (rc)
        return rc;
    rc = set_json(op, vdev, to, format);
    if (!rc)
        rc = set_stored(op, vdev, from, to);
    libxlss__libxl_unlock(op, CHANGES_LOCK, lock);
    if (!rc)
        rc = set_xenstore(op, vdev, to, format);
    if (!rc)
        libxlss__config_set(&op->config, vdev, to, format);
    return rc;
}
