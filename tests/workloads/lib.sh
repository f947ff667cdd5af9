# What the workload tests share. Sourced; not a program.
#
# Lines are `ok N - what` / `not ok N - what`, the last one `N passed, N failed, N skipped`. Only processes that a test
# started are ever signalled: start() notes them, and the rest are told by the programs under test themselves.
#
# SPDX-License-Identifier: MIT
set -u
passed=0 failed=0 skipped=0
started=()
scratch=$(mktemp -d) || exit 1

cleanup() {
    local pid
    for pid in ${started[@]+"${started[@]}"}; do
        kill -CONT "$pid" 2>/dev/null
        kill -KILL "$pid" 2>/dev/null
    done
    wait 2>/dev/null
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

ok() { passed=$((passed + 1)); echo "ok $((passed + failed + skipped)) - $1"; }
not_ok() {
    failed=$((failed + 1)); echo "not ok $((passed + failed + skipped)) - $1"
    [ $# -lt 2 ] || printf '%s\n' "$2" | sed 's/^/# /'
}
skip() { skipped=$((skipped + 1)); echo "ok $((passed + failed + skipped)) - $1 # SKIP $2"; }

# check WHAT COMMAND...: ok when the command succeeds.
check() {
    local what=$1
    shift
    if "$@"; then ok "$what"; else not_ok "$what" "failed: $*"; fi
}

# is GOT WANTED WHAT
is() { if [ "$1" = "$2" ]; then ok "$3"; else not_ok "$3" "got:    $1
wanted: $2"; fi; }

# like GOT GLOB WHAT
like() { if [[ $1 == $2 ]]; then ok "$3"; else not_ok "$3" "got:    $1
wanted: $2"; fi; }

# near GOT WANTED TOLERANCE WHAT: decimal numbers.
near() {
    if awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { d = a - b; exit !(a != "" && d <= t && -d <= t) }'; then ok "$4"
    else not_ok "$4" "got $1, wanted $2 within $3"; fi
}

# within GOT LOW HIGH WHAT
within() {
    if awk -v a="$1" -v l="$2" -v h="$3" 'BEGIN { exit !(a != "" && a >= l && a <= h) }'; then ok "$4"
    else not_ok "$4" "got $1, wanted $2 to $3"; fi
}

# start OUTPUT COMMAND...: in the background; its pid is in $pid.
start() {
    local output=$1
    shift
    "$@" >"$output" 2>"$output.err" </dev/null &
    pid=$!
    started+=("$pid")
}

# until SECONDS COMMAND...: tries the command each 20 ms until it succeeds.
until_true() {
    local left=$(($1 * 50))
    shift
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.02
    done
}

gone() { [ ! -e "/proc/$1" ]; }
# status_of PID KEY: a number from /proc/PID/status (kB for memory).
status_of() { awk -v key="$2:" '$1 == key { print $2 }' "/proc/$1/status" 2>/dev/null; }
rss_mb() { awk '$1 == "VmRSS:" { printf "%.2f", $2 / 1024 }' "/proc/$1/status" 2>/dev/null; }

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ] && exit 0
    exit 1
}
