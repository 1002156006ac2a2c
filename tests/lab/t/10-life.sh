# SPDX-License-Identifier: LGPL-2.1-only
#
# The life of a snapshot on each type of guest: create, run on, revert,
# revert again, delete.  Memory and disks agree each time, by the guest's own
# account; the images are clean; nothing is left behind.

# The last one takes as long as the others together; tests/qemu has its case
# (test_life_twin) in each run.
types=${LAB_TYPES:-pv pvh hvm ${LAB_LONG:+hvm-nopv}}
# Reverted to again: by each type only where there is time.
rounds=${LAB_ROUNDS:-${LAB_LONG:+2}}

life()
{
    local type=$1 name=l-$1 tick after round again

    check "$type: boots with two disks and a CD-ROM" guest_create "$name" \
        "$type" 256M 64M "$(cdrom)" || return 0
    taken "$type" "$name" -n s1 || return 0
    has_snapshot "$type: both disks have it" "$name" s1
    [ "$type" = pv ] && again=2 || again=1
    for round in $(seq "${rounds:-$again}"); do
        guest_wait_ticks "$name" 4
        reverted "$type, $round" "$name" s1 "$tick" "$after" || return 0
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
