#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Where there is a journal: a unit's output is its own stream there, and each intervention an entry with its fields.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

[ -S /run/systemd/journal/socket ] && command -v journalctl >/dev/null || give_up "no journal on this host"
talker=talker$$
config <<END
[unit $talker]
exec = /bin/sh -c "echo hello to the journal; exec misbehave leak --rate 3 --limit 100M --for 300"
memory_max = 64M
END
weir_run
soon 60 "the leak is restarted" reaches $talker .restarts.recycle 1
check "weir stop succeeds" weir stop -c "$C"
weir_wait 30
journal() { journalctl --no-pager -q -o cat "$@"; }
heard() { journal -t "$talker" | grep -q 'hello to the journal'; }
soon 10 "the unit's output is in the journal under its own name" heard
told() { journal WEIR_UNIT="$talker" WEIR_ACTION=restart | grep -q "restart $talker"; }
soon 10 "the restart is an entry of its own" told
fields=$(journalctl --no-pager -q -o json WEIR_UNIT="$talker" WEIR_ACTION=throttle -n 1)
for field in MESSAGE_ID WEIR_SUPERVISOR WEIR_RULE WEIR_REASON WEIR_METRIC WEIR_OBSERVED WEIR_THRESHOLD WEIR_DECISION; do
    like "$(jq -r ".$field // empty" <<<"$fields")" '?*' "the throttle's entry has $field"
done
nothing_left
replay_agrees
finish
