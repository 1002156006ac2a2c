# SPDX-License-Identifier: LGPL-2.1-only
#
# What the snapshot tests share.

catalogue=/var/lib/xen/snapshots

# An ISO for a CD-ROM drive, in the syntax of xl.
cdrom()
{
    [ -e /tmp/cd.iso ] || dd if=/dev/urandom of=/tmp/cd.iso bs=1M count=1 \
        status=none
    printf 'format=raw,vdev=hdc,access=ro,devtype=cdrom,target=/tmp/cd.iso\n'
}

# One QMP command on libxl's socket, under libxl's lock.
qmp()
{
    qmp_raw "$1" "{\"execute\":\"$2\"}"
}

qmp_raw()
{
    local name=$1 command=$2 id lock

    id=$(domid "$name") || return 1
    lock=/var/lib/xen/userdata-l.$id.$(uuid_of "$name").qmp-socket-lock
    (
        flock 9
        printf '%s\n%s\n' '{"execute":"qmp_capabilities"}' \
            "$command" |
            timeout 10 socat -t 0.5 - "unix:/var/run/xen/qmp-libxl-$id"
        rm -f "$lock"
    ) 9> "$lock"
}

# The first tick since the mark that is no greater than the one before it:
# where a revert took the guest back to.
guest_back_at()
{
    local last

    last=$(guest_console "$1" | head -c "$(cat "/run/lab/$1.mark")" |
        tr -d '\r' | awk '$1 == "tick" { t = $2 } END { print t }')
    guest_console_new "$1" | tr -d '\r' |
        awk -v last="$last" '$1 == "tick" && $3 ~ /^(ok|BAD)/ {
                 if ($2 + 0 <= last + 0) { print $2; exit }
                 last = $2
             }' | grep .
}

# After a revert: it counts on from where it went back to. Its old self may
# have printed something behind the mark.
guest_goes_on()
{
    wait_for "$lab_tick_timeout" guest_back_at "$1" && guest_wait_ticks "$1" 2
}

uuid_of()
{
    xenstore-read "$(xenstore-read "/local/domain/$(domid "$1")/vm")/uuid"
}

# The domain runs: not suspended, not paused, and so does its QEMU, which is
# asked as stock libxl asks it.
going()
{
    local id state

    read -r id state < <("$lab_xl" list "$2" 2>/dev/null |
        awk 'NR == 2 { print $2, $5 }')
    case $state in
    ??-?--*) ;;
    *) fail "$1: the domain runs" "$state"; return ;;
    esac
    # A domain with blkback's disks alone has no QEMU.
    ! xenstore-read "/local/domain/$id/image/device-model-pid" \
        > /dev/null 2>&1 ||
        "$lab_xl" qemu-monitor-command "$id" "info status" |
            grep -q 'status: running' ||
        { fail "$1: its QEMU runs"; return; }
    ok "$1: domain and QEMU run"
}

# taken LABEL NAME OPTION...: a snapshot, after which the guest goes on.
# Between which ticks it was taken is in `tick` and `after`.
taken()
{
    local label=$1 domain=$2

    shift 2
    guest_wait_ticks "$domain" 2
    tick=$(guest_tick "$domain")
    check "$label: snapshot-create" xl snapshot-create "$@" "$domain" ||
        { show_logs "$domain"; return 1; }
    # Its console is some ticks behind, its start as slow as the machine is.
    after=$(($(guest_tick "$domain") + 2))
    check "$label: runs on, over old blocks and new" \
        guest_wait_ticks "$domain" 4
    check "$label: memory and disks are right" guest_check "$domain"
    going "$label" "$domain"
}

# reverted LABEL NAME SNAPSHOT TICK AFTER
reverted()
{
    local first

    guest_mark "$2"
    check "$1: snapshot-revert" xl snapshot-revert "$2" "$3" ||
        { show_logs "$2"; return 1; }
    check "$1: ticks on" guest_goes_on "$2"
    first=$(guest_back_at "$2")
    [ "$first" -ge "$4" ] && [ "$first" -le "$5" ] &&
        ok "$1: from the snapshot's tick" ||
        fail "$1: from the snapshot's tick" "$first is not from $4 to $5"
    check "$1: memory and disks agree" guest_check "$2"
    going "$1" "$2"
}

# Where libxl says that the first disk is.
disk_path()
{
    xl list -l "$1" | jq -r '.[0].config.disks[0].pdev_path'
}

images_of()
{
    ls "$lab_images/$1"-xvd*.qcow2
}

image_snapshots()
{
    qemu-img snapshot -U -l "$1" | awk 'NR > 2 { print $2 }'
}

has_snapshot()
{
    local image

    for image in $(images_of "$2"); do
        image_snapshots "$image" | grep -qx "$3" ||
            { fail "$1" "not in $image"; return; }
    done
    ok "$1"
}

clean_images()
{
    local image

    for image in $(images_of "$2"); do
        qemu-img check -q -f qcow2 "$image" ||
            { fail "$1" "$image"; return; }
    done
    ok "$1"
}

# No snapshot in an image, no file in the catalogue, no process of ours.
nothing_left()
{
    local image uuid left=

    uuid=$(uuid_of "$2")
    for image in $(images_of "$2"); do
        left+=$(image_snapshots "$image")
    done
    left+=$(find "$catalogue/$uuid" -type f ! -name domain.json \
        ! -name lock 2>/dev/null)
    left+=$(pgrep -a xl-snapshot-gua)
    left+=$(find /var/lib/xen -name '*qmp-socket-lock')
    [ -z "$left" ] && ok "$1" || fail "$1" "$left"
}

# The guest booted since the mark, and ticks.
guest_wait_boot()
{
    wait_for 90 booted "$1"
}

booted()
{
    guest_console_new "$1" | grep -q '^boot: disk' &&
        guest_console_new "$1" | sed '1,/^boot: disk/d' | grep -q '^tick'
}

# Processes that act on the domain's end: xl's own and ours; a line for each.
monitors()
{
    local pid exe

    for pid in /proc/[0-9]*; do
        exe=$(readlink "$pid/exe" 2>/dev/null) || continue
        case $exe in
        */xen-*/bin/xl)
            [ "$(readlink "$pid/fd/1")" != "/var/log/xen/xl-$1.log" ] ||
                echo "xl ${pid#/proc/}" ;;
        */xl-snapshot)
            ! tr '\0' ' ' < "$pid/cmdline" | grep -q snapshot-monitor ||
                echo "ours ${pid#/proc/}" ;;
        esac
    done
}

one_monitor()
{
    [ "$(monitors "$1" | wc -l)" = 1 ]
}

show_logs()
{
    guest_console "$1" | tail -n 5
    tail -n 5 /var/log/xen/xl-snapshot-guard.log "/var/log/xen/qemu-dm-$1.log"
    xl list
    return 1
} 2>&1
