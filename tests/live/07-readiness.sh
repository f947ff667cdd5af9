#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each kind of readiness check: not ready before, ready when it is, and only by the unit itself.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

tcp=$(free_port) http=$(free_port)
delay=$(slow 700 3000)
seconds=$(slow 0.7 3)
config <<END
[unit tcp]
exec = docs-server --port $tcp --data-dir $T/a --ready-after $delay
ready = tcp:127.0.0.1:$tcp
[unit http]
exec = docs-server --port $http --data-dir $T/b --ready-after $delay
ready = http://127.0.0.1:$http/health
[unit exec]
exec = bash -c "sleep $seconds; touch $T/flag; exec sleep 1000"
ready = exec:/usr/bin/test -e $T/flag
[unit notify]
exec = misbehave notify --after $delay --status "half way" --for 600
ready = notify
[unit log]
exec = bash -c "echo starting; sleep $seconds; echo listening on 80; exec sleep 1000"
ready = log:^listening on [0-9]+$
[unit silent]
exec = misbehave notify --never --for 600
ready = notify
[unit none]
exec = sleep 1000
END
plain_worker
weir_run
is "$(unit none .state)" ready "a unit without a check is ready once started"
for u in tcp http exec notify log; do
    soon 20 "$u gets ready" unit_ready $u
done
is "$(unit notify .status_text)" "half way" "status tells the unit's own STATUS="
NOTIFY_SOCKET=$RUN/silent.notify timeout 1 misbehave notify >/dev/null 2>&1
sleep 0.3
is "$(unit silent .state)" starting "READY=1 from a process outside the unit does not count"
recorded
for u in tcp http exec notify log; do
    n=$(unit_number $u)
    # from the decision on: the event 'spawned' comes once all are started, on a busy host a second after the first process
    took=$(sql "select (max(t_us) - (select t_us from decisions where kind='start' and unit=$n)) / 1000 from events where kind='ready' and unit=$n")
    within "${took:-none}" $((delay - $(slow 250 500))) $((delay * 2 + $(slow 800 8000))) "$u was ready when it was ready, not before ($took ms)"
done
is "$(sql "select count(*) from events where kind='exited'")" 0 "nothing ended"
weir_stop 0
nothing_left
replay_agrees
finish
