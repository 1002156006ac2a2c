# SPDX-License-Identifier: LGPL-2.1-only
# shellcheck shell=bash
#
# Boots an image: no boot loader, QEMU's multiboot loader takes the
# hypervisor, dom0's kernel and its initramfs.  Sourced by lab.

boot_memory=${LAB_MEMORY:-6G}
boot_dom0_memory=2G
# rodata=off spares two seconds of looking for pages that are both writable
# and executable.
boot_dom0_args="console=hvc0 quiet mitigations=off rodata=off"
# One is faster than two wherever the machine has other work to do: with two,
# each waits for the other while that one's thread isn't running.
boot_cpus=${LAB_CPUS:-1}
boot_pid=
boot_timed_out=
# A host without a pulse for so long is one that emulation has killed: now and
# then it loses the global interrupt flag, and no interrupt comes any more.
boot_pulse_limit=90
boot_hung=

# kvm only where a guest's guest can be a virtual machine too.
boot_accel()
{
    local nested

    if [ -n "${LAB_ACCEL:-}" ]; then
        printf '%s\n' "$LAB_ACCEL"
        return
    fi
    if [ -w /dev/kvm ]; then
        for nested in /sys/module/kvm_*/parameters/nested; do
            case $(cat "$nested" 2>/dev/null) in
            1 | Y) echo kvm; return ;;
            esac
        done
    fi
    echo tcg
}

# Fills the array boot_command.  What the machine has is pristine each time:
# writes go to a copy-on-write image in the run's own folder.
boot_make_command()
{
    local image=$1 run=$2 results=$3 cpu accel

    case $(boot_accel) in
    kvm)
        accel=kvm cpu=host ;;
    *)
        accel=tcg,thread=multi,tb-size=1024
        # Emulated AMD SVM with nested paging, so that HVM and PVH domains
        # run.  Not "max": dom0 dies early with SMAP in the emulator.
        cpu=qemu64,+svm,+npt,+vgif,+sse4.1,+sse4.2,+ssse3,+cx16,+popcnt ;;
    esac
    qemu-img create -q -f qcow2 -F raw -b "$image/root.img" "$run/root.qcow2"
    boot_command=(qemu-system-x86_64 -name xen-lab -nodefaults
        -no-user-config -display none -no-reboot
        -machine q35 -accel "$accel" -cpu "$cpu"
        -smp "$boot_cpus" -m "$boot_memory"
        -kernel "$image/xen"
        # Nobody was here before: no memory has to be scrubbed.
        -append "console=com1 com1=115200,8n1 noreboot loglvl=warning
            bootscrub=no dom0_mem=$boot_dom0_memory,max:$boot_dom0_memory"
        -initrd "$image/vmlinux $boot_dom0_args,$image/initrd"
        # The host of a test needs no durability, only speed.
        -drive "if=virtio,file=$run/root.qcow2,format=qcow2,cache=unsafe"
        -fsdev "local,id=lab,path=$run/share,security_model=none,readonly=on"
        -device virtio-9p-pci,fsdev=lab,mount_tag=lab
        -fsdev "local,id=results,path=$results,security_model=none"
        -device virtio-9p-pci,fsdev=results,mount_tag=results
        -qmp "unix:$run/qmp,server=on,wait=off")
}

boot_is_running()
{
    [ -n "$boot_pid" ] && kill -0 "$boot_pid" 2>/dev/null
}

# What the host has used of a processor, in clock ticks.  It always uses some.
boot_pulse()
{
    awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$boot_pid/stat" \
        2>/dev/null || echo 0
}

# Runs the host without a terminal; prints what the scripts print, as it
# comes.  Sets boot_timed_out if it had to be stopped, boot_hung if it hung.
boot_quietly()
{
    local image=$1 run=$2 results=$3 limit=$4 tail_pid
    local pulse=0 beat=0 now

    boot_make_command "$image" "$run" "$results"
    : > "$results/stream"
    setpriv --pdeathsig KILL "${boot_command[@]}" \
        -serial "file:$results/dom0-console.log" \
        < /dev/null > "$results/qemu.log" 2>&1 &
    boot_pid=$!
    tail -n +1 -s 0.2 -f --pid="$boot_pid" "$results/stream" &
    tail_pid=$!
    SECONDS=0
    boot_hung=
    while boot_is_running; do
        if [ "$SECONDS" -ge "$limit" ]; then
            boot_timed_out="after $limit s"
            kill -KILL "$boot_pid" 2>/dev/null || true
            break
        fi
        now=$(boot_pulse)
        if [ "$now" -gt $((pulse + 2)) ]; then
            pulse=$now beat=$SECONDS
        elif [ $((SECONDS - beat)) -ge "$boot_pulse_limit" ]; then
            boot_hung=yes
            kill -KILL "$boot_pid" 2>/dev/null || true
            break
        fi
        # `wait -n` would not end with a time; a short sleep will do.
        sleep 0.3
    done
    # The shell's own word about the killed one isn't wanted.
    wait "$boot_pid" 2>/dev/null || true
    boot_pid=
    wait "$tail_pid" 2>/dev/null || true
}

# The same with dom0's console on this terminal.
boot_terminal()
{
    local image=$1 run=$2 results=$3 tty=

    boot_make_command "$image" "$run" "$results"
    : > "$results/stream"
    if [ -t 0 ]; then
        tty=$(stty -g)
        stty size > "$run/share/tty-size"
        stty raw -echo
    fi
    "${boot_command[@]}" -chardev \
        "stdio,id=con,signal=off,logfile=$results/dom0-console.log" \
        -serial chardev:con 2> "$results/qemu.log" || true
    [ -z "$tty" ] || stty "$tty"
}

boot_clean_up()
{
    local run=$1

    if boot_is_running; then
        kill -KILL "$boot_pid" 2>/dev/null || true
        wait "$boot_pid" 2>/dev/null || true
    fi
    rm -rf "$run"
}
