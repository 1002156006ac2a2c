#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# backup-save and its like: what the client is given, its words on folders,
# and what backup-stop does after a dead one.

set -u
cd "$(dirname "$0")" || exit 1
top=$(cd ../.. && pwd)
fake=./fake-xl
client=$top/tools/backup/xl-backup-client
[ -x "$fake" ] && [ -x "$client" ] || { echo "SKIP: not built"; exit 77; }
export LD_LIBRARY_PATH=$top/tools/libxl:$top/tools/libxlu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export XL_SNAPSHOT_ROOT=$tmp/root FAKE_BACKUP=$tmp/backup
mkdir "$XL_SNAPSHOT_ROOT" "$tmp/b"
failed=0
fail() { echo "FAIL: $*"; failed=1; }

# expect STATUS PATTERN ARGUMENTS...
expect() {
    local want=$1 pattern=$2 out status
    shift 2
    out=$("$fake" "$@" 2>&1 < /dev/null)
    status=$?
    [ $status = "$want" ] || fail "$*: exit status $status, not $want: $out"
    grep -q -- "$pattern" <<< "$out" || fail "$*: no '$pattern' in: $out"
}

# It gets the command as it was typed, and who called it.
printf '#!/bin/sh\nprintf "<%%s>" "$@"\nexit 42\n' > "$tmp/show"
chmod +x "$tmp/show"
export FAKE_CLIENT=$tmp/show
expect 42 "^</.*fake-xl><-v><-v><-T><backup-save><--full><web1><$tmp/b c>$" \
       -vvT backup-save --full web1 "$tmp/b c"
FAKE_CLIENT=$tmp/nosuch expect 1 "can't run $tmp/nosuch" backup-list "$tmp/b"

export FAKE_CLIENT=$client
expect 2 'exclude' backup-save --full --since x web1 "$tmp/b"
expect 2 'nothing is to be kept' backup-prune "$tmp/b"
expect 2 'nothing is to be kept' backup-prune --keep-last 0 "$tmp/b"
expect 2 'no number' backup-prune --keep-last x "$tmp/b"
expect 2 'no number' backup-prune --keep-last 99999999999 "$tmp/b"
expect 2 'qcow2 or raw' backup-restore --format vhd "$tmp/b" "$tmp/r"
expect 3 'No such file' backup-list "$tmp/nosuch"
expect 0 '^NAME' backup-list "$tmp/b"
expect 0 '^\[' backup-list --json "$tmp/b"
expect 3 'holds no backups' backup-verify "$tmp/b"
expect 3 'holds no backups' backup-restore "$tmp/b" "$tmp/r"
expect 3 'holds no set x' backup-verify --set x "$tmp/b"
[ -e "$tmp/b/.lock" ] && fail "a reader has made a lock"

# What is no set isn't touched; what a dead one has left is.
mkdir -p "$tmp/b/mine" "$tmp/b/.partial-c1" "$tmp/b/.other"
touch "$tmp/b/mine/file" "$tmp/b/.partial-c1/xvda.qcow2"
expect 0 '^NAME' backup-list "$tmp/b"
[ -e "$tmp/b/.partial-c1" ] || fail "a reader has changed something"
expect 0 '' backup-prune --keep-last 1 "$tmp/b"
[ -e "$tmp/b/.partial-c1" ] && fail "what was interrupted is left"
[ -e "$tmp/b/mine/file" ] && [ -e "$tmp/b/.other" ] ||
    fail "something of others is gone"

# The second one has to wait.
exec 9<> "$tmp/b/.lock"
if python3 -c '
import fcntl, struct
fcntl.fcntl(9, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))' \
    2> /dev/null; then
    expect 5 'is busy' backup-prune --keep-last 1 "$tmp/b"
    expect 0 '^NAME' backup-list "$tmp/b"
fi
exec 9>&-

# A save that was killed.
FAKE_BACKUP_STATE=RUNNING expect 0 running backup-start --detach \
    --disk xvda=/t/a web1
expect 0 stopped backup-stop web1
folder=$(ls -d "$XL_SNAPSHOT_ROOT"/*-*-*)
cat > "$folder/backup-save.json" << END
{ "pid": 1, "folder": "$tmp/b", "name": "c1",
  "snapshot": { "id": "0011aabb", "checkpoint": "c1" } }
END
expect 0 'had left was taken away' backup-stop web1
[ -e "$folder/backup-save.json" ] && fail "a record is left"
expect 3 'no backup' backup-stop web1

# One that lives is told, and waited for.
(
    self=$BASHPID
    exec 8> "$folder/backup-save.lock"
    flock 8
    trap 'rm "$folder/backup-save.json"; exit 0' TERM
    cat > "$folder/backup-save.json" << END
{ "pid": $self, "folder": "$tmp/b", "name": "c1" }
END
    touch "$tmp/ready"
    for _ in $(seq 200); do sleep 0.1 8>&-; done
) &
while [ ! -e "$tmp/ready" ]; do sleep 0.1; done
expect 0 "^backup-save, process [0-9]*, copies c1 into $tmp/b\.$" \
    backup-status web1
expect 0 '"name": "c1"' backup-status --json web1
expect 0 'was stopped' backup-stop web1
expect 3 'no backup' backup-status web1
[ -e "$folder/backup-save.json" ] && fail "it was not waited for"
wait

[ $failed = 0 ] && echo "ok"
exit $failed
