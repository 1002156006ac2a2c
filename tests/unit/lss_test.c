/* SPDX-License-Identifier: LGPL-2.1-only */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lss_test.h"

libxl_dominfo lss_info;
int lss_info_rc;
int lss_info_calls;
int lss_info_fails;

static char log_text[1 << 16];
static char dir[64];

static void vmessage(xentoollog_logger *lg, xentoollog_level level,
                     int errnoval, const char *context, const char *format,
                     va_list al) __attribute__((format(printf, 5, 0)));

static void vmessage(xentoollog_logger *lg, xentoollog_level level,
                     int errnoval, const char *context, const char *format,
                     va_list al)
{
    size_t len = strlen(log_text);

    (void)lg;
    (void)context;
    if (level <= XTL_DEBUG || len > sizeof(log_text) - 8192)
        return;
    len += vsnprintf(log_text + len, 4096, format, al);
    if (errnoval >= 0)
        len += snprintf(log_text + len, 256, ": %s", strerror(errnoval));
    strcpy(log_text + len, "\n");
}

static xentoollog_logger logger = { .vmessage = vmessage };

const char *lss_log(void)
{
    return log_text;
}

void lss_log_clear(void)
{
    log_text[0] = '\0';
}

void lss_op_start(struct libxlss__op *op)
{
    lss_log_clear();
    libxl_dominfo_init(&lss_info);
    lss_info.domid = LSS_DOMID;
    lss_info.running = true;
    lss_info.domain_type = LIBXL_DOMAIN_TYPE_PV;
    lss_info_rc = lss_info_calls = lss_info_fails = 0;

    memset(op, 0, sizeof(*op));
    op->lg = &logger;
    op->what = "test of";
    op->domid = LSS_DOMID;
    op->lock_fd = -1;
    libxl_dominfo_init(&op->info);
    op->info = lss_info;
    libxl_domain_config_init(&op->config);
    op->name = libxlss__strdup(op, LSS_NAME);
    strcpy(op->uuid, LSS_UUID);
}

void lss_op_stop(struct libxlss__op *op)
{
    op->xs = NULL;              /* where there is one, it is a fake */
    libxlss__op_end(op);
}

int libxl_domain_info(libxl_ctx *ctx, libxl_dominfo *info, uint32_t domid)
{
    (void)ctx;
    lss_info_calls++;
    if (lss_info_fails > 0 && lss_info_fails--)
        return ERROR_FAIL;
    if (domid != LSS_DOMID)
        return ERROR_DOMAIN_NOTFOUND;
    if (!lss_info_rc)
        *info = lss_info;
    return lss_info_rc;
}

const char *lss_dir(void)
{
    if (!dir[0]) {
        strcpy(dir, "/tmp/lss.XXXXXX");
        if (!mkdtemp(dir))
            abort();
    }
    return dir;
}

const char *lss_path(const char *name)
{
    static char paths[4][512];
    static unsigned int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", lss_dir(), name);
    return path;
}

void lss_dir_remove(void)
{
    DIR *d = dir[0] ? opendir(dir) : NULL;
    struct dirent *e;

    while (d && (e = readdir(d)))
        unlink(lss_path(e->d_name));
    if (d)
        closedir(d);
    rmdir(dir);
    dir[0] = '\0';
}

int lss_num_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int num = 0;

    while (readdir(d))
        num++;
    closedir(d);
    return num;
}

pid_t lss_dead_pid(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    return pid;
}
