# SPDX-License-Identifier: LGPL-2.1-only
#
# Backups of running domains, full and incremental: the guest goes on, and
# what was copied is, taken together, what its disks hold.

store=$lab_images/store

# saved STATUS LABEL NAME NUMBER OPTION...
saved()
{
    local want=$1 label=$2 name=$3 to=$store/$3-$4 rc=0

    shift 4
    mkdir -p "$to"
    xl backup-start --to "$to" "$@" "$name" > out.txt 2>&1 || rc=$?
    [ "$rc" -eq "$want" ] && ok "$label" ||
        fail "$label" "status $rc: $(cat out.txt)"
}

# same LABEL NAME NUMBER...: the last of a chain against the disks, off.
same()
{
    local label=$1 name=$2 below= n vdev

    shift 2
    for vdev in xvda xvdb; do
        for n in "$@"; do
            [ "$n" = "$1" ] ||
                qemu-img rebase -u -f qcow2 -F qcow2 -b "$below" \
                    "$store/$name-$n/$vdev.qcow2"
            below=$store/$name-$n/$vdev.qcow2
        done
        check "$label: $vdev, byte by byte" qemu-img compare -q -f qcow2 \
            -F qcow2 "$below" "$lab_images/$name-$vdev.qcow2"
        check "$label: $vdev is clean" \
            qemu-img check -q -f qcow2 "$lab_images/$name-$vdev.qcow2"
    done
}

runs_on()
{
    check "$1: the guest ticks on" guest_wait_ticks "$2" 3
    check "$1: and is right" guest_check "$2"
    going "$1" "$2"
}

restart()
{
    local old

    old=$(domid "$2")
    new_domain() { local id; id=$(domid "$2") && [ "$id" != "$old" ]; }
    guest_mark "$2"
    guest_cmd "$2" reboot
    check "$1: it restarts" wait_for 120 new_domain "$@"
    check "$1: and boots" guest_wait_boot "$2"
    guest_wait_ticks "$2" 2
}

backups()
{
    local type=$1 name=b-$1 again=0

    check "$type: boots" guest_create "$name" "$type" 64M 64M || return 0
    guest_wait_ticks "$name" 3
    saved 0 "$type: full" "$name" 0 --checkpoint c0
    runs_on "$type, full" "$name"
    saved 0 "$type: incremental" "$name" 1 --since c0 --checkpoint c1
    runs_on "$type, incremental" "$name"
    check "$type: a snapshot between two" xl snapshot-create -n s1 "$name"
    runs_on "$type, snapshot" "$name"
    saved 0 "$type: incremental, over a snapshot" "$name" 2 --since c1 \
        --checkpoint c2
    check_equal "$type: the checkpoints are listed" "c0 c1 c2" \
        "$(xl checkpoint-list --json "$name" | jq -r '.[].name' | xargs)"
    # The bitmaps of a domain with emulated disks end with its QEMU.
    restart "$type" "$name"
    [ "$type" != hvm ] || again=8
    xl pause "$name"
    saved $again "$type: after a restart" "$name" 3 --since c2
    check "$type: which leaves it paused" domain_paused "$name"
    guest_destroy "$name"
    [ $again -eq 8 ] && same "$type" "$name" 3 ||
        same "$type" "$name" 0 1 2 3
}

mkdir -p "$store"
# QEMU sees the same disk of a PV guest and of a PVH one; an HVM guest takes as
# long as both together.
for type in ${LAB_TYPES:-pv ${LAB_LONG:+pvh hvm}}; do
    backups "$type"
done

# ---- QEMU is killed between two
check "killed: boots" guest_create b-kill pv 64M 64M
guest_wait_ticks b-kill 3
saved 0 "killed: full" b-kill 0 --checkpoint c0
pid=$(qemu_pid b-kill)
kill -9 "$pid"
wait_for 30 test ! -e "/proc/$pid"
guest_destroy b-kill
guest_mark b-kill
check "killed: boots again" guest_start b-kill
guest_wait_ticks b-kill 3
saved 8 "killed: the next one is full" b-kill 1 --since c0 --checkpoint c1
guest_wait_ticks b-kill 3
xl pause b-kill
saved 0 "killed: and then incremental" b-kill 2 --since c1
guest_destroy b-kill
same "killed" b-kill 1 2
