# SPDX-License-Identifier: LGPL-2.1-only
#
# A snapshot's disks read by others: as NBD exports, while the guest writes;
# as a disk of a second guest; and snapshot-check on a real domain.

name=access
disk=$lab_images/$name-xvda.qcow2
ref=/run/lab/ref.raw

# refuses STATUS NAME PATTERN COMMAND...: and says why.
refuses()
{
    local want=$1 what=$2 pattern=$3 out rc=0

    shift 3
    out=$("$@" 2>&1) || rc=$?
    [ "$rc" -eq "$want" ] && grep -q -- "$pattern" <<< "$out" &&
        ok "$what" || fail "$what" "status $rc: $out"
}

# same_as_ref NAME URI
same_as_ref()
{
    rm -f /run/lab/copy.raw
    check "$1: nbdcopy" nbdcopy "$2" /run/lab/copy.raw
    check "$1: every byte is the snapshot's" cmp /run/lab/copy.raw $ref
}

# appliance_reads NAME VDEV DISK...: the second guest reads the same. It sees
# the disk some time after the attach.
appliance_reads()
{
    local what=$1 vdev=$2 answer want try

    shift 2
    want=$(cksum < $ref)
    check "$what: xl block-attach" xl block-attach app "$@" || return
    for try in 1 2 3; do
        answer=$(guest_ask app "^cksum $vdev" cksum "$vdev" | tr -d '\r')
        case $answer in *"can't be read"*) sleep 2 ;; *) break ;; esac
    done
    check_equal "$what: the appliance reads every byte of it" \
        "cksum $vdev $want" "$answer"
    check "$what: xl block-detach" xl block-detach app "$vdev"
}

need "a guest" guest_create $name pv 16M
guest_wait_ticks $name 3
need "its snapshot" xl snapshot-create -n s1 $name
qemu-img convert -U -l snapshot.name=s1 -O raw \
    --image-opts "driver=qcow2,file.filename=$disk,file.locking=off" $ref
folder=$catalogue/$(uuid_of $name)

# ---- exports
uri=$(xl snapshot-export $name s1)
check_equal "one URI" "nbd+unix:///xvda?socket=" "${uri%%/run*}"
socket=${uri#*socket=}
check_equal "the socket is root's alone" 600 "$(stat -c %a "$socket")"
check "it is known to nbdinfo" nbdinfo "$uri"
need "another snapshot" xl snapshot-create -n s2 $name
check "and deleted" xl snapshot-delete $name s2
guest_wait_ticks $name 3
same_as_ref "another snapshot came and went" "$uri"
refuses 5 "what is exported isn't deleted" "is exported" \
    xl snapshot-delete $name s1
refuses 5 "nor reverted to" "is exported" xl snapshot-revert $name s1
check_equal "it is listed" "s1 xvda" "$(xl snapshot-export --list $name |
    awk 'NR == 2 { print $1, $2 }')"
check_equal "as JSON, too" "$uri" \
    "$(xl snapshot-export --list --json $name | jq -r '.[].uri')"
refuses 3 "a disk that isn't there" "xvdz" \
    xl snapshot-export --disk xvdz $name s1
refuses 3 "a snapshot that isn't there" "none" xl snapshot-export $name none
check "the guest is right" guest_check $name
going "after all that" $name

# ---- a second guest reads it
need "an appliance" guest_create app pv 16M
guest_wait_ticks app 2
check "kernel: module nbd" modprobe nbd
check "kernel: nbd-client" nbd-client -unix "$socket" /dev/nbd0 -N xvda
appliance_reads "kernel nbd" xvdx phy:/dev/nbd0,xvdx,r
nbd-client -d /dev/nbd0

# A raw copy, as the file of a reflink is: blkback alone has to do with it.
qemu-img convert -f raw -O raw "$uri" $lab_images/s1.raw
appliance_reads "a raw file" xvdy \
    "format=raw,vdev=xvdy,access=ro,target=$lab_images/s1.raw"
# As the base of an overlay is. QEMU 7.2 has no qcow2 for a guest that may
# only read, so it goes by the kernel's NBD device as well.
qemu-img convert -f raw -O qcow2 "$uri" $lab_images/base.qcow2
qemu-nbd -r -f qcow2 -c /dev/nbd1 $lab_images/base.qcow2
appliance_reads "a qcow2 base" xvdz phy:/dev/nbd1,xvdz,r
qemu-nbd -d /dev/nbd1 > /dev/null
check_fails "libxl takes no nbd: path itself" xl block-attach app \
    "format=raw,vdev=xvdw,access=ro,target=nbd:unix:$socket:exportname=xvda"
check "the appliance is right" guest_check app
guest_destroy app

# ---- the end of exports
check "--stop" xl snapshot-export --stop $name s1
check "its socket is gone" test ! -e "$socket"
xl snapshot-export $name s1 > /dev/null
pkill -9 -x qemu-nbd
wait_for 30 sh -c '! pgrep -x qemu-nbd'
refuses 9 "a socket that is left is found" "socket" xl snapshot-check
check "and removed" xl snapshot-check --repair
check "all is well then" xl snapshot-check

# ---- snapshot-check
qmp $name stop > /dev/null
refuses 9 "QEMU alone is stopped" "is stopped" xl snapshot-check $name
check "it is set going" xl snapshot-check --repair $name
going "set going" $name
qmp_raw $name '{"execute":"blockdev-snapshot-internal-sync",
    "arguments":{"device":"xvda-qcow2","name":"xlss-safety-x"}}' > /dev/null
rm "$folder/snapshots/s1.json" "$folder/snapshots/s1.xml"
refuses 9 "a lost document" "s1.json is missing" xl snapshot-check $name
check "repair" xl snapshot-check --repair $name
check_equal "the safety point is gone from the image" s1 \
    "$(image_snapshots "$disk")"
check "--deep" xl snapshot-check --deep $name
guest_wait_ticks $name 3
guest_mark $name
check "what was made again can be reverted to" xl snapshot-revert $name s1
check "it ticks" guest_goes_on $name
check "and is right" guest_check $name

# ---- off
guest_destroy $name
uri=$(xl snapshot-export --socket /run/lab/own.sock $name s1)
same_as_ref "the domain is off" "$uri"
refuses 5 "nothing is deleted then" "is exported" \
    xl snapshot-delete $name s1
check "--stop of all" xl snapshot-export --stop $name
check "nothing is in the way" xl snapshot-delete $name s1
clean_images "the image is clean" $name
check "all is well in the end" xl snapshot-check
