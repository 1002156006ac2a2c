/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What libvirt's <domainsnapshot> may hold, as tables, and a checker that
 * walks a document along them. The tables say what domainsnapshot.rng says,
 * of libvirt 9.0 and of 11.3 both, down to the disks' sources; the inside of
 * <domain>, <inactiveDomain> and <cookie> is not looked into.
 */
#ifndef XLUSS_XML_H
#define XLUSS_XML_H

#include <libxml/tree.h>

#include "xluss.h"

#define XLUSS__XML_DEPTH_MAX 64

/* --- xluss_xml_types.c: forms of attribute values and texts --- */

struct xluss__xml_type {
    bool (*fits)(const char *value);
    const char *what;           /* "an absolute path" */
};

extern const struct xluss__xml_type
    xluss__xml_any, xluss__xml_path, xluss__xml_vmware_path,
    xluss__xml_device, xluss__xml_target, xluss__xml_positive,
    xluss__xml_uint, xluss__xml_ulong, xluss__xml_uint32, xluss__xml_uuid,
    xluss__xml_generic, xluss__xml_object, xluss__xml_one_line,
    xluss__xml_volume, xluss__xml_host, xluss__xml_unit,
    xluss__xml_cookie_name, xluss__xml_cookie, xluss__xml_pci_bus,
    xluss__xml_pci_slot, xluss__xml_pci_function;

/* Is value one of the words "a|b|c"? White space around it doesn't count,
 * as in a schema's <value>. */
bool xluss__xml_is_word(const char *value, const char *words);
/* (ioemu:)?(fd|hd|sd|vd|xvd|ubd)[a-zA-Z0-9_]+ */
bool xluss__xml_is_target(const char *value);
bool xluss__xml_is_path(const char *value);

/* --- xluss_xml_rules.c, xluss_xml_disk.c: the tables --- */

/* How often. */
enum xluss__xml_occurs {
    XML_ONE = '1', XML_MAYBE = '?', XML_ANY = '*', XML_SOME = '+',
    XML_EITHER = 'x',           /* exactly one of those marked so */
    XML_AT_MOST = 'm',          /* at most one of those marked so */
    XML_BOTH = 'b',             /* all that are marked so, or none */
};

/* Ends with name NULL. */
struct xluss__xml_attr {
    const char *name;
    enum xluss__xml_occurs occurs;
    const char *words;          /* one of these ... */
    const struct xluss__xml_type *type, *or_type;   /* ... or of this form */
};

/* Ends with rule NULL. Those with an order above 0 come in that order. */
struct xluss__xml_child {
    const struct xluss__xml_rule *rule;
    enum xluss__xml_occurs occurs;
    int order;
};

/* True if the attribute, or with '<' before its name the child element, is
 * one of these words; "": is not there; "*": is there. Ends with NULL. */
struct xluss__xml_when {
    const char *name, *words;
};

/* One shape of an element. The first whose conditions hold is the one. */
struct xluss__xml_form {
    struct xluss__xml_when when[3];
    const struct xluss__xml_attr *attrs;
    const struct xluss__xml_child *children;
    const struct xluss__xml_type *text;     /* no children then */
    const char *words;                      /* the same, one of these */
    bool open;                  /* other elements are let be */
};

struct xluss__xml_rule {
    const char *name;
    const struct xluss__xml_form *forms;
    int num_forms;
};

#define XML_FORMS(f) .forms = f, .num_forms = sizeof(f) / sizeof(*(f))

extern const struct xluss__xml_rule xluss__xml_domainsnapshot,
       xluss__xml_disk;

/* --- xluss_xml_check.c --- */

/* NULL: the element is as the rule says. Else a sentence without subject
 * that names the line and the element, malloc'ed. */
char *xluss__xml_check(xmlNode *element, const struct xluss__xml_rule *rule);
/* A <domainsnapshot> of somebody else: parsed and checked. ERROR_INVAL, with
 * a sentence that begins with `from`. */
int xluss__xml_accept(xentoollog_logger *lg, const char *from,
                      const char *text, size_t len, xmlDoc **out);

/* --- xluss_xml_parse.c --- */

/*
 * A document from somebody else: no DTD, no entities, no network, and not
 * too deep. ERROR_INVAL, with a sentence that begins with `from`.
 */
int xluss__xml_parse(xentoollog_logger *lg, const char *from,
                     const char *text, size_t len, xmlDoc **out);
/* The first child element of that name; NULL: none. */
xmlNode *xluss__xml_child(const xmlNode *parent, const char *name);
/* The text in that child, or the value of the attribute, malloc'ed; NULL. */
char *xluss__xml_text(const xmlNode *parent, const char *child);
char *xluss__xml_value(const xmlNode *element, const char *attribute);
/* As _text, without the white space around it. */
char *xluss__xml_word(const xmlNode *parent, const char *child);
/* The element alone, in UTF-8; malloc'ed. */
char *xluss__xml_dump(xmlNode *element);

/* --- xluss_xml_fields.c --- */

/* Fills the texts, time, state, memory.path and document of s from one that
 * was accepted. ERROR_INVAL for a name or a time that can't be one here. */
int xluss__xml_fields(xentoollog_logger *lg, const char *from, xmlDoc *doc,
                      xlu_snapshot *s);
/* Does a memory image of any kind belong to it? */
bool xluss__xml_has_memory(const xmlNode *root);

/* --- xluss_xml_args.c --- */

/* Fills s->args from the document, with the images of config; s->no_revert
 * where that can't be what a revert needs. */
void xluss__xml_args(libxl_ctx *ctx, xmlDoc *doc,
                     const libxl_domain_config *config, xlu_snapshot *s);
/* Adds the disks of the document's own <domain> to config. */
void xluss__xml_domain_disks(xmlDoc *doc, libxl_domain_config *config);

/* --- xluss_xml_merge.c --- */

/*
 * The document that a snapshot was redefined from, with our own words for
 * what we have words for, in libvirt's order. Both are whole documents; the
 * result is malloc'ed. NULL: one of them is no XML.
 */
char *xluss__xml_merge(const char *ours, const char *kept);
/* Do both elements hold the same? Blanks between elements, and the order of
 * attributes and of a disk's children, don't count. */
bool xluss__xml_same(const xmlNode *a, const xmlNode *b);
/* Has it anything that is not written from the other members of a snapshot? */
bool xluss__xml_has_more(const xmlNode *root);

#endif
