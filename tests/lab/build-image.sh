# SPDX-License-Identifier: LGPL-2.1-only
# shellcheck shell=bash
#
# Builds one suite's images: dom0's root, its kernel, hypervisor and
# initramfs, and the guests' kernels and initramfs.  Sourced by lab.
#
# Needs no loop device and no systemd, and runs no program of the image:
# packages are unpacked, not configured (a tenth of the time), and what their
# maintainer scripts would have done and is missed here is done by hand.

build_root_size=8G

# The host's own package sources, with SUITE in the place of the host's
# release.  apt itself is asked, so that any form of sources will do.
build_sources()
{
    local host uri release component

    host=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    apt-get indextargets \
        --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' | sort -u |
    while read -r uri release component; do
        # Anything that isn't named after the release is a third party's.
        case $component:$release in
        main:"$host" | main:"$host"-updates | main:"$host"-security)
            printf 'deb %s %s main\n' "$uri" \
                "$LAB_SUITE${release#"$host"}" ;;
        esac
    done
}

build_packages()
{
    sed -e "s/@XEN@/$(lab_suite_xen "$LAB_SUITE")/" \
        "$LAB_DIR/dom0-packages" | paste -sd,
}

# Unpacks the packages below ROOT.  The tar stream goes through one tar that
# leaves out what no test reads: half of the volume.
build_unpack()
{
    local root=$1 work=$2 packages=$3

    build_sources > "$work/sources.list"
    [ -s "$work/sources.list" ] ||
        lab_die "no package source of this host's release is configured"
    # A mirror may fail once.
    build_unpack_once "$root" "$work" "$packages" || {
        lab_say "mmdebstrap failed for $LAB_SUITE, once more"
        sleep 10
        build_unpack_once "$root" "$work" "$packages"
    } || lab_die "mmdebstrap failed for $LAB_SUITE"
}

build_unpack_once()
{
    local root=$1 work=$2 packages=$3

    rm -rf "$root"
    mkdir -p "$root"
    # If its tar fails, mmdebstrap hangs up on all of its process group: not
    # on us.
    setsid --wait mmdebstrap --quiet --variant=extract --format=tar \
        --include="$packages" "$LAB_SUITE" - "$work/sources.list" |
    tar -C "$root" -x --exclude='./usr/share/doc/*' \
        --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' \
        --exclude='./usr/share/info/*' --exclude='./usr/share/iso-codes/*' \
        --exclude='./usr/share/i18n/*' --exclude='./lib/udev/hwdb.d/*' \
        --exclude='./usr/lib/udev/hwdb.d/*' \
        --exclude='*/kernel/drivers/net/*' --exclude='*/kernel/sound/*' \
        --exclude='*/kernel/drivers/gpu/*' --exclude='*/kernel/net/[!9ds]*' \
        --exclude='*/kernel/drivers/media/*' --exclude='./dev/*'
}

# What maintainer scripts would have done.
build_configure()
{
    local root=$1

    cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
    cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
    [ -e "$root/bin/sh" ] || ln -s dash "$root/bin/sh"
    [ -e "$root/usr/bin/awk" ] || ln -s mawk "$root/usr/bin/awk"
    printf 'dom0\n' > "$root/etc/hostname"
    printf '127.0.0.1 localhost dom0\n' > "$root/etc/hosts"
    mkdir -p "$root"/{proc,sys,dev,run,tmp,lab,root} "$root/var/log/xen" \
        "$root/var/lib/xen/images" "$root/var/lib/lab/guest"
    rm -rf "$root/var/lock" "$root/var/run"
    ln -s /run/lock "$root/var/lock"
    ln -s /run "$root/var/run"
    ldconfig -r "$root"
}

# Without its signature: a kernel that doesn't insist on one skips a hash over
# the whole module then, which emulation makes slow.
build_strip_module()
{
    strip --strip-debug "$@"
}

# The files of modules and of all they need, in the order of loading.
# Writes DEST/lib/modules/order and the (uncompressed) modules beside it.
build_modules()
{
    local root=$1 version=$2 dest=$3 stages=" $4 " name file base

    mkdir -p "$dest/lib/modules"
    while read -r what name; do
        case $stages in *" $what "*) ;; *) continue ;; esac
        modprobe -d "$root" -S "$version" -C /dev/null \
            --show-depends "$name" || lab_die "no module $name"
    done < "$LAB_DIR/image-modules" | sed -n 's/^insmod \([^ ]*\).*/\1/p' |
    awk '!seen[$0]++' |
    while read -r file; do
        base=$(basename "$file")
        case $base in
        *.xz) base=${base%.xz}; xz -dc "$file" > "$dest/lib/modules/$base" ;;
        *) cp "$file" "$dest/lib/modules/$base" ;;
        esac
        build_strip_module "$dest/lib/modules/$base"
        printf '%s\n' "$base"
    done > "$dest/lib/modules/order"
}

# Keeps of the modules in ROOT only the listed ones and what they need.
build_trim_modules()
{
    local root=$1 version=$2 modules keep file

    modules=lib/modules/$version
    [ -d "$root/$modules" ] || modules=usr/$modules
    keep=$root/kept-modules
    while read -r what name; do
        case $what in boot | dom0) ;; *) continue ;; esac
        modprobe -d "$root" -S "$version" -C /dev/null \
            --show-depends "$name" || lab_die "no module $name"
    done < "$LAB_DIR/image-modules" |
        sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u > "$keep"
    find "$root/$modules/kernel" -type f | sort | comm -23 - "$keep" |
        xargs -r rm -f
    rm -f "$keep"
    find "$root/$modules/kernel" -depth -type d -empty -delete
    find "$root/$modules/kernel" -name '*.ko' |
        while read -r file; do
            build_strip_module "$file"
        done
    depmod -b "$root" "$version" 2>/dev/null
}

# The ELF kernel inside a bzImage.  Domains that are built from it are spared
# the decompression, which emulation makes slow.
build_vmlinux()
{
    local image=$1 out=$2 what offset

    # Debian 12 compresses it with xz, Debian 13 with zstd; the magic number
    # may also be in the decompressor's code, so each is tried.
    while read -r what offset; do
        tail -c "+$((offset + 1))" "$image" | "$what" -dc 2>/dev/null \
            > "$out" || true
        [ "$(head -c 4 "$out" | tail -c 3)" != ELF ] || return 0
    done < <(
        export LC_ALL=C
        grep -abo $'\xfd7zXZ' "$image" | sed 's/:.*//; s/^/xz /' || true
        grep -abo $'\x28\xb5\x2f\xfd' "$image" |
            sed 's/:.*//; s/^/zstd /' || true
    )
    lab_die "no ELF kernel found in $image"
}

build_cpio()
{
    (cd "$1" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0)
}

# Where a library of ROOT is.
build_find_library()
{
    local root=$1 folder

    for folder in "$root"/{usr/,}lib/*-linux-gnu "$root"/{usr/,}lib{,64}; do
        [ ! -e "$folder/$2" ] || { printf '%s\n' "$folder/$2"; return; }
    done
    lab_die "no library $2"
}

# Copies the program FILE of ROOT into DEST/sbin, and the libraries that it is
# linked with into DEST/lib.
build_program()
{
    local root=$1 dest=$3 loader=ld-linux-x86-64.so.2 library
    local todo=("$root/$2")

    mkdir -p "$dest/sbin" "$dest/lib" "$dest/lib64"
    cp "$root/$2" "$dest/sbin/"
    cp -L "$(build_find_library "$root" $loader)" "$dest/lib64/"
    while [ ${#todo[@]} -gt 0 ]; do
        for library in $(readelf -d "${todo[0]}" |
            sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
        do
            [ "$library" != $loader ] && [ ! -e "$dest/lib/$library" ] ||
                continue
            cp -L "$(build_find_library "$root" "$library")" "$dest/lib/"
            todo+=("$dest/lib/$library")
        done
        todo=("${todo[@]:1}")
    done
}

# What HVM guests are started from: the initramfs behind a page that tells
# the boot loader the kernel's entry and the initramfs's size.
build_hvm_initrd()
{
    local work=$1 initrd=$2 size

    size=$(stat -c %s "$initrd")
    {
        # An ELF file has its entry at byte 24; all is little-endian.
        head -c 28 "$work/image/vmlinux" | tail -c 4
        for shift in 0 8 16 24; do
            # shellcheck disable=SC2059 # it is made to be the format
            printf "\\x$(printf '%02x' $((size >> shift & 255)))"
        done
        head -c 4088 /dev/zero
        cat "$initrd"
    } > "$initrd.hvm"
}

# And that boot loader.
build_hvm()
{
    local work=$1 dest=$2 src=$LAB_DIR/hvmboot

    gcc -std=gnu11 -m32 -march=i686 -O2 -Wall -Wextra -Werror \
        -ffreestanding -fno-pic -fno-stack-protector -mno-sse \
        -fcf-protection=none -fno-asynchronous-unwind-tables \
        -isystem "/usr/include/$(gcc -print-multiarch)" \
        -c -o "$work/boot.o" "$src/boot.c"
    gcc -m32 -c -o "$work/entry.o" "$src/entry.S"
    gcc -m32 -c -o "$work/setup.o" "$src/setup.S"
    ld -m elf_i386 -N -Ttext=0 --oformat binary -o "$work/setup" \
        "$work/setup.o"
    ld -m elf_i386 -N -Ttext=0x100000 --oformat binary -o "$work/entry" \
        "$work/entry.o" "$work/boot.o"
    cat "$work/setup" "$work/entry" > "$dest/hvmboot"
}

build_guest()
{
    local root=$1 version=$2 work=$3 dest=$4 tree=$3/guest

    mkdir -p "$tree/sbin" "$tree/dev" "$tree/proc" "$tree/sys" "$dest"
    gcc -std=c11 -O2 -Wall -Wextra -Werror -static -pthread \
        -o "$tree/init" "$LAB_DIR"/guest/*.c
    strip "$tree/init"
    ln -s ../init "$tree/sbin/poweroff"
    ln -s ../init "$tree/sbin/reboot"
    build_modules "$root" "$version" "$tree" guest
    build_cpio "$tree" > "$dest/initrd"
    # The other one starts more slowly: only for those who need the agent.
    build_program "$root" usr/sbin/qemu-ga "$tree"
    build_modules "$root" "$version" "$tree" "guest agent"
    build_cpio "$tree" > "$dest/initrd.agent"
    cp "$work/image/vmlinux" "$dest/vmlinux"
    build_hvm "$work" "$dest"
    build_hvm_initrd "$work" "$dest/initrd"
    build_hvm_initrd "$work" "$dest/initrd.agent"
}

build_initramfs()
{
    local root=$1 version=$2 work=$3 tree=$3/initramfs

    mkdir -p "$tree/bin"
    cp /bin/busybox "$tree/bin/busybox"
    cp "$LAB_DIR/initramfs-init" "$tree/init"
    chmod 755 "$tree/init"
    build_modules "$root" "$version" "$tree" boot
    build_cpio "$tree" > "$work/image/initrd"
}

# Builds the image of LAB_SUITE into the folder DEST, all or nothing.
build_image()
{
    local dest=$1 work root version xen

    work=$dest.tmp.$$
    rm -rf "$work"
    mkdir -p "$work/image"
    # shellcheck disable=SC2064 # the folder of now is meant
    trap "rm -rf '$work'" EXIT
    root=$work/root

    lab_say "unpacking $LAB_SUITE"
    build_unpack "$root" "$work" "$(build_packages)"
    build_configure "$root"
    version=$(cd "$root/boot" && echo vmlinuz-*)
    version=${version#vmlinuz-}
    xen=$(cd "$root/boot" && echo xen-*.gz)

    lab_say "kernel $version, hypervisor ${xen%.gz}"
    depmod -b "$root" "$version"
    build_vmlinux "$root/boot/vmlinuz-$version" "$work/image/vmlinux"
    gzip -dc "$root/boot/$xen" > "$work/image/xen"
    build_initramfs "$root" "$version" "$work"
    build_guest "$root" "$version" "$work" "$root/var/lib/lab/guest"
    build_trim_modules "$root" "$version"
    rm -f "$root"/boot/vmlinuz-* "$root"/boot/xen-*

    lab_say "making the root image"
    truncate -s "$build_root_size" "$work/image/root.img"
    mkfs.ext4 -q -F -m 0 -d "$root" \
        "$work/image/root.img"
    mkdir -p "$(dirname "$dest")"
    rm -rf "$dest"
    mv "$work/image" "$dest"
    rm -rf "$work"
    trap - EXIT
}
