# SPDX-License-Identifier: LGPL-2.1-only
#
# What must still work after a snapshot and after a revert: on_reboot and
# on_poweroff, stock `xl restore`, a paused domain, a guest that hangs.

name=after

# The guest restarts itself, and a new domain comes of it.
restarts()
{
    local what=$1 old

    old=$(domid $name)
    check "$what: one monitor looks after the domain" \
        wait_for 60 one_monitor $name
    guest_mark $name
    guest_cmd $name reboot
    new_domain() { local id; id=$(domid $name) && [ "$id" != "$old" ]; }
    check "$what: on_reboot=restart makes a new domain" \
        wait_for 60 new_domain
    check "$what: which boots" guest_wait_boot $name
    check "$what: still one monitor" wait_for 60 one_monitor $name
}

need "a guest" guest_create $name pv 256M
guest_wait_ticks $name 3
check "snapshot-create" xl snapshot-create -n s1 $name
restarts "after snapshot-create"
guest_mark $name
check "snapshot-revert" xl snapshot-revert $name s1
check "ticks on" guest_goes_on $name
check "memory and disk agree" guest_check $name
restarts "after snapshot-revert"
check "another snapshot of the restarted guest" \
    xl snapshot-create -n s2 $name
check "of which the first is the parent" sh -c \
    "xl snapshot-info --json $name s2 | jq -e '.parent == \"s1\"'"
guest_cmd $name poweroff
check "on_poweroff=destroy ends the domain" wait_for 60 domain_gone $name
check "no monitor is left" wait_for 60 sh -c '! pgrep -f [s]napshot-monitor'

# ---- stock xl restore of our image
image=$(xl snapshot-info --json $name s1 | jq -r .memory.path)
check "the image is there, for root alone" \
    test "$(stat -c %a "$image")" = 600
disk=$(images_of $name)
check "qemu-img takes the disk back" qemu-img snapshot -a s1 "$disk"
guest_mark $name
check "stock xl restores our image" /usr/sbin/xl restore "$image"
check "which ticks on" guest_wait_ticks $name 5
check "with memory and disk in agreement" guest_check $name

# ---- paused
xl pause $name
check "snapshot-create of a paused domain" xl snapshot-create -n p1 $name
check "leaves it paused" domain_paused $name
xl unpause $name
check "it goes on" guest_wait_ticks $name 3
check "snapshot-revert of a snapshot taken paused" \
    xl snapshot-revert $name p1
check "leaves it paused" domain_paused $name
check "snapshots can be deleted while it is" xl snapshot-delete $name p1
guest_mark $name
xl unpause $name
check "unpaused, it goes on" guest_wait_ticks $name 3
check "snapshot-revert --paused" xl snapshot-revert --paused $name s1
check "leaves it paused" domain_paused $name
xl unpause $name

# ---- a guest that hangs is reverted all the same
guest_mark $name
guest_wait_ticks $name 3
check "the guest hangs" guest_ask $name '^hanging' hang
check_status 1 "a guest that hangs can't be snapshotted" \
    xl snapshot-create -n hung $name
going "the guest that hangs is left running" $name
guest_mark $name
check "but reverted" xl snapshot-revert --no-safety $name s1
check "to where it ticks" guest_goes_on $name
check "with memory and disk in agreement" guest_check $name

xl snapshot-delete $name s2
check "the last snapshot goes" xl snapshot-delete $name s1
nothing_left "nothing is left behind" $name
guest_destroy $name
clean_images "the image is clean" $name
