#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Agents end, however it comes, and leave nothing: processes, mounts, cgroups,
# pins, map entries, sockets and files are compared with before.  And the node's
# own processes end one at a time, while an agent tries what it may not.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
. tests/lib/net.sh
node_begin
net_begin

WORK=$(mktemp -d /srv/ambit-test.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'
mkdir -m 700 "$WORK/files"
net_serve python3 tests/lib/echo.py "tcp:$NET4.2:7000" "udp:$NET4.2:7000"
profile busy "run: {grace: 1s, pass-environment: [SERVER]}
limits: {processes: 200}
files: {write: [$WORK/files]}
egress:
  - {to: $NET4.2, ports: [7000], protocol: tcp}
  - {to: $NET4.2, ports: [7000], protocol: udp}
credentials:
  - {name: tls, type: x509-svid, ttl: 1h}
  - {name: api, type: jwt-svid, audience: \"https://api.example.com\", ttl: 5m}" \
	'listen: [7005]'
profile brief 'run: {lifetime: 1s, grace: 1s}'
SERVER=$NET4.2
export SERVER

# Opens what could be left behind, then says so and waits: a flow, a datagram
# socket, a listener, unix sockets, shared memory, queues, files, children in
# sessions of their own.
BUSY='
import os, signal, socket, subprocess, sys, tempfile, time
import multiprocessing.shared_memory
tcp = socket.create_connection((os.environ["SERVER"], 7000))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.sendto(b"x", (os.environ["SERVER"], 7000))
listener = socket.create_server(("127.0.0.1", 7005))
local = socket.socket(socket.AF_UNIX); local.bind(os.path.expanduser("~/socket")); local.listen()
abstract = socket.socket(socket.AF_UNIX); abstract.bind("\0left-behind"); abstract.listen()
memory = multiprocessing.shared_memory.SharedMemory(create=True, size=1 << 20)
files = [tempfile.NamedTemporaryFile() for _ in range(20)]
children = [subprocess.Popen(["setsid", "sleep", "600"]) for _ in range(10)]
how = sys.argv[1]
if how == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if how == "forks":
    for _ in range(100):
        if os.fork() == 0:
            while True:
                signal.pause()
print("busy", flush=True)
if how == "exit":
    sys.exit(3)
while True:
    signal.pause()
'
start_busy() {
	mkfifo "$TAP_DIRECTORY/busy"
	ambit run --quiet --profile busy --name busy --task T-9 -- python3 -c "$BUSY" "$1" \
		>"$TAP_DIRECTORY/busy" 2>"$TAP_DIRECTORY/busy.err" &
	BUSY_PID=$!
	exec 4<"$TAP_DIRECTORY/busy"
	rm "$TAP_DIRECTORY/busy"
	read -r busy_line <&4
	[ "$busy_line" = busy ] || diag "$(cat "$TAP_DIRECTORY/busy.err")"
}
end_busy() {
	wait "$BUSY_PID"
	BUSY_STATUS=$?
	exec 4<&-
}

# Once each, so that what is kept per profile is there before.
start_busy exit
end_busy
run ambit_run brief true
snapshot "$TAP_DIRECTORY/before"

# ends NAME STATUS HOW COMMAND…
ends() {
	ends_name=$1 ends_status=$2
	start_busy "$3"
	shift 3
	[ $# = 0 ] || ok "$ends_name: command" "$@"
	end_busy
	is "$ends_name: status" "$BUSY_STATUS" "$ends_status"
	snapshot "$TAP_DIRECTORY/after"
	same "$ends_name: nothing is left" "$TAP_DIRECTORY/before" "$TAP_DIRECTORY/after"
}
ends "exit" 3 exit
ends "kill" 137 waits ambit kill busy --reason "test"
ends "kill of a hundred" 137 forks ambit kill busy --reason "test"
ends "kill --profile" 137 waits ambit kill --profile busy --reason "test"
ends "kill --all" 137 waits ambit kill --all --reason "test"
ends "retire" 143 waits ambit retire busy --reason "test"
ends "retire: SIGTERM is ignored" 137 stubborn ambit retire busy --reason "test"
run ambit audit show --agent busy
like "kill and retire are recorded with their reason" "$OUT" "agent killed" "agent retired" "test"
for words in "audit --help" "audit show --help" "help audit" "profile --help" "profile check --help"; do
	# shellcheck disable=SC2086
	runs "$words" 0 ambit $words
	like "… is the usage" "$OUT" "usage: ambit"
done
runs "--agent=NAME" 0 ambit audit show --agent=busy
run ambit audit show --denied
unlike "a kill is no refusal" "$OUT" "agent killed"
run ambit audit show --agent bussy
is "a misspelt agent is told from one that did nothing" "$ERR" "ambit: audit: no record is of agent bussy"

runs "lifetime" 124 ambit_run brief sleep 600
runs "lifetime: children and SIGTERM ignored" 124 ambit_run brief \
	sh -c 'trap "" TERM; sleep 600 & sleep 600; sleep 600'
snapshot "$TAP_DIRECTORY/after"
same "lifetime: nothing is left" "$TAP_DIRECTORY/before" "$TAP_DIRECTORY/after"

# ---- a retired profile -------------------------------------------------------
start_busy waits
ok "retire --profile" ambit retire --profile busy --reason "replaced"
end_busy
runs "none of its agents is running" 0 ambit retire --profile busy --reason "replaced"
like "and that is said" "$ERR" "no agent of the profile was running"
runs "a misspelt one" 0 ambit retire --profile bussy --reason "replaced"
like "is told from it" "$ERR" "there is no profile file of that name"
ok "and taken back" ambit reinstate --profile bussy --reason "misspelt"
refused "it launches no more" 125 "retired" ambit_run busy true
ok "reinstate" ambit reinstate --profile busy --reason "needed again"
runs "it launches again" 0 ambit_run busy true
snapshot "$TAP_DIRECTORY/after"
same "nothing is left" "$TAP_DIRECTORY/before" "$TAP_DIRECTORY/after"

# ---- ps and inspect ------------------------------------------------------------
start_busy waits
run ambit ps
like "ps" "$OUT" "busy" "T-9" "running"
run ambit inspect busy
like "inspect" "$OUT" "spiffe://" "agent/busy" "tests@example.com" "Serves a test" \
	"x509-svid" "jwt-svid" "running" "T-9"
is "inspect: counted, the listener too" "$(field busy allowed) $(field busy denied)" "3 0"
agent=$(field busy id)
ok "kill" ambit kill busy --reason "test"
end_busy
run ambit ps
unlike "ps: no more" "$OUT" "$agent"
run ambit ps --all
like "ps --all: how it ended" "$OUT" "$agent" "137"
run ambit inspect "$agent"
like "inspect: how it ended" "$OUT" "killed"

# ---- slots are used again --------------------------------------------------------
COUNT=${AMBIT_TEST_AGENTS:-10000}
snapshot "$TAP_DIRECTORY/before"
i=0 failures=0
while [ $i -lt "$COUNT" ]; do
	ambit run --quiet --profile brief -- /bin/true </dev/null || failures=$((failures + 1))
	i=$((i + 1))
done
is "$COUNT short agents in a row" "$failures" 0
snapshot "$TAP_DIRECTORY/after"
same "they leave nothing" "$TAP_DIRECTORY/before" "$TAP_DIRECTORY/after"
seq 64 | xargs -P 32 -I{} ambit run --quiet --profile brief -- /bin/true
is "64 agents, 32 at once" "$?" 0
snapshot "$TAP_DIRECTORY/after"
same "they leave nothing" "$TAP_DIRECTORY/before" "$TAP_DIRECTORY/after"

# ---- the node's own processes end ------------------------------------------------
# Tries a server that it may not reach, and one that it may, as fast as it can,
# and tells on SIGUSR1 what ever came of it: a way out, or none.
TRIES='
import errno, os, signal, socket, sys
seen = {"denied": 0, "allowed": 0, "open": 0}
stop = []
signal.signal(signal.SIGUSR1, lambda *_: stop.append(1))
print("up", flush=True)
while not stop:
    for host, good in ((sys.argv[1], "open"), (os.environ["SERVER"], "allowed")):
        s = socket.socket()
        s.settimeout(5)
        try:
            s.connect((host, 7000))
            seen[good] += 1
        except OSError as error:
            if host == sys.argv[1] and error.errno == errno.EPERM:
                seen["denied"] += 1
        s.close()
print(seen["open"], seen["denied"] > 0, seen["allowed"] > 0, flush=True)
'
# The one thing without an event: when a service is back.  A refusal while it is
# being restarted is right; each takes a few milliseconds.
until_launched() {
	timeout 20 sh -c 'until ambit run --quiet --profile brief -- /bin/true; do :; done'
}
profile spans 'run: {lifetime: 5s}'
mkfifo "$TAP_DIRECTORY/spans"
start_spanning() {
	ambit run --quiet --profile spans -- sh -c 'echo; exec sleep 600' >"$TAP_DIRECTORY/spans" &
	spanning=$!
	read -r line <"$TAP_DIRECTORY/spans"
	spanning_began=$(date +%s)
}
: >"$TAP_DIRECTORY/arrived"
net_serve python3 tests/lib/echo.py --count "$TAP_DIRECTORY/arrived" "tcp:$NET4.3:7000"
mkfifo "$TAP_DIRECTORY/tries"
for process in ambit-porter ambit-issuer ambit-recorder ambitd; do
	ambit run --quiet --profile busy --name tries -- python3 -c "$TRIES" "$NET4.3" \
		>"$TAP_DIRECTORY/tries" 2>"$TAP_DIRECTORY/tries.err" &
	tries=$!
	exec 4<"$TAP_DIRECTORY/tries"
	read -r line <&4
	[ "$process" != ambitd ] || start_spanning
	victim=$(node_pid "$process")
	kill -KILL "$victim"
	gone "$victim"
	# A launch succeeds only when the node is whole again.
	ok "$process: restarted" until_launched
	is "$process: it is another one" \
		"$(test "$(node_pid "$process")" != "$victim" && echo another)" another
	[ "$process" != ambitd ] || is "$process: its children got a parent that reaps" \
		"$(ps -o ppid= -p "$(field tries pid)" | tr -d ' ')" "$(node_pid ambit-supervise)"
	kill -USR1 "$tries"
	read -r line <&4
	is "$process: no way out meanwhile, none shut for good" "$line" "0 True True"
	wait "$tries"
	is "$process: the agent went on to its own end" "$?" 0
	exec 4<&-
	run ambit audit show --agent tries
	like "$process: its end is recorded" "$OUT" "agent ended"
done
wait "$spanning"
is "a lifetime that began before ambitd was killed ends after it" "$?" 124
is "… and not sooner" "$(($(date +%s) - spanning_began >= 4))" 1
is "nothing reached the server" "$(cat "$TAP_DIRECTORY/arrived" 2>&1)" ""
runs "both profiles are there again" 0 ambit_run busy true
run ambit audit verify
is "the log is whole" "$STATUS" 0
snapshot "$TAP_DIRECTORY/after"
sed -i '/^descriptor/d; /^mount.*roots/d; /roots/d' "$TAP_DIRECTORY/before" "$TAP_DIRECTORY/after"
same "nothing is left" "$TAP_DIRECTORY/before" "$TAP_DIRECTORY/after"
finish
