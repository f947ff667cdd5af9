#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Who dies, and what goes on: weir killed ten times under traffic; the gate, the server, the worker; signals that the
# server sends to "its worker"; a worker that is stopped on purpose. WEIR_GATE_FULL=1: weir killed 100 times.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

kills=10
[ "${WEIR_GATE_FULL:-0}" = 0 ] || kills=100
RANDOM=${WEIR_LIVE_SEED:-4711}
port=$(free_port)
plain_worker
export WEIR_DEMO_MODEL_BYTES=8M WEIR_DEMO_WORK_MS=5
config <<END
$(job_server "$port" 5000 --loop --doc-interval 5)
$(gated_worker)
memory_max = 256M
respawn_wait = 1s
END
# for the second half: so many ends are wanted
printf 'failure_budget = 32\nbackoff_min = 10ms\nbackoff_max = 100ms\n' >>"$C"
pair() { read -r server worker <<<"$(status | jq -r '[.units[].pid] | join(" ")')"; gate=$(status_of "$worker" PPid); }
weir_run
soon 20 "server and worker get ready" unit_ready worker
soon 10 "it answers" rpc_answers "$port" getStats
pair
first="$server $gate $worker"

# weir dies
search_begin "$T/search" "$port" --interval "$(slow 20 200)" --timeout "$(slow 20 120)"
calls=$(unit worker .gate.calls) fell=none
for ((i = 1; i <= kills; i++)); do
    weir_kill
    wait_ms=$((RANDOM % $(slow 600 3000)))
    sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))" # the pipe flows on
    "$WEIR" run "$C" >>"$LOG" 2>&1 &
    WPID=$!
    counted() { now=$(unit worker '.gate.calls // 0') && [ "${now:-0}" -gt 0 ]; }
    wait_for 15 counted
    [ "$now" -gt "$calls" ] || fell="kill $i: from $calls to $now"
    calls=$now
    wait_ms=$((RANDOM % $(slow 300 1500)))
    sleep "0.$(printf %03d $((wait_ms % 1000)))"
done
is "$fell" none "weir killed $kills times: its count of calls goes on, to $calls"
soon 20 "server and worker are ready" unit_ready worker
pair
is "$server $gate $worker" "$first" "the same server, gate and worker"
is "$(unit worker .generation)" 1 "the same generation"
search_end
searched "$T/search" "a search each 20 ms"
is "$(job_value "$port" .worker.errors)" 0 "the server saw no error"
each_once "$T/ledger" "the server's ledger" open
is "$(sql "select count(*) from events where kind='exited'")" 0 "no end of a unit was ever seen"
asked=$(outcomes "$T/ledger" ask) calls=$(unit worker .gate.calls)
within "$((asked - calls))" -200 200 "weir's count is that of the server ($calls of $asked, a moment apart)"

# held, and weir dies: nobody is left who could let them go
weir hold worker -c "$C" >"$T/out" 2>&1
rpc "$port" search '{"query":"x"}' >"$T/answer" &
asker=$!
background+=("$asker")
sleep 0.3
is "$(cat "$T/answer")" "" "held by hand: no answer"
weir_kill
answered() { [[ $(cat "$T/answer") == *'"result":'* ]]; }
soon 5 "weir is killed: the gate lets go" answered
weir_run
is_free() { unit_ready worker && [ "$(unit worker .gate.order)" = release ]; }
soon 10 "the next one knows of nothing held" is_free

# what the server does to "its worker"
is "$(job_value "$port" .worker.pid)" "$gate" "the server takes the gate for its worker"
state_of() { awk '/^State:/ { print $2 }' "/proc/$1/status" 2>/dev/null; }
stopped() { [ "$(state_of "$worker")" = T ]; }
goes_on() { ! stopped; }
kill -STOP "$gate"
soon 5 "SIGSTOP: the worker is stopped, too" stopped
kill -CONT "$gate"
soon 5 "SIGCONT: it goes on" goes_on
soon 5 "it answers" rpc_answers "$port" getStats
# another server, gate and worker than those in $was
back() { unit_ready worker && pair && [ -n "$gate" ] && [ "$server" != "${was[0]}" ] && [ "$gate" != "${was[1]}" ] && [ "$worker" != "${was[2]}" ] && rpc_answers "$port" getStats; }
for signal in TERM HUP; do
    was=("$server" "$gate" "$worker")
    : >"$T/ledger"
    kill "-$signal" "$gate"
    soon 10 "SIG$signal: the worker ends" not_alive "$worker"
    soon 5 "the gate with it" not_alive "$gate"
    soon 5 "the server sees how" in_file "$T/ledger" "ended.exited with code null, signal SIG$signal"
    sleep 0.3
    is "$(unit worker .state) $(pid_of server)" "stopped $server" "its server wanted that: weir leaves it at that"
    weir restart server -c "$C" >"$T/out" 2>&1
    soon 20 "a new server has a new worker" back
done

# the gate dies: in the middle of the work, and with nothing in flight, when its worker ends as if all were well
# or it was about to write, and died as the real one does
saw_end() { in_file "$T/ledger" "ended.exited with code null, signal SIGKILL" || in_file "$T/state/log/server.log" "write EPIPE"; }
for moment in busy idle; do
    was=("$server" "$gate" "$worker")
    : >"$T/ledger"
    if [ "$moment" = idle ]; then
        weir hold worker -c "$C" >"$T/out" 2>&1
        nothing_in_flight() { [ "$(unit worker .gate.inflight)" = 0 ]; }
        soon 5 "nothing is in flight" nothing_in_flight
    fi
    kill -KILL "$gate"
    soon 10 "the gate is killed, $moment: its worker is ended" not_alive "$worker"
    soon 5 "the server saw the end of its worker" saw_end
    soon 30 "both come back" back
done

was=("$server" "$gate" "$worker")
kill -KILL "$server"
soon 10 "the server is killed: the worker ends" not_alive "$worker"
soon 5 "and the gate" not_alive "$gate"
soon 30 "both come back" back

# stopped by hand
was=("$server" "$gate" "$worker")
weir stop worker -c "$C" >"$T/out" 2>&1
is "$?" 0 "weir stop worker"
is "$(unit worker .state) $(unit worker .pid)" "stopped 0" "it is stopped"
rpc "$port" search '{"query":"x"}' >"$T/answer"
like "$(cat "$T/answer")" '*"error":{"code":-32001,"message":"*operator asked for it; *weir start worker*' "a request is answered with an error that says so"
check "health is ok" healthy "$port"
weir start worker -c "$C" >"$T/out" 2>&1
is "$?" 0 "weir start worker"
soon 20 "it serves again" rpc_answers "$port" search '{"query":"x"}'
pair
is "$server $gate" "${was[0]} ${was[1]}" "behind the same gate, for the same server"

weir_stop 0
nothing_left
replay_agrees
finish
