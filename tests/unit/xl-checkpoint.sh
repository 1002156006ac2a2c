#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# checkpoint-* as commands, on a fake domain: exit codes, sentences, forms.
# Each command is a process, so its disks have the checkpoints of
# $FAKE_CHECKPOINTS, and no others.

set -u
here=$(cd "$(dirname "$0")" && pwd)
fake=${FAKE_XL:-$here/fake-xl}
[ -x "$fake" ] || { echo "SKIP: no $fake"; exit 77; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export XL_SNAPSHOT_ROOT=$tmp/root
mkdir "$XL_SNAPSHOT_ROOT"
failed=0
fail() { echo "FAIL: $*"; failed=1; }

# expect STATUS PATTERN ARGUMENTS...
expect() {
    local want=$1 pattern=$2 out status
    shift 2
    out=$("$fake" "$@" 2>&1 < "${input:-/dev/null}")
    status=$?
    [ $status = "$want" ] || fail "$*: exit status $status, not $want: $out"
    grep -q -- "$pattern" <<< "$out" || fail "$*: no '$pattern' in: $out"
}

expect 0 '^Checkpoint monday made' checkpoint-create -n monday web1
expect 4 'already' checkpoint-create -n monday web1
expect 2 "checkpoint's name" checkpoint-create -n 'a b' web1
expect 3 'nosuch' checkpoint-list nosuch
expect 0 '^Checkpoint frozen made' checkpoint-create --quiesce -n frozen web1
expect 0 'Quiesced: *yes' checkpoint-info web1 frozen
expect 8 '^Checkpoint thawed made' checkpoint-create --quiesce \
    --allow-unquiesced -n thawed web1
expect 8 '"name": "json"' checkpoint-create --quiesce --json \
    --allow-unquiesced -n json web1
expect 0 'frozen' checkpoint-list --tree web1
for c in frozen thawed json; do
    expect 0 'deleted' checkpoint-delete web1 $c
done
# With a snapshot.
expect 0 '^Checkpoint both began with it' snapshot-create -n s1 -c both web1
expect 0 '^Checkpoint: *both$' snapshot-info web1 s1
expect 0 '"checkpoint": "both"' snapshot-info --json web1 s1
expect 0 '^both' checkpoint-list --name web1
expect 4 'a checkpoint both already' snapshot-create -n s2 -c both web1
expect 4 'a checkpoint monday already' snapshot-create --checkpoint monday web1
expect 2 "checkpoint's name" snapshot-create -c 'a b' web1
expect 2 "checkpoint's name" snapshot-create -c '' web1
expect 0 '^s1$' snapshot-list --name web1
[ "$("$fake" snapshot-list --name web1)" = s1 ] || fail 'refused, and yet made'
expect 0 'deleted' checkpoint-delete web1 both
# Its bitmap is gone with that process.
expect 0 'monday .* broken' checkpoint-list web1
expect 0 'broken: its bitmap is not there' checkpoint-info web1 monday
expect 6 'is not there any more' checkpoint-dirty web1
export FAKE_CHECKPOINTS='monday tuesday'
expect 0 '^monday .* good .* xvda,xvdb' checkpoint-list web1
expect 0 '^monday$' checkpoint-list --name web1
expect 0 '^monday \*$' checkpoint-list --tree web1
expect 2 'exclude' checkpoint-list --tree --name web1
expect 2 'exclude' checkpoint-list --tree --json web1
expect 0 'Quiesced: *no' checkpoint-info web1 monday
expect 2 'needs --quiesce' checkpoint-create --allow-unquiesced web1
expect 0 '"state": "good"' checkpoint-list --json web1
expect 0 'Parent: *-$' checkpoint-info web1 monday
expect 0 '<domaincheckpoint>' checkpoint-info --xml web1 monday
expect 3 'no checkpoint x' checkpoint-info web1 x
expect 0 '^xvda .*64.0* KiB' checkpoint-dirty web1
expect 0 '^xvdb 131072 65536$' checkpoint-dirty --since monday --extents web1
expect 0 '"offset": 131072' checkpoint-dirty --json web1
[ "$("$fake" checkpoint-dirty --disk xvdb --extents web1 | wc -l)" = 1 ] ||
    fail '--disk'
expect 3 'no disk xvdq' checkpoint-dirty --disk xvdq web1
expect 3 'no checkpoint x' checkpoint-dirty --since x web1
expect 2 'exclude' checkpoint-dirty --json --extents web1
# On the disks, and not in the catalogue.
expect 4 '' checkpoint-create -n tuesday web1
"$fake" checkpoint-info --xml web1 monday > "$tmp/monday.xml"
expect 0 'deleted' checkpoint-delete web1 monday
expect 3 'no checkpoint monday' checkpoint-delete web1 monday
input=$tmp/monday.xml
expect 0 'redefined' checkpoint-redefine web1 -
unset input FAKE_CHECKPOINTS
expect 8 'redefined; it is broken' checkpoint-redefine web1 "$tmp/monday.xml"
expect 2 'not well-formed' checkpoint-redefine web1 /dev/null
expect 1 "can't read" checkpoint-redefine web1 "$tmp/none"
export FAKE_OFF=1
expect 0 'monday .* unknown' checkpoint-list web1
expect 6 'not running' checkpoint-create web1
expect 6 'not running' checkpoint-dirty web1

for v in bookworm trixie; do
    schemas=$("$here/../libvirt-schemas" $v 2> /dev/null) || continue
    command -v xmllint > /dev/null || continue
    xmllint --noout --relaxng "$schemas/domaincheckpoint.rng" \
        "$tmp/monday.xml" 2> /dev/null || fail "schema of $v"
done
exit $failed
