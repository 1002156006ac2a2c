# SPDX-License-Identifier: LGPL-2.1-only
#
# The lab itself: each type of guest boots and ticks, stock save and restore
# keep memory and disks together, and the counter does find what is wrong.

# The first disk's backend: 4 is the PV driver, 2 that none came.
backend_state()
{
    xenstore-read "/local/domain/0/backend/qdisk/$(domid "$1")/51712/state"
}

boots()
{
    local type=$1 name=t-$1 seconds=$SECONDS

    check "$type: boots and ticks" guest_create "$name" "$type" 256M 64M:raw ||
        return 0
    note "$type: first tick after $((SECONDS - seconds)) s"
    guest_wait_ticks "$name" 3
    check "$type: all blocks of two disks are right" guest_check "$name"
    check "$type: memory is taken" \
        guest_ask "$name" '^mem 8 MiB filled' mem 8
    check "$type: and right" guest_check "$name"
    case $type in
    hvm-nopv)
        check_equal "$type: the PV backend has no guest" 2 \
            "$(backend_state "$name")" ;;
    *)
        check_equal "$type: the guest uses the PV disk" 4 \
            "$(backend_state "$name")" ;;
    esac
}

saves()
{
    local type=$1 name=t-$1 tick first

    domain_exists "$name" || return 0
    guest_cmd "$name" dirty 4
    guest_wait_ticks "$name" 3
    check "$type: stock xl save" xl save "$name" "$name.save" || return 0
    tick=$(guest_tick "$name")
    guest_mark "$name"
    check "$type: stock xl restore" xl restore "$name.save"
    check "$type: ticks on" guest_wait_tick "$name" $((tick + 5))
    first=$(guest_first_tick "$name")
    [ "$first" -le $((tick + 3)) ] && ok "$type: from where it was" ||
        fail "$type: from where it was" "tick $first after $tick"
    check "$type: memory and disks agree" guest_check "$name"
    rm -f "$name.save"
}

# Another guest's disk, changed by someone else while it is paused.
finds_a_change()
{
    local type=$1 name=t-$1

    domain_exists "$name" || return 0
    guest_mark "$name"
    xl pause "$name"
    # The second disk is raw: block 0 is at 64 KiB.
    dd if=/dev/zero of="$lab_images/$name-xvdb.raw" bs=4096 seek=16 count=1 \
        conv=notrunc status=none
    xl unpause "$name"
    check_fails "$type: a change behind its back is found" guest_check "$name"
    guest_console_new "$name" |
        grep -q '^MISMATCH disk=[a-z]*b block=0 expected=[0-9]* got=garbage' &&
        ok "$type: and named" ||
        fail "$type: and named" "$(guest_console_new "$name" | tail -n 3)"
}

# Old memory on new disks: what a revert without the disks would be.
finds_a_stale_disk()
{
    local name=stale

    check "pv: boots for a wrong revert" guest_create $name pv || return 0
    guest_wait_ticks $name 3
    xl save -c $name $name.save > /dev/null 2>&1
    guest_wait_ticks $name 8
    guest_destroy $name
    guest_mark $name
    xl restore $name.save > /dev/null 2>&1
    guest_wait_ticks $name 3
    check_fails "pv: memory put back without the disk is found" \
        guest_check $name
    guest_destroy $name
    rm -f $name.save
}

ends()
{
    local type=$1 name=t-$1

    domain_exists "$name" || return 0
    check "$type: xl shutdown" xl shutdown "$name"
    check "$type: ends" wait_for 60 domain_gone "$name"
}

for type in pv pvh hvm hvm-nopv; do
    boots $type
    case $type in pv | pvh | hvm) saves $type ;; esac
    finds_a_change $type
    case $type in
    hvm-nopv) guest_destroy t-$type ;;
    *) ends $type ;;
    esac
done
finds_a_stale_disk

check "pv: boots to hang" guest_create hung pv -c 2
guest_wait_ticks hung 2
check "pv: hangs" guest_ask hung '^hanging' hang
check_fails "pv: and answers no shutdown" timeout 15 xl shutdown -w hung
check_equal "pv: which stays as it was asked" poweroff \
    "$(xenstore-read "/local/domain/$(domid hung)/control/shutdown")"
check "pv: but lives" domain_exists hung
guest_destroy hung

# What a script calls so is its own, also within a check.
name=mine out=mine rc=mine want=mine
still_mine()
{
    [ "$name $out $rc $want" = "mine mine mine mine" ]
}
check "check keeps off a script's variables" still_mine
check_status 0 "check_status does, too" still_mine
