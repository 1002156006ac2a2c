/* SPDX-License-Identifier: LGPL-2.1-only */
/* <domainsnapshot> itself, as tables (xluss_xml.h). */
#include "xluss_xml.h"

#define RULE(n, tag) \
    static const struct xluss__xml_rule n = { tag, XML_FORMS(n##_forms) }
#define TEXT(n, tag) \
    static const struct xluss__xml_form n##_forms[] = \
        { { .text = &xluss__xml_any } }; \
    RULE(n, tag)
#define WORD(n, tag, w) \
    static const struct xluss__xml_form n##_forms[] = { { .words = w } }; \
    RULE(n, tag)

TEXT(name, "name");
TEXT(description, "description");
TEXT(creation_time, "creationTime");
WORD(state, "state", "running|blocked|paused|shutdown|shutoff|crashed|"
     "disk-snapshot");
WORD(active, "active", "0|1");

static const struct xluss__xml_child parent_children[] = {
    { &name, XML_ONE, 0 }, { 0 },
};
static const struct xluss__xml_form parent_forms[] = {
    { .children = parent_children },
};
RULE(parent, "parent");

static const struct xluss__xml_attr memory_inside[] = {
    { "snapshot", XML_ONE, NULL, &xluss__xml_any, NULL }, { 0 },
};
static const struct xluss__xml_attr memory_file[] = {
    { "snapshot", XML_MAYBE, NULL, &xluss__xml_any, NULL },
    { "file", XML_ONE, NULL, &xluss__xml_path, NULL }, { 0 },
};
static const struct xluss__xml_form memory_forms[] = {
    { .when = { { "snapshot", "no|internal" } }, .attrs = memory_inside },
    { .when = { { "snapshot", "|external" } }, .attrs = memory_file },
};
RULE(memory, "memory");

static const struct xluss__xml_child disks_children[] = {
    { &xluss__xml_disk, XML_ANY, 0 }, { 0 },
};
static const struct xluss__xml_form disks_forms[] = {
    { .children = disks_children },
};
RULE(disks, "disks");
static const struct xluss__xml_rule revert_disks = {
    "revertDisks", XML_FORMS(disks_forms),
};

/* A domain without a type is a UUID and nothing else; one with a type is
 * whole, and only what snapshots need of it is looked at. */
static const struct xluss__xml_form uuid_forms[] = {
    { .text = &xluss__xml_uuid },
};
RULE(uuid, "uuid");
static const struct xluss__xml_form domain_name_forms[] = {
    { .text = &xluss__xml_one_line },
};
RULE(domain_name, "name");
static const struct xluss__xml_attr domain_attrs[] = {
    { "type", XML_ONE, "qemu|kqemu|kvm|xen|lxc|uml|openvz|test|vmware|hyperv|"
      "vbox|phyp|vz|bhyve|hvf", NULL, NULL },
    { "id", XML_MAYBE, NULL, &xluss__xml_uint, NULL }, { 0 },
};
static const struct xluss__xml_child domain_uuid[] = {
    { &uuid, XML_ONE, 0 }, { 0 },
};
static const struct xluss__xml_child domain_children[] = {
    { &domain_name, XML_ONE, 0 }, { &uuid, XML_MAYBE, 0 }, { 0 },
};
static const struct xluss__xml_form domain_forms[] = {
    { .when = { { "type", "" } }, .children = domain_uuid },
    { .attrs = domain_attrs, .children = domain_children, .open = true },
};
RULE(domain, "domain");
static const struct xluss__xml_form inactive_forms[] = {
    { .attrs = domain_attrs, .children = domain_children, .open = true },
};
RULE(inactive, "inactiveDomain");

static const struct xluss__xml_form cookie_forms[] = { { .open = true } };
RULE(cookie, "cookie");

static const struct xluss__xml_child snapshot_children[] = {
    { &name, XML_MAYBE, 0 },
    { &description, XML_MAYBE, 0 },
    { &state, XML_MAYBE, 0 },
    { &parent, XML_MAYBE, 0 },
    { &creation_time, XML_MAYBE, 0 },
    { &memory, XML_MAYBE, 0 },
    { &disks, XML_MAYBE, 0 },
    { &revert_disks, XML_MAYBE, 0 },
    { &domain, XML_MAYBE, 0 },
    { &inactive, XML_MAYBE, 0 },
    { &cookie, XML_MAYBE, 0 },
    { &active, XML_MAYBE, 0 },
    { 0 },
};
static const struct xluss__xml_form snapshot_forms[] = {
    { .children = snapshot_children },
};
const struct xluss__xml_rule xluss__xml_domainsnapshot = {
    "domainsnapshot", XML_FORMS(snapshot_forms),
};
