# SPDX-License-Identifier: LGPL-2.1-only
#
# Bad input and bad luck: each a sentence and its exit code, the domain
# running, other snapshots whole.

name=bad

# refused STATUS NAME SENTENCE COMMAND...: the sentence is a pattern.
refused()
{
    local want=$1 what=$2 sentence=$3 out rc=0

    shift 3
    out=$("$@" 2>&1) || rc=$?
    if [ "$rc" -ne "$want" ]; then
        fail "$what" "exit status $rc, not $want: $out" || true
    elif ! printf '%s\n' "$out" | grep -q -- "$sentence"; then
        fail "$what" "no '$sentence' in: $out" || true
    else
        ok "$what"
    fi
}

# The domain and the good snapshot are as they were.
whole()
{
    going "$1" $name
    check_equal "$1: the good snapshot is listed" good \
        "$(xl snapshot-list --name $name)"
    check_equal "$1: only it is in the image" good \
        "$(image_snapshots "$disk")"
    check_equal "$1: no file is left over" "" \
        "$(find "$folder" -type f ! -name 'good.*' ! -name domain.json \
            ! -name lock ! -name current)"
}

need "a guest" guest_create $name pv 256M
guest_wait_ticks $name 3
need "a good snapshot" xl snapshot-create -n good $name
disk=$(images_of $name)
folder=$catalogue/$(uuid_of $name)

long=$(printf 'n%.0s' $(seq 201))
refused 3 "no such domain" "nodomain" xl snapshot-create nodomain
refused 3 "no such snapshot" "nosnap" xl snapshot-revert $name nosnap
refused 3 "no such snapshot to delete" "nosnap" \
    xl snapshot-delete $name nosnap
refused 4 "a name that is taken" "good" xl snapshot-create -n good $name
refused 2 "a name with a slash" "/" xl snapshot-create -n a/b $name
refused 2 "a name with a control character" "control" \
    xl snapshot-create -n $'a\tb' $name
refused 2 "an empty name" "empty" xl snapshot-create -n "" $name
refused 2 "a name of 201 bytes" "200" xl snapshot-create -n "$long" $name
refused 3 "a disk that isn't there" "xvdq" \
    xl snapshot-create --disk xvdq $name
whole "after bad names"

# ---- no space for the memory image
mkdir -p /mnt
mount -t tmpfs -o size=32m tmpfs /mnt
refused 1 "no space at the start" "space" \
    xl snapshot-create -n full --path /mnt $name
whole "no space at the start"
umount /mnt
# Room at first, and taken away while the memory is written.
mount -t tmpfs -o size=192m tmpfs /mnt
( while [ -z "$(find /mnt -size +2M)" ]; do :; done
  dd if=/dev/zero of=/mnt/other bs=1M count=100 status=none ) 2>/dev/null &
refused 1 "no space half-way" "space" \
    xl snapshot-create -n full --path /mnt $name
wait
rm -f /mnt/other
check_equal "no space half-way: no image is left" "" "$(find /mnt -type f)"
umount /mnt
whole "no space half-way"
check "the guest is right after all that" guest_check $name

# ---- damage
cp -a "$folder/snapshots/good.mem" /tmp/good.mem
truncate -s -4096 "$folder/snapshots/good.mem"
refused 7 "a memory image cut short" "good.mem" \
    xl snapshot-revert $name good
cp -a /tmp/good.mem "$folder/snapshots/good.mem"
printf 'X' | dd of="$folder/snapshots/good.mem" bs=1 seek=50000000 \
    conv=notrunc status=none
refused 7 "a changed byte in the memory image" "good.mem" \
    xl snapshot-revert $name good
cp -a /tmp/good.mem "$folder/snapshots/good.mem"
whole "after a damaged memory image"

qmp_raw $name '{"execute":"blockdev-snapshot-delete-internal-sync",
    "arguments":{"device":"xvda-qcow2","name":"good"}}' > /dev/null
refused 7 "the disk lost its snapshot" "$disk" xl snapshot-revert $name good
going "the disk lost its snapshot" $name
check "a snapshot that is half gone can be deleted" \
    xl snapshot-delete $name good
need "another good snapshot" xl snapshot-create -n good $name

echo 'no xml' > "$folder/snapshots/good.xml"
refused 0 "damaged XML is named" "good.xml" xl snapshot-list $name
refused 0 "and written again" "" xl snapshot-create -n other $name
refused 0 "by the next command" "" xl snapshot-delete $name other
check "the XML is XML again" xmllint --noout "$folder/snapshots/good.xml"
cp "$folder/snapshots/good.json" /tmp/good.json
echo '{' > "$folder/snapshots/good.json"
refused 7 "damaged JSON is named" "good.json" xl snapshot-revert $name good
cp /tmp/good.json "$folder/snapshots/good.json"
whole "after damaged documents"

# ---- busy: while one writes memory, the other says so at once
xl snapshot-create -n one $name > /tmp/one.log 2>&1 &
one=$!
wait_for 10 test -s "$folder/journal"
refused 5 "a second command says busy" "$name" \
    xl snapshot-create -n two $name
check "or waits" xl snapshot-create --wait -n three $name
wait $one && ok "the first one is not disturbed" ||
    fail "the first one is not disturbed" "$(cat /tmp/one.log)"
check_equal "all are there" "good one three" \
    "$(xl snapshot-list --name $name | sort | tr '\n' ' ' | sed 's/ $//')"
for s in one three; do xl snapshot-delete $name $s; done
whole "after two at once"

# ---- disks that can't
guest_destroy $name
need "a guest with a raw disk" guest_create raw pv 64M:raw
refused 6 "a raw disk" "xvda" xl snapshot-create -n s raw
going "a raw disk" raw
check "the same with the disk left out" \
    xl snapshot-create -n s --disk xvda,kind=none raw
check "can be deleted" xl snapshot-delete raw s
guest_destroy raw

# ---- QEMU is killed while the memory is written
need "a guest to lose its QEMU" guest_create dead pv 64M
guest_wait_ticks dead 3
need "its good snapshot" xl snapshot-create -n good dead
pid=$(qemu_pid dead)
folder=$catalogue/$(uuid_of dead)
# Not before the save has begun: without a QEMU create would refuse at once.
# The helper that writes the memory is held, so that it isn't too late either.
( until helper=$(pgrep -f libxl-save-helper | head -n 1) && [ -n "$helper" ] &&
      kill -STOP "$helper"
  do :; done
  kill -9 "$pid"
  while [ -e "/proc/$pid" ]; do sleep 0.1; done
  kill -CONT "$helper" ) 2> /dev/null &
refused 1 "QEMU killed during create" "QEMU" xl snapshot-create -n new dead
wait
check_equal "QEMU killed: the guest is not stopped" "" \
    "$(domain_state dead | tr -d 'rb-')"
check_equal "QEMU killed: only the good snapshot is in the image" good \
    "$(image_snapshots "$(images_of dead)")"
guest_mark dead
check "QEMU killed: a revert brings it back" xl snapshot-revert dead good
check "QEMU killed: it ticks" guest_wait_ticks dead 3
check "QEMU killed: and is right" guest_check dead
guest_destroy dead
# kill -9 may leak clusters (3), never more.
qemu-img check -q -f qcow2 "$(images_of dead)" > /dev/null
case $? in
0 | 3) ok "QEMU killed: the image is not corrupt" ;;
*) fail "QEMU killed: the image is not corrupt" ;;
esac
