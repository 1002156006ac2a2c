# SPDX-License-Identifier: LGPL-2.1-only
#
# The life of a snapshot on each type of guest: create, run on, revert,
# revert again, delete.  Memory and disks agree each time, by the guest's own
# account; the images are clean; nothing is left behind.

# The last one takes as long as the others together; tests/qemu has its case
# (test_life_twin) in each run.
types=${LAB_TYPES:-pv pvh hvm ${LAB_LONG:+hvm-nopv}}
rounds=${LAB_ROUNDS:-2}

life()
{
    local type=$1 name=l-$1 tick after first round

    check "$type: boots with two disks and a CD-ROM" guest_create "$name" \
        "$type" 256M 64M "$(cdrom)" || return 0
    guest_wait_ticks "$name" 2
    tick=$(guest_tick "$name")
    check "$type: snapshot-create" xl snapshot-create -n s1 "$name" ||
        { show_logs "$name"; return 0; }
    # Its console is some ticks behind, its start as slow as the machine is.
    after=$(($(guest_tick "$name") + 2))
    check "$type: runs on" guest_wait_ticks "$name" 2
    check "$type: memory and disks are right" guest_check "$name"
    going "$type: after snapshot-create" "$name"
    has_snapshot "$type: both disks have it" "$name" s1

    for round in $(seq "$rounds"); do
        guest_wait_ticks "$name" 4
        guest_mark "$name"
        check "$type: snapshot-revert, $round" \
            xl snapshot-revert "$name" s1 || { show_logs "$name"; return 0; }
        check "$type: ticks on, $round" guest_goes_on "$name"
        first=$(guest_back_at "$name")
        [ "$first" -ge "$tick" ] && [ "$first" -le "$after" ] &&
            ok "$type: from the snapshot's tick, $round" ||
            fail "$type: from the snapshot's tick, $round" \
                "$first is not from $tick to $after"
        check "$type: memory and disks agree, $round" guest_check "$name"
        going "$type: after snapshot-revert, $round" "$name"
    done

    check "$type: snapshot-delete" xl snapshot-delete "$name" s1
    check_equal "$type: snapshot-list is empty" "" \
        "$(xl snapshot-list --name "$name")"
    check "$type: runs on after delete" guest_wait_ticks "$name" 3
    check "$type: memory and disks are right after delete" \
        guest_check "$name"
    going "$type: after snapshot-delete" "$name"
    nothing_left "$type: nothing is left behind" "$name"
    guest_destroy "$name"
    clean_images "$type: the images are clean" "$name"
}

for type in $types; do
    life "$type"
    # A guest that is left over takes the next one's time.
    domain_gone "l-$type" || guest_destroy "l-$type"
done
