#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The default ladder, no key but limits: a leaking worker is held back, then restarted before the kernel kills it, and
# the server answers its health check all the time. A burst that goes away by itself is held back at most, not restarted.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

port=$(free_port)
plain_worker
# about 4 MB a second at 20 documents a second
export WEIR_DEMO_LEAK_BYTES_PER_DOC=400K WEIR_DEMO_MODEL_BYTES=8M
config <<END
$(server_unit "$port" --doc-interval 50)
[unit worker]
wrap = uv
memory_max = 96M
[unit burst]
exec = misbehave burst --size 58M --hold 2 --rest 4 --for 600
memory_max = 72M
END
# In the emulated guest a burst takes seconds: while it grows, nothing tells it from a leak.
[ "$SLOW" = 0 ] || printf 'restart_eta = 0s\n' >>"$C"
weir_run
soon 20 "server gets ready" unit_ready server
health_begin "$port"
first=$(pid_of worker) burst=$(pid_of burst)
recycled() { [ "$(unit worker .restarts.recycle)" -ge 1 ] 2>/dev/null; }
soon 60 "the worker is restarted by weir" recycled
served_anew() { unit_ready worker && [ "$(pid_of worker)" != "$first" ]; }
soon 20 "its server starts it anew" served_anew
soon 20 "and is served by it" search_answers "$port"
throttled_burst() { sql_some "select count(*) from decisions where kind='throttle' and unit=$(unit_number burst)"; }
soon 40 "the burst is held back" throttled_burst
released_burst() { sql_some "select count(*) from decisions where kind='unthrottle' and unit=$(unit_number burst)"; }
soon 20 "and released" released_burst
health_end "health is ok all the time"

is "$(pid_of burst)" "$burst" "the burst was not restarted"
is "$(unit burst '.restarts | .failure + .recycle + .operator')" 0 "no restart of the burst is counted"
is "$(unit worker .restarts.failure)" 0 "the worker's restarts are planned, not failures"
is "$(sql "select count(*) from samples where memory_events_oom_kill > 0")" 0 "no sample tells a kernel OOM kill"
is "$(sql "select count(*) from events where kind='exited' and text not like '%oom_kills=0%'")" 0 "no end is a kernel OOM kill"
order=$(sql "select group_concat(kind) from (select kind from decisions where unit=$(unit_number worker) and kind in ('notify','throttle','restart') order by id limit 3)")
like "$order" "*throttle*restart" "the worker was held back before it was restarted ($order)"
note "$(grep -E '(throttle|restart) (worker|burst)' "$LOG" | head -n 4 | tr '\n' ';')"
within "$(sql "select max(memory_peak) from samples where unit=$(unit_number worker)")" $((60 << 20)) $((96 << 20)) "its peak stayed below its limit"
is "$(status | jq '[.units[].ticks.skipped] | add')" 0 "no second skipped"
weir_stop 0
nothing_left
replay_agrees
own_policy_agrees
finish
