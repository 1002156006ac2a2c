# SPDX-License-Identifier: LGPL-2.1-only
# shellcheck shell=bash
#
# What a run leaves behind, and what it comes to.  Sourced by lab.

results_kept=8

# Chooses the folder unless one was given, and removes the oldest.
results_folder()
{
    local base=$LAB_CACHE/results

    if [ -n "$results" ]; then
        mkdir -p "$results"
        results=$(cd "$results" && pwd)
        return
    fi
    mkdir -p "$base"
    find "$base" -mindepth 1 -maxdepth 1 -type d | sort |
        head -n "-$results_kept" | xargs -r rm -rf
    results=$base/$(date -u +%Y%m%dT%H%M%SZ)-$$
    mkdir "$results"
    ln -sfn "$results" "$base/latest"
}

# The host hung: what its scripts said before the one that was cut off stays,
# and only that one and those after it are run again.
results_restart()
{
    local results=$1 run=$2 script name cut

    cut=$(grep -n '^# [0-9][^ ]*[.]sh$' "$results/stream" | tail -n 1 |
        cut -d: -f1)
    head -n "$((${cut:-1} - 1))" "$results/stream" >> "$results/stream.kept"
    for script in "$run"/share/scripts/*; do
        name=$(basename "$script")
        if grep -qs "^ended $name " "$results/status"; then
            rm -f "$script"
        fi
    done
    cat "$results/status" >> "$results/status.kept" 2>/dev/null || true
    rm -f "$results/status"
}

# Puts both parts together.
results_join()
{
    local results=$1 part

    for part in stream status; do
        [ -e "$results/$part.kept" ] || continue
        cat "$results/$part" >> "$results/$part.kept" 2>/dev/null || true
        mv "$results/$part.kept" "$results/$part"
    done
}

results_tail()
{
    [ -s "$1" ] || return 0
    printf '# ---- the end of %s\n' "$1"
    tail -n "${2:-25}" "$1" | tr -d '\r' | sed -e 's/^/#   /' -e '$a\'
}

# Prints the sum; exits with 1 if anything failed.
results_sum()
{
    local results=$1 run=$2 passed failed script name

    # What did not end by itself has failed, whatever it said before.
    for script in "$run"/share/scripts/*; do
        [ -e "$script" ] || continue
        name=$(basename "$script")
        grep -qs "^ended $name " "$results/status" ||
            printf 'not ok - %s: did not end%s\n' "${name#*.}" \
                "${boot_timed_out:+, stopped $boot_timed_out}" |
            tee -a "$results/stream"
    done
    passed=$(grep -c '^ok - ' "$results/stream" || true)
    failed=$(grep -c '^not ok - ' "$results/stream" || true)
    if [ "$failed" -gt 0 ]; then
        # What dom0 could not show any more is shown from here.
        if grep -q ': did not end' "$results/stream"; then
            for log in "$results"/log/*/console/*.log \
                "$results"/log/xen/console/*.log; do
                [ -e "$log" ] && results_tail "$log"
            done
            results_tail "$results/dom0-console.log" 40
            results_tail "$results/qemu.log"
        fi
        grep '^not ok - ' "$results/stream" | sed 's/^/# failed: /'
    fi
    printf '# logs: %s\n' "$results"
    printf '%s passed, %s failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ] || exit 1
}
