#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What cannot be launched is said so, as what it is, before anything else happens.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

# fails PATTERN NAME: the config's weir ends with 1 and tells the pattern
fails() {
    : >"$LOG"
    if weir_run_to_end 20; then is "$weir_status" 1 "$2: status 1"; else not_ok "$2: weir ends" "it goes on"; weir_kill; fi
    says "$LOG" "$1" "$2: said so"
    note "$(grep -E "$1" "$LOG" | head -n 1)"
    none_of cgroups_left || not_ok "$2: nothing left" "$(cgroups_left)"
}

port=$(free_port)
"$WORKLOADS/docs-server" --port "$port" --data-dir "$T/holder" --ready-after 0 >"$T/holder.log" 2>&1 &
holder=$!
background+=("$holder")
plain_worker
soon 15 "someone holds the port" healthy "$port"
config <<END
[unit server]
exec = $(server_exec "$port")
ready = http://127.0.0.1:$port/health
END
fails "$port is taken by docs-server \(pid $holder\) before the unit was started" "busy port"
check "the holder is left alone" alive "$holder"
kill "$holder"
wait "$holder" 2>/dev/null

printf '[unit a]\nexec = /no/such/program --x\n' | config
fails 'exec: /no/such/program: No such file or directory' "missing file"
echo hello >"$T/plain"
printf '[unit a]\nexec = %s\n' "$T/plain" | config
fails "exec: $T/plain: Permission denied" "not executable"
printf '[unit a]\nexec = no-such-command-at-all\n' | config
fails 'no-such-command-at-all.*(No such file|not found).*PATH|PATH.*no-such-command-at-all' "unknown command in PATH"
mkdir "$T/wd"
printf '[unit a]\nexec = sleep 100\nworking_directory = %s\n' "$T/wd" | config
check "a config with a folder is right" weir check "$C"
rmdir "$T/wd"
fails "working_directory.*$T/wd.*No such file or directory" "folder that is gone"
printf '#!/no/such/interpreter\n' >"$T/bin/live-script"
chmod 755 "$T/bin/live-script"
printf '[unit a]\nexec = %s\n' "$T/bin/live-script" | config
fails 'live-script.*No such file or directory' "script without its interpreter"

# a wrapped command that does not exist: its server is told by the status every shell uses
rm -f "$T/bin/uv"
port=$(free_port)
config <<END
[unit server]
exec = bash -c "uv; echo status \$?; exec sleep 100"
[unit worker]
wrap = uv
END
weir_run
soon 10 "a wrapped command that does not exist ends with 127" in_file "$T/state/log/server.log" '^status 127'
says "$T/state/log/server.log" 'weir: exec: uv: No such file or directory' "and says so to its caller"
weir_stop 0
nothing_left
replay_agrees
finish
