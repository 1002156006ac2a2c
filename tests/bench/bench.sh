# SPDX-License-Identifier: LGPL-2.1-only
#
# In dom0, run by tests/bench/run.

rounds=${BENCH_ROUNDS:-5}

median()
{
    sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# under NAME LIMIT VALUE
under()
{
    awk -v v="$3" -v l="$2" 'BEGIN { exit !(v + 0 > 0 && v + 0 <= l) }' &&
        ok "$1: $3 (at most $2)" || fail "$1: $3 (at most $2)"
}

# ---- its guests
# With two processors the emulation ends one with hardware support (HVM, PVH) by
# a triple fault now and then. It stays away, is started again, and the round
# repeated.
bench_create()
{
    faults=0
    guest_config "$@" &&
        echo 'on_reboot = "destroy"' >> "$(guest_cfg "$1")" && guest_start "$1"
}

# faulted NAME ID: was it that? Then it runs again.
faulted()
{
    xl dmesg | grep -q "d$2v0 Triple fault" || return 1
    faults=$((faults + 1))
    [ $faults -le 6 ] || return 1
    note "the emulation has ended $1: the round is repeated"
    wait_for 60 domain_gone "$1" && guest_start "$1" &&
        guest_wait_ticks "$1" 3
}

# ---- create against `xl save -c` and `sync FILE`, pair by pair
save_and_sync()
{
    /usr/sbin/xl save -c "$1" /var/lib/xen/plain.save && sync /var/lib/xen/plain.save
}
export -f save_and_sync

# wall_pair NAME ID SNAPSHOT: into a and b
wall_pair()
{
    a=$(measure "$2" xl snapshot-create -n "$3" "$1") &&
        xl snapshot-delete "$1" "$3" &&
        b=$(measure "$2" bash -c "save_and_sync $1") &&
        [ "$(domid "$1")" = "$2" ]
}

# wall NAME TYPE MIB [LIMIT]: one image at a time has room on the disk.
wall()
{
    local name=$1 type=$2 mib=$3 limit=${4:-} i=0 a b ratios= id

    bench_create "$name" "$type" -m "$mib" 256M || return
    guest_wait_ticks "$name" 3
    while [ "$i" -le "${BENCH_WALL_ROUNDS:-3}" ]; do
        id=$(domid "$name") || { fail "$name runs"; return; }
        if ! wall_pair "$name" "$id" "b$i.$faults"; then
            faulted "$name" "$id" && continue
            fail "$type round $i: both are done"
            return
        fi
        rm -f /var/lib/xen/plain.save
        a=${a%% *} b=${b%% *}
        note "$type round $i: create $a ms, save and sync $b ms"
        # The first round warms up.
        [ "$i" -eq 0 ] ||
            ratios+="$(awk -v a="$a" -v b="$b" 'BEGIN { print a / b }')"$'\n'
        i=$((i + 1))
    done
    ratios=$(printf '%s' "$ratios" | median)
    a="create against xl save -c and sync, $type, $mib MiB, wall"
    [ -n "$limit" ] && under "$a" "$limit" "$ratios" || note "$a: $ratios"
    guest_destroy "$name"
}

# ---- pause with 8 disks against 1, pair by pair, the other guest paused
# Of 1 GiB, as where a live create is measured: each disk adds about as much
# to the pause as 10 MiB of memory do (docs/why.md).
# pause_of NAME ID: how long one create stops it, in ms
pause_of()
{
    local a

    /usr/sbin/xl unpause "$1"
    guest_wait_ticks "$1" 2
    a=$(measure "$2" xl snapshot-create -n p "$1") || return
    a=${a#* }
    xl snapshot-delete "$1" p > /dev/null
    /usr/sbin/xl pause "$1"
    echo "${a% *}"
}

eight_disks()
{
    local i a b one eight ratios=

    guest_create eight pv -m 1024 64M 64M 64M 64M 64M 64M 64M 64M || return
    guest_wait_ticks eight 3
    /usr/sbin/xl pause eight
    guest_create one pv -m 1024 64M || return
    guest_wait_ticks one 3
    /usr/sbin/xl pause one
    one=$(domid one) eight=$(domid eight)
    for i in $(seq 0 "$rounds"); do
        a=$(pause_of eight "$eight") && b=$(pause_of one "$one") ||
            { fail "round $i: both are done"; return; }
        note "round $i: pause with 8 disks $a ms, with 1 disk $b ms"
        [ "$i" -eq 0 ] ||
            ratios+="$(awk -v a="$a" -v b="$b" 'BEGIN { print a / b }')"$'\n'
    done
    under "pause with 8 disks against 1" 1.2 \
        "$(printf '%s' "$ratios" | median)"
    guest_destroy eight
    guest_destroy one
}

# ---- resident memory of the command
resident()
{
    local mib=$1 name=m$1 kib

    guest_create "$name" pv -m "$mib" 64M || return
    guest_wait_ticks "$name" 2
    kib=$(measure "$(domid "$name")" xl snapshot-create -n r "$name" |
        cut -d' ' -f3)
    under "resident memory for a guest of $mib MiB, in MiB" 32 \
        $((kib / 1024))
    xl snapshot-delete "$name" r
    guest_destroy "$name"
}

# ---- pause of a live create against that of `xl save -c`
# live_pair NAME ID SNAPSHOT: into a and b
live_pair()
{
    rm -f /var/lib/xen/plain.save
    a=$(measure "$2" xl snapshot-create --live -n "$3" "$1") &&
        xl snapshot-delete "$1" "$3" &&
        b=$(measure "$2" /usr/sbin/xl save -c "$1" \
            /var/lib/xen/plain.save) &&
        [ "$(domid "$1")" = "$2" ]
}

live()
{
    local rate=$1 limit=${2:-} name=live$1 i=1 id a b ratios=

    bench_create "$name" hvm -m 1024 64M || return
    while [ "$i" -le "${BENCH_LIVE_ROUNDS:-3}" ]; do
        id=$(domid "$name") || { fail "$name runs"; return; }
        guest_cmd "$name" dirty "$rate" 64
        [ "$i" -gt 1 ] || guest_wait_ticks "$name" 10
        if ! live_pair "$name" "$id" "l$i.$faults"; then
            faulted "$name" "$id" && continue
            fail "$rate MiB/s, round $i: both are done"
            return
        fi
        a=${a#* } b=${b#* }
        note "$rate MiB/s, round $i: live create ${a% *} ms, save ${b% *} ms"
        ratios+="$(awk -v a="${a% *}" -v b="${b% *}" \
            'BEGIN { print a / b }')"$'\n'
        i=$((i + 1))
    done
    rm -f /var/lib/xen/plain.save
    ratios=$(printf '%s' "$ratios" | median)
    a="pause of a live create against xl save -c, $rate MiB/s"
    [ -n "$limit" ] && under "$a" "$limit" "$ratios" || note "$a: $ratios"
    guest_destroy "$name"
}

# ---- a compressed image against one that isn't: size, wall, memory
# compressed_pair NAME ID SUFFIX: into a, b and size
compressed_pair()
{
    local folder

    folder=/var/lib/xen/snapshots/$(xl list -v "$1" |
        grep -o '[0-9a-f]\{8\}-[0-9a-f-]*')/snapshots
    a=$(measure "$2" xl snapshot-create --compress -n "z$3" "$1") &&
        b=$(measure "$2" xl snapshot-create -n "r$3" "$1") &&
        size=$(awk -v a="$(stat -c %s "$folder/z$3.mem.zst")" \
            -v b="$(stat -c %s "$folder/r$3.mem")" \
            'BEGIN { print a / b }') &&
        xl snapshot-delete "$1" "z$3" && xl snapshot-delete "$1" "r$3" &&
        [ "$(domid "$1")" = "$2" ]
}

compressed()
{
    local name=zstd i=0 id a b m=0 ratios= size=

    bench_create "$name" pvh -m 512 64M || return
    guest_wait_ticks "$name" 3
    while [ "$i" -le "$rounds" ]; do
        id=$(domid "$name") || { fail "$name runs"; return; }
        if ! compressed_pair "$name" "$id" "$i.$faults"; then
            faulted "$name" "$id" && continue
            fail "compressed, round $i: both are done"
            return
        fi
        m=${a##* } a=${a%% *} b=${b%% *}
        note "round $i: compressed $a ms, $size of the size; raw $b ms"
        [ "$i" -eq 0 ] ||
            ratios+="$(awk -v a="$a" -v b="$b" 'BEGIN { print a / b }')"$'\n'
        i=$((i + 1))
    done
    under "size of a compressed image against raw" 0.10 "$size"
    under "create with --compress against without, wall" 1.1 \
        "$(printf '%s' "$ratios" | median)"
    under "resident memory with --compress, in MiB" 32 $((m / 1024))
    guest_destroy "$name"
}

# ---- deletion with a merge, 256 MiB, against qemu-img commit of as much
seconds()
{
    local start

    start=$(date +%s%N)
    "$@" > /dev/null || fail "$*" || return
    awk -v ns=$(($(date +%s%N) - start)) 'BEGIN { printf "%.2f\n", ns / 1e9 }'
}

fill()
{
    qemu-io -f qcow2 -c "write -q -P $2 64M 256M" "$1"
    sync "$1"
}

merge()
{
    local image=$lab_images/merge-xvda.qcow2 plain=$lab_images/plain i a b live

    guest_create merge pv 512M || return
    guest_destroy merge
    for i in $(seq 1 "${BENCH_LIVE_ROUNDS:-3}"); do
        fill "$image" "$i"
        guest_start merge
        guest_wait_ticks merge 2
        xl snapshot-create -e -n "d$i" --disk-only merge
        live=$(seconds xl snapshot-delete merge "d$i")
        xl snapshot-create -e -n "o$i" --disk-only merge
        guest_destroy merge
        xl create -n "$(guest_cfg merge)" > /dev/null  # the names put right
        fill "$image" $((i + 1))
        a=$(seconds xl snapshot-delete merge "o$i")
        qemu-img create -q -f qcow2 "$plain.base" 512M
        fill "$plain.base" "$i"
        qemu-img create -q -f qcow2 -F qcow2 -b "$plain.base" "$plain.top"
        fill "$plain.top" $((i + 1))
        b=$(seconds qemu-img commit -q -f qcow2 "$plain.top")
        rm -f "$plain".*
        note "merge of 256 MiB, round $i: running $live s, off $a s," \
            "qemu-img commit $b s"
        printf '%s %s %s\n' "$live" "$a" "$b" >> merge.txt
    done
    guest_destroy merge 2> /dev/null
    for i in 1 2; do
        note "merge against qemu-img commit, $([ $i = 1 ] &&
            echo running || echo off): $(awk -v i=$i '$1 + 0 > 0 {
                print $i / $3 }' merge.txt | median)"
    done
}

# ---- backup-save, 256 MiB, against the same by qemu-img and by cp
pulled()
{
    xl backup-start --pull --json "$1" > pull.json &&
        qemu-img convert -m 2 -f raw -O qcow2 \
            "$(jq -r '.disks[0].uri' pull.json)" "$2" &&
        sync "$2" && xl backup-stop "$1"
}

copied()
{
    cp --reflink=never "$1" "$2" && sync "$2"
}

save()
{
    local image=$lab_images/save-xvda.qcow2 out=$lab_images/out i a b c

    guest_create save pv 512M || return
    guest_destroy save
    fill "$image" 7
    guest_start save
    guest_wait_ticks save 2
    for i in $(seq 0 "${BENCH_LIVE_ROUNDS:-3}"); do
        mkdir "$out"
        a=$(seconds xl backup-save --full "save" "$out/sets")
        b=$(seconds pulled save "$out/pulled.qcow2")
        c=$(seconds copied "$image" "$out/copy.qcow2")
        note "backup-save, round $i: $a s; backup-start --pull, qemu-img" \
            "convert -m 2, sync, backup-stop: $b s; cp, sync: $c s"
        rm -rf "$out"
        [ "$i" -eq 0 ] || printf '%s %s %s\n' "$a" "$b" "$c" >> save.txt
    done
    guest_destroy save
    under "backup-save against a pull by qemu-img convert -m 2" 1.0 \
        "$(awk '{ print $1 / $2 }' save.txt | median)"
    note "backup-save against cp: $(awk '{ print $1 / $3 }' save.txt | median)"
}

for part in ${BENCH_PARTS:-wall_pv wall_hvm eight_disks resident live
    compressed merge save}; do
    case $part in
    wall_pv)
        # Some 1.5 s of it doesn't grow with the memory, and is the emulation's:
        # programs that start, commands to QEMU (see run). A guest of 4 GiB, so
        # that it counts no more than 50 ms do on a real machine.
        wall w-pv pv 4096 1.05 ;;
    wall_hvm)
        wall w-hvm hvm 4096 1.05 ;;
    resident)
        resident 256
        resident 1024 ;;
    live)
        live 1 0.05
        # Without a limit: what it writes to in the last round counts.
        live 20 ;;
    *) $part ;;
    esac
done
