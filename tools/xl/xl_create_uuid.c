/* SPDX-License-Identifier: LGPL-2.1-only */
/* `xl create` of a domain that has snapshots: it gets its UUID again. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <libxl.h>
#include <libxlutil.h>

#include "xl_create_uuid.h"
#include "xl_text.h"

/* What xl would make of its arguments: a file, and lines that follow it. */
struct words {
    const char *file;
    char *lines;
};

static void add_line(struct words *w, const char *line)
{
    char *all = xl_printf("%s%s\n", w->lines, line);

    free(w->lines);
    w->lines = all;
}

static void read_words(struct words *w, char *const *argv)
{
    static const char defconfig[] = "--defconfig";
    size_t len = strlen(defconfig);

    for (; *argv; argv++) {
        const char *arg = *argv;

        if (!strcmp(arg, "-f") || !strcmp(arg, defconfig)) {
            if (!argv[1])
                return;
            w->file = *++argv;
        } else if (!strncmp(arg, defconfig, len) && arg[len] == '=') {
            w->file = arg + len + 1;
        } else if (*arg == '-') {
            ;   /* the others take no argument */
        } else if (strchr(arg, '=')) {
            add_line(w, arg);
        } else if (!w->file) {
            w->file = arg;
        }
    }
}

/* Pipes and the like can be read once only, which is xl's to do. */
static char *read_config(const char *path)
{
    struct stat st;
    FILE *f;
    char *text = NULL;
    size_t len = 0;

    if (stat(path, &st) || !S_ISREG(st.st_mode))
        return NULL;
    f = fopen(path, "re");
    if (!f)
        return NULL;
    if (getdelim(&text, &len, '\0', f) < 0) {
        free(text);
        text = NULL;
    }
    fclose(f);
    return text;
}

/* What is wrong with a configuration, xl will say. */
char *xl_create_name(char *const *argv)
{
    struct words w = { .lines = xl_strdup("") };
    char *text, *both, *name = NULL;
    const char *value;
    XLU_Config *cfg;
    FILE *null;

    read_words(&w, argv);
    text = w.file ? read_config(w.file) : xl_strdup("");
    null = fopen("/dev/null", "we");
    cfg = null ? xlu_cfg_init(null, "configuration") : NULL;
    if (text && cfg) {
        both = xl_printf("%s\n%s", text, w.lines);
        if (!xlu_cfg_readdata(cfg, both, strlen(both)) &&
            xlu_cfg_get_string(cfg, "uuid", &value, 1) &&
            !xlu_cfg_get_string(cfg, "name", &value, 1))
            name = xl_strdup(value);
        free(both);
    }
    if (cfg)
        xlu_cfg_destroy(cfg);
    if (null)
        fclose(null);
    free(text);
    free(w.lines);
    return name;
}
