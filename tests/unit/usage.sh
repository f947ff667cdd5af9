#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The command line's own manners: help, versions, wrong words, exit statuses. Usage: usage.sh WEIR
set -u
weir=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_RUNTIME_DIR=$work XDG_STATE_HOME=$work
passed=0 failed=0

# check NAME STATUS PATTERN WORDS...: runs weir with the words; its output must match the (extended) pattern
check() {
  local name=$1 status=$2 pattern=$3 out rc
  shift 3
  out=$("$weir" "$@" 2>&1)
  rc=$?
  if [ "$rc" -eq "$status" ] && grep -qE -- "$pattern" <<<"$out"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'not ok %s: status %s (wanted %s), output does not match %s:\n%s\n' "$name" "$rc" "$status" "$pattern" "$out"
  fi
}

check 'no words' 2 '^Usage: weir COMMAND'
check 'help' 0 '^  explain ' --help
check 'version' 0 '^weir [0-9]+\.[0-9]+' --version
for command in run check doctor status start stop restart freeze thaw hold pace release set reload history explain log replay; do
  check "help of $command" 0 "^Usage: weir $command" "$command" --help
  check "help $command" 0 "^Examples:" help "$command"
done
check 'unknown command' 2 "unknown command 'stauts'; did you mean 'status'" stauts
check 'unknown command, nothing near' 2 "unknown command 'xyzzy'; 'weir --help'" xyzzy
check 'unknown option' 2 "weir status: unknown option --foo" status --foo
check 'option of another command' 2 "unknown option --csv" status --csv
check 'value missing' 2 'a value is missing after -c' status -c
check 'two formats' 2 'give one of --json and --csv' history --json --csv
check 'two formats, the other way' 2 'give one of --json and --csv' replay --csv --json
check 'flag with value' 2 'takes no value' status --json=1
check 'number wanted' 2 'takes a number from 1 on, not x' history --limit x
check 'number from 1' 2 'takes a number from 1 on, not 0' history --limit 0
printf '[unit a]\nexec = /bin/true\nmemory_max = 1G\n[rule r]\nwhen = threads > 3\ndo = note\n' >"$work/good.ini"
printf '[unit a]\nexec = /bin/true\n[rule r]\nwhen = thraeds > 3\ndo = note\n' >"$work/bad.ini"
check 'check, good' 0 'good.ini: ok, 1 unit: a, 1 rule: r$' check "$work/good.ini"
check 'check, good, as JSON' 0 '"ok": true' check --json "$work/good.ini"
check 'check, bad' 1 "bad.ini:4:8: unknown metric 'thraeds'" check "$work/bad.ini"
check 'check, bad, as JSON' 1 '"column": 8' check --json "$work/bad.ini"
check 'check, bad, nothing to explain' 1 "unknown metric 'thraeds'" check --explain "$work/bad.ini"
check 'word missing' 2 'missing: UNIT' start
check 'word missing, hold' 2 'weir hold: missing: UNIT' hold
check 'word missing, pace' 2 'weir pace: missing: UNIT N|R/s' pace worker
check 'too many words, release' 2 'weir release: too many words: now' release worker now
for pace in 0 65536 4x 3/h 1.5 ''; do
  check "pace '$pace'" 2 "weir pace: '$pace' is no pace; say 4 .requests in flight., 5/s or 30/min, from 1 to 65535" pace worker "$pace"
done
check 'a good pace, nobody to ask' 3 nobody-here pace worker 30/min -n nobody-here
check 'hold, nobody to ask' 3 nobody-here hold worker -n nobody-here
check 'release, nobody to ask' 3 nobody-here release worker -n nobody-here
check 'history has gate' 0 'restarts\|pressure\|gate\|runs' history --help
check 'no history, of a gate' 3 nobody-here history gate -n nobody-here
check 'too many words' 2 'too many words: b' start a b
check 'keep with a unit' 2 '--keep is for the supervisor as a whole' stop --keep worker
check 'no config file' 1 'No such file' run "$work/none.ini"
check 'a folder as config' 1 'a folder, not a file' check "$work"
check 'sample config' 0 '^# *memory_max|^#? ?memory_max' check
check 'doctor' 0 '^layout ' doctor
check 'doctor json' 0 '"layout":' doctor --json
check 'no supervisor' 3 'nobody-here' status -n nobody-here
check 'no history' 3 'nobody-here' history -n nobody-here
check 'config and name' 2 'give one of them' status -c x.ini -n nobody-here
check 'manual: what a gate notes' 0 '^\*handshake-failed\*$' --print-scdoc
check 'manual: commands of a gate' 0 '^## weir pace UNIT N' --print-scdoc
check 'bash completion' 0 'complete .*weir' --print-completion bash
check 'zsh completion' 0 '#compdef weir' --print-completion zsh
for command in '' run status history explain set replay hold pace release; do
  wide=$("$weir" help $command | awk 'length > 80')
  if [ -z "$wide" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); printf 'not ok help wider than 80: %s\n' "$wide"; fi
done
check 'completion of another shell' 2 'bash and zsh' --print-completion fish

check 'doctor tells what follows' 0 'a unit that asks for it is refused, unless it has best_effort' doctor
# who may not make cgroups is not told that he can
if [ "$(id -u)" -eq 0 ] && setpriv --reuid 65534 --clear-groups test -x "$weir" 2>/dev/null; then
  out=$(setpriv --reuid 65534 --clear-groups "$weir" doctor 2>&1)
  if grep -q '^  yes   memory.max' <<<"$out" && ! grep -q 'systemd      yes' <<<"$out"; then
    failed=$((failed + 1)); printf 'not ok doctor as nobody:\n%s\n' "$out"
  else
    passed=$((passed + 1))
  fi
fi

printf '%s\n' '[unit a]' 'exec = /bin/true' >"$work/ok.ini"
check 'good config' 0 'ok, 1 unit: a' check "$work/ok.ini"
printf '%s\n' '[unit a]' 'exec = /bin/true' 'memory_mx = 4 gigs' >"$work/bad.ini"
check 'bad config' 1 "bad.ini:3: .*memory_mx" check "$work/bad.ini"
check 'bad config, hint' 1 "memory_max" check "$work/bad.ini"
mkfifo "$work/fifo.ini"
check 'a FIFO as config' 1 'a pipe, socket or device, not a file' check "$work/fifo.ini"
check 'a FIFO to run' 1 'a pipe, socket or device, not a file' run "$work/fifo.ini"
check 'run refuses it too' 1 "bad.ini:3: " run "$work/bad.ini"

# offers WORDS...: what bash completion has for the last of them
offers() {
  bash -c 'complete() { :; }; weir() { :; }; eval "$("$0" --print-completion bash)"; shift
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _weir; printf "%s\n" "${COMPREPLY[@]}"' "$weir" - "$@"
}
touch "$work/afile"
cd "$work" || exit 1
if [ "$(offers weir stop af)" ]; then failed=$((failed + 1)); echo 'not ok completion: a file for a unit'; else passed=$((passed + 1)); fi
for word in samples gate; do
  if [ "$(offers weir history "${word%?}")" = "$word" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "not ok completion: history $word"; fi
done
if [ "$(offers weir rele)" = release ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo 'not ok completion: release'; fi
for words in 'weir check af' 'weir status -c af'; do
  # shellcheck disable=SC2086  # words are split on purpose
  if [ "$(offers $words)" = afile ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "not ok completion: $words"; fi
done

if "$weir" --help >/dev/full 2>/dev/null; then
  failed=$((failed + 1)); echo 'not ok full output device: status 0'
else
  passed=$((passed + 1))
fi
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
