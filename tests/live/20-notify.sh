#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A unit is told to give memory back: by the memory pressure protocol, which a program obeys that knows nothing of weir,
# and by its hook command, which learns why from its environment. A hook that hangs is killed in its time, runs once at a
# time, and holds nobody up.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

cat >"$T/bin/hook" <<'END'
#!/bin/bash
env | grep '^WEIR_' | sort >"$1.$$" && mv "$1.$$" "$1"
id -un >"$1.user"
cat /proc/self/cgroup >"$1.cgroup"
echo "gave something back"
printf 'a line\twith a \033[31mcolour\n' >&2
exit 3
END
cat >"$T/bin/hangs" <<'END'
#!/bin/bash
trap '' TERM
echo $$ >>"$1"
sleep 1000 &
wait
sleep 1000
END
chmod 755 "$T/bin/hook" "$T/bin/hangs"
mkdir -m 777 "$T/told"
config <<END
[unit cache]
exec = misbehave cache --rate 6 --limit 60M --for 600
memory_max = 64M
notify_cooldown = 1s
throttle_eta = 0s
restart_eta = 0s
[unit told]
exec = misbehave step --size 42M --limit 42M --for 600
memory_max = 64M
throttle_eta = 0s
restart_eta = 0s
notify_cooldown = 1h
user = nobody
notify_exec = $T/bin/hook $T/told/environment
[unit stuck]
exec = misbehave step --size 42M --limit 42M --for 600
memory_max = 64M
throttle_eta = 0s
restart_eta = 0s
notify_cooldown = 500ms
notify_exec = $T/bin/hangs $T/told/pids
notify_timeout = 2s
END
weir_run
decided() { sql_some "select count(*) from decisions where kind = '$2' and unit = $(unit_number "$1")"; }

# ---------------------------------------------------------------- the protocol

soon 30 "the cache is told" decided cache notify
gave_back() { in_file "$T/state/log/cache.log" '^told of memory pressure: giving [0-9.]+ MB back'; }
soon 5 "and gives back what it has" gave_back
fell() { [ "$(unit cache '.reading["memory.current"]')" -lt $((20 << 20)) ]; }
soon 5 "its memory fell" fell
told_again() { [ "$(grep -c '^told of memory pressure' "$T/state/log/cache.log")" -ge 2 ]; }
soon 30 "it is told again when it has filled again" told_again
is "$(sql "select count(*) from decisions where unit = $(unit_number cache) and kind in ('throttle', 'restart')")" 0 "that was enough: no throttle, no restart"

# ---------------------------------------------------------------- the hook

soon 10 "the hook ran" test -s "$T/told/environment"
recorded
row=$(sql "select min(id) from decisions where kind = 'notify' and unit = $(unit_number told)")
id=$((row & ((1 << 38) - 1))) # the row has the run's number above it
env_is() { is "$(sed -n "s/^$1=//p" "$T/told/environment")" "$2" "its $1"; }
env_is WEIR_NAME "$NAME"
env_is WEIR_UNIT told
env_is WEIR_ID "$id"
env_is WEIR_RULE ladder.notify
env_is WEIR_REASON memory-level
env_is WEIR_PID "$(pid_of told)"
metric=$(sed -n 's/^WEIR_METRIC=//p' "$T/told/environment")
like "$metric" "memory.*" "its WEIR_METRIC"
env_is WEIR_THRESHOLD "$(sql "select threshold from decisions where id = $row")"
env_is WEIR_OBSERVED "$(sql "select observed from decisions where id = $row")"
like "$(sed -n 's/^WEIR_SENTENCE=//p' "$T/told/environment")" "ask told to give memory back: *" "its WEIR_SENTENCE"
is "$(cat "$T/told/environment.user")" nobody "it runs as the unit's user"
is "$(cat "$T/told/environment.cgroup")" "$(cat "/proc/$WPID/cgroup")" "in weir's own cgroup"
says "$LOG" "told: hook of #$id\| gave something back" "what it prints is in weir's log"
says "$LOG" "told: hook of #$id\| a line\?with a \?\[31mcolour" "without control characters"
soon 3 "its end is told" in_log "told: hook of #$id: exit code 3 after "
marked() { weir log -c "$C" >"$T/out" && in_file "$T/out" "hook of #$id: exit code 3 after "; }
soon 5 "and in the time line" marked
soon 5 "its start is the outcome" sql_some "select count(*) from events where kind = 'outcome' and text like '%decision=$id %done%'"

# ---------------------------------------------------------------- a hook that hangs

soon 10 "the other one hangs" test -s "$T/told/pids"
soon 5 "told meanwhile, it is not run twice" in_log 'stuck: hook of #[0-9]+: not run: that of #[0-9]+ still runs'
soon 5 "which is on record" sql_some "select count(*) from events where kind = 'outcome' and text like '%partial%'"
first=$(head -n 1 "$T/told/pids")
soon 10 "it is killed when its time is over" in_log 'stuck: hook of #[0-9]+: had not ended \(notify_timeout\) and was killed after [2-3]'
check "and gone" gone "$first"
run_again() { [ "$(wc -l <"$T/told/pids")" -ge 2 ]; }
soon 10 "the next one is run" run_again
within "$(status | jq '[.units[].ticks.late_max_us] | max')" 0 "$(slow 300000 3000000)" "nobody waited for it: the latest tick was not late"
is "$(status | jq '[.units[].ticks.skipped] | add')" 0 "no second skipped"
hook_runs() { alive "$(tail -n 1 "$T/told/pids")"; }
wait_for 5 hook_runs
weir_stop 0
nothing_left
replay_agrees
finish
