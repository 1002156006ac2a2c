/* SPDX-License-Identifier: LGPL-2.1-only */
/* Which domain `xl create` is about to make, and whether it says its UUID. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../tools/xl/xl_create_uuid.h"

static char path[64];

static void config(const char *text)
{
    FILE *f;
    int fd;

    snprintf(path, sizeof(path), "/tmp/test-xl.XXXXXX");
    fd = mkstemp(path);
    f = fdopen(fd, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* NULL-terminated arguments behind "create"; "FILE" is the configuration. */
static void expect(const char *name, const char *const *args)
{
    char *argv[8], *got;
    int i;

    for (i = 0; args[i]; i++)
        argv[i] = strcmp(args[i], "FILE") ? (char *)args[i] : path;
    argv[i] = NULL;
    got = xl_create_name(argv);
    if (name)
        assert_string_equal(got, name);
    else
        assert_null(got);
    free(got);
}

#define EXPECT(name, ...) \
    expect(name, (const char *const []){ __VA_ARGS__, NULL })

static void test_arguments(void **state)
{
    (void)state;
    config("name = 'web1'\ndisk = [ 'format=raw,vdev=xvda,target=/x' ]\n");
    EXPECT("web1", "FILE");
    EXPECT("web1", "-q", "-p", "FILE");
    EXPECT("web1", "-f", "FILE");
    EXPECT("web1", "--defconfig", "FILE", "-p");
    EXPECT("web1", "memory=64", "FILE");
    /* The last one holds, as with xl. */
    EXPECT("web2", "FILE", "name=\"web2\"");
    EXPECT(NULL, "FILE", "uuid=\"11111111-2222-3333-4444-555555555555\"");
    EXPECT("web3", "name='web3'");
    EXPECT(NULL, "-f");
    EXPECT(NULL, "/nonexistent");
    EXPECT(NULL, "/dev/null");
    EXPECT(NULL, "/tmp");
    unlink(path);
}

static void test_configurations(void **state)
{
    (void)state;
    config("name = \"web1\"\nuuid = \"11111111-2222-3333-4444-555555555555\"");
    EXPECT(NULL, "FILE");
    unlink(path);
    config("memory = 64\n");
    EXPECT(NULL, "FILE");
    unlink(path);
    config("name = [ 'a', 'b' ]\n");
    EXPECT(NULL, "FILE");
    unlink(path);
    config("name = 'web1'\nsyntax error here\n");
    EXPECT(NULL, "FILE");
    unlink(path);
    config("# uuid = \"x\"\nname='web1'\n");
    EXPECT("web1", "FILE");
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_configurations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
