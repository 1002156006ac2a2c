/* SPDX-License-Identifier: LGPL-2.1-only */
/* --disk's argument. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "xl_options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);
    struct xl_problem problem;
    struct xl_disk_spec spec;

    if (!text)
        abort();
    memset(&problem, 0, sizeof(problem));
    memset(&spec, 0, sizeof(spec));
    if (xl_disk_spec_parse(text, &spec, &problem))
        free(problem.text);
    free(spec.vdev);
    free(spec.path);
    free(text);
    return 0;
}
