#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Ctrl-C once stops all units in order, twice kills them; SIGHUP reloads; a unit that ignores SIGTERM is killed after its
# stop_timeout; processes that were forked off twice end with their unit.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

config <<END
[unit base]
exec = sleep 1000
[unit middle]
exec = bash -c "misbehave orphan --for 300; misbehave orphan --keep-output --for 300; exec sleep 1000"
after = base
[unit top]
exec = bash -c "trap 'echo bye; exit 0' TERM; while :; do sleep 0.1; done"
after = middle
[unit stubborn]
exec = misbehave hang --all --for 300
stop_timeout = 1s
END
weir_run
soon 10 "all are up" unit_ready top
orphans() { processes_left >"$T/left"; [ "$(grep -c 'misbehave orphan' "$T/left")" = 2 ]; }
soon 10 "two orphans run" orphans
for pid in $(awk '/misbehave orphan/ { print $1 }' "$T/left"); do
    like "$(cgroup_of "$pid" "")" "*/weir-$NAME*/middle" "an orphan, forked off twice, is in its unit's cgroup"
done
begin=$(now_ms)
kill -INT "$WPID"
check "Ctrl-C: weir ends" weir_wait 15
took=$(($(now_ms) - begin))
is "$weir_status" 0 "with status 0"
within "$took" 1000 "$(slow 3000 12000)" "as soon as the stubborn unit's stop_timeout is over ($took ms)"
order=$(sql "select group_concat(name) from (select u.name from events e join units u on u.run = e.run and u.unit = e.unit where e.kind='exited' and u.name != 'stubborn' order by e.id)")
is "$order" "top,middle,base" "stopped in reverse order"
says "$T/state/log/top.log" '^bye' "a unit that handles SIGTERM did so"
like "$(sql "select text from events e join units u using (run, unit) where e.kind='exited' and u.name='stubborn'")" '*signal=9*' "one that ignores it was killed"
nothing_left

# twice: killed
config <<END
[unit stubborn]
exec = misbehave hang --all --for 300
stop_timeout = 120s
END
weir_run
soon 10 "stubborn is up" unit_ready stubborn
kill -INT "$WPID"
soon 5 "Ctrl-C: weir says how to kill" in_log 'once more: kill'
sleep 0.3
check "weir waits for the unit" alive "$WPID"
begin=$(now_ms)
kill -INT "$WPID"
check "Ctrl-C twice: weir ends" weir_wait 10
within "$(($(now_ms) - begin))" 0 "$(slow 1500 6000)" "at once"
nothing_left

# SIGHUP
printf '[unit a]\nexec = sleep 1000\nmemory_max = 32M\n' | config
weir_run
soon 10 "a is up" unit_ready a
pid=$(pid_of a)
sed -i 's/32M/48M/' "$C"
kill -HUP "$WPID"
new_limit() { [ "$(limit_of "$pid" memory)" = $((48 << 20)) ]; }
soon 5 "SIGHUP: the changed limit is in force" new_limit
soon 5 "SIGHUP: the difference is told" in_log 'memory_max: .*32M.*48M' 
is "$(pid_of a)" "$pid" "the unit goes on"
kill -TERM "$WPID"
check "SIGTERM: weir ends" weir_wait 10
is "$weir_status" 0 "with status 0"
nothing_left

# a main process that ends and leaves others behind
printf '[unit a]\nexec = bash -c "misbehave orphan --for 300; exit 0"\nrestart = no\n' | config
check "a unit whose main process ends: weir ends" weir_run_to_end 15
is "$weir_status" 0 "with status 0"
nothing_left
replay_agrees
finish
