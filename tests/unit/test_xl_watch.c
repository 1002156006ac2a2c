/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The monitor's loop against a scripted libxl: what it does at each shutdown
 * is written down, in order. Linked without libxenlight.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include <libxl.h>
#include <libxl_event.h>
#include <libxl_utils.h>

#include "../../tools/xl/xl_monitor.h"

#define UUID "00000000-0000-0000-0000-000000000001"

/* What happens to the domain, one entry each time the monitor waits. */
struct happening {
    int domid;
    libxl_event_type type;
    libxl_shutdown_reason reason;
};

static struct {
    const struct happening *script;
    int polls_suspended;        /* so often a look finds it suspended */
    bool saved;                 /* after a suspend it is destroyed */
    uint32_t domid, next_domid;
    int fail_create, fail_config;
    libxl_action_on_shutdown action;
    bool enabled;
    char said[1024];
} fake;

static void did(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void did(const char *fmt, ...)
{
    size_t len = strlen(fake.said);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(fake.said + len, sizeof(fake.said) - len, fmt, ap);
    va_end(ap);
}

/* --- time stands still --- */

unsigned int sleep(unsigned int seconds)
{
    (void)seconds;
    return 0;
}

int nanosleep(const struct timespec *t, struct timespec *rest)
{
    (void)t;
    (void)rest;
    return 0;
}

/* --- libxl --- */

int libxl_uuid_from_string(libxl_uuid *uuid, const char *in)
{
    memset(uuid, 0, sizeof(*uuid));
    return strcmp(in, UUID) ? -1 : 0;
}

int libxl_uuid_compare(const libxl_uuid *a, const libxl_uuid *b)
{
    return memcmp(a, b, sizeof(*a));
}

void libxl_uuid_generate(libxl_uuid *uuid)
{
    memset(uuid, 1, sizeof(*uuid));
}

libxl_dominfo *libxl_list_domain(libxl_ctx *ctx, int *n)
{
    libxl_dominfo *list = calloc(2, sizeof(*list));

    (void)ctx;
    list[0].dying = true;       /* of the same UUID: the old one */
    list[0].domid = 99;
    list[1].domid = fake.domid;
    *n = fake.domid ? 2 : 1;
    return list;
}

void libxl_dominfo_list_free(libxl_dominfo *list, int n)
{
    (void)n;
    free(list);
}

void libxl_dominfo_init(libxl_dominfo *info)
{
    memset(info, 0, sizeof(*info));
}

void libxl_dominfo_dispose(libxl_dominfo *info)
{
    (void)info;
}

int libxl_domain_info(libxl_ctx *ctx, libxl_dominfo *info, uint32_t domid)
{
    (void)ctx;
    if (domid != fake.domid)
        return ERROR_DOMAIN_NOTFOUND;
    assert_false(fake.enabled);
    if (fake.polls_suspended > 0) {
        fake.polls_suspended--;
        info->shutdown = true;
        info->shutdown_reason = LIBXL_SHUTDOWN_REASON_SUSPEND;
        if (fake.saved && !fake.polls_suspended)
            fake.domid = 0;
        return 0;
    }
    return 0;
}

void libxl_domain_config_init(libxl_domain_config *c)
{
    memset(c, 0, sizeof(*c));
}

void libxl_domain_config_dispose(libxl_domain_config *c)
{
    free(c->c_info.name);
    free(c->disks);
    memset(c, 0, sizeof(*c));
}

int libxl_retrieve_domain_configuration(libxl_ctx *ctx, uint32_t domid,
                                        libxl_domain_config *c,
                                        const libxl_asyncop_how *how)
{
    (void)ctx;
    (void)how;
    if (fake.fail_config-- > 0)
        return ERROR_FAIL;
    did("config %u\n", domid);
    c->c_info.name = strdup("web1");
    c->on_reboot = fake.action;
    c->on_poweroff = LIBXL_ACTION_ON_SHUTDOWN_DESTROY;
    c->on_crash = LIBXL_ACTION_ON_SHUTDOWN_PRESERVE;
    c->num_disks = 2;
    c->disks = calloc(2, sizeof(*c->disks));
    c->disks[1].removable = 1;
    return 0;
}

int libxl_evenable_domain_death(libxl_ctx *ctx, uint32_t domid,
                                libxl_ev_user user,
                                libxl_evgen_domain_death **out)
{
    (void)ctx;
    (void)user;
    did("watch %u\n", domid);
    assert_false(fake.enabled);
    fake.enabled = true;
    *out = (void *)&fake;
    return 0;
}

void libxl_evdisable_domain_death(libxl_ctx *ctx,
                                  libxl_evgen_domain_death *death)
{
    (void)ctx;
    assert_ptr_equal(death, &fake);
    fake.enabled = false;
}

int libxl_evenable_disk_eject(libxl_ctx *ctx, uint32_t domid,
                              const char *vdev, libxl_ev_user user,
                              libxl_evgen_disk_eject **out)
{
    (void)ctx;
    (void)domid;
    (void)vdev;
    (void)user;
    *out = (void *)&fake;
    return 0;
}

void libxl_evdisable_disk_eject(libxl_ctx *ctx, libxl_evgen_disk_eject *e)
{
    (void)ctx;
    (void)e;
}

int libxl_event_wait(libxl_ctx *ctx, libxl_event **out, uint64_t mask,
                     libxl_event_predicate *p, void *user)
{
    libxl_event *event = calloc(1, sizeof(*event));

    (void)ctx;
    (void)mask;
    (void)p;
    (void)user;
    assert_true(fake.enabled);
    assert_true(fake.script->domid);
    if (fake.saved)
        fake.polls_suspended = 3;
    event->domid = fake.script->domid;
    event->type = fake.script->type;
    event->u.domain_shutdown.shutdown_reason = fake.script->reason;
    fake.script++;
    *out = event;
    return 0;
}

int libxl_event_check(libxl_ctx *ctx, libxl_event **out, uint64_t mask,
                      libxl_event_predicate *p, void *user)
{
    (void)ctx;
    (void)out;
    (void)mask;
    (void)p;
    (void)user;
    return ERROR_NOT_READY;
}

void libxl_event_free(libxl_ctx *ctx, libxl_event *event)
{
    (void)ctx;
    free(event);
}

int libxl_cdrom_insert(libxl_ctx *ctx, uint32_t domid,
                       libxl_device_disk *disk,
                       const libxl_asyncop_how *how)
{
    (void)ctx;
    (void)disk;
    (void)how;
    did("eject %u\n", domid);
    return 0;
}

const char *libxl_shutdown_reason_to_string(libxl_shutdown_reason r)
{
    (void)r;
    return "reason";
}

int libxl_userdata_retrieve(libxl_ctx *ctx, uint32_t domid, const char *id,
                            uint8_t **data, int *len)
{
    (void)ctx;
    (void)domid;
    (void)id;
    *data = NULL;
    *len = 0;
    return 0;
}

int libxl_domain_core_dump(libxl_ctx *ctx, uint32_t domid, const char *path,
                           const libxl_asyncop_how *how)
{
    (void)ctx;
    (void)how;
    did("dump %u %s\n", domid, path);
    return 0;
}

int libxl_domain_destroy(libxl_ctx *ctx, uint32_t domid,
                         const libxl_asyncop_how *how)
{
    (void)ctx;
    (void)how;
    did("destroy %u\n", domid);
    fake.domid = 0;
    return 0;
}

int libxl_domain_create_new(libxl_ctx *ctx, libxl_domain_config *c,
                            uint32_t *domid, const libxl_asyncop_how *how,
                            const libxl_asyncprogress_how *console)
{
    (void)ctx;
    (void)how;
    (void)console;
    did("create %s\n", c->c_info.name);
    if (fake.fail_create)
        return ERROR_FAIL;
    *domid = fake.domid = fake.next_domid;
    return 0;
}

int libxl_domain_unpause(libxl_ctx *ctx, uint32_t domid,
                         const libxl_asyncop_how *how)
{
    (void)ctx;
    (void)how;
    did("run %u\n", domid);
    return 0;
}

int libxl_domain_preserve(libxl_ctx *ctx, uint32_t domid,
                          libxl_domain_create_info *info, const char *suffix,
                          libxl_uuid uuid)
{
    (void)ctx;
    (void)info;
    (void)uuid;
    assert_int_equal(suffix[0], '-');
    did("preserve %u\n", domid);
    return 0;
}

int libxl_domain_soft_reset(libxl_ctx *ctx, libxl_domain_config *c,
                            uint32_t domid, const libxl_asyncop_how *how,
                            const libxl_asyncprogress_how *console)
{
    (void)ctx;
    (void)c;
    (void)how;
    (void)console;
    did("reset %u\n", domid);
    return 0;
}

/* --- the tests --- */

#define SHUTDOWN(domid, reason) \
    { domid, LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN, \
      LIBXL_SHUTDOWN_REASON_##reason }
#define DEATH(domid) { domid, LIBXL_EVENT_TYPE_DOMAIN_DEATH, 0 }
#define EJECT(domid) { domid, LIBXL_EVENT_TYPE_DISK_EJECT, 0 }
#define END { 0, 0, 0 }

static int reset(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof(fake));
    fake.domid = 5;
    fake.next_domid = 6;
    fake.action = LIBXL_ACTION_ON_SHUTDOWN_RESTART;
    return 0;
}

static void watched(const struct happening *script, int status,
                    const char *expected)
{
    fake.script = script;
    /* No process of this name: xl's monitor isn't there. */
    assert_int_equal(xl_monitor_watch(NULL, UUID, "no/such/domain"), status);
    assert_string_equal(fake.said, expected);
    assert_false(fake.enabled);
    assert_int_equal(fake.script->domid, 0);
}

static void destroyed(void **state)
{
    static const struct happening script[] = {
        DEATH(4), EJECT(5), DEATH(5), END
    };

    (void)state;
    watched(script, 0, "config 5\nwatch 5\neject 5\n");
}

static void gone_before(void **state)
{
    static const struct happening script[] = { END };

    (void)state;
    fake.domid = 0;
    watched(script, 0, "");
}

/* A snapshot: suspended for some time, then it runs on. */
static void snapshot(void **state)
{
    static const struct happening script[] = {
        SHUTDOWN(5, SUSPEND), SHUTDOWN(5, SUSPEND), SHUTDOWN(5, POWEROFF),
        END
    };

    (void)state;
    fake.polls_suspended = 4;   /* and at the start already */
    watched(script, 0, "config 5\nwatch 5\nwatch 5\nwatch 5\ndestroy 5\n");
}

static void saved(void **state)
{
    static const struct happening script[] = { SHUTDOWN(5, SUSPEND), END };

    (void)state;
    fake.saved = true;
    watched(script, 0, "config 5\nwatch 5\n");
}

static void reboots(void **state)
{
    static const struct happening script[] = {
        SHUTDOWN(5, REBOOT), SHUTDOWN(5, POWEROFF), SHUTDOWN(6, SUSPEND),
        SHUTDOWN(6, POWEROFF), END
    };

    (void)state;
    watched(script, 0,
            "config 5\nwatch 5\nconfig 5\ndestroy 5\ncreate web1\nrun 6\n"
            "watch 6\nwatch 6\ndestroy 6\n");
}

static void reboot_fails(void **state)
{
    static const struct happening script[] = { SHUTDOWN(5, REBOOT), END };

    (void)state;
    fake.fail_create = 1;
    watched(script, 0,
            "config 5\nwatch 5\nconfig 5\ndestroy 5\ncreate web1\n");
}

static void renamed(void **state)
{
    static const struct happening script[] = {
        SHUTDOWN(5, REBOOT), DEATH(6), END
    };

    (void)state;
    fake.action = LIBXL_ACTION_ON_SHUTDOWN_RESTART_RENAME;
    watched(script, 0, "config 5\nwatch 5\nconfig 5\npreserve 5\n"
                       "create web1\nrun 6\nwatch 6\n");
}

static void dumped(void **state)
{
    static const struct happening script[] = { SHUTDOWN(5, REBOOT), END };

    (void)state;
    fake.action = LIBXL_ACTION_ON_SHUTDOWN_COREDUMP_DESTROY;
    watched(script, 0, "config 5\nwatch 5\ndump 5 " XL_DUMP_FOLDER "/web1\n"
                       "destroy 5\n");
}

static void soft_reset(void **state)
{
    static const struct happening script[] = {
        SHUTDOWN(5, REBOOT), DEATH(5), END
    };

    (void)state;
    fake.action = LIBXL_ACTION_ON_SHUTDOWN_SOFT_RESET;
    watched(script, 0, "config 5\nwatch 5\nconfig 5\nreset 5\nrun 5\n"
                       "watch 5\n");
}

static void preserved(void **state)
{
    static const struct happening script[] = { SHUTDOWN(5, CRASH), END };

    (void)state;
    watched(script, 0, "config 5\nwatch 5\n");
}

static void config_comes_late(void **state)
{
    static const struct happening script[] = { DEATH(5), END };

    (void)state;
    fake.fail_config = 3;
    watched(script, 0, "config 5\nwatch 5\n");
}

static void config_never_comes(void **state)
{
    static const struct happening script[] = { END };

    (void)state;
    fake.fail_config = 1000;
    watched(script, 1, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, reset)
    const struct CMUnitTest tests[] = {
        TEST(destroyed),
        TEST(gone_before),
        TEST(snapshot),
        TEST(saved),
        TEST(reboots),
        TEST(reboot_fails),
        TEST(renamed),
        TEST(dumped),
        TEST(soft_reset),
        TEST(preserved),
        TEST(config_comes_late),
        TEST(config_never_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
