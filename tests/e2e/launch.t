#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `ambit run` as a command among others: exit statuses, stdio, options, terminal.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_begin
profile plain
profile command 'run: {command: [/bin/echo, from the profile]}'
profile short 'run: {lifetime: 1s}'

# ---- exit statuses: ambit(1), EXIT STATUS ------------------------------------
while IFS='|' read -r wanted name command; do
	runs "status $wanted: $name" "$wanted" ambit_run plain sh -c "$command"
done <<'TABLE'
0|success|exit 0
1|failure|exit 1
42|its own status|exit 42
255|the largest|exit 255
124|its own 124|exit 124
125|its own 125|exit 125
137|SIGKILL|kill -KILL $$
143|SIGTERM|kill -TERM $$
134|SIGABRT|kill -ABRT $$
139|SIGSEGV|kill -SEGV $$
0|a child that was killed is the parent's affair|sh -c 'kill -KILL $$'; exit 0
0|an orphan does not keep the agent|sleep 600 & exit 0
TABLE
runs "status 124: the lifetime" 124 ambit_run short sleep 600
like "the lifetime is told" "$ERR" "lifetime"
refused "status 127: no such command" 127 "command not found" \
	ambit_run plain no-such-command
refused "status 127: no such path" 127 "/no/such/command" \
	ambit_run plain /no/such/command
refused "status 126: not executable" 126 "/etc/passwd" ambit_run plain /etc/passwd
refused "status 126: a directory" 126 "/usr" ambit_run plain /usr
refused "status 125: no such profile" 125 "no-such-profile" \
	ambit_run no-such-profile true
refused "status 125: no command anywhere" 125 "command" ambit run --profile plain
refused "status 2: no profile" 2 "--profile is missing" ambit run -- true
refused "status 2: unknown option" 2 "no such option" \
	ambit run --profile plain --privileged -- true
refused "status 2: unknown command" 2 "no such command" ambit start
runs "the profile's command" 0 ambit run --profile command
is "it ran" "$OUT" "from the profile"
runs "the command line replaces it" 0 ambit_run command echo given
is "it ran instead" "$OUT" "given"
runs "options after the command are the command's" 0 \
	ambit run --profile plain echo --json --detach
is "they arrive" "$OUT" "--json --detach"
ambit_run plain printf '<%s>' "" "a b" '*' '$HOME' "é" >"$TAP_DIRECTORY/words" 2>&1
is "arguments arrive as they are" "$(cat "$TAP_DIRECTORY/words")" '<><a b><*><$HOME><é>'


# ---- where the command is looked for -------------------------------------------
profile path 'run: {environment: {PATH: "/nowhere:tmp:/usr/share/ambit-test"}}'
profile passed 'run: {pass-environment: [PATH]}'
mkdir /usr/share/ambit-test || bail_out "no directory below /usr"
at_exit 'rm -r /usr/share/ambit-test'
printf '#!/bin/sh\necho found in "$PATH"\n' >/usr/share/ambit-test/only-there
chmod 755 /usr/share/ambit-test/only-there
refused "not on the usual path" 127 "command not found" ambit_run plain only-there
run ambit_run path only-there
is "on the profile's" "$OUT$ERR" "found in /nowhere:tmp:/usr/share/ambit-test"
refused "and then on no other" 127 "command not found" ambit_run path true
run env PATH="/usr/share/ambit-test:$PATH" ambit run --profile passed -- only-there
is "on the caller's, where it is passed on" "$OUT$ERR" "found in /usr/share/ambit-test:$PATH"
# A relative part would lead to what the agent itself wrote in an earlier life.
WORK=$(mktemp -d /srv/ambit-test.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'
mkdir "$WORK/bin"
printf '#!/bin/sh\necho its own\n' >"$WORK/bin/id"
chmod 755 "$WORK/bin/id"
OWN="files: {write: [$WORK], execute: [$WORK]}"
profile relative "run: {directory: $WORK, environment: {PATH: \"bin:./bin::/usr/bin\"}}" "$OWN"
profile absolute "run: {directory: $WORK, environment: {PATH: \"$WORK/bin:/usr/bin\"}}" "$OWN"
run ambit_run relative id -un
is "never on a relative one" "$OUT$ERR" agent
run ambit_run absolute id -un
is "on the same, named in full" "$OUT$ERR" "its own"
runs "on the usual path where the caller has none" 0 env -u PATH "$(command -v ambit)" \
	run --profile passed -- true

# ---- stdio --------------------------------------------------------------------
head -c 20000000 /dev/urandom >"$TAP_DIRECTORY/data"
ambit_run plain cat <"$TAP_DIRECTORY/data" >"$TAP_DIRECTORY/copy"
ok "20 MB through files" cmp "$TAP_DIRECTORY/data" "$TAP_DIRECTORY/copy"
# shellcheck disable=SC2002
cat "$TAP_DIRECTORY/data" | ambit_run plain cat | cat >"$TAP_DIRECTORY/copy"
ok "20 MB through pipes, and the end of file" cmp "$TAP_DIRECTORY/data" "$TAP_DIRECTORY/copy"
run ambit_run plain sh -c 'echo out; echo err >&2'
is "stdout is stdout" "$OUT" out
is "stderr is stderr" "$ERR" err
run ambit_run plain sh -c 'cat /dev/stdin && echo lost >/dev/stderr && echo still here' </dev/null
is "/dev/stdin where nothing is given" "$OUT$ERR" "still herelost"
ambit_run plain sh -c 'echo lost >/dev/stderr && echo kept >/dev/stdout' >"$TAP_DIRECTORY/kept" 2>/dev/null
is "/dev/stderr and /dev/stdout, where they lead nowhere and to a file" "$(cat "$TAP_DIRECTORY/kept")" kept
ambit_run plain sh -c 'cat; echo end' <&- >"$TAP_DIRECTORY/closed" 2>&1
is "a closed stdin is empty" "$(cat "$TAP_DIRECTORY/closed")" end
ambit_run plain sh -c 'yes' | head -n 1 >"$TAP_DIRECTORY/head"
is "a reader that goes ends the writer" "$(cat "$TAP_DIRECTORY/head")" y
python3 - >"$TAP_DIRECTORY/socket" <<'PYTHON'
import socket, subprocess
ours, theirs = socket.socketpair()
agent = subprocess.Popen(
    ["ambit", "run", "--profile", "plain", "--", "sh", "-c",
     "stat -Lc %F /proc/self/fd/0 /proc/self/fd/1; cat"],
    stdin=theirs, stdout=theirs)
theirs.close()
ours.sendall(b"through a socket\n")
ours.shutdown(socket.SHUT_WR)
data = b""
while part := ours.recv(65536):
    data += part
print(data.decode(), agent.wait())
PYTHON
like "stdio that is a socket is relayed" "$(cat "$TAP_DIRECTORY/socket")" \
	"through a socket
 0"
unlike "the agent never holds the socket" "$(cat "$TAP_DIRECTORY/socket")" "
socket"

# ---- --detach, --name, --task, --json ------------------------------------------
mkfifo "$TAP_DIRECTORY/pipe"
ambit run --profile plain --name worker --task T-1 --detach --json -- \
	sh -c 'echo $AMBIT_TASK $AMBIT_AGENT_ID; exec sleep 600' \
	>"$TAP_DIRECTORY/pipe" 2>"$TAP_DIRECTORY/err" &
exec 3<"$TAP_DIRECTORY/pipe"
read -r first <&3
read -r second <&3
wait $!
is "--detach returns while the agent runs" "$?" 0
agent=$(field worker id)
is "state" "$(field worker state)" running
is "--task in inspect" "$(field worker task)" T-1
like "--task and the id inside, one JSON line outside" "$first
$second" "T-1 $agent" '"state":"running"'
refused "a name is one agent's" 125 worker \
	ambit run --profile plain --name worker -- true
run ambit ps
like "ps shows it" "$OUT" "$agent" worker plain T-1 running
runs "ps --json" 0 ambit ps --json
is "one object a line" "$(printf %s "$OUT" | member name)" worker
ok "kill" ambit kill worker --reason "test over"
exec 3<&-
refused "ended" 1 "worker" ambit kill nobody-worker --reason "not there"
run ambit run --profile plain --json -- true
is "--json: launched and ended on stderr" "$(printf '%s\n' "$ERR" | member event | tr '\n' ' ')" "launched ended "
run ambit run --profile no-such-profile --json -- true
is "--json: a refusal is an object" "$(printf '%s\n' "$ERR" | member refused.status)" 125

# ---- the caller -----------------------------------------------------------------
ambit run --profile plain --name leashed -- sh -c 'echo up; exec sleep 600' \
	>"$TAP_DIRECTORY/pipe" 2>/dev/null &
exec 3<"$TAP_DIRECTORY/pipe"
read -r first <&3
kill -KILL $!
is "an agent ends with its caller" "$(cat <&3)" ""
exec 3<&-
ok "and that is recorded" audit_wait leashed "agent ended"
python3 - >"$TAP_DIRECTORY/signals" 2>&1 <<'PYTHON'
import signal, subprocess
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    agent = subprocess.Popen(
        ["ambit", "run", "--json", "--profile", "plain", "--", "sh", "-c",
         f"trap 'exit {40 + number}' {int(number)}; echo up; while :; do sleep 0.1; done"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    agent.stderr.readline()
    agent.stdout.readline()
    agent.send_signal(number)
    print(agent.wait() - 40 - number, end=" ")
PYTHON
is "signals reach the agent" "$(cat "$TAP_DIRECTORY/signals")" "0 0 0 0 "

# ---- first the record of a launch is on disk, and credentials in place --------------------
# The recorder waits before it has the disk take what it wrote.  When the command began is
# the file's own time.
BEGUN=$(mktemp -d /srv/ambit-test.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$BEGUN"'
chmod 777 "$BEGUN"
profile writes "files: {write: [$BEGUN]}
credentials: [{name: tls, type: x509-svid, ttl: 1h}]"
recorder=$(node_pid ambit-recorder)
# slowly PID CALLS INJECT: strace of a process, with what becomes of the next of these calls.
slowly() {
	strace -qq -o "$TAP_DIRECTORY/calls" -ttt -e "trace=$2" -e "inject=$2:$3:when=1" -p "$1" &
	slowly_strace=$!
	while grep -qs '^TracerPid:[[:space:]]*0' "/proc/$1/status"; do :; done
}
slowly_end() {
	kill "$slowly_strace"
	wait "$slowly_strace"
}
slowly "$recorder" fdatasync,fsync delay_exit=1500000
runs "a slow disk: launched" 0 ambit_run writes sh -c "date +%s.%N >$BEGUN/slow"
slowly_end
ok "but not before the disk had the record" awk -v began="$(cat "$BEGUN/slow")" \
	'NR == 1 { print $1, began; exit !(began > $1 + 1.4) }' "$TAP_DIRECTORY/calls"
slowly "$recorder" fdatasync,fsync error=EIO:delay_enter=1500000
refused "a disk that fails: refused" 125 "can't be recorded" ambit_run writes sh -c ": >$BEGUN/failed"
slowly_end
ok "the command did not begin" [ ! -e "$BEGUN/failed" ]
ok "when the disk is well again, it does" timeout 20 sh -c 'until ambit run --quiet --profile writes -- \
	sh -c ": >$1/failed"; do :; done' sh "$BEGUN"
ok "it did" [ -e "$BEGUN/failed" ]
slowly "$recorder" fdatasync,fsync error=EIO
refused "a disk that fails: a profile is not retired" 1 "can't be recorded" \
	ambit retire --profile writes --reason test
slowly_end
ok "it launches when the disk is well again" timeout 20 \
	sh -c 'until ambit run --quiet --profile writes -- true; do :; done'
slowly "$(node_pid ambit-porter)" renameat,renameat2 delay_enter=1500000
runs "a slow porter: what was put in place late is there" 0 ambit_run writes \
	sh -c 'test -s $CREDENTIALS_DIRECTORY/tls'
slowly_end
ok "it was late" [ -s "$TAP_DIRECTORY/calls" ]

# ---- a terminal -------------------------------------------------------------------
runs "interactive: job control, resize, Ctrl-C, Ctrl-Z" 7 \
	pty --size 30x100 --modes \
	--send 'PS1=rdy\\>\\ \n' --expect 'rdy> ' \
	--send 'stty size\n' --expect '30 100' \
	--send 'trap "" WINCH; echo ok\n' --expect 'ok' --resize 40x120 \
	--send 'stty size\n' --expect '40 120' \
	--send 'sh -c "echo $((40+2))x; exec sleep 600"\n' --expect '42x' \
	--send '\x03' --expect 'rdy> ' \
	--send 'sh -c "echo $((40+3))x; exec sleep 600"\n' --expect '43x' \
	--send '\x1a' --expect 'Stopped' \
	--send 'jobs\n' --expect 'sleep 600' \
	--send 'kill %1; tty\n' --expect '/dev/pts/' \
	--send 'exit 7\n' \
	-- ambit run --profile plain -- bash --norc -i
unlike "no complaint about job control" "$OUT" "no job control"
finish
