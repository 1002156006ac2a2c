#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# backup-* as commands, on a fake domain: exit codes, sentences, the record.

set -u
here=$(cd "$(dirname "$0")" && pwd)
fake=${FAKE_XL:-$here/fake-xl}
[ -x "$fake" ] || { echo "SKIP: no $fake"; exit 77; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export XL_SNAPSHOT_ROOT=$tmp/root FAKE_BACKUP=$tmp/backup
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

record() { find "$XL_SNAPSHOT_ROOT" -name "backup.$1"; }

expect 2 'is needed' backup-start web1
expect 2 'exclude' backup-start --to /x --disk xvda=/y web1
expect 2 'VDEV=TARGET' backup-start --disk xvda web1
expect 2 'no size' backup-start --to /x --speed 3x web1
expect 2 'no size' backup-start --to /x --speed 99999999T web1
expect 2 'qcow2 or raw' backup-start --to /x --format vhd web1
expect 3 'nosuch' backup-start --to /x nosuch
expect 3 'no backup' backup-status web1
expect 3 'no backup' backup-stop web1

# From the beginning to the end.
expect 0 'Backup ........ of web1: done' backup-start --disk xvda=/t/a web1
[ -z "$(record json)$(record xml)" ] || fail "a record is left"

# In three commands.
export FAKE_BACKUP_STATE=RUNNING
expect 0 ': running,' backup-start --detach --since c1 \
       --disk 'xvda=/t/a&b' --disk xvdb=nbd://h/x web1
grep -q '"since": *"c1"' "$(record json)" || fail "the record lacks c1"
xml=$(record xml)
grep -q '<target file="/t/a&amp;b"/>' "$xml" || fail "$(cat "$xml")"
if [ "${LIBVIRT_SCHEMAS:-}" ]; then
    xmllint --noout --relaxng "$LIBVIRT_SCHEMAS/domainbackup.rng" "$xml" \
        2> "$tmp/err" || fail "libvirt's schema: $(cat "$tmp/err")"
fi
expect 5 'not finished' backup-start --disk xvda=/t/c web1
expect 0 ': running,' backup-status web1
expect 0 '"state": "running"' backup-status --json web1
echo COPIED > "$FAKE_BACKUP"
expect 0 ': done,' backup-status web1
expect 3 'no backup' backup-status web1
[ -z "$(record json)$(record xml)" ] || fail "a record is left"

# Stopped; failed; gone with its QEMU.
expect 0 ': running,' backup-start --detach --disk xvda=/t/a web1
expect 0 'Backup ........ stopped' backup-stop web1
[ -z "$(record json)" ] || fail "a record is left"
expect 0 ': running,' backup-start --detach --disk xvda=/t/a web1
echo FAILED > "$FAKE_BACKUP"
expect 1 '' backup-status web1
[ -z "$(record json)" ] || fail "a record is left"
expect 0 ': running,' backup-start --detach --disk xvda=/t/a web1
rm "$FAKE_BACKUP"
expect 3 'ended with its device model' backup-status web1
expect 0 ': running,' backup-start --detach --disk xvda=/t/a web1
expect 0 'stopped' backup-stop web1

# An incremental one that can't be.
unset FAKE_BACKUP_STATE
expect 6 '' backup-start --strict --since broken --disk xvda=/t/a web1
expect 8 'full backup' backup-start --since broken --disk xvda=/t/a web1

[ $failed = 0 ] && echo "ok"
exit $failed
