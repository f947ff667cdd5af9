#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Wrapped commands at their edges: who may run them, an operator's stop, killed from outside, a server that dies, weir that
# dies while the server starts its worker.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

port=$(free_port)
plain_worker
config <<END
$(server_unit "$port" --doc-interval 50)
[unit worker]
wrap = uv
memory_max = 256M
END
weir_run
pair_is_up "$port"
server=$(pid_of server)
new_worker() { local p; p=$(pid_of worker); [ "$p" -gt 0 ] 2>/dev/null && [ "$p" != "$worker" ] && alive "$p" && unit_ready worker; }

"$RUN/wrap/uv" --version >"$T/out" 2>&1
is "$?" 69 "a process outside the units is refused"
says "$T/out" "only a process that a unit of '$NAME' started may run uv here" "and told why"

# killed from outside
worker=$(pid_of worker)
if in_log 'this host lacks: .*exit info'; then
    # how a process ended that is not weir's own child, only the zombie tells here: its parent must not reap it before
    kill -STOP "$server"
    kill -KILL "$worker"
    wait_for 10 sql_some "select count(*) from events where kind='exited' and unit=$(unit_number worker)"
    kill -CONT "$server"
else
    kill -KILL "$worker"
fi
soon 20 "killed from outside: its server starts it anew" new_worker
like "$(sql "select text from events where kind='exited' and unit=$(unit_number worker) order by id desc limit 1")" '*signal=9*oom_kills=0*' "its end is on record: signal 9, no OOM kill"
is "$(pid_of server)" "$server" "the server goes on"

# an operator's stop holds until an operator's start
weir stop worker -c "$C" >"$T/out" 2>&1
is "$?" 0 "weir stop worker"
server_log=$T/state/log/server.log
soon 10 "its server's tries are refused" in_file "$server_log" "unit 'worker' must not start.*weir start worker"
sleep 0.5
is "$(unit worker .state)" stopped "it stays stopped"
is "$(unit worker .pid)" 0 "no process"
is "$(pid_of server)" "$server" "the server is not restarted for it"
check "health is ok" healthy "$port"
sql_soon() { sql_some "select count(*) from decisions where kind='refuse' and unit=$(unit_number worker)"; }
soon 3 "the refusals are on record" sql_soon
weir start worker -c "$C" >"$T/out" 2>&1
is "$?" 0 "weir start worker"
worker=0
soon 30 "then its server may start it" new_worker
weir restart worker -c "$C" >"$T/out" 2>&1
is "$?" 0 "weir restart worker: waits for the new one"
is "$(unit worker .restarts.operator)" 1 "counted as the operator's"

# the server dies: its worker ends with it, both come back
soon 20 "the worker answers" search_answers "$port"
worker=$(pid_of worker)
kill -KILL "$server"
soon 10 "killed server: its worker ends" not_alive "$worker"
back() { [ "$(pid_of server)" != "$server" ] && unit_ready server && new_worker; }
soon 30 "both come back" back
like "$(cgroup_of "$(pid_of worker)" memory)" "*/weir-$NAME*/worker" "the worker in its cgroup"
is "$(status_of "$(pid_of worker)" PPid)" "$(pid_of server)" "as a child of the new server"
server=$(pid_of server)

# weir is dead while the server starts its worker: the command waits, the next weir serves it
weir_kill
worker=$(cat "$(cgroup_of "$server" "" | sed 's/server$/worker/')/cgroup.procs")
kill -KILL "$worker"
waits() { find /proc/[0-9]*/exe -lname "$(readlink -f "$WEIR")" 2>/dev/null | grep -q .; }
soon 10 "weir is dead: the command waits as weir's own" waits
check "health is ok meanwhile" healthy "$port"
sleep 1
is "$(grep -c 'no supervisor answers' "$server_log")" 0 "it has not given up"
weir_run
soon 30 "the next weir lets it run" new_worker
is "$(pid_of server)" "$server" "under the same server"
like "$(cgroup_of "$(pid_of worker)" memory)" "*/weir-$NAME*/worker" "in the worker's cgroup"
soon 20 "and it answers" search_answers "$port"
weir_stop 0
nothing_left
replay_agrees

# a server that never starts its worker anew is restarted with it
config <<END
$(server_unit "$port" --doc-interval 50 --never-respawn)
[unit worker]
wrap = uv
respawn_wait = 2s
END
weir_run
soon 20 "a server that never respawns is up" search_answers "$port"
server=$(pid_of server) worker=$(pid_of worker)
kill -KILL "$worker"
soon 30 "it is restarted with its worker" back
soon 20 "and serves again" search_answers "$port"
is "$(sql "select reason from decisions where kind='restart' and unit=$(unit_number server)")" respawn-wait "the reason is on record"
weir_stop 0
nothing_left
replay_agrees
finish
