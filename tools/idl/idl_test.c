/* SPDX-License-Identifier: LGPL-2.1-only */

#include "idl_test.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <xenctrl.h>
#include <xenstore.h>

libxl_ctx *idl_test_ctx;

static xentoollog_logger *logger;
static uint64_t seed;

/*-------- a ctx without Xen --------*/

/* libxl_ctx_alloc opens these two, and finds them here before the real ones.
 * Nothing in the tests uses them, so any memory will do for a handle. */
#pragma GCC visibility push(default)

xc_interface *xc_interface_open(xentoollog_logger *log,
                                xentoollog_logger *dombuild_log,
                                unsigned int flags)
{
    (void)log;
    (void)dombuild_log;
    (void)flags;
    return calloc(1, 1);
}

int xc_interface_close(xc_interface *xch)
{
    free(xch);
    return 0;
}

struct xs_handle *xs_open(unsigned long flags)
{
    (void)flags;
    return calloc(1, 1);
}

void xs_close(struct xs_handle *xsh)
{
    free(xsh);
}

#pragma GCC visibility pop

int idl_test_begin(void **state)
{
    const char *given = getenv("IDL_TEST_SEED");

    (void)state;
    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    print_message("IDL_TEST_SEED=%" PRIu64 "\n", seed);
    seed = seed * 2654435769u + 1;      /* never 0, as xorshift needs */

    /* libxl logs what it can't parse: wanted in some tests, so silent. */
    logger = (xentoollog_logger *)
        xtl_createlogger_stdiostream(stderr, XTL_CRITICAL, 0);
    return libxl_ctx_alloc(&idl_test_ctx, LIBXL_VERSION, 0, logger);
}

int idl_test_end(void **state)
{
    (void)state;
    libxl_ctx_free(idl_test_ctx);
    xtl_logger_destroy(logger);
    return 0;
}

/*-------- random values --------*/

/* xorshift64* (Marsaglia, Vigna) */
static uint64_t bits(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(0x2545f4914f6cdd1d);
}

uint64_t idl_test_number(void)
{
    static const uint64_t edges[] = {
        0, 1, INT32_MAX, (uint64_t)INT32_MIN, UINT32_MAX, INT64_MAX,
        (uint64_t)INT64_MAX + 1, UINT64_MAX,
    };
    uint64_t n = bits() >> 8;

    if (n % 2)
        return edges[(n / 2) % (sizeof(edges) / sizeof(*edges))];
    return bits() >> (n / 2) % 64;
}

/* UTF-8 of a code point (not a surrogate). */
static char *put_utf8(char *s, uint32_t c)
{
    if (c < 0x80) {
        *s++ = c;
    } else if (c < 0x800) {
        *s++ = 0xc0 | c >> 6;
        *s++ = 0x80 | (c & 0x3f);
    } else if (c < 0x10000) {
        *s++ = 0xe0 | c >> 12;
        *s++ = 0x80 | (c >> 6 & 0x3f);
        *s++ = 0x80 | (c & 0x3f);
    } else {
        *s++ = 0xf0 | c >> 18;
        *s++ = 0x80 | (c >> 12 & 0x3f);
        *s++ = 0x80 | (c >> 6 & 0x3f);
        *s++ = 0x80 | (c & 0x3f);
    }
    return s;
}

static uint32_t random_character(void)
{
    static const char special[] = "\"\\/\b\f\n\r\t{}[]:,";
    uint64_t n = bits() >> 8;

    switch (n % 6) {
    case 0:
        return special[(n / 6) % (sizeof(special) - 1)];
    case 1:
        return 1 + (n / 6) % 0x1f;              /* control characters */
    case 2:
        return 0x80 + (n / 6) % (0x800 - 0x80);
    case 3:
        return 0xe000 + (n / 6) % 0x2000;       /* up to U+FFFF */
    case 4:
        return 0x10000 + (n / 6) % 0x100000;    /* up to U+10FFFF */
    default:
        return ' ' + (n / 6) % 0x60;
    }
}

char *idl_test_string(void)
{
    uint64_t n = bits() >> 8, length = (n / 8) % (n % 64 == 7 ? 5000 : 24);
    char *s, *end;

    if (n % 8 == 0)
        return NULL;
    s = end = malloc(4 * length + 1);
    assert_non_null(s);
    for (; length; length--)
        end = put_utf8(end, random_character());
    *end = '\0';
    return s;
}

libxl_defbool idl_test_defbool(void)
{
    libxl_defbool b = { 0 };
    uint64_t n = bits() % 3;

    if (n)
        libxl_defbool_set(&b, n == 1);
    return b;
}

int idl_test_enum(const libxl_enum_string_table *table)
{
    int n = 0;

    while (table[n].s)
        n++;
    return table[bits() % n].v;
}

void *idl_test_array(int count, size_t size)
{
    void *p = count ? calloc(count, size) : NULL;

    assert_true(p || !count);
    return p;
}

char *idl_test_upper(const char *s)
{
    char *upper = strdup(s), *u;

    assert_non_null(upper);
    for (u = upper; *u; u++)
        *u = toupper((unsigned char)*u);
    return upper;
}

/*-------- comparing --------*/

void idl_test_same_string(const char *a, const char *b)
{
    assert_true(!a == !b);
    if (a)
        assert_string_equal(a, b);
}

void idl_test_same_defbool(libxl_defbool a, libxl_defbool b)
{
    assert_string_equal(libxl_defbool_to_string(a),
                        libxl_defbool_to_string(b));
}

void idl_test_zero(const void *p, size_t size)
{
    const char *byte = p;

    while (size--)
        assert_int_equal(*byte++, 0);
}

/*-------- a type of libxl --------*/

void idl_test_random_libxl_device_disk(libxl_device_disk *d)
{
    libxl_device_disk_init(d);
    d->backend_domname = idl_test_string();
    d->pdev_path = idl_test_string();
    d->vdev = idl_test_string();
    d->backend = idl_test_enum(libxl_disk_backend_string_table);
    d->format = idl_test_enum(libxl_disk_format_string_table);
    d->script = idl_test_string();
    d->removable = idl_test_number() & 1;
    d->readwrite = idl_test_number() & 1;
    d->is_cdrom = idl_test_number() & 1;
    d->direct_io_safe = idl_test_number() & 1;
    d->discard_enable = idl_test_defbool();
}

/* By name those that libxl has had for long, by its own JSON the others. */
void idl_test_same_libxl_device_disk(const libxl_device_disk *a,
                                     const libxl_device_disk *b)
{
    char *a_text, *b_text;

    idl_test_same_string(a->backend_domname, b->backend_domname);
    idl_test_same_string(a->pdev_path, b->pdev_path);
    idl_test_same_string(a->vdev, b->vdev);
    assert_int_equal(a->backend, b->backend);
    assert_int_equal(a->format, b->format);
    idl_test_same_string(a->script, b->script);
    assert_int_equal(a->removable, b->removable);
    assert_int_equal(a->readwrite, b->readwrite);
    assert_int_equal(a->is_cdrom, b->is_cdrom);
    assert_int_equal(a->direct_io_safe, b->direct_io_safe);
    idl_test_same_defbool(a->discard_enable, b->discard_enable);

    a_text = libxl_device_disk_to_json(idl_test_ctx, (libxl_device_disk *)a);
    b_text = libxl_device_disk_to_json(idl_test_ctx, (libxl_device_disk *)b);
    assert_non_null(a_text);
    assert_non_null(b_text);
    assert_string_equal(a_text, b_text);
    free(a_text);
    free(b_text);
}

void idl_test_default_libxl_device_disk(const libxl_device_disk *d)
{
    libxl_device_disk fresh;

    libxl_device_disk_init(&fresh);
    idl_test_same_libxl_device_disk(&fresh, d);
    libxl_device_disk_dispose(&fresh);
}
