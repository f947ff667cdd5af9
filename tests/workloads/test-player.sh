#!/usr/bin/env bash
# trace-player: measured memory and threads follow the recording; what is stopped goes on where it was.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"

record=$TRACES/record1-fresh-start.log
scale=64

# recorded TIME COLUMN: interpolated; column 2 is MB, 4 is threads.
recorded() {
    awk -F', ' -v t="$1" -v c="$2" 'NF == 4 && $1 ~ /^[0-9]/ {
        if ($1 >= t) { v = seen ? p + (t - pt) / ($1 - pt) * ($c - p) : $c; found = 1; exit }
        p = $c; pt = $1; seen = 1 } END { printf "%.3f", found ? v : p }' "$record"
}
scaled_mb() { awk -v mb="$(recorded "$1" 2)" -v s=$scale 'BEGIN { printf "%.2f", mb / s }'; }

# What the program needs for itself (a sanitizer's is large): below that it cannot follow anything.
start "$scratch/floor" "$TRACE_PLAYER" --memory-scale 0.000001 --thread-scale 0.001 --lead-in 0 "$record"
sleep 0.3
floor=$(rss_mb "$pid")
kill "$pid"

# 1. Plateaus: play 2 s of the trace and hold; the kernel's numbers are the trace's.
plateau() {
    local to=$1
    start "$scratch/plateau" "$TRACE_PLAYER" --memory-scale 1/$scale --time-scale 20 --report 0.5 \
        --from $((to - 2)) --to "$to" "$record"
    until_true 5 grep -q "^$to.00, " "$scratch/plateau"
    sleep 0.05
    local mb threads
    mb=$(rss_mb "$pid") threads=$(status_of "$pid" Threads)
    kill "$pid"
    if awk -v f="$floor" -v w="$(scaled_mb "$to")" 'BEGIN { exit !(f > w) }'; then
        skip "held at $to s: memory" "the program itself takes $floor MB"
    else
        near "$mb" "$(scaled_mb "$to")" 2 "held at $to s: VmRSS $mb MB is the trace's within 2 MB"
    fi
    near "$threads" "$(recorded "$to" 4)" 1 "held at $to s: $threads threads are the trace's"
}
for second in 8 20 21 69 154; do plateau $second; done

# 2. On the way, at 20 times the speed: each sample lies between the trace's values 2 s before and after. It runs
#    only between two looks at it: what it reported last and what it is belong together, and a slow host is no matter.
start "$scratch/run" "$TRACE_PLAYER" --memory-scale 1/$scale --time-scale 20 --report 0.5 --from 18 --to 100 --at-end exit "$record"
runner=$pid
for wait in 0.4 0.5 0.6 0.8 0.5; do
    kill -CONT "$runner"
    sleep $wait
    kill -STOP "$runner"
    mb=$(rss_mb "$runner") threads=$(status_of "$runner" Threads)
    at=$(tail -n 1 "$scratch/run" | cut -d, -f1)
    names=$(cat /proc/"$runner"/task/*/comm 2>/dev/null | sort -u | tr '\n' ' ')
    low=$(awk -v v="$(scaled_mb "$(awk -v t="$at" 'BEGIN{print t - 2}')")" -v f="$floor" 'BEGIN { print v - 2 }')
    high=$(awk -v v="$(scaled_mb "$(awk -v t="$at" 'BEGIN{print t + 2}')")" -v f="$floor" 'BEGIN { print (v > f ? v : f) + 2 }')
    within "$mb" "$low" "$high" "playing, at $at s: VmRSS $mb MB"
    within "$threads" "$(awk -v v="$(recorded "$(awk -v t="$at" 'BEGIN{print t - 2}')" 4)" 'BEGIN { print int(v) - 2 }')" \
        "$(awk -v v="$(recorded "$(awk -v t="$at" 'BEGIN{print t + 2}')" 4)" 'BEGIN { print int(v) + 2 }')" "playing, at $at s: $threads threads"
done
kill -CONT "$runner"
like "$names" "lance-cpu *tokio-rt-worker*" "threads carry the recorded names"
check "the run ends with the trace" until_true 10 gone "$runner"
wait "$runner"
is "$?" 0 "--at-end exit ends with status 0"
tail -n 1 "$scratch/run" | grep -q "^Process $runner terminated" && ok "the report closes as the recording does" || not_ok "the report closes"
start "$scratch/again" "$TRACE_PLAYER" --memory-scale 1/2 --time-scale 100 --at-end exit "$scratch/run"
wait "$pid"
is "$?" 0 "a report can be played itself"

# 3. The jump of +1387 MB takes its second: half way, half of it is there.
start "$scratch/jump" "$TRACE_PLAYER" --memory-scale 1/$scale --time-scale 2 --report 0.25 --from 20 --to 21 --at-end exit "$record"
wait "$pid"
near "$(awk -F', ' 'NF == 4 && $1 >= 20.49 && $1 < 30 { print $2; exit }' "$scratch/jump")" "$(scaled_mb 20.5)" 3 "half way through the jump half of it is there"

# 4. Stopped for a second in front of that jump (20 s of trace at this speed), it goes on where it was: what it played
#    afterwards is no more than the time that it ran, and its memory is the trace's there.
start "$scratch/stopped" "$TRACE_PLAYER" --memory-scale 1/$scale --time-scale 20 --report 0.2 --from 10 "$record"
position() { tail -n 1 "$scratch/stopped" | cut -d, -f1; }
past() { awk -v p="$(position)" -v t="$1" 'BEGIN { exit !(p + 0 >= t) }'; }
until_true 5 past 14
kill -STOP "$pid"
before_mb=$(rss_mb "$pid") before=$(position)
sleep 1
since=$EPOCHREALTIME
kill -CONT "$pid"
sleep 0.03
kill -STOP "$pid"
ran=$(awk -v a="$since" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')
after_mb=$(rss_mb "$pid") after=$(position)
kill -CONT "$pid"
within "$after_mb" "$(awk -v m="$before_mb" 'BEGIN { print m - 1 }')" "$(awk -v m="$before_mb" -v t="$(scaled_mb "$after")" 'BEGIN { print (m > t ? m : t) + 3 }')" \
    "stopped for 1 s: memory did not jump ($before_mb, then $after_mb MB)"
within "$after" "$before" "$(awk -v p="$before" -v s="$ran" 'BEGIN { print p + 20 * s + 3.4 }')" \
    "stopped for 1 s: trace time did not jump ($before, then $after s; it ran for $ran s)"
check "then it plays on" until_true 5 past 22
within "$(rss_mb "$pid")" "$(awk -v v="$(scaled_mb 22)" 'BEGIN { print v - 2 }')" 200 "and the jump comes"
kill "$pid"

# 5. Memory can fall, and threads too.
printf 'Time(s), RSS(MB), VSZ(MB), Threads\n0, 120, 0, 20\n1, 40, 0, 5\n' >"$scratch/fall.log"
start "$scratch/fall" "$TRACE_PLAYER" --time-scale 4 --report 0.5 "$scratch/fall.log"
until_true 20 grep -q '^1.00, ' "$scratch/fall"
fallen() { [[ $(status_of "$pid" Threads) == 5 ]]; }
until_true 5 fallen || true
near "$(rss_mb "$pid")" 40 2 "memory falls where the trace falls"
is "$(status_of "$pid" Threads)" 5 "threads end where the trace has fewer"
kill "$pid"

# 6. Wrong input is told.
refuses() {
    "$TRACE_PLAYER" "$@" >"$scratch/out" 2>&1
    is "$?" 2 "refused with status 2: $(head -n 1 "$scratch/out" | cut -c1-70)"
}
printf 'Time(s), RSS(MB), VSZ(MB), Threads\n1, 1, 1, 1\n1, 2, 2, 2\n' >"$scratch/bad.log"
refuses
refuses "$scratch/none.log"
refuses "$scratch/bad.log"
refuses --memory-scale 0 "$record"
refuses --at-end never "$record"
refuses --from 9 --to 3 "$record"
finish
