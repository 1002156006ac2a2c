/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Random sequences of writes, checkpoints, snapshots, merges, reverts,
 * backups of all kinds, good and failing, calls that fail, and restarts. After
 * each step: what was written is dirty, at the granularity of 64 KiB, or the
 * checkpoint is said to be broken (model.h); after each backup: what it
 * restores is what the disks held at its instant; at the end: so is each
 * snapshot, and the disks hold what the guest has written.
 *
 * The first 8 seeds; with LONG all 100; with SEED that one, or NUM from that
 * on. STEPS: how many.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "seq.h"

char seq_settled[SEQ_DISKS][192];
int seq_life;
int seq_merged_off;
static char trail[8192];        /* what has been done */
static char broken[32];         /* a checkpoint that is; or "" */
static void *broken_at;         /* what the disks held when it began */
static bool may_mend;

/* --- tools --- */

bool chance(int n)
{
    return rand() % n == 0;
}

void say(const char *fmt, ...)
{
    size_t len = strlen(trail);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(trail + len, sizeof(trail) - len, fmt, ap);
    va_end(ap);
    if (getenv("V") || getenv("SAY"))
        fprintf(stderr, "### %s\n", trail + len);
    len = strlen(trail);
    snprintf(trail + len, sizeof(trail) - len, "\n");
}

/* --- the domain --- */

void seq_turn_off(void)
{
    int i;

    fake.exists = false;
    bed_stop_qemu();
    memcpy(bed.path, seq_settled, sizeof(seq_settled));
    for (i = 0; i < SEQ_DISKS; i++)
        assert_int_equal(libxl_domain_disk_names_put_right(
                             ctx, seq_settled[i], &how), 0);
}

void seq_turn_on(void)
{
    fake.exists = true;
    bed_start_qemu();
}

void seq_flush(void)
{
    char text[96];
    int i;

    for (i = 0; i < SEQ_DISKS; i++) {
        snprintf(text, sizeof(text), "{\"command-line\":\"qemu-io -d dev-%s "
                 "flush\"}", bed.vdev[i]);
        assert_int_equal(bed_qmp("human-monitor-command", text), 0);
    }
}

void seq_arm(void)
{
    fake.calls = 0;
    fake.failed = false;
    fake.fault = chance(2) ? FAULT_BEFORE : FAULT_AFTER;
    fake.fail_at = 1 + rand() % 70;
    say("  call %d fails%s", fake.fail_at,
        fake.fault == FAULT_AFTER ? ", after it was done" : "");
}

/* Whatever it was, the guest runs. */
void seq_disarm(void)
{
    fake.fail_at = 0;
    if (fake.failed)
        say("  it was %s", fake.failed_call);
    assert_int_equal(fake.pauses, 0);
    assert_true(bed_running());
}

void seq_all_broken(bool went_back)
{
    if (model_num()) {
        int i = rand() % model_num();

        snprintf(broken, sizeof(broken), "%s", model_name(i));
        free(broken_at);
        broken_at = model_copy_at(i);
        may_mend = went_back;
    } else if (!went_back) {
        may_mend = false;
    }
    model_reset();
    model_be_lax();
    seq_life++;
}

static void seq_begin(void)
{
    int i, mib;

    *trail = *broken = '\0';
    make(SEQ_DISKS);
    memcpy(seq_settled, bed.path, sizeof(seq_settled));
    model_blank();
    for (i = 0; i < SEQ_DISKS; i++) {
        model_hold(i, 0, 1 << 20, 1);
        model_hold(i, 5 << 20, 1 << 20, 9);
        for (mib = 8; mib < 16; mib += 4)
            model_write(i, (uint64_t)mib << 20, 3 << 20);
    }
    snaps_reset();
    backups_reset();
}

/* --- a sequence --- */

static void restarts(void)
{
    if (chance(5)) {
        say("QEMU is killed");
        seq_flush();
        bed_kill_qemu();
        seq_all_broken(false);
        bed_start_qemu();
    } else if (chance(2)) {
        say("off and on");
        seq_turn_off();
        seq_turn_on();
    } else {
        say("restart");
        restart();
    }
}

static void deletes_checkpoint(void)
{
    int n = model_num();
    char name[32];

    if (!n)
        return;
    snprintf(name, sizeof(name), "%s", model_name(rand() % n));
    say("delete checkpoint %s", name);
    assert_int_equal(end_checkpoint(name), 0);
}

/* It is there, or it isn't; what it says is checked by look(). */
static void checkpoint_meets_a_fault(int i)
{
    char name[32];
    int rc;

    snprintf(name, sizeof(name), "f%d", i);
    say("checkpoint %s", name);
    seq_arm();
    rc = checkpoint(name);
    seq_disarm();
    if (rc && !since(name, NULL))
        model_begin(name);
    if (model_num() < 2)
        return;
    snprintf(name, sizeof(name), "%s", model_name(rand() % model_num()));
    say("delete checkpoint %s", name);
    seq_arm();
    rc = end_checkpoint(name);
    seq_disarm();
    if (rc && since(name, NULL))
        model_end(name);
}

static void step(int i)
{
    char name[16];

    switch (rand() % 21) {
    case 0: case 1:
        snprintf(name, sizeof(name), "w%d", i);
        say("checkpoint %s", name);
        assert_int_equal(checkpoint(name), 0);
        break;
    case 2: deletes_checkpoint(); break;
    case 3: case 4:
        snprintf(name, sizeof(name), "s%d", i);
        snap_take(name);
        break;
    case 5: case 6: snap_delete(); break;
    case 7: snaps_merge(); break;
    case 8: backup_full(); break;
    case 9: case 10: case 11: backup_incremental(); break;
    case 12: case 13: backup_fails(); break;
    case 14: restarts(); break;
    case 15: backup_meets_a_fault(); break;
    case 16: checkpoint_meets_a_fault(i); break;
    case 17: snap_revert(); break;
    case 18: pull_reads(); break;
    default: model_write_some(6);
    }
}

/*
 * A merge off-line into a frozen image, whose bitmap records what comes down
 * to it, can make one whole again that was broken by a revert to that image:
 * then nothing may be missing.
 */
static void look_at_broken(void)
{
    libxl_domain_dirty out;
    int i, rc = dirty(broken, NULL, NULL, &out);

    for (i = 0; !rc && i < out.num_disks; i++)
        model_expect_since(broken_at, i, &out.disks[i]);
    libxl_domain_dirty_dispose(&out);
    if (rc)
        assert_int_equal(rc, XLSS(BITMAP_BROKEN));
    else
        assert_true(may_mend);
}

static void look(void)
{
    if (model_num())
        expect_range(rand() % model_num(), -1);
    if (model_num() > 1 && chance(3)) {
        int a = rand() % (model_num() - 1);

        expect_range(a, a + 1 + rand() % (model_num() - 1 - a));
    }
    if (*broken)
        look_at_broken();
}

static void at_the_end(void)
{
    int d;

    say("the end");
    expect_model();
    backups_verify();
    seq_turn_off();
    for (d = 0; d < SEQ_DISKS; d++) {
        assert_true(bed_check_clean(d));
        model_image(d, in_bed("truth"));
        if (run("qemu-img compare -q -f qcow2 -F raw 'file:%s' '%s'",
                  bed.path[d], in_bed("truth")))
            fail_msg("disk %d does not hold what was written", d);
    }
    snaps_verify();
}

static void run_sequence(void **state)
{
    int steps = getenv("STEPS") ? atoi(getenv("STEPS")) : 24, i;

    /* Of neighbouring seeds the first numbers are alike. */
    srand((uintptr_t)*state * 2654435761u);
    seq_begin();
    for (i = 1; i <= steps; i++) {
        step(i);
        model_write_some(1);
        look();
    }
    at_the_end();
    *trail = '\0';
    end();
}

static int abandon(void **state)
{
    if (*trail)
        print_message("seed %d:\n%s", (int)(uintptr_t)*state, trail);
    if (bed.dir[0])
        run("umount -l '%s' 2>/dev/null", in_bed("small"));
    return scene_abandon(state);
}

int main(void)
{
    int num = getenv("LONG") ? 100 : 8, first = 1, i, r;
    struct CMUnitTest *tests;

    /* So that what QEMU says when it dies is where it died. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (getenv("SEED")) {
        first = atoi(getenv("SEED"));
        num = getenv("NUM") ? atoi(getenv("NUM")) : 1;
    }
    tests = calloc(num, sizeof(*tests));
    for (i = 0; i < num; i++) {
        char *name = NULL;

        if (asprintf(&name, "seed_%d", first + i) < 0)
            return 1;
        tests[i] = (struct CMUnitTest){ .name = name,
            .test_func = run_sequence,
            .initial_state = (void *)(uintptr_t)(first + i) };
    }
    if (!scene_begin())
        return 1;
    r = group_run("sequences", tests, num, abandon);
    for (i = 0; i < num; i++)
        free((char *)tests[i].name);
    free(tests);
    return r;
}
