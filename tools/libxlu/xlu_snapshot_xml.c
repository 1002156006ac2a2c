/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libvirt's <domainsnapshot> (its docs/formatsnapshot, domainsnapshot.rng):
 * elements in the order in which libvirt writes them.
 *
 * What libvirt has no word for is in the JSON: reflink and LVM are "manual"
 * here, and a disk whose vdev libvirt doesn't know is named by its path.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <libxml/xmlwriter.h>

#include "xluss_xml.h"

/* --- writing --- */

/* Each returns false if libxml2 couldn't. */

static bool element(xmlTextWriter *w, const char *name, const char *text)
{
    return xmlTextWriterWriteElement(w, BAD_CAST name, BAD_CAST text) >= 0;
}

static bool attribute(xmlTextWriter *w, const char *name, const char *text)
{
    return xmlTextWriterWriteAttribute(w, BAD_CAST name, BAD_CAST text) >= 0;
}

static bool begin(xmlTextWriter *w, const char *name)
{
    return xmlTextWriterStartElement(w, BAD_CAST name) >= 0;
}

static bool end(xmlTextWriter *w)
{
    return xmlTextWriterEndElement(w) >= 0;
}

/* <outer><inner>text</inner></outer> */
static bool nested(xmlTextWriter *w, const char *outer, const char *inner,
                   const char *text)
{
    return begin(w, outer) && element(w, inner, text) && end(w);
}

/* NULL: libvirt has no name for it. */
static const char *disk_name(const libxl_device_disk *d)
{
    if (d->vdev && xluss__xml_is_target(d->vdev))
        return d->vdev;
    if (d->pdev_path && xluss__xml_is_path(d->pdev_path))
        return d->pdev_path;
    return NULL;
}

static const char *driver_name(libxl_disk_format format)
{
    switch (format) {
    case LIBXL_DISK_FORMAT_QCOW:
        return "qcow";
    case LIBXL_DISK_FORMAT_QCOW2:
        return "qcow2";
    case LIBXL_DISK_FORMAT_QED:
        return "qed";
    default:
        return NULL;
    }
}

static bool external(xmlTextWriter *w, const libxl_disk_snapshot *d)
{
    const char *driver = driver_name(d->u.external.external_format);
    const char *path = d->u.external.external_path;

    if (!attribute(w, "snapshot", "external") ||
        !attribute(w, "type", "file"))
        return false;
    if (driver && !(begin(w, "driver") && attribute(w, "type", driver) &&
                    end(w)))
        return false;
    if (!path || !xluss__xml_is_path(path))
        return true;
    return begin(w, "source") && attribute(w, "file", path) && end(w);
}

static bool disk(xmlTextWriter *w, const libxl_disk_snapshot *d)
{
    const char *name = disk_name(&d->device);
    bool ok;

    if (!name)
        return true;
    if (!begin(w, "disk") || !attribute(w, "name", name))
        return false;
    switch (d->kind) {
    case LIBXL_DISK_SNAPSHOT_KIND_INTERNAL:
        ok = attribute(w, "snapshot", "internal");
        break;
    case LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL:
        ok = external(w, d);
        break;
    case LIBXL_DISK_SNAPSHOT_KIND_REFLINK:
    case LIBXL_DISK_SNAPSHOT_KIND_LVM:
        ok = attribute(w, "snapshot", "manual");
        break;
    default:
        ok = attribute(w, "snapshot", "no");
        break;
    }
    return ok && end(w);
}

static bool disks(xmlTextWriter *w, const libxl_domain_snapshot_args *args)
{
    int i;

    if (!args->num_disks)
        return true;
    if (!begin(w, "disks"))
        return false;
    for (i = 0; i < args->num_disks; i++)
        if (!disk(w, &args->disks[i]))
            return false;
    return end(w);
}

static bool memory(xmlTextWriter *w, const char *path)
{
    if (!begin(w, "memory") ||
        !attribute(w, "snapshot", path ? "external" : "no"))
        return false;
    return (!path || attribute(w, "file", path)) && end(w);
}

/* libvirt's word: as the IDL's, with a dash. */
static const char *state_word(xlu_snapshot_state state)
{
    return state == XLU_SNAPSHOT_STATE_DISK_SNAPSHOT
           ? "disk-snapshot" : xlu_snapshot_state_to_string(state);
}

static bool document(xmlTextWriter *w, const xlu_snapshot *s)
{
    char seconds[24];

    snprintf(seconds, sizeof(seconds), "%" PRIu64, s->creation_time);
    return xmlTextWriterSetIndent(w, 1) >= 0 &&
           begin(w, "domainsnapshot") &&
           element(w, "name", s->name) &&
           (!s->description || element(w, "description", s->description)) &&
           element(w, "state", state_word(s->state)) &&
           (!s->parent || nested(w, "parent", "name", s->parent)) &&
           element(w, "creationTime", seconds) &&
           memory(w, s->memory.path) &&
           disks(w, &s->args) &&
           nested(w, "domain", "uuid", s->domain_uuid) &&
           end(w);
}

/* The one text or path in s that XML or the schema can't hold, and why. */
static const char *problem(const xlu_snapshot *s, const char **which)
{
    const char *texts[] = { s->name, s->description, s->parent,
                            s->memory.path };
    const char *wrong = NULL;
    size_t i;
    int j;

    for (i = 0; i < sizeof(texts) / sizeof(*texts) && !wrong; i++)
        if (texts[i])
            wrong = xluss__text_problem(*which = texts[i]);
    if (!wrong && s->memory.path && !xluss__xml_is_path(s->memory.path)) {
        *which = s->memory.path;
        wrong = "is not an absolute path in one line";
    }
    for (j = 0; j < s->args.num_disks && !wrong; j++) {
        const libxl_disk_snapshot *d = &s->args.disks[j];

        if (disk_name(&d->device))
            wrong = xluss__text_problem(*which = disk_name(&d->device));
        if (!wrong && d->kind == LIBXL_DISK_SNAPSHOT_KIND_EXTERNAL &&
            d->u.external.external_path)
            wrong = xluss__text_problem(*which =
                                        d->u.external.external_path);
    }
    return wrong;
}

/* Of one that was redefined: the document that it came from, kept. */
static char *with_kept(const xlu_snapshot *s, const char *ours)
{
    return s->document ? xluss__xml_merge(ours, s->document)
                       : xluss__strdup(ours);
}

int xluss__xml_write(xentoollog_logger *lg, const xlu_snapshot *s,
                     char **text_out)
{
    xmlBuffer *buffer = NULL;
    xmlTextWriter *w = NULL;
    const char *wrong, *which = NULL;
    int rc;

    *text_out = NULL;
    wrong = problem(s, &which);
    if (wrong) {
        LOG(lg, ERROR, "snapshot %s: the text \"%s\" %s", s->name, which,
            wrong);
        return ERROR_INVAL;
    }
    buffer = xmlBufferCreate();
    w = buffer ? xmlNewTextWriterMemory(buffer, 0) : NULL;
    rc = w && document(w, s) && xmlTextWriterFlush(w) >= 0 ? 0 : ERROR_NOMEM;
    if (w)
        xmlFreeTextWriter(w);
    if (!rc)
        *text_out = with_kept(s, (const char *)xmlBufferContent(buffer));
    if (!*text_out) {
        LOG(lg, ERROR, "snapshot %s: libxml2 could not write its XML",
            s->name);
        rc = rc ? rc : ERROR_FAIL;
    }
    if (buffer)
        xmlBufferFree(buffer);
    return rc;
}

/* --- reading --- */

/*
 * The name alone, of each of perhaps ten thousand documents: no tree is made
 * of them.
 */
struct reading {
    xmlParserCtxt *ctxt;
    const char *wrong;          /* what ended it; NULL: nothing */
    int line;
    int depth;
    bool in_name;
    char *name;
};

static void stop(struct reading *r, const char *wrong)
{
    if (r->wrong)
        return;
    r->wrong = wrong;
    r->line = xmlSAX2GetLineNumber(r->ctxt);
    xmlStopParser(r->ctxt);
}

static void on_start(void *arg, const xmlChar *name, const xmlChar *prefix,
                     const xmlChar *uri, int num_ns, const xmlChar **ns,
                     int num_attr, int num_default, const xmlChar **attr)
{
    struct reading *r = arg;

    (void)prefix, (void)uri, (void)num_ns, (void)ns;
    (void)num_attr, (void)num_default, (void)attr;
    if (r->depth == 0 && strcmp((const char *)name, "domainsnapshot"))
        stop(r, "is not a <domainsnapshot>");
    r->in_name = r->depth == 1 && !strcmp((const char *)name, "name");
    if (r->in_name)
        xluss__replace(&r->name, "");
    if (++r->depth > XLUSS__XML_DEPTH_MAX)
        stop(r, "is nested too deeply");
}

static void on_end(void *arg, const xmlChar *name, const xmlChar *prefix,
                   const xmlChar *uri)
{
    struct reading *r = arg;

    (void)name, (void)prefix, (void)uri;
    r->depth--;
    r->in_name = false;
}

static void on_text(void *arg, const xmlChar *text, int len)
{
    struct reading *r = arg;
    char *longer;

    if (!r->in_name)
        return;
    longer = xluss__asprintf("%s%.*s", r->name, len, (const char *)text);
    free(r->name);
    r->name = longer;
}

static void on_doctype(void *arg, const xmlChar *name, const xmlChar *public,
                       const xmlChar *system)
{
    (void)name, (void)public, (void)system;
    stop(arg, "has a document type, which is not allowed");
}

static const char *read_name(struct reading *r, const char *text, size_t len)
{
    const xmlError *e;

    r->ctxt = xmlNewParserCtxt();
    if (!r->ctxt)
        return "could not be read: out of memory";
    *r->ctxt->sax = (xmlSAXHandler){
        .initialized = XML_SAX2_MAGIC, .startElementNs = on_start,
        .endElementNs = on_end, .characters = on_text,
        .cdataBlock = on_text, .internalSubset = on_doctype,
    };
    r->ctxt->userData = r;
    xmlFreeDoc(xmlCtxtReadMemory(r->ctxt, text, len, NULL, NULL,
                                 XML_PARSE_NONET | XML_PARSE_NOERROR |
                                 XML_PARSE_NOWARNING));
    e = xmlCtxtGetLastError(r->ctxt);
    if (!r->wrong && !r->ctxt->wellFormed) {
        r->wrong = "is not well-formed XML";
        r->line = e ? e->line : 0;
    }
    xmlFreeParserCtxt(r->ctxt);
    return r->wrong ? r->wrong : r->name ? NULL : "has no <name>";
}

int xluss__xml_read(xentoollog_logger *lg, const char *path,
                    const char *text, size_t len, char **name_out)
{
    struct reading r = { 0 };
    const char *wrong = len > XLUSS__DOCUMENT_MAX ? "is too large"
                                                  : read_name(&r, text, len);

    *name_out = NULL;
    if (!wrong) {
        *name_out = r.name;
        return 0;
    }
    LOG(lg, WARN, "%s %s (near line %d)", path, wrong, r.line);
    free(r.name);
    return LIBXL_SNAPSHOT_ERROR_DAMAGED;
}
