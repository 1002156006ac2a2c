#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# What isn't ours goes to the system's xl: arguments, environment, input,
# output and exit code untouched.

set -u
top=$(cd "${TOP_SRCDIR:-$(dirname "$0")/../..}" && pwd)
program=${XL_SNAPSHOT:-$top/tools/xl/xl-snapshot}
[ -x "$program" ] || { echo "SKIP: no $program"; exit 77; }
export LD_LIBRARY_PATH=$top/tools/libxl:$top/tools/libxlu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/ours" "$tmp/again" "$tmp/folder" "$tmp/folder/xl" "$tmp/dull" \
    "$tmp/system"
ln -s "$program" "$tmp/ours/xl"
ln -s "$program" "$tmp/ours/xl-snapshot"
ln -s ../ours/xl "$tmp/again/xl"            # a link to the link
echo 'not executable' > "$tmp/dull/xl"
cat > "$tmp/system/xl" <<'EOF'
#!/bin/sh
printf 'arguments %d\n' $#
printf '<%s>\n' "$@"
tr '\0' '\n' < /proc/$$/environ
pwd
printf 'input <%s>\n' "$(cat)"
echo 'to stderr' >&2
exit 37
EOF
chmod +x "$tmp/system/xl"

path=$tmp/ours:relative:$tmp/again::$tmp/folder:$tmp/dull:$tmp/system:/usr/bin:/bin
failed=0

# run PROGRAM ARGUMENTS...
run() {
    printf 'some\ninput' | env -i PATH="$path" LD_LIBRARY_PATH="$LD_LIBRARY_PATH" \
        EMPTY= SPACES=' a  b ' LINES_=$'x\ny' LC_ALL=C "$@" 2>&1
    echo "exit ${PIPESTATUS[1]}"
}

# same ARGUMENTS...
same() {
    run "$tmp/system/xl" "$@" > "$tmp/expected"
    for name in xl xl-snapshot; do
        run "$tmp/ours/$name" "$@" > "$tmp/got"
        if ! cmp -s "$tmp/expected" "$tmp/got"; then
            echo "FAIL: $name ${*@Q}"
            diff "$tmp/expected" "$tmp/got"
            failed=1
        fi
    done
    grep -q '^exit 37$' "$tmp/expected" || { echo "FAIL: no 37"; failed=1; }
}

same list
same list -l web1
same -v list
same -vvv -t -T info
same -vN create a.cfg
same -f -- destroy web1
same create '/a path/with spaces.cfg' 'name="x y"' ''
same create '' '' ' '
same console $'web\n1' "it's" '$HOME' '*' '\' '"'
same block-attach web1 'format=qcow2,vdev=xvdb,target=/a b'
same block-detach web1 xvdb
same help create
same help -v
same --version
same -x list
same -vx list
same -q
same -
same ''
same '' snapshot-create
same -- ''
# Nothing is abbreviated, and nothing else begins with our names.
same snapshot
same snapshot-creat web1
same snapshot-c web1
same snapshot-create2 web1
same SNAPSHOT-CREATE web1
same help snapshot-creat
same help snapshot-create more
same help snapshot-monitor
# Behind another subcommand our names are only words.
same list snapshot-create
same create -- snapshot-list

# These are ours when asked by our own name, and the system's by xl's.
for arguments in '' help -h --help -v; do
    # shellcheck disable=SC2086
    run "$tmp/system/xl" $arguments > "$tmp/expected"
    # shellcheck disable=SC2086
    run "$tmp/ours/xl" $arguments > "$tmp/got"
    cmp -s "$tmp/expected" "$tmp/got" ||
        { echo "FAIL: xl $arguments"; failed=1; }
    # shellcheck disable=SC2086
    run "$tmp/ours/xl-snapshot" $arguments > "$tmp/got"
    if ! grep -q snapshot-create "$tmp/got" || ! grep -q '^exit 0$' "$tmp/got"
    then
        echo "FAIL: xl-snapshot $arguments"
        failed=1
    fi
done

# The end by a signal is passed on as well.
printf '#!/bin/sh\nkill -TERM $$\n' > "$tmp/system/xl"
run "$tmp/ours/xl" list 2> /dev/null | grep -q '^exit 143$' ||
    { echo "FAIL: signal"; failed=1; }
# SIGPIPE isn't ignored in the system's xl.
printf '#!/bin/sh\ngrep SigIgn /proc/self/status\n' > "$tmp/system/xl"
run "$tmp/ours/xl" list | grep -q 'SigIgn:.*0000000000000000$' ||
    { echo "FAIL: ignored signals: $(run "$tmp/ours/xl" list)"; failed=1; }

# None at all: a sentence. Where the host has one, that is found.
if [ ! -x /usr/sbin/xl ] && ! ls /usr/lib/xen-*/bin/xl > /dev/null 2>&1; then
    path=$tmp/ours:/usr/bin:/bin
    run "$tmp/ours/xl" list > "$tmp/got"
    if ! grep -q "can't find the system's xl" "$tmp/got" ||
       ! grep -q '^exit 1$' "$tmp/got"; then
        echo "FAIL: no system's xl"
        failed=1
    fi
fi
exit $failed
