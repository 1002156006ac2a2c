/* SPDX-License-Identifier: LGPL-2.1-only */
/* The QMP commands that are used, each as a function. */
#include <stdlib.h>
#include <string.h>

#include "qmp.h"

/* Text of g; the caller frees g afterwards, and the text goes with it. */
static const char *gen_text(yajl_gen g)
{
    const unsigned char *text;
    size_t len;

    yajl_gen_get_buf(g, &text, &len);
    return (const char *)text;
}

int libxlss__qmp_stop(struct libxlss__qmp *qmp)
{
    return libxlss__qmp_run(qmp, "stop", NULL, XLSS_QMP_LONG_TIMEOUT_MS,
                            NULL);
}

int libxlss__qmp_cont(struct libxlss__qmp *qmp)
{
    return libxlss__qmp_run(qmp, "cont", NULL, XLSS_QMP_LONG_TIMEOUT_MS,
                            NULL);
}

int libxlss__qmp_running(struct libxlss__qmp *qmp, bool *running_r)
{
    yajl_val v;
    int rc = libxlss__qmp_run(qmp, "query-status", NULL, XLSS_QMP_TIMEOUT_MS,
                              &v);

    if (!rc)
        *running_r = json_bool(v, "running", false);
    yajl_tree_free(v);
    return rc;
}

int libxlss__qmp_snapshot_delete(struct libxlss__qmp *qmp, const char *node,
                                 const char *name)
{
    yajl_gen g = yajl_gen_alloc(NULL);
    int rc;

    yajl_gen_map_open(g);
    json_put_string(g, "device", node);
    json_put_string(g, "name", name);
    yajl_gen_map_close(g);
    rc = libxlss__qmp_run(qmp, "blockdev-snapshot-delete-internal-sync",
                          gen_text(g), XLSS_QMP_LONG_TIMEOUT_MS, NULL);
    yajl_gen_free(g);
    return rc;
}

/*
 * There is no command for this alone. With live set, saving the device state
 * of a QEMU that is stopped already inactivates all images; the state itself
 * isn't wanted. Twice without `cont` between would abort QEMU.
 */
int libxlss__qmp_inactivate(struct libxlss__qmp *qmp)
{
    return libxlss__qmp_run(qmp, "xen-save-devices-state",
                            "{\"filename\":\"/dev/null\",\"live\":true}",
                            XLSS_QMP_LONG_TIMEOUT_MS, NULL);
}

/* Off where it is off already aborts QEMU (seen with 7.2: an assertion in
 * memory_global_dirty_log_do_stop), and nothing tells whether it is on. On
 * where it is on is fine. */
int libxlss__qmp_log_dirty_off(struct libxlss__qmp *qmp)
{
    int rc = libxlss__qmp_try(qmp, "xen-set-global-dirty-log",
                              "{\"enable\":true}", XLSS_QMP_TIMEOUT_MS,
                              NULL);

    if (!rc)
        rc = libxlss__qmp_try(qmp, "xen-set-global-dirty-log",
                              "{\"enable\":false}", XLSS_QMP_TIMEOUT_MS,
                              NULL);
    return rc;
}

char *libxlss__qmp_device_property(struct libxlss__qmp *qmp, const char *qdev,
                                   const char *property)
{
    yajl_gen g = yajl_gen_alloc(NULL);
    char *text = NULL;
    yajl_val v;
    int rc;

    yajl_gen_map_open(g);
    json_put_string(g, "path", qdev);
    json_put_string(g, "property", property);
    yajl_gen_map_close(g);
    rc = libxlss__qmp_try(qmp, "qom-get", gen_text(g), XLSS_QMP_TIMEOUT_MS,
                          &v);
    if (!rc && YAJL_IS_STRING(v))
        text = libxlss__strdup(qmp->op, YAJL_GET_STRING(v));
    yajl_tree_free(v);
    yajl_gen_free(g);
    return text;
}

void libxlss__transaction_begin(struct libxlss__transaction *t)
{
    t->actions = 0;
    t->g = yajl_gen_alloc(NULL);
    yajl_gen_map_open(t->g);
    json_put_key(t->g, "actions");
    yajl_gen_array_open(t->g);
}

void libxlss__transaction_internal(struct libxlss__transaction *t,
                                   const char *node, const char *name)
{
    yajl_gen_map_open(t->g);
    json_put_string(t->g, "type", "blockdev-snapshot-internal-sync");
    json_put_key(t->g, "data");
    yajl_gen_map_open(t->g);
    /* "device" takes a node's name; there is no "node-name" here. */
    json_put_string(t->g, "device", node);
    json_put_string(t->g, "name", name);
    yajl_gen_map_close(t->g);
    yajl_gen_map_close(t->g);
    t->actions++;
}

int libxlss__transaction_run(struct libxlss__qmp *qmp,
                             struct libxlss__transaction *t)
{
    int rc = 0;

    yajl_gen_array_close(t->g);
    yajl_gen_map_close(t->g);
    if (t->actions)
        rc = libxlss__qmp_run(qmp, "transaction", gen_text(t->g),
                              XLSS_QMP_LONG_TIMEOUT_MS, NULL);
    yajl_gen_free(t->g);
    return rc;
}
