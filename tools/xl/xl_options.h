/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The subcommands' words: one table for each drives parser, help and the
 * tests. Nothing here calls a library of Xen, so it is tested without one.
 */
#ifndef XL_OPTIONS_H
#define XL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* xl's own options, before the subcommand. */
struct xl_globals {
    int verbose;                /* -v, counted */
    bool dryrun;                /* -N */
    bool force;                 /* -f: accepted; means nothing here */
    bool progress_cr;           /* -t: a progress line without a terminal */
    bool timestamps;            /* -T */
};

struct xl_option {
    int id;
    char letter;                /* 0: none */
    const char *name;           /* without the dashes */
    const char *value;          /* its name in the help; NULL: takes none */
    const char *text;           /* NULL: not offered by this version */
};

/* Options that every table has after its own. */
enum { XL_OPT_HELP = 1, XL_OPT_OWN = 100 };

/* What was wrong, in one sentence, and the exit code that belongs to it. */
struct xl_problem {
    int status;
    char *text;                 /* malloc'ed; NULL: nothing */
};

/* Returns status, for `return xl_problem_set(...)`. The first one stays. */
int xl_problem_set(struct xl_problem *problem, int status,
                   const char *fmt, ...)
                   __attribute__((format(printf, 3, 4)));

/* Called for each option; 0 or an exit code, with the problem set. */
typedef int xl_option_set(void *user, int id, const char *value,
                          struct xl_problem *problem);

struct xl_grammar {
    /* Their names; ends with NULL. "[NAME]" and those behind it may be left
     * out. */
    const char *const *operands;
    const struct xl_option *options;
    xl_option_set *set;
};

/*
 * argv[0] is the subcommand. Options and operands may be mixed, "--" ends
 * the options, "-ab" is "-a -b", "-nX", "-n X", "--name X" and "--name=X"
 * are one. Option names are never abbreviated. operands_out: one pointer
 * into argv for each operand of the grammar.
 * *help: --help was there; nothing else is looked at then.
 */
int xl_parse(const struct xl_grammar *grammar, int argc, char **argv,
             void *user, const char **operands_out, bool *help,
             struct xl_problem *problem);

/* --- xl_option_parts.c --- */

#define XL_WAIT_OPTION(id) { id, 0, "wait", NULL, \
                             "wait for another operation on it to end" }

/* Options by these names, of which at most one may be there. */
int xl_exclude(struct xl_problem *problem, bool a, const char *a_name,
               bool b, const char *b_name);
/* A --disk that is a vdev alone. The list ends with NULL, and holds words of
 * argv. */
int xl_vdevs_add(const char ***vdevs, int *num, const char *vdev,
                 struct xl_problem *problem);
void xl_vdevs_free(const char ***vdevs, int *num);

/* Kinds of --disk, as libxl_disk_snapshot_kind; tested against it. */
struct xl_disk_spec {
    char *vdev;
    int kind;
    char *path;                 /* of the overlay; NULL: none given */
    bool reuse;                 /* it is there already */
};

/* VDEV[,kind=KIND][,path=PATH][,format=qcow2][,reuse=yes|no] */
int xl_disk_spec_parse(const char *text, struct xl_disk_spec *out,
                       struct xl_problem *problem);

struct xl_create_options {
    const char *domain, *name, *description, *path, *checkpoint;
    bool live, compress, disk_only, quiesce, allow_unquiesced;
    bool internal, external, paused, wait, json;
    struct xl_disk_spec *disks;
    int num_disks;
};
struct xl_list_options {
    const char *domain;
    bool tree, json, name;
};
struct xl_info_options {
    const char *domain, *name;
    bool json, xml;
};
struct xl_revert_options {
    const char *domain, *name;
    bool running, paused, force, no_safety, wait;
};
struct xl_delete_options {
    const char *domain, *name;
    bool children, children_only, wait;
};

struct xl_redefine_options {
    const char *domain, *file;
    bool current, wait;
};

struct xl_export_options {
    const char *domain, *name;  /* name may be NULL */
    const char *socket;
    const char **vdevs;         /* NULL-terminated; NULL: all */
    int num_vdevs;
    bool stop, list, wait, json;
};
struct xl_merge_options {
    const char *domain, *name;  /* name may be NULL */
    const char **vdevs;         /* NULL-terminated; NULL: all */
    int num_vdevs;
    bool up, down, wait, json;
};
struct xl_check_options {
    const char *domain;         /* NULL: all */
    bool repair, deep, wait, json;
};

extern const struct xl_option xl_export_table[], xl_check_table[],
       xl_merge_table[];
extern const struct xl_option xl_create_table[], xl_list_table[],
       xl_info_table[], xl_revert_table[], xl_delete_table[],
       xl_redefine_table[];
extern const char *const xl_operands_domain[], *const xl_operands_name[],
       *const xl_operands_file[];

/* As xl_parse. The structs are filled from zero. */
int xl_create_parse(int argc, char **argv, struct xl_create_options *out,
                    bool *help, struct xl_problem *problem);
void xl_create_options_free(struct xl_create_options *o);
int xl_list_parse(int argc, char **argv, struct xl_list_options *out,
                  bool *help, struct xl_problem *problem);
int xl_info_parse(int argc, char **argv, struct xl_info_options *out,
                  bool *help, struct xl_problem *problem);
int xl_revert_parse(int argc, char **argv, struct xl_revert_options *out,
                    bool *help, struct xl_problem *problem);
int xl_delete_parse(int argc, char **argv, struct xl_delete_options *out,
                    bool *help, struct xl_problem *problem);
int xl_redefine_parse(int argc, char **argv, struct xl_redefine_options *out,
                      bool *help, struct xl_problem *problem);
int xl_export_parse(int argc, char **argv, struct xl_export_options *out,
                    bool *help, struct xl_problem *problem);
void xl_export_options_free(struct xl_export_options *o);
int xl_merge_parse(int argc, char **argv, struct xl_merge_options *out,
                   bool *help, struct xl_problem *problem);
void xl_merge_options_free(struct xl_merge_options *o);
int xl_check_parse(int argc, char **argv, struct xl_check_options *out,
                   bool *help, struct xl_problem *problem);

/* --- xl_checkpoint_options.c --- */

struct xl_checkpoint_options {
    const char *domain, *name, *file;
    const char *description, *since, *until;
    const char **vdevs;         /* NULL-terminated; NULL: all */
    int num_vdevs;
    bool wait, json, xml, names, extents, tree;
    bool quiesce, allow_unquiesced;
};

extern const struct xl_option xl_checkpoint_create_table[],
       xl_checkpoint_list_table[], xl_checkpoint_info_table[],
       xl_checkpoint_delete_table[], xl_checkpoint_dirty_table[],
       xl_checkpoint_redefine_table[];

/* argv[0] says which of them. */
int xl_checkpoint_parse(int argc, char **argv,
                        struct xl_checkpoint_options *out, bool *help,
                        struct xl_problem *problem);
void xl_checkpoint_options_free(struct xl_checkpoint_options *o);

/* --- xl_backup_options.c --- */

struct xl_backup_disk {
    char *vdev;
    const char *target;         /* NULL: none was said */
};

struct xl_backup_options {
    const char *domain, *to, *since, *checkpoint, *scratch;
    struct xl_backup_disk *disks;
    int num_disks;
    uint64_t speed, scratch_max;        /* bytes; 0: no limit */
    bool raw, reuse, strict, quiesce, detach, wait, json;
    /* Pull: where it is served. */
    const char *socket, *tls;
    char *host;
    int port;                           /* 0: NBD's own */
    bool pull, formatted, tls_any_client, insecure;
    bool failed;
    bool xml, snapshot_xml, export_xml;
};

extern const struct xl_option xl_backup_start_table[],
       xl_backup_status_table[], xl_backup_stop_table[];

int xl_backup_parse(int argc, char **argv, struct xl_backup_options *out,
                    bool *help, struct xl_problem *problem);
void xl_backup_options_free(struct xl_backup_options *o);

/* --- xl_save_options.c --- */

struct xl_save_options {
    const char *domain, *dir, *target;
    const char *checkpoint, *since, *scratch, *set;
    const char **vdevs;         /* NULL-terminated; NULL: all */
    int num_vdevs;
    int keep_last, keep_daily, keep_weekly, keep_monthly, keep_yearly;
    bool full, strict, quiesce, wait, json, raw, force, no_verify, dry_run;
    bool keep_checkpoints;
};

extern const struct xl_option xl_backup_save_table[],
       xl_backup_restore_table[], xl_backup_verify_table[],
       xl_backup_list_table[], xl_backup_prune_table[];

/* argv[0] says which of them. */
int xl_save_parse(int argc, char **argv, struct xl_save_options *out,
                  bool *help, struct xl_problem *problem);
void xl_save_options_free(struct xl_save_options *o);

#endif /* XL_OPTIONS_H */
