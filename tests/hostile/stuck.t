#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The node's processes are stopped or killed while an end is under way: agents end all
# the same.  A service that reads no more keeps the warden from nothing; what was begun
# before the warden was killed goes on behind it.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
. tests/lib/dns.sh
node_directory
dns_node 192.0.2.53
node_start
profile plain 'run: {grace: 1s}'
profile stubborn 'run: {grace: 3s}'
profile deaf 'run: {grace: 3s}'
profile brief 'run: {lifetime: 3s}'
profile short 'run: {lifetime: 8s}'
profile asks 'egress: [{to: listed.example.com, ports: [443]}]'
STUBBORN='import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True: signal.pause()'
# Questions for what no entry lists: each is a record, by way of the warden.
ASKS='import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("127.86.0.1", 53))
i = 0
while True:
    i += 1
    try:
        s.send(struct.pack(">6H", i & 65535, 256, 1, 0, 0, 0) + b"\x06n%05d\x04test\0\0\1\0\1" % (i % 100000))
    except OSError:
        pass'

pid_of() { ambit inspect "$1" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["pid"])'; }
until_launched() {
	timeout 30 sh -c 'until ambit run --quiet --profile plain -- /bin/true; do :; done' 2>/dev/null
}

# ---- a service that does not read ---------------------------------------------------
# By launches the porter's queue fills, by lookups the recorder's.
for service in ambit-porter ambit-recorder; do
	victim=$(node_pid $service)
	ambit run --profile brief --name brief --detach -- sleep 600 >/dev/null
	ambit run --profile plain --name killed --detach -- sleep 600 >/dev/null
	brief=$(pid_of brief) killed=$(pid_of killed)
	ambit run --profile asks --name asks --detach -- python3 -c "$ASKS" >/dev/null
	kill -STOP "$victim"
	if [ $service = ambit-porter ]; then
		timeout 60 sh -c 'i=0; while [ $i -lt 400 ]; do
			ambit run --quiet --profile plain -- /bin/true; i=$((i + 1)); done' 2>/dev/null
	fi
	ok "$service stopped: a lifetime ends" gone "$brief"
	ok "$service stopped: a kill" timeout 20 ambit kill killed --reason test
	ok "$service stopped: it ended" gone "$killed"
	ok "$service stopped: ps answers" timeout 5 ambit ps
	ok "$service stopped: it is ended" gone "$victim"
	ok "$service stopped: another is there" until_launched
	ok "$service: the asking agent ends" timeout 20 ambit kill asks --reason test
done

# ---- a service is stopped, and the warden is killed: the next one does not wait for it ---
for service in ambit-porter ambit-recorder; do
	ambit run --profile short --name short --detach -- sleep 600 >/dev/null
	ambit run --profile plain --name stays --detach -- sleep 600 >/dev/null
	agent=$(pid_of short) stopped=$(node_pid $service) victim=$(node_pid ambitd)
	kill -STOP "$stopped"
	kill -KILL "$victim"
	gone "$victim"
	ok "$service stopped, warden killed: an agent is still there" kill -0 "$agent"
	ok "$service stopped, warden killed: a lifetime ends" gone "$agent" || kill -KILL "$stopped"
	ok "$service stopped, warden killed: another is there" until_launched
	ok "$service stopped, warden killed: it is ended" gone "$stopped"
	like "$service stopped, warden killed: an agent is left alone" "$(ambit ps)" stays running
	ambit kill stays --reason test >/dev/null
done

# ---- what becomes the agent is stopped: its launch has a time, too ---------------------
places=$(node_places 4)
# shellcheck disable=SC2086
kill -STOP $places
refused "a launch whose process is stopped is refused" 125 "took too long" \
	timeout 60 ambit run --quiet --profile plain -- true
# shellcheck disable=SC2086
is "it is ended, the others wait on" "$(kill -CONT $places 2>&1 | grep -c 'No such process')" 1
ok "others are launched" until_launched

# ---- a warden that is stopped: its callers are told, not kept ----------------------------
ambit run --profile plain --name stays --detach -- sleep 600 >/dev/null
kill -STOP "$(node_pid ambitd)"
timeout 60 ambit ps >"$TAP_DIRECTORY/ps" 2>&1 &
ps=$!
refused "an order to a warden that is stopped" 1 "the node has not answered for 20 s" \
	timeout 60 ambit kill stays --reason test
wait "$ps"
is "so is a question: status" $? 1
like "and why" "$(cat "$TAP_DIRECTORY/ps")" "ambit: ps: the node has not answered for 20 s"
kill -CONT "$(node_pid ambitd)"
ok "it goes on, and does what was asked" \
	timeout 20 sh -c 'while ambit ps | grep -q "^stays "; do :; done'

# ---- a retirement outlives the warden -------------------------------------------------
for how in "stubborn" "--profile stubborn"; do
	mkfifo "$TAP_DIRECTORY/up"
	ambit run --quiet --profile stubborn --name stubborn -- python3 -c "$STUBBORN" >"$TAP_DIRECTORY/up" &
	caller=$!
	read -r line <"$TAP_DIRECTORY/up"
	rm "$TAP_DIRECTORY/up"
	ambit run --profile plain --name stays --detach -- sleep 600 >/dev/null
	agent=$(pid_of stubborn)
	# shellcheck disable=SC2086
	timeout 30 ambit retire $how --reason test 2>/dev/null &
	retires=$!
	timeout 10 sh -c 'until ambit ps | grep -q "stubborn.*retiring"; do :; done' || fail "it is retiring"
	victim=$(node_pid ambitd)
	kill -KILL "$victim"
	gone "$victim"
	ok "retire $how: it ends though the warden was killed" gone "$agent" ||
		ambit kill stubborn --reason "it did not" >/dev/null
	wait $caller
	is "retire $how: its caller hears how" "$?" 137
	wait $retires
	until_launched
	like "retire $how: another agent is left alone" "$(ambit ps)" "stays" "running"
	ambit kill stays --reason test >/dev/null
done
like "the reason is the first one" "$(ambit audit show --agent stubborn)" "agent ended: stubborn: retired (exit 137)"
refused "the profile stays retired" 125 retired ambit_run stubborn true

# So does why: its caller was killed, and then the warden.
mkfifo "$TAP_DIRECTORY/up"
ambit run --quiet --profile deaf --name deaf -- python3 -c "$STUBBORN" >"$TAP_DIRECTORY/up" 2>/dev/null &
caller=$!
read -r line <"$TAP_DIRECTORY/up"
rm "$TAP_DIRECTORY/up"
agent=$(pid_of deaf) victim=$(node_pid ambitd)
kill -KILL "$caller"
timeout 10 sh -c 'until ambit ps | grep -q "deaf.*retiring"; do :; done' || fail "it is retiring"
kill -KILL "$victim"
gone "$victim"
ok "a caller was killed, and the warden: the agent ends" gone "$agent" ||
	ambit kill deaf --reason "it did not" >/dev/null
wait "$caller"
until_launched
like "and why is not forgotten" "$(audit_wait deaf "agent ended")" "caller gone (exit 137)"

# A profile was retired, but the warden was killed before it came to its agents: what it
# leaves then is this file.
profile doomed 'run: {grace: 1s}'
ambit run --profile doomed --name doomed --detach -- sleep 600 >/dev/null
ambit run --profile plain --name spared --detach -- sleep 600 >/dev/null
agent=$(pid_of doomed) victim=$(node_pid ambitd)
: >"$AMBIT_ROOT/var/lib/ambit/retired/doomed"
kill -KILL "$victim"
gone "$victim"
ok "its profile was retired, and the warden killed: the agent ends" gone "$agent" ||
	ambit kill doomed --reason "it did not" >/dev/null
until_launched
like "that is why" "$(audit_wait doomed "agent ended")" "retired (exit 143)"
like "that of another profile is left alone" "$(ambit ps)" spared running
ambit kill spared --reason test >/dev/null

# ---- so does what an agent is for: its caller ------------------------------------------
ambit run --quiet --profile plain --name stays -- sleep 600 &
stays=$!
ambit run --quiet --profile plain --name left -- sleep 600 2>/dev/null &
left=$!
ambit run --quiet --profile plain --name away -- sleep 600 2>/dev/null &
away=$!
timeout 20 sh -c 'until [ "$(ambit ps | grep -c running)" = 3 ]; do :; done' || fail "three run"
left_pid=$(pid_of left) away_pid=$(pid_of away)
victim=$(node_pid ambitd)
kill -KILL "$victim" "$away"
gone "$victim"
until_launched
timeout 20 sh -c 'until ambit ps | grep -q "stays.*running"; do :; done' || fail "it was adopted"
kill -KILL "$left"
ok "a caller that came back and was killed: its agent ends" gone "$left_pid" ||
	ambit kill left --reason "it did not" >/dev/null
ok "a caller that was killed meanwhile: its agent ends" gone "$away_pid" ||
	ambit kill away --reason "it did not" >/dev/null
# Its time to come back has passed in the same moment.
until_launched
like "the third is left alone" "$(ambit ps)" "stays" "running"
ambit kill stays --reason test >/dev/null || kill -KILL "$stays"
wait "$stays"
is "its caller hears how" "$?" 137
wait "$left" "$away"
finish
