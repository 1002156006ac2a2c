/* SPDX-License-Identifier: LGPL-2.1-only */
/* A snapshot in words, and the stock commands that restore it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxl_utils.h>

#include "xl_print.h"
#include "xl_text.h"

static void field(FILE *f, const char *name, const char *value)
{
    char *safe = value && *value ? xl_print_safe(value) : xl_strdup("-");

    fprintf(f, "%-12s %s\n", name, safe);
    free(safe);
}

static bool is_left_out(const libxl_disk_snapshot *d)
{
    return d->kind == LIBXL_DISK_SNAPSHOT_KIND_NONE;
}

/* As in the XML. */
const char *xl_state_word(const xlu_snapshot *s)
{
    return s->state == XLU_SNAPSHOT_STATE_DISK_SNAPSHOT
           ? "disk-snapshot" : xlu_snapshot_state_to_string(s->state);
}

bool xl_is_quiesced(const xlu_snapshot *s)
{
    return !libxl_defbool_is_default(s->args.quiesced) &&
           libxl_defbool_val(s->args.quiesced);
}

static void fill_disk(char **row, const libxl_disk_snapshot *d)
{
    const char *format = libxl_disk_format_to_string(d->device.format);

    row[0] = xl_print_safe(d->device.vdev);
    row[1] = xl_strdup(libxl_disk_snapshot_kind_to_string(d->kind));
    row[2] = is_left_out(d) || !d->size ? NULL : xl_size(d->size);
    row[3] = format ? xl_strdup(format) : NULL;
    row[4] = d->device.pdev_path ? xl_print_safe(d->device.pdev_path) : NULL;
}

static void print_disks(FILE *f, const libxl_domain_snapshot_args *args)
{
    static const char *const heading[] = {
        "Disk", "Kind", "Size", "Format", "Image",
    };
    const int columns = 5;
    char **cells;
    int i;

    if (!args->num_disks)
        return;
    cells = xl_alloc((size_t)(args->num_disks + 1) * columns, sizeof(*cells));
    for (i = 0; i < columns; i++)
        cells[i] = xl_strdup(heading[i]);
    for (i = 0; i < args->num_disks; i++)
        fill_disk(cells + (i + 1) * columns, &args->disks[i]);
    fputc('\n', f);
    xl_table(f, (const char *const *)cells, args->num_disks + 1, columns);
    for (i = 0; i < (args->num_disks + 1) * columns; i++)
        free(cells[i]);
    free(cells);
}

/* A word of a command line, safe for the terminal and the shell. */
static char *word(const char *s)
{
    char *quoted = xl_shell_word(s ? s : ""), *safe = xl_print_safe(quoted);

    free(quoted);
    return safe;
}

/* A fresh overlay in the place of what the guest has. */
static void print_overlay_command(FILE *f, const libxl_disk_snapshot *d)
{
    char *base = word(d->u.external.base_path);
    char *path = word(d->device.pdev_path);

    if (d->device.format == LIBXL_DISK_FORMAT_QCOW2)
        fprintf(f, "    qemu-img create -f qcow2 -b %s -F qcow2 %s\n", base,
                path);
    else
        fprintf(f, "    cp %s %s\n", base, path);
    free(base);
    free(path);
}

static void print_reflink_command(FILE *f, const libxl_disk_snapshot *d)
{
    char *from = word(d->u.reflink.reflink_path);
    char *path = word(d->device.pdev_path);

    fprintf(f, "    cp --reflink %s %s\n", from, path);
    free(from);
    free(path);
}

/* Of /dev/VG/LV, or of /dev/mapper/VG-LV, where '-' in a name is doubled. */
static char *volume_name(const char *path)
{
    char *name = xl_strdup(path && strrchr(path, '/') ? strrchr(path, '/') + 1
                                                      : ""), *from, *to;

    if (!path || strncmp(path, "/dev/mapper/", 12))
        return name;
    for (from = to = name; *from; from++) {
        if (*from == '-' && from[1] != '-')
            to = name;                  /* the group was before it */
        else
            *to++ = *from == '-' ? *from++ : *from;
    }
    *to = '\0';
    return name;
}

static void print_lvm_commands(FILE *f, const libxl_disk_snapshot *d)
{
    char *path = word(d->device.pdev_path), *from = word(d->u.lvm.lvm_volume);
    char *plain = volume_name(d->device.pdev_path), *name = word(plain);

    fprintf(f, "    lvremove -y %s\n", path);
    fprintf(f, "    lvcreate -s -p rw -k n -n %s %s\n", name, from);
    free(path);
    free(from);
    free(plain);
    free(name);
}

static void print_disk_command(FILE *f, const xlu_snapshot *s,
                               const libxl_disk_snapshot *d)
{
    char *name, *path;

    if (d->kind == LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL)
        print_overlay_command(f, d);
    if (d->kind == LIBXL_DISK_SNAPSHOT_KIND_REFLINK)
        print_reflink_command(f, d);
    if (d->kind == LIBXL_DISK_SNAPSHOT_KIND_LVM)
        print_lvm_commands(f, d);
    if (d->kind != LIBXL_DISK_SNAPSHOT_KIND_INTERNAL)
        return;
    name = word(d->name ? d->name : s->args.name ? s->args.name : s->name);
    path = word(d->device.pdev_path);
    fprintf(f, "    qemu-img snapshot -a %s %s\n", name, path);
    free(name);
    free(path);
}

static void print_restore_command(FILE *f, const xlu_snapshot *s)
{
    char *image = word(s->memory.path);
    const char *paused = s->state == XLU_SNAPSHOT_STATE_PAUSED ? "-p " : "";

    if (s->memory.format == XLU_SNAPSHOT_MEMORY_FORMAT_ZSTD)
        fprintf(f, "    zstd -dc %s | xl restore %s/dev/stdin\n", image,
                paused);
    else
        fprintf(f, "    xl restore %s%s\n", paused, image);
    free(image);
}

static void print_commands(FILE *f, const xlu_snapshot *s,
                           const char *domain)
{
    char *dom = word(domain);
    int i;

    fprintf(f, "\nTo restore it without this program:\n\n"
               "    xl destroy %s\n", dom);
    for (i = 0; i < s->args.num_disks; i++)
        print_disk_command(f, s, &s->args.disks[i]);
    if (s->memory.path)
        print_restore_command(f, s);
    else
        fprintf(f, "    xl create CONFIGFILE\n");
    free(dom);
}

static void print_description(FILE *f, const char *text)
{
    char *safe, *rest, *part;

    if (!text || !*text)
        return;
    rest = safe = xl_safe(text, xl_locale_is_utf8(), "\n");
    fprintf(f, "\nDescription:\n\n");
    while ((part = strsep(&rest, "\n")))
        fprintf(f, "%s%s\n", *part ? "    " : "", part);
    free(safe);
}

void xl_print_info(FILE *f, const xlu_snapshot *s, const char *domain)
{
    char *created = xl_time(s->creation_time);
    char *size = xl_size(s->memory.size);

    field(f, "Name:", s->name);
    field(f, "Domain:", domain);
    field(f, "UUID:", s->domain_uuid);
    field(f, "Created:", created);
    field(f, "State:", xl_state_word(s));
    field(f, "Current:", s->current ? "yes" : "no");
    field(f, "Parent:", s->parent);
    field(f, "Memory:", s->memory.path ? size : NULL);
    if (!s->memory.path)
        field(f, "Quiesced:", xl_is_quiesced(s) ? "yes" : "no");
    if (s->memory.path) {
        field(f, "Image:", s->memory.path);
        field(f, "Format:",
              xlu_snapshot_memory_format_to_string(s->memory.format));
        field(f, "XXH64:", s->memory.xxh64);
    }
    if (s->args.checkpoint)
        field(f, "Checkpoint:", s->args.checkpoint);
    if (s->no_revert)
        field(f, "No revert:", s->no_revert);
    field(f, "Xen:", s->xen_version);
    field(f, "Made by:", s->tool_version);
    print_disks(f, &s->args);
    print_description(f, s->description);
    if (!s->no_revert)
        print_commands(f, s, domain);
    free(created);
    free(size);
}
