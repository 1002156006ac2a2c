/* SPDX-License-Identifier: LGPL-2.1-only */
/* LVM's commands: always by the one program, without a shell, in English,
 * found where administrators' programs are even if PATH lacks that. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "lvm.h"

#define MAX_WORDS 160

/* Warnings come before the reason. */
static const char *reason(char *text)
{
    char *line, *rest = text;

    while ((line = strsep(&rest, "\n"))) {
        line += strspn(line, " \t");
        if (*line && strncmp(line, "WARNING", 7))
            return line;
    }
    return "it gave no reason";
}

int libxlss__lvm_run(struct libxlss__op *op, const char *const words[],
                     char **out_r)
{
    char *argv[MAX_WORDS + 6] = {
        (char *)"env", (char *)"LC_ALL=C",
        (char *)"LVM_SUPPRESS_FD_WARNINGS=1",
        (char *)"PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin",
        (char *)"lvm" };
    char *out, *err;
    int status, rc, i;

    for (i = 0; words[i] && i < MAX_WORDS; i++)
        argv[5 + i] = (char *)words[i];
    rc = libxlss__child(op, argv, &out, &err, &status);
    if (rc)
        return rc;
    if (out_r)
        *out_r = out;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        LOG_ERROR(op, "cannot run lvm (package lvm2)");
        return ERROR_FAIL;
    }
    LOG_ERROR(op, "lvm %s on %s: %s", words[0], words[i - 1], reason(err));
    return ERROR_FAIL;
}

/* LVM writes numbers as strings too. Not by strtod: the application's locale
 * may have another decimal point. */
static double number(yajl_val v, const char *key)
{
    const char *s = json_string(v, key);
    char *end;
    double n;

    if (!s)
        return 0;
    n = strtoul(s, &end, 10);
    if (end[0] == '.' && end[1] >= '0' && end[1] <= '9')
        n += (end[1] - '0') / 10.0;
    return n;
}

static char *text(struct libxlss__op *op, yajl_val v, const char *key)
{
    const char *s = json_string(v, key);

    return libxlss__strdup(op, s ? s : "");
}

static void fill(struct libxlss__op *op, struct libxlss__lv *lv, yajl_val v)
{
    const char *size = json_string(v, "lv_size");

    lv->name = text(op, v, "lv_name");
    lv->pool = text(op, v, "pool_lv");
    lv->tags = text(op, v, "lv_tags");
    strncpy(lv->attr, text(op, v, "lv_attr"), sizeof(lv->attr) - 1);
    lv->size = size ? strtoull(size, NULL, 10) : 0;
    lv->data = number(v, "data_percent");
    lv->metadata = number(v, "metadata_percent");
}

int libxlss__lvm_read(struct libxlss__op *op, const char *vg,
                      struct libxlss__lvm_group *group)
{
    const char *const argv[] = {
        "lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o",
        "lv_name,pool_lv,lv_tags,lv_attr,lv_size,data_percent,"
        "metadata_percent", vg, NULL };
    char *out, err[256];
    yajl_val v, list;
    int rc, i;

    memset(group, 0, sizeof(*group));
    rc = libxlss__lvm_run(op, argv, &out);
    if (rc)
        return rc;
    v = json_parse(out, strlen(out), 64, err, sizeof(err));
    if (!v) {
        LOG_ERROR(op, "cannot read what lvs says of %s: %s", vg, err);
        return ERROR_FAIL;
    }
    list = json_array(json_item(json_array(v, "report"), 0), "lv");
    group->num_lvs = json_length(list);
    group->lvs = libxlss__zalloc(op, (group->num_lvs + 1) *
                                     sizeof(*group->lvs));
    for (i = 0; i < group->num_lvs; i++)
        fill(op, &group->lvs[i], json_item(list, i));
    yajl_tree_free(v);
    return 0;
}

const struct libxlss__lv *
libxlss__lvm_find(const struct libxlss__lvm_group *group, const char *lv)
{
    int i;

    for (i = 0; i < group->num_lvs; i++)
        if (!strcmp(group->lvs[i].name, lv))
            return &group->lvs[i];
    return NULL;
}

bool libxlss__lvm_is_thin(const struct libxlss__lv *lv)
{
    return lv->attr[0] == 'V' && *lv->pool;
}

bool libxlss__lvm_is_open(const struct libxlss__lv *lv)
{
    return lv->attr[0] && strlen(lv->attr) > 5 && lv->attr[5] == 'o';
}

bool libxlss__lvm_has_tag(const struct libxlss__lv *lv, const char *tag)
{
    size_t len = strlen(tag);
    const char *at = lv->tags;

    while ((at = strstr(at, tag))) {
        if ((at == lv->tags || at[-1] == ',') &&
            (!at[len] || at[len] == ','))
            return true;
        at += len;
    }
    return false;
}
