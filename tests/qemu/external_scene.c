/* SPDX-License-Identifier: LGPL-2.1-only */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "external_scene.h"

char first[BED_MAX_DISKS][192];

void look_at(int disk, const char *path, const char *suffix)
{
    char *text = NULL;

    assert_true(asprintf(&text, "%s%s", path, suffix) > 0);
    assert_true(strlen(text) < sizeof(bed.path[disk]));
    strcpy(bed.path[disk], text);
    free(text);
}

void make_external(int disks)
{
    make_bed(disks, false, false);
    memcpy(first, bed.path, sizeof(first));
}

bool in_place(void)
{
    uint64_t major = 0;
    yajl_val v;

    if (!bed_qmp_reply("query-version", NULL, &v))
        json_u64(json_object(json_object(v, "return"), "qemu"), "major",
                 &major);
    yajl_tree_free(v);
    return major >= 10;
}

int create_kind(const char *name, libxl_domain_snapshot_args *a,
                       libxl_disk_snapshot_kind kind, const char *path)
{
    int i;

    libxl_domain_snapshot_args_dispose(a);
    libxl_domain_snapshot_args_init(a);
    a->name = strdup(name);
    a->disks = calloc(bed.num_disks, sizeof(*a->disks));
    a->num_disks = bed.num_disks;
    for (i = 0; i < bed.num_disks; i++) {
        libxl_disk_snapshot_init(&a->disks[i]);
        libxl_disk_snapshot_init_kind(&a->disks[i], kind);
        a->disks[i].device.vdev = strdup(bed.vdev[i]);
        if (path && i == 0)
            a->disks[i].u.external.external_path = strdup(path);
    }
    ftruncate(fd, 0);
    lseek(fd, 0, SEEK_SET);
    return libxl_domain_snapshot_create(ctx, fake.domid, a, fd, &how, NULL);
}

int external(const char *name, libxl_domain_snapshot_args *a)
{
    return create_kind(name, a, LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL, NULL);
}

bool exists(const char *fmt, ...)
{
    struct stat st;
    char path[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(path, sizeof(path), fmt, ap);
    va_end(ap);
    return !lstat(path, &st);
}

void turn_off(void)
{
    fake.exists = false;
    bed_stop_qemu();
}

void start_from_first(void)
{
    memcpy(bed.path, first, sizeof(first));
    fake.exists = true;
    bed_start_qemu();
}

int delete(const libxl_domain_snapshot_args *a)
{
    return libxl_domain_snapshot_delete(ctx, fake.exists ? fake.domid
                                                         : XLSS_OFF,
                                        a, &how, NULL);
}

bool immutable(const char *path)
{
    char command[512];

    snprintf(command, sizeof(command), "lsattr '%s' | cut -d' ' -f1 | "
             "grep -q i", path);
    return system(command) == 0;
}

static void clear_immutable(void)
{
    char command[256];

    snprintf(command, sizeof(command), "chattr -i '%s'/* 2>/dev/null",
             bed.dir);
    (void)!system(command);
}

void end(void)
{
    clear_immutable();
    remove_bed();
}

int num_files(void)
{
    char command[256];
    int n = -1;
    FILE *p;

    snprintf(command, sizeof(command), "ls -A '%s' | grep -c '^disk'",
             bed.dir);
    p = popen(command, "r");
    if (p && fscanf(p, "%d", &n) != 1)
        n = -1;
    if (p)
        pclose(p);
    return n;
}

int run_in_bed(const char *fmt, ...)
{
    char text[512], command[700];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    snprintf(command, sizeof(command), "cd '%s' && %s", bed.dir, text);
    return system(command);
}
