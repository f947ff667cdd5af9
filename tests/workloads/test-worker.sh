#!/usr/bin/env bash
# docs-worker: the protocol, the database that outlives it, growth, crash and end.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
unset ${!WEIR_DEMO_*}

db=$scratch/db

# open_worker OPTIONS...: a worker behind two pipes; its pid is in $pid, its log in $scratch/log.
open_worker() {
    rm -f "$scratch/in" "$scratch/out"
    mkfifo "$scratch/in" "$scratch/out"
    "$DOCS_WORKER" --db-path "$db" "$@" <"$scratch/in" >"$scratch/out" 2>"$scratch/log" &
    pid=$!
    started+=("$pid")
    exec 8>"$scratch/in" 9<"$scratch/out"
}
close_worker() { exec 8>&-; wait "$pid"; status=$?; exec 9<&-; }

# ask LINE: sends it and puts the answer in $answer.
ask() { printf '%s\n' "$1" >&8; answer=; IFS= read -r -t 10 answer <&9; }
open_ready() { open_worker "$@"; call 0 initModel; }
call() { ask "{\"jsonrpc\":\"2.0\",\"id\":$1,\"method\":\"$2\",\"params\":${3:-{\}}}"; }
add() { call "$1" addSections "{\"sections\":[{\"document_path\":\"$2\",\"document_hash\":\"$3\"},{\"document_path\":\"$2\",\"document_hash\":\"$3\"}]}"; }

# 1. The protocol.
open_worker --compact-every 3
call 1 ping
is "$answer" '{"jsonrpc":"2.0","id":1,"result":{"status":"ok"}}' "ping"
call 2 search '{"query":"x"}'
is "$answer" '{"jsonrpc":"2.0","id":2,"error":{"code":-32603,"message":"Model not initialized: initModel must come first"}}' "before initModel nothing but ping is answered"
call 2 initModel
like "$answer" '*"id":2,"result":{"success":true*' "initModel"
add 3 a.md h1
like "$answer" '*"id":3,"result":{"count":2}}' "addSections tells how many"
call 4 findSectionsByPathAndHash '{"documentPath":"a.md","documentHash":"h1"}'
like "$answer" '*"id":"h1-0"*"id":"h1-1"*' "findSectionsByPathAndHash finds both"
call 5 findSectionsByPathAndHash '{"documentPath":"a.md","documentHash":"other"}'
is "$answer" '{"jsonrpc":"2.0","id":5,"result":{"sections":[]}}' "and nothing under another hash"
call 6 search '{"query":"x","limit":1}'
like "$answer" '*"id":6,"result":{"total":1,"results":*"a.md"*' "search"
call 7 getSectionById '{"sectionId":"h1-1"}'
like "$answer" '*"document_path":"a.md"*' "getSectionById"
call 8 getSectionById '{"sectionId":"h1-2"}'
like "$answer" '*"id":8,"error":{"code":-32603,"message":"Section not found: h1-2"}}' "an unknown section is an error"
call 9 markDirty '{"documentPath":"a.md"}'
call 10 getDirtySections
like "$answer" '*"is_dirty":true*' "markDirty, getDirtySections"
call 11 createIndexRequest '{"document_path":"a.md","document_hash":"h1"}'
like "$answer" '*"id":"request-1"*"status":"pending"*' "createIndexRequest"
call 12 updateIndexRequest '{"id":"request-1","updates":{"status":"completed"}}'
like "$answer" '*"status":"completed"*' "updateIndexRequest"
call 13 getPathsWithStatus '{"statuses":["completed"]}'
like "$answer" '*"paths":\["a.md"\]*' "getPathsWithStatus"
call 14 countIndexRequests '{"status":"pending"}'
like "$answer" '*"count":0*' "countIndexRequests"
id=20
for method in ping initModel addSections search getSectionsByPath getSectionById deleteSectionsByPath \
    findSectionsByPathAndHash deleteSectionsByPathExceptHash markDirty getDirtySections getStats createIndexRequest \
    findIndexRequests countIndexRequests updateIndexRequest updateManyIndexRequests getPathsWithStatus; do
    call $((id += 1)) $method
    [[ $answer == *"\"id\":$id,"* && $answer != *-32601* ]] || not_ok "$method is known" "$answer"
done
ok "all 18 methods are known and answer with their id"
call 40 noSuchMethod
is "$answer" '{"jsonrpc":"2.0","id":40,"error":{"code":-32601,"message":"Method not found: noSuchMethod"}}' "unknown method: -32601"
ask '{"id":41,'
like "$answer" '{"jsonrpc":"2.0","id":null,"error":{"code":-32700*' "malformed JSON: an error with id null"
ask '[]'
like "$answer" '*"id":null,"error":{"code":-32600*' "not an object: -32600"
long=$(head -c 3000000 /dev/zero | tr '\0' x)
call 42 addSections "{\"sections\":[{\"document_path\":\"long.md\",\"document_hash\":\"h\",\"content\":\"$long\"}]}"
like "$answer" '*"id":42,"result":{"count":1}}' "a line of 3 MB"
printf '{"id":50,"method":"ping"}\n{"id":51,"method":"ping"}\n{"id":52,"method":"ping"}\n' >&8
IFS= read -r -t 5 a <&9; IFS= read -r -t 5 b <&9; IFS= read -r -t 5 c <&9
like "$a$b$c" '*"id":50,*"id":51,*"id":52,*' "several requests in flight are answered in order"

# 2. What is left on disk.
is "$(ls "$db/data" | wc -l)" 2 "one fragment an add"
add 60 b.md h1
is "$(ls "$db/data" | wc -l)" 1 "the third add compacts to one"
like "$(tr '\n' ' ' <"$scratch/log")" '*Compacting table (add_count=3)...*Compaction completed*' "and logs it"
close_worker
is "$status" 0 "end of input ends it with status 0"
is "$(grep -c '^add' "$db/documents.log")" 3 "one line in documents.log an add"

printf 'add\ttorn' >>"$db/documents.log"
open_ready
call 1 getStats
like "$answer" '*"totalDocuments":3,"totalSections":5,"dirtyCount":2*' "the next worker knows what is indexed; a torn line is none"
call 2 deleteSectionsByPath '{"documentPath":"long.md"}'
call 3 deleteSectionsByPathExceptHash '{"documentPath":"a.md","documentHash":"h2"}'
call 4 getStats
like "$answer" '*"totalDocuments":1,"totalSections":2*' "deletes"
close_worker
is "$(grep -c torn "$db/documents.log")" 0 "the torn line is cut off"

# 3. Searches beside the work; what arrived is written down.
db=$scratch/lanes
open_worker --load-time 300 --work 400 --calls-log
printf '%s\n' '{"id":1,"method":"initModel"}' '{"id":2,"method":"search","params":{"query":"x"}}' >&8
IFS= read -r -t 5 a <&9; IFS= read -r -t 5 b <&9
is "$(grep -c result <<<"$a") $(grep -c result <<<"$b")" "1 1" "a search sent right behind initModel waits for the model"
printf '%s\n' '{"id":3,"method":"addSections","params":{"sections":[{"document_path":"a.md","document_hash":"h"}]}}' \
    '{"id":4,"method":"getStats"}' '{"id":5,"method":"search","params":{"query":"x"}}' '{"id":6,"method":"ping"}' >&8
a=
for _ in 1 2 3 4; do IFS= read -r -t 5 answer <&9; a+=${answer:17:6}; done
is "$a" '"id":5"id":6"id":3"id":4' "search and ping are answered while a document is worked on, all else in order"
close_worker
is "$status" 0 "it ends with status 0"
is "$(tr '\t\n' ': ' <"$db/calls.log" | sed "s/:$pid / /g")" "initModel:1 search:2 addSections:3 getStats:4 search:5 ping:6 " "calls.log has each request that arrived"

# the first end of input, with work still in its hands
open_ready --work 300
printf '%s\n' '{"id":3,"method":"addSections","params":{"sections":[{"document_path":"b.md","document_hash":"h"}]}}' >&8
close_worker
is "$status" 0 "end of input in the middle of a document: status 0"
is "$(cut -f2 "$db/documents.log" | tr '\n' ' ')" "a.md b.md " "and the document is there"
db=$scratch/db

# 4. Growth: a leak for each document; a trace only while documents come.
open_ready --leak-bytes-per-doc 4M
call 1 ping
before=$(rss_mb "$pid")
for i in 1 2 3 4 5; do add $i "leak$i.md" h; done
within "$(rss_mb "$pid")" "$(awk -v b="$before" 'BEGIN { print b + 19 }')" "$(awk -v b="$before" 'BEGIN { print b + 25 }')" "5 documents leak 20 MB"
close_worker

printf 'Time(s), RSS(MB), VSZ(MB), Threads\n0, 60, 0, 9\n100, 1060, 0, 9\n' >"$scratch/ramp.log"
export WEIR_DEMO_TRACE=$scratch/ramp.log WEIR_DEMO_TIME_SCALE=5 WEIR_DEMO_IDLE_MS=300 WEIR_DEMO_LOAD_TIME_MS=300
open_worker
call 1 initModel
climbed() { awk -v m="$(rss_mb "$pid")" 'BEGIN { exit !(m >= 59) }'; }
until_true 5 climbed
loaded=$(rss_mb "$pid")
near "$loaded" 60 4 "loading the model takes it to the trace's start"
is "$(status_of "$pid" Threads)" 9 "threads as in the trace"
sleep 0.4
near "$(rss_mb "$pid")" "$loaded" 1 "without documents the trace stands still"
for i in 1 2 3 4; do add $i "trace$i.md" h; sleep 0.1; done
sleep 0.5
grown=$(rss_mb "$pid")
within "$grown" "$(awk -v b="$loaded" 'BEGIN { print b + 10 }')" "$(awk -v b="$loaded" 'BEGIN { print b + 60 }')" "with documents it grows ($loaded, then $grown MB)"
sleep 0.4
near "$(rss_mb "$pid")" "$grown" 1 "and stands still again"
close_worker
unset ${!WEIR_DEMO_*}

# 5. Ends: a crash, the command line of the real worker, wrong arguments.
db=$scratch/crash
open_ready --crash-after 2 --crash-point after
add 1 a.md h
add 2 b.md h
is "$answer" "" "told to crash at the second document, it does not answer it"
{ wait "$pid"; } 2>/dev/null
is "$?" 134 "it ended by SIGABRT"
exec 8>&- 9<&-
is "$(cut -f2 "$db/documents.log" | tr '\n' ' ')" "a.md b.md " "after the write: the document is there"
open_ready --poison arsenic
call 1 search '{"query":"bread"}'
like "$answer" '*"id":1,"result"*' "a search"
call 2 search '{"query":"arsenic"}'
{ wait "$pid"; } 2>/dev/null
is "$? $answer" "134 " "a search for what it is told to die of: SIGABRT, no answer"
exec 8>&- 9<&-
is "$(printf '{"id":1,"method":"ping"}\n' | WEIR_DEMO_WRAPPER=1 "$DOCS_WORKER" --project P run python X/worker.py --model=m \
    --max-batch-tokens=9 --unknown=1 --db-path="$scratch/uv" 2>/dev/null)" '{"jsonrpc":"2.0","id":1,"result":{"status":"ok"}}' "the real command line, behind a wrapper"
check "the database is where --db-path says" test -f "$scratch/uv/documents.log"
"$DOCS_WORKER" --unknown </dev/null 2>/dev/null
is "$?" 2 "an unknown option is refused with status 2"
WEIR_DEMO_WORK_MS=x "$DOCS_WORKER" --db-path "$db" </dev/null 2>"$scratch/err"
is "$?" 2 "a wrong variable is refused with status 2"
like "$(cat "$scratch/err")" '*WEIR_DEMO_WORK_MS=x*' "and named"
finish
