#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Cold page cache is taken back, in small pieces, before anybody is slowed down: the decisions, by how much memory.current
# fell after each, and a loop that never waits for the kernel's work. Only where there is a memory.reclaim (cgroup v2);
# elsewhere the ladder does without, and says so.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

# First the file, far below every level, then what it holds rises above the one where the ladder begins to look: while
# memory is taken back, nothing grows.
cold=$(mktemp -d /var/tmp/weir-live.XXXXXX) # a disk: pages of a tmpfs cannot be dropped
cleanup_cold() { rm -rf "$cold"; cleanup; }
trap cleanup_cold EXIT
cat >"$T/bin/reads" <<END
#!/bin/bash
head -c 25M /dev/zero >$cold/file
sync $cold/file
cat $cold/file >/dev/null
touch $T/has-read
exec misbehave step --size 60M --limit 60M --for 900
END
chmod 755 "$T/bin/reads"
config <<END
[unit reader]
exec = reads
memory_max = 96M
throttle_eta = 0s
restart_eta = 0s
[unit other]
exec = misbehave hang --for 900
memory_max = 96M
END
weir_run
soon 60 "the file is read" test -e "$T/has-read"
low=$((96 * 65 * (1 << 20) / 100 + (1 << 20))) # release_at and the smallest chunk: here a series ends
chunk="kind in ('reclaim', 'reclaim-more')"    # the first is the intervention, the others are its steps
current() { unit reader '.reading["memory.current"]'; }
reader=$(unit_number reader)
if ! unified; then
    sleep 2
    is "$(sql "select count(*) from decisions where $chunk")" 0 "without memory.reclaim nothing is asked of the kernel"
    says "$LOG" 'this host lacks: .*memory\.reclaim' "and that is said"
    skip "cold page cache is taken back" "no memory.reclaim on the hybrid layout"
    weir_stop 0
    nothing_left
    replay_agrees
    finish
fi

soon 30 "memory is taken back" sql_some "select count(*) from decisions where kind = 'reclaim' and unit = $reader"
below() { [ "$(current)" -lt "$low" ]; }
soon 30 "until memory.current is below release_at ($(($(current) >> 20)) MB)" below
outcomes="from events e join decisions d on d.run = e.run and e.text like '%decision=' || d.decision || ' %' where e.kind = 'outcome' and d.$chunk"
# Steps and outcomes are written once a second. A sample after the last outcome, below as well: all are on record.
soon 5 "every chunk has its outcome" sql_is "select (select count(*) $outcomes) = (select count(*) from decisions where $chunk)
    and exists (select 1 from samples where unit = $reader and memory_current < $low and t_us > (select max(e.t_us) $outcomes))" 1
note "$(sql "select group_concat(substr(e.text, instr(e.text, 'result='))) $outcomes")"
check "chunks were taken back in full" sql_some "select count(*) $outcomes and e.text like '%result=done%amount=%'"
is "$(sql "select count(*) $outcomes and (e.text like '%failed%' or e.text like '%unsupported%')")" 0 "none failed"
within "$(sql "select max(amount0) from decisions where $chunk")" $((1 << 20)) $((32 << 20)) "no chunk was large"
fell=$(sql "select sum(substr(e.text, instr(e.text, 'amount=') + 7)) $outcomes and e.text like '%amount=%'")
within "$fell" $((16 << 20)) $((60 << 20)) "all together memory.current fell by what was read ($((fell >> 20)) MB)"
is "$(unit reader '.restarts | .failure + .recycle')" 0 "the unit was not restarted"
weir explain last reclaim -c "$C" >"$T/out" 2>&1
is "$?" 0 "weir explain tells of it"
says "$T/out" 'take memory back from reader' "in words"
after="from samples where t_us > (select min(t_us) from decisions where kind = 'reclaim')"
within "$(sql "select max(late_us) $after")" 0 "$(slow 300000 1000000)" "the loop was never late by it"
is "$(sql "select sum(missed_ticks) $after")" 0 "no second skipped meanwhile"
is "$(unit other '.restarts | .failure + .recycle')" 0 "the other unit noticed nothing"
weir_stop 0
nothing_left
replay_agrees
finish
