/* SPDX-License-Identifier: LGPL-2.1-only */
/* JSON text to yajl's tree, with limits: QMP replies and documents are
 * hostile input. */
#ifndef XLSS_JSON_H
#define XLSS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yajl/yajl_gen.h>
#include <yajl/yajl_tree.h>

/* Deepest nesting of arrays and objects in a text; strings don't count. */
unsigned int json_depth(const char *text, size_t len);

/*
 * NULL on failure, with the reason in err (errlen > 0). The text need not
 * end in NUL. Free with yajl_tree_free().
 */
yajl_val json_parse(const char *text, size_t len, unsigned int max_depth,
                    char *err, size_t errlen);

/* Members of an object; NULL, false or the default where it is missing, of
 * another type, or v itself is NULL or no object. */
yajl_val json_member(yajl_val v, const char *key);
yajl_val json_object(yajl_val v, const char *key);
yajl_val json_array(yajl_val v, const char *key);
const char *json_string(yajl_val v, const char *key);
bool json_bool(yajl_val v, const char *key, bool otherwise);
bool json_u64(yajl_val v, const char *key, uint64_t *out);

size_t json_length(yajl_val array);
yajl_val json_item(yajl_val array, size_t i);

/* Can s be written as a JSON string? Not if it isn't UTF-8. */
bool json_is_text(const char *s);

/* Writing: a key with a value. */
void json_put_key(yajl_gen g, const char *key);
void json_put_string(yajl_gen g, const char *key, const char *value);
void json_put_bool(yajl_gen g, const char *key, bool value);
void json_put_u64(yajl_gen g, const char *key, uint64_t value);

#endif
