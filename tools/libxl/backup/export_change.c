/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxl_domain_block_export_add and _remove: a server gains disks of its view,
 * or loses one, while clients read the others. It has connections for all of
 * them from its start, so QEMU isn't told of it.
 */
#include <stdlib.h>
#include <string.h>

#include "block_export.h"

struct change {
    libxl_ctx *ctx;
    uint32_t domid;
    libxl_block_export *args;
    const libxl_snapshot_how *how;
};

/* The domain's export; *e: initialised. */
static int find(struct libxlss__op *op, const char *id, libxl_block_export *e)
{
    libxl_block_export_list list;
    int i, rc = ERROR_NOTFOUND;

    libxl_block_export_list_init(&list);
    libxlss__export_read_all(op, op->uuid, &list);
    for (i = 0; id && i < list.num_exports; i++)
        if (!strcmp(list.exports[i].id, id)) {
            libxl_block_export_copy(op->ctx, e, &list.exports[i]);
            rc = 0;
        }
    libxl_block_export_list_dispose(&list);
    if (rc)
        LOG_ERROR(op, "there is no export %s", id ? id : "(none named)");
    return rc;
}

/* With a server, and a QEMU behind it. */
static int find_alive(struct libxlss__op *op, const char *id,
                      libxl_block_export *e)
{
    int rc = libxlss__oplock(op, op->how ? op->how->wait_seconds : 0);

    if (!rc)
        rc = find(op, id, e);
    if (rc)
        return rc;
    if (op->domid == XLSS_OFF || !libxlss__qemu_alive(op)) {
        LOG_ERROR(op, "the domain's QEMU is dead or can't be found");
        return XLSS(NO_QEMU);
    }
    if (e->running)
        return 0;
    LOG_ERROR(op, "the server of the export %s has died; stop the export, "
              "and start another", e->id);
    return ERROR_FAIL;
}

static void take_disks(struct libxlss__op *op, libxl_block_export *to,
                       const libxl_block_export_disk *disks, int num)
{
    int i;

    to->disks = realloc(to->disks,
                        (to->num_disks + num + 1) * sizeof(*to->disks));
    if (!to->disks)
        abort();
    for (i = 0; i < num; i++) {
        libxl_block_export_disk_init(&to->disks[to->num_disks]);
        libxl_block_export_disk_copy(op->ctx, &to->disks[to->num_disks++],
                                     &disks[i]);
    }
}

/* The same export with these disks alone. */
static void with_disks(struct libxlss__op *op, libxl_block_export *out,
                       const libxl_block_export *e,
                       const libxl_block_export_disk *disks, int num)
{
    int i;

    libxl_block_export_copy(op->ctx, out, e);
    for (i = 0; i < out->num_disks; i++)
        libxl_block_export_disk_dispose(&out->disks[i]);
    out->num_disks = 0;
    take_disks(op, out, disks, num);
}

/* --- add --- */

static int check_new(struct libxlss__op *op, const libxl_block_export *e,
                     const libxl_block_export *some)
{
    int i, j;

    for (i = 0; i < some->num_disks; i++)
        for (j = 0; j < e->num_disks; j++)
            if (!strcmp(some->disks[i].vdev, e->disks[j].vdev) ||
                !strcmp(some->disks[i].name, e->disks[j].name)) {
                LOG_ERROR(op, "the export %s has a disk %s already, by the "
                          "name %s", e->id, e->disks[j].vdev,
                          e->disks[j].name);
                return XLSS(EXISTS);
            }
    return 0;
}

static int add_some(struct libxlss__op *op, libxl_block_export *e,
                    libxl_block_export *some)
{
    const struct libxlss__view *v;
    libxl_block_export both;
    int rc = libxlss__export_look(op, some, &v);

    if (!rc)
        rc = check_new(op, e, some);
    if (rc)
        return rc;
    libxlss__export_uris(op, some);
    libxl_block_export_init(&both);
    libxl_block_export_copy(op->ctx, &both, e);
    take_disks(op, &both, some->disks, some->num_disks);
    rc = libxlss__export_write(op, op->uuid, &both);
    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_PREPARE);
    if (!rc)
        rc = libxlss__proxy_add(op, some);
    if (!rc) {
        libxl_block_export_dispose(e);
        *e = both;
        return 0;
    }
    libxl_block_export_dispose(&both);
    op->committed = true;
    if (libxlss__proxy_remove(op, some) ||
        libxlss__export_write(op, op->uuid, e))
        LOG_ERROR(op, "what was added to the export %s could not be taken "
                  "away again; stop it", e->id);
    return rc;
}

static int add(struct libxlss__op *op, libxl_block_export *args)
{
    libxl_block_export e, some;
    int rc;

    libxl_block_export_init(&e);
    libxl_block_export_init(&some);
    rc = find_alive(op, args->id, &e);
    if (!rc && !args->num_disks) {
        LOG_ERROR(op, "no disk to add to the export %s", e.id);
        rc = ERROR_INVAL;
    }
    if (!rc) {
        with_disks(op, &some, &e, args->disks, args->num_disks);
        rc = add_some(op, &e, &some);
    }
    if (!rc) {
        libxl_block_export_dispose(args);
        *args = e;
        libxl_block_export_init(&e);
    }
    libxl_block_export_dispose(&some);
    libxl_block_export_dispose(&e);
    return rc;
}

static int add_main(void *p)
{
    struct change *c = p;
    struct libxlss__op op;
    int rc;

    rc = libxlss__op_begin(&op, c->ctx, c->domid, "block-export", c->how);
    if (!rc)
        rc = add(&op, c->args);
    libxlss__op_end(&op);
    free(c);
    return rc;
}

int libxl_domain_block_export_add(libxl_ctx *ctx, uint32_t domid,
                                  libxl_block_export *args,
                                  const libxl_snapshot_how *how,
                                  const libxl_asyncop_how *ao_how)
{
    struct change *c = malloc(sizeof(*c));

    if (!c)
        return ERROR_NOMEM;
    *c = (struct change){ ctx, domid, args, how };
    return libxlss__ao_run(ctx, ao_how, add_main, c);
}

/* --- remove --- */

static int index_of(const libxl_block_export *e, const char *vdev)
{
    int i;

    for (i = 0; vdev && i < e->num_disks; i++)
        if (!strcmp(e->disks[i].vdev, vdev))
            return i;
    return -1;
}

static int remove_disk(struct libxlss__op *op, libxl_block_export *e,
                       const char *vdev)
{
    int i = index_of(e, vdev), rc;
    libxl_block_export some;

    if (i < 0) {
        LOG_ERROR(op, "the export %s has no disk %s", e->id,
                  vdev ? vdev : "(none named)");
        return ERROR_NOTFOUND;
    }
    if (e->num_disks == 1) {
        LOG_ERROR(op, "%s is the only disk of the export %s: stop that",
                  vdev, e->id);
        return ERROR_INVAL;
    }
    libxl_block_export_init(&some);
    with_disks(op, &some, e, &e->disks[i], 1);
    rc = libxlss__proxy_remove(op, &some);
    libxl_block_export_dispose(&some);
    if (rc)
        return rc;
    libxl_block_export_disk_dispose(&e->disks[i]);
    memmove(&e->disks[i], &e->disks[i + 1],
            (--e->num_disks - i) * sizeof(*e->disks));
    return libxlss__export_write(op, op->uuid, e);
}

int libxl_domain_block_export_remove(libxl_ctx *ctx, uint32_t domid,
                                     const char *id, const char *vdev,
                                     const libxl_snapshot_how *how)
{
    libxl_block_export e;
    struct libxlss__op op;
    int rc;

    libxl_block_export_init(&e);
    rc = libxlss__op_begin(&op, ctx, domid, "block-export", how);
    if (!rc)
        rc = find_alive(&op, id, &e);
    if (!rc)
        rc = remove_disk(&op, &e, vdev);
    libxl_block_export_dispose(&e);
    libxlss__op_end(&op);
    return rc;
}
