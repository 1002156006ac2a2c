# SPDX-License-Identifier: LGPL-2.1-only
#
# Images in uncommon places: on NFS. And a disk that is taken from the guest
# and given back after a snapshot.

# ---- a server of NFS 4 in dom0, and its client beside it
mount_nfs()
{
    mkdir -p /srv/images /mnt/nfs /var/lib/nfs/rpc_pipefs /var/lib/nfs/v4recovery
    touch /var/lib/nfs/etab /var/lib/nfs/rmtab /etc/exports
    modprobe nfsd && modprobe nfsv4 || return
    busybox ifconfig lo 127.0.0.1 up || return
    mount -t nfsd nfsd /proc/fs/nfsd 2> /dev/null
    exportfs -o rw,no_root_squash,insecure,fsid=0,no_subtree_check \
        127.0.0.1:/srv/images || return
    rpc.mountd -N 3 || return
    rpc.nfsd -N 3 -V 4 2 || return
    timeout 60 mount -t nfs4 -o vers=4.2,hard 127.0.0.1:/ /mnt/nfs
}

on_nfs()
{
    local name=far image=/mnt/nfs/far.qcow2 t1 a1

    check "NFS: mounted" mount_nfs || { dmesg | tail -n 5; return; }
    qemu-img create -q -f qcow2 "$image" 128M
    check "NFS: a guest boots" guest_create "$name" pv \
        "format=qcow2,vdev=xvda,access=rw,target=$image" ||
        { show_logs "$name"; return; }
    taken "NFS, i1" "$name" -n i1 || return
    t1=$tick a1=$after
    taken "NFS, e1" "$name" -e -n e1 || return
    reverted "NFS, e1" "$name" e1 "$tick" "$after"
    reverted "NFS, i1" "$name" i1 "$t1" "$a1"
    guest_wait_ticks "$name" 2
    guest_destroy "$name"
    guest_mark "$name"
    check "NFS: xl create from the user's configuration" guest_start "$name"
    check "NFS: the disk is right" guest_check "$name"
    check "NFS: delete of e1, while it runs" xl snapshot-delete "$name" e1
    check "NFS: the disk is right after it" guest_check "$name"
    guest_destroy "$name"
    check "NFS: delete of i1, while it is off" xl snapshot-delete "$name" i1
    check_equal "NFS: no other image is left" "$image" \
        "$(ls /mnt/nfs/* | grep -v '[.]live')"
    check "NFS: the image is clean" qemu-img check -q -f qcow2 "$image"
    check "NFS: boots from it" guest_start "$name"
    check "NFS: and is right" guest_check "$name"
    guest_destroy "$name"
}

# ---- a disk, after an external snapshot, goes and comes back
plugged()
{
    xl block-list "$1" | awk '$1 == 51728 { print $4 }' | grep -qx 4
}

attach()
{
    check "$where: xl block-attach $2" timeout 60 xl block-attach "$name" \
        "format=qcow2,vdev=xvdb,access=rw,target=$2"
    check "$where: the guest has it" wait_for 20 plugged "$name"
}

is_open()
{
    ls -l "/proc/$(qemu_pid "$1")/fd" | grep -q "/plugged"
}

detached()
{
    local where="a disk unplugged" name=plug image=$lab_images/plugged.qcow2

    check "$where: boots" guest_create "$name" pv 64M || return
    qemu-img create -q -f qcow2 "$image" 64M
    attach "$name" "$image"
    check "$where: snapshot-create -e" xl snapshot-create -e -n e1 "$name"
    spec=$(xl list -l "$name" | jq -r '.[0].config.disks[1].pdev_path')
    check "$where: xl block-detach" timeout 60 xl block-detach "$name" xvdb
    check_fails "$where: QEMU has closed it" is_open "$name"
    check "$where: a snapshot without it" xl snapshot-create -n e2 "$name"
    attach "$name" "$spec"
    check "$where: a snapshot with it" xl snapshot-create -n e3 "$name"
    # Without our help QEMU keeps it open; the next xl block-attach helps.
    check "$where: snapshot-create -e again" \
        xl snapshot-create -e -n e4 "$name"
    spec=$(xl list -l "$name" | jq -r '.[0].config.disks[1].pdev_path')
    check "$where: stock xl block-detach" timeout 60 \
        /usr/sbin/xl block-detach "$name" xvdb
    attach "$name" "$spec"
    check "$where: a snapshot with it again" \
        xl snapshot-create -n e5 "$name"
    check "$where: the guest ticks on" guest_wait_ticks "$name" 2
    check_status 1 "$where: stock xl's exit code is kept" \
        xl block-detach "$name" xvdq
    guest_destroy "$name"
}

for part in ${LAB_PARTS:-on_nfs detached}; do
    $part
done
