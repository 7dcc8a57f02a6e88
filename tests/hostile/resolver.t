#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Who answers an agent's lookups: the porter, and nobody else of the node.  Another
# process takes the address and the port that the agent was led to, while the porter
# is away or has another port; nothing may pass either way, by UDP or TCP.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_begin
profile plain

udp_port() { ss -Huanp | sed -n "s/.* \(0\.0\.0\.0\|\*\):\([0-9]*\) .*pid=$1,.*/\2/p" | head -n 1; }
tcp_port() { ss -Htlnp | sed -n "s/.* \(0\.0\.0\.0\|\*\):\([0-9]*\) .*pid=$1,.*/\2/p" | head -n 1; }
ready() { timeout 20 sh -c 'until [ -n "$(pgrep -f "^ambit-porter" | while read -r p; do
	grep -qzxF "AMBIT_ROOT=$AMBIT_ROOT" /proc/$p/environ && ss -Huanp | grep -q "pid=$p," && echo $p; done)" ]; do :; done'; }

# The agent: a socket to the resolver, by which it asks and tells, on each line of its
# stdin, what came back.
ASKS='import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)
s.connect(("127.86.0.1", 53))
question = struct.pack(">6H", 7, 256, 1, 0, 0, 0) + b"\6secret\4test\0\0\1\0\1"
for line in sys.stdin:
    try:
        s.send(question)
        print("answer" if s.recv(512)[2] & 128 else "command", flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
t = socket.socket(); t.settimeout(5)
try:
    t.connect(("127.86.0.1", 53)); print("connected", flush=True)
except OSError as error:
    print(type(error).__name__, flush=True)'
# Another process of the node, without privilege, at the address ($1) and ports ($2, $3):
# takes what comes and answers it; says so on stdout.
TAKES='import os, select, socket, sys
os.setuid(65534)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind((sys.argv[1], int(sys.argv[2])))
l = socket.socket(); l.bind((sys.argv[1], int(sys.argv[3]))); l.listen()
print("up", flush=True)
while True:
    for s in select.select([u, l], [], [])[0]:
        if s is u:
            data, peer = u.recvfrom(512); u.sendto(b"\0\0\0\0", peer)
        else:
            l.accept()
        print("took", flush=True)'
mkfifo "$TAP_DIRECTORY/ask" "$TAP_DIRECTORY/told"
ambit run --quiet --profile plain --name asks -- python3 -c "$ASKS" <"$TAP_DIRECTORY/ask" >"$TAP_DIRECTORY/told" &
ASKER=$!
exec 8>"$TAP_DIRECTORY/ask" 9<"$TAP_DIRECTORY/told"
ask() {
	echo >&8
	read -r line <&9
	echo "$line"
}
is "the porter answers" "$(ask)" answer
slot=$(($(field asks uid) - 2000000016))
address=127.86.$((16 + slot / 256)).$((slot % 256))
porter=$(node_pid ambit-porter) warden=$(node_pid ambitd)
udp=$(udp_port "$porter") tcp=$(tcp_port "$porter")
like "its ports are known" "$udp/$tcp" /

# While it is away.
kill -STOP "$warden"
kill -KILL "$porter" && gone "$porter"
python3 -c "$TAKES" "$address" "$udp" "$tcp" >"$TAP_DIRECTORY/took" 2>&1 8>&- 9<&- &
TAKER=$!
at_exit 'kill $TAKER; kill -CONT "$warden"'
timeout 10 sh -c 'until grep -q up "$1"; do :; done' sh "$TAP_DIRECTORY/took"
is "no porter: another process at its place is not asked" "$(ask)" PermissionError
# What it sends by itself does not come in: the next answer is the porter's.
kill -CONT "$warden"
ok "another porter is there" ready
is "behind it: the old place is not asked" "$(ask)" PermissionError
exec 8>&-
read -r line <&9
wait $ASKER
is "a new connection is the porter's" "$line" connected
is "nothing was taken" "$(cat "$TAP_DIRECTORY/took")" up
run ambit run --quiet --profile plain -- python3 -c "$ASKS"
is "a new socket is" "$OUT" connected

# TCP while it is away: refused at once, not led elsewhere.
porter=$(node_pid ambit-porter)
mkfifo "$TAP_DIRECTORY/ask2"
ambit run --quiet --profile plain --name tcp -- python3 -c "$ASKS" <"$TAP_DIRECTORY/ask2" >"$TAP_DIRECTORY/tcp" &
ASKER=$!
exec 8>"$TAP_DIRECTORY/ask2"
timeout 10 sh -c 'until ambit ps | grep -q "tcp .*running"; do :; done'
slot=$(($(field tcp uid) - 2000000016))
address=127.86.$((16 + slot / 256)).$((slot % 256))
udp=$(udp_port "$porter") tcp=$(tcp_port "$porter")
kill -STOP "$warden"
kill -KILL "$porter" && gone "$porter"
python3 -c "$TAKES" "$address" "$udp" "$tcp" >"$TAP_DIRECTORY/took2" 2>&1 8>&- 9<&- &
SECOND=$!
at_exit 'kill $SECOND'
timeout 10 sh -c 'until grep -q up "$1"; do :; done' sh "$TAP_DIRECTORY/took2"
exec 8>&-
timeout 20 sh -c 'until [ -s "$1" ]; do :; done' sh "$TAP_DIRECTORY/tcp"
is "no porter: a connection is refused at once" "$(cat "$TAP_DIRECTORY/tcp")" PermissionError
is "nothing was taken" "$(cat "$TAP_DIRECTORY/took2")" up
kill -CONT "$warden"
wait $ASKER
like "it is recorded" "$(ambit audit show --agent tcp)" "DENIED  connect"

ok "and another porter is there" ready
# Its own place can't be connected to by its number: that would pay for no question.
PORT=$(tcp_port "$(node_pid ambit-porter)")
DIRECT='import os, socket, sys
slot = os.getuid() - 2000000016
try:
    socket.create_connection(("127.86.%d.%d" % (16 + slot // 256, slot % 256), int(sys.argv[1])), 5); print("connected")
except OSError as error:
    print(type(error).__name__)'
run ambit run --quiet --profile plain -- python3 -c "$DIRECT" "$PORT"
is "by its number" "$OUT" PermissionError
finish
