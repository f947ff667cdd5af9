#!/bin/bash
# SPDX-License-Identifier: MIT
# Proves the guest itself, before anything of weir is tried in it: pure cgroup v2 with the controllers weir steers,
# PSI, systemd 252 as PID 1, limits that kill and files that tell. Runs as root in the guest; prints `ok NAME` or
# `not ok NAME: reason` for each test and `N passed, N failed, N skipped` at the end; exit status 1 when one failed.
set -u

root=/sys/fs/cgroup
passed=0 failed=0

check() { # NAME FUNCTION: the function's stdout is the reason when it fails
    local reason
    if reason=$("$2" 2>&1); then
        passed=$((passed + 1))
        echo "ok $1"
    else
        failed=$((failed + 1))
        echo "not ok $1: ${reason//$'\n'/; }"
    fi
}

only_cgroup2() {
    echo "$root is $(stat -fc %T $root), v1 mounts: $(grep -c ' - cgroup ' /proc/self/mountinfo)"
    [[ $(stat -fc %T $root) = cgroup2fs ]] && ! grep -q ' - cgroup ' /proc/self/mountinfo
}

controllers() {
    local word
    for word in memory pids cpu; do
        grep -qw $word $root/cgroup.controllers || { echo "no $word controller"; return 1; }
    done
}

# What the kernel floor, 6.1, gives beside the limits: kill, freeze, reclaim, peak.
kernel_files() {
    local file
    for file in cgroup.kill cgroup.freeze memory.reclaim memory.peak memory.high memory.events.local pids.events; do
        [[ -e $root/system.slice/$file ]] || { echo "no $file in system.slice"; return 1; }
    done
}

kernel_version() {
    local major minor
    IFS=. read -r major minor _ <<<"$(uname -r)"
    echo "kernel $(uname -r), want 6.1 or newer"
    ((major * 1000 + minor >= 6001))
}

psi_readable() {
    local file
    for file in /proc/pressure/{memory,cpu,io} $root/system.slice/{memory,cpu,io}.pressure; do
        grep -q '^some avg10=.* total=' "$file" || { echo "cannot read $file"; return 1; }
    done
}

# Bounded: the job that runs this test is itself part of the boot.
systemd_running() {
    local state tries
    for ((tries = 0; tries < 50; tries++)); do
        state=$(systemctl is-system-running)
        [[ $state = starting || $state = initializing ]] || break
        sleep 0.2
    done
    echo "PID 1 is $(cat /proc/1/comm), state $state; failed: $(systemctl --failed --plain --no-legend | tr '\n' ' ')"
    [[ $(cat /proc/1/comm) = systemd && $state = running ]]
}

systemd_version() {
    local version
    version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
    echo "systemd $version, want 252"
    [[ $version = 252 ]]
}

exit_status_over_dbus() {
    local status=0
    systemd-run --quiet --wait --collect bash -c 'exit 42' || status=$?
    echo "status $status, want 42"
    [[ $status = 42 ]]
}

delegated_scope() {
    local listed
    # shellcheck disable=SC2016 # expanded by the inner shell
    listed=$(systemd-run --quiet --scope -p Delegate=yes bash -c '
        own=/sys/fs/cgroup$(sed -n "s/^0:://p" /proc/self/cgroup)
        mkdir "$own/leaf" && echo $$ >"$own/leaf/cgroup.procs" &&
            echo "+memory +pids" >"$own/cgroup.subtree_control" && cat "$own/cgroup.subtree_control"')
    echo "subtree_control: '$listed'"
    [[ $listed = *memory* && $listed = *pids* ]]
}

# The kill is read from the unit's own memory.events while the cgroup is still there: the worker dies, the shell lives.
oom_kill_counted() {
    local kills
    # shellcheck disable=SC2016 # expanded by the inner shell
    kills=$(systemd-run --quiet --pipe --wait --collect -p MemoryMax=64M -p OOMPolicy=continue bash -c '
        stress-ng --quiet --oomable --vm 1 --vm-bytes 200M --vm-populate --vm-keep --timeout 20 >/dev/null 2>&1
        sed -n "s/^oom_kill //p" "/sys/fs/cgroup$(sed -n "s/^0:://p" /proc/self/cgroup)/memory.events"')
    echo "oom_kill ${kills:-unreadable}, want more than 0"
    ((${kills:-0} > 0))
}

memory_pressure_rises() {
    local total
    # A file-backed working set twice the limit: every read stalls on its own reclaim.
    # shellcheck disable=SC2016 # expanded by the inner shell
    total=$(systemd-run --quiet --pipe --wait --collect -p MemoryMax=24M bash -c '
        head -c 48M /dev/zero >/var/tmp/set
        for turn in 1 2 3; do cat /var/tmp/set >/dev/null; done
        rm /var/tmp/set
        sed -n "s/^some .*total=//p" "/sys/fs/cgroup$(sed -n "s/^0:://p" /proc/self/cgroup)/memory.pressure"')
    echo "memory.pressure some total=${total:-unreadable}"
    ((${total:-0} > 0))
}

unprivileged_user() {
    local uid
    uid=$(systemd-run --quiet --pipe --wait --collect --uid=tester id -u)
    echo "uid '$uid', want 1000"
    [[ $uid = 1000 ]]
}

echo "# $(uname -sr), $(systemctl --version | head -n1), booted in $(systemd-analyze time 2>/dev/null |
    sed -n '1s/.*= //p')"
check cgroup2-only only_cgroup2
check controllers controllers
check kernel-files kernel_files
check kernel-version kernel_version
check psi-readable psi_readable
check systemd-running systemd_running
check systemd-version systemd_version
check exit-status-over-dbus exit_status_over_dbus
check delegated-scope delegated_scope
check oom-kill-counted oom_kill_counted
check memory-pressure-rises memory_pressure_rises
check unprivileged-user unprivileged_user
echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
