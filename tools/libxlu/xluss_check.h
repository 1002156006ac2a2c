/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-check: what its parts share. Each looks at one thing, changes
 * nothing, and adds what it finds; each kind of finding has one repair.
 */
#ifndef XLUSS_CHECK_H
#define XLUSS_CHECK_H

#include "xluss.h"

/* The last sentence that the lower library, or our own code, would have
 * logged as an error: it is what a finding says. */
typedef struct {
    xentoollog_logger vtable;   /* first */
    char *text;                 /* NULL: none yet */
} xluss__ear;

void xluss__ear_init(xluss__ear *ear);
void xluss__ear_dispose(xluss__ear *ear);
/* What was heard, or the code's word; valid until the next. */
const char *xluss__ear_text(xluss__ear *ear, int rc);

/* An image, read once however many snapshots it holds. */
typedef struct {
    char *path;
    int rc;                     /* of reading it */
    char *why;                  /* NULL if it could be read */
    libxl_disk_snapshot *snaps;
    int num_snaps;
} xluss__checked_image;

typedef struct {
    xlu_snapshot_catalogue *cat;
    bool deep;
    xluss__ear ear;
    libxl_snapshot_how how;     /* for the lower library: the ear */
    xlu_snapshot_findings *out;
    xluss__checked_image *images;
    int num_images;
} xluss__check;

void xluss__check_dispose(xluss__check *c);

/* snapshot and subject may be NULL; repair NULL: DAMAGE. */
xlu_snapshot_finding *
xluss__found(xluss__check *c, xlu_snapshot_finding_kind kind,
             const char *snapshot, const char *subject, const char *repair,
             const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* It is worth to know, no more. */
void xluss__only_note(xlu_snapshot_finding *f);

/* The image of an internal snapshot of this disk. */
const xluss__checked_image *xluss__check_image(xluss__check *c,
                                               const libxl_disk_snapshot *d);
bool xluss__image_holds(const xluss__checked_image *im, const char *name);
const char *xluss__internal_path(const libxl_disk_snapshot *d);
/* Is it the name of a safety point of ours? */
bool xluss__is_safety(const char *name);

/* xluss_check_*.c: the parts */
void xluss__check_files(xluss__check *c);
void xluss__check_documents(xluss__check *c);
void xluss__check_memory(xluss__check *c);
void xluss__check_disks(xluss__check *c);
void xluss__check_tree(xluss__check *c);
void xluss__check_domain(xluss__check *c);
void xluss__check_exports(xluss__check *c);
void xluss__check_chains(xluss__check *c);
void xluss__check_checkpoints(xluss__check *c);
void xluss__check_backups(xluss__check *c);
void xluss__check_scratch(xluss__check *c);

/* xluss_repair_backups.c: of kinds BACKUP, SCRATCH and SERVER. */
int xluss__repair_backup(xlu_snapshot_catalogue *cat,
                         const xlu_snapshot_finding *f);

/* Calls fn for each name that has a .xml, .config or .mem. */
void xluss__each_file_name(xlu_snapshot_catalogue *cat,
                           void (*fn)(void *arg, const char *name),
                           void *arg);
/* .NAME.mem.tmp, and those of xluss__is_temporary. */
bool xluss__is_unfinished(const char *file);

/* xluss_check_xml.c: what NAME.xml says; fields may be NULL. */
typedef struct {
    char *name, *description, *state, *parent, *created, *memory;
    bool elsewhere;             /* a disk whose data isn't in its image */
} xluss__xml_says;

/* False: it isn't there, or not to be read. */
bool xluss__xml_look(xlu_snapshot_catalogue *cat, const char *name,
                     xluss__xml_says *out);
bool xluss__xml_text_look(const char *text, xluss__xml_says *out);
bool xluss__xml_says_same(const xluss__xml_says *a, const xluss__xml_says *b);
void xluss__xml_says_dispose(xluss__xml_says *x);

/* xluss_rebuild.c: a snapshot without its JSON. */
typedef enum {
    XLUSS__REBUILD_CAN,         /* *s is what it was, as far as it matters */
    XLUSS__REBUILD_NOTHING,     /* no disk holds it: nothing is lost */
    XLUSS__REBUILD_UNCLEAR,     /* *why says why; hands off */
} xluss__rebuild_result;
/* *s is initialised by this; *why is malloc'ed. */
xluss__rebuild_result xluss__rebuild(xluss__check *c, const char *name,
                                     xlu_snapshot *s, char **why);

/* xluss_rebuild_disks.c: outside of the image of *d, or in a frozen one. True:
 * *d says where. *why: found, but not all that must be known. */
bool xluss__rebuild_disk(xluss__check *c, const char *name,
                         libxl_disk_snapshot *d, char **why);

#endif /* XLUSS_CHECK_H */
