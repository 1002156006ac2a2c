/* SPDX-License-Identifier: LGPL-2.1-only */
/* refuse.c: every reason, each alone and with its neighbours. */
#include <stdio.h>
#include <stdlib.h>

#include "lss_test.h"

static struct libxlss__op op;

static int set_up(void **state)
{
    (void)state;
    lss_op_start(&op);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lss_op_stop(&op);
    return 0;
}

static char **list_of(const char *one, const char *two)
{
    char **list = calloc(3, sizeof(*list));

    list[0] = strdup(one);
    list[1] = two ? strdup(two) : NULL;
    return list;
}

static void accepted(bool memory)
{
    lss_log_clear();
    assert_int_equal(libxlss__refuse_domain(&op, memory), 0);
    assert_string_equal(lss_log(), "");
}

static void refused(bool memory, const char *why)
{
    lss_log_clear();
    assert_int_equal(libxlss__refuse_domain(&op, memory),
                     LIBXL_SNAPSHOT_ERROR_NOT_POSSIBLE);
    assert_logged("test of " LSS_NAME ": not possible for this domain: ");
    if (!strstr(lss_log(), why))
        print_error("%s is not in: %s", why, lss_log());
    assert_non_null(strstr(lss_log(), why));
}

/* What only the memory's part can't do: disks alone are fine. */
static void refused_with_memory(const char *why)
{
    refused(true, why);
    accepted(false);
}

static void refused_always(const char *why)
{
    refused(true, why);
    refused(false, why);
}

static void test_plain(void **state)
{
    (void)state;
    accepted(true);
    accepted(false);
    op.info.paused = true;
    accepted(true);
    /* Things of any guest that are no reason. */
    op.config.c_info.type = LIBXL_DOMAIN_TYPE_HVM;
    op.config.b_info.device_model_version =
        LIBXL_DEVICE_MODEL_VERSION_QEMU_XEN;
    op.config.b_info.extra_hvm = list_of("-device", "virtio-rng-pci");
    libxl_defbool_set(&op.config.b_info.nested_hvm, false);
    libxl_defbool_set(&op.config.b_info.device_model_stubdomain, false);
    libxl_defbool_set(&op.config.b_info.dm_restrict, false);
    accepted(true);
}

static void test_dom0(void **state)
{
    (void)state;
    op.domid = 0;
    refused_always("the host's own domain");
}

static void test_dying(void **state)
{
    (void)state;
    op.info.dying = true;
    refused_always("it is being destroyed");
}

static void test_shutdown(void **state)
{
    static const libxl_shutdown_reason reasons[] = {
        LIBXL_SHUTDOWN_REASON_POWEROFF, LIBXL_SHUTDOWN_REASON_REBOOT,
        LIBXL_SHUTDOWN_REASON_CRASH, LIBXL_SHUTDOWN_REASON_WATCHDOG,
    };
    size_t i;

    (void)state;
    op.info.shutdown = true;
    for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        op.info.shutdown_reason = reasons[i];
        refused_always("it has shut down");
    }
    /* The reason alone says nothing. */
    op.info.shutdown = false;
    op.info.shutdown_reason = LIBXL_SHUTDOWN_REASON_SUSPEND;
    accepted(true);
}

static void test_suspended(void **state)
{
    (void)state;
    op.info.shutdown = true;
    op.info.shutdown_reason = LIBXL_SHUTDOWN_REASON_SUSPEND;
    refused_always("suspended already, by somebody else");
}

static void test_traditional(void **state)
{
    (void)state;
    op.config.b_info.device_model_version =
        LIBXL_DEVICE_MODEL_VERSION_QEMU_XEN_TRADITIONAL;
    refused_always("qemu-traditional");
}

static void test_stubdomain(void **state)
{
    (void)state;
    libxl_defbool_set(&op.config.b_info.device_model_stubdomain, true);
    refused_always("stub domain");
}

static void test_dm_restrict(void **state)
{
    (void)state;
    libxl_defbool_set(&op.config.b_info.dm_restrict, true);
    refused_always("restricted (dm_restrict)");
}

static void test_pci(void **state)
{
    (void)state;
    op.config.num_pcidevs = 1;
    op.config.pcidevs = calloc(1, sizeof(*op.config.pcidevs));
    libxl_device_pci_init(op.config.pcidevs);
    refused_with_memory("PCI device");
}

static void test_vnuma(void **state)
{
    (void)state;
    op.config.b_info.num_vnuma_nodes = 1;
    op.config.b_info.vnuma_nodes = calloc(1, sizeof(libxl_vnode_info));
    libxl_vnode_info_init(op.config.b_info.vnuma_nodes);
    refused_with_memory("virtual NUMA");
}

static void test_nested(void **state)
{
    (void)state;
    libxl_defbool_set(&op.config.b_info.nested_hvm, true);
    refused_with_memory("nested HVM");
}

static void test_vtpm(void **state)
{
    (void)state;
    op.config.num_vtpms = 1;
    op.config.vtpms = calloc(1, sizeof(*op.config.vtpms));
    libxl_device_vtpm_init(op.config.vtpms);
    refused_with_memory("TPM");
}

/* In each of the three lists of arguments, and not in the first place. */
static void test_device_model_arguments(void **state)
{
    libxl_domain_build_info *b = &op.config.b_info;
    libxl_string_list *lists[] = { &b->extra, &b->extra_pv, &b->extra_hvm };
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        *lists[i] = list_of("-tpmdev", "emulator,id=t");
        refused_with_memory("TPM");
        libxl_string_list_dispose(lists[i]);
        *lists[i] = list_of("-device", "tpm-tis,tpmdev=t");
        refused_with_memory("TPM");
        libxl_string_list_dispose(lists[i]);
        *lists[i] = list_of("-drive", "if=pflash,file=/v.fd");
        refused_with_memory("pflash");
        libxl_string_list_dispose(lists[i]);
        *lists[i] = NULL;
        accepted(true);
    }
}

static void with_arguments(const char *one, const char *two, const char *why)
{
    libxl_domain_build_info *b = &op.config.b_info;

    b->extra = list_of(one, two);
    if (why)
        refused_with_memory(why);
    else
        accepted(true);
    libxl_string_list_dispose(&b->extra);
    b->extra = NULL;
}

/* All the ways to say it; and what only looks like it. */
static void test_device_model_words(void **state)
{
    (void)state;
    with_arguments("-pflash", "/v.fd", "pflash");
    with_arguments("-drive", "file=/v.fd,if=pflash,unit=1", "pflash");
    with_arguments("-machine", "xenfv,pflash1=vars", "pflash");
    with_arguments("-device", "cfi.pflash01,drive=vars", "pflash");
    with_arguments("-blockdev", "{\"node-name\": \"pflash1\"}", "pflash");
    with_arguments("-device", "{\"driver\":\"tpm-crb\"}", "TPM");
    with_arguments("-device", "tpm-tis", "TPM");
    with_arguments("-tpmdev", "passthrough,id=t", "TPM");
    with_arguments("-drive", "file=/srv/httpmirror.img,if=none", NULL);
    with_arguments("-drive", "file=/srv/old.pflash/a,if=none", NULL);
    with_arguments("-D", "/var/log/swtpm.log", NULL);
}

/* The state comes first: a configuration may be half gone by then. */
static void test_first_reason_counts(void **state)
{
    (void)state;
    op.info.dying = true;
    op.info.shutdown = true;
    libxl_defbool_set(&op.config.b_info.dm_restrict, true);
    refused_always("it is being destroyed");
    assert_null(strstr(lss_log(), "shut down"));
    assert_null(strstr(lss_log(), "restricted"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_plain),
        TEST(test_dom0),
        TEST(test_dying),
        TEST(test_shutdown),
        TEST(test_suspended),
        TEST(test_traditional),
        TEST(test_stubdomain),
        TEST(test_dm_restrict),
        TEST(test_pci),
        TEST(test_vnuma),
        TEST(test_nested),
        TEST(test_vtpm),
        TEST(test_device_model_arguments),
        TEST(test_device_model_words),
        TEST(test_first_reason_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
