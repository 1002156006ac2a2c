/* SPDX-License-Identifier: LGPL-2.1-only */
#ifndef XLUSS_BACKUP_H
#define XLUSS_BACKUP_H

#include "xlu_backup.h"
#include "xluss.h"

#define XLUSS__BACKUP_XML "backup.xml"

/* --- xluss_backup_record.c --- */

/* rc of a call on QEMU: it has none such, or there is none, or another. */
bool xluss__is_gone(int rc);
/* s->disks: where scratch files will be, as far as can be told. */
int xluss__foresee_scratch(xlu_snapshot_catalogue *cat,
                           libxl_block_snapshot *s);
/* What the disks and the catalogue have of the checkpoint that began with s,
 * by its number where that is known. */
int xluss__undo_checkpoint(xlu_snapshot_catalogue *cat,
                           const libxl_block_snapshot *s,
                           const libxl_snapshot_how *how);

/* A socket of ours, if nobody listens at it. */
void xluss__socket_drop(const char *path);
/* All records that can be read; the others are as if initialised. */
typedef struct {
    libxl_domain_backup_args push;
    xlu_backup_pull pull;
    xlu_backup_save save;
} xluss__backup_records;

void xluss__backup_records_read(xlu_snapshot_catalogue *cat,
                                xluss__backup_records *out);
void xluss__backup_records_dispose(xluss__backup_records *r);
/* The id of one's backup, view or export. */
bool xluss__backup_owns(const xluss__backup_records *r, const char *id);
/* One that began, or was to begin, with one of them. */
bool xluss__backup_has_checkpoint(const xluss__backup_records *r,
                                  const char *name);

/* --- xluss_partial.c --- */

/* The set in the client's folder that it has not finished, and nobody works
 * at; malloc'ed. NULL: none is there. */
char *xluss__save_partial(const xlu_backup_save *save);
/* BUSY, with a sentence: a client works in the folder. */
int xluss__save_partial_remove(xlu_snapshot_catalogue *cat,
                               const xlu_backup_save *save);

/* --- xlu_backup.c --- */

#define XLUSS__PUSH_JSON "backup.json"

/* out: initialised. False: none that can be read. */
bool xluss__push_load(xlu_snapshot_catalogue *cat,
                      libxl_domain_backup_args *out);
/* BUSY, with a sentence: a push backup runs. What is left of a dead one is
 * removed. */
int xluss__push_clean_earlier(xlu_snapshot_catalogue *cat);

/* --- xlu_backup_save.c --- */

#define XLUSS__SAVE_JSON "backup-save.json"

/* As xluss__push_load. */
bool xluss__save_load(xlu_snapshot_catalogue *cat, xlu_backup_save *out);
/* The client of the record lives. Nobody can begin one meanwhile: the
 * catalogue is locked. */
bool xluss__save_lives(xlu_snapshot_catalogue *cat);
/* What a dead client has left; ERROR_NOTFOUND: none; BUSY: it lives. Neither
 * with a word. */
int xluss__save_clean_earlier(xlu_snapshot_catalogue *cat,
                              const libxl_snapshot_how *how);

/* --- xluss_backup_xml.c: malloc'ed --- */

char *xluss__backup_xml_write(const libxl_domain_backup_args *args);
char *xluss__pull_xml_write(const xlu_backup_pull *p);
char *xluss__block_snapshot_xml_write(const xlu_snapshot_catalogue *cat,
                                      const xlu_backup_pull *p);
char *xluss__block_export_xml_write(const xlu_backup_pull *p);

/* --- xluss_pull.c: the record, and how it ends --- */

bool xluss__pull_exists(const xlu_snapshot_catalogue *cat);
/* out: initialised. False: none that can be read. */
bool xluss__pull_load(xlu_snapshot_catalogue *cat, xlu_backup_pull *out);
int xluss__pull_store(xlu_snapshot_catalogue *cat, xlu_backup_pull *p);
/* It was made by a QEMU that has gone, or isn't there. BUSY. */
int xluss__pull_look(xlu_snapshot_catalogue *cat, xlu_backup_pull *p);
/* Fills in what readers want to know. */
void xluss__pull_describe(xlu_backup_pull *p);
/* To the end of p->phase; the record goes last, or with the domain off stays
 * until a checkpoint can be undone. May be repeated. */
int xluss__pull_end(xlu_snapshot_catalogue *cat, xlu_backup_pull *p,
                    const libxl_snapshot_how *how);
/* There is a record that can't be read: all views of the domain go. */
int xluss__pull_end_damaged(xlu_snapshot_catalogue *cat,
                            const libxl_snapshot_how *how);
/* DAMAGED, with a sentence. */
int xluss__pull_damaged(xlu_snapshot_catalogue *cat);
/* As xluss__push_clean_earlier. */
int xluss__pull_clean_earlier(xlu_snapshot_catalogue *cat);

#endif
