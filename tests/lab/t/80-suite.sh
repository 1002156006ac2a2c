# SPDX-License-Identifier: LGPL-2.1-only
#
# What depends on the release of Xen and QEMU, on whichever this host has:
# who looks after a domain, stock xl and our images, images that QEMU made
# inactive, a disk that QEMU has open twice.

name=suite
minor=$(cat /sys/hypervisor/version/minor)

libraries_found()
{
    local all

    all=$(find /usr/local/sbin /usr/local/lib /usr/local/libexec -type f \
        \( -name 'xl-snapshot*' -o -name '*.so*' \) -exec ldd {} +)
    printf '%s\n' "$all" | grep 'not found' && return 1
    printf '%s\n' "$all" | grep -q "libxenlight.so.4.$minor => /"
}

check "all libraries are there, of this Xen" libraries_found

# Up to 4.17 xl's monitor ends when its domain suspends.
looked_after()
{
    local what=$1 want=$2 now

    wait_for 60 one_monitor $name
    now=$(monitors $name)
    case $now in
    "$want"*) ok "$what" ;;
    *) fail "$what" "'$now', not '$want'" || true ;;
    esac
}

restarted()
{
    local now

    now=$(domid $name) && [ "$now" != "$1" ] && booted $name
}

# Inactive nodes: nobody may write. Only QEMU 10 and later tell.
inactive_nodes()
{
    qmp "$1" query-named-block-nodes |
        jq -r '.return | arrays | .[] | select(.active == false) |
               ."node-name"'
}

disk_node()
{
    qmp "$1" query-block | grep -q "\"node-name\": \"$2\""
}

need "pv: boots" guest_create $name pv 64M
guest_wait_ticks $name 3
stock=$(monitors $name)
check "pv: snapshot-create" xl snapshot-create -n s1 $name
at=$(guest_tick $name)
if [ "$minor" -ge 20 ]; then
    looked_after "pv: xl's own monitor goes on" "$stock"
else
    looked_after "pv: our monitor follows xl's" "ours"
fi
check "pv: the disk's node is called after it" disk_node $name xvda-qcow2

old=$(domid $name)
guest_mark $name
guest_cmd $name reboot
check "pv: on_reboot=restart after snapshot-create" \
    wait_for 300 restarted "$old"

# Past the snapshot's tick: going back shows by a smaller one.
guest_wait_tick $name $((at + 1))
guest_mark $name
check "pv: snapshot-revert" xl snapshot-revert $name s1
check "pv: ticks on" guest_goes_on $name
check "pv: memory and disk agree" guest_check $name
looked_after "pv: our monitor looks after it" "ours"
old=$(domid $name)
guest_mark $name
guest_cmd $name reboot
check "pv: on_reboot=restart after snapshot-revert" \
    wait_for 300 restarted "$old"
looked_after "pv: and it still does" "ours"

image=$(xl snapshot-info --json $name s1 | jq -r .memory.path)
disk=$(images_of $name)
guest_destroy $name
check "pv: qemu-img takes the disk back" qemu-img snapshot -a s1 "$disk"
guest_mark $name
check "pv: stock xl restores our image" /usr/sbin/xl restore "$image"
check "pv: which ticks on" guest_wait_ticks $name 2
check "pv: with memory and disk in agreement" guest_check $name

# A save between, by the stock xl, disturbs nothing.
check "pv: stock xl saves it and goes on" xl save -c $name stock.save
rm -f stock.save
check "pv: another snapshot after that" xl snapshot-create -n s2 $name
check "pv: snapshots are deleted" sh -c \
    "xl snapshot-delete $name s2 && xl snapshot-delete $name s1"
nothing_left "pv: nothing is left behind" $name
guest_destroy $name
clean_images "pv: the image is clean" $name

# QEMU has this guest's image open twice, and both forget what they knew.
name=twin
need "hvm-nopv: boots" guest_create $name hvm-nopv 64M
guest_wait_ticks $name 2
check "hvm-nopv: snapshot-create" xl snapshot-create -n s1 $name
check_equal "hvm-nopv: no image is left inactive" "" "$(inactive_nodes $name)"
check "hvm-nopv: runs on" guest_wait_ticks $name 2
guest_mark $name
check "hvm-nopv: snapshot-revert" xl snapshot-revert $name s1
check "hvm-nopv: ticks on" guest_goes_on $name
check "hvm-nopv: memory and disk agree" guest_check $name
check "hvm-nopv: snapshot-delete" xl snapshot-delete $name s1
check_equal "hvm-nopv: still none is inactive" "" "$(inactive_nodes $name)"
check "hvm-nopv: right after delete" guest_check $name
guest_destroy $name
clean_images "hvm-nopv: the image is clean" $name
