# SPDX-License-Identifier: LGPL-2.1-only
#
# A snapshot's XML outlives the catalogue: what was exported makes the
# snapshot known again, and a revert to it works.

name=xml

need "a guest" guest_create $name pv -m 128 64M
guest_wait_ticks $name 2
tick=$(guest_tick $name)
check "snapshot-create" xl snapshot-create -n s1 $name ||
    { show_logs $name; return 0; }
# Its console is some ticks behind, its start as slow as the machine is.
after=$(($(guest_tick $name) + 2))
xl snapshot-info --xml $name s1 > /tmp/s1.xml
check "the document is XML" xmllint --noout /tmp/s1.xml
folder=$catalogue/$(uuid_of $name)
rm -f "$folder"/current "$folder"/snapshots/s1.{json,xml,config}
check_equal "nothing is known of it" "" "$(xl snapshot-list --name $name)"

check "snapshot-redefine" xl snapshot-redefine --current $name /tmp/s1.xml
check_equal "it is current" s1 "$(xl snapshot-list --json $name |
    jq -r '.[] | select(.current).name')"
check_equal "the same document" "$(cat /tmp/s1.xml)" \
    "$(xl snapshot-info --xml $name s1)"

guest_wait_ticks $name 2
guest_mark $name
check "snapshot-revert" xl snapshot-revert $name s1 ||
    { show_logs $name; return 0; }
check "ticks on" guest_goes_on $name
first=$(guest_back_at $name)
[ "$first" -ge "$tick" ] && [ "$first" -le "$after" ] &&
    ok "from the snapshot's tick" ||
    fail "from the snapshot's tick" "$first is not from $tick to $after"
check "memory and disks agree" guest_check $name
going "after the revert" $name

# Edited.
sed 's|<state>|<description>edited</description>&|' /tmp/s1.xml |
    xl snapshot-redefine $name - > /dev/null &&
    ok "by standard input" || fail "by standard input"
check "the new text" grep -q edited <<< "$(xl snapshot-info $name s1)"
check "snapshot-delete" xl snapshot-delete $name s1
check "runs on" guest_wait_ticks $name 1
nothing_left "nothing is left behind" $name
guest_destroy $name
clean_images "the images are clean" $name
