/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxl_domain_block_export_*: what clients read while the guest writes, how
 * they and the server may die, TLS. The clients are nbdcopy, nbdinfo and
 * qemu-img.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nbd_scene.h"

static void test_reads_while_the_guest_writes(void **state)
{
    struct stat st;
    int round;

    (void)state;
    make(2);
    writer_start(1);
    assert_int_equal(snapshot(NULL, NULL), 0);
    fresh();
    assert_int_equal(export(), 0);
    assert_int_equal(args.num_disks, 2);
    assert_true(args.running);
    assert_null(args.bitmap);
    assert_int_equal(stat(args.socket, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    for (round = 0; round < 3; round++) {
        expect_truth(0);
        expect_truth(1);
    }
    assert_true(writer_writes > 10);
    assert_int_equal(drop(), XLSS(BUSY));
    assert_int_equal(run("nbdinfo --list 'nbd+unix:///?socket=%s' "
                         "| grep -q base:allocation", args.socket), 0);
    /* Nobody writes to it. */
    assert_int_not_equal(run("qemu-io -f raw -c 'write 0 1M' '%s' "
                             ">/dev/null 2>&1", args.disks[0].uri), 0);
    finish();
}

/*
 * A request that begins in what the guest has written since and ends in what
 * it hasn't, as a job sends it for a target with large clusters: QEMU 7.2 by
 * itself reads the guest's new data.
 */
static void test_reads_across_edges(void **state)
{
    char text[512];
    int mib;

    (void)state;
    make(1);
    assert_int_equal(snapshot(NULL, NULL), 0);
    bed_write(0, 3, 99);
    bed_write(0, 4, 98);
    assert_int_equal(run("qemu-img create -q -f qcow2 -o cluster_size=2M "
                         "'%s' 64M", in_bed("large")), 0);
    snprintf(text, sizeof(text), "{\"driver\":\"qcow2\",\"node-name\":"
             "\"large\",\"file\":{\"driver\":\"file\",\"filename\":"
             "\"%s\"}}", in_bed("large"));
    assert_int_equal(bed_qmp("blockdev-add", text), 0);
    snprintf(text, sizeof(text), "{\"job-id\":\"test\",\"device\":"
             "\"xlbs-%s-xvda-v\",\"target\":\"large\",\"sync\":\"full\"}",
             view.id);
    assert_int_equal(bed_qmp("blockdev-backup", text), 0);
    for (mib = 0; mib < 500 && bed_qmp("blockdev-del",
                                       "{\"node-name\":\"large\"}"); mib++)
        usleep(20000);
    for (mib = 0; mib < 8; mib++)
        assert_int_equal(run("qemu-io -r -f qcow2 -c 'read -q -P %d %dM 1M' "
                             "'%s' >&2", 10 + mib, mib, in_bed("large")), 0);
    assert_true(is_truth(0, "qcow2", in_bed("large")));
    fresh();
    assert_int_equal(export(), 0);
    /* Where nothing is a multiple of anything. */
    assert_int_equal(run("qemu-io -r -f raw -c 'read -q -P 13 -s 517K -l 507K "
                         "2555K 1201K' '%s' >&2", args.disks[0].uri), 0);
    finish();
}

/*
 * The map says of what lies in an image below the guest's that it is data: a
 * reader that passes holes over would lose it.
 */
static void test_images_below(void **state)
{
    (void)state;
    make(1);
    external_snapshot("e1");
    bed_write(0, 2, 99);
    bed_write(0, 40, 98);
    external_snapshot("e2");
    bed_write(0, 3, 97);
    assert_int_equal(snapshot(NULL, NULL), 0);
    bed_write(0, 0, 96);
    bed_write(0, 3, 95);
    fresh();
    assert_int_equal(export(), 0);
    expect_truth(0);
    expect_no_holes(0, 9);
    /* The reader that passes over what it takes for the base's. */
    assert_int_equal(run("qemu-img create -q -f qcow2 '%s' 64M && qemu-img "
                         "convert -n -f raw -O qcow2 '%s' '%s'",
                         in_bed("into"), args.disks[0].uri,
                         in_bed("into")), 0);
    assert_true(is_truth(0, "qcow2", in_bed("into")));
    finish();
}

/* A disk that doesn't end where a granule does. */
static void test_odd_size(void **state)
{
    (void)state;
    bed_next_size("67141632");          /* 64 MiB, 32 KiB and a sector */
    make(1);
    assert_int_equal(bed_qmp("human-monitor-command", "{\"command-line\":"
                             "\"qemu-io -d dev-xvda \\\"write -q -P 77 "
                             "67076096 65536\\\"\"}"), 0);
    assert_int_equal(snapshot(NULL, NULL), 0);
    assert_int_equal(bed_qmp("human-monitor-command", "{\"command-line\":"
                             "\"qemu-io -d dev-xvda \\\"write -q -P 78 "
                             "67108864 32768\\\"\"}"), 0);
    fresh();
    assert_int_equal(export(), 0);
    expect_truth(0);
    assert_int_equal(run("qemu-io -r -f raw -c 'read -q -P 77 67108352 33280' "
                         "'%s' >&2", args.disks[0].uri), 0);
    finish();
}

/* The guest takes its blocks away; what was in them stays in the view. */
static void test_the_guest_discards(void **state)
{
    char text[256];

    (void)state;
    make(1);
    assert_int_equal(snapshot(NULL, NULL), 0);
    snprintf(text, sizeof(text), "{\"command-line\":\"qemu-io -d dev-xvda "
             "\\\"discard 2M 2M\\\"\"}");
    assert_int_equal(bed_qmp("human-monitor-command", text), 0);
    fresh();
    assert_int_equal(export(), 0);
    expect_truth(0);
    finish();
}

static void test_changes(void **state)
{
    (void)state;
    make(2);
    assert_int_equal(snapshot(NULL, "c1"), 0);
    assert_int_equal(drop(), 0);
    bed_write(0, 3, 33);
    bed_write(0, 10, 34);
    bed_write(0, 11, 35);
    bed_write(1, 62, 36);
    assert_int_equal(snapshot("c1", "c2"), 0);
    /* After the instant: not among them. */
    bed_write(0, 20, 37);
    bed_write(0, 3, 38);
    fresh();
    assert_int_equal(export(), 0);
    assert_string_equal(args.bitmap, "changes");
    expect_dirty(0, "3145728 1048576,10485760 2097152,");
    expect_dirty(1, "65011712 1048576,");
    bed_write(0, 40, 39);
    expect_dirty(0, "3145728 1048576,10485760 2097152,");
    expect_truth(0);
    expect_truth(1);
    assert_int_equal(run("nbdinfo --list 'nbd+unix:///?socket=%s' "
                         "| grep -q base:allocation", args.socket), 0);
    finish();
}

/* The same with an image below that has a part of them. */
static void test_changes_below(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(snapshot(NULL, "c1"), 0);
    assert_int_equal(drop(), 0);
    bed_write(0, 3, 33);
    external_snapshot("e1");
    bed_write(0, 10, 34);
    assert_int_equal(snapshot("c1", NULL), 0);
    bed_write(0, 20, 37);
    fresh();
    assert_int_equal(export(), 0);
    expect_dirty(0, "3145728 1048576,10485760 1048576,");
    expect_truth(0);
    expect_no_holes(0, 9);
    finish();
}

static int raw_connect(void)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", args.socket);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

/* Clients that connect, read, and go in every way; then the server. */
static void test_deaths(void **state)
{
    char junk[300];
    int i, fd, held;

    (void)state;
    make(2);
    writer_start(2);
    assert_int_equal(snapshot(NULL, NULL), 0);
    fresh();
    assert_int_equal(export(), 0);
    held = num_connections();
    assert_true(held >= 2);
    memset(junk, 'x', sizeof(junk));
    for (i = 0; i < 6; i++) {
        assert_int_equal(run("nbdinfo --size '%s' >/dev/null",
                             args.disks[i % 2].uri), 0);
        close(raw_connect());
        fd = raw_connect();
        assert_true(write(fd, junk, 1 + 59 * i) > 0);
        close(fd);
        run("timeout -s KILL 0.0%d nbdcopy '%s' null: 2>/dev/null", 1 + i,
            args.disks[i % 2].uri);
        run("timeout -s TERM 0.0%d qemu-img convert -f raw -O raw '%s' %s "
            "2>/dev/null", 1 + i, args.disks[i % 2].uri, in_bed("copy"));
        assert_true(bed_running());
        assert_int_equal(num_connections(), held);
    }
    expect_truth(0);
    kill(args.pid, SIGKILL);
    /* It ends at its own pace. */
    usleep(300000);
    /* QEMU doesn't see the end of its client. */
    assert_int_equal(num_connections(), held);
    assert_true(bed_running());
    assert_int_not_equal(copy(0), 0);
    assert_int_equal(num_exports(), 1);
    assert_int_equal(drop(), XLSS(BUSY));
    assert_int_equal(stop(), 0);
    /* And another one of the same view. */
    fresh();
    assert_int_equal(export(), 0);
    expect_truth(1);
    finish();
}

/* A client of its own, so that it can stop anywhere: up to the transmission
 * phase of xvda. */
static int talk(void)
{
    static const char option[] = "\0\0\0\3IHAVEOPT\0\0\0\1\0\0\0\4xvda";
    char buffer[18];
    int fd = raw_connect();

    assert_int_equal(recv(fd, buffer, 18, MSG_WAITALL), 18);
    assert_int_equal(write(fd, option, sizeof(option) - 1),
                     sizeof(option) - 1);
    assert_int_equal(recv(fd, buffer, 10, MSG_WAITALL), 10);
    return fd;
}

/* A read of mib MiB from the disk's beginning; the first n bytes of it. */
static void ask(int fd, int mib, size_t n)
{
    unsigned char q[28] = { 0x25, 0x60, 0x95, 0x13 };

    q[25] = mib << 4;
    assert_int_equal(send(fd, q, n, MSG_NOSIGNAL), n);
}

/* Every place at which a client can leave, by itself or because it is
 * killed. */
static void leave_everywhere(void)
{
    char buffer[70000];
    size_t n;
    int fd;

    /* Half a request: each length of one. */
    for (n = 1; n < 28; n += 5) {
        fd = talk();
        ask(fd, 1, n);
        close(fd);
    }
    /* A whole one, and its answer never read; or half of it. */
    for (n = 0; n < 3; n++) {
        fd = talk();
        ask(fd, 15, 28);
        if (n)
            assert_true(recv(fd, buffer, n == 1 ? 3 : sizeof(buffer),
                             MSG_WAITALL) > 0);
        close(fd);
    }
    /* As many requests as fit, then gone without a word. */
    fd = talk();
    for (n = 0; n < 64; n++)
        ask(fd, 2, 28);
    close(fd);
    /* With a reset instead of an end. */
    fd = talk();
    ask(fd, 8, 28);
    shutdown(fd, SHUT_RD);
    close(fd);
}

/* Killed in the middle of a read, and not before: what it has read is in the
 * file. */
static void kill_in_mid_read(void)
{
    struct stat st = { 0 };
    int status, i;
    pid_t pid;

    unlink(in_bed("copy"));
    pid = fork();
    if (pid == 0) {
        execlp("nbdcopy", "nbdcopy", "--request-size=65536", "--requests=1",
               "--connections=1", args.disks[0].uri, in_bed("copy"), NULL);
        _exit(127);
    }
    for (i = 0; i < 2000 && !st.st_blocks; i++) {
        usleep(500);
        if (stat(in_bed("copy"), &st))
            st.st_blocks = 0;
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_true(st.st_blocks > 0);
}

/* Many at once, some of which hang or are killed: the others read what is
 * right. */
static void test_many_clients(void **state)
{
    enum { IDLE = 30, READERS = 6 };
    int idle[IDLE], i, status, held;
    pid_t pids[READERS], stuck;

    (void)state;
    make(2);
    writer_start(7);
    assert_int_equal(snapshot(NULL, NULL), 0);
    fresh();
    assert_int_equal(export(), 0);
    held = num_connections();
    for (i = 0; i < IDLE; i++)
        idle[i] = i % 2 ? raw_connect() : talk();
    for (i = 0; i < IDLE; i += 4)
        ask(idle[i], 15, i % 8 ? 28 : 9);
    /* One that is stopped, and reads no more for as long as this lasts. */
    stuck = fork();
    if (stuck == 0) {
        execlp("nbdcopy", "nbdcopy", args.disks[0].uri, "null:", NULL);
        _exit(127);
    }
    usleep(30000);
    kill(stuck, SIGSTOP);
    for (i = 0; i < READERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            execlp("nbdcopy", "nbdcopy", args.disks[i % 2].uri,
                   in_bed("copy%d", i), NULL);
            _exit(127);
        }
    }
    leave_everywhere();
    usleep(20000);
    for (i = 0; i < READERS; i += 3)
        kill(pids[i], SIGKILL);
    for (i = 0; i < READERS; i++) {
        waitpid(pids[i], &status, 0);
        if (i % 3 == 0)
            continue;
        assert_int_equal(status, 0);
        assert_true(is_truth(i % 2, "raw", in_bed("copy%d", i)));
    }
    for (i = 0; i < 3; i++)
        kill_in_mid_read();
    assert_true(bed_running());
    assert_int_equal(num_connections(), held);
    for (i = 0; i < IDLE; i++)
        close(idle[i]);
    kill(stuck, SIGKILL);
    waitpid(stuck, &status, 0);
    leave_everywhere();
    expect_truth(0);
    assert_true(bed_running());
    assert_int_equal(num_connections(), held);
    assert_true(writer_writes > 10);
    finish();
}

static void test_several(void **state)
{
    char *first;

    (void)state;
    make(2);
    writer_start(3);
    assert_int_equal(snapshot(NULL, NULL), 0);
    fresh();
    assert_int_equal(export(), 0);
    first = strdup(args.id);
    fresh();
    args.disks = calloc(1, sizeof(*args.disks));
    libxl_block_export_disk_init(args.disks);
    args.num_disks = 1;
    args.disks[0].vdev = strdup("xvdb");
    args.disks[0].name = strdup("the other \"disk\"");
    args.socket = strdup(in_bed("own sock"));
    assert_int_equal(export(), 0);
    assert_int_equal(num_exports(), 2);
    assert_int_equal(libxl_domain_block_export_stop(ctx, fake.domid, first,
                                                    &how), 0);
    assert_int_equal(num_exports(), 1);
    assert_int_equal(run("nbdcopy '%s' '%s'", args.disks[0].uri,
                         in_bed("copy")), 0);
    assert_true(is_truth(1, "raw", in_bed("copy")));
    free(first);
    finish();
}

/* Asked, a view tells whether it is whole; the answer leaves nothing. */
static bool is_broken(void)
{
    libxl_block_snapshot v;
    bool broken;

    libxl_block_snapshot_init(&v);
    v.id = strdup(view.id);
    assert_int_equal(libxl_domain_block_snapshot_verify(ctx, fake.domid, &v,
                                                        &how), 0);
    assert_true(v.complete);
    assert_int_equal(v.num_disks, view.num_disks);
    broken = v.disks[0].broken;
    libxl_block_snapshot_dispose(&v);
    return broken;
}

static void test_scratch_full(void **state)
{
    int mib;

    (void)state;
    make(1);
    libxl_block_snapshot_dispose(&view);
    libxl_block_snapshot_init(&view);
    view.scratch_max = 2 << 20;
    assert_int_equal(libxl_domain_block_snapshot_create(ctx, fake.domid,
                         &view, &how, NULL), 0);
    fresh();
    assert_int_equal(export(), 0);
    expect_truth(0);
    assert_false(is_broken());
    assert_int_equal(num_exports(), 1);
    for (mib = 0; mib < 8; mib++)
        bed_write(0, mib, 200);
    assert_true(is_broken());
    assert_int_not_equal(copy(0), 0);
    assert_int_equal(stop(), 0);
    assert_int_equal(drop(), 0);
    expect_clean();
    bed_stop_qemu();
    for (mib = 0; mib < 8; mib++)
        assert_true(bed_reads(0, mib, 200));
    unmake();
}

static const char certificates[] =
    "cd '%s' && mkdir tls && cd tls && exec 2>/dev/null && "
    "printf 'cn = ca\\nca\\ncert_signing_key\\n' > ca.t && "
    "printf 'cn = localhost\\ndns_name = localhost\\n"
    "ip_address = 127.0.0.1\\ntls_www_server\\nencryption_key\\n"
    "signing_key\\n' > server.t && "
    "printf 'cn = client\\ntls_www_client\\nencryption_key\\nsigning_key\\n'"
    " > client.t && "
    "for i in ca server client; do certtool --generate-privkey "
    "--key-type=ecdsa --outfile $i-key.pem || exit 77; done && "
    "certtool --generate-self-signed --template ca.t --load-privkey "
    "ca-key.pem --outfile ca-cert.pem && "
    "for i in server client; do certtool --generate-certificate --template "
    "$i.t --load-privkey $i-key.pem --load-ca-certificate ca-cert.pem "
    "--load-ca-privkey ca-key.pem --outfile $i-cert.pem || exit 1; done";

static void tcp(int port)
{
    fresh();
    args.host = strdup("127.0.0.1");
    args.port = port;
}

static void refused(const char *folder)
{
    assert_int_not_equal(run("nbdinfo '%s?tls-certificates=%s' >/dev/null "
                             "2>&1", args.disks[0].uri, in_bed("%s", folder)),
                         0);
    assert_int_not_equal(run("nbdcopy '%s?tls-certificates=%s' %s 2>/dev/null",
                             args.disks[0].uri, in_bed("%s", folder),
                             in_bed("stolen")), 0);
    assert_int_not_equal(run("test -s %s", in_bed("stolen")), 0);
}

static void test_tls(void **state)
{
    int port = 20000 + getpid() % 20000, r;

    (void)state;
    make(1);
    writer_start(8);
    r = run(certificates, bed.dir);
    if (r == 77) {
        unmake();
        skip();
    }
    assert_int_equal(r, 0);
    /* Another authority, with a client of its own. */
    assert_int_equal(run("mkdir '%s'", in_bed("other")), 0);
    assert_int_equal(run(certificates, in_bed("other")), 0);
    assert_int_equal(run("cd %s && mkdir mixed && cp tls/ca-cert.pem "
                         "other/tls/client-*.pem mixed/", bed.dir), 0);
    assert_int_equal(snapshot(NULL, NULL), 0);
    /* Not without a word about it. */
    tcp(port);
    assert_int_equal(export(), ERROR_INVAL);
    assert_int_equal(num_exports(), 0);

    tcp(port);
    args.tls_dir = strdup(in_bed("tls"));
    assert_int_equal(export(), 0);
    assert_non_null(strstr(args.disks[0].uri, "nbds://127.0.0.1:"));
    assert_int_equal(run("nbdcopy '%s?tls-certificates=%s' '%s'",
                         args.disks[0].uri, in_bed("tls"), in_bed("copy")),
                     0);
    assert_true(is_truth(0, "raw", in_bed("copy")));
    /* Without TLS; without a certificate of its own. */
    assert_int_not_equal(run("nbdinfo 'nbd://127.0.0.1:%d/xvda' "
                             ">/dev/null 2>&1", port), 0);
    assert_int_equal(run("mkdir %s/none && cp %s/tls/ca-cert.pem %s/none/",
                         bed.dir, bed.dir, bed.dir), 0);
    refused("none");
    /* The server doesn't know this client; the client not this server. */
    refused("mixed");
    refused("other/tls");
    /* They do no harm, and nothing is wrong with the right one. */
    assert_int_equal(run("nbdcopy '%s?tls-certificates=%s' '%s'",
                         args.disks[0].uri, in_bed("tls"), in_bed("copy2")),
                     0);
    assert_true(is_truth(0, "raw", in_bed("copy2")));
    assert_true(writer_writes > 10);
    assert_int_equal(stop(), 0);

    tcp(port + 1);
    args.insecure = true;
    assert_int_equal(export(), 0);
    expect_truth(0);
    finish();
}

static void test_qemu_dies(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(snapshot(NULL, NULL), 0);
    fresh();
    assert_int_equal(export(), 0);
    bed_kill_qemu();
    assert_int_not_equal(copy(0), 0);
    assert_int_equal(num_exports(), 1);
    assert_int_equal(stop(), 0);
    assert_int_equal(drop(), 0);
    assert_int_equal(num_exports(), 0);
    assert_int_not_equal(run("ls %s | grep -q -E 'scratch|xlbs'", bed.dir),
                         0);
    unmake();
}

static void test_refusals(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(snapshot(NULL, NULL), 0);
    fresh();
    free(args.snapshot);
    args.snapshot = strdup("00000000");
    assert_int_equal(export(), ERROR_NOTFOUND);
    fresh();
    args.disks = calloc(1, sizeof(*args.disks));
    args.num_disks = 1;
    args.disks[0].vdev = strdup("xvdb");
    assert_int_equal(export(), ERROR_NOTFOUND);
    fresh();
    args.socket = strdup("relative");
    assert_int_equal(export(), ERROR_INVAL);
    assert_int_equal(run("echo precious > %s", in_bed("sock")), 0);
    fresh();
    args.socket = strdup(in_bed("sock"));
    assert_int_equal(export(), XLSS(EXISTS));
    assert_int_equal(run("grep -q precious %s", in_bed("sock")), 0);
    /* Somebody else's server in QEMU. */
    assert_int_equal(bed_qmp("nbd-server-start", "{\"addr\":{\"type\":"
                             "\"unix\",\"data\":{\"path\":\"/tmp/xlss-bed-"
                             "other.nbd\"}}}"), 0);
    fresh();
    assert_int_equal(export(), XLSS(BUSY));
    assert_int_equal(bed_qmp("nbd-server-stop", NULL), 0);
    assert_int_equal(drop(), 0);
    expect_clean();
    unmake();
}

/* The caller's own numbers, so that it can write down what it will make. */
static void test_own_ids(void **state)
{
    libxl_block_snapshot other;

    (void)state;
    make(1);
    libxl_block_snapshot_dispose(&view);
    libxl_block_snapshot_init(&view);
    view.id = strdup("no number");
    assert_int_equal(libxl_domain_block_snapshot_create(ctx, fake.domid,
                         &view, &how, NULL), ERROR_INVAL);
    free(view.id);
    view.id = strdup("0123abcd");
    assert_int_equal(libxl_domain_block_snapshot_create(ctx, fake.domid,
                         &view, &how, NULL), 0);
    assert_string_equal(view.id, "0123abcd");
    libxl_block_snapshot_init(&other);
    other.id = strdup("0123abcd");
    assert_int_equal(libxl_domain_block_snapshot_create(ctx, fake.domid,
                         &other, &how, NULL), XLSS(EXISTS));
    libxl_block_snapshot_dispose(&other);
    assert_false(is_broken());
    fresh();
    args.id = strdup("../../xx");
    assert_int_equal(export(), ERROR_INVAL);
    fresh();
    args.id = strdup("4567cdef");
    assert_int_equal(export(), 0);
    assert_string_equal(args.id, "4567cdef");
    expect_truth(0);
    fresh();
    args.id = strdup("4567cdef");
    assert_int_equal(export(), XLSS(EXISTS));
    assert_int_equal(num_exports(), 1);
    assert_false(is_broken());
    finish();
    libxl_block_snapshot_dispose(&view);
    libxl_block_snapshot_init(&view);
}

static void every_fault(enum fault fault)
{
    int n, rc;

    make(2);
    truth_wanted(false);
    assert_int_equal(snapshot(NULL, "c1"), 0);
    assert_int_equal(drop(), 0);
    assert_int_equal(snapshot("c1", NULL), 0);
    for (n = 1; n < 100; n = fault_next(n)) {
        fresh();
        fake.calls = 0;
        fake.failed = false;
        fake.fail_at = n;
        fake.fault = fault;
        rc = export();
        fake.fail_at = 0;
        if (!fake.failed)
            break;
        if (!rc)
            assert_int_equal(stop(), 0);
        expect_clean();
    }
    assert_in_range(n, 10, 99);
    finish();
}

static void test_every_call_fails(void **state)
{
    (void)state;
    every_fault(FAULT_BEFORE);
}

static void test_every_reply_is_lost(void **state)
{
    (void)state;
    every_fault(FAULT_AFTER);
}

/* Whoever starts it is killed at each call; another process stops it. */
static void test_the_starter_dies(void **state)
{
    libxl_block_export_list list;
    int n, i, status;
    pid_t pid;

    (void)state;
    make(1);
    truth_wanted(false);
    assert_int_equal(snapshot(NULL, "c1"), 0);
    assert_int_equal(drop(), 0);
    assert_int_equal(snapshot("c1", NULL), 0);
    for (n = 1; n < 100; n = fault_next(n)) {
        fresh();
        pid = fork();
        if (pid == 0) {
            fake.calls = 0;
            fake.fail_at = n;
            fake.fault = FAULT_WE_DIE;
            _exit(export() != 0);
        }
        waitpid(pid, &status, 0);
        libxl_block_export_list_init(&list);
        libxl_domain_block_export_list(ctx, fake.domid, &list, &how);
        for (i = 0; i < list.num_exports; i++)
            assert_int_equal(libxl_domain_block_export_stop(ctx, fake.domid,
                                 list.exports[i].id, &how), 0);
        libxl_block_export_list_dispose(&list);
        expect_clean();
        if (WIFEXITED(status))
            break;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_in_range(n, 10, 99);
    assert_int_equal(drop(), 0);
    unmake();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_while_the_guest_writes),
        cmocka_unit_test(test_reads_across_edges),
        cmocka_unit_test(test_images_below),
        cmocka_unit_test(test_odd_size),
        cmocka_unit_test(test_the_guest_discards),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_changes_below),
        cmocka_unit_test(test_deaths),
        cmocka_unit_test(test_many_clients),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_scratch_full),
        cmocka_unit_test(test_own_ids),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_qemu_dies),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_every_call_fails),
        cmocka_unit_test(test_every_reply_is_lost),
        cmocka_unit_test(test_the_starter_dies),
    };

    alarm(600);
    if (!scene_begin())
        return 1;
    cmocka_set_test_filter(getenv("TEST"));
    return GROUP_RUN(tests, scene_abandon);
}
