/* SPDX-License-Identifier: LGPL-2.1-only */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scene.h"

/* The stream walker wants a real stream; the fake's memory is none. */
int __wrap_libxlss__stream_verify(struct libxlss__op *op, int fd);
int __wrap_libxlss__stream_verify(struct libxlss__op *op, int fd)
{
    bool after;

    (void)op;
    (void)fd;
    return fake_fails("stream_verify", &after) ? XLSS(DAMAGED) : 0;
}

/* The fake guest never answers late. */
void __wrap_libxlss__sleep_ms(unsigned int ms);
void __wrap_libxlss__sleep_ms(unsigned int ms)
{
    usleep(ms < 20 ? ms * 1000 : 20000);
}

int quiet_step(libxl_ctx *unused, libxl_snapshot_step step,
                      uint64_t done, uint64_t total, void *user)
{
    (void)unused;
    (void)step;
    (void)done;
    (void)total;
    (void)user;
    return 0;
}

static xentoollog_logger *lg;
libxl_snapshot_how how;
libxl_ctx *ctx;

int memory_file(const char *name)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", bed.dir, name);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

bool live;

/* Always from fresh arguments. */
int create(const char *name, libxl_domain_snapshot_args *args, int fd)
{
    libxl_domain_snapshot_args_dispose(args);
    libxl_domain_snapshot_args_init(args);
    args->name = strdup(name);
    if (live)
        libxl_defbool_set(&args->live, true);
    return libxl_domain_snapshot_create(ctx, fake.domid, args, fd, &how,
                                        NULL);
}

int revert(const libxl_domain_snapshot_args *args, int fd,
                  libxl_domain_snapshot_safety *safety, uint32_t *domid)
{
    libxl_domain_config config;
    int rc;

    libxl_domain_config_init(&config);
    bed_config(ctx, &config);
    lseek(fd, 0, SEEK_SET);
    rc = libxl_domain_snapshot_revert(ctx,
                                      fake.exists ? fake.domid
                                                  : XLSS_OFF,
                                      &config, args, fd, false, safety,
                                      domid, &how, NULL);
    libxl_domain_config_dispose(&config);
    return rc;
}

void expect_running(void)
{
    assert_true(fake.exists);
    assert_false(fake.suspended);
    assert_int_equal(fake.pauses, 0);
    assert_false(fake.log_dirty);
    if (bed.qemu > 0) {
        assert_true(bed_running());
        /* An image that is inactive would end QEMU here. */
        bed_write(0, 7, 7);
        assert_true(bed_running());
    }
}

void expect_disks(int pattern)
{
    int i;

    for (i = 0; i < bed.num_disks; i++) {
        assert_true(bed_check_clean(i));
        assert_true(bed_reads(i, 0, pattern));
        assert_true(bed_reads(i, 5, 9));
    }
}

void write_disks(int pattern)
{
    int i;

    for (i = 0; i < bed.num_disks; i++)
        bed_write(i, 0, pattern);
    fake.tick = pattern;
}

libxl_domain_snapshot_args args;
int fd;

void make_bed(int disks, bool hvm, bool twin)
{
    int i;

    fake_reset();
    fake.hvm = hvm;
    if (twin)
        fake.backend_state = 2;
    bed_make(disks, twin);
    for (i = 0; i < disks; i++)
        bed_write(i, 5, 9);
    write_disks(1);
    fd = memory_file("mem");
    libxl_domain_snapshot_args_init(&args);
}

void remove_bed(void)
{
    close(fd);
    libxl_domain_snapshot_args_dispose(&args);
    bed_remove();
}

int scene_abandon(void **state)
{
    (void)state;
    bed_abandon();
    return 0;
}

bool scene_begin(void)
{
    int level = getenv("V") ? XTL_DEBUG : XTL_CRITICAL;

    libxlss__guard_path = NULL;
    /* One test by its name, for who looks for its fault. */
    if (getenv("TEST"))
        cmocka_set_test_filter(getenv("TEST"));
    lg = (xentoollog_logger *)xtl_createlogger_stdiostream(stderr, level, 0);
    how.lg = lg;
    how.step = quiet_step;
    if (!libxl_ctx_alloc(&ctx, LIBXL_VERSION, 0, lg))
        return true;
    fprintf(stderr, "no libxl ctx\n");
    return false;
}
