#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A memory bomb in the worker at full speed: faster than any reading, so the kernel's limit is what stops it. Only the
# worker's tree dies; the cause on record is a kernel OOM kill in that cgroup; the worker starts again with back-off.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

port=$(free_port)
echo 3 >"$T/bombs"
# shellcheck disable=SC2016
worker_is 'left=$(cat '"$T"'/bombs)
if [ "$left" -gt 0 ]; then echo $((left - 1)) >'"$T"'/bombs; exec misbehave bomb --limit 4G --for 30; fi
sleep 300 </dev/null >/dev/null 2>&1 & # a child, so that the worker is a tree
exec docs-worker "$@"'
config <<END
$(server_unit "$port" --doc-interval 20)
[unit other]
exec = sleep 1000
memory_max = 64M
[unit worker]
wrap = uv
memory_max = 24M
# weir itself does not step in here, so that it is the kernel that does: story 02 shows the ladder
mode = observe
END
weir_run
soon 20 "server gets ready" unit_ready server
server=$(pid_of server) other=$(pid_of other)
health_begin "$port"
soon 60 "after three bombs the worker serves" search_answers "$port"
health_end "the server answers throughout"
w=$(unit_number worker)
is "$(sql "select count(*) from events where kind='exited' and unit=$w and text not like '%oom_kills=0%'")" 3 "three ends by the kernel's OOM killer on record"
is "$(sql "select count(*) from decisions where unit=$w and kind='backoff' and reason = 'oom-kill' and observe = 0")" 3 \
    "each answered with a start after back-off, because of that"
note "$(grep -E 'start worker again|OOM' "$LOG" | tr '\n' ';')"
weir history restarts -u worker -c "$C" >"$T/restarts" 2>&1
is "$(grep -cE 'exited .*kernel OOM kills 1' "$T/restarts")" 3 "weir history restarts tells the cause of each"
sed 's/^/# /' "$T/restarts" | cut -c1-150
waits=$(sql "select group_concat(amount0) from (select amount0 from decisions where unit=$w and kind='backoff' order by id)")
if [[ $waits =~ ^0,([0-9]+),([0-9]+)$ ]]; then
    first=${BASH_REMATCH[1]} second=${BASH_REMATCH[2]}
    within "$first" 90000 110000 "first at once, then 100 ms within 10 %"
    within "$second" 180000 220000 "then 200 ms within 10 %"
else
    not_ok "back-off grows" "waits: $waits us"
fi
# the last admission may not be written yet
held="select coalesce(min((select min(t_us) from decisions d where d.unit=$w and d.kind='admit' and d.t_us >= b.t_us) - b.t_us >= b.amount0), 0)
    and count(*) = 3 from decisions b where b.unit=$w and b.kind='backoff' having count((select 1 from decisions d where d.unit=$w and d.kind='admit' and d.t_us >= b.t_us)) = 3"
soon 5 "no arrival was let in before its back-off was over" sql_is "$held" 1
is "$(pid_of server)" "$server" "the server is the same process"
is "$(pid_of other)" "$other" "so is the other unit"
is "$(unit server '.reading["memory.events.oom_kill"] // 0')" 0 "no OOM kill in the server's cgroup"
is "$(unit worker .restarts.failure)" 3 "three restarts after failures"
weir_stop 0
nothing_left
replay_agrees
finish
