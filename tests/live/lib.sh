# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the live tests share. Sourced; not a program.
#
# A story runs the real weir with real workloads on this host's real cgroups. It prints `ok NAME` or
# `not ok NAME: reason` a check, and last of all `N passed, N failed, N skipped`; before that what failed, once more, as
# `# failed: NAME: reason`, for a log of which only the end is seen. Exit status: 0, 1 when a check failed, 77 when the
# host cannot run it at all.
#
# Each story has a temp folder of its own ($T) with state_dir and run_dir in it, a supervisor name of its own ($NAME,
# live-STORY-PID, so that its cgroup is weir-live-...), and ports of its own on 127.0.0.1. Every process that comes of it
# carries WEIR_LIVE=$NAME in its environment: so the end of a story can tell whether anything is left. Only what the story
# started is ever signalled.
#
# Environment: WEIR (the binary), WORKLOADS (folder of the example programs), SRC (the source tree).
# WEIR_LIVE_SLOW=1: time limits for a host whose CPU is 10-20 times slower (the emulated guest).
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SRC=${SRC:-$(cd "$here/../.." && pwd)}
WEIR=${WEIR:-$SRC/build/src/cli/weir}
WORKLOADS=${WORKLOADS:-$SRC/build/examples/workloads}
SLOW=${WEIR_LIVE_SLOW:-0}
passed=0 failed=0 skipped=0
failures=() # of every failed check its line: told again at the end
story=$(basename "$0" .sh)

ok() { passed=$((passed + 1)); echo "ok $1"; }
not_ok() { failed=$((failed + 1)); failures+=("$1: ${2:-}"); echo "not ok $1: ${2:-}"; }
skip() { skipped=$((skipped + 1)); echo "skip $1: $2"; }
note() { echo "# $*"; }

give_up() { # REASON: the host cannot run these tests
    echo "skip $story: $1"
    echo "0 passed, 0 failed, 1 skipped"
    exit 77
}

has_cgroup2() { grep -qE '^[^ ]+ [^ ]+ cgroup2 ' /proc/mounts; }

[ "$(id -u)" -eq 0 ] || give_up "not root"
has_cgroup2 || give_up "no cgroup2 mount"
[ -x "$WEIR" ] || give_up "no weir binary at $WEIR"
[ -x "$WORKLOADS/misbehave" ] || give_up "no workloads in $WORKLOADS"

number=${story%%-*}
NAME=live-$number-$$
T=$(mktemp -d "${TMPDIR:-/tmp}/weir-live.XXXXXX") || exit 1
chmod 755 "$T" # units of other users reach their FIFOs and sockets in it
mkdir "$T/bin"
export WEIR_LIVE=$NAME
export PATH=$T/bin:$WORKLOADS:$PATH
C=$T/$NAME.ini
DB=$T/state/history.db
RUN=$T/run
LOG=$T/weir.log
WPID=
names=("$NAME") # of every supervisor of this story
background=()   # pids of helpers

# ---------------------------------------------------------------- time

# slow FAST SLOW: the figure for this host
slow() { if [ "$SLOW" = 1 ]; then echo "$2"; else echo "$1"; fi; }
now_ms() { local t=${EPOCHREALTIME/[.,]/}; echo $((t / 1000)); }

# wait_for SECONDS COMMAND...: tries until it succeeds; in the slow guest up to 4 times as long.
wait_for() {
    local until=$(($(now_ms) + $1 * 1000 * $(slow 1 4)))
    shift
    until "$@"; do
        [ "$(now_ms)" -lt "$until" ] || return 1
        sleep 0.05
    done
}

# ---------------------------------------------------------------- checks

# is GOT WANTED NAME
is() { if [ "$1" = "$2" ]; then ok "$3"; else not_ok "$3" "got '$1', wanted '$2'"; fi; }
# like GOT GLOB NAME
# shellcheck disable=SC2053
like() { if [[ $1 == $2 ]]; then ok "$3"; else not_ok "$3" "got '$1', wanted '$2'"; fi; }
# within GOT LOW HIGH NAME: whole numbers
within() {
    if [[ $1 =~ ^-?[0-9]+$ ]] && [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]; then ok "$4"
    else not_ok "$4" "got '$1', wanted $2 to $3"; fi
}
# check NAME COMMAND...
check() {
    local what=$1
    shift
    if "$@"; then ok "$what"; else not_ok "$what" "failed: $*"; fi
}
# soon SECONDS NAME COMMAND...: it comes true in time
soon() {
    local limit=$1 what=$2
    shift 2
    if wait_for "$limit" "$@"; then ok "$what"; else not_ok "$what" "not within $limit s: $*"; fi
}
# says FILE PATTERN NAME: a line matches the extended regular expression
says() {
    if grep -qE -- "$2" "$1"; then ok "$3"; else not_ok "$3" "no line of ${1##*/} matches '$2'; it ends: $(tail -n 2 "$1" | tr '\n' '|')"; fi
}
says_not() { # FILE PATTERN NAME
    if grep -qE -- "$2" "$1"; then not_ok "$3" "$(grep -E -m 1 -- "$2" "$1")"; else ok "$3"; fi
}
in_log() { grep -qE -- "$1" "$LOG"; }
in_file() { grep -qE -- "$2" "$1" 2>/dev/null; }
gone() { [ ! -e "/proc/$1" ]; }
alive() { [ -e "/proc/$1" ] && [ "$(awk '/^State:/ { print $2 }' "/proc/$1/status" 2>/dev/null)" != Z ]; }
status_of() { awk -v key="$2:" '$1 == key { print $2 }' "/proc/$1/status" 2>/dev/null; }
# comm may hold blanks: count from behind it. start_of PID: its start time in ticks.
start_of() { local s; s=$(cat "/proc/$1/stat" 2>/dev/null) && s=${s##*) } && awk '{ print $20 }' <<<"$s"; }

# ---------------------------------------------------------------- ports

# A port nobody listens on, below the range the kernel hands out itself.
free_port() {
    local port hex
    for _ in {1..50}; do
        port=$((20000 + RANDOM % 10000))
        printf -v hex ':%04X 0' "$port"
        if ! cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q "$hex"; then
            echo "$port"
            return
        fi
    done
}

# http PORT PATH: the status code, in bash alone (starting curl is what a slow host cannot do ten times a second)
http() {
    local line=
    { exec 9<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
    printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&9
    IFS= read -r -t 5 line <&9
    exec 9>&-
    line=${line#* }
    echo "${line%% *}"
}
healthy() { [ "$(http "$1" /health)" = 200 ]; }

# Asks the server's /health all the time, in the background, until health_end.
health_begin() { # PORT
    : >"$T/health"
    touch "$T/health-on"
    (
        while [ -e "$T/health-on" ]; do
            if healthy "$1"; then echo ok; else echo failed; fi
            sleep 0.1
        done >>"$T/health"
    ) &
    health_pid=$!
    background+=("$health_pid")
}
health_end() { # NAME
    rm -f "$T/health-on"
    wait "$health_pid" 2>/dev/null
    local good bad
    good=$(grep -c '^ok' "$T/health") bad=$(grep -c '^failed' "$T/health")
    note "$1: $good of $((good + bad)) answered"
    if [ "$good" -gt 0 ] && [ "$bad" -eq 0 ]; then ok "$1"; else not_ok "$1" "$bad of $((good + bad)) not answered"; fi
}

# ---------------------------------------------------------------- weir

# config <<EOF: the config's units; the supervisor's section is put before them. $2...: further supervisor lines.
config() {
    {
        printf '[supervisor]\nname = %s\nstate_dir = %s\nrun_dir = %s\n' "$NAME" "$T/state" "$RUN"
        printf '%s\n' "$@"
        cat
    } >"$C"
}

weir() { "$WEIR" "$@"; }
weir_up() { weir status -c "$C" --json >/dev/null 2>&1; }

# Starts weir in the background and returns when it answers, or has ended.
weir_run() {
    printf -- '--- weir run\n' >>"$LOG"
    "$WEIR" run "$C" >>"$LOG" 2>&1 &
    WPID=$!
    up_or_over() { ! alive "$WPID" || weir_up; }
    wait_for 15 up_or_over
    alive "$WPID"
}

# weir_wait SECONDS: waits for weir's own end; its exit status in $weir_status
weir_wait() {
    weir_status= # read by the stories
    wait_for "$1" not_alive "$WPID" || return 1
    wait "$WPID"
    weir_status=$?
    WPID=
}
not_alive() { ! alive "$1"; }

# For a config whose weir ends by itself: its exit status in $weir_status, "" when it did not end in time.
weir_run_to_end() { # SECONDS
    printf -- '--- weir run\n' >>"$LOG"
    "$WEIR" run "$C" >>"$LOG" 2>&1 &
    WPID=$!
    weir_wait "$1"
}

weir_stop() { # [WANTED EXIT STATUS]
    weir stop -c "$C" >"$T/stop.out" 2>&1
    is "$?" 0 "weir stop succeeds"
    if weir_wait 30; then is "$weir_status" "${1:-0}" "weir ends with status ${1:-0}"; else not_ok "weir ends" "still there"; fi
}

weir_kill() {
    kill -KILL "$WPID"
    wait "$WPID" 2>/dev/null
    WPID=
}

status() { weir status -c "$C" --json 2>/dev/null; }
# unit NAME JQ: a value of the unit's status
unit() { status | jq -r ".units[] | select(.name == \"$1\") | $2"; }
pid_of() { unit "$1" .pid; }
state_is() { [ "$(unit "$1" .state)" = "$2" ]; }
unit_ready() { state_is "$1" ready; }
reaches() { [ "$(unit "$1" "$2")" -ge "$3" ] 2>/dev/null; }
sql() { sqlite3 -cmd '.timeout 3000' -readonly "$DB" "$1" 2>&1; }
sql_is() { [ "$(sql "$1")" = "$2" ]; }
sql_some() { [ "$(sql "$1")" -ge 1 ] 2>/dev/null; }
# Interventions are written as they are made, all else once a second. For a check of what must be in the history already:
# waits until all that happened up to now is.
recorded() {
    local up
    up=$(status | jq .uptime_us)
    wait_for 10 sql_is "select last_t_us > start_t_us + $up from runs order by id desc limit 1" 1 ||
        not_ok "what happened is on record" "not within 10 s"
}
# unit numbers of the last run
unit_number() { sql "select unit from units where run = (select max(run) from units) and name = '$1'"; }

# ---------------------------------------------------------------- the kernel's side

unified() { ! grep -qE '^[0-9]+:[^:]*memory' /proc/self/cgroup; }
# cgroup_of PID CONTROLLER: its cgroup's folder in that controller's hierarchy ("" = cgroup2)
cgroup_of() {
    local path mount
    if unified || [ -z "$2" ]; then
        path=$(sed -n 's/^0:://p' "/proc/$1/cgroup")
        mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
    else
        path=$(sed -nE "s/^[0-9]+:([^:]*,)?$2(,[^:]*)?:(.*)/\3/p" "/proc/$1/cgroup")
        mount=$(awk -v c="$2" '$3 == "cgroup" && ("," $4 ",") ~ ("," c ",") { print $2; exit }' /proc/mounts)
    fi
    echo "$mount$path"
}
limit_of() { # PID memory|pids|cpu
    case $2 in
    memory) cat "$(cgroup_of "$1" memory)/$(unified && echo memory.max || echo memory.limit_in_bytes)" ;;
    pids) cat "$(cgroup_of "$1" pids)/pids.max" ;;
    cpu) if unified; then cut -d' ' -f1 "$(cgroup_of "$1" cpu)/cpu.max"; else cat "$(cgroup_of "$1" cpu)/cpu.cfs_quota_us"; fi ;;
    esac
}

# ---------------------------------------------------------------- what is left

cgroups_left() { for n in "${names[@]}"; do find /sys/fs/cgroup -depth -type d -path "*/weir-$n*" 2>/dev/null; done; }
processes_left() (
    unset WEIR_LIVE # nor what this itself starts
    for f in $(grep -lsxzE "WEIR_LIVE=$NAME" /proc/[0-9]*/environ); do
        pid=${f#/proc/}
        pid=${pid%/environ}
        [ "$pid" = $$ ] || alive "$pid" && echo "$pid $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
    done
)
files_left() { find "$RUN"* ! -type d 2>/dev/null; find "$RUN"* -maxdepth 0 -type d 2>/dev/null; }
none_of() { [ -z "$("$1")" ]; }
nothing_left() {
    local what left
    for what in processes cgroups files; do
        # PID 1 may reap an orphan late
        if wait_for 3 none_of "${what}_left"; then ok "no ${what} left"
        else left=$("${what}_left"); not_ok "no ${what} left" "${left//$'\n'/;}"; fi
    done
}

# Every run of this story, fed to the engine again, gives the decisions it gave.
replay_agrees() {
    local run out status
    if [ "${WEIR_LIVE_NO_REPLAY:-0}" = 1 ]; then
        skip "recorded runs replay to the same decisions" "asked for"
        return
    fi
    # a weir killed before its first commit has left the bare line of its run: nothing to feed
    for run in $(sql 'select id from runs r where exists (select 1 from events e where e.run = r.id)
        or exists (select 1 from decisions d where d.run = r.id) order by id'); do
        out=$(weir replay "$run" -c "$C" --recorded 2>&1)
        status=$?
        if [ "$status" -ne 0 ]; then
            not_ok "recorded runs replay to the same decisions" "run $run: status $status: $(tail -n 4 <<<"$out" | tr '\n' '|')"
            return
        fi
    done
    if [ -z "$run" ]; then not_ok "recorded runs replay to the same decisions" "no run on record"; return; fi
    ok "recorded runs replay to the same decisions"
}

# The last run judged by its own config, as if that were another policy: it never leaves the record.
own_policy_agrees() {
    local told
    told=$(weir replay last -c "$C" --json 2>&1 |
      jq -r '[.units[].counterfactual_because | values] | first // "all of it is fact"' 2>&1)
    is "$told" "all of it is fact" "its own config decides the same, told as another policy"
}

cleanup() {
    local pid dir
    rm -f "$T/health-on"
    for pid in ${WPID:+"$WPID"} ${background[@]+"${background[@]}"}; do
        kill -CONT "$pid" 2>/dev/null
        kill -KILL "$pid" 2>/dev/null
    done
    # whatever lives in the cgroups of this story's own weir was started by it
    for dir in $(cgroups_left); do
        [ -e "$dir/cgroup.kill" ] && echo 1 >"$dir/cgroup.kill" 2>/dev/null
    done
    for pid in $(processes_left | cut -d' ' -f1); do kill -KILL "$pid" 2>/dev/null; done
    if [ -n "$(cgroups_left)" ]; then
        sleep 0.3
        cgroups_left | while read -r dir; do rmdir "$dir" 2>/dev/null; done
    fi
    wait 2>/dev/null
    if [ "$failed" -gt 0 ] && [ -n "${RESULTS:-}" ]; then
        mkdir -p "$RESULTS/$story" && cp -r "$LOG" "$C" "$T/state" "$RESULTS/$story/" 2>/dev/null
    fi
    if [ "${WEIR_LIVE_KEEP:-0}" = 1 ]; then note "kept: $T"; else rm -rf "$T"; fi
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

finish() {
    if [ "$failed" -gt 0 ]; then
        note "weir's log ends:"
        tail -n "${WEIR_LIVE_LOG_LINES:-25}" "$LOG" 2>/dev/null | sed 's/^/#   /'
        printf '# failed: %s\n' "${failures[@]}"
    fi
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
    exit
}

# ---------------------------------------------------------------- the pair of server and worker

# The worker's command as the server starts it: $1 is what stands in $T/bin/uv (bash; ends in exec docs-worker "$@").
worker_is() {
    rm -f "$T/bin/uv"
    printf '#!/bin/bash\n%s\n' "$1" >"$T/bin/uv"
    chmod 755 "$T/bin/uv"
}
plain_worker() { ln -sf "$WORKLOADS/docs-worker" "$T/bin/uv"; }
server_exec() { # PORT [OPTION...]
    local port=$1
    shift
    echo "docs-server --port $port --generate 5000 --loop --data-dir $T/data --ready-after 0 $*"
}
# the server's unit; further keys may follow
server_unit() { # PORT [OPTION...]
    printf '[unit server]\nexec = %s\nready = http://127.0.0.1:%s/health\nmemory_max = 256M\n' "$(server_exec "$@")" "$1"
}
pair_is_up() { # PORT
    soon 20 "server gets ready" unit_ready server
    soon 20 "the worker answers" search_answers "$1"
}
# a search that the worker itself has to answer
search_answers() { # PORT
    curl -fsS -m 10 -H 'content-type: application/json' -d '{"jsonrpc":"2.0","id":1,"method":"getStats"}' "http://127.0.0.1:$1/rpc" 2>/dev/null | grep -q '"result"'
}

# ---------------------------------------------------------------- the pair with a gate

# The server fails as the real one does (nothing starts its worker anew but the gate), works through DOCUMENTS once and
# writes down each request and what came of it.
job_server() { # PORT DOCUMENTS [OPTION...]
    local port=$1 documents=$2
    shift 2
    printf '[unit server]\nexec = docs-server --port %s --generate %s --data-dir %s --ready-after 0 --as-real --ledger %s %s\n' \
        "$port" "$documents" "$T/data" "$T/ledger" "$*"
    printf 'ready = http://127.0.0.1:%s/health\nmemory_max = 256M\n' "$port"
}
# All methods of the worker that can be sent again are in gate_replay. Its lives are short here, on purpose.
gated_worker() {
    cat <<'END'
[unit worker]
wrap = uv
gate = jsonl
gate_handshake = initModel
gate_replay = ping, search, getStats, getSectionsByPath, getSectionById, findSectionsByPathAndHash, deleteSectionsByPath, deleteSectionsByPathExceptHash
gate_replay_max = 3
gate_drain = 5s
gate_patience = 120s
END
}

# rpc PORT METHOD [PARAMS]: the answer's body, in bash alone, as http()
rpc() {
    local params=${3:-"{}"} body line='' answer=''
    body="{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$2\",\"params\":$params}"
    { exec 9<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
    printf 'POST /rpc HTTP/1.0\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s' "${#body}" "$body" >&9
    while IFS= read -r -t 30 line <&9 && [ "$line" != $'\r' ]; do :; done
    IFS= read -r -d '' -t 30 answer <&9
    exec 9>&-
    echo "$answer"
    [ -n "$answer" ]
}
rpc_answers() { [[ $(rpc "$@") == *'"result":'* ]]; }
# job_value PORT JQ: of the server's own status
job_value() { rpc "$1" getStatus | jq -r ".result | $2"; }
job_is_done() { # PORT
    local answer
    answer=$(rpc "$1" getStatus) || return 1
    [[ $answer == *'"syncing":false'* && $answer == *'"processing":0,"queue":0,'* ]] && return 0
    sleep 0.3 # each question is a request at the worker's expense
    return 1
}

# search_begin FILE [OPTION...]: a search client in the background; search_end: its result, one JSON object, is in FILE
search_begin() { # FILE PORT [OPTION...]
    local file=$1 port=$2
    shift 2
    docs-search --port "$port" --json --timeout "$(slow 10 120)" "$@" >"$file" 2>"$file.err" &
    search_pids+=($!)
    background+=($!)
}
search_pids=()
search_end() {
    kill -TERM "${search_pids[@]}" 2>/dev/null
    wait "${search_pids[@]}" 2>/dev/null
    search_pids=()
}
# searched FILE NAME: some queries, and none failed
searched() {
    note "$2: $(jq -r '"\(.sent) sent, \(.failed) failed, p50 \(.p50_ms) ms, p99 \(.p99_ms) ms, max \(.max_ms) ms"' "$1" 2>&1)"
    is "$(jq -r '"\(.sent > 0 and .sent == .answered) \(.reasons)"' "$1" 2>&1)" "true {}" "$2: none failed"
}

# each_once LEDGER NAME [open]: every request has exactly one outcome, and ids grow; "open": the last ones may have none,
# for the server was killed.
each_once() {
    local bad
    bad=$(awk -F '\t' -v may_be_open="${3:-}" '
        $2 == "ask" { if ($3 <= last) print "id " $3 " after " last; last = $3; open[$3] = 1; asked++; next }
        $2 ~ /^(result|error|timeout|lost|stopped)$/ { if (!open[$3]) print $2 " of id " $3 ", which is not open"; delete open[$3]; next }
        $2 != "ended" { print "unexpected: " $0 }
        END { if (!asked) print "nothing was asked"; for (id in open) if (!may_be_open) print "id " id " has no outcome" }' "$1" | head -n 3)
    is "$bad" "" "$2: each of $(grep -c $'\task\t' "$1") requests has exactly one outcome"
}
# outcomes LEDGER EVENT: how many
outcomes() { grep -c $'\t'"$2"$'\t' "$1"; }
# indexed_once DOCUMENTS NAME: the worker's database has each of them, added once
indexed_once() {
    local db=$T/data/index/documents.log
    is "$(grep -c '^add' "$db") $(grep '^add' "$db" | cut -f2 | sort -u | wc -l)" "$1 $1" "$2: all $1 documents, each added once"
}
