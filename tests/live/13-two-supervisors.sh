#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A second supervisor of the same name is refused and told who is there; two of different names live side by side.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

printf '[unit a]\nexec = sleep 1000\nmemory_max = 32M\n' | config
weir_run
soon 10 "the first is up" unit_ready a
"$WEIR" run "$C" >"$T/second" 2>&1
is "$?" 1 "a second one of the same name is refused"
says "$T/second" "'$NAME' is already running \\(pid $WPID" "it names the pid"
check "the first goes on" unit_ready a
is "$(grep -c . "$T/second")" 1 "one line is enough"

names+=("${NAME}b")
sed "s/^name = .*/name = ${NAME}b/; s|^run_dir = .*|run_dir = $RUN-b|; s|^state_dir = .*|state_dir = $T/state-b|; s/32M/48M/" "$C" >"$T/b.ini"
"$WEIR" run "$T/b.ini" >"$T/b.log" 2>&1 &
other=$!
background+=("$other")
b_ready() { [ "$(weir status -c "$T/b.ini" --json 2>/dev/null | jq -r '.units[0].state')" = ready ]; }
soon 10 "one of another name runs beside it" b_ready
pid_b=$(weir status -c "$T/b.ini" --json | jq .units[0].pid)
is "$(limit_of "$(pid_of a)" memory)" $((32 << 20)) "the first's unit has its limit"
is "$(limit_of "$pid_b" memory)" $((48 << 20)) "the second's unit of the same name has its own"
weir stop -c "$T/b.ini" >/dev/null
is "$?" 0 "the second is stopped"
wait "$other"
is "$?" 0 "and ends with status 0"
check "the first goes on" unit_ready a
weir_stop 0
nothing_left
replay_agrees
finish
