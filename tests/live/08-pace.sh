#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Both CPUs busy: one sample a second and unit all the same, none skipped. WEIR_LIVE_PACE_SECONDS (default 30) is how long.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${WEIR_LIVE_PACE_SECONDS:-30}
cpus=$(nproc)
config <<END
[unit hog]
exec = misbehave hog --threads $cpus --for $((seconds + 120))
memory_max = 64M
[unit hog2]
exec = misbehave hog --threads $cpus --for $((seconds + 120))
memory_max = 64M
END
weir_run
soon 10 "hogs burn" unit_ready hog2
from=$(status | jq .uptime_us)
sleep "$seconds"
to=$(status | jq .uptime_us)
weir stop -c "$C" >/dev/null
weir_wait 30
is "$weir_status" 0 "weir ends with status 0"
start=$(sql 'select start_t_us from runs')
want=$(((to - from + 500000) / 1000000))
for u in hog hog2; do
    n=$(unit_number $u)
    in="run = 1 and unit = $n and cause = 0"
    count=$(sql "select count(*) from samples where $in and t_us > $((start + from)) and t_us <= $((start + to))")
    within "$count" $((want - 1)) $((want + 1)) "$u: $count samples in $want seconds"
    is "$(sql "select sum(missed_ticks) from samples where $in")" 0 "$u: none skipped"
    is "$(sql "select count(*) from (select (t_us - late_us - lag(t_us - late_us) over (order by t_us) + 500000) / 1000000 as d from samples where $in) where d is not null and d != 1")" 0 "$u: one due each second"
    note "$u: worst lateness $(sql "select max(late_us) from samples where $in") us"
done
is "$(sql 'select count(*) from gaps')" 0 "no gap in the history"
is "$(sql 'select sum(samples_dropped) from runs')" 0 "no sample dropped"
within "$(sql "select (max(cpu_usage) - min(cpu_usage)) / 10000 / $want from samples where unit = $(unit_number hog)")" 20 $((cpus * 110)) "the hogs had the CPUs (percent of one CPU)"
nothing_left
replay_agrees
finish
