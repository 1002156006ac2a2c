#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only
#
# The IDL compiler by itself: an IDL file with everything that the language
# has compiles without a warning and passes its generated test; that test
# finds faults put into the generated code; bad IDL files are refused.

set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
idl=$top/tools/idl
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
cd "$tmp"

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

compile() {
    # Words on purpose: CC and the flags may be several.
    # shellcheck disable=SC2086
    ${CC:-cc} -std=gnu11 -D_GNU_SOURCE -fvisibility=hidden -g -Wall -Wextra \
        -Wmissing-prototypes -Wstrict-prototypes -Wformat=2 -Wvla -Werror \
        ${SANITIZE:-} -I. -I"$idl" "$@"
}

link_and_run() {
    # shellcheck disable=SC2086
    ${CC:-cc} ${SANITIZE:-} -o "$1" test.o idl_runtime.o idl_test.o "$2" \
        -lxenlight -lxentoollog -lyajl -lcmocka
    "./$1" > log 2>&1
}

gentypes() {
    PYTHONDONTWRITEBYTECODE=1 "${PYTHON:-python3}" "$idl/gentypes.py" "$@"
}

cat > all.idl <<'END'
namespace("t_")

t_word = Enumeration("word", [(3, "three"), (-1, "MINUS_ONE"), (0, "ZERO")],
                     init_val="W_WORD_THREE", value_namespace="w_")
t_error = Enumeration("error", [(-7, "BAD")], value_namespace="")
libxl_defbool = Builtin("defbool", namespace="libxl_",
                        passby=PASS_BY_REFERENCE, copy_fn=None)
libxl_domid = Builtin("domid", namespace="libxl_", copy_fn=None)
libxl_devid = Builtin("devid", namespace="libxl_", copy_fn=None,
                      signed=True, init_val="-1")
libxl_disk_format = Number("disk_format", namespace="libxl_")
libxl_device_disk = Builtin("device_disk", namespace="libxl_",
                            passby=PASS_BY_REFERENCE,
                            init_fn="libxl_device_disk_init",
                            dispose_fn="libxl_device_disk_dispose")
KiB = UInt(64, init_val="~UINT64_C(0)")

t_scalars = Struct("scalars", [
    ("b", bool), ("bt", bool, {"init_val": "true"}),
    ("i", integer), ("z", size_t),
    ("u8", uint8), ("u16", uint16), ("u32", uint32), ("u64", uint64),
    ("kib", KiB), ("domid", libxl_domid), ("devid", libxl_devid),
    ("text", string), ("db", libxl_defbool), ("w", t_word),
    ("w0", t_word, {"init_val": "W_WORD_ZERO"}), ("e", t_error,
    {"init_val": "ERROR_BAD"}), ("f", libxl_disk_format),
    ("old_text", string, {"deprecated_by": "text"}),
    ("old_devid", libxl_devid, {"deprecated_by": "devid"}),
    ], copy_deprecated_fn="t_scalars_copy_deprecated", dir=DIR_OUT)

t_nothing = Struct("nothing", [])
opaque = Builtin("void *", namespace=None, private=True)
t_plain = Struct("plain", [("name", string)], dispose_fn=None)

t_arrays = Struct("arrays", [
    ("numbers", Array(uint16, "num_numbers")),
    ("texts", Array(string, "num_texts")),
    ("words", Array(t_word, "num_words")),
    ("devids", Array(libxl_devid, "num_devids")),
    ("formats", Array(libxl_disk_format, "num_formats")),
    ("bools", Array(libxl_defbool, "num_bools")),
    ("scalars", Array(t_scalars, "num_scalars")),
    ("disks", Array(libxl_device_disk, "num_disks")),
    ("fixed", string, {"const": True}),
    ("handle", opaque),
    ("inner", Struct(None, [
        ("deep", Struct(None, [("u", uint8), ("plain", t_plain)])),
        ("flags", Array(bool, "num_flags"))])),
    ])

t_union = Struct("union", [
    ("before", t_nothing),
    ("u", KeyedUnion(None, t_word, "type", [
        ("three", Struct(None, [
            ("list", Array(string, "num_list")),
            ("more", t_arrays), ("old", string)])),
        ("minus_one", None),
        ("zero", t_scalars),
        ], keyvar_init_val="W_WORD_MINUS_ONE")),
    ("v", KeyedUnion(None, t_error, "why", [("BAD", None)],
                     keyvar_init_val="ERROR_BAD")),
    ("after", string)])

t_bare = Union("bare", [("i", integer), ("s", string)],
               copy_fn=None, json_gen_fn=None, json_parse_fn=None)
t_mute = Struct("mute", [("bare", t_bare), ("secret", string)],
                json_gen_fn=None, json_parse_fn=None)

hidden(True)
t_inside = Struct("inside", [("mute", t_mute), ("s", t_scalars)],
                  passby=PASS_BY_REFERENCE)
hidden(False)
END

gentypes all.idl --header t.h --impl t.c --test test.c
grep -q 'visibility("hidden"))) void t_inside_init' t.h ||
    fail "hidden() has no effect"
for file in t.c test.c "$idl/idl_runtime.c" "$idl/idl_test.c"; do
    compile -c "$file"
done
link_and_run program t.o || {
    cat log >&2
    fail "the generated test fails"
}
grep -q 'PASSED.*12 test' log || fail "not all tests ran"
echo "ok: everything in the language"

# The test can fail: takes out the one statement that begins as given.
faults=0
while read -r statement; do
    # The statement and the lines on which it goes on, up to its semicolon.
    awk -v s="$statement" '
        { line = $0; sub(/^ +/, "", line) }
        !n && substr(line, 1, length(s)) == s { n = gone = 1; print "(void)0;" }
        !gone
        gone && /;$/ { gone = 0 }
        END { exit !n }' t.c > fault.c ||
        fail "no such statement: $statement"
    compile -Wno-unused -Wno-misleading-indentation -c fault.c
    if link_and_run faulty fault.o; then
        fail "the generated test doesn't miss: $statement"
    fi
    faults=$((faults + 1))
done <<'END'
idl__put_uint(o, "u16", p->u16)
idl__put_bool(o, "bt", p->bt)
idl__put_string(o, NULL, p->texts[i])
idl__get_uint32(in, idl__member(v, "u32"), &p->u32)
idl__get_defbool(in, idl__member(v, "db"), &p->db)
IDL__GET_ENUM(in, idl__member(v, "w0")
idl__get_string(in, idl__element(a0, i), &p->texts[i])
t_union_init_type(p, key)
p->kib = ~UINT64_C(0)
p->type = W_WORD_MINUS_ONE
p->type = type
dst->u64 = src->u64
dst->why = src->why
dst->numbers[i] = src->numbers[i]
libxl_string_copy(ctx, &dst->texts[i], &src->texts[i])
memset(p, 0, sizeof(*p))
END
echo "ok: $faults faults found"

# A value in a member that has another name now moves there.
cat > deprecated.c <<'END'
#include <assert.h>
#include <string.h>
#include <libxl.h>
#include "t.h"

int main(void)
{
    t_scalars s;

    t_scalars_init(&s);
    s.old_text = strdup("a");
    assert(!t_scalars_copy_deprecated(NULL, &s));
    assert(!s.old_text && !strcmp(s.text, "a") && s.devid == -1);
    s.old_devid = 5;
    assert(!t_scalars_copy_deprecated(NULL, &s));
    assert(s.old_devid == -1 && s.devid == 5);
    s.old_devid = 6;
    assert(t_scalars_copy_deprecated(NULL, &s) == ERROR_INVAL);
    t_scalars_dispose(&s);
    return 0;
}
END
compile -c deprecated.c
# shellcheck disable=SC2086
${CC:-cc} ${SANITIZE:-} -o deprecated deprecated.o t.o idl_runtime.o \
    -lxenlight -lyajl
./deprecated || fail "deprecated members"
echo "ok: deprecated members"

# Refused, with a sentence and not a traceback.
refused=0
while read -r line; do
    echo "$line" | tr '@' '\n' > bad.idl
    if gentypes bad.idl --header bad.h --impl bad.c 2> log; then
        fail "accepted: $line"
    fi
    grep -q '^gentypes.py: ' log || {
        cat log >&2
        fail "no sentence about: $line"
    }
    refused=$((refused + 1))
done <<'END'
t = Struct("t", [("a", Array(string, "count"))])
t = Struct("t", [(None, string)])
t = Struct("t", [("a",)])
t = Struct("t", [("a", string)], dir=7)
t = Struct("t", [("a", string)], passby=0)
t = Struct("t", [("u", KeyedUnion(None, string, "k", []))])
e = Enumeration("e", [(0, "A")])@t = Struct("t", [("u", KeyedUnion(None, e, "k", [("b", None)]))])
e = Enumeration("e", [(0, "A"), (1, "a")])
namespace(3)
t = Struct("t", [
m = Builtin("mac", namespace="libxl_", passby=PASS_BY_REFERENCE)@t = Struct("t", [("m", m)])
t = Struct("t", [("p", void)])
u = Union("u", [("i", integer)])
t = Struct("t", [("a", strnig)])
t = Struct("t", [("a", string, {"initval": "0"})])
END
echo "ok: $refused bad files refused"
