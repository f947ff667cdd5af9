#!/usr/bin/env bash
# docs-search: queries by the clock, what counts as failed, and from when a latency counts.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
unset ${!WEIR_DEMO_*}

mkdir "$scratch/bin" && ln -s "$DOCS_WORKER" "$scratch/bin/uv"
start "$scratch/server" env PATH="$scratch/bin:$PATH" "$DOCS_SERVER" --port 0 --port-file "$scratch/port" --data-dir "$scratch/data" \
    --generate 3 --ready-after 0
server=$pid
until_true 10 test -s "$scratch/port"
port=$(cat "$scratch/port")
until_true 10 grep -q "Embedding model initialized" "$scratch/server"
worker=$(sed -n 's/.*Python worker started (PID: \([0-9]*\)).*/\1/p' "$scratch/server")
# value NAME: of the last JSON result, in $answer
value() { sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p" <<<"$answer"; }
search() { answer=$("$DOCS_SEARCH" --port "$port" --json "$@"); status=$?; }

search --interval 10 --count 50
is "$status" 0 "50 queries, all answered: status 0"
is "$(value sent) $(value answered) $(value failed)" "50 50 0" "50 sent, 50 answered, 0 failed"
within "$(value p50_ms)" 0.01 50 "p50"
within "$(value max_ms)" "$(value p99_ms)" 2000 "p99 is not above max"
search --interval 20 --for 1
within "$(value sent)" 45 50 "--for 1: a query each 20 ms"
search --count 5 --method getSectionById
is "$status $(value failed)" "1 5" "an answered error is a failure"
like "$answer" '*"reasons":{"sectionId parameter is required":5}*' "and its reason is told"
is "$("$DOCS_SEARCH" --port "$port" --count 2 --interval 1 | cut -d';' -f1)" "2 sent, 0 failed" "the same in words"

# Stopped for half a second: nothing fails, and the wait of all that came meanwhile counts.
start "$scratch/stopped" "$DOCS_SEARCH" --port "$port" --interval 10 --count 100 --json
kill -STOP "$worker"
sleep 0.5
kill -CONT "$worker"
wait "$pid"
is "$?" 0 "a worker stopped for 0.5 s: no query fails"
answer=$(cat "$scratch/stopped")
within "$(value max_ms)" 400 5000 "the longest waited that long"
within "$(value p50_ms)" 0.01 400 "half of them did not"
kill -STOP "$worker"
search --interval 10 --count 20 --timeout 0.3 --connections 4
kill -CONT "$worker"
is "$status $(value failed)" "1 20" "no answer within --timeout: failed"
like "$answer" '*"no answer in time":20*' "for that reason"

start "$scratch/ended" "$DOCS_SEARCH" --port "$port" --interval 10
sleep 0.3
kill -TERM "$pid"
wait "$pid"
is "$?" 0 "SIGTERM: ends with its result"
kill "$server"
wait "$server"
search --interval 10 --count 5
is "$status $(value failed)" "1 5" "no server: failed"
like "$answer" '*"Connection refused":5*' "for that reason"
for wrong in "" "--port 0" "--port 1 --interval 0" "--port 1 --connections 201"; do
    # shellcheck disable=SC2086
    "$DOCS_SEARCH" $wrong 2>/dev/null
    is "$?" 2 "refused: ${wrong:-no port}"
done
finish
