/* SPDX-License-Identifier: LGPL-2.1-only */
/* snapshot-redefine */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xl_command.h"
#include "xl_print.h"
#include "xl_progress.h"
#include "xl_session.h"
#include "xl_text.h"

/* Returns an errno. */
static int read_all(int fd, char *text, size_t *len)
{
    ssize_t r = 1;

    *len = 0;
    while (*len < XL_DOCUMENT_MAX && r) {
        r = read(fd, text + *len, XL_DOCUMENT_MAX - *len);
        if (r < 0 && errno != EINTR)
            return errno;
        *len += r > 0 ? r : 0;
    }
    return 0;
}

int xl_read_document(const char *file, char *text, size_t *len)
{
    bool is_stdin = strcmp(file, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    int e = fd < 0 ? errno : read_all(fd, text, len);

    if (fd >= 0 && !is_stdin)
        close(fd);
    if (!e)
        return 0;
    xl_say("can't read %s: %s", file, strerror(e));
    return XL_EXIT_FAILED;
}

static int tell(struct xl_session *s, const xlu_snapshot *snapshot,
                bool incomplete)
{
    char *name = xl_print_safe(snapshot->name);
    char *dom = xl_print_safe(s->dom.name);

    printf("Snapshot %s of domain %s redefined%s.\n", name, dom,
           incomplete ? "; it can't be reverted to" : "");
    free(name);
    free(dom);
    return incomplete ? XL_EXIT_LESS : XL_EXIT_DONE;
}

static int redefine(struct xl_session *s, const struct xl_redefine_options *o,
                    const char *text, size_t len)
{
    const xlu_snapshot_redefine_args args = { .current = o->current };
    bool is_stdin = strcmp(o->file, "-") == 0, incomplete = false;
    const xlu_snapshot *snapshot = NULL;
    char *doing;
    int rc, status;

    rc = xlu_snapshot_redefine(s->cat, is_stdin ? "standard input" : o->file,
                               text, len, &args, &s->how, &snapshot,
                               &incomplete);
    doing = xl_printf("redefinition from %s", o->file);
    status = xl_session_finish(s, rc, doing);
    free(doing);
    return rc ? status : tell(s, snapshot, incomplete);
}

int xl_redefine_main(const struct xl_globals *globals, int argc, char **argv)
{
    struct xl_redefine_options o;
    struct xl_problem problem = { 0 };
    struct xl_session s;
    size_t len = 0;
    char *text;
    bool help;
    int status = xl_redefine_parse(argc, argv, &o, &help, &problem);

    if (status)
        return xl_help_problem(argv[0], &problem);
    if (help)
        return xl_help_asked(argv[0]);
    /* Before anything is locked: a pipe may be slow. */
    text = xl_alloc(XL_DOCUMENT_MAX, 1);
    status = xl_read_document(o.file, text, &len);
    if (!status) {
        status = xl_session_begin(&s, globals, o.domain);
        if (!status)
            status = xl_session_write(&s, o.wait);
        if (!status)
            status = redefine(&s, &o, text, len);
        xl_session_end(&s);
    }
    free(text);
    return status;
}
