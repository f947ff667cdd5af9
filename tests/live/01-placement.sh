#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A server and the worker it starts as `uv`: each in its own cgroup with its own limits, the worker untouched otherwise:
# same parent, same uid, same pipes, and its exit status and signal are what its server sees.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

port=$(free_port)
plain_worker
config <<END
$(server_unit "$port" --doc-interval 20)
pids_max = 128
cpu_max = 150%
[unit worker]
wrap = uv
memory_max = 200M
pids_max = 64
END
weir_run
soon 20 "server gets ready" unit_ready server
soon 20 "worker gets ready" unit_ready worker
server=$(pid_of server) worker=$(pid_of worker)
for u in server worker; do
    pid=$(pid_of $u)
    sed "s/^/# $u $pid /" "/proc/$pid/cgroup" | grep -E ':memory:|:pids:| 0::'
done
for controller in memory pids ""; do
    like "$(cgroup_of "$server" "$controller")" "*/weir-$NAME*/server" "server's ${controller:-cgroup2} cgroup"
    like "$(cgroup_of "$worker" "$controller")" "*/weir-$NAME*/worker" "worker's ${controller:-cgroup2} cgroup"
done
is "$(limit_of "$server" memory)" $((256 << 20)) "server's memory limit, read back from the kernel"
is "$(limit_of "$worker" memory)" $((200 << 20)) "worker's memory limit, read back from the kernel"
is "$(limit_of "$server" pids)" 128 "server's pids limit, read back"
is "$(limit_of "$worker" pids)" 64 "worker's pids limit, read back"
is "$(limit_of "$server" cpu)" 150000 "server's cpu quota, read back"
is "$(unit worker .memory_max)" $((200 << 20)) "status tells the worker's limit"

is "$(status_of "$worker" PPid)" "$server" "the worker's parent is the server"
is "$(status_of "$worker" Uid)" "$(status_of "$server" Uid)" "the worker's uid is the server's"
is "$(awk '{ print $6 }' "/proc/$worker/stat")" "$(awk '{ print $6 }' "/proc/$server/stat")" "the worker's session is the server's"
links() { find "/proc/$1/fd" -mindepth 1 -printf '%l\n'; }
for fd in 0 1 2; do
    pipe=$(readlink "/proc/$worker/fd/$fd")
    if [[ $pipe == pipe:* ]] && links "$server" | grep -qxF "$pipe"; then ok "the worker's fd $fd is the server's own pipe"
    else not_ok "the worker's fd $fd is the server's own pipe" "it is $pipe"; fi
done
is "$(readlink "/proc/$worker/exe")" "$(readlink -f "$WORKLOADS/docs-worker")" "the process is the command itself, nothing in between"
for pid in "$server" "$worker"; do
    is "$(links "$pid" | grep -cE '/sys/fs/cgroup|history\.db|/run/.*sock|eventpoll|pidfd.*weir')" 0 "no fd of weir's leaked into $(cat "/proc/$pid/comm")"
done
soon 10 "the worker answers through the server" search_answers "$port"

# the true end, as the server sees it
server_log=$T/state/log/server.log
kill -SEGV "$worker"
soon 10 "the server sees signal SEGV" in_file "$server_log" 'worker exited with code .*signal (SIGSEGV|11)'
new_worker() { local p; p=$(pid_of worker); [ "$p" -gt 0 ] 2>/dev/null && [ "$p" != "$worker" ] && alive "$p"; }
soon 20 "and starts it anew, in the worker's cgroup" new_worker
worker=$(pid_of worker)
like "$(cgroup_of "$worker" memory)" "*/weir-$NAME*/worker" "the new worker is in the worker's cgroup"
is "$(status_of "$worker" PPid)" "$server" "and a child of the server"
# an exit code: the worker ends with 3
worker_is 'exec misbehave exit 3'
kill -KILL "$worker"
soon 10 "the server sees signal KILL" in_file "$server_log" 'worker exited with code .*signal (SIGKILL|9)'
soon 20 "the server sees exit code 3" in_file "$server_log" 'worker exited with code 3'
note "server's words: $(grep -E 'worker exited' "$server_log" | sed 's/.*Python worker/Python worker/' | sort | uniq -c | tr '\n' ';')"
plain_worker
weir_stop 0
nothing_left
replay_agrees
finish
