#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A server that never becomes ready: its whole tree is gone within the stop time, weir ends with status 1, and prints the
# reason and the last lines of the server's output. The same with a tree of processes in sessions of their own that ignore
# SIGTERM.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

port=$(free_port)
plain_worker
limit=$(slow 1 8)
config <<END
$(server_unit "$port" --never-ready --doc-interval 20)
ready_timeout = ${limit}s
stop_timeout = $(slow 2 8)s
[unit worker]
wrap = uv
memory_max = 256M
END
begin=$(now_ms)
check "weir ends by itself" weir_run_to_end 20
took=$(($(now_ms) - begin))
is "$weir_status" 1 "with status 1"
within "$took" $((limit * 1000)) $((limit * 1000 + $(slow 3000 20000))) "within ready_timeout and stop_timeout ($took ms)"
says "$LOG" 'server.*not ready in time' "the reason is printed"
says "$LOG" 'last lines of its output' "the last lines of its output are printed"
says "$LOG" '\|  .*(IndexWorker|Python|DBEngine)' "with the server's own words"
says "$LOG" 'last readiness check: .*refused' "the last check's failure is printed"
says "$LOG" 'last reading: .*memory [0-9.]+[KM].*limit 256M' "usage and limit are printed"
nothing_left
grep -E 'not ready|last |\|  ' "$LOG" | head -n 8 | sed 's/^/# /'
replay_agrees

: >"$LOG"
cat >"$T/bin/stubborn" <<'END'
#!/bin/bash
trap '' TERM INT HUP
echo "stubborn $$"
for _ in 1 2 3; do
    setsid bash -c 'trap "" TERM INT HUP; setsid misbehave hang --all --for 300 & while :; do sleep 1; done' &
done
while :; do sleep 1; done
END
chmod 755 "$T/bin/stubborn"
limit=$(slow 1 5) stop=1
config <<END
[unit server]
exec = stubborn
ready = tcp:$port
ready_timeout = ${limit}s
stop_timeout = ${stop}s
END
begin=$(now_ms)
check "weir ends by itself, with a stubborn tree" weir_run_to_end 20
took=$(($(now_ms) - begin))
is "$weir_status" 1 "with status 1"
within "$took" $(((limit + stop) * 1000)) $(((limit + stop) * 1000 + $(slow 1500 15000))) "killed when stop_timeout was over ($took ms)"
says "$LOG" 'hanging, pid' "the tree was there"
nothing_left
replay_agrees
finish
