# SPDX-License-Identifier: LGPL-2.1-only
#
# Snapshots of the disks alone: quiesced by a real guest agent over a Xen
# channel, or not; what a revert to one does; a domain that is off.

name=disks
fs=$lab_images/$name-xvdb.qcow2

# An ext4 that the guest writes to all the time, beside the counter's disk.
configure()
{
    truncate -s 32M /tmp/fs.raw
    mkfs.ext4 -q -F /tmp/fs.raw
    rm -f "$fs"
    qemu-img convert -O qcow2 /tmp/fs.raw "$fs"
    guest_config $name "$1" -i initrd.agent -k lab.disks=1 \
        -x "channel = [ \"connection=socket,path=/run/xen/$name.sock,"`
            `"name=org.qemu.guest_agent.0\" ]" \
        64M "format=qcow2,vdev=xvdb,access=rw,target=$fs"
}

# After each boot.
ready()
{
    guest_ask $name '^mounted xvdb' mount xvdb &&
        guest_ask $name '^agent runs' agent
}

# Its filesystem takes writes, as it does not while it is frozen.
writes()
{
    guest_wait_line $name "$(_guest_size $name)" '^file [0-9]*$' 30
}

# The filesystem's features as they are in a snapshot.
journal_of()
{
    rm -f /tmp/then.raw
    qemu-img convert -U -f qcow2 -l "snapshot.name=$1" -O raw "$fs" \
        /tmp/then.raw
    dumpe2fs -h /tmp/then.raw 2>/dev/null | sed -n 's/^Filesystem features: *//p'
}

needs_replay()
{
    journal_of "$1" | grep -qw needs_recovery
}

clean_journal()
{
    journal_of "$1" | grep -w has_journal | grep -vw needs_recovery &&
        e2fsck -fn /tmp/then.raw
}

info_says()
{
    xl snapshot-info $name "$1" | grep -x "$2"
}

says()
{
    grep -F "$1" /tmp/out || { cat /tmp/out; false; }
}

# status WANTED NAME COMMAND...: what it printed is in /tmp/out.
status()
{
    local want=$1 what=$2

    shift 2
    check_status "$want" "$what" sh -c '"$@" > /tmp/out 2>&1; rc=$?
        cat /tmp/out; exit $rc' sh "$@"
}

one_monitor()
{
    [ "$(pgrep -fc '[s]napshot-monitor')" = 1 ]
}

# A revert started it from its disks: it boots.
booted()
{
    guest_console_new $name | grep -q '^boot: disk xvda last tick seen [0-9]'
}

# ---- a domain that runs
configure pv
need "a guest with a filesystem and an agent" guest_start $name
need "both are up" ready
image=$lab_images/$name-xvda.qcow2
check "disk-only" xl snapshot-create --disk-only -n plain $name
going "disk-only" $name
has_snapshot "the images hold it" $name plain
check "it has no memory" info_says plain 'Memory:      -'
check "and is not quiesced" info_says plain 'Quiesced:    no'
check "the list says what it is" \
    sh -c "xl snapshot-list $name | grep 'plain.*disk-snapshot'"
check "so does its XML" sh -c "xl snapshot-info --xml $name plain |
    grep '<state>disk-snapshot</state>'"

status 0 "disk-only, quiesced" \
    xl snapshot-create --disk-only --quiesce -n quiet $name
check "it says so" says quiesced
check "and keeps it" info_says quiet 'Quiesced:    yes'
check "the guest is thawed" writes
going "quiesced" $name
check "without: the journal would be replayed" needs_replay plain
check "with: the filesystem is clean" clean_journal quiet
check "the guest is right" guest_check $name

status 2 "not with its memory" xl snapshot-create --quiesce $name
check "and why" says 'come back frozen'

# ---- an agent that doesn't answer
guest_ask $name '^agent stop' agent stop > /dev/null
status 1 "an agent that doesn't answer" \
    xl snapshot-create --disk-only --quiesce -n silent $name
check "which is named" says 'does not answer'
status 8 "allowed, it is done" xl snapshot-create --disk-only --quiesce \
    --allow-unquiesced -n less $name
check "and said" says 'is not quiesced'
check "and kept" info_says less 'Quiesced:    no'
check_equal "nothing is left of the other" "plain quiet less " \
    "$(image_snapshots "$image" | tr '\n' ' ')"
check "it goes" xl snapshot-delete $name less
guest_ask $name '^agent cont' agent cont > /dev/null
socat -u - "unix:/run/xen/$name.sock" < <(sleep 60) &
socat=$!
sleep 1
status 1 "another program has the channel" \
    xl snapshot-create --disk-only --quiesce -n taken $name
check "which is named" says 'another program is connected'
kill $socat
going "after all that" $name

# ---- the command dies while the guest is frozen
settled()
{
    ! pgrep -x xl-snapshot-gua > /dev/null && ! pgrep -f snapshot-recover
}

strace -s 200 -e trace=sendto -o /tmp/trace \
    xl snapshot-create --disk-only --quiesce -n traced $name > /dev/null
xl snapshot-delete $name traced > /dev/null
call_of()
{
    grep '^sendto' /tmp/trace | grep -n "$1" | head -n 1 | cut -d: -f1
}

killed_at()
{
    strace -e trace=sendto -e inject="sendto:signal=KILL:when=$2" \
        -o /tmp/trace.kill xl snapshot-create --disk-only --quiesce -n dead \
        $name > /tmp/out 2>&1
    check "killed $1: the guest is thawed" writes
    check "killed $1: the guard ends" wait_for 60 settled
    going "killed $1" $name
    check_equal "killed $1: undone" "plain quiet " \
        "$(image_snapshots "$image" | tr '\n' ' ')"
}

check "the trace shows freeze and thaw" \
    test "$(call_of freeze-freeze)" -lt "$(call_of freeze-thaw)"
killed_at "frozen and paused" $(($(call_of freeze-freeze) + 2))
killed_at "frozen and running" "$(call_of freeze-thaw)"
check "the guest is right" guest_check $name

# ---- paused
xl pause $name
check "disk-only of a paused domain" \
    xl snapshot-create --disk-only -n paused $name
check "which stays paused" domain_paused $name
status 6 "its agent can't answer" \
    xl snapshot-create --disk-only --quiesce -n never $name
check "which is named" says 'while the domain is paused'
check "it is still paused" domain_paused $name
xl unpause $name
check "it runs on" guest_wait_ticks $name 2

# ---- revert
old=$(domid $name)
guest_mark $name
check "snapshot-revert" xl snapshot-revert $name quiet
check "makes a new domain" test "$(domid $name)" -gt "$old"
check "which boots from its disks" wait_for 60 booted
check "and ticks" guest_wait_ticks $name 2
check "the safety point is gone" \
    sh -c "! qemu-img info -U -f qcow2 $image | grep safety"
check "its filesystem and agent are up" ready
check "and right" guest_check $name
check "one monitor looks after it" wait_for 20 one_monitor
old=$(domid $name)
guest_mark $name
guest_cmd $name reboot
check "which restarts it" wait_for 60 booted
check "as another domain" test "$(domid $name)" -gt "$old"
check "snapshot-revert --paused" xl snapshot-revert --paused $name plain
check "leaves it paused" domain_paused $name
guest_mark $name
xl unpause $name
check "unpaused, it boots" wait_for 60 booted
check "a snapshot taken paused comes back paused" \
    xl snapshot-revert $name paused
check "as it was" domain_paused $name

# ---- off
guest_destroy $name
check "off: snapshot-list" sh -c "xl snapshot-list --name $name | grep -x quiet"
check "off: snapshot-info" info_says quiet 'Quiesced:    yes'
check_status 3 "off: no snapshot-create" xl snapshot-create $name
check "off: snapshot-delete" xl snapshot-delete $name paused
check_equal "off: gone from the image" "plain quiet " \
    "$(image_snapshots "$image" | tr '\n' ' ')"
guest_mark $name
check "off: snapshot-revert" xl snapshot-revert $name quiet
check "starts the domain" wait_for 60 booted
check "which is looked after" wait_for 20 one_monitor
going "started" $name
xl snapshot-delete $name plain > /dev/null
xl snapshot-delete $name quiet > /dev/null
nothing_left "nothing is left behind" $name
guest_destroy $name
clean_images "the images are clean" $name

# ---- HVM, with state that libxl doesn't save
rm -rf "$catalogue" "$image"
configure hvm
truncate -s 64K /tmp/vars.fd
cat >> "$(guest_cfg $name)" <<END
device_model_args = [ "-drive",
    "if=none,id=pflash1,format=raw,file=/tmp/vars.fd" ]
END
need "an HVM guest" guest_start $name
check "both are up" ready
status 6 "UEFI variables in pflash" xl snapshot-create -n vars $name
check "by name" says 'its UEFI variables are in pflash'
nothing_left "nothing was touched" $name
check "hvm: disk-only" xl snapshot-create --disk-only -n plain $name
status 0 "hvm: quiesced" \
    xl snapshot-create --disk-only --quiesce -n quiet $name
check "hvm: the guest is thawed" writes
check "hvm: without: the journal would be replayed" needs_replay plain
check "hvm: with: the filesystem is clean" clean_journal quiet
check "hvm: the guest is right" guest_check $name
guest_mark $name
check "hvm: snapshot-revert" xl snapshot-revert $name quiet
check "hvm: boots from its disks" wait_for 120 booted
check "hvm: and ticks" guest_wait_ticks $name 2
guest_destroy $name
clean_images "hvm: the images are clean" $name
sed -i 's/id=pflash1/id=tpm0/' "$(guest_cfg $name)"
check "a paused domain will do" xl create -p "$(guest_cfg $name)"
status 6 "a TPM" xl snapshot-create -n tpm $name
guest_destroy $name
