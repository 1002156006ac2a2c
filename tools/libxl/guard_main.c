/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The guard: lives for one operation and holds a pipe from it. "end" means
 * that all is well. The pipe's end without it means that the caller died:
 * then the guard sets the domain going again, and runs what the caller had
 * named for this (the catalogue's recovery).
 *
 * xl-snapshot-guard DOMID UUID DEV INODE [PROGRAM ARGUMENT...]
 *
 * DEV and INODE are those of the memory image: libxl's save helper, which
 * outlives its parent for a moment, is found by it.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guard.h"

/* It doesn't give up for a minute. */
#define TRIES    12
#define RETRY_MS 5000
/* Each of these waits for the agent, too: half an hour. */
#define TRIES_FROZEN 50

#define LOG_FILE "/var/log/xen/xl-snapshot-guard.log"

static bool has_open(const char *pid, dev_t dev, ino_t ino)
{
    char path[300];
    struct dirent *e;
    bool found = false;
    struct stat st;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
    dir = opendir(path);
    while (dir && !found && (e = readdir(dir))) {
        snprintf(path, sizeof(path), "/proc/%.20s/fd/%.20s", pid, e->d_name);
        found = !stat(path, &st) && st.st_dev == dev && st.st_ino == ino;
    }
    if (dir)
        closedir(dir);
    return found;
}

static bool is_save_helper(const char *pid)
{
    char path[64], comm[32] = "";
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
    f = fopen(path, "re");
    if (!f)
        return false;
    if (!fgets(comm, sizeof(comm), f))
        comm[0] = '\0';
    fclose(f);
    /* The kernel keeps 15 characters of a name. */
    return !strncmp(comm, "libxl-save-help", 15);
}

static void kill_save_helper(dev_t dev, ino_t ino)
{
    struct dirent *e;
    DIR *dir = ino ? opendir("/proc") : NULL;

    while (dir && (e = readdir(dir))) {
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        if (is_save_helper(e->d_name) && has_open(e->d_name, dev, ino))
            kill(atoi(e->d_name), SIGKILL);
    }
    if (dir)
        closedir(dir);
}

/* True: the operation ended by itself. */
static bool watch(struct libxlss__held *held)
{
    char line[GUARD_LINE + 1];
    size_t used = 0;

    for (;;) {
        ssize_t n = read(GUARD_FD_TELL, line + used, GUARD_LINE - used);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        used += n;
        if (used < GUARD_LINE)
            continue;
        line[GUARD_LINE] = '\0';
        used = 0;
        if (!strcmp(line, GUARD_BYE))
            return true;
        libxlss__held_from_line(held, line);
    }
}

static xentoollog_logger *open_log(void)
{
    FILE *f = fopen(LOG_FILE, "ae");

    return (xentoollog_logger *)
        xtl_createlogger_stdiostream(f ? f : stderr, XTL_DETAIL,
                                     XTL_STDIOSTREAM_SHOW_DATE |
                                     XTL_STDIOSTREAM_SHOW_PID);
}

static void set_going(libxl_ctx *ctx, xentoollog_logger *lg, uint32_t domid,
                      const char *uuid, const struct libxlss__held *held)
{
    libxl_snapshot_how how = { .lg = lg };
    struct libxlss__op op;
    int rc, tries;

    rc = libxlss__op_begin(&op, ctx, domid, "guard of", &how);
    if (!rc && !strcmp(op.uuid, uuid)) {
        LOG_WARN(&op, "the operation's process died, or gave up; setting the "
                 "domain going again");
        op.held = *held;
        for (tries = 0; tries < (op.held.frozen ? TRIES_FROZEN : TRIES);
             tries++) {
            rc = libxlss__release(&op);
            if (!rc || rc == ERROR_DOMAIN_NOTFOUND)
                break;
            libxlss__sleep_ms(RETRY_MS);
        }
        LOG_WARN(&op, "done: %s", libxl_snapshot_strerror(rc));
    }
    libxlss__op_end(&op);
}

static void use_null(void)
{
    int fd = open("/dev/null", O_RDWR), i;

    /* Nobody's terminal or pipe must be held open by us. */
    for (i = 0; i < 3; i++)
        dup2(fd, i);
    if (fd > 2)
        close(fd);
}

int main(int argc, char **argv)
{
    struct libxlss__held held = { 0 };
    xentoollog_logger *lg;
    libxl_ctx *ctx;
    uint32_t domid;

    if (argc < 5) {
        fprintf(stderr, "xl-snapshot-guard: started by libxlsnapshot only\n");
        return 2;
    }
    use_null();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (chdir("/"))
        return 1;
    domid = strtoul(argv[1], NULL, 10);
    lg = open_log();
    /* The descriptors are ours alone, not those of the recovery below. */
    fcntl(GUARD_FD_TELL, F_SETFD, FD_CLOEXEC);
    fcntl(GUARD_FD_LOCK, F_SETFD, FD_CLOEXEC);
    if (libxl_ctx_alloc(&ctx, LIBXL_VERSION, 0, lg))
        return 1;
    if (write(GUARD_FD_READY, "!", 1) != 1)
        return 1;
    close(GUARD_FD_READY);

    if (watch(&held))
        return 0;
    kill_save_helper(strtoull(argv[3], NULL, 10),
                     strtoull(argv[4], NULL, 10));
    set_going(ctx, lg, domid, argv[2], &held);
    libxl_ctx_free(ctx);
    if (argv[5])
        execv(argv[5], argv + 5);
    return 0;
}
