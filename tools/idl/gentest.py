# SPDX-License-Identifier: LGPL-2.1-only
"""Writes a cmocka program that tests the functions from gentypes.py.

For each struct that has a dispose function: an instance as _init leaves it,
and 200 with random values, go to JSON and back; every member is compared, by
code written here and not by the functions under test; then a copy has to
outlive its original.  For each enumeration: all its words, and others.

The values come from idl_test.h.  Types of other libraries need three
functions there, or their IDL file (--import).
"""

import idl
from gentypes import (braces, form, has_json, init_value, json_fields,
                      keyed_fields, switch)


class Writer:
    """Writes, for a type T, random_T which fills one, same_T which compares
    two, and default_T which looks for the values that _init gives."""

    def __init__(self, types):
        self.structs = {t.typename: t for t in types
                        if isinstance(t, idl.Struct)}

    def struct(self, ty):
        """The Struct behind a type, if its members are known here."""
        return self.structs.get(ty.typename)

    def used_by(self, types, always=False):
        """The structs of which these consist, members first; always:
        without those in arrays and unions."""
        found = []

        def visit(ty):
            ty = self.struct(ty) or ty
            if isinstance(ty, idl.KeyedUnion) and always:
                return
            if isinstance(ty, idl.Array) and not always:
                visit(ty.elem_type)
            for f in getattr(ty, "fields", []):
                if f.type is not None and not f.const and has_json(f.type):
                    visit(f.type)
            if self.struct(ty) and ty not in found:
                found.append(ty)

        for t in types:
            visit(t)
        return found

    def random_value(self, out, ty, x, at, depth=0):
        kind = form(ty)
        if kind == "array":
            i, n = "ijklmn"[depth], at + ty.lenvar.name
            out("%s = idl_test_number() %% 6;" % n)
            out("%s = idl_test_array(%s, sizeof(*%s));" % (x, n, x))
            out("for (int %s = 0; %s < %s; %s++)" % (i, i, n, i))
            with braces(out):
                self.random_value(out, ty.elem_type, "%s[%s]" % (x, i), at,
                                  depth + 1)
        elif kind == "struct" and ty.typename is None:
            self.random_fields(out, ty, x + ".", depth)
        elif self.struct(ty):
            out("random_%s(&%s);" % (ty.typename, x))
        elif kind == "foreign":
            out("idl_test_random_%s(&%s);" % (ty.typename, x))
        elif kind == "enum":
            out("%s = idl_test_enum(%s_string_table);" % (x, ty.typename))
        elif kind in ("string", "defbool"):
            out("%s = idl_test_%s();" % (x, kind))
        else:
            out("%s = idl_test_number()%s;"
                % (x, " & 1" if kind == "bool" else ""))

    def random_fields(self, out, ty, at, depth=0):
        for f in json_fields(ty):
            if not isinstance(f.type, idl.KeyedUnion):
                self.random_value(out, f.type, at + f.name, at, depth)
                continue
            key = f.type.keyvar
            inner = at + f.name + "."
            out("%s = idl_test_enum(%s_string_table);"
                % (key.name, key.type.typename))
            out("%s_%s(p, %s);" % (ty.init_fn, key.name, key.name))
            out("assert_true(%s == %s);" % (at + key.name, key.name))
            switch(out, at + key.name, f.type,
                   lambda o, b: self.random_value(
                       o, b.type, inner + b.name, inner, depth))

    def same_value(self, out, ty, a, b, aat, bat, depth=0):
        kind = form(ty)
        if kind == "array":
            i, n = "ijklmn"[depth], ty.lenvar.name
            out("assert_true(%s == %s);" % (aat + n, bat + n))
            out("for (int %s = 0; %s < %s; %s++)" % (i, i, aat + n, i))
            with braces(out):
                self.same_value(out, ty.elem_type, "%s[%s]" % (a, i),
                                "%s[%s]" % (b, i), aat, bat, depth + 1)
        elif kind == "struct" and ty.typename is None:
            self.same_fields(out, ty, a + ".", b + ".", depth)
        elif self.struct(ty):
            out("same_%s(&%s, &%s);" % (ty.typename, a, b))
        elif kind == "foreign":
            out("idl_test_same_%s(&%s, &%s);" % (ty.typename, a, b))
        elif kind in ("string", "defbool"):
            out("idl_test_same_%s(%s, %s);" % (kind, a, b))
        else:
            out("assert_true(%s == %s);" % (a, b))

    def same_fields(self, out, ty, aat, bat, depth=0):
        for f in json_fields(ty):
            a, b = aat + f.name, bat + f.name
            if not isinstance(f.type, idl.KeyedUnion):
                self.same_value(out, f.type, a, b, aat, bat, depth)
                continue
            key = f.type.keyvar.name
            out("assert_true(%s == %s);" % (aat + key, bat + key))
            switch(out, aat + key, f.type, lambda o, m: self.same_value(
                o, m.type, a + "." + m.name, b + "." + m.name, a + ".",
                b + ".", depth))

    def default_value(self, out, ty, x, at, value):
        kind = form(ty)
        if value is not None:
            out("assert_true(%s == %s);" % (x, value))
        elif kind == "array":
            out("assert_true(!%s && !%s);" % (x, at + ty.lenvar.name))
        elif kind == "keyed":
            out("assert_true(%s == %s);" % (
                at + ty.keyvar.name, init_value(ty.keyvar) or 0))
        elif kind == "struct" and ty.typename is None:
            self.default_fields(out, ty, x + ".")
        elif self.struct(ty):
            out("default_%s(&%s);" % (ty.typename, x))
        elif kind == "foreign":
            out("idl_test_default_%s(&%s);" % (ty.typename, x))
        elif kind == "defbool":
            out("assert_true(libxl_defbool_is_default(%s));" % x)
        else:
            out("assert_true(!%s);" % x)

    def default_fields(self, out, ty, at):
        for f in json_fields(ty):
            self.default_value(out, f.type, at + f.name, at, init_value(f))

    def default_function(self, out, ty):
        name = ty.typename
        with out.function("static void default_%s(const %s *p)"
                          % (name, name)):
            if not json_fields(ty):
                out("(void)p;")
            self.default_fields(out, ty, "p->")

    def functions(self, out, ty):
        name = ty.typename
        with out.function("static void random_%s(%s *p)" % (name, name)):
            for f in keyed_fields(ty):
                key = f.type.keyvar
                out("%s %s;" % (key.type.typename, key.name))
            if keyed_fields(ty):
                out()
            out("%s(p);" % ty.init_fn)
            self.random_fields(out, ty, "p->")
        with out.function("static void same_%s(const %s *a, const %s *b)"
                          % (name, name, name)):
            if not json_fields(ty):
                out("(void)a;")
                out("(void)b;")
            self.same_fields(out, ty, "a->", "b->")


def round_function(out, ty):
    """One trip of *p to JSON and back, and a copy; disposes of *p."""
    name = ty.typename
    with out.function("static void go_round_%s(%s *p)" % (name, name)):
        out("%s b%s;" % (name, ", c" if ty.copy_fn else ""))
        out("char *text, *again;")
        out()
        out("text = %s_to_json(idl_test_ctx, p);" % name)
        out("assert_non_null(text);")
        out("memset(&b, 0xa5, sizeof(b));")
        out("assert_int_equal(%s_from_json(idl_test_ctx, &b, text), 0);"
            % name)
        out("again = %s_to_json(idl_test_ctx, &b);" % name)
        out("assert_non_null(again);")
        out("assert_string_equal(text, again);")
        out("same_%s(p, &b);" % name)
        out()
        if ty.copy_fn:
            out("memset(&c, 0xa5, sizeof(c));")
            out("%s(idl_test_ctx, &c, p);" % ty.copy_fn)
            out("same_%s(p, &c);" % name)
        out("%s(p);" % ty.dispose_fn)
        out("%s(p);" % ty.dispose_fn)
        out("idl_test_zero(p, sizeof(*p));")
        if ty.copy_fn:
            out("same_%s(&b, &c);" % name)
        for x in ("b", "c") if ty.copy_fn else ("b",):
            out("%s(&%s);" % (ty.dispose_fn, x))
            out("%s(&%s);" % (ty.dispose_fn, x))
        out("free(again);")
        out("free(text);")


def struct_tests(out, ty):
    name = ty.typename
    round_function(out, ty)
    with out.function("static void init_%s(void **state)" % name):
        out("%s a;" % name)
        out()
        out("(void)state;")
        out("memset(&a, 0xa5, sizeof(a));")
        out("%s(&a);" % ty.init_fn)
        out("default_%s(&a);" % name)
        out("go_round_%s(&a);" % name)
        for f in keyed_fields(ty):
            key = f.type.keyvar
            for b in f.type.fields:
                out("%s(&a);" % ty.init_fn)
                out("%s_%s(&a, %s);" % (ty.init_fn, key.name, b.enumname))
                out("assert_true(a.%s == %s);" % (key.name, b.enumname))
                out("go_round_%s(&a);" % name)
            out("%s(&a);" % ty.init_fn)
            out("a.%s = %d;" % (key.name, unused_value(key.type)))
            out("assert_null(%s_to_json(idl_test_ctx, &a));" % name)
    with out.function("static void random_rounds_%s(void **state)" % name):
        out("(void)state;")
        with out.block("for (int i = 0; i < IDL_TEST_ROUNDS; i++)"):
            out("%s a;" % name)
            out()
            out("random_%s(&a);" % name)
            out("go_round_%s(&a);" % name)
    return ["init_" + name, "random_rounds_" + name]


def unused_value(ty):
    """A number that is none of an Enumeration's."""
    return max(v.value for v in ty.values) + 1


def enum_tests(out, ty):
    name = ty.typename
    with out.function("static void words_%s(void **state)" % name):
        with out.block("static const libxl_enum_string_table words[] =",
                       "};"):
            for v in ty.values:
                out('{ "%s", %d },' % (v.word, v.value))
            out("{ NULL, 0 },")
        out("%s e;" % name)
        out("char *text;")
        out()
        out("(void)state;")
        with out.block("for (int i = 0; words[i].s; i++)"):
            out("assert_string_equal(%s_to_string(words[i].v), words[i].s);"
                % name)
            out("assert_string_equal(%s_string_table[i].s, words[i].s);"
                % name)
            out("assert_int_equal(%s_string_table[i].v, words[i].v);" % name)
            out("e = words[!i].v;")
            out("assert_int_equal(%s_from_string(words[i].s, &e), 0);" % name)
            out("assert_int_equal(e, words[i].v);")
            out("text = idl_test_upper(words[i].s);")
            out("e = words[!i].v;")
            out("assert_int_equal(%s_from_string(text, &e), 0);" % name)
            out("assert_int_equal(e, words[i].v);")
            out("free(text);")
            out("text = %s_to_json(idl_test_ctx, words[i].v);" % name)
            out("e = words[!i].v;")
            out("assert_int_equal(%s_from_json(idl_test_ctx, &e, text), 0);"
                % name)
            out("assert_int_equal(e, words[i].v);")
            out("free(text);")
        out("assert_null(%s_string_table[%d].s);" % (name, len(ty.values)))
        out()
        other = unused_value(ty)
        out("assert_int_not_equal(%s_from_string(\"no word\", &e), 0);" % name)
        out("assert_int_not_equal(%s_from_string(\"\", &e), 0);" % name)
        out("assert_int_not_equal(%s_from_string(NULL, &e), 0);" % name)
        out("assert_null(%s_to_string(%d));" % (name, other))
        out("assert_null(%s_to_json(idl_test_ctx, %d));" % (name, other))
    return ["words_" + name]


def test(out, types, others, includes):
    """The whole program."""
    for i in ["<string.h>", None] + includes + ['"idl_test.h"']:
        out("#include " + i if i else "")
    out()
    structs = [t for t in types if isinstance(t, idl.Struct)
               and t.json_gen_fn and t.json_parse_fn and t.dispose_fn
               and not t.private]
    writer = Writer(types + others)
    for ty in writer.used_by(structs):
        writer.functions(out, ty)
    for ty in writer.used_by(structs, always=True):
        writer.default_function(out, ty)
    tests = []
    for ty in types:
        if ty in structs:
            tests += struct_tests(out, ty)
        elif isinstance(ty, idl.Enumeration):
            tests += enum_tests(out, ty)
    with out.function("int main(void)"):
        with out.block("const struct CMUnitTest tests[] =", "};"):
            for t in tests:
                out("cmocka_unit_test(%s)," % t)
        out()
        out("return cmocka_run_group_tests(tests, idl_test_begin, "
            "idl_test_end);")
