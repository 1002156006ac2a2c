#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only
"""Writes C types and their functions from an IDL file (see idl.py).

The types and prototypes are those that Xen's gentypes.py would write for
the same file, and so is the JSON.  The functions' bodies differ: Xen's call
helpers inside libxenlight that are not exported, these call idl_runtime.h
and public libxl functions only.

How a member gets into JSON and back, by its type in the IDL:
  string, bool, numbers     by idl_runtime.h
  libxl_defbool             "True", "False"; at its default: left out
  Enumeration               its word, in lower case
  Number with a namespace   an enumeration of another library: by its
                            _to_string and _from_string
  other Builtin             of another library: the text of its _to_json is
                            put in, and its _from_json is given an object
  Struct, Array             an object, an array
  KeyedUnion                member "KEY.WORD", an object ({} for None)
Members at their default (init_val, else 0 or NULL) are left out, aggregates
never.  An unknown member is ignored on reading, but not an unknown WORD of
a union: taking it for the default could lose data.

After a failed _from_json the type is as after its _init.
"""

import argparse
import os
import sys
from contextlib import contextmanager

import idl

# Types of libxl's own that have no public JSON functions.
WITHOUT_JSON = ["libxl_" + t for t in (
    "uuid", "mac", "bitmap", "cpuid_policy_list", "string_list",
    "key_value_list", "hwcap", "ms_vm_genid", "ev_link")]


class Text:
    """C text that grows line by line, indented, broken at 79 columns."""

    def __init__(self):
        self.lines = []
        self.depth = 0

    def __call__(self, line=""):
        line = "    " * self.depth + line
        opened = []     # columns behind the parentheses that are open
        while len(line) > 79:
            places = self._places(line, opened)
            if not places:
                break
            # Behind a comma of the outermost call, else of one inside;
            # with none of them, behind a parenthesis.
            cut, opened = min(places, key=lambda p: (
                line[p[0] - 1] == "(", len(p[1]), -p[0]))
            column = opened[-1]
            if line[cut - 1] == "(":
                column = len(line) - len(line.lstrip()) + 4
                opened[-1] = column
            self.lines.append(line[:cut])
            line = " " * column + line[cut:].lstrip()
        self.lines.append(line.rstrip())

    @staticmethod
    def _places(line, opened):
        """Where a line can be broken, and what is open there."""
        opened = list(opened)
        places = []
        start = len(line) - len(line.lstrip())
        for i, c in enumerate(line[:79]):
            if c == "(":
                opened.append(i + 1)
            elif c == ")" and opened:
                opened.pop()
            if opened and i > start and c in "(,":
                places.append((i + 1, list(opened)))
        return places

    def add(self, other):
        for line in other.lines:
            self(line)

    @contextmanager
    def block(self, head="", tail="}"):
        self((head + " {").lstrip())
        self.depth += 1
        yield
        self.depth -= 1
        self(tail)

    @contextmanager
    def function(self, head):
        self(head)
        self("{")
        self.depth += 1
        yield
        self.depth -= 1
        self("}")
        self()

    def write(self, path):
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(self.lines).rstrip("\n") + "\n")


def form(ty):
    """Which rule of the table above a type follows."""
    if isinstance(ty, idl.Enumeration):
        return "enum"
    if isinstance(ty, idl.KeyedUnion):
        return "keyed"
    if isinstance(ty, idl.Aggregate):
        if isinstance(ty, idl.Struct) and (ty.typename is None
                                           or ty.autogenerate_json):
            return "struct"
        return "foreign"
    if isinstance(ty, idl.Array):
        return "array"
    if isinstance(ty, idl.UInt):
        return "uint%d" % ty.width
    if isinstance(ty, idl.Number) and ty.namespace is not None:
        return "enum"
    known = {"char *": "string", "bool": "bool", "int": "int",
             "size_t": "size_t", "libxl_defbool": "defbool",
             "libxl_domid": "uint32", "libxl_devid": "int"}
    return known.get(ty.typename, "foreign")


def has_json(ty):
    return not ty.private and (ty.typename is None
                               or ty.json_gen_fn is not None)


def json_fields(ty):
    return [f for f in ty.fields if not f.const and has_json(f.type)]


def keyed_fields(ty):
    if not isinstance(ty, idl.Struct):
        return []
    return [f for f in ty.fields
            if not f.const and isinstance(f.type, idl.KeyedUnion)]


def init_value(field):
    if field.init_val is not None:
        return field.init_val
    return field.type.init_val


# ---- declarations ----

def declare(out, ty, name, const=False):
    """One member (an array brings its length along, a union its key)."""
    head = "const " if const else ""
    if isinstance(ty, idl.Array):
        declare(out, ty.lenvar.type, ty.lenvar.name)
    if isinstance(ty, idl.KeyedUnion):
        declare(out, ty.keyvar.type, ty.keyvar.name)
    if isinstance(ty, idl.Aggregate) and ty.typename is None:
        with out.block(head + ty.kind, "} %s;" % name):
            members(out, ty)
    else:
        space = "" if ty.typename.endswith("*") else " "
        out("%s%s%s%s;" % (head, ty.typename, space, name))


def members(out, ty):
    for f in ty.fields:
        if f.type is not None:
            declare(out, f.type, f.name, f.const)


def define(out, ty):
    if isinstance(ty, idl.Enumeration):
        with out.block("typedef enum " + ty.typename,
                       "} %s;" % ty.typename):
            for v in ty.values:
                out("%s = %d," % (v.name, v.value))
    elif isinstance(ty, idl.Aggregate):
        with out.block("typedef %s %s" % (ty.kind, ty.typename),
                       "} %s;" % ty.typename):
            members(out, ty)
    else:
        raise idl.IdlError("%s can't be defined" % ty.typename)


def signatures(ty):
    """The prototypes of a type's functions, by what they do."""
    byref = idl.PASS_BY_REFERENCE
    sig = {}
    if ty.dispose_fn:
        sig["dispose"] = "void %s(%s)" % (ty.dispose_fn, ty.make_arg("p"))
    if ty.copy_deprecated_fn:
        sig["deprecated"] = "int %s(libxl_ctx *ctx, %s)" % (
            ty.copy_deprecated_fn, ty.make_arg("p"))
    if ty.copy_fn:
        sig["copy"] = "void %s(libxl_ctx *ctx, %s, const %s)" % (
            ty.copy_fn, ty.make_arg("dst"), ty.make_arg("src"))
    if ty.init_fn:
        sig["init"] = "void %s(%s)" % (ty.init_fn, ty.make_arg("p"))
        for f in keyed_fields(ty):
            key = f.type.keyvar
            sig["init " + key.name] = "void %s_%s(%s, %s)" % (
                ty.init_fn, key.name, ty.make_arg("p"),
                key.type.make_arg(key.name))
    if ty.json_gen_fn:
        sig["to_json"] = "char *%s_to_json(libxl_ctx *ctx, %s)" % (
            ty.typename, ty.make_arg("p"))
    if ty.json_parse_fn:
        sig["from_json"] = "int %s_from_json(libxl_ctx *ctx, %s, %s)" % (
            ty.typename, ty.make_arg("p", byref), "const char *s")
    if isinstance(ty, idl.Enumeration):
        sig["to_string"] = "const char *%s_to_string(%s)" % (
            ty.typename, ty.make_arg("p"))
        sig["from_string"] = "int %s_from_string(const char *s, %s)" % (
            ty.typename, ty.make_arg("e", byref))
        sig["table"] = "libxl_enum_string_table %s_string_table[]" % (
            ty.typename)
    return sig


def header(out, types, path):
    guard = os.path.basename(path).upper().lstrip("_")
    guard = "".join(c if c.isalnum() else "_" for c in guard)
    out("#ifndef " + guard)
    out("#define " + guard)
    out()
    out("#pragma GCC visibility push(default)")
    out()
    for ty in types:
        define(out, ty)
        hide = '__attribute__((visibility("hidden"))) '
        for what, text in signatures(ty).items():
            out("%s%s%s;" % (hide if ty.hidden else "",
                             "extern " if what == "table" else "", text))
        out()
    out("#pragma GCC visibility pop")
    out()
    out("#endif /* %s */" % guard)


# ---- init ----

def init_value_of(out, ty, x, value=None):
    """Sets x (already zeroed) to its default, where that isn't zero."""
    if value is None:
        value = ty.init_val
    if value is not None:
        out("%s = %s;" % (x, value))
    elif isinstance(ty, idl.KeyedUnion):
        pass
    elif ty.init_fn:
        out("%s(&%s);" % (ty.init_fn, x))
    elif isinstance(ty, idl.Struct):
        init_fields(out, ty, x + ".")


def init_fields(out, ty, at):
    for f in ty.fields:
        if f.const:
            continue
        if isinstance(f.type, idl.KeyedUnion):
            value = init_value(f.type.keyvar)
            if value is not None:
                out("%s = %s;" % (at + f.type.keyvar.name, value))
        else:
            init_value_of(out, f.type, at + f.name, f.init_val)


def switch(out, key, ty, each):
    """A switch over a union's members for which each(field) writes text."""
    cases = []
    for f in ty.fields:
        if f.type is None:
            continue
        body = Text()
        each(body, f)
        if body.lines:
            cases.append((f, body))
    if not cases:
        return
    with out.block("switch (%s)" % key):
        out.depth -= 1
        for f, body in cases:
            out("case %s:" % f.enumname)
            out.depth += 1
            out.add(body)
            out("break;")
            out.depth -= 1
        out("default:")
        out("    break;")
        out.depth += 1


def init_functions(out, ty, sig):
    with out.function(sig["init"]):
        out("memset(p, 0, sizeof(*p));")
        if isinstance(ty, idl.Struct):
            init_fields(out, ty, "p->")
    for f in keyed_fields(ty):
        key = f.type.keyvar
        at = "p->" + f.name + "."
        with out.function(sig["init " + key.name]):
            out("assert(p->%s == %s);" % (key.name, init_value(key) or 0))
            out("p->%s = %s;" % (key.name, key.name))
            switch(out, key.name, f.type, lambda o, b: init_value_of(
                o, b.type, at + b.name))


# ---- dispose and copy ----

def dispose_value(out, ty, x, at, depth=0):
    """at: the expression before the name of x and of its siblings."""
    if isinstance(ty, idl.KeyedUnion):
        switch(out, at + ty.keyvar.name, ty, lambda o, b: dispose_value(
            o, b.type, x + "." + b.name, x + ".", depth))
    elif isinstance(ty, idl.Array):
        i = "ijklmn"[depth]
        body = Text()
        dispose_value(body, ty.elem_type, "%s[%s]" % (x, i), at, depth + 1)
        if body.lines:
            out("for (int %s = 0; %s < idl__length(%s, %s); %s++)"
                % (i, i, x, at + ty.lenvar.name, i))
            with braces(out):
                out.add(body)
        if ty.dispose_fn:
            out("%s(%s);" % (ty.dispose_fn, x))
    elif isinstance(ty, idl.Struct) and ty.dispose_fn is None:
        for f in ty.fields:
            if not f.const:
                dispose_value(out, f.type, x + "." + f.name, x + ".", depth)
    elif ty.dispose_fn:
        out("%s(%s);" % (ty.dispose_fn, ty.pass_arg(x)))


def dispose_function(out, ty, sig):
    with out.function(sig["dispose"]):
        out("if (!p)")
        out("    return;")
        for f in getattr(ty, "fields", []):
            if not f.const:
                dispose_value(out, f.type, "p->" + f.name, "p->")
        out("memset(p, 0, sizeof(*p));")


def copy_value(out, ty, d, s, dat, sat, depth=0):
    if isinstance(ty, idl.KeyedUnion):
        key = ty.keyvar.name
        out("%s = %s;" % (dat + key, sat + key))
        switch(out, sat + key, ty, lambda o, b: copy_value(
            o, b.type, d + "." + b.name, s + "." + b.name, d + ".", s + ".",
            depth))
    elif isinstance(ty, idl.Array):
        i = "ijklmn"[depth]
        n = dat + ty.lenvar.name
        out("%s = idl__length(%s, %s);" % (n, s, sat + ty.lenvar.name))
        out("%s = idl__calloc(%s, sizeof(*%s));" % (d, n, d))
        out("for (int %s = 0; %s < %s; %s++)" % (i, i, n, i))
        with braces(out):
            copy_value(out, ty.elem_type, "%s[%s]" % (d, i),
                       "%s[%s]" % (s, i), dat, sat, depth + 1)
    elif isinstance(ty, idl.Struct) and ty.copy_fn is None:
        for f in ty.fields:
            if not f.const and not f.type.private:
                copy_value(out, f.type, d + "." + f.name, s + "." + f.name,
                           d + ".", s + ".", depth)
    elif ty.copy_fn:
        out("%s(ctx, &%s, &%s);" % (ty.copy_fn, d, s))
    else:
        out("%s = %s;" % (d, s))


def copy_function(out, ty, sig):
    with out.function(sig["copy"]):
        out("(void)ctx;")
        out("memset(dst, 0, sizeof(*dst));")
        fields = [f for f in ty.fields
                  if not f.const and not f.type.private]
        if not fields:
            out("(void)src;")
        for f in fields:
            copy_value(out, f.type, "dst->" + f.name, "src->" + f.name,
                       "dst->", "src->")


def move_deprecated(out, f, x):
    """A value in a deprecated member goes to the one that replaced it."""
    old, new = not_default(f, x, None), not_default(
        f, "p->" + f.deprecated_by, None)
    with out.block("if (%s)" % old):
        out("if (%s)" % new)
        out("    return ERROR_INVAL;")
        out("p->%s = %s;" % (f.deprecated_by, x))
        out("memset(&%s, 0, sizeof(%s));" % (x, x))
        init_value_of(out, f.type, x, f.init_val)


def deprecated_fields(out, ty, at):
    for f in ty.fields:
        if f.const or f.type is None:
            continue
        if isinstance(f.type, idl.KeyedUnion):
            switch(out, at + f.type.keyvar.name, f.type,
                   lambda o, b, f=f: isinstance(b.type, idl.Struct)
                   and deprecated_fields(o, b.type,
                                         at + f.name + "." + b.name + "."))
        elif f.deprecated_by is not None:
            move_deprecated(out, f, at + f.name)
        elif isinstance(f.type, idl.Struct) and f.type.typename is None:
            deprecated_fields(out, f.type, at + f.name + ".")


# ---- enumerations ----

def enum_functions(out, ty, sig):
    with out.function(sig["to_string"]):
        with out.block("switch (p)"):
            out.depth -= 1
            for v in ty.values:
                out("case %s:" % v.name)
                out('    return "%s";' % v.word)
            out("default:")
            out("    return NULL;")
            out.depth += 1
    with out.block(sig["table"] + " =", "};"):
        for v in ty.values:
            out('{ "%s", %s },' % (v.word, v.name))
        out("{ NULL, -1 },")
    out()
    with out.function(sig["from_string"]):
        out("int value, rc;")
        out()
        out("rc = idl__enum_from_string(%s_string_table, s, &value);"
            % ty.typename)
        out("if (!rc)")
        out("    *e = value;")
        out("return rc;")


# ---- to JSON ----

def not_default(f, x, at):
    """The C condition for x to be written, or None: always."""
    kind = form(f.type)
    if kind == "array":
        return "idl__length(%s, %s)" % (x, at + f.type.lenvar.name)
    if kind in ("struct", "keyed", "foreign"):
        return None
    if init_value(f) is not None:
        return "%s != %s" % (x, init_value(f))
    if kind == "defbool":
        return "!libxl_defbool_is_default(%s)" % x
    return x


def put_value(out, ty, key, x, at, depth=0):
    """key: a C expression.  Writes x of type ty."""
    kind = form(ty)
    if kind == "array":
        i = "ijklmn"[depth]
        n = "idl__length(%s, %s)" % (x, at + ty.lenvar.name)
        out("idl__put_array(o, %s, %s);" % (key, n))
        out("for (int %s = 0; %s < %s; %s++)" % (i, i, n, i))
        with braces(out):
            put_value(out, ty.elem_type, "NULL", "%s[%s]" % (x, i), at,
                      depth + 1)
        out("idl__put_array_end(o);")
    elif kind == "keyed":
        put_keyed(out, ty, x, at, depth)
    elif kind == "struct" and ty.typename is None:
        out("idl__put_map(o, %s);" % key)
        put_fields(out, ty, x + ".", depth)
        out("idl__put_map_end(o);")
    elif kind == "struct":
        out("put_%s(o, %s, &%s);" % (ty.typename, key, x))
    elif kind == "foreign":
        need_json(ty)
        out("idl__put_text(o, %s, %s_to_json(o->ctx, %s));"
            % (key, ty.typename, ty.pass_arg(x)))
    elif kind == "enum":
        out("idl__put_word(o, %s, %s_to_string(%s));"
            % (key, ty.typename, x))
    elif kind == "defbool":
        out("idl__put_word(o, %s, libxl_defbool_to_string(%s));" % (key, x))
    else:
        put = "uint" if kind.startswith("uint") or kind == "size_t" else kind
        out("idl__put_%s(o, %s, %s);" % (put, key, x))


@contextmanager
def braces(out):
    """Indents what follows an `if` or `for`; braces if it is several lines."""
    body = Text()
    yield_to = out.lines
    out.lines, out.depth = body.lines, out.depth + 1
    yield
    out.lines, out.depth = yield_to, out.depth - 1
    if len(body.lines) > 1:
        out.lines[-1] += " {"
    out.lines.extend(body.lines)
    if len(body.lines) > 1:
        out("}")


def put_keyed(out, ty, x, at, depth):
    with out.block("switch (%s)" % (at + ty.keyvar.name)):
        out.depth -= 1
        for f in ty.fields:
            key = '"%s.%s"' % (ty.keyvar.name, f.name)
            out("case %s:" % f.enumname)
            out.depth += 1
            if f.type is None:
                out("idl__put_map(o, %s);" % key)
                out("idl__put_map_end(o);")
            else:
                put_value(out, f.type, key, x + "." + f.name, x + ".", depth)
            out("break;")
            out.depth -= 1
        out("default:")
        out("    o->failed = true;")
        out.depth += 1


def put_fields(out, ty, at, depth=0):
    for f in json_fields(ty):
        x = at + f.name
        condition = not_default(f, x, at)
        if condition is None:
            put_value(out, f.type, '"%s"' % f.name, x, at, depth)
        else:
            out("if (%s)" % condition)
            with braces(out):
                put_value(out, f.type, '"%s"' % f.name, x, at, depth)


def put_function(out, ty):
    with out.function("static void put_%s(idl__out *o, const char *key, %s)"
                      % (ty.typename, ty.make_arg("p"))):
        if not json_fields(ty):
            out("(void)p;")
        out("idl__put_map(o, key);")
        put_fields(out, ty, "p->")
        out("idl__put_map_end(o);")


def need_json(ty):
    if ty.typename in WITHOUT_JSON or not ty.typename.isidentifier():
        raise idl.IdlError("%s has no public JSON functions" % ty.typename)


def to_json_function(out, ty, sig):
    with out.function(sig["to_json"]):
        out("idl__out o;")
        out()
        out("idl__out_start(&o, ctx);")
        if isinstance(ty, idl.Enumeration):
            out("idl__put_word(&o, NULL, %s_to_string(p));" % ty.typename)
        else:
            out("put_%s(&o, NULL, p);" % ty.typename)
        out("return idl__out_end(&o);")


# ---- from JSON ----

def get_value(out, ty, v, x, at, depth=0):
    """Sets x from v, a C expression for a yajl_val that may be NULL."""
    kind = form(ty)
    if kind == "array":
        get_array(out, ty, v, x, at, depth)
    elif kind == "struct" and ty.typename is None:
        with out.block():
            m = "m%d" % depth
            out("yajl_val %s = %s;" % (m, v))
            out()
            with out.block("if (idl__is_map(in, %s))" % m):
                get_fields(out, ty, m, x + ".", depth + 1)
    elif kind == "struct":
        out("get_%s(in, %s, &%s);" % (ty.typename, v, x))
    elif kind == "foreign":
        need_json(ty)
        out("IDL__GET_FOREIGN(in, %s, %s, &%s);" % (v, ty.typename, x))
    elif kind == "enum":
        out("IDL__GET_ENUM(in, %s, %s, &%s);" % (v, ty.typename, x))
    else:
        out("idl__get_%s(in, %s, &%s);" % (kind, v, x))


def get_array(out, ty, v, x, at, depth):
    """All elements are set up before the first is read: dispose may come."""
    i, a, n = "ijklmn"[depth], "a%d" % depth, at + ty.lenvar.name
    first = Text()
    init_value_of(first, ty.elem_type, "%s[%s]" % (x, i))
    loop = "for (int %s = 0; %s < %s; %s++)" % (i, i, n, i)
    with out.block():
        out("yajl_val %s = %s;" % (a, v))
        out()
        out("%s = idl__get_array(in, %s, sizeof(*%s), &%s);" % (x, a, x, n))
        if first.lines:
            out(loop)
            with braces(out):
                out.add(first)
        out(loop)
        with braces(out):
            get_value(out, ty.elem_type, "idl__element(%s, %s)" % (a, i),
                      "%s[%s]" % (x, i), at, depth + 1)


def get_fields(out, ty, v, at, depth=0):
    for f in json_fields(ty):
        if not isinstance(f.type, idl.KeyedUnion):
            get_value(out, f.type, 'idl__member(%s, "%s")' % (v, f.name),
                      at + f.name, at, depth)
        elif at == "p->":
            out("get_%s_%s(in, %s, p);" % (ty.typename, f.type.keyvar.name, v))
        else:
            raise idl.IdlError("union %s is not in a named Struct" % f.name)


def get_union_function(out, ty, f):
    """The union f of struct ty: set by the branch that the object has."""
    key = f.type.keyvar
    at = "p->" + f.name + "."
    with out.function("static void get_%s_%s(idl__in *in, yajl_val v, %s)" % (
            ty.typename, key.name, ty.make_arg("p"))):
        out("%s key;" % key.type.typename)
        out("const char *word;")
        out('yajl_val b = idl__get_branch(in, v, "%s.", &word);' % key.name)
        out()
        out("if (!b || !idl__check(in, %s_from_string(word, &key)))"
            % key.type.typename)
        out("    return;")
        out("%s_%s(p, key);" % (ty.init_fn, key.name))
        with out.block("switch (key)"):
            out.depth -= 1
            for b in f.type.fields:
                out("case %s:" % b.enumname)
                out.depth += 1
                if b.type is None:
                    out("idl__is_map(in, b);")
                elif form(b.type) == "struct" and b.type.typename is None:
                    out("if (idl__is_map(in, b))")
                    with braces(out):
                        get_fields(out, b.type, "b", at + b.name + ".")
                else:
                    get_value(out, b.type, "b", at + b.name, at)
                out("break;")
                out.depth -= 1
            out("default:")
            out("    idl__check(in, ERROR_INVAL);")
            out.depth += 1


def get_function(out, ty):
    for f in keyed_fields(ty):
        get_union_function(out, ty, f)
    with out.function("static void get_%s(idl__in *in, yajl_val v, %s)" % (
            ty.typename, ty.make_arg("p"))):
        if not json_fields(ty):
            out("(void)p;")
        out("if (!idl__is_map(in, v))")
        out("    return;")
        get_fields(out, ty, "v", "p->")


def from_json_function(out, ty, sig):
    with out.function(sig["from_json"]):
        out("idl__in in;")
        out("yajl_val v = idl__in_start(&in, ctx, s);")
        if isinstance(ty, idl.Enumeration):
            out()
            out("IDL__GET_ENUM(&in, v, %s, p);" % ty.typename)
            out("return idl__in_end(&in);")
            return
        out("int rc;")
        out()
        out("%s(p);" % ty.init_fn)
        out("get_%s(&in, v, p);" % ty.typename)
        out("rc = idl__in_end(&in);")
        with out.block("if (rc)"):
            if ty.dispose_fn:
                out("%s(p);" % ty.dispose_fn)
            out("%s(p);" % ty.init_fn)
        out("return rc;")


# ---- the files ----

def implement(out, ty):
    sig = signatures(ty)
    if isinstance(ty, idl.Enumeration):
        enum_functions(out, ty, sig)
    if "init" in sig and ty.autogenerate_init_fn:
        init_functions(out, ty, sig)
    if "dispose" in sig and ty.autogenerate_dispose_fn:
        dispose_function(out, ty, sig)
    if "copy" in sig and ty.autogenerate_copy_fn:
        copy_function(out, ty, sig)
    if "deprecated" in sig:
        with out.function(sig["deprecated"]):
            out("(void)ctx;")
            deprecated_fields(out, ty, "p->")
            out("return 0;")
    if not ty.autogenerate_json or ty.private:
        return
    if "to_json" in sig:
        if isinstance(ty, idl.Struct):
            put_function(out, ty)
        elif isinstance(ty, idl.Union):
            raise idl.IdlError("%s: JSON of a bare union" % ty.typename)
        to_json_function(out, ty, sig)
    if "from_json" in sig:
        if isinstance(ty, idl.Struct):
            get_function(out, ty)
        from_json_function(out, ty, sig)


def implementation(out, types, includes):
    out("#include <assert.h>")
    out("#include <stdlib.h>")
    out("#include <string.h>")
    out()
    for i in includes:
        out("#include %s" % i)
    out('#include "idl_runtime.h"')
    out()
    for ty in types:
        implement(out, ty)


def start(source):
    out = Text()
    out("/* SPDX-License-Identifier: LGPL-2.1-only */")
    out("/* Written by gentypes.py from %s: edit that. */"
        % os.path.basename(source))
    out()
    return out


def quoted(name):
    return name if name[0] in '<"' else '"%s"' % name


def public_header(path):
    """The header that includes this one, by its name; else libxl's."""
    name = os.path.basename(path or "")
    if name.startswith("_") and name.endswith("_types.h"):
        return '"%s.h"' % name[1:-len("_types.h")]
    return "<libxl.h>"


def main():
    arg = argparse.ArgumentParser(
        description="Writes C from an IDL file; each output is optional.")
    arg.add_argument("idl", metavar="IDL")
    arg.add_argument("--header", metavar="H")
    arg.add_argument("--impl", metavar="C")
    arg.add_argument("--test", metavar="T",
                     help="a cmocka program that tests the functions")
    arg.add_argument("--include", metavar="FILE", action="append",
                     default=[], help="included before the header by the "
                     "other files (default: NAME.h for _NAME_types.h)")
    arg.add_argument("--import", metavar="IDL", action="append", default=[],
                     dest="imports", help="another library's types, for the "
                     "test to look into")
    a = arg.parse_args()

    types = idl.parse(a.idl)[1]
    includes = [quoted(i) for i in a.include] \
        or [public_header(a.header)]
    if a.header:
        out = start(a.idl)
        header(out, types, a.header)
        out.write(a.header)
        includes.append('"%s"' % os.path.basename(a.header))
    if a.impl:
        out = start(a.idl)
        implementation(out, types, includes)
        out.write(a.impl)
    if a.test:
        import gentest      # which uses this module
        out = start(a.idl)
        others = [t for i in a.imports for t in idl.parse(i)[1]]
        gentest.test(out, types, others, includes)
        out.write(a.test)


if __name__ == "__main__":
    try:
        main()
    except (idl.IdlError, OSError) as e:
        sys.exit("gentypes.py: %s" % e)
