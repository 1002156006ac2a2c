/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Taking a domain back to a snapshot: everything is verified first; then the
 * safety point's files and the journal; then the lower library does it, and
 * each step after which the domain is no longer what it was is in the
 * journal before it begins.
 *
 * The way back, as long as the journal is there: UUID/.safety.mem (libxl's
 * stream alone) and UUID/safety.config.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "xluss.h"

#define SAFETY_MEMORY ".safety.mem"
#define SAFETY_CONFIG "safety.config"

/* What a domain is made from. */
typedef struct {
    int fd;                     /* where the stream begins; -1: no memory */
    xluss__zstd *z;             /* fd is its pipe; NULL: a file */
    libxl_domain_config config;
    libxl_domain_snapshot_args args;
} source;

static void source_init(source *src)
{
    src->fd = -1;
    src->z = NULL;
    libxl_domain_config_init(&src->config);
    libxl_domain_snapshot_args_init(&src->args);
}

/* quiet: what comes after the place where the reader stopped is no matter. */
static int source_close(source *src, bool quiet)
{
    int rc = 0;

    if (src->fd >= 0)
        close(src->fd);
    src->fd = -1;
    if (src->z)
        rc = xluss__zstd_end(src->z, quiet);
    src->z = NULL;
    return rc;
}

static void source_dispose(source *src)
{
    source_close(src, true);
    libxl_domain_config_dispose(&src->config);
    libxl_domain_snapshot_args_dispose(&src->args);
}

static int config_from_file(xlu_snapshot_catalogue *cat, const xluss__dir *d,
                            const char *file, source *src)
{
    char *path = xluss__asprintf("%s/%s", d->path, file);
    char *text = NULL;
    size_t len;
    int rc;

    rc = xluss__file_get(cat->lg, d, file, XLUSS__CONFIG_MAX, &text, &len);
    if (!rc) {
        libxl_domain_config_dispose(&src->config);
        libxl_domain_config_init(&src->config);
        rc = xluss__domain_config_parse(cat, text, path, &src->config);
    } else {
        if (rc == ERROR_NOTFOUND)
            LOG(cat->lg, ERROR, "domain %s: %s is missing", cat->dom.name,
                path);
        rc = LIBXL_SNAPSHOT_ERROR_DAMAGED;
    }
    free(text);
    free(path);
    return rc;
}

/* The configuration of a memory image is the one in it. */
static int source_open(xlu_snapshot_catalogue *cat, const xlu_snapshot *s,
                       source *src)
{
    char *json = NULL, *file;
    int rc;

    libxl_domain_snapshot_args_copy(cat->ctx, &src->args, &s->args);
    if (s->memory.path) {
        rc = xluss__image_open(cat->lg, s, &src->fd, &src->z, &json);
        if (rc)
            return rc;
        rc = xluss__domain_config_parse(cat, json, s->memory.path,
                                        &src->config);
        free(json);
        if (!rc)
            return 0;
    }
    file = xluss__file_name(s->name, ".config");
    rc = config_from_file(cat, &cat->snaps, file, src);
    free(file);
    return rc;
}

static int safety_fd(xlu_snapshot_catalogue *cat, int *fd_out)
{
    *fd_out = openat(cat->dir.fd, SAFETY_MEMORY,
                     O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (*fd_out >= 0)
        return 0;
    LOGEV(cat->lg, ERROR, errno, "domain %s: opening %s/" SAFETY_MEMORY,
          cat->dom.name, cat->dir.path);
    return LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
}

static int source_open_safety(xluss__op *op, source *src)
{
    libxl_domain_snapshot_args *args = &src->args;
    int rc;

    libxl_domain_snapshot_args_copy(op->cat->ctx, args, &op->j.safety_args);
    libxl_defbool_set(&args->memory, op->j.safety_memory);
    libxl_defbool_set(&args->paused, op->j.safety_paused);
    libxl_defbool_set(&args->leave_paused, op->j.safety_paused);
    rc = config_from_file(op->cat, &op->cat->dir, SAFETY_CONFIG, src);
    if (!rc && op->j.safety_memory)
        rc = safety_fd(op->cat, &src->fd);
    return rc;
}

/*
 * Before anything is touched: reads the image to its end. A pipe is used up
 * by this, so a compressed one is decompressed a second time for the restore.
 */
static int source_verify(xluss__op *op, const xlu_snapshot *s, source *src)
{
    xlu_snapshot_catalogue *cat = op->cat;
    int rc, rc2;
    char byte;

    rc = libxl_domain_snapshot_verify(cat->ctx, cat->dom.domid, &src->args,
                                      src->fd, &op->how, NULL);
    if (!src->z)
        return rc;
    if (!rc && read(src->fd, &byte, 1) > 0) {
        LOG(cat->lg, ERROR, "memory image %s is damaged: it goes on after "
            "its end", s->memory.path);
        rc = LIBXL_SNAPSHOT_ERROR_DAMAGED;
    }
    rc2 = source_close(src, false);
    if (!rc)
        rc = rc2;
    if (!rc)
        rc = xluss__image_reopen(cat->lg, s, &src->fd, &src->z);
    return rc;
}

/* --- the safety point --- */

/* Where the snapshot is kept is not where the safety point is: that is found
 * by its name. */
static void forget_place(libxl_disk_snapshot *d)
{
    char **place = d->kind == LIBXL_DISK_SNAPSHOT_KIND_REFLINK
                   ? &d->u.reflink.reflink_path
                   : d->kind == LIBXL_DISK_SNAPSHOT_KIND_LVM
                   ? &d->u.lvm.lvm_volume : NULL;

    if (place) {
        free(*place);
        *place = NULL;
    }
}

/* The disks are those of the snapshot, under the safety point's name. */
static void name_safety(xluss__op *op)
{
    libxl_domain_snapshot_args *args = &op->j.safety_args;
    time_t now = time(NULL);
    char stamp[32];
    struct tm tm;
    int i;

    gmtime_r(&now, &tm);
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
    libxl_domain_snapshot_args_copy(op->cat->ctx, args, &op->j.args);
    free(args->name);
    args->name = xluss__asprintf("xlss-safety-%s", stamp);
    for (i = 0; i < args->num_disks; i++) {
        if (args->disks[i].name)
            xluss__replace(&args->disks[i].name, args->name);
        forget_place(&args->disks[i]);
    }
    /* Displaced files have to stay, whoever drops the safety point. */
    xluss__places_displaced(op->cat, &op->j.args, args->name, args);
    xluss__places_displaced(op->cat, &op->j.args, args->name, &op->j.args);
    op->j.safety = true;
}

/* Room for the domain's memory? Without, the way back is the disks alone. */
static bool safety_has_room(xlu_snapshot_catalogue *cat)
{
    uint64_t need, have;
    libxl_dominfo info;
    bool room;

    libxl_dominfo_init(&info);
    room = xluss__domain_is(cat->ctx, cat->dom.domid, cat->dom.uuid, &info) &&
           !xluss__dir_space(cat->lg, &cat->dir, &have);
    need = info.current_memkb * 1024;
    libxl_dominfo_dispose(&info);
    if (room && have > need + need / 64)
        return true;
    LOG(cat->lg, WARN, "domain %s: no space in %s to keep its memory during "
        "the revert; if the revert fails, only its disks can go back",
        cat->dom.name, cat->dir.path);
    return false;
}

/* The journal's part of it; *json_out is the domain's configuration. */
static int safety_plan(xluss__op *op, libxl_domain_snapshot_safety *safety,
                       char **json_out)
{
    xlu_snapshot_catalogue *cat = op->cat;
    libxl_domain_config config;
    int rc;

    name_safety(op);
    safety->name = xluss__strdup(op->j.safety_args.name);
    libxl_domain_config_init(&config);
    rc = xluss__domain_config_json(cat, cat->dom.domid, &config, json_out);
    libxl_domain_config_dispose(&config);
    return rc;
}

static int safety_files(xluss__op *op, libxl_domain_snapshot_safety *safety,
                        const char *json)
{
    xlu_snapshot_catalogue *cat = op->cat;
    int rc;

    rc = xluss__file_put(cat->lg, &cat->dir, SAFETY_CONFIG, json,
                         strlen(json), false);
    if (rc)
        return rc;
    rc = xluss__file_drop(cat->lg, &cat->dir, SAFETY_MEMORY);
    if (rc || !safety_has_room(cat))
        return rc;
    return xluss__file_new(cat->lg, &cat->dir, SAFETY_MEMORY,
                           &safety->memory_fd);
}

static void safety_dispose(libxl_domain_snapshot_safety *safety)
{
    if (safety->memory_fd >= 0)
        close(safety->memory_fd);
    libxl_domain_snapshot_safety_dispose(safety);
}

/* Before the domain goes, the way back must be on the disk. */
static int note_safety(xluss__op *op, libxl_snapshot_step step)
{
    libxl_domain_snapshot_safety *safety = op->owner;
    int e;

    if (!safety || step < LIBXL_SNAPSHOT_STEP_DESTROY)
        return 0;
    op->j.safety_memory = safety->memory;
    op->j.safety_paused = safety->paused;
    if (step != LIBXL_SNAPSHOT_STEP_DESTROY || !safety->memory ||
        !fsync(safety->memory_fd))
        return 0;
    e = errno;
    LOGEV(op->cat->lg, ERROR, e, "fsync of %s/" SAFETY_MEMORY,
          op->cat->dir.path);
    return xluss__rc(e);
}

static int drop_safety_files(xlu_snapshot_catalogue *cat)
{
    int rc = xluss__file_drop(cat->lg, &cat->dir, SAFETY_MEMORY);

    return rc ? rc : xluss__file_drop(cat->lg, &cat->dir, SAFETY_CONFIG);
}

int xluss__safety_drop(xluss__op *op, uint32_t domid)
{
    xlu_snapshot_catalogue *cat = op->cat;
    libxl_snapshot_how how = xluss__plain_how(cat);
    int rc = 0;

    if (op->j.safety)
        rc = libxl_domain_snapshot_delete(cat->ctx, domid,
                                          &op->j.safety_args, &how, NULL);
    return rc ? rc : drop_safety_files(cat);
}

/* --- the revert --- */

static void set_steps(xluss__op *op, libxl_domain_snapshot_safety *safety)
{
    op->owner = safety;
    op->prepare = note_safety;
    /* Not INSTANT and RESUME: the guest is stopped, or about to run on. */
    op->steps = 1u << LIBXL_SNAPSHOT_STEP_SUSPEND |
                1u << LIBXL_SNAPSHOT_STEP_DESTROY |
                1u << LIBXL_SNAPSHOT_STEP_DISKS |
                1u << LIBXL_SNAPSHOT_STEP_RESTORE |
                1u << LIBXL_SNAPSHOT_STEP_UNPAUSE |
                1u << LIBXL_SNAPSHOT_STEP_CLEAN |
                1u << LIBXL_SNAPSHOT_STEP_BACK;
}

static int run(xluss__op *op, uint32_t domid, source *src,
               libxl_domain_snapshot_safety *safety)
{
    uint32_t new_domid = XLUSS__NO_DOMID;
    int rc;

    set_steps(op, safety);
    rc = libxl_domain_snapshot_revert(op->cat->ctx, domid, &src->config,
                                      &src->args, src->fd, op->j.force,
                                      safety, &new_domid, &op->how, NULL);
    if (!rc || rc == LIBXL_SNAPSHOT_ERROR_WENT_BACK)
        op->cat->dom.domid = new_domid;
    return rc;
}

/* Did it fail with the domain still there, as it was? */
static bool untouched(const xluss__op *op)
{
    if (!op->any || op->last < LIBXL_SNAPSHOT_STEP_DESTROY)
        return true;
    return op->last == LIBXL_SNAPSHOT_STEP_DESTROY &&
           xluss__domain_is(op->cat->ctx, op->j.domid, op->cat->dom.uuid,
                            NULL);
}

int xluss__revert_finish(xluss__op *op, bool went_back)
{
    xlu_snapshot_catalogue *cat = op->cat;
    int rc = 0;

    if (!went_back)
        rc = xluss__places_follow(cat, op->j.safety_args.name);
    if (!rc && !went_back)
        rc = xluss__store_current(cat, op->j.name);
    if (!rc)
        rc = drop_safety_files(cat);
    if (!rc)
        rc = xluss__journal_end(cat);
    if (!rc)
        return 0;
    LOG(cat->lg, ERROR, "domain %s, snapshot %s: the revert is done, but not "
        "all files of it could be put in order; the next command does that",
        cat->dom.name, op->j.name);
    return LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
}

/* It failed after the old domain was destroyed. */
static int stuck(xluss__op *op)
{
    xlu_snapshot_catalogue *cat = op->cat;
    bool built = op->last == LIBXL_SNAPSHOT_STEP_UNPAUSE ||
                 op->last == LIBXL_SNAPSHOT_STEP_CLEAN;

    LOG(cat->lg, ERROR, "domain %s, snapshot %s: the revert failed with the "
        "domain %s; the next command tries it again", cat->dom.name,
        op->j.name, built ? "restored, but paused" : "off");
    if (built) {
        xluss__replace(&op->j.step, libxl_snapshot_step_to_string(
                                        LIBXL_SNAPSHOT_STEP_UNPAUSE));
        xluss__journal_write(op);
    }
    return LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR;
}

static int conclude(xluss__op *op, int rc)
{
    xlu_snapshot_catalogue *cat = op->cat;
    int rc2;

    if (rc == LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR)
        return rc;
    if (!rc)
        return xluss__revert_finish(op, false);
    if (rc == LIBXL_SNAPSHOT_ERROR_WENT_BACK) {
        rc2 = xluss__safety_drop(op, cat->dom.domid);
    } else if (untouched(op)) {
        rc2 = 0;
    } else {
        return stuck(op);
    }
    if (!rc2)
        rc2 = xluss__revert_finish(op, true);
    return rc2 ? LIBXL_SNAPSHOT_ERROR_NEEDS_REPAIR : rc;
}

static bool is_paused(xlu_snapshot_catalogue *cat)
{
    libxl_dominfo info;
    bool paused;

    libxl_dominfo_init(&info);
    paused = xluss__domain_is(cat->ctx, cat->dom.domid, cat->dom.uuid,
                              &info) && info.paused;
    libxl_dominfo_dispose(&info);
    return paused;
}

static void fill_journal(xluss__op *op, const xlu_snapshot *s,
                         const xlu_snapshot_revert_args *args)
{
    libxl_defbool paused = args->paused;

    if (libxl_defbool_is_default(paused))
        paused = s->args.paused;
    libxl_defbool_setdefault(&paused, false);
    op->j.domid = op->cat->dom.domid;
    op->j.leave_paused = libxl_defbool_val(paused);
    op->j.force = args->force;
    op->j.safety_paused = is_paused(op->cat);
    op->j.memory_path = xluss__strdup(s->memory.path);
    libxl_domain_snapshot_args_copy(op->cat->ctx, &op->j.args, &s->args);
    xluss__keep_others(op->cat, s->name, &op->j.args);
}

/* The files that are displaced need a name even where there is no way back:
 * the domain is off. */
static void name_displaced(xluss__op *op,
                           libxl_domain_snapshot_safety *safety)
{
    name_safety(op);
    op->j.safety = false;
    safety->name = xluss__strdup(op->j.safety_args.name);
    safety->taken = true;
}

static int revert(xluss__op *op, const xlu_snapshot *s,
                  const xlu_snapshot_revert_args *args)
{
    xlu_snapshot_catalogue *cat = op->cat;
    uint32_t domid = cat->dom.domid;
    libxl_domain_snapshot_safety safety;
    char *json = NULL;
    bool displaces;
    source src;
    int rc;

    source_init(&src);
    libxl_domain_snapshot_safety_init(&safety);
    fill_journal(op, s, args);
    rc = source_open(cat, s, &src);
    if (rc) goto out;
    libxl_defbool_set(&src.args.leave_paused, op->j.leave_paused);
    rc = source_verify(op, s, &src);
    if (rc) goto out;

    displaces = xluss__places_displaced(cat, &op->j.args, NULL, NULL) > 0;
    /* A domain that is off has nothing to go back to but its disks. */
    if ((!args->no_safety || displaces) && domid != XLUSS__NO_DOMID)
        rc = safety_plan(op, &safety, &json);
    else if (displaces)
        name_displaced(op, &safety);
    if (!rc)
        rc = xluss__journal_begin(op);
    if (rc) goto out;
    if (json)
        rc = safety_files(op, &safety, json);
    xluss__keep_copy(&src.args, &op->j.args);
    if (!rc)
        rc = run(op, domid, &src, safety.name ? &safety : NULL);
    rc = conclude(op, rc);
out:
    free(json);
    safety_dispose(&safety);
    source_dispose(&src);
    return rc;
}

/* For recovery: the domain is off; the safety point was taken then. */
int xluss__revert_again(xluss__op *op, bool back)
{
    libxl_domain_snapshot_safety safety;
    const xlu_snapshot *s;
    source src;
    int rc;

    source_init(&src);
    libxl_domain_snapshot_safety_init(&safety);
    if (back) {
        rc = source_open_safety(op, &src);
    } else {
        rc = xlu_snapshot_get(op->cat, op->j.name, &s);
        if (!rc)
            rc = source_open(op->cat, s, &src);
        libxl_defbool_set(&src.args.leave_paused, op->j.leave_paused);
    }
    if (!rc)
        xluss__keep_copy(&src.args, &op->j.args);
    if (!rc && !back && op->j.safety_args.name) {
        safety.name = xluss__strdup(op->j.safety_args.name);
        safety.taken = true;
        safety.memory = op->j.safety_memory;
        safety.paused = op->j.safety_paused;
        if (safety.memory)
            rc = safety_fd(op->cat, &safety.memory_fd);
    }
    if (!rc)
        rc = run(op, XLUSS__NO_DOMID, &src, safety.name ? &safety : NULL);
    safety_dispose(&safety);
    source_dispose(&src);
    return rc;
}

int xlu_snapshot_revert(xlu_snapshot_catalogue *cat, const char *name,
                        const xlu_snapshot_revert_args *args,
                        const libxl_snapshot_how *how, uint32_t *domid_out)
{
    static const xlu_snapshot_revert_args none;
    const xlu_snapshot *s;
    xluss__op op;
    int rc, rc2;

    if (domid_out)
        *domid_out = XLUSS__NO_DOMID;
    rc = xluss__begin(cat, how);
    if (rc)
        return rc;
    rc = xlu_snapshot_get(cat, name, &s);
    if (rc)
        return rc;
    if (s->no_revert) {
        LOG(cat->lg, ERROR, "domain %s, snapshot %s: no revert is possible: "
            "%s", cat->dom.name, name, s->no_revert);
        return LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE;
    }
    xluss__op_init(&op, cat, XLU_SNAPSHOT_OPERATION_REVERT, name, how);
    rc = revert(&op, s, args ? args : &none);
    xluss__op_dispose(&op);
    if (domid_out)
        *domid_out = cat->dom.domid;
    rc2 = xluss__load(cat);
    return rc ? rc : rc2;
}
