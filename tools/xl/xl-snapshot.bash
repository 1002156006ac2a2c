# SPDX-License-Identifier: LGPL-2.1-only
# bash completion for xl-snapshot, and for xl beside its own.
#
# Installed as completions/xl-snapshot, with a link completions/xl in front of
# the system's. The subcommands and options are those that the program prints.

# xl's own completion, if there is one: the function's name.
: "${_xl_snapshot_stock=}"
_xl_snapshot_find_stock()
{
    local file spec
    spec=$(complete -p xl 2>/dev/null)
    if [[ ! $spec || $spec == *_xl_snapshot* ]]; then
        for file in /usr/share/bash-completion/completions/xl \
                    /etc/bash_completion.d/xl; do
            [[ -r $file && ! $file -ef ${BASH_SOURCE[0]} ]] || continue
            complete -r xl 2>/dev/null
            # shellcheck disable=SC1090
            . "$file"
            break
        done
        spec=$(complete -p xl 2>/dev/null)
    fi
    if [[ $spec =~ \ -F\ ([^ ]+) && ${BASH_REMATCH[1]} != _xl_snapshot ]]; then
        _xl_snapshot_stock=${BASH_REMATCH[1]}
    fi
}
_xl_snapshot_find_stock

# Those of the lines on stdin that begin with the word, as it would be typed.
_xl_snapshot_match()
{
    local cur=$1 line
    # What is typed may be quoted already.
    cur=${cur//\\/}
    cur=${cur#[\"\']}
    while IFS= read -r line; do
        [[ $line && $line == "$cur"* ]] || continue
        printf -v line %q "$line"
        COMPREPLY+=("$line")
    done
}

_xl_snapshot_domains()
{
    local program=$1
    {
        "$program" list 2>/dev/null | awk 'NR > 1 && $2 != 0 { print $1 }'
        sed -n 's/^ *"name": "\(.*\)",\{0,1\}$/\1/p' \
            "${XL_SNAPSHOT_ROOT:-/var/lib/xen/snapshots}"/*/domain.json \
            2>/dev/null
    } | sort -u
}

# The options that --help prints, and nothing else.
_xl_snapshot_options()
{
    "$1" "$2" --help 2>/dev/null |
        sed -n 's/^  *\(-[a-zA-Z],\)\{0,1\} *\(--[a-z-]*\).*/\1\2/p' |
        tr ',' '\n'
}

# What follows the subcommand at $2 of the words.
_xl_snapshot_arguments()
{
    local program=$1 at=$2 cur=$3 command=${COMP_WORDS[$2]}
    local i word operands=() skip=

    for ((i = at + 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == = ]]; then
            skip==
            continue
        fi
        if [[ $skip ]]; then
            skip=
            continue
        fi
        case $word in
        -n|--name|-p|--path|--disk|--description|--socket|--since|--until|\
        -t|--to|--format|-c|--checkpoint|--speed|--scratch|--scratch-max|\
        --listen|--tls|--set|--keep-*)
            # checkpoint-list has a --name without a value.
            [[ $command$word != *-list--name ]] && skip=$word
            ;;
        -*|=) ;;
        *) operands+=("$word") ;;
        esac
    done
    # readline takes "xvda,kind=lvm" for three words.
    word=${COMP_WORDS[COMP_CWORD-1]}
    if [[ $word == *,kind && $cur == = ]] ||
       [[ $word == = && ${COMP_WORDS[COMP_CWORD-2]} == *,kind ]]; then
        _xl_snapshot_match "${cur#=}" < <(printf '%s\n' any none internal external \
                                          reflink lvm)
        return
    fi
    case $skip in
    --since|--until)
        # The domain may stand behind them: then there are no names yet.
        [[ ${operands[0]-} ]] &&
            _xl_snapshot_match "$cur" < <("$program" checkpoint-list --name \
                "${operands[0]//\\/}" 2>/dev/null)
        return
        ;;
    --socket)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --format)
        _xl_snapshot_match "$cur" < <(printf '%s\n' qcow2 raw)
        return
        ;;
    -p|--path|-t|--to|--scratch|--tls)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        return
        ;;
    -?*|=)
        return
        ;;
    esac
    if [[ $cur == -* ]]; then
        _xl_snapshot_match "$cur" < <(_xl_snapshot_options "$program" \
                                      "$command")
    elif [[ $command == backup-@(restore|verify|list|prune) ]] ||
         { [[ $command == backup-save ]] && ((${#operands[@]})); }; then
        ((${#operands[@]} < 2)) || return
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
    elif ((${#operands[@]} == 0)); then
        _xl_snapshot_match "$cur" < <(_xl_snapshot_domains "$program")
    elif ((${#operands[@]} == 1)) && [[ $command == *-redefine ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    elif ((${#operands[@]} == 1)) && [[ $command == backup-* ]]; then
        return
    elif ((${#operands[@]} == 1)) && [[ $command == checkpoint-* ]]; then
        [[ $command == checkpoint-info || $command == checkpoint-delete ]] &&
            _xl_snapshot_match "$cur" < <("$program" checkpoint-list --name \
                "${operands[0]//\\/}" 2>/dev/null)
    elif ((${#operands[@]} == 1)) &&
         [[ $command != snapshot-create && $command != snapshot-list &&
            $command != snapshot-check ]]; then
        _xl_snapshot_match "$cur" < <("$program" snapshot-list --name \
            "${operands[0]//\\/}" 2>/dev/null)
    fi
}

_xl_snapshot()
{
    local cur=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} at=1 i
    local ours="snapshot-create snapshot-list snapshot-info snapshot-revert
                snapshot-delete snapshot-redefine snapshot-export
                snapshot-merge snapshot-check checkpoint-create
                checkpoint-list checkpoint-info checkpoint-delete
                checkpoint-dirty checkpoint-redefine
                backup-start backup-status backup-stop backup-save
                backup-restore backup-verify backup-list backup-prune"

    COMPREPLY=()
    while ((at < COMP_CWORD)) && [[ ${COMP_WORDS[at]} == -* ]]; do
        ((at++))
    done
    if ((at < COMP_CWORD)) &&
       [[ " ${ours//[[:space:]]/ } " == *" ${COMP_WORDS[at]} "* ]]; then
        compopt +o nospace 2>/dev/null
        _xl_snapshot_arguments "$program" "$at" "$cur"
        return 0
    fi
    [[ $_xl_snapshot_stock ]] && "$_xl_snapshot_stock" "$@"
    if ((at == COMP_CWORD)) && [[ $cur != -* ]]; then
        # xl's own completion puts the blank behind the word itself.
        compopt -o nospace 2>/dev/null
        # shellcheck disable=SC2207,SC2086
        COMPREPLY+=($(compgen -W "$ours" -- "$cur"))
        for i in "${!COMPREPLY[@]}"; do
            COMPREPLY[i]="${COMPREPLY[i]% } "
        done
    fi
    return 0
}

complete -o nospace -o default -F _xl_snapshot xl xl-snapshot
