#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only
"""Random documents of a RELAX NG schema, and mutations of them.

    rng_docs.py SCHEMA.rng SEED NUMBER FOLDER

writes FOLDER/0000.xml and so on: every second one follows the schema, the
others were changed at one or two places, and may or may not still be valid:
a validator is to decide.
"""

import os
import random
import re
import sys
import xml.etree.ElementTree as ET

try:
    from re import _parser as sre
except ImportError:
    import sre_parse as sre

RNG = '{http://relaxng.org/ns/structure/1.0}'
# Below these nothing is looked at by the program under test.
OPAQUE = ('domain', 'inactiveDomain', 'cookie')


UUID = '6f2c5b0e-6d3a-4a52-9c39-0b1c2d3e4f50'
DOMAINS = [
    "<domain type='xen'><name>w</name><memory>1</memory><os><type>hvm</type>"
    "</os></domain>",
    "<domain type='kvm' id='7'><name>web1</name><uuid>" + UUID + "</uuid>"
    "<title>t</title><memory unit='KiB'>1048576</memory><vcpu>2</vcpu>"
    "<os><type arch='x86_64'>hvm</type><boot dev='hd'/></os>"
    "<devices><disk type='file' device='disk'><driver name='qemu' "
    "type='qcow2'/><source file='/img/a &amp; b.qcow2'/><target dev='vda' "
    "bus='virtio'/></disk></devices></domain>",
    "<domain type='qemu' xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'>"
    "<memory>9</memory><os><type>hvm</type></os><name>a b</name>"
    "<description>free\n text</description>"
    "<q:commandline><q:arg value='-x'/></q:commandline></domain>",
]


class NotAllowed(Exception):
    pass


class Grammar:
    def __init__(self, path):
        self.defines, self.start = {}, None
        self.load(path, ET.parse(path).getroot())

    def load(self, path, root):
        for child in root:
            if child.tag == RNG + 'include':
                other = os.path.join(os.path.dirname(path), child.get('href'))
                self.load(other, ET.parse(other).getroot())
            elif child.tag == RNG + 'start':
                self.start = list(child)
            elif child.tag == RNG + 'define':
                parts = self.defines.setdefault(child.get('name'), [])
                parts.append((path, list(child)))


class Generator:
    def __init__(self, path, rand):
        self.rand, self.grammar = rand, Grammar(path)

    def document(self):
        g = self.grammar
        box = ET.Element('box')
        self.group(g, g.start, box, 0)
        # Names and times that more than the schema is content with.
        for e in box[0].iter():
            if e.tag == 'creationTime' and self.rand.random() < 0.9:
                e.text = str(self.rand.randint(0, 1 << 33))
            if e.tag == 'name' and not e.attrib and self.rand.random() < 0.9:
                e.text = self.rand.choice(['a', 'a b', 'ü&<"', '17951'])
        return box[0]

    def likely(self, depth):
        """Deep down, less and less of what may be left out."""
        chance = 0.55 if depth < 4 else 0.4 if depth < 7 else 0.12
        return self.rand.random() < chance

    def group(self, g, nodes, out, depth):
        for node in nodes:
            self.one(g, node, out, depth)

    def tried(self, g, nodes, out, depth):
        """What turns out not to be allowed leaves nothing behind."""
        trial = ET.Element('trial')
        self.group(g, nodes, trial, depth)
        self.move(trial, out)

    @staticmethod
    def move(trial, out):
        out.attrib.update(trial.attrib)
        if trial.text:
            out.text = (out.text or '') + trial.text
        out.extend(list(trial))

    def one(self, g, node, out, depth):
        getattr(self, 'do_' + node.tag[len(RNG):])(g, node, out, depth)

    def do_element(self, g, node, out, depth):
        name = node.get('name')
        kids = list(node)
        if name is None:
            kids = kids[1:]
            name = self.rand.choice(['a', 'b-c', 'name', 'source'])
            if depth > 8:
                kids = []
        if depth > 30:
            raise NotAllowed
        if node.get('ns'):
            name = '{%s}%s' % (node.get('ns'), name)
        e = ET.Element(name)
        self.group(g, kids, e, depth + 1)
        out.append(e)

    def do_attribute(self, g, node, out, depth):
        kids = list(node)
        name = node.get('name')
        if name is None:
            kids = kids[1:]
            name = self.rand.choice(['x', 'y'])
        holder = ET.Element('holder')
        if kids:
            self.group(g, kids, holder, depth)
        else:
            self.do_text(g, node, holder, depth)
        out.set(name, holder.text or '')

    def do_ref(self, g, node, out, depth):
        parts = g.defines[node.get('name')]
        bodies = [body for _, body in parts]
        self.rand.shuffle(bodies)
        for body in bodies:
            try:
                self.tried(g, body, out, depth)
                return
            except NotAllowed:
                pass
        raise NotAllowed

    def do_grammar(self, g, node, out, depth):
        """Whole domains have a grammar of their own: one of a few."""
        href = node.find(RNG + 'include').get('href')
        e = ET.fromstring(self.rand.choice(DOMAINS))
        e.tag = href[:-len('.rng')]
        out.append(e)

    def do_group(self, g, node, out, depth):
        self.group(g, list(node), out, depth)

    def do_interleave(self, g, node, out, depth):
        """One after the other, then shuffled where the parts may mix."""
        parts = []
        for kid in node:
            trial = ET.Element('trial')
            self.one(g, kid, trial, depth)
            out.attrib.update(trial.attrib)
            if trial.text:
                out.text = (out.text or '') + trial.text
            parts.append(list(trial))
        while any(parts):
            part = self.rand.choice([p for p in parts if p])
            out.append(part.pop(0))

    def do_choice(self, g, node, out, depth):
        kids = list(node)
        self.rand.shuffle(kids)
        for kid in kids:
            try:
                self.tried(g, [kid], out, depth)
                return
            except NotAllowed:
                pass
        raise NotAllowed

    def do_optional(self, g, node, out, depth):
        if self.likely(depth):
            try:
                self.tried(g, list(node), out, depth)
            except NotAllowed:
                pass

    def do_zeroOrMore(self, g, node, out, depth):
        for _ in range(3):
            if self.likely(depth):
                self.do_optional(g, node, out, 0 if depth < 4 else depth)

    def do_oneOrMore(self, g, node, out, depth):
        self.tried(g, list(node), out, depth)
        if self.likely(depth):
            self.tried(g, list(node), out, depth)

    def do_empty(self, g, node, out, depth):
        pass

    def do_notAllowed(self, g, node, out, depth):
        raise NotAllowed

    def do_text(self, g, node, out, depth):
        word = self.rand.choice(['', 'a', ' b\nc ', '1795188645', 'ü&<"',
                                 '/x'])
        out.text = (out.text or '') + word

    def do_value(self, g, node, out, depth):
        pad = self.rand.choice([''] * 8 + [' ', '\n'])
        out.text = (out.text or '') + pad + (node.text or '') + pad

    def do_list(self, g, node, out, depth):
        self.group(g, list(node), out, depth)

    def do_data(self, g, node, out, depth):
        params = {p.get('name'): p.text for p in node
                  if p.tag == RNG + 'param'}
        kind = node.get('type')
        if 'pattern' in params and kind == 'string':
            text = self.from_pattern(params['pattern'])
        elif kind in ('string', 'token', 'anyURI', 'NCName'):
            text = 'text'
        elif kind == 'double':
            text = '1.5'
        elif kind == 'dateTime':
            text = '2026-01-01T00:00:00Z'
        else:
            low = int(params.get('minInclusive',
                                 1 if kind == 'positiveInteger' else 0))
            high = int(params.get('maxInclusive', 10 ** 6))
            text = str(self.rand.choice([low, high,
                                         self.rand.randint(low, high)]))
        out.text = (out.text or '') + text

    def from_pattern(self, pattern):
        parsed = sre.parse(pattern.replace('\\i', '[a-zA-Z_]'))
        return ''.join(self.from_regex(parsed))

    def from_regex(self, parsed):
        for op, arg in parsed:
            name = str(op)
            if name == 'LITERAL':
                yield chr(arg)
            elif name == 'ANY':
                yield self.rand.choice('abz019 /.-_ü')
            elif name == 'IN':
                yield self.from_class(arg)
            elif name == 'NOT_LITERAL':
                yield 'a'
            elif name == 'BRANCH':
                yield from self.from_regex(self.rand.choice(arg[1]))
            elif name == 'SUBPATTERN':
                yield from self.from_regex(arg[-1])
            elif name in ('MAX_REPEAT', 'MIN_REPEAT'):
                low, high, what = arg
                high = min(int(high), int(low) + 6)
                for _ in range(self.rand.randint(int(low), high)):
                    yield from self.from_regex(what)
            elif name != 'AT':
                raise ValueError(name)

    def from_class(self, items):
        if str(items[0][0]) == 'NEGATE':
            bad = {chr(a) for op, a in items[1:] if str(op) == 'LITERAL'}
            return self.rand.choice([c for c in 'aZ0. -_]' if c not in bad])
        op, arg = self.rand.choice(items)
        if str(op) == 'LITERAL':
            return chr(arg)
        if str(op) == 'RANGE':
            return chr(self.rand.randint(*arg))
        return '1'              # a category: digits


class Mutator:
    VALUES = ['', ' ', '0', '-1', '1', 'no', 'yes', 'nonsense', '/a b', 'a/b',
              'external', 'internal', 'file', 'block', 'network', 'tcp',
              '4294967296', '18446744073709551616', '0x1f', 'luks', '+3',
              'C:\\x', '/a\nb', '::1', '1::2:1.2.3.4', 'xvda', ' 7 ', 'unix']
    NAMES = ['name', 'disk', 'source', 'driver', 'host', 'secret', 'type',
             'snapshot', 'file', 'dev', 'label', 'foo', 'slices', 'uuid',
             'index', 'parent', 'memory', 'fdgroup', 'auth']

    def __init__(self, rand):
        self.rand = rand

    def mutate(self, root):
        places = list(self.places(root, None))
        element, parent = self.rand.choice(places)
        steps = [self.attribute_gone, self.attribute_value,
                 self.attribute_value, self.attribute_new, self.rename,
                 self.text, self.child_new]
        if parent is not None:
            steps += [self.gone, self.twice, self.moved, self.swapped]
        self.rand.choice(steps)(element, parent)

    def places(self, e, parent):
        yield e, parent
        for kid in e:
            if e.tag not in OPAQUE and '}' not in kid.tag:
                yield from self.places(kid, e)

    def attribute_gone(self, e, _):
        if e.attrib:
            del e.attrib[self.rand.choice(sorted(e.attrib))]

    def attribute_value(self, e, _):
        if e.attrib:
            e.set(self.rand.choice(sorted(e.attrib)),
                  self.rand.choice(self.VALUES))
        else:
            self.text(e, _)

    def attribute_new(self, e, _):
        e.set(self.rand.choice(self.NAMES), self.rand.choice(self.VALUES))

    def rename(self, e, _):
        if e.tag not in OPAQUE:
            e.tag = self.rand.choice(self.NAMES)

    def text(self, e, _):
        e.text = self.rand.choice(self.VALUES)

    def child_new(self, e, _):
        if e.tag not in OPAQUE:
            e.insert(self.rand.randint(0, len(e)),
                     ET.Element(self.rand.choice(self.NAMES)))

    def gone(self, e, parent):
        if parent.tag not in OPAQUE:
            parent.remove(e)

    def twice(self, e, parent):
        if parent.tag not in OPAQUE:
            parent.insert(self.rand.randint(0, len(parent)), e)

    def moved(self, e, parent):
        self.gone(e, parent)
        self.twice(e, parent)

    def swapped(self, e, parent):
        if parent.tag not in OPAQUE and len(parent) > 1:
            kids = list(parent)
            self.rand.shuffle(kids)
            parent[:] = kids


def main():
    schema, seed, number, folder = sys.argv[1:]
    rand = random.Random(int(seed))
    generator, mutator = Generator(schema, rand), Mutator(rand)
    for i in range(int(number)):
        while True:
            try:
                root = generator.document()
                break
            except NotAllowed:
                pass
        if i % 2:
            for _ in range(rand.choice([1, 1, 2])):
                mutator.mutate(root)
        if rand.random() < 0.3:
            ET.indent(root)
        with open('%s/%04d.xml' % (folder, i), 'wb') as f:
            f.write(ET.tostring(root, encoding='utf-8'))


if __name__ == '__main__':
    main()
