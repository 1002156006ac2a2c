#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# bash completion: our subcommands, options, domains and snapshots, and
# whatever the system's completion of xl has beside them.

set -u
top=$(cd "${TOP_SRCDIR:-$(dirname "$0")/../..}" && pwd)
program=${XL_SNAPSHOT:-$top/tools/xl/xl-snapshot}
[ -x "$program" ] || { echo "SKIP: no $program"; exit 77; }
export LD_LIBRARY_PATH=$top/tools/libxl:$top/tools/libxlu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/root/u1"
printf '{\n    "name": "off one",\n    "uuid": "u1"\n}\n' \
    > "$tmp/root/u1/domain.json"
export XL_SNAPSHOT_ROOT=$tmp/root

# The program's help is real; domains and snapshots are not.
cat > "$tmp/xl" <<EOF
#!/bin/sh
case "\$1 \$2" in
"list ") printf 'Name ID Mem\nDomain-0 0 1\nweb1 3 1\nweb2 4 1\n' ;;
"snapshot-list --name")
    [ "\$3" = web1 ] && printf '%s\n' before after 'two words'
    [ "\$3" = 'off one' ] && echo of-the-off ;;
"checkpoint-list --name")
    [ "\$3" = web1 ] && printf '%s\n' monday tuesday ;;
*) exec "$program" "\$@" ;;
esac
EOF
chmod +x "$tmp/xl"

failed=0
# completes EXPECTED (joined by |, sorted) WORDS...; the last is incomplete
completes() {
    local expected=$1 got
    shift
    COMP_WORDS=("$tmp/xl" "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    _xl_snapshot xl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
    got=$(printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd '|')
    if [ "$got" != "$expected" ]; then
        echo "FAIL: ${*@Q}: got $got, expected $expected"
        failed=1
    fi
}

# As the system's does it: all of its own, with a blank.
_xl() {
    COMPREPLY=()
    if [[ $COMP_CWORD == 1 ]]; then
        local IFS=$'\n,'
        COMPREPLY=($(compgen -W "list ,save ,shutdown " -- "${COMP_WORDS[1]}"))
    fi
}
complete -F _xl -o nospace -o default xl
. "$top/tools/xl/xl-snapshot.bash"

complete -p xl | grep -q _xl_snapshot || { echo 'FAIL: xl'; failed=1; }
complete -p xl-snapshot > /dev/null || { echo 'FAIL: own name'; failed=1; }

completes 'save |shutdown |snapshot-check |snapshot-create |snapshot-delete |snapshot-export |snapshot-info |snapshot-list |snapshot-merge |snapshot-redefine |snapshot-revert ' s
completes 'list ' l
completes 'snapshot-create ' snapshot-cr
completes 'snapshot-info ' -v snapshot-i
completes 'checkpoint-create |checkpoint-delete |checkpoint-dirty |checkpoint-info |checkpoint-list |checkpoint-redefine ' ch
completes 'monday|tuesday' checkpoint-info web1 ''
completes 'tuesday' checkpoint-delete web1 t
completes 'monday' checkpoint-dirty web1 --since m
completes '' checkpoint-dirty --since m
completes '' checkpoint-dirty web1 m
completes '--since' checkpoint-dirty --s
completes 'web1|web2' checkpoint-list --name w
completes '--scratch|--scratch-max|--since|--socket|--speed|--strict' backup-start --s
completes '--failed' backup-stop --f
completes 'web1|web2' backup-start --pull --listen h:1 --tls /d w
completes 'web1|web2' checkpoint-dirty --until monday w
completes '' save w
completes 'backup-list |backup-prune |backup-restore |backup-save |backup-start |backup-status |backup-stop |backup-verify ' ba
completes 'web1|web2' backup-save --disk xvda w
completes "$tmp/root" backup-save web1 "$tmp/ro"
completes "$tmp/root" backup-restore --set monday "$tmp/ro"
completes "$tmp/root" backup-prune --keep-last 3 "$tmp/ro"
completes '--keep-daily|--keep-last|--keep-monthly|--keep-weekly|--keep-yearly' backup-prune --keep
completes 'off\ one|web1|web2' snapshot-create ''
completes 'web1|web2' snapshot-create w
completes 'web1|web2' -v snapshot-create w
completes 'web2' snapshot-create --name web1 web2
completes '' snapshot-create -n b
completes '' snapshot-create web1 ''
completes '--description|--disk|--disk-only' snapshot-create --d
completes '--checkpoint|--compress' snapshot-create --c
completes '' snapshot-create --checkpoint w
completes '' snapshot-create -c w
completes 'any|external|internal|lvm|none|reflink' snapshot-create --disk xvda,kind =
completes 'lvm' snapshot-create --disk xvda,kind = l
completes 'web1|web2' snapshot-create --disk xvda,kind = lvm w
completes '--children|--children-only' snapshot-delete --ch
completes '--help|--json|--name|--tree|-h' snapshot-list -
completes 'after|before|two\ words' snapshot-revert web1 ''
completes 'two\ words' snapshot-revert web1 t
completes 'two\ words' snapshot-revert web1 'two\ w'
completes 'before' snapshot-info --json web1 b
completes 'of-the-off' snapshot-delete 'off\ one' o
completes '' snapshot-info web1 before ''
completes '--current' snapshot-redefine --c
touch "$tmp/a file.xml"
completes "$tmp/a file.xml" snapshot-redefine web1 "$tmp/a"
completes '' snapshot-redefine web1 x.xml "$tmp/a"
completes '' snapshot-list web1 b
completes 'before' snapshot-export web1 b
completes '--socket|--stop' snapshot-export web1 --s
completes 'before' snapshot-export --socket /run/x.sock web1 b
completes "$tmp/root" snapshot-export --socket "$tmp/ro"
completes '--disk|--down' snapshot-merge web1 --d
completes 'before' snapshot-merge --down web1 b
completes 'web1|web2' snapshot-merge --disk xvda w
completes '--deep' snapshot-check --d
completes 'web1|web2' snapshot-check w
completes '' snapshot-check web1 b

# Loaded a second time, it doesn't call itself.
. "$top/tools/xl/xl-snapshot.bash"
completes 'snapshot-list ' snapshot-l
completes 'list ' l

# Where xl has no completion of its own.
if [ ! -e /usr/share/bash-completion/completions/xl ] &&
   [ ! -e /etc/bash_completion.d/xl ]; then
    got=$(bash --norc -c '. "$1"; COMP_WORDS=(xl s); COMP_CWORD=1
                          _xl_snapshot xl s xl; echo "${#COMPREPLY[@]}"' \
              - "$top/tools/xl/xl-snapshot.bash")
completes 'save |shutdown |snapshot-check |snapshot-create |snapshot-delete |snapshot-export |snapshot-info |snapshot-list |snapshot-merge |snapshot-redefine |snapshot-revert ' s
fi
exit $failed
