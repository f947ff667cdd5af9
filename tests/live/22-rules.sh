#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Rules that a person wrote: threads and memory, restarts bounded by a limit, a rule that only would have, one that is
# changed while it runs, one that throttles and is undone when weir is killed. Every decision carries the rule's name.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

# $1: what the memory rule compares with, $2: its limit
write_rules() {
    config <<END
[unit many]
exec = misbehave tree --count 8 --for 900
recycle_min_life = 0s
backoff_min = 100ms
[unit leak]
exec = misbehave leak --rate 3 --limit 30M --for 900
memory_max = 96M
recycle_min_life = 0s
notify_at = off
[unit busy]
exec = misbehave step --size 10M --limit 10M --for 900
memory_max = 64M
throttle_max = 10min
[rule too-many]
unit = many
when = threads > 6 for 1s
do = restart
limit = 2 per 1h
[rule watched]
unit = many
mode = observe
when = threads > 6
do = stop
[rule leaks]
unit = leak
when = memory.current > $1
do = restart
limit = $2
[rule slow-down]
unit = busy
when = memory.current > 4M
do = throttle
END
}
write_rules '20% of memory.max' '1 per 1h'
weir check "$C" >"$T/out" 2>&1
is "$?" 0 "weir check takes it"
weir_run
made() { sql_some "select count(*) from decisions where rule = 'rule.$1' and kind = '$2' and observe = ${3:-0}"; }
count_of() { sql "select count(*) from decisions where rule = 'rule.$1' and kind = '$2' and reason = 'rule'"; }

# ---------------------------------------------------------------- threads, a limit

twice() { [ "$(count_of too-many restart)" = 2 ]; }
soon 60 "too many threads: restarted, twice" twice
limited() { sql_some "select count(*) from decisions where rule = 'rule.too-many' and kind = 'note' and reason = 'rule-limit'"; }
soon 30 "then its limit is told" limited
sleep 3
is "$(count_of too-many restart)" 2 "and it is left alone"
is "$(sql "select count(*) from decisions where rule = 'rule.too-many' and reason = 'rule-limit'")" 1 "told once"
is "$(sql "select distinct metric from decisions where rule = 'rule.too-many' and kind = 'restart'")" threads "the figures are those of its condition"
within "$(sql "select min(observed) from decisions where rule = 'rule.too-many' and kind = 'restart'")" 8 20 "as observed"
is "$(sql "select max(threshold) from decisions where rule = 'rule.too-many' and kind = 'restart'")" 6 "with its threshold"
is "$(unit many '.restarts.operator')" 0 "no operator had a hand in it"
soon 5 "a rule that observes would have stopped it" made watched stop 1
soon 10 "and has not" unit_ready many
says "$LOG" 'restart many: threads 9, threshold 6, held [12]' "the log tells in a sentence"

# ---------------------------------------------------------------- memory; changed while it runs

once() { [ "$(count_of leaks restart)" = 1 ]; }
soon 60 "memory above the rule's share: restarted" once
above() { reaches leak '.reading["memory.current"]' $((28 << 20)); }
soon 60 "it grows again, beyond what the rule allows" above
is "$(count_of leaks restart)" 1 "its limit holds"
pid=$(pid_of leak) many=$(pid_of many)
write_rules '10M' '9 per 1h'
weir reload -c "$C" >"$T/out" 2>&1
is "$?" 0 "weir reload succeeds"
says "$T/out" '^rule leaks: when: memory.current > 20% of memory.max -> memory.current > 10M \(in force now\)' "it tells what changed"
says "$T/out" '^rule leaks: limit: 1 per 1h -> 9 per 1h \(in force now\)' "all of it"
fresh() { [ "$(pid_of leak)" != "$pid" ] && unit_ready leak; }
soon 60 "the changed rule restarts it" fresh
is "$(pid_of many)" "$many" "the others are not touched"
sed -i 's/threads > 6 for 1s/thread > 6 for 1s/' "$C"
weir reload -c "$C" >"$T/out" 2>&1
is "$?" 1 "a rule with an error is refused"
says "$T/out" "thread" "with what is wrong"
write_rules '10M' '9 per 1h'
weir explain last restart -c "$C" >"$T/out" 2>&1
says "$T/out" '^  rule       rule\.leaks' "explain names the rule"
says "$T/out" '^ +when = memory.current > 10M' "and quotes it as it stood"
weir history --json -c "$C" >"$T/out" 2>&1
is "$(jq '[.[] | select(.rule == "rule.leaks" and .kind == "restart")] | length >= 2' "$T/out")" true "history has its name"

# ---------------------------------------------------------------- kill -9 while a rule throttles

busy=$(pid_of busy)
cpu_file=$(cgroup_of "$busy" cpu)/cpu.cfs_quota_us own=-1
unified && cpu_file=$(cgroup_of "$busy" cpu)/cpu.max own=max
quota() { cut -d' ' -f1 "$cpu_file"; }
is_throttled() { [ "$(quota)" != "$own" ]; }
is_free() { ! is_throttled && [ "$(cat "$(cgroup_of "$busy" "")/cgroup.freeze")" = 0 ]; }
soon 30 "a rule throttles" made slow-down throttle
soon 30 "the unit is held back" is_throttled
is "$(unit busy '.rules | join(" ")')" slow-down "status names the rule"
weir status -c "$C" >"$T/out"
says "$T/out" '^busy .* throttle; rule slow-down' "and tells people"
weir stop leak -c "$C" >"$T/out" 2>&1
soon 10 "nothing else is going on" state_is leak stopped
sleep 1
weir_kill
soon 2 "killed then, weir leaves it free" is_free
is "$(pid_of busy)" "" "no weir is there"
check "the unit goes on" alive "$busy"
weir_run
is "$(pid_of busy)" "$busy" "the next weir takes it over"
soon 30 "and its rule throttles it again" is_throttled
is "$(status | jq '[.units[].ticks.skipped] | add')" 0 "no second skipped"
weir_stop 0
nothing_left
replay_agrees
finish
