/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Documents of others, and small things to read in them. Whoever wrote one
 * may mean ill: a document type ends the parser before anything of it is
 * read, so there are no entities and nothing is fetched.
 */
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/xmlsave.h>

#include "xluss_xml.h"

#define OPTIONS (XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | \
                 XML_PARSE_NOCDATA | XML_PARSE_BIG_LINES)

static void refuse_doctype(void *arg, const xmlChar *name,
                           const xmlChar *external, const xmlChar *system)
{
    xmlParserCtxt *ctxt = arg;

    (void)name;
    (void)external;
    (void)system;
    *(bool *)ctxt->_private = true;
    xmlStopParser(ctxt);
}

static bool too_deep(const xmlNode *root)
{
    const xmlNode *n = root;
    int depth = 0;

    for (;;) {
        if (n->type == XML_ELEMENT_NODE && n->children) {
            if (++depth > XLUSS__XML_DEPTH_MAX)
                return true;
            n = n->children;
            continue;
        }
        while (n != root && !n->next) {
            n = n->parent;
            depth--;
        }
        if (n == root)
            return false;
        n = n->next;
    }
}

/* What is wrong with it; *line: where. */
static const char *read_doc(const char *text, size_t len, xmlDoc **doc,
                            long *line)
{
    xmlParserCtxt *ctxt = xmlNewParserCtxt();
    const char *wrong = NULL;
    bool doctype = false;
    const xmlError *e;

    if (!ctxt)
        return "could not be read: out of memory";
    ctxt->_private = &doctype;
    ctxt->sax->internalSubset = refuse_doctype;
    *doc = xmlCtxtReadMemory(ctxt, text, len, NULL, NULL, OPTIONS);
    e = xmlCtxtGetLastError(ctxt);
    *line = e ? e->line : 0;
    if (doctype)
        wrong = "has a document type, which is not allowed";
    else if (!*doc)
        wrong = "is not well-formed XML";
    else if (too_deep(xmlDocGetRootElement(*doc)))
        wrong = "is nested too deeply";
    if (wrong) {
        xmlFreeDoc(*doc);
        *doc = NULL;
    }
    xmlFreeParserCtxt(ctxt);
    return wrong;
}

int xluss__xml_parse(xentoollog_logger *lg, const char *from,
                     const char *text, size_t len, xmlDoc **out)
{
    const char *wrong = "is too large";
    long line = 0;

    *out = NULL;
    if (len <= XLUSS__DOCUMENT_MAX)
        wrong = read_doc(text, len, out, &line);
    if (!wrong)
        return 0;
    if (line > 0)
        LOG(lg, ERROR, "%s %s (near line %ld)", from, wrong, line);
    else
        LOG(lg, ERROR, "%s %s", from, wrong);
    return ERROR_INVAL;
}

xmlNode *xluss__xml_child(const xmlNode *parent, const char *name)
{
    xmlNode *n = parent ? parent->children : NULL;

    for (; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE && !n->ns &&
            !strcmp((const char *)n->name, name))
            return n;
    return NULL;
}

static char *taken(xmlChar *s)
{
    char *copy = xluss__strdup((const char *)s);

    xmlFree(s);
    return copy;
}

char *xluss__xml_text(const xmlNode *parent, const char *child)
{
    const xmlNode *n = child ? xluss__xml_child(parent, child) : parent;
    xmlChar *s = n ? xmlNodeGetContent(n) : NULL;

    return s || !n ? taken(s) : xluss__strdup("");
}

char *xluss__xml_word(const xmlNode *parent, const char *child)
{
    static const char space[] = " \t\r\n";
    char *text = xluss__xml_text(parent, child), *word;
    size_t len;

    if (!text)
        return NULL;
    word = text + strspn(text, space);
    for (len = strlen(word); len && strchr(space, word[len - 1]); len--)
        word[len - 1] = '\0';
    word = xluss__strdup(word);
    free(text);
    return word;
}

char *xluss__xml_value(const xmlNode *element, const char *attribute)
{
    if (!element)
        return NULL;
    return taken(xmlGetNoNsProp((xmlNode *)element, BAD_CAST attribute));
}

char *xluss__xml_dump(xmlNode *element)
{
    xmlBuffer *buffer = xmlBufferCreate();
    xmlSaveCtxt *save;
    char *text = NULL;

    save = buffer ? xmlSaveToBuffer(buffer, "UTF-8", XML_SAVE_NO_DECL) : NULL;
    if (save && xmlSaveTree(save, element) >= 0 && xmlSaveFlush(save) >= 0)
        text = xluss__strdup((const char *)xmlBufferContent(buffer));
    if (save)
        xmlSaveClose(save);
    if (buffer)
        xmlBufferFree(buffer);
    return text;
}
