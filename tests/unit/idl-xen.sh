#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only
#
# Xen's own IDL compiler accepts our IDL files unchanged, and declares the
# same types and functions as ours does. The other way round, ours declares
# what Xen's does for libxl's own IDL file.
#
# Xen's source package comes from the apt sources that this system has
# configured; its three files are kept in the cache. 77: it can't be had.

set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/xen-snapshot-lab/idl
python=${PYTHON:-python3}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

skip() {
    echo "SKIP: $*"
    exit 77
}

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

# The configured apt sources once more, as deb-src, in a folder of ours:
# one-line files keep their options, deb822 files all fields but Types.
derive_sources() {
    list='' parts=''
    eval "$(apt-config shell list Dir::Etc::sourcelist/f \
                              parts Dir::Etc::sourceparts/d)"
    for file in "$list" "$parts"/*.list; do
        [ -f "$file" ] || continue
        sed -n 's/^[[:space:]]*deb[[:space:]]/deb-src /p' "$file" \
            > "$1/$(basename "$file" .list).list"
    done
    for file in "$parts"/*.sources; do
        [ -f "$file" ] || continue
        sed 's/^[Tt]ypes:.*/Types: deb-src/' "$file" \
            > "$1/$(basename "$file")"
    done
}

# apt-get or apt-cache with the derived sources and state of its own.
our_apt() {
    program=$1
    shift
    "$program" -q -o Dir::Etc::sourcelist=/dev/null \
        -o Dir::Etc::sourceparts="$tmp/apt/parts" \
        -o Dir::State::lists="$tmp/apt/lists" \
        -o Dir::Cache="$tmp/apt/cache" -o APT::Sandbox::User= \
        -o Acquire::Retries=2 "$@"
}

fetch() {
    mkdir -p "$tmp/apt/parts" "$tmp/apt/lists/partial" \
        "$tmp/apt/cache/archives/partial" "$tmp/source" "$tmp/xen"
    derive_sources "$tmp/apt/parts"
    our_apt apt-get update > "$tmp/log" 2>&1 || return 1
    # The newest first; any will do, and a mirror may lack the newest.
    for version in $(our_apt apt-cache showsrc --only-source xen |
                     sed -n 's/^Version: //p' | sort -rVu); do
        if (cd "$tmp/source" && our_apt apt-get source --download-only \
            "xen=$version") >> "$tmp/log" 2>&1; then
            echo "Xen's source: $version"
            break
        fi
        rm -f "$tmp"/source/*
    done
    set -- "$tmp"/source/xen_*.orig.tar.*[!c]
    [ -f "$1" ] || return 1
    tar -C "$tmp/xen" -xf "$1" --wildcards --strip-components=1 \
        '*/tools/libs/light/idl.py' '*/tools/libs/light/gentypes.py' \
        '*/tools/libs/light/libxl_types.idl' || fail "can't unpack $1"
    mkdir -p "$cache"
    for file in libxl_types.idl gentypes.py idl.py; do
        cp "$tmp/xen/tools/libs/light/$file" "$cache/$file.new"
        mv "$cache/$file.new" "$cache/$file"
    done
}

if [ ! -f "$cache/idl.py" ]; then
    command -v apt-get > /dev/null || skip "no apt-get to get Xen's source"
    if ! fetch; then
        tail -n 3 "$tmp/log" 2> /dev/null || :
        skip "Xen's source can't be had from this system's apt sources"
    fi
fi

# Declarations one to a line, sorted, without what the two may spell
# differently: comments, directives, blanks, extern.
declarations() {
    "$python" - "$1" <<'END'
import re
import sys

text = open(sys.argv[1]).read()
text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
text = text.replace('__attribute__((visibility("hidden")))', "_hidden")
text = re.sub(r"\bextern\b", "", text)
found, one, depth = [], "", 0
for c in text:
    one += c
    depth += (c == "{") - (c == "}")
    if c == ";" and depth == 0:
        one = re.sub(r"\s*([*{};(),=\[\]])\s*", r"\1", one)
        found.append(" ".join(one.split()))
        one = ""
print("\n".join(sorted(found)))
END
}

for idl in "$top/tools/libxl/libxl_snapshot_types.idl" \
           "$top/tools/libxlu/xlu_snapshot_types.idl" \
           "$cache/libxl_types.idl"; do
    name=$(basename "$idl")
    PYTHONDONTWRITEBYTECODE=1 "$python" "$cache/gentypes.py" "$idl" \
        "$tmp/xen.h" "$tmp/xen_private.h" "$tmp/xen_json.h" "$tmp/xen.c" \
        > "$tmp/log" 2>&1 || {
        cat "$tmp/log" >&2
        fail "Xen's gentypes.py doesn't accept $name"
    }
    PYTHONDONTWRITEBYTECODE=1 "$python" "$top/tools/idl/gentypes.py" "$idl" \
        --header "$tmp/our.h" || fail "ours doesn't accept $name"
    declarations "$tmp/xen.h" > "$tmp/theirs"
    declarations "$tmp/our.h" > "$tmp/ours"
    [ "$(wc -l < "$tmp/theirs")" -gt 20 ] || fail "$name: nothing to compare"
    diff "$tmp/theirs" "$tmp/ours" || fail "$name: Xen's (<) and ours (>) differ"
    echo "ok: $name, $(wc -l < "$tmp/theirs") declarations the same"
done
