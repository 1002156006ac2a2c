/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What the code written by gentypes.py calls to write and read JSON. It is
 * compiled into each library that has generated types, and not exported.
 *
 * Errors are sticky: after the first one the rest of a put or get chain does
 * nothing, so generated code asks once, at the end.
 *
 * Out of memory ends the process with abort(): the copy functions that the
 * IDL promises return void, and libxl does likewise.
 */
#ifndef IDL_RUNTIME_H
#define IDL_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <libxl.h>
#include <libxl_utils.h>
#include <yajl/yajl_gen.h>
#include <yajl/yajl_tree.h>

#pragma GCC visibility push(hidden)

/* A text beyond one of these is neither written nor read. The count of
 * values is low because yajl_tree makes its arrays longer one by one. */
enum {
    IDL__MAX_TEXT_BYTES = 16 * 1024 * 1024,
    IDL__MAX_DEPTH = 64,            /* of arrays and objects */
    IDL__MAX_VALUES = 65536,        /* in the whole text */
    IDL__MAX_ELEMENTS = 4096,       /* in one array of an IDL type */
};

/* Zeroed; NULL for a count of 0 or less. */
void *idl__calloc(int count, size_t size);

/* Elements in an array field: 0 if the pointer is NULL or the count < 0. */
int idl__length(const void *array, int count);

/* Writing. Where a key is wanted, NULL stands for "no key": an element of
 * an array, or the outermost value. */
typedef struct {
    libxl_ctx *ctx;
    yajl_gen gen;
    bool failed;
} idl__out;

void idl__out_start(idl__out *o, libxl_ctx *ctx);
/* The text, malloc'ed. NULL with errno EINVAL if something can't be written
 * so that it could be read again: an enum without a word for its value, a
 * string that isn't UTF-8, too much. */
char *idl__out_end(idl__out *o);

void idl__put_map(idl__out *o, const char *key);
void idl__put_map_end(idl__out *o);
void idl__put_array(idl__out *o, const char *key, int count);
void idl__put_array_end(idl__out *o);
void idl__put_bool(idl__out *o, const char *key, bool b);
void idl__put_int(idl__out *o, const char *key, int64_t n);
void idl__put_uint(idl__out *o, const char *key, uint64_t n);
void idl__put_string(idl__out *o, const char *key, const char *s);
/* An enum's word; NULL is a failure. */
void idl__put_word(idl__out *o, const char *key, const char *word);
/* JSON text made by another library; takes it; NULL is a failure. */
void idl__put_text(idl__out *o, const char *key, char *text);

/* Reading. A yajl_val of NULL stands for "not there": nothing is set. */
typedef struct {
    libxl_ctx *ctx;
    yajl_val root;
    int rc;                         /* 0 or ERROR_INVAL */
} idl__in;

/*
 * NULL, and in->rc set, unless text is one JSON value within the limits
 * above: RFC 8259 JSON, valid UTF-8, no comments, no NUL or lone surrogate
 * in a string, no name twice in an object.
 */
yajl_val idl__in_start(idl__in *in, libxl_ctx *ctx, const char *text);
int idl__in_end(idl__in *in);

/* rc other than 0 fails the whole; gives back whether rc was 0. */
bool idl__check(idl__in *in, int rc);

/* False if v isn't there, too. */
bool idl__is_map(idl__in *in, yajl_val v);
yajl_val idl__member(yajl_val map, const char *name);
/* The one member of map whose name begins with prefix, and the rest of its
 * name. More than one is an error. */
yajl_val idl__get_branch(idl__in *in, yajl_val map, const char *prefix,
                         const char **rest);
/* Makes room for the elements of v, zeroed. */
void *idl__get_array(idl__in *in, yajl_val v, size_t size, int *count);
yajl_val idl__element(yajl_val array, int i);

void idl__get_bool(idl__in *in, yajl_val v, bool *p);
void idl__get_int(idl__in *in, yajl_val v, int *p);
void idl__get_uint8(idl__in *in, yajl_val v, uint8_t *p);
void idl__get_uint16(idl__in *in, yajl_val v, uint16_t *p);
void idl__get_uint32(idl__in *in, yajl_val v, uint32_t *p);
void idl__get_uint64(idl__in *in, yajl_val v, uint64_t *p);
void idl__get_size_t(idl__in *in, yajl_val v, size_t *p);
void idl__get_string(idl__in *in, yajl_val v, char **p);
void idl__get_defbool(idl__in *in, yajl_val v, libxl_defbool *p);
/* A string's text, which belongs to v. */
const char *idl__get_word(idl__in *in, yajl_val v);
/* An object as JSON text, malloc'ed. */
char *idl__get_text(idl__in *in, yajl_val v);

/* An enum by its from_string function. */
#define IDL__GET_ENUM(in, v, type, p) do {                          \
        const char *idl__word = idl__get_word((in), (v));           \
        if (idl__word)                                              \
            idl__check((in), type##_from_string(idl__word, (p)));   \
    } while (0)

/* A type of another library, by its from_json function. */
#define IDL__GET_FOREIGN(in, v, type, p) do {                       \
        char *idl__text = idl__get_text((in), (v));                 \
        if (idl__text)                                              \
            idl__check((in), type##_from_json((in)->ctx, (p),       \
                                              idl__text));          \
        free(idl__text);                                            \
    } while (0)

/* Value of a word in a table that ends with NULL, whatever its case. */
int idl__enum_from_string(const libxl_enum_string_table *table,
                          const char *s, int *value);

#pragma GCC visibility pop

#endif /* IDL_RUNTIME_H */
