# SPDX-License-Identifier: LGPL-2.1-only
#
# Snapshots of the disks alone: quiesced by a real guest agent over a Xen
# channel, or not; what a revert to one does; a domain that is off.

# Not "name": in what `check` calls, that is the check's own.
dom=disks
fs=$lab_images/$dom-xvdb.qcow2

# An ext4 that the guest writes to all the time, beside the counter's disk.
# The agent's is the second channel: xl 4.17 gives the first one the number of
# the domain's own console, and so no console at all.
configure()
{
    truncate -s 32M /tmp/fs.raw
    mkfs.ext4 -q -F /tmp/fs.raw
    rm -f "$fs"
    qemu-img convert -O qcow2 /tmp/fs.raw "$fs"
    guest_config $dom "$1" -i initrd.agent -k lab.disks=1 \
        -x "channel = [ \"connection=pty,name=com.example.first\","`
            `" \"connection=socket,path=/run/xen/$dom.sock,"`
            `"name=org.qemu.guest_agent.0\" ]" \
        64M "format=qcow2,vdev=xvdb,access=rw,target=$fs"
}

# After each boot.
ready()
{
    guest_ask $dom '^mounted xvdb' mount xvdb &&
        guest_ask $dom '^agent runs' agent
}

# Its filesystem takes writes, as it does not while it is frozen.
writes()
{
    guest_wait_line $dom "$(_guest_size $dom)" '^file [0-9]*$' 30
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
    xl snapshot-info $dom "$1" | grep -x "$2"
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
    guest_console_new $dom | grep -q '^boot: disk xvda last tick seen [0-9]'
}

# ---- a domain that runs
configure pv
need "a guest with a filesystem and an agent" guest_start $dom
check "both are up" ready || {
    guest_console $dom | grep '^agent'
    xenstore-ls -f | grep '/console/[1-9]'
    tr '\0' ' ' < "/proc/$(qemu_pid $dom)/cmdline" | fold -w 150
    ls -l /run/xen
} 2>&1 | sed 's/^/# /'
image=$lab_images/$dom-xvda.qcow2
check "disk-only" xl snapshot-create --disk-only -n plain $dom
going "disk-only" $dom
has_snapshot "the images hold it" $dom plain
check "it has no memory" info_says plain 'Memory:      -'
check "and is not quiesced" info_says plain 'Quiesced:    no'
check "the list says what it is" \
    sh -c "xl snapshot-list $dom | grep 'plain.*disk-snapshot'"
check "so does its XML" sh -c "xl snapshot-info --xml $dom plain |
    grep '<state>disk-snapshot</state>'"

status 0 "disk-only, quiesced" \
    xl snapshot-create --disk-only --quiesce -n quiet $dom
check "it says so" says quiesced
check "and keeps it" info_says quiet 'Quiesced:    yes'
check "the guest is thawed" writes
going "quiesced" $dom
check "without: the journal would be replayed" needs_replay plain
check "with: the filesystem is clean" clean_journal quiet
check "the guest is right" guest_check $dom

status 2 "not with its memory" xl snapshot-create --quiesce $dom
check "and why" says 'come back frozen'

# ---- an agent that doesn't answer
guest_ask $dom '^agent stop' agent stop > /dev/null
status 1 "an agent that doesn't answer" \
    xl snapshot-create --disk-only --quiesce -n silent $dom
check "which is named" says 'does not answer'
status 8 "allowed, it is done" xl snapshot-create --disk-only --quiesce \
    --allow-unquiesced -n less $dom
check "and said" says 'is not quiesced'
check "and kept" info_says less 'Quiesced:    no'
check_equal "nothing is left of the other" "plain quiet less " \
    "$(image_snapshots "$image" | tr '\n' ' ')"
check "it goes" xl snapshot-delete $dom less
guest_ask $dom '^agent cont' agent cont > /dev/null
socat -u - "unix:/run/xen/$dom.sock" < <(sleep 60) &
socat=$!
sleep 1
status 1 "another program has the channel" \
    xl snapshot-create --disk-only --quiesce -n taken $dom
check "which is named" says 'another program is connected'
kill $socat
going "after all that" $dom

# ---- the command dies while the guest is frozen
settled()
{
    ! pgrep -x xl-snapshot-gua > /dev/null && ! pgrep -f snapshot-recover
}

# The agent is spoken to by sendto, QEMU by sendmsg.
strace -ttt -s 200 -e trace=sendto,sendmsg -o /tmp/trace \
    xl snapshot-create --disk-only --quiesce -n traced $dom > /dev/null
xl snapshot-delete $dom traced > /dev/null
call_of()
{
    grep ' sendto' /tmp/trace | grep -n "$1" | head -n 1 | cut -d: -f1
}

# How often QEMU was spoken to before it.
before()
{
    awk -v a="$1" 'index($0, a) { print n + 0; exit }
        / sendmsg/ { n++ }' /tmp/trace
}

# From one call to another, in milliseconds.
between()
{
    awk -v a="$1" -v b="$2" 'index($0, a) && !x { x = $1 }
        index($0, b) && !y { y = $1 } END { print int((y - x) * 1000) }' \
        /tmp/trace
}
note "under emulation and strace: QEMU stopped $(between 'stop\\' \
    'cont\\') ms, guest frozen $(between freeze-freeze freeze-thaw) ms"

killed_at()
{
    strace -e trace="$2" -e inject="$2:signal=KILL:when=$3" \
        -o /tmp/trace.kill xl snapshot-create --disk-only --quiesce -n dead \
        $dom > /tmp/out 2>&1
    check "killed $1: the guest is thawed" writes
    check "killed $1: the guard ends" wait_for 60 settled
    going "killed $1" $dom
    check_equal "killed $1: undone" "plain quiet " \
        "$(image_snapshots "$image" | tr '\n' ' ')"
}

check "the trace shows freeze and thaw" \
    test "$(call_of freeze-freeze)" -lt "$(call_of freeze-thaw)"
killed_at "frozen and paused" sendmsg $(($(before freeze-freeze) + 2))
killed_at "frozen and running" sendto "$(call_of freeze-thaw)"
check "the guest is right" guest_check $dom

# ---- paused
xl pause $dom
check "disk-only of a paused domain" \
    xl snapshot-create --disk-only -n paused $dom
check "which stays paused" domain_paused $dom
status 6 "its agent can't answer" \
    xl snapshot-create --disk-only --quiesce -n never $dom
check "which is named" says 'while the domain is paused'
check "it is still paused" domain_paused $dom
xl unpause $dom
check "it runs on" guest_wait_ticks $dom 2

# ---- revert
old=$(domid $dom)
guest_mark $dom
check "snapshot-revert" xl snapshot-revert $dom quiet
check "makes a new domain" test "$(domid $dom)" -gt "$old"
check "which boots from its disks" wait_for 60 booted
check "and ticks on" wait_for 60 guest_back_at $dom
check "the safety point is gone" \
    sh -c "! qemu-img info -U -f qcow2 $image | grep safety"
check "its filesystem and agent are up" ready
check "and right" guest_check $dom
check "one monitor looks after it" wait_for 60 one_monitor
old=$(domid $dom)
guest_mark $dom
guest_cmd $dom reboot
check "which restarts it" wait_for 60 booted
check "as another domain" test "$(domid $dom)" -gt "$old"
check "snapshot-revert --paused" xl snapshot-revert --paused $dom plain
check "leaves it paused" domain_paused $dom
guest_mark $dom
xl unpause $dom
check "unpaused, it boots" wait_for 60 booted
check "a snapshot taken paused comes back paused" \
    xl snapshot-revert $dom paused
check "as it was" domain_paused $dom

# ---- off
guest_destroy $dom
check "off: snapshot-list" sh -c "xl snapshot-list --name $dom | grep -x quiet"
check "off: snapshot-info" info_says quiet 'Quiesced:    yes'
check_status 3 "off: no snapshot-create" xl snapshot-create $dom
check "off: snapshot-delete" xl snapshot-delete $dom paused
check_equal "off: gone from the image" "plain quiet " \
    "$(image_snapshots "$image" | tr '\n' ' ')"
guest_mark $dom
check "off: snapshot-revert" xl snapshot-revert $dom quiet
check "starts the domain" wait_for 60 booted
check "which is looked after" wait_for 60 one_monitor
going "started" $dom
xl snapshot-delete $dom plain > /dev/null
xl snapshot-delete $dom quiet > /dev/null
nothing_left "nothing is left behind" $dom
guest_destroy $dom
clean_images "the images are clean" $dom

# ---- HVM, with state that libxl doesn't save
rm -rf "$catalogue" "$image"
configure hvm
truncate -s 64K /tmp/vars.fd
cat >> "$(guest_cfg $dom)" <<END
device_model_args = [ "-drive",
    "if=none,id=pflash1,format=raw,file=/tmp/vars.fd" ]
END
need "an HVM guest" guest_start $dom
check "both are up" ready
status 6 "UEFI variables in pflash" xl snapshot-create -n vars $dom
check "by name" says 'its UEFI variables are in pflash'
nothing_left "nothing was touched" $dom
check "hvm: disk-only" xl snapshot-create --disk-only -n plain $dom
status 0 "hvm: quiesced" \
    xl snapshot-create --disk-only --quiesce -n quiet $dom
check "hvm: the guest is thawed" writes
check "hvm: without: the journal would be replayed" needs_replay plain
check "hvm: with: the filesystem is clean" clean_journal quiet
check "hvm: the guest is right" guest_check $dom
guest_mark $dom
check "hvm: snapshot-revert" xl snapshot-revert $dom quiet
check "hvm: boots from its disks" wait_for 120 booted
check "hvm: and ticks on" wait_for 60 guest_back_at $dom
guest_destroy $dom
clean_images "hvm: the images are clean" $dom
sed -i 's/id=pflash1/id=tpm0/' "$(guest_cfg $dom)"
check "a paused domain will do" xl create -p "$(guest_cfg $dom)"
status 6 "a TPM" xl snapshot-create -n tpm $dom
guest_destroy $dom
