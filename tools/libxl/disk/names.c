/* SPDX-License-Identifier: LGPL-2.1-only */
/* Under which name the live file of a disk is found: see files.h. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

#define LIVE ".live"
#define MAX_LIVE 10000

/* The length of PATH where `live` is PATH.liveN, else 0. */
static size_t stem(const char *live)
{
    size_t len = strlen(live), digits = len;

    while (digits && isdigit((unsigned char)live[digits - 1]))
        digits--;
    if (digits == len || digits <= strlen(LIVE) ||
        strncmp(live + digits - strlen(LIVE), LIVE, strlen(LIVE)))
        return 0;
    return digits - strlen(LIVE);
}

static int number_of(const char *live)
{
    return atoi(live + stem(live) + strlen(LIVE));
}

bool libxlss__name_is_live_of(struct libxlss__op *op, const char *live,
                              const char *path)
{
    size_t len = stem(live);

    (void)op;
    return len && len == strlen(path) && !strncmp(live, path, len);
}

/*
 * True only of an overlay that we made: `path` is in its chain, but under
 * another name. Who bases an image called x.live1 on x by hand names x.
 */
static int is_live_of(struct libxlss__op *op, const char *live,
                      const char *path, bool *is_r)
{
    const char *as = NULL;
    struct stat st;
    int rc;

    *is_r = false;
    if (lstat(live, &st) || !S_ISREG(st.st_mode))
        return 0;
    rc = libxlss__chain_has(op, live, path, is_r, &as);
    if (!rc && *is_r)
        *is_r = strcmp(as, path) != 0;
    return rc;
}

char *libxlss__name_settled(struct libxlss__op *op, const char *live)
{
    char *path = libxlss__strdup(op, live), target[PATH_MAX];
    bool is = false;
    struct stat st;

    if (!stem(live))
        return path;
    path[stem(live)] = '\0';
    if (lstat(live, &st))
        return libxlss__strdup(op, live);
    if (S_ISLNK(st.st_mode)) {
        ssize_t n = readlink(live, target, sizeof(target) - 1);

        target[n > 0 ? n : 0] = '\0';
        if (libxlss__same_file(live, path) && !strchr(target, '/'))
            return path;
    } else if (!is_live_of(op, live, path, &is) && is) {
        return path;
    }
    return libxlss__strdup(op, live);
}

char *libxlss__name_live(struct libxlss__op *op, const char *path)
{
    int i;

    for (i = 1; i < MAX_LIVE; i++) {
        char *live = libxlss__printf(op, "%s" LIVE "%d", path, i);

        if (!libxlss__file_exists(live))
            return live;
    }
    return NULL;
}

struct lives {
    char *paths[64];
    int num;
};

/* Every name PATH.liveN in the folder of path. */
static int list_lives(struct libxlss__op *op, const char *path,
                      struct lives *l)
{
    char *folder = libxlss__path_beside(op, path, ".");
    size_t len = strlen(strrchr(path, '/') + 1);
    DIR *dir = opendir(folder);
    struct dirent *e;

    l->num = 0;
    if (!dir) {
        if (errno == ENOENT)
            return 0;
        LOG_ERRNO(op, "cannot read the folder %s", folder);
        return ERROR_FAIL;
    }
    while ((e = readdir(dir)))
        if (stem(e->d_name) == len &&
            !strncmp(e->d_name, strrchr(path, '/') + 1, len) &&
            l->num < (int)(sizeof(l->paths) / sizeof(l->paths[0])))
            l->paths[l->num++] = libxlss__path_beside(op, path, e->d_name);
    closedir(dir);
    return 0;
}

/* The newest that is not a base of another; NULL: the name is right. */
static int find_top(struct libxlss__op *op, const char *path,
                    struct lives *l, char **top_r)
{
    int i, j, rc = 0;

    *top_r = NULL;
    for (i = 0; i < l->num; i++) {
        bool is = false, below = false;

        rc = is_live_of(op, l->paths[i], path, &is);
        for (j = 0; !rc && is && !below && j < l->num; j++)
            if (j != i)
                rc = libxlss__chain_has(op, l->paths[j], l->paths[i], &below,
                                        NULL);
        if (rc)
            return rc;
        if (is && !below &&
            (!*top_r || number_of(l->paths[i]) > number_of(*top_r)))
            *top_r = l->paths[i];
    }
    return 0;
}

/* A second name of a file that has a right one. */
static int drop_name(struct libxlss__op *op, const char *live)
{
    struct stat st;

    if (lstat(live, &st) || !S_ISREG(st.st_mode) || st.st_nlink < 2)
        return 0;
    libxlss__file_set_immutable(op, live, false);
    return libxlss__file_unlink(op, live);
}

/* live becomes a link to path, which is the same file by now. */
static int leave_link(struct libxlss__op *op, const char *live,
                      const char *path)
{
    char *temporary = libxlss__printf(op, "%s.tmp", live);

    if (unlink(temporary) && errno != ENOENT) {
        LOG_ERRNO(op, "cannot remove %s", temporary);
        return ERROR_FAIL;
    }
    if (symlink(strrchr(path, '/') + 1, temporary)) {
        LOG_ERRNO(op, "cannot make the link %s", temporary);
        return ERROR_FAIL;
    }
    if (rename(temporary, live)) {
        LOG_ERRNO(op, "cannot rename %s to %s", temporary, live);
        return ERROR_FAIL;
    }
    return libxlss__folder_sync(op, live);
}

int libxlss__name_wrong(struct libxlss__op *op, const char *path,
                        char **live_r)
{
    struct lives l;
    int rc;

    *live_r = NULL;
    if (path[0] != '/' || !strncmp(path, "/dev/", 5))
        return 0;
    rc = list_lives(op, path, &l);
    return rc || !l.num ? rc : find_top(op, path, &l, live_r);
}

int libxlss__name_put_right(struct libxlss__op *op, const char *path)
{
    char *top = NULL, *temporary;
    struct lives l;
    int i, rc;

    if (path[0] != '/' || !strncmp(path, "/dev/", 5))
        return 0;
    rc = list_lives(op, path, &l);
    if (!rc && l.num)
        rc = find_top(op, path, &l, &top);
    /* Cut short before, between the two renames? */
    for (i = 0; !rc && i < l.num; i++) {
        struct stat st;

        if (!lstat(l.paths[i], &st) && S_ISREG(st.st_mode) &&
            libxlss__same_file(l.paths[i], path) && !top)
            return leave_link(op, l.paths[i], path);
    }
    if (rc || !l.num || !top)
        return rc;

    rc = libxlss__image_idle(op, top);
    if (rc)
        return rc;
    LOG_INFO(op, "%s becomes %s again", top, path);
    temporary = libxlss__printf(op, "%s.xlss-new", path);
    rc = libxlss__file_unlink(op, temporary);
    if (!rc)
        rc = libxlss__file_link(op, top, temporary);
    if (rc)
        return rc;
    libxlss__file_set_immutable(op, path, false);
    rc = libxlss__file_rename(op, temporary, path);
    if (!rc)
        rc = leave_link(op, top, path);
    for (i = 0; !rc && i < l.num; i++)
        if (l.paths[i] != top)
            rc = drop_name(op, l.paths[i]);
    return rc;
}

int libxlss__name_drop_lives(struct libxlss__op *op, const char *path,
                             const char *base)
{
    struct lives l;
    struct stat st;
    int i, rc = list_lives(op, path, &l);

    for (i = 0; !rc && i < l.num; i++)
        if (!lstat(l.paths[i], &st) && S_ISREG(st.st_mode) &&
            libxlss__same_file(l.paths[i], base))
            rc = libxlss__file_unlink(op, l.paths[i]);
    return rc;
}

void libxlss__name_tidy(struct libxlss__op *op, const char *path,
                        const char *live)
{
    struct lives l;
    struct stat st;
    int i;

    if (path[0] != '/' || list_lives(op, path, &l))
        return;
    for (i = 0; i < l.num; i++)
        if (!lstat(l.paths[i], &st) && S_ISLNK(st.st_mode) &&
            (!live || strcmp(l.paths[i], live)))
            libxlss__file_unlink(op, l.paths[i]);
}
