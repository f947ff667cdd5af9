#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Programs that know systemd's memory pressure protocol and nothing of weir give memory back when weir tells them: a daemon
# of systemd 254 as Debian ships it, by its own word, and a program that calls sd_event_add_memory_pressure(), by what it
# holds. Both are left alone above the level first, and told later: nothing else changes in between.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

# SYSTEMD_254: the unpacked packages, where they were brought along (the guest has no network)
systemd=${SYSTEMD_254:-}
if [ -z "$systemd" ]; then
    [ -x "$SRC/tools/systemd-254" ] || give_up "the packages of systemd 254 were not brought along"
    systemd=$("$SRC/tools/systemd-254" 2>"$T/reason") || give_up "$(tail -n 1 "$T/reason")"
fi
libraries=$(echo "$systemd"/usr/lib/*/systemd) # one architecture, one folder
journald=$systemd/lib/systemd/systemd-journald
missing=$(LD_LIBRARY_PATH=$libraries ldd "$journald" 2>&1 | grep 'not found')
[ -z "$missing" ] || give_up "systemd-journald 254 does not start here:$missing"
[ -s /etc/machine-id ] || give_up "no /etc/machine-id, without which journald keeps nothing"
for tool in unshare setpriv; do command -v $tool >/dev/null || give_up "no $tool here"; done

# The daemon finds folders of its own where the host's would be, no network, and no capability to change the host with. It
# has little to give back: a second process fills the unit.
cat >"$T/bin/own-folders" <<'END'
#!/bin/bash
set -e
mount -t tmpfs none /run/systemd
mkdir /run/systemd/journald.conf.d
printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=\n' >/run/systemd/journald.conf.d/zz-alone.conf
mkdir -p /run/log
mount -t tmpfs none /run/log
[ ! -e /dev/kmsg ] || mount --bind /dev/null /dev/kmsg
exec setpriv --bounding-set=-all --inh-caps=-all "$@"
END
cat >"$T/bin/journald" <<END
#!/bin/bash
misbehave step --size 30M --limit 30M --for 600 &
export SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_COLOR=no
exec unshare --mount --net --ipc -- own-folders env LD_LIBRARY_PATH=$libraries $journald
END
chmod 755 "$T"/bin/*

# The program comes built where there is no compiler.
units=(journald program)
command -v sd-event-program >/dev/null ||
    cc -o "$T/bin/sd-event-program" -I "$systemd/usr/include" "$here/sd-event-program.c" "${libraries%/systemd}/libsystemd.so.0" ||
    { skip "a program built against libsystemd 254" "cannot be built here" && units=(journald); }

policy='memory_max = 64M
notify_at = off
notify_cooldown = 1h
throttle_eta = 0s
restart_eta = 0s'
config <<END
[unit journald]
exec = journald
$policy
END
[ ${#units[@]} -lt 2 ] || cat >>"$C" <<END
[unit program]
exec = sd-event-program
environment = LD_LIBRARY_PATH=${libraries%/systemd}
$policy
END
weir_run

notifies() { sql "select count(*) from decisions where kind = 'notify' and unit = $(unit_number "$1")"; }
listens() { find "/proc/$(pid_of "$1")/fd" -lname "$RUN/$1.pressure" 2>/dev/null | grep -q .; }
mebibytes() { echo $(($(unit "$1" '.reading["memory.current"]') >> 20)); }
full() { [ "$(mebibytes "$1")" -ge 29 ]; }
log=$T/state/log/journald.log
declare -A pids
for unit in "${units[@]}"; do
    soon 10 "$unit: opens what MEMORY_PRESSURE_WATCH names" listens "$unit"
    soon 10 "$unit: the unit is at 45 % of its limit" full "$unit"
    pids[$unit]=$(pid_of "$unit")
done

# ---------------------------------------------------------------- the control: full, and not told

sleep "$(slow 2 5)"
says "$log" 'systemd-journald running as PID' "journald: runs"
for unit in "${units[@]}"; do
    is "$(notifies "$unit")" 0 "$unit: it is not told while notify_at is off"
    check "$unit: the unit is where it was" full "$unit"
done
says_not "$log" 'memory pressure|Memory pressure|Memory trimming' "journald: says nothing of memory"

# ---------------------------------------------------------------- told

for unit in "${units[@]}"; do
    weir set "$unit" notify_at=30% -c "$C" >"$T/set.out" 2>&1
    is "$?" 0 "$unit: notify_at = 30 %"
done
soon 10 "journald: says that it trimmed its memory" in_file "$log" 'Memory trimming took .*, returned .* to OS'
says "$log" '^Under memory pressure, flushing caches' "journald: and flushed its caches"
note "journald: $(grep -m 1 'Memory trimming took' "$log")"
if [ -n "${pids[program]:-}" ]; then
    gave_back() { [ "$(mebibytes program)" -lt 8 ]; }
    soon 10 "program: gave back what malloc kept" gave_back
    note "program: $(mebibytes program) MiB left of 30"
fi
sleep 1
is "$(grep -c 'Memory trimming took' "$log")" 1 "journald: once, as often as it was told"
for unit in "${units[@]}"; do
    is "$(notifies "$unit")" 1 "$unit: one notify is on record"
    is "$(pid_of "$unit")" "${pids[$unit]}" "$unit: the same process runs on"
    check "$unit: and listens on" listens "$unit"
done
weir_stop 0
says "$log" 'systemd-journald stopped' "journald: ended by itself"
nothing_left
replay_agrees
finish
