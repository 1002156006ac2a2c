# SPDX-License-Identifier: LGPL-2.1-only
#
# External snapshots: the command dies, or QEMU does, in a create, a deletion
# (which merges) and a revert. Whatever happens, the disk holds what the guest
# wrote, every time it boots from its own configuration.

name=ecrash
long=${LAB_LONG:-}
image=$lab_images/$name-xvda.qcow2

deaths=0

settled()
{
    ! pgrep -x xl-snapshot-gua > /dev/null && ! pgrep -f snapshot-recover
}

has()
{
    xl snapshot-list --name $name | grep -qx "$1"
}

# A file that was never given its name may be left; --repair removes it.
whole()
{
    xl snapshot-check --repair $name > /dev/null 2>&1
    check "$1: the good one is whole" xl snapshot-check $name
}

recovers()
{
    wait_for 90 settled || fail "$1: the guard ends"
    going "$1" $name
    check "$1: the next command works" xl snapshot-list $name
    check "$1: ticks" guest_wait_ticks $name 2
    check "$1: memory and disk agree" guest_check $name
    whole "$1"
    check_equal "$1: no journal is left" "" "$(find "$folder" -name journal)"
}

# It died of the signal that strace gave it at that call.
killed_at()
{
    local call=$1 n=$2

    shift 2
    guest_mark $name
    ! strace -o /tmp/trace -e trace="$call" \
        -e inject="$call:signal=KILL:when=$n" "$@" > /tmp/out 2>&1 || return
    deaths=$((deaths + 1))
}

need "a guest" guest_create $name pv 128M
guest_wait_ticks $name 3
need "a good snapshot" xl snapshot-create -e -n good $name
folder=$catalogue/$(uuid_of $name)

for n in 4 ${long:+6 7 8} 9 ${long:+10 11} 12 ${long:+13 14} 15; do
    killed_at sendmsg "$n" xl snapshot-create -e -n new $name || break
    recovers "create killed at sendmsg $n"
    ! has new || check "create killed at sendmsg $n: new goes" \
        xl snapshot-delete $name new
done
for n in 1 ${long:+2 3} 4 ${long:+5 6 7}; do
    killed_at rename,renameat,renameat2 "$n" \
        xl snapshot-create -e -n new $name || break
    recovers "create killed at rename $n"
    ! has new || check "create killed at rename $n: new goes" \
        xl snapshot-delete $name new
done

for n in 3 ${long:+5 7 9} 11 ${long:+13 15 17} 19; do
    has new || xl snapshot-create -e -n new $name > /dev/null
    killed_at sendmsg "$n" xl snapshot-delete $name new || break
    recovers "delete killed at sendmsg $n"
done
! has new || check "new goes" xl snapshot-delete $name new

for n in 1 ${long:+2} 3 ${long:+4} 5; do
    killed_at rename,renameat,renameat2 "$n" \
        xl snapshot-revert $name good || break
    what="revert killed at rename $n"
    check "$what: the domain is there" wait_for 180 domain_exists $name
    wait_for 180 settled || fail "$what: the guard ends"
    recovers "$what"
done

# The command stops at that call, QEMU is killed, and the command goes on. It
# may do its work all the same: a deletion merges by qemu-img then.
qemu_killed_at()
{
    local n=$1 tracer pid

    shift
    strace -o /tmp/trace -e trace=sendmsg \
        -e inject="sendmsg:signal=STOP:when=$n" "$@" > /tmp/out 2>&1 &
    tracer=$!
    wait_for 60 stopped || { wait $tracer; return 1; }
    kill -9 "$(qemu_pid $name)"
    deaths=$((deaths + 1))
    sleep 1
    pid=$(pgrep -P $tracer)
    kill -CONT "$pid"
    wait $tracer || true
}

stopped()
{
    pgrep -P "$tracer" | xargs -r -I{} grep -q '^State:.*[Tt] ' /proc/{}/status
}

# Its QEMU is gone, and the disk with it: it is started anew.
boots_again()
{
    wait_for 90 settled || fail "$1: the guard ends"
    guest_destroy $name
    guest_mark $name
    check "$1: it boots from its own configuration" guest_start $name
    check "$1: the disk is right" guest_check $name
    check "$1: the next command works" xl snapshot-list $name
    whole "$1"
}

for n in 6 ${long:+8 10} 12 ${long:+14}; do
    qemu_killed_at "$n" xl snapshot-create -e -n new $name || break
    boots_again "create, QEMU killed at sendmsg $n"
    ! has new || check "create, QEMU killed at sendmsg $n: new goes" \
        xl snapshot-delete $name new
done
for n in 5 ${long:+9 13} 17; do
    has new || xl snapshot-create -e -n new $name > /dev/null
    qemu_killed_at "$n" xl snapshot-delete $name new || break
    boots_again "delete, QEMU killed at sendmsg $n"
done

check "it was killed often enough: $deaths times" [ $deaths -ge 15 ]
guest_destroy $name
for n in new good; do
    ! has $n || check "$n goes" xl snapshot-delete $name $n
done
check_equal "no other image is left" "$image" \
    "$(ls "$lab_images/$name"* | grep -v '[.]live')"
check "the image is clean" qemu-img check -q -f qcow2 "$image"
check "boots from it" guest_start $name
check "and is right" guest_check $name
guest_destroy $name
