#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The units' output: a flood is limited and every dropped line counted, the unit never blocked; files are rotated and few.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

count=$(slow 400000 60000)
config <<END
[unit counted]
exec = bash -c "misbehave flood --count $count --length 60; echo the end; exec sleep 1000"
log_rate = 256K
log_size = 1G
[unit flood]
exec = misbehave flood --length 100 --for 600
log_rate = 400K
log_size = 64K
log_files = 3
[unit calm]
exec = bash -c "while :; do echo still here; sleep 0.2; done"
END
weir_run
logs=$T/state/log
ended() { [ "$(cat "/proc/$(pid_of counted)/comm")" = sleep ]; }
soon 60 "a flood of $count lines is not blocked" ended
sleep 2.5 # the second with the last drops is over
kept=$(grep -c '^line ' "$logs/counted.log")
dropped=$(awk '/^weir: [0-9]+ lines .* above log_rate were dropped/ { n += $2 } END { print n + 0 }' "$logs/counted.log")
the_end=$(grep -c '^the end' "$logs/counted.log")
is "$((kept + dropped + the_end))" $((count + 1)) "kept ($kept) and dropped ($dropped) lines are all the lines"
within "$dropped" 1 "$count" "some were dropped"
says_not "$logs/counted.log" '^line [0-9]* *x*[^x0-9 ]' "no line is torn"
marks=$(sql "select sum(cast(substr(text, instr(text, ': ') + 2) as integer)) from marks where unit=$(unit_number counted) and text like 'output above log_rate%'")
is "$marks" "$dropped" "the history counts the same"

# the endless one
last_line() { tail -n 30 "$logs/flood.log" | awk '/^line / { n = $2 } END { print n + 0 }'; }
a=$(last_line)
sleep 2
b=$(last_line)
within "$((b - a))" 8000 1000000000 "the flood goes on unblocked: $((b - a)) lines in 2 s"
sizes=$(find "$logs" -name 'flood.log*' -printf '%s\n' | sort -n)
within "$(wc -l <<<"$sizes")" 3 4 "at most 3 rotated files beside the current one"
within "$(tail -n 1 <<<"$sizes")" 1000 $((66 << 10)) "none larger than log_size"
within "$(grep -c 'still here' "$logs/calm.log")" 10 100000 "a calm unit beside it loses nothing"
is "$(status | jq '[.units[].ticks.skipped] | add')" 0 "no second skipped"
state_of_flood=$(for _ in {1..20}; do awk '{ print $3 }' "/proc/$(pid_of flood)/stat"; done | sort | uniq -c | tr '\n' ' ')
note "states of the flooding process: $state_of_flood"
weir_stop 0
nothing_left
replay_agrees
finish
