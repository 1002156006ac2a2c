/* SPDX-License-Identifier: LGPL-2.1-only */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bed.h"
#include "fake_libxl.h"

struct bed bed;

#define QEMU_DEFAULT "/usr/libexec/xen-qemu-system-i386"
#define DISK_SIZE "64M"

static void die(const char *what)
{
    fprintf(stderr, "test bed: %s: %s\n", what, strerror(errno));
    abort();
}

__attribute__((format(printf, 1, 2)))
static int run(const char *fmt, ...)
{
    char command[1024];
    va_list ap;
    int r;

    va_start(ap, fmt);
    vsnprintf(command, sizeof(command), fmt, ap);
    va_end(ap);
    r = system(command);
    return WIFEXITED(r) ? WEXITSTATUS(r) : -1;
}

static unsigned int next_raw, next_phy;
static const char *next_base, *next_size;

void bed_next_raw(int disk)
{
    next_raw |= 1u << disk;
}

void bed_next_phy(int disk)
{
    bed_next_raw(disk);
    next_phy |= 1u << disk;
}

void bed_next_base(const char *folder)
{
    next_base = folder;
}

void bed_next_size(const char *size)
{
    next_size = size;
}

void bed_make(int num_disks, bool twin)
{
    static const char *const vdevs[BED_MAX_DISKS] = {
        "xvda", "xvdb", "xvdc", "xvdd", "xvde", "xvdf", "xvdg", "xvdh" };
    unsigned int raw, phy;
    int i;

    memset(&bed, 0, sizeof(bed));
    raw = next_raw;
    phy = next_phy;
    next_raw = next_phy = 0;
    snprintf(bed.dir, sizeof(bed.dir), "%s/xlss-bed-XXXXXX",
             next_base ? next_base : "/tmp");
    next_base = NULL;
    if (!mkdtemp(bed.dir))
        die("mkdtemp");
    bed.num_disks = num_disks;
    bed.twin = twin;
    for (i = 0; i < num_disks; i++) {
        bed.vdev[i] = vdevs[i];
        /* A comma, a space and a colon: names that need care. */
        bed.format[i] = raw & 1u << i ? "raw" : "qcow2";
        bed.phy[i] = phy & 1u << i;
        snprintf(bed.path[i], sizeof(bed.path[i]), "%s/disk,%d a:b.%s",
                 bed.dir, i, bed.format[i]);
        if (run("qemu-img create -q -f %s '%s' %s", bed.format[i],
                bed.path[i], next_size ? next_size : DISK_SIZE))
            die("qemu-img create");
    }
    next_size = NULL;
    /* No guest answers late here, and what ends has closed its files soon. */
    libxlss__late_suspend_ms = 200;
    libxlss__close_ms = 5000;
    libxlss__run_dir = bed.dir;
    libxlss__xen_run_dir = bed.dir;
    libxlss__xen_lib_dir = bed.dir;
    bed_start_qemu();
}

void bed_remove(void)
{
    bed_kill_qemu();
    /* Frozen files, of a test that ends while the domain runs. */
    run("chattr -i '%s'/* 2>/dev/null", bed.dir);
    run("rm -rf '%s'", bed.dir);
    bed.dir[0] = '\0';
}

void bed_abandon(void)
{
    if (bed.dir[0])
        bed_remove();
}

/* In an option's value a comma is written twice. */
static char *escaped(const char *path)
{
    static char out[2][256];
    static int turn;
    char *to = out[turn ^= 1];

    for (; *path; path++) {
        *to++ = *path;
        if (*path == ',')
            *to++ = ',';
    }
    *to = '\0';
    return out[turn];
}

static void add_arg(char **argv, int *n, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&argv[(*n)++], fmt, ap) < 0)
        die("vasprintf");
    va_end(ap);
}

static void exec_qemu(void)
{
    const char *qemu = getenv("XEN_QEMU");
    char *argv[64] = { NULL };
    int n = 0, i;

    add_arg(argv, &n, "%s", qemu ? qemu : QEMU_DEFAULT);
    add_arg(argv, &n, "-accel");
    add_arg(argv, &n, "qtest");
    add_arg(argv, &n, "-M");
    add_arg(argv, &n, "pc");
    add_arg(argv, &n, "-nodefaults");
    add_arg(argv, &n, "-display");
    add_arg(argv, &n, "none");
    add_arg(argv, &n, "-qmp");
    add_arg(argv, &n, "unix:%s/qmp-libxl-%u,server=on,wait=off", bed.dir,
            fake.domid);
    add_arg(argv, &n, "-qmp");
    add_arg(argv, &n, "unix:%s/qmp-test,server=on,wait=off", bed.dir);
    /* A channel without a guest at its other end. */
    add_arg(argv, &n, "-chardev");
    add_arg(argv, &n, "socket,id=libxl-channel1,path=%s/channel,server=on,"
            "wait=off", bed.dir);
    if (bed.twin) {
        add_arg(argv, &n, "-drive");
        add_arg(argv, &n, "file=%s,if=ide,index=0,format=qcow2,"
                "cache=writeback,file.locking=off", escaped(bed.path[0]));
    }
    add_arg(argv, &n, "-device");
    add_arg(argv, &n, "ich9-ahci,id=ahci");
    add_arg(argv, &n, "-device");
    add_arg(argv, &n, "ich9-ahci,id=ahci2");
    for (i = 0; i < bed.num_disks; i++) {
        if (bed.phy[i])
            continue;
        add_arg(argv, &n, "-blockdev");
        /* Discards arrive, as xen-block's do. */
        add_arg(argv, &n, "driver=%s,node-name=%s-%s,file.driver=file,"
                "discard=unmap,file.discard=unmap,"
                "file.filename=%s,file.locking=off", bed.format[i],
                bed.vdev[i], bed.format[i], escaped(bed.path[i]));
        add_arg(argv, &n, "-device");
        add_arg(argv, &n, "ide-hd,id=dev-%s,bus=ahci%s.%d,drive=%s-%s,"
                "share-rw=on", bed.vdev[i], i < 6 ? "" : "2", i % 6,
                bed.vdev[i], bed.format[i]);
    }
    /* Its own commentary on our reads and writes is not wanted. */
    if (!freopen("/dev/null", "w", stdout))
        _exit(1);
    execv(argv[0], argv);
    _exit(127);
}

/* libxl starts none for a PV domain with blkback's disks alone. */
static bool needs_qemu(void)
{
    int i;

    for (i = 0; i < bed.num_disks; i++)
        if (!bed.phy[i])
            return true;
    return fake.hvm;
}

void bed_start_qemu(void)
{
    char path[128];
    pid_t pid;
    int i;

    if (!needs_qemu())
        return;
    snprintf(path, sizeof(path), "%s/qmp-test", bed.dir);
    unlink(path);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        exec_qemu();
    }
    bed.qemu = pid;
    for (i = 0; i < 500; i++) {
        if (!bed_qmp("query-status", NULL))
            return;
        usleep(20000);
    }
    die("QEMU did not start");
}

static void reap(void)
{
    if (bed.qemu > 0)
        waitpid(bed.qemu, NULL, 0);
    bed.qemu = 0;
}

void bed_hangup_qemu(void)
{
    /* Not reaped: the library must notice its end by itself. */
    if (bed.qemu > 0)
        kill(bed.qemu, SIGHUP);
}

void bed_kill_qemu(void)
{
    if (bed.qemu > 0)
        kill(bed.qemu, SIGKILL);
    reap();
}

void bed_stop_qemu(void)
{
    if (bed.qemu > 0)
        kill(bed.qemu, SIGTERM);
    reap();
}

static int connect_qmp(void)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/qmp-test", bed.dir);
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The first line that has neither "event" nor "QMP". */
static yajl_val read_reply(FILE *f)
{
    char *line = NULL, err[128];
    size_t size = 0;
    yajl_val v = NULL;

    while (getline(&line, &size, f) > 0) {
        v = json_parse(line, strlen(line), 512, err, sizeof(err));
        if (v && !json_member(v, "event") && !json_member(v, "QMP"))
            break;
        yajl_tree_free(v);
        v = NULL;
    }
    free(line);
    return v;
}

int bed_qmp_reply(const char *command, const char *arguments, yajl_val *v_r)
{
    int fd = connect_qmp(), rc = -1;
    yajl_val v;
    FILE *f;

    *v_r = NULL;
    if (fd < 0)
        return -1;
    f = fdopen(fd, "r+");
    dprintf(fd, "{\"execute\":\"qmp_capabilities\"}\n");
    yajl_tree_free(read_reply(f));
    dprintf(fd, "{\"execute\":\"%s\"%s%s}\n", command,
            arguments ? ",\"arguments\":" : "", arguments ? arguments : "");
    v = read_reply(f);
    if (v && json_member(v, "return")) {
        *v_r = v;
        rc = 0;
    } else {
        yajl_tree_free(v);
    }
    fclose(f);
    return rc;
}

int bed_qmp(const char *command, const char *arguments)
{
    yajl_val v;
    int rc = bed_qmp_reply(command, arguments, &v);

    yajl_tree_free(v);
    return rc;
}

bool bed_running(void)
{
    bool running = false;
    yajl_val v;

    if (!bed_qmp_reply("query-status", NULL, &v))
        running = json_bool(json_object(v, "return"), "running", false);
    yajl_tree_free(v);
    return running;
}

const char *bed_node_left(void)
{
    static char left[64];
    yajl_val v, nodes;
    size_t i;

    left[0] = '\0';
    if (bed_qmp_reply("query-named-block-nodes", NULL, &v))
        return "no answer of QEMU";
    nodes = json_array(v, "return");
    for (i = 0; i < json_length(nodes) && !left[0]; i++) {
        const char *node = json_string(json_item(nodes, i), "node-name");

        if (!strncmp(node, "xlbs-", 5))
            snprintf(left, sizeof(left), "%s", node);
    }
    yajl_tree_free(v);
    return left[0] ? left : NULL;
}

void bed_write(int disk, int mib, int pattern)
{
    char text[256];

    if (bed.phy[disk]) {
        if (run("qemu-io -f raw -c 'write -q -P %d %dM 1M' 'file:%s'",
                pattern, mib, bed.path[disk]))
            die("qemu-io");
        return;
    }
    /* By the device: its node changes. */
    snprintf(text, sizeof(text), "{\"command-line\":\"qemu-io %s%s "
             "\\\"write -q -P %d %dM 1M\\\"\"}",
             bed.twin && disk == 0 ? "ide0-hd0" : "-d dev-",
             bed.twin && disk == 0 ? "" : bed.vdev[disk], pattern, mib);
    if (bed_qmp("human-monitor-command", text))
        die("qemu-io write");
}

bool bed_reads(int disk, int mib, int pattern)
{
    return !run("qemu-io -f %s -c 'read -q -P %d %dM 1M' "
                "'file:%s' >/dev/null 2>&1", bed.format[disk], pattern, mib,
                bed.path[disk]);
}

static int count_snapshots(int disk, const char *name)
{
    char command[512], line[512], tag[256];
    int count = 0;
    FILE *p;

    snprintf(command, sizeof(command), "qemu-img info -U -f qcow2 'file:%s' "
             "| sed -n '/^ID /,/^[A-Z]/p'", bed.path[disk]);
    p = popen(command, "r");
    while (p && fgets(line, sizeof(line), p))
        if (sscanf(line, "%*d %255s", tag) == 1 &&
            (!name || !strcmp(tag, name)))
            count++;
    if (p)
        pclose(p);
    return count;
}

bool bed_has_snapshot(int disk, const char *name)
{
    return count_snapshots(disk, name) > 0;
}

int bed_num_snapshots(int disk)
{
    return count_snapshots(disk, NULL);
}

bool bed_check_clean(int disk)
{
    return !strcmp(bed.format[disk], "raw") ||
           !run("qemu-img check -q -f qcow2 'file:%s' >/dev/null 2>&1",
                bed.path[disk]);
}

void bed_repair_leaks(void)
{
    int i;

    for (i = 0; i < bed.num_disks; i++)
        run("qemu-img check -q -r leaks -f qcow2 'file:%s' >/dev/null 2>&1",
            bed.path[i]);
}

void bed_config(libxl_ctx *ctx, libxl_domain_config *config)
{
    int i, num = bed.num_disks + bed.cdrom;

    (void)ctx;
    config->c_info.type = fake.hvm ? LIBXL_DOMAIN_TYPE_HVM
                                   : LIBXL_DOMAIN_TYPE_PV;
    config->c_info.name = strdup("guest");
    libxl_uuid_from_string(&config->c_info.uuid, fake.uuid);
    libxl_domain_build_info_init_type(&config->b_info, config->c_info.type);
    config->disks = calloc(num, sizeof(*config->disks));
    config->num_disks = num;
    for (i = 0; i < num; i++) {
        libxl_device_disk *d = &config->disks[i];

        libxl_device_disk_init(d);
        d->vdev = strdup(i < bed.num_disks ? bed.vdev[i] : "xvdz");
        d->pdev_path = strdup(i < bed.num_disks ? bed.path[i] : "/cd.iso");
        d->is_cdrom = i >= bed.num_disks;
        d->readwrite = i < bed.num_disks;
        d->removable = d->is_cdrom;
        d->format = d->is_cdrom || !strcmp(bed.format[i], "raw")
                    ? LIBXL_DISK_FORMAT_RAW : LIBXL_DISK_FORMAT_QCOW2;
        d->backend = i < bed.num_disks && bed.phy[i]
                     ? LIBXL_DISK_BACKEND_PHY : LIBXL_DISK_BACKEND_QDISK;
        d->backend_domid = 0;
    }
}

int bed_disk(const char *vdev)
{
    int i;

    for (i = 0; i < bed.num_disks; i++)
        if (!strcmp(bed.vdev[i], vdev))
            return i;
    return -1;
}

void bed_use_config(const libxl_domain_config *config)
{
    int i, at;

    for (i = 0; i < config->num_disks; i++) {
        const libxl_device_disk *d = &config->disks[i];

        at = bed_disk(d->vdev);
        if (at < 0)
            continue;
        snprintf(bed.path[at], sizeof(bed.path[at]), "%s", d->pdev_path);
        bed.format[at] = d->format == LIBXL_DISK_FORMAT_RAW ? "raw"
                                                            : "qcow2";
    }
}
