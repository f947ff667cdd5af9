#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# kill -9 of weir: units go on, so does their output; the next weir adopts them, with every line. Thirty times in a
# row at random moments; also while units are being started; and `stop --keep`.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

RANDOM=${WEIR_LIVE_SEED:-4711}
port=$(free_port)
plain_worker
config <<END
[unit lines]
exec = misbehave flood --rate 2000 --length 30 --for 900
log_rate = max
$(server_unit "$port" --doc-interval 50)
[unit worker]
wrap = uv
memory_max = 256M
END
weir_run
pair_is_up "$port"
pids() { status | jq -r '[.units[] | "\(.name) \(.pid)"] | join(", ")'; }
generations() { status | jq -r '[.units[] | "\(.name) \(.generation)"] | join(", ")'; }
before=$(pids) generation=$(generations)
read -r lines server worker <<<"$(status | jq -r '[.units[].pid] | join(" ")')"
weir_kill
sleep 1
ok_all=yes
for pid in "$lines" "$server" "$worker"; do alive "$pid" || ok_all=no; done
is "$ok_all" yes "all units go on without weir"
check "the worker still answers" search_answers "$port"
weir status -c "$C" >"$T/out" 2>&1
is "$?" 3 "weir status: not running"
weir_run
all_ready() { [ "$(status | jq '[.units[] | select(.state == "ready")] | length')" = 3 ]; }
soon 20 "the next weir adopts them, all ready" all_ready
is "$(pids)" "$before" "the same processes"
is "$(generations)" "$generation" "the same generations"

for i in {1..30}; do
    wait_ms=$((RANDOM % (i % 3 ? $(slow 120 1500) : $(slow 500 4000)))) # mostly: soon after it is up
    sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
    weir_kill
    "$WEIR" run "$C" >>"$LOG" 2>&1 & # without waiting until it is up: the next kill may meet it while it adopts
    WPID=$!
done
wait_for 15 weir_up
soon 20 "after thirty kills at random moments all are ready" all_ready
is "$(pids)" "$before" "the same processes"
is "$(generations)" "$generation" "the same generations"
check "the worker answers" search_answers "$port"

weir stop --keep -c "$C" >"$T/out" 2>&1
is "$?" 0 "weir stop --keep succeeds"
check "weir alone ends" weir_wait 10
is "$weir_status" 0 "with status 0"
sleep 0.5
check "the units go on" alive "$worker"
weir_run
soon 20 "the next weir adopts them" all_ready
is "$(pids)" "$before" "the same processes again"
is "$(sql "select count(*) from events where kind='exited'")" 0 "no end of a unit was ever seen"
weir_stop 0
nothing_left

# every line, once, in order
printf '%s\n' "$T"/state/log/lines.log* | sort -rV | xargs -r -d '\n' cat | grep -E '^line ' >"$T/lines"
last=$(tail -n 1 "$T/lines" | awk '{ print $2 }')
bad=$(awk '$2 != NR - 1 { print NR - 1 ": " $0; exit }' "$T/lines")
is "${bad:-none}" none "every line of the output is in the log, once, in order (to line $last)"
within "${last:-0}" 5000 1000000 "through all of it"
for pid in "$lines" "$server" "$worker"; do soon 5 "pid $pid is gone" not_alive "$pid"; done

# killed while it starts its units: one process a unit, whatever happened
for _ in {1..6}; do
    "$WEIR" run "$C" >>"$LOG" 2>&1 &
    WPID=$!
    wait_ms=$((RANDOM % $(slow 90 1200)))
    sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
    weir_kill
done
weir_run
soon 30 "killed six times while starting: all ready" all_ready
left=$(processes_left)
is "$(grep -c 'misbehave flood' <<<"$left")" 1 "one process of lines"
is "$(grep -c 'docs-server --port' <<<"$left")" 1 "one server"
is "$(grep -c ' uv ' <<<"$left")" 1 "one worker"
for u in lines server worker; do like "$(cgroup_of "$(pid_of $u)" memory)" "*/weir-$NAME*/$u" "$u in its cgroup"; done
weir_stop 0
nothing_left
replay_agrees
finish
