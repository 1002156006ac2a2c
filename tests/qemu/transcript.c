/* SPDX-License-Identifier: LGPL-2.1-only */
#include <ctype.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transcript.h"

#define COMMITTED "../../docs/qmp"

static struct {
    const char *name;
    char *page, *session, *last;    /* last: the session before this one */
    size_t page_len, session_len;
    FILE *to_page, *to_session;
    bool on, asked;                 /* asked: a command awaits its answer */
    bool greeted;                   /* so does qmp_capabilities */
    bool quiet;                     /* nothing was sent in this section */
    int step;
    const struct transcript_note *notes;
} t;

static bool starts(const char *text, const char *with)
{
    return !strncmp(text, with, strlen(with));
}

/* --- what differs from run to run --- */

static char *replaced(char *text, const char *from, const char *to)
{
    char *out = NULL, *p = text, *at;
    size_t size;
    FILE *f = open_memstream(&out, &size);

    while ((at = strstr(p, from))) {
        fprintf(f, "%.*s%s", (int)(at - p), p, to);
        p = at + strlen(from);
    }
    fputs(p, f);
    fclose(f);
    free(text);
    return out;
}

/* All matches; \1 in `to` is what the first subexpression has matched. */
static char *matched(char *text, const char *pattern, const char *to)
{
    char *out = NULL, *p = text;
    regmatch_t m[2];
    size_t size;
    FILE *f = open_memstream(&out, &size);
    regex_t r;

    assert_int_equal(regcomp(&r, pattern, REG_EXTENDED), 0);
    while (*p && !regexec(&r, p, 2, m, 0) && m[0].rm_eo > m[0].rm_so) {
        fprintf(f, "%.*s", (int)m[0].rm_so, p);
        for (const char *c = to; *c; c++)
            if (*c == '\1')
                fprintf(f, "%.*s", (int)(m[1].rm_eo - m[1].rm_so),
                        p + m[1].rm_so);
            else
                fputc(*c, f);
        p += m[0].rm_eo;
    }
    fputs(p, f);
    fclose(f);
    regfree(&r);
    free(text);
    return out;
}

static char *normal(const char *line)
{
    char *text = strdup(line), from[64], to[32];
    int i;

    text = matched(text, ", ?\"id\": ?[0-9]+", "");
    text = matched(text, "\"id\": ?[0-9]+, ?", "");
    text = replaced(text, bed.dir, "/images");
    for (i = 0; i < bed.num_disks; i++) {
        snprintf(from, sizeof(from), "disk,%d a:b.%s", i, bed.format[i]);
        snprintf(to, sizeof(to), "%s.%s", bed.vdev[i], bed.format[i]);
        text = replaced(text, from, to);
    }
    text = matched(text, "xlbs-[0-9a-f]{8}", "xlbs-ID");
    text = matched(text, "(xlss-xvd[a-z]-(dirty|[a-z]))[0-9a-f]{2,}", "\1N");
    text = replaced(text, fake.uuid, "UUID");
    text = matched(text, "#block[0-9]+", "#block");
    /* A transaction in lines. */
    text = replaced(text, "[{\"type\":", "[\n     {\"type\":");
    text = replaced(text, "},{\"type\":", "},\n     {\"type\":");
    return text;
}

/* --- the log --- */

/* What is asked before nearly everything, and only fills the page. */
static void shorten(void)
{
    static const char look[] =
        "-> \\{\"execute\":\"query-block-jobs\"\\}\n"
        "<- [^\n]*\n"
        "-> \\{\"execute\":\"query-named-block-nodes\",[^\n]*\n<- [^\n]*\n"
        "-> \\{\"execute\":\"query-block\"\\}\n<- [^\n]*\n"
        "(-> \\{\"execute\":\"qom-get\",[^\n]*\"vdev\"[^\n]*\n<- [^\n]*\n)*";
    static const char roots[] =
        "-> \\{\"execute\":\"query-block-jobs\"\\}\n"
        "<- [^\n]*\n"
        "-> \\{\"execute\":\"query-block\"\\}\n<- [^\n]*\n"
        "(-> \\{\"execute\":\"qom-get\",[^\n]*\"vdev\"[^\n]*\n<- [^\n]*\n)*";

    t.session = matched(t.session, look, "-- the graph is read\n");
    t.session = matched(t.session, roots, "-- the devices' nodes are read\n");
    t.session_len = strlen(t.session);
}

static void print_session(void)
{
    if (t.last)
        fprintf(t.to_page, "%s%s", t.quiet ? "\n```\n" : "\n", t.last);
    t.quiet = t.quiet && !t.last;
    free(t.last);
    t.last = NULL;
}

/* How often a job is asked for until it has ended is nobody's choice. */
static bool asked_again(void)
{
    return t.last && strstr(t.last, "\"query-jobs\"") &&
           starts(t.session, t.last);
}

static void flush_session(void)
{
    fclose(t.to_session);
    shorten();
    if (t.session_len) {
        if (!asked_again())
            print_session();
        free(t.last);
        t.last = t.session;
    } else {
        free(t.session);
    }
    t.to_session = open_memstream(&t.session, &t.session_len);
    fflush(t.to_session);
}

static void sent(const char *text)
{
    char *out;

    if (strstr(text, "\"qmp_capabilities\"")) {
        t.greeted = true;
        return;
    }
    out = normal(text);
    fprintf(t.to_session, "-> %s\n", out);
    free(out);
    t.asked = true;
}

static void received(const char *text)
{
    char *out;

    if (starts(text, "{\"QMP\"")) {
        flush_session();
        return;
    }
    /* Of events the place isn't certain. */
    if (strstr(text, "\"event\":"))
        return;
    /* That to qmp_capabilities, which nobody has waited for. */
    if (t.greeted) {
        t.greeted = false;
        return;
    }
    if (!t.asked)
        return;
    t.asked = false;
    if (starts(text, "{\"return\": [{"))
        out = strdup("{\"return\": [...]}");
    else if (starts(text, "{\"return\": {\"") && strlen(text) > 160)
        out = strdup("{\"return\": {...}}");
    else
        out = normal(text);
    fprintf(t.to_session, "<- %s\n", out);
    free(out);
}

static void on_message(struct xentoollog_logger *lg, xentoollog_level level,
                       int err, const char *context, const char *format,
                       va_list ap)
{
    char *text = NULL;
    const char *at;

    (void)lg;
    (void)context;
    if (vasprintf(&text, format, ap) < 0)
        abort();
    if (getenv("V"))
        fprintf(stderr, "%d: %s%s%s\n", level, text,
                err < 0 ? "" : ": ", err < 0 ? "" : strerror(err));
    if (t.on && (at = strstr(text, ": QMP > ")))
        sent(at + 8);
    else if (t.on && (at = strstr(text, ": QMP < ")))
        received(at + 8);
    free(text);
}

static void on_progress(struct xentoollog_logger *lg, const char *context,
                        const char *doing, int percent, unsigned long done,
                        unsigned long total)
{
    (void)lg;
    (void)context;
    (void)doing;
    (void)percent;
    (void)done;
    (void)total;
}

static void on_destroy(struct xentoollog_logger *lg)
{
    (void)lg;
}

static xentoollog_logger logger = { on_message, on_progress, on_destroy };

/* --- sections --- */

static void close_section(void)
{
    flush_session();
    print_session();
    fputs(t.quiet ? "" : "```\n", t.to_page);
    t.quiet = true;
}

static int on_step(libxl_ctx *unused, libxl_snapshot_step step,
                   uint64_t done, uint64_t total, void *user)
{
    const struct transcript_note *n = t.notes;

    (void)unused;
    (void)done;
    (void)total;
    (void)user;
    if (!t.on || (int)step == t.step)
        return 0;
    close_section();
    t.step = step;
    while (n && n->text && n->step != step)
        n++;
    if (!n || !n->text) {
        print_error("%s: nothing is said of the step %s\n", t.name,
                    libxl_snapshot_step_to_string(step));
        fprintf(t.to_page, "\n### %s\n", "?");
        return 0;
    }
    fprintf(t.to_page, "\n### %s\n\n%s\n",
            libxl_snapshot_step_to_string(step), n->text);
    return 0;
}

void transcript_begin(const char *name, const char *title, const char *intro)
{
    t.name = name;
    t.to_page = open_memstream(&t.page, &t.page_len);
    t.to_session = open_memstream(&t.session, &t.session_len);
    fflush(t.to_session);
    t.quiet = true;
    t.on = false;
    how.lg = &logger;
    how.step = on_step;
    fprintf(t.to_page, "<!-- Written by tests/qemu/test_transcripts.c; do not "
            "edit. -->\n# %s\n\n%s\n", title, intro);
}

void transcript_section(const char *title, const char *text,
                        const struct transcript_note *notes)
{
    close_section();
    fprintf(t.to_page, "\n## %s\n\n%s\n", title, text);
    t.notes = notes;
    t.step = -1;
    t.on = true;
    t.asked = false;
}

void transcript_pause(void)
{
    close_section();
    t.on = false;
}

static void write_page(const char *dir)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s.md", dir, t.name);
    f = fopen(path, "we");
    if (!f)
        fail_msg("%s can't be written", path);
    fputs(t.page, f);
    fclose(f);
}

/* Another version is told other things. */
static bool is_reference(void)
{
    uint64_t major = 0, minor = 0;
    yajl_val v, version;

    assert_int_equal(bed_qmp_reply("query-version", NULL, &v), 0);
    version = json_object(json_object(v, "return"), "qemu");
    json_u64(version, "major", &major);
    json_u64(version, "minor", &minor);
    yajl_tree_free(v);
    return major == 7 && minor == 2;
}

static void compare_page(void)
{
    char command[512];

    if (!is_reference())
        return;
    write_page(bed.dir);
    snprintf(command, sizeof(command), "diff -u " COMMITTED "/%s.md %s/%s.md "
             ">&2", t.name, bed.dir, t.name);
    if (system(command))
        fail_msg("docs/qmp/%s.md is not what is sent now; if it should be, "
                 "run: make -C tests/qemu transcripts", t.name);
}

void transcript_end(void)
{
    bool words;

    transcript_pause();
    fclose(t.to_page);
    fclose(t.to_session);
    words = !strstr(t.page, "### ?");
    if (getenv("TRANSCRIPTS"))
        write_page(getenv("TRANSCRIPTS"));
    else
        compare_page();
    free(t.page);
    free(t.session);
    assert_true(words);
}
