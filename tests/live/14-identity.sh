#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a config says about a process, read back from /proc: user, group, umask, limits, niceness, OOM score, environment,
# privileges, working directory, session, file descriptors.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

printf '# comment\nFROM_FILE=yes\nBOTH=file\n' >"$T/env"
mkdir "$T/wd"
chmod 755 "$T/wd"
export INHERITED=from-weir NOTIFY_SOCKET=$T/not-there
config <<END
[unit full]
exec = bash -c "touch made; echo out; echo err >&2; exec sleep 1000"
working_directory = $T/wd
user = nobody
group = nogroup
umask = 0027
nice = 7
oom_score_adj = 321
limit_nofile = 512:1024
limit_core = 0
limit_nproc = 4000
limit_stack = 4M:8M
environment = GREETING=hello "TWO=two words" BOTH=config
environment_file = $T/env
no_new_privileges = yes
capabilities = none
[unit plain]
exec = sleep 1000
no_new_privileges = no
[unit caps]
exec = sleep 1000
capabilities = net_bind_service chown
END
chmod 777 "$T/wd"
weir_run
soon 10 "all are up" unit_ready caps
full=$(pid_of full) plain=$(pid_of plain) caps=$(pid_of caps)
made() { [ -e "$T/wd/made" ]; }
soon 5 "the command ran" made
ids() { awk -v k="$2:" '$1 == k { print $2, $3, $4, $5 }' "/proc/$1/status"; }
u=$(id -u nobody) g=$(getent group nogroup | cut -d: -f3)
is "$(ids "$full" Uid)" "$u $u $u $u" "user"
is "$(ids "$full" Gid)" "$g $g $g $g" "group"
is "$(status_of "$full" Groups)" "$(id -G nobody | cut -d' ' -f1)" "supplementary groups are the user's, not root's"
is "$(status_of "$full" Umask)" 0027 "umask"
is "$(stat -c '%a %U' "$T/wd/made")" "640 nobody" "a file it makes shows both"
is "$(awk '{ print $19 }' "/proc/$full/stat")" 7 "nice"
is "$(cat "/proc/$full/oom_score_adj")" 321 "oom_score_adj"
limit() { awk -v name="$2" 'index($0, name) == 1 { $0 = substr($0, 27); print $1, $2 }' "/proc/$1/limits"; }
is "$(limit "$full" 'Max open files')" "512 1024" "limit_nofile"
is "$(limit "$full" 'Max core file size')" "0 0" "limit_core"
is "$(limit "$full" 'Max processes')" "4000 4000" "limit_nproc"
is "$(limit "$full" 'Max stack size')" "$((4 << 20)) $((8 << 20))" "limit_stack"
is "$(limit "$plain" 'Max open files')" "$(limit $$ 'Max open files')" "a unit without limits has weir's"
variable() { tr '\0' '\n' <"/proc/$1/environ" | sed -n "s/^$2=//p"; }
is "$(variable "$full" GREETING)" hello "environment"
is "$(variable "$full" TWO)" "two words" "a quoted value"
is "$(variable "$full" FROM_FILE)" yes "environment_file"
is "$(variable "$full" BOTH)" config "environment wins over environment_file"
is "$(variable "$full" USER)" nobody "USER"
is "$(variable "$full" INHERITED)" from-weir "weir's own environment is inherited"
is "$(variable "$full" NOTIFY_SOCKET)" "" "but not weir's relation to its manager"
is "$(readlink "/proc/$full/cwd")" "$T/wd" "working_directory"
is "$(readlink "/proc/$plain/cwd")" / "by default /"
is "$(status_of "$full" NoNewPrivs)" 1 "no_new_privileges"
is "$(status_of "$plain" NoNewPrivs)" 0 "no_new_privileges = no"
is "$(status_of "$full" CapEff) $(status_of "$full" CapBnd)" "0000000000000000 0000000000000000" "capabilities = none"
is "$(status_of "$caps" CapBnd)" 0000000000000401 "capabilities: the bounding set is those"
is "$(awk '{ print $6 }' "/proc/$full/stat")" "$full" "a session of its own"
is "$(status_of "$full" SigIgn)" 0000000000000000 "no ignored signal"
is "$(status_of "$full" SigBlk)" 0000000000000000 "no blocked signal"
is "$(find "/proc/$full/fd" -mindepth 1 -printf '%f\n' | sort | tr '\n' ' ')" "0 1 2 " "no other file descriptors"
is "$(readlink "/proc/$full/fd/0")" /dev/null "stdin is /dev/null"
is "$(sort "$T/state/log/full.log" | tr '\n' ' ')" "err out " "stdout and stderr are in its log"
weir_stop 0
nothing_left
replay_agrees
finish
