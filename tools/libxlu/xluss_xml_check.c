/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A document against the tables of xluss_xml.h: what is wrong first is said,
 * with its line and its element. The depth was limited when it was parsed.
 */
#include <stdlib.h>
#include <string.h>

#include "xluss_xml.h"

#define SHOWN 60        /* bytes of a value in a sentence */

typedef const struct xluss__xml_form form_t;
typedef const struct xluss__xml_attr attr_t;
typedef const struct xluss__xml_child child_t;

static char *problem(const xmlNode *at, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static char *problem(const xmlNode *at, const char *fmt, ...)
{
    char *what = NULL, *line;
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = vasprintf(&what, fmt, ap);
    va_end(ap);
    line = xluss__asprintf("line %ld: %s", xmlGetLineNo(at),
                           r < 0 ? "out of memory" : what);
    free(r < 0 ? NULL : what);
    return line;
}

static const char *name_of(const xmlNode *n)
{
    return (const char *)n->name;
}

/* "a|b|c" as "a, b or c" */
static char *listed(const char *words)
{
    char *text = xluss__strdup("");

    words += *words == '|';
    while (*words) {
        size_t n = strcspn(words, "|");
        bool last = !words[n], first = !*text;
        char *longer = xluss__asprintf("%s%s%.*s", text,
                                       first ? "" : last ? " or " : ", ",
                                       (int)n, words);

        free(text);
        text = longer;
        words += n + !last;
    }
    return text;
}

/* "is not ..." of a value or a text that doesn't fit. */
static char *wants(const char *words, const struct xluss__xml_type *type)
{
    char *list, *text;

    if (!words)
        return xluss__asprintf("is not %s", type->what);
    list = listed(words);
    text = xluss__asprintf(strchr(words, '|') ? "is not one of %s"
                                              : "is not %s", list);
    free(list);
    return text;
}

/* --- which shape --- */

static bool holds(const xmlNode *n, const struct xluss__xml_when *when)
{
    bool there, match = true;
    char *value;

    if (when->name[0] == '<') {
        there = xluss__xml_child(n, when->name + 1);
    } else {
        value = xluss__xml_value(n, when->name);
        there = value;
        match = value && xluss__xml_is_word(value, when->words);
        free(value);
    }
    if (!*when->words)
        return !there;
    if (!strcmp(when->words, "*"))
        return there;
    return there ? match : when->words[0] == '|';
}

static bool all_hold(const xmlNode *n, form_t *form)
{
    int i;

    for (i = 0; form->when[i].name; i++)
        if (!holds(n, &form->when[i]))
            return false;
    return true;
}

/* All words that forms know for the attribute; one of them holds: NULL. */
static char *known_words(const xmlNode *n,
                         const struct xluss__xml_rule *rule, const char *name)
{
    char *words = xluss__strdup("");
    int i, j;

    for (i = 0; i < rule->num_forms; i++)
        for (j = 0; rule->forms[i].when[j].name; j++) {
            const struct xluss__xml_when *when = &rule->forms[i].when[j];
            char *longer;

            if (strcmp(when->name, name))
                continue;
            if (holds(n, when)) {
                free(words);
                return NULL;
            }
            if (strstr(words, when->words))
                continue;
            longer = xluss__asprintf("%s%s%s", words,
                                     when->words[0] == '|' || !*words
                                     ? "" : "|", when->words);
            free(words);
            words = longer;
        }
    return words;
}

/* No form's conditions hold: the attribute that is to blame. */
static char *no_form(const xmlNode *n, const struct xluss__xml_rule *rule)
{
    char *words = NULL, *why, *value = NULL, *text;
    const char *name = NULL;
    int i, j;

    for (i = 0; i < rule->num_forms && !words; i++)
        for (j = 0; rule->forms[i].when[j].name && !words; j++) {
            name = rule->forms[i].when[j].name;
            words = known_words(n, rule, name);
        }
    if (!words)
        return problem(n, "<%s> is none that is known", name_of(n));
    value = xluss__xml_value(n, name);
    why = wants(words, NULL);
    text = value ? problem(n, "<%s>: attribute %s=\"%.*s\" %s", name_of(n),
                           name, SHOWN, value, why)
                 : problem(n, "<%s>: attribute %s is missing", name_of(n),
                           name);
    free(value);
    free(words);
    free(why);
    return text;
}

/* --- attributes --- */

static bool fits(const char *value, const char *words,
                 const struct xluss__xml_type *type,
                 const struct xluss__xml_type *or_type)
{
    if (words)
        return xluss__xml_is_word(value, words);
    return type->fits(value) || (or_type && or_type->fits(value));
}

static attr_t *find_attr(form_t *form, const xmlAttr *a)
{
    attr_t *t;

    for (t = form->attrs; t && t->name; t++)
        if (!a->ns && !strcmp(t->name, (const char *)a->name))
            return t;
    return NULL;
}

static char *check_attr(const xmlNode *n, form_t *form, const xmlAttr *a)
{
    attr_t *t = find_attr(form, a);
    char *value, *why, *text = NULL;

    if (!t)
        return problem(n, "<%s>: attribute %s is not allowed here",
                       name_of(n), a->name);
    value = xluss__xml_value(n, t->name);
    if (!fits(value ? value : "", t->words, t->type, t->or_type)) {
        why = wants(t->words, t->type);
        text = problem(n, "<%s>: attribute %s=\"%.*s\" %s", name_of(n),
                       t->name, SHOWN, value ? value : "", why);
        free(why);
    }
    free(value);
    return text;
}

static bool has_attr(const xmlNode *n, const char *name)
{
    return xmlHasNsProp((xmlNode *)n, BAD_CAST name, NULL);
}

/* Of those that are marked with occurs: how many are there, and one that
 * is, or isn't. */
static int count_marked(const xmlNode *n, form_t *form,
                        enum xluss__xml_occurs occurs, int *marked,
                        const char **there, const char **missing)
{
    int num = 0;
    attr_t *t;

    *marked = 0;
    for (t = form->attrs; t && t->name; t++) {
        bool has = has_attr(n, t->name);

        if (t->occurs != occurs)
            continue;
        ++*marked;
        num += has;
        *(has ? there : missing) = t->name;
    }
    return num;
}

static char *check_attrs_occur(const xmlNode *n, form_t *form)
{
    const char *there = NULL, *missing = NULL;
    int num, marked;
    attr_t *t;

    for (t = form->attrs; t && t->name; t++)
        if (t->occurs == XML_ONE && !has_attr(n, t->name))
            return problem(n, "<%s>: attribute %s is missing", name_of(n),
                           t->name);
    num = count_marked(n, form, XML_EITHER, &marked, &there, &missing);
    if (marked && num != 1)
        return num ? problem(n, "<%s>: attribute %s can't stand beside its "
                             "others", name_of(n), there)
                   : problem(n, "<%s>: attribute %s, or another in its "
                             "place, is missing", name_of(n), missing);
    num = count_marked(n, form, XML_BOTH, &marked, &there, &missing);
    if (num && num != marked)
        return problem(n, "<%s>: attribute %s is missing beside %s",
                       name_of(n), missing, there);
    return NULL;
}

static char *check_attrs(const xmlNode *n, form_t *form)
{
    char *text = NULL;
    xmlAttr *a;

    for (a = n->properties; a && !text; a = a->next)
        text = check_attr(n, form, a);
    return text ? text : check_attrs_occur(n, form);
}

/* --- what is inside --- */

static bool blank(const xmlNode *n)
{
    const char *s = (const char *)n->content;

    return !s || !s[strspn(s, " \t\r\n")];
}

static bool is_text(const xmlNode *n)
{
    return n->type == XML_TEXT_NODE || n->type == XML_CDATA_SECTION_NODE;
}

static child_t *find_child(form_t *form, const xmlNode *n)
{
    child_t *c;

    for (c = form->children; c && c->rule; c++)
        if (!n->ns && !strcmp(c->rule->name, name_of(n)))
            return c;
    return NULL;
}

static char *check_text(xmlNode *n, form_t *form)
{
    char *value, *why, *text = NULL;
    xmlNode *c;

    for (c = n->children; c; c = c->next)
        if (c->type == XML_ELEMENT_NODE)
            return problem(c, "<%s> is not allowed in <%s>", name_of(c),
                           name_of(n));
    value = xluss__xml_text(n, NULL);
    if (!fits(value, form->words, form->text, NULL)) {
        why = wants(form->words, form->text);
        text = problem(n, "<%s>: \"%.*s\" %s", name_of(n), SHOWN, value, why);
        free(why);
    }
    free(value);
    return text;
}

static int count_children(const xmlNode *n, child_t *c, xmlNode **last)
{
    xmlNode *i;
    int num = 0;

    for (i = n->children; i; i = i->next)
        if (i->type == XML_ELEMENT_NODE && !i->ns &&
            !strcmp(name_of(i), c->rule->name)) {
            num++;
            *last = i;
        }
    return num;
}

static char *check_times(const xmlNode *n, child_t *c, int num,
                         const xmlNode *last)
{
    if (!num && (c->occurs == XML_ONE || c->occurs == XML_SOME))
        return problem(n, "<%s>: element <%s> is missing", name_of(n),
                       c->rule->name);
    if (num > 1 && c->occurs != XML_ANY && c->occurs != XML_SOME)
        return problem(last, "<%s> is there more than once in <%s>",
                       c->rule->name, name_of(n));
    return NULL;
}

static char *check_children_occur(const xmlNode *n, form_t *form)
{
    const char *missing = NULL, *there = NULL;
    char *text = NULL;
    int most = 0;
    child_t *c;

    for (c = form->children; c && c->rule && !text; c++) {
        xmlNode *last = NULL;
        int num = count_children(n, c, &last);

        text = check_times(n, c, num, last);
        if (c->occurs == XML_BOTH)
            *(num ? &there : &missing) = c->rule->name;
        if (!text && c->occurs == XML_AT_MOST && num && most++)
            text = problem(last, "<%s> can't stand beside its others in <%s>",
                           c->rule->name, name_of(n));
    }
    if (!text && there && missing)
        text = problem(n, "<%s>: element <%s> is missing beside <%s>",
                       name_of(n), missing, there);
    return text;
}

/* Each child by itself, and its place. */
static char *check_children(xmlNode *n, form_t *form)
{
    const char *before = NULL;
    char *text = NULL;
    xmlNode *i;
    int at = 0;

    for (i = n->children; i && !text; i = i->next) {
        child_t *c;

        if (is_text(i) && !blank(i))
            return problem(n, "<%s> has text in it, which is not allowed",
                           name_of(n));
        if (i->type != XML_ELEMENT_NODE)
            continue;
        c = find_child(form, i);
        if (!c) {
            if (form->open)
                continue;
            return problem(i, "<%s> is not allowed in <%s>", name_of(i),
                           name_of(n));
        }
        if (c->order && c->order < at)
            return problem(i, "<%s> must stand before <%s> in <%s>",
                           name_of(i), before, name_of(n));
        if (c->order) {
            at = c->order;
            before = c->rule->name;
        }
        text = xluss__xml_check(i, c->rule);
    }
    return text ? text : check_children_occur(n, form);
}

char *xluss__xml_check(xmlNode *n, const struct xluss__xml_rule *rule)
{
    form_t *form = NULL;
    char *text;
    int i;

    if (n->ns || strcmp(name_of(n), rule->name))
        return problem(n, "<%s> is not a <%s>", name_of(n), rule->name);
    for (i = 0; i < rule->num_forms && !form; i++)
        if (all_hold(n, &rule->forms[i]))
            form = &rule->forms[i];
    if (!form)
        return no_form(n, rule);
    text = check_attrs(n, form);
    if (text)
        return text;
    return form->text || form->words ? check_text(n, form)
                                     : check_children(n, form);
}

int xluss__xml_accept(xentoollog_logger *lg, const char *from,
                      const char *text, size_t len, xmlDoc **out)
{
    int rc = xluss__xml_parse(lg, from, text, len, out);
    char *wrong;

    if (rc)
        return rc;
    wrong = xluss__xml_check(xmlDocGetRootElement(*out),
                             &xluss__xml_domainsnapshot);
    if (!wrong)
        return 0;
    LOG(lg, ERROR, "%s, %s", from, wrong);
    free(wrong);
    xmlFreeDoc(*out);
    *out = NULL;
    return ERROR_INVAL;
}
