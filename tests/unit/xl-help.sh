#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# Each subcommand's --help lists exactly the options of the manual, fits into
# 80 columns, and usage errors are one sentence and exit 2.

set -u
top=$(cd "${TOP_SRCDIR:-$(dirname "$0")/../..}" && pwd)
program=${XL_SNAPSHOT:-$top/tools/xl/xl-snapshot}
manuals=$top/docs/man/xl-@.1.pod
[ -x "$program" ] || { echo "SKIP: no $program"; exit 77; }
export LD_LIBRARY_PATH=$top/tools/libxl:$top/tools/libxlu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

failed=0
fail() { echo "FAIL: $*"; failed=1; }

# The options, one in a line, as "-n,--name" or "--json".
in_help() {
    "$program" "$1" --help |
        sed -n 's/^  *\(-[a-z],\)\{0,1\} *\(--[a-z-]*\).*/\1\2/p' | sort
}
in_manual() {
    sed -n "/^=head2 $1\$/,/^=head[12] /p" "${manuals/@/${1%%-*}}" |
        sed -n 's/^=item B<\(-.*\)/\1/p' |
        sed 's/B<//g; s/>.*--/ --/; s/[ >].*--/--/; s/,* *--/,--/; s/^,//; s/[> []..*$//; s/>$//' |
        sort
}

for c in snapshot-create snapshot-list snapshot-info snapshot-revert \
         snapshot-delete snapshot-redefine snapshot-export snapshot-merge \
         snapshot-check backup-start backup-status backup-stop \
         backup-save backup-restore backup-verify backup-list backup-prune \
         checkpoint-create checkpoint-list checkpoint-info checkpoint-delete \
         checkpoint-dirty checkpoint-redefine; do
    if ! diff <(in_manual $c) <(in_help $c); then
        fail "$c: manual (<) and --help (>) differ"
    fi
    [ "$(in_help $c | wc -l)" -ge 2 ] || fail "$c: no options in --help"
    [ "$("$program" $c --help)" = "$("$program" help $c)" ] ||
        fail "help $c"
    "$program" $c --help | grep -q '.\{81\}' && fail "$c --help is too wide"
    for wrong in '' '--nonsense x y' 'a b c d' '-%'; do
        # All domains are meant where none is given.
        [ "$c$wrong" != snapshot-check ] || continue
        # shellcheck disable=SC2086
        out=$("$program" $c $wrong 2>&1 > /dev/null)
        status=$?
        [ $status = 2 ] || fail "$c $wrong: exit status $status"
        [ "$(wc -l <<< "$out")" = 1 ] || fail "$c $wrong: $out"
        grep -q "$c --help" <<< "$out" || fail "$c $wrong: no hint: $out"
    done
    "$program" | grep -q "^  $c " || fail "$c isn't in the list"
done

for hidden in snapshot-recover snapshot-monitor; do
    "$program" | grep -q $hidden && fail "$hidden is in the list"
done
"$program" -N snapshot-list x 2> /dev/null
[ $? = 2 ] || fail '-N'
if [ -e /dev/full ]; then
    "$program" snapshot-list --help > /dev/full 2> /dev/null &&
        fail 'a full disk goes unnoticed'
fi
out=$("$program" snapshot-create $'--\033[2J' x 2>&1)
grep -q $'\033' <<< "$out" && fail 'an escape sequence reaches the terminal'
exit $failed
