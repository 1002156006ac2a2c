# SPDX-License-Identifier: LGPL-2.1-only
"""Reads type descriptions in the IDL of Xen's tools/libs/light (idl.txt).

An IDL file is Python that does nothing but call the constructors below and
give the results names.  Xen's own idl.py reads the same files; it can't be
used here because distributions don't ship it, and because the code that
Xen's gentypes.py writes calls helpers that libxenlight doesn't export.

What a type is, is kept here.  What C looks like, is in gentypes.py.
"""

import traceback

PASS_BY_VALUE = 1
PASS_BY_REFERENCE = 2

DIR_NONE = 0
DIR_IN = 1
DIR_OUT = 2
DIR_BOTH = 3

# What an IDL file may switch for the types that follow in it.
_defaults = {"namespace": "", "hidden": False}


class IdlError(Exception):
    """An IDL file says something that makes no sense; str() says what."""


def namespace(prefix):
    """In an IDL file: prefix of the C names of all types from here on."""
    if not isinstance(prefix, str):
        raise IdlError("namespace() wants a string, not %r" % (prefix,))
    _defaults["namespace"] = prefix


def hidden(flag):
    """In an IDL file: types from here on are not exported (or are again)."""
    _defaults["hidden"] = flag


def _one_of(what, value, allowed):
    if value not in allowed:
        raise IdlError("%s %r is none of %r" % (what, value, allowed))
    return value


def _inner_options(options, prefix):
    """The options for a field that another type brings along, such as
    keyvar_init_val for the key of a KeyedUnion."""
    return {k[len(prefix):]: v for k, v in options.items()
            if k.startswith(prefix)}


class Type:
    """Any type.  Every attribute can be given as a keyword."""

    def __init__(self, typename, **kw):
        self.options = kw
        self.namespace = kw.get("namespace", _defaults["namespace"])
        self.hidden = kw.get("hidden", _defaults["hidden"])
        self.dir = _one_of("dir", kw.get("dir", DIR_BOTH),
                           (DIR_NONE, DIR_IN, DIR_OUT, DIR_BOTH))
        self.passby = _one_of("passby", kw.get("passby", PASS_BY_VALUE),
                              (PASS_BY_VALUE, PASS_BY_REFERENCE))
        self.private = kw.get("private", False)

        # The C name, and the same without namespace; None: anonymous.
        self.rawname = typename
        self.typename = typename
        if typename is not None and self.namespace is not None:
            self.typename = self.namespace + typename

        self.dispose_fn = self._function("dispose_fn", "_dispose")
        self.copy_fn = self._function("copy_fn", "_copy")
        self.init_fn = kw.get("init_fn")
        self.init_val = kw.get("init_val")
        self.check_default_fn = kw.get("check_default_fn")
        self.copy_deprecated_fn = kw.get("copy_deprecated_fn")
        self._json_functions()

        self.autogenerate_dispose_fn = kw.get("autogenerate_dispose_fn", True)
        self.autogenerate_copy_fn = kw.get("autogenerate_copy_fn", True)
        self.autogenerate_init_fn = kw.get("autogenerate_init_fn", False)
        self.autogenerate_json = kw.get("autogenerate_json", True)

    def _function(self, option, suffix):
        """A function's name: as given, or made from the type's name."""
        if option in self.options:
            return self.options[option]
        return None if self.typename is None else self.typename + suffix

    def _json_functions(self):
        kw = self.options
        if self.typename is None or self.private:
            self.json_gen_fn = kw.get("json_gen_fn")
            self.json_parse_fn = kw.get("json_parse_fn")
            self.json_parse_type = kw.get("json_parse_type")
            return
        self.json_gen_fn = self._function("json_gen_fn", "_gen_json")
        self.json_parse_fn = self._function("json_parse_fn", "_parse_json")
        self.json_parse_type = kw.get("json_parse_type", "JSON_ANY")

    def marshal_in(self):
        return self.dir in (DIR_IN, DIR_BOTH)

    def marshal_out(self):
        return self.dir in (DIR_OUT, DIR_BOTH)

    def make_arg(self, name, passby=None):
        """`name` declared as a parameter of this type."""
        if (passby or self.passby) == PASS_BY_REFERENCE:
            return "%s *%s" % (self.typename, name)
        return "%s %s" % (self.typename, name)

    def pass_arg(self, expr, passby=None):
        """The lvalue `expr` of this type as an argument."""
        if (passby or self.passby) == PASS_BY_REFERENCE:
            return "&" + expr
        return expr


class Builtin(Type):
    """A type that is defined elsewhere."""

    def __init__(self, typename, **kw):
        kw.setdefault("dispose_fn", None)
        kw.setdefault("autogenerate_dispose_fn", False)
        kw.setdefault("autogenerate_json", False)
        super().__init__(typename, **kw)


class Number(Builtin):
    """A type of C that has a value and owns nothing."""

    def __init__(self, ctype, **kw):
        kw.setdefault("namespace", None)
        kw.setdefault("copy_fn", None)
        kw.setdefault("json_gen_fn", "yajl_gen_integer")
        kw.setdefault("json_parse_type", "JSON_INTEGER")
        kw.setdefault("json_parse_fn", "libxl__int_parse_json")
        super().__init__(ctype, **kw)
        self.signed = kw.get("signed", False)


class UInt(Number):
    """uintN_t"""

    def __init__(self, width, **kw):
        kw.setdefault("json_parse_fn", "libxl__uint%d_parse_json" % width)
        super().__init__("uint%d_t" % width, **kw)
        self.width = width


class EnumerationValue:
    """One word of an Enumeration: (value, name) in the IDL file."""

    def __init__(self, enum, value, name):
        self.enum = enum
        self.value = value
        self.valuename = name.upper()
        self.rawname = enum.rawname.upper() + "_" + self.valuename
        self.name = (enum.value_namespace or "").upper() + self.rawname
        self.word = name.lower()        # in JSON and for _to_string


class Enumeration(Type):
    """Named integers."""

    def __init__(self, typename, values, **kw):
        kw.setdefault("dispose_fn", None)
        kw.setdefault("copy_fn", None)
        kw.setdefault("json_parse_type", "JSON_STRING")
        super().__init__(typename, **kw)
        self.value_namespace = kw.get("value_namespace", self.namespace)
        self.values = [EnumerationValue(self, n, s) for n, s in values]
        words = [v.word for v in self.values]
        if len(set(words)) != len(words):
            raise IdlError("%s has a word twice" % self.typename)

    def lookup(self, name):
        for v in self.values:
            if v.valuename == name.upper():
                return v
        raise IdlError("%s has no value %s" % (self.typename, name))


class Field:
    """A member of an Aggregate."""

    def __init__(self, type_, name, const=False, enumname=None,
                 init_val=None, deprecated_by=None):
        self.type = type_
        self.name = name
        self.const = const              # never set, copied, freed, or JSON
        self.enumname = enumname        # in a KeyedUnion: value of the key
        self.init_val = init_val        # before the type's
        self.deprecated_by = deprecated_by


class Aggregate(Type):
    """A type made of others.  Fields: (name, type[, {attributes}])."""

    kind = None                         # the keyword of C

    def __init__(self, typename, fields, **kw):
        kw.setdefault("json_parse_type", "JSON_MAP")
        super().__init__(typename, **kw)
        self.init_fn = self._function("init_fn", "_init")
        self.autogenerate_init_fn = kw.get("autogenerate_init_fn", True)
        self.fields = []
        for f in fields:
            if len(f) not in (2, 3) or f[0] is None:
                raise IdlError("%s: %r is no field" % (self.typename, f))
            attributes = f[2] if len(f) == 3 else {}
            self.fields.append(Field(f[1], f[0], **attributes))


class Struct(Aggregate):
    kind = "struct"

    def __init__(self, typename, fields, **kw):
        kw.setdefault("passby", PASS_BY_REFERENCE)
        super().__init__(typename, fields, **kw)


class Union(Aggregate):
    """A bare union: nothing knows what is in it, so it has no dispose."""

    kind = "union"

    def __init__(self, typename, fields, **kw):
        kw.setdefault("passby", PASS_BY_REFERENCE)
        kw.setdefault("dispose_fn", None)
        super().__init__(typename, fields, **kw)


class KeyedUnion(Aggregate):
    """A union in a Struct, with the key that says which member is valid.
    Fields: (word of the key's Enumeration, type or None)."""

    kind = "union"

    def __init__(self, typename, key_type, key_name, fields, **kw):
        super().__init__(typename, [], **kw)
        if not isinstance(key_type, Enumeration):
            raise IdlError("the key %s is no Enumeration" % key_name)
        self.keyvar = Field(key_type, key_name,
                            **_inner_options(kw, "keyvar_"))
        for word, type_ in fields:
            value = key_type.lookup(word)
            self.fields.append(Field(type_, word, enumname=value.name))


class Array(Type):
    """A pointer in a Struct, with a field for the number of elements."""

    def __init__(self, elem_type, len_name, **kw):
        if not len_name.startswith("num_"):
            raise IdlError("length %s is not called num_..." % len_name)
        kw.setdefault("dispose_fn", "free")
        kw.setdefault("json_parse_type", "JSON_ARRAY")
        kw.setdefault("namespace", elem_type.namespace)
        super().__init__(elem_type.rawname + " *", **kw)
        self.lenvar = Field(integer, len_name,
                            **_inner_options(kw, "lenvar_"))
        self.elem_type = elem_type


void = Builtin("void *", namespace=None)
bool = Builtin("bool", namespace=None, copy_fn=None,
               json_gen_fn="yajl_gen_bool", json_parse_type="JSON_BOOL",
               json_parse_fn="libxl__bool_parse_json")
size_t = Number("size_t")
integer = Number("int", signed=True)
uint8 = UInt(8)
uint16 = UInt(16)
uint32 = UInt(32)
uint64 = UInt(64, json_gen_fn="libxl__uint64_gen_json")
string = Builtin("char *", namespace=None, copy_fn="libxl_string_copy",
                 dispose_fn="free", json_gen_fn="libxl__string_gen_json",
                 json_parse_type="JSON_STRING | JSON_NULL",
                 json_parse_fn="libxl__string_parse_json",
                 check_default_fn="libxl__string_is_default")

# The words an IDL file can use.
_WORDS = {n: v for n, v in globals().items()
          if isinstance(v, Type)
          or (isinstance(v, type) and issubclass(v, Type))
          or n in ("PASS_BY_VALUE", "PASS_BY_REFERENCE", "DIR_NONE",
                   "DIR_IN", "DIR_OUT", "DIR_BOTH", "namespace", "hidden")}


def parse(path):
    """(builtins, types) that the IDL file defines, in its order."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    found = {}
    try:
        exec(compile(text, path, "exec"), dict(_WORDS), found)
    except SyntaxError as e:
        raise IdlError("%s:%s: %s" % (path, e.lineno, e.msg)) from e
    except Exception as e:
        # Whatever it is, it was said in the file: on which line?
        lines = [f.lineno for f in traceback.extract_tb(e.__traceback__)
                 if f.filename == path]
        raise IdlError("%s:%s: %s" % (path, lines[-1], e)) from e
    finally:
        _defaults.update(namespace="", hidden=False)
    types = [t for t in found.values() if isinstance(t, Type)]
    return ([t for t in types if isinstance(t, Builtin)],
            [t for t in types if not isinstance(t, Builtin)])
