# SPDX-License-Identifier: LGPL-2.1-only
#
# External snapshots on a real Xen: what the guest reads, what libxl
# remembers, and what a start from the user's own configuration finds.

params()
{
    xenstore-read "/libxl/$(domid "$1")/device/vbd/51712/params"
}

# In life(): merged while it runs, and that is it.
short_end()
{
    check "$type: delete of e1, while it runs" xl snapshot-delete "$name" e1
    check "$type: runs on" guest_wait_ticks "$name" 2
    check "$type: the disk is right after the merge" guest_check "$name"
    going "$type: after the merge" "$name"
    guest_destroy "$name"
    check "$type: the image is clean" qemu-img check -q -f qcow2 "$image"
}

# life TYPE [short]
life()
{
    local type=$1 name=e-$1 t1 a1 image uuid

    check "$type: boots" guest_create "$name" "$type" 128M || return 0
    image=$lab_images/$name-xvda.qcow2
    taken "$type, e1" "$name" -e -n e1 || return 0
    t1=$tick a1=$after
    check_equal "$type: libxl names the file that the guest writes to" \
        "qcow2:$(disk_path "$name")" "$(params "$name")"

    # Stock save and restore come back on the overlay.
    guest_mark "$name"
    tick=$(guest_tick "$name")
    check "$type: stock xl save" /usr/sbin/xl save "$name" /tmp/e.save
    check "$type: stock xl restore" /usr/sbin/xl restore /tmp/e.save
    rm -f /tmp/e.save
    check "$type: it ticks on" guest_wait_tick "$name" $((tick + 2))
    check "$type: and is right" guest_check "$name"

    reverted "$type, e1" "$name" e1 "$t1" "$a1" || return 0
    check_equal "$type: the path is the user's again" "$image" \
        "$(disk_path "$name")"
    [ "${2:-}" != short ] || { short_end; return 0; }
    taken "$type, i1" "$name" -n i1 || return 0
    taken "$type, e2" "$name" -e -n e2 || return 0
    reverted "$type, i1 inside a frozen image" "$name" i1 \
        "$t1" "$after" || return 0
    reverted "$type, e1 again" "$name" e1 "$t1" "$a1" || return 0

    # Off, and from the user's own configuration.
    guest_wait_ticks "$name" 2
    uuid=$(uuid_of "$name")
    guest_destroy "$name"
    guest_mark "$name"
    check "$type: xl create from the user's configuration" \
        guest_start "$name"
    check_equal "$type: it has no uuid=, and keeps its UUID all the same" \
        "$uuid" "$(uuid_of "$name")"
    check "$type: the disk is right" guest_check "$name"
    check "$type: delete of e2, while it runs" xl snapshot-delete "$name" e2
    check "$type: delete of e1, while it runs" xl snapshot-delete "$name" e1
    check "$type: runs on" guest_wait_ticks "$name" 2
    check "$type: the disk is right after the merge" guest_check "$name"
    going "$type: after the merge" "$name"
    guest_destroy "$name"
    check "$type: delete of i1, while it is off" xl snapshot-delete "$name" i1
    check_equal "$type: no other image is left" "$image" \
        "$(ls "$lab_images/$name"* | grep -v '[.]live')"
    check "$type: the image is clean" qemu-img check -q -f qcow2 "$image"
    check "$type: boots from it" guest_start "$name"
    check "$type: and is right" guest_check "$name"
    guest_destroy "$name"
}

life pv
# A boot of such a guest takes minutes where it is emulated.
life hvm "$([ -n "${LAB_LONG:-}" ] || echo short)"

# The tripwire, and the names put right by our own xl create.
need "a guest" guest_create trip pv 64M
image=$lab_images/trip-xvda.qcow2
taken "tripwire" trip -e -n e1
guest_wait_ticks trip 2
guest_destroy trip
if [ "$(xl info | sed -n 's/^xen_minor *: //p')" -lt 20 ]; then
    # xl itself doesn't notice that QEMU can't open the disk.
    sum=$(md5sum < "$image")
    /usr/sbin/xl create -q "$(guest_cfg trip)" > /dev/null 2>&1
    check "stock xl can't open the frozen file" wait_for 30 \
        grep -q "Could not open '$image': Operation not permitted" \
        /var/log/xen/qemu-dm-trip.log
    domain_gone trip || guest_destroy trip
    check_equal "which is as it was" "$sum" "$(md5sum < "$image")"
fi
guest_mark trip
check "our xl create puts the names right" guest_start trip
check "and the disk is right" guest_check trip
guest_destroy trip
check "delete, while it is off" xl snapshot-delete trip e1
check "the image is clean" qemu-img check -q -f qcow2 "$image"
check_equal "nothing else is left" "$image" \
    "$(ls "$lab_images"/trip* | grep -v '[.]live')"

# A raw disk moves. (By itself xl gives it to blkback, which has no overlays.)
qemu-img create -q -f raw "$lab_images/raw-xvda.raw" 64M
need "a guest with a raw disk" guest_create raw pv \
    "format=raw,vdev=xvda,access=rw,backendtype=qdisk,target=$lab_images/raw-xvda.raw"
taken "raw" raw -n e1
check_equal "raw: it has moved" "$lab_images/raw-xvda.raw.e1.qcow2" \
    "$(disk_path raw)"
reverted "raw" raw e1 "$tick" "$after"
guest_destroy raw
