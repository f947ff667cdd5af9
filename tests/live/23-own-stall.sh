#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A throttle by memory.high makes the unit stall on memory: that pressure is the throttle's own doing and must not keep it.
# A unit that stands above the throttle's level and goes on allocating and freeing is held back, its tasks are stalled, and it
# is let go all the same: by memory, by time, or because it gets nothing done, never later than throttle_max. Only where
# there is a memory.high (cgroup v2).
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

unified || give_up "no memory.high on the hybrid layout: its throttle stalls nobody on memory"

# 84 MB stay, and up to 28 MB more come and go: more than memory.high allows of a unit that is throttled at 75 %. A throttle
# that ends when they are there leaves the unit alone until it grows further, and it does not. So it is told, once, to give
# up the 84 MB and to take them again: that begins anew. Its cpu is left to it, or on a slow host it would allocate no
# faster than memory.high is raised.
cat >"$T/bin/churns" <<'END'
#!/bin/bash
holds() {
    misbehave step --size 84M --limit 84M --for 900 >"$1" &
    until grep -q '^holding' "$1"; do sleep 0.2; done
}
holds "$1"
step=$!
misbehave burst --size 28M --hold 0.2 --rest 0.2 --for 900 &
until [ -e "$1.anew" ]; do sleep 0.2; done
kill "$step"
sleep 3 # samples see it
holds "$1.2"
wait
END
chmod 755 "$T/bin/churns"
config <<END
[unit churns]
exec = churns $T/step
memory_max = 120M
throttle_eta = 0s
restart_eta = 0s
restart_at = off
throttle_cpu = 200%
END
weir_run
unit=0
soon 60 "it is throttled" sql_some "select count(*) from decisions where kind = 'throttle' and unit = $unit"
let_go() { [ "$(sql "select count(*) from decisions where kind = 'unthrottle' and unit = $unit")" -ge "$1" ]; }
soon 90 "and let go" let_go 1
sleep 10 # as it was, for the checks of what came next
touch "$T/step.anew"
soon 90 "and again" let_go 2
# of each throttle: how long, and the share of it in which every task was stalled
throttles="from decisions d join decisions u on u.cause_id = d.decision and u.kind = 'unthrottle'
    join samples s on s.unit = d.unit and s.t_us > d.t_us and s.t_us <= u.t_us where d.kind = 'throttle' group by d.id"
longest=$(sql "select max(ms) from (select (u.t_us - d.t_us) / 1000 as ms $throttles)")
within "$longest" 1 "$(slow 11000 12000)" "the longest lasted $longest ms: no longer than throttle_max"
check "memory.high stood in between" sql_some "select count(*) from (select max(s.memory_high) as high $throttles) where high between 1 and $((120 << 20))"
share=$(sql "select max(share) from (select (max(s.memory_pressure_full) - min(s.memory_pressure_full)) * 100
    / (max(s.t_us) - min(s.t_us)) as share $throttles having count(*) > 1)")
within "$share" 5 100 "meanwhile its tasks were stalled up to $share % of the time, by the throttle"
end=$(sql "select t_us from decisions where kind = 'unthrottle' order by id limit 1")
reasons=$(sql "select group_concat(distinct reason) from decisions where kind = 'unthrottle'")
is "$(sql "select count(*) from decisions where kind = 'unthrottle' and reason not in ('time-bound', 'stopped-growing', 'released', 'fell-back', 'stalled', 'memory-level', 'no-help')")" 0 \
    "it was let go by memory, by time or for want of progress ($reasons)"
note "$(grep -E 'throttl' "$LOG" | head -n 4 | tr '\n' ';')"
note "$(sql "select group_concat(amount1 >> 20) from decisions where kind in ('throttle', 'steer')") MB: memory.high as it was steered"
free() { [ "$(cat "$(cgroup_of "$(pid_of churns)" memory)/memory.high")" = max ]; }
# what came of the pressure is forgotten: 10 s of no throttle follow, however much it was stalled
soon 20 "its memory.high is its own again" free
within "$(sql "select count(*) from decisions where kind = 'throttle' and reason = 'pressure' and t_us < $end + 8000000")" 0 0 "its own stall is not what throttles it again"
is "$(sql "select count(*) from decisions where kind = 'restart' and reason = 'pressure'")" 0 "nor what restarts it"
weir_stop 0
nothing_left
replay_agrees
finish
