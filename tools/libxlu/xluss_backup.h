/* SPDX-License-Identifier: LGPL-2.1-only */
#ifndef XLUSS_BACKUP_H
#define XLUSS_BACKUP_H

#include "xlu_backup.h"
#include "xluss.h"

#define XLUSS__BACKUP_XML "backup.xml"

/* --- xlu_backup.c --- */

/* BUSY, with a sentence: a push backup runs. What is left of a dead one is
 * removed. */
int xluss__push_clean_earlier(xlu_snapshot_catalogue *cat);

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
