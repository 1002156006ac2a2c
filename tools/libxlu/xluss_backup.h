/* SPDX-License-Identifier: LGPL-2.1-only */
#ifndef XLUSS_BACKUP_H
#define XLUSS_BACKUP_H

#include "xlu_backup.h"
#include "xluss.h"

/* malloc'ed. */
char *xluss__backup_xml_write(const libxl_domain_backup_args *args);

#endif
