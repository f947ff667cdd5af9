#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The commands on a running supervisor: start, stop, restart, freeze, thaw, set, reload, status; who may; what exit status.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

units() { # MEMORY_MAX STOP_TIMEOUT
    config <<END
[unit a]
exec = bash -c "while :; do echo tick; sleep 0.2; done"
memory_max = $1
stop_timeout = $2
pids_max = 20
[unit b]
exec = sleep 1000
after = a
END
}
# exits STATUS PATTERN NAME COMMAND...
exits() {
    local want=$1 pattern=$2 what=$3 got
    shift 3
    "$@" >"$T/out" 2>&1
    got=$?
    is "$got" "$want" "$what: exit status $want"
    [ -z "$pattern" ] || says "$T/out" "$pattern" "$what: told"
}

units 64M 5s
exits 3 "'$NAME' is not running" "status of nobody" weir status -c "$C"
exits 3 "is not running" "stop of nobody" weir stop -c "$C"
weir_run
soon 10 "b is ready" unit_ready b
a=$(pid_of a)

exits 0 '' "status --json" weir status -c "$C" --json
if jq -e '.supervisor == "'"$NAME"'" and .pid == '"$WPID"' and .run == 1 and .uptime_us > 0 and (.layout | length > 0)
    and .config == "'"$C"'" and .history.samples_dropped == 0 and (.units | length == 2)
    and (.units[0] | .name == "a" and .kind == "service" and .state == "ready" and .mode == "act" and .pid > 0
        and .generation == 1 and .memory_max == 67108864 and .restarts.failure == 0 and .ticks.skipped == 0
        and .reading["memory.current"] > 0 and .reading["pids.current"] >= 1 and .reading["pids.max"] == 20
        and .pressure.memory != null and (.cgroup | test("/a$")))
    and (.units[1] | has("memory_max") | not)' "$T/out" >/dev/null; then ok "its fields"
else not_ok "its fields" "$(tr -d ' \n' <"$T/out")"; fi
exits 0 '^a +ready' "status" weir status -c "$C"
exits 0 'b +ready' "status of one unit" weir status b -c "$C"
says_not "$T/out" '^a ' "status of one unit: only that"
exits 1 "no unit 'c'" "status of an unknown unit" weir status c -c "$C"

exits 0 'a: ready' "restart" weir restart a -c "$C"
check "another process runs" test "$(pid_of a)" != "$a"
check "the old one is gone" not_alive "$a"
is "$(unit a .generation)" 2 "generation 2"
is "$(unit a .restarts.operator)" 1 "counted as the operator's"
exits 0 'b: stopped' "stop of a unit" weir stop b -c "$C"
is "$(unit b .state)" stopped "it is stopped"
is "$(find /sys/fs/cgroup -path "*weir-$NAME*/b" -type d | wc -l)" 0 "its cgroup is gone"
exits 0 'b: ready' "start" weir start b -c "$C"

log=$T/state/log/a.log
exits 0 'a: frozen' "freeze" weir freeze a -c "$C"
is "$(cat "$(cgroup_of "$(pid_of a)" "")/cgroup.freeze")" 1 "the kernel says frozen"
sleep 0.3
size=$(stat -c %s "$log")
sleep 0.7
is "$(stat -c %s "$log")" "$size" "a frozen unit writes nothing"
is "$(unit a .frozen)" true "status tells"
exits 0 'a: thawed' "thaw" weir thaw a -c "$C"
bigger() { [ "$(stat -c %s "$log")" -gt "$size" ]; }
soon 5 "a thawed unit goes on" bigger

exits 0 '' "set memory_max" weir set a memory_max=96M -c "$C"
is "$(limit_of "$(pid_of a)" memory)" $((96 << 20)) "the kernel has the new limit"
exits 0 '' "set pids_max" weir set a pids_max=30 -c "$C"
is "$(limit_of "$(pid_of a)" pids)" 30 "the kernel has that too"
exits 1 "did you mean 'memory_max'|memory_max" "set of an unknown key" weir set a memory_mx=1G -c "$C"
exits 1 'memory_max' "set of a bad value" weir set a memory_max=lots -c "$C"
exits 1 'exec' "set of what cannot be set live" weir set a exec=true -c "$C"
exits 1 'KEY=VALUE' "set without a value" weir set a memory_max -c "$C"
is "$(limit_of "$(pid_of a)" memory)" $((96 << 20)) "nothing of that changed the limit"
before=$(pid_of a)

units 80M 7s
sed -i 's/^exec = sleep 1000$/exec = sleep 2000/' "$C"
printf '[unit c]\nexec = sleep 3000\n' >>"$C"
exits 0 'a: memory_max: .*80M.*in force now' "reload" weir reload -c "$C"
says "$T/out" 'a: stop_timeout: 5s -> 7s \(in force now\)' "reload: a second change"
says "$T/out" 'b: exec: .*\(from its next start\)' "reload: what waits for the next start"
says "$T/out" 'c: new unit, starting' "reload: a new unit"
is "$(limit_of "$(pid_of a)" memory)" $((80 << 20)) "reload: the kernel has the new limit"
is "$(pid_of a)" "$before" "reload: the unit was not restarted for it"
soon 10 "reload: the new unit runs" unit_ready c
sed -i '/^\[unit c\]/,$d' "$C"
exits 0 'c: removed, stopping' "reload without a unit" weir reload -c "$C"
c_stopped() { state_is c stopped || [ -z "$(unit c .state)" ]; }
soon 10 "the removed unit is stopped" c_stopped
exits 0 'nothing changed' "reload of the same" weir reload -c "$C"
cp "$C" "$T/good"
sed -i 's/^memory_max.*/memory_max = plenty/' "$C"
exits 1 "$C:[0-9]+: .*memory_max|errors; nothing was changed" "reload of a broken config" weir reload -c "$C"
cp "$T/good" "$C"
is "$(limit_of "$(pid_of a)" memory)" $((80 << 20)) "reload of a broken config: nothing was changed"

nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all "$WEIR" "$@"; }
exits 0 'a +ready' "another uid may look" nobody status -c "$C"
exits 4 'not allowed' "another uid may not stop" nobody stop a -c "$C"
exits 4 'not allowed' "another uid may not set" nobody set a memory_max=1G -c "$C"
exits 4 'not allowed' "another uid may not reload" nobody reload -c "$C"
exits 4 'not allowed' "another uid may not stop all" nobody stop -c "$C"
is "$(pid_of a)" "$before" "nothing came of that"

exits 1 "no unit 'nix'.*units: a, b" "unknown unit" weir restart nix -c "$C"
exits 2 'unknown command' "unknown command" weir sotp a -c "$C"
says "$T/out" "stop" "unknown command: the nearest is named"
exits 2 'unknown option|no option' "unknown option" weir status --jsn -c "$C"
exits 2 '' "a word too few" weir restart -c "$C"
exits 2 '' "a word too many" weir reload x -c "$C"
exits 2 '--keep' "stop UNIT --keep" weir stop a --keep -c "$C"
exits 0 'Usage: weir' "help" weir --help
exits 0 'memory' "doctor" weir doctor
weir_stop 0
nothing_left
replay_agrees
finish
