#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# gate_overlap: the next worker is made ready in a cgroup of its own while the present one answers; then they change places.
# A model takes 1.5 s to load here, and no caller waits for it. What is prepared may die, and weir may, and nothing is left.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

load_ms=$(slow 1500 12000)
port=$(free_port)
plain_worker
export WEIR_DEMO_MODEL_BYTES=16M WEIR_DEMO_LOAD_TIME_MS=$load_ms WEIR_DEMO_WORK_MS=5
config <<END
$(job_server "$port" 5000 --loop --doc-interval 20)
$(gated_worker)
gate_overlap = yes
memory_max = 256M
pids_max = 99
ready_timeout = 60s
END
weir_run
soon 60 "server and worker get ready" unit_ready worker
soon 10 "it answers" rpc_answers "$port" getStats
first=$(pid_of worker)
like "$(cgroup_of "$first" memory)" "*/weir-$NAME*/worker" "the first worker has the unit's own cgroup"

# The unit has two cgroup names, and uses them in turn.
other_of() { if [[ $(cgroup_of "$1" memory) == *~ ]]; then echo worker; else echo worker~; fi; }
folder() { find /sys/fs/cgroup -type d -path "*/weir-$NAME*/$1" 2>/dev/null | head -n 1; }
prepared() { [ -n "$(folder "$other")" ] && [ -n "$(cat "$(folder "$other")/cgroup.procs" 2>/dev/null)" ]; }
no_other() { [ -z "$(folder "$other")" ]; }
another() { unit_ready worker && [ "$(pid_of worker)" != "$first" ]; }
# asks for a restart and waits until the next one is being made ready
restart_begin() { # NAME
    first=$(pid_of worker) other=$(other_of "$(pid_of worker)")
    weir restart worker -c "$C" >"$T/out" 2>&1 &
    restart_pid=$!
    background+=("$restart_pid")
    soon 5 "$1" prepared
}

search_begin "$T/search" "$port" --interval 20
sleep 0.5
restart_begin "the next worker has a cgroup beside the present one"
is "$(unit worker '"\(.state) \(.pid)"')" "draining $first" "which goes on"
is "$(sql "select count(*) from decisions where kind = 'drain'")" 0 "and nobody waits yet"
wait "$restart_pid"
is "$?" 0 "weir restart succeeds"
check "they have changed places" another
second=$(pid_of worker)
like "$(cgroup_of "$second" memory)" "*/weir-$NAME*/worker~" "the second worker stays where it was made ready"
is "$(limit_of "$second" memory) $(limit_of "$second" pids)" "$((256 << 20)) 99" "its limits are there"
check "the first one's cgroup is gone" [ -z "$(folder worker)" ]
sleep 0.5
search_end
searched "$T/search" "a search each 20 ms"
within "$(jq '.max_ms | floor' "$T/search")" 0 $((load_ms * 2 / 3)) "and none waited for the model"
is "$(job_value "$port" .worker.errors)" 0 "the server saw no error"
restart_begin "once more"
wait "$restart_pid"
like "$(cgroup_of "$(pid_of worker)" memory)" "*/weir-$NAME*/worker" "back under the unit's own name"

restart_begin "one is prepared"
next=$(head -n 1 "$(folder "$other")/cgroup.procs")
kill -KILL "$next"
soon 60 "it dies: the restart goes on without it" another
says "$LOG" "the next process \(pid $next\) ended before it was used: signal 9" "and that is said"
wait "$restart_pid"

restart_begin "one is prepared"
weir_kill
weir_run
soon 10 "weir is killed: what was prepared is gone" no_other
is "$(pid_of worker)" "$first" "the worker is the same"
soon 10 "and answers" rpc_answers "$port" getStats
wait "$restart_pid"

restart_begin "one is prepared"
weir stop worker -c "$C" >"$T/out" 2>&1
soon 30 "weir stop worker ends it" state_is worker stopped
soon 5 "and what was prepared" no_other
wait "$restart_pid"
weir_stop 0
nothing_left
replay_agrees
finish
