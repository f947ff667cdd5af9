#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The worker is killed by kill -9 at random moments (seeded) while its server indexes and several clients ask: every
# request is answered exactly once, by its result or by an error that names the cause, and nothing hangs. The server is
# one that would never start a worker anew. Last, a request that kills each worker it is given to. WEIR_GATE_FULL=1: 200 kills instead of 20.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

kills=20
[ "${WEIR_GATE_FULL:-0}" = 0 ] || kills=200
documents=$((kills * 15))
RANDOM=${WEIR_LIVE_SEED:-4711}
port=$(free_port)
plain_worker
export WEIR_DEMO_MODEL_BYTES=8M WEIR_DEMO_LOAD_TIME_MS=100 WEIR_DEMO_WORK_MS=20 WEIR_DEMO_SEARCH_MS=2 WEIR_DEMO_CALLS_LOG=1
export WEIR_DEMO_POISON=arsenic
# So many failures would give the unit up; here they are what is wanted.
config <<END
$(job_server "$port" "$documents" --doc-interval 5)
$(gated_worker)
memory_max = 256M
failure_budget = 32
failure_window = 1s
backoff_min = 1ms
backoff_max = 20ms
END
weir_run
soon 20 "server and worker get ready" unit_ready worker
soon 10 "it answers" rpc_answers "$port" getStats
server=$(pid_of server) gate=$(status_of "$(pid_of worker)" PPid)
for method in search getStats getSectionsByPath; do
    search_begin "$T/$method" "$port" --interval "$(slow 20 300)" --method "$method" --timeout "$(slow 30 200)"
done
search_begin "$T/narrow" "$port" --interval "$(slow 40 600)" --connections 2 --timeout "$(slow 30 200)"
# Its processes, without asking weir: a kill is to meet any moment, also while the next worker is being started.
procs=$(cgroup_of "$(pid_of worker)" "")/cgroup.procs
killed=0 tries=0
while [ "$killed" -lt "$kills" ] && [ "$tries" -lt $((kills * 3)) ]; do
    tries=$((tries + 1))
    wait_ms=$((20 + RANDOM % $(slow 900 6000)))
    sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
    while read -r pid; do kill -KILL "$pid" && killed=$((killed + 1)); done 2>/dev/null <"$procs"
done
within "$killed" "$kills" $((kills + 3)) "killed at $tries random moments (seed ${WEIR_LIVE_SEED:-4711})"
soon 20 "there is a worker again" unit_ready worker
soon $((documents / 10 + 20)) "all $documents documents are worked through" job_is_done "$port"
search_end
is "$(pid_of server) $(status_of "$(pid_of worker)" PPid)" "$server $gate" "the same server and gate"

# who asked
for method in search getStats getSectionsByPath narrow; do
    note "$method: $(jq -c . "$T/$method" 2>&1)"
    is "$(jq -r '.sent > 0 and .sent == .answered + .failed' "$T/$method" 2>&1)" true "$method: each of its queries has its answer"
    # only a request that was in the hands of four workers in a row may fail
    is "$(jq -r '[.reasons | keys[] | select(test("^worker ended .*signal 9") | not)] | join("; ")' "$T/$method")" "" "$method: what failed names the cause"
done
each_once "$T/ledger" "the server's ledger"
is "$(outcomes "$T/ledger" timeout)$(outcomes "$T/ledger" lost)$(outcomes "$T/ledger" stray)$(outcomes "$T/ledger" garbage)$(outcomes "$T/ledger" ended)" 00000 \
    "none timed out, none came twice, no line was cut"
errors=$(outcomes "$T/ledger" error)
is "$(job_value "$port" .worker.errors)" "$errors" "the server counted the $errors errors in it"
is "$(awk -F '\t' '$2 == "error" && $5 !~ /"code":-32001,"message":"worker ended \(.*signal 9/' "$T/ledger" | head -n 2)" "" "each error names the cause"
is "$(awk -F '\t' '$2 == "error" && $4 != "addSections" && $5 !~ /"failure":"poison"/ { print $4, $5 }' "$T/ledger" | head -n 2)" "" "only addSections is not sent again"
within "$(awk -F '\t' '$2 == "error" && $4 == "addSections"' "$T/ledger" | wc -l)" 1 "$killed" "some kill met a document"
within "$(unit worker '.gate.notes.replayed // 0')" 1 1000000 "requests were sent again"
is "$(unit worker '.gate.notes | [.failed, .poison, .impatient, .rejected] | map(. // 0) | add')" "$errors" "weir status counts the same errors"
indexed_once "$documents" "the worker's database"

is "$(unit worker .gate.errors)" 0 "none is a worker's own"
# poison: sent again three times, then its caller is told; nobody else has to suffer
generation=$(unit worker .generation)
search_begin "$T/beside" "$port" --interval "$(slow 20 300)" --timeout "$(slow 30 200)"
rpc "$port" search '{"query":"arsenic"}' >"$T/answer"
search_end
like "$(cat "$T/answer")" '*"error":{"code":-32001,"message":"*"failure":"poison"*' "a request that kills its worker each time is answered with an error in the end"
note "$(cat "$T/answer")"
is "$(($(unit worker .generation) - generation)) $(unit worker '.gate.notes.poison')" "4 1" "after four workers, and counted as poison"
says "$LOG" "gate: search [0-9]+ \([0-9]{2,} bytes\): answered with an error: each worker it was sent to died" "on record with method, id and size"
searched "$T/beside" "searches beside it"
errors=$((errors + 1))

calls=$(unit worker .gate.calls) answers=$(unit worker .gate.answers)
is "$(unit worker '.gate | "\(.inflight) \(.waiting) \(.queued)"')" "0 0 0" "nothing is open"
is "$calls" $((answers + errors)) "each of the gate's $calls requests was answered by a worker, or by the gate"
weir_stop 0
nothing_left
is "$(outcomes "$T/ledger" ask)" "$(awk -F, 'NR > 1 { n += $3 } END { print n }' <(weir history gate -u worker --run all -c "$C" --csv))" \
    "history gate: as many calls as the server asked"
replay_agrees
finish
