# SPDX-License-Identifier: LGPL-2.1-only
#
# Snapshots taken while the domain runs, and compressed memory images.

# Is log-dirty mode on?  Xen prints it for each domain.
log_dirty()
{
    local id

    id=$(domid "$1") || return 2
    xl dmesg -c >> /var/log/xen/dmesg.log
    xl debug-keys q
    sleep 0.3
    xl dmesg | awk -v want="domain $id:" '
        /General information for domain/ { mine = index($0, want) }
        mine && /paging assistance:.* log_dirty/ { found = 1 }
        END { exit !found }'
}

not_log_dirty()
{
    local rc=0

    log_dirty "$1" || rc=$?
    [ $rc -eq 1 ]
}

# create_and_revert WHAT NAME SNAPSHOT OPTION...: the guest comes back at a
# tick that it had while the snapshot was taken.
create_and_revert()
{
    local what=$1 name=$2 snapshot=$3 before after first

    shift 3
    before=$(guest_tick "$name")
    check "$what: snapshot-create $*" \
        xl snapshot-create "$@" -n "$snapshot" "$name" ||
        { show_logs "$name"; return 1; }
    after=$(guest_tick "$name")
    going "$what: after snapshot-create" "$name"
    check "$what: runs on" guest_wait_ticks "$name" 3
    check "$what: nobody notes its writes" not_log_dirty "$name"
    guest_mark "$name"
    check "$what: snapshot-revert" \
        xl snapshot-revert --no-safety "$name" "$snapshot" ||
        { show_logs "$name"; return 1; }
    check "$what: ticks on" guest_goes_on "$name"
    first=$(guest_back_at "$name")
    [ "${first:-0}" -gt "$before" ] && [ "$first" -le $((after + 3)) ] &&
        ok "$what: from a tick of the time of the snapshot" ||
        fail "$what: from a tick of the time of the snapshot" \
            "$before, $first, $after"
    check "$what: memory and disks agree" guest_check "$name"
    going "$what: after snapshot-revert" "$name"
}

writing()
{
    [ -n "$(find "$catalogue/$1" -name '.new.mem*' -size +8M)" ]
}

settled()
{
    ! pgrep -x xl-snapshot-gua > /dev/null && ! pgrep -f snapshot-recover
}

# Killed in a round: the guest runs, and nothing is left.
killed()
{
    local what=$1 name=$2 uuid pid

    uuid=$(uuid_of "$name")
    setsid xl snapshot-create --live -n new "$name" > /tmp/out 2>&1 &
    pid=$!
    check "$what: a round is under way" wait_for 30 writing "$uuid"
    check "$what: its writes are noted meanwhile" log_dirty "$name"
    guest_wait_ticks "$name" 1 && ok "$what: it runs meanwhile" ||
        fail "$what: it runs meanwhile"
    kill -KILL $pid
    wait $pid
    wait_for 60 settled || fail "$what: the guard ends"
    going "$what: after the kill" "$name"
    check "$what: its writes are not noted any more" not_log_dirty "$name"
    check "$what: memory and disks are right" guest_check "$name"
    check_equal "$what: no file is left" "" "$(find "$catalogue/$uuid" \
        -name journal -o -name '*new*')"
}

# ---- PV: this Xen can't

check "pv: boots" guest_create v-pv pv 64M
guest_wait_ticks v-pv 2
start=$SECONDS
check_status 6 "pv: --live is refused" xl snapshot-create --live v-pv
[ $((SECONDS - start)) -le 8 ] && ok "pv: at once" ||
    fail "pv: at once" $((SECONDS - start))
going "pv: after the refusal" v-pv
check "pv: ticks on" guest_wait_ticks v-pv 2
nothing_left "pv: nothing is left behind" v-pv
guest_destroy v-pv

# ---- PVH

check "pvh: boots" guest_create v-pvh pvh -m 128 64M
guest_cmd v-pvh dirty 4 16
guest_wait_ticks v-pvh 2
create_and_revert "pvh, live" v-pvh s1 --live
guest_destroy v-pvh
clean_images "pvh: the image is clean" v-pvh

# ---- HVM

check "hvm: boots" guest_create v-hvm hvm -m 192 64M 64M
guest_cmd v-hvm dirty 4 16
guest_wait_ticks v-hvm 2
create_and_revert "hvm, live, compressed" v-hvm s1 --live --compress
killed "hvm, killed" v-hvm

image=$catalogue/$(uuid_of v-hvm)/snapshots/s1.mem.zst
check "hvm: stock zstd finds no fault" zstd -tq "$image"
# Each round writes again what the guest has dirtied, which doesn't compress.
plain=$(zstd -dcq "$image" | wc -c)
[ $((2 * $(stat -c %s "$image"))) -lt "$plain" ] && ok "hvm: it is small" ||
    fail "hvm: it is small" "$(stat -c %s "$image") of $plain"
restore="zstd -dc $image | xl restore /dev/stdin"
xl snapshot-info v-hvm s1 | grep -qF "    $restore" &&
    ok "hvm: snapshot-info says how to restore it" ||
    fail "hvm: snapshot-info says how to restore it"
# A bare devtmpfs has none.
[ -e /dev/stdin ] || ln -s /proc/self/fd/0 /dev/stdin
guest_destroy v-hvm
guest_mark v-hvm
for disk in $(images_of v-hvm); do
    qemu-img snapshot -a s1 "$disk"
done
check "hvm: stock commands restore it" bash -c "$restore"
check "hvm: restored, it ticks on" guest_wait_ticks v-hvm 2
check "hvm: restored, memory and disks agree" guest_check v-hvm
guest_destroy v-hvm
clean_images "hvm: the images are clean" v-hvm
