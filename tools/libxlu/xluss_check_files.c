/* SPDX-License-Identifier: LGPL-2.1-only */
/* Files in the catalogue that are nobody's, and documents that are damaged. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xluss_check.h"

static const char *const suffixes[] = { ".xml", ".config", ".mem",
                                        ".mem.zst" };

static DIR *open_list(const xluss__dir *d)
{
    int fd = d->fd < 0 ? -1 : openat(d->fd, ".", O_RDONLY | O_DIRECTORY |
                                     O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir && fd >= 0)
        close(fd);
    return dir;
}

bool xluss__is_unfinished(const char *file)
{
    return xluss__is_temporary(file) ||
           (file[0] == '.' && xluss__ends_with(file, ".mem.tmp"));
}

static void check_folder(xluss__check *c, const xluss__dir *d)
{
    DIR *dir = open_list(d);
    struct dirent *de;

    while (dir && (de = readdir(dir)))
        if (xluss__is_unfinished(de->d_name))
            xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_TEMPORARY, NULL,
                         de->d_name, "it is removed",
                         "%s/%s was never finished", d->path, de->d_name);
    if (dir)
        closedir(dir);
}

/* There is no journal: so there is no revert that needs them. */
static void check_safety_files(xluss__check *c)
{
    static const char *const files[] = { ".safety.mem", "safety.config" };
    size_t i;

    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (xluss__file_exists(&c->cat->dir, files[i]))
            xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_TEMPORARY, NULL,
                         files[i], "it is removed", "%s/%s is left of a "
                         "revert that has ended", c->cat->dir.path,
                         files[i]);
}

void xluss__check_files(xluss__check *c)
{
    check_folder(c, &c->cat->dir);
    check_folder(c, &c->cat->snaps);
    check_safety_files(c);
}

/* NULL: none of ours; malloc'ed. */
static char *name_of(const char *file)
{
    size_t i;

    for (i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
        if (xluss__ends_with(file, suffixes[i])) {
            char *name = xluss__strdup(file);

            name[strlen(file) - strlen(suffixes[i])] = '\0';
            if (!xlu_snapshot_name_problem(name))
                return name;
            free(name);
        }
    return NULL;
}

void xluss__each_file_name(xlu_snapshot_catalogue *cat,
                           void (*fn)(void *arg, const char *name),
                           void *arg)
{
    DIR *dir = open_list(&cat->snaps);
    struct dirent *de;

    while (dir && (de = readdir(dir))) {
        char *name = name_of(de->d_name);

        if (name)
            fn(arg, name);
        free(name);
    }
    if (dir)
        closedir(dir);
}

static bool is_told(xluss__check *c, const char *name)
{
    int i;

    for (i = 0; i < c->out->num_findings; i++)
        if (c->out->findings[i].snapshot &&
            !strcmp(c->out->findings[i].snapshot, name))
            return true;
    return false;
}

/* A snapshot without a JSON that can be used. */
static void check_lost(xluss__check *c, const char *name, bool damaged)
{
    const char *what = damaged ? "is damaged" : "is missing, while other "
                                                "files of it are there";
    xlu_snapshot s;
    char *why = NULL;
    xluss__rebuild_result result = xluss__rebuild(c, name, &s, &why);

    if (result == XLUSS__REBUILD_CAN)
        xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_DOCUMENT, name, NULL,
                     "it is made again from what else is known of it",
                     "%s/%s.json %s", c->cat->snaps.path, name, what);
    else if (result == XLUSS__REBUILD_NOTHING && !damaged)
        xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_LEFTOVER, name, NULL,
                     "the files are removed",
                     "%s has files of a snapshot %s that no disk holds and "
                     "no list has", c->cat->snaps.path, name);
    else
        xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_DOCUMENT, name, NULL, NULL,
                     "%s/%s.json %s, and it can't be made again: %s",
                     c->cat->snaps.path, name, what,
                     why ? why : "no disk holds the snapshot");
    free(why);
    xlu_snapshot_dispose(&s);
}

static void check_file_name(void *arg, const char *name)
{
    xluss__check *c = arg;

    if (!xluss__find(c->cat, name) && !is_told(c, name))
        check_lost(c, name, false);
}

/* Does NAME.xml say the same as NAME.json? */
static bool xml_agrees(xluss__check *c, const xlu_snapshot *s)
{
    xluss__xml_says stored, meant;
    bool same = false;
    char *text = NULL;

    if (!xluss__xml_look(c->cat, s->name, &stored))
        return false;
    memset(&meant, 0, sizeof(meant));
    if (!xluss__xml_write(NULL, s, &text) &&
        xluss__xml_text_look(text, &meant))
        same = xluss__xml_says_same(&stored, &meant);
    free(text);
    xluss__xml_says_dispose(&stored);
    xluss__xml_says_dispose(&meant);
    return same;
}

static void check_xml(xluss__check *c, const xluss__entry *e)
{
    if (e->xml_bad)
        xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_XML, e->s.name, NULL,
                     "it is written again from the JSON",
                     "%s/%s.xml is missing or damaged", c->cat->snaps.path,
                     e->s.name);
    else if (!xml_agrees(c, &e->s))
        xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_XML, e->s.name, NULL,
                     "it is written again from the JSON",
                     "%s/%s.xml doesn't say what %s.json says",
                     c->cat->snaps.path, e->s.name, e->s.name);
}

static bool config_is_good(xluss__check *c, const char *name)
{
    char *file = xluss__file_name(name, ".config"), *text = NULL;
    libxl_domain_config config;
    bool good;
    size_t len;

    libxl_domain_config_init(&config);
    good = !xluss__file_get(NULL, &c->cat->snaps, file, XLUSS__CONFIG_MAX,
                            &text, &len) &&
           !libxl_domain_config_from_json(c->cat->ctx, &config, text);
    libxl_domain_config_dispose(&config);
    free(text);
    free(file);
    return good;
}

/* With a memory image the configuration is in there as well. */
static void check_config(xluss__check *c, const xluss__entry *e)
{
    if (config_is_good(c, e->s.name))
        return;
    xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_CONFIG, e->s.name, NULL,
                 e->s.memory.path ? "it is taken from the memory image"
                                  : NULL,
                 "%s/%s.config is missing or damaged%s", c->cat->snaps.path,
                 e->s.name, e->s.memory.path ? ""
                 : ": the snapshot can't be reverted to");
}

void xluss__check_documents(xluss__check *c)
{
    int i;

    for (i = 0; i < c->cat->num_entries; i++) {
        const xluss__entry *e = &c->cat->entries[i];

        if (e->damaged) {
            check_lost(c, e->s.name, true);
            continue;
        }
        check_xml(c, e);
        check_config(c, e);
    }
    xluss__each_file_name(c->cat, check_file_name, c);
}

void xluss__check_memory(xluss__check *c)
{
    xlu_snapshot s;
    char *json;
    int i, rc;

    for (i = 0; i < c->cat->num_entries; i++) {
        const xluss__entry *e = &c->cat->entries[i];

        if (e->damaged || !e->s.memory.path)
            continue;
        xlu_snapshot_init(&s);
        xlu_snapshot_copy(c->cat->ctx, &s, &e->s);
        if (!c->deep)
            xluss__replace(&s.memory.xxh64, NULL);
        xluss__ear_dispose(&c->ear);
        rc = xluss__image_probe(&c->ear.vtable, &s, &json);
        if (rc)
            xluss__found(c, XLU_SNAPSHOT_FINDING_KIND_MEMORY, s.name,
                         s.memory.path, NULL, "%s",
                         xluss__ear_text(&c->ear, rc));
        free(json);
        xlu_snapshot_dispose(&s);
    }
}
