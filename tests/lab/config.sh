# SPDX-License-Identifier: LGPL-2.1-only
# shellcheck shell=bash
#
# What the parts of the lab agree on: folders, the suites it knows, and what
# an image is made from.  Sourced; LAB_DIR and LAB_SUITE are set by then.

LAB_TOP=$(cd "$LAB_DIR/../.." && pwd)
LAB_CACHE=${LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xen-snapshot-lab}
LAB_SUITES="bookworm trixie"

lab_die()
{
    printf 'lab: %s\n' "$*" >&2
    exit 1
}

lab_say()
{
    printf '# lab: %s\n' "$*" >&2
}

# The Xen release that a suite of Debian has.
lab_suite_xen()
{
    case $1 in
    bookworm) echo 4.17 ;;
    trixie) echo 4.20 ;;
    *) lab_die "unknown suite '$1' (known: $LAB_SUITES)" ;;
    esac
}

# lab_keep_newest COUNT FOLDER: other branches' stay, the oldest go.
lab_keep_newest()
{
    find "$2" -mindepth 1 -maxdepth 1 -printf '%T@ %p\n' | sort -n |
        head -n "-$1" | cut -d' ' -f2- | xargs -r rm -rf
}

# All that decides what is in an image; its hash is the image's name, so a
# change to any of these files makes a new one and nothing else does.
lab_image_inputs()
{
    cat "$LAB_DIR/dom0-packages" "$LAB_DIR/build-image.sh" \
        "$LAB_DIR/image-modules" "$LAB_DIR/initramfs-init" \
        "$LAB_DIR"/guest/* "$LAB_DIR"/hvmboot/*
    printf '%s\n' "$LAB_SUITE"
}

lab_image_dir()
{
    local hash

    hash=$(lab_image_inputs | sha256sum | cut -c1-16)
    printf '%s/image/%s-%s\n' "$LAB_CACHE" "$LAB_SUITE" "$hash"
}
