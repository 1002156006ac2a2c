/* SPDX-License-Identifier: LGPL-2.1-only */
/* backup-start --pull, and the other two where a pull backup runs. */
#ifndef XL_PULL_H
#define XL_PULL_H

#include "xl_options.h"

/* Malloc'ed; an NBD URI stays as it is. */
char *xl_backup_absolute(const char *target);

int xl_pull_start(const struct xl_globals *globals,
                  const struct xl_backup_options *o);
/* False: the domain has no pull backup, and nothing was done or said. */
bool xl_pull_status(const struct xl_globals *globals,
                    const struct xl_backup_options *o, int *status);
bool xl_pull_stop(const struct xl_globals *globals,
                  const struct xl_backup_options *o, int *status);

#endif /* XL_PULL_H */
