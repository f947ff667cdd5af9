#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What weir holds back for a moment does not stay when weir is killed in that moment: after kill -9 within pulses and a
# throttle, and after `stop --keep`, the unit runs with its own limits again. An operator's freeze stays, through both,
# and is told. The guard that does this lives beside weir and leaves no process; killed itself, it is replaced.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

RANDOM=${WEIR_LIVE_SEED:-4711}
pulses=yes
unified && pulses=no # memory.high is there: no pulses are needed

# Takes memory up to the throttle's level and stays there; counts on all the time.
cat >"$T/bin/holds" <<'END'
#!/bin/bash
misbehave step --size 62M --limit 62M --for 900 &
mkfifo "$1.wait" && exec 3<>"$1.wait"
n=0
while :; do
    n=$((n + 1))
    echo "$n" >"$1"
    read -r -t 0.02 -u 3
done
END
chmod 755 "$T/bin/holds"
config <<END
[unit held]
exec = holds $T/progress
memory_max = 80M
cpu_max = 80%
throttle_max = 10min
throttle_eta = 0s
restart = no
restart_eta = 0s
[unit other]
exec = misbehave hang --for 900
END
weir_run
soon 10 "the unit runs" unit_ready held
pid=$(pid_of held) other=$(pid_of other)
cgroup=$(cgroup_of "$pid" "")
cpu_dir=$(cgroup_of "$pid" cpu)
cpu_file=$cpu_dir/cpu.cfs_quota_us
unified && cpu_file=$cpu_dir/cpu.max
quota() { cut -d' ' -f1 "$cpu_file"; }
frozen() { [ "$(cat "$cgroup/cgroup.freeze")" = 1 ]; }
own_quota=80000
is_throttled() { [ "$(quota)" != "$own_quota" ]; }
is_free() { ! frozen && ! is_throttled && { [ "$pulses" = yes ] || [ "$(cat "$cgroup/memory.high")" = max ]; }; }
progress() { local n=; read -r n <"$T/progress"; echo "${n:-0}"; }
goes_on() { [ "$(progress)" -gt "$1" ]; }
guard_of() { # PID of weir: its child of that name
    local f
    for f in /proc/[0-9]*/stat; do
        awk -v weir="$1" '$2 == "(weir-guard)" && $4 == weir && $3 != "Z" { print $1 }' "$f" 2>/dev/null
    done
}

guard=$(guard_of "$WPID")
like "$guard" "[0-9]*" "a guard runs beside weir"
is "$(cgroup_of "$guard" "")" "$(cgroup_of "$WPID" "")" "in weir's own cgroup"
for sig in INT TERM HUP; do kill -"$sig" "$guard"; done
sleep 0.2
check "it does not end by SIGINT, SIGTERM, SIGHUP" alive "$guard"

# ---------------------------------------------------------------- kill -9, again and again

met=0
thawed_between() { ! frozen && is_throttled; }
kill_round() { # N: within a pulse, between two, or at any moment
    wait_for 20 is_throttled || { not_ok "round $1: throttled" "quota $(quota)"; return; }
    sleep "0.$(printf %03d $((RANDOM % 700)))"
    case $pulses$(($1 % 3)) in
    yes0) wait_for 5 frozen ;;
    yes1) wait_for 5 thawed_between ;;
    esac
    ! frozen || met=$((met + 1))
    guard=$(guard_of "$WPID")
    weir_kill
    local begin at
    begin=$(now_ms)
    wait_for 1 is_free
    at=$(progress)
    within "$(($(now_ms) - begin))" 0 "$(slow 1000 4000)" "round $1: within a second it is free: freeze $(cat "$cgroup/cgroup.freeze"), quota $(quota)"
    soon 2 "round $1: and goes on" goes_on "$at"
    soon 2 "round $1: its guard is gone" not_alive "$guard"
    weir_run
}
for round in {1..8}; do kill_round "$round"; done
[ "$pulses" = no ] || within "$met" 1 7 "$met of 8 kills met a frozen unit"
is "$(pid_of held)" "$pid" "it is the same process all the time"

# ---------------------------------------------------------------- stop --keep

for round in 1 2 3; do
    wait_for 20 is_throttled
    [ "$pulses" = no ] || wait_for 5 frozen
    weir stop --keep -c "$C" >"$T/out" 2>&1
    is "$?" 0 "stop --keep $round succeeds"
    check "weir ends" weir_wait 10
    check "stop --keep $round: the unit is free: freeze $(cat "$cgroup/cgroup.freeze"), quota $(quota)" is_free
    soon 2 "stop --keep $round: and goes on" goes_on "$(progress)"
    weir_run
done

# ---------------------------------------------------------------- the guard is killed

wait_for 20 is_throttled
guard=$(guard_of "$WPID")
kill -KILL "$guard"
soon 5 "weir tells that its guard was ended" in_log "the guard, .* was ended \(SIGKILL\); a new one is there"
new_guard() { local g; g=$(guard_of "$WPID"); [ -n "$g" ] && [ "$g" != "$guard" ]; }
soon 5 "a new one is there" new_guard
sleep 2
is "$(grep -c 'the guard, .* was ended' "$LOG")" 1 "told once"
[ "$pulses" = no ] || wait_for 5 frozen
weir_kill
soon 1 "killed then, weir leaves the unit free" is_free

# ---------------------------------------------------------------- an operator's freeze

weir_run
weir freeze other -c "$C" >"$T/out" 2>&1
is "$?" 0 "weir freeze succeeds"
cgroup=$(cgroup_of "$other" "")
check "the unit is frozen" frozen
weir_kill
sleep 1
check "kill -9 of weir: it is still frozen" frozen
weir_run
soon 5 "the next weir says so" in_log "other: found running .* still frozen as an operator asked, until 'weir thaw other'"
check "and keeps it frozen" frozen
is "$(unit other .frozen)" true "status shows it"
weir status -c "$C" >"$T/out"
says "$T/out" '^other .*frozen' "and tells it to people"
soon 5 "it is on record, for the replay" sql_some "select count(*) from events where kind = 'spawned' and text like '%frozen=1%'"
weir stop --keep -c "$C" >"$T/out" 2>&1
weir_wait 10
check "stop --keep: it is still frozen" frozen
says "$LOG" "other: stays frozen, until 'weir thaw other'" "and that is said"
weir_run
check "the run after that: still frozen" frozen
is "$(unit other .frozen)" true "status shows it"
weir thaw other -c "$C" >"$T/out" 2>&1
is "$?" 0 "weir thaw succeeds"
thawed() { ! frozen; }
check "it runs again" thawed
is "$(unit other .frozen)" false "status shows that"
weir_kill
weir_run
check "the run after that does not freeze it again" thawed
is "$(pid_of other)" "$other" "it is the same process all the time"
guard=$(guard_of "$WPID")
weir_stop 0
check "the guard ended with weir" not_alive "$guard"
nothing_left
replay_agrees
finish
