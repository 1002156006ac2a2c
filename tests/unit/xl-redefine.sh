#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# snapshot-info --xml and snapshot-redefine as commands, on a fake domain:
# exit codes, sentences, standard input; and that all XML which is written is
# valid by libvirt's schemas, old and new.

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
xml() { "$fake" snapshot-info --xml web1 "$1"; }
# The catalogue forgets it; its data stays.
forget() { rm "$tmp"/root/*/snapshots/"$1".{json,xml,config}; }

expect 0 'taken' snapshot-create -n 'a & b' --description $'x <y>\nü' web1
expect 0 'taken' snapshot-create -n b --paused web1
expect 0 'taken' snapshot-create -n c --disk xvdb,kind=none web1
for name in 'a & b' b c; do
    xml "$name" > "$tmp/$name.xml" || fail "--xml $name"
done

# ---- lost and redefined
forget b
expect 3 'its parent b is not there' snapshot-redefine web1 "$tmp/c.xml"
export FAKE_SNAPS=b
expect 0 'Snapshot b of domain web1 redefined\.' \
    snapshot-redefine web1 "$tmp/b.xml"
unset FAKE_SNAPS
cmp -s "$tmp/b.xml" <(xml b) || fail 'b has changed'
expect 0 'redefined' snapshot-redefine web1 "$tmp/c.xml"
expect 0 '^[* ]  *c ' snapshot-list web1
forget b
rm "$tmp"/root/*/snapshots/b.mem
expect 8 "it can't be reverted to" snapshot-redefine web1 "$tmp/b.xml"
expect 7 'opening memory image' snapshot-revert web1 b

# ---- by standard input; --current
input=$tmp/b.xml
expect 8 'redefined' snapshot-redefine --current web1 -
unset input
expect 0 '^\*  b ' snapshot-list web1

# ---- what can't be reverted to says so
cat > "$tmp/q.xml" <<'END'
<domainsnapshot><name>q</name><state>running</state>
<creationTime>1</creationTime><memory snapshot='internal'/>
<disks><disk name='vda' snapshot='internal'/></disks></domainsnapshot>
END
expect 8 'as QEMU keeps it' snapshot-redefine web1 "$tmp/q.xml"
expect 0 'No revert:   its memory is inside' snapshot-info web1 q
expect 6 'no revert is possible' snapshot-revert web1 q
expect 0 'deleted' snapshot-delete web1 q

# ---- refusals
expect 1 "can't read" snapshot-redefine web1 "$tmp/nothing.xml"
expect 1 "can't read" snapshot-redefine web1 "$tmp"
expect 3 'nodomain' snapshot-redefine nodomain "$tmp/b.xml"
expect 2 'standard input is not well-formed' snapshot-redefine web1 -
sed 's/<state>.*/<state>on<\/state>/' "$tmp/b.xml" > "$tmp/bad.xml"
expect 2 'bad.xml, line 3: <state>: "on" is not one of running' \
    snapshot-redefine web1 "$tmp/bad.xml"
sed 's/paused/shutoff/; s/running/shutoff/' "$tmp/b.xml" > "$tmp/bad.xml"
expect 6 "its <state> can't change" snapshot-redefine web1 "$tmp/bad.xml"
sed 's/<uuid>......../<uuid>00000000/' "$tmp/b.xml" > "$tmp/bad.xml"
expect 6 'the <uuid> in <domain> is 00000000' \
    snapshot-redefine web1 "$tmp/bad.xml"
head -c 1100000 /dev/zero | tr '\0' ' ' > "$tmp/large.xml"
expect 2 'too large' snapshot-redefine web1 "$tmp/large.xml"
printf '<domainsnapshot><name>\033[2J</name>' > "$tmp/escape.xml"
expect 2 'not well-formed' snapshot-redefine web1 "$tmp/escape.xml"

# ---- libvirt may read all of it
sed 's/<parent>.*<\/parent>//' "$here/domainsnapshot.xml" > "$tmp/full.xml"
expect 8 'redefined' snapshot-redefine web1 "$tmp/full.xml"
xml full > "$tmp/full.xml"
expect 8 'redefined' snapshot-redefine web1 "$tmp/full.xml"
cmp -s "$tmp/full.xml" <(xml full) || fail 'full has changed'
for schemas in "${LIBVIRT_SCHEMAS-}" "${LIBVIRT_SCHEMAS_11-}"; do
    [ -n "$schemas" ] || { echo '# no schemas of libvirt'; continue; }
    for name in 'a & b' b c full; do
        # Of what full has, 9.0 has no word for some.
        xml "$name" > "$tmp/check.xml"
        [ "$schemas" != "${LIBVIRT_SCHEMAS-}" ] || [ "$name" != full ] ||
            continue
        xmllint --noout --relaxng "$schemas/domainsnapshot.rng" \
            "$tmp/check.xml" 2> "$tmp/log" || fail "$(cat "$tmp/log")"
    done
done
exit $failed
