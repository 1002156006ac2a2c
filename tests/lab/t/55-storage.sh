# SPDX-License-Identifier: LGPL-2.1-only
#
# Snapshots that the storage keeps: raw files on btrfs, behind QEMU and
# behind blkback's loop device; LVM thin volumes; and a domain with one disk
# of each kind.  Domains without any QEMU among them.

# ---- a volume group and a filesystem on files of dom0's own disk

lvm_conf()
{
    mkdir -p /etc/lvm
    # Nobody answers udev's events in this dom0.
    cat > /etc/lvm/lvm.conf <<'CONF'
activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }
devices { obtain_device_list_from_udev = 0
          external_device_info_source = "none"
          use_devicesfile = 0 }
CONF
    export DM_DISABLE_UDEV=1
}

make_storage()
{
    modprobe dm-thin-pool && modprobe btrfs || return 1
    lvm_conf
    mkdir -p /var/lib/lab-storage /mnt/btrfs || return 1
    cd /var/lib/lab-storage || return 1
    truncate -s 1G pv.img btrfs.img
    mkfs.btrfs -q btrfs.img && mount -o loop btrfs.img /mnt/btrfs || return 1
    pv=$(losetup -f --show pv.img) || return 1
    vgcreate -q vg-lab "$pv" && lvcreate -q -L 600M -T vg-lab/pool &&
        lvcreate -q -V 256M -T vg-lab/pool -n thin-a &&
        lvcreate -q -V 64M -T vg-lab/pool -n thin-b &&
        lvcreate -q -L 64M -n thick vg-lab
}

# Snapshot files and volumes, and what a revert may leave half-way.
extra()
{
    find /mnt/btrfs -type f -name '*.raw.*'
    lvs --noheadings -o lv_name vg-lab |
        grep -v '^ *\(pool\|thin-a\|thin-b\|thick\) *$'
} 2> /dev/null

raw()
{
    [ -e "/mnt/btrfs/$1.raw" ] ||
        qemu-img create -q -f raw "/mnt/btrfs/$1.raw" "${2:-64M}"
    printf 'format=raw,vdev=%s,access=rw,backendtype=%s,target=%s' \
        "$3" "$4" "/mnt/btrfs/$1.raw"
}

thin()
{
    printf 'format=raw,vdev=%s,access=rw,backendtype=phy,target=%s' "$2" "$1"
}

kinds_of()
{
    xl snapshot-info --json "$1" s1 |
        jq -r '[.args.disks[] | keys[] | select(startswith("kind."))] |
            join(" ")'
}

no_qemu()
{
    check_equal "$1: it has no QEMU" "" "$(qemu_pid "$2" 2> /dev/null)"
}

# round LABEL NAME TICK: run on, revert, compare.
round()
{
    local label=$1 name=$2 tick=$3 first

    guest_wait_ticks "$name" 3
    guest_mark "$name"
    check "$label: snapshot-revert" xl -vvv snapshot-revert "$name" s1 ||
        { show_logs "$name"; return 1; }
    check "$label: ticks on" guest_goes_on "$name" || return 1
    first=$(guest_back_at "$name")
    [ "$first" -ge "$tick" ] && [ "$first" -le "$taken_by" ] &&
        ok "$label: from the snapshot's tick" ||
        fail "$label: from the snapshot's tick" "$tick, $first"
    check "$label: memory and disks agree" guest_check "$name"
    going "$label: after it" "$name"
}

# life LABEL TYPE KINDS DISK...
life()
{
    local label=$1 type=$2 kinds=$3 name=$1 tick

    shift 3
    check "$label: boots" guest_create "$name" "$type" "$@" || return 0
    guest_wait_ticks "$name" 2
    [ "$label" = qdisk ] || [ "$label" = mixed ] || [ "$type" = hvm ] ||
        no_qemu "$label" "$name"
    tick=$(guest_tick "$name")
    check "$label: snapshot-create" xl -vvv snapshot-create -n s1 "$name" ||
        { show_logs "$name"; guest_destroy "$name"; return 0; }
    # Its console is some ticks behind, its start as slow as the machine is.
    taken_by=$(($(guest_tick "$name") + 2))
    check_equal "$label: each disk has its kind" "$kinds" "$(kinds_of "$name")"
    note "$label: $(extra | tr -s ' \n' ' ')"
    check "$label: snapshot-info says how to restore it" \
        grep -q '^    \(cp --reflink\|lvcreate\|qemu-img\) ' \
        <(xl snapshot-info "$name" s1)
    check "$label: runs on" guest_wait_ticks "$name" 2
    check "$label: memory and disks are right" guest_check "$name"
    round "$label, 1" "$name" "$tick" && round "$label, 2" "$name" "$tick"
    check "$label: snapshot-delete" xl snapshot-delete "$name" s1
    check_equal "$label: nothing is left" "" "$(extra)"
    check "$label: runs on after delete" guest_wait_ticks "$name" 2
    check "$label: right after delete" guest_check "$name"
    guest_destroy "$name"
}

need "a thin pool and a btrfs" make_storage

life qdisk pv kind.reflink "$(raw q 64M xvda qdisk)"
life loop pv kind.reflink "$(raw l 64M xvda phy)"
life lvm pv "kind.lvm kind.lvm" "$(thin /dev/vg-lab/thin-a xvda)" \
    "$(thin /dev/mapper/vg--lab-thin--b xvdb)"

# ---- one of each kind; then what is refused, and a disk that is left out

life mixed pv "kind.internal kind.reflink kind.lvm" 256M \
    "$(raw m 64M xvdb qdisk)" "$(thin /dev/vg-lab/thin-b xvdc)"

if check "a thick volume: boots" guest_create out pv 64M \
    "$(thin /dev/vg-lab/thick xvdb)"; then
    guest_wait_ticks out 2
    sentence=$(xl snapshot-create -n s1 out 2>&1)
    check_equal "a thick volume: refused with exit status 6" 6 $?
    check "a thick volume: says why" grep -q 'no thin volume' <<< "$sentence"
    check "a thick volume can be left out" \
        xl snapshot-create -n s1 --disk xvdb,kind=none out
    check_equal "snapshot-info says so" "kind.internal kind.none" \
        "$(kinds_of out)"
    check "and shows it" grep -q '^xvdb *none' <(xl snapshot-info out s1)
    check "snapshot-delete" xl snapshot-delete out s1
    guest_destroy out
fi
