#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A gate on the worker's pipe. The server fails as the real one does, its worker leaks 8 MB a document under a limit of
# 512 MB: all documents are indexed exactly once, weir restarts the worker again and again, the server sees no error, and
# a client that searches all the time has every answer. Then hold, pace and release by hand; what the record says of it.
# WEIR_GATE_FULL=1: 1,000 documents instead of 150.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

documents=150 restarts=2
if [ "${WEIR_GATE_FULL:-0}" = 1 ]; then documents=1000 restarts=10; fi
port=$(free_port)
plain_worker
export WEIR_DEMO_LEAK_BYTES_PER_DOC=8M WEIR_DEMO_MODEL_BYTES=32M WEIR_DEMO_LOAD_TIME_MS=300 WEIR_DEMO_WORK_MS=10 WEIR_DEMO_CALLS_LOG=1
# A life of the worker is 5 s here: no failure, and a restart each 5 s is what is wanted.
config <<END
$(job_server "$port" "$documents" --doc-interval 60)
$(gated_worker)
memory_max = 512M
recycle_min_life = 1s
recycle_cost = 100%
END
weir_run
soon 20 "server gets ready" unit_ready server
soon 20 "the worker, too: its handshake is through" unit_ready worker
soon 10 "it answers" rpc_answers "$port" getStats
search_begin "$T/search" "$port" --interval "$(slow 50 500)"
begin=$(now_ms)

server=$(pid_of server) worker=$(pid_of worker)
gate=$(status_of "$worker" PPid)
is "$(cat "/proc/$gate/comm")" weir-gate "the worker's parent is the gate"
is "$(status_of "$gate" PPid)" "$server" "whose parent is the server"
is "$(job_value "$port" .worker.pid)" "$gate" "the server takes the gate for its worker"
like "$(cgroup_of "$worker" memory)" "*/weir-$NAME*/worker" "the worker is in its own cgroup"
like "$(cgroup_of "$gate" memory)" "*/weir-$NAME*/server" "the gate in the server's"
is "$(limit_of "$worker" memory)" $((512 << 20)) "the worker's limit is there"
within "$(status_of "$gate" VmRSS)" 1 3072 "the gate takes less than 3 MB"
is "$(unit worker .gate.gates)" 1 "weir status tells of one gate"

soon $((documents / 2 + 40)) "all $documents documents are worked through" job_is_done "$port"
took=$(($(now_ms) - begin))
search_end
searched "$T/search" "a search each 50 ms during the job"
note "$documents documents in $((took / 1000)).$((took / 100 % 10)) s, $(unit worker '.restarts | "restarts: \(.recycle) planned, \(.failure) failures"')"
indexed_once "$documents" "the worker's database"
is "$(job_value "$port" .index.totalDocuments)" "$documents" "and the server knows"
is "$(job_value "$port" .worker.errors)" 0 "the server saw no error"
says_not "$T/state/log/server.log" "Worker error" "nor is one in its log"
is "$(pid_of server) $(status_of "$(pid_of worker)" PPid)" "$server $gate" "the same server and gate"
within "$(unit worker .restarts.recycle)" "$restarts" 1000 "weir restarted the worker"
is "$(unit worker .restarts.failure)" 0 "none was a failure"
is "$(sql "select count(*) from samples where memory_events_oom_kill > 0")" 0 "no sample tells a kernel OOM kill"
is "$(sql "select count(*) from events where kind='exited' and text not like '%oom_kills=0%'")" 0 "no end is a kernel OOM kill"
within "$(sql "select max(memory_peak) from samples where unit=$(unit_number worker)")" $((300 << 20)) $((512 << 20)) "its peak stayed below its limit"
is "$(unit worker .gate.errors)" 0 "no answer was an error"

# by hand
weir hold worker -c "$C" >"$T/out" 2>&1
is "$?" 0 "weir hold worker"
search_begin "$T/held" "$port" --interval "$(slow 50 500)" --count 40
rpc "$port" getStats >"$T/answer" &
asker=$!
background+=("$asker")
sleep 1.5
is "$(cat "$T/answer")" "" "held: no answer to a request"
is "$(unit worker '.gate | "\(.order) \(.inflight) \(.queued)"')" "hold 0 1" "weir status: held, nothing in flight, something waits"
within "$(unit worker .gate.queued_us)" 300000 "$(slow 5000000 60000000)" "and for how long (told once a second)"
check "health is ok" healthy "$port"
weir release worker -c "$C" >"$T/out" 2>&1
is "$?" 0 "weir release worker"
wait "$asker"
like "$(cat "$T/answer")" '*"result":*' "released: it is answered"
wait "${search_pids[0]}"
searched "$T/held" "searches while it was held"
within "$(jq '.max_ms | floor' "$T/held")" 1000 "$(slow 10000 60000)" "they waited"

weir pace worker 5/s -c "$C" >"$T/out" 2>&1
is "$?" 0 "weir pace worker 5/s"
before=$(unit worker .gate.calls)
search_begin "$T/paced" "$port" --interval 50
sleep 3
within "$(($(unit worker .gate.calls) - before))" 8 "$(slow 25 60)" "5 a second: in 3 s about 15 of 60 get through"
weir pace worker 1 -c "$C" >"$T/out" 2>&1
is "$?" 0 "weir pace worker 1"
most=0
for _ in {1..10}; do
    n=$(unit worker .gate.inflight)
    [ "$n" -le "$most" ] || most=$n
done
within "$most" 0 1 "never more than one in flight"
weir release worker -c "$C" >"$T/out" 2>&1
is "$?" 0 "weir release worker"
search_end
searched "$T/paced" "searches while it was paced"
order_is() { [ "$(unit worker .gate.order)" = "$1" ]; }
soon 3 "no order is left" order_is release
is "$(job_value "$port" .worker.errors)" 0 "the server still saw no error"

before=$(pid_of worker)
weir restart worker -c "$C" >"$T/out" 2>&1
is "$?" 0 "weir restart worker"
check "another worker" test "$(pid_of worker)" != "$before"
check "it answers" rpc_answers "$port" search '{"query":"x"}'
is "$(pid_of server) $(status_of "$(pid_of worker)" PPid) $(unit worker .restarts.operator)" "$server $gate 1" "behind the same gate"
is "$(job_value "$port" .worker.errors)" 0 "the server saw no error of that either"
replays=$(unit worker '.gate.notes.replayed // 0')
weir_stop 0
nothing_left

says "$T/state/log/server.log" "\[Python Worker\] \[DBEngine\] worker [0-9]+: $documents documents" "the workers' stderr went to the server, as ever"

# the figures: what the server asked, what the gate counted, what reached the workers
each_once "$T/ledger" "the server's ledger"
is "$(outcomes "$T/ledger" error)$(outcomes "$T/ledger" ended)" 00 "no error in it, no end of the worker"
weir history gate -u worker --run all -c "$C" --csv >"$T/history" 2>&1
is "$?" 0 "weir history gate"
note "$(cut -d, -f2-3 "$T/history" | tail -n +2 | tr ',\n' '= ')"
asked() { awk -F '\t' '$2 == "ask" { n[$4]++ } END { for (m in n) print m, n[m] }' "$T/ledger" | sort; }
counted() { awk -F, 'NR > 1 { print $2, $3 }' "$T/history" | sort; }
is "$(counted | tr '\n' ';')" "$(asked | tr '\n' ';')" "calls per method: the gate counted what the server asked"
# each new worker gets the handshake once more, and what was sent again
generations=$(cut -f3 "$T/data/index/calls.log" | sort -u | wc -l)
arrived() { cut -f1 "$T/data/index/calls.log" | sort | uniq -c | awk -v more=$((generations - 1)) '{ print $2, $1 - ($2 == "initModel" ? more : 0) }' | sort; }
if [ "$replays" = 0 ]; then is "$(counted | tr '\n' ';')" "$(arrived | tr '\n' ';')" "and what reached the $generations workers, but for the handshakes"
else note "$replays requests were sent again"; fi
within "$generations" $((restarts + 2)) 1000 "so many workers there were"
replay_agrees
own_policy_agrees
finish
