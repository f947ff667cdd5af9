#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A fork bomb inside the worker: its pids limit holds, the server answers throughout, the history has the kernel's count.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

port=$(free_port)
# shellcheck disable=SC2016
worker_is '(while [ ! -e '"$T"'/go ]; do sleep 0.1; done; exec misbehave fork --count 2000 --for 120) </dev/null >/dev/null 2>&1 &
exec docs-worker "$@"'
config <<END
$(server_unit "$port" --doc-interval 20)
pids_max = 128
[unit worker]
wrap = uv
memory_max = 256M
pids_max = 40
END
weir_run
pair_is_up "$port"
server=$(pid_of server) worker=$(pid_of worker)
health_begin "$port"
touch "$T/go"
refused() { reaches worker '.reading["pids.events.max"]' 5; }
soon 20 "the kernel refuses forks" refused
worst=0
for _ in {1..20}; do
    now=$(cat "$(cgroup_of "$worker" pids)/pids.current")
    [ "$now" -le "$worst" ] || worst=$now
    sleep 0.1
done
within "$worst" 30 40 "the limit holds: at most 40 at any time (seen: $worst)"
check "the worker goes on answering" search_answers "$port"
health_end "the server answers throughout"
is "$(pid_of server)" "$server" "the server is the same process"
is "$(sql_some "select max(pids_events_max) >= 5 from samples where unit=$(unit_number worker)" && echo yes)" yes "pids.events.max is in the history"
note "pids.events.max in the history: $(sql "select max(pids_events_max) from samples where unit=$(unit_number worker)"); pids.current at most $(sql "select max(pids_current) from samples where unit=$(unit_number worker)")"
within "$(sql "select max(pids_current) from samples where unit=$(unit_number worker)")" 30 40 "so are the processes, never above the limit"
# the whole bomb goes with its unit
weir stop worker -c "$C" >/dev/null
is "$?" 0 "weir stop worker ends the bomb"
bomb_left() { processes_left >"$T/left"; grep 'misbehave fork' "$T/left"; }
soon 10 "no process of it is left" none_of bomb_left
soon 5 "its end is on record" sql_some "select count(*) from events where kind='exited' and unit=$(unit_number worker)"
like "$(sql "select text from events where kind='exited' and unit=$(unit_number worker) order by id desc limit 1")" '*pids_refused=[1-9]*' "its end on record has the refused forks"
weir_stop 0
nothing_left
replay_agrees
finish
