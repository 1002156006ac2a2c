#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# Pull backups as commands, on a fake domain: exit codes, sentences, and the
# documents, by libvirt's schema and by those in docs/schemas.

set -u
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "${TOP_SRCDIR:-$here/../..}" && pwd)
fake=${FAKE_XL:-$here/fake-xl}
[ -x "$fake" ] || { echo "SKIP: no $fake"; exit 77; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export XL_SNAPSHOT_ROOT=$tmp/root FAKE_PULL=$tmp/pull FAKE_BACKUP=$tmp/backup
mkdir "$XL_SNAPSHOT_ROOT"
failed=0
fail() { echo "FAIL: $*"; failed=1; }

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
gone() {
    [ -z "$(find "$XL_SNAPSHOT_ROOT" -name 'backup.xml' -o -name pull.json)" ] ||
        fail "$1: a record is left"
    [ ! -e "$FAKE_PULL" ] && [ ! -e "$FAKE_PULL.export" ] ||
        fail "$1: something is left"
    [ ! -e "$FAKE_PULL.undone" ] || [ "$(cat "$FAKE_PULL.undone")" = "$2" ] ||
        fail "$1: the checkpoint: $(cat "$FAKE_PULL.undone"), not $2"
    rm -f "$FAKE_PULL.undone"
}

expect 2 'of a backup that is written' backup-start --pull --to /x web1
expect 2 'of a backup that is written' backup-start --pull --format qcow2 web1
expect 2 'takes no target' backup-start --pull --disk xvda=/y web1
expect 2 'exclude' backup-start --pull --socket /s --listen h web1
expect 2 'everybody could read' backup-start --pull --listen h:1 web1
expect 2 'exclude' backup-start --pull --listen h --tls /d --insecure web1
expect 2 'go with --listen' backup-start --pull --tls /d web1
expect 2 'go with --listen' backup-start --pull --insecure web1
expect 2 'goes with --tls' backup-start --pull --listen h --insecure \
       --tls-any-client web1
expect 2 'go with --pull' backup-start --to /x --socket /s web1
for address in '' : :1 h: h:0 h:65536 h:1x h:1:2 '[::1' '[]:1' '[::1]x'; do
    expect 2 'is not HOST' backup-start --pull --insecure \
           --listen "$address" web1
done
expect 2 'VDEV=TARGET' backup-start --pull --disk = web1
expect 2 'exclude' backup-status --json --xml web1
expect 3 'nosuch' backup-start --pull nosuch
expect 3 'no backup' backup-status --xml web1
expect 3 'no pull backup' backup-status --export-xml web1
expect 3 'no backup' backup-stop --failed web1

# From the beginning to the end.
expect 0 'Backup ........ of web1, pull' backup-start --pull web1
has "nbdcopy 'nbd+unix:///xvda?socket=/a/b' xvda.raw"
has "qemu-img convert -f raw -O qcow2 'nbd+unix:///xvda?socket=/a/b' xvda.qcow2"
has 'Contexts: base:allocation'
has 'backup-stop web1'
expect 5 'not finished' backup-start --pull web1
expect 5 'not finished' backup-start --disk xvda=/x/y web1
expect 0 'ready to be read' backup-status web1
expect 0 '"mode": "pull"' backup-status --json web1
has '"state": "ready"'
has '"base:allocation"'
expect 0 'ended' backup-stop web1
gone stop no

# A push backup is in the way, too.
FAKE_BACKUP_STATE=RUNNING expect 0 'running' backup-start --detach \
    --disk xvda=/t/a web1
expect 5 'not finished' backup-start --pull web1
expect 0 'push' backup-status --xml web1
expect 0 'stopped' backup-stop web1

# Checkpoints: the new one stays, or never was.
FAKE_PULL_BITMAP=1 expect 0 'since c1, checkpoint c2' backup-start --pull \
    --since c1 --checkpoint c2 web1
has "nbdinfo --map=qemu:dirty-bitmap:changes"
expect 0 'c2 stays' backup-stop web1
gone kept no
expect 0 'ready' backup-start --pull --json -c c2 web1
has '"checkpoint": "c2"'
expect 0 'c2 never was' backup-stop --failed web1
gone undone yes
expect 2 'name' backup-start --pull -c .. web1
FAKE_CHECKPOINTS=c2 expect 4 'already' backup-start --pull -c c2 web1
gone 'the name is taken' no

# What isn't known is read in full.
expect 6 '' backup-start --pull --strict --since broken web1
gone strict no
expect 8 'not known' backup-start --pull --since broken web1
has 'ready to be read'
expect 0 'ended' backup-stop web1

# Broken; without its server; gone with its QEMU.
expect 0 'ready' backup-start --pull -c c3 web1
echo BROKEN > "$FAKE_PULL"
expect 7 'broken' backup-status web1
has 'xvdb (broken)'
expect 7 'c3 never was' backup-stop web1
gone broken yes
expect 0 'ready' backup-start --pull web1
rm "$FAKE_PULL.export"
expect 0 'had died' backup-status web1
has 'ready to be read'
[ -e "$FAKE_PULL.export" ] || fail 'no server was started'
rm "$FAKE_PULL"
expect 3 'ended with its device model' backup-status web1
gone dead yes
expect 0 'ready' backup-start --pull -c c3 web1
rm "$FAKE_PULL"
expect 1 'c3 never was' backup-stop web1
gone 'dead, stop' yes
expect 0 'ready' backup-start --pull web1
rm "$FAKE_PULL"
expect 0 'ready' backup-start --pull web1
expect 0 'ended' backup-stop web1

# What fails leaves nothing.
expect 4 '' backup-start --pull --socket /taken -c c4 web1
gone taken yes
# Whose start was interrupted.
expect 0 'ready' backup-start --pull -c c4 web1
record=$(find "$XL_SNAPSHOT_ROOT" -name pull.json)
sed -i '/"phase"/d' "$record"
grep -q phase "$record" && fail "$(cat "$record")"
sed -i 's/"mode"/"phase": "starting", "mode"/' "$record"
expect 0 'start of the backup .* was undone' snapshot-list web1
gone interrupted yes

# The record is damaged: nothing is guessed, and nothing stays.
expect 0 'ready' backup-start --pull web1
echo '{' > "$(find "$XL_SNAPSHOT_ROOT" -name pull.json)"
expect 7 'is damaged' backup-status web1
expect 7 'is damaged' backup-start --pull web1
expect 7 'is damaged' backup-start --disk xvda=/x/y web1
expect 7 'is damaged' backup-stop web1
expect 0 'ended' backup-stop --failed web1
gone damaged yes

# --- documents

# valid SCHEMA FILE
valid() {
    xmllint --noout --relaxng "$1" "$2" 2> "$tmp/err" ||
        fail "$(basename "$1"): $(cat "$tmp/err" "$2")"
}
documents() {
    local s

    for s in "${LIBVIRT_SCHEMAS:-}" "${LIBVIRT_SCHEMAS_11:-}"; do
        [ -z "$s" ] || valid "$s/domainbackup.rng" "$1"
    done
    valid "$top/docs/schemas/domainblocksnapshot.rng" "$2"
    valid "$top/docs/schemas/domainblockexport.rng" "$3"
}
n=0
for address in '' '--socket /a/b&c' '--listen h --insecure' \
               '--listen [::1]:12 --tls /d'; do
    for since in '' '--since c1 -c c2'; do
        n=$((n + 1))
        # shellcheck disable=SC2086
        FAKE_PULL_BITMAP=${since:+1} expect 0 ready backup-start --pull \
            $address $since web1
        for kind in xml snapshot-xml export-xml; do
            "$fake" backup-status --$kind web1 > "$tmp/$n.$kind" ||
                fail "--$kind"
        done
        cmp -s "$tmp/$n.xml" "$(find "$XL_SNAPSHOT_ROOT" -name backup.xml)" ||
            fail "backup.xml is another one"
        documents "$tmp/$n.xml" "$tmp/$n.snapshot-xml" "$tmp/$n.export-xml"
        "$fake" backup-stop --failed web1 > /dev/null
    done
done
grep -q '<server transport="tcp" name="::1" port="12" tls="yes"/>' \
    "$tmp/7.xml" || fail "$(cat "$tmp/7.xml")"
grep -q '<incremental>c1</incremental>' "$tmp/8.xml" || fail 'incremental'
grep -q 'exportbitmap="changes"' "$tmp/8.xml" || fail 'exportbitmap'
grep -q 'path="/a/b&amp;c"' "$tmp/3.export-xml" || fail 'path'

# Wrong ones: each of these edits of a right one has to be refused.
wrong() {
    sed "$3" "$2" > "$tmp/wrong"
    cmp -s "$2" "$tmp/wrong" && fail "'$3' changes nothing"
    xmllint --noout --relaxng "$top/docs/schemas/$1.rng" "$tmp/wrong" \
        2> /dev/null && fail "$1: accepted after $3"
}
for edit in 's/<name>[0-9a-f]*</<name>xx</' '/<fleece/d' '/<disk/,/disk>/d' \
            's/type="file"/type="block"/' 's|file="/|file="|' \
            's/name="c2"/name="c 2"/' 's/<incremental>/&./' \
            's/<creationTime>/&-/' 's/domainblocksnapshot/&s/' \
            's/<uuid>./&g/' 's/unit="bytes"/unit="MiB"/' \
            's|</domainblocksnapshot>|<more/>&|'; do
    wrong domainblocksnapshot "$tmp/8.snapshot-xml" "$edit"
done
for edit in 's/type="nbd"/type="iscsi"/' '/<address/d' '/<disk/d' \
            's/type="ip"/type="unix"/' 's/port="12"/port="0"/' \
            's/port="12"/port="65536"/' 's/tls="yes"/tls="maybe"/' \
            's/readonly="yes"/readonly="no"/' 's/ bitmap="changes"//' \
            's/ checkpoint="c1"//' 's/snapshot="./&x/' \
            's/<disk name="[a-z]*"/<disk/' 's/exportname="[a-z]*"/exportname=""/'
do
    wrong domainblockexport "$tmp/8.export-xml" "$edit"
done
wrong domainblockexport "$tmp/3.export-xml" 's|path="/|path="|'

[ $failed = 0 ] && echo "ok"
exit $failed
