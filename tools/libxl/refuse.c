/* SPDX-License-Identifier: LGPL-2.1-only */
/* Domains that can't be snapshotted, found before anything is touched. */
#include <string.h>

#include "libxlss_internal.h"

/* As the start of a word: not inside a file's name, as in "httpmirror". */
static bool has_word(const char *text, const char *word)
{
    const char *at;

    for (at = strstr(text, word); at; at = strstr(at + 1, word))
        if (at == text || strchr("-,=:\" {", at[-1]))
            return true;
    return false;
}

static bool any_has(libxl_string_list list, const char *word)
{
    int i, num = libxl_string_list_length(&list);

    for (i = 0; i < num; i++)
        if (has_word(list[i], word))
            return true;
    return false;
}

static bool device_model_has(const libxl_domain_build_info *b,
                             const char *word)
{
    return any_has(b->extra, word) || any_has(b->extra_pv, word) ||
           any_has(b->extra_hvm, word);
}

/* State that libxl doesn't save: a revert would tear it from the memory. */
static const char *unsaved_state(const libxl_domain_config *c)
{
    if (c->num_vtpms || device_model_has(&c->b_info, "tpm"))
        return "it has a TPM, whose state is not saved";
    if (device_model_has(&c->b_info, "pflash") ||
        device_model_has(&c->b_info, "cfi.pflash"))
        return "its UEFI variables are in pflash, which is not saved";
    return NULL;
}

static const char *memory_problem(const libxl_domain_config *c)
{
    if (c->num_pcidevs)
        return "a PCI device is passed through to it";
    if (c->b_info.num_vnuma_nodes)
        return "it has virtual NUMA nodes, which libxl can't save";
    if (libxl_defbool_val(c->b_info.nested_hvm))
        return "nested HVM is on, whose state is not saved";
    return unsaved_state(c);
}

static const char *qemu_problem(const libxl_domain_config *c)
{
    const libxl_domain_build_info *b = &c->b_info;

    if (b->device_model_version ==
        LIBXL_DEVICE_MODEL_VERSION_QEMU_XEN_TRADITIONAL)
        return "its device model is qemu-traditional, which has no QMP";
    if (libxl_defbool_val(b->device_model_stubdomain))
        return "its device model runs in a stub domain";
    if (libxl_defbool_val(b->dm_restrict))
        return "its device model is restricted (dm_restrict)";
    return NULL;
}

/* A defbool that was never set counts as false. */
static void set_defaults(libxl_domain_config *c)
{
    libxl_defbool_setdefault(&c->b_info.nested_hvm, false);
    libxl_defbool_setdefault(&c->b_info.device_model_stubdomain, false);
    libxl_defbool_setdefault(&c->b_info.dm_restrict, false);
}

int libxlss__refuse_domain(struct libxlss__op *op, bool memory)
{
    const char *why = NULL;

    if (op->domid == 0)
        why = "it is the host's own domain";
    else if (op->info.dying)
        why = "it is being destroyed";
    else if (op->info.shutdown && !libxlss__is_suspended(&op->info))
        why = "it has shut down";
    else if (libxlss__is_suspended(&op->info))
        why = "it is suspended already, by somebody else";
    if (!why) {
        set_defaults(&op->config);
        why = qemu_problem(&op->config);
    }
    if (!why && memory)
        why = memory_problem(&op->config);
    if (!why)
        return 0;
    LOG_ERROR(op, "not possible for this domain: %s", why);
    return XLSS(NOT_POSSIBLE);
}
