/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxl_domain_snapshot_export_*: what a reader gets, while the guest writes
 * and other snapshots come and go; what is refused meanwhile; what is left.
 * The readers are qemu-img and qemu-io, not code of ours.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bed.h"
#include "fake_libxl.h"

static xentoollog_logger *lg;
static libxl_snapshot_how how;
static libxl_ctx *ctx;
static libxl_domain_snapshot_args args;     /* of the snapshot s1 */
static libxl_snapshot_export_list list;
static char label[96];          /* of this run alone */

__attribute__((format(printf, 1, 2)))
static int run(const char *fmt, ...)
{
    char command[2048];
    va_list ap;
    int r;

    va_start(ap, fmt);
    vsnprintf(command, sizeof(command), fmt, ap);
    va_end(ap);
    r = system(command);
    return WIFEXITED(r) ? WEXITSTATUS(r) : -1;
}

static int create(const char *name, libxl_domain_snapshot_args *a)
{
    libxl_domain_snapshot_args_dispose(a);
    libxl_domain_snapshot_args_init(a);
    a->name = strdup(name);
    return libxl_domain_snapshot_create(ctx, fake.domid, a, -1, &how, NULL);
}

static int delete(const libxl_domain_snapshot_args *a)
{
    return libxl_domain_snapshot_delete(ctx, bed.qemu ? fake.domid : XLSS_OFF,
                                        a, &how, NULL);
}

static int export(const char *const *vdevs, const char *socket)
{
    return libxl_domain_snapshot_export_start(ctx, bed.qemu ? fake.domid
                                                            : XLSS_OFF,
                                              &args, label, vdevs, socket,
                                              &list, &how, NULL);
}

static int num_exports(void)
{
    libxl_snapshot_export_list all;
    int num;

    libxl_snapshot_export_list_init(&all);
    assert_int_equal(libxl_domain_snapshot_export_list(ctx, label, &all,
                                                       &how), 0);
    num = all.num_exports;
    libxl_snapshot_export_list_dispose(&all);
    return num;
}

static void stop_all(void)
{
    libxl_snapshot_export_list all;
    int i;

    libxl_snapshot_export_list_init(&all);
    libxl_domain_snapshot_export_list(ctx, NULL, &all, &how);
    for (i = 0; i < all.num_exports; i++)
        if (strstr(all.exports[i].socket, bed.dir))
            libxl_domain_snapshot_export_stop(ctx, &all.exports[i], &how);
    libxl_snapshot_export_list_dispose(&all);
}

static const libxl_snapshot_export *of(const char *vdev)
{
    int i;

    for (i = 0; i < list.num_exports; i++)
        if (!strcmp(list.exports[i].vdev, vdev))
            return &list.exports[i];
    return NULL;
}

/* The guest's disks hold a pattern of their own in 8 MiB; then comes s1. */
static void make(int disks)
{
    int i, mib;

    fake_reset();
    bed_make(disks, false);
    snprintf(label, sizeof(label), "%s/s1", bed.dir);
    for (i = 0; i < disks; i++)
        for (mib = 0; mib < 8; mib++)
            bed_write(i, mib, 10 * (i + 1) + mib);
    libxl_domain_snapshot_args_init(&args);
    libxl_snapshot_export_list_init(&list);
    assert_int_equal(create("s1", &args), 0);
}

static void unmake(void)
{
    stop_all();
    libxl_domain_snapshot_args_dispose(&args);
    libxl_snapshot_export_list_dispose(&list);
    bed_remove();
}

/* The whole disk of s1 as a raw file, by what was written, not by reading. */
static void expected(int disk, const char *path)
{
    int mib;

    assert_int_equal(run("truncate -s 64M '%s'", path), 0);
    for (mib = 0; mib < 8; mib++)
        assert_int_equal(run("qemu-io -f raw -c 'write -q -P %d %dM 1M' "
                             "'file:%s'", 10 * (disk + 1) + mib, mib, path),
                         0);
}

static int differs(const char *vdev, const char *path)
{
    return run("qemu-img compare -q -f raw -F raw '%s' '%s' >/dev/null 2>&1",
               of(vdev)->uri, path);
}

/* A guest that writes all over its disks without an end. */
static pid_t start_writer(void)
{
    pid_t pid = fork();
    unsigned int n;

    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (n = 0; ; n++)
        bed_write(n % bed.num_disks, n * 7 % 64, 100 + n % 100);
}

static void stop_writer(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void test_reads_while_the_guest_writes(void **state)
{
    libxl_domain_snapshot_args other;
    char path[2][128], name[16];
    int i, round, checks = 0;
    pid_t writer;

    (void)state;
    make(2);
    for (i = 0; i < 2; i++) {
        snprintf(path[i], sizeof(path[i]), "%s/expected%d", bed.dir, i);
        expected(i, path[i]);
    }
    libxl_domain_snapshot_args_init(&other);
    assert_int_equal(export(NULL, NULL), 0);
    assert_int_equal(list.num_exports, 2);
    writer = start_writer();
    for (round = 0; round < 12; round++) {
        snprintf(name, sizeof(name), "other%d", round);
        assert_int_equal(create(name, &other), 0);
        for (i = 0; i < 2; i++, checks++)
            assert_int_equal(differs(bed.vdev[i], path[i]), 0);
        if (round % 2)
            assert_int_equal(delete(&other), 0);
        for (i = 0; i < 2; i++, checks++)
            assert_int_equal(differs(bed.vdev[i], path[i]), 0);
    }
    stop_writer(writer);
    assert_int_equal(checks, 48);
    /* The guest did write meanwhile: its disk is another one. */
    bed_stop_qemu();
    assert_int_equal(run("qemu-img compare -q -f qcow2 -F raw 'file:%s' '%s' "
                         ">/dev/null", bed.path[0], path[0]), 1);
    for (i = 0; i < 2; i++) {
        assert_int_equal(differs(bed.vdev[i], path[i]), 0);
        assert_true(bed_check_clean(i));
    }
    libxl_domain_snapshot_args_dispose(&other);
    unmake();
}

static void delete_behind_its_back(int disk)
{
    char text[128];

    snprintf(text, sizeof(text), "{\"device\":\"%s-qcow2\",\"name\":\"s1\"}",
             bed.vdev[disk]);
    assert_int_equal(bed_qmp("blockdev-snapshot-delete-internal-sync", text),
                     0);
}

/* Why it may not be deleted; and that these tests could fail. */
static void test_garbage_if_it_is_deleted(void **state)
{
    char path[128];
    int mib;

    (void)state;
    make(1);
    snprintf(path, sizeof(path), "%s/expected", bed.dir);
    expected(0, path);
    for (mib = 0; mib < 8; mib++)
        bed_write(0, mib, 200);
    assert_int_equal(export(NULL, NULL), 0);
    assert_int_equal(differs("xvda", path), 0);
    delete_behind_its_back(0);
    for (mib = 8; mib < 40; mib++)
        bed_write(0, mib, 201);
    assert_int_equal(differs("xvda", path), 1);
    unmake();
}

static int revert(void)
{
    libxl_domain_config config;
    uint32_t domid;
    int rc;

    libxl_domain_config_init(&config);
    bed_config(ctx, &config);
    rc = libxl_domain_snapshot_revert(ctx, bed.qemu ? fake.domid : XLSS_OFF,
                                      &config, &args, -1, false, NULL,
                                      &domid, &how, NULL);
    libxl_domain_config_dispose(&config);
    return rc;
}

static void test_what_is_exported_stays(void **state)
{
    libxl_domain_snapshot_args other;
    uint64_t began;

    (void)state;
    make(2);
    libxl_domain_snapshot_args_init(&other);
    assert_int_equal(create("s2", &other), 0);
    assert_int_equal(export((const char *[]){ "xvdb", NULL }, NULL), 0);
    assert_int_equal(list.num_exports, 1);
    assert_int_equal(delete(&args), XLSS(BUSY));
    assert_int_equal(revert(), XLSS(BUSY));
    assert_true(bed_running());
    assert_true(bed_has_snapshot(0, "s1"));
    /* Another snapshot of the same image may go. */
    assert_int_equal(delete(&other), 0);
    assert_int_equal(bed_num_snapshots(1), 1);

    /* With the domain off nothing at all, and nobody waits for it. */
    bed_stop_qemu();
    fake.exists = false;
    began = libxlss__now_ms();
    assert_int_equal(delete(&args), XLSS(BUSY));
    assert_int_equal(revert(), XLSS(BUSY));
    assert_true(libxlss__now_ms() - began < 5000);
    assert_true(bed_has_snapshot(0, "s1"));

    assert_int_equal(libxl_domain_snapshot_export_stop(ctx, of("xvdb"),
                                                       &how), 0);
    assert_int_equal(num_exports(), 0);
    assert_int_not_equal(access(of("xvdb")->socket, F_OK), 0);
    assert_int_equal(libxl_domain_snapshot_export_stop(ctx, of("xvdb"),
                                                       &how), 0);
    assert_int_equal(delete(&args), 0);
    assert_int_equal(bed_num_snapshots(0), 0);
    libxl_domain_snapshot_args_dispose(&other);
    unmake();
}

static void test_a_dead_server_is_no_hindrance(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(export(NULL, NULL), 0);
    assert_int_equal(delete(&args), XLSS(BUSY));
    kill(list.exports[0].pid, SIGKILL);
    while (num_exports())
        usleep(10000);
    /* Its socket is left, and doesn't stand in the way of the next one. */
    assert_int_equal(access(list.exports[0].socket, F_OK), 0);
    assert_int_equal(export(NULL, NULL), 0);
    assert_int_equal(num_exports(), 1);
    kill(list.exports[0].pid, SIGKILL);
    while (num_exports())
        usleep(10000);
    assert_int_equal(delete(&args), 0);
    unmake();
}

static void test_never_writes(void **state)
{
    char sum[256];

    (void)state;
    make(1);
    bed_stop_qemu();
    snprintf(sum, sizeof(sum), "sha256sum < '%s'", bed.path[0]);
    assert_int_equal(run("%s > %s/before", sum, bed.dir), 0);
    assert_int_equal(export(NULL, NULL), 0);
    assert_int_equal(run("qemu-img convert -f raw -O raw '%s' %s/copy",
                         list.exports[0].uri, bed.dir), 0);
    assert_int_not_equal(run("qemu-io -f raw -c 'write 0 1M' '%s' "
                             ">/dev/null 2>&1", list.exports[0].uri), 0);
    stop_all();
    assert_int_equal(run("%s | cmp - %s/before", sum, bed.dir), 0);
    unmake();
}

static void test_sockets(void **state)
{
    const char *one[] = { "xvda", NULL }, *none[] = { "xvdz", NULL };
    char path[256], folder[128], deep[256];
    struct stat st;
    mode_t old;

    (void)state;
    make(2);
    snprintf(folder, sizeof(folder), "%s/so ck%%s", bed.dir);
    assert_int_equal(mkdir(folder, 0755), 0);
    old = umask(0);
    assert_int_equal(export(NULL, folder), 0);
    umask(old);
    snprintf(path, sizeof(path), "%s/xvdb.sock", folder);
    assert_string_equal(of("xvdb")->socket, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    /* The URI is right where the path needs care. */
    assert_non_null(strstr(of("xvdb")->uri, "/so%20ck%25s/xvdb.sock"));
    assert_int_equal(run("qemu-io -r -f raw -c 'read -P 25 5M 1M' '%s' "
                         ">/dev/null", of("xvdb")->uri), 0);
    /* Again: what is there; elsewhere: no. */
    assert_int_equal(export(one, NULL), 0);
    assert_string_equal(of("xvda")->socket + strlen(folder), "/xvda.sock");
    snprintf(path, sizeof(path), "%s/own.sock", bed.dir);
    assert_int_equal(export(one, path), XLSS(EXISTS));
    stop_all();

    assert_int_equal(export(NULL, path), ERROR_INVAL);
    assert_int_equal(export(none, path), ERROR_NOTFOUND);
    assert_int_equal(export(one, "relative"), ERROR_INVAL);
    memset(deep, 'x', sizeof(deep));
    deep[0] = '/';
    deep[150] = '\0';
    assert_int_equal(export(one, deep), ERROR_INVAL);
    assert_int_equal(run("echo precious > '%s'", path), 0);
    assert_int_equal(export(one, path), XLSS(EXISTS));
    assert_int_equal(run("grep -q precious '%s'", path), 0);
    unlink(path);
    assert_int_equal(export(one, path), 0);
    assert_int_equal(num_exports(), 1);
    unmake();
}

static void test_several_clients(void **state)
{
    char path[128];

    (void)state;
    make(1);
    snprintf(path, sizeof(path), "%s/expected", bed.dir);
    expected(0, path);
    assert_int_equal(export(NULL, NULL), 0);
    assert_int_equal(run("for i in 1 2 3 4; do qemu-img compare -q -f raw "
                         "-F raw '%s' '%s' & p=\"$p $!\"; done; for i in $p; "
                         "do wait $i || exit 1; done", list.exports[0].uri,
                         path), 0);
    /* It stays when all have gone. */
    assert_int_equal(num_exports(), 1);
    assert_int_equal(differs("xvda", path), 0);
    unmake();
}

static void test_all_or_none(void **state)
{
    int n;

    (void)state;
    make(2);
    delete_behind_its_back(1);
    assert_int_equal(export(NULL, NULL), XLSS(DAMAGED));
    assert_int_equal(num_exports(), 0);
    unmake();

    make(2);
    for (n = 1; n < 20; n++) {
        fake.calls = 0;
        fake.failed = false;
        fake.fail_at = n;
        fake.fault = n % 2 ? FAULT_BEFORE : FAULT_AFTER;
        if (!export(NULL, NULL) && !fake.failed)
            break;
        fake.fail_at = 0;
        if (num_exports() != 0 && num_exports() != 2)
            fail_msg("call %d (%s) failed, and %d disks are exported", n,
                     fake.failed_call, num_exports());
        stop_all();
    }
    assert_in_range(n, 4, 19);
    fake.fail_at = 0;
    assert_int_equal(num_exports(), 2);
    unmake();
}

/* Files as the other kinds leave them, made by hand. */
static void make_file(int disk, libxl_disk_snapshot_kind kind,
                      libxl_disk_format format, const char *name)
{
    libxl_disk_snapshot *d = &args.disks[disk];
    const char *f = format == LIBXL_DISK_FORMAT_RAW ? "raw" : "qcow2";
    char *path;

    assert_true(asprintf(&path, "%s/%s", bed.dir, name) > 0);
    assert_int_equal(run("qemu-img create -q -f %s '%s' 16M && qemu-io -f %s "
                         "-c 'write -q -P %d 3M 1M' 'file:%s'", f, path, f,
                         70 + disk, path), 0);
    d->kind = LIBXL_DISK_SNAPSHOT_KIND_ANY;
    libxl_disk_snapshot_init_kind(d, kind);
    d->device.format = format;
    switch (kind) {
    case LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL:
        d->u.external.base_path = path;
        break;
    case LIBXL_DISK_SNAPSHOT_KIND_REFLINK:
        d->u.reflink.reflink_path = path;
        break;
    default:
        d->u.lvm.lvm_volume = path;
        break;
    }
}

static void test_other_kinds(void **state)
{
    int i;

    (void)state;
    make(4);
    make_file(0, LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL, LIBXL_DISK_FORMAT_QCOW2,
              "base, of a.qcow2");
    make_file(1, LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL, LIBXL_DISK_FORMAT_RAW,
              "base of b");
    make_file(2, LIBXL_DISK_SNAPSHOT_KIND_REFLINK, LIBXL_DISK_FORMAT_RAW,
              "reflink of c");
    make_file(3, LIBXL_DISK_SNAPSHOT_KIND_LVM, LIBXL_DISK_FORMAT_RAW,
              "volume");
    assert_int_equal(export(NULL, NULL), 0);
    assert_int_equal(list.num_exports, 4);
    for (i = 0; i < 4; i++)
        assert_int_equal(run("qemu-io -r -f raw -c 'read -P %d 3M 1M' '%s' "
                             ">/dev/null", 70 + i, of(bed.vdev[i])->uri), 0);
    stop_all();
    unlink(args.disks[2].u.reflink.reflink_path);
    assert_int_equal(export(NULL, NULL), XLSS(DAMAGED));
    free(args.disks[0].u.external.base_path);
    args.disks[0].u.external.base_path = NULL;
    assert_int_equal(export((const char *[]){ "xvda", NULL }, NULL),
                     ERROR_INVAL);
    unmake();
}

/* An external snapshot as the library makes it, of a guest that writes on. */
static void test_external(void **state)
{
    char path[128];
    int mib;

    (void)state;
    make(1);
    snprintf(path, sizeof(path), "%s/expected", bed.dir);
    expected(0, path);
    assert_int_equal(delete(&args), 0);
    libxl_domain_snapshot_args_dispose(&args);
    libxl_domain_snapshot_args_init(&args);
    args.name = strdup("e1");
    args.disks = calloc(1, sizeof(*args.disks));
    args.num_disks = 1;
    libxl_disk_snapshot_init(&args.disks[0]);
    libxl_disk_snapshot_init_kind(&args.disks[0],
                                  LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL);
    args.disks[0].device.vdev = strdup("xvda");
    assert_int_equal(libxl_domain_snapshot_create(ctx, fake.domid, &args, -1,
                                                  &how, NULL), 0);
    assert_int_equal(export(NULL, NULL), 0);
    for (mib = 0; mib < 8; mib++)
        bed_write(0, mib, 222);
    assert_int_equal(differs("xvda", path), 0);
    assert_int_equal(delete(&args), XLSS(BUSY));
    assert_int_equal(revert(), XLSS(BUSY));
    assert_int_equal(differs("xvda", path), 0);
    unmake();
}

/* An image that an external snapshot has frozen since. */
static void test_internal_in_another_file(void **state)
{
    (void)state;
    make(1);
    bed_stop_qemu();
    args.disks[0].u.internal.internal_path = strdup(args.disks[0]
                                                    .device.pdev_path);
    free(args.disks[0].device.pdev_path);
    args.disks[0].device.pdev_path = strdup("/nonexistent/overlay");
    assert_int_equal(export(NULL, NULL), 0);
    assert_int_equal(run("qemu-io -r -f raw -c 'read -P 15 5M 1M' '%s' "
                         ">/dev/null", list.exports[0].uri), 0);
    unmake();
}

static void done(libxl_ctx *c, int rc, void *p)
{
    (void)c;
    if (write(*(int *)p, &rc, sizeof(rc)) != sizeof(rc))
        abort();
}

static void test_asynchronous(void **state)
{
    libxl_asyncop_how ao = { .callback = done };
    int p[2], rc = -1;

    (void)state;
    make(1);
    assert_int_equal(pipe(p), 0);
    ao.u.for_callback = &p[1];
    assert_int_equal(libxl_domain_snapshot_export_start(ctx, fake.domid,
                     &args, label, NULL, NULL, &list, &how, &ao), 0);
    assert_int_equal(read(p[0], &rc, sizeof(rc)), sizeof(rc));
    assert_int_equal(rc, 0);
    assert_int_equal(list.num_exports, 1);
    unmake();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_while_the_guest_writes),
        cmocka_unit_test(test_garbage_if_it_is_deleted),
        cmocka_unit_test(test_what_is_exported_stays),
        cmocka_unit_test(test_a_dead_server_is_no_hindrance),
        cmocka_unit_test(test_never_writes),
        cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_several_clients),
        cmocka_unit_test(test_all_or_none),
        cmocka_unit_test(test_other_kinds),
        cmocka_unit_test(test_external),
        cmocka_unit_test(test_internal_in_another_file),
        cmocka_unit_test(test_asynchronous),
    };
    bool verbose = getenv("VERBOSE");

    lg = (xentoollog_logger *)xtl_createlogger_stdiostream(stderr,
             verbose ? XTL_DEBUG : XTL_CRITICAL, 0);
    how.lg = lg;
    alarm(300);
    libxlss__guard_path = NULL;
    if (libxl_ctx_alloc(&ctx, LIBXL_VERSION, 0, lg))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
