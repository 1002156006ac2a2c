# SPDX-License-Identifier: LGPL-2.1-only
#
# The power fails in an operation, or right after one was done: what had not
# reached the disk by then is lost. Images and catalogue are on a filesystem
# whose device drops all writes from one instant on; then it is mounted anew,
# as after a boot. What is listed must be whole: memory and disks agree.

# Not "name": in what `check` calls, that is the check's own.
dom=power
fs=/mnt/power
images=$fs/images
long=${LAB_LONG:-}
new=new
num=0

table()
{
    dmsetup load power --table "$1" && dmsetup resume power
}

power_mount()
{
    mount /dev/mapper/power $fs && mkdir -p $fs/images $fs/snapshots &&
        mkdir -p "$catalogue" && mount --bind $fs/snapshots "$catalogue"
}

power_setup()
{
    truncate -s 3G /var/lib/lab/power.img
    loop=$(losetup --find --show /var/lib/lab/power.img) || return
    sectors=$(blockdev --getsz "$loop")
    mkdir -p $fs
    dmsetup create --noudevsync power --table "0 $sectors linear $loop 0" &&
        dmsetup mknodes power && mkfs.ext4 -q /dev/mapper/power && power_mount
}

# Nothing reaches the disk any more; nobody is told.
power_cut()
{
    dmsetup suspend --noflush --nolockfs power &&
        table "0 $sectors flakey $loop 0 0 3600 1 drop_writes"
}

unmounted()
{
    ! mountpoint -q "$catalogue" || umount "$catalogue" || return
    ! mountpoint -q $fs || umount $fs
}

# Everything that ran is gone, and what was written is there.
power_back()
{
    pkill -KILL -f 'xl-snapshot|snapshot-recover'
    domain_gone $dom || guest_destroy $dom > /dev/null 2>&1
    rm -rf /run/xl-snapshot
    wait_for 60 unmounted || { fuser -vm $fs; return 1; }
    dmsetup suspend power && table "0 $sectors linear $loop 0" && power_mount
}

has()
{
    xl snapshot-list --name $dom | grep -qx "$1"
}

# It goes back to this snapshot, and all is as the memory knows it.
good()
{
    guest_mark $dom
    check "$1: back to $2" xl snapshot-revert --no-safety $dom "$2" ||
        { show_logs $dom; return 1; }
    check "$1: $2: it ticks on" guest_wait_ticks $dom 2
    check "$1: $2: memory and disk agree" guest_check $dom
}

# whole LABEL: after the power came back.
whole()
{
    local n=0 snapshot image rc

    check "$1: the power comes back" power_back || return
    check "$1: the next command works" xl snapshot-list $dom
    for image in $images/*; do
        case $image in *.live[0-9]*) continue ;; esac
        rc=0
        qemu-img check -q -f qcow2 "$image" > /tmp/check 2>&1 || rc=$?
        # Clusters that nobody uses (3) are no loss.
        case $rc in 0 | 3) ;; *)
            fail "$1: $image" "$(cat /tmp/check)"
            n=1 ;;
        esac
    done
    [ $n -ne 0 ] || ok "$1: the images are without errors"
    guest_mark $dom
    check "$1: it boots from its own configuration" guest_start $dom
    for snapshot in $new good; do
        ! has $snapshot || good "$1" $snapshot
    done
    check "$1: the good one is listed" has good
    xl snapshot-check --repair $dom > /dev/null 2>&1
    check "$1: snapshot-check finds nothing" xl snapshot-check $dom
    ! has $new || check "$1: $new goes" xl snapshot-delete $dom $new
}

# cut_at LABEL MS COMMAND...
cut_at()
{
    local label=$1 ms=$2 pid

    shift 2
    "$@" > /tmp/out 2>&1 &
    pid=$!
    sleep "$(awk -v ms="$ms" 'BEGIN { print ms / 1000 }')"
    power_cut
    sleep 1
    kill -KILL $pid 2> /dev/null
    wait $pid 2> /dev/null
    whole "$label"
}

duration()
{
    local start

    start=$(date +%s%N)
    "$@" > /tmp/out 2>&1 || { fail "$*" "$(cat /tmp/out)"; return 1; }
    ms=$((($(date +%s%N) - start) / 1000000))
}

need "a filesystem that can lose its power" power_setup
qemu-img create -q -f qcow2 $images/$dom.qcow2 128M
need "a guest" guest_create $dom pv \
    "format=qcow2,vdev=xvda,access=rw,target=$images/$dom.qcow2"
guest_wait_ticks $dom 3
need "a good snapshot" xl snapshot-create -n good $dom

for kind in -i -e; do
    guest_wait_ticks $dom 3
    duration xl snapshot-create $kind -n new $dom || break
    label="create $kind of $ms ms"
    power_cut
    whole "$label, done"
    for part in 40 ${long:+20 60 70 80} 90; do
        guest_wait_ticks $dom 2
        cut_at "$label, at $part %" $((ms * part / 100)) \
            xl snapshot-create $kind -n new $dom
    done
done

# A deletion that merges, on and off. good is inside the file that it freezes,
# which therefore stays, and its name with it: the next one needs another.
removed()
{
    new=gone$((num += 1))
    check "$new: snapshot-create -e" xl snapshot-create -e -n $new $dom
    guest_wait_ticks $dom 3
    [ "$1" = running ] || guest_destroy $dom
}

for how in running off; do
    removed $how
    duration xl snapshot-delete $dom $new || break
    label="delete, $how, of $ms ms"
    power_cut
    whole "$label, done"
    check_fails "$label: it is gone" has $new
    for part in 50 ${long:+20 70 80} 90; do
        removed $how
        cut_at "$label, at $part %" $((ms * part / 100)) \
            xl snapshot-delete $dom $new
    done
done

guest_destroy $dom
unmounted
dmsetup remove power
losetup -d "$loop"
