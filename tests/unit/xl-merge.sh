#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# snapshot-merge as a command, on a fake domain: exit codes and sentences.

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
    out=$("$fake" "$@" 2>&1 < /dev/null)
    status=$?
    [ $status = "$want" ] || fail "$*: exit status $status, not $want: $out"
    grep -q -- "$pattern" <<< "$out" || fail "$*: no '$pattern' in: $out"
}

expect 0 'There is nothing to merge\.' snapshot-merge web1
expect 0 'Disk xvda: 1 file merged\.' snapshot-merge --disk xvda web1
expect 0 '"merged": 1' snapshot-merge --json --disk xvda --up web1
expect 0 'taken' snapshot-create -n s web1
expect 6 'nothing to merge; snapshot-delete' snapshot-merge web1 s
expect 3 'no snapshot' snapshot-merge web1 other
expect 3 'nobody' snapshot-merge nobody
rm "$tmp"/root/*/snapshots/s.json
expect 7 'snapshot s: its document' snapshot-merge web1
exit $failed
