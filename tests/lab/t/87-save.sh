# SPDX-License-Identifier: LGPL-2.1-only
#
# The built-in client: a full set and incremental ones while the guest writes,
# a restart between them, and the domain that boots from what was restored.

sets=/var/lib/xen/sets

# What is restored ticks on where the disk was then, and finds all its blocks.
restored()
{
    local type=$1 name=$2 uuid=$3 to=/var/lib/xen/restored

    rm -rf "$to"
    check "$type: the sets are whole" xl backup-verify "$sets"
    check "$type: restore" xl backup-restore --format qcow2 "$sets" "$to"
    check "$type: the restored image is clean" \
        qemu-img check -q -f qcow2 "$to/xvda.qcow2"
    guest_destroy "$name"
    cp "$to/xvda.qcow2" "$(images_of "$name")"
    guest_mark "$name"
    check "$type: it boots from what was restored" guest_start "$name"
    check "$type: and its blocks are right" guest_check "$name"
    check_equal "$type: it is the same domain" "$uuid" "$(uuid_of "$name")"
}

life()
{
    local type=$1 name=save-$1 uuid i

    rm -rf "$sets"
    mkdir -p "$sets"
    guest_create "$name" "$type" 64M || { fail "$type: boots"; return; }
    guest_wait_ticks "$name" 3
    uuid=$(uuid_of "$name")
    check_status 0 "$type: full" xl backup-save -c s0 "$name" "$sets"
    for i in 1 2; do
        guest_wait_ticks "$name" 2
        check_status 0 "$type: incremental $i" \
            xl backup-save -c "s$i" "$name" "$sets"
        going "$type: incremental $i" "$name"
    done
    check "$type: the guest is right" guest_check "$name"
    guest_destroy "$name"
    guest_start "$name" || { fail "$type: starts again"; return; }
    guest_wait_ticks "$name" 2
    # An HVM's bitmaps end with its QEMU: a full one, and it says so.
    check_status "$([ "$type" = hvm ] && echo 8 || echo 0)" \
        "$type: the next one, after a restart" \
        xl backup-save -c s3 "$name" "$sets"
    check_equal "$type: the checkpoints of the last two sets are left" \
        "s2 s3 " "$(xl checkpoint-list --json "$name" |
            jq -r '.[].name' | sort | tr '\n' ' ')"
    check_equal "$type: the list" "s0 s1 s2 s3 " \
        "$(xl backup-list --json "$sets" | jq -r '.. | .name? // empty' |
            grep '^s[0-9]$' | sort -u | tr '\n' ' ')"
    check "$type: prune" xl backup-prune --keep-last 2 "$sets"
    restored "$type" "$name" "$uuid"
    guest_destroy "$name"
}

life pv
life pvh
life hvm
