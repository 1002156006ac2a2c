/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Where a disk of a snapshot is kept: <source> in all its shapes, as tables
 * (xluss_xml.h). The names are those of storagecommon.rng and domaincommon.rng.
 */
#include "xluss_xml.h"

#define ANY(n, o) { n, o, NULL, &xluss__xml_any, NULL }
#define TYPED(n, o, t) { n, o, NULL, &xluss__xml_##t, NULL }
#define TYPED2(n, o, t, u) { n, o, NULL, &xluss__xml_##t, &xluss__xml_##u }
#define WORDS(n, o, w) { n, o, w, NULL, NULL }

#define ATTRS(n, ...) \
    static const struct xluss__xml_attr n##_attrs[] = { __VA_ARGS__, { 0 } }
#define CHILDREN(n, ...) \
    static const struct xluss__xml_child n##_children[] = \
        { __VA_ARGS__, { 0 } }
#define RULE(n, tag) \
    static const struct xluss__xml_rule n = { tag, XML_FORMS(n##_forms) }
/* An element of one shape. */
#define PLAIN(n, tag, ...) \
    static const struct xluss__xml_form n##_forms[] = { { __VA_ARGS__ } }; \
    RULE(n, tag)
/* One that has attributes only. */
#define LEAF(n, tag, ...) \
    ATTRS(n, __VA_ARGS__); \
    PLAIN(n, tag, .attrs = n##_attrs)

#define YES_NO "yes|no"
#define MODES "server|client"
#define FORMATS_BACKING "cow|qcow|qcow2|qed|vmdk"
#define FORMATS "raw|dir|bochs|cloop|dmg|iso|vpc|vdi|fat|vhd|ploop|luks|" \
                FORMATS_BACKING

/* --- seclabel --- */

ATTRS(seclabel_no, ANY("model", XML_MAYBE), WORDS("relabel", XML_ONE, "no"));
ATTRS(seclabel_skip, ANY("model", XML_MAYBE),
      WORDS("labelskip", XML_ONE, "yes"));
ATTRS(seclabel_label, ANY("model", XML_MAYBE),
      WORDS("relabel", XML_MAYBE, "yes"));
PLAIN(label, "label", .text = &xluss__xml_any);
CHILDREN(seclabel, { &label, XML_SOME, 0 });
static const struct xluss__xml_form seclabel_forms[] = {
    { .when = { { "relabel", "no" } }, .attrs = seclabel_no_attrs },
    { .when = { { "labelskip", "*" } }, .attrs = seclabel_skip_attrs },
    { .attrs = seclabel_label_attrs, .children = seclabel_children },
};
RULE(seclabel, "seclabel");

/* --- encryption --- */

LEAF(secret, "secret", WORDS("type", XML_ONE, "passphrase"),
     TYPED("uuid", XML_EITHER, uuid), ANY("usage", XML_EITHER));
LEAF(cipher, "cipher", ANY("name", XML_ONE), TYPED("size", XML_ONE, uint),
     ANY("mode", XML_BOTH), ANY("hash", XML_BOTH));
LEAF(ivgen, "ivgen", ANY("name", XML_ONE), ANY("hash", XML_MAYBE));
ATTRS(encryption, WORDS("format", XML_ONE,
                        "default|qcow|luks|luks2|luks-any"),
      WORDS("engine", XML_MAYBE, "qemu|librbd"));
CHILDREN(encryption, { &secret, XML_SOME, 0 }, { &cipher, XML_BOTH, 0 },
         { &ivgen, XML_BOTH, 0 });
static const struct xluss__xml_form encryption_forms[] = {
    { .when = { { "<secret", "" }, { "<cipher", "" }, },
      .attrs = encryption_attrs },
    { .attrs = encryption_attrs, .children = encryption_children },
};
RULE(encryption, "encryption");

/* --- what a source may have beside its kind --- */

LEAF(slice, "slice", WORDS("type", XML_ONE, "storage"),
     TYPED("offset", XML_ONE, uint), TYPED("size", XML_ONE, positive));
CHILDREN(slices, { &slice, XML_ONE, 0 });
PLAIN(slices, "slices", .children = slices_children);

ATTRS(max_size, TYPED("unit", XML_MAYBE, unit));
PLAIN(max_size, "max_size", .attrs = max_size_attrs,
      .text = &xluss__xml_ulong);
CHILDREN(metadata_cache, { &max_size, XML_MAYBE, 0 });
PLAIN(metadata_cache, "metadata_cache", .children = metadata_cache_children);

ATTRS(format, WORDS("type", XML_ONE, FORMATS));
CHILDREN(format, { &metadata_cache, XML_MAYBE, 0 });
PLAIN(format, "format", .attrs = format_attrs, .children = format_children);

static const struct xluss__xml_rule data_store;

ATTRS(reconnect_delay, TYPED("delay", XML_ONE, uint));
ATTRS(reconnect, WORDS("enabled", XML_ONE, YES_NO),
      TYPED("timeout", XML_MAYBE, uint));
static const struct xluss__xml_form reconnect_forms[] = {
    { .when = { { "delay", "*" } }, .attrs = reconnect_delay_attrs },
    { .attrs = reconnect_attrs },
};
RULE(reconnect, "reconnect");

/* The order of these two is fixed wherever they stand. */
#define COMMON { &slices, XML_MAYBE, 1 }, { &data_store, XML_MAYBE, 2 }
#define INDEX TYPED("index", XML_MAYBE, positive)

/* --- a snapshot's own files and block devices: the order is fixed --- */

CHILDREN(own, { &seclabel, XML_ANY, 1 }, { &slices, XML_MAYBE, 2 },
         { &data_store, XML_MAYBE, 3 }, { &encryption, XML_MAYBE, 4 });
ATTRS(own_file, TYPED("file", XML_MAYBE, path), INDEX);
PLAIN(own_file, "source", .attrs = own_file_attrs, .children = own_children);
ATTRS(own_block, TYPED("dev", XML_ONE, path), INDEX);
PLAIN(own_block, "source", .attrs = own_block_attrs,
      .children = own_children);

/* --- network --- */

ATTRS(host_unix, WORDS("transport", XML_ONE, "unix"),
      TYPED("socket", XML_ONE, path));
ATTRS(host, WORDS("transport", XML_MAYBE, "tcp|rdma"),
      TYPED("name", XML_ONE, host), TYPED("port", XML_MAYBE, uint));
static const struct xluss__xml_form host_forms[] = {
    { .when = { { "transport", "unix" } }, .attrs = host_unix_attrs },
    { .when = { { "transport", "|tcp|rdma" } }, .attrs = host_attrs },
};
RULE(host, "host");

LEAF(auth_secret, "secret", WORDS("type", XML_ONE, "ceph|iscsi"),
     TYPED("uuid", XML_EITHER, uuid), TYPED("usage", XML_EITHER, object));
ATTRS(auth, TYPED("username", XML_ONE, generic));
CHILDREN(auth, { &auth_secret, XML_ONE, 0 });
PLAIN(auth, "auth", .attrs = auth_attrs, .children = auth_children);

LEAF(iqn, "iqn", ANY("name", XML_ONE));
CHILDREN(initiator, { &iqn, XML_ONE, 0 });
PLAIN(initiator, "initiator", .children = initiator_children);

ATTRS(cookie, TYPED("name", XML_ONE, cookie_name));
PLAIN(cookie, "cookie", .attrs = cookie_attrs, .text = &xluss__xml_cookie);
CHILDREN(cookies, { &cookie, XML_SOME, 0 });
PLAIN(cookies, "cookies", .children = cookies_children);

LEAF(readahead, "readahead", TYPED("size", XML_ONE, positive));
LEAF(timeout, "timeout", TYPED("seconds", XML_ONE, positive));
LEAF(ssl, "ssl", WORDS("verify", XML_ONE, YES_NO));
LEAF(known_hosts, "knownHosts", TYPED("path", XML_ONE, path));
LEAF(ssh_identity, "identity", TYPED("username", XML_ONE, generic),
     TYPED("keyfile", XML_EITHER, path), TYPED("agentsock", XML_EITHER, path));
LEAF(nfs_identity, "identity", TYPED("user", XML_MAYBE, generic),
     TYPED("group", XML_MAYBE, generic));
LEAF(rbd_snapshot, "snapshot", TYPED("name", XML_ONE, generic));
LEAF(rbd_config, "config", TYPED("file", XML_ONE, path));

#define PROTOCOL(w) WORDS("protocol", XML_ONE, w)
#define CRYPT { &encryption, XML_MAYBE, 0 }
#define HOST { &host, XML_ONE, 0 }
#define AUTH { &auth, XML_MAYBE, 0 }
#define PROPS { &readahead, XML_MAYBE, 0 }, { &timeout, XML_MAYBE, 0 }

ATTRS(nbd, PROTOCOL("nbd"), ANY("name", XML_MAYBE),
      WORDS("tls", XML_MAYBE, YES_NO), ANY("tlsHostname", XML_MAYBE), INDEX);
CHILDREN(nbd, COMMON, HOST, { &reconnect, XML_MAYBE, 0 }, CRYPT);
ATTRS(named, ANY("protocol", XML_ONE), ANY("name", XML_ONE), INDEX);
CHILDREN(gluster, COMMON, { &host, XML_SOME, 0 }, CRYPT);
ATTRS(rbd, ANY("protocol", XML_ONE), ANY("name", XML_MAYBE), INDEX);
CHILDREN(rbd, COMMON, { &host, XML_ANY, 0 }, { &rbd_snapshot, XML_MAYBE, 0 },
         { &rbd_config, XML_MAYBE, 0 }, AUTH, CRYPT);
CHILDREN(iscsi, COMMON, HOST, AUTH, CRYPT, { &initiator, XML_MAYBE, 0 });
ATTRS(http, ANY("protocol", XML_ONE), ANY("name", XML_ONE),
      ANY("query", XML_MAYBE), INDEX);
CHILDREN(http, COMMON, HOST, CRYPT, { &cookies, XML_MAYBE, 0 }, PROPS, AUTH);
CHILDREN(https, COMMON, HOST, CRYPT, { &ssl, XML_MAYBE, 0 },
         { &cookies, XML_MAYBE, 0 }, PROPS, AUTH);
CHILDREN(ftps, COMMON, HOST, CRYPT, { &ssl, XML_MAYBE, 0 }, PROPS, AUTH);
CHILDREN(ftp, COMMON, HOST, CRYPT, PROPS, AUTH);
CHILDREN(ssh, COMMON, HOST, CRYPT, PROPS, { &known_hosts, XML_MAYBE, 0 },
         { &ssh_identity, XML_AT_MOST, 0 }, { &auth, XML_AT_MOST, 0 });
CHILDREN(simple, COMMON, HOST, CRYPT, PROPS);
ATTRS(vxhs, ANY("protocol", XML_ONE), ANY("name", XML_ONE),
      WORDS("tls", XML_MAYBE, YES_NO), INDEX);
CHILDREN(vxhs, COMMON, HOST);
CHILDREN(nfs, COMMON, HOST, { &nfs_identity, XML_MAYBE, 0 });

#define NETWORK(w, a, c) \
    { .when = { { "protocol", w } }, .attrs = a##_attrs, \
      .children = c##_children }

static const struct xluss__xml_form network_forms[] = {
    NETWORK("nbd", nbd, nbd),
    NETWORK("gluster", named, gluster),
    NETWORK("rbd", rbd, rbd),
    NETWORK("iscsi", named, iscsi),
    NETWORK("http", http, http),
    NETWORK("https", http, https),
    NETWORK("ftps", named, ftps),
    NETWORK("ftp", named, ftp),
    NETWORK("ssh", named, ssh),
    NETWORK("sheepdog|tftp", named, simple),
    NETWORK("vxhs", vxhs, vxhs),
    NETWORK("nfs", named, nfs),
};
RULE(network, "source");

/* --- <dataStore>: any source that a domain's disk may have --- */

CHILDREN(stored, COMMON, CRYPT, { &seclabel, XML_ANY, 0 });
ATTRS(stored_file, TYPED2("file", XML_ONE, path, vmware_path),
      ANY("fdgroup", XML_MAYBE), INDEX);
ATTRS(stored_nothing, INDEX);
static const struct xluss__xml_form stored_file_forms[] = {
    { .when = { { "file", "*" } }, .attrs = stored_file_attrs,
      .children = stored_children },
    { .attrs = stored_nothing_attrs, .children = stored_children },
};
RULE(stored_file, "source");

ATTRS(manager, WORDS("type", XML_ONE, "unix"), TYPED("path", XML_ONE, path),
      WORDS("mode", XML_ONE, MODES));
CHILDREN(manager, { &reconnect, XML_MAYBE, 0 });
PLAIN(manager, "source", .attrs = manager_attrs,
      .children = manager_children);
ATTRS(reservations, WORDS("managed", XML_MAYBE, YES_NO));
CHILDREN(reservations, { &manager, XML_MAYBE, 0 });
PLAIN(reservations, "reservations", .attrs = reservations_attrs,
      .children = reservations_children);

ATTRS(stored_block, TYPED2("dev", XML_MAYBE, path, device), INDEX);
CHILDREN(stored_block, COMMON, CRYPT, { &reservations, XML_MAYBE, 0 },
         { &seclabel, XML_ANY, 0 });
PLAIN(stored_block, "source", .attrs = stored_block_attrs,
      .children = stored_block_children);

ATTRS(dir, TYPED("dir", XML_ONE, path), INDEX);
CHILDREN(dir, COMMON, CRYPT);
PLAIN(dir, "source", .attrs = dir_attrs, .children = dir_children);

ATTRS(volume, TYPED("pool", XML_ONE, object), TYPED("volume", XML_ONE, volume),
      WORDS("mode", XML_MAYBE, "host|direct"), INDEX);
PLAIN(volume, "source", .attrs = volume_attrs, .children = stored_children);

LEAF(pci, "address", TYPED("domain", XML_MAYBE, uint32),
     TYPED("bus", XML_MAYBE, pci_bus), TYPED("slot", XML_MAYBE, pci_slot),
     TYPED("function", XML_MAYBE, pci_function),
     WORDS("multifunction", XML_MAYBE, "on|off"));
ATTRS(nvme, WORDS("type", XML_ONE, "pci"), TYPED("namespace", XML_ONE, uint32),
      WORDS("managed", XML_MAYBE, YES_NO), INDEX);
CHILDREN(nvme, { &pci, XML_ONE, 0 }, COMMON, CRYPT);
PLAIN(nvme, "source", .attrs = nvme_attrs, .children = nvme_children);

ATTRS(vhost_user, WORDS("type", XML_ONE, "unix"),
      TYPED("path", XML_ONE, path));
PLAIN(vhost_user, "source", .attrs = vhost_user_attrs,
      .children = manager_children);
LEAF(vhost_vdpa, "source", TYPED("dev", XML_ONE, path));

ATTRS(store, ANY("type", XML_MAYBE));

#define STORE(n, w, source, occurs) \
    static const struct xluss__xml_child n##_store[] = \
        { { &format, XML_ONE, 0 }, { &source, occurs, 0 }, { 0 } }

STORE(file, "", stored_file, XML_MAYBE);
STORE(block, "block", stored_block, XML_MAYBE);
STORE(dir, "dir", dir, XML_MAYBE);
STORE(network, "network", network, XML_ONE);
STORE(volume, "volume", volume, XML_MAYBE);
STORE(nvme, "nvme", nvme, XML_MAYBE);
STORE(vhost_user, "vhostuser", vhost_user, XML_ONE);
STORE(vhost_vdpa, "vhostvdpa", vhost_vdpa, XML_ONE);

#define OF_TYPE(w, n) \
    { .when = { { "type", w } }, .attrs = store_attrs, .children = n##_store }

static const struct xluss__xml_form data_store_forms[] = {
    OF_TYPE("|file", file),
    OF_TYPE("block", block),
    OF_TYPE("dir", dir),
    OF_TYPE("network", network),
    OF_TYPE("volume", volume),
    OF_TYPE("nvme", nvme),
    OF_TYPE("vhostuser", vhost_user),
    OF_TYPE("vhostvdpa", vhost_vdpa),
};
RULE(data_store, "dataStore");

/* --- <disk> --- */

ATTRS(driver, WORDS("type", XML_MAYBE, FORMATS_BACKING));
CHILDREN(driver, { &metadata_cache, XML_MAYBE, 0 });
PLAIN(driver, "driver", .attrs = driver_attrs, .children = driver_children);
static const struct xluss__xml_form marker_forms[] = { { .open = false } };
static const struct xluss__xml_rule marker = {
    "snapshotDeleteInProgress", XML_FORMS(marker_forms),
};

#define NAME TYPED2("name", XML_ONE, target, path)

ATTRS(kept, NAME, ANY("snapshot", XML_ONE));
ATTRS(external, NAME, ANY("snapshot", XML_MAYBE), ANY("type", XML_MAYBE));
#define OWN(n) { &marker, XML_MAYBE, 0 }, { &driver, XML_MAYBE, 0 }, \
               { &n, XML_MAYBE, 0 }
CHILDREN(disk_file, OWN(own_file));
CHILDREN(disk_block, OWN(own_block));
CHILDREN(disk_network, { &network, XML_ONE, 0 });

#define EXTERNAL(w, n) \
    { .when = { { "snapshot", "|external" }, { "type", w } }, \
      .attrs = external_attrs, .children = n##_children }

static const struct xluss__xml_form disk_forms[] = {
    { .when = { { "snapshot", "no|internal|manual" } }, .attrs = kept_attrs },
    EXTERNAL("|file", disk_file),
    EXTERNAL("block", disk_block),
    EXTERNAL("network", disk_network),
};
const struct xluss__xml_rule xluss__xml_disk = {
    "disk", XML_FORMS(disk_forms),
};
