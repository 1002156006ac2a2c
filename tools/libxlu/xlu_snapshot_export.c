/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Exports of snapshots, by their names: the lower library knows them by a
 * label, which is UUID/NAME here.
 */
#include <stdlib.h>
#include <string.h>

#include "xluss.h"

static char *label_of(xlu_snapshot_catalogue *cat, const char *name)
{
    return xluss__asprintf("%s/%s", cat->dom.uuid, name);
}

int xlu_snapshot_export(xlu_snapshot_catalogue *cat, const char *name,
                        const char *const *vdevs, const char *socket,
                        const libxl_snapshot_how *how,
                        libxl_snapshot_export_list *out)
{
    libxl_snapshot_how plain = xluss__plain_how(cat);
    const xlu_snapshot *s;
    char *label;
    int rc;

    if (how)
        plain.wait_seconds = how->wait_seconds;
    rc = xluss__begin(cat, how);
    if (rc)
        return rc;
    rc = xlu_snapshot_get(cat, name, &s);
    if (rc)
        return rc;
    label = label_of(cat, name);
    rc = libxl_domain_snapshot_export_start(cat->ctx, cat->dom.domid,
                                            &s->args, label, vdevs, socket,
                                            out, &plain, NULL);
    free(label);
    return rc;
}

/* Takes what is not of this domain, or not of name, out of the list. */
static void keep_ours(xlu_snapshot_catalogue *cat, const char *name,
                      libxl_snapshot_export_list *list)
{
    char *label = label_of(cat, name ? name : "");
    int i, kept = 0;

    for (i = 0; i < list->num_exports; i++) {
        libxl_snapshot_export *e = &list->exports[i];

        if (name ? !strcmp(e->label, label)
                 : !strncmp(e->label, label, strlen(label)))
            list->exports[kept++] = *e;
        else
            libxl_snapshot_export_dispose(e);
    }
    list->num_exports = kept;
    free(label);
}

int xlu_snapshot_export_list(xlu_snapshot_catalogue *cat, const char *name,
                             libxl_snapshot_export_list *out)
{
    libxl_snapshot_how plain = xluss__plain_how(cat);
    int rc = libxl_domain_snapshot_export_list(cat->ctx, NULL, out, &plain);

    if (!rc)
        keep_ours(cat, name, out);
    return rc;
}

static bool wanted(const char *const *vdevs, const char *vdev)
{
    for (; vdevs && *vdevs; vdevs++)
        if (!strcmp(*vdevs, vdev))
            return true;
    return false;
}

int xlu_snapshot_export_stop(xlu_snapshot_catalogue *cat, const char *name,
                             const char *const *vdevs, int *num_out)
{
    libxl_snapshot_how plain = xluss__plain_how(cat);
    libxl_snapshot_export_list list;
    int i, rc, rc2, num = 0;

    libxl_snapshot_export_list_init(&list);
    rc = xlu_snapshot_export_list(cat, name, &list);
    for (i = 0; i < list.num_exports; i++) {
        if (vdevs && !wanted(vdevs, list.exports[i].vdev))
            continue;
        rc2 = libxl_domain_snapshot_export_stop(cat->ctx, &list.exports[i],
                                                &plain);
        num += !rc2;
        if (rc2 && !rc)
            rc = rc2;
    }
    libxl_snapshot_export_list_dispose(&list);
    if (num_out)
        *num_out = num;
    return rc;
}

const char *xlu_snapshot_export_name(const libxl_snapshot_export *e)
{
    const char *slash = strchr(e->label, '/');

    return slash ? slash + 1 : e->label;
}
