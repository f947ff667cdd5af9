#!/usr/bin/env bash
# docs-server with docs-worker as its `uv`: kills, crashes, holds and ends; nothing is lost, nothing added twice.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
unset ${!WEIR_DEMO_*}

mkdir "$scratch/bin" && ln -s "$DOCS_WORKER" "$scratch/bin/uv"
export PATH=$scratch/bin:$PATH

# http METHOD PATH [BODY]: the answer's body, from $port on 127.0.0.1.
http() {
    local body=${3:-}
    exec 7<>"/dev/tcp/127.0.0.1/$port" || return 1
    printf '%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' "$1" "$2" "${#body}" "$body" >&7
    timeout 10 sed '1,/^\r$/d' <&7
    exec 7>&-
}
status() { http POST /rpc '{"jsonrpc":"2.0","id":1,"method":"getStatus","params":{}}'; }
# field NAME: a number or word of the last `status`, kept in $answer.
field() { sed -n "s/.*\"$1\":\([a-z0-9]*\).*/\1/p" <<<"$answer"; }
worker_pid() { sed -n 's/.*"worker":{[^}]*"pid":\([0-9]*\).*/\1/p' <<<"$answer"; }
ask_status() { answer=$(status); }
healthy() { [ "$(http GET /health)" = '{"status":"ok"}' ]; }
documents_reach() { ask_status; [ "$(field totalDocuments)" -ge "$1" ] 2>/dev/null; }
done_indexing() { ask_status; [ "$(field queue)$(field processing)$(field syncing)" = 00false ]; }

# serve NAME OPTIONS...: a server in $scratch/NAME; its pid is in $server, its port in $port.
serve() {
    local name=$1
    shift
    start "$scratch/$name.log" "$DOCS_SERVER" --port 0 --port-file "$scratch/$name.port" --data-dir "$scratch/$name" --ready-after 50 "$@"
    server=$pid log=$scratch/$name.log db=$scratch/$name/index/documents.log
    until_true 10 test -s "$scratch/$name.port" && port=$(cat "$scratch/$name.port")
}
exactly_once() {
    is "$(grep -c '^add' "$db")" "$1" "$2: $1 documents were added"
    is "$(grep '^add' "$db" | cut -f2,3 | sort | uniq -d | wc -l)" 0 "$2: none twice"
}
# stop_server WHAT: SIGTERM; it exits 0 and its worker is gone.
stop_server() {
    ask_status
    local worker
    worker=$(worker_pid)
    kill "$server"
    wait "$server"
    is "$?" 0 "$1: SIGTERM ends the server with status 0"
    check "$1: and leaves no worker (${worker:-none})" gone "${worker:-none}"
}

# 1. The worker is killed in the middle of a document.
export WEIR_DEMO_WORK_MS=40 WEIR_DEMO_LOAD_TIME_MS=100
serve killed --generate 20
check "healthy" healthy
until_true 10 documents_reach 7
victim=$(worker_pid)
kill -STOP "$victim" # what it is given from now on it does not answer: in a second the next document is in its hands
sleep 1
kill -9 "$victim"
http POST /rpc '{"jsonrpc":"2.0","id":"s","method":"search","params":{"query":"x","options":{"limit":1}}}' >"$scratch/search" &
searcher=$!
polls=0 sick=0
until done_indexing; do
    polls=$((polls + 1))
    healthy || sick=$((sick + 1))
    [ $polls -lt 500 ] || break
done
is "$sick" 0 "health was ok at each of $polls polls while the worker was away"
wait $searcher
like "$(cat "$scratch/search")" '*"id":"s","result":{"total":1*' "a search sent while the worker was away is answered"
exactly_once 20 "killed"
is "$(field totalDocuments)" 20 "status tells 20 documents"
is "$(field restarts)" 1 "and one restart"
check "the new worker is another" test "$(worker_pid)" != "$victim"
for line in "DB is ready" "Embedding model initialized" "\[IndexWorker\] Created 3 sections for docs/000000.md" \
    "\[IndexWorker\] Completed: docs/000019.md" "Python worker exited with code null, signal SIGKILL" "\[IndexWorker\] Requeued: docs/"; do
    check "log: $line" grep -q "$line" "$log"
done
is "$(http POST /rpc 'x' | cut -c1-60)" '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":' "malformed JSON: -32700"
like "$(http POST /rpc '{"id":5,"method":"none"}')" '*"id":5,"error":{"code":-32601*' "unknown method: -32601"
like "$(http GET /nothing)" '*not found*' "unknown path"
"$DOCS_SERVER" --port 0 --data-dir "$scratch/killed" >"$scratch/second" 2>&1
is "$?" 1 "a second server on the same data is refused"
stop_server "killed"

# 2. It crashes by itself, after the write and before the answer: the worst moment for "exactly once".
serve resumed --generate 5
until_true 10 done_indexing
stop_server "indexed"
export WEIR_DEMO_CRASH_AFTER=4 WEIR_DEMO_CRASH_POINT=after WEIR_DEMO_WORK_MS=5 WEIR_DEMO_LOAD_TIME_MS=0
serve resumed --generate 12
until_true 10 done_indexing
exactly_once 12 "crashing, and resumed"
within "$(field restarts)" 1 2 "crashed on its way"
unset WEIR_DEMO_CRASH_AFTER WEIR_DEMO_CRASH_POINT
stop_server "crashing"

# 3. A worker that is stopped when the server is told to end: killed after 2 s.
export WEIR_DEMO_WORK_MS=20
serve stopped --generate 200 --loop
until_true 10 documents_reach 3
victim=$(worker_pid)
kill -STOP "$victim"
healthy && ok "healthy with a stopped worker" || not_ok "healthy with a stopped worker"
begin=$(date +%s%N)
stop_server "stopped worker"
within $((($(date +%s%N) - begin) / 1000000)) 1900 4000 "stopped worker: it took about 2 s"

# 4. As the real one: never respawned, healthy, useless; a request in flight waits for its time limit.
# each_once LEDGER: ids grow, each asked once and with one outcome; prints what is not so.
each_once() {
    awk -F '\t' '
        $2 == "ask" { if ($3 <= last) print "id " $3 " after " last; last = $3; open[$3] = 1; next }
        $2 ~ /^(result|error|timeout|lost|stopped)$/ { if (!open[$3]) print $2 " of id " $3 ", which is not open"; delete open[$3]; next }
        { print "unexpected: " $0 }
        END { for (id in open) print "id " id " has no outcome" }' "$1"
}
calls_of() { sed -n "s/.*\"calls\":{[^}]*\"$1\":\([0-9]*\).*/\1/p" <<<"$answer"; }
serve counted --generate 20 --as-real --ledger "$scratch/counted.ledger"
until_true 10 done_indexing
is "$(field errors)" 0 "as-real: no error is counted"
is "$(calls_of result)" "$(calls_of ask)" "each of its $(calls_of ask) requests has its result"
stop_server "as-real"
is "$(each_once "$scratch/counted.ledger" | head -n 3)" "" "ledger: ids grow, each was answered exactly once"
is "$(grep -c "addSections" "$scratch/counted.ledger")" 40 "ledger: 20 times addSections, asked and answered"

serve real --generate 200 --as-real --call-timeout 1 --ledger "$scratch/real.ledger"
until_true 10 documents_reach 3
victim=$(worker_pid)
kill -STOP "$victim" # a document is in its hands, and now a search
http POST /rpc '{"jsonrpc":"2.0","id":"s","method":"search","params":{"query":"x"}}' >"$scratch/search" &
searcher=$!
sleep 0.2
kill -9 "$victim"
until_true 5 grep -q "Python worker exited" "$log"
begin=$(date +%s%N)
like "$(status)" '*Not connected to database*' "as-real: status is an error"
like "$(http POST /rpc '{"id":1,"method":"search","params":{"query":"x"}}')" '*Not connected to database*' "as-real: search too"
check "as-real: health is ok" healthy
wait $searcher
like "$(cat "$scratch/search")" '*Request timeout*' "as-real: the search in flight hung until its time limit"
within $((($(date +%s%N) - begin) / 1000000)) 500 2500 "of 1 s here"
until_true 5 grep -q "Worker error [0-9]*: timeout addSections" "$log"
check "as-real: each error is logged with its number" grep -qE "Worker error 1: ended - \(id 0\): exited with code null, signal SIGKILL" "$log"
is "$(each_once "$scratch/real.ledger" | grep -vc 'unexpected: .*ended')" 0 "ledger: the lost ones have their time-out"
stop_server "as-real"

# a worker that answers what it likes; uv_says BODY: what it does after the handshake
uv_says() {
    mkdir -p "$scratch/odd"
    printf '%s\n' '#!/bin/bash' "read -r l; echo '{\"id\":1,\"result\":{}}'; read -r l; echo '{\"id\":2,\"result\":{}}'" "$1" >"$scratch/odd/uv"
    chmod +x "$scratch/odd/uv"
}
uv_says 'read -r l
printf "%s\n" "{\"id\":2,\"result\":{}}" "{\"id\":999,\"result\":{}}" "{\"id\":3,\"result\":{}}" "{\"id\":3,\"result\":{}}" "no json" "{\"id\":4}"
while read -r l; do :; done'
PATH=$scratch/odd:$PATH serve odd --as-real --ledger "$scratch/odd.ledger"
strays() { ask_status; [ "$(calls_of stray)$(calls_of garbage)" = 32 ]; }
check "a second answer, a late one, one to an unknown id, and two lines that are none: five errors" until_true 5 strays
is "$(field errors)" 5 "counted together, too"
is "$(grep -c $'\tstray\t\(2\|3\)\tanswered already' "$scratch/odd.ledger") $(grep -c $'\tstray\t999\tnever asked' "$scratch/odd.ledger")" "2 1" "and told apart"
stop_server "odd"

uv_says 'exec 0<&-
exec sleep 8'
PATH=$scratch/odd:$PATH start "$scratch/epipe.log" "$DOCS_SERVER" --port 0 --data-dir "$scratch/epipe" --as-real --call-timeout 0.3
wait "$pid"
is "$?" 1 "as-real: the server ends when its worker does not read"
check "as-real: and says why" grep -q "Uncaught exception: write EPIPE" "$scratch/epipe.log"
kill "$(sed -n 's/.*Python worker started (PID: \([0-9]*\)).*/\1/p' "$scratch/epipe.log")"

# 5. Documents from a folder.
mkdir -p "$scratch/docs/sub" && printf '# One\ntext\n## Two\ntext\n' >"$scratch/docs/a.md" && printf 'plain\n' >"$scratch/docs/sub/b.md" && : >"$scratch/docs/c.txt"
export WEIR_DEMO_WORK_MS=0
serve folder --docs "$scratch/docs/"
until_true 10 done_indexing
is "$(cut -f2,4 "$db" | tr '\t\n' '= ')" "a.md=2 sub/b.md=1 " "a folder: Markdown only, split at headings"
stop_server "folder"

# 6. What makes a start fail.
start "$scratch/never.log" "$DOCS_SERVER" --port 0 --port-file "$scratch/never.port" --data-dir "$scratch/never" --ready-after 0 --never-ready
until_true 5 grep -q "Embedding model initialized" "$scratch/never.log"
check "never-ready: works, but opens no port" test ! -e "$scratch/never.port"
kill "$pid"
wait "$pid"
is "$?" 0 "never-ready: SIGTERM ends it"
mkdir "$scratch/empty"
PATH=$scratch/empty "$DOCS_SERVER" --port 0 --data-dir "$scratch/nouv" >"$scratch/nouv.log" 2>&1
is "$?" 1 "without uv in PATH it exits 1"
"$DOCS_SERVER" --port 70000 2>/dev/null
is "$?" 2 "a wrong port is refused with status 2"
finish
