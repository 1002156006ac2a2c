/* SPDX-License-Identifier: LGPL-2.1-only */
/* libvirt's documents, of snapshots and of checkpoints. */
#include "fuzz.h"
#include "lss_test.h"
#include "xluss_xml.h"
#include "xluss_checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct libxlss__op op;
    xlu_checkpoint c;
    xlu_snapshot s;
    xmlDoc *doc = NULL;

    lss_op_start(&op);
    xlu_snapshot_init(&s);
    if (!xluss__xml_accept(op.lg, "a document", text, size, &doc))
        xluss__xml_fields(op.lg, "a document", doc, &s);
    xmlFreeDoc(doc);
    xlu_snapshot_dispose(&s);
    xlu_checkpoint_init(&c);
    xluss__checkpoint_xml_read(op.lg, "a document", text, size, &c);
    xlu_checkpoint_dispose(&c);
    lss_op_stop(&op);
    return 0;
}
