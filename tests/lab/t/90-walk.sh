# SPDX-License-Identifier: LGPL-2.1-only
#
# A random walk over a domain with three disks, qcow2 and raw: snapshots of
# every kind are taken, reverted to and deleted, and chains merged, running and
# off. After each step the guest reads all its blocks, whose content follows from its own
# counter; at the end snapshot-check finds nothing.  WALK_SEED repeats one; the
# short one is always the same.

name=walk
steps=${WALK_STEPS:-20}
seed=${WALK_SEED:-25}
if [ -n "${LAB_LONG:-}" ]; then
    steps=${WALK_STEPS:-200}
    seed=${WALK_SEED:-$(($(date +%s) % 32768))}
fi
RANDOM=$seed
note "seed $seed"
made=0

# One of its snapshots, into `which`; not in a subshell, where RANDOM begins
# anew.
pick()
{
    local all

    mapfile -t all < <(xl snapshot-list --name $name)
    which=
    [ ${#all[@]} -eq 0 ] || which=${all[RANDOM % ${#all[@]}]}
}

count()
{
    xl snapshot-list --name $name | wc -l
}

# Inside a file that was frozen before the domain was started, QEMU 7.2 can't
# delete: that is refused as the manual says, and must be all the same off.
delete_running()
{
    local out rc=0

    out=$(xl snapshot-delete $name "$2" 2>&1) || rc=$?
    case $rc:$out in
    0:*) ok "$1: delete $2" ;;
    6:*"delete it when the domain is off"*) ok "$1: $2 is for when it is off" ;;
    *) fail "$1: delete $2" "exit status $rc: $out" ;;
    esac
}

# With a name that is refused where the snapshot is not external on each of
# its disks, or another needs it: nothing is changed then.
merge_off()
{
    local out rc=0

    check "$1: merge, off" xl snapshot-merge $name
    out=$(xl snapshot-merge $name "$2" 2>&1) || rc=$?
    case $rc in
    0) ok "$1: merge $2, off" ;;
    6) ok "$1: merge $2 is refused: ${out##*: }" ;;
    *) fail "$1: merge $2, off" "exit status $rc: $out" ;;
    esac
}

start_again()
{
    xl create -q "$(started_from)" > /dev/null
    guest_mark $name
}

step()
{
    local what=$1 which

    case $((RANDOM % 9)) in
    0 | 1 | 2)
        made=$((made + 1))
        set -- -e
        [ $((RANDOM % 2)) -eq 0 ] || set -- --disk xvdc,kind=external
        check "$what: create s$made $*" \
            xl snapshot-create -n s$made "$@" $name ;;
    3 | 4 | 5)
        pick
        [ -n "$which" ] || return 0
        guest_mark $name
        check "$what: revert to $which" xl snapshot-revert $name "$which" ;;
    6)
        pick
        [ -z "$which" ] || delete_running "$what" "$which" ;;
    7)
        pick
        guest_destroy $name
        [ -z "$which" ] ||
            check "$what: delete $which, off" \
                xl snapshot-delete $name "$which"
        start_again ;;
    8)
        pick
        if [ -z "$which" ] || [ $((RANDOM % 2)) -eq 0 ]; then
            check "$what: merge" xl snapshot-merge $name
        else
            guest_destroy $name
            merge_off "$what" "$which"
            start_again
        fi ;;
    esac
}

# The user's configuration, once the raw disk has moved, or has come back from
# where it was by a merge: as libxl has it.
started_from()
{
    local path format=qcow2

    path=$(ls -t "$lab_images/$name-xvdc.raw"*qcow2 2> /dev/null |
        head -n 1)
    [ -n "$path" ] || { path=$lab_images/$name-xvdc.raw; format=raw; }
    sed -i "s|format=[a-z0-9]*,vdev=xvdc|format=$format,vdev=xvdc|; s|target=$lab_images/$name-xvdc[^\"]*|target=$path|" \
        "$(guest_cfg $name)"
    guest_cfg $name
}

qemu-img create -q -f raw "$lab_images/$name-xvdc.raw" 64M
need "a guest with three disks" guest_create $name pv 128M 64M \
    "format=raw,vdev=xvdc,access=rw,backendtype=qdisk,target=$lab_images/$name-xvdc.raw"
# Raw from the beginning on is a path of its own: one that moves once.
need "a first snapshot" xl snapshot-create -n s0 $name
for n in $(seq "$steps"); do
    step "step $n"
    check "step $n: ticks" guest_wait_ticks $name 2 || break
    check "step $n: all blocks are right" guest_check $name || break
    [ "$(count)" -lt 8 ] || { pick; delete_running "step $n" "$which"; }
done
check "the catalogue is in order" xl snapshot-check $name
for s in $(xl snapshot-list --name $name); do
    delete_running "the end" "$s"
done
check "all blocks are right at the end" guest_check $name
guest_destroy $name
for s in $(xl snapshot-list --name $name); do
    check "the end: delete $s, off" xl snapshot-delete $name "$s"
done
clean_images "the images are clean" $name
