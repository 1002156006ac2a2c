#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# snapshot-check: what backups of each kind leave behind is told, is left alone
# without --repair and where it is in use, and goes with it.

set -u
here=$(cd "$(dirname "$0")" && pwd)
fake=${FAKE_XL:-$here/fake-xl}
[ -x "$fake" ] || { echo "SKIP: no $fake"; exit 77; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export XL_SNAPSHOT_ROOT=$tmp/root FAKE_PULL=$tmp/pull FAKE_BACKUP=$tmp/backup
mkdir "$XL_SNAPSHOT_ROOT" "$tmp/s" "$tmp/t" "$tmp/b"
failed=0
fail() { echo "FAIL: line ${BASH_LINENO[1]}: $*"; failed=1; }

# expect STATUS PATTERN ARGUMENTS...
expect() {
    local want=$1 pattern=$2 status
    shift 2
    out=$("$fake" "$@" 2>&1 < /dev/null)
    status=$?
    [ $status = "$want" ] || fail "$*: exit status $status, not $want: $out"
    grep -q -- "$pattern" <<< "$out" || fail "$*: no '$pattern' in: $out"
}
has() { grep -qF -- "$1" <<< "$out" || fail "no '$1' in: $out"; }
lacks() { ! grep -qF -- "$1" <<< "$out" || fail "'$1' in: $out"; }
here() { local f; for f; do [ -e "$f" ] || fail "$f is gone"; done; }
gone() { local f; for f; do [ ! -e "$f" ] || fail "$f is there"; done; }
well() { expect 0 'all is well' snapshot-check web1; }
record() { find "$XL_SNAPSHOT_ROOT" -name "$1"; }
# Found, and nothing changed; then repaired, and nothing is left.
# repaired PATTERN FILE...
repaired() {
    local pattern=$1
    shift
    expect 9 "$pattern" snapshot-check web1
    has 'with --repair'
    here "$@"
    expect 0 "$pattern.*repaired: " snapshot-check --repair web1
    gone "$@"
    well
}
# What is in use is told, if at all, and stays.
# stays STATUS PATTERN FILE...
stays() {
    local status=$1 pattern=$2
    shift 2
    expect "$status" "$pattern" snapshot-check web1
    expect "$status" "$pattern" snapshot-check --repair web1
    lacks 'repaired'
    here "$@"
}
push() {
    FAKE_BACKUP_STATE=RUNNING expect 0 running backup-start --detach \
        --scratch "$tmp/s" --disk "xvda=$tmp/t/a" web1
    json=$(record backup.json)
    id=$(sed -n 's/.*"id": "\([0-9a-f]*\)".*/\1/p' "$json")
    scratch=$tmp/s/xlbs-$id-xvda.scratch
    grep -q "$scratch" "$json" || sed -i \
        "s|\"vdev\": \"xvda\"|\"scratch\": \"$scratch\", &|" "$json"
    touch "$scratch" "$tmp/t/a"
}

expect 0 '' backup-start --detach --disk "xvda=/t/a" web1
expect 0 '' backup-stop web1
well

# --- push

push
stays 0 'all is well' "$json" "$scratch" "$FAKE_BACKUP"
sed -i s/RUNNING/COPIED/ "$FAKE_BACKUP"
stays 0 'note: .*copied everything; backup-status' "$json" "$FAKE_BACKUP"
sed -i s/COPIED/FAILED/ "$FAKE_BACKUP"
stays 0 "note: .*backup $id has failed" "$json" "$FAKE_BACKUP"
# With its device model: the target may be of use to somebody.
rm "$FAKE_BACKUP"
repaired "backup $id is in the device model any more" "$json" "$scratch"
here "$tmp/t/a"
push
rm "$FAKE_BACKUP"
expect 9 "note: disk xvda: $tmp/t/a, .* perhaps incomplete" \
       snapshot-check web1
FAKE_OFF=1 expect 0 'repaired: ' snapshot-check --repair web1
gone "$json" "$scratch"
here "$tmp/t/a"
# Its start was interrupted, and the view is there.
push
rm "$FAKE_BACKUP"
sed -i 's/"state": "running"/"state": "none"/' "$json"
echo "TARGET $id" > "$FAKE_PULL"
expect 3 'start of its backup .* interrupted' backup-status web1
repaired 'start of the backup .* was interrupted' "$json" "$FAKE_PULL"
# A record that says nothing.
push
echo '{' > "$json"
stays 7 'is damaged; .* backup-stop' "$json" "$FAKE_BACKUP"
rm "$FAKE_BACKUP"
repaired 'backup.json, is damaged' "$json"

# --- pull

pull() {
    expect 0 ready backup-start --pull web1
    json=$(record pull.json)
    scratch=
}
pull
stays 0 'all is well' "$json" "$FAKE_PULL" "$FAKE_PULL.export"
sed -i 's/$/ DEAD/' "$FAKE_PULL.export"
expect 9 'server of the pull backup .* has died; with --repair another' \
       snapshot-check web1
expect 0 'repaired: another' snapshot-check --repair web1
well
here "$json" "$FAKE_PULL"
grep -q DEAD "$FAKE_PULL.export" && fail "no other server"
rm "$FAKE_PULL"
repaired 'pull backup .* has ended with its device model' "$json" \
         "$FAKE_PULL.export"
pull
echo '{' > "$json"
stays 7 'is damaged; .* backup-stop --failed' "$json" "$FAKE_PULL"
rm "$FAKE_PULL" "$FAKE_PULL.export"
repaired 'pull.json, is damaged' "$json"

# --- a client's

folder=$(ls -d "$XL_SNAPSHOT_ROOT"/*-*-*)
json=$folder/backup-save.json
save() {
    scratch=$tmp/s/xlbs-0a1b2c3d-xvda.scratch
    touch "$scratch" "$tmp/b/.lock"
    mkdir -p "$tmp/b/.partial-c9"
    touch "$tmp/b/.partial-c9/xvda.qcow2"
    cat > "$json" << END
{ "pid": 1, "folder": "$tmp/b", "name": "c9",
  "snapshot": { "id": "0a1b2c3d", "checkpoint": "c9", "sequence": 1,
      "complete": true, "disks": [{ "vdev": "xvda",
          "scratch": "$scratch" }] },
  "export": { "id": "00000001", "snapshot": "0a1b2c3d" } }
END
    echo READY 0a1b2c3d > "$FAKE_PULL"
    echo 00000001 0a1b2c3d > "$FAKE_PULL.export"
}
save
# It lives as long as it has the lock.
exec 8> "$folder/backup-save.lock"
flock 8
stays 0 'all is well' "$json" "$FAKE_PULL" "$FAKE_PULL.export" "$scratch" \
      "$tmp/b/.partial-c9/xvda.qcow2"
exec 8>&-
export FAKE_CHECKPOINTS=c9
expect 9 "backup-save of set c9 into $tmp/b has died" snapshot-check web1
lacks 'the catalogue hasn'
has "$tmp/b/.partial-c9 is a set that was not finished"
here "$json" "$scratch" "$FAKE_PULL" "$tmp/b/.partial-c9/xvda.qcow2"
expect 0 'repaired: it is removed' snapshot-check --repair web1
has 'repaired: what is left of it is taken away'
gone "$json" "$scratch" "$FAKE_PULL" "$FAKE_PULL.export" "$tmp/b/.partial-c9"
unset FAKE_CHECKPOINTS
well
[ -z "$(record c9.json)" ] || fail "the checkpoint got into the catalogue"
# Another works in the folder.
save
exec 9<> "$tmp/b/.lock"
if python3 -c '
import fcntl, struct
fcntl.fcntl(9, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))' \
    2> /dev/null; then
    expect 9 'has died' snapshot-check web1
    lacks partial
    expect 0 'repaired: ' snapshot-check --repair web1
    here "$tmp/b/.partial-c9/xvda.qcow2"
fi
exec 9>&-
# With the domain off its checkpoint has to wait.
save
rm -r "$FAKE_PULL" "$FAKE_PULL.export" "$tmp/b/.partial-c9"
export FAKE_OFF=1
expect 9 'has died' snapshot-check web1
expect 0 'note: .*c9 is undone when the domain' snapshot-check --repair web1
here "$json"
gone "$scratch"
stays 0 'note: .*c9 is undone when the domain' "$json"
unset FAKE_OFF
repaired 'backup-save .* has died' "$json"
# Its folder's words are not believed.
save
sed -i 's|"name": "c9"|"name": "../../t"|' "$json"
expect 9 'has died' snapshot-check web1
lacks partial
expect 0 '' snapshot-check --repair web1
here "$tmp/t/a"
rm -rf "$tmp/b/.partial-c9"
save
echo '{' > "$json"
stays 7 'is damaged; .* backup-stop' "$json" "$FAKE_PULL"
expect 0 'taken away' backup-stop web1
gone "$json" "$FAKE_PULL"
rm -rf "$tmp/b/.partial-c9" "$FAKE_PULL.export" "$scratch"

# --- of no record

echo INCOMPLETE 0a1b2c3d > "$FAKE_PULL"
repaired 'xvda, xvdb: .* block snapshot 0a1b2c3d that was never finished' \
         "$FAKE_PULL"
echo TARGET 0a1b2c3d > "$FAKE_PULL"
repaired 'block snapshot 0a1b2c3d that was never finished' "$FAKE_PULL"
echo READY 0a1b2c3d > "$FAKE_PULL"
echo 00000001 0a1b2c3d > "$FAKE_PULL.export"
stays 0 'note: .*some other program may use it' "$FAKE_PULL" \
      "$FAKE_PULL.export"
echo 00000001 0a1b2c3d DEAD > "$FAKE_PULL.export"
expect 9 'export 00000001 of .* has no server' snapshot-check web1
expect 0 'repaired: ' snapshot-check --repair web1
gone "$FAKE_PULL.export"
here "$FAKE_PULL"
rm "$FAKE_PULL"
echo 00000001 0a1b2c3d > "$FAKE_PULL.export"
repaired 'has lost what it served' "$FAKE_PULL.export"

# --- files

export FAKE_SCRATCH=$tmp/img/xlbs-0a1b2c3d-xvda.scratch
mkdir "$tmp/img"
touch "$FAKE_SCRATCH"
well
# In the folder of a backup that runs, but not its own.
FAKE_BACKUP_STATE=RUNNING expect 0 running backup-start --detach \
    --scratch "$tmp/img" --disk "xvda=$tmp/t/a" web1
FAKE_SHARED=1 stays 0 'note: .* of this host uses' "$FAKE_SCRATCH"
repaired "$FAKE_SCRATCH is a scratch file that no backup uses" \
         "$FAKE_SCRATCH"
id=$(sed -n 's/.*RUNNING \(.*\)/\1/p' "$FAKE_BACKUP")
FAKE_SCRATCH=$tmp/img/xlbs-$id-xvda.scratch
touch "$FAKE_SCRATCH"
stays 0 'all is well' "$FAKE_SCRATCH"
expect 0 '' backup-stop web1

[ $failed = 0 ] && echo "ok"
exit $failed
