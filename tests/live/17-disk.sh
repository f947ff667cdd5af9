#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Trouble with the disk never stops the control of units, and is told: a state_dir that cannot be, a history that cannot
# be written, one that is corrupt, a file size limit that makes every write fail as a full disk does.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

units() {
    config <<END
[unit leak]
exec = misbehave leak --rate 16 --limit 400M --for 300
memory_max = 64M
[unit calm]
exec = sleep 1000
END
}
restarted() { [ "$(unit leak '.restarts | .recycle + .failure')" -ge 1 ] 2>/dev/null; }
problem() { [ -n "$(status | jq -r '.history.problem // empty')" ]; }
controls() { # NAME
    soon 10 "$1: units run" unit_ready calm
    soon 30 "$1: the leaking unit is restarted all the same" restarted
    is "$(status | jq '[.units[].ticks.skipped] | add')" 0 "$1: no second skipped"
}

# a file stands where the folder should be
units
echo "in the way" >"$T/state"
weir_run
controls "file in the way"
soon 5 "file in the way: status --json tells" problem
weir status -c "$C" >"$T/out" 2>&1
says "$T/out" 'history is not being written: ' "file in the way: status tells"
note "$(grep 'history is not' "$T/out")"
says "$LOG" "$T/state" "file in the way: the log tells"
# mended while it runs
rm "$T/state"
mkdir -p "$T/state/log"
mended() { ! problem && [ -s "$DB" ]; }
soon 20 "mended while it runs: the history is written" mended
weir_stop 0
nothing_left

# as a full disk: writes above the limit fail
rm -rf "$T/state"
(
    trap '' XFSZ
    ulimit -f 300
    exec "$WEIR" run "$C" >>"$LOG" 2>&1
) &
WPID=$!
wait_for 15 weir_up
controls "full disk"
soon 60 "full disk: status --json tells" problem
note "$(status | jq -r '.history.problem')"
check "full disk: units are still controlled" weir restart calm -c "$C"
weir_stop 0
nothing_left

# a corrupt history is set aside, never deleted
rm -rf "$T/state"
mkdir -p "$T/state"
head -c 20000 /dev/urandom >"$DB"
sum=$(cksum <"$DB")
weir_run
soon 10 "corrupt history: units run" unit_ready calm
fresh() { [ "$(sql 'select count(*) from runs')" = 1 ]; }
soon 10 "corrupt history: a new one is written" fresh
kept=no
for file in "$T"/state/history*; do [ "$(cksum <"$file")" = "$sum" ] && kept=yes; done
is "$kept" yes "corrupt history: the old one is kept"
weir_stop 0
nothing_left
replay_agrees
finish
