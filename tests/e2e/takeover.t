#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A warden that starts where another one is, or was; and what the next one knows.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_begin
profile plain 'run: {grace: 30s}'
profile deaf 'run: {grace: 30s}'
runs "the node launches" 0 ambit_run plain true
STATES() { echo "/proc/$(node_pid ambitd)/root$AMBIT_ROOT/run/ambit/instances/.agents"; }
pid_of() { field "$1" pid; }
back() { timeout 30 sh -c 'until ambit ps >/dev/null 2>&1; do :; done'; }

# ---- where another one is ------------------------------------------------------------
runs "a second ambitd" 1 build/libexec/ambit/ambitd
like "… is told why" "$ERR" "another node runs here"
runs "the first one launches on" 0 ambit_run plain true
mkdir -p "$AMBIT_ROOT/etc/ambit"
echo 'nonsense: 1' >"$AMBIT_ROOT/etc/ambit/node.yaml"
runs "one with wrong settings" 1 build/libexec/ambit/ambitd
like "… is told why" "$ERR" "no such key"
rm "$AMBIT_ROOT/etc/ambit/node.yaml"
runs "the first one launches on after that, too" 0 ambit_run plain true
runs "and is still the only one" 1 build/libexec/ambit/ambitd
like "… is told why" "$ERR" "another node runs here"

# ---- where one was -------------------------------------------------------------------
mkfifo "$TAP_DIRECTORY/deaf"
ambit run --profile deaf --name deaf -- sh -c 'trap "" TERM; echo up; while :; do sleep 1; done >/dev/null' \
	>"$TAP_DIRECTORY/deaf" 2>/dev/null &
read -r line <"$TAP_DIRECTORY/deaf"
is "an agent that ignores SIGTERM" "$line" up
ambit retire deaf --reason test >/dev/null 2>&1 &
timeout 10 sh -c 'until ambit ps | grep -q retiring; do :; done'
ok "an agent that is retired is cut" ambit cut deaf --reason test
victim=$(node_pid ambitd)
kill -KILL "$victim" && gone "$victim"
ok "the next warden is there" back
is "and knows of the cut" "$(field deaf cut)" true
ambit kill deaf --reason test >/dev/null

# One file that is not whole must not keep the node down, nor its agent alive.
ambit run --profile plain --name broken --detach -- sleep 600 >/dev/null
ambit run --profile plain --name whole --detach -- sleep 600 >/dev/null
broken=$(pid_of broken) id=$(field broken id)
sed -i 's/"instance"/"instanc"/' "$(STATES)/$id.json"
victim=$(node_pid ambitd)
kill -KILL "$victim" && gone "$victim"
ok "a file is not whole: the node is back" back
ok "its agent is ended" gone "$broken"
like "the other one is not" "$(ambit ps)" whole running
like "it is recorded" "$(ambit audit show)" "agent $id can't be taken over"
unlike "and gone" "$(ambit ps)" broken
ambit kill whole --reason test >/dev/null

# ---- what is asked late ----------------------------------------------------------------
# The agent has ended and its caller was told; only the recorder still has to write.
WAIT='import socket, sys, json
s = socket.socket(socket.AF_UNIX); s.settimeout(10)
s.connect(sys.argv[1] + "/run/ambit/control")
s.sendall(json.dumps({"method": "io.ambit.Node.Wait", "parameters": {"agent": sys.argv[2]}}).encode() + b"\0")
print(json.loads(s.recv(65536).split(b"\0")[0])["parameters"]["agent"]["exit"]["status"])'
recorder=$(node_pid ambit-recorder)
cat >"$TAP_DIRECTORY/late" <<'SH'
python3 -c 'import socket; socket.socket().connect_ex(("192.0.2.1", 7))'; read -r line; exit 7
SH
mkfifo "$TAP_DIRECTORY/go"
ambit run --quiet --profile plain --name late -- sh -c "$(cat "$TAP_DIRECTORY/late")" <"$TAP_DIRECTORY/go" &
LATE=$!
exec 8>"$TAP_DIRECTORY/go"
timeout 10 sh -c 'until [ "$(ambit inspect late --json 2>/dev/null | grep -c "\"denied\":1")" = 1 ]; do :; done'
kill -STOP "$recorder"
echo go >&8
wait $LATE
is "a recorder that does not go on keeps no caller" $? 7
is "nor one who asks later" "$(python3 -c "$WAIT" "$AMBIT_ROOT" late 2>&1)" 7
kill -CONT "$recorder"
ok "settle" timeout 20 ambit node settle
is "nor one who asks when it is over" "$(python3 -c "$WAIT" "$AMBIT_ROOT" late 2>&1)" 7

# ---- the end of the node ------------------------------------------------------------------
kill -STOP "$recorder"
ok "a stopped recorder: the node ends" timeout 20 ambit node stop
ok "and it with it" gone "$recorder"
runs "another starts" 0 ambit_run plain true
finish
