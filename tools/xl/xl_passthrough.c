/* SPDX-License-Identifier: LGPL-2.1-only */
/* Finds the system's xl and becomes it. */
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xl_exit.h"
#include <xlu_snapshot.h>

#include "xl_create_uuid.h"
#include "xl_detach.h"
#include "xl_passthrough.h"
#include "xl_text.h"

#ifndef XL_SYSTEM_PATH
#define XL_SYSTEM_PATH "/usr/sbin/xl"
#endif
#ifndef XL_SYSTEM_GLOB
#define XL_SYSTEM_GLOB "/usr/lib/xen-*/bin/xl"
#endif
#define XEN_VERSION_FOLDER "/sys/hypervisor/version"

char *xl_own_path(void)
{
    char buf[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", buf, sizeof(buf) - 1);

    if (len <= 0)
        return NULL;
    buf[len] = '\0';
    return xl_strdup(buf);
}

/* A program, and not this one under whatever name. */
static bool usable(const char *path)
{
    struct stat st, own;

    if (stat(path, &st) || !S_ISREG(st.st_mode) || access(path, X_OK))
        return false;
    if (stat("/proc/self/exe", &own))
        return true;
    return st.st_dev != own.st_dev || st.st_ino != own.st_ino;
}

/* Relative folders of PATH are left out: xl is run by root. */
static char *from_path(const char *path)
{
    char *copy = xl_strdup(path), *rest = copy, *folder, *found = NULL;

    while (!found && (folder = strsep(&rest, ":"))) {
        if (folder[0] != '/')
            continue;
        found = xl_printf("%s/xl", folder);
        if (!usable(found)) {
            free(found);
            found = NULL;
        }
    }
    free(copy);
    return found;
}

static bool read_number(const char *name, int *out)
{
    char *path = xl_printf(XEN_VERSION_FOLDER "/%s", name);
    FILE *f = fopen(path, "re");
    bool ok = f && fscanf(f, "%d", out) == 1;

    if (f)
        fclose(f);
    free(path);
    return ok;
}

/* That of the running hypervisor; else the last, as good as any. */
static char *from_versions(void)
{
    int major, minor;
    char *found = NULL, *running = NULL;
    glob_t g;
    size_t i;

    if (read_number("major", &major) && read_number("minor", &minor))
        running = xl_printf("/xen-%d.%d/", major, minor);
    if (glob(XL_SYSTEM_GLOB, 0, NULL, &g) == 0) {
        for (i = 0; i < g.gl_pathc; i++) {
            if (!usable(g.gl_pathv[i]))
                continue;
            free(found);
            found = xl_strdup(g.gl_pathv[i]);
            if (running && strstr(found, running))
                break;
        }
        globfree(&g);
    }
    free(running);
    return found;
}

char *xl_system_path(const char *path)
{
    char *found = path ? from_path(path) : NULL;

    if (!found && usable(XL_SYSTEM_PATH))
        found = xl_strdup(XL_SYSTEM_PATH);
    return found ? found : from_versions();
}

/* The subcommand, behind options of xl's own; NULL if there is none. */
static char **find_command(char **argv)
{
    while (*++argv && **argv == '-')
        ;
    return *argv ? argv : NULL;
}

/* Subcommands of xl that open the disks of a domain that is off. */
static bool starts_a_domain(const char *command)
{
    return !strcmp(command, "create") || !strcmp(command, "restore") ||
           !strcmp(command, "migrate-receive");
}

/*
 * A configuration without a UUID makes another domain each time, and
 * snapshots belong to a UUID: a domain of a name that has snapshots gets the
 * UUID that it had when they were taken. Returns the arguments.
 */
static char **keep_uuid(libxl_ctx *ctx, xentoollog_logger *lg, char **argv,
                        char **command)
{
    char *name = xl_create_name(command + 1);
    char uuid[37], **all;
    size_t n = 0;

    if (name && xlu_snapshot_uuid_of_name(ctx, lg, NULL, name, uuid)) {
        while (argv[n])
            n++;
        all = calloc(n + 2, sizeof(*all));
        if (all) {
            memcpy(all, argv, n * sizeof(*all));
            all[n] = xl_printf("uuid=\"%s\"", uuid);
            argv = all;
        }
    }
    free(name);
    return argv;
}

/*
 * Files that an external snapshot has moved get their own names again. A
 * failure is told; whether the domain can start without is xl's to find.
 */
static char **before_start(char **argv, char **command)
{
    bool create = !strcmp(*command, "create");
    bool wrong = xlu_snapshot_names_wrong(NULL);
    xentoollog_logger *lg;
    libxl_ctx *ctx = NULL;

    if (geteuid() != 0 || (!wrong && !(create && xlu_snapshot_any(NULL))))
        return argv;
    lg = (xentoollog_logger *)
        xtl_createlogger_stdiostream(stderr, XTL_ERROR, 0);
    if (lg && !libxl_ctx_alloc(&ctx, LIBXL_VERSION, 0, lg)) {
        if (wrong)
            xlu_snapshot_names_put_right(ctx, lg, NULL);
        if (create)
            argv = keep_uuid(ctx, lg, argv, command);
        libxl_ctx_free(ctx);
    }
    if (lg)
        xtl_logger_destroy(lg);
    return argv;
}

/* Only QEMUs that overlays were given to need our help with their disks. */
static bool helps_with(const char *command, const char *which)
{
    return !strcmp(command, which) && geteuid() == 0 &&
           xlu_snapshot_any(NULL);
}

/* As xl has ended. */
static int detach(const char *path, char **argv, char **command)
{
    int status = xl_run(path, argv);

    xl_detached(command);
    if (status >= 0 && WIFSIGNALED(status))
        raise(WTERMSIG(status));
    return status >= 0 && WIFEXITED(status) ? WEXITSTATUS(status) :
                                              XL_EXIT_FAILED;
}

int xl_passthrough(char **argv)
{
    char *path = xl_system_path(getenv("PATH"));
    static char name[] = "xl";
    const char *slash;
    char **command;

    if (!path) {
        fputs("xl-snapshot: can't find the system's xl, which is wanted "
              "for this command\n", stderr);
        return XL_EXIT_FAILED;
    }
    command = find_command(argv);
    if (command && starts_a_domain(*command))
        argv = before_start(argv, command);
    /* Called by our own name: xl prints argv[0] in its messages. */
    slash = strrchr(argv[0], '/');
    if (strcmp(slash ? slash + 1 : argv[0], name) != 0)
        argv[0] = name;
    if (command && helps_with(*command, "block-attach"))
        xl_detached(command);
    if (command && helps_with(*command, "block-detach"))
        return detach(path, argv, command);
    execv(path, argv);
    fprintf(stderr, "xl-snapshot: can't run %s: %s\n", path,
            strerror(errno));
    free(path);
    return XL_EXIT_FAILED;
}
