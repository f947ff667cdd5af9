#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A throttle by memory.high makes the unit stall on memory: that pressure is the throttle's own doing and must not keep it.
# A unit that stands above the throttle's level and goes on allocating and freeing is held back, its tasks are stalled, and it
# is let go all the same: by memory, by time, or because it gets nothing done, never later than throttle_max. Only where
# there is a memory.high (cgroup v2).
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

unified || give_up "no memory.high on the hybrid layout: its throttle stalls nobody on memory"

# 84 MB stay, and up to 26 MB more come and go: more than memory.high allows of a unit that is throttled at 75 %
cat >"$T/bin/churns" <<'END'
#!/bin/bash
misbehave step --size 84M --limit 84M --for 900 &
misbehave burst --size 26M --hold 0.2 --rest 0.2 --for 900 &
wait
END
chmod 755 "$T/bin/churns"
config <<END
[unit churns]
exec = churns
memory_max = 120M
throttle_eta = 0s
restart_eta = 0s
restart_at = off
END
weir_run
unit=0
soon 60 "it is throttled" sql_some "select count(*) from decisions where kind = 'throttle' and unit = $unit"
soon 60 "and let go" sql_some "select count(*) from decisions where kind = 'unthrottle' and unit = $unit"
begin=$(sql "select t_us from decisions where kind = 'throttle' order by id limit 1")
end=$(sql "select t_us from decisions where kind = 'unthrottle' order by id limit 1")
during="from samples where unit = $unit and t_us > $begin and t_us <= $end"
within "$(sql "select min(memory_high) $during and memory_high > 0")" 1 $((120 << 20)) "memory.high stood in between"
within "$(((end - begin) / 1000))" 1 "$(slow 11000 12000)" "it lasted $(((end - begin) / 1000)) ms: no longer than throttle_max"
# of the time throttled, the share in which every task was stalled
share=$(sql "select (max(memory_pressure_full) - min(memory_pressure_full)) * 100 / (max(t_us) - min(t_us)) $during")
within "$share" 5 100 "meanwhile its tasks were stalled $share % of the time, by the throttle"
like "$(sql "select reason from decisions where kind = 'unthrottle' order by id limit 1")" "@(time-bound|stopped-growing|released|fell-back|stalled)" \
    "it was let go by memory, by time or for want of progress ($(sql "select reason from decisions where kind = 'unthrottle' order by id limit 1"))"
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
