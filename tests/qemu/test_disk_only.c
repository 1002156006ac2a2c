/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Snapshots of the disks alone, on a real QEMU and real images: with the
 * guest running, paused or off, and quiesced by an agent (fake_agent.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent.h"
#include "bed.h"
#include "fake_agent.h"
#include "fake_libxl.h"

/* A revert to the disks has no stream to walk. */
int __wrap_libxlss__stream_verify(struct libxlss__op *op, int fd);
int __wrap_libxlss__stream_verify(struct libxlss__op *op, int fd)
{
    (void)op;
    (void)fd;
    fail_msg("a stream was looked for");
    return 0;
}

void __wrap_libxlss__sleep_ms(unsigned int ms);
void __wrap_libxlss__sleep_ms(unsigned int ms)
{
    usleep(ms < 20 ? ms * 1000 : 20000);
}

/* --- what was said --- */

static char said[8192];

static void vmessage(xentoollog_logger *unused, xentoollog_level level,
                     int errnoval, const char *context, const char *format,
                     va_list al) __attribute__((format(printf, 5, 0)));

static void vmessage(xentoollog_logger *unused, xentoollog_level level,
                     int errnoval, const char *context, const char *format,
                     va_list al)
{
    size_t len = strlen(said);

    (void)unused;
    (void)errnoval;
    (void)context;
    if (getenv("V"))
        vfprintf(stderr, format, al), fputc('\n', stderr);
    else if (level >= XTL_WARN && len < sizeof(said) - 1000)
        vsnprintf(said + len, 1000, format, al);
}

static xentoollog_logger lg = { .vmessage = vmessage };
static libxl_snapshot_how how = { .lg = &lg };
static libxl_ctx *ctx;
static libxl_domain_snapshot_args args;

static void expect_said(const char *text)
{
    if (!getenv("V") && !strstr(said, text))
        fail_msg("%s is not in: %s", text, said);
}

/* --- the bed --- */

static bool frozen_then, paused_then;

static void look_at_guest(void)
{
    frozen_then = fake_agent->frozen;
    paused_then = fake.pauses > 0;
}

static void write_disks(int pattern)
{
    int i;

    for (i = 0; i < bed.num_disks; i++)
        bed_write(i, 0, pattern);
    fake.tick = pattern;
}

static void make_bed(int disks, bool hvm, bool twin)
{
    int i;

    fake_reset();
    fake.hvm = hvm;
    if (twin)
        fake.backend_state = 2;
    bed_make(disks, twin);
    for (i = 0; i < disks; i++)
        bed_write(i, 5, 9);
    write_disks(1);
    libxl_domain_snapshot_args_init(&args);
    fake_agent_start(bed.dir);
    fake.channel = fake_agent->path;
    fake.at_transaction = look_at_guest;
    frozen_then = paused_then = false;
    said[0] = '\0';
    libxlss__agent_times = (struct libxlss__agent_times){
        .sync = 400, .command = 400, .freeze = 400, .thaw = 1500,
        .pause = 10,
    };
}

static void remove_bed(void)
{
    fake_agent_stop();
    libxl_domain_snapshot_args_dispose(&args);
    bed_remove();
}

/* Always from fresh arguments. */
static int create(const char *name, bool quiesce, bool allow)
{
    libxl_domain_snapshot_args_dispose(&args);
    libxl_domain_snapshot_args_init(&args);
    args.name = strdup(name);
    if (quiesce)
        libxl_defbool_set(&args.quiesce, true);
    if (allow)
        libxl_defbool_set(&args.allow_unquiesced, true);
    return libxl_domain_snapshot_create(ctx, fake.domid, &args, -1, &how,
                                        NULL);
}

static int remove_snapshot(void)
{
    return libxl_domain_snapshot_delete(ctx, fake.exists ? fake.domid
                                                         : XLSS_OFF,
                                        &args, &how, NULL);
}

static int revert(libxl_domain_snapshot_safety *safety, uint32_t *domid)
{
    libxl_domain_config config;
    int rc;

    libxl_domain_config_init(&config);
    bed_config(ctx, &config);
    rc = libxl_domain_snapshot_revert(ctx, fake.exists ? fake.domid
                                                       : XLSS_OFF,
                                      &config, &args, -1, false, safety,
                                      domid, &how, NULL);
    libxl_domain_config_dispose(&config);
    return rc;
}

static void safety_begin(libxl_domain_snapshot_safety *safety, bool memory)
{
    char path[128];

    libxl_domain_snapshot_safety_init(safety);
    safety->name = strdup("xlss-safety");
    snprintf(path, sizeof(path), "%s/safety", bed.dir);
    if (memory)
        safety->memory_fd = fileno(fopen(path, "w+e"));
}

static void safety_end(libxl_domain_snapshot_safety *safety)
{
    if (safety->memory_fd >= 0)
        close(safety->memory_fd);
    libxl_domain_snapshot_safety_dispose(safety);
}

static void expect_running(void)
{
    assert_true(fake.exists);
    assert_false(fake.suspended);
    assert_int_equal(fake.pauses, 0);
    assert_false(fake_agent->frozen);
    if (bed.qemu > 0)
        assert_true(bed_running());
}

static void expect_disks(int pattern)
{
    int i;

    for (i = 0; i < bed.num_disks; i++) {
        assert_true(bed_check_clean(i));
        assert_true(bed_reads(i, 0, pattern));
        assert_true(bed_reads(i, 5, 9));
    }
}

/* --- life --- */

/* create, run on, verify, revert twice, delete. */
static void life(int disks, bool hvm, bool twin)
{
    libxl_domain_snapshot_safety safety;
    uint32_t domid;
    int i;

    make_bed(disks, hvm, twin);
    assert_int_equal(create("s1", false, false), 0);
    expect_running();
    assert_true(paused_then);
    assert_int_equal(fake_agent->connections, 0);
    assert_int_equal(args.num_disks, disks);
    assert_false(libxl_defbool_val(args.memory));
    assert_false(libxl_defbool_val(args.paused));
    assert_false(libxl_defbool_val(args.quiesced));
    for (i = 0; i < disks; i++)
        assert_true(bed_has_snapshot(i, "s1"));
    for (i = 0; i < 2; i++) {
        write_disks(2 + i);
        assert_int_equal(libxl_domain_snapshot_verify(ctx, fake.domid, &args,
                                                      -1, &how, NULL), 0);
        /* Without a way back for the memory the second time. */
        safety_begin(&safety, !i);
        assert_int_equal(revert(&safety, &domid), 0);
        assert_int_equal(safety.memory, !i);
        assert_int_equal(domid, fake.domid);
        /* It was started, not restored. */
        assert_int_equal(fake.tick, 0);
        assert_true(fake.ran);
        expect_running();
        assert_int_equal(bed_num_snapshots(0), 1);
        safety_end(&safety);
    }
    assert_int_equal(remove_snapshot(), 0);
    assert_int_equal(bed_num_snapshots(0), 0);
    assert_int_equal(libxl_domain_snapshot_verify(ctx, fake.domid, &args, -1,
                                                  &how, NULL),
                     XLSS(DAMAGED));
    bed_stop_qemu();
    expect_disks(1);
    remove_bed();
}

static void test_life_pv(void **state)
{
    (void)state;
    life(2, false, false);
}

static void test_life_hvm(void **state)
{
    (void)state;
    life(2, true, false);
}

static void test_life_twin(void **state)
{
    (void)state;
    life(1, true, true);
}

/* Paused it stays, and comes back so; even one that has never run. */
static void test_paused(void **state)
{
    uint32_t domid;

    (void)state;
    make_bed(2, true, false);
    fake.pauses = 2;
    fake.ran = false;
    assert_int_equal(create("s1", false, false), 0);
    assert_int_equal(fake.pauses, 2);
    assert_true(libxl_defbool_val(args.paused));
    libxl_defbool_set(&args.leave_paused, true);
    assert_int_equal(revert(NULL, &domid), 0);
    assert_int_equal(fake.pauses, 1);
    assert_false(fake.ran);
    libxl_defbool_set(&args.leave_paused, false);
    assert_int_equal(revert(NULL, &domid), 0);
    expect_running();
    remove_bed();
}

static void test_domain_is_off(void **state)
{
    uint32_t domid;

    (void)state;
    make_bed(2, false, false);
    assert_int_equal(create("s1", false, false), 0);
    write_disks(2);
    fake.exists = false;
    bed_stop_qemu();
    assert_int_equal(libxl_domain_snapshot_verify(ctx, XLSS_OFF, &args, -1,
                                                  &how, NULL), 0);
    assert_int_equal(revert(NULL, &domid), 0);
    assert_int_equal(domid, fake.domid);
    expect_running();
    fake.exists = false;
    bed_stop_qemu();
    expect_disks(1);
    assert_int_equal(remove_snapshot(), 0);
    assert_int_equal(bed_num_snapshots(0), 0);
    remove_bed();
}

/* --- quiesced --- */

static void test_quiesced(void **state)
{
    (void)state;
    make_bed(2, false, false);
    assert_int_equal(create("s1", true, false), 0);
    assert_true(frozen_then);
    assert_true(paused_then);
    assert_true(libxl_defbool_val(args.quiesced));
    expect_running();
    assert_int_equal(fake_agent->freezes, 1);
    assert_int_equal(fake_agent->thaws, 1);
    assert_string_equal(said, "");
    remove_bed();
}

static int checkpoint(const char *name, bool allow, bool *quiesced_r)
{
    libxl_domain_checkpoint_args c;
    int rc;

    libxl_domain_checkpoint_args_init(&c);
    c.name = strdup(name);
    libxl_defbool_set(&c.quiesce, true);
    if (allow)
        libxl_defbool_set(&c.allow_unquiesced, true);
    frozen_then = paused_then = false;
    rc = libxl_domain_checkpoint_create(ctx, fake.domid, &c, &how, NULL);
    *quiesced_r = !libxl_defbool_is_default(c.quiesced) &&
                  libxl_defbool_val(c.quiesced);
    libxl_domain_checkpoint_args_dispose(&c);
    return rc;
}

/* The last one's name, or NULL. */
static const char *last_checkpoint(void)
{
    static char name[64];
    libxl_disk_checkpoint_list list;
    bool any;

    libxl_disk_checkpoint_list_init(&list);
    assert_int_equal(libxl_domain_checkpoint_list(ctx, fake.domid, &list,
                                                  &how), 0);
    any = list.num_checkpoints > 0;
    if (any) {
        const libxl_disk_checkpoint *c =
            &list.checkpoints[list.num_checkpoints - 1];

        assert_true(c->recording);
        snprintf(name, sizeof(name), "%s", c->name);
    }
    libxl_disk_checkpoint_list_dispose(&list);
    return any ? name : NULL;
}

static void test_checkpoint(void **state)
{
    bool quiesced;

    (void)state;
    make_bed(2, false, false);
    assert_int_equal(checkpoint("c1", false, &quiesced), 0);
    assert_true(quiesced && frozen_then && paused_then);
    expect_running();
    assert_int_equal(fake_agent->freezes, 1);
    assert_int_equal(fake_agent->thaws, 1);
    assert_string_equal(last_checkpoint(), "c1");
    /* It thaws before its time: the checkpoint never was. */
    fake_agent->thaws_itself = true;
    assert_int_equal(checkpoint("c2", false, &quiesced), XLSS(NOT_QUIESCED));
    expect_said("were thawed");
    expect_running();
    assert_string_equal(last_checkpoint(), "c1");
    assert_int_equal(checkpoint("c2", true, &quiesced), 0);
    expect_said("the checkpoint is not quiesced");
    assert_false(quiesced);
    assert_string_equal(last_checkpoint(), "c2");
    remove_bed();
}

static void test_checkpoint_without_agent(void **state)
{
    bool quiesced;

    (void)state;
    make_bed(1, false, false);
    fake_agent->sync = (struct fake_agent_rule){ AGENT_SILENT, 1000 };
    assert_int_equal(checkpoint("c1", false, &quiesced), XLSS(NOT_QUIESCED));
    expect_said("does not answer");
    expect_running();
    assert_null(last_checkpoint());
    assert_int_equal(checkpoint("c1", true, &quiesced), 0);
    assert_false(quiesced);
    expect_running();
    fake.channel = NULL;
    assert_int_equal(checkpoint("c2", false, &quiesced), XLSS(NOT_POSSIBLE));
    assert_string_equal(last_checkpoint(), "c1");
    remove_bed();
}

static void test_not_with_memory(void **state)
{
    char path[128];
    FILE *f;

    (void)state;
    make_bed(1, false, false);
    snprintf(path, sizeof(path), "%s/memory", bed.dir);
    f = fopen(path, "we");
    args.name = strdup("s1");
    libxl_defbool_set(&args.quiesce, true);
    assert_int_equal(libxl_domain_snapshot_create(ctx, fake.domid, &args,
                                                  fileno(f), &how, NULL),
                     ERROR_INVAL);
    expect_said("would come back frozen");
    expect_running();
    assert_int_equal(fake_agent->connections, 0);
    fclose(f);
    remove_bed();
}

/* Refused with the domain untouched; or done, and said so. */
static void refused_or_less(int rc, const char *why)
{
    assert_int_equal(create("s1", true, false), rc);
    expect_said(why);
    expect_running();
    assert_int_equal(bed_num_snapshots(0), 0);
    said[0] = '\0';
    assert_int_equal(create("s1", true, true), 0);
    expect_said("the snapshot is not quiesced");
    expect_said(why);
    assert_false(libxl_defbool_val(args.quiesced));
    expect_running();
    assert_true(bed_has_snapshot(0, "s1"));
}

static void test_no_channel(void **state)
{
    (void)state;
    make_bed(1, false, false);
    fake.channel = NULL;
    refused_or_less(XLSS(NOT_POSSIBLE), "no channel of the name");
    remove_bed();
}

static void test_silent(void **state)
{
    (void)state;
    make_bed(1, false, false);
    fake_agent->sync = (struct fake_agent_rule){ AGENT_SILENT, 1000 };
    refused_or_less(XLSS(NOT_QUIESCED), "does not answer");
    remove_bed();
}

static void test_freeze_fails(void **state)
{
    (void)state;
    make_bed(1, false, false);
    fake_agent->freeze = (struct fake_agent_rule){ AGENT_LOST, 1000 };
    refused_or_less(XLSS(NOT_QUIESCED), "did not freeze its filesystems");
    assert_int_equal(fake_agent->thaws, 2);
    remove_bed();
}

static void test_thaws_by_itself(void **state)
{
    (void)state;
    make_bed(1, false, false);
    fake_agent->thaws_itself = true;
    refused_or_less(XLSS(NOT_QUIESCED), "were thawed");
    remove_bed();
}

static void test_paused_has_no_agent(void **state)
{
    (void)state;
    make_bed(1, false, false);
    fake.pauses = 1;
    assert_int_equal(create("s1", true, false), XLSS(NOT_POSSIBLE));
    assert_int_equal(fake.pauses, 1);
    assert_int_equal(create("s1", true, true), 0);
    assert_int_equal(fake.pauses, 1);
    assert_false(libxl_defbool_val(args.quiesced));
    remove_bed();
}

/* QEMU's own channels: nobody in the guest, or somebody else before us. */
static void test_real_channel(void **state)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd;

    (void)state;
    make_bed(1, false, false);
    /* Not before: what was forked there would have it too. */
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/channel", bed.dir);
    fake.channel = addr.sun_path;
    assert_int_equal(create("s1", true, false), XLSS(NOT_QUIESCED));
    expect_said("does qemu-ga run in the guest?");
    said[0] = '\0';
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(create("s1", true, false), XLSS(NOT_QUIESCED));
    expect_said("another program is connected");
    close(fd);
    said[0] = '\0';
    assert_int_equal(create("s1", true, false), XLSS(NOT_QUIESCED));
    expect_said("does qemu-ga run in the guest?");
    expect_running();
    remove_bed();
}

/* The thaw can't be confirmed: said aloud, and nothing is left. */
static void test_thaw_never(void **state)
{
    (void)state;
    make_bed(1, false, false);
    fake_agent->thaw = (struct fake_agent_rule){ AGENT_SILENT, 1000 };
    assert_int_equal(create("s1", true, true), XLSS(NEEDS_REPAIR));
    expect_said("may still be frozen");
    assert_int_equal(fake.pauses, 0);
    assert_true(bed_running());
    assert_int_equal(bed_num_snapshots(0), 0);
    /* The next command's recovery. */
    fake_agent->thaw.times = 0;
    assert_int_equal(libxl_domain_snapshot_recover(
        ctx, fake.domid, LIBXL_SNAPSHOT_INTENT_CREATE, &args, &how, NULL),
        0);
    expect_running();
    remove_bed();
}

/* Recovery doesn't hang on an agent that never was there. */
static void test_recover_without_agent(void **state)
{
    (void)state;
    make_bed(1, false, false);
    assert_int_equal(create("s1", true, false), 0);
    fake_agent->sync = (struct fake_agent_rule){ AGENT_SILENT, 1000 };
    assert_int_equal(libxl_domain_snapshot_recover(
        ctx, fake.domid, LIBXL_SNAPSHOT_INTENT_CREATE, &args, &how, NULL),
        0);
    expect_said("may still be frozen");
    assert_int_equal(bed_num_snapshots(0), 0);
    expect_running();
    remove_bed();
}

/* --- every step fails once --- */

static void fail_create(bool hvm, enum fault fault)
{
    int n, rc;

    make_bed(2, hvm, false);
    assert_int_equal(create("s0", false, false), 0);
    for (n = 1;; n = fault_next(n)) {
        fake.calls = 0;
        fake.fail_at = n;
        fake.fault = fault;
        fake.failed = false;
        rc = create("s1", true, false);
        fake.fail_at = 0;
        if (!fake.failed)
            break;
        if (rc && bed_num_snapshots(0) != 1)
            fail_msg("call %d (%s): snapshot left behind", n,
                     fake.failed_call);
        expect_running();
        assert_true(bed_has_snapshot(0, "s0"));
        if (!rc) {
            assert_true(bed_has_snapshot(1, "s1"));
            assert_true(libxl_defbool_val(args.quiesced));
            assert_int_equal(remove_snapshot(), 0);
        }
    }
    assert_int_equal(rc, 0);
    assert_true(n > 15);
    bed_stop_qemu();
    expect_disks(1);
    remove_bed();
}

static void test_fail_create(void **state)
{
    (void)state;
    fail_create(false, FAULT_BEFORE);
    fail_create(false, FAULT_AFTER);
    fail_create(true, FAULT_BEFORE);
}

/* The old domain runs on, or the safety point does, or the snapshot. */
static void fail_revert(enum fault fault, bool hvm)
{
    libxl_domain_snapshot_safety safety;
    uint32_t domid;
    int n, rc;

    for (n = 1;; n = fault_next(n)) {
        make_bed(2, hvm, false);
        assert_int_equal(create("s0", true, false), 0);
        write_disks(2);
        safety_begin(&safety, true);
        fake.calls = 0;
        fake.fail_at = n;
        fake.fault = fault;
        rc = revert(&safety, &domid);
        fake.fail_at = 0;
        if (rc == XLSS(NEEDS_REPAIR))
            fail_msg("call %d (%s) can't be recovered from", n,
                     fake.failed_call);
        expect_running();
        assert_int_equal(fake.tick, rc ? 2 : 0);
        assert_true(bed_has_snapshot(0, "s0"));
        assert_true(bed_has_snapshot(1, "s0"));
        bed_stop_qemu();
        expect_disks(rc ? 2 : 1);
        safety_end(&safety);
        remove_bed();
        if (!fake.failed)
            break;
    }
    assert_int_equal(rc, 0);
    assert_true(n > 20);
}

static void test_fail_revert(void **state)
{
    (void)state;
    fail_revert(FAULT_BEFORE, false);
    fail_revert(FAULT_AFTER, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_pv),
        cmocka_unit_test(test_life_hvm),
        cmocka_unit_test(test_life_twin),
        cmocka_unit_test(test_paused),
        cmocka_unit_test(test_domain_is_off),
        cmocka_unit_test(test_quiesced),
        cmocka_unit_test(test_checkpoint),
        cmocka_unit_test(test_checkpoint_without_agent),
        cmocka_unit_test(test_not_with_memory),
        cmocka_unit_test(test_no_channel),
        cmocka_unit_test(test_silent),
        cmocka_unit_test(test_freeze_fails),
        cmocka_unit_test(test_thaws_by_itself),
        cmocka_unit_test(test_paused_has_no_agent),
        cmocka_unit_test(test_real_channel),
        cmocka_unit_test(test_thaw_never),
        cmocka_unit_test(test_recover_without_agent),
        cmocka_unit_test(test_fail_create),
        cmocka_unit_test(test_fail_revert),
    };

    alarm(900);
    libxlss__guard_path = NULL;
    if (libxl_ctx_alloc(&ctx, LIBXL_VERSION, 0, &lg)) {
        fprintf(stderr, "no libxl ctx\n");
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
