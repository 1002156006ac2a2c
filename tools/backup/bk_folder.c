/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The folder, its lock and what interrupted work has left in it.
 *
 * Two bytes of .lock: whoever adds or removes sets has the first for himself,
 * whoever removes has the second for himself, and everybody else has that
 * shared. So a restore doesn't hold up the nightly backup, but no set
 * vanishes under it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bk.h"

#define LOCK ".lock"
#define RECORD_MAX (1u << 20)   /* bytes */

static int lock_byte(int fd, int byte, short type)
{
    struct flock l = { .l_type = type, .l_whence = SEEK_SET,
                       .l_start = byte, .l_len = 1 };

    return fcntl(fd, F_OFD_SETLK, &l);
}

static int lock(struct bk_folder *f, enum bk_use use)
{
    int flags = use == BK_READ ? O_RDONLY : O_RDWR | O_CREAT;

    f->lock_fd = openat(f->fd, LOCK, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
    /* Nobody has ever written here, or nobody can. */
    if (f->lock_fd < 0 && use == BK_READ &&
        (errno == ENOENT || errno == EROFS))
        return 0;
    if (f->lock_fd >= 0 &&
        (use == BK_READ || !lock_byte(f->lock_fd, 0, F_WRLCK)) &&
        !lock_byte(f->lock_fd, 1, use == BK_PRUNE ? F_WRLCK : F_RDLCK))
        return 0;
    if (errno == EAGAIN || errno == EACCES) {
        xl_say("%s is busy: another command works on the backups in it",
               f->path);
        return XL_EXIT_BUSY;
    }
    xl_say("locking %s/" LOCK ": %s", f->path, strerror(errno));
    return XL_EXIT_FAILED;
}

static int open_folder(struct bk_folder *f, const char *path, enum bk_use use)
{
    if (use == BK_SAVE && mkdir(path, 0700) && errno != EEXIST) {
        xl_say("making %s: %s", path, strerror(errno));
        return XL_EXIT_FAILED;
    }
    f->path = realpath(path, NULL);
    if (f->path)
        f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->fd >= 0)
        return 0;
    xl_say("%s: %s", path, strerror(errno));
    return errno == ENOENT ? XL_EXIT_NOT_FOUND : XL_EXIT_FAILED;
}

/* --- names --- */

struct names {
    char **list;
    int num;
};

static void names_free(struct names *n)
{
    while (n->num > 0)
        free(n->list[--n->num]);
    free(n->list);
}

/* dots: those with a dot in front, or the others. */
static bool names_read(int fd, bool dots, struct names *n)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *d;

    if (!dir)
        return false;
    while ((d = readdir(dir))) {
        if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, "..") ||
            (d->d_name[0] == '.') != dots)
            continue;
        n->list = realloc(n->list, (n->num + 1) * sizeof(*n->list));
        if (!n->list)
            abort();
        n->list[n->num++] = xl_strdup(d->d_name);
    }
    closedir(dir);
    return true;
}

int bk_folder_make(struct bk_folder *f, const char *prefix, const char *name,
                   int *fd_out)
{
    char *full = xl_printf("%s%s", prefix, name);

    *fd_out = -1;
    if (!mkdirat(f->fd, full, 0700))
        *fd_out = openat(f->fd, full, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
                         O_CLOEXEC);
    if (*fd_out < 0)
        xl_say("making %s/%s: %s", f->path, full, strerror(errno));
    free(full);
    return *fd_out < 0 ? XL_EXIT_FAILED : 0;
}

int bk_folder_open_set(struct bk_folder *f, const char *name, int *fd_out)
{
    *fd_out = openat(f->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
                     O_CLOEXEC);
    if (*fd_out >= 0)
        return 0;
    xl_say("opening %s/%s: %s", f->path, name, strerror(errno));
    return XL_EXIT_FAILED;
}

int bk_folder_sync(struct bk_folder *f)
{
    return bk_sync(f->fd, f->path);
}

int bk_folder_remove(struct bk_folder *f, const char *name)
{
    int fd = openat(f->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
                    O_CLOEXEC), status = 0, i, dots;

    if (fd < 0 && errno == ENOENT)
        return 0;
    for (dots = 0; fd >= 0 && dots < 2; dots++) {
        struct names n = { NULL, 0 };

        names_read(fd, dots, &n);
        for (i = 0; i < n.num && !status; i++)
            status = bk_unlink(fd, n.list[i], 0, name);
        names_free(&n);
    }
    if (fd >= 0)
        close(fd);
    return status ? status : bk_unlink(f->fd, name, AT_REMOVEDIR, f->path);
}

/* --- what was interrupted --- */

static bool exists(int dir, const char *name)
{
    struct stat st;

    return !fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW);
}

static bool begins(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

static int tidy_one(struct bk_folder *f, const char *name)
{
    const char *set = name + strlen(BK_READY);

    /* Its place is free: a prune has died just before its end. */
    if (begins(name, BK_READY) && !exists(f->fd, set)) {
        int status = bk_rename(f->fd, name, set, f->path);

        return status ? status : bk_folder_sync(f);
    }
    if (begins(name, BK_READY) || begins(name, BK_PARTIAL) ||
        begins(name, BK_MERGED) || begins(name, BK_TRASH))
        return bk_folder_remove(f, name);
    return 0;
}

/* Those that are complete first: they may be what others are based on. */
static int tidy(struct bk_folder *f)
{
    struct names n = { NULL, 0 };
    int i, round, status = 0;

    names_read(f->fd, true, &n);
    for (round = 0; round < 2; round++)
        for (i = 0; i < n.num && !status; i++)
            if (begins(n.list[i], BK_READY) == !round)
                status = tidy_one(f, n.list[i]);
    names_free(&n);
    return status;
}

/* A reader changes nothing. */
static int complain(struct bk_folder *f)
{
    struct names n = { NULL, 0 };
    int i, status = 0;

    names_read(f->fd, true, &n);
    for (i = 0; i < n.num && !status; i++)
        if (begins(n.list[i], BK_READY) &&
            !exists(f->fd, n.list[i] + strlen(BK_READY))) {
            xl_say("%s: a backup-prune was interrupted; the next "
                   "backup-prune or backup-save puts set %s back", f->path,
                   n.list[i] + strlen(BK_READY));
            status = XL_EXIT_REPAIR;
        }
    names_free(&n);
    return status;
}

/* --- sets --- */

static void load_one(struct bk_folder *f, const char *name)
{
    struct bk_set *s;
    char *text = NULL;
    size_t len;
    int fd = openat(f->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
                    O_CLOEXEC);

    if (fd < 0 || bk_name_problem(name) ||
        (!exists(fd, BK_RECORD) && !exists(fd, BK_CONFIG))) {
        if (fd >= 0)
            close(fd);
        return;                 /* no set, and none of our business */
    }
    text = bk_get(fd, BK_RECORD, RECORD_MAX, &len);
    close(fd);
    f->sets = realloc(f->sets, (f->num + 1) * sizeof(*s));
    if (!f->sets)
        abort();
    s = &f->sets[f->num++];
    memset(s, 0, sizeof(*s));
    if (!text)
        s->problem = xl_strdup(BK_RECORD " can't be read");
    else if (bk_set_read(s, text, len, &s->problem) &&
             strcmp(s->name, name))
        s->problem = xl_printf("it is that of set %s", s->name);
    if (s->problem) {
        free(s->name);
        s->name = xl_strdup(name);
    }
    free(text);
}

static void forget(struct bk_folder *f)
{
    while (f->num > 0)
        bk_set_dispose(&f->sets[--f->num]);
    free(f->sets);
    f->sets = NULL;
}

int bk_folder_load(struct bk_folder *f)
{
    struct names n = { NULL, 0 };
    int i;

    forget(f);
    if (!names_read(f->fd, false, &n)) {
        xl_say("reading %s: %s", f->path, strerror(errno));
        return XL_EXIT_FAILED;
    }
    for (i = 0; i < n.num; i++)
        load_one(f, n.list[i]);
    names_free(&n);
    bk_sort(f->sets, f->num);
    return 0;
}

int bk_folder_open(struct bk_folder *f, const char *path, enum bk_use use)
{
    int status;

    *f = (struct bk_folder){ .fd = -1, .lock_fd = -1 };
    status = open_folder(f, path, use);
    if (!status)
        status = lock(f, use);
    if (!status)
        status = use == BK_READ ? complain(f) : tidy(f);
    return status ? status : bk_folder_load(f);
}

void bk_folder_close(struct bk_folder *f)
{
    forget(f);
    if (f->lock_fd >= 0)
        close(f->lock_fd);
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    *f = (struct bk_folder){ .fd = -1, .lock_fd = -1 };
}

int bk_folder_pick(struct bk_folder *f, const char *name,
                   struct bk_set **out)
{
    *out = name ? bk_find(f->sets, f->num, name)
                : bk_newest(f->sets, f->num);
    if (*out)
        return 0;
    if (name)
        xl_say("%s holds no set %s", f->path, name);
    else
        xl_say("%s holds no backups", f->path);
    return XL_EXIT_NOT_FOUND;
}
