#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# mode = observe: what weir would have done is decided and on record; nothing is done.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

config <<END
[unit leak]
exec = misbehave leak --rate 12 --limit 56M --for 300
memory_max = 64M
mode = observe
END
weir_run
soon 10 "the leak runs" unit_ready leak
pid=$(pid_of leak)
decided() { sql_some "select count(*) from decisions where observe = 1 and kind = '$1'"; }
soon 30 "it would have been restarted" decided restart
sleep 1
for kind in notify throttle restart; do
    if decided $kind; then ok "a would-have $kind is on record"; else not_ok "a would-have $kind is on record" "none"; fi
done
is "$(pid_of leak)" "$pid" "it is the same process"
is "$(unit leak '.restarts | .failure + .recycle + .operator')" 0 "no restart is counted"
is "$(sql "select count(*) from decisions where observe = 0 and kind in ('throttle','restart','term','kill','freeze','pulse-freeze','notify')")" 0 "no such decision was carried out"
is "$(cat "$(cgroup_of "$pid" "")/cgroup.freeze")" 0 "it is not frozen"
if unified; then
    is "$(cat "$(cgroup_of "$pid" "")/memory.high")" max "memory.high is not set"
    like "$(cat "$(cgroup_of "$pid" "")/cpu.max")" "max *" "no cpu quota"
else
    is "$(limit_of "$pid" cpu)" -1 "no cpu quota"
fi
is "$(limit_of "$pid" memory)" $((64 << 20)) "its limit stands all the same"
is "$(unit leak .mode)" observe "status tells the mode"
says "$LOG" 'would have: restart leak' "the log tells"
weir set leak mode=act -c "$C" >"$T/out" 2>&1
is "$?" 0 "set mode=act"
acted() { sql_some "select count(*) from decisions where observe = 0 and kind = 'restart'"; }
soon 20 "then it is restarted" acted
weir_stop 0
nothing_left
replay_agrees
finish
