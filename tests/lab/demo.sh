# SPDX-License-Identifier: LGPL-2.1-only
#
# The demo, in dom0: see scripts/demo.

say()
{
    printf '\n\033[1m%s\033[0m\n' "$*"
}

# Shows a command, then runs it.
show()
{
    printf '\033[32mdom0#\033[0m %s\n' "$*"
    "$@"
}

guest_says()
{
    guest_console_new web1 | tr -d '\r' | grep '^tick\|^check\|MISMATCH' |
        tail -n "$1" | sed 's/^/  web1 console | /'
}

say "This is dom0 of a real Xen host.  A guest is created by stock xl:"
note "it counts: each tick is kept in its memory, and written to its disk;"
note "at each tick it reads old blocks from the disk and compares."
guest_config web1 pv -m 96 64M
show cat "$(guest_cfg web1)"
show xl create -q "$(guest_cfg web1)" > /dev/null
wait_for 60 guest_tick web1
guest_wait_ticks web1 3
guest_says 3

say "Snapshot memory and disk of the running guest, at one instant:"
show xl snapshot-create -n before-upgrade web1
show xl snapshot-list web1

say "The guest runs on, and changes both:"
guest_wait_ticks web1 8
before=$(guest_tick web1)
guest_says 3

say "Something went wrong.  Back to the snapshot:"
guest_mark web1
show xl snapshot-revert web1 before-upgrade
guest_wait_ticks web1 2
after=$(guest_back_at web1)

say "The guest's memory went back: it counted $before, now it counts on from"
echo "where the snapshot was taken:"
guest_says 1000 | grep -A 2 "tick $after " | head -n 3
[ "$after" -lt "$before" ] && ok "memory went back, from $before to $after" ||
    fail "memory went back" "$before, $after"

say "And its disk went back with it: all blocks are what memory says."
check "disk and memory agree" guest_check web1
guest_says 1

say "The snapshot is still there, and can be reverted to again."
show xl snapshot-list --tree web1
show xl snapshot-delete web1 before-upgrade
echo
