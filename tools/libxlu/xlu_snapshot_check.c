/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-check: catalogue, images, QEMU and what was left behind, compared.
 * The checks are a table; each changes nothing. A finding says what a repair
 * does about it (xlu_snapshot_repair.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "xluss_check.h"

/* In the order in which they are told. */
static void (*const checks[])(xluss__check *c) = {
    xluss__check_domain,
    xluss__check_files,
    xluss__check_documents,
    xluss__check_memory,
    xluss__check_disks,
    xluss__check_chains,
    xluss__check_tree,
    xluss__check_exports,
    xluss__check_backups,
    xluss__check_scratch,
    xluss__check_checkpoints,
};

/* --- the ear --- */

static void hear(xentoollog_logger *lg, xentoollog_level level, int errnoval,
                 const char *context, const char *format, va_list al)
    __attribute__((format(printf, 5, 0)));

static void hear(xentoollog_logger *lg, xentoollog_level level, int errnoval,
                 const char *context, const char *format, va_list al)
{
    xluss__ear *ear = (xluss__ear *)lg;
    char *text;

    (void)context;
    if (level < XTL_ERROR || vasprintf(&text, format, al) < 0)
        return;
    free(ear->text);
    ear->text = text;
    if (errnoval >= 0) {
        ear->text = xluss__asprintf("%s: %s", text, strerror(errnoval));
        free(text);
    }
}

void xluss__ear_init(xluss__ear *ear)
{
    memset(ear, 0, sizeof(*ear));
    ear->vtable.vmessage = hear;
}

void xluss__ear_dispose(xluss__ear *ear)
{
    free(ear->text);
    ear->text = NULL;
}

const char *xluss__ear_text(xluss__ear *ear, int rc)
{
    return ear->text ? ear->text : libxl_snapshot_strerror(rc);
}

/* --- findings --- */

xlu_snapshot_finding *
xluss__found(xluss__check *c, xlu_snapshot_finding_kind kind,
             const char *snapshot, const char *subject, const char *repair,
             const char *fmt, ...)
{
    xlu_snapshot_findings *out = c->out;
    xlu_snapshot_finding *f;
    va_list ap;

    out->findings = xluss__realloc(out->findings, (out->num_findings + 1) *
                                   sizeof(*out->findings));
    f = &out->findings[out->num_findings++];
    xlu_snapshot_finding_init(f);
    f->kind = kind;
    f->degree = repair ? XLU_SNAPSHOT_DEGREE_REPAIR
                       : XLU_SNAPSHOT_DEGREE_DAMAGE;
    f->domain = xluss__strdup(c->cat->dom.name);
    f->snapshot = xluss__strdup(snapshot);
    f->subject = xluss__strdup(subject);
    f->repair = xluss__strdup(repair);
    va_start(ap, fmt);
    if (vasprintf(&f->text, fmt, ap) < 0)
        abort();
    va_end(ap);
    return f;
}

void xluss__only_note(xlu_snapshot_finding *f)
{
    f->degree = XLU_SNAPSHOT_DEGREE_NOTE;
}

/* --- images --- */

const char *xluss__internal_path(const libxl_disk_snapshot *d)
{
    return d->kind == LIBXL_DISK_SNAPSHOT_KIND_INTERNAL &&
           d->u.internal.internal_path ? d->u.internal.internal_path
                                       : d->device.pdev_path;
}

static void read_image(xluss__check *c, const libxl_disk_snapshot *d,
                       xluss__checked_image *im)
{
    libxl_device_disk device;

    libxl_device_disk_init(&device);
    libxl_device_disk_copy(c->cat->ctx, &device, &d->device);
    xluss__replace(&device.pdev_path, im->path);
    xluss__ear_dispose(&c->ear);
    im->rc = libxl_disk_snapshot_list(c->cat->ctx, &device, &im->snaps,
                                      &im->num_snaps, &c->how);
    if (im->rc == ERROR_NOTFOUND)
        im->why = xluss__asprintf("the image %s is gone", im->path);
    else if (im->rc)
        im->why = xluss__strdup(xluss__ear_text(&c->ear, im->rc));
    libxl_device_disk_dispose(&device);
}

const xluss__checked_image *xluss__check_image(xluss__check *c,
                                               const libxl_disk_snapshot *d)
{
    const char *path = xluss__internal_path(d);
    xluss__checked_image *im;
    int i;

    for (i = 0; i < c->num_images; i++)
        if (!strcmp(c->images[i].path, path ? path : ""))
            return &c->images[i];
    c->images = xluss__realloc(c->images, (c->num_images + 1) *
                               sizeof(*c->images));
    im = &c->images[c->num_images++];
    memset(im, 0, sizeof(*im));
    im->path = xluss__strdup(path ? path : "");
    read_image(c, d, im);
    return im;
}

bool xluss__image_holds(const xluss__checked_image *im, const char *name)
{
    int i;

    for (i = 0; name && i < im->num_snaps; i++)
        if (!strcmp(im->snaps[i].name, name))
            return true;
    return false;
}

bool xluss__is_safety(const char *name)
{
    return !strncmp(name, LIBXL_SNAPSHOT_SAFETY_PREFIX "-",
                    strlen(LIBXL_SNAPSHOT_SAFETY_PREFIX "-"));
}

void xluss__check_dispose(xluss__check *c)
{
    int i, j;

    for (i = 0; i < c->num_images; i++) {
        for (j = 0; j < c->images[i].num_snaps; j++)
            libxl_disk_snapshot_dispose(&c->images[i].snaps[j]);
        free(c->images[i].snaps);
        free(c->images[i].path);
        free(c->images[i].why);
    }
    free(c->images);
    xluss__ear_dispose(&c->ear);
}

/* --- the whole --- */

/* While it is held nobody writes; those who only look may be several. */
static int lock_shared(xlu_snapshot_catalogue *cat, int *fd_out)
{
    *fd_out = -1;
    if (cat->lock_fd >= 0 || cat->dir.fd < 0)
        return 0;
    *fd_out = openat(cat->dir.fd, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (*fd_out < 0 || !flock(*fd_out, LOCK_SH | LOCK_NB))
        return 0;
    close(*fd_out);
    *fd_out = -1;
    LOG(cat->lg, ERROR, "domain %s is busy: an operation on its snapshots is "
        "under way", cat->dom.name);
    return LIBXL_SNAPSHOT_ERROR_BUSY;
}

/* What is half done looks wrong everywhere: all else comes after that. */
static bool check_interrupted(xluss__check *c)
{
    xlu_snapshot_catalogue *cat = c->cat;
    xlu_snapshot_journal j;
    char *text;
    size_t len;

    if (!xluss__file_exists(&cat->dir, "journal"))
        return false;
    xlu_snapshot_journal_init(&j);
    if (!xluss__file_get(NULL, &cat->dir, "journal", XLUSS__CONFIG_MAX,
                         &text, &len)) {
        if (!xlu_snapshot_journal_from_json(cat->ctx, &j, text) &&
            xluss__journal_is_whole(&j))
            xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_INTERRUPTED, j.name,
                         "journal", "it is finished, or undone",
                         "an operation on %s%s (%s) was interrupted",
                         j.name ? "snapshot " : "the disks",
                         j.name ? j.name : "",
                         xlu_snapshot_operation_to_string(j.operation));
        free(text);
    }
    if (!c->out->num_findings)
        xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_INTERRUPTED, NULL,
                     "journal.damaged", "it is renamed to journal.damaged, "
                     "and what was left is looked for",
                     "an operation was interrupted, and %s/journal doesn't "
                     "say which: it is damaged", cat->dir.path);
    xlu_snapshot_journal_dispose(&j);
    return true;
}

/* With the domain off, its checkpoint may have to wait. */
static void check_pull(xluss__check *c)
{
    if (c->cat->dom.domid == XLUSS__NO_DOMID)
        xluss__only_note(xluss__found(
            c, XLU_SNAPSHOT_FINDING_KIND_INTERRUPTED, NULL, "pull.json",
            NULL, "a pull backup ended with the domain; its checkpoint is "
            "undone when the domain runs again"));
    else
        xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_INTERRUPTED, NULL,
                     "pull.json", "it is undone, or finished",
                     "the start or the end of a pull backup was "
                     "interrupted");
}

int xlu_snapshot_check(xlu_snapshot_catalogue *cat, bool deep,
                       xlu_snapshot_findings *out)
{
    xluss__check c = { .cat = cat, .deep = deep, .out = out };
    size_t i;
    int fd, rc;

    xlu_snapshot_findings_dispose(out);
    xlu_snapshot_findings_init(out);
    rc = lock_shared(cat, &fd);
    if (rc)
        return rc;
    /* It may have been changed since it was opened. */
    rc = xluss__load(cat);
    xluss__ear_init(&c.ear);
    c.how.lg = &c.ear.vtable;
    if (!rc && check_interrupted(&c))
        xluss__check_domain(&c);
    else if (!rc)
        for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
            checks[i](&c);
    if (!rc && xluss__pull_interrupted(cat))
        check_pull(&c);
    xluss__check_dispose(&c);
    if (fd >= 0)
        close(fd);
    return rc;
}
