# SPDX-License-Identifier: LGPL-2.1-only
# shellcheck shell=bash
#
# Builds the project for a release that isn't the host's, with that release's
# compiler and libraries, in a root of its own.  Sourced by lab.
#
# Nothing is mounted there, so nothing can be left mounted: the sources are
# copied in, and all that a compiler wants of a system is /dev/null.
#
# That release's device model is there too, and runs on the host with its own
# libraries, for the tests that need a QEMU but no Xen.

# What the project wants, what any shell script takes for granted, and QEMU.
install_packages()
{
    sort -u "$LAB_TOP/scripts/packages" "$LAB_DIR/build-packages" | paste -sd,
}

install_root_dir()
{
    local hash

    hash=$({ install_packages; cat "$LAB_DIR/build-install.sh"
        printf '%s\n' "$LAB_SUITE"; } | sha256sum | cut -c1-16)
    printf '%s/build-root/%s-%s\n' "$LAB_CACHE" "$LAB_SUITE" "$hash"
}

install_in_root()
{
    local root=$1

    shift
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ LC_ALL=C.UTF-8 \
        chroot "$root" "$@" < /dev/null
}

# Unpacked only, as dom0's root is; gcc and python3 run so.
install_make_root()
{
    local dest=$1 work=$1.tmp

    [ "$(id -u)" -eq 0 ] || lab_die "only root can build for $LAB_SUITE"
    lab_say "unpacking what builds for $LAB_SUITE"
    rm -rf "$work"
    mkdir -p "$work"
    build_unpack "$work/root" "$work" "$(install_packages)"
    [ -e "$work/root/bin/sh" ] || ln -s dash "$work/root/bin/sh"
    ln -sf mawk "$work/root/usr/bin/awk"
    mkdir -p "$work/root/dev"
    rm -f "$work/root/dev/null"
    # mknod's own -m wants a /proc, which a chroot may lack.
    (umask 0 && mknod "$work/root/dev/null" c 1 3)
    ldconfig -r "$work/root"
    # A folder that forbids device nodes shows only in use.
    install_in_root "$work/root" sh -c 'echo > /dev/null' ||
        lab_die "no device nodes below $LAB_CACHE; give --install"
    install_qemu_wrapper "$dest" > "$work/root/xen-qemu"
    chmod 755 "$work/root/xen-qemu"
    mv "$work/root" "$dest"
    rm -rf "$work"
}

# The device model without chroot: by that release's own loader.
install_qemu_wrapper()
{
    printf '#!/bin/sh\nroot=%q\n' "$1"
    cat << 'END'
exec "$root/usr/lib64/ld-linux-x86-64.so.2" \
    --library-path "$root/usr/lib/x86_64-linux-gnu" \
    "$root/usr/libexec/xen-qemu-system-i386" \
    -L "$root/usr/share/seabios" -L "$root/usr/share/qemu" "$@"
END
}

# Runs a command under the lock, with the root there.
install_with_root()
{
    local root=$1

    shift
    mkdir -p "$LAB_CACHE/build-root"
    (
        flock 7
        [ -d "$root" ] || install_make_root "$root"
        touch "$root"
        lab_keep_newest 3 "$LAB_CACHE/build-root"
        "$@"
    ) 7> "$LAB_CACHE/build-root.lock"
}

# The sources as they are, without what make makes of them here.
install_copy_sources()
{
    local dest=$1

    mkdir -p "$dest"
    sed -n 's|^/||p' "$LAB_TOP/.gitignore" > "$dest.exact"
    grep '^[^/#]' "$LAB_TOP/.gitignore" > "$dest.anywhere"
    tar -C "$LAB_TOP" -c --anchored -X "$dest.exact" \
        --no-anchored -X "$dest.anywhere" \
        configure config.mk.in Makefile Rules.mk tools docs/man docs/schemas |
        tar -C "$dest" -x --no-same-owner
    (
        cd "$dest"
        find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    ) > "$dest.sums"
}

# Brings the tree in ROOT up to date.  Another checkout may have used it
# before, so contents decide, not times.  A change to a .c or .h file is
# left to make; after any other all is made anew, as not every rule knows
# what it depends on.
install_update_tree()
{
    local root=$1 changed file

    rm -rf "$root/new"
    install_copy_sources "$root/new"
    # With the sums of before goes the tree, unless this comes to its end.
    mv "$root/sums" "$root/old.sums" 2> /dev/null || : > "$root/old.sums"
    changed=$(diff "$root/old.sums" "$root/new.sums" |
        sed -n 's/^[<>] [0-9a-f]*  //p' | sort | uniq -c) || true
    if [ -s "$root/old.sums" ] && ! printf '%s\n' "$changed" |
        grep -qv -e '^ *2 .*\.[ch]$' -e '^$'; then
        printf '%s\n' "$changed" | sed -n 's/^ *2 //p' |
        while read -r file; do
            cat "$root/new/$file" > "$root/src/$file"
        done
    else
        rm -rf "$root/src"
        mv "$root/new" "$root/src"
        install_in_root "$root" sh -c \
            'cd /src && ./configure --enable-werror'
    fi
    rm -rf "$root/new"
}

# What is to be installed in dom0, as TAR; all that is said goes to LOG.
install_make()
{
    local root=$1 tar=$2 log=$3

    lab_say "building for $LAB_SUITE"
    exec 6>&2 > "$log" 2>&1
    trap '[ $? -eq 0 ] || tail -n 40 "$log" >&6' EXIT
    install_update_tree "$root"
    rm -rf "$root/stage"
    install_in_root "$root" make -s -j"$(nproc)" -C /src all
    install_in_root "$root" make -s -C /src install DESTDIR=/stage
    mv "$root/new.sums" "$root/sums"
    tar -C "$root/stage" --owner=0 --group=0 -cf "$tar" .
}

build_install()
{
    local root

    root=$(install_root_dir)
    install_with_root "$root" install_make "$root" "$@"
}

# Prints the path of the release's device model, to be run on the host.
build_qemu()
{
    local root

    root=$(install_root_dir)
    install_with_root "$root" printf '%s/xen-qemu\n' "$root"
}
