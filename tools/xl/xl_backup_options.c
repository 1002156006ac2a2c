/* SPDX-License-Identifier: LGPL-2.1-only */
/* The options of backup-start, -status and -stop. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xl_exit.h"
#include "xl_options.h"

enum {
    OPT_TO = XL_OPT_OWN, OPT_DISK, OPT_FORMAT, OPT_REUSE, OPT_SINCE,
    OPT_CHECKPOINT, OPT_STRICT, OPT_SPEED, OPT_SCRATCH, OPT_SCRATCH_MAX,
    OPT_QUIESCE, OPT_DETACH, OPT_WAIT, OPT_JSON, OPT_PULL, OPT_SOCKET,
    OPT_LISTEN, OPT_TLS, OPT_TLS_ANY, OPT_INSECURE, OPT_FAILED, OPT_XML,
    OPT_SNAPSHOT_XML, OPT_EXPORT_XML,
};

const struct xl_option xl_backup_start_table[] = {
    { OPT_TO, 't', "to", "DIR",
      "every writable disk, into DIR/VDEV.FORMAT" },
    { OPT_DISK, 0, "disk", "VDEV[=TARGET]",
      "this disk into a file or NBD URI; repeatable" },
    { OPT_PULL, 0, "pull", NULL,
      "let others read it by NBD, until backup-stop" },
    { OPT_SOCKET, 0, "socket", "PATH",
      "pull: of the unix socket; else one is chosen" },
    { OPT_LISTEN, 0, "listen", "HOST[:PORT]",
      "pull: by TCP; [HOST]:PORT for IPv6" },
    { OPT_TLS, 0, "tls", "DIR",
      "pull: with the certificates in this folder" },
    { OPT_TLS_ANY, 0, "tls-any-client", NULL,
      "pull: ask readers for no certificate" },
    { OPT_INSECURE, 0, "insecure", NULL,
      "pull: by TCP without TLS, for everybody" },
    { OPT_FORMAT, 0, "format", "FORMAT",
      "of the targets: qcow2 (default) or raw" },
    { OPT_REUSE, 0, "reuse", NULL,
      "the targets are there, and are written over" },
    { OPT_SINCE, 0, "since", "NAME",
      "only what was written since this checkpoint" },
    { OPT_STRICT, 0, "strict", NULL,
      "fail where that isn't known" },
    { OPT_CHECKPOINT, 'c', "checkpoint", "NAME",
      "begin this checkpoint in the same instant" },
    { OPT_SPEED, 0, "speed", "SIZE",
      "bytes a second, for each disk (K, M, G)" },
    { OPT_SCRATCH, 0, "scratch", "DIR",
      "where what is overwritten is kept" },
    { OPT_SCRATCH_MAX, 0, "scratch-max", "SIZE",
      "fail if a disk's scratch gets larger" },
    { OPT_QUIESCE, 0, "quiesce", NULL,
      "freeze the guest's filesystems for it" },
    { OPT_DETACH, 0, "detach", NULL,
      "return; backup-status will finish it" },
    XL_WAIT_OPTION(OPT_WAIT),
    { OPT_JSON, 0, "json", NULL, "print the backup as JSON" },
    { 0 },
};

const struct xl_option xl_backup_status_table[] = {
    XL_WAIT_OPTION(OPT_WAIT),
    { OPT_JSON, 0, "json", NULL, "print the backup as JSON" },
    { OPT_XML, 0, "xml", NULL, "print libvirt's <domainbackup>" },
    { OPT_SNAPSHOT_XML, 0, "snapshot-xml", NULL,
      "pull: print its <domainblocksnapshot>" },
    { OPT_EXPORT_XML, 0, "export-xml", NULL,
      "pull: print its <domainblockexport>" },
    { 0 },
};

const struct xl_option xl_backup_stop_table[] = {
    { OPT_FAILED, 0, "failed", NULL,
      "pull: undo the checkpoint that began with it" },
    XL_WAIT_OPTION(OPT_WAIT),
    { 0 },
};

/* VDEV=TARGET, or VDEV alone where it is pulled. */
static int add_disk(struct xl_backup_options *o, const char *text,
                    struct xl_problem *problem)
{
    const char *equals = strchr(text, '=');

    if (equals == text || !*text || (equals && !equals[1]))
        return xl_problem_set(problem, XL_EXIT_USAGE,
                              "\"%s\" is not VDEV=TARGET", text);
    o->disks = realloc(o->disks, (o->num_disks + 1) * sizeof(*o->disks));
    if (!o->disks)
        abort();
    o->disks[o->num_disks].vdev = equals ? strndup(text, equals - text)
                                         : strdup(text);
    o->disks[o->num_disks++].target = equals ? equals + 1 : NULL;
    return 0;
}

/* HOST, HOST:PORT, [HOST], [HOST]:PORT */
static int listen_at(struct xl_backup_options *o, const char *text,
                     struct xl_problem *problem)
{
    const char *host = *text == '[' ? text + 1 : text;
    const char *end = host + strcspn(host, *text == '[' ? "]" : ":");
    const char *rest = *text == '[' && *end ? end + 1 : end;
    char *after = NULL;
    long port = 0;

    if (*rest == ':' && isdigit((unsigned char)rest[1]))
        port = strtol(rest + 1, &after, 10);
    if (end == host || (*text == '[' && *end != ']') ||
        (*rest && (!after || *after || port < 1 || port > 65535)))
        return xl_problem_set(problem, XL_EXIT_USAGE,
                              "\"%s\" is not HOST[:PORT]", text);
    free(o->host);
    o->host = strndup(host, end - host);
    o->port = port;
    return 0;
}

/* Bytes, or with K, M, G, T. */
static int size(const char *text, uint64_t *out, struct xl_problem *problem)
{
    static const char units[] = "KMGT";
    const char *unit;
    char *end;
    unsigned long long n;

    errno = 0;
    n = isdigit((unsigned char)*text) ? strtoull(text, &end, 10) : 0;
    if (n && !errno && *end && !end[1] &&
        (unit = strchr(units, toupper((unsigned char)*end)))) {
        int shift = 10 * (unit - units + 1);

        if (n >> (63 - shift))
            n = 0;
        n <<= shift;
        end++;
    }
    if (!n || errno || *end)
        return xl_problem_set(problem, XL_EXIT_USAGE,
                              "\"%s\" is no size in bytes, or with K, M, G "
                              "or T", text);
    *out = n;
    return 0;
}

static int format(struct xl_backup_options *o, const char *text,
                  struct xl_problem *problem)
{
    if (strcmp(text, "qcow2") && strcmp(text, "raw"))
        return xl_problem_set(problem, XL_EXIT_USAGE,
                              "the format is qcow2 or raw, not \"%s\"", text);
    o->raw = !strcmp(text, "raw");
    o->formatted = true;
    return 0;
}

static int set(void *user, int id, const char *value,
               struct xl_problem *problem)
{
    struct xl_backup_options *o = user;

    switch (id) {
    case OPT_TO:          o->to = value; break;
    case OPT_DISK:        return add_disk(o, value, problem);
    case OPT_FORMAT:      return format(o, value, problem);
    case OPT_REUSE:       o->reuse = true; break;
    case OPT_SINCE:       o->since = value; break;
    case OPT_STRICT:      o->strict = true; break;
    case OPT_CHECKPOINT:  o->checkpoint = value; break;
    case OPT_SPEED:       return size(value, &o->speed, problem);
    case OPT_SCRATCH:     o->scratch = value; break;
    case OPT_SCRATCH_MAX: return size(value, &o->scratch_max, problem);
    case OPT_QUIESCE:     o->quiesce = true; break;
    case OPT_DETACH:      o->detach = true; break;
    case OPT_WAIT:        o->wait = true; break;
    case OPT_JSON:        o->json = true; break;
    case OPT_PULL:        o->pull = true; break;
    case OPT_SOCKET:      o->socket = value; break;
    case OPT_LISTEN:      return listen_at(o, value, problem);
    case OPT_TLS:         o->tls = value; break;
    case OPT_TLS_ANY:     o->tls_any_client = true; break;
    case OPT_INSECURE:    o->insecure = true; break;
    case OPT_FAILED:      o->failed = true; break;
    case OPT_XML:         o->xml = true; break;
    case OPT_SNAPSHOT_XML: o->snapshot_xml = true; break;
    case OPT_EXPORT_XML:  o->export_xml = true; break;
    }
    return 0;
}

static const char *pull_problem(const struct xl_backup_options *o)
{
    int i;

    if (o->to || o->formatted || o->reuse || o->speed || o->detach)
        return "--to, --format, --reuse, --speed and --detach are of a "
               "backup that is written, not of one that is pulled";
    for (i = 0; i < o->num_disks; i++)
        if (o->disks[i].target)
            return "with --pull --disk takes no target";
    if (o->socket && o->host)
        return "--socket and --listen exclude each other";
    if (!o->host && (o->tls || o->insecure))
        return "--tls and --insecure go with --listen";
    if (o->tls && o->insecure)
        return "--tls and --insecure exclude each other";
    if (o->tls_any_client && !o->tls)
        return "--tls-any-client goes with --tls";
    if (o->host && !o->tls && !o->insecure)
        return "over TCP everybody could read the disks: --tls DIR is "
               "needed, or --insecure";
    return NULL;
}

static int check_start(const struct xl_backup_options *o,
                       struct xl_problem *problem)
{
    const char *wrong = o->pull ? pull_problem(o)
        : o->socket || o->host || o->tls || o->tls_any_client || o->insecure
        ? "--socket, --listen, --tls, --tls-any-client and --insecure go "
          "with --pull" : NULL;
    int i;

    if (wrong)
        return xl_problem_set(problem, XL_EXIT_USAGE, "%s", wrong);
    if (o->pull)
        return 0;
    for (i = 0; i < o->num_disks; i++)
        if (!o->disks[i].target)
            return xl_problem_set(problem, XL_EXIT_USAGE,
                                  "\"%s\" is not VDEV=TARGET",
                                  o->disks[i].vdev);
    if (!o->to && !o->num_disks)
        return xl_problem_set(problem, XL_EXIT_USAGE,
                              "--to DIR, --disk VDEV=TARGET or --pull is "
                              "needed");
    if (o->to && o->num_disks)
        return xl_problem_set(problem, XL_EXIT_USAGE,
                              "--to and --disk exclude each other");
    return 0;
}

static int check_status(const struct xl_backup_options *o,
                        struct xl_problem *problem)
{
    return o->json + o->xml + o->snapshot_xml + o->export_xml < 2 ? 0
           : xl_problem_set(problem, XL_EXIT_USAGE,
                            "--json, --xml, --snapshot-xml and --export-xml "
                            "exclude each other");
}

int xl_backup_parse(int argc, char **argv, struct xl_backup_options *out,
                    bool *help, struct xl_problem *problem)
{
    struct xl_grammar grammar = { .set = set,
                                  .operands = xl_operands_domain };
    const char *operands[1] = { NULL };
    bool start = !strcmp(argv[0], "backup-start");
    int status;

    memset(out, 0, sizeof(*out));
    grammar.options = start ? xl_backup_start_table
        : !strcmp(argv[0], "backup-status") ? xl_backup_status_table
                                            : xl_backup_stop_table;
    status = xl_parse(&grammar, argc, argv, out, operands, help, problem);
    out->domain = operands[0];
    if (!status && !*help)
        status = start ? check_start(out, problem)
                       : check_status(out, problem);
    if (status)
        xl_backup_options_free(out);
    return status;
}

void xl_backup_options_free(struct xl_backup_options *o)
{
    int i;

    for (i = 0; i < o->num_disks; i++)
        free(o->disks[i].vdev);
    free(o->disks);
    o->disks = NULL;
    o->num_disks = 0;
    free(o->host);
    o->host = NULL;
}
