/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Which monitors live. xl keeps no record of its own, so it is looked for in
 * /proc; ours hold a lock. It is a flock, and the file goes with it, so one
 * that was waited for is checked to be the one at the path still.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "xl_monitor.h"
#include "xl_text.h"

#define DELETED " (deleted)"    /* /proc adds it after an upgrade */
#define CMDLINE_MAX 65536       /* bytes looked at */

/* The link's target without DELETED; malloc'ed, NULL if there is none. */
static char *link_target(const char *proc, const char *pid, const char *what)
{
    char *path = xl_printf("%s/%s/%s", proc, pid, what);
    char buf[PATH_MAX];
    ssize_t len = readlink(path, buf, sizeof(buf) - 1);
    size_t end = sizeof(DELETED) - 1;

    free(path);
    if (len <= 0)
        return NULL;
    if ((size_t)len > end && !memcmp(buf + len - end, DELETED, end))
        len -= end;
    buf[len] = '\0';
    return xl_strdup(buf);
}

/* Called xl, and not us under that name. */
static bool is_stock_xl(const char *proc, const char *pid)
{
    char *exe = link_target(proc, pid, "exe"), *path;
    const char *slash = exe ? strrchr(exe, '/') : NULL;
    struct stat st, own;
    bool is = slash && strcmp(slash + 1, "xl") == 0;

    free(exe);
    if (!is)
        return false;
    path = xl_printf("%s/%s/exe", proc, pid);
    if (!stat(path, &st) && !stat("/proc/self/exe", &own))
        is = st.st_dev != own.st_dev || st.st_ino != own.st_ino;
    free(path);
    return is;
}

/* xl-NAME.log, or .log.1 and so on once a later xl has rotated it. */
static bool is_log_of(const char *file, const char *log_folder,
                      const char *name)
{
    static const char *const suffixes[] = { "", "--incoming" };
    bool is = false;
    size_t i, len;

    for (i = 0; i < 2 && !is; i++) {
        char *log = xl_printf("%s/xl-%s%s.log", log_folder, name,
                              suffixes[i]);

        len = strlen(log);
        is = strncmp(file, log, len) == 0 &&
             (!file[len] || (file[len] == '.' &&
                             isdigit((unsigned char)file[len + 1])));
        free(log);
    }
    return is;
}

static bool logs_for(const char *proc, const char *pid,
                     const char *log_folder, const char *name)
{
    static const char *const fds[] = { "fd/1", "fd/2" };
    bool does = false;
    size_t i;

    for (i = 0; i < 2 && !does; i++) {
        char *file = link_target(proc, pid, fds[i]);

        does = file && is_log_of(file, log_folder, name);
        free(file);
    }
    return does;
}

/* The domain's name, or a configuration file called after it. */
static bool names(const char *arg, const char *name)
{
    const char *slash = strrchr(arg, '/');
    size_t len = strlen(name);

    if (strcmp(arg, name) == 0)
        return true;
    arg = slash ? slash + 1 : arg;
    return strncmp(arg, name, len) == 0 &&
           (!arg[len] || (arg[len] == '.' && !strchr(arg + len + 1, '.')));
}

/* `xl create -F NAME.cfg` writes to a terminal: its arguments tell. */
static bool foreground_for(const char *proc, const char *pid,
                           const char *name)
{
    char *path = xl_printf("%s/%s/cmdline", proc, pid);
    char *buf = xl_alloc(CMDLINE_MAX + 1, 1), *p;
    bool creates = false, foreground = false, named = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, buf, CMDLINE_MAX);

    if (fd >= 0)
        close(fd);
    for (p = buf; len > 0 && p < buf + len; p += strlen(p) + 1) {
        if (!strcmp(p, "create") || !strcmp(p, "restore"))
            creates = true;
        else if (creates && p[0] == '-' && p[1] != '-' && strchr(p, 'F'))
            foreground = true;
        else if (creates && p[0] != '-' && names(p, name))
            named = true;
    }
    free(path);
    free(buf);
    return creates && foreground && named;
}

pid_t xl_monitor_find_stock(const char *proc, const char *log_folder,
                            const char *name)
{
    DIR *dir = opendir(proc);
    struct dirent *e;
    pid_t found = 0;

    if (!dir)
        return 0;
    while (!found && (e = readdir(dir))) {
        if (!isdigit((unsigned char)e->d_name[0]) ||
            !is_stock_xl(proc, e->d_name))
            continue;
        if (logs_for(proc, e->d_name, log_folder, name) ||
            foreground_for(proc, e->d_name, name))
            found = atoi(e->d_name);
    }
    closedir(dir);
    return found;
}

static char *lock_path(const char *folder, const char *uuid)
{
    return xl_printf("%s/monitor-%s", folder, uuid);
}

bool xl_monitor_ours_lives(const char *folder, const char *uuid)
{
    char *path = lock_path(folder, uuid);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool lives;

    free(path);
    if (fd < 0)
        return false;
    lives = flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
    close(fd);
    return lives;
}

/* True if the path still leads to the file that is open at fd. */
static bool is_at(int fd, const char *path)
{
    struct stat a, b;

    return !fstat(fd, &a) && !stat(path, &b) && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static int try_lock(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return -1;
    if (!flock(fd, LOCK_EX | LOCK_NB) && is_at(fd, path))
        return fd;
    close(fd);
    return -1;
}

int xl_monitor_lock(const char *folder, const char *uuid, int seconds)
{
    const struct timespec tenth = { .tv_nsec = 100 * 1000 * 1000 };
    char *path = lock_path(folder, uuid);
    int fd, tries = seconds * 10;

    if (mkdir(folder, 0700) && errno != EEXIST)
        tries = 0;
    while ((fd = try_lock(path)) < 0 && tries-- > 0)
        nanosleep(&tenth, NULL);
    if (fd >= 0 && !ftruncate(fd, 0))
        dprintf(fd, "%d\n", (int)getpid());     /* for people */
    free(path);
    return fd;
}

void xl_monitor_unlock(const char *folder, const char *uuid, int fd)
{
    char *path = lock_path(folder, uuid);

    unlink(path);
    close(fd);
    free(path);
}
