/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * NAME.json is lost, but the snapshot itself need not be: its disks hold it
 * under its name, the memory image has the domain's configuration, and
 * NAME.xml what else there was. All of its disks must be found, inside their
 * images or by the names that what is outside has (xluss_rebuild_disks.c); of
 * others, NAME.json alone knew where they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xluss_check.h"

/* From NAME.config, else from the memory image. */
static bool read_config(xluss__check *c, const char *name,
                        libxl_domain_config *config)
{
    xlu_snapshot_catalogue *cat = c->cat;
    char *file = xluss__file_name(name, ".config"), *json = NULL;
    xlu_snapshot s;
    bool good;
    size_t len;

    xlu_snapshot_init(&s);
    good = !xluss__file_get(NULL, &cat->snaps, file, XLUSS__CONFIG_MAX,
                            &json, &len) &&
           !libxl_domain_config_from_json(cat->ctx, config, json);
    if (!good) {
        free(json);
        libxl_domain_config_dispose(config);
        libxl_domain_config_init(config);
        s.name = xluss__strdup(name);
        xluss__image_own(cat, name, &s.memory);
        if (!xluss__image_probe(&c->ear.vtable, &s, &json))
            good = !libxl_domain_config_from_json(cat->ctx, config, json);
    }
    xlu_snapshot_dispose(&s);
    free(json);
    free(file);
    return good;
}

static bool is_inside(xluss__check *c, const xlu_snapshot *s,
                      libxl_disk_snapshot *d, char **why)
{
    const xluss__checked_image *im;

    if (d->kind != LIBXL_DISK_SNAPSHOT_KIND_INTERNAL)
        return false;
    im = xluss__check_image(c, d);
    if (im->why)
        *why = xluss__strdup(im->why);
    if (im->why || !xluss__image_holds(im, s->name))
        return false;
    d->name = xluss__strdup(s->name);
    d->size = im->snaps[0].size;
    return true;
}

/* The disks, and how many of them hold it. *why: what can't be told. */
static int find_disks(xluss__check *c, xlu_snapshot *s, char **why)
{
    libxl_domain_snapshot_args *args = &s->args;
    const char *missing = NULL;
    int i, held = 0;

    for (i = 0; i < args->num_disks && !*why; i++) {
        libxl_disk_snapshot *d = &args->disks[i];

        if (is_inside(c, s, d, why) ||
            (!*why && xluss__rebuild_disk(c, s->name, d, why)))
            held++;
        else
            missing = d->device.vdev;
    }
    if (!*why && held && missing)
        *why = xluss__asprintf("some of its disks hold it, others don't: "
                               "nothing is found of disk %s", missing);
    return held;
}

static void from_xml(xlu_snapshot *s, const xluss__xml_says *x)
{
    char *end;
    uint64_t t;

    if (x->description && !xluss__text_problem(x->description))
        s->description = xluss__strdup(x->description);
    if (x->parent && !xlu_snapshot_name_problem(x->parent) &&
        strcmp(x->parent, s->name))
        s->parent = xluss__strdup(x->parent);
    t = x->created ? strtoull(x->created, &end, 10) : 0;
    if (t)
        s->creation_time = t;
    if (x->state && !strcmp(x->state, "paused"))
        s->state = XLU_SNAPSHOT_STATE_PAUSED;
}

/* Where the image is, and when it was made. False: none. */
static bool find_memory(xluss__check *c, xlu_snapshot *s,
                        const xluss__xml_says *x)
{
    xlu_snapshot_memory *m = &s->memory;
    struct stat st;

    xluss__image_own(c->cat, s->name, m);
    if (x->memory && x->memory[0] == '/') {
        xluss__replace(&m->path, x->memory);
        m->format = xluss__image_format(m->path);
    }
    if (lstat(m->path, &st) || !S_ISREG(st.st_mode)) {
        xluss__replace(&m->path, NULL);
        m->format = XLU_SNAPSHOT_MEMORY_FORMAT_RAW;
        return false;
    }
    m->size = st.st_size;
    s->creation_time = st.st_mtime;
    return true;
}

static void describe(xluss__check *c, xlu_snapshot *s,
                     const xluss__xml_says *x)
{
    bool memory = find_memory(c, s, x);

    s->domain_name = xluss__strdup(c->cat->dom.name);
    s->domain_uuid = xluss__strdup(c->cat->dom.uuid);
    s->tool_version = xluss__strdup(PACKAGE_VERSION);
    s->state = memory ? XLU_SNAPSHOT_STATE_RUNNING
                      : XLU_SNAPSHOT_STATE_DISK_SNAPSHOT;
    from_xml(s, x);
    libxl_defbool_set(&s->args.memory, memory);
    libxl_defbool_set(&s->args.paused,
                      s->state == XLU_SNAPSHOT_STATE_PAUSED);
}

/* Without the XML nobody knows that a disk's state isn't somewhere else. */
static bool may_be_elsewhere(xluss__check *c, const char *name,
                             bool have_xml, const xluss__xml_says *x)
{
    xlu_snapshot_memory m;
    bool memory;

    xlu_snapshot_memory_init(&m);
    xluss__image_own(c->cat, name, &m);
    memory = !access(m.path, F_OK);
    xlu_snapshot_memory_dispose(&m);
    return have_xml ? x->elsewhere : memory;
}

xluss__rebuild_result xluss__rebuild(xluss__check *c, const char *name,
                                     xlu_snapshot *s, char **why)
{
    xluss__rebuild_result result = XLUSS__REBUILD_UNCLEAR;
    libxl_domain_config config;
    xluss__xml_says x;
    bool have_xml = xluss__xml_look(c->cat, name, &x);
    int held;

    *why = NULL;
    xlu_snapshot_init(s);
    s->name = xluss__strdup(name);
    s->args.name = xluss__strdup(name);
    libxl_domain_config_init(&config);
    if (!read_config(c, name, &config)) {
        *why = xluss__strdup("nothing is left that tells the domain's disks");
        goto out;
    }
    xluss__args_complete(c->cat->ctx, &s->args, &config);
    held = find_disks(c, s, why);
    if (!*why && !held && x.elsewhere)
        *why = xluss__strdup("its disks' state is in files that only the "
                             "JSON knew");
    if (*why)
        goto out;
    if (held) {
        describe(c, s, &x);
        result = XLUSS__REBUILD_CAN;
    } else if (!may_be_elsewhere(c, name, have_xml, &x)) {
        result = XLUSS__REBUILD_NOTHING;
    } else {
        *why = xluss__strdup("no disk holds it under its name");
    }
out:
    libxl_domain_config_dispose(&config);
    xluss__xml_says_dispose(&x);
    return result;
}
