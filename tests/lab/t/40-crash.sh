# SPDX-License-Identifier: LGPL-2.1-only
#
# The command dies: by Ctrl-C, by SIGTERM, by SIGKILL at one system call
# after the other (strace injects the signal into the product as it is).
# The guest runs on, the next command clears up, nothing is lost.

name=crash
long=${LAB_LONG:-}

settled()
{
    ! pgrep -x xl-snapshot-gua > /dev/null && ! pgrep -f snapshot-recover
}

# After a death: the guard has set the guest going; the next command finds
# all in order.
recovers()
{
    wait_for 90 settled || fail "$1: the guard ends"
    going "$1" $name
    check "$1: the next command works" xl snapshot-list $name
    case $(xl snapshot-list --name $name | tr '\n' ' ') in
    "good " | "good new ") ok "$1: the good snapshot is there" ;;
    *) fail "$1: the good snapshot is there" \
        "$(xl snapshot-list --name $name)" ;;
    esac
    check_equal "$1: images and catalogue agree" \
        "$(xl snapshot-list --name $name)" "$(image_snapshots "$disk")"
    check_equal "$1: no journal is left" "" "$(find "$folder" -name journal)"
    ! xl snapshot-list --name $name | grep -qx new ||
        xl snapshot-delete $name new > /dev/null
}

need "a guest" guest_create $name pv 128M
guest_wait_ticks $name 3
need "a good snapshot" xl snapshot-create -n good $name
disk=$(images_of $name)
folder=$catalogue/$(uuid_of $name)

writing()
{
    [ -n "$(find "$folder" -name '*.mem*' -size +1M ! -name good.mem)" ]
}

signalled()
{
    local signal=$1 whom=$2 what=$3 pid rc=0

    # The shell lets what it starts aside ignore SIGINT.
    setsid env --default-signal=INT xl snapshot-create -n new $name \
        > /tmp/out 2>&1 &
    pid=$!
    wait_for 60 writing
    kill "-$signal" -- "$([ "$whom" = group ] && echo "-$pid" || echo "$pid")"
    wait $pid || rc=$?
    [ $rc -ne 0 ] && ok "$what: the command fails" ||
        fail "$what: the command fails"
    recovers "$what"
}

signalled INT group "Ctrl-C"
signalled TERM one "SIGTERM"
signalled KILL one "SIGKILL"

deaths=0

# Calls of the main thread: sendmsg speaks to QEMU, rename moves documents and
# journal, ioctl goes to the hypervisor.
killed_at()
{
    local call=$1 n=$2 rc=0

    strace -o /tmp/trace -e trace="$call" \
        -e inject="$call:signal=KILL:when=$n" \
        xl snapshot-create -n new $name > /tmp/out 2>&1 || rc=$?
    [ $rc -ne 0 ] || return 1
    deaths=$((deaths + 1))
    recovers "create killed at $call $n"
}

for n in ${long:+2} 4 ${long:+6 7 8} 9 ${long:+10} 11 12; do
    killed_at sendmsg $n || break
done
for n in 1 ${long:+2 3} 4 ${long:+5 6 7}; do
    killed_at rename,renameat,renameat2 $n || break
done
check "the guest is right after all that" guest_check $name

# Revert: whenever it dies, the domain runs, at one point or the other.
reverted_killed_at()
{
    local call=$1 n=$2 rc=0 what

    what="revert killed at $call $n"
    guest_mark $name
    strace -o /tmp/trace -e trace="$call" \
        -e inject="$call:signal=KILL:when=$n" \
        xl snapshot-revert $name good > /tmp/out 2>&1 || rc=$?
    [ $rc -ne 0 ] || return 1
    deaths=$((deaths + 1))
    wait_for 180 settled || fail "$what: the guard ends"
    check "$what: the domain is there" wait_for 60 domain_exists $name
    going "$what" $name
    check "$what: ticks" guest_wait_ticks $name 2
    check "$what: memory and disk agree" guest_check $name
    check_equal "$what: images and catalogue agree" good \
        "$(image_snapshots "$disk")"
    check_equal "$what: no journal is left" "" "$(find "$folder" -name journal)"
}

for n in 1 ${long:+2} 3 ${long:+4} 5 6 ${long:+7 8}; do
    reverted_killed_at rename,renameat,renameat2 $n || break
done

check "it was killed often enough: $deaths times" [ $deaths -ge 10 ]
guest_destroy $name
clean_images "the image is clean" $name
