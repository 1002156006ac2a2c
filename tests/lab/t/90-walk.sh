# SPDX-License-Identifier: LGPL-2.1-only
#
# A random walk over a domain with three disks, qcow2 and raw: snapshots of
# every kind are taken, reverted to and deleted, running and off. After each
# step the guest reads all its blocks, whose content follows from its own
# counter; at the end snapshot-check finds nothing.  WALK_SEED repeats one; the
# short one is always the same.

name=walk
steps=${WALK_STEPS:-20}
seed=${WALK_SEED:-11247}
if [ -n "${LAB_LONG:-}" ]; then
    steps=${WALK_STEPS:-200}
    seed=${WALK_SEED:-$(($(date +%s) % 32768))}
fi
RANDOM=$seed
note "seed $seed"
made=0

pick()
{
    xl snapshot-list --name $name | shuf -n 1 --random-source=<(
        while :; do printf '%s' $RANDOM; done)
}

count()
{
    xl snapshot-list --name $name | wc -l
}

step()
{
    local what=$1 which

    case $((RANDOM % 8)) in
    0 | 1 | 2)
        made=$((made + 1))
        set -- -e
        [ $((RANDOM % 2)) -eq 0 ] || set -- --disk xvdc,kind=external
        check "$what: create s$made $*" \
            xl snapshot-create -n s$made "$@" $name ;;
    3 | 4 | 5)
        which=$(pick)
        [ -n "$which" ] || return 0
        guest_mark $name
        check "$what: revert to $which" xl snapshot-revert $name "$which" ;;
    6)
        which=$(pick)
        [ -n "$which" ] || return 0
        check "$what: delete $which" xl snapshot-delete $name "$which" ;;
    7)
        which=$(pick)
        guest_destroy $name
        [ -z "$which" ] ||
            check "$what: delete $which, off" \
                xl snapshot-delete $name "$which"
        xl create -q "$(started_from)" > /dev/null
        guest_mark $name ;;
    esac
}

# The user's configuration, once the raw disk has moved: as libxl has it.
started_from()
{
    local path

    path=$(ls -t "$lab_images/$name-xvdc.raw"*qcow2 2> /dev/null |
        head -n 1)
    [ -z "$path" ] ||
        sed -i "s|format=raw,vdev=xvdc|format=qcow2,vdev=xvdc|; s|target=$lab_images/$name-xvdc[^\"]*|target=$path|" \
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
    [ "$(count)" -lt 8 ] || xl snapshot-delete $name "$(pick)"
done
check "the catalogue is in order" xl snapshot-check $name
for s in $(xl snapshot-list --name $name); do
    check "delete $s" xl snapshot-delete $name "$s"
done
check "all blocks are right at the end" guest_check $name
guest_destroy $name
clean_images "the images are clean" $name
