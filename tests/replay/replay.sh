#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# weir replay -c CONFIG of the two recorded logs: what is printed must be NAME.expected, twice the same bytes; then what
# is no input. Usage: replay.sh WEIR TRACES [--regenerate]: that rewrites the expected files, for review with git diff.
set -u
weir=$(realpath "$1")
traces=$(realpath "$2")
regenerate=${3:-}
cd "$(dirname "$0")" || exit 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

ok() { passed=$((passed + 1)); }
not_ok() { failed=$((failed + 1)); printf 'not ok %s\n' "$*"; }

# expect NAME WORDS...: the words of weir replay, run among the traces' names
expect() {
  local name=$1 here=$PWD
  shift
  (cd "$traces" && "$weir" replay "$@") >"$work/$name" 2>&1
  (cd "$traces" && "$weir" replay "$@") >"$work/$name.again" 2>&1
  # the config's path is the source tree's
  sed -i "s|$here/||g" "$work/$name" "$work/$name.again"
  if [ "$regenerate" = --regenerate ]; then cp "$work/$name" "$name.expected"; fi
  if diff -u "$name.expected" "$work/$name"; then ok; else
    not_ok "$name: review the difference; tests/replay/replay.sh WEIR data/traces --regenerate accepts it"
  fi
  if cmp -s "$work/$name" "$work/$name.again"; then ok; else not_ok "$name: not the same bytes twice"; fi
}

# refuse STATUS PATTERN WORDS...
refuse() {
  local status=$1 pattern=$2 out rc
  shift 2
  out=$("$weir" replay "$@" 2>&1)
  rc=$?
  if [ "$rc" -eq "$status" ] && grep -qE -- "$pattern" <<<"$out"; then ok; else
    not_ok "replay $*: status $rc (wanted $status), no $pattern in: $out"
  fi
}

fresh=record1-fresh-start.log
running=record2-detailed.log
expect fresh "$fresh" -c "$PWD/demo.ini"
expect running "$running" -c "$PWD/demo.ini"
expect rule "$fresh" -c "$PWD/rule.ini"
expect json "$fresh" -c "$PWD/rule.ini" --json
expect sweep "$fresh" -c "$PWD/demo.ini" --sweep memory_max=2G,4G,6G,8G,10G
expect combinations "$fresh" -c "$PWD/demo.ini" --sweep worker.memory_max=4G,8G --sweep restart_at=80%,90% --csv

python3 -m json.tool <"$work/json" >/dev/null && ok || not_ok "the JSON is none"

log=$traces/$fresh
mkdir "$work/folder"
: >"$work/empty.log"
printf 'Monitoring PID 1 for 3s (1s interval)\nTime(s), RSS(MB), VSZ(MB), Threads\n' >"$work/header.log"
printf '0, 1.00, 2.00, 3\n1, 1.00, x, 3\n' >"$work/broken.log"
printf '0, 1.00, 2.00, 3\n0, 1.00, 2.00, 3\n' >"$work/again.log"
printf '0, 1.00, 2.00, 3\n1, 1.0\0000, 2.00, 3\n' >"$work/nul.log"
printf '0, 1.00, 2.00, 3' >"$work/one.log"
printf '[unit a]\nexec = /bin/a\n[unit b]\nexec = /bin/b\n' >"$work/two.ini"
mkfifo "$work/fifo.log"
refuse 2 "no file '$work/none.log', and it is no run" "$work/none.log" -c demo.ini
refuse 1 'is a folder, not a monitor log' "$work/folder" -c demo.ini
refuse 1 'empty.log has no readings' "$work/empty.log" -c demo.ini
refuse 1 'header.log has no readings' "$work/header.log" -c demo.ini
refuse 1 'broken.log:2 is no line of a monitor log .VSZ.MB. is not a number: x.; wanted' "$work/broken.log" -c demo.ini
printf '\357\273\2770, 1.00, 2.00, 3\n' >"$work/bom.log"
printf '\377\3760\0,\0\n' >"$work/utf16.log"
printf '0, 1.00, 2.00\n' >"$work/short.log"
printf '0, -1.00, 2.00, 3\n' >"$work/negative.log"
refuse 1 'bom.log:1 .*begins with a byte order mark' "$work/bom.log" -c demo.ini
refuse 1 'utf16.log:1 .*it is UTF-16' "$work/utf16.log" -c demo.ini
refuse 1 'short.log:1 .*it has no Threads' "$work/short.log" -c demo.ini
refuse 1 'negative.log:1 .*RSS.MB. is negative: -1.00' "$work/negative.log" -c demo.ini
seq -f '%.0f, 1.00, 2.00, 3' 0 4000000 >"$work/long.log"
refuse 1 'long.log:4000001: a trace has at most 4000000 readings' "$work/long.log" -c demo.ini
rm -f "$work/long.log"
refuse 1 'again.log:2: the time does not rise' "$work/again.log" -c demo.ini
refuse 1 'nul.log:2 is no line' "$work/nul.log" -c demo.ini
refuse 1 ':1 is no line of a monitor log' "$weir" -c demo.ini
refuse 0 '1 readings over 0.000s' "$work/one.log" -c demo.ini
refuse 2 "demo.ini has no unit 'x'; it has server, worker" "$log" -c demo.ini -u x
refuse 2 'which unit is .* a trace of\? Say it with -u: a, b' "$log" -c "$work/two.ini"
refuse 1 'none.ini.*No such file' "$log" -c "$work/none.ini"
refuse 2 'a trace has no policy on record; say with -c CONFIG' "$log"
refuse 2 'are for another policy than the recorded one: -c CONFIG' --sweep restart_at=80%
refuse 2 "unknown key 'restrt_at'; did you mean 'restart_at'" "$log" -c demo.ini --sweep restrt_at=80%
refuse 2 'restart_at = 80 percent: ' "$log" -c demo.ini --sweep 'restart_at=85%,80 percent'
refuse 2 'throttle_at .* must be below restart_at' "$log" -c demo.ini --sweep restart_at=70%
# what is swept together may only be right together, in whichever order it is written
refuse 0 '^92% +94% ' "$log" -c demo.ini --sweep throttle_at=90%,92% --sweep restart_at=93%,94%
refuse 2 'restart_at .* must be below critical_at' "$log" -c demo.ini --sweep throttle_at=90% --sweep restart_at=99%
refuse 2 "is not KEY=A,B" "$log" -c demo.ini --sweep restart_at
refuse 2 'has no values' "$log" -c demo.ini --sweep restart_at=
refuse 2 'memory_max: the value 3G is given twice' "$log" -c demo.ini --sweep memory_max=3G,4G,3G
refuse 2 'memory_max has an empty value' "$log" -c demo.ini --sweep memory_max=3G,,4G
refuse 2 'memory_max has an empty value' "$log" -c demo.ini --sweep memory_max=3G,
refuse 2 '-n names a supervisor, and .* is a trace' "$log" -c demo.ini -n demo
refuse 2 "nobody.restart_at: demo.ini has no unit 'nobody'" "$log" -c demo.ini --sweep nobody.restart_at=90%
refuse 2 'which unit is .* a trace of' "$log" -c "$work/two.ini" --sweep restart_at=80%
refuse 2 'the trace is judged as unit worker; say -u server' "$log" -c demo.ini --sweep server.memory_max=1G,2G
refuse 2 'memory_max: given twice; write all values behind one memory_max=' "$log" -c demo.ini \
  --sweep memory_max=3G,4G --sweep memory_max=5G
refuse 2 'these are 100 combinations; at most 64' "$log" -c demo.ini \
  --sweep "memory_max=1G,2G,3G,4G,5G,6G,7G,8G,9G,10G" --sweep stop_timeout=1,2,3,4,5,6,7,8,9,10

refuse 0 'every row is the same: pids_max is nothing that weir judges by' "$log" -c demo.ini --sweep pids_max=10,20
printf '[unit a]\nexec = /bin/a\nmemory_max = 50%%\n' >"$work/share.ini"
refuse 0 "limits that are shares are of this machine's [0-9.]+[GMT]" "$log" -c "$work/share.ini"

# a trace that comes through a pipe is refused, not waited for
if timeout 10 "$weir" replay "$work/fifo.log" -c demo.ini 2>&1 | grep -q 'a pipe, socket or device'; then ok; else
  not_ok 'a FIFO is waited for'
fi
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
