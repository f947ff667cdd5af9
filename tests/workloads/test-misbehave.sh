#!/usr/bin/env bash
# misbehave: each subcommand does what it says, and none outlives its --for.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"

out=$scratch/out
session_of() { awk '{ sub(/.*\) /, ""); print $4 }' "/proc/$1/stat" 2>/dev/null; }

"$MISBEHAVE" exit 7
is "$?" 7 "exit 7"
start "$out" "$MISBEHAVE" signal 9
{ wait "$pid"; } 2>/dev/null
is "$?" 137 "signal 9"
is "$("$MISBEHAVE" flood --count 100 --length 20 | awk 'length($0) == 20' | wc -l)" 100 "flood: 100 lines of 20"
"$MISBEHAVE" flood | head -n 1 >/dev/null
is "${PIPESTATUS[0]}" 1 "flood: ends when nobody reads"
begin=$(date +%s%N)
"$MISBEHAVE" flood --rate 100 --count 30 >/dev/null
within $((($(date +%s%N) - begin) / 1000000)) 290 1500 "flood: 30 lines at 100 a second take 0.3 s"

start "$out" "$MISBEHAVE" hang --for 1.2
hanging() { [ -s "$out" ]; }
until_true 5 hanging
kill "$pid"
sleep 0.2
check "hang: SIGTERM does not end it" test -e "/proc/$pid"
wait "$pid"
is "$?" 0 "hang: --for does"

start "$out" "$MISBEHAVE" leak --rate 100 --limit 40M --for 20
leaker=$pid
start "$scratch/bomb" "$MISBEHAVE" bomb --limit 48M --for 20
bomber=$pid
start "$scratch/step" "$MISBEHAVE" step --size 10M --every 0.1 --limit 30M --for 20
stepper=$pid
start "$scratch/burst" "$MISBEHAVE" burst --size 30M --hold 0.1 --rest 0.1 --for 20
burster=$pid
start "$scratch/hog" "$MISBEHAVE" hog --threads 3 --for 20
hog=$pid
sleep 1.2
within "$(rss_mb "$leaker")" 40 60 "leak: holds at its limit"
within "$(rss_mb "$bomber")" 48 68 "bomb: likewise"
is "$(tail -n 1 "$scratch/step")" "holding 30.0 MB" "step: likewise"
twice() { [ "$(grep -c released "$scratch/burst")" -ge 2 ]; }
check "burst: grows and releases" until_true 5 twice
is "$(status_of "$hog" Threads)" 3 "hog: 3 threads"
kill "$leaker" "$bomber" "$stepper" "$burster" "$hog"

start "$out" "$MISBEHAVE" tree --count 3 --for 1
until_true 5 grep -q . "$out"
three() { [ "$(wc -l <"$out")" -eq 3 ]; }
check "tree: 3 processes" until_true 5 three
own=0
while read -r _ child; do [ "$(session_of "$child")" = "$child" ] && own=$((own + 1)); done <"$out"
is "$own" 3 "tree: each in a session of its own"

"$MISBEHAVE" orphan --for 1 >"$scratch/orphan"
is "$?" 0 "orphan: the parent is done at once"
until_true 5 grep -q . "$scratch/orphan" # the child says its pid, and may be slower than its parent's end
orphan=$(cut -d' ' -f2 "$scratch/orphan")
check "orphan: its child lives" test -e "/proc/$orphan"

start "$scratch/fork" "$MISBEHAVE" fork --count 10 --for 2
check "fork: 10 alive" until_true 3 grep -q "^forked 10, refused 0, alive 10$" "$scratch/fork"
check "fork: ends after --for" until_true 5 gone "$pid"
# A zombie counts as ended: whoever adopted it may be slow to wait for it.
ended() { [ ! -e "/proc/$1" ] || grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null; }
all_ended() { while read -r _ child; do ended "$child" || return 1; done <"$out"; ended "$orphan"; }
check "tree and orphan end after --for" until_true 5 all_ended

if command -v python3 >/dev/null && python3 -c 'import socket' 2>/dev/null; then
    python3 - "$scratch/notify" >"$scratch/notified" <<'PY' &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(5)
for _ in range(4):
    print(s.recv(4096).decode(), flush=True)
PY
    started+=($!)
    receiver=$!
    until_true 5 test -S "$scratch/notify"
    NOTIFY_SOCKET=$scratch/notify start "$out" "$MISBEHAVE" notify --after 50 --watchdog 100 --status hello --for 10
    sleep 0.22
    kill "$pid"
    wait "$pid"
    is "$?" 0 "notify: ends cleanly on SIGTERM"
    wait "$receiver"
    like "$(tr '\n' ' ' <"$scratch/notified")" "STATUS=hello READY=1 WATCHDOG=1 *" "notify: status, ready, watchdog"
else
    skip "notify" "no python3 to receive datagrams"
fi

mkfifo "$scratch/pressure" && exec 7<>"$scratch/pressure"
MEMORY_PRESSURE_WATCH=$scratch/pressure start "$scratch/cache" "$MISBEHAVE" cache --rate 50 --for 10
sleep 0.3
printf p >&7
check "cache: gives back what it has when it is told" until_true 3 grep -qE "^told of memory pressure: giving [1-9][0-9]*\\.[0-9] MB back" "$scratch/cache"
kill "$pid"
exec 7>&-
start "$scratch/cache" env -u MEMORY_PRESSURE_WATCH "$MISBEHAVE" cache --for 10
check "cache: keeps all where nobody is to tell it" until_true 3 grep -q "^MEMORY_PRESSURE_WATCH is not set" "$scratch/cache"
kill "$pid"

for wrong in "nothing" "exit 256" "exit" "signal 0" "leak --rate 0" "leak --limit x" "hog --threads 0" "tree --count 0" "hang --for"; do
    # shellcheck disable=SC2086
    "$MISBEHAVE" $wrong >/dev/null 2>"$scratch/err"
    is "$?" 2 "refused: $wrong"
done
"$MISBEHAVE" --help >/dev/null && "$MISBEHAVE" leak --help >/dev/null && ok "--help" || not_ok "--help"
finish
