/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the catalogue keeps as JSON. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "idl_test.h"
#include "xluss.h"

#define READ(type, text) do {                           \
    xlu_##type v;                                       \
                                                        \
    xlu_##type##_init(&v);                              \
    xlu_##type##_from_json(idl_test_ctx, &v, text);     \
    xlu_##type##_dispose(&v);                           \
} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);

    if (!text || (!idl_test_ctx && idl_test_begin(NULL)))
        abort();
    READ(snapshot, text);
    READ(snapshot_journal, text);
    READ(checkpoint, text);
    READ(backup_pull, text);
    free(text);
    return 0;
}
