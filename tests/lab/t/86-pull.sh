# SPDX-License-Identifier: LGPL-2.1-only
#
# Backups that others pull, by nbdinfo and nbdcopy: what they read, while the
# guest writes on, is what the disks held at the instant; readers, the server
# and QEMU die, and the guest (in the first two cases) does not.

out=$lab_images/pull
run=/run/xl-snapshot

# pull STATUS LABEL NAME OPTION...: what it prints is in pull.json. The guest
# is paused meanwhile, so that the images are what is to be read.
pull()
{
    local want=$1 label=$2 name=$3 rc=0 vdev

    shift 3
    xl pause "$name"
    xl backup-start --pull --json "$@" "$name" > pull.json 2> err.txt || rc=$?
    [ "$rc" -eq "$want" ] && ok "$label" ||
        fail "$label" "status $rc: $(cat err.txt pull.json)"
    for vdev in xvda xvdb; do
        qemu-img convert -U -f qcow2 -O raw "$lab_images/$name-$vdev.qcow2" \
            "$out/truth-$vdev.raw"
    done
    xl unpause "$name"
}

uri()
{
    jq -r --arg vdev "$1" '.disks[] | select(.vdev == $vdev).uri' pull.json
}

# read_all LABEL
read_all()
{
    local vdev

    for vdev in xvda xvdb; do
        rm -f "$out/$vdev.raw"
        check_equal "$1: nbdinfo says how large $vdev is" \
            "$(stat -c %s "$out/truth-$vdev.raw")" \
            "$(nbdinfo --size "$(uri $vdev)")"
        check "$1: nbdcopy reads $vdev" \
            nbdcopy "$(uri $vdev)" "$out/$vdev.raw"
        check "$1: $vdev, byte by byte" qemu-img compare -q -f raw -F raw \
            "$out/truth-$vdev.raw" "$out/$vdev.raw"
    done
}

runs_on()
{
    check "$1: the guest ticks on" guest_wait_ticks "$2" 2
    going "$1" "$2"
}

# It has its size from the beginning.
has_blocks()
{
    [ "$(stat -c %b "$1")" -gt 0 ]
}

# Who connects and leaves; writes junk; is killed while it reads.
readers_die()
{
    local label=$1 name=$2 pid qemu n

    qemu=$(qemu_pid "$name")
    for n in 1 2 3; do
        socat -u /dev/null "UNIX-CONNECT:$(jq -r .exported.socket pull.json)"
        head -c "${n}0" /dev/urandom |
            socat -u - "UNIX-CONNECT:$(jq -r .exported.socket pull.json)"
        rm -f "$out/killed.raw"
        nbdcopy --request-size=65536 --requests=1 --connections=1 \
            "$(uri xvda)" "$out/killed.raw" &
        pid=$!
        check "$label: one is killed in the middle of it, $n" \
            wait_for 20 has_blocks "$out/killed.raw"
        kill -9 $pid
        wait $pid 2> /dev/null
        timeout -s KILL 0.$n nbdcopy "$(uri xvdb)" null: 2> /dev/null
    done
    check_equal "$label: readers die, and QEMU lives" "$qemu" \
        "$(qemu_pid "$name")"
    check "$label: it is the same process" kill -0 "$qemu"
    runs_on "$label, after that" "$name"
}

server_dies()
{
    kill -9 "$(jq .exported.pid pull.json)"
    sleep 1
    check_fails "$1: the server was killed" \
        nbdinfo --size "$(uri xvda)"
    check "$1: there is another one" xl backup-status --json "$2"
    runs_on "$1, another server" "$2"
    read_all "$1, another server"
}

# What the map calls clean is as it was at the instant before.
incremental()
{
    local label=$1 vdev start length kind text

    for vdev in xvda xvdb; do
        nbdinfo --map=qemu:dirty-bitmap:changes "$(uri $vdev)" > map.txt
        while read -r start length kind text; do
            [ "$text" = dirty ] || continue
            dd if="$out/$vdev.raw" of="$out/before-$vdev.raw" bs=64K \
                iflag=skip_bytes,count_bytes oflag=seek_bytes \
                skip="$start" seek="$start" count="$length" \
                conv=notrunc status=none
        done < map.txt
        check "$label: the map of $vdev lacks nothing" \
            qemu-img compare -q -f raw -F raw "$out/truth-$vdev.raw" \
            "$out/before-$vdev.raw"
    done
}

checkpoints()
{
    xl checkpoint-list --json "$1" | jq -r '.[].name' | xargs
}

no_files()
{
    check_equal "$1: no file of it is left" "" \
        "$(find "$lab_images" $run -name 'xlbs*' -o -name 'export-*')"
    check_fails "$1: no server is left" pgrep -f "qemu-storage-daemon.*xlbs"
}

no_record()
{
    check_equal "$1: no record is left" "" \
        "$(find "$catalogue/$(uuid_of "$2")" -name pull.json)"
}

nothing_of_it()
{
    no_files "$1"
    no_record "$1" "$2"
}

pulled()
{
    local type=$1 name=p-$1 vdev

    check "$type: boots" guest_create "$name" "$type" 64M 64M || return 0
    guest_wait_ticks "$name" 3
    pull 0 "$type: begins" "$name" --checkpoint c0
    runs_on "$type, begun" "$name"
    read_all "$type"
    read_all "$type, again"
    readers_die "$type" "$name"
    check_status 5 "$type: no snapshot meanwhile" xl snapshot-create "$name"
    server_dies "$type" "$name"
    check "$type: ends" xl backup-stop "$name"
    nothing_of_it "$type" "$name"
    runs_on "$type, ended" "$name"
    check_equal "$type: c0 stays" c0 "$(checkpoints "$name")"

    for vdev in xvda xvdb; do
        mv "$out/truth-$vdev.raw" "$out/before-$vdev.raw"
    done
    pull 0 "$type: incremental" "$name" --since c0 --checkpoint c1
    guest_wait_ticks "$name" 2
    read_all "$type, incremental"
    incremental "$type" "$name"
    check "$type: it is called failed" xl backup-stop --failed "$name"
    check_equal "$type: c1 never was" c0 "$(checkpoints "$name")"
    nothing_of_it "$type, incremental" "$name"
    check "$type: a snapshot afterwards" xl snapshot-create -n s1 "$name"
    runs_on "$type, snapshot" "$name"
    check "$type: the guest finds all that it wrote" guest_check "$name"
    guest_destroy "$name"
    clean_images "$type: the images are clean" "$name"
}

need "there is a qemu-storage-daemon" qemu-storage-daemon --version
mkdir -p "$out"
for type in ${LAB_TYPES:-pv pvh hvm}; do
    pulled "$type"
done

# ---- over TCP only if asked for by name
check "tcp: boots" guest_create p-tcp pvh 64M 64M
guest_wait_ticks p-tcp 2
check_status 2 "tcp: not without TLS" \
    xl backup-start --pull --listen 127.0.0.1:12345 p-tcp
pull 0 "tcp: insecure" p-tcp --listen 127.0.0.1:12345 --insecure
read_all "tcp"
check "tcp: ends" xl backup-stop p-tcp
runs_on "tcp" p-tcp
guest_destroy p-tcp

# ---- the scratch space is full: the reader gets errors, the guest nothing
check "full: boots" guest_create p-full pv 64M 64M
guest_wait_ticks p-full 2
pull 0 "full: begins" p-full --checkpoint c0 --scratch-max 1M
broken() { xl backup-status p-full | grep -q broken; }
check "full: it breaks" wait_for 180 broken
check_status 7 "full: and says so" xl backup-status p-full
runs_on "full" p-full
check_status 7 "full: no success is believed" xl backup-stop p-full
check_equal "full: c0 never was" "" "$(checkpoints p-full)"
check "full: the guest finds all that it wrote" guest_check p-full
nothing_of_it "full" p-full
guest_destroy p-full
clean_images "full: the images are clean" p-full

# ---- QEMU is killed while it is read
check "killed: boots" guest_create p-kill pv 64M 64M
guest_wait_ticks p-kill 3
pull 0 "killed: begins" p-kill --checkpoint c0
pid=$(qemu_pid p-kill)
nbdcopy --request-size=65536 --requests=1 --connections=1 "$(uri xvda)" \
    null: 2> /dev/null &
kill -9 "$pid"
wait_for 30 test ! -e "/proc/$pid"
check_fails "killed: it can't be read any more" \
    nbdcopy "$(uri xvda)" "$out/xvda.raw"
check_status 3 "killed: status says what became of it" xl backup-status p-kill
# Its checkpoint is undone by the next QEMU, so the record stays until then.
no_files "killed"
guest_destroy p-kill
guest_mark p-kill
check "killed: boots again" guest_start p-kill
guest_wait_ticks p-kill 3
pull 8 "killed: the next one is full" p-kill --since c0 --checkpoint c1
read_all "killed"
check "killed: ends" xl backup-stop p-kill
check_equal "killed: of both checkpoints there is the second" c1 \
    "$(checkpoints p-kill)"
nothing_of_it "killed, ended" p-kill
runs_on "killed" p-kill
guest_destroy p-kill
rm -rf "$out"
