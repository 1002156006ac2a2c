/* SPDX-License-Identifier: LGPL-2.1-only */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "disk/clone.h"
#include "storage_scene.h"

/* What can fail on a full or broken filesystem. */
int __real_libxlss__clone(struct libxlss__op *op, const char *from,
                          const char *to, mode_t mode);
int __wrap_libxlss__clone(struct libxlss__op *op, const char *from,
                          const char *to, mode_t mode);
int __wrap_libxlss__clone(struct libxlss__op *op, const char *from,
                          const char *to, mode_t mode)
{
    bool after;

    /* It leaves nothing behind when it fails. */
    if (fake_fails("clone", &after) || after)
        return XLSS(NO_SPACE);
    return __real_libxlss__clone(op, from, to, mode);
}

int __real_libxlss__sync_file(struct libxlss__op *op, const char *path);
int __wrap_libxlss__sync_file(struct libxlss__op *op, const char *path);
int __wrap_libxlss__sync_file(struct libxlss__op *op, const char *path)
{
    bool after;
    int rc;

    if (fake_fails("sync_file", &after))
        return ERROR_FAIL;
    rc = __real_libxlss__sync_file(op, path);
    return after ? ERROR_FAIL : rc;
}

int __real_libxlss__file_rename(struct libxlss__op *op, const char *from,
                                const char *to);
int __wrap_libxlss__file_rename(struct libxlss__op *op, const char *from,
                                const char *to);
int __wrap_libxlss__file_rename(struct libxlss__op *op, const char *from,
                                const char *to)
{
    bool after;
    int rc;

    if (fake_fails("rename", &after))
        return ERROR_FAIL;
    rc = __real_libxlss__file_rename(op, from, to);
    return after ? ERROR_FAIL : rc;
}

libxl_domain_snapshot_safety safety;
char top[64];

/* --- the filesystem --- */

int run(const char *fmt, ...)
{
    char command[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(command, sizeof(command), fmt, ap);
    va_end(ap);
    return system(command);
}

static const char *mount_fs(const char *fs)
{
    strcpy(top, "/tmp/xlss-fs-XXXXXX");
    if (!mkdtemp(top))
        return "mkdtemp";
    if (run("truncate -s 512M %s.img && mkfs.%s -q %s.img > /dev/null 2>&1",
            top, fs, top))
        return "its mkfs is not there or fails";
    if (run("mount -o loop %s.img %s 2> /dev/null", top, top))
        return "it can't be mounted (no loop devices, or not root)";
    return NULL;
}

static void unmount_fs(void)
{
    umount2(top, MNT_DETACH);
    rmdir(top);
    run("rm -f %s.img", top);
}

/* --- a domain on it --- */

void make_disks(const char *kinds, bool hvm)
{
    int i;

    bed_next_base(top);
    for (i = 0; kinds[i]; i++)
        if (kinds[i] == 'r')
            bed_next_raw(i);
        else if (kinds[i] == 'p')
            bed_next_phy(i);
    make_bed(i, hvm, false);
    libxl_domain_snapshot_safety_init(&safety);
    safety.name = strdup("xlss-safety");
    safety.memory_fd = memory_file("safety");
}

void end(void)
{
    close(safety.memory_fd);
    libxl_domain_snapshot_safety_dispose(&safety);
    remove_bed();
}

void ask(const char *vdev, libxl_disk_snapshot_kind kind)
{
    libxl_disk_snapshot *d;

    args.disks = realloc(args.disks,
                         (args.num_disks + 1) * sizeof(*args.disks));
    d = &args.disks[args.num_disks++];
    libxl_disk_snapshot_init(d);
    d->device.vdev = strdup(vdev);
    libxl_disk_snapshot_init_kind(d, kind);
}

void fresh_args(void)
{
    libxl_domain_snapshot_args_dispose(&args);
    libxl_domain_snapshot_args_init(&args);
}

int take(const char *name)
{
    args.name = strdup(name);
    return libxl_domain_snapshot_create(ctx, fake.domid, &args, fd, &how,
                                        NULL);
}

int take_back(bool safe)
{
    uint32_t domid;

    lseek(safety.memory_fd, 0, SEEK_SET);
    return revert(&args, fd, safe ? &safety : NULL, &domid);
}

int delete(void)
{
    return libxl_domain_snapshot_delete(ctx, fake.exists ? fake.domid
                                                         : XLSS_OFF,
                                        &args, &how, NULL);
}

int num_clones(void)
{
    DIR *dir = opendir(bed.dir);
    struct dirent *e;
    int num = 0;

    while ((e = readdir(dir)))
        num += !strncmp(e->d_name, "disk", 4);
    closedir(dir);
    return num - bed.num_disks;
}

const char *clone_of(int disk, const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s.%s", bed.path[disk], name);
    return path;
}

static int run_on(const char *fs, int (*tests)(void))
{
    const char *why = mount_fs(fs);
    int failed = 0;

    if (!why)
        failed = tests();
    unmount_fs();
    if (why)
        printf("# no %s here: %s\n", fs, why);
    return why ? 77 : failed ? 1 : 0;
}

int run_on_both(int (*on_btrfs)(void), int (*on_xfs)(void))
{
    int first, second;

    alarm(1100);
    if (!scene_begin())
        return 1;
    first = run_on("btrfs", on_btrfs);
    second = on_xfs ? run_on("xfs", on_xfs) : 77;
    return first == 1 || second == 1 ? 1 : first && second ? 77 : 0;
}
