# SPDX-License-Identifier: LGPL-2.1-only
# shellcheck shell=bash
#
# Helpers for the scripts that run in dom0.  Sourced before each of them.
# All return 0 for success; none exits but `need` and `skip`.

lab_guest=/var/lib/lab/guest
lab_images=/var/lib/xen/images
lab_cfgs=/run/lab/cfg
lab_consoles=/var/log/xen/console
# Seconds; emulation is slow, and a loaded machine slower.
lab_boot_timeout=${LAB_BOOT_TIMEOUT:-300}
lab_tick_timeout=${LAB_TICK_TIMEOUT:-60}

# Stock xl for what the helpers themselves ask, neither by ours nor by
# Debian's script: three programs to start are three times as slow.
lab_xl=$(ls /usr/lib/xen-*/bin/xl 2>/dev/null | head -n 1)

mkdir -p "$lab_cfgs" "$lab_images"

# ---- saying what came out

ok()
{
    printf 'ok - %s\n' "$1"
}

# fail NAME [WHY]
fail()
{
    printf 'not ok - %s%s\n' "$1" "${2:+: $2}"
    return 1
}

note()
{
    printf '%s\n' "$*" | sed 's/^/# /'
}

# check NAME COMMAND...: what the command printed is shown if it fails.
check()
{
    local _what=$1 _out _rc=0

    shift
    _out=$(mktemp)
    "$@" > "$_out" 2>&1 || _rc=$?
    if [ "$_rc" -eq 0 ]; then
        ok "$_what"
    else
        tail -n 30 "$_out" | sed -e 's/^/#   /' -e '$a\'
        fail "$_what" "exit status $_rc of $*" || true
    fi
    rm -f "$_out"
    return "$_rc"
}

# check_fails NAME COMMAND...: the opposite.
check_fails()
{
    local _what=$1 _out _rc=0

    shift
    _out=$(mktemp)
    "$@" > "$_out" 2>&1 || _rc=$?
    [ "$_rc" -ne 0 ] || tail -n 30 "$_out" | sed -e 's/^/#   /' -e '$a\'
    rm -f "$_out"
    [ "$_rc" -ne 0 ] || { fail "$_what" "succeeded: $*"; return; }
    ok "$_what"
}

# check_status STATUS NAME COMMAND...: it ends with exactly this status.
check_status()
{
    local _want=$1 _what=$2 _out _rc=0

    shift 2
    _out=$(mktemp)
    "$@" > "$_out" 2>&1 || _rc=$?
    [ "$_rc" -eq "$_want" ] || tail -n 30 "$_out" | sed -e 's/^/#   /' -e '$a\'
    rm -f "$_out"
    [ "$_rc" -eq "$_want" ] ||
        { fail "$_what" "exit status $_rc, not $_want, of $*"; return; }
    ok "$_what"
}

check_equal()
{
    [ "$2" = "$3" ] || { fail "$1" "expected '$2', got '$3'"; return; }
    ok "$1"
}

# need NAME COMMAND...: without it the rest of the script makes no sense.
need()
{
    check "$@" || exit 1
}

skip()
{
    note "skip: $*"
    exit 77
}

# Times are given for a machine that is as fast as most; this many times that.
lab_patience=3

# wait_for TIMEOUT COMMAND...: until it succeeds.
wait_for()
{
    local end=$((SECONDS + $1 * lab_patience))

    shift
    until "$@" > /dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        # Under emulation each look costs more than it seems.
        sleep 0.5
    done
}

# ---- domains

domid()
{
    "$lab_xl" domid "$1" 2>/dev/null
}

domain_exists()
{
    "$lab_xl" domid "$1" > /dev/null 2>&1
}

domain_gone()
{
    ! domain_exists "$1"
}

# The letters of `xl list`, e.g. -b---- or --p---
domain_state()
{
    "$lab_xl" list "$1" 2>/dev/null | awk 'NR == 2 { print $5 }'
}

domain_paused()
{
    case $(domain_state "$1") in
    ??p*) return 0 ;;
    esac
    return 1
}

qemu_pid()
{
    xenstore-read "/local/domain/$(domid "$1")/image/device-model-pid"
}

# The QMP socket of a domain (by name) that libxl itself uses.
qmp_socket()
{
    printf '/var/run/xen/qmp-libxl-%s\n' "$(domid "$1")"
}

# ---- guests with a counter

_guest_log()
{
    printf '%s/guest-%s.log\n' "$lab_consoles" "$1"
}

_guest_size()
{
    stat -c %s "$(_guest_log "$1")" 2>/dev/null || echo 0
}

# From here on guest_tick, guest_wait_tick, guest_first_tick and guest_check
# look only at what the guest prints anew.  To be called before a revert:
# the counter goes back, the log does not.
guest_mark()
{
    _guest_size "$1" > "/run/lab/$1.mark"
}

# All that the guest ever printed.
guest_console()
{
    cat "$(_guest_log "$1")" 2>/dev/null
}

# What it printed since the mark.
guest_console_new()
{
    local mark=0

    [ ! -e "/run/lab/$1.mark" ] || mark=$(cat "/run/lab/$1.mark")
    tail -c "+$((mark + 1))" "$(_guest_log "$1")" 2>/dev/null
}

# Prints the "first" or "last" tick since the mark.  A last line without its
# end isn't one yet.
_guest_tick()
{
    guest_console_new "$2" | awk -v which="$1" '
        /^tick [0-9]+ (ok|BAD mismatches=[0-9]+)\r?$/ {
            tick = $2
            if (which == "first") exit
        }
        END { if (tick == "") exit 1; print tick }'
}

guest_tick()
{
    _guest_tick last "$1"
}

guest_first_tick()
{
    _guest_tick first "$1"
}

_guest_reached()
{
    local tick

    tick=$(guest_tick "$1") && [ "$tick" -ge "$2" ]
}

_guest_show()
{
    printf '%s: the end of the console of %s:\n' "$2" "$1"
    guest_console "$1" | tail -n 12 | sed '$a\'
    xl list 2>&1
    return 1
}

# guest_wait_tick NAME N [TIMEOUT]
guest_wait_tick()
{
    wait_for "${3:-$lab_tick_timeout}" _guest_reached "$1" "$2" ||
        _guest_show "$1" "no tick $2"
}

# guest_wait_ticks NAME COUNT [TIMEOUT]: as many more than now.
guest_wait_ticks()
{
    local now

    now=$(guest_tick "$1") || now=0
    guest_wait_tick "$1" $((now + $2)) "${3:-}"
}

# guest_cmd NAME COMMAND...: writes a line to the guest's console.
guest_cmd()
{
    local name=$1 id tty

    shift
    id=$(domid "$name") || return 1
    tty=$(xenstore-read "/local/domain/$id/serial/0/tty" 2>/dev/null ||
        xenstore-read "/local/domain/$id/console/tty") || return 1
    # QEMU looks only once a second whether someone is there, so stay for a
    # while; and read, as nobody else takes what the guest prints.
    (
        exec 9<> "$tty"
        printf '%s\n' "$*" >&9
        timeout 3 cat <&9 > /dev/null
    ) > /dev/null 2>&1 &
}

# guest_wait_line NAME FROM PATTERN [TIMEOUT]: prints the first line after
# the byte FROM of the log that matches.
guest_wait_line()
{
    local end=$((SECONDS + ${4:-$lab_tick_timeout} * lab_patience))

    until tail -c "+$(($2 + 1))" "$(_guest_log "$1")" 2>/dev/null |
        tr -d '\r' | grep -m 1 "$3"
    do
        [ "$SECONDS" -lt "$end" ] || return 1
        # Under emulation each look costs more than it seems.
        sleep 0.5
    done
}

# guest_ask NAME PATTERN COMMAND...: gives a command and waits for the answer.
guest_ask()
{
    local name=$1 pattern=$2 from

    shift 2
    from=$(_guest_size "$name")
    guest_cmd "$name" "$@" || return 1
    guest_wait_line "$name" "$from" "$pattern" ||
        _guest_show "$name" "no answer to '$*'"
}

# guest_check NAME: the guest reads all its blocks and memory now.  Fails if
# anything is, or since the mark was, not as it must be.
guest_check()
{
    local answer

    answer=$(guest_ask "$1" '^check \(ok\|BAD\) .*' check) ||
        { printf '%s\n' "$answer"; return 1; }
    printf '%s\n' "$answer"
    case $answer in
    'check ok '*) ;;
    *) guest_console_new "$1" | grep -m 5 'MISMATCH\|IOERROR'; return 1 ;;
    esac
    ! guest_console_new "$1" | grep -m 5 'MISMATCH\|IOERROR\|BAD'
}

guest_cfg()
{
    printf '%s/%s.cfg\n' "$lab_cfgs" "$1"
}

_disk_vdev()
{
    printf 'xvd%s\n' "$(printf 'abcdefghijklmnop' | cut -c "$1")"
}

# guest_config NAME pv|pvh|hvm|hvm-nopv [-m MIB] [-c VCPUS]
#              [-k KERNEL_ARGUMENTS] [-i INITRD] [-x CFG_LINE]... [DISK...]
# Writes the guest's configuration.  DISK: SIZE[:FORMAT], an image that is
# made if it isn't there (NAME-xvda.qcow2, … in order; qcow2 or raw); or a
# disk of the xl syntax, which has a '='.  Without any: one of 1G.
guest_config()
{
    local name=$1 type=$2 n=0 counted=0 disks= disk path format
    local OPTIND=1 opt mem=128 vcpus=1 args= extra= initrd=initrd

    shift 2
    while getopts m:c:k:i:x: opt; do
        case $opt in
        m) mem=$OPTARG ;;
        c) vcpus=$OPTARG ;;
        k) args=$OPTARG ;;
        i) initrd=$OPTARG ;;
        x) extra+=$OPTARG$'\n' ;;
        *) return 2 ;;
        esac
    done
    shift $((OPTIND - 1))
    [ $# -gt 0 ] || set -- 1G
    for disk in "$@"; do
        n=$((n + 1))
        case $disk in
        *=*)
            case $disk in
            *access=r,* | *access=ro* | *cdrom*) counted=$((counted - 1)) ;;
            esac ;;
        none) n=$((n - 1)); continue ;;
        *)
            format=qcow2
            case $disk in *:*) format=${disk#*:} ;; esac
            path=$lab_images/$name-$(_disk_vdev $n).$format
            [ -e "$path" ] ||
                qemu-img create -q -f "$format" "$path" "${disk%%:*}" ||
                return 1
            disk="format=$format,vdev=$(_disk_vdev $n),access=rw,target=$path"
            ;;
        esac
        counted=$((counted + 1))
        disks+="${disks:+, }\"$disk\""
    done
    _guest_write_cfg > "$(guest_cfg "$name")"
}

_guest_write_cfg()
{
    local kernel=vmlinux console=hvc0 log

    log=$(_guest_log "$name")
    case $type in
    hvm*) kernel=hvmboot console=ttyS0 ;;
    esac
    case $type in
    # The emulated disk stays in use, and nobody answers xenstore.
    hvm-nopv) args="xen_nopv $args" ;;
    esac
    # rodata=off: see boot.sh.
    # One processor is dom0's too: a guest that takes all of it slows each
    # command down.
    args="console=$console quiet mitigations=off rodata=off panic=1 $args"
    args+=" lab.rate=3 lab.reads=8"
    cat <<EOF
name = "$name"
type = "${type%%-*}"
kernel = "$lab_guest/$kernel"
cmdline = "$args lab.disks=$counted"
memory = $mem
vcpus = $vcpus
disk = [ $disks ]
EOF
    case $type in
    hvm*)
        # A serial console that is logged, over the restarts of QEMU too.
        # The kernel and its initramfs are put into memory by QEMU, which
        # is faster by half a minute than its own loader (hvmboot/boot.c).
        cat <<EOF
device_model_args_hvm = [
    "-chardev", "pty,id=serial0,logfile=$log,logappend=on",
    "-serial", "chardev:serial0",
    "-device", "loader,file=$lab_guest/vmlinux",
    "-device",
    "loader,file=$lab_guest/$initrd.hvm,addr=0x400000,force-raw=on" ]
vnc = 0
vga = "none"
usb = 0
EOF
        ;;
    *) printf 'ramdisk = "%s/%s"\n' "$lab_guest" "$initrd" ;;
    esac
    printf '%s' "$extra"
}

# Looks for the tick often, for the domain (which is dear) now and then.
_guest_wait_first_tick()
{
    local end=$((SECONDS + lab_boot_timeout)) n=0

    while [ "$SECONDS" -lt "$end" ]; do
        sleep 0.5
        ! guest_tick "$1" > /dev/null || return 0
        n=$((n + 1))
        [ $((n % 8)) -ne 0 ] || domain_exists "$1" || return 1
    done
    return 1
}

# guest_start NAME [XL_CREATE_OPTION...]: creates the domain by stock xl and
# waits for its first tick.  A PVH guest may die in its first second under
# emulation; only before its first tick it is started again.
guest_start()
{
    local name=$1 try

    shift
    for try in 1 2 3; do
        guest_mark "$name"
        "${LAB_XL:-xl}" create "$@" "$(guest_cfg "$name")" || return 1
        ! _guest_wait_first_tick "$name" || return 0
        domain_gone "$name" || break
        note "$name went away before its first tick (start $try)"
    done
    _guest_show "$name" "no first tick"
}

# guest_create: as guest_config, then starts it.
guest_create()
{
    guest_config "$@" && guest_start "$1"
}

_process_gone()
{
    [ ! -d "/proc/$1" ]
}

# guest_destroy NAME: and its QEMU has closed its images.
guest_destroy()
{
    local pid

    pid=$(qemu_pid "$1" 2>/dev/null) || pid=
    xl destroy "$1" || return 1
    [ -z "$pid" ] || wait_for 30 _process_gone "$pid"
}

# To be defined by scripts that can tell what must not be left behind.
leftovers()
{
    :
}
